"""
The contract of a log, and `MemoryLog`, its reference.

A room is a log: whoever says something appends to it, whoever listens is a cursor on it. Everything
that a room shows goes through the log, so that there is one order; only what was said is kept.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import NamedTuple, Protocol

from chatroom.events import Event, Message, Record, Renamed


class Say(Record):
    """
    A draft to keep: *message* in the room whose comparison form is *room*.

    The message is the log's from now on: it has no id yet, and the log may set it.
    """

    room: str
    message: Message
    origin: object
    """Who alone hears of a refusal; the log hands it back and never looks at it."""


class Pass(Record):
    """A draft that passes through in its place: *event*, or what only *origin* is concerned in."""

    room: str
    event: Event | None
    origin: object


Draft = Say | Pass


class Said(Record):
    """A `Say` that is durable now, as *message*."""

    draft: Say
    message: Message


class Repeated(Record):
    """A `Say` whose user had said just this under the same nonce before: as *message*."""

    draft: Say
    message: Message


class Refused(Record):
    """A `Say` that was not said: *code* is ``nonce_reused`` or ``unavailable``."""

    draft: Say
    code: str


Outcome = Said | Repeated | Refused | Pass
"""What becomes of a draft; one that passes through comes out as it went in."""


class Unavailable(Exception):
    """The log cannot be read; the text says why."""


class Known(NamedTuple):
    """A room that the log knows: its name as it is shown, and the id of its last message."""

    name: str
    last: int


class Log(Protocol):
    """
    Where rooms are kept.

    Drafts go in by `append`, which never waits. What has become of them comes out of `listener`,
    later and in the same order, in batches. Rooms are named by comparison form.
    """

    epoch: str
    """Changes when ids that were given out can no longer be trusted."""
    secret: bytes
    """32 bytes that stay the same as long as the users do, to sign their tokens with."""
    listener: Callable[[Sequence[Outcome]], None]

    def append(self, draft: Draft) -> None:
        """Take *draft*; what becomes of it is told to `listener` later."""

    def room(self, room: str) -> Known | None:
        """Return what is known of *room*, if anything was said in it. Raises `Unavailable`."""

    def since(self, room: str, after: int, limit: int) -> list[Message]:
        """
        Return the first *limit* messages of *room* with ids above *after*, oldest first.

        Raises `Unavailable`.
        """

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        """
        Return the last *limit* messages of *room* with ids below *before*, oldest first.

        Raises `Unavailable`.
        """

    def user(self, id: int) -> str | None:
        """Return the name of the user *id*, if they said something. Raises `Unavailable`."""

    def new_user(self) -> int:
        """Return an id that no user of this log ever had."""

    def check(self, report: Callable[[str | None], None]) -> None:
        """Call *report* later: with None when the log can be written, else with the reason."""


def repeated(draft: Say, room: str, original: Message) -> Repeated | Refused:
    """Return what becomes of *draft* whose nonce already names *original*, said in *room*."""
    wish = draft.message
    same = (draft.room, wish.type, wish.message) == (room, original.type, original.message)
    return Repeated(draft, original) if same else Refused(draft, "nonce_reused")


def ignore(outcomes: Sequence[Outcome]) -> None:
    """The listener of a log that nobody listens to yet."""


class MemoryLog:
    """
    A log in memory, gone with the process.

    *later* calls a callable later, in the order given. The newest *keep* messages of each room are
    kept.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], keep: int = 10_000) -> None:
        self.epoch = secrets.token_hex(8)
        self.secret = secrets.token_bytes(32)
        self.listener: Callable[[Sequence[Outcome]], None] = ignore
        self._later = later
        self._keep = keep
        self._drafts: list[Draft] = []
        self._rooms: dict[str, deque[Message]] = {}
        self._nonces: dict[tuple[int, str], tuple[str, Message]] = {}
        self._users: dict[int, str] = {}
        self._ids = count(1)

    def append(self, draft: Draft) -> None:
        self._drafts.append(draft)
        if len(self._drafts) == 1:
            self._later(self._turn)

    def room(self, room: str) -> Known | None:
        kept = self._rooms.get(room)
        return Known(kept[0].room, kept[-1].id) if kept else None

    def since(self, room: str, after: int, limit: int) -> list[Message]:
        start = max(0, after + 1 - self._first(room))
        return list(islice(self._rooms.get(room, ()), start, start + limit))

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        kept = self._rooms.get(room, ())
        stop = min(max(0, before - self._first(room)), len(kept))
        return list(islice(kept, max(0, stop - limit), stop))

    def user(self, id: int) -> str | None:
        return self._users.get(id)

    def new_user(self) -> int:
        return next(self._ids)

    def check(self, report: Callable[[str | None], None]) -> None:
        self._later(lambda: report(None))

    def _first(self, room: str) -> int:
        kept = self._rooms.get(room)
        return kept[0].id if kept else 1

    def _turn(self) -> None:
        drafts, self._drafts = self._drafts, []
        self.listener([self._settle(draft) for draft in drafts])

    def _settle(self, draft: Draft) -> Outcome:
        if isinstance(draft, Pass):
            if isinstance(draft.event, Renamed) and draft.event.id in self._users:
                self._users[draft.event.id] = draft.event.name
            return draft
        message = draft.message
        if message.nonce is not None:
            nonce = message.sender.id, message.nonce
            if nonce in self._nonces:
                room, original = self._nonces[nonce]
                return repeated(draft, room, original)
            self._nonces[nonce] = draft.room, message
        kept = self._rooms.get(draft.room)
        if kept is None:
            kept = self._rooms[draft.room] = deque()
        # Nobody has seen it yet.
        message.id = kept[-1].id + 1 if kept else 1
        kept.append(message)
        self._users[message.sender.id] = message.sender.name
        if len(kept) > self._keep:
            gone = kept.popleft()
            if gone.nonce is not None:
                del self._nonces[gone.sender.id, gone.nonce]
        return Said(draft, message)
