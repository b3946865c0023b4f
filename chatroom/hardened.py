"""WebSockets (RFC 6455) without Autobahn's open ends: what all doors that speak it have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial, wraps
from typing import Any, TypeVar
from urllib.parse import parse_qs

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web import server

from chatroom.answers import RETRY, Origins, address, answer, client, header, parameters
from chatroom.events import Close
from chatroom.fast import Direct, Mold, Opening, ShortFrames
from chatroom.frames import WINDOW, frame
from chatroom.heartbeat import Heartbeat
from chatroom.site import SPARE, Entrance, descriptors_left

FRAGMENT = 32
"""A message that may have n bytes may come in n / FRAGMENT fragments."""
LINGER = 2.0
"""How many seconds a peer has to answer a close frame, and then to take what is still to go."""
REFUSED = 2**20
"""How many bytes may still come in from a peer whose connection has failed."""
PING = frame(0x89, b"alive?")
"""What is sent to ask for a sign of life."""

_DEFLATE = PerMessageDeflateOffer.EXTENSION_NAME
_NARROW = [str(bits) for bits in range(8, WINDOW)]

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
            self.faulted()
            return None

    return guarded


def harden(factory: WebSocketServerFactory, *, message: int) -> None:
    """
    Set every limit that Autobahn leaves open, in production and under the conformance suite alike.

    *message* is the most bytes of one message that comes in.
    """
    factory.setProtocolOptions(
        # One more than the limit: inflating stops at Autobahn's without a word (see `Hardened`).
        maxFramePayloadSize=message + 1,
        maxMessagePayloadSize=message + 1,
        failByDrop=False,
        closeHandshakeTimeout=LINGER,
        openHandshakeTimeout=5,
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


def readable(params: dict[str, list[Any]]) -> bool:
    """
    Return whether an offer of permessage-deflate with *params* can be accepted, and make it so.

    How much less than `WINDOW` the client will use it may say, but not be told: that is as well.
    """
    bits = params.get("client_max_window_bits", [])
    if len(bits) == 1 and bits[0] in _NARROW:
        del params["client_max_window_bits"]
    try:
        PerMessageDeflateOffer.parse(params)
    except Exception:  # noqa: BLE001 (Autobahn raises no other)
        return False
    return True


class Hardened(ShortFrames):
    """
    Autobahn's protocol without its open ends.

    A message that is too large, or in too many fragments, ends with 1009; a peer that goes on after
    its connection has failed is dropped, and so is one that gives no sign of life.
    """

    factory: HardenedFactory
    transport: Any
    maxMessagePayloadSize: int
    speaks: str
    """The subprotocol that is selected when it is offered."""
    log = Quiet()
    # Autobahn looks for this before it has copied its options to the instance, and finds nothing.
    tcpNoDelay = True
    slot = 0
    _fragments = 0
    _refused = 0
    _lingering: IDelayedCall | None = None

    def end(self, code: Close, reason: str) -> None:
        """End the connection with *code* (`sendClose` refuses all that a server has use for)."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=int(code), reasonUtf8=reason.encode())

    @property
    def is_closed(self) -> Deferred[Any]:
        """Nothing: one of Autobahn's own would hold this, which holds it, after the end."""
        return Deferred()

    @is_closed.setter
    def is_closed(self, unused: Deferred[Any]) -> None:
        pass

    def agreed(self) -> dict[str, object]:
        """Return attributes that all connections have that begin with the same handshake."""
        return {}

    def opened(self, params: dict[str, list[str]], who: str) -> None:
        """Begin; *params* is the query, and *who* the address for counting."""
        # What the HTTP server left registered would be told of our buffer.
        self.transport.unregisterProducer()
        self.factory.connections.join(self)

    def _parseExtensionsHeader(self, *args: Any) -> list[tuple[str, dict[str, list[Any]]]]:
        # What cannot be accepted is declined (RFC 7692, section 5.1); Autobahn answers with 400.
        offers = super()._parseExtensionsHeader(*args)
        return [offer for offer in offers if offer[0] == _DEFLATE and readable(offer[1])]

    def onConnect(self, request: ConnectionRequest) -> str | None:
        self._request = request
        return self.speaks if self.speaks in request.protocols else None

    def onOpen(self) -> None:
        vars(self).update(self.agreed())
        forwarded = self._request.headers.get("x-forwarded-for")
        self.opened(self._request.params, address(self.transport.getPeer(), forwarded))
        del self._request

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.gone(self)

    def faulted(self) -> None:
        """Log the exception that is being handled, and end the connection: it is our fault."""
        self.log.failure("a bug in a connection")
        self.end(Close.INTERNAL, "a bug in the server")

    def ask(self) -> None:
        """Send a ping."""
        if self.state == self.STATE_OPEN:
            self.transport.write(PING)

    def ponged(self) -> None:
        self.factory.connections.heard(self)

    def onPong(self, payload: bytes) -> None:
        self.ponged()

    def lapse(self) -> None:
        """Drop the connection: there was no pong in time."""
        self.wasNotCleanReason = "no sign of life"
        self.dropConnection(abort=True)

    def dropConnection(self, abort: bool = False) -> None:
        """
        Close the connection once what was written has gone, or after `LINGER` seconds.

        Autobahn throws a close frame away that has not gone when the peer's comes, and waits for
        ever for a peer that does not read.
        """
        abort = abort and not self.wasClean
        if isinstance(self.transport, Direct):
            self.transport.shut()
        super().dropConnection(abort)
        self.factory.gone(self)
        if not abort and self._lingering is None:
            self._lingering = self.factory.reactor.callLater(LINGER, self._closeConnection, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        super().connectionLost(reason)

    def longReceived(self, data: bytes) -> None:
        # Autobahn goes on reading, to find the answer to its close frame.
        if self.failedByMe:
            self._refused += len(data)
            if self._refused > REFUSED:
                self.dropConnection(abort=True)
        super().longReceived(data)

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.transport, Direct):
            self.transport.shut()
        super().sendCloseFrame(*args, **kwargs)

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


class HardenedFactory(WebSocketServerFactory):
    """
    What all connections of one kind share, hardened.

    *message* is the most bytes of one message that comes in; *ping* and *ping_timeout* are the
    seconds of the heartbeat, 0 for never.
    """

    protocol: Any

    def __init__(
        self, reactor: IReactorTime, message: int, *, ping: float = 25.0, ping_timeout: float = 20.0
    ) -> None:
        super().__init__(server="chatroom", reactor=reactor)
        self.connections = Heartbeat[Hardened](reactor, ping, ping_timeout)
        self._going: set[Hardened] = set()
        self._farewell: Deferred[None] = Deferred()
        # A few at most: both say the little that an ordinary handshake can differ in.
        self._mold = cache(partial(Mold, self))
        harden(self, message=message)

    def begin(
        self, transport: Any, asked: Opening, params: dict[str, list[str]], who: str
    ) -> Hardened:
        """
        Answer what was *asked* over *transport*, and return the connection that has begun.

        *params* is its query, and *who* the address for counting.
        """
        speaks: str = self.protocol.speaks
        mold = self._mold(asked.compression, speaks if speaks in asked.protocols else "")
        connection: Hardened = mold.open(transport, asked.key)
        connection.opened(params, who)
        return connection

    def gone(self, connection: Hardened) -> None:
        """Forget *connection*."""
        self.connections.leave(connection)
        if connection in self._going:
            self._going.remove(connection)
            if not self._going:
                self._farewell.callback(None)

    def farewell(self) -> Deferred[None]:
        """End all connections with 1012; fires when they are gone, after two seconds at most."""
        self._going = set(self.connections)
        for connection in list(self._going):
            connection.end(Close.RESTART, "the server is stopping; come back soon")
        return self._farewell if self._going else succeed(None)


class Upgrade(Entrance):
    """
    Where a WebSocket of *factory* begins, for whom it may.

    Pages of *origins* may connect.
    """

    isLeaf = True

    def __init__(self, factory: HardenedFactory, origins: Origins) -> None:
        super().__init__()
        self.factory = factory
        self._origins = origins
        self._resource = WebSocketResource(factory)

    def render(self, request: server.Request) -> bytes | int:
        """Hand the connection over to the factory, or answer why not."""
        if request.method != b"GET":
            request.setHeader("Allow", "GET")
            return answer(request, 405, "a WebSocket begins with GET")
        lines = [request.uri]
        for name, values in request.requestHeaders.getAllRawHeaders():
            lines += [name, *values]
        # Autobahn parses all this again, with `str.splitlines` (as in CVE-2026-44546).
        if any(len(line.decode("latin-1").splitlines()) > 1 for line in lines):
            return answer(request, 400, "there is a line break within a header")
        upgrades = (header(request, "upgrade") or "").lower().split(",")
        if "websocket" not in [token.strip() for token in upgrades]:
            request.setHeader("Upgrade", "websocket")
            request.setHeader("Connection", "Upgrade")
            return answer(request, 426, "this is for WebSocket clients")
        host = header(request, "host") or ""
        if not self._origins.allow(header(request, "origin"), host):
            return answer(request, 403, "pages from there may not connect here")
        params = parameters(request)
        refusal = self.refused(params, client(request), request.channel.transport)
        if refusal is not None:
            status, words = refusal
            if status in (429, 503):
                request.setHeader("Retry-After", str(RETRY))
            return answer(request, status, words)
        channel: Any = request.channel
        transport = channel.transport
        taken_over: int = self._resource.render(request)
        channel.successor = getattr(transport, "wrappedProtocol", transport.protocol)
        return taken_over

    def begin(self, transport: Any, peer: IAddress, asked: Opening) -> Any:
        if not self._origins.allow(asked.origin, asked.host):
            return None
        params = parse_qs(asked.query) if asked.query else {}
        who = address(peer, asked.forwarded)
        if self.refused(params, who, transport) is not None:
            return None
        return self.factory.begin(transport, asked, params, who)

    def refused(
        self, params: dict[str, list[str]], who: str, transport: object
    ) -> tuple[int, str] | None:
        """
        Return the status and the words of a refusal, if it is one.

        *params* is the query, *who* the address for counting, *transport* the connection.
        """
        if descriptors_left(transport) < SPARE:
            return 503, "the server is full"
        return None
