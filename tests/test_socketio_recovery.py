"""Socket.IO's connection state recovery: what was missed comes, once, or nobody says so."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from chatroom.chat import Chat
from chatroom.events import encode, parse_cursor
from chatroom.room import RESUME
from chatroom.socketio import recovery
from tests.guests import Guest, GuestCase


def ids(guest: Guest) -> list[int]:
    """Return the ids of the entries that came one by one."""
    return [data["id"] for name, data, *_ in guest.all() if name in ("talk", "edit", "delete")]


class Recovering(GuestCase):
    def assert_recovered(self, guest: Guest, before: Guest) -> None:
        assert guest.welcome == before.welcome
        assert "init" not in guest.names

    def test_what_was_missed_comes_as_it_came_to_others(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.talk("1")
        ann.cut()
        bob.talk("2")
        bob.emit("edit", {"of": 1, "message": "one"})
        bob.emit("edit", {"of": 2, "message": "two"})
        bob.talk("4")
        back = self.again(ann)
        self.assert_recovered(back, ann)
        assert back.names == ["talk", "edit", "talk", "users"]
        two, edited, four = back.all()[:3]
        assert (two[1]["message"], two[1]["changed"]) == ("two", 3)
        assert edited == next(event for event in bob.all() if event[0] == "edit")
        assert four == [event for event in bob.all() if event[0] == "talk"][-1]
        # It goes on.
        bob.talk("5")
        assert ids(back) == [2, 3, 4, 5]

    def test_who_is_here(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.cut()
        bob.packet("1")
        self.guest(name="Eve")
        back = self.again(ann)
        (users,) = back.said("users")
        assert users["room"] == "lobby"
        assert users["count"] == 2
        assert sorted(user["name"] for user in users["users"]) == ["Ann", "Eve"]

    def test_how_far_one_has_read(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("1")
        ann.emit("read", {"id": 1})
        ann.cut()
        assert self.again(ann).said("read") == [{"room": "lobby", "id": 1}]

    def test_nothing_was_missed(self) -> None:
        ann = self.guest(name="Ann")
        ann.cut()
        back = self.again(ann)
        self.assert_recovered(back, ann)
        assert back.names == ["users"]
        assert back.offset is None

    def test_a_second_time_with_nothing_in_between(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        kept = {"pid": ann.welcome["pid"], "offset": ann.offset}
        for number in range(3):
            ann.cut()
            ann = self.guest(**kept)
            assert ann.welcome["pid"] == kept["pid"]
            assert ann.names == ["users"], number
        ann.cut()
        bob.talk("hello")
        ann = self.guest(**kept)
        assert ids(ann) == [1]

    def test_who_has_not_even_had_an_init_gets_it(self) -> None:
        ann = self.guest(name="Ann")
        ann.cut()
        self.guest().talk("hello")
        back = self.guest(pid=ann.welcome["pid"])
        assert back.welcome == ann.welcome
        (init,) = back.said("init")
        assert [message["id"] for message in init["messages"]] == [1]
        assert init["self"]["id"] == 1

    def test_without_a_token_one_is_the_same_all_the_same(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("1")
        ann.cut()
        self.settle(60)
        back = self.again(ann)
        self.assert_recovered(back, ann)
        back.talk("2")
        assert back.said("talk")[0]["from"] == {"id": 1, "name": "Ann"}

    def test_over_a_restart(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("1")
        bob = self.guest(name="Bob")
        bob.talk("2")
        ann.cut()
        bob.cut()
        self.chat = Chat(self.log, self.clock.seconds, lambda: 1_000_000_000.25)
        self.open()
        bob = self.again(bob)
        self.assert_recovered(bob, bob)
        bob.talk("3")
        back = self.again(ann)
        self.assert_recovered(back, ann)
        assert ids(back) == [3]

    def test_what_all_have_missed_is_encoded_once(self) -> None:
        guests = [self.guest() for _ in range(5)]
        bob = self.guest()
        for guest in guests:
            guest.cut()
        bob.talk("hello")
        with patch("chatroom.socketio.packets.encode", wraps=encode) as encoding:
            back = [self.again(guest) for guest in guests]
        assert encoding.call_count == 1
        assert all(ids(guest) == [1] for guest in back)

    def test_half_way_through_what_was_missed(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.talk("1")
        ann.cut()
        for number in range(2, 7):
            bob.talk(f"{number}")
        back = self.again(ann)
        cursors = [cursor for cursor in back.cursors if cursor]
        for had, cursor in enumerate(cursors):
            again = self.guest(pid=ann.welcome["pid"], offset=cursor)
            assert ids(again) == list(range(3 + had, 7))

    def test_at_random_nothing_is_missed_or_said_twice(self) -> None:
        chance = random.Random(5)
        bob = self.guest(name="Bob")
        ann = self.guest(name="Ann")
        kept: dict[str, Any] = {"pid": ann.welcome["pid"], "offset": ann.offset}
        heard: list[int] = []
        said = 0
        for _ in range(60):
            for _ in range(chance.randrange(4)):
                self.settle(0.3)
                bob.talk(f"{said}")
                said += 1
            # What came last may be lost on its way, as far as it is not.
            events = [event for event in ann.all() if event[0] == "talk"]
            events = events[: chance.randint(0, len(events))]
            heard += [event[1]["id"] for event in events]
            if events:
                kept["offset"] = events[-1][2]
            ann.cut()
            ann = self.guest(**kept)
            assert ann.welcome["pid"] == kept["pid"]
        heard += ids(ann)
        assert heard == list(range(1, said + 1))


class NotRecovering(GuestCase):
    def assert_afresh(self, guest: Guest, before: Guest) -> None:
        assert guest.welcome["pid"] != before.welcome["pid"]
        assert guest.welcome["sid"] != before.welcome["sid"]
        assert guest.names[0] == "init"
        assert not guest.said("init")[0]["resumed"]

    def test_too_much_was_missed(self) -> None:
        self.chat.limits = replace(self.chat.limits, rate=0.0)
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.cut()
        for _ in range(RESUME + 1):
            bob.talk("hello")
        back = self.again(ann)
        self.assert_afresh(back, ann)
        assert back.said("init")[0]["last"] == RESUME + 1

    def test_in_several_rooms(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.emit("join", {"room": "tea"})
        bob.talk("hello")
        assert ann.cursors[-2:] == ["", ""]
        # For good.
        ann.emit("exit", {"room": "tea"})
        bob.talk("hello")
        assert ann.offset == ""
        ann.cut()
        back = self.again(ann)
        self.assert_afresh(back, ann)
        assert back.said("init")[0]["self"]["id"] == 1
        bob.talk("again")
        assert back.offset
        back.cut()
        assert self.again(back).welcome == back.welcome

    def test_in_no_room(self) -> None:
        ann = self.guest(name="Ann")
        ann.emit("exit", {"room": "lobby"})
        assert ann.offset == ""
        ann.cut()
        self.assert_afresh(self.again(ann), ann)

    def test_entering_the_same_room_again_is_nothing(self) -> None:
        ann = self.guest(name="Ann")
        ann.emit("join", {"room": "Lobby"})
        ann.talk("hello")
        assert ann.offset is not None
        ann.cut()
        assert self.again(ann).welcome == ann.welcome

    def test_another_room(self) -> None:
        ann = self.guest(name="Ann")
        ann.cut()
        back = self.again(ann, room="tea")
        self.assert_afresh(back, ann)
        assert back.said("init")[0]["room"] == "tea"
        assert back.said("init")[0]["self"]["id"] == 1

    def test_another_user(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.cut()
        back = self.again(ann, token=bob.said("init")[0]["self"]["token"])
        self.assert_afresh(back, ann)
        assert back.said("init")[0]["self"]["name"] == "Bob"

    def test_a_cut_before_the_first_init_of_another_past(self) -> None:
        for other in ("room", "token"):
            for room in ("lobby", "tea"):
                self.guest().talk("hello", room=room)
            ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
            token = bob.said("init")[0]["self"]["token"]
            wish: dict[str, Any] = {"room": "tea"} if other == "room" else {"token": token}
            ann.cut()
            # Of this the client has had no more than that it is let in; it keeps its offset.
            cut = self.guest(pid=ann.welcome["pid"], offset=ann.offset, **wish)
            cut.cut()
            back = self.guest(pid=cut.welcome["pid"], offset=ann.offset, **wish)
            assert back.names[0] == "init"
            # By now it has had it.
            back.cut()
            again = self.guest(pid=back.welcome["pid"], offset=back.offset, **wish)
            assert again.welcome == back.welcome
            self.settle(20)

    def test_an_offset_that_is_the_same_in_another_past(self) -> None:
        # At once in the new room, and only when something was said there.
        for behind in (0, 1):
            one, two = f"one{behind}", f"two{behind}"
            for room, count in ((one, 3), (two, 3 - behind)):
                for number in range(count):
                    self.guest(room=room).talk(f"{number}", room=room)
            ann, bob = self.guest(room=one), self.guest(room=two)
            had = ann.offset
            ann.cut()
            back = self.again(ann, room=two)
            self.assert_afresh(back, ann)
            if behind:
                bob.talk("now it is the same", room=two)
            assert had != back.offset
            assert parse_cursor(back.offset or "") == parse_cursor(had or "")
            back.cut()
            bob.talk("missed", room=two)
            again = self.again(back, room=two)
            assert (again.welcome, again.names) == (back.welcome, ["talk", "users"])
            # And back, from an offset that is spelled otherwise.
            again.cut()
            self.guest(room=one).talk("the same again", room=one)
            other = self.again(again, room=one)
            self.assert_afresh(other, again)
            assert parse_cursor(other.offset or "") == parse_cursor(again.offset or "")
            other.cut()
            last = self.again(other, room=one)
            assert (last.welcome, last.names) == (other.welcome, ["users"])

    def test_who_was_somebody_else_in_between(self) -> None:
        self.guest().talk("hello")
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        tokens = [guest.said("init")[0]["self"]["token"] for guest in (ann, bob)]
        for number in range(1, 7):
            ann.cut()
            token = tokens[number % 2]
            back = self.again(ann, token=token)
            self.assert_afresh(back, ann)
            back.cut()
            # With nothing said since, and then with something.
            again = self.again(back, token=token)
            assert (again.welcome, again.names) == (back.welcome, ["users"])
            again.cut()
            bob.talk("missed")
            kept = {"pid": back.welcome["pid"], "offset": back.offset}
            ann = self.guest(**kept, token=token)
            assert (ann.welcome, ann.names) == (back.welcome, ["talk", "users"])

    def test_another_store(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("1")
        ann.cut()
        self.log.epoch = "0123456789abcdef"
        self.chat = Chat(self.log, self.clock.seconds, lambda: 1_000_000_000.25)
        self.open()
        self.assert_afresh(self.again(ann), ann)

    def test_what_is_not_ours(self) -> None:
        ann = self.guest(name="Ann")
        ann.cut()
        pid, offset = ann.welcome["pid"], ann.offset
        token, salt, room, had = pid.split(":")
        assert had == ""
        wrong: list[dict[str, Any]] = [
            {"pid": "x", "offset": offset},
            {"pid": None, "offset": offset},
            {"pid": {}, "offset": offset},
            {"pid": f"{token}:{salt}:{room}", "offset": offset},
            {"pid": f"{token[:-2]}xx:{salt}:{room}:", "offset": offset},
            {"pid": f"{token}:{salt}:a b:", "offset": offset},
            {"pid": pid, "offset": "x"},
            {"pid": pid, "offset": 5},
            {"pid": pid, "offset": f"{offset}9"},
        ]
        for kept in wrong:
            self.assert_afresh(self.guest(**kept), ann)

    def test_by_another_salt_one_has_another_id_of_ones_own(self) -> None:
        ann = self.guest(name="Ann")
        token, _, room, _ = ann.welcome["pid"].split(":")
        forged = self.guest(pid=f"{token}:x:{room}:", offset=ann.offset)
        assert forged.welcome["sid"] != ann.welcome["sid"]
        assert forged.said("users")[0]["count"] == 1

    def test_who_does_not_want_it(self) -> None:
        for wish in (False, 0, "0", "false"):
            ann = self.guest(recover=wish)
            assert list(ann.welcome) == ["sid"]
            ann.talk("hello")
            assert ann.cursors == [None] * len(ann.cursors)

    def test_python_gets_no_more_than_it_asks_for(self) -> None:
        ann = self.connect(t="1718000000.1234")
        ann.packet("0{}")
        assert list(ann.welcome) == ["sid"]
        assert ann.cursors == [None]
        bob = self.connect(t="1718000000.1234")
        bob.packet('0{"recover":true}')
        assert bob.offset is not None
        # A time stamp of JavaScript's.
        eve = self.connect(t="lq0k2f8.0")
        eve.packet("0")
        assert eve.offset is not None


def test_what_is_kept_is_all_there_is() -> None:
    past = recovery.begin("AAAA", "Tea", "")
    assert recovery.parse(past.pid) == past
    assert past.sid == recovery.Past(*past.pid.split(":")).sid
    assert past.sid != recovery.begin("AAAA", "Tea", "").sid
