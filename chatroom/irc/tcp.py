"""IRC over a stream: TCP, TLS, or a UNIX socket."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatroom.answers import Places, address
from chatroom.events import Close
from chatroom.hardened import LINGER
from chatroom.heartbeat import Heartbeat
from chatroom.irc.connection import Connection
from chatroom.irc.lines import LONGEST
from chatroom.irc.network import Network
from chatroom.irc.tongue import Framed
from chatroom.irc.verbs import VERBS
from chatroom.site import SPARE, descriptors_left

PING = b"PING :alive?\r\n"


def ended(line: bytes) -> bytes:
    """Return *line* with its end."""
    return line + b"\r\n"


@implementer(IPushProducer)
class IrcProtocol(Protocol):
    """One connection: bytes → lines, and back."""

    transport: Any
    factory: IrcFactory
    slot = 0
    _begun = b""
    _skipping = False
    _left = False
    _lingering: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._who = address(self.transport.getPeer(), None)
        network, places = self.factory.network, self.factory.places
        self._connection = Connection(network, self, VERBS)
        refusal = places.refused(self._who)
        # It is counted, refused or not, for it is there until it has gone.
        places.take(self._who)
        self.factory.connections.join(self)
        self.transport.registerProducer(self, True)
        if refusal is not None or descriptors_left(self.transport) < SPARE:
            words = "the server is full" if refusal is None else refusal.words
            self._connection.end(Close.TRY_AGAIN, words)

    def dataReceived(self, data: bytes) -> None:
        if self._left:
            return
        # Whatever comes is a sign of life; a PONG may be behind what takes its time.
        self.factory.connections.heard(self)
        *lines, self._begun = (self._begun + data).split(b"\n")
        if self._skipping and lines:
            # The end of what was too long.
            del lines[0]
            self._skipping = False
        if self._skipping:
            self._connection.grumble()
            self._begun = b""
        elif len(self._begun) > LONGEST:
            # As a line that is too long, which is what it will be.
            lines.append(self._begun)
            self._begun = b""
            self._skipping = True
        self._connection.receive(lines)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._left = True
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        self.factory.gone(self)
        self.factory.places.leave(self._who)
        self._connection.lost()

    # For the connection.

    @property
    def framed(self) -> Framed:
        """What makes lines here."""
        return ended

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def hold(self, on: bool) -> None:
        if on:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def leave(self, code: Close | None, reason: str) -> None:
        self._left = True
        self.factory.connections.leave(self)
        # What still comes in is thrown away: unread, it would have the peer lose what it was told.
        self.transport.resumeProducing()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._lingering = self.factory.network.clock.callLater(
            LINGER, self.transport.abortConnection
        )

    # For the transport.

    def pauseProducing(self) -> None:
        self._connection.pause()

    def resumeProducing(self) -> None:
        self._connection.resume()

    def stopProducing(self) -> None:
        """Nothing to do: `connectionLost` is what follows."""

    def bye(self) -> None:
        """End, for the server stops."""
        self._connection.end(Close.RESTART, "the server is stopping; come back soon")

    # For the heartbeat.

    def ask(self) -> None:
        self.transport.write(PING)

    def lapse(self) -> None:
        self._connection.end(Close.POLICY, "no sign of life")
        self.transport.abortConnection()


class IrcFactory(Factory):
    """
    Makes the connections to *network*.

    *places* are those that there are for connections; *ping* and *ping_timeout* are the seconds of
    the heartbeat, 0 for never.
    """

    protocol: Any = IrcProtocol
    noisy = False

    def __init__(
        self, network: Network, places: Places, *, ping: float = 25.0, ping_timeout: float = 20.0
    ) -> None:
        self.network = network
        self.places = places
        self.connections = Heartbeat[IrcProtocol](network.clock, ping, ping_timeout)
        self._going: set[IrcProtocol] = set()
        self._farewell: Deferred[None] = Deferred()

    def gone(self, connection: IrcProtocol) -> None:
        """Forget *connection*."""
        self.connections.leave(connection)
        if connection in self._going:
            self._going.remove(connection)
            if not self._going:
                self._farewell.callback(None)

    def farewell(self) -> Deferred[None]:
        """End all connections; fires when they are gone, after two seconds at most."""
        self._going = set(self.connections)
        for connection in list(self._going):
            connection.bye()
        return self._farewell if self._going else succeed(None)
