"""The room's own door: JSON over WebSocket (RFC 6455), and an echo to try a client with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from chatroom.chat import Chat, Session
from chatroom.events import LOBBY, Batch, Close, decode
from chatroom.frames import WINDOW, deflating, plain
from chatroom.log import Unavailable
from chatroom.names import BadName

PROTOCOL = "chat.v1"
"""The subprotocol that is selected when offered."""
MESSAGE = 65_536
"""The most bytes of one message that comes in to the room."""
ECHO = 32 * 2**20
"""The same for the echo."""
FRAGMENT = 32
"""A message that may have n bytes may come in n / FRAGMENT fragments."""
LINGER = 2.0
"""How many seconds a peer has to answer a close frame, and then to take what is still to go."""
REFUSED = 2**20
"""How many bytes may still come in from a peer whose connection has failed."""

R = TypeVar("R")


class Quiet(Logger):
    """A log of our own faults alone: what peers do wrong, and what Autobahn does, stays out."""

    def emit(self, level: Any, format: str | None = None, **kwargs: object) -> None:
        if level is LogLevel.critical:
            super().emit(level, format, **kwargs)


def ours(callback: Callable[..., R]) -> Callable[..., R | None]:
    """Log an exception of *callback* once and end its connection with 1011: it is our fault."""

    @wraps(callback)
    def guarded(self: Hardened, *args: object) -> R | None:
        try:
            return callback(self, *args)
        except Exception:  # noqa: BLE001 (whatever it is, the other connections go on)
            self.log.failure("a bug in a connection")
            self.end(Close.INTERNAL, "a bug in the server")
            return None

    return guarded


def harden(
    factory: WebSocketServerFactory, *, message: int, ping: float, ping_timeout: float
) -> None:
    """
    Set every limit that Autobahn leaves open, in production and under the conformance suite alike.

    *message* is the most bytes of one message that comes in; *ping* and *ping_timeout* are the
    seconds of the heartbeat, 0 for none.
    """
    factory.setProtocolOptions(
        # One more than the limit: inflating stops at Autobahn's without a word (see `Hardened`).
        maxFramePayloadSize=message + 1,
        maxMessagePayloadSize=message + 1,
        failByDrop=False,
        closeHandshakeTimeout=LINGER,
        openHandshakeTimeout=5,
        autoPingInterval=ping,
        autoPingTimeout=ping_timeout,
        autoPingRestartOnAnyTraffic=False,
        # Who may connect is decided before Autobahn is asked.
        allowNullOrigin=True,
        webStatus=False,
        perMessageCompressionAccept=lambda offers: accept_deflate(offers, message),
    )


def accept_deflate(offers: Sequence[object], message: int) -> PerMessageDeflateOfferAccept | None:
    """
    Accept the first offer of permessage-deflate, with bounded memory and no context kept.

    Without a context of its own a connection can be sent what was deflated for all.
    """
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            offer.request_no_context_takeover = True
            return PerMessageDeflateOfferAccept(
                offer,
                request_no_context_takeover=offer.accept_no_context_takeover,
                request_max_window_bits=WINDOW if offer.accept_max_window_bits else 0,
                no_context_takeover=True,
                window_bits=min(WINDOW, offer.request_max_window_bits or WINDOW),
                mem_level=5,
                max_message_size=message + 1,
            )
    return None


class Hardened(WebSocketServerProtocol):
    """
    Autobahn's protocol without its open ends.

    A message that is too large, or in too many fragments, ends with 1009; a peer that goes on after
    its connection has failed is dropped.
    """

    factory: HardenedFactory
    transport: Any
    maxMessagePayloadSize: int
    log = Quiet()
    # Autobahn looks for this before it has copied its options to the instance, and finds nothing.
    tcpNoDelay = True
    _fragments = 0
    _refused = 0
    _lingering: IDelayedCall | None = None

    def end(self, code: Close, reason: str) -> None:
        """End the connection with *code* (`sendClose` refuses all that a server has use for)."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=int(code), reasonUtf8=reason.encode())

    def received(self, payload: bytes, binary: bool) -> None:
        """Take a whole message of a size that is allowed."""

    def onOpen(self) -> None:
        self.factory.connections.add(self)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.connections.discard(self)

    def dropConnection(self, abort: bool = False) -> None:
        """
        Close the connection once what was written has gone, or after `LINGER` seconds.

        Autobahn throws a close frame away that has not gone when the peer's comes, and waits for
        ever for a peer that does not read.
        """
        abort = abort and not self.wasClean
        super().dropConnection(abort)
        if not abort and self._lingering is None:
            self._lingering = self.factory.reactor.callLater(LINGER, self._closeConnection, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        # Autobahn goes on reading, to find the answer to its close frame.
        if self.failedByMe:
            self._refused += len(data)
            if self._refused > REFUSED:
                self.dropConnection(abort=True)
        super().dataReceived(data)

    def onMessageBegin(self, isBinary: bool) -> None:
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        self._fragments += 1
        if self._fragments > self.maxMessagePayloadSize // FRAGMENT:
            self._fail_connection(Close.TOO_BIG, "too many fragments")

    @ours
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if len(payload) == self.maxMessagePayloadSize:
            self._fail_connection(Close.TOO_BIG, "the message is too large")
        elif self.state == self.STATE_OPEN:
            self.received(payload, isBinary)


class EchoProtocol(Hardened):
    """Sends back what it gets."""

    def onConnect(self, request: ConnectionRequest) -> str | None:
        return "echo-protocol" if "echo-protocol" in request.protocols else None

    def received(self, payload: bytes, binary: bool) -> None:
        self.sendMessage(payload, binary)


@implementer(IPushProducer)
class ChatProtocol(Hardened):
    """One connection to the room: frames → `Session.receive`, events → frames."""

    factory: ChatFactory
    session: Session | None = None
    address = ""
    _begun = False

    @ours
    def onConnect(self, request: ConnectionRequest) -> str | None:
        self._params = {name: values[-1] for name, values in request.params.items()}
        self.address = address(self.transport.getPeer(), request.headers.get("x-forwarded-for"))
        if self.address:
            self.factory.addresses[self.address] += 1
        return PROTOCOL if PROTOCOL in request.protocols else None

    @ours
    def onOpen(self) -> None:
        super().onOpen()
        compress = self._perMessageCompress
        self._encode = deflating(compress.server_max_window_bits) if compress else plain
        # What the HTTP server left registered would be told of our buffer instead of us.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        after = self._params.get("after", "")
        try:
            self.session = self.factory.chat.connect(
                self.send, self.end, self._params.get("name"), self._params.get("token")
            )
            self.session.enter(
                self._params.get("room", LOBBY),
                int(after) if re.fullmatch("[0-9]{1,16}", after) else None,
                self._params.get("epoch"),
            )
        except Unavailable:
            self.end(Close.TRY_AGAIN, "the store cannot be read now")
        except BadName as error:
            self.end(Close.POLICY, str(error))
        else:
            # Nothing more is read until the room has said something, so that nothing piles up.
            self.transport.pauseProducing()

    def received(self, payload: bytes, binary: bool) -> None:
        if binary:
            self.end(Close.UNSUPPORTED, "this is a text protocol")
        elif self.session is not None:
            self.session.receive(decode(payload))

    @ours
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        if self.address:
            self.factory.addresses[self.address] -= 1
            if not self.factory.addresses[self.address]:
                del self.factory.addresses[self.address]
        if self.session is not None:
            # Who closes without giving a code (1005) means it as much as who gives 1000.
            meant = wasClean and not self.closedByMe and self.remoteCloseCode in (None, 1000)
            self.session.close(clean=meant)

    def send(self, batch: Batch) -> None:
        """Write *batch*, encoded once for all connections like this one."""
        if self.state == self.STATE_OPEN:
            if not self._begun:
                self._begun = True
                self.transport.resumeProducing()
            self.transport.write(batch.encoded(self._encode))

    def pauseProducing(self) -> None:
        """Take no more, neither from the room nor from the peer: it does not read."""
        if self.session is not None:
            self.session.pause()
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on: all that was written has gone."""
        self.transport.resumeProducing()
        self._resume()

    @ours
    def _resume(self) -> None:
        if self.session is not None:
            self.session.resume()

    def stopProducing(self) -> None:
        """Nothing to do: `onClose` is what follows."""


class HardenedFactory(WebSocketServerFactory):
    """
    What all connections of one kind share, hardened: see `harden` for *message* and the heartbeat.
    """

    protocol: Any

    def __init__(
        self, reactor: IReactorTime, message: int, *, ping: float = 25.0, ping_timeout: float = 20.0
    ) -> None:
        super().__init__(server="chatroom", reactor=reactor)
        self.connections: set[Hardened] = set()
        harden(self, message=message, ping=ping, ping_timeout=ping_timeout)

    def farewell(self) -> Deferred[Any]:
        """End all connections with 1012; fires when they are gone, after two seconds at most."""
        going = list(self.connections)
        for connection in going:
            connection.end(Close.RESTART, "the server is stopping; come back soon")
        return DeferredList([connection.is_closed for connection in going])


class ChatFactory(HardenedFactory):
    """Makes the connections to the room; through its *chat* it tracks users and history."""

    protocol = ChatProtocol

    def __init__(self, chat: Chat, reactor: IReactorTime, **heartbeat: float) -> None:
        # JSON may spell a character outside the BMP in twelve bytes.
        super().__init__(reactor, max(MESSAGE, 12 * chat.limits.message + 1024), **heartbeat)
        self.chat = chat
        self.addresses: Counter[str] = Counter()
        """How many connections each address has."""


class EchoFactory(HardenedFactory):
    """Makes connections that echo, under the same conditions as the room but for the size."""

    protocol = EchoProtocol

    def __init__(self, reactor: IReactorTime, **heartbeat: float) -> None:
        super().__init__(reactor, ECHO, **heartbeat)


def address(peer: IAddress, forwarded: str | None) -> str:
    """
    Return whose connection this is, for counting.

    A proxy on this machine is believed in what it adds to the ``X-Forwarded-For`` header. Where
    nobody can tell, it is the empty string, which is not counted.
    """
    host: str = getattr(peer, "host", "")
    if forwarded and (not host or host == "::1" or host.startswith("127.")):
        return forwarded.rpartition(",")[2].strip()
    return host
