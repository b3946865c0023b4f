"""One connection of one user (`Session`): what waits, what is sent, and where it may be."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from chatroom import names
from chatroom.commands import (
    LOBBY,
    Command,
    Delete,
    DirectTo,
    Edit,
    Join,
    React,
    Search,
    SetTopic,
    Talk,
)
from chatroom.events import Batch, Close, Direct, Error, Event, ReadTo, Who
from chatroom.limits import TokenBucket
from chatroom.log import Refused, Repeated, Unavailable
from chatroom.names import BadName, Name
from chatroom.room import Room

if TYPE_CHECKING:
    from chatroom.chat import Chat

ROOMS = 100
"""In so many rooms one connection may be."""
SCROLL = 25
"""For so many bursts of pages of history there is room: who scrolls far does not notice."""
PATIENCE = 50
"""So many errors of their own making a client has at once, and one more each second."""

TROUBLE = {
    "nonce_reused": "this nonce was used for something else",
    "unavailable": "it could not be stored; nothing was said",
}
"""Why the log refuses what is said, by code."""


class Problem(Exception):
    """What is wrong with a command, for whoever gave it: an `Error` without its context."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after

    def error(self, event: str | None = None, nonce: str | None = None) -> Error:
        """Return what tells of it, if it is the *event* with this *nonce* that it is about."""
        retry = self.retry_after
        retry = None if retry is None else math.ceil(retry * 1000) / 1000
        return Error(self.code, str(self), event, nonce, retry)


UNAVAILABLE = Problem("unavailable", "the store cannot be read now", 1.0)


Told = Callable[[Event | None], None]
"""Is given the answer to a command, or None when it is done and there is none."""


class Turn(NamedTuple):
    """A *command* that waits, and whom its answer is for."""

    command: Command
    told: Told


class Asked(NamedTuple):
    """A search in the room called *name*, or everywhere: in *rooms* and *also*, for the log."""

    session: Session
    search: Search
    name: str | None
    rooms: list[str] | None
    also: list[str]


class User:
    """
    Somebody: the *sessions* by which they are here, and the keys of the *rooms* they are in.

    What has not happened yet is None.
    """

    __slots__ = (
        "id",
        "moves",
        "name",
        "pages",
        "questions",
        "rooms",
        "sessions",
        "talk",
        "token",
        "typed",
        "who",
    )

    def __init__(self, id: int, token: str | None) -> None:
        self.id = id
        self.token = token
        self.name = Name("", "")
        self.who = Who(id, "")
        self.sessions: list[Session] = []
        self.rooms: frozenset[str] = frozenset()
        self.talk: TokenBucket | None = None
        self.moves: TokenBucket | None = None
        self.pages: TokenBucket | None = None
        self.questions: TokenBucket | None = None
        self.typed: dict[str, float] | None = None


class Session:
    """
    One connection of one *user*: what comes from it is `receive`d, what goes to it is sent.

    It sends nothing before the first `Init`, and holds what comes in until then and while it is
    *paused*. *known*: whether the user has been here before.
    """

    # What most sessions never change costs none of them any memory.
    rooms: frozenset[str] = frozenset()
    open = False
    """Whether it can be sent something now."""
    paused = False
    closed = False
    _begun = False
    _entering = False
    _waiting: deque[Command | Turn | Event] | tuple[()] = ()
    _parted: tuple[Event, ...] = ()
    _notes: dict[tuple[type, str], Direct | ReadTo] | tuple[()] = ()
    searches: deque[Asked] | tuple[()] = ()
    """What is searched for: the first now, the others in turn."""
    _patience: TokenBucket | None = None

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
        self.send = send
        self._disconnect = disconnect

    # For the transport.

    def enter(self, room: str, after: int | None = None, epoch: str | None = None) -> None:
        """
        Enter *room*, to go on behind the entry *after* of *epoch* if that can be.

        Where this user may not be they are in the lobby, and are told after their first `Init`.
        Raises `BadName` and `Unavailable`.
        """
        name = names.room_name(room)
        try:
            self.admit(name)
        except Problem as problem:
            self.reply(problem.error())
            name, after = names.room_name(LOBBY), None
        self.join(name, after, epoch)

    def receive(self, command: Command, told: Told | None = None) -> None:
        """
        Do what *command* says, or say what is wrong with it: now, or when it is its turn.

        With *told*, the answer goes there alone: the entry that was stored, what was asked for, an
        `Error`, or None where there is no other answer. It is not called if the session ends first.
        """
        if self.open and not self._waiting and not self._has_to_wait(command):
            self._obey(command, told)
        elif not self.closed:
            self._wait(command if told is None else Turn(command, told))
            self.work()

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self.paused = True
        self.open = False

    def resume(self) -> None:
        """Go on with what was missed, and with what has come in."""
        self.paused = False
        self.open = self._begun and not self.closed
        # First, for a room that was left may have been entered again, and an `Init` be due.
        parted, self._parted = self._parted, ()
        self.tell(Batch(parted))
        for key in self.rooms:
            self.chat.catch_up(self, self.chat.rooms[key])
        self.work()

    def close(self, *, clean: bool) -> None:
        """
        End: the connection is gone.

        *clean* if its user meant to leave; otherwise they have the grace time to come back.
        """
        self._stop()
        if self in self.user.sessions:
            self.chat.lose(self, clean=clean)
            # They know the transport, which knows this.
            del self.send, self._disconnect

    # For the chat.

    def tell(self, batch: Batch) -> None:
        """Send *batch*, if there is something in it."""
        if batch.content and not self.closed:
            self.send(batch)

    def begin(self, batch: Batch) -> None:
        """Send *batch*, which starts with an `Init`; from now on there is `work` to do."""
        self._begun = True
        self.open = not (self.paused or self.closed)
        self.tell(batch)

    def entered(self) -> None:
        """Go on, with `work`, now that the room is entered that this session was about to enter."""
        self._entering = False

    def part(self, due: list[Event], exited: Event | None) -> None:
        """Send what is *due*, and *exited*, with which this session stops reading a room."""
        if exited is not None:
            due = [*due, exited]
        if not self.paused:
            self.tell(Batch(due))
        elif exited is not None:
            self._parted = (*self._parted, exited)

    def reply(self, event: Event) -> None:
        """Send *event* to this session alone, as soon as it can be sent."""
        if self.open:
            self.send(Batch([event]))
        elif not self.closed:
            self._wait(event)

    def answer(self, outcome: Repeated | Refused) -> None:
        """Tell what has become of something said that nobody else is told of."""
        if isinstance(outcome, Repeated):
            self.reply(outcome.entry)
        else:
            code, wish = outcome.code, outcome.draft.entry
            retry = 1.0 if code == "unavailable" else None
            self.reply(Error(code, TROUBLE[code], wish.event, wish.nonce, retry))

    def note(self, event: Direct | ReadTo) -> None:
        """Send *event* as soon as it can be sent; of several of a kind about a room the last."""
        if self.open:
            self.send(Batch([event]))
        elif not self.closed:
            if not isinstance(self._notes, dict):
                self._notes = {}
            self._notes[type(event), event.room] = event

    def end(self, code: Close, reason: str) -> None:
        """Have the connection ended; nothing more comes from it or goes to it."""
        if not self.closed:
            self._stop()
            self._disconnect(code, reason)

    def work(self) -> None:
        """Do what waits, as far as it is its turn."""
        if self._notes and self.open:
            notes, self._notes = self._notes, ()
            self.send(Batch(list(dict(notes).values())))
        while self._waiting and self.open:
            first = self._waiting[0]
            if self._has_to_wait(first.command if isinstance(first, Turn) else first):
                return
            self._waiting.popleft()
            if isinstance(first, Turn):
                self._obey(*first)
            elif isinstance(first, Command):
                self._obey(first)
            else:
                self.reply(first)
        if not self._waiting:
            self._waiting = ()

    def _has_to_wait(self, what: Command | Event) -> bool:
        # An `Init` may be large: the next one is not made before this one has been sent.
        return self._entering and isinstance(what, Join | DirectTo)

    def _wait(self, what: Command | Turn | Event) -> None:
        if not self._waiting:
            self._waiting = deque()
        self._waiting.append(what)

    def _stop(self) -> None:
        self.closed = True
        self.open = False
        self._waiting = self._notes = self.searches = ()

    def _obey(self, command: Command, told: Told | None = None) -> None:
        aside = None if told is None else Aside(self, told)
        session = aside or self
        try:
            self.chat.does[type(command)](session, command)
        except Unavailable:
            session.refuse(command, UNAVAILABLE)
        except Problem as problem:
            session.refuse(command, problem)
            self._patience = self._patience or TokenBucket(1, PATIENCE)
            if self._patience.take(self.chat.clock()):
                self.end(Close.POLICY, "too many errors")
        else:
            if aside is not None:
                aside.done(command)

    def refuse(self, command: Command, problem: Problem) -> None:
        """Tell what is wrong with *command*."""
        self.reply(error(command, problem))

    @property
    def whole(self) -> Session:
        """The session that this is, or is a part of."""
        return self

    # For what commands do, in `saying` and `asking`. All of these raise `Problem`.

    def room(self, wish: str) -> Room[Session]:
        """Return the room called *wish*, which this session is in."""
        if wish not in self.rooms:
            wish = room_name(wish).key
            if wish not in self.rooms:
                raise Problem("not_in_room", "you are not in this room")
        return self.chat.rooms[wish]

    def admit(self, name: Name) -> None:
        """See whether the room *name* is one for this user: not the direct one of others."""
        parties = names.parties(name.key)
        if parties is None:
            return
        if self.user.id not in parties:
            raise Problem("forbidden", "this room is of two others")
        chat = self.chat
        (other,) = parties - {self.user.id}
        if not (name.key in chat.rooms or chat.exists(other) or chat.log.room(name.key)):
            raise Problem("no_such_user", "there is no such user")

    def join(self, name: Name, after: int | None, epoch: str | None) -> None:
        """Enter the room *name*. Raises `Unavailable`, too."""
        if len(self.rooms) >= ROOMS and name.key not in self.rooms:
            raise Problem("too_many_rooms", f"a connection is in at most {ROOMS} rooms")
        self.chat.enter(self, self.chat.open(name), after, epoch)
        self._entering = True
        self.known = True

    def turn_page(self) -> None:
        """Spend what a page of history costs."""
        self.user.pages = self.spend(self.user.pages, SCROLL)

    def spend(self, bucket: TokenBucket | None, times: int = 1) -> TokenBucket:
        """Take one from *bucket*, or from a new one for so many bursts, and return that bucket."""
        if bucket is None:
            bucket = self.chat.bucket(times)
        if wait := bucket.take(self.chat.clock()):
            raise Problem("rate_limited", "not so fast", wait)
        return bucket


class Aside(Session):
    """
    The part of the session *whole* that does one command whose answer is for *told* alone.

    What it says it says for that session; where it goes, that session goes.
    """

    open = True

    def __init__(self, whole: Session, told: Told) -> None:
        self.chat = whole.chat
        self.user = whole.user
        self.known = True
        self._whole = whole
        self._told: Told | None = told

    @property
    def whole(self) -> Session:
        return self._whole

    def reply(self, event: Event | None) -> None:
        told, self._told = self._told, None
        if told is not None:
            told(event)

    def done(self, command: Command) -> None:
        """Tell that *command* was done, if there is nothing else to tell of it, or to come."""
        if not isinstance(command, Talk | Edit | Delete | React | SetTopic | Search):
            self.reply(None)

    def room(self, wish: str) -> Room[Session]:
        return self._whole.room(wish)

    def join(self, name: Name, after: int | None, epoch: str | None) -> None:
        self._whole.join(name, after, epoch)


class Visit(Session):
    """Where *user* says or asks something from in rooms that they need not be in."""

    open = True

    def __init__(self, chat: Chat, user: User) -> None:
        super().__init__(chat, user, _nowhere, _nowhere, known=True)
        self.opened: Room[Session] | None = None
        """The room that was asked for last."""

    def room(self, wish: str) -> Room[Session]:
        name = room_name(wish)
        self.admit(name)
        self.opened = self.chat.open(name)
        return self.opened

    def join(self, name: Name, after: int | None, epoch: str | None) -> None:
        raise Problem("forbidden", "a room is entered by a connection that stays")

    def turn_page(self) -> None:
        """Nothing: who visits has no more than one in a turn, and all strangers are one user."""

    def end(self, code: Close, reason: str) -> None:
        """Nothing: who visits has no connection to lose."""


def error(command: Command, problem: Problem) -> Error:
    """Return what tells that *problem* is what is wrong with *command*."""
    return problem.error(command.event, getattr(command, "nonce", None))


def _nowhere(*said: object) -> None:
    """Take what is said to a visitor, who is told by other means."""


def room_name(wish: str) -> Name:
    """Return *wish* as the name of a room. Raises `Problem`."""
    try:
        return names.room_name(wish)
    except BadName as error:
        raise Problem("bad_room", str(error)) from error
