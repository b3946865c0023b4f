"""
All rooms and all users (`Chat`), and one connection of one user (`Session`).

A transport makes a session with `Chat.connect` and does three things: bytes → `Session.receive`;
event → bytes, in the ``send`` that it gives; `Session.close`, once. While it cannot take more it
says `Session.pause`, and `Session.resume` when it can again.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Collection, Container, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chatroom import names
from chatroom.events import (
    NONCE,
    PAGE,
    Bad,
    Batch,
    Close,
    Command,
    Error,
    Event,
    Exit,
    Exited,
    History,
    Init,
    Join,
    Joined,
    Limits,
    Message,
    Page,
    Ping,
    Pong,
    Rename,
    Renamed,
    Self,
    Talk,
    Typed,
    Typing,
    Who,
)
from chatroom.limits import TokenBucket
from chatroom.log import Log, Outcome, Pass, Refused, Repeated, Said, Say, Unavailable
from chatroom.names import BadName, Name
from chatroom.room import Cursor, Room

TYPING = 3.0
"""One `typing` of a user in a room is passed on in so many seconds."""
ROOMS = 100
"""In so many rooms one connection may be."""
PATIENCE = 50
"""So many errors of their own making a client has at once, and one more each second."""
CHUNK = 50
"""How many messages a reader who lags is given at a time."""
FAR = 10_000
"""How many messages a reader may lag behind before being sent away."""

NOWHERE = ""
"""No room's key: what goes through the log by this name is for the log alone."""

_TROUBLE = {
    "nonce_reused": "this nonce was used for another message",
    "unavailable": "the message could not be stored; nothing was said",
}


class Problem(Exception):
    """What is wrong with a command, for whoever gave it: an `Error` without its context."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class User:
    """Somebody: the *sessions* by which they are here, and the keys of the *rooms* they are in."""

    def __init__(self, id: int, name: Name, talk: TokenBucket, moves: TokenBucket) -> None:
        self.id = id
        self.name = name
        self.talk = talk
        self.moves = moves
        self.sessions: set[Session] = set()
        self.rooms: set[str] = set()
        self.typed: dict[str, float] = {}


class Enter(NamedTuple):
    """A session that begins to read a room, behind the message *after* if it can."""

    session: Session
    after: int | None


class Leave(NamedTuple):
    """A session that stops reading a room."""

    session: Session


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
            user = User(
                self.log.new_user() if id is None else id,
                Name("", ""),
                TokenBucket(self.limits.rate, self.limits.burst),
                TokenBucket(self.limits.rate, self.limits.burst * 5),
            )
            try:
                self._call(user, stored or name or self._guest(user))
            except Problem as problem:
                error = Error(problem.code, str(problem))
                self._call(user, self._guest(user))
            self.users[user.id] = user
        session = Session(self, user, send, disconnect, id is not None)
        user.sessions.add(session)
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
            if room.thinned():
                for session, cursor in list(room.readers.items()):
                    cursor.lag(room.last, stale=True)
                    self.catch_up(session, room)
            elif (summary := room.summary(now)) is not None:
                self._tell(room, [summary], room.last)

    def token(self, user: User) -> str:
        """Return what proves to this log that someone is *user*."""
        return urlsafe_b64encode(self._sign(user.id.to_bytes(8))).decode()

    def open(self, name: Name) -> Room[Session]:
        """Return the room called *name*, as it is or new. Raises `Unavailable`."""
        room = self.rooms.get(name.key)
        if room is None:
            room = self.rooms[name.key] = Room(name, self.log, self._crowd)
        return room

    def rename(self, user: User, wish: str) -> None:
        """Call *user* by the name *wish* in all rooms. Raises `Problem`."""
        was = user.name.shown
        self._call(user, wish)
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
        if room.enter(user.id, session):
            user.rooms.add(room.key)
            event = Joined(room.name, user.id, user.name.shown)
        session.rooms.add(room.key)
        self.log.append(Pass(room.key, event, Enter(session, after)))

    def leave(self, session: Session, room: Room[Session]) -> None:
        """Take *session* out of *room* at its own wish."""
        session.rooms.discard(room.key)
        if room.leave(session.user.id, session):
            self._gone(session.user, room, Leave(session))
        else:
            self.log.append(Pass(room.key, None, Leave(session)))

    def lose(self, session: Session, *, clean: bool) -> None:
        """Forget *session*; its user leaves with it, at once if *clean*, else after the grace."""
        user = session.user
        user.sessions.discard(session)
        until = None if clean or not self.grace else self.clock() + self.grace
        while session.rooms:
            key = session.rooms.pop()
            room = self.rooms[key]
            room.readers.pop(session, None)
            if room.leave(user.id, session, until):
                self._gone(user, room, None)
            elif until is not None:
                self._absent.append((until, user.id, key))
        self._release(user)

    def catch_up(self, session: Session, room: Room[Session]) -> None:
        """Give *session* what it has not had of *room*, as far as it can take it."""
        cursor = room.readers.get(session)
        while cursor is not None and not (cursor.live or session.paused or session.closed):
            if cursor.new:
                room.readers[session] = Cursor(live=True)
                session.begin(Batch([self._begin(session, room, cursor.after)]))
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
            cursor.live = True
            if cursor.stale:
                cursor.stale = False
                session.tell(Batch([self._init(session, room, [], resumed=True)]))

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        rooms: dict[str, list[Said | Pass]] = {}
        for outcome in outcomes:
            if isinstance(outcome, Said):
                rooms.setdefault(outcome.draft.room, []).append(outcome)
            elif isinstance(outcome, Pass) and outcome.room != NOWHERE:
                rooms.setdefault(outcome.room, []).append(outcome)
        begun: list[Session] = []
        for key, those in rooms.items():
            room = self.rooms[key]
            begun += self._apply(room, those)
            if room.forgotten:
                del self.rooms[key]
        for outcome in outcomes:
            if isinstance(outcome, Repeated | Refused):
                session = outcome.draft.origin
                assert isinstance(session, Session)
                session.answer(outcome)
        # Last, so that a bug in doing what was held back harms nobody else.
        for session in begun:
            session.work()

    def _apply(self, room: Room[Session], outcomes: Sequence[Said | Pass]) -> Collection[Session]:
        """Change *room* by *outcomes*, tell its readers, and return who begins to read it."""
        before = room.last
        events: list[Event] = []
        inits: dict[Session, tuple[Init, int]] = {}
        for outcome in outcomes:
            if isinstance(outcome, Said):
                event: Event | None = outcome.message
                origin = None
            else:
                event, origin = outcome.event, outcome.origin
            if isinstance(origin, Enter | Leave):
                # What they are due until here; from here on they hear otherwise, or nothing.
                init, start = inits.pop(origin.session, (None, 0))
                cursor = room.readers.pop(origin.session, None)
                if cursor is not None and cursor.live and not origin.session.paused:
                    due = _heard(events[start:], origin.session)
                    origin.session.tell(Batch(due if init is None else [init, *due]))
            told = None if event is None else room.apply(event)
            if told is not None:
                events.append(told)
            if isinstance(origin, Leave):
                user = origin.session.user
                origin.session.part(event or Exited(room.name, user.id, user.name.shown))
            elif isinstance(origin, Enter) and not origin.session.closed:
                session, after = origin
                room.readers[session] = Cursor(not session.paused, after, new=session.paused)
                if not session.paused:
                    inits[session] = self._begin(session, room, after), len(events)
        if events:
            self._tell(room, events, before, inits)
        for session, (init, start) in inits.items():
            session.begin(Batch([init, *_heard(events[start:], session)]))
        return inits

    def _tell(
        self,
        room: Room[Session],
        events: Sequence[Event],
        before: int,
        others: Container[Session] = (),
    ) -> None:
        """Send *events* to all readers, who have had messages up to *before*, but to *others*."""
        batch = Batch(events)
        typing = {event.id for event in events if isinstance(event, Typed)}
        stale = any(not isinstance(event, Message | Typed) for event in events)
        for session, cursor in list(room.readers.items()):
            if session in others:
                continue
            if session.paused or not cursor.live:
                cursor.lag(before, stale)
            elif session.user.id in typing:
                session.tell(Batch(_heard(events, session)))
            else:
                session.tell(batch)

    def _begin(self, session: Session, room: Room[Session], after: int | None) -> Init:
        try:
            messages, resumed = room.begin(after)
        except Unavailable:
            messages, resumed = room.begin(None)
        return self._init(session, room, messages, resumed=resumed)

    def _init(
        self, session: Session, room: Room[Session], messages: list[Message], *, resumed: bool
    ) -> Init:
        user = session.user
        more = (messages[0].id if messages else room.last + 1) > 1
        return Init(
            room.name,
            Self(user.id, room.here[user.id], self.token(user)),
            room.users(user.id),
            len(room.here),
            messages,
            resumed,
            more,
            self.log.epoch,
            self.limits,
        )

    def _gone(self, user: User, room: Room[Session], origin: Leave | None) -> None:
        user.rooms.discard(room.key)
        user.typed.pop(room.key, None)
        self.log.append(Pass(room.key, Exited(room.name, user.id, user.name.shown), origin))
        self._release(user)

    def _release(self, user: User) -> None:
        if not (user.sessions or user.rooms) and self.users.get(user.id) is user:
            del self.users[user.id]
            del self._names[user.name.key]

    def _call(self, user: User, wish: str) -> None:
        try:
            name = names.user_name(wish)
        except BadName as error:
            raise Problem("bad_name", str(error)) from error
        if self._names.get(name.key, user) is not user:
            raise Problem("name_taken", "this name is taken")
        self._names.pop(user.name.key, None)
        self._names[name.key] = user
        user.name = name

    def _guest(self, user: User) -> str:
        # Ids may be long, where they had to be drawn.
        name = guest = f"guest-{user.id % 100_000}"
        attempt = 1
        while name in self._names:
            attempt += 1
            name = f"{guest}-{attempt}"
        return name

    def _sign(self, id: bytes) -> bytes:
        return id + hmac.digest(self.log.secret, id, hashlib.sha256)[:16]

    def _known(self, token: str | None) -> int | None:
        try:
            signed = urlsafe_b64decode((token or "").encode("ascii"))
        except ValueError:
            return None
        if not hmac.compare_digest(self._sign(signed[:8]), signed):
            return None
        return int.from_bytes(signed[:8])


class Session:
    """
    One connection of one *user*: what comes from it is `receive`d, what goes to it is sent.

    It sends nothing before the first `Init`, and holds what comes in until then and while it is
    *paused*. *known*: whether the user has been here before.
    """

    def __init__(
        self,
        chat: Chat,
        user: User,
        send: Callable[[Batch], None],
        disconnect: Callable[[Close, str], None],
        known: bool,
    ) -> None:
        self.chat = chat
        self.user = user
        self.known = known
        self.rooms: set[str] = set()
        self.paused = False
        self.closed = False
        self._send = send
        self._disconnect = disconnect
        self._begun = False
        self._waiting: deque[Callable[[], None]] = deque()
        self._parted: list[Event] = []
        self._patience = TokenBucket(1, PATIENCE)

    # For the transport.

    def enter(self, room: str, after: int | None = None, epoch: str | None = None) -> None:
        """
        Enter *room*, to go on behind the message *after* of *epoch* if that can be.

        Raises `BadName` and `Unavailable`.
        """
        self.chat.enter(self, self.chat.open(names.room_name(room)), after, epoch)
        self.known = True

    def receive(self, command: Command) -> None:
        """Do what *command* says, or say what is wrong with it: now, or when it is its turn."""
        if not self.closed:
            self._waiting.append(lambda: self._obey(command))
            self.work()

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Go on with what was missed, and with what has come in."""
        self.paused = False
        # First, for a room that was left may have been entered again, and an `Init` be due.
        parted, self._parted = self._parted, []
        self.tell(Batch(parted))
        for key in list(self.rooms):
            self.chat.catch_up(self, self.chat.rooms[key])
        self.work()

    def close(self, *, clean: bool) -> None:
        """
        End: the connection is gone.

        *clean* if its user meant to leave; otherwise they have the grace time to come back.
        """
        self.closed = True
        self._waiting.clear()
        if self in self.user.sessions:
            self.chat.lose(self, clean=clean)

    # For the chat.

    def tell(self, batch: Batch) -> None:
        """Send *batch*, if there is something in it."""
        if batch.events and not self.closed:
            self._send(batch)

    def begin(self, batch: Batch) -> None:
        """Send *batch*, which starts with an `Init`; from now on there is `work` to do."""
        self._begun = True
        self.tell(batch)

    def part(self, event: Event) -> None:
        """Send *event*, with which this session stops reading a room."""
        if self.paused:
            self._parted.append(event)
        else:
            self.tell(Batch([event]))

    def reply(self, event: Event) -> None:
        """Send *event* to this session alone, as soon as it can be sent."""
        if self._begun and not self.paused:
            self.tell(Batch([event]))
        else:
            self._waiting.append(lambda: self.reply(event))

    def answer(self, outcome: Repeated | Refused) -> None:
        """Tell what has become of something said that nobody else is told of."""
        if isinstance(outcome, Repeated):
            self.reply(outcome.message)
        else:
            code = outcome.code
            retry = 1.0 if code == "unavailable" else None
            self.reply(Error(code, _TROUBLE[code], "talk", outcome.draft.message.nonce, retry))

    def end(self, code: Close, reason: str) -> None:
        """Have the connection ended; nothing more comes from it or goes to it."""
        self.closed = True
        self._waiting.clear()
        self._disconnect(code, reason)

    def work(self) -> None:
        """Do what waits, as far as it is its turn."""
        while self._waiting and self._begun and not self.paused:
            self._waiting.popleft()()

    def _obey(self, command: Command) -> None:
        try:
            self._do(command)
        except Problem as problem:
            about = command.event if isinstance(command, Bad) else type(command).__name__.lower()
            nonce = command.nonce if isinstance(command, Talk) else None
            retry = problem.retry_after
            retry = None if retry is None else math.ceil(retry * 1000) / 1000
            self.reply(Error(problem.code, str(problem), about, nonce, retry))
            if problem.code != "unavailable" and self._patience.take(self.chat.clock()):
                self.end(Close.POLICY, "too many errors")

    def _do(self, command: Command) -> None:
        match command:
            case Bad(why):
                raise Problem("bad_message", why)
            case Ping(data):
                self.reply(Pong(data))
            case Talk():
                self._say(command)
            case Typing(wish):
                self._typing(self._in(wish))
            case History(wish, before, limit):
                self._history(self._in(wish), before, limit)
            case Rename(wish):
                self._spend(self.user.talk)
                self.chat.rename(self.user, wish)
            case Join(wish, after, epoch):
                self._spend(self.user.moves)
                self._join(wish, after, epoch)
            case Exit(wish):  # pragma: no branch
                room = self._in(wish)
                self._spend(self.user.moves)
                self.chat.leave(self, room)

    def _say(self, talk: Talk) -> None:
        chat = self.chat
        if talk.type not in chat.limits.types:
            raise Problem("bad_message", "there is no such type of message")
        if len(talk.message) > chat.limits.message:
            raise Problem("too_long", f"a message has at most {chat.limits.message} characters")
        if blank(talk.message):
            raise Problem("empty", "there is nothing to be seen in this message")
        room = self._in(talk.room)
        self._spend(self.user.talk)
        sender = Who(self.user.id, self.user.name.shown)
        message = Message(
            0, room.name, talk.message, talk.type, sender, rfc3339(chat.wall()), talk.nonce
        )
        chat.log.append(Say(room.key, message, self))

    def _typing(self, room: Room[Session]) -> None:
        user, now = self.user, self.chat.clock()
        if now >= user.typed.get(room.key, float("-inf")) + TYPING:
            user.typed[room.key] = now
            event = Typed(room.name, user.id, user.name.shown)
            self.chat.log.append(Pass(room.key, event, None))

    def _history(self, room: Room[Session], before: int | None, limit: int) -> None:
        try:
            messages = room.before(before, min(limit, PAGE))
        except Unavailable as error:
            raise Problem("unavailable", "the history cannot be read now", 1.0) from error
        self.reply(Page(room.name, messages, bool(messages) and messages[0].id > 1))

    def _join(self, wish: str, after: int | None, epoch: str | None) -> None:
        try:
            if len(self.rooms) >= ROOMS and names.room_name(wish).key not in self.rooms:
                raise Problem("too_many_rooms", f"a connection is in at most {ROOMS} rooms")
            self.enter(wish, after, epoch)
        except BadName as error:
            raise Problem("bad_room", str(error)) from error
        except Unavailable as error:
            raise Problem("unavailable", "the room cannot be read now", 1.0) from error

    def _in(self, wish: str) -> Room[Session]:
        try:
            key = names.room_name(wish).key
        except BadName as error:
            raise Problem("bad_room", str(error)) from error
        if key not in self.rooms:
            raise Problem("not_in_room", "you are not in this room")
        return self.chat.rooms[key]

    def _spend(self, bucket: TokenBucket) -> None:
        if wait := bucket.take(self.chat.clock()):
            raise Problem("rate_limited", "not so fast", wait)


def _heard(events: Sequence[Event], session: Session) -> list[Event]:
    """Return *events* without those that say that the user of *session* is typing."""
    me = session.user.id
    return [event for event in events if not (isinstance(event, Typed) and event.id == me)]


def blank(text: str) -> bool:
    """Return whether nothing can be seen in *text*: spaces, controls, zero-width characters."""
    unseen = ("Cc", "Cf", "Zl", "Zp", "Zs")
    return all(
        unicodedata.category(c) in unseen or c in "\u115f\u1160\u2800\u3164\uffa0" for c in text
    )


def rfc3339(seconds: float) -> str:
    """Return *seconds* since 1970 as UTC with milliseconds (RFC 3339)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
