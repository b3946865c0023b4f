"""One room: who is here, its newest messages, and where its readers are."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from chatroom.events import Event, Exited, Joined, Message, Presence, Renamed, Who, encode
from chatroom.log import Log, Unavailable
from chatroom.names import Name

NEWEST = 200
"""How many messages a room has at hand; older ones are read from the log."""
BEGIN = 50
"""How many messages someone sees who begins afresh."""
RESUME = 2000
"""How many messages may have been missed by someone who goes on where they were."""
ANSWER = 1_000_000
"""How many bytes of JSON go in one answer: many clients take no more than 1 MiB in a message."""


S = TypeVar("S", bound=Hashable)


@dataclass(slots=True)
class Member(Generic[S]):
    """
    A user who is in a room, by some sessions.

    With no session left, they leave at the time *deadline* unless they are back.
    """

    sessions: set[S] = field(default_factory=set)
    deadline: float | None = None


@dataclass(slots=True)
class Cursor:
    """
    Where a session is in a room.

    A *live* one gets what comes as it comes. One that is not has had the messages up to *after*;
    *stale* if it missed something else than messages, so that it must be told who is here; *new* if
    it has had nothing yet, and wishes to go on behind *after*, or to begin if that is None.
    """

    live: bool
    after: int | None = None
    stale: bool = False
    new: bool = False

    def lag(self, after: int, stale: bool) -> None:
        """Miss what comes behind the message *after*; *stale* if that is not messages alone."""
        if self.live:
            self.live, self.after = False, after
        self.stale = self.stale or stale


class Room(Generic[S]):
    """
    A room with its past from *log*; with more than *crowd* users, at least 1, it is a crowd.

    `members` is who is in it as soon as they ask; what readers are shown (`here`, `newest`, `last`)
    changes only by `apply`, in the order of the log. Raises `Unavailable` where the log does.
    """

    def __init__(self, name: Name, log: Log, crowd: int) -> None:
        known = log.room(name.key)
        self.name = known.name if known else name.shown
        self.key = name.key
        self.last = known.last if known else 0
        self.newest = deque(log.before(self.key, self.last + 1, NEWEST), maxlen=NEWEST)
        self.members: dict[int, Member[S]] = {}
        self.here: dict[int, str] = {}
        self.readers: dict[S, Cursor] = {}
        self.crowded = False
        self._log = log
        self._crowd = crowd
        self._joined: dict[int, str] = {}
        self._left: dict[int, str] = {}
        self._told = float("-inf")

    @property
    def forgotten(self) -> bool:
        """Whether nobody is in here, nor seen to be."""
        return not (self.members or self.here or self.readers)

    def enter(self, user: int, session: S) -> bool:
        """Let *user* in by *session*; return whether they were not in."""
        member = self.members.get(user)
        if first := member is None:
            member = self.members[user] = Member()
        member.sessions.add(session)
        member.deadline = None
        return first

    def leave(self, user: int, session: S, until: float | None = None) -> bool:
        """
        Take *session* from *user*; return whether they have left with it, their last one.

        With *until*, a time, they only leave then.
        """
        member = self.members[user]
        member.sessions.discard(session)
        if member.sessions:
            return False
        if until is None:
            del self.members[user]
            return True
        member.deadline = until
        return False

    def overdue(self, user: int, now: float) -> bool:
        """Let *user* go if they should have been back by *now*; return whether they went."""
        member = self.members.get(user)
        if member is None or member.deadline is None or member.deadline > now:
            return False
        del self.members[user]
        return True

    def apply(self, event: Event) -> Event | None:
        """Change what is shown by *event*; return what readers are to be told of it, if anything."""
        if isinstance(event, Message):
            self.newest.append(event)
            self.last = event.id
        elif isinstance(event, Joined):
            self.here[event.id] = event.name
            self.crowded = self.crowded or len(self.here) > self._crowd
            if self.crowded:
                self._left.pop(event.id, None)
                self._joined[event.id] = event.name
                return None
        elif isinstance(event, Exited):
            self.here.pop(event.id, None)
            if self.crowded:
                self._joined.pop(event.id, None)
                self._left[event.id] = event.name
                return None
        elif isinstance(event, Renamed):
            self.here[event.id] = event.name
            if event.id in self._joined:
                self._joined[event.id] = event.name
        return event

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
        sample = _who(self.here, self._crowd)
        if len(self.here) > len(sample) and all(user.id != me for user in sample):
            sample[-1] = Who(me, self.here[me])
        return sample

    def begin(self, after: int | None) -> tuple[list[Message], bool]:
        """
        Return the messages for someone who begins, or who goes on behind *after*.

        The second value is whether they can go on: then it is all messages since, otherwise the
        newest ones. Raises `Unavailable`.
        """
        if after is not None and 0 <= self.last - after <= RESUME:
            missed = self.since(after, RESUME)
            if len(_fitting(missed)) == len(missed):
                return missed, True
        newest = list(islice(self.newest, max(0, len(self.newest) - BEGIN), None))
        return _fitting(newest), False

    def since(self, after: int, limit: int) -> list[Message]:
        """
        Return the first *limit* shown messages above *after*.

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
            raise Unavailable("these messages are kept no longer")
        return found

    def before(self, before: int | None, limit: int) -> list[Message]:
        """
        Return the last *limit* shown messages below *before*, or of all; fewer if they are long.

        Raises `Unavailable`.
        """
        end = self.last + 1 if before is None else min(before, self.last + 1)
        return _fitting(self._log.before(self.key, end, limit))


def _fitting(messages: list[Message]) -> list[Message]:
    """Return the last of *messages*, as many as fit in one answer."""
    left = ANSWER
    for at in range(len(messages) - 1, -1, -1):
        left -= len(encode(messages[at]))
        if left < 0:
            return messages[at + 1 :]
    return messages


def _who(names: dict[int, str], limit: int) -> list[Who]:
    """Return the first *limit* of *names* as users."""
    return [Who(id, name) for id, name in islice(names.items(), limit)]
