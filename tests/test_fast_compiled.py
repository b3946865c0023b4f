"""The compiled loops do what their Python does; and the room goes without them."""

from __future__ import annotations

import importlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatroom.events import Batch, Event, Joined
from chatroom.fast import unmasked
from chatroom.frames import plain
from tests.parts import missing
from tests.rig import masked

try:
    compiled: Any = importlib.import_module("chatroom._fast")
except ImportError:
    compiled = None


@pytest.fixture(autouse=True)
def _built() -> None:
    if compiled is None:
        missing("a C compiler at the installation of this package")


def text(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return what `compiled.text` has to, in as many words as RFC 6455, section 5.2, takes."""
    head = data[at : at + 8]
    if len(head) < 6 or head[0] != 0x81 or not head[1] & 0x80 or head[1] == 0xFF:
        return None
    size, start = head[1] & 0x7F, at + 6
    if size == 126:
        size, start = int.from_bytes(head[2:4]), at + 8
        if size < 126:
            return None
    payload = data[start : start + size]
    if len(head) < start - at or len(payload) < size:
        return None
    payload = unmasked(data[start - 4 : start], payload)
    try:
        payload.decode()
    except UnicodeDecodeError:
        return None
    return payload, start + size


ODD = [b"", b"\x81", b"\x81\xfe\x00\x7d" + bytes(200), b"\x81\xff" + bytes(300), b"\x81\x05hello"]


@given(
    st.binary(max_size=9),
    st.one_of(
        st.text(max_size=300).map(lambda said: masked(0x81, said.encode())),
        st.binary(max_size=200).map(lambda said: masked(0x81, said)),
        st.builds(masked, st.sampled_from((0x01, 0x82, 0x88, 0x8A, 0xC1)), st.binary(max_size=9)),
        st.sampled_from(ODD),
        st.binary(max_size=20),
    ),
    st.binary(max_size=9),
    st.integers(0, 12),
)
@example(b"", masked(0x81, b"x" * 65_535), b"", 0)
@example(b"", masked(0x81, "\N{GREEK SMALL LETTER PI}".encode() * 70), b"", 0)
@example(b"", masked(0x81, b"\xed\xa0\x80"), b"", 0)
def test_a_frame_is_read_alike(before: bytes, frame: bytes, behind: bytes, cut: int) -> None:
    data = before + frame + behind
    for whole in (data, data[: len(data) - cut]):
        for at in {0, len(before), len(whole), len(whole) + 1}:
            assert compiled.text(whole, at) == text(whole, at)


@pytest.mark.parametrize("arguments", [(), (b"",), ("", 0), (b"", None), (b"", 2**70), (b"", 0, 0)])
def test_what_is_no_frame_at_all(arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, OverflowError)):
        compiled.text(*arguments)
    assert compiled.text(masked(0x81, b"x"), -1) is None


class Line:
    """A connected pair of sockets, and an outlet to one of them; *late* is what went past it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.late: list[tuple[Batch, int]] = []
        self.encodings = 0
        self.outlet: Any = compiled.Outlet(self._send, self._encode)

    def _send(self, batch: Batch, sent: int) -> None:
        self.late.append((batch, sent))

    def _encode(self, events: object) -> bytes:
        self.encodings += 1
        return b"x" * 1000


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.near.close()
    line.far.close()


BATCH = Batch([Joined("lobby", 1, "Ann")])


def test_shut_outlet_leaves_all_to_the_long_way(line: Line) -> None:
    assert line.outlet.fd == -1
    line.outlet(BATCH)
    assert line.late == [(BATCH, 0)]
    assert line.encodings == 0


def test_open_outlet_sends(line: Line) -> None:
    line.outlet.fd = line.near.fileno()
    batches = [Batch([Joined("lobby", 1, "Ann")]) for _ in range(3)]
    for batch in batches:
        line.outlet(batch)
        line.outlet(batch)
    assert line.far.recv(10_000) == b"x" * 6000
    assert line.late == []
    assert line.encodings == 3


def test_outlets_of_different_formats(line: Line) -> None:
    other = Line()
    with other.near, other.far:
        other.outlet = compiled.Outlet(other._send, plain)
        for one in (line, other):
            one.outlet.fd = one.near.fileno()
        for one in (line, other, line, other):
            one.outlet(BATCH)
        assert line.far.recv(9999) == b"x" * 2000
        assert other.far.recv(9999) == plain(BATCH.content) * 2
    assert line.encodings == 1


def test_what_does_not_fit_is_left_to_the_long_way(line: Line) -> None:
    line.outlet.fd = line.near.fileno()
    while not line.late:
        line.outlet(BATCH)
    (_, sent), came = line.late[0], 0
    line.near.close()
    while data := line.far.recv(2**20):
        came += len(data)
    assert came % 1000 == sent
    assert came


def test_broken_socket_is_left_to_the_long_way(line: Line) -> None:
    line.outlet.fd = line.near.fileno()
    line.far.close()
    line.outlet(BATCH)
    assert line.late == [(BATCH, 0)]


def test_reset_is_told(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
        with near:
            line.outlet.fd = near.fileno()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            line.outlet(BATCH)
            assert line.late == [(BATCH, -1)]


@pytest.mark.parametrize("arguments", [(), (BATCH, BATCH)])
def test_outlet_takes_one_batch(line: Line, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        line.outlet(*arguments)
    with pytest.raises(TypeError):
        line.outlet(batch=BATCH)
    with pytest.raises(TypeError):
        compiled.Outlet(line._send)


def test_errors_come_through(line: Line) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    shut, wrong = compiled.Outlet(broken, plain), compiled.Outlet(line._send, len)
    unencoded = compiled.Outlet(line._send, broken)
    wrong.fd = unencoded.fd = line.near.fileno()
    with pytest.raises(ZeroDivisionError):
        shut(BATCH)
    with pytest.raises(ZeroDivisionError):
        unencoded(BATCH)
    with pytest.raises(TypeError, match="bytes"):
        wrong(BATCH)


def test_nothing_is_left_behind(line: Line) -> None:
    def counts() -> list[int]:
        return [sys.getrefcount(thing) for thing in (send, encode)]

    send: Callable[[Batch, int], None] = lambda batch, sent: None
    encode: Callable[[list[Event]], bytes] = lambda events: b"x"
    last = compiled.Outlet(print, plain)
    last.fd = line.near.fileno()
    last(Batch([]))
    before = counts()
    for _ in range(10):
        outlet, batch = compiled.Outlet(send, encode), Batch([])
        outlet(batch)
        outlet.fd = line.near.fileno()
        outlet(batch)
        compiled.text(masked(0x81, b"x"), 0)
        compiled.text(masked(0x81, b"\xff"), 0)
        del outlet
    # What was sent last is kept until something else is.
    last(Batch([]))
    del batch
    assert counts() == before


@pytest.mark.parametrize(("wish", "expected"), [("1", True), ("python", False), ("0", False)])
def test_switch(wish: str, expected: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from chatroom.fast import compiled; print(compiled is not None)"],
        env=os.environ | {"CHATROOM_FAST": wish},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{expected}\n"
