"""One client's `Socket`, whatever carries it, and what all of them have in common."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatroom.answers import Places
from chatroom.engineio.codec import (
    CLOSE,
    MESSAGE,
    NOOP,
    OPEN,
    PING,
    PONG,
    Item,
    Malformed,
    Packet,
    as_is,
)
from chatroom.engineio.deadlines import Deadlines
from chatroom.events import Close, Shared

C = TypeVar("C")
Query = dict[str, list[str]]

_NONE: dict[str, str] = {}
_PING = Shared[Sequence[Item]]([Packet(PING)])


class Application(Protocol):
    """
    What is on top of Engine.IO.

    An exception of any of these is logged as a bug, and ends that socket with 1011.
    """

    def opened(self, socket: Socket) -> None:
        """Begin with *socket*. It may be sent to, and closed, at once."""

    def received(self, socket: Socket, message: str | bytes) -> None:
        """Take a message, text or binary. None comes before `opened`, or once *socket* is over."""

    def paused(self, socket: Socket) -> None:
        """
        Send nothing more to *socket* until `resumed`: its client takes nothing, and this piles up.

        It may come from within `Socket.send` and `Socket.write`; what these were given does go.
        """

    def resumed(self, socket: Socket) -> None:
        """Go on: all that was for *socket* is on its way. It may be `paused` again from within."""

    def closed(self, socket: Socket, clean: bool) -> None:
        """
        Forget *socket*: it has ended, in whatever way. Called once, for each that was opened.

        *clean* if its client meant to go. Never called from within a call of the application's.
        """


class Transport(Protocol):
    """What carries a socket's packets."""

    def put(self, shared: Shared[C], encode: Callable[[C], Sequence[Item]]) -> None:
        """Send the items ``encode(shared.content)``."""

    def end(self, code: Close, reason: str) -> None:
        """Let the client go, once what was put has gone."""

    def bye(self) -> None:
        """Let the client go, that has said that it goes."""

    def drop(self) -> None:
        """Let the client go at once."""


class Socket:
    """
    A client that came with *version*, *query*, *headers* and *address*, as one of *sockets*.

    An application has `send`, `write` and `close`; the rest is for transports.
    """

    __slots__ = (
        "_sockets",
        "address",
        "data",
        "full",
        "headers",
        "id",
        "over",
        "probing",
        "query",
        "transport",
        "version",
    )

    transport: Transport
    """There is none any more when it is over and its client has been told so."""

    def __init__(
        self, sockets: Sockets, version: int, query: Query, headers: dict[str, str], address: str
    ) -> None:
        self.id = secrets.token_urlsafe(15)
        """By this the client's requests are known; nobody can guess it."""
        self.version = version
        """Of the protocol, 3 or 4."""
        self.query = query
        """What stood in the URL of its first request."""
        self.headers = headers
        """Those of its first request, their names in lower case; none once it was `opened`."""
        self.address = address
        """For counting, as `chatroom.answers.address` returns it."""
        self.data: Any = None
        """The application's own."""
        self.over = False
        """Whether it has ended."""
        self.full = False
        """Whether the application was told to pause."""
        self.probing: Transport | None = None
        """What it may change to."""
        self._sockets = sockets

    def send(self, *messages: str | bytes) -> None:
        """
        Send *messages*, in this order. After the end it does nothing.

        In text there must be no U+001E, which parts messages in version 4 (JSON escapes it).
        """
        if not self.over:
            self.transport.put(Shared[Sequence[Item]](messages), as_is)

    def write(self, shared: Shared[C], encode: Callable[[C], Sequence[str | bytes]]) -> None:
        """
        Send the messages ``encode(shared.content)``, made once for all sockets of a kind.

        *encode* is a function of a module, or one that was made once: by it what was made is found.
        """
        if not self.over:
            self.transport.put(shared, encode)

    def close(self, code: Close, reason: str) -> None:
        """
        End it, once what was sent has gone. `Application.closed` follows, soon.

        On a WebSocket *code* and *reason* are what the client is told; one that polls is not.
        """
        if not self.over:
            self.end(clean=False)
            self.transport.end(code, reason)

    # For transports.

    def receive(self, packet: Packet) -> None:
        """Take *packet* from the client. Raises `Malformed` if it may not come now."""
        if self.over:
            return
        self._sockets.heard(self)
        if packet.kind == MESSAGE:
            self.tell(self._sockets.application.received, packet.data)
        elif packet.kind == CLOSE:
            self.end(clean=True)
            self.transport.bye()
        elif packet.kind == PING and self.version == 3:
            self.transport.put(Shared([Packet(PONG, packet.data)]), as_is)
        elif packet.kind != NOOP and (packet.kind != PONG or self.version == 3):
            raise Malformed("that packet may not come now")

    def ask(self) -> None:
        """Ask the client for a sign of life."""
        self.transport.put(_PING, as_is)

    def drop(self) -> None:
        """End at once: the client gives no sign of life, or breaks the rules."""
        if not self.over:
            self.end(clean=False)
            self.transport.drop()

    def fill(self) -> None:
        """Take note that what was put piles up."""
        if not (self.full or self.over):
            self.full = True
            self.tell(self._sockets.application.paused)

    def drain(self) -> None:
        """Take note that all that was put has gone."""
        if self.full and not self.over:
            self.full = False
            self.tell(self._sockets.application.resumed)

    def end(self, *, clean: bool) -> None:
        """Be over: the transport is gone, or goes. *clean* if the client meant it."""
        if not self.over:
            self.over = True
            self._sockets.gone(self, clean)

    def tell(self, callback: Callable[..., None], *args: object) -> None:
        """Call *callback* of the application with this and *args*; its faults are its own."""
        try:
            callback(self, *args)
        except Exception:  # noqa: BLE001 (whatever it is, the other sockets go on)
            self._sockets.log.failure("a bug in what is on top of Engine.IO")
            self.close(Close.INTERNAL, "a bug in the server")


class Sockets:
    """
    All the sockets of an *application*, by id, and the times that they keep.

    *places* is where they are counted; the other arguments are those of `EngineDoor`.
    """

    log = Logger()

    def __init__(
        self,
        application: Application,
        clock: IReactorTime,
        places: Places,
        ping_interval: float,
        ping_timeout: float,
        max_payload: int,
    ) -> None:
        self.application = application
        self.clock = clock
        self.places = places
        self.max_payload = max_payload
        self.by_id: dict[str, Socket] = {}
        self._times = {
            "pingInterval": round(ping_interval * 1000),
            "pingTimeout": round(ping_timeout * 1000),
        }
        self._turns = Deadlines[Socket](clock, ping_interval, self._ask)
        patience = ping_interval + ping_timeout
        self._silent = Deadlines[Socket](clock, patience, Socket.drop, peers=True)

    def open(self, socket: Socket, transport: Transport, upgrades: Sequence[str]) -> None:
        """Have *socket* begin on *transport*, from which it may change to *upgrades*."""
        self.places.take(socket.address)
        self.by_id[socket.id] = socket
        socket.transport = transport
        told: dict[str, object] = {"sid": socket.id, "upgrades": upgrades, **self._times}
        if socket.version == 4:
            told["maxPayload"] = self.max_payload
            # In version 3 it is the client who asks.
            self._turns.expect(socket)
        self._silent.expect(socket)
        transport.put(Shared([Packet(OPEN, msgspec.json.encode(told).decode())]), as_is)

    def introduce(self, socket: Socket) -> None:
        """Tell the application of *socket*."""
        socket.tell(self.application.opened)
        # They are half of what a connection takes, and of use only now.
        socket.headers = _NONE

    def heard(self, socket: Socket) -> None:
        """Take note of a sign of life of *socket*."""
        self._silent.expect(socket)

    def gone(self, socket: Socket, clean: bool) -> None:
        """Forget *socket*, and tell the application of its end, which was *clean* or not."""
        self._turns.forget(socket)
        self._silent.forget(socket)
        del self.by_id[socket.id]
        self.places.leave(socket.address)
        if socket.probing is not None:
            socket.probing.end(Close.POLICY, "the session is over")
        self.clock.callLater(0, socket.tell, self.application.closed, clean)

    def _ask(self, socket: Socket) -> None:
        self._turns.expect(socket)
        socket.ask()
