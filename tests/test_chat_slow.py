from __future__ import annotations

import pytest

from chatroom import room as single
from chatroom import rooms
from chatroom.commands import (
    Bad,
    Exit,
    Join,
    Rename,
    Talk,
    Typing,
    decode,
)
from chatroom.events import (
    Close,
    CommonInit,
    Error,
    Exited,
    Init,
    Message,
    Pong,
    Who,
)
from tests.hall import Hall, crowd, heard, numbers, only, pair, speak, texts


def test_who_is_paused_hears_nothing_and_then_everything() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "0")
    bob.heard()
    bob.session.pause()
    speak(hall, ann, *numbers(1, 120))
    assert bob.heard() == []
    bob.session.resume()
    assert [len(batch) for batch in bob.batches] == [50, 50, 20]
    assert texts(bob.heard()) == numbers(1, 120)
    speak(hall, ann, "121")
    assert texts(bob.heard()) == ["121"]


def test_who_missed_nothing_hears_nothing() -> None:
    hall = Hall()
    _, bob = pair(hall)
    bob.session.pause()
    bob.session.resume()
    bob.session.resume()
    assert bob.heard() == []


@pytest.mark.parametrize("what", ["join", "exit", "rename", "presence"])
def test_who_missed_who_is_here_gets_an_init(what: str) -> None:
    hall = Hall(crowd=3 if what == "presence" else 200)
    ann, bob, *_ = crowd(hall, 4)
    bob.session.pause()
    speak(hall, ann, "1", "2")
    if what == "join":
        hall.connect()
    elif what == "exit":
        ann.session.close(clean=True)
    elif what == "rename":
        ann.say(Rename("Ann"))
    else:
        hall.connect()
        hall.settle()
    hall.turn()
    assert bob.heard() == []
    bob.session.resume()
    *missed, init = bob.heard()
    assert texts(missed) == ["1", "2"]
    assert isinstance(init, Init)
    assert (init.resumed, init.messages, init.more) == (True, [], True)
    assert init.users == hall.chat.rooms["lobby"].users(2)
    assert init.count == len(hall.chat.rooms["lobby"].here)
    bob.session.pause()
    speak(hall, ann, "3") if what != "exit" else None
    bob.session.resume()
    assert texts(bob.heard()) == (["3"] if what != "exit" else [])


def test_who_missed_somebody_typing_missed_nothing() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    ann.say(Typing())
    hall.turn()
    bob.session.resume()
    assert bob.heard() == []


def test_the_init_of_who_missed_much_comes_last() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    ann.say(Rename("Anna"))
    speak(hall, ann, *numbers(1, 60))
    bob.session.resume()
    *missed, init = bob.heard()
    assert texts(missed) == numbers(1, 60)
    assert isinstance(init, Init)
    assert (init.resumed, init.messages) == (True, [])


def test_who_is_full_before_the_init_gets_it_later() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    ann.say(Rename("Anna"), Talk("1"))
    hall.turn()
    bob.drain(space=1)
    assert texts(bob.heard()) == ["1"]
    ann.say(Talk("2"))
    hall.turn()
    bob.drain()
    message, init = bob.heard()
    assert texts([message]) == ["2"]
    assert isinstance(init, Init)
    assert init.users == [Who(1, "Anna"), Who(2, "Bob")]


def test_a_reader_may_take_it_in_small_bites() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    speak(hall, ann, *numbers(1, 120))
    bob.drain(space=1)
    assert texts(bob.heard()) == numbers(1, 50)
    speak(hall, ann, "121")
    bob.drain(space=1)
    assert texts(bob.heard()) == numbers(51, 100)
    bob.drain(space=1)
    assert texts(bob.heard()) == numbers(101, 121)
    bob.drain()
    assert bob.heard() == []
    speak(hall, ann, "122")
    assert texts(bob.heard()) == ["122"]


def test_a_reader_may_be_full_in_the_middle_of_being_sent_to() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.space = 1
    speak(hall, ann, "1")
    ann.say(Talk("2"))
    hall.turn()
    ann.say(Talk("3"))
    hall.turn()
    assert texts(bob.heard()) == ["1"]
    bob.drain()
    assert texts(bob.heard()) == ["2", "3"]


def test_a_reader_may_be_full_at_once() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    bob = hall.connect(name="Bob")
    bob.space = 1
    bob.say(Talk("hi"))
    hall.turn()
    assert isinstance(only(bob), Init)
    hall.turn()
    assert heard(ann, Message) == []
    bob.drain()
    hall.turn()
    assert texts(bob.heard()) == ["hi"]


def test_who_comes_while_paused_begins_when_they_can() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1", "2")
    bob = hall.connect(token=init.self.token, after=1)
    bob.session.pause()
    hall.turn()
    speak(hall, ann, "3")
    assert bob.heard() == []
    bob.drain()
    got = bob.init()
    assert got.resumed is True
    assert texts(got.messages) == ["2", "3"]


def test_what_a_paused_client_says_waits() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    bob.say(decode(b'{"event":"ping"}'), Talk("hi"), Bad("what?"), Join("dev"))
    hall.turn()
    assert ann.heard() == bob.heard() == []
    bob.drain()
    assert [type(event) for event in bob.heard()] == [Pong, Error]
    hall.turn()
    assert [type(event) for event in bob.heard()] == [Message, CommonInit]


def test_what_waits_when_a_client_goes_is_never_done() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    bob.say(Talk("hi"), Rename("Rob"), Join("dev"))
    bob.session.close(clean=False)
    bob.session.resume()
    hall.turn()
    assert ann.heard() == bob.heard() == []
    assert list(hall.chat.rooms) == ["lobby"]


def test_what_a_paused_client_is_answered_waits() -> None:
    hall = Hall()
    _, bob = pair(hall)
    bob.say(Talk("a", nonce="n"))
    hall.turn()
    bob.heard()
    bob.say(Talk("a", nonce="n"), Talk("b", nonce="n"))
    bob.session.pause()
    hall.turn()
    assert bob.heard() == []
    bob.drain()
    message, error = bob.heard()
    assert texts([message]) == ["a"]
    assert isinstance(error, Error)
    assert error.code == "nonce_reused"


def test_who_leaves_and_is_paused_hears_so_later() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("0"))
    bob.say(Exit("lobby"))
    bob.session.pause()
    speak(hall, ann, "1")
    assert bob.heard() == []
    bob.drain()
    assert bob.heard() == [Exited("lobby", 2, "Bob")]


def test_who_leaves_and_comes_and_is_paused_hears_so_in_that_order() -> None:
    hall = Hall()
    _, bob = pair(hall)
    bob.say(Exit("lobby"), Join("lobby"))
    bob.session.pause()
    hall.turn()
    assert bob.heard() == []
    bob.drain()
    assert [type(event) for event in bob.heard()] == [Exited, CommonInit]


def test_who_is_too_far_behind_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "FAR", 5)
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    speak(hall, ann, *numbers(1, 5))
    bob.drain()
    assert texts(bob.heard()) == numbers(1, 5)
    bob.session.pause()
    speak(hall, ann, *numbers(6, 11))
    bob.say(Talk("hi"))
    bob.drain()
    assert bob.ended == (Close.TRY_AGAIN, "too far behind")
    assert bob.heard() == []
    bob.session.close(clean=False)
    token = hall.chat.token(bob.session.user)
    _, init = hall.enter(token=token, after=5, epoch=hall.log.epoch)
    assert texts(init.messages) == numbers(6, 11)


def test_the_farthest_that_anybody_may_lag_is_kept_in_memory() -> None:
    assert Hall().log._keep >= rooms.FAR


def test_who_cannot_be_given_what_they_missed_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single, "NEWEST", 2)
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    speak(hall, ann, "1", "2", "3")
    hall.log.broken = True
    bob.drain()
    assert bob.ended == (Close.TRY_AGAIN, "the history cannot be read now")


def test_who_is_paused_in_several_rooms_catches_up_in_each() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    for line in (ann, bob):
        line.say(Join("dev"))
    hall.turn()
    bob.heard()
    bob.session.pause()
    speak(hall, ann, "a1", "a2")
    speak(hall, ann, "b1", "b2", room="dev")
    bob.drain(space=1)
    first = texts(bob.heard())
    bob.drain()
    second = texts(bob.heard())
    assert sorted([first, second]) == [["a1", "a2"], ["b1", "b2"]]


def test_who_never_reads_costs_nothing_more() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.session.pause()
    speak(hall, ann, *numbers(1, 300))
    assert len(hall.chat.rooms["lobby"].newest) == single.NEWEST
    assert len(bob.session._waiting) == 0
    bob.session.close(clean=True)
    hall.turn()
    assert list(hall.chat.rooms["lobby"].readers) == [ann.session]
