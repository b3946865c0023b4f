"""Guests of the room by Socket.IO: the whole site in memory, and clients that see every packet."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

from chatroom.answers import Origins
from chatroom.engineio import EngineDoor
from chatroom.socketio import application
from tests.rig import Peer, RoomCase

_EVENT = re.compile(r"42(/[a-z]+,)?(\[.*\])")
_ANSWER = re.compile(r"43(?:/[a-z]+,)?([0-9]+)(\[.*\])")
_ENTERED = re.compile(r"40(?:/[a-z]+,?)?(\{.*\})?")


class Guest:
    """Somebody with a WebSocket, who speaks Engine.IO of a *version*."""

    def __init__(self, case: GuestCase, peer: Peer) -> None:
        self.case = case
        self.peer = peer

    @property
    def messages(self) -> list[str | bytes]:
        """All that has come, but for the handshake and pings; a guest answers none of these."""
        found: list[str | bytes] = []
        for first, payload in self.peer.frames:
            if first == 0x82:
                found.append(payload)
            elif first == 0x81 and payload[:1] not in (b"0", b"2"):
                found.append(payload.decode())
        return found

    @property
    def texts(self) -> list[str]:
        """Those that are texts."""
        return [message for message in self.messages if isinstance(message, str)]

    def all(self, namespace: str = "/") -> list[list[Any]]:
        """Return the events of *namespace*: names and values."""
        matches = filter(None, map(_EVENT.fullmatch, self.texts))
        where = None if namespace == "/" else f"{namespace},"
        return [json.loads(match[2]) for match in matches if match[1] == where]

    @property
    def names(self) -> list[str]:
        """The names of the events in the main namespace."""
        return [name for name, *_ in self.all()]

    def said(self, name: str, namespace: str = "/") -> list[Any]:
        """Return the first value of all events called *name*."""
        return [data for event, data, *_ in self.all(namespace) if event == name]

    @property
    def cursors(self) -> list[str | None]:
        """What stands behind the data of each event, if anything does."""
        return [more[0] if more else None for _, _, *more in self.all()]

    @property
    def offset(self) -> str | None:
        """What a client would have for its offset."""
        return next((cursor for cursor in reversed(self.cursors) if cursor is not None), None)

    @property
    def answers(self) -> dict[int, list[Any]]:
        """What acks have brought, by id."""
        matches = filter(None, map(_ANSWER.fullmatch, self.texts))
        return {int(match[1]): json.loads(match[2]) for match in matches}

    @property
    def welcome(self) -> dict[str, str]:
        """What they were let in with."""
        matches = filter(None, map(_ENTERED.fullmatch, self.texts))
        found: dict[str, str] = json.loads(next(matches)[1])
        return found

    def packet(self, text: str, *attachments: bytes) -> None:
        """Send one packet of Socket.IO."""
        self.peer.frame(0x81, b"4" + text.encode())
        for attachment in attachments:
            self.peer.frame(0x82, attachment)
        self.case.settle()

    def emit(self, name: str, *values: Any, id: int | str = "") -> None:
        """Send the event *name* with *values*, and wish for an answer if there is an *id*."""
        self.packet(f"2{id}{json.dumps([name, *values])}")

    def talk(self, message: str, *, id: int | str = "", **more: Any) -> None:
        """Say *message*."""
        self.emit("talk", {"message": message, **more}, id=id)

    def stall(self) -> None:
        """Have the buffer of the connection be full, as far as the server can tell."""
        self.peer.server.producer.pauseProducing()

    def go_on(self) -> None:
        """Have the buffer be empty."""
        self.peer.server.producer.resumeProducing()
        self.case.settle()

    def cut(self) -> None:
        """Lose the connection."""
        self.peer.transport.loseConnection()
        self.case.settle()


class GuestCase(RoomCase):
    """A test that has a room, and guests."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def open(self) -> None:
        """Open the door to the chat, as it is now."""
        door = EngineDoor(application(self.chat, self.clock), self.clock, Origins([]), self.places)
        self.site.resource.putChild(b"socket.io", door)

    def connect(self, version: int = 4, **query: str) -> Guest:
        """Return a guest with a connection, who has said nothing yet."""
        asked = urlencode({"EIO": version, "transport": "websocket", **query})
        return Guest(self, self.enter(f"/socket.io/?{asked}"))

    def guest(self, **auth: Any) -> Guest:
        """Return a guest who has entered the main namespace with *auth*."""
        guest = self.connect()
        guest.packet(f"0{json.dumps(auth) if auth else ''}")
        return guest

    def again(self, guest: Guest, **auth: Any) -> Guest:
        """Return *guest* on a new connection, with what a client keeps, and *auth* besides."""
        kept = {"pid": guest.welcome["pid"]}
        if guest.offset is not None:
            kept["offset"] = guest.offset
        return self.guest(**kept, **auth)
