"""The short ways and the long ones: what goes in and what comes out is the same."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
import struct
import tracemalloc
import weakref
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import accumulate
from typing import Any
from unittest import mock

import txaio
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import chatroom.fast
from chatroom.answers import Places
from chatroom.chat import Chat
from chatroom.fast import Direct, opening
from chatroom.frames import frame
from chatroom.memory import MemoryLog
from chatroom.session import PATIENCE, User
from chatroom.tap import reactor
from chatroom.websocket import ChatFactory, ChatProtocol, EchoFactory, EchoProtocol
from tests.rig import KEY, RoomCase, inflated

DEFLATE = "permessage-deflate"
HEAD = (
    f"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n"
)
FOUND = (
    "state",
    "localCloseCode",
    "localCloseReason",
    "remoteCloseCode",
    "remoteCloseReason",
    "wasClean",
    "wasNotCleanReason",
    "closedByMe",
    "failedByMe",
    "droppedByMe",
)
"""What Autobahn has found out about the end of a connection."""


@contextlib.contextmanager
def switched(short: bool) -> Iterator[None]:
    """Have the short ways taken, or the long ones."""
    with mock.patch("chatroom.fast.FAST", short), mock.patch("chatroom.site.FAST", short):
        yield


# What goes in, in frames.


def masked(
    first: int,
    payload: bytes,
    mask: bytes = b"\x37\xfa\x21\x3d",
    *,
    length: int | None = None,
    wide: int | None = None,
) -> bytes:
    """Return a client's frame; *length* is what it says, *wide* in how many more bytes."""
    size = len(payload) if length is None else length
    if wide is None:
        wide = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[wide]
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    body = (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))
    more = size.to_bytes(wide) if wide else b""
    return bytes((first, 0x80 | short)) + more + mask + body


def squeezed(payload: bytes) -> bytes:
    """Return *payload* as it is in a compressed message (RFC 7692, section 7.2.1)."""
    deflate = zlib.compressobj(wbits=-12)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


SNOWMAN = "☃ und 你好 👋".encode()
LARGE = [masked(0x81, b"l" * 65_535), masked(0x81, b"L" * 65_536)]
RICH = [
    masked(0x81, b"hi"),
    masked(0x81, b""),
    masked(0x8A, b""),
    masked(0x81, b"a" * 125),
    masked(0x81, b"b" * 126),
    masked(0x81, b"c" * 127),
    masked(0x81, SNOWMAN, b"\0\0\0\0"),
    masked(0x81, SNOWMAN),
    masked(0x01, SNOWMAN[:2]),
    masked(0x89, b"between"),
    masked(0x8A, b"alive?"),
    masked(0x00, SNOWMAN[2:-1], b"\0\0\0\0"),
    masked(0x80, SNOWMAN[-1:]),
    masked(0x82, b"\xff\xfe\0"),
    masked(0x02, b"\xff"),
    masked(0x80, b""),
    masked(0x89, b""),
    masked(0x89, b"p" * 125),
    masked(0x81, b"after"),
    masked(0x8A, b"p" * 125),
]
SQUEEZED = [
    masked(0xC1, squeezed(b"compressed " * 20)),
    masked(0x81, b"not compressed"),
    masked(0x41, squeezed(SNOWMAN)[:5]),
    masked(0x80, squeezed(SNOWMAN)[5:]),
]
CLOSE = [masked(0x88, b"\x03\xe8bye"), masked(0x81, b"too late"), b"\x81"]

# What comes out.


class Wire:
    """The transport of a connection, and all that was done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def write(self, data: bytes) -> None:
        if self.done and isinstance(self.done[-1], bytes):
            data = self.done.pop() + data
        self.done.append(data)

    def _do(self, what: str) -> Callable[..., None]:
        return lambda *_: self.done.append(what)

    def __getattr__(self, name: str) -> Callable[..., None]:
        deeds = {
            "loseConnection",
            "abortConnection",
            "pauseProducing",
            "resumeProducing",
            "registerProducer",
            "unregisterProducer",
            "setTcpNoDelay",
        }
        if name not in deeds:
            raise AttributeError(name)
        return self._do(name)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 50_000)

    getHost = getPeer


class Broken(Exception):
    """A bug of ours."""


class Echo(EchoProtocol):
    """Notes what it gets, and has a bug."""

    factory: Any

    def received(self, payload: bytes, binary: bool) -> None:
        self.factory.notes.append((payload, binary))
        if payload == b"boom":
            raise Broken
        super().received(payload, binary)

    def ponged(self) -> None:
        self.factory.notes.append("pong")
        super().ponged()


class Chatty(ChatProtocol):
    """Notes what it gets."""

    factory: Any

    def received(self, payload: bytes, binary: bool) -> None:
        self.factory.notes.append((payload, binary))
        if payload == b"boom":
            raise Broken
        super().received(payload, binary)

    def ponged(self) -> None:
        self.factory.notes.append("pong")
        super().ponged()


class Line:
    """An open connection of *kind*, begun by Autobahn, and what became of it."""

    def __init__(self, short: bool, kind: str = "echo", extensions: str = "") -> None:
        self.short = short
        self.clock = Clock()
        self.chat: Chat | None = None
        self.factory: Any
        if kind == "echo":
            self.factory = EchoFactory(self.clock)
            self.factory.protocol = Echo
        else:
            log = MemoryLog(lambda call: self.clock.callLater(0, call))
            self.chat = Chat(log, self.clock.seconds, lambda: 1_000_000_000.25)
            self.factory = ChatFactory(self.chat, Places(0, 0), self.clock)
            self.factory.protocol = Chatty
        self.notes: list[Any] = []
        self.factory.notes = self.notes
        self.wire = Wire()
        self.connection: Any = self.factory.buildProtocol(self.wire.getPeer())
        with self._here(False):
            self.connection.makeConnection(self.wire)
        offer = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
        with self._here(False):
            self.connection.dataReceived(f"GET /ws HTTP/1.1\r\n{HEAD}{offer}\r\n".encode("ascii"))
        assert self.connection.state == self.connection.STATE_OPEN
        self._pass(0)

    def take(self, piece: bytes) -> None:
        with self._here(self.short):
            self.connection.dataReceived(piece)
        self._pass(0)

    def end(self) -> None:
        """Let it time out, and then be lost."""
        self._pass(3)
        with self._here(self.short):
            self.connection.connectionLost(Failure(ConnectionDone()))
        self._pass(0)

    @contextlib.contextmanager
    def _here(self, short: bool) -> Iterator[None]:
        # Autobahn takes its timers from there.
        timers: Any = txaio
        with switched(short), mock.patch.object(timers.config, "loop", self.clock):
            yield

    def _pass(self, seconds: float) -> None:
        with self._here(self.short):
            self.clock.advance(seconds)
            if self.chat is not None:
                self.chat.tick()
                self.clock.advance(0)

    @property
    def outcome(self) -> dict[str, Any]:
        return {name: getattr(self.connection, name) for name in FOUND} | {
            "notes": self.notes,
            "done": [plain(what) for what in self.wire.done],
            "joined": self.connection in self.factory.connections,
        }


def plain(what: Any) -> Any:
    """Return *what* was written without what is drawn by lot, or new each time."""
    if not isinstance(what, bytes):
        return what
    what = re.sub(rb'("(?:token|epoch|time)":")[^"]*', rb"\1", what)
    return re.sub(rb"Date: [^\r]*", b"Date:", what)


def compare(pieces: Sequence[bytes], kind: str = "echo", extensions: str = "") -> Line:
    """Check that *pieces* do the same to both; return that which took the short way."""
    long, short = Line(False, kind, extensions), Line(True, kind, extensions)
    for number, piece in enumerate([*pieces, None]):
        for line in (long, short):
            if piece is None:
                line.end()
            else:
                line.take(piece)
        if long.outcome != short.outcome:
            assert long.outcome == short.outcome, (number, pieces)
    return short


def cut(stream: bytes, sizes: Iterator[int]) -> list[bytes]:
    """Return *stream* in pieces of *sizes*."""
    pieces = []
    while stream:
        size = next(sizes, len(stream))
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def taken(line: Line) -> list[Any]:
    """Return the messages that *line* took."""
    return [note for note in line.notes if note != "pong"]


class Frames(SynchronousTestCase):
    def test_what_this_compares_with_is_right(self) -> None:
        line = compare([b"".join(RICH + CLOSE)])
        texts = [b"hi", b"", b"a" * 125, b"b" * 126, b"c" * 127, SNOWMAN, SNOWMAN, SNOWMAN]
        assert [note for note in line.notes if note != "pong"] == [
            *[(text, False) for text in texts],
            (b"\xff\xfe\0", True),
            (b"\xff", True),
            (b"after", False),
        ]
        assert line.notes.count("pong") == 3
        assert line.outcome["remoteCloseCode"] == 1000
        assert line.outcome["wasClean"]
        out = b"".join(what for what in line.wire.done if isinstance(what, bytes))
        assert out.endswith(frame(0x81, b"after") + frame(0x88, b"\x03\xe8"))

    def test_ordinary_frames_do_take_the_short_way(self) -> None:
        line = Line(True)
        with mock.patch.object(line.connection, "_dataReceived", side_effect=AssertionError):
            line.take(b"".join(RICH[:8]))
            for byte in masked(0x81, b"")[:-1]:
                line.take(bytes([byte]))
            line.take(masked(0x81, b"")[-1:] + masked(0x81, b"x" * 65_535))
        assert len(line.notes) == 10
        # One that came in two pieces is for Autobahn, but not what is behind it.
        first, more = masked(0x81, b"y" * 100), masked(0x81, b"z") * 3
        long = line.connection._dataReceived
        with mock.patch.object(line.connection, "_dataReceived", side_effect=long) as given_on:
            line.take(first[:-1])
            line.take(first[-1:] + more)
        assert b"".join(call.args[0] for call in given_on.call_args_list) == first
        assert len(line.notes) == 14
        line.end()

    def test_every_single_cut(self) -> None:
        stream = b"".join(RICH + CLOSE)
        for at in range(1, len(stream)):
            compare([stream[:at], stream[at:]])

    def test_every_single_cut_where_compressed(self) -> None:
        stream = b"".join([*SQUEEZED, masked(0x81, b"x"), *CLOSE])
        for at in range(1, len(stream)):
            line = compare([stream[:at], stream[at:]], extensions=DEFLATE)
        assert [payload for payload, _ in taken(line)] == [
            b"compressed " * 20,
            b"not compressed",
            SNOWMAN,
            b"x",
        ]

    def test_every_cut_around_the_ends_of_large_frames(self) -> None:
        frames = [*LARGE, masked(0x81, b"x" * 65_534), masked(0x81, b"end"), *CLOSE]
        stream = b"".join(frames)
        ends = [0, *accumulate(len(frame) for frame in frames)]
        places = {at for end in ends for at in range(end - 3, end + 17)}
        for at in sorted(places | {1460, 65_536, 100_000}):
            if 0 < at < len(stream):
                line = compare([stream[:at], stream[at:]])
        assert [len(payload) for payload, _ in taken(line)] == [65_535, 65_536, 65_534, 3]

    def test_chunks_of_all_kinds_of_sizes(self) -> None:
        small = b"".join(RICH + CLOSE)
        for size in [*range(1, 40), 61, 100, 125, 126, 127, 131, 132, 134, 500]:
            compare(cut(small, always(size)))
        large = b"".join(RICH + LARGE + RICH + CLOSE)
        for size in (997, 1460, 4096, 16_384, 65_535, 65_536, 70_000):
            compare(cut(large, always(size)))
        squeezed = b"".join(RICH + SQUEEZED + RICH + CLOSE)
        for size in (*range(1, 20), 100, 1000):
            compare(cut(squeezed, always(size)), extensions=DEFLATE)

    def test_bug_of_ours_ends_one_connection_only(self) -> None:
        before, behind = masked(0x81, b"before"), masked(0x81, b"behind")
        for pieces in (
            [before + masked(0x81, b"boom") + behind + behind],
            [masked(0x81, b"boom")[:-1], masked(0x81, b"boom")[-1:] + behind],
            [masked(0x01, b"bo") + masked(0x80, b"om") + behind],
            [masked(0x82, b"boom"), behind],
        ):
            line = compare(pieces)
            # Once for each of the two.
            assert len(self.flushLoggedErrors(Broken)) == 2
            assert line.outcome["localCloseCode"] == 1011
            assert taken(line)[-1][0] == b"boom"
        for short in (False, True):
            one, other = Line(short), Line(short)
            one.take(masked(0x81, b"boom"))
            other.take(masked(0x81, b"fine"))
            assert len(self.flushLoggedErrors(Broken)) == 1
            assert other.connection.state == other.connection.STATE_OPEN
            assert other.notes == [(b"fine", False)]
            other.end()
            one.end()

    def test_a_pong_that_is_too_long(self) -> None:
        line = compare([masked(0x8A, b"x" * 126) + masked(0x81, b"too late")])
        assert line.outcome["localCloseCode"] == 1002
        assert taken(line) == []

    def test_bug_of_ours_in_the_room(self) -> None:
        line = compare([masked(0x81, b"boom") + talk("unheard")], "chat")
        assert len(self.flushLoggedErrors(Broken)) == 2
        assert line.outcome["localCloseCode"] == 1011
        assert taken(line) == [(b"boom", False)]


class FramesWithoutCompiler(Frames):
    """The same where nothing could be compiled."""

    def setUp(self) -> None:
        self.enterContext(mock.patch("chatroom.fast.compiled", None))


def talk(message: str) -> bytes:
    return masked(0x81, b'{"event":"talk","data":{"message":"%b"}}' % message.encode())


# One frame, or what is none, with what may be wrong with it.

SMALL = st.binary(max_size=12) | st.just(b"x" * 126) | st.just(SNOWMAN) | st.just(b"\xed\xa0\x80")
TEXT = st.text(max_size=12).map(str.encode) | SMALL | st.just(b"boom")
MASK = st.just(b"\0\0\0\0") | st.binary(min_size=4, max_size=4)
ORDINARY = st.builds(masked, st.just(0x81), TEXT, MASK)
PONG = st.builds(masked, st.just(0x8A), st.binary(max_size=6), MASK)
CONTROL = st.builds(
    masked,
    st.sampled_from([0x89, 0x8A, 0x88, 0x09, 0x0A, 0x08]),
    st.binary(max_size=6) | st.sampled_from([b"\x03\xe8", b"\x03\xe9x", b"x" * 126]),
    MASK,
)
FRAGMENT = st.builds(masked, st.sampled_from([0x01, 0x02, 0x00, 0x80, 0x82]), TEXT, MASK)
DEFLATED = st.builds(
    masked,
    st.sampled_from([0xC1, 0x41, 0xC2]),
    SMALL | st.text(max_size=30).map(lambda text: squeezed(text.encode())),
    MASK,
)
ANY = st.builds(masked, st.integers(0, 255), SMALL, MASK)
BARE = st.builds(frame, st.sampled_from([0x81, 0x8A, 0x01, 0x82, 0x88]), SMALL)
WIDE = st.builds(
    lambda first, payload, wide: masked(first, payload, wide=wide),
    st.sampled_from([0x81, 0x8A, 0x82]),
    st.binary(max_size=4),
    st.sampled_from([2, 8]),
)
HUGE = st.builds(
    lambda first, length: masked(first, b"x", length=length, wide=8),
    st.sampled_from([0x81, 0x82]),
    st.sampled_from([65_536, 65_537, 32 * 2**20, 32 * 2**20 + 1, 2**40, 2**63, 2**64 - 1]),
)
UNFINISHED = st.builds(lambda whole, at: whole[:at], ORDINARY, st.integers(0, 12))
ODD = st.one_of(
    CONTROL, FRAGMENT, DEFLATED, ANY, BARE, WIDE, HUGE, UNFINISHED, st.binary(max_size=8)
)
# Mostly ordinary, for the first odd one is often the end.
PARTS = st.lists(st.one_of(ORDINARY, ORDINARY, PONG, FRAGMENT, ODD), max_size=10)
SIZES = st.lists(st.integers(1, 40), max_size=60)
SAID = st.one_of(
    *(st.just(talk(message)) for message in ("hello", "", "☃")),
    st.just(masked(0x81, b'{"event":"ping","data":{"a":[1]}}')),
    st.just(masked(0x81, b'{"event":"rename","data":{"name":"Ann"}}')),
    st.just(masked(0x81, b"{}")),
    st.just(masked(0x81, b"{}") * (PATIENCE + 2)),
    st.just(masked(0x82, b"binary")),
    st.just(masked(0x81, b"boom")),
    st.just(LARGE[1]),
    PONG,
    ODD,
)


class RandomFrames(SynchronousTestCase):
    @settings(deadline=None)
    @given(parts=PARTS, sizes=SIZES, extensions=st.sampled_from(["", DEFLATE]))
    def test_echo(self, parts: list[bytes], sizes: list[int], extensions: str) -> None:
        compare(cut(b"".join(parts), iter(sizes)), extensions=extensions)
        assert len(self.flushLoggedErrors(Broken)) in (0, 2)

    @settings(deadline=None)
    @given(parts=st.lists(SAID, max_size=10), sizes=SIZES)
    def test_room(self, parts: list[bytes], sizes: list[int]) -> None:
        compare(cut(b"".join(parts), iter(sizes)), "chat")
        assert len(self.flushLoggedErrors(Broken)) in (0, 2)


# What comes out at a socket.

BUFFER = 2**16
"""From so many bytes on a transport of Twisted's has its producer pause."""


class Calls:
    """As much of a reactor as a connection needs; its test is what makes things happen."""

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.writers: list[Any] = []
        self.ever: list[Any] = []
        self.later: list[Callable[[], None]] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def addWriter(self, writer: Any) -> None:
        self.ever.append(writer)
        if writer not in self.writers:
            self.writers.append(writer)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def callLater(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        self.later.append(lambda: call(*args))


class Hears(Protocol):
    """Notes what comes in, and how it ends."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: list[type[BaseException]] = []
        self.turns: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert reason.type is not None
        self.lost.append(reason.type)

    def pauseProducing(self) -> None:
        self.turns.append("pause")

    def resumeProducing(self) -> None:
        self.turns.append("resume")

    def stopProducing(self) -> None:
        self.turns.append("stop")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        return server.accept()[0], far


class Pipe:
    """A connection of *kind* over a real socket, and its far end."""

    def __init__(
        self, kind: type[tcp.Server], pair: Any = socket.socketpair, room: int | None = 4096
    ) -> None:
        near, self.far = pair()
        if room is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
            self.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.far.setblocking(False)
        self.calls = Calls()
        self.protocol = Hears()
        calls: Any = self.calls
        nowhere: Any = None
        self.transport = kind(near, self.protocol, ("192.0.2.1", 5), nowhere, 1, calls)
        self.came = b""

    def write(self) -> None:
        """The reactor has found that there may be room."""
        for writer in list(self.calls.writers):
            self._after(writer.doWrite())

    def read(self) -> None:
        """The reactor has found that there is something."""
        for reader in list(self.calls.readers):
            self._after(reader.doRead())

    def _after(self, why: Any) -> None:
        # As the real ones do.
        if why is not None:
            self.calls.removeReader(self.transport)
            self.calls.removeWriter(self.transport)
            self.transport.connectionLost(Failure(why))

    def run(self) -> None:
        calls, self.calls.later = self.calls.later, []
        for call in calls:
            call()

    def receive(self, size: int) -> None:
        if self.far.fileno() >= 0:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.came += self.far.recv(size)

    def settle(self) -> None:
        """Let everything arrive that is under way, and what follows from it."""
        before: Any = None
        while before != (now := (len(self.came), list(self.calls.writers), len(self.calls.later))):
            before = now
            self.write()
            self.run()
            for _ in range(50):
                self.receive(2**20)

    def close(self) -> None:
        self.far.close()
        if not self.protocol.lost:
            self.transport.connectionLost(Failure(ConnectionDone()))


DEEDS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 300)),
    st.tuples(st.just("write"), st.integers(0, 200_000)),
    st.tuples(st.just("sequence"), st.lists(st.integers(0, 9000), max_size=5)),
    st.tuples(st.just("receive"), st.integers(1, 100_000)),
    st.tuples(st.just("reactor writes"), st.none()),
    st.tuples(st.just("reactor reads"), st.none()),
    st.tuples(st.just("send"), st.integers(1, 100)),
    st.tuples(st.just("produce"), st.booleans()),
)
ENDS = st.sampled_from(["lose", "half", "gone", "abort", None])


WRITES = ("write", "sequence")


class Written(SynchronousTestCase):
    def pipe(self, *args: Any, **options: Any) -> Pipe:
        pipe = Pipe(*args, **options)
        self.addCleanup(pipe.close)
        return pipe

    def play(
        self, kind: type[tcp.Server], deeds: list[Any], end: str | None, behind: list[Any]
    ) -> tuple[Pipe, bytes]:
        """Return a pipe at which *deeds* were done, then *end*, then *behind*; and what went in."""
        pipe = self.pipe(kind)
        count, meant = 0, b""

        def fresh(size: int) -> bytes:
            nonlocal count, meant
            block = b"".join(struct.pack("!I", count + i) for i in range(size // 4 + 1))[:size]
            count += size
            meant += block
            return block

        for what, much in [*deeds, (end, None), *behind]:
            if what == "write":
                pipe.transport.write(fresh(much))
            elif what == "sequence":
                pipe.transport.writeSequence([fresh(size) for size in much])
            elif what == "receive":
                pipe.receive(much)
            elif what == "reactor writes":
                pipe.write()
            elif what == "reactor reads":
                pipe.read()
            elif what == "send":
                with contextlib.suppress(OSError):
                    pipe.far.send(b"x" * much)
            elif what == "produce":
                pipe.transport.unregisterProducer()
                if much:
                    pipe.transport.registerProducer(pipe.protocol, True)
            elif what == "lose":
                pipe.transport.unregisterProducer()
                pipe.transport.loseConnection()
            elif what == "half":
                pipe.transport.unregisterProducer()
                pipe.transport.loseWriteConnection()
            elif what == "abort":
                pipe.transport.abortConnection()
            elif what == "gone":
                pipe.far.close()
        return pipe, meant

    @settings(deadline=None)
    @given(deeds=st.lists(DEEDS, max_size=25))
    def test_what_comes_out_is_what_went_in(self, deeds: list[Any]) -> None:
        for kind in (tcp.Server, Direct):
            pipe, meant = self.play(kind, deeds, None, [])
            while pipe.came != meant or pipe.calls.writers:
                before = len(pipe.came)
                pipe.settle()
                assert len(pipe.came) > before or not pipe.calls.writers
                if len(pipe.came) == before:
                    break
            assert pipe.came == meant
            assert pipe.calls.writers == []
            # Paused and resumed in turn, and going on at the end.
            assert pipe.protocol.turns.count("stop") == 0
            turns = [turn for turn in pipe.protocol.turns]
            assert turns[-1:] != ["pause"] or ("produce", False) in deeds
            pipe.transport.loseConnection()
            pipe.transport.unregisterProducer()
            pipe.settle()
            assert pipe.protocol.lost == [ConnectionDone]

    @settings(deadline=None)
    @given(
        deeds=st.lists(DEEDS, max_size=12),
        end=ENDS,
        behind=st.lists(DEEDS.filter(lambda deed: deed[0] != "produce"), max_size=5),
    )
    def test_ends_are_the_same(self, deeds: list[Any], end: str, behind: list[Any]) -> None:
        pipes = []
        for kind in (tcp.Server, Direct):
            pipe, meant = self.play(kind, deeds, end, behind)
            pipe.transport.unregisterProducer()
            pipe.settle()
            pipe.read()
            pipe.settle()
            # What is written when all is over is nothing.
            for _ in range(3):
                pipe.transport.write(b"too late")
                pipe.transport.writeSequence([b"too", b"late"])
                pipe.transport.loseConnection()
                pipe.settle()
                pipe.read()
            assert len(pipe.protocol.lost) == 1
            assert meant.startswith(pipe.came[: len(meant)])
            if end in ("lose", None):
                assert pipe.came[: len(meant)] == meant[: len(pipe.came)]
            pipes.append(pipe)
        long, short = pipes
        if end == "gone":
            # What one has sent by then and the other has not makes a difference.
            assert {*long.protocol.lost, *short.protocol.lost} <= {ConnectionDone, ConnectionLost}
        else:
            assert long.protocol.lost == short.protocol.lost
        if end in ("lose", "half"):
            # Of what is written behind it, it is what comes before all else has gone.
            due = sum(
                size if what == "write" else sum(size) for what, size in deeds if what in WRITES
            )
            assert min(len(long.came), len(short.came)) >= due
            assert long.came.startswith(short.came) or short.came.startswith(long.came)

    def test_writes_behind_an_abort_are_nothing(self) -> None:
        for kind in (tcp.Server, Direct):
            pipe = self.pipe(kind)
            pipe.transport.write(b"before")
            pipe.write()
            pipe.transport.abortConnection()
            pipe.transport.write(b"behind")
            pipe.transport.writeSequence([b"behind"])
            pipe.settle()
            assert pipe.came == b"before", kind

    def test_text_is_no_bytes(self) -> None:
        text: Any = "text"
        for kind in (tcp.Server, Direct):
            pipe = self.pipe(kind)
            with self.assertRaises(TypeError):
                pipe.transport.write(text)
            with self.assertRaises(TypeError):
                pipe.transport.writeSequence([b"x", text])
            pipe.settle()
            assert pipe.came == b""

    def test_no_writer_while_everything_fits(self) -> None:
        pipe = self.pipe(Direct, room=None)
        for i in range(1000):
            pipe.transport.write(b"x" * (i % 50))
            pipe.transport.writeSequence([b"y"] * (i % 3))
            pipe.receive(10_000)
        assert len(pipe.came) == sum(i % 50 + i % 3 for i in range(1000))
        assert pipe.calls.ever == []
        # And again when what did not fit has gone.
        pipe.transport.write(b"z" * 2**22)
        assert pipe.calls.writers == [pipe.transport]
        pipe.settle()
        assert pipe.calls.writers == []
        pipe.calls.ever.clear()
        pipe.transport.write(b"again")
        assert pipe.calls.ever == []
        pipe.receive(10)
        assert pipe.came.endswith(b"zagain")

    def test_producer_is_paused_and_resumed(self) -> None:
        for kind in (tcp.Server, Direct):
            pipe = self.pipe(kind)
            pipe.transport.registerProducer(pipe.protocol, True)
            pipe.transport.write(b"s" * 1000)
            assert pipe.protocol.turns == []
            pipe.transport.write(b"l" * (2 * BUFFER))
            assert pipe.protocol.turns == ["pause"]
            pipe.settle()
            assert pipe.protocol.turns == ["pause", "resume"]
            assert pipe.came == b"s" * 1000 + b"l" * (2 * BUFFER)
            for _ in range(100):
                pipe.transport.write(b"m" * (BUFFER // 20))
            assert pipe.protocol.turns[2:3] == ["pause"]
            assert set(pipe.protocol.turns[2:]) == {"pause"}
            pipe.settle()
            assert pipe.protocol.turns[-1] == "resume"
            pipe.transport.loseConnection()
            pipe.settle()
            assert pipe.protocol.turns[-1] == "stop"
            assert pipe.protocol.lost == [ConnectionDone]

    def test_losing_the_connection_waits_for_what_is_left(self) -> None:
        for kind in (tcp.Server, Direct):
            pipe = self.pipe(kind)
            pipe.transport.write(b"1" * BUFFER)
            pipe.transport.loseConnection()
            pipe.transport.write(b"2" * BUFFER)
            pipe.write()
            assert pipe.protocol.lost == []
            pipe.settle()
            assert pipe.protocol.lost == [ConnectionDone]
            assert pipe.came == b"1" * BUFFER + b"2" * BUFFER
            assert pipe.far.recv(1) == b""

    def test_peer_that_has_gone(self) -> None:
        def closed(pipe: Pipe) -> None:
            pipe.far.close()

        def reset(pipe: Pipe) -> None:
            pipe.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            pipe.far.close()

        def read_first(pipe: Pipe) -> None:
            pipe.read()
            pipe.write()

        def write_first(pipe: Pipe) -> None:
            pipe.write()
            pipe.read()

        for pair in (socket.socketpair, tcp_pair):
            for leave in (closed, reset):
                for said in (b"", b"x", b"x" * 300_000):
                    for then in (read_first, write_first):
                        found = []
                        for kind in (tcp.Server, Direct):
                            pipe = self.pipe(kind, pair)
                            leave(pipe)
                            for _ in range(3):
                                pipe.transport.write(said)
                                if then is write_first:
                                    # As soon as the short way does.
                                    pipe.write()
                            for _ in range(5):
                                then(pipe)
                            assert len(pipe.protocol.lost) == 1
                            pipe.transport.write(b"more")
                            assert pipe.calls.readers == pipe.calls.writers == []
                            found.append(pipe.protocol.lost[0])
                        case = (pair.__name__, leave.__name__, len(said), then.__name__)
                        assert found[0] is found[1], (case, found)

    def test_addresses(self) -> None:
        for client, kind in (
            (("192.0.2.1", 5), IPv4Address),
            (("2001:db8::1", 5, 0, 0), IPv6Address),
            (("fe80::1%lo", 5, 7, 1), IPv6Address),
        ):
            peers = []
            for transport in (tcp.Server, Direct):
                near, far = socket.socketpair()
                with near, far:
                    calls: Any = Calls()
                    nowhere: Any = None
                    made = transport(near, Hears(), client, nowhere, 1, calls)
                    peers.append(made.getPeer())
            assert peers[0] == peers[1] == kind("TCP", *client)

    def test_has_what_the_original_has(self) -> None:
        long, short = self.pipe(tcp.Server), self.pipe(Direct)
        for name in dir(long.transport):
            if not name.startswith("__") and name not in ("hostname", "sessionno"):
                assert hasattr(short.transport, name), name
        assert str(short.transport)
        assert short.transport.logPrefix()


# What a connection begins with.


class House(RoomCase):
    """A room to knock at."""

    origins = ("https://good.example",)

    def runTest(self) -> None:
        pass


class Knock:
    """What came of *pieces* that somebody sent to a room, the first of them a handshake or not."""

    def __init__(self, short: bool, pieces: Sequence[bytes], address: Any = None) -> None:
        with switched(short):
            self.house = House()
            self.house.setUp()
            try:
                self._knock(pieces, address)
            finally:
                self.house.doCleanups()

    def _knock(self, pieces: Sequence[bytes], address: Any) -> None:
        house, self.channels = self.house, 0
        channel = house.site.channel

        def counted(there: Any) -> Any:
            self.channels += 1
            return channel(there)

        house.site.channel = counted  # type: ignore[assignment,method-assign]
        self.peer = house.dial(address)
        for piece in pieces:
            self.peer.transport.write(piece)
            house.settle()
        self.outcomes = [self._outcome()]
        for seconds in (4, 8, 20):
            house.settle(seconds)
            self.outcomes.append(self._outcome())

    def _outcome(self) -> list[Any]:
        peer, house = self.peer, self.house
        frames = [
            (0x81, plain(inflated(payload, 12))) if first == 0xC1 else (first, plain(payload))
            for first, payload in peer.frames
        ]
        return [
            plain(peer.head),
            frames,
            plain(peer.body),
            peer.lost,
            peer.server.aborted,
            house.factory.countConnections,
            len(list(house.factory.connections)),
            dict(house.places.addresses),
            sorted(user.name for user in house.chat.users.values()),
        ]


def same(*pieces: bytes, address: Any = None) -> Knock:
    """Check that *pieces* come to the same both ways; return what came of them."""
    long, short = Knock(False, pieces, address), Knock(True, pieces, address)
    for then, now in zip(long.outcomes, short.outcomes, strict=True):
        assert then == now, pieces
    assert long.channels == 1
    return short


def head(path: str = "/ws", *more: str, without: str = "", **instead: str) -> bytes:
    """Return a handshake, with *more* lines, *without* one and others *instead*."""
    lines = {
        "Host": "chat.example:8080",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in instead.items()}
    lines.pop(without, None)
    text = "".join(f"{line}\r\n" for line in [f"{n}: {v}" for n, v in lines.items()] + list(more))
    return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def offering(extensions: str) -> bytes:
    return head("/ws", f"Sec-WebSocket-Extensions: {extensions}")


BROWSER = head(
    "/ws?name=Ann&room=dev",
    "Pragma: no-cache",
    "Cache-Control: no-cache",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Origin: http://chat.example:8080",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
    "Cookie: a=b; c=d",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
)
ORDINARY_HEADS = [
    head(),
    head("/echo"),
    BROWSER,
    head("/ws?"),
    head("/ws?name=Ann&room=dev&after=0&epoch=x&token=y"),
    head("/ws?name=%e4%bd%a0&name=B%20b+c"),
    head("/ws?name=a;b"),
    head("/ws?after=1&after="),
    head("/ws?name=" + "x" * 500),
    head("/ws?name=%00%0d%0a"),
    head(Connection="keep-alive, Upgrade"),
    head(Connection="upgrade ,x"),
    head(Upgrade="WebSocket"),
    head(Host="[::1]:8080"),
    head(Host="[2001:db8::1]"),
    head(Host="chat.example"),
    head(Host="  x  "),
    head("/ws", "Origin: https://chat.example:8080"),
    head("/ws", "Origin: https://good.example"),
    head("/ws", "Origin: https://GOOD.example"),
    head("/ws", "X-Forwarded-For: 198.51.100.1, 198.51.100.2"),
    head("/ws", "X-Forwarded-For:"),
    head("/ws", "Empty:"),
    head("/ws", "Colons: a:b:c"),
    head("/ws", "Sec-WebSocket-Protocol: chat.v1"),
    head("/ws", "Sec-WebSocket-Protocol: x, chat.v1 ,y"),
    head("/ws", "Sec-WebSocket-Protocol: x"),
    head("/echo", "Sec-WebSocket-Protocol: echo-protocol"),
    offering("permessage-deflate"),
    offering("permessage-deflate; server_max_window_bits=9"),
    offering("permessage-deflate; client_max_window_bits=10; server_no_context_takeover"),
    offering("permessage-deflate;server_max_window_bits=9;client_max_window_bits"),
    head().replace(b"Host:", b"hOsT:").replace(b"Sec-WebSocket-Key: ", b"sec-websocket-key:"),
    b"\r\n".join([*reversed(head().split(b"\r\n")[:-2][1:]), b"", b""]).join(
        [b"GET /ws HTTP/1.1\r\n", b""]
    ),
]
"""Of those with more than one line of a sort, none."""
OTHER_HEADS = [
    # Not for WebSockets.
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n" + head(),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /ws\r\n\r\n",
    head("/"),
    head("/health"),
    head("/nothing"),
    head("/WS"),
    # The path.
    head("/ws/"),
    head("//ws"),
    head("/ws/x"),
    head("/%77s"),
    head("/%77%73"),
    head("/ws;x"),
    head("/ws%3Fname=x"),
    head("/ws#x"),
    head("/ws?name=a#b"),
    head("/#/ws"),
    head("/./ws"),
    head("/x/../ws"),
    head("http://chat.example:8080/ws"),
    head("ws://chat.example:8080/ws"),
    head("http://elsewhere.example/ws"),
    head("*"),
    head("ws"),
    head("/ws name"),
    head("/ws?name=é"),
    head("/ws?a b"),
    head("/ws?room=a%20b"),
    head("/ws?room=%20"),
    head("/ws?name=%ff"),
    head("/ws?%"),
    head("/ws??name=x"),
    # The first line.
    head().replace(b"HTTP/1.1", b"HTTP/1.0"),
    head().replace(b"HTTP/1.1", b"HTTP/1.2"),
    head().replace(b"HTTP/1.1", b"HTTP/2"),
    head().replace(b"HTTP/1.1", b"http/1.1"),
    head().replace(b"GET ", b"get "),
    head().replace(b"GET ", b"HEAD "),
    head().replace(b"GET ", b"POST "),
    head().replace(b"GET ", b"OPTIONS "),
    head().replace(b"GET ", b" GET "),
    head().replace(b"GET /ws", b"GET  /ws"),
    head().replace(b"GET /ws", b"GET\t/ws"),
    # What is missing.
    *(
        head(without=name)
        for name in ("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    ),
    # What is there twice.
    head("/ws", "Host: chat.example:8080"),
    head("/ws", "Host: other.example"),
    head("/ws", "Connection: keep-alive"),
    head("/ws", "Upgrade: websocket"),
    head("/ws", f"Sec-WebSocket-Key: {KEY}"),
    head("/ws", "Sec-WebSocket-Version: 13"),
    head("/ws", "Sec-WebSocket-Version: 8"),
    head("/ws", "Origin: https://good.example", "Origin: https://evil.example"),
    head("/ws", "X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 198.51.100.2"),
    head("/ws", "Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: chat.v1"),
    head("/ws", "Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Protocol: chat.v1"),
    head("/ws", "Sec-WebSocket-Protocol: chat.v1, chat.v1"),
    head("/ws", "Sec-WebSocket-Extensions: x", "Sec-WebSocket-Extensions: permessage-deflate"),
    head("/ws", "Cookie: a=b", "Cookie: c=d"),
    # Values.
    *(head(Sec_WebSocket_Version=version) for version in ("8", "7", "14", "13, 8", "x", "")),
    *(
        head(Sec_WebSocket_Key=key)
        for key in ("", "x", KEY[:-1], KEY + "=", "=" * 24, "é" * 24, KEY + ", " + KEY, "A" * 24)
    ),
    *(
        head(Upgrade=upgrade)
        for upgrade in ("", "x", "h2c, websocket", "websocket, x", "websockets")
    ),
    *(
        head(Connection=tokens)
        for tokens in ("", "close", "keep-alive", "close, Upgrade", "xupgrade")
    ),
    *(
        head(Host=host)
        for host in ("", "a b", "x:", "x:y", "x:99999", "é", "a/b", "[::1", "x,y", "@")
    ),
    *(
        head("/ws", f"Origin: {origin}")
        for origin in (
            "https://evil.example",
            "http://good.example",
            "https://good.example:444",
            "https://chat.example",
            "null",
            "",
            "file://",
            "x",
            "http://[::1",
            "http://chat.example:8080/",
            "http://chat.example:8080 x",
            "http://chat.example:99999",
            "ws://chat.example:8080",
            "http://user@chat.example:8080",
        )
    ),
    *(
        offering(extensions)
        for extensions in (
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; a=b=c",
            ",",
            ";",
            "=",
            "permessage-deflate;",
            "é",
            '"permessage-deflate"',
        )
    ),
    *(
        head("/ws", f"Sec-WebSocket-Protocol: {names}")
        for names in (",", "chat.v1,", "a b", "é", "")
    ),
    # The shape of the lines.
    head("/ws", " folded"),
    head("/ws", "X: a", "\tfolded"),
    head("/ws", "X : a"),
    head("/ws", "no colon"),
    head("/ws", ": no name"),
    head("/ws", "Ünicode: x"),
    head("/ws", "X: é"),
    head("/ws", "X: \x85"),
    head("/ws", "X: a\x0bUpgrade: x"),
    head("/ws", "X: \0"),
    head("/ws", "X: \x7f"),
    head("/ws", "X: a\tb"),
    head("/ws", "X: a\rb"),
    head("/ws", "X: a\nb"),
    head("/ws", "X_y: z"),
    head().replace(b"\r\n", b"\n"),
    head().replace(b"\r\n\r\n", b"\n\n"),
    head("/ws", "X: a").replace(b"a\r\n", b"a\n"),
    head("/ws", "X: " + "x" * 7000),
    head("/ws", "X: " + "x" * 20_000),
    head("/ws?name=" + "x" * 9000),
    head("/ws", *(f"X-{i}: y" for i in range(100))),
    head("/ws", *(f"X-{i}: y" for i in range(600))),
    offering("permessage-deflate; client_no_context_takeover, permessage-deflate"),
    offering("x-webkit-deflate-frame, permessage-bzip2"),
    # Bodies.
    head("/ws", "Content-Length: 0"),
    head("/ws", "Content-Length: 5") + b"hello",
    head("/ws", "Content-Length: x"),
    head("/ws", "Content-Length: 5", "Content-Length: 5") + b"hello",
    head("/ws", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head("/ws", "Transfer-Encoding: identity"),
    head("/ws", "Expect: 100-continue"),
    head("/ws", "Expect: x"),
    head("/ws", "TE: trailers", "Trailer: x"),
    # Not all of it.
    head()[:-1],
    head()[:30],
    b"G",
]
BEHIND = masked(0x81, b'{"event":"ping","data":{}}') + talk("hello")


class Handshakes(SynchronousTestCase):
    def test_ordinary_ones_take_the_short_way(self) -> None:
        for whole in ORDINARY_HEADS:
            knock = same(whole)
            assert knock.peer.status == 101, (whole, knock.peer.head)
            assert knock.channels == 0, whole

    def test_others_come_to_the_same(self) -> None:
        statuses = {same(whole).peer.status for whole in OTHER_HEADS}
        # It is not that all are refused, or for the same reason.
        assert {0, 101, 200, 400, 403, 404, 405, 426} <= statuses

    def test_with_frames_right_behind(self) -> None:
        for whole in ORDINARY_HEADS[:12] + OTHER_HEADS:
            same(whole + BEHIND)
        for whole in ORDINARY_HEADS[:3]:
            knock = same(whole + BEHIND)
            assert knock.channels == 0
            opcodes = [first & 0x0F for first, _ in knock.peer.frames]
            assert opcodes.count(1) >= 2
            for at in range(1, len(BEHIND), 7):
                same(whole + BEHIND[:at], BEHIND[at:])
            same(whole + masked(0x88, b"\x03\xe8"))
            same(whole + b"\x81\x01x" + BEHIND)

    def test_in_pieces(self) -> None:
        whole = head("/ws?name=Ann", "Origin: https://good.example")
        for at in range(1, len(whole), 5):
            knock = same(whole[:at], whole[at:] + BEHIND)
            assert knock.peer.status == 101
        same(*(bytes([byte]) for byte in whole + BEHIND))
        for whole in OTHER_HEADS[:40]:
            same(whole[:20], whole[20:])

    def test_several_requests_on_one_connection(self) -> None:
        get = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        for pieces in ([get, head()], [get + head()], [head("/nothing"), head()], [get * 3]):
            same(*pieces)

    def test_whose_address_it_is(self) -> None:
        near = IPv4Address("TCP", "127.0.0.1", 50_000)
        far = IPv6Address("TCP", "2001:db8::1", 50_000)
        for address in (near, far):
            for forwarded in ("198.51.100.1", "x, 198.51.100.2", "", "2001:db8::2"):
                whole = head("/ws", f"X-Forwarded-For: {forwarded}")
                assert same(whole, address=address).channels == 0

    def test_when_there_is_no_place(self) -> None:
        class Full(House):
            connections = 2

        class Crowded(House):
            per_address = 2

        for kind, status in ((Full, 503), (Crowded, 429)):
            with mock.patch(f"{__name__}.House", kind):
                found = []
                for short in (False, True):
                    knock = Knock(short, [head()])
                    with switched(short):
                        more = [knock.house.enter() for _ in range(2)]
                    found.append([(peer.status, plain(peer.head), peer.body) for peer in more])
                assert [state for state, _, _ in found[0]] == [101, status]
                assert [answer[::2] for answer in found[0]][1] == found[1][1][::2]
                assert found[0][1] == found[1][1]

    def test_answer_is_autobahns(self) -> None:
        """RFC 6455, section 1.3, has this key and what belongs to it."""
        peer = same(BROWSER).peer
        assert peer.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        other = same(head(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==")).peer
        assert other.header("Sec-WebSocket-Accept") == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="

    def test_opening_reads_what_is_there(self) -> None:
        asked = opening(BROWSER + b"\x81\x80")
        assert asked is not None
        assert asked.path == b"/ws"
        assert asked.query == "name=Ann&room=dev"
        assert asked.host == "chat.example:8080"
        assert asked.origin == "http://chat.example:8080"
        assert asked.forwarded is None
        assert asked.key == KEY
        assert asked.compression == "permessage-deflate; client_max_window_bits"
        assert asked.protocols == [""]
        assert asked.rest == b"\x81\x80"
        for at in range(len(BROWSER)):
            assert opening(BROWSER[:at]) is None


NAMES = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Origin"]
NAMES += ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "X-Forwarded-For", "X"]
NAMES += ["Content-Length", "Expect", "Cookie", "sec-websocket-key", "HOST"]
VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "13",
            "websocket",
            "Upgrade",
            "keep-alive, Upgrade",
            KEY,
            "chat.v1",
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits, x",
            "https://good.example",
            "http://chat.example:8080",
            "http://evil.example",
            "127.0.0.1",
            "x, y",
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=12),
)
LINES = st.lists(
    st.builds(
        lambda name, between, value: f"{name}{between}{value}",
        st.sampled_from(NAMES) | st.text(st.characters(max_codepoint=127), max_size=5),
        st.sampled_from([": ", ":", ":  ", " : ", ":\t"]),
        VALUES,
    ),
    max_size=3,
)
PATHS = st.sampled_from(["/ws", "/echo", "/", "/ws/", "/%77s"]) | st.text(
    st.characters(max_codepoint=255), max_size=8
).map(lambda text: f"/ws?{text}")
INSTEAD = st.dictionaries(st.sampled_from(NAMES[:6]), VALUES, max_size=1)


class RandomHandshakes(SynchronousTestCase):
    @settings(deadline=None)
    @given(
        path=PATHS,
        more=LINES,
        instead=INSTEAD,
        shuffle=st.randoms(use_true_random=False),
        behind=st.lists(st.one_of(ORDINARY.filter(lambda f: b"boom" not in f), PONG), max_size=3),
        sizes=st.just([]) | st.lists(st.integers(1, 90), max_size=8),
    )
    def test_come_to_the_same(
        self,
        path: str,
        more: list[str],
        instead: dict[str, str],
        shuffle: Any,
        behind: list[bytes],
        sizes: list[int],
    ) -> None:
        first, *lines = head(path, *more, **instead).split(b"\r\n")[:-2]
        shuffle.shuffle(lines)
        whole = b"\r\n".join([first, *lines, b"", b""])
        same(*cut(whole + b"".join(behind), iter(sizes)))


ASKED = re.compile("http_.*|_wskey|websocket_.*|factory|peer|_valid_events|_results")
"""What is of one handshake, for log lines or for listeners to events: nothing looks at it again."""
PLAIN = (bool, int, float, str, bytes, type(None), tuple, frozenset)


class Attributes(RoomCase):
    def trio(self, path: str, **headers: str) -> list[Any]:
        """Return a connection begun the long way and two begun the short way."""
        found = []
        for short in (False, True, True):
            with switched(short):
                peer = self.enter(path, **headers)
            assert peer.status == 101
            found.append(peer.server.protocol)
        return found

    def test_molds_are_few(self) -> None:
        """Whatever somebody offers, no class is made for each of them."""
        with switched(True):
            for number in range(50):
                self.enter(Sec_WebSocket_Protocol=f"p{number}, chat.v1")
                self.enter(Sec_WebSocket_Protocol=f"q{number}")
                self.enter(Sec_WebSocket_Extensions=f"permessage-deflate; x{number}")
        assert self.factory._mold.cache_info().currsize == 2

    def cost(self, offer: str | None) -> float:
        """Return the bytes of a connection that offers *offer*, and has said something with it."""
        headers = {} if offer is None else {"Sec_WebSocket_Extensions": offer}
        first = 0x81 if offer is None else 0xC1
        pong = b'{"event":"ping","data":{}}'
        payload = pong if offer is None else squeezed(pong)
        self.enter(**headers).frame(first, payload)
        self.settle()
        tracemalloc.start()
        try:
            # Each in a room of its own, so that nobody is told of the others.
            peers = [self.enter(f"/ws?room=r{i}", **headers) for i in range(30)]
            for peer in peers:
                peer.frame(first, payload)
            self.settle()
            assert all(peer.said("pong") == [{}] for peer in peers)
            for peer in peers:
                peer.frames.clear()
                peer.frame(0x89, b"x")
            self.settle()
            assert all(peer.frames == [(0x8A, b"x")] for peer in peers)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / 30
        finally:
            tracemalloc.stop()

    def test_compression_costs_next_to_nothing_between_messages(self) -> None:
        with switched(True):
            # Once before, for what is made the first time and kept for all.
            self.cost(None)
            plain, compressed = self.cost(None), self.cost("permessage-deflate")
        assert compressed - plain < 2048

    def test_texts_in_pieces_at_a_time(self) -> None:
        """What of UTF-8 one connection has seen is nothing to another one."""
        with switched(True):
            ann, bob = self.enter("/echo"), self.enter("/echo")
            for peer, first, payload in (
                (bob, 0x01, b"hello "),
                (ann, 0x01, b"\xe2\x82"),
                (bob, 0x80, b"world"),
                (ann, 0x80, b"\xac"),
            ):
                peer.frame(first, payload)
                self.settle()
        assert bob.frames == [(0x81, b"hello world")]
        assert ann.frames == [(0x81, "\N{EURO SIGN}".encode())]

    def test_are_those_of_autobahn(self) -> None:
        for path, headers in (
            ("/ws", {}),
            ("/ws?name=Ann&room=dev", {"Sec_WebSocket_Extensions": DEFLATE}),
            ("/ws", {"Sec_WebSocket_Protocol": "x, chat.v1"}),
            ("/echo", {}),
            ("/echo", {"Sec_WebSocket_Extensions": DEFLATE}),
        ):
            long, one, other = self.trio(path, **headers)
            assert type(one).__mro__[1:] == type(long).__mro__
            for name in dir(long):
                with contextlib.suppress(AttributeError):
                    getattr(long, name)
                    if not ASKED.fullmatch(name):
                        assert hasattr(one, name), name
            for name, value in vars(long).items():
                if ASKED.fullmatch(name):
                    continue
                mine, theirs = getattr(one, name), getattr(other, name)
                assert type(mine) is type(theirs) is type(value), name
                if not (isinstance(value, PLAIN) or callable(value)):
                    # One of its own, and always the same.
                    assert mine is not theirs, name
                    assert mine is not value, name
                    assert getattr(one, name) is mine, name
                elif name not in ("slot", "address"):
                    assert mine == theirs == value, name
            with self.assertRaises(AttributeError):
                one.nothing_of_this_name  # noqa: B018 (it is asked for)

    def test_mutable_ones_do_not_leak_from_one_to_the_other(self) -> None:
        _, one, other = self.trio("/echo", Sec_WebSocket_Extensions=DEFLATE)
        before = {name: repr(getattr(other, name)) for name in ("send_queue", "data", "state")}
        packed = squeezed(b"message " * 30)
        one.dataReceived(masked(0x41, packed[:4]) + masked(0x89, b"x"))
        one.send_queue.append((b"x", True))
        assert {name: repr(getattr(other, name)) for name in before} == before
        assert not other.inside_message
        other.dataReceived(masked(0xC1, squeezed(b"other " * 30)))
        one.send_queue.clear()
        one.dataReceived(masked(0x80, packed[4:]))
        self.settle()
        texts = []
        for connection in (one, other):
            peer = next(p for p in self.peers if p.server.protocol is connection)
            (said,) = [payload for first, payload in peer.frames if first & 0x0F == 1]
            texts.append(inflated(said, 12))
        assert texts == [b"message " * 30, b"other " * 30]

    @property
    def peers(self) -> list[Any]:
        return [pump.clientIO.protocol for pump in self.pumps]

    def test_trial_handshakes_are_not_counted(self) -> None:
        self.trio("/ws")
        assert self.factory.countConnections == 3
        assert len(list(self.factory.connections)) == 3
        with switched(True):
            for i in range(100):
                # More sorts than are remembered.
                peer = self.enter("/ws", Sec_WebSocket_Extensions=f"x-{i}", Host=f"h{i}")
                assert peer.status == 101
        assert self.factory.countConnections == 103
        for peer in self.peers:
            peer.close()
        self.settle(3)
        assert self.factory.countConnections == 0
        assert list(self.factory.connections) == []


class Sockets(RoomCase):
    timeout = 20.0

    @inlineCallbacks
    def until(self, come: Callable[[], bool]) -> Generator[Deferred[Any], Any, None]:
        while not come():
            self.clock.advance(0)
            self.chat.tick()
            yield deferLater(reactor, 0.001)

    def heard(self, client: Any, what: bytes) -> Deferred[Any]:
        return self.until(lambda: what in client.heard)

    @inlineCallbacks
    def test_nodelay_is_set_on_the_accepted_socket(self) -> Generator[Deferred[Any], Any, None]:
        accepted: list[Any] = []

        class Listening(Direct):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                accepted.append(self)

        with switched(True):
            port: Any = reactor.listenTCP(0, self.site, interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            port.transport = Listening
            there = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
            for whole, short in ((head(), True), (head("/ws", "X: é"), False)):
                client: Any = yield connectProtocol(there, Hears())
                client.transport.write(whole)
                yield self.heard(client, b"init")
                transport = accepted.pop()
                connection = transport.protocol
                # Only those of the short way have a class of their own.
                assert (type(connection) is not ChatProtocol) == short
                assert transport.getTcpNoDelay()
                assert transport.getPeer() == client.transport.getHost()
                assert transport.getHost() == client.transport.getPeer()
                client.transport.write(talk("hello"))
                yield self.heard(client, b"hello")
                client.transport.abortConnection()
                yield self.until(lambda: not any(self.factory.connections))

    @inlineCallbacks
    def test_a_reset_that_writing_finds_is_none_that_was_meant(
        self,
    ) -> Generator[Deferred[Any], Any, None]:
        ends: list[Any] = []

        class Listening(Direct):
            def connectionLost(self, reason: Failure) -> None:
                ends.append(reason.type)
                super().connectionLost(reason)

        with switched(True):
            port: Any = reactor.listenTCP(0, self.site, interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            port.transport = Listening
            ann = self.enter("/ws?name=Ann")
            for compiled in (chatroom.fast.compiled, None):
                ends.clear()
                with mock.patch("chatroom.websocket.compiled", compiled):
                    bob = socket.create_connection(("127.0.0.1", port.getHost().port))
                    bob.sendall(head("/ws?name=Bob"))
                    yield self.until(lambda: self.chat.count("lobby") == 2)
                    bob.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    bob.close()
                    # The reactor has not seen that yet.
                    ann.talk("talk", message="hello")
                    self.settle()
                    yield self.until(lambda: bool(ends))
                assert ends == [ConnectionLost]
                # It may come back.
                gone = len(ann.said("exit"))
                self.settle(9)
                assert len(ann.said("exit")) == gone
                self.settle(2)
                assert len(ann.said("exit")) == gone + 1


# What is left of a connection when it has ended.


class Ends(RoomCase):
    def setUp(self) -> None:
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def closed(self, peer: Any) -> None:
        peer.close()

    def lost(self, peer: Any) -> None:
        peer.transport.loseConnection()

    def aborted(self, peer: Any) -> None:
        peer.server.protocol.lapse()

    def ended(self, peer: Any) -> None:
        peer.frame(0x82, b"binary")
        self.settle()
        peer.close(1003)

    def unanswered(self, peer: Any) -> None:
        peer.frame(0x82, b"binary")
        self.settle(3)

    def failed(self, peer: Any) -> None:
        peer.transport.write(b"\x81\x01x")
        self.settle(3)

    def test_nothing_is_left(self) -> None:
        for short in (False, True):
            for extensions in ("", DEFLATE):
                for end in (
                    self.closed,
                    self.lost,
                    self.aborted,
                    self.ended,
                    self.unanswered,
                    self.failed,
                ):
                    with switched(short):
                        left = self.left(end, extensions)
                    assert left == [], (short, extensions, end.__name__)

    def left(self, end: Callable[[Any], None], extensions: str) -> list[str]:
        """Return what there still is of a connection after its *end*."""
        witness = self.enter("/ws?name=Witness")
        channels: list[Any] = []
        channel = self.site.channel

        def noted(there: Any) -> Any:
            channels.append(channel(there))
            return channels[-1]

        self.site.channel = noted  # type: ignore[assignment,method-assign]
        peer: Any = self.enter("/ws?name=Zoe", Sec_WebSocket_Extensions=extensions)
        connection = peer.server.protocol
        peer.talk("talk", message="hello")
        peer.frame(0x8A, b"")
        peer.transport.write(masked(0x01, b'{"event":') + masked(0x80, b'"ping"}'))
        self.settle()
        assert isinstance(connection, ChatProtocol)

        def users() -> int:
            found = [thing for thing in gc.get_objects() if type(thing) is User]
            return sum("Zoe" in str(user.name) for user in found)

        assert users() == 1
        session: Any = connection.session
        seen = {
            "connection": weakref.ref(connection),
            "session": weakref.ref(session),
            "transport": weakref.ref(peer.server),
        }
        del connection, session
        end(peer)
        self.settle()
        # Who is lost may come back for a while.
        for _ in range(20):
            self.settle(1)
        assert peer.lost
        assert witness.said("exit")
        # The rig's own: the pump between the two ends, and the peer that knows its server.
        self.pumps = [pump for pump in self.pumps if pump.clientIO is not peer.transport]
        # A real transport lets go of its protocol and of its producer; this one does not.
        peer.server.producer = None
        del peer.server.protocol
        del peer.server, peer
        # Twisted's own, in the long way: the HTTP channel and its request know each other.
        del self.site.channel
        while channels:
            channels.pop().requests.clear()
        found = [name for name, still in seen.items() if still() is not None]
        # There are no weak references to these.
        found += ["user"] * users()
        witness.close()
        self.settle(3)
        return found
