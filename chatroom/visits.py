"""Those who say or ask something without being in a room (`Visits`): over HTTP, say."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chatroom.commands import Command
from chatroom.events import Self
from chatroom.log import Unavailable
from chatroom.room import Room
from chatroom.saying import SAYING
from chatroom.session import UNAVAILABLE, Problem, Session, Told, User, Visit, error

if TYPE_CHECKING:
    from chatroom.chat import Chat

STAY = 60.0
"""So many seconds somebody is known after the last thing that they asked: their name is theirs."""
OPEN = 10.0
"""So many seconds a room is kept open after it was asked for, for that it takes some reading …"""
ROOMS = 100
"""… and at most so many rooms."""


class Visits:
    """All who come to *chat* for one thing at a time."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._nobody = Visit(chat, User(0, None))
        # In the order of their ends.
        self._visits: dict[int, tuple[Visit, float]] = {}
        self._rooms: dict[str, tuple[Room[Session], float]] = {}

    def __contains__(self, user: User) -> bool:
        """Whether *user* is known for a visit."""
        return user.id in self._visits

    def ask(
        self, command: Command, told: Told, *, token: str | None = None, name: str | None = None
    ) -> None:
        """
        Do *command* for whom *token* was given to, be they in its room or not.

        *told* is given the answer, once, now or later: what `Session.receive` says. Without a token
        what is asked is asked by nobody, and what is said is said by someone new, called *name*.
        All strangers share their limits. A command to join or leave a room is for a session.
        """
        try:
            visit = self._visit(command, token, name)
        except Unavailable:
            told(error(command, UNAVAILABLE))
        except Problem as problem:
            told(error(command, problem))
        else:
            visit.receive(command, told)
            if visit.opened is not None:
                self._keep(visit.opened)
                visit.opened = None

    def introduce(self, name: str | None) -> Self:
        """Return somebody new, called *name*. Raises `Problem` and `Unavailable`."""
        user = self._new(name)
        return Self(user.id, user.name.shown, self._chat.token(user))

    def name(self, token: str, *wishes: str) -> None:
        """
        Call whom *token* was given to by the first of *wishes* that can be had, if one can.

        It costs them nothing. Raises `Problem` and `Unavailable`.
        """
        user = self._known(token, None).user
        for wish in wishes:
            if wish == user.name.shown:
                return
            with suppress(Problem):
                self._chat.rename(user, wish)
                return

    def tick(self, now: float) -> None:
        """Forget those whose time is over."""
        while self._visits:
            id, (visit, until) = next(iter(self._visits.items()))
            if until > now:
                break
            del self._visits[id]
            self._chat.release(visit.user)
        while self._rooms and next(iter(self._rooms.values()))[1] <= now:
            self._close()

    def _keep(self, room: Room[Session]) -> None:
        """Keep *room* open for a while, if anything was said in it."""
        known = self._rooms.pop(room.key, None)
        if known is None and room.last:
            room.pending += 1
        elif known is None:
            self._chat.settled(room, 0)
            return
        self._rooms[room.key] = room, self._chat.clock() + OPEN
        if len(self._rooms) > ROOMS:
            self._close()

    def _close(self) -> None:
        """Keep the room no longer that was kept first."""
        room, _ = self._rooms.pop(next(iter(self._rooms)))
        self._chat.settled(room, 1)

    def _visit(self, command: Command, token: str | None, name: str | None) -> Visit:
        if token is not None:
            return self._known(token, name)
        if type(command) not in SAYING:
            return self._nobody
        return self._stay(self._new(name))

    def _known(self, token: str, name: str | None) -> Visit:
        id = self._chat.known(token)
        if id is None:
            raise Problem("unauthorized", "this token is not known here")
        user = self._chat.users.get(id)
        if user is None:
            user, _ = self._chat.come(id, token, name)
        return self._stay(user)

    def _new(self, name: str | None) -> User:
        if wait := self._chat.strangers.take(self._chat.clock()):
            raise Problem("rate_limited", "too many strangers; come as somebody known", wait)
        user, problem = self._chat.come(None, None, name)
        if problem is not None:
            self._chat.release(user)
            raise problem
        self._stay(user)
        return user

    def _stay(self, user: User) -> Visit:
        visit, _ = self._visits.pop(user.id, (None, 0.0))
        if visit is None:
            visit = Visit(self._chat, user)
        self._visits[user.id] = visit, self._chat.clock() + STAY
        return visit
