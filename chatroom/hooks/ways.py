"""How a receiver is reached over HTTP, with as much trust in it as it takes and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

CONNECT = 10.0
"""So many seconds a connection may take to be made."""
MOST = 2**14
"""So many bytes an answer may have."""


@implementer(IAgentEndpointFactory)
class Ways:
    """The ways that *reactor* has to where a URL leads, where need be over TLS by *policy*."""

    def __init__(self, reactor: Any, policy: IPolicyForHTTPS) -> None:
        self._reactor = reactor
        self._policy = policy
        self.made = 0
        """How many connections there have been."""
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
        self.made += 1
        self._last = connection


@implementer(IStreamClientEndpoint)
class Way:
    """The *way* to a receiver; *made* is told of a connection, which is bounded."""

    def __init__(self, way: IStreamClientEndpoint, made: Callable[[Bounded], None]) -> None:
        self._way = way
        self._made = made

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect a protocol of *factory*."""
        bounding = WrappingFactory(factory)
        bounding.protocol = Bounded
        # Both would log each connection.
        bounding.noisy = factory.noisy = False

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


@implementer(IAgent)
class Verbatim:
    """*agent*, from whose answers nothing is unpacked: it may be large then, or a mess."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Do as the agent does."""
        assert headers is not None
        headers.removeHeader("accept-encoding")
        answered = self._agent.request(method, uri, headers, bodyProducer)
        return answered.addCallback(self._packed)

    def _packed(self, response: IResponse) -> IResponse:
        response.headers.removeHeader("content-encoding")
        return response


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
