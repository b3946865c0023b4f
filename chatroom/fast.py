"""
The short ways: what nearly every connection and every message needs, and no more.

Twisted and Autobahn do everything that may be asked of them, and that is paid for each time: two
``epoll_ctl`` a write, the arguments of log lines that nobody reads, 80 attributes and five timers a
connection. Nearly all of a room's traffic asks for very little. So there are three short ways, and
the long one beside each for whatever is not ordinary, with the same bytes in the same order:

- out: `Direct` gives to the socket what can go at once;
- in: `ShortFrames` takes whole small text frames, and pongs;
- at the beginning: `opening` reads an ordinary handshake, and `Mold` has the answer to it.

The two innermost loops are compiled where a C compiler was found at installation (``_fast.c``).

What each is worth stands in ``docs/performance.md``. With ``CHATROOM_FAST=0`` in the environment
there are only the long ways, and with ``CHATROOM_FAST=python`` nothing compiled is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import socket
from base64 import b64encode
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProtocol, IReactorFDSet
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

_WISH = os.environ.get("CHATROOM_FAST")
FAST = _WISH != "0"
"""Whether the short ways are taken."""
compiled: Any = None
"""What of them is compiled."""
if _WISH not in ("0", "python"):
    with contextlib.suppress(ImportError):
        compiled = importlib.import_module("chatroom._fast")
LARGE = 8192
"""The head of an ordinary handshake has at most so many bytes."""

_OPEN = WebSocketServerProtocol.STATE_OPEN
_HEAD = re.compile(
    rb"GET (/[!\"$-~]*) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n)+)\r\n"
)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(rf"https?://{_HOST.pattern}")
_OFFER = re.compile(
    "permessage-deflate(?: ?; ?(?:(?:client|server)_no_context_takeover"
    "|client_max_window_bits|(?:client|server)_max_window_bits=(?:9|1[0-5])))*"
)
_LENT = frozenset(
    {
        "_isMessageCompressed",
        "_perMessageCompress",
        "control_frame_data",
        "current_frame",
        "current_frame_masker",
        "data",
        "frame_data",
        "frame_length",
        "inside_message",
        "message_data",
        "message_data_total_length",
        "message_is_binary",
        "send_queue",
        "trafficStats",
        "utf8validateIncomingCurrentMessage",
        "utf8validateLast",
        "utf8validator",
    }
)
_UNUSUAL = {"content-length", "transfer-encoding", "expect"}


class Direct(tcp.Server):
    """
    A TCP connection that writes to its socket at once while nothing waits to be written.

    With an *outlet*, batches may go to the socket past it, as long as that has its descriptor. What
    is the same for all connections, or never asked for, a connection does not carry.
    """

    outlet: Any = None

    logstr = repstr = "a connection"
    # Made when it is needed.
    _tempDataBuffer: Any = ()
    _tempDataLen = 0

    def __init__(
        self,
        sock: socket.socket,
        protocol: IProtocol,
        client: tuple[Any, ...],
        server: tcp.Port,
        sessionno: int,
        reactor: IReactorFDSet,
    ) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.fileno = sock.fileno
        self.protocol = protocol
        self.client = client
        self.server = server
        self.reactor = reactor
        if len(client) != 2:
            self._addressType = IPv6Address
        self.startReading()
        self.connected = 1

    def doRead(self) -> Any:
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def write(self, data: bytes) -> None:
        if not self._tempDataBuffer:
            ended = self._writeDisconnected or self._aborting or not self.connected
            if data and not (ended or self.dataBuffer):
                try:
                    sent = self.socket.send(data)
                except ConnectionResetError:
                    self.reset()
                    sent = 0
                except OSError:
                    # Full, or broken: which of the two, the long way finds out.
                    sent = 0
                if sent == len(data):
                    return
                data = data[sent:]
            self.shut()
            self._tempDataBuffer = []
        super().write(data)

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def reset(self) -> None:
        """Take note that the peer has reset this: told that once, reading would find a good end."""
        vars(self)["doRead"] = _lost

    def shut(self) -> None:
        """From here on, what is to be sent has to come through here, for something is before it."""
        if self.outlet is not None:
            self.outlet.fd = -1

    def reopen(self) -> None:
        """Let batches go past this again, if nothing is before them."""
        if self.outlet is not None and not (self._tempDataBuffer or self.dataBuffer):
            self.outlet.fd = self.fileno()

    def connectionLost(self, reason: Failure) -> None:
        # The number of the socket may soon be another's.
        self.shut()
        self.outlet = None
        super().connectionLost(reason)


def _lost() -> Exception:
    return CONNECTION_LOST


class ShortFrames(WebSocketServerProtocol):
    """
    Autobahn's protocol, but that ordinary frames are taken without it.

    Those are masked text frames of less than 64 KiB that are a whole message, and pongs. Autobahn
    gets everything from the first frame that is not one up to where it is at the end of a message.
    """

    lent: frozenset[str] = frozenset()
    """Attributes that Autobahn needs for a message, and not between two of them."""
    _owed = 0
    _rest = b""

    def received(self, payload: bytes, binary: bool) -> None:
        """Take a message."""
        raise NotImplementedError

    def ponged(self) -> None:
        """Take a sign of life."""
        raise NotImplementedError

    def faulted(self) -> None:
        """Take an exception of `received`."""
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if self._owed:
            owed, data = data[: self._owed], data[self._owed :]
            self._owed -= len(owed)
            self.longReceived(owed)
        if FAST and self._between():
            data = self._short(data)
        if data:
            self.longReceived(data)

    def longReceived(self, data: bytes) -> None:
        """Have Autobahn take *data*."""
        super().dataReceived(data)
        if self.lent and self._between():
            # A decompressor alone is larger than all the rest of a connection.
            had = vars(self).items()
            self.__dict__ = {name: value for name, value in had if name not in self.lent}

    def _between(self) -> bool:
        """Return whether the connection is open, and Autobahn has nothing of the next message."""
        return self.state == _OPEN and not (
            self.data or self.inside_message or self.current_frame is not None
        )

    def _short(self, data: bytes) -> bytes:
        """Take the ordinary frames at the beginning of *data*; return what is left for Autobahn."""
        at, end = 0, len(data)
        while at < end:
            if compiled is not None and (taken := compiled.text(data, at)) is not None:
                payload, at = taken
                self._take(payload)
                if self.state != _OPEN:
                    break
                continue
            # All of this is RFC 6455, section 5.2.
            first = data[at]
            if first != 0x81 and first != 0x8A:
                break
            second = data[at + 1] if at + 1 < end else 0x80
            if not 0x80 <= second <= 0xFE:
                break
            size, body = second & 0x7F, at + 6
            if size == 126:
                if first == 0x8A:
                    break
                body += 2
            if body > end:
                # Not all of the head: nothing in it that could be wrong by now.
                self._rest = data[at:]
                return b""
            if size == 126:
                size = int.from_bytes(data[at + 2 : at + 4])
                if size < 126:
                    break
            stop = body + size
            if stop > end:
                # Autobahn looks at what there is of it, and is given the rest of it, too.
                self._owed = stop - end
                break
            if first == 0x8A:
                self.ponged()
            else:
                payload = unmasked(data[body - 4 : body], data[body:stop])
                if not payload.isascii():
                    try:
                        payload.decode()
                    except UnicodeDecodeError:
                        break
                self._take(payload)
            at = stop
            if self.state != _OPEN:
                break
        return data[at:]

    def _take(self, payload: bytes) -> None:
        try:
            self.received(payload, False)
        except Exception:  # noqa: BLE001 (what becomes of it is not decided here)
            self.faulted()


def unmasked(mask: bytes, payload: bytes) -> bytes:
    """Return *payload* without its *mask* (RFC 6455, section 5.3)."""
    size = len(payload)
    key = (mask * ((size + 3) // 4))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


class Opening(NamedTuple):
    """
    An ordinary handshake (RFC 6455, section 4.2.1), and the *rest* that came behind it.

    *compression* is its offer (RFC 7692), the same for all that mean the same, or empty. The names
    of *headers* are in lower case.
    """

    path: bytes
    query: str
    host: str
    origin: str | None
    forwarded: str | None
    key: str
    compression: str
    protocols: list[str]
    headers: dict[str, str]
    rest: bytes


def opening(data: bytes) -> Opening | None:
    """Return the handshake that *data* begins with, or None if it is not whole and ordinary."""
    head = _HEAD.match(data, 0, LARGE)
    if head is None:
        return None
    headers: dict[str, str] = {}
    lines = head[2].decode("ascii").split("\r\n")
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    found = headers.get
    key, origin = found("sec-websocket-key", ""), found("origin")
    compression = _compression(found("sec-websocket-extensions", ""))
    protocols = [name.strip() for name in found("sec-websocket-protocol", "").split(",")]
    if (
        len(lines) > HTTPChannel.maxHeaders
        or len(headers) < len(lines) - 1
        or found("sec-websocket-version") != "13"
        or found("upgrade", "").lower() != "websocket"
        or "upgrade" not in [token.strip() for token in found("connection", "").lower().split(",")]
        or not _KEY.fullmatch(key)
        or not _HOST.fullmatch(found("host", ""))
        or not (origin is None or _ORIGIN.fullmatch(origin))
        or not _UNUSUAL.isdisjoint(headers)
        or compression is None
        or len(set(protocols)) < len(protocols)
    ):
        return None
    path, _, query = head[1].partition(b"?")
    return Opening(
        path,
        query.decode("ascii"),
        headers["host"],
        origin,
        found("x-forwarded-for"),
        key,
        compression,
        protocols,
        headers,
        data[head.end() :],
    )


@lru_cache
def _compression(offer: str) -> str | None:
    """Return *offer* in one way for all ways to say it; None if it is not an ordinary one."""
    name, *params = [part.strip() for part in offer.split(";")]
    names = {param.partition("=")[0] for param in params}
    if offer and not (_OFFER.fullmatch(offer) and len(names) == len(params)):
        return None
    return "; ".join([name, *sorted(params)])


class Mold:
    """
    What Autobahn makes of an ordinary handshake with *compression* and the subprotocol *protocol*.

    Both may be empty. It is found out by having Autobahn do one, with nobody at the other end. What
    all connections of *factory* that begin like this have in common then is on a class that they
    are made of; what they cannot share, each gets when it is first asked for.
    """

    def __init__(self, factory: WebSocketServerFactory, compression: str, protocol: str) -> None:
        kind = factory.protocol
        blank: Any = type(kind.__name__, (_Blank, kind), {})()
        blank.factory = factory
        blank.makeConnection(_Nowhere())
        # This one does not count.
        factory.countConnections -= 1
        offers = {"Sec-WebSocket-Extensions": compression, "Sec-WebSocket-Protocol": protocol}
        lines = [f"{name}: {value}\r\n" for name, value in offers.items() if value]
        blank.dataReceived(_SAMPLE % "".join(lines).encode("ascii"))
        answer = blank.http_response_data.encode("ascii")
        self._before, accept, self._behind = answer.partition(_accept(_SAMPLE_KEY))
        assert accept
        made = vars(blank)
        self._own = {name: value for name, value in made.items() if not _shareable(value)}
        shared = {name: value for name, value in made.items() if _shareable(value)}
        for name in list(shared):
            # What it was asked, and what came of it, was its own.
            if name.startswith("http_") or name in ("_wskey", "peer"):
                del shared[name]
        lent = _LENT if _forgets(blank) else _LENT - {"_perMessageCompress"}
        agreed = blank.agreed() | {"factory": factory, "lent": lent, "__getattr__": self._given}
        self._kind: Any = type(kind.__name__, (kind,), shared | agreed)

    def open(self, transport: Any, key: str) -> Any:
        """Answer a handshake with *key* over *transport*; return the connection, open."""
        connection = self._kind.__new__(self._kind)
        connection.transport = transport
        connection.connected = 1
        connection.factory.countConnections += 1
        transport.setTcpNoDelay(True)
        transport.write(self._before + _accept(key) + self._behind)
        return connection

    @property
    def _given(self) -> Any:
        own = self._own

        def given(connection: Any, name: str) -> Any:
            if name not in own:
                raise AttributeError(name)
            # What is compiled of Autobahn holds memory that a copy would share.
            value = Utf8Validator() if name == "utf8validator" else copy(own[name])
            setattr(connection, name, value)
            return value

        return given


class _Blank:
    """A connection with nobody at the other end."""

    def onConnect(self, request: ConnectionRequest) -> str | None:
        return request.protocols[0] if request.protocols else None

    def onOpen(self) -> None:
        pass


class _Nowhere:
    """The transport of a connection with nobody at the other end."""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 0)

    getHost = getPeer

    def write(self, data: bytes) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    unregisterProducer = loseConnection


_SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_SAMPLE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n%%b\r\n" % _SAMPLE_KEY.encode("ascii")
)


def _accept(key: str) -> bytes:
    """Return the answer to *key* (RFC 6455, section 4.2.2)."""
    whole = key.encode("ascii") + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b64encode(hashlib.sha1(whole).digest())


def _forgets(connection: Any) -> bool:
    """Return whether what comes in over *connection* is compressed anew with each message."""
    compress = connection._perMessageCompress
    return compress is None or compress.client_no_context_takeover


def _shareable(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | bytes)
