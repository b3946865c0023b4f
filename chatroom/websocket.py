"""The room's own door: JSON over WebSocket (RFC 6455), and an echo to try a client with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from chatroom.answers import Places
from chatroom.chat import Chat, Session
from chatroom.commands import LOBBY, decode
from chatroom.events import Batch, Close, Event
from chatroom.fast import Direct, compiled
from chatroom.frames import deflating, plain
from chatroom.hardened import Hardened, HardenedFactory, ours
from chatroom.log import Unavailable
from chatroom.names import BadName

PROTOCOL = "chat.v1"
"""The subprotocol that is selected when offered."""
MESSAGE = 65_536
"""The most bytes of one message that comes in to the room."""
ECHO = 32 * 2**20
"""The same for the echo."""


class EchoProtocol(Hardened):
    """Sends back what it gets."""

    speaks = "echo-protocol"

    def received(self, payload: bytes, binary: bool) -> None:
        self.sendMessage(payload, binary)


@implementer(IPushProducer)
class ChatProtocol(Hardened):
    """One connection to the room: frames → `Session.receive`, events → frames."""

    factory: ChatFactory
    speaks = PROTOCOL
    session: Session | None = None
    address: str | None = None
    _encode: tuple[Callable[[Sequence[Event]], bytes]]
    _begun = False

    def agreed(self) -> dict[str, object]:
        compress = self._perMessageCompress
        # In a tuple, for on a class a function would become a method.
        return {"_encode": (deflating(compress.server_max_window_bits) if compress else plain,)}

    @ours
    def opened(self, params: dict[str, list[str]], who: str) -> None:
        super().opened(params, who)
        self.address = who
        self.factory.places.take(who)
        self.transport.registerProducer(self, True)
        send: Callable[[Batch], None] = self.send
        if compiled is not None and isinstance(self.transport, Direct):
            send = self.transport.outlet = compiled.Outlet(send, self._encode[0])
        said = {name: values[-1] for name, values in params.items()}
        after = said.get("after", "")
        try:
            self.session = self.factory.chat.connect(
                send, self.end, said.get("name"), said.get("token")
            )
            self.session.enter(
                said.get("room", LOBBY),
                int(after) if re.fullmatch("[0-9]{1,16}", after) else None,
                said.get("epoch"),
            )
        except Unavailable:
            self.end(Close.TRY_AGAIN, "the store cannot be read now")
        except BadName as error:
            self.end(Close.POLICY, str(error))

    def received(self, payload: bytes, binary: bool) -> None:
        if binary:
            self.end(Close.UNSUPPORTED, "this is a text protocol")
        elif self.session is not None:
            if not self._begun:
                # Until the room has said something nothing more is read, so that nothing piles up.
                self.transport.pauseProducing()
            self.session.receive(decode(payload))

    @ours
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        if self.address is not None:
            self.factory.places.leave(self.address)
        if self.session is not None:
            # Who closes without giving a code (1005) means it as much as who gives 1000.
            meant = wasClean and not self.closedByMe and self.remoteCloseCode in (None, 1000)
            self.session.close(clean=meant)
            # It knows how to send, and so holds this.
            self.session = None

    def send(self, batch: Batch, sent: int = 0) -> None:
        """
        Write *batch*, encoded once for all connections like this one.

        What an outlet has left of it comes here: *sent* bytes went, or -1 if there was a reset.
        """
        if sent < 0:
            self.transport.reset()
            sent = 0
        if self.state == self.STATE_OPEN:
            if not self._begun:
                self._begun = True
                self.transport.resumeProducing()
            self.transport.write(batch.encoded(self._encode[0])[sent:])
            if isinstance(self.transport, Direct):
                self.transport.reopen()

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


class ChatFactory(HardenedFactory):
    """Makes the connections to the room; through its *chat* it tracks users and history."""

    protocol = ChatProtocol

    def __init__(
        self, chat: Chat, places: Places, reactor: IReactorTime, **heartbeat: float
    ) -> None:
        # JSON may spell a character outside the BMP in twelve bytes.
        self.message = max(MESSAGE, 12 * chat.limits.message + 1024)
        """The most bytes of one message that comes in."""
        super().__init__(reactor, self.message, **heartbeat)
        self.chat = chat
        self.places = places


class EchoFactory(HardenedFactory):
    """Makes connections that echo, under the same conditions as the room but for the size."""

    protocol = EchoProtocol

    def __init__(self, reactor: IReactorTime, **heartbeat: float) -> None:
        super().__init__(reactor, ECHO, **heartbeat)
