"""Socket.IO: namespaces, and the room in the main one."""

from __future__ import annotations

import gc
import json
import random
import weakref
from typing import Any
from unittest.mock import patch

from chatroom.events import encode
from chatroom.log import Unavailable
from chatroom.socketio.connection import ENTRIES, PACKET, PATIENCE
from chatroom.socketio.room import HELD
from tests.guests import GuestCase

MESSAGE = {
    "id": 1,
    "room": "lobby",
    "message": "hello",
    "type": "text",
    "from": {"id": 1, "name": "Ann"},
    "time": "2001-09-09T01:46:40.250Z",
}


class Talking(GuestCase):
    def test_somebody_comes_and_talks(self) -> None:
        ann = self.guest(name="Ann")
        sid, pid = ann.welcome["sid"], ann.welcome["pid"]
        assert len(sid) == 20
        assert sid not in pid
        assert ann.texts[0].startswith("40{")
        (init,) = ann.said("init")
        assert init["self"]["name"] == "Ann"
        assert init["limits"]["message"] == 4000
        bob = self.guest(name="Bob")
        ann.talk("hello")
        assert ann.names == ["init", "join", "talk"]
        assert bob.said("talk") == ann.said("talk") == [MESSAGE]
        epoch = init["epoch"]
        assert ann.cursors == [f"{epoch}-0", None, f"{epoch}-1"]

    def test_an_answer_is_what_was_stored(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("hello", id=0, nonce="n")
        ann.talk("hello", id=7, nonce="n")
        assert ann.answers == {0: [{**MESSAGE, "nonce": "n"}], 7: [{**MESSAGE, "nonce": "n"}]}
        assert len(ann.said("talk")) == 1
        # Behind what all are told.
        assert [text[:2] for text in ann.texts] == ["40", "42", "42", "43", "43"]

    def test_an_answer_to_everything(self) -> None:
        ann = self.guest(name="Ann")
        ann.emit("join", {"room": "tea"}, id=1)
        ann.emit("exit", {"room": "tea"}, id=2)
        ann.emit("rename", {"name": "Anna"}, id=3)
        ann.emit("history", id=4)
        ann.emit("ping", {"a": 1}, id=5)
        ann.talk(" ", id=6, nonce="x")
        ann.emit("nonsense", {}, id=7)
        assert [ann.answers[id] for id in (1, 2, 3)] == [[], [], []]
        assert ann.answers[4] == [{"room": "lobby", "messages": [], "more": False, "newer": False}]
        assert ann.answers[5] == [{"a": 1}]
        # JavaScript's `undefined` is as good as nothing.
        ann.emit("mine", None, id=8)
        ann.emit("mine", id=9)
        assert ann.answers[8] == ann.answers[9] == [{"rooms": []}]
        (empty,), (bad,) = ann.answers[6], ann.answers[7]
        assert (empty["code"], empty["event"], empty["nonce"]) == ("empty", "talk", "x")
        assert bad["code"] == "bad_message"
        assert ann.said("error") == []
        assert ann.names == ["init", "init", "exit", "rename"]

    def test_without_an_answer_it_comes_as_an_event(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk(" ", nonce="x")
        ann.emit("ping", {"a": 1})
        ann.emit("talk", "hello")
        ann.emit("talk", {"message": "\ud83d"})
        ann.packet("2[5]")
        assert [error["code"] for error in ann.said("error")] == ["empty", *["bad_message"] * 3]
        assert ann.said("error")[0]["nonce"] == "x"
        assert [error.get("event") for error in ann.said("error")[1:]] == ["talk", "talk", None]
        assert ann.said("pong") == [{"a": 1}]
        assert not ann.peer.lost

    def test_a_message_said_again_moves_no_cursor(self) -> None:
        ann = self.guest(name="Ann")
        for number in range(3):
            ann.talk(f"{number}", nonce=f"{number}")
        ann.talk("0", nonce="0")
        *_, again = ann.all()
        assert (again[0], again[1]["id"]) == ("talk", 1)
        assert len(again) == 2
        assert ann.offset is not None
        assert ann.offset.endswith("-3")

    def test_the_rates_are_those_of_the_room(self) -> None:
        ann = self.guest()
        for number in range(25):
            ann.talk("hello", id=number)
        limited = [answer for (answer,) in ann.answers.values() if "code" in answer]
        assert {answer["code"] for answer in limited} == {"rate_limited"}
        assert all(answer["retry_after"] > 0 for answer in limited)
        assert len(limited) == 5

    def test_who_errs_on_and_on_is_sent_away_for_good(self) -> None:
        ann = self.guest()
        for _ in range(51):
            ann.emit("nonsense")
        assert ann.texts[-1] == "41"
        assert ann.peer.code == 1008

    def test_all_who_get_the_same_share_it(self) -> None:
        guests = [self.guest() for _ in range(4)]
        with patch("chatroom.socketio.packets.encode", wraps=encode) as encoding:
            guests[0].talk("hello", id=1)
        # Once for all, and once for the answer.
        assert encoding.call_count == 2
        assert all(len(guest.said("talk")) == 1 for guest in guests)


class Coming(GuestCase):
    def test_wishes_are_in_auth_or_in_the_query(self) -> None:
        one = self.connect(room="tea", name="One")
        one.packet("0")
        other = self.connect(room="milk", name="Other")
        other.packet('0{"room":"tea","after":0}')
        (first,), (second,) = one.said("init"), other.said("init")
        assert (first["room"], first["self"]["name"]) == ("tea", "One")
        assert (second["room"], second["self"]["name"]) == ("tea", "Other")

    def test_where_one_was_before(self) -> None:
        ann = self.guest(name="Ann")
        ann.talk("1")
        ann.talk("2")
        (init,) = ann.said("init")
        for after in ({"after": 1, "epoch": init["epoch"]}, {"after": f"{init['epoch']}-1"}):
            back = self.guest(token=init["self"]["token"], **after)
            (resumed,) = back.said("init")
            assert resumed["resumed"]
            assert [message["id"] for message in resumed["messages"]] == [2]
            assert resumed["self"]["id"] == 1
            # By these nobody knows what else they had.
            assert back.welcome["pid"] != ann.welcome["pid"]

    def test_a_wish_of_the_wrong_kind(self) -> None:
        wrong = {"room": {}, "name": ["x"], "token": True, "after": 2**80, "t": 5.5}
        for name, wish in wrong.items():
            guest = self.guest(**{name: wish})
            reason = {"code": "bad_message", "message": f"{name} is a text"}
            told = {"message": reason["message"], "data": reason}
            assert guest.texts == [f"44{json.dumps(told, separators=(',', ':'))}"]
        long = self.connect()
        long.packet(f'0{{"pid":"a:b:lobby","offset":{"9" * 5000},"t":{"9" * 5000}}}')
        assert long.peer.code == 1008
        assert self.chat.users == {}

    def test_a_room_that_there_can_not_be(self) -> None:
        guest = self.guest(room="a b")
        assert json.loads(guest.texts[0][2:])["data"]["code"] == "bad_room"
        assert not guest.peer.lost
        guest.packet('0{"room":"tea"}')
        assert guest.said("init")[0]["room"] == "tea"

    def test_a_name_that_is_taken(self) -> None:
        self.guest(name="Ann")
        ann = self.guest(name="Ann")
        assert ann.names == ["init", "error"]
        assert ann.said("error")[0]["code"] == "name_taken"

    def test_leaving_for_good_and_being_lost(self) -> None:
        ann, bob, eve = self.guest(name="Ann"), self.guest(name="Bob"), self.guest(name="Eve")
        bob.packet("1")
        assert [gone["name"] for gone in ann.said("exit")] == ["Bob"]
        bob.emit("talk", {"message": "still here?"})
        assert bob.peer.code == 1008
        eve.cut()
        assert len(ann.said("exit")) == 1
        self.settle(11)
        assert [gone["name"] for gone in ann.said("exit")] == ["Bob", "Eve"]

    def test_the_store_cannot_be_read(self) -> None:
        with patch.object(self.log, "new_user", side_effect=Unavailable("no")):
            guest = self.guest()
        # No packet: so a client comes back by itself.
        assert guest.texts == []
        assert guest.peer.code == 1013
        # The same if it does not read, or says something more.
        with patch.object(self.log, "new_user", side_effect=Unavailable("no")):
            guest = self.connect()
            guest.peer.frame(0x81, b"40")
            guest.peer.frame(0x81, b'42["ping"]')
            self.patch(guest.peer.server, "loseConnection", lambda: None)
            self.settle()
        guest.stall()
        guest.go_on()
        assert guest.texts == []
        assert guest.peer.code == 1013
        assert self.flushLoggedErrors() == []

    def test_who_goes_before_the_answer_has_said_it(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        bob.peer.frame(0x81, b'4213["talk",{"message":"bye"}]')
        for pump in self.pumps:
            pump.pump()
        bob.cut()
        assert [said["message"] for said in ann.said("talk")] == ["bye"]
        assert bob.answers == {}
        assert self.flushLoggedErrors() == []

    def test_who_is_gone_is_no_garbage(self) -> None:
        ann, bob = self.guest(), self.guest()
        ann.talk("hello", id=1)
        seats = [weakref.ref(self.seat(id)) for id in (1, 2)]
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        ann.cut()
        bob.packet("1")
        assert [seat() for seat in seats] == [None, None]

    def seat(self, id: int) -> object:
        """Return the seat of the user *id*."""
        send: Any = self.chat.users[id].sessions[0].send
        return send.__self__

    def test_what_comes_before_one_is_in_waits_but_not_all_of_it(self) -> None:
        ann = self.connect()
        flood = ["40", *[f'42{id}["ping"]' for id in range(HELD + 1)]]
        for text in flood[:-1]:
            ann.peer.frame(0x81, text.encode())
        self.settle()
        assert len(ann.answers) == HELD
        bob = self.connect()
        for text in flood:
            bob.peer.frame(0x81, text.encode())
        self.settle()
        assert bob.answers == {}
        assert bob.peer.code == 1013


class Slow(GuestCase):
    def test_who_does_not_read_is_given_it_later_with_its_cursors(self) -> None:
        ann, bob = self.guest(name="Ann"), self.guest(name="Bob")
        ann.stall()
        for number in range(3):
            bob.talk(f"{number}")
        self.guest(name="Eve")
        assert ann.said("talk") == []
        ann.go_on()
        assert ann.said("talk") == bob.said("talk")
        # There is somebody new, and who is here is told by another `init`.
        assert ann.names[-1] == "init"
        assert ann.all()[-1][1]["resumed"]
        *_, third, _ = ann.cursors
        assert third == ann.offset == bob.offset

    def test_what_one_asks_who_does_not_read_is_held_and_not_for_ever(self) -> None:
        ann = self.guest(name="Ann")
        ann.stall()
        for id in range(HELD):
            ann.emit("ping", id=id)
        assert ann.answers == {}
        ann.go_on()
        assert list(ann.answers) == list(range(HELD))
        ann.stall()
        for id in range(HELD + 1):
            ann.emit("ping", id=id)
        assert self.chat.users[1].sessions == []


class OlderClients(GuestCase):
    def test_they_are_in_the_room_without_asking(self) -> None:
        ann = self.connect(3, name="Ann", room="tea")
        assert ann.texts[0] == "40"
        assert ann.said("init")[0]["self"]["name"] == "Ann"
        ann.talk("hello", room="tea", id=0)
        assert ann.answers[0][0]["message"] == "hello"
        assert ann.cursors == [None, None]

    def test_a_namespace_with_a_query(self) -> None:
        ann = self.connect(3)
        ann.packet("0/broadcast?token=x,")
        ann.packet("0/random")
        assert ann.texts[2:] == ["40/broadcast,", '44/random,"Invalid namespace"']

    def test_a_refusal(self) -> None:
        ann = self.connect(3, room="a b")
        (refusal,) = ann.texts
        assert refusal.startswith('44{"code":"bad_room"')

    def test_new_and_old_in_one_room(self) -> None:
        old, new = self.connect(3, name="Old"), self.guest(name="New")
        for one in (old, new):
            one.talk("hello")
        assert old.said("talk") == new.said("talk")
        assert [talk["id"] for talk in new.said("talk")] == [1, 2]


class Namespaces(GuestCase):
    def test_there_is_no_such(self) -> None:
        ann = self.connect()
        ann.packet("0/random")
        assert ann.texts == ['44/random,{"message":"Invalid namespace"}']

    def test_who_enters_none_has_to_go(self) -> None:
        ann = self.connect()
        self.settle(PATIENCE - 1)
        assert ann.peer.code is None
        self.settle(2)
        assert ann.peer.code == 1008

    def test_who_has_left_all_has_to_go(self) -> None:
        ann = self.connect()
        ann.packet("0/broadcast")
        self.settle(PATIENCE - 1)
        ann.packet("1/broadcast,")
        self.settle(PATIENCE - 1)
        assert ann.peer.code is None
        self.settle(2)
        assert ann.peer.code == 1008

    def test_who_is_in_one_may_stay(self) -> None:
        ann = self.guest()
        self.settle(PATIENCE + 2)
        assert ann.peer.code is None

    def test_who_comes_and_goes_all_the_time_has_to_stay_away(self) -> None:
        ann, bob = self.connect(), self.guest()
        for _ in range(ENTRIES):
            ann.packet("0")
            ann.packet("1")
        assert len(bob.said("join")) == ENTRIES
        ann.packet("0/random")
        assert ann.peer.code == 1008
        eve = self.connect()
        for _ in range(ENTRIES):
            eve.packet("0")
            eve.packet("1")
        self.settle(11)
        eve.packet("0")
        assert len(eve.said("init")) == ENTRIES + 1

    def test_what_may_not_come(self) -> None:
        for before, text in (
            ((), '2["talk"]'),
            ((), "1"),
            (("0",), "0"),
            (("0",), '4{"message":"no"}'),
            (("0",), "2{}"),
            (("0",), '2["connect"]'),
            (("0",), '0/broadcast,["x"]'),
            (("0",), "nonsense"),
            (("0", '51-["talk",{"_placeholder":true,"num":0}]'), '2["talk"]'),
        ):
            ann = self.connect()
            for packet in before:
                ann.packet(packet)
            assert ann.peer.code is None
            ann.packet(text)
            assert ann.peer.code == 1008, text

    def test_whatever_comes_is_no_bug(self) -> None:
        chance = random.Random(7)
        heads = ["0", "1", "2", "3", "4", "51-", "52-", "61-", "2/broadcast,", "0/broadcast,", "27"]
        names = ["talk", "join", "exit", "serverMsg", "message", "rename", "ping", "search", 5]
        wishes = ["room", "name", "token", "after", "epoch", "pid", "offset", "recover", "t"]
        place = {"_placeholder": True, "num": 0}
        values: list[Any] = [None, True, -1, 2**60, 0.5, "", "a:b:c", "x-1", "é", [], {}, place]

        def data() -> dict[str, Any]:
            members = [*wishes, "message", "of", "query", "nonce", "id", "limit"]
            return {chance.choice(members): chance.choice(values) for _ in range(3)}

        def text() -> str:
            event = [chance.choice(names), *chance.choices([data(), *values], k=2)]
            payload = json.dumps(chance.choice([event, event, event, data(), "x"]))
            payload = payload[: chance.choice([None, None, None, None, -1, 0])]
            return chance.choice(heads) + payload

        ends = set()
        for _ in range(80):
            guest = self.connect(chance.choice([3, 4]), name="x")
            guest.packet(chance.choice(["0", "0/broadcast", "0" + json.dumps(data())]))
            while guest.peer.code is None and chance.random() < 0.9:
                if chance.random() < 0.2:
                    guest.peer.frame(0x82, b"\1")
                guest.packet(text())
            ends.add(guest.peer.code)
            guest.cut()
        # Theirs are the faults, and never ours.
        assert ends == {None, 1008}
        assert self.flushLoggedErrors() == []

    def test_binary_data_that_belongs_to_nothing(self) -> None:
        ann = self.guest()
        ann.peer.frame(0x82, b"\1")
        self.settle()
        assert ann.peer.code == 1008

    def test_too_much_binary_data(self) -> None:
        ann = self.guest()
        half = bytes(PACKET // 2)
        ann.packet('52-["nonsense"]', half, half)
        assert ann.said("error")[0]["code"] == "bad_message"
        ann.packet('53-["nonsense"]', half, half, b"\1")
        assert ann.peer.code == 1009

    def test_an_answer_to_nothing_is_nothing(self) -> None:
        ann = self.guest()
        ann.packet("37[]")
        ann.talk("hello")
        assert len(ann.said("talk")) == 1
