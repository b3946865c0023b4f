"""Who says or asks something without being in a room, and commands that are answered aside."""

from __future__ import annotations

from typing import Any

import pytest

from chatroom.commands import (
    Command,
    Delete,
    DirectTo,
    Edit,
    Exit,
    History,
    Join,
    Mine,
    React,
    Rename,
    Search,
    SetTopic,
    Talk,
    command,
)
from chatroom.events import (
    Deleted,
    Edited,
    Error,
    Event,
    Hits,
    Message,
    Owned,
    Page,
    Pong,
    Reacted,
    Renamed,
    Topic,
    Typed,
)
from chatroom.session import PATIENCE, Problem
from chatroom.visits import OPEN, ROOMS, STAY
from tests.hall import Hall, only, texts


def ask(hall: Hall, command: Command, **who: Any) -> Event | None:
    """Return the one answer to *command*."""
    answers: list[Event | None] = []
    hall.chat.ask(command, answers.append, **who)
    hall.turn()
    (answer,) = answers
    return answer


def refusal(hall: Hall, command: Command, **who: Any) -> Error:
    answer = ask(hall, command, **who)
    assert isinstance(answer, Error)
    return answer


def said(hall: Hall, text: str, **who: Any) -> Message:
    answer = ask(hall, Talk(text), **who)
    assert isinstance(answer, Message)
    return answer


# Visits.


def test_what_a_visitor_says_is_heard_and_nobody_sees_them_come() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    message = said(hall, "hello", name="Visitor")
    assert only(ann) is message
    assert (message.id, message.sender.name) == (1, "Visitor")
    hall.tick(STAY)
    assert ann.heard() == []


def test_a_visitor_has_an_identity_that_stays() -> None:
    hall = Hall()
    me = hall.chat.introduce("Bot")
    first, second = said(hall, "one", token=me.token), said(hall, "two", token=me.token)
    assert first.sender == second.sender
    assert (first.sender.id, first.sender.name) == (me.id, "Bot")
    edited = ask(hall, Edit(first.id, "uno"), token=me.token)
    assert isinstance(edited, Edited)
    reacted = ask(hall, React(second.id, "👍"), token=me.token)
    assert isinstance(reacted, Reacted)
    deleted = ask(hall, Delete(second.id), token=me.token)
    assert isinstance(deleted, Deleted)
    topic = ask(hall, SetTopic("Tea"), token=me.token)
    assert isinstance(topic, Topic)
    assert refusal(hall, Delete(first.id), token=hall.chat.introduce("Other").token).code == (
        "forbidden"
    )


def test_a_visitor_is_known_again_long_afterwards() -> None:
    hall = Hall()
    me = hall.chat.introduce("Bot")
    said(hall, "one", token=me.token)
    hall.tick(STAY)
    assert hall.chat.users == {}
    assert said(hall, "two", token=me.token).sender.name == "Bot"
    hall.start()
    assert said(hall, "three", token=me.token).sender.id == me.id


def test_a_visitor_is_who_is_there_by_a_connection() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    message = said(hall, "hello", token=init.self.token)
    assert message.sender.id == init.self.id
    assert only(ann) is message
    ann.session.close(clean=True)
    hall.turn()
    assert hall.chat.users.keys() == {init.self.id}, "known for a while"
    hall.tick(STAY)
    assert hall.chat.users == {}


def test_names_are_had_by_one_at_a_time() -> None:
    hall = Hall()
    hall.enter(name="Ann")
    with pytest.raises(Problem, match="taken"):
        hall.chat.introduce("Ann")
    assert refusal(hall, Talk("hello"), name="Ann").code == "name_taken"
    assert refusal(hall, Talk("hello"), name="\x07").code == "bad_name"
    assert len(hall.chat.users) == 1
    bot = hall.chat.introduce("Bot")
    with pytest.raises(Problem, match="taken"):
        hall.chat.introduce("bot")
    hall.tick(STAY)
    assert hall.chat.introduce("bot").id != bot.id


def test_a_name_is_wished_without_cost() -> None:
    hall = Hall(rate=1.0, burst=1)
    hall.enter(name="Ann")
    me = hall.chat.introduce("Bot")
    hall.chat.name(me.token, "Ann", "\x07", "Deploys")
    assert said(hall, "one", token=me.token).sender.name == "Deploys"
    hall.chat.name(me.token, "Ann")
    hall.now += 1
    assert said(hall, "two", token=me.token).sender.name == "Deploys"
    hall.tick(STAY)
    hall.chat.name(me.token, "Deploys")
    assert said(hall, "three", token=me.token).sender.name == "Deploys"
    with pytest.raises(Problem, match="not known"):
        hall.chat.name("nobody", "Ann")


def test_limits_hold_for_visitors() -> None:
    hall = Hall(rate=1.0, burst=2)
    me = hall.chat.introduce("Bot")
    for text in ("one", "two"):
        said(hall, text, token=me.token)
    late = refusal(hall, Talk("three", nonce="n"), token=me.token)
    assert (late.code, late.about, late.nonce, late.retry_after) == ("rate_limited", "talk", "n", 1)
    hall.now += 1
    said(hall, "three", token=me.token)


def test_strangers_share_their_limits() -> None:
    hall = Hall(rate=1.0, burst=2)
    said(hall, "one")
    said(hall, "two")
    assert refusal(hall, Talk("three")).code == "rate_limited"
    with pytest.raises(Problem, match="strangers"):
        hall.chat.introduce(None)
    for _ in range(10):
        assert isinstance(ask(hall, Search("one")), Hits)
    assert refusal(hall, Search("one")).code == "rate_limited"


def test_a_nonce_is_said_once() -> None:
    hall = Hall()
    token = hall.chat.introduce("Bot").token
    first = ask(hall, Talk("hello", nonce="n"), token=token)
    assert ask(hall, Talk("hello", nonce="n"), token=token) == first
    assert refusal(hall, Talk("another", nonce="n"), token=token).code == "nonce_reused"
    both: list[Event | None] = []
    for _ in range(2):
        hall.chat.ask(Talk("at once", nonce="m"), both.append, token=token)
    hall.turn()
    assert both[0] == both[1]


def test_nobody_may_read() -> None:
    hall = Hall()
    said(hall, "hello")
    page = ask(hall, History())
    assert isinstance(page, Page)
    assert texts(page.messages) == ["hello"]
    hall.tick(STAY)
    assert hall.chat.rooms == {}, "no room stays open because somebody looked"
    assert hall.chat.users == {}
    assert isinstance(ask(hall, Mine()), Owned)
    assert isinstance(ask(hall, command("ping", b'{"n":1}')), Pong)


def test_a_room_that_was_asked_for_stays_open_for_a_while() -> None:
    hall = Hall(rate=0)
    said(hall, "hello")
    hall.tick(OPEN)
    assert hall.chat.rooms == {}
    ask(hall, History())
    room = hall.chat.rooms["lobby"]
    hall.tick(OPEN / 2)
    ask(hall, History())
    hall.tick(OPEN / 2)
    assert hall.chat.rooms == {"lobby": room}
    ask(hall, History("nothing-was-said-here"))
    assert hall.chat.rooms.keys() == {"lobby"}
    hall.tick(OPEN / 2)
    assert hall.chat.rooms == {}
    token = hall.chat.introduce("Bot").token
    for n in range(ROOMS + 5):
        ask(hall, Talk("hello", room=str(n)), token=token)
        ask(hall, History(str(n)))
        hall.now += 0.01
    assert len(hall.chat.rooms) == ROOMS
    hall.tick(OPEN)
    assert hall.chat.rooms == {}


def test_rooms_of_others_are_closed() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    bob = hall.chat.introduce("Bob")
    room = f"@{init.self.id}-{bob.id}"
    assert isinstance(ask(hall, Talk("hello", room=room), token=bob.token), Message)
    assert [event.event for event in ann.heard()] == ["direct"]
    assert refusal(hall, History(room)).code == "forbidden"
    assert refusal(hall, Talk("hello", room=room)).code == "forbidden"
    other = hall.chat.introduce("Cid").token
    assert refusal(hall, History(room), token=other).code == "forbidden"
    assert refusal(hall, History("a b")).code == "bad_room"


def test_whose_token_is_not_known_is_nobody() -> None:
    hall = Hall()
    error = refusal(hall, Talk("hello", nonce="n"), token="nobody")
    assert (error.code, error.about, error.nonce) == ("unauthorized", "talk", "n")
    assert refusal(hall, History(), token="").code == "unauthorized"


def test_a_store_in_trouble() -> None:
    hall = Hall()
    token = hall.chat.introduce("Bot").token
    hall.log.broken = True
    for wish in (Talk("hello"), History()):
        assert refusal(hall, wish, token=token).code == "unavailable"
    hall.chat.users.clear()
    assert refusal(hall, Talk("hello"), token=token).code == "unavailable"


def test_visitors_go_nowhere_and_are_not_ended() -> None:
    hall = Hall()
    token = hall.chat.introduce("Bot").token
    assert refusal(hall, Join("tea"), token=token).code == "forbidden"
    for _ in range(PATIENCE * 2):
        assert refusal(hall, command("nothing", b"{}"), token=token).code == "bad_message"
    assert isinstance(said(hall, "hello", token=token), Message)


# Commands whose answer is given aside.


def test_the_answer_is_given_aside_and_heard_in_the_room() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    answers: list[Event | None] = []
    ann.session.receive(Talk("hello", nonce="n"), answers.append)
    assert answers == []
    hall.turn()
    (message,) = answers
    assert only(ann) is message
    ann.session.receive(Talk("hello", nonce="n"), answers.append)
    ann.session.receive(Talk("other", nonce="n"), answers.append)
    hall.turn()
    assert answers[1] == message
    assert isinstance(answers[2], Error)
    assert ann.heard() == []


def test_each_command_is_answered_once() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    found: dict[str, list[Event | None]] = {}
    wishes: list[Command] = [
        *(Talk("hello"), React(1, "👍"), Edit(1, "bye"), SetTopic("tea"), Delete(1)),
        *(History(), Search("bye"), Mine(), Rename("Anna"), Join("tea"), Exit("tea")),
        *(command("ping", b"{}"), command("typing", b"{}"), command("read", b'{"id":1}')),
        *(command("edits", b'{"of":9}'), command("nothing", b"{}"), Join("a b"), DirectTo(99)),
    ]
    for n, wish in enumerate(wishes):
        ann.session.receive(wish, found.setdefault(f"{n} {wish.event}", []).append)
        hall.turn()
    kinds = {name: [type(event) for event in answers] for name, answers in found.items()}
    none = type(None)
    assert kinds == {
        "0 talk": [Message],
        "1 react": [Reacted],
        "2 edit": [Edited],
        "3 topic": [Topic],
        "4 delete": [Deleted],
        "5 history": [Page],
        "6 search": [Hits],
        "7 mine": [Owned],
        "8 rename": [none],
        "9 join": [none],
        "10 exit": [none],
        "11 ping": [Pong],
        "12 typing": [none],
        "13 read": [none],
        "14 edits": [Error],
        "15 None": [Error],
        "16 join": [Error],
        "17 direct": [Error],
    }
    told = {type(event) for event in ann.heard()}
    assert not told & {Page, Hits, Owned, Pong, Error}
    assert Renamed in told
    assert Typed not in told


def test_what_must_wait_is_answered_in_its_turn() -> None:
    hall = Hall()
    ann = hall.connect(name="Ann")
    order: list[str] = []
    ann.sent = lambda: order.append("sent")
    ann.session.receive(command("ping", b"{}"), lambda _: order.append("answered"))
    assert order == []
    hall.turn()
    assert order == ["sent", "answered"]
    ann.session.pause()
    ann.session.receive(command("ping", b"{}"), lambda _: order.append("again"))
    assert order == ["sent", "answered"]
    ann.session.resume()
    assert order[-1] == "again"


def test_who_is_gone_is_not_answered_and_what_they_said_is_said() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    answers: list[Event | None] = []
    ann.session.receive(Search("x"), answers.append)
    ann.session.receive(Talk("hello"), answers.append)
    ann.session.close(clean=True)
    hall.turn()
    assert [type(answer) for answer in answers] == [Message]
    page = ask(hall, History())
    assert isinstance(page, Page)
    assert texts(page.messages) == ["hello"]


def test_too_many_errors_end_the_session_though_they_are_told_aside() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    answers: list[Event | None] = []
    for _ in range(PATIENCE + 1):
        ann.session.receive(command("nothing", b"{}"), answers.append)
    assert len(answers) == PATIENCE + 1
    assert ann.ended is not None


def test_searches_wait_for_each_other_wherever_they_are_answered() -> None:
    hall = Hall()
    ann, _ = hall.enter(name="Ann")
    said(hall, "hello")
    ann.heard()
    aside: list[Event | None] = []
    ann.say(Search("hello", nonce="1"))
    ann.session.receive(Search("hello", nonce="2"), aside.append)
    ann.say(Search("hello", nonce="3"))
    hall.turn()
    assert [event.nonce for event in ann.heard() if isinstance(event, Hits)] == ["1", "3"]
    assert [event.nonce for event in aside if isinstance(event, Hits)] == ["2"]


# Who follows a room.


def test_followers_are_told_of_entries_alone() -> None:
    hall = Hall()
    told: list[int] = []
    end = hall.chat.follow("lobby", lambda: told.append(hall.chat.rooms["lobby"].last))
    hall.enter(name="Ann")
    assert told == []
    said(hall, "one")
    hall.chat.ask(Talk("two"), lambda _: None)
    hall.chat.ask(Talk("three"), lambda _: None)
    hall.turn()
    assert told == [1, 3]
    ask(hall, Talk("elsewhere", room="tea"))
    assert told == [1, 3]
    end()
    said(hall, "four")
    assert told == [1, 3]
