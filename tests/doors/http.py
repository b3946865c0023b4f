"""Requests over HTTP/1.1, in memory: one connection on which one thing is asked after another."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from tests.doors.case import HOST, Pipe
from tests.doors.person import Ear

NONE: Mapping[str, str | None] = MappingProxyType({})


class Answer(NamedTuple):
    """What came: *headers* have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The object that the body is."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Asked(NamedTuple):
    """A request as bytes, and who is told of its answer: *begun* of its head, *piece* of the body."""

    request: bytes
    answered: Callable[[Answer], object]
    begun: Callable[[Answer], None] | None
    piece: Callable[[bytes], None] | None


class Line(Ear):
    """The far end of a connection that asks one thing after another (RFC 9112)."""

    server: Pipe

    def __init__(self) -> None:
        self.lost = False
        self._waiting: deque[Asked] = deque()
        self._data = b""
        self._head: Answer | None = None
        self._body = b""
        self._left: int | None = None
        """How many bytes of the body, or of its chunk, are to come; None until that is known."""

    def ask(
        self,
        method: str,
        path: str,
        answered: Callable[[Answer], object],
        *,
        body: bytes | None = None,
        begun: Callable[[Answer], None] | None = None,
        piece: Callable[[bytes], None] | None = None,
        headers: Mapping[str, str | None] = NONE,
    ) -> None:
        """Ask for *path*, when all that was asked before is answered."""
        lines = {"Host": HOST} | {
            name: value for name, value in headers.items() if value is not None
        }
        if body is not None:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")
        self._waiting.append(Asked(request, answered, begun, piece))
        if len(self._waiting) == 1:
            self.transport.write(request)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while self._waiting and not self.deaf and self._step():
            pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        self._waiting.clear()

    def _step(self) -> bool:
        """Read on, and return whether there may be more to read."""
        if self._head is None:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return False
            self._data = rest
            self._begin(head)
        assert self._head is not None
        if "transfer-encoding" in self._head.headers:
            return self._chunk()
        length = int(self._head.headers.get("content-length", 0))
        if len(self._data) < length:
            return False
        self._took(self._data[:length])
        self._data = self._data[length:]
        self._end()
        return True

    def _begin(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        self._head = Answer(int(first.split(" ")[1]), headers, b"")
        self._body, self._left = b"", None
        if (begun := self._waiting[0].begun) is not None:
            begun(self._head)

    def _chunk(self) -> bool:
        if self._left is None:
            size, end, rest = self._data.partition(b"\r\n")
            if not end:
                return False
            self._left, self._data = int(size, 16), rest
        if len(self._data) < self._left + 2:
            return False
        chunk, left = self._data[: self._left], self._left
        assert self._data[left : left + 2] == b"\r\n"
        self._data, self._left = self._data[left + 2 :], None
        if chunk:
            self._took(chunk)
        else:
            self._end()
        return True

    def _took(self, data: bytes) -> None:
        if (piece := self._waiting[0].piece) is not None:
            piece(data)
        else:
            self._body += data

    def _end(self) -> None:
        assert self._head is not None
        answer, self._head = self._head._replace(body=self._body), None
        asked = self._waiting.popleft()
        if self._waiting:
            self.transport.write(self._waiting[0].request)
        asked.answered(answer)
