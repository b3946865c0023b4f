from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from twisted.trial.unittest import TestCase

from chatroom.events import Renamed
from chatroom.log import MemoryLog, Outcome, Pass, Repeated, Said, Say, repeated
from tests.log_contract import BOB, LogContract, said, say, texts


class MemoryLogTests(LogContract, TestCase):
    """`MemoryLog` keeps the contract."""

    def make(self) -> MemoryLog:
        self._due: deque[Callable[[], None]] = deque()
        return MemoryLog(self._due.append)

    def turn(self) -> None:
        while self._due:
            self._due.popleft()()


class Kept:
    """A `MemoryLog` that keeps only a few messages, and all that came out of it."""

    def __init__(self, keep: int) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.log = MemoryLog(self.due.append, keep)
        self.batches: list[list[Outcome]] = []
        self.log.listener = lambda batch: self.batches.append(list(batch))

    def turn(self) -> None:
        while self.due:
            self.due.popleft()()


def test_one_call_later_for_all_that_is_appended_until_then() -> None:
    kept = Kept(10)
    for text in "abc":
        kept.log.append(say(text))
    assert len(kept.due) == 1
    kept.turn()
    kept.log.append(say("d"))
    kept.turn()
    assert [texts(said(batch)) for batch in kept.batches] == [["a", "b", "c"], ["d"]]


def test_nobody_needs_to_listen() -> None:
    due: deque[Callable[[], None]] = deque()
    log = MemoryLog(due.append)
    log.append(say("a"))
    due.popleft()()
    assert texts(log.since("lobby", 0, 9)) == ["a"]


def test_only_the_newest_are_kept() -> None:
    kept = Kept(3)
    for text in "abcde":
        kept.log.append(say(text))
    kept.turn()
    assert [m.id for m in kept.log.since("lobby", 0, 9)] == [3, 4, 5]
    assert [m.id for m in kept.log.since("lobby", 0, 2)] == [3, 4]
    assert [m.id for m in kept.log.since("lobby", 3, 9)] == [4, 5]
    assert [m.id for m in kept.log.before("lobby", 5, 9)] == [3, 4]
    assert kept.log.before("lobby", 3, 9) == []
    assert kept.log.before("lobby", 1, 9) == []


def test_each_room_keeps_its_own() -> None:
    kept = Kept(2)
    for text in "abc":
        kept.log.append(say(text, "one"))
    kept.log.append(say("d", "two"))
    kept.turn()
    assert texts(kept.log.since("one", 0, 9)) == ["b", "c"]
    assert texts(kept.log.since("two", 0, 9)) == ["d"]


def test_a_nonce_is_forgotten_with_its_message() -> None:
    kept = Kept(2)
    for text in "abc":
        kept.log.append(say(text, nonce=text))
    kept.log.append(say("c", nonce="c"))
    kept.log.append(say("a", nonce="a"))
    kept.turn()
    (batch,) = kept.batches
    assert [type(outcome) for outcome in batch] == [Said, Said, Said, Repeated, Said]
    assert texts(kept.log.since("lobby", 0, 9)) == ["c", "a"]


def test_messages_without_a_nonce_are_forgotten_too() -> None:
    kept = Kept(1)
    for text in "ab":
        kept.log.append(say(text))
    kept.turn()
    assert texts(kept.log.since("lobby", 0, 9)) == ["b"]


def test_a_user_is_known_for_longer_than_their_messages() -> None:
    kept = Kept(1)
    kept.log.append(say("a"))
    kept.log.append(say("b", sender=BOB))
    kept.log.append(Pass("lobby", Renamed(1, "Anna", "Ann"), None))
    kept.turn()
    assert kept.log.user(1) == "Anna"


@pytest.mark.parametrize(
    ("draft", "same"),
    [
        (say("a", nonce="n"), True),
        (say("b", nonce="n"), False),
        (say("a", "other", nonce="n"), False),
        (say("a", nonce="n", type="image"), False),
    ],
)
def test_what_becomes_of_a_nonce_that_was_used(draft: Say, same: bool) -> None:
    original = say("a", nonce="n").message
    outcome = repeated(draft, "lobby", original)
    assert isinstance(outcome, Repeated) is same
