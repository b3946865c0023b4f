"""A connection: a WebSocket client (RFC 6455) of the little it takes."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha1
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


class Failed(Exception):
    """The server does not let a connection in, or does not keep to the protocol."""


class Connection(Protocol):
    """
    Asks for an upgrade with *request*, in which a gap is left for the key.

    *entered* is fired by who extends this, when it is in the room, and fails if it does not get
    there; *left* fires with close code and reason when the connection is gone.
    """

    transport: Any

    def __init__(self, request: bytes) -> None:
        self.entered: Deferred[Any] = Deferred(lambda _: self._drop())
        self.left: Deferred[str] = Deferred()
        self._request = request
        self._upgraded = False
        self._rest = b""
        self._pieces: list[bytes] = []
        self._end = ""
        self._dropped = False

    def told(self, text: bytes) -> None:
        """Take a message. Raises `Failed`."""

    def follow(self, data: memoryview) -> int:
        """Take the frames with which *data* begins if they are known; return their size."""
        return 0

    def leave(self) -> None:
        """Close the connection as somebody does who leaves."""
        self.transport.write(masked(0x88, (1000).to_bytes(2)))

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        key = b64encode(os.urandom(16))
        self._accept = b64encode(sha1(key + GUID).digest()).decode()
        self.transport.write(self._request % key)

    def dataReceived(self, data: bytes) -> None:
        if self._dropped:
            return
        self._rest += data
        try:
            if self._upgraded or self._upgrade():
                self._frames()
        except Failed as failed:
            self._end = self._end or printable(f"1002 by this side: {failed}")
            self._drop()
            if not self.entered.called:
                self.entered.errback(failed)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.entered.called:
            self.entered.errback(Failed(self._end) if self._end else reason)
        self.left.callback(self._end or "1006")

    def _drop(self) -> None:
        self._dropped = True
        self.transport.abortConnection()

    def _upgrade(self) -> bool:
        """Read the answer to the request (RFC 6455, section 4.1), if it is all there."""
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            if len(head) > 65_536:
                raise Failed("an endless answer")
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.1") or not status.startswith("101"):
            body = rest.decode("utf-8", "replace").partition("\n")[0]
            raise Failed(printable(": ".join(filter(None, [first, body]))))
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        if (
            headers.get("upgrade", "").lower() != "websocket"
            or "upgrade" not in headers.get("connection", "").lower().replace(" ", "").split(",")
            or headers.get("sec-websocket-accept") != self._accept
            or "sec-websocket-extensions" in headers
            or headers.get("sec-websocket-protocol", "chat.v1") != "chat.v1"
        ):
            raise Failed("the server accepts something else than was asked for")
        self._upgraded, self._rest = True, rest
        return True

    def _frames(self) -> None:
        """Take the frames (RFC 6455, section 5.2) that are whole."""
        data, at = self._rest, 0
        view = memoryview(data)
        all_at_once = True
        while True:
            if all_at_once:
                at += self.follow(view[at:])
            if len(data) - at < 2:
                break
            size, start = data[at + 1], at + 2
            if size >= 128:
                raise Failed("a masked frame")
            if size >= 126:
                start = at + (4 if size == 126 else 10)
                size = int.from_bytes(data[at + 2 : start])
            end = start + size
            if len(data) < end:
                break
            # Something else than what is known is among them: one by one, until it is passed.
            all_at_once = not self.follow(view[at:end])
            if all_at_once:
                self._frame(data[at], data[start:end])
            at = end
        self._rest = data[at:]

    def _frame(self, first: int, payload: bytes) -> None:
        final, opcode = first & 0x80, first & 0x0F
        if first & 0x70:
            raise Failed("reserved bits are set")
        if opcode == 8:
            code = int.from_bytes(payload[:2]) if payload else 1005
            self._end = self._end or printable(f"{code} {payload[2:].decode(errors='replace')}")
            self.transport.write(masked(0x88, payload[:2]))
            self.transport.loseConnection()
        elif opcode == 9:
            self.transport.write(masked(0x8A, payload))
        elif opcode in (0, 1):
            if (opcode == 0) != bool(self._pieces):
                raise Failed("a fragment out of place")
            self._pieces.append(payload)
            if final:
                text, self._pieces = b"".join(self._pieces), []
                self.told(text)
        elif opcode != 10:
            raise Failed(f"a frame of type {opcode}")


def masked(first: int, payload: bytes) -> bytes:
    """Return *payload* as one masked frame (RFC 6455, section 5.3) that begins with *first*."""
    size = len(payload)
    mask = os.urandom(4)
    stream = int.from_bytes((mask * (size // 4 + 1))[:size])
    body = (int.from_bytes(payload) ^ stream).to_bytes(size)
    return bytes((first,)) + _size(size, 0x80) + mask + body


def unmasked(text: bytes) -> bytes:
    """Return *text* as the one frame in which a server sends it."""
    return b"\x81" + _size(len(text), 0) + text


def _size(size: int, mask: int) -> bytes:
    if size < 126:
        return bytes((mask | size,))
    if size < 65_536:
        return bytes((mask | 126,)) + size.to_bytes(2)
    return bytes((mask | 127,)) + size.to_bytes(8)


def printable(text: str) -> str:
    """Return *text*, which comes from the server, as what may be written to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:200]).strip()
