"""What the contract tests of a log stand on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from chatroom.events import Entry, Message, Who
from chatroom.log import Draft, Log, Outcome, Said, Say

ANN, BOB = Who(1, "Ann"), Who(2, "Bob")
TIME = "2026-10-21T07:28:00.000Z"

Steps = Generator[Deferred[Any], Any, None]


def say(
    text: str, room: str = "lobby", sender: Who = ANN, nonce: str | None = None, type: str = "text"
) -> Say:
    """Return a draft of *text* as a session would make it; a *room* is shown with a capital."""
    return keep(Message(0, room.capitalize(), text, type, sender, TIME, nonce), room)


def keep(entry: Entry, room: str = "lobby") -> Say:
    """Return a draft of *entry*."""
    return Say(room, entry, object())


def texts(entries: Sequence[Entry]) -> list[str]:
    return [entry.message for entry in entries if isinstance(entry, Message)]


def said(outcomes: Sequence[Outcome]) -> list[Message]:
    """Return what was said; fails where anything was not."""
    messages = []
    for outcome in outcomes:
        assert isinstance(outcome, Said), outcome
        assert isinstance(outcome.entry, Message)
        messages.append(outcome.entry)
    return messages


class LogCase:
    """
    A log under test, to be mixed into a trial ``TestCase``.

    `make` is all that there is to add; a log whose turn does not come by itself has `turn` too.
    """

    timeout = 120
    log: Log

    def make(self) -> Log:
        """Return a log that is empty, ready and cleaned up after the test."""
        raise NotImplementedError

    def turn(self) -> None:
        """Let the log do what it does later, if that does not happen by itself."""

    def setUp(self) -> None:
        self.log = self.make()

    def settle(self, *drafts: Draft) -> Deferred[list[Outcome]]:
        """Append *drafts* at once, and give what has become of them when it is all known."""
        settled: Deferred[list[Outcome]] = Deferred()
        outcomes: list[Outcome] = []

        def listen(batch: Sequence[Outcome]) -> None:
            assert batch, "a batch with nothing in it"
            outcomes.extend(batch)
            if len(outcomes) >= len(drafts):
                settled.callback(outcomes)

        self.log.listener = listen
        for draft in drafts:
            self.log.append(draft)
        assert not outcomes, "the listener is called later"
        self.turn()
        return settled
