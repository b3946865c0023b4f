from __future__ import annotations

from itertools import pairwise

import pytest

from chatroom import room as rooms
from chatroom.commands import (
    Exit,
    Rename,
    Talk,
    Typing,
)
from chatroom.events import (
    Exited,
    Init,
    Joined,
    Message,
    Presence,
    Renamed,
    Typed,
    Who,
)
from tests.hall import Hall, crowd, only, speak, texts


def test_two_hundred_are_told_of_each_other() -> None:
    hall = Hall()
    ann, *_ = crowd(hall, 199)
    hall.enter(name="Bob")
    assert only(ann) == Joined("lobby", 200, "Bob")


def test_more_than_two_hundred_are_told_in_summaries() -> None:
    hall = Hall()
    ann, bob, *_ = crowd(hall, 200)
    cid = hall.connect(name="Cid")
    hall.turn()
    init = cid.init()
    assert init.count == 201
    assert len(init.users) == 200
    assert Who(201, "Cid") in init.users
    bob.session.close(clean=True)
    hall.turn()
    assert ann.heard() == []
    hall.tick(0.5)
    presence = Presence("lobby", 200, [Who(201, "Cid")], [Who(2, "guest-2")])
    assert ann.heard() == cid.heard() == [presence]


def test_a_summary_comes_at_most_once_a_second() -> None:
    hall = Hall(crowd=3)
    ann, *_ = crowd(hall, 4)
    moments = []
    for _ in range(40):
        hall.connect()
        hall.turn()
        hall.tick(0.125)
        moments += [hall.now for event in ann.heard() if isinstance(event, Presence)]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) == 5
    assert min(gaps) >= 1


def test_other_things_are_told_at_once_in_a_crowd() -> None:
    hall = Hall(crowd=3)
    ann, bob, *_ = crowd(hall, 4)
    bob.say(Talk("hi"), Typing(), Rename("Bob"))
    hall.turn()
    assert [type(event) for event in ann.heard()] == [Message, Typed, Renamed]


def test_who_leaves_a_crowd_is_told_so() -> None:
    hall = Hall(crowd=3)
    ann, bob, *_ = crowd(hall, 5)
    bob.say(Talk("bye"), Exit("lobby"))
    hall.turn()
    message, exited = bob.heard()
    assert texts([message]) == ["bye"]
    assert exited == Exited("lobby", 2, "guest-2")
    assert texts(ann.heard()) == ["bye"]


def test_a_crowd_that_grows_thin_begins_anew() -> None:
    hall = Hall(crowd=4)
    ann, bob, cid, dan, eve = crowd(hall, 5)
    speak(hall, ann, "1")
    ann.heard()
    eve.session.close(clean=True)
    hall.settle()
    assert ann.heard() == [Presence("lobby", 4, [], [Who(5, "guest-5")])]
    dan.session.close(clean=True)
    hall.turn()
    assert ann.heard() == []
    bob.session.pause()
    bob.batches.clear()
    hall.tick(0.1)
    init = ann.init()
    assert (init.resumed, init.messages, init.count) == (True, [], 3)
    assert init.users == [Who(id, f"guest-{id}") for id in (1, 2, 3)]
    assert bob.heard() == []
    bob.drain()
    assert bob.init().users == init.users
    cid.heard()
    cid.session.close(clean=True)
    hall.turn()
    assert ann.heard() == [Exited("lobby", 3, "guest-3")]


def test_who_is_sent_away_while_a_crowd_grows_thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "NEWEST", 1)
    hall = Hall(crowd=3)
    ann, bob, *others = crowd(hall, 4)
    for line in others:
        line.session.close(clean=True)
    hall.turn()
    hall.tick(1)
    assert isinstance(only(ann), Init)
    assert isinstance(only(bob), Init)


def test_who_could_not_be_told_that_a_crowd_grew_thin() -> None:
    hall = Hall(crowd=3)
    ann, bob, *others = crowd(hall, 4)
    bob.session.pause()
    speak(hall, ann, "1")
    for line in others:
        line.session.close(clean=True)
    hall.turn()
    hall.tick(1)
    assert isinstance(ann.heard()[-1], Init)
    bob.drain()
    message, init = bob.heard()
    assert texts([message]) == ["1"]
    assert isinstance(init, Init)
    assert init.users == [Who(1, "guest-1"), Who(2, "guest-2")]
