"""docs/irc.md: what it tells is so, and its bot works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from chatroom.chat import Chat
from chatroom.irc import connection, nicks, presence, registering
from chatroom.irc.multiline import LINES
from chatroom.irc.verbs import VERBS
from chatroom.memory import MemoryLog
from chatroom.session import PATIENCE
from tests.conformance.irc_reasons import REASONS
from tests.doors.program import Program
from tests.test_irc_clients import IrcDaemon, hear, page

TEXT = (Path(__file__).parents[1] / "docs" / "irc.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return what stands under *heading*."""
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the rows of the tables in *text*, without their heads."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return found[1:]


@pytest.fixture
def chat() -> Chat:
    return Chat(MemoryLog(lambda call: None), lambda: 0.0, lambda: 0.0)


def test_all_commands_are_told() -> None:
    told = [word for row in rows(section("Commands")) for word in re.findall("`([A-Z]+)`", row[0])]
    assert sorted(told) == sorted(VERBS)


def test_all_capabilities_are_told(chat: Chat) -> None:
    told = [word for row in rows(section("Capabilities")) for word in re.findall("`(.+?)`", row[0])]
    assert sorted(told) == sorted(registering.offered(chat))
    assert f"{LINES} lines and {chat.limits.message:,} bytes" in section("Capabilities")


def test_what_it_says_of_the_server_is_so(chat: Chat) -> None:
    support = registering.support(chat)
    for token in re.findall("`([A-Z0-9]+=[^`]+|UTF8ONLY)`", section("Capabilities")):
        assert token in support, token
    assert f"in {connection.REGISTRATION:g} seconds" in section("Commands")
    assert f"To {registering.TARGETS} targets" in section("Commands")
    assert f"{PATIENCE} errors" in section("When something does not work")
    assert presence.DIRECTS < 100


def test_nicks_are_as_told() -> None:
    table = rows(section("Rooms, names, messages").split("**A message")[0])
    assert len(table) == 5
    for name, nick in table:
        assert nicks.nick(name.strip("`")) == nick.strip("` |")
    assert set(re.findall("`(.)`", TEXT.split("That goes for ")[1].split(" anywhere")[0])) == set(
        nicks._NEVER
    )
    first = TEXT.split(" anywhere, and for ")[1].split(" at the\nbeginning")[0]
    assert set(re.findall("`(.)`", first)) == set(nicks._NOT_FIRST)


def test_all_reasons_are_told() -> None:
    told = rows(section("Conformance"))
    assert len(told) == len(set(REASONS.values()))
    counts = [int(row[0]) for row in told]
    assert counts == sorted(counts, reverse=True)
    assert f"{sum(counts)} fail" in section("Conformance")


@pytest.mark.long
def test_the_bot_works(tmp_path: Path) -> None:
    (code,) = re.findall(r"`bot\.py`:\n\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(code.splitlines()) <= 24
    bot = tmp_path / "bot.py"
    bot.write_text(code, encoding="utf-8")
    with (
        IrcDaemon(tmp_path / "daemon") as daemon,
        page(daemon, "Grace", "lobby") as grace,
        Program(sys.executable, bot, "127.0.0.1", str(daemon.irc)),
    ):
        assert hear(grace, "join")["name"] == "greeter"
        with page(daemon, "Ada%20L", "lobby"):
            assert hear(grace, "talk")["message"] == "Hello, Ada\uff3fL!"
