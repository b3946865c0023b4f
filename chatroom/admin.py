"""``chatroom-admin``: what is done to a room's store from outside, while the daemon runs or not."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from hyperlink import EncodedURL
from twisted.python import usage

from chatroom import __version__, names
from chatroom.hooks.address import public
from chatroom.hooks.file import HooksError, HooksFile, Incoming, Outgoing, beside, new_id
from chatroom.hooks.incoming import digest
from chatroom.hooks.signing import new_key, shown
from chatroom.names import BadName

ROOM = ["room", None, None, "The room that it is for."]


class Trouble(Exception):
    """What keeps a command from being done; its text is one line for people."""


class Command(usage.Options):
    """One command, or some below it."""

    longdesc = ""

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"chatroom {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        if self.subCommand is None and hasattr(self, "subCommands"):
            below = ", ".join(command[0] for command in self.subCommands)
            raise usage.UsageError(f"say what to do: {below} (--help tells more)")

    def do(self, hooks: HooksFile) -> None:
        """Do it, to the *hooks* of the store. Raises `HooksError` and `Trouble`."""
        below: Command = self.subOptions
        below.do(hooks)


class AddIncoming(Command):
    optParameters: ClassVar[list[list[Any]]] = [
        ROOM,
        ["name", None, None, "Who says what is posted, unless a post says otherwise."],
    ]

    def postOptions(self) -> None:
        self["room"] = _room(self["room"])
        if self["name"] is None:
            raise usage.UsageError("--name: say who speaks")
        try:
            self["name"] = names.user_name(self["name"]).shown
        except BadName as error:
            raise usage.UsageError(f"--name: {error}") from None

    def do(self, hooks: HooksFile) -> None:
        secret = secrets.token_urlsafe(32)
        hook = Incoming(new_id(), self["room"], self["name"], digest(secret))
        hooks.add(hook)
        print(f"id: {hook.id}\npath: /hooks/{secret}")
        print("Who knows this path of the server can post there. It is not shown again.")


class AddOutgoing(Command):
    optParameters: ClassVar[list[list[Any]]] = [
        ROOM,
        ["url", None, None, "Where what is said there is posted, as https://chat.example/room."],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        ["allow-private", None, "That may be an address that is not public, as of this machine."]
    ]

    def postOptions(self) -> None:
        self["room"] = _room(self["room"])
        if self["url"] is None:
            raise usage.UsageError("--url: say where to post")
        try:
            parts = urlsplit(self["url"])
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            if ":" not in (parts.hostname or ""):
                # As it will be asked for.
                EncodedURL.from_text(self["url"]).to_uri()
        except ValueError:
            good = False
        if not (good and self["url"].isascii() and self["url"].isprintable()):
            raise usage.UsageError(
                f"--url: {self['url']!r} is no address like https://chat.example/"
            )
        if "@" in parts.netloc or parts.fragment or " " in self["url"]:
            raise usage.UsageError("--url: it has a user, a fragment or a space in it")
        if ":" in (parts.hostname or ""):
            raise usage.UsageError("--url: give a name in place of an IPv6 address")
        if not self["allow-private"] and not _perhaps_public(parts.hostname or ""):
            raise usage.UsageError(f"--url: {parts.hostname} is not public; see --allow-private")

    def do(self, hooks: HooksFile) -> None:
        private = bool(self["allow-private"])
        hook = Outgoing(new_id(), self["room"], self["url"], private, new_key())
        hooks.add(hook)
        print(f"id: {hook.id}\nsecret: {shown(hook.key)}")
        print("By this secret the receiver can verify what is posted. It is not shown again.")


class Add(Command):
    subCommands: ClassVar[list[list[Any]]] = [
        ["incoming", None, AddIncoming, "Let programs say something in a room."],
        ["outgoing", None, AddOutgoing, "Post to a URL what is said in a room."],
    ]


class List(Command):
    def do(self, hooks: HooksFile) -> None:
        rows = [("ID", "KIND", "ROOM", "STATE", "")]
        for hook in hooks.hooks():
            if isinstance(hook, Incoming):
                rows.append((hook.id, "incoming", hook.room, "", hook.name))
            else:
                rows.append((hook.id, "outgoing", hook.room, _state(hook), hook.url))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(map(str.ljust, row, widths)).rstrip())


class Remove(Command):
    synopsis = "ID"

    def parseArgs(self, *ids: str) -> None:
        if len(ids) != 1:
            raise usage.UsageError("give the id of one hook, as `hook list` shows it")
        self["id"] = ids[0]

    def do(self, hooks: HooksFile) -> None:
        if not (self["id"].isascii() and hooks.remove(self["id"])):
            raise Trouble(f"there is no hook {self['id']!r}")


class Hook(Command):
    subCommands: ClassVar[list[list[Any]]] = [
        ["add", None, Add, "Make one."],
        ["list", None, List, "Show all, and how they are."],
        ["remove", None, Remove, "End one."],
    ]


class Options(Command):
    """The options of ``chatroom-admin``."""

    synopsis = "Usage: chatroom-admin [options]"
    longdesc = "Changes are noticed within a second by a daemon that runs."
    optParameters: ClassVar[list[list[Any]]] = [
        ["store", None, "sqlite:chatroom.sqlite", "The store, as it is given to the daemon."]
    ]
    subCommands: ClassVar[list[list[Any]]] = [["hook", None, Hook, "Webhooks, in and out."]]

    def postOptions(self) -> None:
        super().postOptions()
        if self["store"] == "memory:":
            raise usage.UsageError("--store: what is kept in memory: has no hooks")
        kind, _, path = self["store"].partition(":")
        if kind != "sqlite" or not path:
            raise usage.UsageError(f"--store: {self['store']!r} is not sqlite:PATH")
        self["store"] = Path(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the command ``chatroom-admin``."""
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else arguments)
        store: Path = options["store"]
        if not store.is_file():
            raise Trouble(f"there is no store {store}: say with --store where it is")
        hooks = HooksFile(beside(store))
        try:
            options.do(hooks)
        finally:
            hooks.close()
    except (usage.UsageError, HooksError, Trouble) as wrong:
        print(f"chatroom-admin: {wrong}", file=sys.stderr)
        raise SystemExit(1) from None


def _room(wish: str | None) -> str:
    if wish is None:
        raise usage.UsageError("--room: say for which room")
    try:
        name = names.room_name(wish)
    except BadName as error:
        raise usage.UsageError(f"--room: {error}") from None
    if names.parties(name.key):
        raise usage.UsageError("--room: this room is of two users alone")
    return name.shown


def _perhaps_public(host: str) -> bool:
    """Return whether *host* is no address that is known not to be public, as a name may be."""
    try:
        ip_address(host)
    except ValueError:
        return True
    return public(host)


def _state(hook: Outgoing) -> str:
    if hook.state.ended:
        return f"ended: {hook.state.trouble}"
    return f"fails: {hook.state.trouble}" if hook.state.trouble else "well"
