"""One connection: what it takes, what it answers, and what it takes note of."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.test import iosim
from twisted.trial.unittest import TestCase

from chatroom.events import (
    Error,
    Event,
    Init,
    Limits,
    Message,
    Who,
    encode,
)
from chatroom.load.address import explained
from chatroom.load.reader import Reader, Sender
from chatroom.load.transcript import FOREIGN, UNHEARD, Conversation, Transcript
from chatroom.load.wire import unmasked
from tests.test_load_options import parsed


class Peerless(TestCase):
    """A reader whose server is the test."""

    def setUp(self) -> None:
        self.conversation = Conversation(lambda: 0)
        self.tally = self.conversation.tally
        self.reader = Reader(self.conversation, parsed("--room", "a b%").request())
        self.transport: Any = iosim.FakeTransport(self.reader, False)
        self.reader.makeConnection(self.transport)
        self.request = self.transport.getOutBuffer().decode()

    def accept(self, key: str | None = None) -> str:
        if key is None:
            key = self.request.partition("Sec-WebSocket-Key: ")[2].partition("\r")[0]
        return b64encode(
            sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        ).decode()

    def head(self, **headers: str) -> bytes:
        lines = {
            "Upgrade": "WebSocket",
            "Connection": "keep-alive, Upgrade",
            "Sec-WebSocket-Accept": self.accept(),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        told = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 101 Switching Protocols\r\n{told}\r\n".encode()

    def event(self, event: Event) -> bytes:
        return unmasked(encode(event))

    def init(self, *messages: Message) -> bytes:
        limits = Limits(4000, 32, 64, 64, ("text",), 200, 5.0, 20, 250, 20, 0)
        me: Any = {"id": 1, "name": "x", "token": "t"}
        return self.event(Init("r", me, [], 1, list(messages), False, False, "e", limits, 0))

    def enter_room(self) -> None:
        self.reader.dataReceived(self.head() + self.init())
        self.successResultOf(self.reader.entered)

    def out(self) -> list[tuple[int, bytes]]:
        """Return the frames that came out, unmasked."""
        data, found = self.transport.getOutBuffer() or b"", []
        while data:
            size, mask = data[1] - 0x80, data[2:6]
            body = data[6 : 6 + size]
            found.append((data[0], bytes(b ^ mask[i % 4] for i, b in enumerate(body))))
            data = data[6 + size :]
        return found

    def test_request(self) -> None:
        assert self.request.startswith(
            "GET /ws?room=a%20b%25 HTTP/1.1\r\nHost: chat.example:8080\r\n"
        )
        assert self.request.endswith("\r\n\r\n")

    def test_byte_by_byte(self) -> None:
        message = Message(8, "r", "hello", "text", Who(1, "x"), "t")
        data = self.head(Sec_WebSocket_Protocol="chat.v1") + self.init(message)
        following = [Message(id, "r", "x" * 200, "text", Who(1, "x"), "t") for id in (9, 10)]
        data += b"".join(self.event(message) for message in following)
        for byte in data:
            self.reader.dataReceived(bytes((byte,)))
        self.successResultOf(self.reader.entered)
        assert self.reader.next == 11
        assert self.tally.deliveries == 2
        assert self.tally.faults == {}

    def test_answers_that_are_no_upgrade(self) -> None:
        for answer, why in (
            (b"HTTP/1.1 200 OK\r\n\r\n<html>", "HTTP/1.1 200 OK: <html>"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found"),
            (b"SSH-2.0-OpenSSH\x1b[0m\r\n\r\n", "SSH-2.0-OpenSSH?[0m"),
            (b"x" * 70_000, "an endless answer"),
            (self.head(Sec_WebSocket_Accept=self.accept("a")), "something else than was asked"),
            (self.head(Upgrade="h2c"), "something else than was asked"),
            (self.head(Connection="close"), "something else than was asked"),
            (self.head(Sec_WebSocket_Extensions="x"), "something else than was asked"),
            (self.head(Sec_WebSocket_Protocol="chat.v2"), "something else than was asked"),
        ):
            reader = Reader(self.conversation, b"%b")
            reader.makeConnection(iosim.FakeTransport(reader, False))
            reader._accept = self.accept()
            reader.dataReceived(answer)
            failed = self.failureResultOf(reader.entered).value
            assert why in explained(failed), answer
            assert reader.transport.disconnecting

    def test_ping_and_close(self) -> None:
        self.enter_room()
        self.reader.dataReceived(b"\x89\x02hi\x8a\x00")
        assert self.out() == [(0x8A, b"hi")]
        self.reader.dataReceived(b"\x88\x05\x03\xf0bye")
        assert self.out() == [(0x88, b"\x03\xf0")]
        assert self.transport.disconnecting
        self.reader.connectionLost()
        assert self.successResultOf(self.reader.left) == "1008 bye"

    def test_close_before_init(self) -> None:
        self.reader.dataReceived(self.head() + b"\x88\x04\x03\xf5no")
        self.reader.connectionLost()
        assert explained(self.failureResultOf(self.reader.entered).value) == "1013 no"

    def test_fragments(self) -> None:
        self.enter_room()
        text = encode(Message(1, "r", "hello", "text", Who(1, "x"), "t"))
        half = len(text) // 2
        first = bytes((0x01, half)) + text[:half]
        rest = bytes((0x80, len(text) - half)) + text[half:]
        self.reader.dataReceived(first + b"\x89\x00" + rest)
        assert self.tally.deliveries == 1
        assert self.conversation.transcript.frame(1) == unmasked(text)

    def test_what_is_not_of_interest(self) -> None:
        self.enter_room()
        self.reader.dataReceived(unmasked(b'{"event":"presence","data":{}}'))
        self.reader.dataReceived(unmasked(b'{"event":"something new"}'))
        assert not self.transport.disconnecting

    def test_what_a_server_may_not_send(self) -> None:
        for data, why in (
            (b"\x81\x80abcd", "a masked frame"),
            (b"\xc1\x00", "reserved bits are set"),
            (b"\x82\x00", "a frame of type 2"),
            (b"\x80\x00", "a fragment out of place"),
            (b"\x01\x00\x81\x00", None),
            (b"\x01\x01x\x81\x00", "a fragment out of place"),
            (b"\x81\x01x", "cannot be understood"),
            (unmasked(b'{"event":"talk","data":{}}'), "cannot be understood"),
            (
                self.event(Message(2**53, "r", "x", "text", Who(1, "x"), "t")),
                "message 9007199254740992 after 0",
            ),
            (unmasked(b"[" * 100_000), "cannot be understood"),
        ):
            reader = Reader(Conversation(lambda: 0), b"%b")
            reader.makeConnection(iosim.FakeTransport(reader, False))
            reader._upgraded = True
            reader.dataReceived(self.init())
            reader.dataReceived(data)
            if why is None:
                continue
            assert reader.transport.disconnecting, data
            reader.connectionLost()
            end = self.successResultOf(reader.left)
            assert end.startswith("1002 by this side: ")
            assert why in end

    def test_something_before_init(self) -> None:
        self.reader.dataReceived(self.head() + unmasked(b'{"event":"talk"}'))
        assert "talk before init" in explained(self.failureResultOf(self.reader.entered).value)

    def test_long_messages(self) -> None:
        self.enter_room()
        for id, size in ((1, 70_000), (2, 300)):
            self.reader.dataReceived(
                self.event(Message(id, "r", "x" * size, "text", Who(1, "x"), "t"))
            )
        assert self.tally.deliveries == 2
        assert self.conversation.transcript.frame(1)[:2] == b"\x81\x7f"

    def test_an_error_without_a_nonce(self) -> None:
        sender = Sender(self.conversation, b"", self.conversation.author("r", 9), Clock())
        sender.refused(Error("bad_message", "what?"))
        assert self.tally.errors == {"bad_message": 1}
        assert not self.tally.well


FRAMES = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20)


@given(FRAMES, st.data())
def test_the_same_however_it_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    """Two readers of one stream, cut anywhere, have the same deliveries, and no faults."""
    conversation = Conversation(lambda: 0)
    stream = b"".join(
        unmasked(encode(Message(id, "r", body.hex(), "text", Who(1, "x"), "t")))
        for id, body in enumerate(bodies, 1)
    )
    for _ in range(2):
        reader = Reader(conversation, b"")
        reader._upgraded, reader.next = True, 1
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            reader.dataReceived(stream[start:end])
        assert reader.next == len(bodies) + 1
    assert conversation.tally.deliveries == 2 * len(bodies)
    assert conversation.tally.faults == {}


class Transcripts(TestCase):
    def test_holes_are_filled(self) -> None:
        transcript = Transcript(5)
        transcript.learn(7, b"seven", "n7", 70)
        assert len(transcript.sent) == 3
        assert transcript.frame(5) == transcript.frame(6) == transcript.frame(9) == UNHEARD
        assert transcript.sent == [FOREIGN, FOREIGN, 70]
        transcript.learn(5, b"five", "n5", 50)
        assert transcript.follow(5, memoryview(b"fiveseven")) == (5, 0)
        transcript.learn(6, b"six", "n6", 60)
        assert [transcript.frame(id) for id in (5, 6, 7)] == [b"five", b"six", b"seven"]
        assert transcript.nonces == ["n5", "n6", "n7"]
        assert transcript.follow(5, memoryview(b"fivesixsev")) == (7, 7)
        assert transcript.follow(6, memoryview(b"sixseven")) == (8, 8)
        assert transcript.follow(6, memoryview(b"sixsevenmore")) == (8, 8)
        assert transcript.follow(6, memoryview(b"sixseventy")) == (8, 8)
        assert transcript.follow(6, memoryview(b"sixsevxnmore")) == (6, 0)
        assert transcript.follow(8, memoryview(b"more")) == (8, 0)

    def test_forgetting(self) -> None:
        transcript = Transcript(1)
        for id in range(1, 6):
            transcript.learn(id, b"%d" % id * id, str(id), id)
        transcript.forget(4)
        assert transcript.first == 4
        assert transcript.sent == [4, 5]
        assert transcript.follow(4, memoryview(b"444455555")) == (6, 9)
        # No further than it is known.
        transcript.forget(9)
        assert transcript.first == 6
        transcript.learn(6, b"six", "6", 6)
        assert transcript.follow(6, memoryview(b"six")) == (7, 3)
