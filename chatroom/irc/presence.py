"""Where a connection of IRC is, and what its client has been told of that (`Presence`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from chatroom import names
from chatroom.chat import Chat
from chatroom.events import Direct, Event, Exited, Init, Joined, Renamed
from chatroom.irc.nicks import nick
from chatroom.log import Unavailable
from chatroom.names import BadName, Name
from chatroom.session import Problem, Session

DIRECTS = 30
"""In so many direct rooms one connection is at a time: those used last."""
VIEW = 1000
"""Of so many users it is kept what they were told to be called now, or that they are gone."""


class Presence:
    """
    Where *session* is.

    `nick` is what the client calls itself; `channels` are the rooms that it has joined, names by
    comparison form.
    """

    def __init__(self, chat: Chat, session: Session) -> None:
        self._chat = chat
        self._session = session
        self.nick = nick(session.user.name.shown)
        self.channels: dict[str, str] = {}
        self._directs: dict[str, None] = {}
        self._cursors: dict[str, int] = {}
        self._remembered: dict[str, Mapping[int, str]] = {}
        # By user: what renaming has told, or None for who is gone. In several rooms it comes anew.
        self._view: dict[int, str | None] = {}

    def start(self) -> None:
        """Take what was said until now in direct rooms for known. Raises `Unavailable`."""
        for reading in self._chat.log.readings(self._session.user.id):
            if names.parties(reading.room):
                self._cursors[reading.room] = reading.known.last

    def direct(self, other: int) -> Name:
        """
        Return the direct room with the user *other*, who is here, and be in it from now on.

        Raises `Problem` and `Unavailable`.
        """
        name = names.direct(self._session.user.id, other)
        if name.key not in self._session.rooms:
            self._enter(name.key)
        # It was used last.
        self._directs.pop(name.key, None)
        self._directs[name.key] = None
        return name

    def called(self, event: Direct) -> None:
        """Hear what was said in a direct room."""
        # Who has no place for it, or cannot read it now, finds it in the history.
        with suppress(Problem, Unavailable):
            if event.room not in self._session.rooms:
                self._enter(event.room)

    def _enter(self, key: str) -> None:
        while len(self._directs) >= DIRECTS:
            oldest = next(iter(self._directs))
            del self._directs[oldest]
            self._chat.leave(self._session, self._chat.rooms[oldest])
        self._session.join(Name(key, key), self._cursors.get(key, 0), None)
        self._directs[key] = None

    def heard(self, room: str, id: int) -> None:
        """Take note that the entry *id* of the direct *room* was told."""
        self._cursors[room] = id

    def entered(self, init: Init) -> Sequence[Event]:
        """Take note of *init*, and return what the client has missed until it."""
        key = names.room_name(init.room).key
        if names.parties(key):
            known = self._cursors.get(key, 0)
            self._cursors[key] = init.last
            messages = [message for message in init.messages if message.id > known]
            before = self._remembered.pop(key, {})
            return [*_renamed(init.room, before, self._chat.rooms[key].here), *messages]
        if key not in self.channels:
            self.channels[key] = init.room
            # What was told of these may be true no longer: who they are comes anew, with the room.
            for id, name in self._chat.rooms[key].here.items():
                if self._view.get(id, name) != name:
                    del self._view[id]
            return []
        before = self._remembered.pop(key, {})
        now = self._chat.rooms[key].here if before else {}
        return [
            *(Exited(init.room, id, name) for id, name in before.items() if id not in now),
            *_renamed(init.room, before, now),
            *(Joined(init.room, id, name) for id, name in now.items() if id not in before),
        ]

    def remember(self) -> None:
        """Remember who is where, as far as the client has been told until now, or was before."""
        for key in (*self.channels, *self._directs):
            if key in self._chat.rooms and key not in self._remembered:
                self._remembered[key] = dict(self._chat.rooms[key].here)

    def forget(self) -> None:
        """Forget who was where, in rooms of which the client has been told everything since."""
        for key in list(self._remembered):
            room = self._chat.rooms.get(key)
            if room is None or self._session not in room.lagging:
                del self._remembered[key]

    def renamed(self, event: Renamed) -> bool:
        """Take note of *event*; return whether the client does not know yet."""
        if event.id == self._session.user.id:
            self.nick = nick(event.name)
        known = self._view.get(event.id, event.was) == event.name
        self._see(event.id, event.name)
        return not known

    def joined(self, event: Joined) -> bool:
        """Take note of *event*; return whether it is of somebody else."""
        self._view.pop(event.id, None)
        return event.id != self._session.user.id

    def exited(self, event: Exited) -> bool:
        """Take note of *event*; return whether the client does not know yet."""
        if event.id == self._session.user.id:
            with suppress(BadName):
                self.channels.pop(names.room_name(event.room).key, None)
            return True
        if event.id in self._chat.users:
            return True
        known = self._view.get(event.id, "") is None
        self._see(event.id, None)
        return not known

    def _see(self, id: int, name: str | None) -> None:
        self._view.pop(id, None)
        self._view[id] = name
        if len(self._view) > VIEW:
            del self._view[next(iter(self._view))]


def _renamed(room: str, before: Mapping[int, str], now: Mapping[int, str]) -> list[Renamed]:
    """Return how those in *room* were renamed who were called as in *before*, and are as in *now*."""
    return [
        Renamed(id, now[id], name, room) for id, name in before.items() if now.get(id, name) != name
    ]
