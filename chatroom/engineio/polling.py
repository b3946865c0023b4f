"""The transport that is there in every network: requests that are answered when there is news."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.web import server

from chatroom.answers import header
from chatroom.engineio.codec import (
    CLOSE,
    NOOP,
    PACKETS,
    Item,
    Kind,
    Packet,
    as_is,
    framing,
    is_binary,
    joined,
    packets,
    payloads3,
    payloads3_binary,
    payloads4,
)
from chatroom.engineio.deadlines import Deadlines
from chatroom.engineio.socket import Socket
from chatroom.engineio.trouble import SESSION, refuse
from chatroom.events import Close, Shared
from chatroom.site import Body, Nothing, Request

FULL = 2**16
"""Behind so many bytes that a client has not asked for, nothing more is to be sent."""
LINGER = 30.0
"""So many seconds a client that polls has to fetch what was sent before the end."""
AT_ONCE = 4
"""
So many times what one message may have may come at once: clients put what waits for its turn in
one body, and in version 3 they do not know how much that may be.
"""
SPARE = 5
"""
So many requests are answered though much waits, in all the time of a session, while its client
changes its transport: it ends the one that it sends, and then no longer fetches what waits.
"""
UNATTENDED = 10_000
"""So many clients may be between two polls; of more, those who have been so for longest go."""
HELD = 2**26
"""So much text may wait for all who are between two polls; of more, who has more than `FULL` goes."""

C = TypeVar("C")

_CLOSE = Shared[Sequence[Item]]([Packet(CLOSE)])
_NOOP = Shared[Sequence[Item]]([Packet(NOOP)])


class Polls:
    """What all that poll have in common; *max_payload* is as for `EngineDoor`."""

    def __init__(self, clock: IReactorTime, max_payload: int) -> None:
        self.max_payload = max_payload
        self._clock = clock
        self._due: list[Polling] = []
        self._held = 0
        self._shedding = False
        # In the order in which they came to be it.
        self._unattended: dict[Polling, None] = {}
        self.leaving: dict[str, Polling] = {}
        """Those whose socket is over, by its id, that have not yet fetched all."""
        self._last = Deadlines[Polling](clock, LINGER, self.left)

    def soon(self, polling: Polling) -> None:
        """Have *polling* answer once all has been put that is put now."""
        self._due.append(polling)
        if len(self._due) == 1:
            self._clock.callLater(0, self._answer)

    def attend(self, polling: Polling) -> None:
        """Take note that a request of *polling* waits for an answer."""
        self._unattended.pop(polling, None)

    def neglect(self, polling: Polling) -> None:
        """Take note that there is no request of *polling* that waits."""
        self._unattended[polling] = None
        if len(self._unattended) > UNATTENDED:
            next(iter(self._unattended)).give_up()

    def hold(self, size: int) -> None:
        """Take note that so much more text waits, or less."""
        self._held += size
        if size > 0 and self._held > HELD and not self._shedding:
            # Not now: somebody may be amid telling them something.
            self._shedding = True
            self._clock.callLater(0, self._shed)

    def leave(self, polling: Polling) -> None:
        """Wait for a last request of *polling*."""
        self.leaving[polling.socket.id] = polling
        self._last.expect(polling)

    def left(self, polling: Polling) -> None:
        """Forget *polling*."""
        self._held -= polling.size
        polling.size = 0
        self._unattended.pop(polling, None)
        self.leaving.pop(polling.socket.id, None)
        self._last.forget(polling)
        if polling.socket.over:
            # It is its transport's, too, and nobody should have to look for such circles.
            del polling.socket.transport

    def _shed(self) -> None:
        """Forget those who have much waiting for them and have not asked for longest."""
        self._shedding = False
        for polling in [polling for polling in self._unattended if polling.size > FULL]:
            if self._held <= HELD:
                break
            polling.give_up()

    def _answer(self) -> None:
        due, self._due = self._due, []
        for polling in due:
            polling.flush()


class Payload(Body):
    """The body of a POST of *polling*, of at most *limit* bytes."""

    taken = False
    """Whether what it says was received."""

    def __init__(self, request: Request, limit: int, polling: Polling) -> None:
        super().__init__(request, limit)
        self._polling = polling

    def close(self) -> None:
        self._polling.posted(self)


class Polling:
    """The transport of a *socket* that polls, one of *polls*."""

    posting: Payload | None = None
    """What comes in, or is not yet answered."""
    _get: server.Request | None = None
    _post: server.Request | None = None
    _released = False
    _spare = SPARE

    def __init__(self, socket: Socket, polls: Polls) -> None:
        self.socket = socket
        self._polls = polls
        self._kind: Kind[list[bytes]] = payloads4
        if socket.version == 3:
            self._kind = payloads3 if "b64" in socket.query else payloads3_binary
        self._waiting: list[tuple[Shared[Any], Callable[[Any], Sequence[Item]]]] = []
        self._gone = 0
        """How many packets of what waits first are no longer waiting."""
        self.size = 0
        """How much waits."""

    # For its socket.

    def put(self, shared: Shared[C], encode: Callable[[C], Sequence[Item]]) -> None:
        payloads = shared.encoded(framing(self._kind, encode))
        if not payloads:
            return
        self._waiting.append((shared, encode))
        size = sum(map(len, payloads))
        self.size += size
        self._polls.hold(size)
        if self._get is not None:
            self._polls.soon(self)
        if self.size > FULL:
            self.socket.fill()

    def end(self, code: Close, reason: str) -> None:
        # Of a CLOSE some clients take it that they are to stay away, or forget what came before it.
        # To all of them it is a lost connection that nobody knows the session any more.
        if not self._waiting:
            self.drop()
            return
        self._reply_to_post()
        self._polls.leave(self)
        self.flush()

    def bye(self) -> None:
        self._reply(_NOOP)
        self._polls.left(self)

    def drop(self) -> None:
        if self._get is not None:
            request, self._get = self._get, None
            finish(request, refuse(request, SESSION))
        self._reply_to_post()
        self._polls.left(self)

    # For the door.

    def poll(self, request: server.Request) -> bool:
        """Answer *request* when there is something. Return False if another one waits already."""
        if self._get is not None:
            # The public test suite wants to see this.
            self._reply(_CLOSE)
            return False
        self._get = request
        self._polls.attend(self)
        request.notifyFinish().addErrback(self._dropped, request)
        if self._released and not self._waiting:
            self._reply(_NOOP)
        self.flush()
        return True

    def admit(self, request: Request, length: int | None) -> Nothing:
        """Return what takes the body of *request*, of *length* bytes or as many as come."""
        limit = AT_ONCE * self._polls.max_payload
        if self.posting is not None or (length or 0) > limit:
            return Nothing()
        self.posting = Payload(request, limit, self)
        return self.posting

    def post(self, request: server.Request) -> int:
        """
        Take what has come in with *request*, and answer it when more may come.

        Raises `Malformed`.
        """
        assert self.posting is not None
        self.posting.taken = True
        binary = header(request, "content-type") == "application/octet-stream"
        version, data = self.socket.version, self.posting.data
        for packet in packets(version, data, binary, self._polls.max_payload):
            self.socket.receive(packet)
        self._post = request
        if self.socket.over or not self.socket.full:
            self._reply_to_post()
        elif self._released:
            self._spare_post()
        return server.NOT_DONE_YET

    def posted(self, payload: Payload) -> None:
        """Take note that the request with *payload* has ended, be it that it was lost."""
        if payload is self.posting:
            self.posting = self._post = None
            if not payload.taken:
                self.socket.drop()

    def give_up(self) -> None:
        """Forget the client."""
        self.socket.end(clean=False)
        self._polls.left(self)

    # For the transport that takes over.

    def release(self, on: bool) -> None:
        """Have no request wait from now on (*on*), for the client would change; or do again."""
        self._released = on
        if on:
            self._reply(_NOOP)
            self._spare_post()

    def leave(self) -> Sequence[tuple[Shared[Any], Callable[[Any], Sequence[Item]]]]:
        """End, and return what was put and has not gone."""
        self._reply(_NOOP)
        self._reply_to_post()
        self._polls.left(self)
        if self._gone:
            shared, made = self._waiting[0]
            self._waiting[0] = Shared(made(shared.content)[self._gone :]), as_is
        return self._waiting

    def flush(self) -> None:
        """Answer the request that waits, if there is something to answer."""
        if self._get is None or not self._waiting:
            return
        encoded, found = list[list[bytes]](), -self._gone
        for shared, made in self._waiting:
            encoded.append(shared.encoded(framing(self._kind, made)))
            found += len(encoded[-1])
            if found >= PACKETS:
                break
        end = self._gone + PACKETS
        payloads = list(islice(chain.from_iterable(encoded), self._gone, end))
        payload, count = joined(self.socket.version, payloads)
        size = sum(map(len, payloads[:count]))
        self._gone += count
        whole = 0
        while whole < len(encoded) and self._gone >= len(encoded[whole]):
            self._gone -= len(encoded[whole])
            whole += 1
        del self._waiting[:whole]
        self.size -= size
        self._polls.hold(-size)
        self._answer(payload)
        if self._waiting:
            return
        if self.socket.over:
            self._polls.left(self)
        self._reply_to_post()
        self.socket.drain()

    def _reply(self, shared: Shared[Sequence[Item]]) -> None:
        if self._get is not None:
            [payload] = shared.encoded(framing(self._kind, as_is))
            self._answer(payload)

    def _reply_to_post(self) -> None:
        if self._post is not None:
            request, self._post, self.posting = self._post, None, None
            reply(request, b"ok")

    def _spare_post(self) -> None:
        if self._post is not None and self._spare:
            self._spare -= 1
            self._reply_to_post()

    def _answer(self, payload: bytes) -> None:
        assert self._get is not None
        request, self._get = self._get, None
        self._polls.neglect(self)
        reply(request, payload)

    def _dropped(self, unused: object, request: server.Request) -> None:
        if request is self._get:
            self._get = None
            self.give_up()


def reply(request: server.Request, payload: bytes) -> None:
    """Answer *request* with *payload*."""
    binary = payload and is_binary(payload)
    kind = "application/octet-stream" if binary else "text/plain; charset=UTF-8"
    request.setHeader("Content-Type", kind)
    request.setHeader("Cache-Control", "no-store")
    finish(request, payload)


def finish(request: server.Request, body: bytes) -> None:
    """Have *body* be the answer to *request*."""
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
