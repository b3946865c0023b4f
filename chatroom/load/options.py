"""What is asked of ``chatroom-load``."""

from __future__ import annotations

import getopt
import re
import secrets
import sys
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from twisted.python.usage import Options as _Options
from twisted.python.usage import UsageError

from chatroom import __version__


class Options(_Options):
    """The options of ``chatroom-load``."""

    synopsis = "Usage: chatroom-load [options] ws://HOST:PORT/ws"
    longdesc = (
        "Fills a room of a running server, checks that every reader is told every message once and"
        " in order, and says how fast that was. The exit status is 0 if all was well, 1 if"
        " something was lost, doubled, out of order, altered, refused or closed, 2 for bad options."
    )
    optFlags: ClassVar[list[list[Any]]] = [
        ["insecure", None, "With wss://: do not verify the server's certificate."],
        ["json", None, "Print one JSON object instead of text."],
    ]
    optParameters: ClassVar[list[list[Any]]] = [
        ["connections", "c", 100, "How many connections to open; all of them listen."],
        ["senders", "s", None, "How many of them talk. [default: 10, or all if there are fewer]"],
        ["window", "w", None, "Each sender has so many messages under way. [default: 10]"],
        ["rate", "r", None, "Instead of a window: so many messages a second by all together."],
        ["seconds", "t", 10, "How long to talk."],
        ["size", None, 100, "Characters of a message."],
        ["room", None, None, "The room to fill. [default: one of its own]"],
        ["concurrency", None, 50, "How many connections are opened at a time."],
    ]
    _numbers: ClassVar[dict[str, tuple[type[int | float], float, float]]] = {
        "connections": (int, 1, 1_000_000),
        "senders": (int, 1, 1_000_000),
        "window": (int, 1, 100_000),
        "rate": (float, 0.001, 1_000_000),
        "seconds": (float, 0.1, 86_400),
        "size": (int, 1, 100_000),
        "concurrency": (int, 1, 10_000),
    }

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse *options*, among which the address may stand anywhere."""
        try:
            given = sys.argv[1:] if options is None else options
            pairs, rest = getopt.gnu_getopt(given, self.shortOpt, self.longOpt)
        except getopt.error as wrong:
            raise UsageError(str(wrong)) from None
        first = []
        for name, value in pairs:
            first += [name] if name[2:] in self.longOpt else [name, value]
        super().parseOptions([*first, "--", *rest])

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"chatroom {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *urls: str) -> None:
        if len(urls) != 1:
            raise UsageError("give one address, such as ws://127.0.0.1:8080/ws")
        self["url"] = urls[0]
        try:
            self.parts = urlsplit(urls[0])
            port = self.parts.port
        except ValueError as wrong:
            raise UsageError(f"{urls[0]!r} is no address: {wrong}") from None
        if not re.fullmatch("[!-~]+", urls[0]):
            raise UsageError(f"{urls[0]!r} is no address: what is not ASCII must be encoded")
        if self.parts.scheme not in ("ws", "wss") or not self.parts.hostname:
            raise UsageError(f"{urls[0]!r} is no address like ws://127.0.0.1:8080/ws")
        self.secure = self.parts.scheme == "wss"
        self.host = self.parts.hostname
        self.port = port or (443 if self.secure else 80)

    def postOptions(self) -> None:
        for name, (kind, least, most) in self._numbers.items():
            if self[name] is not None:
                self[name] = _number(name, str(self[name]), kind, least, most)
        if self["rate"] is None:
            self["window"] = self["window"] or 10
        elif self["window"] is not None:
            raise UsageError("--rate and --window: give one of them")
        if self["senders"] is None:
            self["senders"] = min(10, self["connections"])
        if self["senders"] > self["connections"]:
            raise UsageError("--senders: there are not so many --connections")
        if self["insecure"] and not self.secure:
            raise UsageError("--insecure is for wss:// addresses")
        if self["room"] is None:
            self["room"] = f"load-{secrets.token_hex(4)}"
        if not self["room"].isprintable():
            raise UsageError("--room: this is no name of a room")

    def request(self) -> bytes:
        """Return the request for an upgrade (RFC 6455, section 4.1), with a gap for the key."""
        path = self.parts.path or "/ws"
        query = "&".join(filter(None, [self.parts.query, f"room={quote(self['room'], safe='')}"]))
        head = (
            f"GET {path}?{query} HTTP/1.1\r\n"
            f"Host: {self.parts.netloc.rpartition('@')[2]}\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: chat.v1\r\n"
        )
        return head.encode("ascii").replace(b"%", b"%%") + b"Sec-WebSocket-Key: %b\r\n\r\n"


def _number(name: str, text: str, kind: type[int | float], least: float, most: float) -> float:
    try:
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"--{name}: {text!r} is not {what}") from None
    if not least <= value <= most:
        raise UsageError(f"--{name}: {text} is not from {least:,} to {most:,}")
    return value
