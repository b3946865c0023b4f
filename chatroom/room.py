"""One room: who is here, what was said and changed last, and where its readers are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from chatroom.changes import changed
from chatroom.events import (
    Change,
    Deleted,
    Edited,
    Entry,
    Event,
    Exited,
    Joined,
    Limits,
    Message,
    Presence,
    Reacted,
    Renamed,
    Shared,
    Told,
    Topic,
    Who,
    common_past,
    common_users,
    encode,
)
from chatroom.log import Log, Unavailable
from chatroom.names import Name, parties

NEWEST = 200
"""How many entries a room has at hand; older ones are read from the log."""
BEGIN = 50
"""How many messages someone sees who begins afresh."""
RESUME = 2000
"""How many entries may have been missed by someone who goes on where they were."""
ANSWER = 1_000_000
"""How many bytes of JSON go in one answer: many clients take no more than 1 MiB in a message."""
PASTS = 16
"""For so many places to begin at a room has at hand what is told there."""


S = TypeVar("S", bound=Hashable)
E = TypeVar("E")


@dataclass(slots=True)
class Cursor:
    """
    Where a session is that lags in a room: it has had the entries up to *after*.

    *seen*: the `Room.changes` that it knows of; if there were more, it must be told who is here. A
    *new* one has had nothing yet, and wishes to go on behind *after*, or to begin if that is None.
    """

    after: int | None
    seen: int = 0
    new: bool = False


class Past(NamedTuple):
    """What all are told who begin at one place; `events.Init` has the members."""

    messages: list[Message]
    changes: list[Told]
    resumed: bool
    more: bool
    json: Shared[bytes]


class Sample(NamedTuple):
    """
    Who is here, in a crowd some of them: *users*, and one more.

    That is *last*, unless somebody is shown themselves who is not among *ids*.
    """

    users: list[Who]
    last: Who
    ids: frozenset[int]
    json: Shared[bytes]


class Room(Generic[S]):
    """
    A room with its past from *log*; with more than *crowd* users, at least 1, it is a crowd.

    `members` is who is in it as soon as they ask, and by how many sessions; what readers are shown
    (`here`, `newest`, `recent`, `topic` and the ids) changes only by `apply`, in the order of the
    log. `readers` get what comes as it comes; those who could not take it are `lagging`. Raises
    `Unavailable` where the log does.
    """

    def __init__(self, name: Name, log: Log, crowd: int) -> None:
        known = log.room(name.key)
        self.name = known.name if known else name.shown
        self.key = name.key
        self.alone = frozenset((name.key,))
        """The rooms of who is in no other: most are not, and share it."""
        self.parties = parties(name.key)
        """Whose direct room it is, if it is one."""
        self.topic = known.topic if known else ""
        self.last = known.last if known else 0
        """The id of the last entry …"""
        self.said = known.said if known else 0
        """… of the last message …"""
        self.first: int | None = None
        """… and of the first one that was kept when this was made."""
        self.newest: deque[Entry] = deque(maxlen=NEWEST)
        """The last entries, without a hole; the messages among them as they are now."""
        self.recent: deque[Message] = deque(maxlen=BEGIN)
        """The last messages, as they are now; they may be older than all of the `newest`."""
        if known:
            self.newest += log.since(self.key, self.last - NEWEST, NEWEST)
            self.recent += log.before(self.key, self.last + 1, BEGIN)
            self.first = next((message.id for message in log.after(self.key, 0, 1)), None)
        self.pending = 0
        """How many drafts of this room are in the log, and what has become of them is not told."""
        self.members: dict[int, int] = {}
        self.here: dict[int, str] = {}
        self.readers: dict[S, None] = {}
        self.lagging: dict[S, Cursor] = {}
        self.changes = 0
        """How often readers were told something that is not in the log."""
        self.crowded = False
        self._log = log
        self._crowd = crowd
        self._joined: dict[int, str] = {}
        self._left: dict[int, str] = {}
        self._told = float("-inf")
        self._deadlines: dict[int, float] = {}
        self._pasts: dict[int | None, Past] = {}
        self._sample: Sample | None = None

    @property
    def forgotten(self) -> bool:
        """Whether nobody is in here, nor seen to be, nor will be by what is under way."""
        return not (self.members or self.here or self.readers or self.lagging or self.pending)

    def added_to(self, rooms: frozenset[str]) -> frozenset[str]:
        """Return the keys *rooms* and this room's; the same set for all who are here alone."""
        return rooms | self.alone if rooms else self.alone

    def enter(self, user: int) -> bool:
        """Let *user* in by one session more; return whether they were not in."""
        sessions = self.members.get(user)
        self.members[user] = (sessions or 0) + 1
        self._deadlines.pop(user, None)
        return sessions is None

    def leave(self, user: int, until: float | None = None) -> bool:
        """
        Take a session from *user*; return whether they have left with it, their last one.

        With *until*, a time, they only leave then.
        """
        self.members[user] -= 1
        if self.members[user]:
            return False
        if until is None:
            del self.members[user]
            return True
        self._deadlines[user] = until
        return False

    def overdue(self, user: int, now: float) -> bool:
        """Let *user* go if they should have been back by *now*; return whether they went."""
        if self._deadlines.get(user, now + 1) > now:
            return False
        del self._deadlines[user], self.members[user]
        return True

    def lag(self, session: S, after: int, seen: int) -> None:
        """Let the reader *session* miss what comes behind the entry *after* and change *seen*."""
        if session in self.readers:
            del self.readers[session]
            self.lagging[session] = Cursor(after, seen)

    def drop(self, session: S) -> bool:
        """Let *session* read no more; return whether it had all that there was."""
        self.lagging.pop(session, None)
        reading = session in self.readers
        self.readers.pop(session, None)
        return reading

    def apply(self, event: Event) -> Event | None:
        """Change what is shown by *event*; return what readers are to be told of it, if anything."""
        if isinstance(event, Message):
            self.newest.append(event)
            self.recent.append(event)
            self.last = self.said = event.id
            if self.first is None:
                self.first = event.id
            self._pasts.clear()
        elif isinstance(event, Change):
            self.newest.append(event)
            self.last = event.id
            if isinstance(event, Topic):
                self.topic = event.topic
            else:
                self._change(event)
            self._pasts.clear()
        elif isinstance(event, Joined):
            self.here[event.id] = event.name
            self.crowded = self.crowded or len(self.here) > self._crowd
            if self.crowded:
                self._left.pop(event.id, None)
                self._joined[event.id] = event.name
                return None
        elif isinstance(event, Exited):
            self.here.pop(event.id, None)
            self._resample(event.id)
            if self.crowded:
                self._joined.pop(event.id, None)
                self._left[event.id] = event.name
                return None
        elif isinstance(event, Renamed):
            self.here[event.id] = event.name
            self._resample(event.id)
            if event.id in self._joined:
                self._joined[event.id] = event.name
        return event

    def _change(self, change: Edited | Deleted | Reacted) -> None:
        if (place := self._place(change.of)) is not None:
            message = self.newest[place]
            if isinstance(message, Message):
                self.newest[place] = changed(message, change)
        for place, message in enumerate(self.recent):
            if message.id == change.of:
                self.recent[place] = changed(message, change)
        if not isinstance(change, Deleted):
            return
        for place, entry in enumerate(self.newest):
            if isinstance(entry, Edited) and entry.of == change.of:
                # What it has said is gone, too.
                who, time, nonce = entry.sender, entry.time, entry.nonce
                self.newest[place] = Edited(
                    entry.id, entry.room, entry.of, "", entry.type, who, time, nonce
                )

    def _place(self, id: int) -> int | None:
        """Return where in `newest` the entry *id* is."""
        place = id - self.newest[0].id if self.newest else -1
        return place if 0 <= place < len(self.newest) else None

    def message(self, id: int) -> Message | None:
        """Return the message *id*, if it is shown. Raises `Unavailable`."""
        if id > self.last:
            return None
        place = self._place(id)
        entry = self._log.message(self.key, id) if place is None else self.newest[place]
        return entry if isinstance(entry, Message) else None

    def summary(self, now: float) -> Presence | None:
        """Return, at most once a second, what has changed in a crowd since the last time."""
        if not (self._joined or self._left) or now < self._told + 1:
            return None
        joined, left = _who(self._joined, self._crowd), _who(self._left, self._crowd)
        self._joined, self._left = {}, {}
        self._told = now
        return Presence(self.name, len(self.here), joined, left)

    def thinned(self) -> bool:
        """End being a crowd if there are few enough by now; return whether it has just ended."""
        if not self.crowded or len(self.here) > self._crowd * 3 // 4:
            return False
        self.crowded = False
        self._joined, self._left = {}, {}
        return True

    def users(self, me: int) -> list[Who]:
        """Return who is here; in a crowd a sample with the user *me* in it."""
        sample = self.sample()
        return [*sample.users, sample.last if me in sample.ids else Who(me, self.here[me])]

    def sample(self) -> Sample:
        """Return who is here, in a crowd some of them, as it is the same for many."""
        size = min(len(self.here), self._crowd)
        if self._sample is None or len(self._sample.ids) != size:
            users = _who(self.here, size)
            last = users.pop()
            ids = frozenset(islice(self.here, size))
            self._sample = Sample(users, last, ids, common_users(users))
        return self._sample

    def _resample(self, user: int) -> None:
        if self._sample is not None and user in self._sample.ids:
            self._sample = None

    def past(self, after: int | None, limits: Limits) -> Past:
        """Return what `begin` does, made once until something is said; *limits* are told, too."""
        past = self._pasts.get(after)
        if past is None:
            try:
                entries, resumed = self.begin(after)
            except Unavailable:
                return self.past(None, limits)
            if after is not None and not resumed:
                past = self.past(None, limits)
            else:
                past = self._past(entries, resumed, after or 0, limits)
            if len(self._pasts) >= PASTS:
                del self._pasts[next(iter(self._pasts))]
            self._pasts[after] = past
        return past

    def _past(self, entries: Sequence[Entry], resumed: bool, after: int, limits: Limits) -> Past:
        messages = [entry for entry in entries if isinstance(entry, Message)]
        changes = [entry for entry in entries if not isinstance(entry, Message)]
        more = self._older(messages[0].id if messages else after + 1)
        json = common_past(
            self.name,
            messages,
            resumed,
            more,
            self._log.epoch,
            limits,
            self.last,
            self.topic,
            changes,
        )
        told = [Told(change.event, change) for change in changes]
        return Past(messages, told, resumed, more, json)

    def begin(self, after: int | None) -> tuple[Sequence[Entry], bool]:
        """
        Return the entries for someone who begins, or who goes on behind *after*.

        The second value is whether they can go on: then it is all entries since, otherwise the
        newest messages. Raises `Unavailable`.
        """
        if after is not None and 0 <= self.last - after <= RESUME:
            missed = self.since(after, RESUME)
            if len(fitting(missed, len(missed))) == len(missed):
                return missed, True
        return fitting(list(self.recent), len(self.recent)), False

    def since(self, after: int, limit: int) -> list[Entry]:
        """
        Return the first *limit* shown entries above *after*.

        Raises `Unavailable`, also where the log keeps the first of them no longer.
        """
        limit = min(limit, self.last - after)
        if limit <= 0:
            return []
        skip = after + 1 - self.newest[0].id
        if skip >= 0:
            return list(islice(self.newest, skip, skip + limit))
        found = self._log.since(self.key, after, limit)
        if not found or found[0].id != after + 1:
            raise Unavailable("these entries are kept no longer")
        return found

    def page(
        self, before: int | None, after: int | None, around: int | None, limit: int
    ) -> tuple[list[Message], bool, bool]:
        """
        Return *limit* messages at the place that is not None, or the newest; fewer if they are long.

        They begin right *after* an id, end right *before* it, or have it in the middle. The other
        values are whether there are older and newer ones. Raises `Unavailable`.
        """
        if around is not None:
            edge, half = around, (limit + 1) // 2
            messages = self._before(around + 1, half)
            at = len(messages)
            messages += self._after(around, limit - half)
        elif after is not None:
            edge, at = after + 1, 0
            messages = self._after(after, limit)
        else:
            edge = self.last + 1 if before is None else before
            messages = self._before(edge, limit)
            at = len(messages)
        page = fitting(messages, at)
        begin, end = (page[0].id, page[-1].id + 1) if page else (edge, edge)
        return page, self._older(begin), end <= self.said

    def _before(self, before: int, limit: int) -> list[Message]:
        return self._log.before(self.key, min(before, self.last + 1), limit)

    def _after(self, after: int, limit: int) -> list[Message]:
        found = self._log.after(self.key, after, limit)
        return [message for message in found if message.id <= self.last]

    def _older(self, id: int) -> bool:
        """Return whether there are messages below *id*, as far as that can be known now."""
        if self.first is None or id <= self.first:
            return False
        try:
            # The log may not keep that first one any more.
            return bool(self._log.before(self.key, id, 1))
        except Unavailable:
            return True


def _size(entry: Entry) -> int:
    return len(encode(entry))


def fitting(entries: list[E], at: int, size: Callable[[Any], int] = _size) -> list[E]:
    """
    Return those of *entries* around the place *at*, as many as fit in one answer; at least one.

    *size* tells how many bytes one of them has there.
    """
    begin = end = at
    left = ANSWER
    while begin > 0 or end < len(entries):
        back = end == len(entries) or 0 < begin and at - begin <= end - at
        left -= size(entries[begin - 1 if back else end])
        if left < 0 and begin < end:
            break
        if back:
            begin -= 1
        else:
            end += 1
    return entries[begin:end]


def _who(names: dict[int, str], limit: int) -> list[Who]:
    """Return the first *limit* of *names* as users."""
    return [Who(id, name) for id, name in islice(names.items(), limit)]
