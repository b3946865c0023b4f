"""
A client that believes nothing.

It goes by the wire alone, as a real one would: it has a cursor in each room, comes back with it,
sends again what was not answered, and fails where the server breaks a promise.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Literal

from chatroom import room as rooms
from chatroom.events import Event, decode, encode
from chatroom.log import Unavailable
from tests.hall import Hall, Json, Line


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
        self.plot: Callable[[], None] = lambda: None
        """What it does in the middle of being sent to."""
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
        self._count = count(1)

    # What it does.

    @property
    def reading(self) -> bool:
        """Whether it would hear now of what there is to hear."""
        return self.begun and self.line is not None and not self.line.session.paused

    def connect(self, room: str, name: str | None = None) -> None:
        view = self.views[room]
        line = Line(self._hear)
        line.sent = self.plot
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
        nonce = f"{self.number}-{next(self._count)}"
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
        if data["id"] == self.id:
            if not view.inside:
                # It left again before it could be told that it was in.
                assert view.asked is not False
                view.asked = False
            view.inside = False
        else:
            assert view.inside
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
