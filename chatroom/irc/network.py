"""What all connections of IRC have in common, whatever they come by (`Network`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from chatroom.chat import Chat
from chatroom.events import Who
from chatroom.irc import texts
from chatroom.irc.nicks import nick
from chatroom.irc.tongue import HEARD, Framed, Tongue
from chatroom.saying import rfc3339

SERVER = "chat.room"
"""What the server is called; hosts of users are below it."""
REASONS = 1000
"""So many reasons for leaving are known, the last ones …"""
FRESH = 5.0
"""For so many seconds a reason for leaving counts: who comes back may leave for another."""
GONE = 1000
"""… and so many users who were here by IRC and are so no longer."""


@dataclass(slots=True)
class Person:
    """What is known of a user who is here by IRC, by so many *connections*."""

    username: str
    realname: str
    away: str | None = None
    connections: int = 0


class Network:
    """
    The rooms of *chat* as a network of IRC whose only server is called *server*.

    *clock* is for what has to happen in time.
    """

    def __init__(self, chat: Chat, clock: IReactorTime, *, server: str = SERVER) -> None:
        self.chat = chat
        self.clock = clock
        self.server = server
        self.since = self.now()
        self.people: dict[int, Person] = {}
        self.most = 0
        """As many users as there were at most, when somebody asked or came by IRC."""
        self._gone: dict[int, None] = {}
        self._tongues: dict[tuple[frozenset[str], Framed], Tongue] = {}
        self._reasons: OrderedDict[tuple[int, str | None], tuple[str, float]] = OrderedDict()

    @property
    def epoch(self) -> str:
        """What ids belong to."""
        return self.chat.log.epoch

    def tongue(self, caps: frozenset[str], framed: Callable[[bytes], bytes]) -> Tongue:
        """Return how those hear who have agreed on *caps*, in lines that are *framed*."""
        key = (caps & HEARD, framed)
        if key not in self._tongues:
            self._tongues[key] = Tongue(self, *key)
        return self._tongues[key]

    def came(self, id: int, username: str, realname: str) -> None:
        """Take note that the user *id* is here by one connection more."""
        person = self.people.pop(id, None) or Person(username, realname)
        self.people[id] = person
        person.connections += 1
        self._gone.pop(id, None)
        self.leaves(id, None, "")
        self.most = max(self.most, len(self.chat.users))

    def left(self, id: int) -> None:
        """Take note that the user *id* is here by one connection less."""
        person = self.people[id]
        person.connections -= 1
        if not person.connections:
            person.away = None
            # That they are gone is told later, and what they said longer.
            self._gone[id] = None
            if len(self._gone) > GONE:
                oldest = next(iter(self._gone))
                del self._gone[oldest], self.people[oldest]

    def mask(self, who: Who) -> str:
        return f"{nick(who.name)}!{self.username(who.id)}@{self.host(who.id)}"

    def username(self, id: int) -> str:
        """Return the user name of the user *id*: ``~`` and what they said, or ``user``."""
        person = self.people.get(id)
        return person.username if person else "user"

    def host(self, id: int) -> str:
        """Return the host of the user *id*, which is made of that, and never changes."""
        return f"u{id}.{self.server}"

    def who(self, id: int) -> Who:
        return self.chat.who(id)

    def here(self, id: int) -> bool:
        return id in self.chat.users

    def reason(self, id: int, room: str | None) -> str:
        words, until = self._reasons.get((id, room), ("", 0.0))
        return words if self.clock.seconds() < until else ""

    def leaves(self, id: int, room: str | None, reason: str) -> None:
        """Take note of why the user *id* leaves *room*, or leaves altogether; "" is no reason."""
        self._reasons.pop((id, room), None)
        if said := " ".join(texts.lines(texts.plain(reason))):
            self._reasons[id, room] = said, self.clock.seconds() + FRESH
        if len(self._reasons) > REASONS:
            self._reasons.popitem(last=False)

    def now(self) -> str:
        return rfc3339(self.chat.wall())
