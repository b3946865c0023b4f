from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.commands import (
    Attach,
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
    React,
    Read,
    Rename,
    Rooms,
    Search,
    SetTopic,
    Talk,
    Typing,
    decode,
)
from chatroom.events import (
    PAGE,
    Close,
    CommonInit,
    Error,
    Exited,
    Init,
    Joined,
    Message,
    Page,
    Pong,
    Renamed,
    Typed,
    Who,
    encode,
)
from chatroom.log import Unavailable
from chatroom.names import BadName
from chatroom.saying import rfc3339
from chatroom.session import PATIENCE, ROOMS, SCROLL
from tests.hall import Hall, Line, heard, numbers, only, pair, speak, texts

# Connecting.


def test_a_bare_connection_is_a_guest_in_the_lobby() -> None:
    hall = Hall()
    _, init = hall.enter()
    assert init.room == "lobby"
    assert (init.self.id, init.self.name) == (1, "guest-1")
    assert init.users == [Who(1, "guest-1")]
    assert init.count == 1
    assert init.messages == []
    assert (init.resumed, init.more) == (False, False)
    assert init.epoch == hall.log.epoch
    assert init.limits == hall.chat.limits


def test_the_limits_are_told_as_they_are() -> None:
    limits = Hall(message=7, rate=2.5, burst=9).enter()[1].limits
    assert (limits.message, limits.name, limits.room, limits.nonce) == (7, 32, 64, 64)
    assert (limits.types, limits.history) == (("text",), 200)
    assert (limits.rate, limits.burst) == (2.5, 9)


def test_a_wished_name() -> None:
    _, init = Hall().enter(name="  Ann ")
    assert init.self.name == "Ann"
    assert init.users == [Who(1, "Ann")]


@pytest.mark.parametrize(
    ("wish", "code"), [("ANN", "name_taken"), ("\u200b", "bad_name"), ("x" * 33, "bad_name")]
)
def test_a_wished_name_that_cannot_be_had(wish: str, code: str) -> None:
    hall = Hall()
    hall.enter(name="Ann")
    line = hall.connect(name=wish)
    hall.turn()
    init, error = line.heard()
    assert isinstance(init, Init)
    assert init.self.name == "guest-2"
    assert isinstance(error, Error)
    assert (error.code, error.about, error.nonce) == (code, None, None)


def test_an_empty_wish_is_none() -> None:
    assert Hall().enter(name="")[1].self.name == "guest-1"


def test_a_guest_whose_name_is_taken_has_another() -> None:
    hall = Hall()
    hall.enter(name="Guest-2")
    assert hall.enter()[1].self.name == "guest-2-2"
    hall.enter(name="guest-3-2")
    hall.enter(name="guest-5")
    assert hall.enter()[1].self.name == "guest-5-2"


def test_a_guest_with_a_long_id_has_a_short_name() -> None:
    hall = Hall()
    hall.log.new_user = lambda: 2**52 + 7  # type: ignore[method-assign]
    assert len(hall.enter()[1].self.name) <= len("guest-12345")


def test_a_room_that_is_wished() -> None:
    hall = Hall()
    _, init = hall.enter("Dev")
    assert init.room == "Dev"
    assert hall.enter("dev")[1].room == "Dev"
    assert list(hall.chat.rooms) == ["dev"]


def test_a_room_that_cannot_be() -> None:
    hall = Hall()
    line = Line()
    line.session = hall.chat.connect(line.send, line.disconnect)
    with pytest.raises(BadName):
        line.session.enter("a b")
    line.session.close(clean=False)
    hall.turn()
    assert hall.chat.users == {}


def test_a_store_that_cannot_be_read() -> None:
    hall = Hall()
    hall.log.broken = True
    line = Line()
    line.session = hall.chat.connect(line.send, line.disconnect)
    with pytest.raises(Unavailable):
        line.session.enter("lobby")
    line.session.close(clean=False)
    assert (hall.chat.users, hall.chat.rooms) == ({}, {})


def test_a_store_that_does_not_know_whose_token_it_is() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    ann.session.close(clean=True)
    hall.turn()
    hall.log.broken = True
    with pytest.raises(Unavailable):
        hall.connect(token=init.self.token)
    assert hall.chat.users == {}
    hall.log.broken = False
    assert hall.enter(token=init.self.token)[1].self.id == init.self.id


def test_the_first_thing_is_always_an_init() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    bob = hall.connect(name="Ann")
    bob.say(decode(b"garbage"), decode(b'{"event":"ping","data":{"a":1}}'), Talk("hi"))
    bob.say(Rename("Bob"), History(), Typing(), Join("dev"), Exit("lobby"))
    assert bob.heard() == []
    hall.turn()
    init, *rest = bob.heard()
    assert isinstance(init, Init)
    assert [type(event) for event in rest] == [
        *(Error, Error, Pong, Page, Message, Renamed, Exited, CommonInit)
    ]
    codes = [event.code for event in rest if isinstance(event, Error)]
    assert codes == ["name_taken", "bad_message"]
    assert [type(event) for event in ann.heard()] == [Joined, Message, Renamed, Typed, Exited]


def test_nothing_is_heard_from_before_one_was_in() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    ann.say(Talk("1"))
    bob = hall.connect(name="Bob")
    ann.say(Talk("2"), Rename("Anna"), Talk("3"))
    hall.turn()
    init, *rest = bob.heard()
    assert isinstance(init, Init)
    assert texts(init.messages) == ["1"]
    assert init.users == [Who(1, "Ann"), Who(2, "Bob")]
    assert [type(event) for event in rest] == [Message, Renamed, Message]
    assert [type(event) for event in ann.heard()] == [*(Message, Joined, Message, Renamed, Message)]


def test_two_who_come_at_once_hear_of_each_other_once() -> None:
    hall = Hall()
    ann, bob = hall.connect(name="Ann"), hall.connect(name="Bob")
    hall.turn()
    init, joined = ann.heard()
    assert isinstance(init, Init)
    assert init.users == [Who(1, "Ann")]
    assert joined == Joined("lobby", 2, "Bob")
    assert bob.init().users == [Who(1, "Ann"), Who(2, "Bob")]


def test_an_empty_batch_is_not_sent_to_those_who_were_there() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    hall.enter(token=init.self.token)
    assert ann.batches == []


# Saying something.


def test_what_is_said_is_heard_by_all() -> None:
    hall = Hall()
    hall.now = 1_000_000_000.5
    ann, bob = pair(hall)
    ann.say(Talk("hello", nonce="n"))
    assert ann.heard() == bob.heard() == []
    hall.turn()
    message = Message(1, "lobby", "hello", "text", Who(1, "Ann"), "2001-09-09T01:46:40.500Z", "n")
    assert ann.heard() == bob.heard() == [message]


def test_a_batch_is_one_write() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("a"), Talk("b"))
    bob.say(Talk("c"))
    hall.turn()
    assert [texts(batch) for batch in bob.batches] == [["a", "b", "c"]]
    assert bob.batches == ann.batches


def test_what_is_said_in_a_room_stays_there() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Join("Dev"))
    hall.turn()
    bob.heard()
    bob.say(Talk("psst", room="DEV"))
    hall.turn()
    assert ann.heard() == []
    message = only(bob)
    assert isinstance(message, Message)
    assert (message.room, message.id) == ("Dev", 1)


@pytest.mark.parametrize(
    "text",
    ["x" * 4000, "🦊" * 4000, "\u0301" * 4000, " x" * 2000, "a\x00", "👩\u200d💻", "a\nb", "0"],
)
def test_a_text_that_can_be_said(text: str) -> None:
    hall = Hall()
    ann, _ = hall.enter()
    ann.say(Talk(text))
    hall.turn()
    assert texts(ann.heard()) == [text]


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (Talk("x" * 4001), "too_long"),
        (Talk("🦊" * 4001), "too_long"),
        (Talk(" " * 4001), "too_long"),
        (Talk(""), "empty"),
        (Talk(" "), "empty"),
        (Talk("\n\t \r\u00a0\u3000\u2028"), "empty"),
        (Talk("\0\u200b\u2060\ufeff\u3164\u2800"), "empty"),
        (Talk("hi", type="image"), "bad_message"),
        (Talk("hi", type=""), "bad_message"),
        (Talk("hi", room="dev"), "not_in_room"),
        (Talk("hi", room="a b"), "bad_room"),
        (Talk("hi", room=""), "bad_room"),
        (Talk("hi", room="x" * 65), "bad_room"),
    ],
)
def test_a_text_that_cannot_be_said(talk: Talk, code: str) -> None:
    hall = Hall()
    ann, bob = pair(hall)
    talk.nonce = "n"
    ann.say(talk)
    error = ann.error()
    assert (error.code, error.about, error.nonce, error.retry_after) == (code, "talk", "n", None)
    assert error.message
    hall.turn()
    assert ann.heard() == bob.heard() == []


def test_the_limit_of_a_message_is_an_option() -> None:
    hall = Hall(message=3)
    ann, _ = hall.enter()
    ann.say(Talk("abc"), Talk("abcd"))
    assert ann.error().code == "too_long"
    hall.turn()
    assert texts(ann.heard()) == ["abc"]


def test_what_the_store_cannot_take_is_not_said() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    hall.log.broken = True
    ann.say(Talk("hi", nonce="n"))
    hall.turn()
    error = ann.error()
    assert (error.code, error.about, error.nonce) == ("unavailable", "talk", "n")
    assert error.retry_after == 1.0
    assert bob.heard() == []
    hall.log.broken = False
    ann.say(Talk("hi", nonce="n"))
    hall.turn()
    assert texts(bob.heard()) == ["hi"]


# Sent once is said once.


def test_the_same_nonce_gets_the_original_alone() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    speak(hall, ann, "0")
    ann.say(Talk("hi", nonce="n"))
    hall.turn()
    original = ann.heard()[1]
    bob.heard()
    hall.now += 5
    ann.say(Talk("hi", nonce="n"))
    hall.turn()
    assert ann.heard() == [original]
    assert bob.heard() == []


def test_the_same_nonce_twice_at_once_is_said_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("hi", nonce="n"), Talk("hi", nonce="n"))
    hall.turn()
    first, second = ann.heard()
    assert first == second
    assert texts(bob.heard()) == ["hi"]


def test_the_same_nonce_over_another_connection() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    ann.say(Talk("hi", nonce="n"))
    ann.session.close(clean=False)
    hall.turn()
    again, _ = hall.enter(token=init.self.token)
    again.say(Talk("hi", nonce="n"))
    hall.turn()
    assert texts(again.heard()) == ["hi"]
    assert len(hall.log.everything("lobby")) == 1


@pytest.mark.parametrize("talk", [Talk("ho", nonce="n"), Talk("hi", room="dev", nonce="n")])
def test_a_nonce_that_names_another_message(talk: Talk) -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Join("dev"), Talk("hi", nonce="n"))
    hall.turn()
    ann.heard()
    bob.heard()
    ann.say(talk)
    hall.turn()
    error = ann.error()
    assert (error.code, error.about, error.nonce) == ("nonce_reused", "talk", "n")
    assert bob.heard() == []


def test_the_answer_to_somebody_who_is_gone_goes_nowhere() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("hi", nonce="n"), Talk("hi", nonce="n"), Talk("ho", nonce="n"))
    ann.session.close(clean=True)
    hall.turn()
    assert ann.heard() == []
    assert [type(event) for event in bob.heard()] == [Message, Exited]


def test_an_original_is_not_sent_before_what_was_missed() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("mine", nonce="n"), Talk("mine", nonce="n"))
    ann.session.pause()
    speak(hall, bob, "1", "2")
    assert ann.heard() == []
    ann.drain()
    assert texts(ann.heard()) == ["mine", "1", "2", "mine"]


# Too fast.


def test_twenty_at_once_and_then_five_a_second() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(*(Talk(str(n)) for n in range(20)))
    assert ann.heard() == []
    ann.say(Talk("too fast", nonce="n"))
    error = ann.error()
    assert (error.code, error.about, error.nonce) == ("rate_limited", "talk", "n")
    assert error.retry_after == 0.2
    hall.now += error.retry_after
    ann.say(Talk("20"))
    hall.turn()
    assert texts(bob.heard()) == numbers(0, 20)


def test_when_to_come_again_is_rounded_up() -> None:
    hall = Hall(rate=3, burst=1)
    ann, _ = hall.enter()
    ann.say(Talk("1"), Talk("2"))
    error = ann.error()
    assert error.retry_after == 0.334


def test_the_limit_is_of_a_user_not_of_a_connection() -> None:
    hall = Hall(burst=2)
    ann, init = hall.enter()
    also, _ = hall.enter(token=init.self.token)
    ann.say(Talk("1"))
    also.say(Talk("2"), Talk("3"))
    assert also.error().code == "rate_limited"
    bob, _ = hall.enter()
    bob.say(Talk("4"))
    hall.turn()
    assert texts(heard(bob, Message)) == ["1", "2", "4"][2:]


def test_what_cannot_be_said_costs_nothing() -> None:
    hall = Hall(burst=1)
    ann, _ = hall.enter()
    ann.say(Talk(""), Talk("hi"))
    assert ann.error().code == "empty"
    hall.turn()
    assert texts(ann.heard()) == ["hi"]


def test_names_and_rooms_are_limited_too() -> None:
    hall = Hall(burst=1)
    ann, _ = hall.enter()
    ann.say(Rename("Ann"), Rename("Anna"))
    error = ann.error()
    assert (error.code, error.about) == ("rate_limited", "rename")
    hall.turn()
    ann.heard()
    ann.say(*(Join("dev") for _ in range(6)))
    hall.turn()
    *entered, last = ann.heard()
    assert [type(event) for event in entered] == 5 * [CommonInit]
    assert isinstance(last, Error)
    assert (last.code, last.about) == ("rate_limited", "join")
    ann.say(Exit("lobby"))
    error = ann.error()
    assert (error.code, error.about) == ("rate_limited", "exit")


def test_history_is_limited_too() -> None:
    hall = Hall(rate=1, burst=1)
    ann, _ = hall.enter()
    ann.say(*[History()] * SCROLL)
    assert [type(event) for event in ann.heard()] == SCROLL * [Page]
    ann.say(History())
    error = ann.error()
    assert (error.code, error.about, error.retry_after) == ("rate_limited", "history", 1.0)
    hall.tick(1.0)
    ann.say(History())
    assert [type(event) for event in ann.heard()] == [Page]


def test_a_rate_of_zero_is_without_limit() -> None:
    hall = Hall(rate=0)
    ann, _ = hall.enter()
    ann.say(*(Talk(str(n)) for n in range(1000)))
    ann.say(*(Join("dev") for _ in range(1000)))
    hall.turn()
    assert len(heard(ann, Message)) == 1000


def test_who_goes_on_regardless_is_sent_away() -> None:
    hall = Hall(burst=1)
    ann, bob = pair(hall)
    ann.say(*(Talk(str(n)) for n in range(PATIENCE + 1)))
    assert ann.ended is None
    ann.say(Talk("more"), Talk("and more"))
    assert ann.ended == (Close.POLICY, "too many errors")
    assert {event.code for event in ann.heard() if isinstance(event, Error)} == {"rate_limited"}
    hall.turn()
    assert texts(bob.heard()) == ["0"]


# What cannot be understood.


@pytest.mark.parametrize(
    ("text", "about"),
    [
        (b"", None),
        (b"hello", None),
        (b"[]", None),
        (b'{"event":"shout"}', None),
        (b'{"event":"talk","data":{"message":7,"nonce":"n"}}', "talk"),
        (b'{"event":"talk","data":{"message":NaN}}', None),
        (b'{"event":"talk","data":{"message":"\\ud800"}}', None),
        (b'{"event":"ping","data":{"a":%b}}' % (b"[" * 30_000), None),
        (b'{"event":"ping","data":[]}', "ping"),
        (b'{"event":"rename"}', "rename"),
    ],
)
def test_a_bad_message(text: bytes, about: str | None) -> None:
    hall = Hall()
    ann, _ = hall.enter()
    ann.say(decode(text))
    error = ann.error()
    assert (error.code, error.about) == ("bad_message", about)
    assert error.message
    assert ann.ended is None


def test_many_bad_messages_in_a_short_time() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    ann.say(*[Bad("what?")] * PATIENCE)
    assert ann.ended is None
    ann.say(Bad("what?"))
    assert ann.ended == (Close.POLICY, "too many errors")


def test_many_bad_messages_in_a_long_time() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    for _ in range(3 * PATIENCE):
        ann.say(Bad("what?"))
        hall.now += 1
    assert ann.ended is None


TEXT = st.text(max_size=70) | st.sampled_from(["lobby", "dev", "LOBBY", "Ann"])
ROOM = TEXT | st.sampled_from(["lobby", "dev", "@1-2", "@1-3"])
TYPE = st.sampled_from(["text", "markdown", "image"])
ID = st.none() | st.integers(0, 9) | st.integers(0, 2**53)
COMMAND = st.one_of(
    st.builds(
        Talk, TEXT, TYPE, ROOM, st.none() | TEXT, ID, st.none() | st.builds(Attach, TEXT, TEXT)
    ),
    st.builds(Edit, st.integers(0, 9), TEXT, st.none() | TYPE, ROOM, st.none() | TEXT),
    st.builds(Delete, st.integers(0, 9), ROOM),
    st.builds(React, st.integers(0, 9), TEXT | st.just("👍"), st.booleans(), ROOM),
    st.builds(SetTopic, TEXT, ROOM),
    st.builds(DirectTo, st.integers(0, 2**53)),
    st.builds(Edits, st.integers(0, 9), ROOM),
    st.builds(Read, st.integers(0, 2**53), ROOM),
    st.builds(Rooms, TEXT, TEXT, st.integers(1, 2**70)),
    st.builds(Mine),
    st.builds(Search, TEXT, st.none() | ROOM, ID, st.integers(1, 2**70), st.none() | TEXT),
    st.builds(Rename, TEXT),
    st.builds(Join, ROOM, ID, st.none() | TEXT),
    st.builds(Exit, TEXT),
    st.builds(History, ROOM, ID, st.integers(1, 2**70), ID, ID),
    st.builds(Typing, TEXT),
    st.binary().map(decode),
    st.just(decode(b'{"event":"ping"}')),
)


@given(st.lists(COMMAND, max_size=20), st.booleans())
def test_nothing_that_a_client_says_raises(commands: list[Command], broken: bool) -> None:
    hall = Hall(rate=0, types={"text": None, "markdown": str.upper})
    ann, bob = pair(hall)
    speak(hall, ann, "1", "@bob")
    ann.say(DirectTo(2), React(1, "👍"))
    hall.turn()
    hall.log.broken = broken
    ann.say(*commands)
    hall.turn()
    for event in ann.heard() + bob.heard():
        assert json.loads(encode(event).decode())


def test_nothing_more_is_done_for_who_is_sent_away() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.session.pause()
    ann.say(*[Bad("what?")] * (PATIENCE + 1), Talk("hi"))
    ann.drain()
    assert ann.ended is not None
    ann.say(Talk("hi"), Bad("what?"))
    ann.session.resume()
    ann.session.close(clean=False)
    ann.say(Talk("hi"))
    ann.session.resume()
    hall.turn()
    assert bob.heard() == []
    hall.tick(10)
    assert only(bob) == Exited("lobby", 1, "Ann")


def test_a_transport_may_close_while_it_is_told_to() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    session = ann.session
    session._disconnect = lambda code, reason: session.close(clean=False)
    ann.say(*[Bad("what?")] * (PATIENCE + 1))
    assert session.closed
    hall.tick(10)
    assert (hall.chat.users, hall.chat.rooms) == ({}, {})


# Names.


def test_a_new_name() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Rename(" Anna "))
    hall.turn()
    assert ann.heard() == bob.heard() == [Renamed(1, "Anna", "Ann", "lobby")]
    assert hall.enter()[1].users[0] == Who(1, "Anna")


@pytest.mark.parametrize(
    ("wish", "code"),
    [("BOB", "name_taken"), ("", "bad_name"), ("a\u202eb", "bad_name"), ("x" * 33, "bad_name")],
)
def test_a_new_name_that_cannot_be_had(wish: str, code: str) -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Rename(wish))
    error = ann.error()
    assert (error.code, error.about) == (code, "rename")
    hall.turn()
    assert ann.heard() == bob.heard() == []
    assert hall.chat.users[1].name.shown == "Ann"


def test_ones_own_name_may_be_spelt_otherwise() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Rename("ANN"))
    hall.turn()
    assert only(bob) == Renamed(1, "ANN", "Ann", "lobby")


def test_a_name_that_was_given_up_can_be_had() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Rename("Anna"))
    bob.say(Rename("Ann"))
    hall.turn()
    assert ann.heard() == [Renamed(1, "Anna", "Ann", "lobby"), Renamed(2, "Ann", "Bob", "lobby")]


def test_a_name_is_taken_in_all_rooms_and_until_its_user_has_left() -> None:
    hall = Hall()
    ann, _ = hall.enter("dev", name="Ann")
    assert hall.connect(name="Ann").session.user.name.shown == "guest-2"
    ann.session.close(clean=False)
    hall.tick(9.9)
    line = hall.connect(name="ann")
    hall.turn()
    assert heard(line, Error) != []
    hall.tick(0.1)
    assert hall.enter(name="ann")[1].self.name == "ann"


def test_what_was_said_keeps_the_name_of_then() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("1"), Rename("Anna"), Talk("2"))
    hall.turn()
    senders = [event.sender.name for event in bob.heard() if isinstance(event, Message)]
    assert senders == ["Ann", "Anna"]


def test_a_new_name_is_told_in_each_room() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    bob, _ = hall.enter("dev", name="Bob")
    ann.say(Join("dev"))
    hall.turn()
    ann.heard()
    bob.heard()
    ann.say(Rename("Anna"))
    hall.turn()
    renamed = [Renamed(1, "Anna", "Ann", "dev"), Renamed(1, "Anna", "Ann", "lobby")]
    assert sorted(ann.heard(), key=repr) == renamed
    assert bob.heard() == renamed[:1]


def test_a_new_name_of_somebody_who_is_nowhere() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "hi")
    ann.say(Exit("lobby"))
    hall.turn()
    ann.heard()
    ann.say(Rename("Anna"))
    hall.turn()
    assert only(ann) == Renamed(1, "Anna", "Ann")
    ann.session.close(clean=True)
    assert hall.chat.users == {}
    assert hall.enter(token=init.self.token)[1].self.name == "Anna"


def test_a_new_name_for_a_device_that_is_nowhere() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    also, _ = hall.enter(token=init.self.token)
    also.say(Exit("lobby"))
    hall.turn()
    also.heard()
    also.say(Rename("Anna"))
    hall.turn()
    assert only(also) == Renamed(1, "Anna", "Ann")
    assert only(ann) == Renamed(1, "Anna", "Ann", "lobby")


# Rooms.


def test_joining_a_room_is_answered_by_its_init() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Join("Dev"))
    hall.turn()
    bob.heard()
    speak(hall, bob, "hello", room="dev")
    bob.heard()
    ann.say(Join("DEV"))
    hall.turn()
    init = ann.init()
    assert init.room == "Dev"
    assert init.users == [Who(2, "Bob"), Who(1, "Ann")]
    assert texts(init.messages) == ["hello"]
    assert init.resumed is False
    assert only(bob) == Joined("Dev", 1, "Ann")


def test_joining_a_room_with_a_cursor() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Join("dev"))
    hall.turn()
    speak(hall, bob, *numbers(1, 5), room="dev")
    epoch = hall.log.epoch
    for after, there, resumed, first in [
        (2, epoch, True, "3"),
        (2, None, True, "3"),
        (5, epoch, True, None),
        (6, epoch, False, "1"),
        (2, "another", False, "1"),
    ]:
        ann.say(Join("dev", after, there))
        hall.turn()
        init = ann.init()
        assert init.resumed is resumed
        assert texts(init.messages) == (numbers(int(first), 5) if first else [])
        ann.say(Exit("dev"))
        hall.turn()
        ann.heard()


def test_joining_a_room_where_one_is_gives_a_fresh_init() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Talk("1"), Join("lobby"), Talk("2"), Join("lobby", 1), Talk("3"))
    hall.turn()
    first, init, second, again, third = bob.heard()
    assert texts([first, second, third]) == ["1", "2", "3"]
    assert isinstance(init, Init)
    assert isinstance(again, Init)
    assert (texts(init.messages), init.resumed) == (["1"], False)
    assert (texts(again.messages), again.resumed) == (["2"], True)
    assert texts(ann.heard()) == ["1", "2", "3"]


@pytest.mark.parametrize("room", ["", " ", "a b", "a/b", "..", "x" * 65, "\u202e"])
def test_a_room_that_cannot_be_joined(room: str) -> None:
    hall = Hall()
    ann, _ = hall.enter()
    ann.say(Join(room))
    error = ann.error()
    assert (error.code, error.about) == ("bad_room", "join")


def test_a_room_that_cannot_be_read_now() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    hall.log.broken = True
    ann.say(Join("dev"))
    error = ann.error()
    assert (error.code, error.about, error.retry_after) == ("unavailable", "join", 1.0)
    assert "dev" not in hall.chat.rooms
    assert ann.session.rooms == {"lobby"}


def test_our_own_failing_is_not_held_against_anybody() -> None:
    hall = Hall(rate=0)
    ann, _ = hall.enter()
    hall.log.broken = True
    ann.say(*(Join(f"room-{n}") for n in range(2 * PATIENCE)))
    assert ann.ended is None


def test_leaving_a_room() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Exit("LOBBY"))
    hall.turn()
    assert only(ann) == Exited("lobby", 2, "Bob")
    assert only(bob) == Exited("lobby", 2, "Bob")
    speak(hall, ann, "hi")
    assert bob.heard() == []
    bob.say(Talk("hi"))
    assert bob.error().code == "not_in_room"


@pytest.mark.parametrize(
    "command", [Exit("dev"), Talk("a", room="dev"), History("dev"), Typing("dev")]
)
def test_a_room_where_one_is_not(command: Exit | Talk | History | Typing) -> None:
    hall = Hall()
    ann, _ = hall.enter()
    hall.enter("dev")
    ann.say(command)
    error = ann.error()
    assert (error.code, error.about) == ("not_in_room", type(command).__name__.lower())


def test_no_connection_is_in_too_many_rooms() -> None:
    hall = Hall(rate=0)
    ann, _ = hall.enter()
    for n in range(ROOMS):
        ann.say(Join(str(n)))
        hall.turn()
    *inits, error = ann.heard()
    assert len(inits) == ROOMS - 1
    assert isinstance(error, Error)
    assert (error.code, error.about) == ("too_many_rooms", "join")
    ann.say(Join("0"), Exit("0"), Join("new"))
    hall.turn()
    again, _, new = ann.heard()
    assert isinstance(again, Init)
    assert isinstance(new, Init)


def test_what_happened_before_one_left_is_heard() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Talk("1"), Typing())
    ann.say(Talk("2"))
    bob.say(Exit("lobby"))
    ann.say(Talk("3"))
    hall.turn()
    *before, exited = bob.heard()
    assert texts(before) == ["1", "2"]
    assert exited == Exited("lobby", 2, "Bob")
    assert [type(event) for event in ann.heard()] == [Message, Typed, Message, Exited, Message]


def test_coming_and_going_at_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Join("dev"), Exit("dev"), Join("dev"))
    hall.turn()
    assert [type(event) for event in ann.heard()] == [CommonInit, Exited, CommonInit]
    bob.say(Exit("lobby"), Join("lobby"))
    hall.turn()
    exited, init = bob.heard()
    assert exited == Exited("lobby", 2, "Bob")
    assert isinstance(init, Init)
    assert init.users == [Who(1, "Ann"), Who(2, "Bob")]
    assert ann.heard() == [Exited("lobby", 2, "Bob"), Joined("lobby", 2, "Bob")]


def test_rooms_are_entered_one_after_the_other() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    ann.say(*(Join("lobby", after=0) for _ in range(5)), Talk("hi"), Join("dev"))
    inits = []
    while hall.log.step():
        inits.append(sum(isinstance(event, Init) for event in ann.heard()))
    assert max(inits) == 1
    assert sum(inits) == 6
    # Whoever leaves the room at once can enter another.
    ann.say(Join("a"), Exit("a"), Join("b"))
    hall.turn()
    assert [type(event) for event in ann.heard()] == [CommonInit, Exited, CommonInit]


def test_a_room_is_forgotten_with_its_last_user() -> None:
    hall = Hall()
    ann, _ = hall.enter("Dev")
    ann.say(Exit("dev"))
    assert "dev" in hall.chat.rooms
    hall.turn()
    assert hall.chat.rooms == {}
    assert list(hall.chat.users) == [1]
    assert hall.enter("DEV")[1].room == "DEV"


def test_a_room_comes_back_as_it_was() -> None:
    hall = Hall()
    ann, _ = hall.enter("Dev")
    speak(hall, ann, "hello", room="dev")
    ann.session.close(clean=True)
    hall.turn()
    assert hall.chat.rooms == {}
    _, init = hall.enter("dev")
    assert (init.room, texts(init.messages)) == ("Dev", ["hello"])


# History.


def test_history() -> None:
    hall = Hall(rate=0)
    ann, _ = hall.enter()
    speak(hall, ann, *numbers(1, 250))
    ann.heard()
    for asked, first, last, more in [
        (History(), 201, 250, True),
        (History(limit=3), 248, 250, True),
        (History(before=201), 151, 200, True),
        (History(before=51), 1, 50, False),
        (History(before=50), 1, 49, False),
        (History(before=2), 1, 1, False),
        (History(limit=PAGE), 51, 250, True),
        (History(limit=PAGE + 1), 51, 250, True),
        (History(limit=10**30), 51, 250, True),
        (History(before=999, limit=1), 250, 250, True),
        (History("LOBBY", before=3), 1, 2, False),
    ]:
        ann.say(asked)
        page = only(ann)
        assert isinstance(page, Page)
        assert page.room == "lobby"
        assert texts(page.messages) == numbers(first, last)
        assert [message.id for message in page.messages] == list(range(first, last + 1))
        assert page.more is more
        assert page.newer is (last < 250)


@pytest.mark.parametrize("before", [None, 0, 1])
def test_history_where_there_is_none(before: int | None) -> None:
    hall = Hall()
    ann, _ = hall.enter()
    if before is not None:
        speak(hall, ann, "1")
    ann.heard()
    ann.say(History(before=before))
    assert only(ann) == Page("lobby", [], more=False, newer=before is not None)


def test_history_has_nothing_that_was_not_told_yet() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    speak(hall, ann, "1")
    ann.heard()
    ann.say(Talk("2"), History())
    page = only(ann)
    assert isinstance(page, Page)
    assert texts(page.messages) == ["1"]


def test_history_that_cannot_be_read_now() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    hall.log.broken = True
    ann.say(History())
    error = ann.error()
    assert (error.code, error.about, error.retry_after) == ("unavailable", "history", 1.0)


# Typing, and signs of life.


def test_typing_is_passed_on_but_not_to_oneself() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also, _ = hall.enter(token=hall.chat.token(ann.session.user))
    ann.say(Typing())
    hall.turn()
    assert ann.heard() == also.heard() == []
    assert bob.heard() == [Typed("lobby", 1, "Ann")]


def test_typing_among_other_things() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Typing(), Talk("hi"))
    bob.say(Typing())
    cid = hall.connect(name="Cid")
    cid.say(Typing())
    hall.turn()
    assert [type(event) for event in ann.heard()] == [Message, Typed, Joined, Typed]
    assert [type(event) for event in bob.heard()] == [Typed, Message, Joined, Typed]
    assert [type(event) for event in cid.heard()] == [CommonInit]


def test_ones_own_typing_is_not_heard_with_the_init_of_another_device() -> None:
    hall = Hall()
    ann, _ = pair(hall)
    also = hall.connect(token=hall.chat.token(ann.session.user))
    ann.say(Typing(), Talk("hi"))
    hall.turn()
    assert [type(event) for event in also.heard()] == [CommonInit, Message]


def test_typing_is_passed_on_once_in_three_seconds() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    for seconds, passed in [(0, 1), (2.875, 0), (0.125, 1), (0, 0), (2.875, 0), (0.125, 1)]:
        hall.now += seconds
        ann.say(Typing())
        hall.turn()
        assert len(bob.heard()) == passed
    assert ann.heard() == []


def test_typing_in_another_room_is_another_thing() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    bob.say(Join("dev"))
    ann.say(Join("dev"))
    hall.turn()
    bob.heard()
    ann.say(Typing(), Typing("dev"), Typing("DEV"))
    hall.turn()
    assert bob.heard() == [Typed("lobby", 1, "Ann"), Typed("dev", 1, "Ann")]


def test_typing_after_having_come_back() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Typing(), Exit("lobby"), Join("lobby"), Typing())
    hall.turn()
    assert len(heard(bob, Typed)) == 2


@pytest.mark.parametrize("data", ["{}", '{"t":1.0,"x":[null,"ü"]}', '{"a":{"b":{}}}'])
def test_a_pong_has_the_data_of_its_ping(data: str) -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(decode(f'{{"event":"ping","data":{data}}}'.encode()))
    assert json.loads(encode(only(ann))) == {"event": "pong", "data": json.loads(data)}
    hall.turn()
    assert bob.heard() == []


# Time, for display.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.0004, "1970-01-01T00:00:00.000Z"),
        (1e9 + 0.9999, "2001-09-09T01:46:40.999Z"),
        (1792567680.25, "2026-10-21T07:28:00.250Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
    ],
)
def test_rfc3339(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
