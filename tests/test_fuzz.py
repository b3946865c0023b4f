"""The fuzz run at a small size, and that it finds what it is there to find."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from chatroom import chat, memory, websocket
from chatroom.events import Batch
from chatroom.files import Folder
from chatroom.frames import frame
from chatroom.session import Session
from tests.daemon import Daemon
from tests.fuzz import frames, words
from tests.fuzz.answers import Answers
from tests.fuzz.house import Footprint
from tests.fuzz.past import Wrong
from tests.fuzz.real import OPTIONS, RealHouse
from tests.fuzz.run import BLOCKS, OBJECTS, Result, grown, in_memory, real

pytestmark = pytest.mark.long

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n"
ME = (
    b'"self":{"id":1,"name":"a","token":"AAAAAAAAAAAAAAAA"},"users":[{"id":1,"name":"a"}],"count":1'
)
LIMITS = (
    b'"limits":{"message":4000,"name":32,"room":64,"nonce":64,"types":["text"],"history":200,'
    b'"rate":5.0,"burst":20,"topic":250,"reactions":20,"file":0}'
)


def init(
    last: int = 0, members: bytes = b'"messages":[],"resumed":false', of: bytes = b""
) -> bytes:
    """Return an `init` of the lobby up to *last*, with further *members*."""
    return (
        b'{"event":"init","data":{"room":"lobby",%b,%b,"more":false,"epoch":"e",%b,"last":%d%b}}'
        % (ME, members, LIMITS, last, of)
    )


INIT = init()
SAID = (
    b'{"id":%d,"room":"lobby","message":"x","type":"text",'
    b'"from":{"id":2,"name":"b"},"time":"2001-09-09T01:46:40.250Z"}'
)
TALK = b'{"event":"talk","data":%b}' % SAID
CHANGE = (
    b'{"event":"%b","data":{"id":%d,"room":"lobby","of":%d,%b'
    b'"from":{"id":%d,"name":"b"},"time":"2001-09-09T01:46:41.250Z"}}'
)
PAGE = b'{"event":"history","data":{"room":"lobby","messages":[%b],"more":false,"newer":false}}'
HIT = b'{"event":"search","data":{"query":"x","hits":[%b]}}'


def edit(id: int, of: int, sender: int = 2) -> bytes:
    """Return an `edit` of the message *of* by *sender*."""
    return CHANGE % (b"edit", id, of, b'"message":"y","type":"text",', sender)


def react(id: int, of: int) -> bytes:
    """Return a `react` to the message *of*."""
    return CHANGE % (b"react", id, of, '"emoji":"👍","on":true,'.encode(), 2)


def delete(id: int, of: int) -> bytes:
    """Return a `delete` of the message *of*."""
    return CHANGE % (b"delete", id, of, b"", 2)


def said(id: int, more: bytes = b"", message: bytes = b"x") -> bytes:
    """Return the message *id* as a record with *more* members, which says *message*."""
    return (SAID % id).replace(b'"x"', b'"%b"' % message)[:-1] + more + b"}"


BEGUN = HEAD + frame(0x81, INIT)
EDITED = b',"edited":"2001-09-09T01:46:41.250Z","changed":%d'
DELETED = b',"deleted":true,"changed":%d'


def text(payload: bytes) -> bytes:
    """Return *payload* as a server's frame."""
    return frame(0x81, payload)


class InMemory(SynchronousTestCase):
    def run_small(self, messages: int = 300, streams: int = 40) -> Result:
        return in_memory(1, messages, streams, 2, lambda line: None)

    def test_nothing_is_found_in_the_real_code(self) -> None:
        result = self.run_small(1000, 160)
        self.assertEqual(result.faults, [])
        self.assertGreaterEqual(result.messages, 1000)
        self.assertEqual(result.streams, 160)
        # It has been everywhere: through the door, refused at it, and sent away for each reason.
        self.assertLess({101, 201, 400, 404}, set(result.seen.statuses))
        self.assertLess({1000, 1002, 1003, 1007, 1009}, set(result.seen.codes))
        self.assertGreater(result.seen.events.total(), 1000)

        answers = {"history", "edits", "read", "mine", "rooms", "search", "pong", "error"}
        entries = {"talk", "edit", "delete", "react", "topic"}
        self.assertLess(answers | entries, set(result.seen.events))

    def test_a_message_that_does_not_change_is_found(self) -> None:
        self.patch(memory, "changed", lambda message, change: message)
        told = "\n".join(self.run_small().faults)
        self.assertRegex(told, r"not as it is by \d+|the versions|which is not as")

    def test_a_file_that_stays_is_found(self) -> None:
        self.patch(Folder, "_remove", lambda folder, id: None)
        told = "\n".join(self.run_small(400, 240).faults)
        self.assertRegex(told, r"left after round \d: {'bytes of files': \d+}")

    def test_an_exception_is_found(self) -> None:
        def rename(chat: object, user: object, wish: object) -> None:
            raise ZeroDivisionError("planted")

        self.patch(chat.Chat, "rename", rename)
        told = str(self.run_small())
        self.assertIn("ZeroDivisionError: planted", told)
        self.assertIn("it had sent", told)
        self.assertIn("FAILED", told)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_who_is_not_let_go_is_found(self) -> None:
        self.patch(chat.Chat, "release", lambda chat, user: None)
        self.assertIn("left after round 1: {'users': ", self.run_small().faults[0])

    def test_what_is_kept_is_found(self) -> None:
        kept: list[object] = []
        close = Session.close

        def keeping(session: Session, *, clean: bool) -> None:
            kept.append(session)
            close(session, clean=clean)

        self.patch(Session, "close", keeping)
        told = "\n".join(self.run_small(400, 100).faults)
        self.assertRegex(told, r"growth: \d+ instances of chatroom\.session\.Session, before \d+")

    def test_a_lost_event_is_found(self) -> None:
        send = websocket.ChatProtocol.send
        sent = Counter[object]()

        def losing(protocol: websocket.ChatProtocol, batch: Batch) -> None:
            sent[protocol] += 1
            if sent[protocol] % 10:
                send(protocol, batch)

        self.patch(websocket.ChatProtocol, "send", losing)
        self.assertRegex("\n".join(self.run_small().faults), r"message \d+ of \w+ after \d+")

    def test_a_connection_without_an_end_is_found(self) -> None:
        self.patch(websocket.ChatProtocol, "dropConnection", lambda *args, **options: None)
        self.assertIn("the end of the connection did not come", str(self.run_small(100, 20)))

    def test_a_seed_repeats_itself(self) -> None:
        def some(seed: int) -> list[bytes]:
            rng = Random(seed)
            makes = (words.payload, words.huge, frames.stream, frames.odd_handshake, frames.noise)
            return [make(rng) for make in makes for _ in range(20)]

        self.assertEqual(some(7), some(7))
        self.assertNotEqual(some(7), some(8))


class TestAnswers:
    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "an answer that starts with"),
            (b"<html>\r\n\r\n", "an answer that starts with"),
            (HEAD + text(TALK % 1), "talk before the first init"),
            (HEAD + text(INIT) + text(TALK % 2), "message 2 of lobby after 0"),
            (HEAD + text(INIT) + text(TALK % 1) * 2, "message 1 of lobby after 1"),
            (HEAD + text(INIT.replace(b'"e"', b'"e","x":1')), "not an event"),
            (HEAD + text(INIT.replace(b'"name":"a"', b'"name":""')), "not an event"),
            (HEAD + text(b'{"event":"what","data":{}}'), "not an event"),
            (HEAD + text(INIT.replace(b'"e"', b'"\xff"')), "not an event"),
            (BEGUN + text(react(2, 1)), "change 2 of lobby after 0"),
            (BEGUN + text(TALK % 1) + text(react(3, 1)), "change 3 of lobby after 1"),
            (BEGUN + text(TALK % 1) + text(edit(2, 1, sender=3)), "by somebody else"),
            (BEGUN + text(react(1, 1)), "a change of 1, which is still to come"),
            (BEGUN + text(TALK % 1) + text(edit(2, 1)) + text(PAGE % said(1)), "not as it is by 2"),
            (BEGUN + text(TALK % 1) + text(PAGE % said(2)), "a message from behind 1"),
            (
                BEGUN + text(TALK % 1) + text(TALK % 2) + text(PAGE % said(1)),
                r"a page \[1\], more False, newer False",
            ),
            (BEGUN + text(TALK % 1) + text(HIT % said(1, DELETED % 2, b"")), "a hit that was"),
            (
                BEGUN + text(TALK % 1) + text(HIT % said(1, message=b"z")),
                "not as it is by 1",
            ),
            (BEGUN + text(PAGE % said(1, b',"deleted":true')), "changed by nothing"),
            (BEGUN + text(PAGE % said(1, DELETED % 2)), "something left of what was deleted"),
            (BEGUN + text(PAGE % said(1, b',"html":"x"')), "no html, or too much"),
            (
                BEGUN
                + text(
                    PAGE % said(1, b',"html":"<img>"').replace(b'type":"text', b'type":"markdown')
                ),
                "unsafe html: <img>",
            ),
            (
                BEGUN + text(init(2, b'"messages":[%b],"resumed":true' % said(2))),
                "goes on behind 1, and 0 was known",
            ),
            (
                BEGUN + text(init(2, b'"messages":[%b],"resumed":true' % said(1))),
                "with a hole",
            ),
            (
                HEAD
                + text(
                    init(
                        2,
                        b'"messages":[%b],"resumed":true' % said(1),
                        b',"changes":[%b]' % edit(2, 1),
                    )
                ),
                "which is not as",
            ),
            (
                BEGUN + text(TALK % 1) + text(TALK.replace(b"lobby", b"@2-3") % 1),
                "something of @2-3 for",
            ),
            (
                BEGUN + text(b'{"event":"read","data":{"room":"lobby","id":1}}'),
                "1 of lobby after 0",
            ),
            (HEAD + b"\x01\x00", "a frame that begins with 0x1"),
            (HEAD + b"\xc1\x00", "a frame that begins with 0xc1"),
            (HEAD + b"\x81\x80\0\0\0\0", "a masked frame"),
            (HEAD + b"\x81\x7e\x00\x05", "the length 5"),
            (HEAD + b"\x89\x7e\x00\x7e" + bytes(126), "a control frame of 126 bytes"),
            (HEAD + b"\x88\x02\x03\xf3", "closed with 1011"),
            (HEAD + b"\x88\x02\x03\xe8\x81\x00", "a frame after the close frame"),
        ],
    )
    def test_what_a_server_must_not_say(self, data: bytes, why: str) -> None:
        for step in (len(data), 1):
            answers = Answers(None)
            with pytest.raises(Wrong, match=why):
                for start in range(0, len(data), step):
                    answers.feed(data[start : start + step])

    def test_what_it_may_say(self) -> None:
        answers = Answers(None)
        answers.feed(HEAD + text(INIT) + text(TALK % 1) + text(TALK % 2) + b"\x88\x02\x03\xe8")
        assert (answers.status, answers.last, answers.code) == (101, {"lobby": 2}, 1000)

    def test_changes_come_to_the_same_in_all_ways(self) -> None:
        answers = Answers(None)
        answers.claims = {1}
        answers.feed(BEGUN + text(TALK % 1) + text(TALK % 2) + text(edit(3, 1)) + text(react(4, 2)))
        answers.feed(text(HIT % said(1, EDITED % 3, b"y")) + text(delete(5, 2)))
        answers.feed(text(PAGE % (said(1, EDITED % 3, b"y") + b"," + said(2, DELETED % 5, b""))))
        assert answers.last == {"lobby": 5}
        told = b",".join((edit(3, 1), react(4, 2), delete(5, 2)))
        resumed = b'"messages":[%b],"resumed":true' % said(2, DELETED % 5, b"")
        answers.feed(text(init(5, resumed, b',"changes":[%b]' % told)))
        assert answers.rooms["lobby"].messages[1].message == "y"


def test_growth_is_what_there_is_more_of_in_the_second_half() -> None:
    def footprint(objects: int, blocks: int) -> Footprint:
        made: Any = Footprint.__new__(Footprint)
        made.objects, made.blocks, made.bytes = Counter({"room.Room": objects}), blocks, 0
        return made  # type: ignore[no-any-return]

    level = [footprint(5, 1000), footprint(9, 1500)]
    assert grown([]) == grown(level[:1]) == []
    assert grown(level * 2) == []
    assert grown([*level, footprint(9 + OBJECTS, 1500 + BLOCKS)]) == []
    assert grown([*level, *level, footprint(99, 9999)]) == []
    assert grown([*level, footprint(50, 1500), footprint(60, 1500)]) == [
        "growth: 50 instances of room.Room, before 9"
    ]
    assert grown([*level, footprint(9, 9000), footprint(9, 8000)]) == [
        "growth: 8000 blocks of memory, before 1500"
    ]


def test_a_small_run_against_a_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path, *OPTIONS) as daemon:
        result = real(RealHouse(daemon), 1, 120, 40)
    assert result.faults == []
    assert result.messages >= 120
    assert result.streams == 40
    assert result.seen.statuses[101] > 10
