"""A chat on a clock of its own, and connections that see everything."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from chatroom.chat import Chat, Session
from chatroom.commands import LOBBY, Command, Talk
from chatroom.events import (
    Batch,
    Close,
    Entry,
    Error,
    Event,
    Init,
    Message,
    Typed,
    Version,
    encode,
)
from chatroom.log import (
    Draft,
    Found,
    Known,
    Outcome,
    Reading,
    Refused,
    Say,
    Unavailable,
    ignore,
)
from chatroom.memory import MemoryLog

Json = dict[str, Any]


class Store(MemoryLog):
    """
    A log whose turn comes when the test says so, and that can be out of order.

    As in a real one, what was settled is told later, when more may have been appended.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.broken = False
        super().__init__(self.due.append, keep)

    def everything(self, room: str) -> list[Json]:
        """Return all messages of *room* as they go over the wire, even while `broken`."""
        messages = MemoryLog.before(self, room, 2**53, 2**53)
        return [json.loads(encode(message))["data"] for message in messages]

    def all_rooms(self) -> list[str]:
        """Return the comparison forms of all rooms, direct ones too."""
        return list(self._rooms)

    def step(self) -> bool:
        """Settle what was appended so far, or tell of it; return whether there was anything."""
        if self.due:
            self.due.popleft()()
            return True
        return False

    def crash(self, *, committed: bool) -> None:
        """Tell nobody of what was appended, be it *committed* or lost."""
        self.listener = ignore
        if not committed:
            self._drafts.clear()
        while self.step():
            pass

    def room(self, room: str) -> Known | None:
        self._look()
        return super().room(room)

    def since(self, room: str, after: int, limit: int) -> list[Entry]:
        self._look()
        return super().since(room, after, limit)

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        self._look()
        return super().before(room, before, limit)

    def after(self, room: str, after: int, limit: int) -> list[Message]:
        self._look()
        return super().after(room, after, limit)

    def message(self, room: str, id: int) -> Message | None:
        self._look()
        return super().message(room, id)

    def edits(self, room: str, id: int, limit: int) -> list[Version]:
        self._look()
        return super().edits(room, id, limit)

    def named(self, user: int, nonce: str, message: bool) -> tuple[str, Entry] | None:
        self._look()
        return super().named(user, nonce, message)

    def rooms(self, match: str, after: str, limit: int) -> list[Known]:
        self._look()
        return super().rooms(match, after, limit)

    def readings(self, user: int) -> list[Reading]:
        self._look()
        return super().readings(user)

    def directs(self, user: int) -> list[str]:
        self._look()
        return super().directs(user)

    def read(self, room: str, user: int) -> int | None:
        self._look()
        return super().read(room, user)

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        report: Callable[[Found | Unavailable], None],
    ) -> None:
        if self.broken:
            self._later(lambda: report(Unavailable("broken")))
        else:
            super().search(query, rooms, also, before, limit, report)

    def user(self, id: int) -> str | None:
        self._look()
        return super().user(id)

    def _look(self) -> None:
        if self.broken:
            raise Unavailable("broken")

    def _turn(self) -> None:
        drafts, self._drafts = self._drafts, []
        outcomes = [self._settle(draft) for draft in drafts]
        self.due.append(lambda: self.listener(outcomes))

    def _settle(self, draft: Draft) -> Outcome:
        if self.broken and isinstance(draft, Say):
            return Refused(draft, "unavailable")
        return super()._settle(draft)


class Line:
    """
    One connection, seen from the transport's end.

    It can take *space* batches more before it says `Session.pause` in the middle of being sent to,
    as Twisted's transports do; None is without end.
    """

    def __init__(self, hear: Callable[[Event], None] | None = None) -> None:
        self.session: Session
        self.sent: Callable[[], None] | None = None
        """What happens in the middle of being sent to, once all was heard."""
        self.batches: list[list[Event]] = []
        self.ended: tuple[Close, str] | None = None
        self.space: int | None = None
        self._hear = hear
        self._begun = False

    def send(self, batch: Batch) -> None:
        assert batch.events, "nothing was sent"
        assert not self.session.paused, "something was sent while paused"
        assert self.ended is None, "something was sent after the end"
        assert self._begun or isinstance(batch.events[0], Init), "the first is no init"
        self._begun = True
        for event in batch.events:
            assert not isinstance(event, Typed) or event.id != self.session.user.id
        self.batches.append(list(batch.events))
        if self.space is not None:
            self.space -= 1
            if self.space <= 0:
                self.session.pause()
        if self._hear is not None:
            for event in batch.events:
                self._hear(event)
        if self.sent is not None:
            self.sent()

    def disconnect(self, code: Close, reason: str) -> None:
        assert self.ended is None, "ended twice"
        assert len(reason.encode()) <= 123, "more than a close frame can hold"
        self.ended = code, reason

    def say(self, *commands: Command) -> None:
        for command in commands:
            self.session.receive(command)

    def drain(self, space: int | None = None) -> None:
        """Take again, *space* batches more."""
        self.space = space
        self.session.resume()

    def heard(self) -> list[Event]:
        """Return what came since the last time."""
        events = [event for batch in self.batches for event in batch]
        self.batches.clear()
        return events

    def init(self) -> Init:
        """Return the only thing that came since the last time, an `Init`."""
        (event,) = self.heard()
        assert isinstance(event, Init)
        return event

    def error(self) -> Error:
        """Return the only thing that came since the last time, an `Error`."""
        (event,) = self.heard()
        assert isinstance(event, Error)
        return event


class Hall:
    """A `Chat` with *options*, its log and its time."""

    def __init__(self, *, keep: int = 10_000, **options: Any) -> None:
        self.now = 1000.0
        self.options = options
        self.log = Store(keep)
        self.start()

    def start(self) -> None:
        """Start a chat on the log as it is."""
        self.chat = Chat(self.log, lambda: self.now, lambda: self.now, **self.options)

    def connect(
        self,
        room: str = LOBBY,
        *,
        name: str | None = None,
        token: str | None = None,
        after: int | None = None,
        epoch: str | None = None,
        hear: Callable[[Event], None] | None = None,
    ) -> Line:
        """Return a new connection that has asked for *room*, and has not been answered."""
        line = Line(hear)
        line.session = self.chat.connect(line.send, line.disconnect, name, token)
        line.session.enter(room, after, epoch)
        return line

    def enter(self, room: str = LOBBY, **wishes: Any) -> tuple[Line, Init]:
        """Return a new connection, and how it was answered."""
        line = self.connect(room, **wishes)
        self.turn()
        events = line.heard()
        init = events.pop(0)
        assert isinstance(init, Init)
        assert events == []
        return line, init

    def turn(self) -> None:
        """Let the log tell all that there is to tell."""
        while self.log.step():
            pass

    def tick(self, seconds: float) -> None:
        """Let time go on, and all that is due be done and told."""
        self.now += seconds
        self.chat.tick()
        self.turn()

    def settle(self) -> None:
        """Let time go on until all is told, summaries of crowds too."""
        self.turn()
        self.now += 1
        self.chat.tick()
        if self.log.due:
            self.settle()


def texts(messages: Sequence[Event]) -> list[str]:
    """Return what was said in *messages*, which are nothing else."""
    found = []
    for message in messages:
        assert isinstance(message, Message), message
        found.append(message.message)
    return found


def only(line: Line) -> Event:
    """Return the only thing that *line* heard since the last time."""
    (event,) = line.heard()
    return event


def heard(line: Line, kind: type[Event]) -> list[Event]:
    return [event for event in line.heard() if isinstance(event, kind)]


def pair(hall: Hall) -> tuple[Line, Line]:
    """Return Ann and Bob, who are in the lobby and have heard of each other."""
    ann, _ = hall.enter(name="Ann")
    bob, _ = hall.enter(name="Bob")
    ann.heard()
    return ann, bob


def speak(hall: Hall, line: Line, *said: str, room: str = "lobby") -> None:
    """Let *line* say these, whatever the limits are, and let everybody hear them."""
    for text in said:
        line.say(Talk(text, room=room))
        hall.now += 1
    hall.turn()


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


def crowd(hall: Hall, count: int) -> list[Line]:
    """Return *count* users of the lobby, who have heard all there is."""
    lines = [hall.connect() for _ in range(count)]
    hall.settle()
    for line in lines:
        line.heard()
    return lines
