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
from chatroom.commands import decode
from chatroom.events import Event, encode
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
        self.last = 0
        """The id of the last entry that it has."""
        self.messages: dict[int, Json] = {}
        """All messages from some id on, by id, as they are now."""
        self.topic = ""
        self.read: int | None = None
        self.users: dict[int, str] = {}
        self.count = 0
        self.exact = True
        """Whether `users` has only such as are here: no list of a presence was cut."""

    def ask(self) -> int | None:
        """Return the cursor, and expect an init that goes on behind it."""
        self.asked = self.last or None
        return self.asked

    def change(self, event: str, data: Json) -> None:
        """Change what is known by a change, unless it is contained in that already."""
        if event == "topic":
            self.topic = data["topic"]
            return
        message = self.messages.get(data["of"])
        if message is None or "deleted" in message or data["id"] <= message.get("changed", 0):
            return
        message["changed"] = data["id"]
        if event == "delete":
            for gone in ("html", "mentions", "file", "reactions", "reply", "edited"):
                message.pop(gone, None)
            message["message"], message["deleted"] = "", True
        elif event == "edit":
            for member in ("message", "type", "html", "mentions"):
                message.pop(member, None)
                if member in data:
                    message[member] = data[member]
            message["edited"] = data["time"]
        else:
            self._react(message, data)

    def _react(self, message: Json, data: Json) -> None:
        reactions: list[Json] = message.setdefault("reactions", [])
        who = data["from"]
        given = [reaction for reaction in reactions if reaction["emoji"] == data["emoji"]]
        if data["on"] and not given:
            reactions.append({"emoji": data["emoji"], "users": [who]})
        for reaction in given:
            users = [user for user in reaction["users"] if user["id"] != who["id"]]
            if not data["on"]:
                reaction["users"] = users
            elif len(users) == len(reaction["users"]):
                reaction["users"] = [*users, who]
        message["reactions"] = [reaction for reaction in reactions if reaction["users"]]
        if not message["reactions"]:
            del message["reactions"]

    def agrees(self, message: Json, *, late: bool = False) -> bool:
        """
        Return whether *message* is what is known of it.

        It may contain changes that are still to be told; if it came *late*, it may lack some.
        """
        known = self.messages.get(message["id"])
        if known is None:
            return True
        then, now = message.get("changed", 0), known.get("changed", 0)
        return message == known if then == now else late or then > now


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
        self.said: dict[str, tuple[str, Json]] = {}
        """All that it wished to be said or changed, by nonce, of which …"""
        self.outbox: dict[str, None] = {}
        """… these are not answered, …"""
        self.kept: set[str] = set()
        """… and these are known to be kept."""
        self.mine: list[Json] = []
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
        for room in [room for room in self.views if room.startswith("@")]:
            del self.views[room]

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

    def wish(self, event: str, room: str, **data: object) -> None:
        """Say something, or change something, and see to it that it is."""
        nonce = f"{self.number}-{next(self._count)}"
        self.said[nonce] = event, {"room": room, **data}
        self.outbox[nonce] = None
        self.resend(nonce)

    def talk(self, room: str, **data: object) -> None:
        self.wish("talk", room, message=f"text {next(self._count)} of @{self.name}", **data)

    def resend(self, nonce: str) -> None:
        event, data = self.said[nonce]
        self.send(event, **data, nonce=nonce)

    def join(self, room: str) -> None:
        """Only while `reading`: an error is the answer to the last time, then."""
        view = self._joining = self.views[room]
        self.send("join", room=room, after=view.ask(), epoch=view.epoch)

    def direct(self, other: int) -> None:
        """Only while `reading`, as to join."""
        assert self.id is not None
        view = self.views[f"@{min(self.id, other)}-{max(self.id, other)}"]
        if not view.inside and view.asked is False:
            self._joining = view
            view.asked = None
            self.send("direct", id=other)

    def exit(self, room: str) -> None:
        self.send("exit", room=room)

    # What it hears.

    def _hear(self, event: Event) -> None:
        said = json.loads(encode(event))
        getattr(self, f"_{said['event']}")(said["data"])

    def _init(self, data: Json) -> None:
        view, messages = self.views[data["room"]], data["messages"]
        ids = [message["id"] for message in messages]
        assert ids == sorted(set(ids))
        if view.inside:
            after: int | None = view.last
            assert data["resumed"], "afresh, without having asked"
        else:
            assert view.asked is not False, "entered without having asked"
            after, view.asked = view.asked, False
        if data["resumed"]:
            assert after is not None
            assert view.epoch == data["epoch"]
            self._resumed(view, after, data)
        else:
            assert "changes" not in data
            assert len(ids) == rooms.BEGIN if data["more"] else len(ids) <= rooms.BEGIN
            last = data["last"]
            if after is not None and self.id is not None and view.epoch == data["epoch"]:
                assert self.hall.log.broken or last - after > rooms.RESUME, "not resumed"
            view.messages = {message["id"]: message for message in messages}
            view.last = last
        assert max(ids, default=0) <= data["last"]
        assert view.last == data["last"]
        view.topic = data.get("topic", "")
        view.read = data.get("read")
        assert (view.read or 0) <= view.last
        if "direct" in data:
            assert data["room"] in (
                f"@{data['self']['id']}-{data['direct']['id']}",
                f"@{data['direct']['id']}-{data['self']['id']}",
            )
        assert self.id in (None, data["self"]["id"])
        self.id, self.name, self.token = (data["self"][key] for key in ("id", "name", "token"))
        view.epoch = data["epoch"]
        view.users = {user["id"]: user["name"] for user in data["users"]}
        view.count = data["count"]
        assert len(data["users"]) == len(view.users) <= view.count
        assert view.users[self.id] == self.name
        view.exact = view.inside = self.begun = True

    def _resumed(self, view: View, after: int, data: Json) -> None:
        """Take all that came behind *after*, of which it may have heard some meanwhile."""
        messages, changes = data["messages"], data.get("changes", [])
        ids = [entry["id"] for entry in [*messages, *(change["data"] for change in changes)]]
        assert sorted(ids) == list(range(after + 1, data["last"] + 1)), "not all, or twice"
        for message in messages:
            if message["id"] > view.last:
                view.messages[message["id"]] = message
        for change in changes:
            if change["data"]["id"] > view.last:
                view.change(change["event"], change["data"])
        assert all(map(view.agrees, messages))
        for change in (change["data"] for change in changes if "of" in change["data"]):
            for message in (message for message in messages if message["id"] == change["of"]):
                assert "deleted" in message or message["changed"] >= change["id"], "as it was then"
            about = view.messages.get(change["of"], {})
            if "deleted" in about and change["id"] < about["changed"]:
                assert not change.get("message"), "what was deleted is told"
        view.last = data["last"]

    def _entry(self, event: str, data: Json) -> None:
        """Hear of an entry: in its turn, or as the answer to something said again."""
        view, nonce = self.views[data["room"]], data.get("nonce")
        if view.inside and data["id"] == view.last + 1:
            view.last = data["id"]
            if event == "talk":
                view.messages[data["id"]] = data
            else:
                view.change(event, data)
        else:
            assert nonce in self.said, "twice, or out of order, or behind a hole"
            assert data["id"] <= view.last or not view.inside, "before its turn"
            assert event != "talk" or view.agrees(data, late=True)
        if nonce in self.said:
            kind, wish = self.said[nonce]
            assert (event, data["room"]) == (kind, wish["room"])
            if "edited" not in data and "deleted" not in data:
                said = {member: wish[member] for member in wish.keys() & data.keys() - {"message"}}
                assert said.items() <= data.items()
                assert data.get("message") in ("", wish.get("message"))
            self.outbox.pop(nonce, None)
            self.kept.add(nonce)

    def _talk(self, data: Json) -> None:
        self._entry("talk", data)

    def _edit(self, data: Json) -> None:
        self._entry("edit", data)

    def _delete(self, data: Json) -> None:
        self._entry("delete", data)

    def _react(self, data: Json) -> None:
        self._entry("react", data)

    def _topic(self, data: Json) -> None:
        self._entry("topic", data)

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
        assert ids == sorted(set(ids))
        assert all(map(view.agrees, messages))
        if ids:
            # Between two of a page there is none that it knows.
            known = [id for id in view.messages if ids[0] <= id <= ids[-1]]
            assert set(known) <= set(ids)
            assert data["more"] or not any(id < ids[0] for id in view.messages)
            assert data["newer"] or not any(id > ids[-1] for id in view.messages)

    def _edits(self, data: Json) -> None:
        known = self.views[data["room"]].messages.get(data["of"])
        assert known is None or len(data["versions"]) > ("edited" in known)

    def _search(self, data: Json) -> None:
        for hit in data["hits"]:
            assert self.views[hit["room"]].agrees(hit, late=True)

    def _read(self, data: Json) -> None:
        view = self.views[data["room"]]
        view.read = max(view.read or 0, data["id"])

    def _direct(self, data: Json) -> None:
        assert f"{data['with']['id']}" in data["room"][1:].split("-")
        assert f"{self.id}" in data["room"][1:].split("-")

    def _mine(self, data: Json) -> None:
        self.mine = data["rooms"]

    def _error(self, data: Json) -> None:
        if data.get("event") in ("join", "direct"):
            self._joining.asked = False
        if data["code"] != "unavailable":
            self.outbox.pop(data.get("nonce", ""), None)
