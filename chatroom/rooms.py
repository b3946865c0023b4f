"""All rooms (`Rooms`): how they change by what the log has settled, and who is told of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from chatroom import names
from chatroom.events import (
    Batch,
    Close,
    CommonInit,
    Deleted,
    Direct,
    Edited,
    Entry,
    Event,
    Exited,
    File,
    Init,
    Limits,
    Message,
    Reacted,
    ReadTo,
    Self,
    Topic,
    Typed,
    Who,
)
from chatroom.log import Draft, Log, Mark, Outcome, Pass, Refused, Repeated, Said, Unavailable
from chatroom.names import Name
from chatroom.room import Cursor, Room
from chatroom.session import Aside, Session
from chatroom.users import Users

CHUNK = 50
"""How many entries a reader who lags is given at a time."""
FAR = 10_000
"""How many entries a reader may lag behind before being sent away."""

NOWHERE = ""
"""No room's key: what goes through the log by this name is for the log alone."""


class Enter(NamedTuple):
    """A session that begins to read a room, behind the entry *after* if it can."""

    session: Session
    after: int | None


class Leave(NamedTuple):
    """A session that stops reading a room."""

    session: Session


# Who misses these need not be told who is here: the ones are in the log, the others lapse.
_NOT_MISSED = frozenset((Message, Edited, Deleted, Reacted, Topic, Typed))


class Files(Protocol):
    """The files that were uploaded. Nothing of this waits, and only `find` raises."""

    limit: int
    """The most bytes of a file; 0 if there are none."""

    def find(self, id: str, user: int) -> File | None:
        """Return the file *id* for *user* to show, if it is there. Raises `Unavailable`."""

    def clean(self, name: str) -> str:
        """Return *name* as a file may be called that is shown."""

    def remove(self, id: str) -> None:
        """Let go of the file *id*: no message refers to it any more."""


class Rooms(Users):
    """
    All rooms, as *log* has them, and who reads them.

    With more than *crowd* users a room is one; *files* are those that messages have, if there are
    any. What clients may do is told them as *limits*.
    """

    def __init__(self, log: Log, limits: Limits, crowd: int, files: Files | None) -> None:
        super().__init__(log)
        self.limits = limits
        self.files = files
        self.rooms: dict[str, Room[Session]] = {}
        self._crowd = crowd
        self._attached: Counter[str] = Counter()
        """The files that drafts which are under way refer to."""
        self._followers: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        log.listener = self._deliver

    def count(self, key: str) -> int:
        """Return how many are seen in the room *key*."""
        room = self.rooms.get(key)
        return len(room.here) if room is not None else 0

    def other(self, key: str, me: int) -> Who | None:
        """Return with whom the user *me* is in the room *key*, if that is a direct one."""
        parties = names.parties(key)
        if parties is None:
            return None
        (id,) = parties - {me}
        return self.who(id)

    def append(self, room: Room[Session], draft: Draft) -> None:
        """Append *draft*, of *room*, to the log."""
        room.pending += 1
        self.log.append(draft)

    def attach(self, id: str) -> None:
        """Keep the file *id*: a draft that is about to be appended refers to it."""
        self._attached[id] += 1

    def follow(self, key: str, told: Callable[[], None]) -> Callable[[], None]:
        """
        Have *told* called when there is a new entry in the room *key*, once for a batch.

        It neither waits nor raises. What is returned ends it.
        """
        followers = self._followers[key]
        followers.append(told)
        return lambda: followers.remove(told)

    def open(self, name: Name) -> Room[Session]:
        """Return the room called *name*, as it is or new. Raises `Unavailable`."""
        room = self.rooms.get(name.key)
        if room is None:
            room = self.rooms[name.key] = Room(name, self.log, self._crowd)
        return room

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
        others: list[Repeated | Refused | Mark] = []
        asides: list[tuple[Aside, Entry]] = []
        for outcome in outcomes:
            if isinstance(outcome, Said):
                rooms[outcome.draft.room].append(outcome)
                if type(outcome.draft.origin) is Aside:
                    asides.append((outcome.draft.origin, outcome.entry))
                if outcome.released is not None and not self._attached[outcome.released]:
                    assert self.files is not None
                    self.files.remove(outcome.released)
            elif isinstance(outcome, Pass):
                if outcome.room != NOWHERE:
                    rooms[outcome.room].append(outcome)
            else:
                others.append(outcome)
            if self._attached and isinstance(outcome, Said | Repeated | Refused):
                self._detach(outcome.draft.entry)
        entered: list[Session] = []
        for key, those in rooms.items():
            room = self.rooms[key]
            entered += self._apply(room, those)
            if self._followers.get(key) and any(isinstance(one, Said) for one in those):
                for told in list(self._followers[key]):
                    told()
            self.settled(room, len(those))
        # Behind all that was said before.
        for aside, entry in asides:
            aside.reply(entry)
        for other in others:
            if isinstance(other, Mark):
                key = other.room
                self._marked(other)
            else:
                key = other.draft.room
                session = other.draft.origin
                assert isinstance(session, Session)
                if isinstance(other, Repeated) and isinstance(other.entry, Message):
                    # It may have changed since it was looked up.
                    with suppress(Unavailable):
                        other.entry = self.rooms[key].message(other.entry.id) or other.entry
                session.answer(other)
            self.settled(self.rooms[key], 1)
        # Last, so that a bug in doing what was held back harms nobody else.
        for session in entered:
            session.work()

    def _apply(self, room: Room[Session], outcomes: Sequence[Said | Pass]) -> list[Session]:
        """Change *room* by *outcomes*, tell its readers, and return who has entered it."""
        before = room.last
        events: list[Event] = []
        gone: list[tuple[Session, list[Event], Event | None]] = []
        begun: dict[Session, tuple[int | None, Init, int]] = {}
        entered: list[Session] = []
        for outcome in outcomes:
            if isinstance(outcome, Said):
                room.apply(outcome.entry)
                events.append(outcome.entry)
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
                session.entered()
                entered.append(session)
                if session.paused:
                    room.lagging[session] = Cursor(after, new=True)
                else:
                    begun[session] = after, self._init(session, room, after), len(events)
        # Nobody is sent anything before the room is as it will be, for that may let others go on.
        if events:
            self._tell(room, events, before)
            if room.parties and any(isinstance(event, Message) for event in events):
                self._call_in(room, room.parties)
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
        return entered

    def _tell(self, room: Room[Session], events: Sequence[Event], before: int) -> None:
        """Send *events* to all readers, who have had entries up to *before*."""
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

    def _detach(self, entry: Entry) -> None:
        """Let the file of *entry* go, which is no draft any more."""
        if isinstance(entry, Message) and entry.file is not None:
            self._attached[entry.file.id] -= 1
            # Nothing is left of those that no draft refers to.
            self._attached = +self._attached

    def _call_in(self, room: Room[Session], parties: frozenset[int]) -> None:
        """Tell the *parties* of *room* where they are not in it that something was said."""
        for id in parties & self.users.keys():
            (other,) = parties - {id}
            event = Direct(room.name, self.who(other))
            for session in list(self.users[id].sessions):
                if room.key not in session.rooms:
                    session.note(event)

    def _marked(self, mark: Mark) -> None:
        """Tell all sessions of a user how far they have read."""
        user = self.users.get(mark.user)
        if user is None or mark.id is None:
            return
        try:
            id = self.log.read(mark.room, mark.user)
        except Unavailable:
            id = mark.id
        # Another device may have come further; where nothing was said, nothing is kept.
        event = ReadTo(self.rooms[mark.room].name, mark.id if id is None else id)
        for session in list(user.sessions):
            session.note(event)

    def settled(self, room: Room[Session], count: int) -> None:
        """Forget *room*, if it is so, now that *count* drafts have come back."""
        room.pending -= count
        if room.forgotten and self.rooms.get(room.key) is room:
            del self.rooms[room.key]

    def _init(self, session: Session, room: Room[Session], after: int | None) -> CommonInit:
        user = session.user
        past = room.past(after, self.limits)
        read = None
        if room.last:
            with suppress(Unavailable):
                read = self.log.read(room.key, user.id)
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
            room.last,
            room.topic,
            past.changes,
            read,
            self.other(room.key, user.id) if room.parties else None,
            common=(past.json, room.sample().json),
        )


def _heard(events: Sequence[Event], session: Session) -> list[Event]:
    """Return *events* without those that say that the user of *session* is typing."""
    me = session.user.id
    return [event for event in events if not (isinstance(event, Typed) and event.id == me)]
