"""The transport that there is in most networks: a WebSocket, from the beginning or later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from chatroom.answers import address
from chatroom.engineio.codec import (
    PING,
    PONG,
    UPGRADE,
    Item,
    Kind,
    Malformed,
    Packet,
    as_is,
    binary_packet,
    frames,
    framing,
    packet,
)
from chatroom.engineio.deadlines import Deadlines
from chatroom.engineio.polling import Polling
from chatroom.engineio.socket import Query, Socket, Sockets
from chatroom.events import Close, Shared
from chatroom.fast import Opening
from chatroom.hardened import Hardened, HardenedFactory, ours

UPGRADING = 10.0
"""So many seconds a client has to change to a WebSocket once it has opened one."""
PROBE = "probe"
"""What both sides say to find out whether it works (the specification's section on upgrades)."""

C = TypeVar("C")


@implementer(IPushProducer)
class EngineProtocol(Hardened):
    """A connection that carries the packets of a socket, or is tried for that."""

    factory: EngineFactory
    speaks = ""
    bits = 0
    """The logarithm of the window that what is sent is compressed for, 0 for none."""
    socket: Socket | None = None
    _kind: tuple[Kind[bytes]]
    _polling: Polling | None = None
    _probed = False
    _full = False

    def agreed(self) -> dict[str, object]:
        compress = self._perMessageCompress
        return {"bits": compress.server_max_window_bits if compress else 0}

    def opened(self, params: Query, who: str) -> None:
        super().opened(params, who)
        self.transport.registerProducer(self, True)

    def onOpen(self) -> None:
        request = self._request
        super().onOpen()
        who = address(self.transport.getPeer(), request.headers.get("x-forwarded-for"))
        self.begin(request.params, request.headers, who)

    @ours
    def begin(self, query: Query, headers: dict[str, str], who: str) -> None:
        """Be a new socket, or be tried as the transport of the one that *query* names."""
        sockets = self.factory.sockets
        version = int(query["EIO"][-1])
        # In a tuple, for on a class a function would become a method.
        self._kind = (frames(version, "b64" not in query, self.bits),)
        if "sid" not in query:
            self.socket = Socket(sockets, version, query, headers, who)
            sockets.open(self.socket, self, [])
            sockets.introduce(self.socket)
            return
        socket = sockets.by_id.get(query["sid"][-1])
        if socket is None or socket.probing or not isinstance(socket.transport, Polling):
            self.end(Close.POLICY, "this session is not to be upgraded")
            return
        self.socket, self._polling = socket, socket.transport
        socket.probing = self
        self.factory.upgrading.expect(self)

    def received(self, payload: bytes, binary: bool) -> None:
        socket = self.socket
        assert socket is not None
        try:
            if binary:
                said = binary_packet(socket.version, payload)
            else:
                said = packet(socket.version, payload.decode())
            if self._polling is not None:
                self._try(socket, self._polling, said)
            else:
                socket.receive(said)
        except Malformed as error:
            if self._polling is None:
                socket.close(Close.POLICY, str(error))
            else:
                self.end(Close.POLICY, str(error))

    def _try(self, socket: Socket, polling: Polling, said: Packet) -> None:
        if said == Packet(PING, PROBE):
            self._probed = True
            self.put(Shared([Packet(PONG, PROBE)]), as_is)
            polling.release(True)
        elif said.kind == UPGRADE and self._probed:
            self._stop_trying()
            socket.transport = self
            for shared, encode in polling.leave():
                self.put(shared, encode)
            if self._full:
                socket.fill()
            else:
                socket.drain()
        else:
            raise Malformed("that packet is not of an upgrade")

    def _stop_trying(self) -> None:
        assert self.socket is not None
        self.factory.upgrading.forget(self)
        self.socket.probing = self._polling = None

    def put(self, shared: Shared[C], encode: Callable[[C], Sequence[Item]]) -> None:
        if self.state == self.STATE_OPEN:
            self.transport.write(shared.encoded(framing(self._kind[0], encode)))

    def bye(self) -> None:
        if self.state == self.STATE_OPEN:
            self.sendClose(1000)

    def drop(self) -> None:
        self.lapse()

    def cancel(self) -> None:
        """End: the client has not come over."""
        self.end(Close.POLICY, "the upgrade took too long")

    @ours
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        if self.socket is None:
            return
        if self._polling is not None:
            self._polling.release(False)
            self._stop_trying()
        else:
            # Who closes without giving a code (1005) means it as much as who gives 1000.
            meant = wasClean and not self.closedByMe and self.remoteCloseCode in (None, 1000)
            self.socket.end(clean=meant)
        # It knows its transport, and so holds this.
        self.socket = None

    def pauseProducing(self) -> None:
        """Take no more, neither from the application nor from the peer: it does not read."""
        self._full = True
        self.transport.pauseProducing()
        if self.socket is not None and self._polling is None:
            self.socket.fill()

    def resumeProducing(self) -> None:
        """Go on: all that was written has gone."""
        self._full = False
        self.transport.resumeProducing()
        if self.socket is not None and self._polling is None:
            self.socket.drain()

    def stopProducing(self) -> None:
        """Nothing to do: `onClose` is what follows."""


class EngineFactory(HardenedFactory):
    """Makes the WebSockets of *sockets*."""

    protocol: Any = EngineProtocol

    def __init__(self, reactor: IReactorTime, sockets: Sockets) -> None:
        # The heartbeat is Engine.IO's own.
        super().__init__(reactor, sockets.max_payload, ping=0.0, ping_timeout=0.0)
        self.sockets = sockets
        self.upgrading = Deadlines[EngineProtocol](reactor, UPGRADING, EngineProtocol.cancel)

    def begin(self, transport: Any, asked: Opening, params: Query, who: str) -> Hardened:
        connection = super().begin(transport, asked, params, who)
        assert isinstance(connection, EngineProtocol)
        connection.begin(params, asked.headers, who)
        return connection
