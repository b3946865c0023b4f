"""
``/rooms/NAME/poll``: a room in pieces, for those who cannot keep a stream open (RFC 6202).

Between two polls somebody is a reader who takes nothing just now: their session is paused, and goes
on with the next one. For people ``docs/sse.md`` states the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.server import NOT_DONE_YET

from chatroom.answers import Places, Refusal, refused
from chatroom.chat import Chat, Session
from chatroom.events import Batch, Close, Event, Init, cursor, encode
from chatroom.listening import Listening, Wish, place, stopping
from chatroom.session import Problem
from chatroom.site import Request

WAIT = 25
"""So many seconds a poll waits for something to happen, unless it says for how many, …"""
LONGEST = 55
"""… and so many at most: many programs and proxies give up after a minute."""
LEAST = 5.0
"""So many seconds they are here between two polls at least, or two would wake each other for ever."""


class Poller:
    """
    Somebody who polls the room of *wish*: while a request of theirs waits, and until the next one.

    They leave when the grace time has passed without one.
    """

    session: Session

    def __init__(self, door: Polling, wish: Wish) -> None:
        self._door = door
        self._wish = wish
        self._last = wish.after
        self._begun = False
        self._untold: list[Batch] = []
        self._request: Request | None = None
        self._due: IDelayedCall | None = None

    @property
    def key(self) -> tuple[int, str, int | None]:
        """Who this is, where, and how far they have come."""
        return self.session.user.id, self._wish.room.key, self._last

    def attend(self, request: Request, wait: float) -> None:
        """Answer *request* as soon as there is something to tell, or after *wait* seconds."""
        self._cancel()
        self._request = request
        request.notifyFinish().addErrback(self._lost)
        self._due = self._door.clock.callLater(wait, self._over)
        if self.session.paused:
            self.session.resume()

    def send(self, batch: Batch) -> None:
        """Answer the request that waits with *batch*, unless it says nothing new."""
        first = batch.events[0]
        new = self._begun or not (
            isinstance(first, Init) and first.resumed and first.last == self._last
        )
        self._begun = True
        self._untold.append(batch)
        for event in batch.events:
            if (id := place(event)) is not None:
                self._last = id
        if new or len(batch.events) > 1 or self._due is None:
            self._answer()

    def end(self, code: Close, reason: str) -> None:
        """Answer that there is no going on; with the next poll they begin afresh."""
        self._end(Refusal(503, "unavailable", reason, 1.0))

    def farewell(self) -> None:
        """Answer that the server stops."""
        self._end(stopping())

    def leave(self, *, clean: bool = True) -> None:
        """Forget the session."""
        self._cancel()
        self._door.gone(self)
        self._door.places.leave(self._wish.who)
        self.session.close(clean=clean)

    def _answer(self) -> None:
        request, self._request = self._request, None
        untold, self._untold = self._untold, []
        assert request is not None
        assert self._last is not None
        chat = self._door.chat
        tail = {
            "cursor": cursor(chat.log.epoch, self._last),
            "token": chat.token(self.session.user),
        }
        events = b",".join([batch.encoded(listed) for batch in untold])
        body = b'{"events":[%b],%b' % (events, msgspec.json.encode(tail)[1:])
        self._rest()
        # Last, for the next request may be here already.
        _reply(request, body)

    def _rest(self) -> None:
        """Take nothing until the next request, or leave."""
        self._cancel()
        self.session.pause()
        self._due = self._door.clock.callLater(max(LEAST, self._door.chat.grace), self.leave)
        self._door.park(self)

    def _over(self) -> None:
        self._due = None
        # Only the first thing that they are told says where they are.
        if self._begun:
            self._answer()

    def _lost(self, reason: object) -> None:
        if self._request is not None:
            self._request = None
            self._rest()

    def _end(self, refusal: Refusal) -> None:
        request, self._request = self._request, None
        self.leave(clean=False)
        if request is not None:
            _reply(request, refused(request, refusal))

    def _cancel(self) -> None:
        due, self._due = self._due, None
        if due is not None and due.active():
            due.cancel()


class Polling(Listening):
    """
    What happens in the rooms of *chat*, in pieces.

    Who polls has one of *places* until they leave, also between two polls.
    """

    gives = "application/json"

    def __init__(self, chat: Chat, clock: IReactorTime, places: Places) -> None:
        super().__init__(chat, places)
        self.clock = clock
        self._pollers: set[Poller] = set()
        self._resting: dict[tuple[int, str, int | None], Poller] = {}

    def listen(self, request: Request, wish: Wish) -> bytes | int:
        wait = wish.query.get("wait", str(WAIT))
        if not re.fullmatch("[0-9]{1,2}", wait) or int(wait) > LONGEST:
            raise Problem("bad_message", f"wait is a number of seconds from 0 to {LONGEST}")
        poller = self._known(wish)
        if poller is None:
            if (refusal := self.refused(request, wish.who)) is not None:
                return refused(request, refusal)
            poller = Poller(self, wish)
            poller.session = self.enter(wish, poller.send, poller.end)
            self.places.take(wish.who)
            self._pollers.add(poller)
        poller.attend(request, int(wait))
        return NOT_DONE_YET

    def farewell(self) -> None:
        """Answer all requests that wait, and take no other."""
        self.stopping = True
        for poller in list(self._pollers):
            poller.farewell()

    def park(self, poller: Poller) -> None:
        """Let *poller* be there for the next request, in the place of one who is like them."""
        other = self._resting.get(poller.key)
        if other is not None:
            other.leave()
        self._resting[poller.key] = poller

    def gone(self, poller: Poller) -> None:
        """Forget *poller*."""
        self._pollers.discard(poller)
        if self._resting.get(poller.key) is poller:
            del self._resting[poller.key]

    def _known(self, wish: Wish) -> Poller | None:
        """Return who has made the poll before the one of *wish*, if they are here."""
        if wish.after is None or wish.epoch not in (None, self.chat.log.epoch):
            return None
        id = self.chat.known(wish.token)
        return None if id is None else self._resting.pop((id, wish.room.key, wish.after), None)


def _reply(request: Request, body: bytes) -> None:
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def listed(events: Sequence[Event]) -> bytes:
    """Return *events* as they stand in a JSON array."""
    return b",".join(map(encode, events))
