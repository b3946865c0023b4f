from __future__ import annotations

import base64

import pytest

from chatroom import room as rooms
from chatroom.commands import Exit, Rename, Talk
from chatroom.events import (
    Error,
    Exited,
    Init,
    Joined,
    Message,
    Renamed,
    Who,
)
from tests.hall import Hall, numbers, only, pair, speak, texts

# Several connections of one user.


def test_a_user_with_two_connections_is_there_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    also, init = hall.enter(token=token)
    assert init.self.id == 1
    assert init.users == [Who(1, "Ann"), Who(2, "Bob")]
    assert ann.heard() == bob.heard() == []
    speak(hall, also, "hi")
    assert texts(ann.heard()) == texts(also.heard()) == texts(bob.heard()) == ["hi"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_user_leaves_with_the_last_connection(clean: bool) -> None:
    hall = Hall(grace=0)
    ann, bob = pair(hall)
    also, _ = hall.enter(token=hall.chat.token(ann.session.user))
    ann.session.close(clean=clean)
    hall.tick(20)
    assert bob.heard() == []
    also.session.close(clean=clean)
    hall.tick(20)
    assert bob.heard() == [Exited("lobby", 1, "Ann")]


def test_a_user_leaves_a_room_with_the_last_connection_that_was_in_it() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also, _ = hall.enter(token=hall.chat.token(ann.session.user))
    ann.say(Exit("lobby"))
    hall.turn()
    assert only(ann) == Exited("lobby", 1, "Ann")
    assert also.heard() == bob.heard() == []
    speak(hall, bob, "hi")
    assert ann.heard() == []
    assert texts(also.heard()) == texts(bob.heard()) == ["hi"]
    also.session.close(clean=True)
    hall.turn()
    assert bob.heard() == [Exited("lobby", 1, "Ann")]


# A blip is no exit.


def test_back_within_the_grace() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    ann.session.close(clean=False)
    hall.tick(9.999)
    _, init = hall.enter(token=token)
    assert (init.self.id, init.self.name) == (1, "Ann")
    hall.tick(60)
    assert bob.heard() == []


def test_not_back_within_the_grace() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    ann.session.close(clean=False)
    hall.tick(9.999)
    assert bob.heard() == []
    hall.tick(0.001)
    assert bob.heard() == [Exited("lobby", 1, "Ann")]
    hall.tick(60)
    assert bob.heard() == []
    _, init = hall.enter(token=token)
    assert init.self.id == 1
    assert only(bob) == Joined("lobby", 1, "guest-1")


def test_back_and_cut_off_again() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    for _ in range(5):
        ann.session.close(clean=False)
        hall.tick(6)
        ann, _ = hall.enter(token=token)
    ann.session.close(clean=False)
    hall.tick(9.9)
    assert bob.heard() == []
    hall.tick(0.1)
    assert bob.heard() == [Exited("lobby", 1, "Ann")]


def test_back_in_another_room_only() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    ann.session.close(clean=False)
    also, _ = hall.enter("dev", token=token)
    hall.tick(10)
    assert bob.heard() == [Exited("lobby", 1, "Ann")]
    assert also.heard() == []
    assert hall.chat.users[1].rooms == {"dev"}


def test_a_clean_close_leaves_at_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.session.close(clean=True)
    hall.turn()
    assert bob.heard() == [Exited("lobby", 1, "Ann")]
    assert list(hall.chat.users) == [2]


def test_a_clean_close_of_one_who_was_cut_off_elsewhere() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    also, _ = hall.enter(token=hall.chat.token(ann.session.user))
    ann.session.close(clean=False)
    also.session.close(clean=True)
    hall.turn()
    assert bob.heard() == [Exited("lobby", 1, "Ann")]
    hall.tick(20)
    assert bob.heard() == []


def test_without_grace_everybody_leaves_at_once() -> None:
    hall = Hall(grace=0)
    ann, bob = pair(hall)
    ann.session.close(clean=False)
    hall.turn()
    assert bob.heard() == [Exited("lobby", 1, "Ann")]


def test_closing_twice_is_closing_once() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.session.close(clean=True)
    ann.session.close(clean=False)
    hall.tick(20)
    assert bob.heard() == [Exited("lobby", 1, "Ann")]


def test_gone_twice_at_the_same_moment_and_back_between() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    ann.session.close(clean=False)
    hall.connect(token=token).session.close(clean=True)
    hall.connect(token=token).session.close(clean=False)
    hall.tick(10)
    assert [type(event) for event in bob.heard()] == [Exited, Joined, Exited]
    assert list(hall.chat.users) == [2]
    bob.say(Rename("guest-1"))
    hall.turn()
    assert only(bob) == Renamed(2, "guest-1", "Bob", "lobby")


def test_gone_before_one_was_there() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    bob = hall.connect(name="Bob")
    bob.session.close(clean=True)
    hall.turn()
    assert bob.heard() == []
    assert ann.heard() == [Joined("lobby", 2, "Bob"), Exited("lobby", 2, "Bob")]


@pytest.mark.parametrize("clean", [True, False])
def test_gone_while_paused_before_one_was_there(clean: bool) -> None:
    hall = Hall()
    bob = hall.connect()
    bob.session.pause()
    bob.session.close(clean=clean)
    hall.turn()
    hall.tick(10)
    assert bob.heard() == []
    assert (hall.chat.users, hall.chat.rooms) == ({}, {})


def test_gone_while_leaving() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    ann.say(Talk("hi"), Exit("lobby"))
    ann.session.close(clean=False)
    hall.turn()
    assert ann.heard() == []
    assert [type(event) for event in bob.heard()] == [Message, Exited]
    hall.tick(20)
    assert bob.heard() == []


# Going on where one was.


def test_going_on_with_token_and_cursor() -> None:
    hall = Hall()
    ann, bob = pair(hall)
    token = hall.chat.token(ann.session.user)
    speak(hall, bob, "1", "2")
    ann.session.close(clean=False)
    speak(hall, bob, "3", "4")
    back = hall.connect(token=token, after=2, epoch=hall.log.epoch)
    bob.say(Talk("5"))
    hall.turn()
    init, *rest = back.heard()
    assert isinstance(init, Init)
    assert init.resumed is True
    assert init.more is True
    assert texts(init.messages) == ["3", "4"]
    assert texts(rest) == ["5"]


def test_going_on_where_nothing_was_missed() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    speak(hall, ann, "1")
    token = hall.chat.token(ann.session.user)
    _, init = hall.enter(token=token, after=1, epoch=hall.log.epoch)
    assert (init.resumed, init.messages, init.more) == (True, [], True)


def test_going_on_from_the_very_beginning() -> None:
    hall = Hall()
    ann, init = hall.enter()
    token = init.self.token
    _, init = hall.enter(token=token, after=0)
    assert (init.resumed, init.messages, init.more) == (True, [], False)
    speak(hall, ann, "1")
    _, init = hall.enter(token=token, after=0)
    assert (init.resumed, texts(init.messages), init.more) == (True, ["1"], False)


def test_a_token_without_a_cursor_begins_afresh() -> None:
    hall = Hall()
    ann, init = hall.enter()
    speak(hall, ann, *numbers(1, 60))
    _, init = hall.enter(token=init.self.token, epoch=init.epoch)
    assert init.self.id == 1
    assert (init.resumed, init.more) == (False, True)
    assert texts(init.messages) == numbers(11, 60)


def forged(token: str) -> list[str]:
    raw = base64.urlsafe_b64decode(token)
    other = raw[:7] + bytes([raw[7] ^ 1]) + raw[8:]
    return [
        "",
        "nonsense",
        "ü",
        "A",
        "A" * 32,
        token[:-1],
        token + "AAAA",
        token[:-4],
        base64.urlsafe_b64encode(other).decode(),
        base64.urlsafe_b64encode(raw[:8]).decode(),
        base64.urlsafe_b64encode(raw[8:]).decode(),
        base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode(),
        Hall().enter()[1].self.token,
    ]


def test_an_unknown_token_is_somebody_new() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1", "2")
    for id, token in enumerate(forged(init.self.token), 2):
        _, got = hall.enter(token=token, after=1, epoch=init.epoch)
        assert got.self.id == id
        assert got.resumed is False
        assert texts(got.messages) == ["1", "2"]


def test_another_epoch_begins_afresh() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1", "2")
    _, got = hall.enter(token=init.self.token, after=1, epoch="another")
    assert (got.self.id, got.resumed, texts(got.messages)) == (1, False, ["1", "2"])
    assert got.epoch == hall.log.epoch


def test_a_cursor_beyond_the_end_begins_afresh() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1", "2")
    _, got = hall.enter(token=init.self.token, after=3, epoch=init.epoch)
    assert (got.resumed, texts(got.messages)) == (False, ["1", "2"])


def test_too_far_behind_begins_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "RESUME", 3)
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, *numbers(1, 5))
    _, got = hall.enter(token=init.self.token, after=2, epoch=init.epoch)
    assert (got.resumed, texts(got.messages)) == (True, ["3", "4", "5"])
    _, got = hall.enter(token=init.self.token, after=1, epoch=init.epoch)
    assert (got.resumed, texts(got.messages), got.more) == (False, numbers(1, 5), False)


def test_what_cannot_be_read_now_begins_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "NEWEST", 2)
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, *numbers(1, 5))
    hall.log.broken = True
    _, got = hall.enter(token=init.self.token, after=3, epoch=init.epoch)
    assert (got.resumed, texts(got.messages)) == (True, ["4", "5"])
    _, got = hall.enter(token=init.self.token, after=2, epoch=init.epoch)
    assert (got.resumed, texts(got.messages)) == (False, numbers(1, 5))


def test_a_user_who_spoke_keeps_their_name_over_a_restart() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1")
    ann.say(Rename("Anna"))
    hall.turn()
    hall.start()
    back, got = hall.enter(token=init.self.token, name="Nan", after=0, epoch=init.epoch)
    assert (got.self.id, got.self.name) == (1, "Anna")
    assert (got.resumed, texts(got.messages)) == (True, ["1"])
    back.say(Talk("1", nonce="n"))
    hall.turn()
    assert texts(back.heard()) == ["1"]


def test_a_user_who_never_spoke_keeps_their_id_over_a_restart() -> None:
    hall = Hall()
    _, init = hall.enter(name="Ann")
    hall.start()
    hall.enter()
    _, got = hall.enter(token=init.self.token, name="Ann", after=0, epoch=init.epoch)
    assert (got.self.id, got.self.name, got.resumed) == (1, "Ann", True)


def test_a_name_that_was_taken_meanwhile() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "1")
    ann.session.close(clean=True)
    hall.turn()
    hall.enter(name="Ann")
    line = hall.connect(token=init.self.token)
    hall.turn()
    got, error = line.heard()
    assert isinstance(got, Init)
    assert isinstance(error, Error)
    assert (got.self.id, got.self.name, error.code) == (1, "guest-1", "name_taken")
