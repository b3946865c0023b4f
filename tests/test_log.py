from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from twisted.trial.unittest import TestCase

from chatroom.events import File, Renamed
from chatroom.log import (
    Found,
    Outcome,
    Pass,
    Repeated,
    Said,
    Say,
    Unavailable,
    repeated,
)
from chatroom.memory import SCANNED, SCANNED_TEXT, MemoryLog
from tests.log_contract import BOB, LogContract, said, say, texts
from tests.log_contract_changes import PICTURE, delete, picture


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

    def search(self, query: str, before: int | None) -> tuple[list[int], int | None]:
        """Return the ids of what is found, and where to go on."""
        reports: list[Found | Unavailable] = []
        self.log.search(query, None, (), before, 20, reports.append)
        self.turn()
        (found,) = reports
        assert isinstance(found, Found)
        return [message.id for message in found.messages], found.next


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


def test_a_file_is_released_with_the_last_message_that_was_dropped() -> None:
    kept = Kept(2)
    kept.log.append(picture())
    kept.log.append(picture())
    other = File("cd" * 32, "notes.txt", 9, "text/plain")
    kept.log.append(picture("other", other))
    kept.turn()
    assert released(kept) == [None, None, None]
    # One goes because it is dropped, and one because it is deleted; they are told one by one.
    kept.log.append(delete(3))
    kept.log.append(say("a"))
    kept.log.append(say("b"))
    kept.turn()
    assert released(kept) == [other.id, PICTURE.id, None]
    kept.log.append(picture())
    kept.log.append(picture("again", room="two"))
    kept.log.append(say("c"))
    kept.log.append(say("d"))
    kept.turn()
    assert released(kept) == [None] * 4


def released(kept: Kept) -> list[str | None]:
    """Return which files the last batch of *kept* has released."""
    return [outcome.released for outcome in kept.batches[-1] if isinstance(outcome, Said)]


def test_each_room_keeps_its_own() -> None:
    kept = Kept(2)
    for text in "abc":
        kept.log.append(say(text, "one"))
    kept.log.append(say("d", "two"))
    kept.turn()
    assert texts(kept.log.since("one", 0, 9)) == ["b", "c"]
    assert texts(kept.log.since("two", 0, 9)) == ["d"]


def test_a_search_looks_at_so_much_at_once() -> None:
    kept = Kept(20_000)
    for n in range(SCANNED + 1):
        kept.log.append(say("tea" if n in (0, 1, SCANNED) else "coffee"))
    kept.turn()
    assert kept.search("tea", None) == ([SCANNED + 1, 2], 2)
    assert kept.search("tea", 2) == ([1], None)
    assert kept.search("milk", None) == ([], 2)
    assert kept.search("milk", 2) == ([], None)
    # It is not the number alone that takes time.
    for n in range(SCANNED_TEXT // 4000 + 1):
        kept.log.append(say("茶" * 4000, "long"))
    kept.turn()
    _, next = kept.search("milk", None)
    assert next == SCANNED + 3
    assert kept.search("milk", next)[1] == 3


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
    original = say("a", nonce="n").entry
    outcome = repeated(draft, "lobby", original)
    assert isinstance(outcome, Repeated) is same
