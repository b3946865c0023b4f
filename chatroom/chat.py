"""
All rooms and all users (`Chat`).

A transport makes a session with `Chat.connect` and does three things: bytes → `Session.receive`;
event → bytes, in the ``send`` that it gives; `Session.close`, once. While it cannot take more it
says `Session.pause`, and `Session.resume` when it can again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

from chatroom import names
from chatroom.asking import ASKING
from chatroom.changes import REACTIONS
from chatroom.commands import NONCE
from chatroom.events import (
    PAGE,
    Batch,
    Close,
    Exited,
    Joined,
    Limits,
    Renamed,
)
from chatroom.limits import TokenBucket
from chatroom.log import Log, Pass
from chatroom.room import Room
from chatroom.rooms import NOWHERE, Enter, Files, Leave, Rooms
from chatroom.saying import SAYING, TOPIC
from chatroom.session import Session, User
from chatroom.users import named
from chatroom.visits import Visits

__all__ = ["Chat", "Files", "Session"]


def _raise(error: Exception) -> None:
    raise error


class Chat(Rooms):
    """
    All rooms and all users.

    *clock* gives seconds that only go on, and *wall* seconds since 1970 for display. The rest are
    limits: *grace*, the seconds that someone cut off has to come back; *rate* and *burst* of each
    user's talk (a rate of 0 is without limit); *crowd*, the users from which on a room is told in
    summaries; *message*, the characters of one message. *types* are the types of messages, and
    what makes safe HTML of such a text, if anything does; *fault* is told of an exception of that,
    which is a bug. Someone must call `tick` about twice a second.
    """

    def __init__(
        self,
        log: Log,
        clock: Callable[[], float],
        wall: Callable[[], float],
        *,
        grace: float = 10.0,
        rate: float = 5.0,
        burst: int = 20,
        crowd: int = 200,
        message: int = 4000,
        types: Mapping[str, Callable[[str], str] | None] = MappingProxyType({"text": None}),
        files: Files | None = None,
        fault: Callable[[Exception], object] = _raise,
    ) -> None:
        limits = Limits(
            message,
            names.USER,
            names.ROOM,
            NONCE,
            tuple(types),
            PAGE,
            rate,
            burst,
            TOPIC,
            REACTIONS,
            files.limit if files is not None else 0,
        )
        super().__init__(log, limits, crowd, files)
        self.clock = clock
        self.wall = wall
        self.grace = grace
        self.types = types
        self.fault = fault
        self.does = SAYING | ASKING
        self.strangers = self.bucket(1)
        """What all spend together who are not here."""
        visits = self._visits = Visits(self)
        self.ask, self.introduce, self.name = visits.ask, visits.introduce, visits.name
        self._absent: deque[tuple[float, int, str]] = deque()

    def connect(
        self,
        send: Callable[[Batch], None],
        disconnect: Callable[[Close, str], None],
        name: str | None = None,
        token: str | None = None,
    ) -> Session:
        """
        Return a new session: of whom *token* was given to, or of someone new, called *name*.

        Where the name cannot be had they are a guest, and are told after their first `Init`.
        *send* neither blocks nor raises; *disconnect* ends the connection with a code and a reason,
        and is followed by `Session.close` like every other end. Raises `Unavailable`.
        """
        id = self.known(token)
        user = self.users.get(id) if id is not None else None
        problem = None
        if user is None:
            user, problem = self.come(id, token, name)
        session = Session(self, user, send, disconnect, id is not None)
        user.sessions.append(session)
        if problem is not None:
            session.reply(problem.error())
        return session

    def tick(self) -> None:
        """Do what is due: let go who did not come back, tell crowds what has changed."""
        now = self.clock()
        self._visits.tick(now)
        while self._absent and self._absent[0][0] <= now:
            _, id, key = self._absent.popleft()
            room = self.rooms.get(key)
            if room is not None and room.overdue(id, now):
                self._gone(self.users[id], room, None)
        for room in list(self.rooms.values()):
            if not room.crowded:
                continue
            if room.thinned():
                room.changes += 1
                for session in list(room.readers):
                    room.lag(session, room.last, room.changes - 1)
                    self.catch_up(session, room)
            elif (summary := room.summary(now)) is not None:
                self._tell(room, [summary], room.last)

    def spend(self, id: int) -> float:
        """
        Take what saying something costs from the user *id*, who uploads a file, and return 0.0.

        Where there is nothing left, return in how many seconds there will be.
        """
        bucket = self.strangers
        if (user := self.users.get(id)) is not None:
            bucket = user.talk = user.talk or self.bucket(1)
        return bucket.take(self.clock())

    def release(self, user: User) -> None:
        if user not in self._visits:
            super().release(user)

    def bucket(self, times: int) -> TokenBucket:
        """Return a bucket with room for some bursts."""
        return TokenBucket(self.limits.rate, self.limits.burst * times)

    def rename(self, user: User, wish: str) -> None:
        """Call *user* by the name *wish* in all rooms. Raises `Problem`."""
        was = user.name.shown
        self.call(user, named(wish))
        for key in user.rooms:
            event = Renamed(user.id, user.name.shown, was, self.rooms[key].name)
            self.append(self.rooms[key], Pass(key, event, None))
        nowhere = Renamed(user.id, user.name.shown, was)
        if not user.rooms:
            self.log.append(Pass(NOWHERE, nowhere, None))
        for session in user.sessions:
            if not session.rooms:
                session.reply(nowhere)

    def enter(
        self, session: Session, room: Room[Session], after: int | None, epoch: str | None
    ) -> None:
        """Let *session* into *room*, to go on behind the entry *after* of *epoch* if it can."""
        user = session.user
        if not session.known or (epoch is not None and epoch != self.log.epoch):
            after = None
        event = None
        if room.key not in session.rooms:
            session.rooms = room.added_to(session.rooms)
            if room.enter(user.id):
                user.rooms = room.added_to(user.rooms)
                event = Joined(room.name, user.id, user.name.shown)
        self.append(room, Pass(room.key, event, Enter(session, after)))

    def leave(self, session: Session, room: Room[Session]) -> None:
        """Take *session* out of *room* at its own wish."""
        session.rooms -= room.alone
        if room.leave(session.user.id):
            self._gone(session.user, room, Leave(session))
        else:
            self.append(room, Pass(room.key, None, Leave(session)))

    def lose(self, session: Session, *, clean: bool) -> None:
        """Forget *session*; its user leaves with it, at once if *clean*, else after the grace."""
        user = session.user
        user.sessions.remove(session)
        until = None if clean or not self.grace else self.clock() + self.grace
        rooms, session.rooms = session.rooms, frozenset()
        for key in rooms:
            room = self.rooms[key]
            room.drop(session)
            if room.leave(user.id, until):
                self._gone(user, room, None)
            elif until is not None:
                self._absent.append((until, user.id, key))
        self.release(user)

    def _gone(self, user: User, room: Room[Session], origin: Leave | None) -> None:
        user.rooms -= room.alone
        if user.typed is not None:
            user.typed.pop(room.key, None)
        self.append(room, Pass(room.key, Exited(room.name, user.id, user.name.shown), origin))
        self.release(user)
