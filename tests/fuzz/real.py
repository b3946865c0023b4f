"""A daemon to visit, over TCP."""

from __future__ import annotations

import json
import select
import socket
import struct
from time import monotonic
from urllib.request import urlopen

from tests.daemon import PATIENT, Daemon, until
from tests.fuzz.memory import resident
from tests.fuzz.uploads import LIMIT, TOTAL

OPTIONS = ("--talk-rate", "50", "--max-file", str(LIMIT), "--max-files", str(TOTAL))
"""What a daemon is started with, so that much is said, and files fill the space for them."""
GROWTH = 8 * 2**20
"""A daemon may have so many bytes more after the second half of a run than after the first."""


class TcpWire:
    """A `tests.fuzz.visitors.Wire` over TCP; *poll* is woken whenever something comes."""

    def __init__(self, port: int, window: int, poll: select.epoll) -> None:
        self.closed = False
        self._out = bytearray()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(window, 2**18))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        # By its edges, as there is always something to be read for those who do not read.
        poll.register(self._socket, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def put(self, chunk: bytes) -> None:
        self._out += chunk
        self._flush()

    def take(self) -> bytes:
        self._flush()
        data = b""
        try:
            while not self.closed:
                part = self._socket.recv(2**16)
                data += part
                if not part:
                    self._close()
        except BlockingIOError:
            pass
        except ConnectionError:
            self._close()
        return data

    def end(self, *, reset: bool) -> None:
        self._flush()
        if self.closed:
            return
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._close()

    def _flush(self) -> None:
        try:
            while self._out and not self.closed:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except ConnectionError:
            # What the server said before it went is still to be taken.
            self._out.clear()

    def _close(self) -> None:
        self.closed = True
        self._socket.close()


class RealHouse:
    """A `tests.fuzz.visitors.House`: a running *daemon*."""

    hurried = True
    prompt = PATIENT

    def __init__(self, daemon: Daemon) -> None:
        self.faults: list[str] = []
        self._daemon = daemon
        self._poll = select.epoll()

    def connect(self, window: int) -> TcpWire:
        return TcpWire(self._daemon.port, window, self._poll)

    def now(self) -> float:
        return monotonic()

    def settle(self, seconds: float) -> None:
        """Wait until something comes, for a moment at most."""
        self._poll.poll(min(0.02, max(0.002, seconds)))

    def resident(self) -> int:
        """Return the bytes of memory that the daemon has."""
        return resident(self._daemon.pid)[0]

    def judged(self, warm: int) -> list[str]:
        """Return what is wrong with the daemon, which had *warm* bytes of memory before; end it."""
        found = []
        try:
            until(self._deserted, "a healthy daemon with nobody there")
        except AssertionError as error:
            found.append(str(error))
        if (after := self.resident()) > warm + GROWTH:
            found.append(f"growth: {after} bytes, half-way {warm}")
        if status := self._daemon.stop():
            found.append(f"the daemon ended with status {status}")
        if "Traceback" in self._daemon.output or "Unhandled" in self._daemon.output:
            found.append(f"the daemon logged:\n{self._daemon.output[-5000:]}")
        return found

    def _deserted(self) -> bool:
        with urlopen(f"{self._daemon.url}health") as answer:
            health: dict[str, object] = json.load(answer)
        return health["status"] == "ok" and health["connections"] == 0
