"""``chatroom-admin``: what it does to the hooks beside a store, and what it does not take."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from chatroom import __version__
from chatroom.admin import main
from chatroom.hooks.file import HooksFile, Incoming, Outgoing, State, beside
from chatroom.hooks.incoming import digest
from chatroom.hooks.signing import shown

INCOMING = ("hook", "add", "incoming", "--room", "lobby", "--name", "Deploys")
OUTGOING = ("hook", "add", "outgoing", "--room", "lobby", "--url", "https://chat.example/in")

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "chatroom.sqlite"
    path.touch()
    return path


@pytest.fixture
def hooks(store: Path) -> Iterator[HooksFile]:
    """What is beside the store."""
    with closing(HooksFile(beside(store))) as hooks:
        yield hooks


def test_an_incoming_hook(hooks: HooksFile, capsys: Printed) -> None:
    main(["hook", "add", "incoming", "--room", "Tea", "--name", " Deploys "])
    out, err = capsys.readouterr()
    found = re.match(r"id: ([0-9a-f]{8})\npath: /hooks/([\w-]{43})\n.*not shown again\.\n$", out)
    assert found is not None
    assert err == ""
    assert hooks.hooks() == [Incoming(found[1], "Tea", "Deploys", digest(found[2]))]
    # Of the secret nothing is kept that would open the door.
    assert not any(found[2].encode() in path.read_bytes() for path in hooks.path.parent.iterdir())


def test_an_outgoing_hook(hooks: HooksFile, capsys: Printed) -> None:
    main(OUTGOING)
    out, err = capsys.readouterr()
    found = re.match(r"id: ([0-9a-f]{8})\nsecret: (whsec_\S+)\n.*not shown again\.\n$", out)
    assert found is not None
    assert err == ""
    (hook,) = hooks.hooks()
    assert isinstance(hook, Outgoing)
    assert hook == Outgoing(found[1], "lobby", "https://chat.example/in", False, hook.key)
    assert shown(hook.key) == found[2]
    assert len(hook.key) == 32
    Webhook(found[2])


def test_a_private_address(hooks: HooksFile) -> None:
    main([*OUTGOING[:-1], "http://127.0.0.1:9000/", "--allow-private"])
    (hook,) = hooks.hooks()
    assert isinstance(hook, Outgoing)
    assert hook.private


def test_the_list(hooks: HooksFile, capsys: Printed) -> None:
    main(["hook", "list"])
    assert capsys.readouterr().out.split() == ["ID", "KIND", "ROOM", "STATE"]
    hooks.add(Incoming("a" * 8, "Tea", "Deploys", b"d"))
    key = b"0123456789abcdef"
    hooks.add(Outgoing("b" * 8, "lobby", "https://b.example/", False, key))
    hooks.add(Outgoing("c" * 8, "lobby", "https://c.example/", False, key))
    hooks.add(Outgoing("d" * 8, "lobby", "https://d.example/", False, key))
    hooks.keep(
        {
            "c" * 8: State("e-1", "the answer is 500"),
            "d" * 8: State("e-1", "the answer is 410", ended=True),
        }
    )
    main(["--store", "sqlite:chatroom.sqlite", "hook", "list"])
    out = capsys.readouterr().out
    assert out == (
        "ID        KIND      ROOM   STATE\n"
        "aaaaaaaa  incoming  Tea                              Deploys\n"
        "bbbbbbbb  outgoing  lobby  well                      https://b.example/\n"
        "cccccccc  outgoing  lobby  fails: the answer is 500  https://c.example/\n"
        "dddddddd  outgoing  lobby  ended: the answer is 410  https://d.example/\n"
    )


def test_removing(hooks: HooksFile, capsys: Printed) -> None:
    main(INCOMING)
    main(OUTGOING)
    for hook in hooks.hooks():
        main(["hook", "remove", hook.id])
    assert hooks.hooks() == []


def test_another_store(tmp_path: Path, hooks: HooksFile, capsys: Printed) -> None:
    (tmp_path / "other.db").touch()
    main(["--store", f"sqlite:{tmp_path}/other.db", *INCOMING])
    assert hooks.hooks() == []
    with closing(HooksFile(tmp_path / "other.db.hooks")) as others:
        assert len(others.hooks()) == 1


def test_version(capsys: Printed) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"chatroom {__version__}\n"


@pytest.mark.parametrize("command", [(), ("hook",), ("hook", "add"), ("hook", "add", "incoming")])
def test_help(command: tuple[str, ...], capsys: Printed) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: chatroom-admin [options]")
    assert "None" not in out


def url(address: str) -> tuple[str, ...]:
    return (*OUTGOING[:-1], address)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say what to do: hook"),
        (("hook",), "say what to do: add, list, remove"),
        (("hook", "add"), "say what to do: incoming, outgoing"),
        (("hook", "mend"), "Unknown command: mend"),
        (("--nonsense",), "option --nonsense not recognized"),
        (("hook", "list", "more"), "Wrong number of arguments"),
        (INCOMING[:3], "--room: say for which room"),
        (INCOMING[:5], "--name: say who speaks"),
        ((*INCOMING[:5], "--name", "x" * 33), "--name: a name has at most 32 characters"),
        ((*INCOMING[:5], "--name", "a\x1b[31m"), "--name: a name has none but visible"),
        ((*INCOMING[:4], "a b", *INCOMING[5:]), "--room: a room's name is of letters"),
        ((*INCOMING[:4], "@1-2", *INCOMING[5:]), "--room: this room is of two users alone"),
        (OUTGOING[:5], "--url: say where to post"),
        (url("ftp://chat.example/"), "is no address like https://chat.example/"),
        (url("https:///in"), "is no address like"),
        (url("https://chat.example:x/"), "is no address like"),
        (url("https://chat.example:0/"), "is no address like"),
        (url("https://[::1/"), "is no address like"),
        (url("https://chat..example/"), "is no address like"),
        (url("http://my_service:9000/in"), "is no address like"),
        (url("http://chat.example:/in"), "is no address like"),
        (url(f"https://{'a' * 64}.example/"), "is no address like"),
        (url("https://bücher.example/"), "is no address like"),
        (url("https://chat.example/\x1b[31m"), "is no address like"),
        (url("https://chat.example/a b"), "a user, a fragment or a space"),
        (url("https://ann:secret@chat.example/"), "a user, a fragment or a space"),
        (url("https://chat.example/#in"), "a user, a fragment or a space"),
        (url("http://127.0.0.1/"), "--url: 127.0.0.1 is not public; see --allow-private"),
        (url("http://[2606:2800:220:1::1]/"), "--url: give a name in place of an IPv6 address"),
        (("hook", "remove"), "give the id of one hook"),
        (("hook", "remove", "a", "b"), "give the id of one hook"),
        (("hook", "remove", "abc"), "there is no hook 'abc'"),
        # As Python has arguments that are no UTF-8.
        (("hook", "remove", "\udc80"), "there is no hook '\\udc80'"),
        ((*INCOMING[:5], "--name", "a\udc80"), "--name: a name has none but visible"),
        ((*INCOMING[:4], "a\udc80", *INCOMING[5:]), "--room: a name has none but visible"),
        (url("https://chat.example/\udc80"), "is no address like"),
        (("--store", "memory:", "hook", "list"), "what is kept in memory: has no hooks"),
        (("--store", "chatroom.sqlite", "hook", "list"), "'chatroom.sqlite' is not sqlite:PATH"),
        (("--store", "sqlite:", "hook", "list"), "'sqlite:' is not sqlite:PATH"),
        (("--store", "sqlite:other", "hook", "list"), "there is no store other: say with --store"),
    ],
)
def test_what_it_does_not_take(
    arguments: tuple[str, ...], says: str, capsys: Printed, hooks: HooksFile
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("chatroom-admin: ")
    assert says in err
    assert err.count("\n") == 1
    assert err.replace("\n", "").isprintable()
    assert hooks.hooks() == []


def test_a_file_that_is_damaged_or_busy(
    store: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatroom.hooks.file.BUSY", 0.01)
    path = beside(store)
    HooksFile(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SystemExit) as ended:
            main(INCOMING)
    assert ended.value.code == 1
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(SystemExit) as ended:
        main(INCOMING)
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    whose = "chatroom-admin: cannot use the hooks in chatroom.sqlite.hooks"
    assert err == f"{whose}: database is locked\n{whose}: file is not a database\n"
