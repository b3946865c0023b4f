"""How the events of a hook are posted to where it leads, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.error import ConnectError, ConnectionRefusedError, DNSLookupError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS

from chatroom import __version__
from chatroom.hooks.address import PublicReactor
from chatroom.hooks.file import Outgoing
from chatroom.hooks.signing import signed
from chatroom.hooks.ways import Verbatim, Ways, Whole

ANSWER = 20.0
"""So many seconds it may take until there is an answer, with the connection that must be made, …"""
REST = 5.0
"""… and so many more until the end of its body."""
IDLE = 2
"""So many seconds a connection is kept for the next event: fewer than receivers keep it."""
LOST = "the connection is lost, or there is no HTTP"


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
        self._closed = False
        self._ways = Ways(reactor if hook.private else PublicReactor(reactor), policy)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = 1
        self._pool.cachedConnectionTimeout = IDLE
        self._pool.retryAutomatically = False
        self._agent = Verbatim(Agent.usingEndpointFactory(reactor, self._ways, self._pool))

    async def post(self, id: str, body: bytes) -> Answer:
        """Post *body*, the event *id*."""
        connections = self._ways.made
        answer = await self._post(id, body)
        if answer.trouble == LOST and self._ways.made == connections and not self._closed:
            # The receiver has closed the one that was kept. Some do after each answer.
            answer = await self._post(id, body)
        return answer

    async def _post(self, id: str, body: bytes) -> Answer:
        headers = Headers(signed(self._hook.key, id, int(self._wall()), body))
        headers.addRawHeader("Content-Type", "application/json")
        headers.addRawHeader("User-Agent", f"chatroom/{__version__}")
        # One client would keep cookies.
        client = HTTPClient(self._agent, data_to_body_producer=Whole)
        try:
            posted = client.post(
                self._hook.url,
                headers=headers,
                data=body,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
            )
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
        retry = re.fullmatch(
            b"[0-9]{1,6}", response.headers.getRawHeaders(b"retry-after", [b""])[0]
        )
        return Answer(
            f"the answer is {response.code}",
            gone=response.code == 410,
            retry=float(retry[0]) if retry else 0.0,
        )

    def close(self) -> None:
        """End the connection, if there is one, and what is being posted."""
        self._closed = True
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
            return LOST
        return f"a {type(error).__name__}"


class _Unread(Protocol):
    """The body of an answer; *ended* fires with it."""

    def __init__(self, ended: Deferred[None]) -> None:
        self._ended = ended

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended.callback(None)


def _late(result: object, seconds: float) -> NoReturn:
    raise Late
