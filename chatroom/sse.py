"""
``/rooms/NAME/events``: a room as Server-Sent Events (the HTML standard, section 9.2).

Each event has its name, its data as JSON, and where there is one the cursor as its id. For people
``docs/sse.md`` states the same.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from random import uniform
from typing import Any

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from chatroom.answers import Places, refused
from chatroom.chat import Chat, Session
from chatroom.events import Batch, Close, Event, cursor, encode
from chatroom.heartbeat import Heartbeat
from chatroom.listening import BACK, Listening, Wish, place
from chatroom.site import Request

BEAT = b":\n\n"
"""A comment, as a sign of life."""
NAMES = {"error": "problem"}
"""What is called otherwise here: a client has an ``error`` of its own, which means another thing."""


@implementer(IPushProducer)
class Stream:
    """One *request* that is told what happens in a room, until either side has enough."""

    slot = 0
    session: Session

    def __init__(self, door: Events, request: Request, who: str) -> None:
        self._door = door
        self._request = request
        self._who = who
        self.transport = request.channel.transport
        self._encode = door.chunked if request.clientproto == b"HTTP/1.1" else door.plain

    def begin(self) -> None:
        """Answer, and tell what the session says."""
        request, door = self._request, self._door
        door.places.take(self._who)
        door.streams.join(self)
        request.notifyFinish().addBoth(self._ended)
        request.setHeader("X-Accel-Buffering", "no")
        request.write(b"retry: %d\n\n" % (1000 * uniform(*BACK)))
        request.registerProducer(self, True)
        if door.timeout:
            give_up_after(self.transport, door.timeout)

    def send(self, batch: Batch) -> None:
        """Write *batch*, encoded once for all streams like this one."""
        # The request would make chunks of it once more.
        self.transport.write(batch.encoded(self._encode))

    def end(self, code: Close | None = None, reason: str = "") -> None:
        """End the answer; the client comes back, and goes on where it was if that can be."""
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """Take no more: the peer does not read."""
        self.session.pause()

    def resumeProducing(self) -> None:
        """Go on: all that was written has gone."""
        self._door.streams.heard(self)
        self.session.resume()

    def stopProducing(self) -> None:
        """Nothing to do: the end of the request is what follows."""

    def ask(self) -> None:
        """Write a sign of life; a peer that reads nothing has some time to go on."""
        if not self.session.paused:
            self._request.write(BEAT)
            self._door.streams.heard(self)

    def lapse(self) -> None:
        """Drop the connection: its peer has read nothing for too long."""
        self.transport.abortConnection()

    def _ended(self, reason: object) -> None:
        self._door.streams.leave(self)
        self._door.places.leave(self._who)
        self.session.close(clean=False)


class Events(Listening):
    """
    What happens in the rooms of *chat*, as streams of which each has one of *places*.

    *ping* is the seconds from one sign of life to the next, and *ping_timeout* those after which a
    peer is given up that takes nothing; 0 is never.
    """

    gives = "text/event-stream"
    charset = "; charset=utf-8"

    def __init__(
        self,
        chat: Chat,
        clock: IReactorTime,
        places: Places,
        *,
        ping: float = 25.0,
        ping_timeout: float = 20.0,
    ) -> None:
        super().__init__(chat, places)
        self.plain, self.chunked = encodings(chat.log.epoch)
        self.streams = Heartbeat[Stream](clock, ping, ping_timeout)
        self.timeout = ping_timeout

    def listen(self, request: Request, wish: Wish) -> bytes | int:
        if (refusal := self.refused(request, wish.who)) is not None:
            return refused(request, refusal)
        stream = Stream(self, request, wish.who)
        stream.session = self.enter(wish, stream.send, stream.end)
        stream.begin()
        return NOT_DONE_YET

    def farewell(self) -> None:
        """End all streams, and begin no other."""
        self.stopping = True
        for stream in list(self.streams):
            stream.end()


Encoding = Callable[[Sequence[Event]], bytes]


def encodings(epoch: str) -> tuple[Encoding, Encoding]:
    """
    Return what writes events as a stream, with the cursors of *epoch*.

    The second one makes a chunk of them (RFC 9112, section 7.1).
    """

    def plain(events: Sequence[Event]) -> bytes:
        return b"".join([_encode(event, epoch) for event in events])

    def chunked(events: Sequence[Event]) -> bytes:
        text = plain(events)
        return b"%x\r\n%b\r\n" % (len(text), text)

    return plain, chunked


def _encode(event: Event, epoch: str) -> bytes:
    name = NAMES.get(event.event, event.event)
    # In one line, for JSON writes line breaks otherwise.
    data = encode(event).partition(b'"data":')[2][:-1]
    id = place(event)
    told = b"" if id is None else b"id: %b\n" % cursor(epoch, id).encode()
    return b"event: %b\ndata: %b\n%b\n" % (name.encode(), data, told)


def give_up_after(transport: Any, seconds: float) -> None:
    """Have the system drop *transport* if its peer takes nothing for so long (TCP_USER_TIMEOUT)."""
    sock = getattr(transport, "socket", None)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if sock is not None and option is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
