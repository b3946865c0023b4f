"""Those who listen to a room over HTTP, in memory: `tests.rig` with the doors for them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import quote, urlencode

import msgspec
from twisted.internet.address import IPv4Address
from twisted.test import iosim

from chatroom import room as single
from chatroom import rooms
from chatroom.answers import Origins
from chatroom.changes import changed
from chatroom.events import Change, Deleted, Edited, Message, Reacted, Topic
from chatroom.polling import Polling
from chatroom.rest.door import doors
from chatroom.sse import Events
from tests.doors.case import Pipe
from tests.rig import Peer, RoomCase

Json = dict[str, Any]
KINDS: dict[str, type[Change]] = {
    "edit": Edited,
    "delete": Deleted,
    "react": Reacted,
    "topic": Topic,
}
SMALL = (
    mock.patch.multiple(rooms, CHUNK=2, FAR=8),
    mock.patch.multiple(single, NEWEST=4, BEGIN=3, RESUME=6),
)
"""Limits that a few messages can reach."""


class Told(NamedTuple):
    """One event of a stream: its *name*, its *data*, and the *id* that is the last one by then."""

    name: str
    data: Any
    id: str


class Memory:
    """
    What one knows of a room who takes note of everything that they are told.

    Where it goes on somewhere else than where it was, or says anything twice, that is an error.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ids: list[int] = []
        """All entries, in the order in which they came."""
        self.last = 0
        self.topic = ""
        self.starts = 0
        """How often it was necessary to begin afresh."""

    def hear(self, event: str, data: Json) -> None:
        """Take note of *event*; what is no entry, nor says where one is, does not count."""
        if event == "init":
            self._begin(data)
        elif event == "talk":
            self._next(data["id"])
            self.messages.append(msgspec.convert(data, Message))
        elif event in KINDS:
            self._next(data["id"])
            self._change(msgspec.convert(data, KINDS[event]))

    def _begin(self, data: Json) -> None:
        messages = [msgspec.convert(message, Message) for message in data["messages"]]
        changes = [
            msgspec.convert(change["data"], KINDS[change["event"]])
            for change in data.get("changes", [])
        ]
        if data["resumed"]:
            for id in sorted(entry.id for entry in [*messages, *changes]):
                self._next(id)
            self.messages += messages
            for change in changes:
                self._change(change)
            assert data["last"] == self.last
        else:
            assert not changes
            self.starts += 1
            self.messages = messages
            self.ids = [message.id for message in messages]
        self.last = data["last"]
        self.topic = data.get("topic", "")

    def _next(self, id: int) -> None:
        assert id == self.last + 1, f"{id} after {self.last}"
        self.last = id
        self.ids.append(id)

    def _change(self, change: Change) -> None:
        if isinstance(change, Topic):
            self.topic = change.topic
            return
        self.messages = [
            changed(message, change) if message.id == change.of else message
            for message in self.messages
        ]


class Listener(Peer):
    """The far end of a request for a stream, or of requests for pieces."""

    server: Pipe

    @property
    def chunks(self) -> tuple[bytes, bool]:
        """What has come of the answer, and whether it has ended, by chunks (RFC 9112, 7.1)."""
        if self.header("Transfer-Encoding") != "chunked":
            return self.body, self.lost
        rest, found = self.body, b""
        while b"\r\n" in rest:
            size, rest = rest.split(b"\r\n", 1)
            length = int(size, 16)
            if not length:
                return found, rest == b"\r\n"
            found += rest[:length]
            assert rest[length : length + 2] == b"\r\n"[: len(rest) - length]
            rest = rest[length + 2 :]
        return found, False

    @property
    def text(self) -> str:
        return self.chunks[0].decode()

    @property
    def ended(self) -> bool:
        return self.chunks[1]

    @property
    def told(self) -> list[Told]:
        """What came as events, as the HTML standard reads them (section 9.2.6)."""
        found, name, data, id = [], "", "", ""
        for line in self.text.split("\n")[:-1]:
            if not line:
                if data:
                    found.append(Told(name or "message", json.loads(data.removesuffix("\n")), id))
                name = data = ""
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value + "\n"
            elif field == "id":
                id = value
        return found

    @property
    def retry(self) -> int:
        """After how many milliseconds to come back."""
        (line,) = [line for line in self.text.split("\n") if line.startswith("retry: ")]
        return int(line.removeprefix("retry: "))

    @property
    def beats(self) -> int:
        """How many comments came."""
        return sum(line.startswith(":") for line in self.text.split("\n"))

    def names(self) -> list[str]:
        """Return the names of the events that came."""
        return [event.name for event in self.told]

    @property
    def json(self) -> Any:
        """The whole answer."""
        assert self.header("Content-Type") == "application/json"
        return json.loads(self.chunks[0])

    def again(self) -> None:
        """Forget the answer, for there will be another one."""
        self.head = b""
        self._data = b""


class ListeningCase(RoomCase):
    """A test that has a room to which one can listen."""

    origins = ("https://friend.example",)

    def setUp(self) -> None:
        super().setUp()
        self.events = Events(self.chat, self.clock, self.places)
        self.polling = Polling(self.chat, self.clock, self.places)
        inside = {"events": self.events.render, "poll": self.polling.render}
        rest = doors(self.chat, Origins(self.origins), inside)
        self.site.resource.putChild(b"rooms", rest["rooms"])

    def ask(
        self,
        path: str,
        method: str = "GET",
        version: str = "1.1",
        address: Any = None,
        listener: Listener | None = None,
        **headers: Any,
    ) -> Listener:
        """Return who has asked for *path*, over a new connection or that of *listener*."""
        if listener is None:
            listener = self.reach(address)
        lines = {"Host": "chat.example:8080"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        listener.again()
        listener.transport.write(f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode("latin-1"))
        self.settle()
        return listener

    def stream(self, room: str = "lobby", **query: object) -> Listener:
        """Return who listens to the stream of *room*."""
        return self.ask(path(room, "events", query))

    def poll(
        self, room: str = "lobby", *, listener: Listener | None = None, **query: Any
    ) -> Listener:
        """Return who polls *room*, over a new connection or that of *listener*."""
        return self.ask(path(room, "poll", query), listener=listener)

    def flood(self, messages: int) -> None:
        """Let somebody say so many long messages, as fast as they may."""
        peer = self.enter()
        for number in range(messages):
            peer.talk("talk", message=f"{number} " + "x" * 3900)
            self.settle(0.2)
        peer.close()
        self.settle()

    def reach(self, address: Any = None) -> Listener:
        """Return somebody who is connected, and has said nothing."""
        here = IPv4Address("TCP", "127.0.0.1", 8080)
        there = address or IPv4Address("TCP", "192.0.2.1", 50_000)
        protocol = self.site.buildProtocol(there)
        server = Pipe(protocol, True, here, there)
        listener = Listener(server)
        client = iosim.FakeTransport(listener, False, there, here)
        self.pumps.append(iosim.connect(protocol, server, listener, client))
        return listener


def path(room: str, what: str, query: dict[str, object]) -> str:
    """Return the path and the query to listen to *what* of *room*."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return f"/rooms/{quote(room, safe='')}/{what}" + (f"?{asked}" if asked else "")
