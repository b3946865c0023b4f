from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom import room as room_module
from chatroom.events import (
    CommonInit,
    Deleted,
    Edited,
    Entry,
    Event,
    Exited,
    Joined,
    Limits,
    Message,
    Presence,
    Reacted,
    Reaction,
    Renamed,
    Self,
    Told,
    Topic,
    Typed,
    Who,
    encode,
)
from chatroom.log import Say, Unavailable
from chatroom.memory import MemoryLog
from chatroom.names import direct, room_name
from chatroom.room import ANSWER, BEGIN, NEWEST, PASTS, RESUME, Cursor, Room

ANN = Who(1, "Ann")
LATER = "2026-10-21T07:29:00.000Z"


def message(id: int, text: str = "") -> Message:
    return Message(id, "Dev", text or str(id), "text", ANN, "2026-10-21T07:28:00.000Z")


def log_of(*said: str | Entry, keep: int = 10_000) -> MemoryLog:
    """Return a log in which *said* was said in the room ``dev``, called "Dev"."""
    due: deque[Callable[[], None]] = deque()
    log = MemoryLog(due.append, keep)
    for entry in said:
        log.append(Say("dev", message(0, entry) if isinstance(entry, str) else entry, None))
    while due:
        due.popleft()()
    return log


def room_of(count: int = 0, *changes: Entry, crowd: int = 3, keep: int = 10_000) -> Room[str]:
    """Return the room ``dev``: *count* messages were said, each its own number, then *changes*."""
    texts = (str(n) for n in range(1, count + 1))
    return Room(room_name("dev"), log_of(*texts, *changes, keep=keep), crowd)


def edit(of: int, text: str, id: int = 0) -> Edited:
    return Edited(id, "Dev", of, text, "text", ANN, LATER)


def react(of: int, emoji: str = "👍", id: int = 0) -> Reacted:
    return Reacted(id, "Dev", of, emoji, True, ANN, LATER)


def delete(of: int, id: int = 0) -> Deleted:
    return Deleted(id, "Dev", of, ANN, LATER)


def topic(text: str, id: int = 0) -> Topic:
    return Topic(id, "Dev", text, ANN, LATER)


def ids(entries: Sequence[Entry]) -> list[int]:
    return [entry.id for entry in entries]


def texts(entries: Iterable[Entry]) -> list[str]:
    return [entry.message for entry in entries if isinstance(entry, Message)]


def join(room: Room[str], *users: int) -> list[Event | None]:
    return [room.apply(Joined(room.name, user, f"u{user}")) for user in users]


def leave(room: Room[str], *users: int) -> list[Event | None]:
    return [room.apply(Exited(room.name, user, room.here[user])) for user in users]


# Its beginning.


def test_a_new_room() -> None:
    room: Room[str] = Room(room_name("Dev"), log_of(), 3)
    assert (room.name, room.key, room.last) == ("Dev", "dev", 0)
    assert room.begin(None) == ([], False)
    assert room.page(None, None, None, 10) == ([], False, False)
    assert (room.topic, room.said, room.first, room.parties) == ("", 0, None, None)
    assert room.since(0, 10) == []
    assert room.forgotten


def test_a_room_that_the_log_knows() -> None:
    room: Room[str] = Room(room_name("DEV"), log_of("a", "b"), 3)
    assert (room.name, room.key, room.last) == ("Dev", "dev", 2)
    assert texts(room.newest) == texts(room.recent) == ["a", "b"]


def test_only_the_newest_messages_are_at_hand() -> None:
    room = room_of(NEWEST + 10)
    assert ids(list(room.newest)) == list(range(11, NEWEST + 11))
    room.apply(message(NEWEST + 11))
    assert ids(list(room.newest)) == list(range(12, NEWEST + 12))
    assert room.last == NEWEST + 11


# Who is in.


def test_a_user_is_in_by_any_number_of_sessions() -> None:
    room = room_of()
    assert room.enter(1) is True
    assert room.enter(1) is False
    assert not room.forgotten
    assert room.leave(1) is False
    assert room.leave(1) is True
    assert room.forgotten
    assert room.enter(1) is True


def test_who_is_cut_off_stays_until_their_time_is_over() -> None:
    room = room_of()
    room.enter(1)
    assert room.leave(1, until=10.0) is False
    assert not room.forgotten
    assert room.overdue(1, 9.99) is False
    assert room.overdue(1, 10.0) is True
    assert room.overdue(1, 11.0) is False
    assert room.forgotten


def test_who_is_back_in_time_is_not_overdue() -> None:
    room = room_of()
    room.enter(1)
    room.leave(1, until=10.0)
    assert room.enter(1) is False
    assert room.overdue(1, 10.0) is False
    room.leave(1, until=15.0)
    assert room.overdue(1, 10.0) is False
    assert room.overdue(1, 15.0) is True


def test_who_is_in_by_another_session_is_not_overdue() -> None:
    room = room_of()
    room.enter(1)
    room.enter(1)
    assert room.leave(1, until=10.0) is False
    assert room.overdue(1, 10.0) is False


@pytest.mark.parametrize("kept", ["member", "shown", "reader", "laggard", "draft"])
def test_a_room_is_not_forgotten_while_anybody_is_in_it(kept: str) -> None:
    room = room_of()
    if kept == "member":
        room.enter(1)
    elif kept == "shown":
        join(room, 1)
    elif kept == "reader":
        room.readers["a"] = None
    elif kept == "draft":
        room.pending = 1
    else:
        room.lagging["a"] = Cursor(0)
    assert not room.forgotten


# What is shown.


def test_what_is_shown_changes_by_events() -> None:
    room = room_of()
    assert join(room, 1, 2) == [Joined("dev", 1, "u1"), Joined("dev", 2, "u2")]
    assert room.users(1) == [Who(1, "u1"), Who(2, "u2")]
    renamed = Renamed(2, "Bob", "u2", "dev")
    assert room.apply(renamed) is renamed
    assert room.users(1) == [Who(1, "u1"), Who(2, "Bob")]
    assert leave(room, 1) == [Exited("dev", 1, "u1")]
    assert room.users(2) == [Who(2, "Bob")]


def test_a_message_changes_what_is_newest() -> None:
    room = room_of(1)
    said = message(2)
    assert room.apply(said) is said
    assert (room.last, ids(list(room.newest))) == (2, [1, 2])


def test_typing_changes_nothing() -> None:
    room = room_of()
    typed = Typed("dev", 1, "u1")
    assert room.apply(typed) is typed
    assert room.forgotten


def test_entering_alone_shows_nobody() -> None:
    room = room_of()
    room.enter(1)
    assert room.here == {}


# Crowds.


def test_as_many_as_the_limit_are_no_crowd() -> None:
    room = room_of(crowd=3)
    assert None not in join(room, 1, 2, 3)
    assert not room.crowded
    assert room.summary(0.0) is None


def test_in_a_crowd_nobody_is_told_of_single_moves() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3)
    assert join(room, 4) == [None]
    assert room.crowded
    assert leave(room, 1) == [None]
    assert room.summary(0.0) == Presence("dev", 3, [Who(4, "u4")], [Who(1, "u1")])


def test_a_summary_comes_at_most_once_a_second() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4)
    assert room.summary(100.0) == Presence("dev", 4, [Who(4, "u4")], [])
    join(room, 5)
    assert room.summary(100.9) is None
    assert room.summary(101.0) == Presence("dev", 5, [Who(5, "u5")], [])
    assert room.summary(200.0) is None


def test_who_comes_and_goes_between_summaries_has_left() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4)
    leave(room, 4)
    assert room.summary(0.0) == Presence("dev", 3, [], [Who(4, "u4")])


def test_who_goes_and_comes_between_summaries_has_joined() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4)
    room.summary(0.0)
    leave(room, 4)
    join(room, 4)
    assert room.summary(1.0) == Presence("dev", 4, [Who(4, "u4")], [])


def test_a_summary_has_the_names_of_now() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4)
    renamed = Renamed(4, "Dan", "u4", "dev")
    assert room.apply(renamed) is renamed
    room.apply(Renamed(1, "Ann", "u1", "dev"))
    leave(room, 1)
    assert room.summary(0.0) == Presence("dev", 3, [Who(4, "Dan")], [Who(1, "Ann")])


def test_the_lists_of_a_summary_are_cut() -> None:
    room = room_of(crowd=3)
    join(room, *range(1, 11))
    summary = room.summary(0.0)
    assert summary == Presence("dev", 10, [Who(id, f"u{id}") for id in (4, 5, 6)], [])


def test_a_crowd_ends_well_below_the_limit() -> None:
    room = room_of(crowd=4)
    assert not room.thinned()
    join(room, 1, 2, 3, 4, 5)
    assert not room.thinned()
    leave(room, 1)
    assert not room.thinned()
    leave(room, 2)
    assert room.thinned()
    assert not room.crowded
    assert not room.thinned()
    assert room.summary(0.0) is None
    assert leave(room, 3) == [Exited("dev", 3, "u3")]


def test_a_crowd_stays_one_until_it_is_said_to_have_ended() -> None:
    room = room_of(crowd=8)
    join(room, *range(1, 10))
    leave(room, 1, 2)
    assert not room.thinned()
    assert join(room, 10) == [None]
    leave(room, 3, 4, 5)
    assert join(room, 11) == [None]
    assert room.thinned()


def test_a_crowd_that_ends_in_many_ways_is_told_of_none_twice() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4)
    leave(room, 1, 2)
    assert room.thinned()
    assert room.summary(0.0) is None


def test_users_of_a_crowd_are_a_sample_with_oneself() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3, 4, 5)
    assert room.users(2) == [Who(1, "u1"), Who(2, "u2"), Who(3, "u3")]
    assert room.users(5) == [Who(1, "u1"), Who(2, "u2"), Who(5, "u5")]


def test_users_of_a_crowd_that_could_be_no_smaller() -> None:
    room = room_of(crowd=1)
    join(room, 1, 2)
    assert room.users(1) == [Who(1, "u1")]
    assert room.users(2) == [Who(2, "u2")]


# Where somebody begins.


def test_who_begins_afresh_has_the_newest() -> None:
    assert room_of(3).begin(None) == ([message(1), message(2), message(3)], False)
    messages, resumed = room_of(BEGIN + 5).begin(None)
    assert (ids(messages), resumed) == (list(range(6, BEGIN + 6)), False)


@pytest.mark.parametrize("after", [0, 1, 299, 300])
def test_who_goes_on_has_all_since(after: int) -> None:
    messages, resumed = room_of(300).begin(after)
    assert (ids(messages), resumed) == (list(range(after + 1, 301)), True)


def test_who_was_beyond_the_end_begins_afresh() -> None:
    messages, resumed = room_of(3).begin(4)
    assert (ids(messages), resumed) == ([1, 2, 3], False)


def test_who_missed_too_many_begins_afresh() -> None:
    room = room_of(RESUME + 2)
    assert ids(room.begin(2)[0]) == list(range(3, RESUME + 3))
    messages, resumed = room.begin(1)
    assert (len(messages), messages[-1].id, resumed) == (BEGIN, RESUME + 2, False)


def test_no_answer_is_too_long_for_common_clients() -> None:
    # A control character takes six bytes.
    half = "\x01" * (ANSWER // 12)
    room: Room[str] = Room(room_name("dev"), log_of("a", half, half, "b"), 3)
    assert (ids(room.begin(2)[0]), room.begin(2)[1]) == ([3, 4], True)
    assert (ids(room.begin(1)[0]), room.begin(1)[1]) == ([3, 4], False)
    for place, found, more, newer in [
        ((None, None, None), [3, 4], True, False),
        ((3, None, None), [1, 2], False, True),
        ((None, 0, None), [1, 2], False, True),
        ((None, 1, None), [2], True, True),
        ((None, None, 2), [2], True, True),
        ((None, None, 4), [3, 4], True, False),
    ]:
        page = room.page(*place, 200)
        assert (ids(page[0]), *page[1:]) == (found, more, newer)
        assert sum(len(encode(message)) for message in page[0]) <= ANSWER


def test_changes_take_room_in_an_answer_too() -> None:
    half = "\x01" * (ANSWER // 12)
    room: Room[str] = Room(room_name("dev"), log_of("a", edit(1, half), edit(1, half)), 3)
    assert (ids(room.begin(2)[0]), room.begin(2)[1]) == ([3], True)
    assert (ids(room.begin(1)[0]), room.begin(1)[1]) == ([1], False)


def test_an_answer_may_be_full_to_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_of(3)
    size = sum(len(encode(message)) for message in room.newest)
    monkeypatch.setattr(room_module, "ANSWER", size)
    assert room.begin(0) == (list(room.newest), True)
    monkeypatch.setattr(room_module, "ANSWER", size - 1)
    assert (ids(room.begin(0)[0]), room.begin(0)[1]) == ([2, 3], False)


def test_what_is_kept_no_longer_cannot_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "NEWEST", 2)
    room = room_of(9, keep=4)
    assert ids(room.since(5, 9)) == [6, 7, 8, 9]
    with pytest.raises(Unavailable):
        room.begin(4)


def test_what_was_deleted_cannot_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "NEWEST", 1)
    log = log_of("a", "b", "c")
    room: Room[str] = Room(room_name("dev"), log, 3)
    monkeypatch.setattr(log, "since", lambda *_: [])
    with pytest.raises(Unavailable):
        room.begin(1)


# Reading.


@pytest.mark.parametrize("count", [3, NEWEST, NEWEST + 50])
def test_since(count: int) -> None:
    room = room_of(count)
    assert ids(room.since(0, 2)) == [1, 2]
    assert ids(room.since(1, 9999)) == list(range(2, count + 1))
    assert ids(room.since(count - 1, 5)) == [count]
    assert room.since(count, 5) == []
    assert room.since(count + 1, 5) == []


def test_since_at_the_edge_of_what_is_at_hand() -> None:
    room = room_of(NEWEST + 5)
    for after in range(3, 8):
        assert ids(room.since(after, 3)) == [after + 1, after + 2, after + 3]


PLACES: list[tuple[tuple[int | None, int | None, int | None], int, list[int]]] = [
    ((None, None, None), 3, [5, 6, 7]),
    ((None, None, None), 9, [1, 2, 3, 4, 5, 6, 7]),
    ((7, None, None), 3, [4, 5, 6]),
    ((3, None, None), 9, [1, 2]),
    ((99, None, None), 2, [6, 7]),
    ((1, None, None), 3, []),
    ((0, None, None), 3, []),
    ((None, 0, None), 3, [1, 2, 3]),
    ((None, 3, None), 2, [4, 5]),
    ((None, 5, None), 9, [6, 7]),
    ((None, 7, None), 9, []),
    ((None, 99, None), 9, []),
    ((None, None, 4), 3, [3, 4, 5]),
    ((None, None, 4), 2, [4, 5]),
    ((None, None, 4), 1, [4]),
    ((None, None, 1), 4, [1, 2, 3]),
    ((None, None, 0), 4, [1, 2]),
    ((None, None, 7), 4, [6, 7]),
    ((None, None, 99), 4, [6, 7]),
]


@pytest.mark.parametrize(("place", "limit", "found"), PLACES)
def test_a_page(
    place: tuple[int | None, int | None, int | None], limit: int, found: list[int]
) -> None:
    messages, more, newer = room_of(7).page(*place, limit)
    assert ids(messages) == found
    if found:
        assert (more, newer) == (found[0] > 1, found[-1] < 7)
    else:
        # Beside a place where nothing is, at one end or the other.
        assert (more, newer) == ((False, True) if place[0] is not None else (True, False))


def test_a_page_of_nothing_but_what_is_around() -> None:
    room: Room[str] = Room(room_name("dev"), log_of(topic("x"), "a"), 3)
    assert room.page(None, None, 1, 1) == ([], False, True)


def test_there_is_no_more_than_what_is_kept() -> None:
    due: deque[Callable[[], None]] = deque()
    log = MemoryLog(due.append, 5)
    room: Room[str] = Room(room_name("dev"), log, 3)
    for id in range(1, 8):
        log.append(Say("dev", message(0), None))
        room.apply(message(id))
    due.popleft()()
    assert log.before("dev", 9, 9)[0].id == 3
    assert (room.page(3, None, None, 9), room.first) == (([], False, True), 1)
    page, more, _ = room.page(5, None, None, 9)
    assert (ids(page), more) == ([3, 4], False)
    page, more, _ = room.page(5, None, None, 1)
    assert (ids(page), more) == ([4], True)
    assert room.past(2, LIMITS).more is False
    assert room.past(3, LIMITS).more is True


def test_a_page_is_never_empty_where_there_are_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_of(3)
    monkeypatch.setattr(room_module, "ANSWER", 1)
    assert [
        (ids(page), *ends)
        for page, *ends in (
            room.page(None, None, None, 9),
            room.page(2, None, None, 9),
            room.page(None, 1, None, 9),
            room.page(None, None, 2, 9),
        )
    ] == [
        ([3], True, False),
        ([1], False, True),
        ([2], True, True),
        ([2], True, True),
    ]


def test_pages_are_of_messages_and_topics_do_not_count() -> None:
    log = log_of(topic("x"), topic("y"), "a", topic("z"), "b", react(3), topic("w"))
    room: Room[str] = Room(room_name("dev"), log, 3)
    assert (room.first, room.said, room.last, room.topic) == (3, 5, 7, "w")
    assert [
        (ids(page), *ends)
        for page, *ends in (
            room.page(None, None, None, 9),
            room.page(None, None, None, 1),
            room.page(5, None, None, 9),
            room.page(None, 3, None, 9),
            room.page(None, None, 4, 2),
        )
    ] == [
        ([3, 5], False, False),
        ([5], True, False),
        ([3], False, True),
        ([5], True, False),
        ([3, 5], False, False),
    ]
    assert room.past(None, LIMITS).more is False
    assert room.past(2, LIMITS).more is False
    assert room.past(3, LIMITS).more is True
    assert room.past(6, LIMITS).more is True


def test_the_first_message_of_a_room() -> None:
    room = room_of()
    room.apply(topic("x", 1))
    room.apply(message(2))
    room.apply(message(3))
    assert (room.first, room.said, room.last) == (2, 3, 3)


def test_nothing_is_read_that_is_not_shown_yet() -> None:
    room = room_of(5)
    room.last = room.said = 3
    assert room.page(None, None, None, 9) == ([message(1), message(2), message(3)], False, False)
    assert room.page(5, None, None, 9)[0] == room.page(None, 0, None, 9)[0]
    assert ids(room.page(None, 0, None, 9)[0]) == [1, 2, 3]
    assert ids(room.since(0, 9)) == [1, 2, 3]
    assert room.message(3) is not None
    assert room.message(4) is None


# What is changed.


def test_a_message_at_hand_is_as_it_is_now() -> None:
    room = room_of(3)
    for change in (edit(2, "two", 4), react(2, id=5), react(3, id=6)):
        assert room.apply(change) is change
    two = message(2, "two")
    two.edited, two.changed, two.reactions = LATER, 5, (Reaction("👍", (ANN,)),)
    assert room.message(2) == room.newest[1] == room.recent[1] == two
    assert ids(room.newest) == [1, 2, 3, 4, 5, 6]
    assert ids(room.recent) == [1, 2, 3]
    assert (room.last, room.said) == (6, 3)
    room.apply(react(4, id=7))
    assert room.newest[3] == edit(2, "two", 4)
    assert room.message(4) is None
    assert room.message(0) is None


def test_what_has_changed_meanwhile_is_told() -> None:
    room = room_of(3)
    join(room, 1)
    assert room.past(2, LIMITS).changes == []
    change = edit(2, "two", 4)
    room.apply(change)
    past = room.past(2, LIMITS)
    assert (ids(past.messages), past.changes) == ([3], [Told("edit", change)])
    assert texts(room.past(1, LIMITS).messages) == ["two", "3"]
    assert members(room, 1, 1)["changes"] == [json.loads(encode(change))]
    assert members(room, 1, 1)["last"] == 4
    assert texts(room.past(None, LIMITS).messages) == ["1", "two", "3"]
    assert room.past(None, LIMITS).changes == []


def test_nothing_is_left_at_hand_of_what_was_deleted() -> None:
    room = room_of(2, edit(1, "one"), edit(2, "two"))
    room.apply(edit(1, "eins", 5))
    room.apply(delete(1, 6))
    assert [getattr(entry, "message", "") for entry in room.newest] == [
        *("", "two", "", "two", "", "")
    ]
    again = Room[str](
        room_name("dev"),
        log_of("1", "2", edit(1, "one"), edit(2, "two"), edit(1, "eins"), delete(1)),
        3,
    )
    assert room.newest == again.newest
    assert room.recent == again.recent


def test_many_changes_hide_no_message_from_who_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_of(3)
    for id in range(4, NEWEST + 20):
        room.apply(react(id % 3 + 1, id=id))
    assert ids(room.begin(None)[0]) == [1, 2, 3]
    assert ids(room.newest) == list(range(20, NEWEST + 20))
    monkeypatch.setattr(room._log, "message", lambda *_: message(1, "of the log"))
    assert room.message(1) == message(1, "of the log")
    room.apply(edit(1, "one", NEWEST + 20))
    assert texts(room.recent) == ["one", "2", "3"]


def test_a_topic() -> None:
    room = room_of(1, topic("x"))
    assert room.topic == "x"
    join(room, 1)
    assert members(room, 1, None)["topic"] == "x"
    room.apply(topic("", 3))
    assert room.topic == ""
    assert "topic" not in members(room, 1, None)


def test_a_direct_room() -> None:
    room: Room[str] = Room(direct(7, 3), log_of(), 3)
    assert (room.name, room.key, room.parties) == ("@3-7", "@3-7", frozenset((3, 7)))


# Where a reader is.


def test_a_reader_lags_from_where_it_was() -> None:
    room = room_of()
    room.readers["a"] = None
    room.lag("a", 7, 1)
    assert (room.readers, room.lagging) == ({}, {"a": Cursor(7, seen=1)})
    room.lag("a", 9, 2)
    room.lag("b", 9, 2)
    assert (room.readers, room.lagging) == ({}, {"a": Cursor(7, seen=1)})


def test_who_is_dropped_reads_no_more() -> None:
    room = room_of()
    room.readers["a"] = room.readers["b"] = None
    room.lag("b", 7, 0)
    assert room.drop("a") is True
    assert room.drop("b") is False
    assert room.drop("c") is False
    assert (room.readers, room.lagging) == ({}, {})


# What many have in common.

LIMITS = Limits(4000, 32, 64, 64, ("text",), 200, 5.0, 20, 250, 20, 0)


def members(room: Room[str], me: int, after: int | None) -> dict[str, Any]:
    """Return what is told of *room* in the init of the user *me*, by way of what is shared."""
    past, sample, users = room.past(after, LIMITS), room.sample(), room.users(me)
    common = past.json, sample.json
    init = CommonInit(
        "", Self(me, "", ""), users, 9, [], False, False, "", LIMITS, 0, common=common
    )
    data: dict[str, Any] = json.loads(encode(init))["data"]
    assert [Who(**user) for user in data["users"]] == users
    assert [message["id"] for message in data["messages"]] == ids(past.messages)
    assert (data["resumed"], data["more"]) == (past.resumed, past.more)
    return data


def test_what_was_said_is_encoded_once_until_something_is_said() -> None:
    room = room_of(60)
    assert room.past(None, LIMITS) is room.past(None, LIMITS)
    assert room.past(7, LIMITS) is room.past(7, LIMITS)
    join(room, 1)
    assert ids(room.past(7, LIMITS).messages) == list(range(8, 61))
    before = room.past(None, LIMITS), room.past(7, LIMITS), room.past(60, LIMITS)
    room.apply(message(61))
    for after, old in zip((None, 7, 60), before, strict=True):
        new = room.past(after, LIMITS)
        assert new.messages[-1].id == 61
        assert new.json is not old.json
        assert members(room, 1, after)["messages"][-1]["id"] == 61


def test_all_who_cannot_go_on_begin_alike() -> None:
    room = room_of(60)
    newest = room.past(None, LIMITS)
    assert room.past(61, LIMITS) is room.past(99, LIMITS) is newest
    assert (newest.resumed, newest.more) == (False, True)


def test_only_some_places_to_begin_at_are_at_hand() -> None:
    room = room_of(60)
    pasts = [room.past(after, LIMITS) for after in range(PASTS)]
    assert room.past(0, LIMITS) is pasts[0]
    room.past(PASTS, LIMITS)
    assert room.past(PASTS - 1, LIMITS) is pasts[-1]
    again = room.past(0, LIMITS)
    assert again is not pasts[0]
    assert again.json.content == pasts[0].json.content


def test_a_store_that_cannot_be_read_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "NEWEST", 2)
    room = room_of(9)
    since = room._log.since

    def broken(*_: object) -> list[Entry]:
        raise Unavailable("broken")

    monkeypatch.setattr(room._log, "since", broken)
    assert room.past(3, LIMITS).resumed is False
    monkeypatch.setattr(room._log, "since", since)
    assert room.past(3, LIMITS).resumed is True


def test_those_whom_a_crowd_is_shown_are_encoded_once() -> None:
    room = room_of(crowd=3)
    join(room, 1, 2, 3)
    sample = room.sample()
    join(room, 4, 5)
    room.apply(Renamed(4, "Dan", "u4", "dev"))
    leave(room, 5)
    assert room.sample() is sample
    assert [members(room, me, None)["users"][-1]["id"] for me in (1, 2, 3, 4)] == [3, 3, 3, 4]
    room.apply(Renamed(3, "Cid", "u3", "dev"))
    assert members(room, 4, None)["users"] == [{"id": n, "name": f"u{n}"} for n in (1, 2)] + [
        {"id": 4, "name": "Dan"}
    ]
    assert room.users(1) == [Who(1, "u1"), Who(2, "u2"), Who(3, "Cid")]
    leave(room, 1)
    assert room.users(2) == [Who(2, "u2"), Who(3, "Cid"), Who(4, "Dan")]
    leave(room, 4)
    assert room.users(3) == [Who(2, "u2"), Who(3, "Cid")]


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "rename", "ask"]), st.integers(1, 6))))
def test_who_is_shown_is_who_is_here(steps: list[tuple[str, int]]) -> None:
    room = room_of(2, crowd=3)
    here: dict[int, str] = {}
    for number, (step, user) in enumerate(steps):
        name = f"u{number}"
        if step == "in" and user not in here:
            here[user] = name
            room.apply(Joined(room.name, user, name))
        elif step == "out" and user in here:
            room.apply(Exited(room.name, user, here.pop(user)))
        elif step == "rename" and user in here:
            room.apply(Renamed(user, name, here[user], room.name))
            here[user] = name
        elif step == "ask" and user in here:
            users = [Who(**each) for each in members(room, user, None)["users"]]
            first = [Who(*each) for each in here.items()][:3]
            me = Who(user, here[user])
            assert users == (first if me in first else [*first[:2], me])
