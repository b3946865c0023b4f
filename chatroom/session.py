"""One connection of one user (`Session`), and what it may do."""

from __future__ import annotations

import math
import unicodedata
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chatroom import names
from chatroom.events import (
    PAGE,
    Bad,
    Batch,
    Close,
    Command,
    Error,
    Event,
    Exit,
    History,
    Join,
    Message,
    Page,
    Ping,
    Pong,
    Rename,
    Talk,
    Typed,
    Typing,
    Who,
)
from chatroom.limits import TokenBucket
from chatroom.log import Pass, Refused, Repeated, Say, Unavailable
from chatroom.names import BadName, Name
from chatroom.room import Room

if TYPE_CHECKING:
    from chatroom.chat import Chat

TYPING = 3.0
"""One `typing` of a user in a room is passed on in so many seconds."""
ROOMS = 100
"""In so many rooms one connection may be."""
PATIENCE = 50
"""So many errors of their own making a client has at once, and one more each second."""

_TROUBLE = {
    "nonce_reused": "this nonce was used for another message",
    "unavailable": "the message could not be stored; nothing was said",
}


_UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Zs"))
# Letters and symbols that are drawn as nothing.
_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"


class Problem(Exception):
    """What is wrong with a command, for whoever gave it: an `Error` without its context."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class User:
    """
    Somebody: the *sessions* by which they are here, and the keys of the *rooms* they are in.

    What has not happened yet is None.
    """

    __slots__ = ("id", "moves", "name", "rooms", "sessions", "talk", "token", "typed", "who")

    def __init__(self, id: int, token: str | None) -> None:
        self.id = id
        self.token = token
        self.name = Name("", "")
        self.who = Who(id, "")
        self.sessions: list[Session] = []
        self.rooms: frozenset[str] = frozenset()
        self.talk: TokenBucket | None = None
        self.moves: TokenBucket | None = None
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
    _waiting: deque[Command | Event] | tuple[()] = ()
    _parted: tuple[Event, ...] = ()
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
        Enter *room*, to go on behind the message *after* of *epoch* if that can be.

        Raises `BadName` and `Unavailable`.
        """
        self.chat.enter(self, self.chat.open(names.room_name(room)), after, epoch)
        self.known = True

    def receive(self, command: Command) -> None:
        """Do what *command* says, or say what is wrong with it: now, or when it is its turn."""
        if self.open and not self._waiting:
            self._obey(command)
        elif not self.closed:
            self._wait(command)
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
            self.reply(outcome.message)
        else:
            code = outcome.code
            retry = 1.0 if code == "unavailable" else None
            self.reply(Error(code, _TROUBLE[code], "talk", outcome.draft.message.nonce, retry))

    def end(self, code: Close, reason: str) -> None:
        """Have the connection ended; nothing more comes from it or goes to it."""
        if not self.closed:
            self._stop()
            self._disconnect(code, reason)

    def work(self) -> None:
        """Do what waits, as far as it is its turn."""
        while self._waiting and self.open:
            first = self._waiting.popleft()
            if isinstance(first, Command):
                self._obey(first)
            else:
                self.reply(first)
        if not self._waiting:
            self._waiting = ()

    def _wait(self, what: Command | Event) -> None:
        if not self._waiting:
            self._waiting = deque()
        self._waiting.append(what)

    def _stop(self) -> None:
        self.closed = True
        self.open = False
        self._waiting = ()

    def _obey(self, command: Command) -> None:
        try:
            _DOES[type(command)](self, command)
        except Problem as problem:
            about = command.event if isinstance(command, Bad) else type(command).__name__.lower()
            nonce = command.nonce if isinstance(command, Talk) else None
            retry = problem.retry_after
            retry = None if retry is None else math.ceil(retry * 1000) / 1000
            self.reply(Error(problem.code, str(problem), about, nonce, retry))
            if problem.code != "unavailable":
                self._patience = self._patience or TokenBucket(1, PATIENCE)
                if self._patience.take(self.chat.clock()):
                    self.end(Close.POLICY, "too many errors")

    def _bad(self, bad: Bad) -> None:
        raise Problem("bad_message", bad.why)

    def _ping(self, ping: Ping) -> None:
        self.reply(Pong(ping.data))

    def _say(self, talk: Talk) -> None:
        chat, user = self.chat, self.user
        if talk.type not in chat.limits.types:
            raise Problem("bad_message", "there is no such type of message")
        if len(talk.message) > chat.limits.message:
            raise Problem("too_long", f"a message has at most {chat.limits.message} characters")
        if blank(talk.message):
            raise Problem("empty", "there is nothing to be seen in this message")
        room = self._in(talk.room)
        user.talk = self._spend(user.talk, chat.limits.burst)
        time = rfc3339(chat.wall())
        message = Message(0, room.name, talk.message, talk.type, user.who, time, talk.nonce)
        chat.log.append(Say(room.key, message, self))

    def _rename(self, rename: Rename) -> None:
        user = self.user
        user.talk = self._spend(user.talk, self.chat.limits.burst)
        self.chat.rename(user, rename.name)

    def _typing(self, typing: Typing) -> None:
        room, user, now = self._in(typing.room), self.user, self.chat.clock()
        if user.typed is None:
            user.typed = {}
        if now >= user.typed.get(room.key, float("-inf")) + TYPING:
            user.typed[room.key] = now
            event = Typed(room.name, user.id, user.name.shown)
            self.chat.log.append(Pass(room.key, event, None))

    def _history(self, history: History) -> None:
        room = self._in(history.room)
        try:
            messages = room.before(history.before, min(history.limit, PAGE))
        except Unavailable as error:
            raise Problem("unavailable", "the history cannot be read now", 1.0) from error
        self.reply(Page(room.name, messages, bool(messages) and messages[0].id > 1))

    def _join(self, join: Join) -> None:
        self._move()
        try:
            if len(self.rooms) >= ROOMS and names.room_name(join.room).key not in self.rooms:
                raise Problem("too_many_rooms", f"a connection is in at most {ROOMS} rooms")
            self.enter(join.room, join.after, join.epoch)
        except BadName as error:
            raise Problem("bad_room", str(error)) from error
        except Unavailable as error:
            raise Problem("unavailable", "the room cannot be read now", 1.0) from error

    def _exit(self, exit: Exit) -> None:
        room = self._in(exit.room)
        self._move()
        self.chat.leave(self, room)

    def _in(self, wish: str) -> Room[Session]:
        if wish not in self.rooms:
            try:
                wish = names.room_name(wish).key
            except BadName as error:
                raise Problem("bad_room", str(error)) from error
            if wish not in self.rooms:
                raise Problem("not_in_room", "you are not in this room")
        return self.chat.rooms[wish]

    def _move(self) -> None:
        self.user.moves = self._spend(self.user.moves, self.chat.limits.burst * 5)

    def _spend(self, bucket: TokenBucket | None, burst: float) -> TokenBucket:
        """Take one from *bucket*, or from a new one for *burst*, and return that bucket."""
        if bucket is None:
            bucket = TokenBucket(self.chat.limits.rate, burst)
        if wait := bucket.take(self.chat.clock()):
            raise Problem("rate_limited", "not so fast", wait)
        return bucket


_DOES: dict[type, Callable[[Session, Any], None]] = {
    Bad: Session._bad,
    Ping: Session._ping,
    Talk: Session._say,
    Rename: Session._rename,
    Typing: Session._typing,
    History: Session._history,
    Join: Session._join,
    Exit: Session._exit,
}


def blank(text: str) -> bool:
    """Return whether nothing can be seen in *text*: spaces, controls, zero-width characters."""
    for c in text:
        if "!" <= c <= "~" or not (unicodedata.category(c) in _UNSEEN or c in _EMPTY):
            return False
    return True


def rfc3339(seconds: float) -> str:
    """Return *seconds* since 1970 as UTC with milliseconds (RFC 3339)."""
    return _millisecond(math.floor(seconds * 1000))


# In a busy room much is said in one millisecond, let alone in one second.
@lru_cache(maxsize=1)
def _millisecond(number: int) -> str:
    return f"{_second(number // 1000)}.{number % 1000:03}Z"


@lru_cache(maxsize=1)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%dT%H:%M:%S")
