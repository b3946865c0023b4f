"""A reactor without a kernel: Twisted's real TCP connections over sockets that are in memory."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.task import Clock
from twisted.python import log
from twisted.python.failure import Failure

DONE = Failure(error.ConnectionDone())


class Socket:
    """
    The server's end of a connection, as `twisted.internet.tcp.Connection` uses one.

    What is `put` comes in, each chunk by itself; what goes out waits to be taken, at most *window*
    bytes of it.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.closed = False
        self._in: deque[bytes] = deque()
        self._out = bytearray()
        self._end: bytes | OSError | None = None

    def put(self, chunk: bytes) -> None:
        """Let *chunk* arrive at the server."""
        self._in.append(chunk)

    def end(self, *, reset: bool) -> None:
        """Let the other side go away: in order, or by a *reset*."""
        self._end = OSError(errno.ECONNRESET, "reset") if reset else b""

    def take(self) -> bytes:
        """Return what the server has sent since the last time."""
        data = bytes(self._out)
        self._out.clear()
        return data

    @property
    def readable(self) -> bool:
        return bool(self._in) or self._end is not None

    @property
    def writable(self) -> bool:
        return len(self._out) < self.window or self._end is not None

    # From here on: what `Connection` calls.

    def recv(self, size: int) -> bytes:
        if self._in:
            chunk = self._in.popleft()
            if len(chunk) > size:
                self._in.appendleft(chunk[size:])
            return chunk[:size]
        if self._end is None:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing there")
        if isinstance(self._end, OSError):
            raise self._end
        return self._end

    def send(self, data: memoryview) -> int:
        if self._end is not None:
            raise OSError(errno.ECONNRESET, "nobody is there any more")
        part = data[: max(0, self.window - len(self._out))]
        if data and not part:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        self._out += part
        return len(part)

    def close(self) -> None:
        self.closed = True

    def fileno(self) -> int:
        return 3

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 8080

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *option: object) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass


class Loop(Clock):
    """
    A reactor for connections over `Socket`, in which time passes when it is told to.

    What a callback raises is logged, and ends its connection, as in a real reactor.
    """

    def __init__(self) -> None:
        super().__init__()
        # Dictionaries, for an order that is the same in each run.
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}

    def addReader(self, reader: Any) -> None:
        self.readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        self.writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        self.readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        self.writers.pop(writer, None)

    def run(self, seconds: float = 0.0) -> None:
        """Let *seconds* pass, and do everything that can be done then."""
        self._advance(seconds)
        busy = True
        while busy:
            busy = False
            for reader in list(self.readers):
                if reader in self.readers and reader.socket.readable:
                    busy = True
                    self._do(reader, reader.doRead)
            for writer in list(self.writers):
                if writer in self.writers and writer.socket.writable:
                    busy = True
                    self._do(writer, writer.doWrite)
            if self.calls and self.calls[0].getTime() <= self.seconds():
                busy = True
                self._advance(0)

    def _advance(self, seconds: float) -> None:
        while True:
            try:
                self.advance(seconds)
            except Exception:  # noqa: BLE001 (as a reactor does)
                log.err()
                seconds = 0.0
            else:
                return

    def _do(self, connection: Any, act: Callable[[], Exception | None]) -> None:
        try:
            why = act()
        except Exception as caught:  # noqa: BLE001 (as a reactor does)
            log.err()
            why = caught
        if why is not None:
            self.removeReader(connection)
            self.removeWriter(connection)
            connection.connectionLost(
                DONE if why.__class__ is error.ConnectionDone else Failure(why)
            )
