"""Somebody in a room, through whichever door: what they do, and what they hear."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.protocol import Protocol
from twisted.test import iosim

if TYPE_CHECKING:
    from tests.doors.case import DoorCase

ENTRIES = ("talk", "edit", "delete", "react", "topic")
"""What has an id."""


class Heard(NamedTuple):
    """
    Something that came: its *kind* is the event's name in docs/protocol.md.

    *id* is an entry's. *text* is what was said, the emoji, the topic, the new name, or the code of
    an error; *sender* is the name of whom it is about.
    """

    kind: str
    id: int | None = None
    text: str = ""
    sender: str = ""
    nonce: str | None = None
    retry: float | None = None


class Person(ABC):
    """
    Somebody who wants to be called *name* in *room*, and a page of *origin* if that is given.

    They do what docs/protocol.md asks of a client: they keep a cursor, and `shown` is what they
    would have on their screen.
    """

    lingers = False
    """Whether others see only after the grace time that they have left, for they cannot say so."""

    unsayable = ""
    """What cannot stand in a room's name, for the door has no way to say it."""

    @staticmethod
    def shows(text: str) -> str:
        """Return *text*, which was said elsewhere, as it comes through their door."""
        return text

    def __init__(
        self,
        case: DoorCase,
        name: str | None,
        room: str = "lobby",
        *,
        origin: str | None = None,
        token: str | None = None,
    ) -> None:
        self.case = case
        self.wish = name
        self.name = name or ""
        self.room = room
        self.origin = origin
        self.token = token
        self.id = 0
        self.epoch: str | None = None
        self.last = 0
        self.heard: list[Heard] = []
        self.shown: list[Heard] = []
        self.again: list[int] = []
        """Ids of entries that came although they had come."""
        self.missed: list[int] = []
        """Ids of entries in front of which there was a gap."""
        self.resumed: list[bool] = []
        """Of each beginning, whether it was one where they had been."""
        self.answered: dict[str, list[int]] = {}
        """By nonce, the ids of what was told to be theirs."""
        self.status = 0
        """The HTTP status with which they were let in or refused, if there is one."""
        self.code: int | None = None
        """The close code with which they were sent away, if there is one."""

    # What they do. None of this waits: `DoorCase.settle` has it arrive.

    @abstractmethod
    def come(self) -> None:
        """Come in, with what they have kept if they have been here."""

    @abstractmethod
    def say(self, text: str, nonce: str | None = None) -> None:
        """Say *text* in their room."""

    @abstractmethod
    def rename(self, name: str) -> None:
        """Ask to be called *name*."""

    @abstractmethod
    def nonsense(self) -> None:
        """Send something of the right form for this door that means nothing."""

    @abstractmethod
    def garbage(self, data: bytes) -> None:
        """Send *data* as whatever carries things at this door."""

    @abstractmethod
    def leave(self) -> None:
        """Leave for good."""

    @abstractmethod
    def cut(self) -> None:
        """Lose the connection."""

    def stop(self) -> None:
        """Read nothing from now on."""

    def go_on(self) -> None:
        """Read on."""

    def look(self) -> None:
        """Fetch what there is, where nothing comes by itself."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether the connection has ended."""

    @property
    def held(self) -> int:
        """How many bytes the server holds for them."""
        return 0

    # What they have heard.

    @property
    def ids(self) -> list[int | None]:
        """The ids of the messages that they have on their screen."""
        return [heard.id for heard in self.shown]

    @property
    def texts(self) -> list[str]:
        """The texts of the same."""
        return [heard.text for heard in self.shown]

    @property
    def screen(self) -> list[tuple[int | None, str, str]]:
        """The same, with who said them."""
        return [(heard.id, heard.text, heard.sender) for heard in self.shown]

    def told(self, kind: str) -> list[Heard]:
        """Return all that came of one *kind*."""
        return [heard for heard in self.heard if heard.kind == kind]

    @property
    def errors(self) -> list[str]:
        """The codes of the errors that came."""
        return [heard.text for heard in self.told("error")]

    # What comes, as the events of docs/protocol.md.

    def hear(self, event: str, data: dict[str, Any]) -> None:
        """Take in one *event* with its *data*."""
        if event == "init":
            self.begin(data)
        elif event in ENTRIES:
            self.take(entry(event, data))
        elif event == "error":
            self.heard.append(
                Heard(
                    "error",
                    text=data["code"],
                    nonce=data.get("nonce"),
                    retry=data.get("retry_after"),
                )
            )
        elif event in ("join", "exit", "rename"):
            if event == "rename" and data["id"] == self.id:
                self.name = data["name"]
            self.heard.append(Heard(event, text=data.get("was", ""), sender=data["name"]))
        else:
            self.heard.append(Heard(event))

    def begin(self, data: dict[str, Any]) -> None:
        """Take in where a room begins, or goes on."""
        self.heard.append(Heard("init"))
        self.resumed.append(data["resumed"])
        self.token, self.epoch = data["self"]["token"], data["epoch"]
        self.id, self.name = data["self"]["id"], data["self"]["name"]
        if not data["resumed"]:
            self.shown.clear()
            self.last = 0
        entries = [entry("talk", message) for message in data["messages"]]
        entries += [entry(told["event"], told["data"]) for told in data.get("changes", [])]
        for heard in sorted(entries, key=lambda heard: heard.id or 0):
            if self.last == 0:
                # What came before the first one is history.
                self.last = (heard.id or 0) - 1
            self.take(heard)
        self.last = max(self.last, data["last"])

    def take(self, heard: Heard) -> None:
        """Take in an entry: what is not new answers a nonce."""
        assert heard.id is not None
        self.heard.append(heard)
        self.answer(heard)
        if heard.id <= self.last:
            self.again.append(heard.id)
            return
        if heard.id != self.last + 1:
            self.missed.append(heard.id)
        self.last = heard.id
        if heard.kind == "talk":
            self.shown.append(heard)

    def answer(self, heard: Heard) -> None:
        """Note an entry that is their own."""
        if heard.nonce is not None and heard.sender == self.name and heard.id is not None:
            self.answered.setdefault(heard.nonce, []).append(heard.id)


def entry(event: str, data: dict[str, Any]) -> Heard:
    """Return the entry that is *event* with its *data*."""
    text = data.get("message", data.get("emoji", data.get("topic", "")))
    return Heard(event, data["id"], text, data["from"]["name"], data.get("nonce"))


class Ear(Protocol):
    """A far end that may be `sever`ed: then it hears no more of what was on its way."""

    transport: iosim.FakeTransport
    deaf = False

    def sever(self) -> None:
        """End the connection without a word."""
        self.deaf = True
        self.transport.loseConnection()
