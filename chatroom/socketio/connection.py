"""One connection and the namespaces that it is in (`Connection`), and its `Seat` in each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.interfaces import IReactorTime

from chatroom.engineio import Socket
from chatroom.engineio.deadlines import Deadlines
from chatroom.events import Close
from chatroom.limits import TokenBucket
from chatroom.socketio import codec
from chatroom.socketio.codec import MAIN, BadPacket, Kind, Packet

PATIENCE = 20.0
"""So many seconds a connection may be in no namespace."""
ENTRIES = 10
"""So many times a connection may enter namespaces at once, and once more every ten seconds."""
PACKET = 65_536
"""The most bytes of the attachments of one packet."""


class Seat:
    """What one *connection* has to do with one *namespace*."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection = connection
        self.socket = connection.socket
        self.namespace = namespace

    # What each namespace does in its own way.

    def enter(self, wishes: Mapping[str, Any]) -> None:
        """`accept` who comes with *wishes*, now or later, or `refuse` them."""
        raise NotImplementedError

    def event(self, packet: Packet) -> None:
        """Take an event."""
        raise NotImplementedError

    def pause(self) -> None:
        """Send little until `resume`: the peer does not read."""

    def resume(self) -> None:
        """Go on: the peer has read."""

    def left(self, clean: bool) -> None:
        """End: this is called once. *clean*: the peer meant to leave."""

    # What it sends.

    def accept(self, **members: str) -> None:
        """Let the peer in; from revision 5 on *members* tell them, for one, what their ``sid`` is."""
        self.socket.send(codec.connect(self.namespace, **members if self.recent else {}))

    def refuse(self, code: str, words: str) -> None:
        """Do not let the peer in, because of what *code* says to programs and *words* to people."""
        reason = {"code": code, "message": words}
        told = {"message": words, "data": reason} if self.recent else reason
        self.socket.send(codec.refuse(self.namespace, told))
        self.connection.forget(self)

    def emit(self, name: str, *values: Any) -> None:
        """Send the event *name* with *values*."""
        self.socket.send(*codec.event(self.namespace, name, *values))

    def ack(self, id: int, *values: Any) -> None:
        """Answer the event *id* with *values*."""
        self.socket.send(*codec.ack(self.namespace, id, *values))

    def end(self, code: Close, reason: str) -> None:
        """Have the connection ended."""
        if code == Close.POLICY:
            # Who is sent away does not come back by itself; who loses a connection does.
            self.socket.send(codec.disconnect(self.namespace))
        self.socket.close(code, reason)

    @property
    def recent(self) -> bool:
        """Whether the peer speaks revision 5 of the protocol."""
        return self.socket.version > 3


class Connection:
    """The namespaces that are behind one *socket*: all of *offered* that the peer has entered."""

    def __init__(
        self,
        socket: Socket,
        offered: Offered,
        idle: Deadlines[Connection],
        clock: IReactorTime,
    ) -> None:
        self.socket = socket
        self._offered = offered
        self._idle = idle
        self._clock = clock
        # Whoever enters is somebody new, to whom no limit applies yet.
        self._entries = TokenBucket(0.1, ENTRIES)
        self._seats: dict[str, Seat] = {}
        self._packet: tuple[Packet, int] | None = None
        """A packet that is not whole, and how many attachments it has in all."""
        idle.expect(self)
        if socket.version == 3:
            # Revision 4: one has entered the main namespace without saying so.
            self._enter(MAIN, {})

    def received(self, message: str | bytes) -> None:
        """Take one message of Engine.IO."""
        try:
            self._take(message)
        except BadPacket as error:
            self.socket.close(Close.POLICY, f"no packet of Socket.IO: {error}"[:120])

    def pause(self) -> None:
        """Have all seats send little."""
        for seat in list(self._seats.values()):
            seat.pause()

    def resume(self) -> None:
        """Have all seats go on."""
        for seat in list(self._seats.values()):
            seat.resume()

    def close(self, clean: bool) -> None:
        """End: the socket is closed. *clean*: the peer meant it."""
        seats, self._seats = self._seats, {}
        for seat in seats.values():
            seat.left(clean)
        self._idle.forget(self)

    def forget(self, seat: Seat) -> None:
        """Let the peer be in the namespace of *seat* no more."""
        if self._seats.get(seat.namespace) is seat:
            del self._seats[seat.namespace]
            seat.left(True)
        if not self._seats:
            self._idle.expect(self)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if self._packet is None:
                raise BadPacket("binary data belongs to nothing")
            packet, count = self._packet
            packet.attachments = [*packet.attachments, message]
            if sum(map(len, packet.attachments)) > PACKET:
                self.socket.close(Close.TOO_BIG, "the attachments are too large")
                return
        else:
            if self._packet is not None:
                raise BadPacket("there is an attachment missing")
            packet, count = codec.decode(message)
        if len(packet.attachments) < count:
            self._packet = packet, count
        else:
            self._packet = None
            self._dispatch(packet)

    def _dispatch(self, packet: Packet) -> None:
        name, wishes = packet.namespace, {}
        if packet.kind == Kind.CONNECT:
            if self.socket.version == 3:
                name, _, query = name.partition("?")
                wishes = _last(parse_qs(query))
            else:
                wishes = packet.object()
        seat = self._seats.get(name)
        if packet.kind == Kind.CONNECT and seat is None:
            self._enter(name, wishes)
        elif seat is None or packet.kind in (Kind.CONNECT, Kind.CONNECT_ERROR):
            raise BadPacket("not now")
        elif packet.kind == Kind.EVENT:
            seat.event(packet)
        elif packet.kind == Kind.DISCONNECT:
            self.forget(seat)

    def _enter(self, name: str, wishes: Mapping[str, Any]) -> None:
        if self._entries.take(self._clock.seconds()):
            self.socket.close(Close.POLICY, "too many namespaces were entered")
            return
        make = self._offered.get(name)
        if make is None:
            # In the words of the reference, which programs compare.
            words = "Invalid namespace"
            reason = words if self.socket.version == 3 else {"message": words}
            self.socket.send(codec.refuse(name, reason))
            return
        self._idle.forget(self)
        seat = self._seats[name] = make(self, name)
        seat.enter({**_last(self.socket.query), **wishes})


Offered = Mapping[str, Callable[[Connection, str], Seat]]
"""What makes a seat in each namespace, by its name."""


class Connections:
    """
    All connections, as Engine.IO's application: who is behind one enters namespaces of *offered*.

    Who is in none for *patience* seconds has to go.
    """

    def __init__(self, offered: Offered, clock: IReactorTime, patience: float = PATIENCE) -> None:
        self._offered = offered
        self._clock = clock
        self._idle: Deadlines[Connection] = Deadlines(clock, patience, _idled)

    def opened(self, socket: Socket) -> None:
        """Begin with *socket*."""
        socket.data = Connection(socket, self._offered, self._idle, self._clock)

    def received(self, socket: Socket, message: str | bytes) -> None:
        """Take *message* of *socket*."""
        socket.data.received(message)

    def paused(self, socket: Socket) -> None:
        """Send little to *socket* for now."""
        socket.data.pause()

    def resumed(self, socket: Socket) -> None:
        """Go on with *socket*."""
        socket.data.resume()

    def closed(self, socket: Socket, clean: bool) -> None:
        """End with *socket*; *clean*: the peer meant it."""
        socket.data.close(clean)
        # Each knows the other, and the garbage collector is not to be waited for.
        socket.data = None


def _idled(connection: Connection) -> None:
    connection.socket.close(Close.POLICY, "no namespace was entered")


def _last(query: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the last value of each parameter."""
    return {name: values[-1] for name, values in query.items()}
