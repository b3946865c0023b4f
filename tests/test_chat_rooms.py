"""Rooms of two, how far somebody has read, and what rooms there are."""

from __future__ import annotations

from typing import Any

import pytest

from chatroom import room as room_module
from chatroom.asking import LISTED, VERSIONS
from chatroom.commands import (
    Bad,
    Command,
    Delete,
    DirectTo,
    Edit,
    Edits,
    Exit,
    History,
    Join,
    Mine,
    Read,
    Rooms,
    Search,
    SetTopic,
    Talk,
)
from chatroom.events import (
    Direct,
    Error,
    Hits,
    Init,
    Listed,
    Listing,
    Own,
    Owned,
    ReadTo,
    Version,
    Versions,
    Who,
)
from chatroom.log import Found
from tests.hall import Hall, Line, heard, numbers, only, pair, speak, texts

ANN, BOB = Who(1, "Ann"), Who(2, "Bob")


def said(hall: Hall, line: Line, *commands: Command) -> list[Any]:
    """Return what *line* hears after *commands* and their outcome."""
    line.heard()
    line.say(*commands)
    hall.turn()
    return line.heard()


def refused(hall: Hall, line: Line, command: Command) -> str:
    """Return the code with which *command* is refused."""
    (error,) = said(hall, line, command)
    assert isinstance(error, Error)
    assert (error.about, error.nonce) == (command.event, getattr(command, "nonce", None))
    return error.code


def again(hall: Hall, line: Line) -> Line:
    """Return one more connection of the user of *line*, in the lobby."""
    return hall.enter(token=hall.chat.token(line.session.user))[0]


# Rooms of two.


def test_a_direct_room() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    (init,) = said(hall, ann, DirectTo(2))
    assert isinstance(init, Init)
    assert (init.room, init.direct, init.users) == ("@1-2", BOB, [ANN])
    assert bob.heard() == []
    said(hall, ann, Talk("psst", room="@1-2"))
    assert bob.heard() == [Direct("@1-2", ANN)]
    (init,) = said(hall, bob, Join("@1-2"))
    assert (init.direct, texts(init.messages), init.users) == (ANN, ["psst"], [ANN, BOB])
    said(hall, ann, Talk("hello", room="@1-2"))
    assert texts(bob.heard()) == ["hello"]


def test_all_who_are_not_in_it_are_told_of_what_is_said_in_a_direct_room() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also, bobs = again(hall, ann), again(hall, bob)
    cid, _ = hall.enter(name="Cid")
    for line in (ann, bob, also, bobs):
        line.heard()
    said(hall, ann, DirectTo(2), Talk("1", room="@1-2"), Talk("2", room="@1-2"))
    assert also.heard() == [Direct("@1-2", BOB)]
    assert bob.heard() == bobs.heard() == [Direct("@1-2", ANN)]
    assert cid.heard() == []
    # Nothing is said by coming, going, and changes.
    said(hall, bob, DirectTo(1))
    said(hall, bob, Edit(1, "x", room="@1-2"), Exit("@1-2"))
    said(hall, ann, Edit(1, "one", room="@1-2"), Delete(2, room="@1-2"))
    assert also.heard() == bob.heard() == []


def test_who_is_slow_is_told_once_of_a_direct_room() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    ann.say(DirectTo(2))
    for _ in range(3):
        ann.say(Talk("psst", room="@1-2"), Talk("hello"))
        hall.turn()
    bob.drain()
    assert [event.event for event in bob.heard()] == ["talk"] * 3 + ["direct"]
    bob.drain()
    assert bob.heard() == []


def test_who_is_gone_is_told_nothing() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(DirectTo(2), Talk("psst", room="@1-2"))
    bob.session.pause()
    bob.session.close(clean=False)
    hall.turn()
    assert bob.heard() == []


def test_something_is_said_to_who_is_away() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    said(hall, ann, DirectTo(2))
    bob.session.close(clean=True)
    hall.turn()
    (message,) = said(hall, ann, Talk("psst", room="@1-2"))
    assert message.message == "psst"


def test_who_is_sent_away_is_told_nothing_more() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    also = again(hall, ann)
    also.say(*[Bad("what?")] * 60)
    also.heard()
    said(hall, ann, Read(0))
    assert also.heard() == []


def test_a_direct_room_is_for_two() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    cid, _ = hall.enter(name="Cid")
    said(hall, ann, DirectTo(2), Talk("psst", room="@1-2"))
    assert refused(hall, cid, Join("@1-2")) == "forbidden"
    assert refused(hall, cid, Search("psst", room="@1-2")) == "forbidden"
    assert refused(hall, cid, Talk("hi", room="@1-2")) == "not_in_room"
    assert refused(hall, cid, History("@1-2")) == "not_in_room"
    assert refused(hall, cid, Join("@2-1")) == "bad_room"
    for question in (Rooms(), Rooms(match="@"), Search("psst"), Mine()):
        assert "@1-2" not in repr(said(hall, cid, question))


@pytest.mark.parametrize("id", [0, 1, 9, 2**53])
def test_a_direct_room_is_with_somebody_else(id: int) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    assert refused(hall, ann, DirectTo(id)) == "no_such_user"
    assert list(hall.chat.rooms) == ["lobby"]
    if id > 1:
        assert refused(hall, ann, Join(f"@1-{id}")) == "no_such_user"


def test_a_direct_room_has_no_topic() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    said(hall, ann, DirectTo(2))
    assert refused(hall, ann, SetTopic("x", room="@1-2")) == "forbidden"


def test_a_direct_room_with_who_is_away() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, bob, "hello")
    cid, _ = hall.enter(name="Cid")
    said(hall, ann, DirectTo(2), DirectTo(3), Talk("psst", room="@1-3"))
    for line in (ann, bob, cid):
        line.session.close(clean=True)
    hall.turn()
    ann, _ = hall.enter(token=hall.chat.token(ann.session.user))
    (init,) = said(hall, ann, DirectTo(2))
    assert init.direct == BOB
    # Cid never spoke, but to Cid it was.
    (init,) = said(hall, ann, DirectTo(3))
    assert init.direct == Who(3, "guest-3")
    hall.log.broken = True
    assert said(hall, ann, Join("@1-2"))[0].direct == Who(2, "guest-2")


def test_a_connection_that_wishes_a_direct_room() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    token = hall.chat.token(ann.session.user)
    assert hall.enter("@1-2", token=token)[1].direct == BOB
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("@1-2", {"name": "Cid"}, "forbidden"),
        ("@1-99", {"token": token, "after": 0}, "no_such_user"),
    ]
    for room, wishes, code in refused:
        line = hall.connect(room, **wishes)
        hall.turn()
        init, error = line.heard()
        assert isinstance(init, Init)
        assert (init.room, init.direct, init.resumed) == ("lobby", None, False)
        assert isinstance(error, Error)
        assert (error.code, error.about) == (code, None)


# How far somebody has read.


def test_what_was_read_is_told_on_all_devices() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also = again(hall, ann)
    speak(hall, bob, "1", "2")
    for line in (bob, also):
        line.heard()
    assert said(hall, ann, Read(1)) == also.heard() == [ReadTo("lobby", 1)]
    assert bob.heard() == []
    assert hall.enter(token=hall.chat.token(ann.session.user))[1].read == 1
    assert hall.enter(token=hall.chat.token(bob.session.user))[1].read is None


def test_nobody_reads_backwards_or_ahead() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    assert said(hall, ann, Read(5)) == [ReadTo("lobby", 0)]
    assert said(hall, ann, Mine()) == [Owned([])]
    speak(hall, ann, "1", "2", "3")
    assert said(hall, ann, Read(2)) == [ReadTo("lobby", 2)]
    assert said(hall, ann, Read(1), Read(0)) == [ReadTo("lobby", 2)] * 2
    assert said(hall, ann, Read(99)) == [ReadTo("lobby", 3)]


def test_what_was_read_is_told_after_what_was_said() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, bob, "1")
    ann.heard()
    ann.say(Read(1))
    bob.say(Talk("2"))
    hall.turn()
    assert [event.event for event in ann.heard()] == ["talk", "read"]


def test_who_is_slow_is_told_the_last_of_what_was_read() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also = again(hall, ann)
    speak(hall, bob, "1", "2")
    also.heard()
    also.session.pause()
    said(hall, ann, Read(1))
    said(hall, ann, Read(2))
    speak(hall, bob, "3")
    also.drain()
    message, read = also.heard()
    assert texts([message]) == ["3"]
    assert read == ReadTo("lobby", 2)


def test_what_was_read_by_who_has_gone_is_kept() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "1")
    token = hall.chat.token(ann.session.user)
    ann.say(Read(1))
    ann.session.close(clean=True)
    hall.turn()
    assert hall.enter(token=token)[1].read == 1


def test_a_store_that_cannot_be_read_tells_what_it_was_told() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "1", "2")
    said(hall, ann, Read(1))
    hall.log.broken = True
    assert said(hall, ann, Read(2)) == [ReadTo("lobby", 2)]
    assert hall.enter(token=hall.chat.token(ann.session.user))[1].read is None


def test_my_rooms() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    said(hall, ann, Join("Dev"), Join("ops"), SetTopic("work", room="dev"))
    said(hall, bob, Join("dev"), Talk("1", room="dev"), Talk("@ann 2", room="dev"))
    said(hall, bob, Talk("3", room="dev"), Talk("@ann", room="dev"))
    said(hall, bob, Delete(5, room="dev"))
    said(hall, ann, Talk("4", room="dev"), Talk("a", room="ops"), Read(2, room="DEV"))
    assert said(hall, ann, Mine()) == [Owned([Own("Dev", 2, 7, 2, 2, 1, "work")])]
    said(hall, bob, DirectTo(1), Talk("psst", room="@1-2"))
    said(hall, ann, Read(1, room="ops"))
    direct = Own("@1-2", 1, 1, 0, 1, 0, direct=BOB)
    dev, ops = Own("Dev", 2, 7, 2, 2, 1, "work"), Own("ops", 1, 1, 1, 0, 0)
    assert said(hall, ann, Mine()) == [Owned([direct, dev, ops])]
    assert said(hall, bob, Mine()) == [Owned([Own("@1-2", 1, 1, 0, 0, 0, direct=ANN)])]


def test_who_leaves_a_room_reads_it_no_more() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "1")
    assert len(said(hall, ann, Read(1), Mine())) == 2
    ann.session.close(clean=False)
    hall.tick(20)
    ann, init = hall.enter(token=hall.chat.token(ann.session.user))
    assert init.read == 1
    assert len(said(hall, ann, Mine())[0].rooms) == 1
    assert [event.event for event in said(hall, ann, Exit("lobby"))] == ["exit"]
    assert said(hall, ann, Mine()) == [Owned([])]
    assert said(hall, ann, Join("lobby"))[0].read is None


def test_who_leaves_a_direct_room_has_read_what_they_have() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    said(hall, bob, DirectTo(1), Talk("1", room="@1-2"))
    said(hall, ann, DirectTo(2), Read(1, room="@1-2"), Exit("@1-2"))
    assert said(hall, ann, Mine()) == [Owned([Own("@1-2", 1, 1, 1, 0, 0, direct=BOB)])]


def test_a_room_where_one_is_not_cannot_be_read() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    for command in (Read(0, room="dev"), Edits(1, room="dev")):
        assert refused(hall, ann, command) == "not_in_room"


# What rooms there are.


def test_rooms() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    said(hall, ann, Join("Dev"), Join("zoo"), Join("new"), DirectTo(2))
    said(hall, ann, Talk("a", room="zoo"), SetTopic("work", room="dev"), Talk("b", room="@1-2"))
    said(hall, ann, Exit("zoo"))
    dev, lobby, new, zoo = (
        Listed("Dev", 1, 1, "work"),
        Listed("lobby", 2, 0),
        Listed("new", 1, 0),
        Listed("zoo", 0, 1),
    )
    for asked, rooms, more in [
        (Rooms(), [dev, lobby, new, zoo], False),
        (Rooms(limit=2), [dev, lobby], True),
        (Rooms(limit=2, after="LOBBY"), [new, zoo], False),
        (Rooms(limit=1, after="lobby"), [new], True),
        (Rooms(limit=1, after="new"), [zoo], False),
        (Rooms(match="O"), [lobby, zoo], False),
        (Rooms(match="Ｄ"), [dev], False),
        (Rooms(match="x"), [], False),
        (Rooms(match="@"), [], False),
    ]:
        assert said(hall, ann, asked) == [Listing(rooms, more)]


def test_rooms_are_listed_some_at_a_time() -> None:
    hall = Hall(rate=0)
    for n in range(LISTED + 5):
        line, _ = hall.enter(f"room-{n:03}")
        speak(hall, line, "a", room=f"room-{n:03}")
    (listing,) = said(hall, line, Rooms(limit=10**9))
    assert (len(listing.rooms), listing.more) == (LISTED, True)
    (rest,) = said(hall, line, Rooms(after=listing.rooms[-1].room))
    assert (len(rest.rooms), rest.more) == (5, False)


# Questions about what was said.


def test_history_at_any_place() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, *numbers(1, 7))
    for asked, found, more, newer in [
        (History(limit=2), ["6", "7"], True, False),
        (History(before=3), ["1", "2"], False, True),
        (History(after=5), ["6", "7"], True, False),
        (History(around=4, limit=3), ["3", "4", "5"], True, True),
        (History(after=7), [], True, False),
    ]:
        asked.nonce = "n"
        (page,) = said(hall, ann, asked)
        assert (texts(page.messages), page.more, page.newer, page.nonce) == (
            found,
            more,
            newer,
            "n",
        )
    for wrong in (
        History(before=1, after=1),
        History(after=1, around=1),
        History(before=1, around=1),
    ):
        wrong.nonce = "n"
        assert refused(hall, ann, wrong) == "bad_message"


def test_all_that_a_message_has_said() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    hall.now = 1000.25
    said(hall, ann, Talk("1"))
    hall.now = 1000.5
    first = Version("1", "text", "1970-01-01T00:16:40.250Z")
    assert said(hall, bob, Edits(1)) == [Versions("lobby", 1, [first])]
    said(hall, ann, Edit(1, "2"))
    second = Version("2", "text", "1970-01-01T00:16:40.500Z")
    assert said(hall, bob, Edits(1)) == [Versions("lobby", 1, [first, second])]
    for none in (0, 2, 99):
        assert refused(hall, bob, Edits(none)) == "no_such_message"
    said(hall, ann, Delete(1))
    assert refused(hall, bob, Edits(1)) == "no_such_message"


def test_of_very_much_that_a_message_has_said_the_last_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hall = Hall(rate=0)
    ann, _ = pair(hall)
    said(hall, ann, Talk("0"))
    said(hall, ann, *(Edit(1, str(n)) for n in range(1, VERSIONS + 5)))
    (answer,) = said(hall, ann, Edits(1))
    assert [version.message for version in answer.versions] == numbers(5, VERSIONS + 4)
    monkeypatch.setattr(room_module, "ANSWER", 10_000)
    said(hall, ann, *(Edit(1, f"{n}".zfill(3000)) for n in range(4)))
    (answer,) = said(hall, ann, Edits(1))
    assert [int(version.message) for version in answer.versions] == [1, 2, 3]
    # The present one always is.
    monkeypatch.setattr(room_module, "ANSWER", 100)
    (answer,) = said(hall, ann, Edits(1))
    assert [int(version.message) for version in answer.versions] == [3]


def test_a_message_that_was_not_told_yet_has_said_nothing() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    ann.say(Talk("1"))
    hall.log.step()
    ann.say(Edits(1))
    assert ann.error().code == "no_such_message"


def found(hall: Hall, line: Line, search: Search) -> list[str]:
    (hits,) = said(hall, line, search)
    assert isinstance(hits, Hits)
    assert (hits.query, hits.nonce) == (search.query, search.nonce)
    return texts(hits.hits)


def test_a_search_everywhere_counts_nothing_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    ann, bob = pair(hall)
    said(hall, ann, DirectTo(2), Talk("tea", room="@1-2"))

    def readings(user: int) -> Any:
        raise AssertionError

    monkeypatch.setattr(hall.log, "readings", readings)
    assert found(hall, bob, Search("tea")) == ["tea"]


def test_search() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "one cat", "a dog", "two cats", "cat three")
    said(hall, ann, Join("Dev"), Talk("cat of dev", room="dev"), Exit("dev"))
    said(hall, ann, DirectTo(2), Talk("secret cat", room="@1-2"))
    everywhere = ["secret cat", "cat of dev", "cat three", "two cats", "one cat"]
    assert found(hall, bob, Search("cat", nonce="n")) == everywhere
    cid, _ = hall.enter(name="Cid")
    assert found(hall, cid, Search("cat")) == everywhere[1:]
    assert found(hall, bob, Search("cat", room="lobby")) == everywhere[2:]
    assert found(hall, bob, Search("cat", room="@1-2")) == everywhere[:1]
    assert found(hall, cid, Search("cat", room="nowhere")) == []
    (hits,) = said(hall, cid, Search("cat", room="DEV"))
    assert (hits.room, texts(hits.hits)) == ("Dev", ["cat of dev"])
    (hits,) = said(hall, cid, Search("cat", limit=2))
    assert texts(hits.hits) == everywhere[1:3]
    (rest,) = said(hall, cid, Search("cat", before=hits.next))
    assert (texts(rest.hits), rest.next) == (everywhere[3:], None)
    assert refused(hall, cid, Search("x" * 251)) == "too_long"
    assert refused(hall, cid, Search("x", room="a b")) == "bad_room"


def test_searches_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "one", "two")
    under_way: list[Any] = []
    monkeypatch.setattr(hall.log, "search", lambda query, *rest: under_way.append((query, rest)))
    ann.heard()
    ann.say(*(Search(str(n)) for n in range(6)))
    assert ann.error().code == "rate_limited"
    for n in range(5):
        ((query, rest),) = under_way
        assert query == str(n)
        under_way.clear()
        rest[-1](Found([], None))
        assert only(ann) == Hits(str(n), [])
    assert under_way == []
    ann.say(Search("more"), Search("and more"))
    ann.session.close(clean=True)
    ((_, rest),) = under_way
    rest[-1](Found([], None))
    assert (len(under_way), ann.heard()) == (1, [])


def test_who_is_answered_may_ask_again_at_once_or_go() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    speak(hall, ann, "a", "b")
    ann.heard()
    more = [Search("b"), Search("c")]
    ann.sent = lambda: ann.say(more.pop(0)) if more else ann.session.close(clean=True)
    ann.say(Search("a"), Search("d"))
    hall.turn()
    answers = heard(ann, Hits)
    assert [answer.query for answer in answers if isinstance(answer, Hits)] == ["a", "d", "b"]


def test_a_search_that_finds_too_much_for_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(rate=0)
    ann, _ = pair(hall)
    speak(hall, ann, *(f"cat {n}" for n in range(8)))
    (hits,) = said(hall, ann, Search("cat"))
    monkeypatch.setattr(room_module, "ANSWER", 350)
    (few,) = said(hall, ann, Search("cat"))
    assert few.hits == hits.hits[:2]
    (rest,) = said(hall, ann, Search("cat", before=few.next))
    assert rest.hits == hits.hits[2:4]
    monkeypatch.setattr(room_module, "ANSWER", 1)
    assert said(hall, ann, Search("cat"))[0].hits == hits.hits[:1]


def test_a_search_that_cannot_be_made_now() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    hall.log.broken = True
    for asked in (Search("cat", nonce="n"), Search("cat", room="lobby"), Mine(), Rooms()):
        assert refused(hall, ann, asked) == "unavailable"
    hall.log.broken = False
    ann.say(Search("cat", nonce="n"), Search("dog"))
    hall.log.broken = True
    hall.turn()
    assert [event.event for event in ann.heard()] == ["search", "error"]


def test_questions_are_limited_too() -> None:
    hall = Hall(burst=1)
    ann, _ = pair(hall)
    questions: list[Command] = [Rooms(), Mine(), Search("a"), Rooms(), Mine()]
    for question in questions:
        assert not isinstance(said(hall, ann, question)[0], Error)
    for question in [*questions, Edits(1)]:
        assert refused(hall, ann, question) == "rate_limited"
    for _ in range(5):
        said(hall, ann, Read(0))
    for move in (Read(0), DirectTo(2), Join("dev"), Exit("lobby")):
        assert refused(hall, ann, move) == "rate_limited"


def test_a_room_is_not_forgotten_while_something_of_it_is_under_way() -> None:
    hall = Hall()
    ann, _ = hall.enter("dev", name="Ann")
    ann.session.close(clean=True)
    # It has gone into the store, and is not told yet.
    hall.log.step()
    bob = hall.connect("dev", name="Bob")
    bob.session.close(clean=True)
    hall.turn()
    assert hall.chat.rooms == {}
