"""The way to the server, and why it may not be open."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet import defer, error, ssl
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from zope.interface import implementer

from chatroom.load.options import Options
from chatroom.load.wire import printable


def endpoint(reactor: Any, options: Options) -> IStreamClientEndpoint:
    """Return where to connect to."""
    found = Address(reactor, options.host, options.port)
    if not options.secure:
        return found
    trust: Any = Unverified if options["insecure"] else ssl.optionsForClientTLS
    secured: IStreamClientEndpoint = wrapClientTLS(trust(options.host), found)
    return secured


def explained(failed: Exception) -> str:
    """Return in one line why a connection could not be opened."""
    if isinstance(failed, SSL.Error) and failed.args and failed.args[0]:
        return "TLS: " + "; ".join(reason for *_, reason in failed.args[0])
    if isinstance(failed, (error.TimeoutError, defer.TimeoutError)):
        return "no answer in time"
    if isinstance(failed, error.ConnectionDone):
        return "the server hung up"
    return printable(" ".join(str(failed).split()).rstrip(".")) or type(failed).__name__


@implementer(IStreamClientEndpoint)
class Address:
    """The server at *host* and *port*: asked for by name once, then where it was found."""

    def __init__(self, reactor: Any, host: str, port: int) -> None:
        self._reactor = reactor
        self._endpoint: Any = HostnameEndpoint(reactor, host, port)
        self._found = False

    def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
        connecting: defer.Deferred[Any] = self._endpoint.connect(protocolFactory)
        return connecting if self._found else connecting.addCallback(self._find)

    def _find(self, protocol: Any) -> Any:
        self._found = True
        peer = protocol.transport.getPeer()
        kind = TCP6ClientEndpoint if ":" in peer.host else TCP4ClientEndpoint
        self._endpoint = kind(self._reactor, peer.host, peer.port)
        return protocol


@implementer(IOpenSSLClientConnectionCreator)
class Unverified:
    """TLS with whoever answers at *host*."""

    def __init__(self, host: str) -> None:
        self._host = host.encode("idna")
        self._context = ssl.CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._host)
        return connection
