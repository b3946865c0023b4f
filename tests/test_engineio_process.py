"""Engine.IO over real connections: who does not read, and a server that stops."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from select import select
from typing import Self

import pytest

from chatroom.engineio.door import PAYLOAD
from tests.conformance.engineio_server import Echo
from tests.daemon import PATIENT, until
from tests.fuzz.memory import resident
from tests.rig import KEY, masked

pytestmark = pytest.mark.long

MESSAGE = b"4" + b"x" * (PAYLOAD - 1)


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as server:
        yield server


class Raw:
    """A WebSocket that reads only when it is told to, and began with *more* headers."""

    def __init__(self, server: Echo, more: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENT)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(
            b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: %b\r\n%b\r\n" % (KEY.encode(), more)
        )
        assert self.file.readline().startswith(b"HTTP/1.1 101 ")
        while self.file.readline() != b"\r\n":
            pass
        assert self.read()[:2] == b"0{"

    def read(self) -> bytes:
        """Return the payload of the next frame."""
        head = self.file.read(2)
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self.file.read(2 if size == 126 else 8))
        return self.file.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.file.close()
        self.socket.close()


@pytest.mark.parametrize("more", [b"", b"Content-Length: 0\r\n"], ids=["short", "long"])
def test_who_does_not_read_is_not_read_from(server: Echo, more: bytes) -> None:
    """It has begun in the short way, or in the long one."""
    with Raw(server, more) as stuck, Raw(server) as other:
        before = resident(server.process.pid)[0]
        frame, sent = masked(0x81, MESSAGE), 0
        waiting = threading.Thread(target=server.wait, args=("paused",))
        waiting.start()

        def full() -> bool:
            nonlocal sent
            # While it reads it may be slow, so that for a moment there is no room either.
            paused = not waiting.is_alive()
            if not select([], [stuck.socket], [], 0)[1]:
                return paused
            sent += stuck.socket.send(frame[sent % len(frame) :])
            return False

        stuck.socket.setblocking(False)
        until(full, "nothing more goes to the server")
        stuck.socket.settimeout(PATIENT)
        # What the kernel holds for both sides is all that there is.
        assert resident(server.process.pid)[0] - before < 8 * 2**20
        other.socket.sendall(masked(0x81, b"4hello"))
        assert other.read() == b"4hello"
        for _ in range(sent // len(frame)):
            assert stuck.read() == MESSAGE
        server.wait("resumed")


def test_server_that_stops_says_so(server: Echo) -> None:
    polling = HTTPConnection("127.0.0.1", server.port, timeout=PATIENT)
    path = "/engine.io/?EIO=4&transport=polling"
    polling.request("GET", path)
    sid = json.loads(polling.getresponse().read()[1:])["sid"]
    polling.request("GET", f"{path}&sid={sid}")
    with Raw(server) as peer:
        peer.socket.sendall(masked(0x81, b"4hello"))
        assert peer.read() == b"4hello"
        log = server.stop()
        assert peer.read()[:2] == (1012).to_bytes(2)
    last = polling.getresponse()
    assert (last.status, json.loads(last.read())["code"]) == (400, 1)
    polling.close()
    assert log.count("closed lost\n") == 2
    assert "Traceback" not in log
