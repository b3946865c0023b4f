"""One port for all of it: connections from their first byte on, and how long they may be silent."""

from __future__ import annotations

import resource
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource, Resource

from chatroom.fast import FAST, Opening, opening

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""What goes with every answer."""
HEAD = 10.0
"""In so many seconds a request must have come in."""
SPARE = 64
"""So many file descriptors are kept free of WebSocket connections, and half as many of any."""


class Nothing:
    """The body of a request: nobody here reads one, so that none is kept."""

    def write(self, data: bytes) -> int:
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def tell(self) -> int:
        return 0

    def close(self) -> None:
        pass


class Request(server.Request):
    """A request whose answer has the security headers, and whose body is not kept."""

    def gotLength(self, length: int | None) -> None:
        self.content = Nothing()

    def process(self) -> None:
        for name, value in HEADERS.items():
            self.setHeader(name, value)
        super().process()


class Entrance(Resource):
    """What can take a connection over with its first bytes."""

    def begin(self, transport: Any, peer: IAddress, asked: Opening) -> Any:
        """Return the protocol that has begun over *transport* as *asked*, or None: it is not so."""
        raise NotImplementedError


class Front(Protocol):
    """
    A connection to *site* that has said nothing yet.

    With an ordinary handshake it becomes a WebSocket at once; with whatever else, a `Channel`.
    """

    transport: Any

    def __init__(self, site: Site, address: IAddress) -> None:
        self._site = site
        self._address = address

    def connectionMade(self) -> None:
        self._site.expect(self)
        if descriptors_left(self.transport) < SPARE // 2:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        transport, patience = self.transport, self._site.heard(self)
        connection = None
        if (asked := opening(data)) is not None:
            entrance = self._site.resource.children.get(asked.path[1:])
            if isinstance(entrance, Entrance):
                connection = entrance.begin(transport, self._address, asked)
        if asked is not None and connection is not None:
            hand_over(transport, connection)
            data = asked.rest
        else:
            connection = self._site.channel(self._address)
            connection.patience = patience
            hand_over(transport, connection)
            connection.makeConnection(transport)
        if data:
            connection.dataReceived(data)

    def late(self) -> None:
        """Drop the connection: nothing came in time."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._site.heard(self)


class Channel(http.HTTPChannel):
    """A connection on which each request has `HEAD` seconds to come in, however it trickles."""

    transport: Any
    successor: Any = None
    """The protocol that has taken the connection over."""
    patience = HEAD
    """How many seconds the first request has."""
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        if descriptors_left(self.transport) < SPARE // 2:
            self.transport.abortConnection()
        self._expect(self.patience)

    def dataReceived(self, data: bytes) -> None:
        if self._deadline is None and not self._handlingRequest:
            self._expect()
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        self._cancel()
        super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:
        # What came along with the request that was its last.
        if self.successor is not None:
            self.successor.dataReceived(data)
        else:
            super().rawDataReceived(data)

    def timeoutConnection(self) -> None:
        self.transport.loseConnection()
        self._expect()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel()
        super().connectionLost(reason)

    def _expect(self, seconds: float = HEAD) -> None:
        self._cancel()
        self._deadline = self.callLater(seconds, self._late)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self.transport.abortConnection()


class Site(server.Site):
    """The web site below *root*, for any number of listening ports. It keeps no access log."""

    noisy = False
    protocol: Any = Channel
    requestFactory = Request

    def __init__(self, root: IResource, reactor: IReactorTime) -> None:
        super().__init__(root, reactor=reactor, parsePOSTFormSubmission=False)
        self._clock = reactor
        # In the order of their deadlines.
        self._silent: dict[Front, float] = {}
        self._due: IDelayedCall | None = None

    def buildProtocol(self, addr: Any) -> Any:
        return Front(self, addr) if FAST else self.channel(addr)

    def channel(self, address: IAddress) -> Channel:
        """Return the protocol of a connection from *address* that speaks HTTP."""
        channel: Channel = super().buildProtocol(address)
        return channel

    def expect(self, front: Front) -> None:
        """Have *front* dropped if nothing is `heard` of it in time."""
        self._silent[front] = self._clock.seconds() + HEAD
        if self._due is None:
            self._due = self._clock.callLater(HEAD, self._drop)

    def heard(self, front: Front) -> float:
        """Return how many seconds *front* still had, and forget it."""
        return max(0.0, self._silent.pop(front, 0.0) - self._clock.seconds())

    def _drop(self) -> None:
        self._due = None
        now = self._clock.seconds()
        while self._silent:
            front, deadline = next(iter(self._silent.items()))
            if deadline > now:
                self._due = self._clock.callLater(deadline - now, self._drop)
                return
            del self._silent[front]
            front.late()

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]

    def log(self, request: http.Request) -> None:
        """Write nothing: a URL holds names and tokens."""


def hand_over(transport: Any, protocol: Any) -> None:
    """Have *protocol* told from now on what happens on *transport*."""
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol


def descriptors_left(transport: object) -> int:
    """Return about how many file descriptors there are beyond that of *transport*, the newest."""
    fileno = getattr(transport, "fileno", None)
    if fileno is None:
        return SPARE
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left: int = SPARE if soft == resource.RLIM_INFINITY else soft - fileno()
    return left
