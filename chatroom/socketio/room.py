"""The main namespace: the room, by the events of `chatroom.commands` and `chatroom.events`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Raw

from chatroom.chat import Chat, Session
from chatroom.commands import LOBBY, command
from chatroom.events import Batch, Close, CommonInit, Event, ReadTo, cursor, parse_cursor
from chatroom.log import Unavailable
from chatroom.names import BadName, room_name
from chatroom.socketio import packets, recovery
from chatroom.socketio.codec import Packet
from chatroom.socketio.connection import Connection, Seat

HELD = 100
"""So many events are held of a peer that does not read, or has not been let in yet."""

_NOTHING = Raw(b"{}")
_NO = (False, 0, "0", "false")
_SECONDS = re.compile(r"[0-9]+\.[0-9]+")


class BadWish(Exception):
    """What somebody wishes is of the wrong type."""


class Doorway:
    """The way into the rooms of *chat*, and what all who have taken it share."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self._plain = packets.following(chat.log.epoch)
        self._otherwise = packets.following(chat.log.epoch, "0")
        self._missed: tuple[object, Batch] = None, Batch(())

    def following(self, had: str) -> packets.Encode:
        """Return what encodes events, with cursors, for who had the offset *had*: none is the same."""
        _, id = parse_cursor(had) or (None, 0)
        return self._otherwise if had == cursor(self.chat.log.epoch, id) else self._plain

    def missed(self, init: CommonInit) -> Batch:
        """Return what those have missed who go on with *init*: all of them where others do."""
        past = init.common[0]
        if past is not self._missed[0]:
            entries = [*init.messages, *(told.data for told in init.changes)]
            entries.sort(key=packets.place)
            self._missed = past, Batch(entries)
        return self._missed[1]

    def seat(self, connection: Connection, namespace: str) -> Seat:
        """Return a seat for *connection*."""
        return RoomSeat(connection, namespace, self)


class RoomSeat(Seat):
    """
    One connection to a room: packets → `Session.receive`, events → packets.

    Who can recover gets a cursor with each entry, as long as they are in the room that they began
    in and in no other.
    """

    session: Session | None = None
    _past: recovery.Past | None = None
    _recovers = False
    _resuming = False
    _had = ""
    _begun = False
    _newest = -1
    _held = 0

    def __init__(self, connection: Connection, namespace: str, doorway: Doorway) -> None:
        super().__init__(connection, namespace)
        self._doorway = doorway
        self._encode: packets.Encode = packets.plain
        self._alone: frozenset[str] = frozenset()

    def enter(self, wishes: Mapping[str, Any]) -> None:
        try:
            self._enter(wishes)
        except BadWish as error:
            self.refuse("bad_message", str(error))
        except BadName as error:
            self.refuse("bad_room", str(error))
        except Unavailable:
            self.end(Close.TRY_AGAIN, "the store cannot be read now")

    def event(self, packet: Packet) -> None:
        session = self.session
        if session is None:
            return
        self._held = 0 if session.open else self._held + 1
        if self._held > HELD:
            self.end(Close.TRY_AGAIN, "you send much and read nothing")
            return
        data = packet.arguments[1] if len(packet.arguments) > 1 else _NOTHING
        if bytes(data) == b"null":
            # What JavaScript makes of `undefined`.
            data = _NOTHING
        told = None if packet.id is None else partial(self._answer, packet.id)
        session.receive(command(packet.event, data), told)

    def pause(self) -> None:
        if self.session is not None:
            self.session.pause()

    def resume(self) -> None:
        if self.session is not None:
            self.session.resume()

    def left(self, clean: bool) -> None:
        if self.session is not None:
            self.session.close(clean=clean)
            # It knows how to send, and so holds this.
            self.session = None

    def send(self, batch: Batch) -> None:
        """Send *batch*, encoded once for all who get it in this way."""
        if not self._begun:
            batch = self._begin(batch)
        encode = self._encode
        if encode not in (packets.plain, packets.lost):
            newest = batch.encoded(packets.newest)
            assert self.session is not None
            if self.session.rooms is not self._alone:
                # For good: of which room an offset is that they still have, it does not say.
                encode = self._encode = packets.lost
            elif newest > self._newest:
                self._newest = newest
            else:
                # It may be an old message that was sent again; they are further than that.
                encode = packets.plain
        if batch.content:
            self.socket.write(batch, encode)

    def _enter(self, wishes: Mapping[str, Any]) -> None:
        chat = self._doorway.chat
        room, token = _text(wishes, "room") or LOBBY, _text(wishes, "token")
        epoch, after = parse_cursor(_text(wishes, "after") or "") or (None, None)
        epoch = epoch or _text(wishes, "epoch")
        room_name(room)
        if self.recent and recovers(wishes):
            self._recovers = True
            past = recovery.parse(wishes.get("pid"))
            offset = parse_cursor(_text(wishes, "offset") or "")
            if offset is not None:
                self._had = _text(wishes, "offset") or ""
            if past is not None and chat.known(token) is None:
                token = past.token
            if past is not None and past.token == token and _same(past.room, room):
                if "offset" not in wishes or (offset is not None and self._had == past.had):
                    # They have not even had their first `init`, which is what they missed.
                    self._past = past
                elif offset is not None:
                    self._past, self._resuming = past, True
                    epoch, after = offset
        self.session = chat.connect(self.send, self.end, _text(wishes, "name"), token)
        self.session.enter(room, after, epoch)

    def _begin(self, batch: Batch) -> Batch:
        """Let the peer in, and return what there is to send of *batch*, which begins with an `Init`."""
        self._begun = True
        init, *others = batch.content
        assert isinstance(init, CommonInit) and self.session is not None
        if not self._recovers:
            self.accept(sid=secrets.token_urlsafe(15))
            return batch
        self._alone = self.session.rooms
        past, token = self._past, init.self.token
        if past is None or past.token != token or (self._resuming and not init.resumed):
            past, self._resuming = recovery.begin(token, init.room, self._had), False
        self._encode = self._doorway.following(past.had)
        self.accept(sid=past.sid, pid=past.pid)
        if not self._resuming:
            return batch
        # As if they had been here: what the others were told, and no `init`.
        missed = self._doorway.missed(init)
        if missed.content:
            self.socket.write(missed, self._encode)
        self._newest = init.last
        users = {"room": init.room, "count": init.count, "users": init.users}
        self.emit("users", users)
        if init.read is not None:
            others.insert(0, ReadTo(init.room, init.read))
        return Batch(others)

    def _answer(self, id: int, event: Event | None) -> None:
        if self.session is not None:
            self.socket.send(packets.answer(id, event))


def recovers(wishes: Mapping[str, Any]) -> bool:
    """
    Return whether who comes with *wishes* is given what they need to be recovered.

    Nearly all are. But python-socketio, which cannot recover, gives each argument of an event to a
    parameter of its own, so that one more is one too many; its requests have a time in seconds.
    Raises `BadWish`.
    """
    wish = wishes.get("recover")
    if wish is None:
        return not _SECONDS.fullmatch(_text(wishes, "t") or "")
    return wish not in _NO


def _text(wishes: Mapping[str, Any], name: str) -> str | None:
    """Return the wish *name*, if there is one; numbers are texts as well. Raises `BadWish`."""
    wish = wishes.get(name)
    if wish is None or isinstance(wish, str):
        return wish or None
    if type(wish) is int and abs(wish) <= 2**53:
        return str(wish)
    raise BadWish(f"{name} is a text")


def _same(one: str, other: str) -> bool:
    return room_name(one).key == room_name(other).key
