"""What many readers, many who come at once, and what is left of those who went, cost."""

from __future__ import annotations

import gc
import hmac
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from chatroom import room as rooms
from chatroom import session as sessions
from chatroom.commands import (
    Bad,
    Exit,
    Join,
    Ping,
    Rename,
    Talk,
    Typing,
    decode,
)
from chatroom.events import (
    Batch,
    CommonInit,
    Error,
    Event,
    Exited,
    Init,
    Message,
    Who,
)
from chatroom.frames import deflating, plain
from chatroom.limits import TokenBucket
from tests.hall import Hall, Line, crowd, heard, numbers, only, pair, speak, texts

# Whom a reader stops, closes or lets go on while all are being told.


def three(hall: Hall, hear: Callable[[Event], None]) -> tuple[Line, Line, Line]:
    """Return three in the lobby, of whom the middle one does what it wants with what it hears."""
    ann, _ = hall.enter(name="Ann")
    bob = hall.connect(name="Bob", hear=hear)
    hall.turn()
    bob.init()
    cid, _ = hall.enter(name="Cid")
    for line in (ann, bob):
        line.heard()
    return ann, bob, cid


def test_a_reader_may_stop_the_others() -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        for line in others:
            line.session.pause()

    ann, bob, cid = three(hall, hear)
    others += [ann, cid]
    speak(hall, bob, "1")
    speak(hall, bob, "2")
    assert texts(bob.heard()) == ["1", "2"]
    assert texts(ann.heard()) == ["1"]
    assert texts(cid.heard()) == []
    for line in others:
        line.drain()
    assert texts(ann.heard()) == ["2"]
    assert texts(cid.heard()) == ["1", "2"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_reader_may_close_the_others(clean: bool) -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        while others:
            others.pop().session.close(clean=clean)

    ann, bob, cid = three(hall, hear)
    others += [ann, cid]
    speak(hall, bob, "1")
    assert texts(ann.heard()) == ["1"]
    assert cid.heard() == []
    hall.tick(10)
    assert bob.heard()[0] == Message(
        1, "lobby", "1", "text", Who(2, "Bob"), "1970-01-01T00:16:40.000Z", None
    )
    assert list(hall.chat.rooms["lobby"].readers) == [bob.session]
    assert list(hall.chat.users) == [2]


def test_a_reader_may_close_itself() -> None:
    hall = Hall()
    lines: list[Line] = []

    def hear(event: Event) -> None:
        for line in lines:
            line.session.close(clean=True)

    ann, bob, cid = three(hall, hear)
    lines.append(bob)
    speak(hall, ann, "1")
    assert texts(heard(ann, Message)) == texts(heard(cid, Message)) == ["1"]
    assert list(hall.chat.rooms["lobby"].readers) == [ann.session, cid.session]


def test_a_reader_may_stop_another_and_let_it_go_on() -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        for line in others:
            line.session.pause()
            line.session.resume()

    ann, bob, cid = three(hall, hear)
    others += [ann, cid]
    speak(hall, bob, "1")
    speak(hall, bob, "2")
    assert texts(ann.heard()) == texts(bob.heard()) == texts(cid.heard()) == ["1", "2"]


def test_a_reader_may_let_one_go_on_who_lags() -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        while others:
            others.pop().drain()

    ann, bob, cid = three(hall, hear)
    for line in (ann, cid):
        line.session.pause()
    speak(hall, bob, "1")
    others += [ann, cid]
    speak(hall, bob, "2")
    speak(hall, bob, "3")
    assert texts(ann.heard()) == texts(cid.heard()) == ["1", "2", "3"]


def test_a_reader_may_stop_one_who_begins() -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        for line in others:
            line.session.pause()

    ann, init = hall.enter(name="Ann", hear=hear)
    speak(hall, ann, "1", "2")
    bob = hall.connect(token=init.self.token, after=1)
    others.append(bob)
    ann.say(Talk("3"))
    hall.turn()
    assert bob.heard() == []
    bob.drain()
    got = bob.init()
    assert (got.resumed, texts(got.messages)) == (True, ["2", "3"])
    others.clear()
    speak(hall, ann, "4")
    assert texts(bob.heard()) == ["4"]


def test_who_leaves_may_let_one_go_on_who_lags() -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        if isinstance(event, Exited):
            others[0].drain()

    ann, bob, cid = three(hall, hear)
    others.append(ann)
    ann.session.pause()
    cid.say(Talk("1"))
    bob.say(Exit("lobby"))
    cid.say(Talk("2"))
    hall.turn()
    speak(hall, cid, "3")
    *missed, init, last = ann.heard()
    assert texts(missed) == ["1", "2"]
    assert isinstance(init, Init)
    assert texts([last]) == ["3"]


@pytest.mark.parametrize("stopped", [True, False])
def test_a_reader_may_close_one_who_begins(stopped: bool) -> None:
    hall = Hall()
    others: list[Line] = []

    def hear(event: Event) -> None:
        while others:
            session = others.pop().session
            if stopped:
                session.pause()
            session.close(clean=True)

    hall.enter(name="Ann", hear=hear)
    bob = hall.connect(name="Bob")
    others.append(bob)
    hall.turn()
    assert bob.heard() == []
    assert list(hall.chat.users) == [1]
    assert hall.chat.rooms["lobby"].lagging == {}


def test_who_answers_at_once_is_heard_later() -> None:
    hall = Hall()
    lines: list[Line] = []

    def hear(event: Event) -> None:
        if isinstance(event, Message) and len(event.message) < 3:
            lines[0].say(Talk(event.message + "!"))

    ann, bob, _ = three(hall, hear)
    lines.append(bob)
    ann.say(Talk("a"), Talk("b"))
    hall.turn()
    assert texts(ann.heard()) == ["a", "b", "a!", "b!", "a!!", "b!!"]


def test_who_answers_the_init_at_once_is_heard_in_order() -> None:
    hall = Hall()
    lines: list[Line] = []

    def hear(event: Event) -> None:
        if isinstance(event, Init):
            lines[0].say(Talk("2"))

    ann = hall.connect(hear=hear)
    lines.append(ann)
    ann.say(Talk("1"))
    hall.turn()
    assert texts(ann.heard()[1:]) == ["1", "2"]


def test_a_reply_that_ends_the_connection() -> None:
    hall = Hall()
    lines: list[Line] = []

    def hear(event: Event) -> None:
        if isinstance(event, Error):
            lines[0].session.close(clean=True)

    ann = hall.connect(hear=hear)
    lines.append(ann)
    hall.turn()
    with mock.patch.object(sessions, "PATIENCE", 0):
        ann.say(Bad("what?"))
    assert ann.session.closed
    assert ann.ended is None


# Many who come at once.


@contextmanager
def counted(*names: str) -> Iterator[Counter[str]]:
    """Count the calls of functions that `chatroom.room` has under these *names*."""
    calls: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., object]:
        original: Callable[..., object] = getattr(rooms, name)

        def call(*values: object) -> object:
            calls[name] += 1
            return original(*values)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(rooms, name, counting(name))
        yield calls


@pytest.mark.parametrize("after", [None, 90])
def test_what_a_crowd_comes_back_to_is_made_once(after: int | None) -> None:
    hall = Hall(rate=0, crowd=20)
    ann, init = hall.enter()
    speak(hall, ann, *numbers(1, 100))
    back = [hall.enter()[1].self.token for _ in range(100)]
    hall.start()
    with counted("common_past", "common_users", "encode", "_who") as calls:
        lines = [hall.connect(token=token, after=after, epoch=init.epoch) for token in back[:50]]
        hall.turn()
        for token in back[50:]:
            lines.append(hall.connect(token=token, after=after))
            hall.turn()
    assert calls["common_past"] == 1
    assert calls["encode"] == (50 if after is None else 10)
    # While they are few there is a new list each time; from then on it is the same sample.
    assert calls["common_users"] == 20
    inits = [event for line in lines for event in line.heard() if isinstance(event, CommonInit)]
    assert len(inits) == 100
    assert [init.count for init in inits] == list(range(1, 101))
    for token, got in zip(back, inits, strict=True):
        assert got.self.token == token
        assert Who(got.self.id, got.self.name) in got.users
        assert got.resumed is (after is not None)
        assert got.messages[-1].message == "100"
    assert inits[50].common == inits[99].common
    for encode in (plain, deflating(12)):
        for got in inits:
            Batch([got]).encoded(encode)
    assert [len(piece._encoded) for piece in inits[99].common] == [1, 1]


def test_who_is_told_again_who_is_here_is_told_what_all_are() -> None:
    hall = Hall(crowd=4)
    lines = crowd(hall, 5)
    lines.pop().session.close(clean=True)
    lines.pop().session.close(clean=True)
    hall.turn()
    with counted("common_past", "common_users") as calls:
        hall.tick(1)
    assert calls == {"common_past": 1, "common_users": 1}
    first, *others = (line.init() for line in lines)
    assert isinstance(first, CommonInit)
    for init in others:
        assert isinstance(init, CommonInit)
        assert init.common == first.common


def test_tokens_are_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    signed = 0
    digest = hmac.digest

    def counting(*values: object) -> bytes:
        nonlocal signed
        signed += 1
        return digest(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(hmac, "digest", counting)
    ann, init = hall.enter(name="Ann")
    speak(hall, ann, "hi")
    ann.say(Join("dev"))
    hall.turn()
    assert [hall.enter(token=init.self.token)[1].self.token for _ in range(3)] == [
        init.self.token
    ] * 3
    assert signed == 1
    hall.start()
    assert hall.enter(token=init.self.token)[1].self == init.self
    assert signed == 2


# What is left.


def test_who_is_in_one_room_has_no_set_of_their_own() -> None:
    hall = Hall()
    ann, _ = hall.enter()
    room = hall.chat.rooms["lobby"]
    assert ann.session.rooms is ann.session.user.rooms is room.alone
    ann.say(Join("dev"))
    assert ann.session.rooms == ann.session.user.rooms == {"lobby", "dev"}
    ann.say(Exit("lobby"))
    assert ann.session.rooms == {"dev"}
    assert room.alone == {"lobby"}


def test_what_waited_leaves_nothing() -> None:
    hall = Hall()
    ann = hall.connect()
    ann.say(Talk("a"), Talk("b"))
    assert len(ann.session._waiting) == 2
    hall.turn()
    assert ann.session._waiting == ()
    ann.session.pause()
    ann.say(Talk("c"))
    ann.session.close(clean=True)
    assert ann.session._waiting == ()


def ours() -> Counter[str]:
    """Count the objects of the core, and the lines, that there are."""
    kinds = (sessions.Session, sessions.User, rooms.Room, rooms.Cursor, Batch, TokenBucket, Line)
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))


@contextmanager
def without_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("state", ["reading", "paused", "waiting", "ended", "lagging"])
def test_a_closed_session_is_gone_without_the_garbage_collector(state: str, clean: bool) -> None:
    hall = Hall(grace=1)
    ann, _ = hall.enter(name="Ann")
    speak(hall, ann, "0")
    with without_gc():
        before = ours()
        bob = hall.connect(name="Bob")
        if state != "waiting":
            hall.turn()
        bob.say(Talk("hi"), Bad("what?"), Join("dev"), Typing("dev"), Rename("Rob"))
        if state in ("paused", "lagging"):
            hall.turn()
            bob.session.pause()
            bob.say(Talk("ho"), Exit("dev"))
        if state == "lagging":
            speak(hall, ann, "1")
        if state == "ended":
            bob.say(*[Bad("what?")] * (sessions.PATIENCE + 1))
            assert bob.ended is not None
        bob.session.close(clean=clean)
        hall.tick(1)
        hall.tick(1)
        # Line and session know each other no longer.
        del bob
        ann.heard()
        assert ours() - before == Counter()
        assert list(hall.chat.users) == [1]
        assert list(hall.chat.rooms) == ["lobby"]


def test_messages_leave_nothing_to_the_garbage_collector() -> None:
    hall = Hall(rate=0)
    ann, bob = pair(hall)
    with without_gc():
        for n in range(50):
            ann.say(
                decode(b'{"event":"talk","data":{"message":"%d"}}' % n),
                decode(b'{"event":"ping","data":{}}'),
                decode(b"what?"),
                Typing(),
                Talk("again", nonce="n"),
                Rename(f"Ann{n}"),
                Join("dev"),
                Exit("dev"),
            )
            hall.turn()
            hall.now += 3
            for line in (ann, bob):
                for batch in line.batches:
                    Batch(batch).encoded(deflating(12))
                line.heard()
        assert gc.collect() == 0


def test_what_goes_by_is_not_tracked_by_the_garbage_collector() -> None:
    command = decode(b'{"event":"talk","data":{"message":"hi"}}')
    message = Message(1, "lobby", "hi", "text", Who(1, "Ann"), "", None)
    for thing in (command, message, message.sender):
        assert not gc.is_tracked(thing)
    assert isinstance(decode(b'{"event":"ping"}'), Ping)


def test_several_sessions_of_one_user_end_one_by_one() -> None:
    hall = Hall()
    ann, init = hall.enter(name="Ann")
    bob, _ = hall.enter(name="Bob")
    more = [hall.enter(token=init.self.token)[0] for _ in range(3)]
    assert hall.chat.users[1].sessions == [line.session for line in (ann, *more)]
    for line in (more[1], ann, more[2]):
        line.session.close(clean=True)
        hall.turn()
        assert bob.heard() == []
    more[0].session.close(clean=True)
    hall.turn()
    assert only(bob) == Exited("lobby", 1, "Ann")
