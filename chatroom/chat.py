"""
All rooms and all users (`Chat`).

A transport makes a session with `Chat.connect` and does three things: bytes → `Session.receive`;
event → bytes, in the ``send`` that it gives; `Session.close`, once. While it cannot take more it
says `Session.pause`, and `Session.resume` when it can again.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from chatroom import names
from chatroom.events import (
    NONCE,
    PAGE,
    Batch,
    Close,
    CommonInit,
    Error,
    Event,
    Exited,
    Init,
    Joined,
    Limits,
    Message,
    Renamed,
    Self,
    Typed,
    Who,
)
from chatroom.log import Log, Outcome, Pass, Refused, Repeated, Said, Unavailable
from chatroom.names import BadName, Name
from chatroom.room import Cursor, Room
from chatroom.session import Problem, Session, User

__all__ = ["Chat", "Session"]

CHUNK = 50
"""How many messages a reader who lags is given at a time."""
FAR = 10_000
"""How many messages a reader may lag behind before being sent away."""

NOWHERE = ""
"""No room's key: what goes through the log by this name is for the log alone."""


class Enter(NamedTuple):
    """A session that begins to read a room, behind the message *after* if it can."""

    session: Session
    after: int | None


class Leave(NamedTuple):
    """A session that stops reading a room."""

    session: Session


# Who misses these need not be told who is here: the ones are in the log, the others lapse.
_NOT_MISSED = frozenset((Message, Typed))


class Chat:
    """
    All rooms and all users.

    *clock* gives seconds that only go on, and *wall* seconds since 1970 for display. The rest are
    limits: *grace*, the seconds that someone cut off has to come back; *rate* and *burst* of each
    user's talk (a rate of 0 is without limit); *crowd*, the users from which on a room is told in
    summaries; *message*, the characters of one message. Someone must call `tick` about twice a
    second.
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
    ) -> None:
        self.log = log
        self.clock = clock
        self.wall = wall
        self.grace = grace
        self.limits = Limits(message, names.USER, names.ROOM, NONCE, ("text",), PAGE, rate, burst)
        self.rooms: dict[str, Room[Session]] = {}
        self.users: dict[int, User] = {}
        self._names: dict[str, User] = {}
        self._crowd = crowd
        self._absent: deque[tuple[float, int, str]] = deque()
        log.listener = self._deliver

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
        id = self._known(token)
        user = self.users.get(id) if id is not None else None
        error = None
        if user is None:
            stored = self.log.user(id) if id is not None else None
            user = User(self.log.new_user(), None) if id is None else User(id, token)
            wish = stored or name
            try:
                self._call(user, _named(wish) if wish else self._guest(user))
            except Problem as problem:
                error = Error(problem.code, str(problem))
                self._call(user, self._guest(user))
            self.users[user.id] = user
        session = Session(self, user, send, disconnect, id is not None)
        user.sessions.append(session)
        if error is not None:
            session.reply(error)
        return session

    def tick(self) -> None:
        """Do what is due: let go who did not come back, tell crowds what has changed."""
        now = self.clock()
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

    def token(self, user: User) -> str:
        """Return what proves to this log that someone is *user*."""
        if user.token is None:
            user.token = self._token(user.id)
        return user.token

    def open(self, name: Name) -> Room[Session]:
        """Return the room called *name*, as it is or new. Raises `Unavailable`."""
        room = self.rooms.get(name.key)
        if room is None:
            room = self.rooms[name.key] = Room(name, self.log, self._crowd)
        return room

    def rename(self, user: User, wish: str) -> None:
        """Call *user* by the name *wish* in all rooms. Raises `Problem`."""
        was = user.name.shown
        self._call(user, _named(wish))
        for key in user.rooms:
            event = Renamed(user.id, user.name.shown, was, self.rooms[key].name)
            self.log.append(Pass(key, event, None))
        nowhere = Renamed(user.id, user.name.shown, was)
        if not user.rooms:
            self.log.append(Pass(NOWHERE, nowhere, None))
        for session in user.sessions:
            if not session.rooms:
                session.reply(nowhere)

    def enter(
        self, session: Session, room: Room[Session], after: int | None, epoch: str | None
    ) -> None:
        """Let *session* into *room*, to go on behind the message *after* of *epoch* if it can."""
        user = session.user
        if not session.known or (epoch is not None and epoch != self.log.epoch):
            after = None
        event = None
        if room.key not in session.rooms:
            session.rooms = room.added_to(session.rooms)
            if room.enter(user.id):
                user.rooms = room.added_to(user.rooms)
                event = Joined(room.name, user.id, user.name.shown)
        self.log.append(Pass(room.key, event, Enter(session, after)))

    def leave(self, session: Session, room: Room[Session]) -> None:
        """Take *session* out of *room* at its own wish."""
        session.rooms -= room.alone
        if room.leave(session.user.id):
            self._gone(session.user, room, Leave(session))
        else:
            self.log.append(Pass(room.key, None, Leave(session)))

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
        self._release(user)

    def catch_up(self, session: Session, room: Room[Session]) -> None:
        """Give *session* what it has not had of *room*, as far as it can take it."""
        while (cursor := room.lagging.get(session)) and not (session.paused or session.closed):
            if cursor.new:
                self._read(session, room)
                session.begin(Batch([self._init(session, room, cursor.after)]))
                return
            assert cursor.after is not None
            if room.last - cursor.after > FAR:
                session.end(Close.TRY_AGAIN, "too far behind")
                return
            try:
                missed = room.since(cursor.after, CHUNK)
            except Unavailable:
                session.end(Close.TRY_AGAIN, "the history cannot be read now")
                return
            if missed:
                cursor.after = missed[-1].id
                session.tell(Batch(missed))
                continue
            self._read(session, room)
            if cursor.seen != room.changes:
                session.tell(Batch([self._init(session, room, room.last)]))

    def _read(self, session: Session, room: Room[Session]) -> None:
        room.lagging.pop(session, None)
        room.readers[session] = None

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        rooms: defaultdict[str, list[Said | Pass]] = defaultdict(list)
        others: list[Repeated | Refused] = []
        for outcome in outcomes:
            if isinstance(outcome, Said):
                rooms[outcome.draft.room].append(outcome)
            elif isinstance(outcome, Pass):
                if outcome.room != NOWHERE:
                    rooms[outcome.room].append(outcome)
            else:
                others.append(outcome)
        begun: list[Session] = []
        for key, those in rooms.items():
            room = self.rooms[key]
            begun += self._apply(room, those)
            if room.forgotten:
                del self.rooms[key]
        for other in others:
            session = other.draft.origin
            assert isinstance(session, Session)
            session.answer(other)
        # Last, so that a bug in doing what was held back harms nobody else.
        for session in begun:
            session.work()

    def _apply(self, room: Room[Session], outcomes: Sequence[Said | Pass]) -> Collection[Session]:
        """Change *room* by *outcomes*, tell its readers, and return who begins to read it."""
        before = room.last
        events: list[Event] = []
        gone: list[tuple[Session, list[Event], Event | None]] = []
        begun: dict[Session, tuple[int | None, Init, int]] = {}
        for outcome in outcomes:
            if isinstance(outcome, Said):
                room.apply(outcome.message)
                events.append(outcome.message)
                continue
            event, origin = outcome.event, outcome.origin
            if isinstance(origin, Enter | Leave):
                # What they are due until here; from here on they hear otherwise, or nothing.
                session = origin.session
                due: list[Event] = []
                if session in begun:
                    _, init, start = begun.pop(session)
                    due = [init, *_heard(events[start:], session)]
                elif room.drop(session):
                    due = _heard(events, session)
                exited = None
                if isinstance(origin, Leave):
                    user = session.user
                    exited = event or Exited(room.name, user.id, user.name.shown)
                gone.append((session, due, exited))
            told = None if event is None else room.apply(event)
            if told is not None:
                events.append(told)
            if isinstance(origin, Enter) and not origin.session.closed:
                session, after = origin
                if session.paused:
                    room.lagging[session] = Cursor(after, new=True)
                else:
                    begun[session] = after, self._init(session, room, after), len(events)
        # Nobody is sent anything before the room is as it will be, for that may let others go on.
        if events:
            self._tell(room, events, before)
        for session, due, exited in gone:
            session.part(due, exited)
        for session, (after, init, start) in begun.items():
            # What the others were sent may have been the end of this one.
            if session.closed:
                continue
            if session.paused:
                room.lagging[session] = Cursor(after, new=True)
            else:
                room.readers[session] = None
                session.begin(Batch([init, *_heard(events[start:], session)]))
        return begun

    def _tell(self, room: Room[Session], events: Sequence[Event], before: int) -> None:
        """Send *events* to all readers, who have had messages up to *before*."""
        seen = room.changes
        kinds = set(map(type, events))
        if not kinds <= _NOT_MISSED:
            room.changes += 1
        typing = {event.id for event in events if type(event) is Typed} if Typed in kinds else None
        batch = Batch(events)
        # A copy, for whoever is sent something may close, pause and resume whomever they like.
        for session in list(room.readers):
            if not session.open:
                room.lag(session, before, seen)
            elif typing and session.user.id in typing:
                session.tell(Batch(_heard(events, session)))
            else:
                session.send(batch)

    def _init(self, session: Session, room: Room[Session], after: int | None) -> CommonInit:
        user = session.user
        past = room.past(after, self.limits)
        return CommonInit(
            room.name,
            Self(user.id, room.here[user.id], self.token(user)),
            room.users(user.id),
            len(room.here),
            past.messages,
            past.resumed,
            past.more,
            self.log.epoch,
            self.limits,
            (past.json, room.sample().json),
        )

    def _gone(self, user: User, room: Room[Session], origin: Leave | None) -> None:
        user.rooms -= room.alone
        if user.typed is not None:
            user.typed.pop(room.key, None)
        self.log.append(Pass(room.key, Exited(room.name, user.id, user.name.shown), origin))
        self._release(user)

    def _release(self, user: User) -> None:
        if not (user.sessions or user.rooms) and self.users.get(user.id) is user:
            del self.users[user.id]
            del self._names[user.name.key]

    def _call(self, user: User, name: Name) -> None:
        if self._names.get(name.key, user) is not user:
            raise Problem("name_taken", "this name is taken")
        self._names.pop(user.name.key, None)
        self._names[name.key] = user
        user.name = name
        user.who = Who(user.id, name.shown)

    def _guest(self, user: User) -> Name:
        # Ids may be long, where they had to be drawn.
        name = guest = f"guest-{user.id % 100_000}"
        attempt = 1
        while name in self._names:
            attempt += 1
            name = f"{guest}-{attempt}"
        return Name(name, name)

    def _token(self, id: int) -> str:
        signed = id.to_bytes(8)
        return urlsafe_b64encode(
            signed + hmac.digest(self.log.secret, signed, hashlib.sha256)[:16]
        ).decode()

    def _known(self, token: str | None) -> int | None:
        """Return the id of whom *token* was given to, if anybody."""
        if not token or not token.isascii():
            return None
        try:
            id = int.from_bytes(urlsafe_b64decode(token)[:8])
        except ValueError:
            return None
        user = self.users.get(id)
        right = self._token(id) if user is None else self.token(user)
        return id if hmac.compare_digest(right, token) else None


def _named(wish: str) -> Name:
    try:
        return names.user_name(wish)
    except BadName as error:
        raise Problem("bad_name", str(error)) from error


def _heard(events: Sequence[Event], session: Session) -> list[Event]:
    """Return *events* without those that say that the user of *session* is typing."""
    me = session.user.id
    return [event for event in events if not (isinstance(event, Typed) and event.id == me)]
