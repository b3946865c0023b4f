"""How the events of a hook are posted to where it leads, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import IConsumer, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
)
from zope.interface import implementer

from chatroom import __version__
from chatroom.hooks.address import PublicReactor
from chatroom.hooks.file import Outgoing
from chatroom.hooks.signing import signed

CONNECT = 10.0
"""So many seconds a connection may take to be made."""
ANSWER = 20.0
"""So many seconds it may take in all until there is an answer, …"""
REST = 5.0
"""… so many more until the end of its body, …"""
MOST = 2**14
"""… and so many bytes it may have."""
IDLE = 2
"""So many seconds a connection is kept for the next event: fewer than receivers keep it."""


class Answer(NamedTuple):
    """
    What has come of a post: what *trouble* there was, if any.

    *gone*: the receiver wants no more. *retry*: after so many seconds it wants to be asked again.
    """

    trouble: str | None = None
    gone: bool = False
    retry: float = 0.0


class Receiver:
    """
    Where *hook* leads, over connections of *reactor*; *wall* gives seconds since 1970.

    No redirects are followed, and certificates are verified by *policy*. An address that is not
    public is connected to only if the hook allows it, whatever its name stood for before.
    """

    def __init__(
        self,
        hook: Outgoing,
        reactor: Any,
        wall: Callable[[], float],
        policy: IPolicyForHTTPS,
    ) -> None:
        self._hook = hook
        self._reactor = reactor
        self._wall = wall
        self._ways = Ways(reactor if hook.private else PublicReactor(reactor), policy)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = 1
        self._pool.cachedConnectionTimeout = IDLE
        self._pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(reactor, self._ways, self._pool)
        self._url = hook.url.encode("ascii")

    async def post(self, id: str, body: bytes) -> Answer:
        """Post *body*, the event *id*."""
        headers = Headers(
            {
                "Content-Type": ["application/json"],
                "User-Agent": [f"chatroom/{__version__}"],
            }
        )
        for name, value in signed(self._hook.key, id, int(self._wall()), body).items():
            headers.addRawHeader(name, value)
        try:
            posted = self._agent.request(b"POST", self._url, headers, Whole(body))
            response = await posted.addTimeout(ANSWER, self._reactor, _late)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again)
            return Answer(self._words(error))
        ended: Deferred[None] = Deferred()
        response.deliverBody(_Unread(ended))
        try:
            await ended.addTimeout(REST, self._reactor)
        except Late:
            self._ways.abort()
        if 200 <= response.code < 300:
            return Answer()
        retry = re.fullmatch("[0-9]{1,6}", response.headers.getRawHeaders("retry-after", [""])[0])
        return Answer(
            f"the answer is {response.code}",
            gone=response.code == 410,
            retry=float(retry[0]) if retry else 0.0,
        )

    def close(self) -> None:
        """End the connection, if there is one."""
        self._pool.closeCachedConnections()
        self._ways.abort()

    def _words(self, error: Exception) -> str:
        """Return what *error* is, in words without anything that came from elsewhere."""
        # Where something was sent, Twisted wraps what went wrong.
        reasons = getattr(error, "reasons", None)
        for reason in reasons or [Failure(error)]:
            if reason.check(SSL.Error, VerificationError):
                return "TLS fails: is its certificate good for its name?"
        if isinstance(error, DNSLookupError):
            public = "" if self._hook.private else "public "
            return f"its name has no {public}address"
        if isinstance(error, ConnectionRefusedError):
            return "the connection is refused"
        if isinstance(error, ConnectError):
            return "there is no connection"
        if isinstance(error, Late):
            return "there is no answer in time"
        if reasons is not None:
            return "the connection is lost, or there is no HTTP"
        return f"a {type(error).__name__}"


@implementer(IAgentEndpointFactory)
class Ways:
    """The ways that *reactor* has to where a URL leads, where need be over TLS by *policy*."""

    def __init__(self, reactor: Any, policy: IPolicyForHTTPS) -> None:
        self._reactor = reactor
        self._policy = policy
        self._last: Bounded | None = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return the way to *uri*."""
        way: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, uri.host, uri.port, timeout=CONNECT
        )
        if uri.scheme == b"https":
            way = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), way)
        return Way(way, self._made)

    def abort(self) -> None:
        """End the connection that was made last."""
        if self._last is not None:
            self._last.abort()

    def _made(self, connection: Bounded) -> None:
        self._last = connection


@implementer(IStreamClientEndpoint)
class Way:
    """The *way* to a receiver; *made* is told of a connection, which is bounded."""

    def __init__(self, way: IStreamClientEndpoint, made: Callable[[Bounded], None]) -> None:
        self._way = way
        self._made = made

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect a protocol of *factory*."""
        bounding = WrappingFactory(factory)
        bounding.protocol = Bounded

        def connected(connection: Any) -> Any:
            self._made(connection)
            return connection.wrappedProtocol

        connecting: Deferred[Any] = self._way.connect(bounding)
        return connecting.addCallback(connected)


class Bounded(ProtocolWrapper):
    """A connection that is aborted when more than `MOST` bytes come since something was sent."""

    transport: Any
    _left = MOST
    _lost = False

    def abort(self) -> None:
        """End it at once, unless it has ended."""
        if not self._lost:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        super().connectionLost(reason)

    def write(self, data: bytes) -> None:
        self._left = MOST
        super().write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self._left = MOST
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        # As far as it goes, for an answer counts from its first lines on.
        super().dataReceived(data[: max(0, self._left)])
        self._left -= len(data)
        if self._left < 0:
            self.abort()


@implementer(IBodyProducer)
class Whole:
    """A *body* that is there."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Give all to *consumer*."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing: it is all given."""

    resumeProducing = stopProducing = pauseProducing


class _Unread(Protocol):
    """The body of an answer; *ended* fires with it."""

    def __init__(self, ended: Deferred[None]) -> None:
        self._ended = ended

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended.callback(None)


def _late(result: object, seconds: float) -> None:
    raise Late
