"""Nothing that somebody on the web types can put a line of its own into the stream."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom import names
from chatroom.events import (
    Deleted,
    Edited,
    Event,
    Exited,
    File,
    Joined,
    Message,
    Presence,
    Reacted,
    Renamed,
    Topic,
    Typed,
    Who,
)
from chatroom.irc.tcp import ended
from chatroom.irc.tongue import HEARD, Tongue
from tests.irc_rig import MODERN, IrcCase, bodies

TIME = "2001-09-09T01:46:40.250Z"
SOURCE = re.compile(
    "(@[^ \r\n\0]+ )?:[^ !@\r\n\0]+![^ !@\r\n\0]+@u[0-9]+\\.chat\\.room"
    " (PRIVMSG|NOTICE|TAGMSG|TOPIC|JOIN|PART|QUIT|NICK|REDACT|BATCH)( |$)"
)
EVIL = st.text(
    st.one_of(
        st.sampled_from("\r\n\0\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\x01 :@;=\\a☕/me"),
        st.characters(codec="utf-8"),
    ),
    max_size=120,
)
NASTY = [
    "x\r\n:evil!x@x PRIVMSG #tea :owned",
    "x\nQUIT",
    "x\rQUIT",
    "\r\n\r\nQUIT :now\r\n",
    "x\0\nQUIT",
    "x\u2028QUIT\u2029QUIT\x85QUIT\x0bQUIT\x0cQUIT\x1cQUIT",
    "\x01DCC SEND evil 1 2 3\x01",
    ":x\n:y",
    "a" * 600 + "\nQUIT",
    "é" * 600 + "\nQUIT",
    "/me \x01\r\nQUIT\x01",
]


def name(text: str) -> str:
    """Return *text* as the name of a user, as far as it can be one."""
    try:
        return names.user_name(text[:32]).shown
    except names.BadName:
        return "somebody"


class Around:
    epoch = "0123456789abcdef"

    def mask(self, who: Who) -> str:
        from chatroom.irc.nicks import nick

        return f"{nick(who.name)}!user@u{who.id}.chat.room"

    def who(self, id: int) -> Who:
        return Who(id, "Ada Lovelace")

    def here(self, id: int) -> bool:
        return id > 2

    def reason(self, id: int, room: str | None) -> str:
        return "so QUIT"

    def now(self) -> str:
        return TIME


def events(text: str, called: str) -> Sequence[Event]:
    """Return an event of each kind with *text* wherever somebody may write, from one *called* so."""
    who, room = Who(2, name(called)), "@1-2" if len(text) % 2 else "tea"
    file = File("ab" * 32, text, 5, "image/png")
    return [
        Message(1, room, text, "text", who, TIME, text[:64] or None),
        Message(2, room, text, "markdown", who, TIME, "notice-x", f"<p>{text}", 1, (who,), file),
        Edited(3, room, 1, text, "text", who, TIME),
        Deleted(4, room, 1, who, TIME),
        Reacted(5, room, 2, text, True, who, TIME),
        Reacted(6, room, 2, text, False, who, TIME),
        Topic(7, "tea", text, who, TIME),
        Joined("tea", 2, who.name),
        Typed(room, 2, who.name),
        Renamed(2, name(text), who.name, "tea"),
        Presence("tea", 3, [who], [who]),
        Exited("tea", 2, who.name),
        Exited("tea", 3, who.name),
    ]


@given(EVIL, EVIL)
@pytest.mark.parametrize("caps", [frozenset(), HEARD, frozenset(("message-tags", "batch"))])
def test_all_lines_are_ours(caps: frozenset[str], text: str, called: str) -> None:
    told = Tongue(Around(), caps, ended).told(events(text, called))
    stream = told.data.decode()
    assert stream.endswith("\r\n")
    # However a client finds the ends of lines, they are where we have put them.
    lines = stream.splitlines()
    assert lines == stream.split("\r\n")[:-1]
    for line in lines:
        assert SOURCE.match(line), line
        assert len(line.partition(" :")[2].encode()) <= 510
        assert not re.search("\x01(?!ACTION |$)", line)


@given(EVIL)
def test_what_is_written_comes_but_for_what_cannot(text: str) -> None:
    message = Message(1, "tea", f"x{text}", "text", Who(2, "Grace"), TIME)
    outs = [out.body.decode() for out in Tongue(Around(), HEARD, ended).outs(message)]
    said = [out.partition(" PRIVMSG #tea :")[2] for out in outs if " PRIVMSG " in out]
    assert "".join(said) == "x" + re.sub("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", "", text)


class Stream(IrcCase):
    def test_over_the_whole_of_it(self) -> None:
        old, new = self.irc_user("Old", "#tea"), self.irc_user("New", "#tea", MODERN)
        self.chat.limits = msgspec.structs.replace(self.chat.limits, rate=0.0)
        web = self.web_user("Web")
        old.take(), new.take()
        for at, text in enumerate(NASTY):
            web.talk("talk", room="tea", message=text)
            self.settle()
            id = web.said("talk")[-1]["id"]
            web.talk("edit", room="tea", of=id, message=text)
            web.talk("topic", room="tea", topic=text)
            web.talk("rename", name=text)
            web.talk("react", room="tea", of=id, emoji=text)
            web.talk("topic", room="tea", topic=f"about {at}")
            self.settle()
        for peer in (old, new):
            lines = peer.take()
            assert len(lines) > 3 * len(NASTY)
            for line in bodies(lines):
                assert line.startswith(":Web!user@u3.chat.room "), line
                assert line.split(" ")[1] in ("PRIVMSG", "BATCH", "TOPIC"), line

    def test_names_and_queries_of_clients(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        bob = self.irc_user("Bob", "#tea")
        ada.take()
        bob.said(b"PRIVMSG #tea :a\0\rQUIT", b"AWAY :x\ry", b"QUIT :a\rb")
        said, left = ada.take()
        assert said == ":Bob!~Bob@u2.chat.room PRIVMSG #tea :aQUIT"
        assert left == ":Bob!~Bob@u2.chat.room QUIT :Quit: ab"
