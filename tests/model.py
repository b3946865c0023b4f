"""
A chat on a clock of its own, connections that see everything, and a client that believes nothing.

`Hall` and `Line` are for all tests of the chat; they fail by themselves where a session breaks what
every session has to keep. `Client` is what a real client would be: it goes by the wire alone, has a
cursor in each room, comes back with it, and sends again what was not answered.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Literal

from chatroom import room as rooms
from chatroom.chat import Chat, Session
from chatroom.events import (
    LOBBY,
    Batch,
    Close,
    Command,
    Error,
    Event,
    Init,
    Message,
    Typed,
    decode,
    encode,
)
from chatroom.log import Draft, Known, MemoryLog, Outcome, Refused, Say, Unavailable, ignore

Json = dict[str, Any]


class Store(MemoryLog):
    """A log whose turn comes when the test says so, and that can be out of order."""

    def __init__(self, keep: int = 10_000) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.broken = False
        super().__init__(self.due.append, keep)

    def everything(self, room: str) -> list[Json]:
        """Return all messages of *room* as they go over the wire, even while `broken`."""
        messages = MemoryLog.since(self, room, 0, 2**53)
        return [json.loads(encode(message))["data"] for message in messages]

    def step(self) -> bool:
        """Settle and tell what was appended so far; return whether there was anything."""
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

    def since(self, room: str, after: int, limit: int) -> list[Message]:
        self._look()
        return super().since(room, after, limit)

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        self._look()
        return super().before(room, before, limit)

    def user(self, id: int) -> str | None:
        self._look()
        return super().user(id)

    def _look(self) -> None:
        if self.broken:
            raise Unavailable("broken")

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


# What follows is for the property tests.


class View:
    """What a client knows of one room."""

    def __init__(self) -> None:
        self.inside = False
        self.wanted = False
        """Whether to go back there as soon as there is a connection again."""
        self.asked: int | None | Literal[False] = False
        """The cursor with which an init was asked for, False if none was."""
        self.epoch: str | None = None
        self.messages: list[Json] = []
        self.users: dict[int, str] = {}
        self.count = 0
        self.exact = True
        """Whether `users` has only such as are here: no list of a presence was cut."""

    @property
    def last(self) -> int:
        return self.messages[-1]["id"] if self.messages else 0

    def ask(self) -> int | None:
        """Return the cursor, and expect an init that goes on behind it."""
        self.asked = self.last if self.messages else None
        return self.asked


class Client:
    """Somebody with a token, a cursor in each room, and an outbox."""

    def __init__(self, hall: Hall, number: int) -> None:
        self.hall = hall
        self.number = number
        self.line: Line | None = None
        self.begun = False
        self.id: int | None = None
        self.name = ""
        self.token: str | None = None
        self.views: defaultdict[str, View] = defaultdict(View)
        self.said: dict[str, tuple[str, str]] = {}
        """All rooms and texts by nonce, of which …"""
        self.outbox: dict[str, None] = {}
        """… these are not answered, …"""
        self.kept: set[str] = set()
        """… and these are known to be kept."""

    # What it does.

    @property
    def reading(self) -> bool:
        """Whether it would hear now of what there is to hear."""
        return self.begun and self.line is not None and not self.line.session.paused

    def connect(self, room: str, name: str | None = None) -> None:
        view = self.views[room]
        line = Line(self._hear)
        try:
            line.session = self.hall.chat.connect(line.send, line.disconnect, name, self.token)
        except Unavailable:
            return
        self.line = line
        try:
            line.session.enter(room, view.ask(), view.epoch)
        except Unavailable:
            self.drop(clean=False)

    def drop(self, *, clean: bool) -> None:
        assert self.line is not None
        session = self.line.session
        self.cut()
        session.close(clean=clean)

    def cut(self) -> None:
        """The connection is gone: nothing that was asked will be answered."""
        self.line = None
        self.begun = False
        for view in self.views.values():
            view.wanted = view.wanted or view.inside
            view.inside = False
            view.asked = False

    def forget(self) -> None:
        """Be somebody new, who has no token, and whose words are not those of before."""
        self.token = self.id = None
        self.said.clear()
        self.outbox.clear()

    def become(self, other: Client) -> None:
        """Be somebody else on one more device."""
        self.forget()
        self.token, self.id = other.token, other.id

    def react(self) -> None:
        """Do what a client does by itself."""
        if self.line is not None and self.line.ended is not None:
            self.drop(clean=False)
        for room, view in list(self.views.items()):
            if self.reading and view.wanted and not view.inside and view.asked is False:
                view.wanted = False
                self.join(room)

    def send(self, event: str, **data: object) -> None:
        assert self.line is not None
        self.line.say(decode(json.dumps({"event": event, "data": data}).encode()))

    def talk(self, room: str) -> None:
        nonce = f"{self.number}-{self.id}-{len(self.said)}"
        self.said[nonce] = room, f"text {nonce}"
        self.outbox[nonce] = None
        self.resend(nonce)

    def resend(self, nonce: str) -> None:
        room, text = self.said[nonce]
        self.send("talk", message=text, room=room, nonce=nonce)

    def join(self, room: str) -> None:
        """Only while `reading`: an error is the answer to the last time, then."""
        view = self._joining = self.views[room]
        self.send("join", room=room, after=view.ask(), epoch=view.epoch)

    def exit(self, room: str) -> None:
        self.send("exit", room=room)

    # What it hears.

    def _hear(self, event: Event) -> None:
        said = json.loads(encode(event))
        getattr(self, f"_{said['event']}")(said["data"])

    def _init(self, data: Json) -> None:
        view, messages = self.views[data["room"]], data["messages"]
        ids = [message["id"] for message in messages]
        assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True, "a hole"
        if view.inside:
            after: int | None = view.last
            assert data["resumed"], "afresh, without having asked"
        else:
            assert view.asked is not False, "entered without having asked"
            after, view.asked = view.asked, False
        if data["resumed"]:
            assert after is not None
            assert view.epoch == data["epoch"]
            assert not ids or ids[0] == after + 1, "not what is behind the cursor"
            assert data["more"] is ((ids[0] if ids else after + 1) > 1)
            # Between the question and the answer it may have heard more.
            had = sum(id <= view.last for id in ids)
            assert messages[:had] == view.messages[len(view.messages) - view.last + after :][:had]
            view.messages += messages[had:]
        else:
            last = ids[-1] if ids else 0
            assert len(ids) == min(last, rooms.BEGIN), "not the newest"
            assert data["more"] is (last > rooms.BEGIN)
            if after is not None and self.id is not None and view.epoch == data["epoch"]:
                assert self.hall.log.broken or last - after > rooms.RESUME, "not resumed"
            view.messages = messages
        assert self.id in (None, data["self"]["id"])
        self.id, self.name, self.token = (data["self"][key] for key in ("id", "name", "token"))
        view.epoch = data["epoch"]
        view.users = {user["id"]: user["name"] for user in data["users"]}
        view.count = data["count"]
        assert len(data["users"]) == len(view.users) <= view.count
        assert view.users[self.id] == self.name
        view.exact = view.inside = self.begun = True

    def _talk(self, message: Json) -> None:
        view, nonce = self.views[message["room"]], message["nonce"]
        if view.inside and message["id"] == view.last + 1:
            view.messages.append(message)
        else:
            assert nonce in self.said, "twice, or out of order, or behind a hole"
            assert message["id"] <= view.last or not view.inside, "before its turn"
            known = [m for m in view.messages if m["id"] == message["id"]]
            assert known in ([], [message])
        if nonce in self.said:
            assert (message["room"], message["message"]) == self.said[nonce]
            self.outbox.pop(nonce, None)
            self.kept.add(message["message"])

    def _join(self, data: Json) -> None:
        view = self.views[data["room"]]
        assert view.inside
        assert data["id"] not in view.users
        view.users[data["id"]] = data["name"]
        view.count += 1

    def _exit(self, data: Json) -> None:
        view = self.views[data["room"]]
        assert view.inside
        if data["id"] == self.id:
            view.inside = False
        else:
            assert view.users.pop(data["id"]) == data["name"]
            view.count -= 1

    def _rename(self, data: Json) -> None:
        if data["id"] == self.id:
            self.name = data["name"]
        if "room" not in data:
            assert data["id"] == self.id
            return
        view = self.views[data["room"]]
        assert view.inside
        if not self.hall.chat.rooms[data["room"]].crowded:
            assert view.users[data["id"]] == data["was"]
        if data["id"] in view.users:
            view.users[data["id"]] = data["name"]

    def _presence(self, data: Json) -> None:
        view = self.views[data["room"]]
        assert view.inside
        joined, left = ({u["id"]: u["name"] for u in data[key]} for key in ("joined", "left"))
        most = self.hall.options["crowd"]
        assert len(joined) <= most
        assert len(left) <= most
        assert not joined.keys() & left.keys()
        view.exact = view.exact and len(joined) < most and len(left) < most
        view.users = {id: view.users[id] for id in view.users.keys() - left.keys()} | joined
        view.count = data["count"]

    def _typing(self, data: Json) -> None:
        assert self.views[data["room"]].inside
        assert data["id"] != self.id

    def _history(self, data: Json) -> None:
        view, messages = self.views[data["room"]], data["messages"]
        ids = [message["id"] for message in messages]
        assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True
        assert data["more"] is (bool(ids) and ids[0] > 1)
        known = {message["id"]: message for message in view.messages}
        assert all(known.get(message["id"], message) == message for message in messages)

    def _error(self, data: Json) -> None:
        if data.get("event") == "join":
            self._joining.asked = False
        if data["code"] != "unavailable":
            self.outbox.pop(data.get("nonce", ""), None)
