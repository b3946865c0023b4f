"""IRC over WebSocket (IRCv3 websocket): each message is a line, without a line break."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from chatroom.answers import Places
from chatroom.events import Close
from chatroom.fast import Opening
from chatroom.frames import frame
from chatroom.hardened import Hardened, HardenedFactory, Upgrade, ours
from chatroom.irc.connection import Connection
from chatroom.irc.lines import LONGEST, cut
from chatroom.irc.network import Network
from chatroom.irc.tongue import Framed
from chatroom.irc.verbs import VERBS

TEXT = "text.ircv3.net"
BINARY = "binary.ircv3.net"
MESSAGE = 65_536
"""The most bytes of one message that comes in, as at the room's own door; its lines are shorter."""
AGREED = 1000
"""The close code of an end that was wished for (RFC 6455, section 7.4.1)."""


LINES = 10
"""More lines than so many in one message are not told apart."""


def text(line: bytes) -> bytes:
    """Return *line* as a text frame."""
    return frame(0x81, line)


def binary(line: bytes) -> bytes:
    """Return *line* as a binary frame."""
    return frame(0x82, line)


def chosen(offered: Sequence[str]) -> str:
    """Return which of the subprotocols *offered* is spoken: the first that is known, or none."""
    return next((name for name in offered if name in (TEXT, BINARY)), "")


@implementer(IPushProducer)
class IrcSocket(Hardened):
    """One connection: frames → lines, and back."""

    factory: IrcSocketFactory
    speaks = TEXT
    connection: Connection | None = None
    address: str | None = None
    _framed: tuple[Framed]

    def agreed(self) -> dict[str, object]:
        # In a tuple, for on a class a function would become a method.
        return {"_framed": (binary if self.websocket_protocol_in_use == BINARY else text,)}

    def onConnect(self, request: ConnectionRequest) -> str | None:
        super().onConnect(request)
        return chosen(request.protocols) or None

    @ours
    def opened(self, params: dict[str, list[str]], who: str) -> None:
        super().opened(params, who)
        self.address = who
        self.factory.places.take(who)
        self.transport.registerProducer(self, True)
        self.connection = Connection(self.factory.network, self, VERBS)

    def received(self, payload: bytes, binary: bool) -> None:
        if self.connection is not None:
            # A message is one line (IRCv3), though there are clients that send a few.
            lines = (
                payload.split(b"\n", LINES - 1)
                if len(payload) <= LONGEST
                else [payload[: LONGEST + 1]]
            )
            self.connection.receive(lines)

    @ours
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        if self.address is not None:
            self.factory.places.leave(self.address)
            self.address = None
        if self.connection is not None:
            # Who closes without giving a code (1005) means it as much as who gives 1000.
            meant = wasClean and not self.closedByMe and self.remoteCloseCode in (None, AGREED)
            self.connection.lost(clean=meant)
            self.connection = None

    # For the connection.

    @property
    def framed(self) -> Framed:
        """What makes frames of lines here."""
        return self._framed[0]

    def write(self, data: bytes) -> None:
        if self.state == self.STATE_OPEN:
            self.transport.write(data)

    def hold(self, on: bool) -> None:
        if on:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def leave(self, code: Close | None, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            # Its answer must come in.
            self.transport.resumeProducing()
            meant = AGREED if code is None else int(code)
            self.sendCloseFrame(code=meant, reasonUtf8=cut(reason, 100))

    # For the transport.

    @ours
    def pauseProducing(self) -> None:
        """Take no more, neither from the room nor from the peer: it does not read."""
        if self.connection is not None:
            self.connection.pause()

    @ours
    def resumeProducing(self) -> None:
        """Go on: all that was written has gone."""
        if self.connection is not None:
            self.connection.resume()

    def stopProducing(self) -> None:
        """Nothing to do: `onClose` is what follows."""


class IrcSocketFactory(HardenedFactory):
    """Makes the connections to *network*, for which there are *places*."""

    protocol = IrcSocket

    def __init__(self, network: Network, places: Places, **heartbeat: float) -> None:
        super().__init__(network.clock, MESSAGE, **heartbeat)
        self.network = network
        self.places = places

    def begin(
        self, transport: Any, asked: Opening, params: dict[str, list[str]], who: str
    ) -> Hardened:
        mold = self._mold(asked.compression, chosen(asked.protocols))
        connection: Hardened = mold.open(transport, asked.key)
        connection.opened(params, who)
        return connection


class IrcUpgrade(Upgrade):
    """Where such a connection begins: at most so many, in all and from one address."""

    factory: IrcSocketFactory

    def refused(
        self, params: dict[str, list[str]], who: str, transport: object
    ) -> tuple[int, str] | None:
        refusal = self.factory.places.refused(who)
        if refusal is not None:
            return refusal.status, refusal.words
        return super().refused(params, who, transport)
