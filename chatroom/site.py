"""One port for all of it: connections from their first byte on, and how long they may be silent."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes as unquote

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource, Resource

from chatroom.fast import FAST, Opening, opening

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""What goes with every answer."""
HEAD = 10.0
"""In so many seconds a request must have come in, but for a body that somebody wants."""
PACE = 30.0
"""Of such a body …"""
LEAST = 2**15
"""… at least so many bytes must come in every `PACE` seconds."""
LINGER = 5.0
"""So many seconds what is still on its way is thrown away, after an answer that came early."""
TAKE = 120.0
"""So many seconds a peer has to take what waits to be written; it is all of it that counts."""
SPARE = 64
"""So many file descriptors are kept free of WebSocket connections, and half as many of any."""


class Nothing:
    """The body of a request that nobody reads, so that none is kept."""

    wanted = False
    """Whether the answer waits until all of it is there."""

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


class Body(Nothing):
    """The body of *request*, of at most *limit* bytes: *data*."""

    wanted = True

    def __init__(self, request: Request, limit: int) -> None:
        self.too_large = False
        """Whether there was more; then *data* is nothing."""
        self.data = b""
        self._request = request
        self._limit = limit
        # Not as it came: a thousand bytes in as many pieces would take fifty times as much.
        self._come = bytearray()

    def write(self, data: bytes) -> int:
        if not self.too_large:
            self._come += data
            if len(self._come) > self._limit:
                self.too_large = True
                self._come.clear()
                self._request.hurry()
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        # That all has come is said by going back to its beginning.
        self.data = bytes(self._come)
        return 0


class Intake(Resource):
    """What wants the bodies of requests, while they come in."""

    isLeaf = True

    def admit(self, request: Request, length: int | None) -> Nothing:
        """
        Return what takes the body of *request*, of *length* bytes or as many as come.

        Its ``write`` gets what comes in; ``close`` is called once when the request has ended, in
        whatever way. Meanwhile it is the request's ``content``, and while it is not *wanted* the
        request is answered at once.
        """
        raise NotImplementedError


class Request(server.Request):
    """A request whose answer has the security headers, and whose body goes to who wants it."""

    channel: Any = None
    """Nothing once the connection has gone, or the request has been answered."""

    def __repr__(self) -> str:
        # Twisted logs requests now and then, and a URL holds names and tokens.
        return f"<{type(self).__name__} at {id(self):#x}>"

    def gotLength(self, length: int | None) -> None:
        self.content = Nothing()
        # As they will be set once all has come in.
        self.method, self.uri = self.channel.asked
        path = unquote(self.uri.partition(b"?")[0].removeprefix(b"/").partition(b"/")[0])
        intake = self.channel.site.resource.children.get(path)
        if isinstance(intake, Intake):
            self.content = intake.admit(self, length)
            if self.content.wanted:
                self.channel.pace()
            elif length != 0:
                self.channel.skip_body()
                # Nobody need begin to send what nobody reads.
                self.requestHeaders.removeHeader(b"expect")

    def handleContentChunk(self, data: bytes) -> None:
        self.channel.came += len(data)
        super().handleContentChunk(data)

    def hold(self, on: bool) -> None:
        """Let no more of the body come in for now (*on*), or go on."""
        if self.channel is not None:
            self.channel.hold(on)

    def hurry(self) -> None:
        """Answer soon, whether the body is all there or not."""
        if self.channel is not None:
            self.channel.callLater(0, self._hurry)

    def _hurry(self) -> None:
        if self.channel is not None:
            self.channel.cut_body()

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
            name = asked.path[1:].partition(b"/")[0]
            entrance = self._site.resource.children.get(name)
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
    came = 0
    """How many bytes of a body have come in since that was last looked at."""
    _deadline: IDelayedCall | None = None
    _taking: IDelayedCall | None = None
    _held = False
    _unread = False
    _leaving = False
    _answered: http.Request | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        if descriptors_left(self.transport) < SPARE // 2:
            self.transport.abortConnection()
        self._expect(self.patience)

    def dataReceived(self, data: bytes) -> None:
        if self._deadline is None and not self._handlingRequest:
            self._expect()
        super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        try:
            good: bool = super().headerReceived(line)
        except ValueError:
            # A length of more digits than Python reads.
            good = self._failChooseTransferDecoder()
        return good

    def allContentReceived(self) -> None:
        self._cancel()
        super().allContentReceived()

    def rawDataReceived(self, data: bytes) -> None:
        # What came along with the request that was its last.
        if self.successor is not None:
            self.successor.dataReceived(data)
        elif not self._leaving:
            super().rawDataReceived(data)

    @property
    def asked(self) -> tuple[bytes, bytes]:
        """The method and the target of the request whose head has come in."""
        return self._command, self._path

    def pace(self) -> None:
        """Expect a body from now on, that may take its time as long as it comes."""
        self.came = 0
        self._expect(PACE, self._look)

    def hold(self, on: bool) -> None:
        """Read nothing for now (*on*), or go on."""
        if on and not self._held:
            self.transport.pauseProducing()
        elif self._held and not on:
            self.transport.resumeProducing()
        self._held = on

    def skip_body(self) -> None:
        """Have the request answered as if its body were empty, and the connection end with that."""
        self.length = 0
        self._unread = True
        self.persistent = False
        self.requests[-1].responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def cut_body(self) -> None:
        """Have the request answered that comes in, as if its body ended here."""
        if not self._handlingRequest:
            self.skip_body()
            self.allContentReceived()

    def requestDone(self, request: http.Request) -> None:
        # What was asked behind it waits until the answers to what was asked before have gone, and
        # until others have had their turn: a thousand requests may have come at once.
        if self.persistent and (self._waitingForTransport or self._buffer or self._dataBuffer):
            self._answered = request
            self.callLater(0, self._go_on)
        else:
            super().requestDone(request)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._taking is None:
            self._taking = self.callLater(TAKE, self._give_up)

    def resumeProducing(self) -> None:
        self._taken()
        super().resumeProducing()
        self._go_on()

    def _taken(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()

    def _give_up(self) -> None:
        self._taking = None
        self.transport.abortConnection()

    def _go_on(self) -> None:
        if self._answered is not None and not self._waitingForTransport:
            request, self._answered = self._answered, None
            super().requestDone(request)

    def loseConnection(self) -> None:
        if self._unread and not self._leaving:
            # A connection that is closed while data comes in is reset, and the answer may be lost.
            self._leaving = True
            self.hold(False)
            self._expect(LINGER, super().loseConnection)
        else:
            self._expect(TAKE)
            super().loseConnection()

    def timeoutConnection(self) -> None:
        self.transport.loseConnection()
        self._expect()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel()
        self._taken()
        if self._answered is not None:
            self.requests.remove(self._answered)
            self._answered = None
        super().connectionLost(reason)

    def _expect(self, seconds: float = HEAD, late: Callable[[], object] | None = None) -> None:
        self._cancel()
        self._deadline = self.callLater(
            seconds, partial(self._due, late or self.transport.abortConnection)
        )

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _due(self, late: Callable[[], object]) -> None:
        self._deadline = None
        late()

    def _look(self) -> None:
        # While it is held it is not the peer who is slow.
        if self._held or self.came >= LEAST:
            self.pace()
        else:
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
