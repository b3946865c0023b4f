"""Socket.IO's ``/broadcast``: what one sends, everybody else gets."""

from __future__ import annotations

import json
from typing import Any

from tests.guests import Guest, GuestCase

PLACE = '{"_placeholder":true,"num":%d}'


class Relaying(GuestCase):
    def caller(self, version: int = 4) -> Guest:
        guest = self.connect(version)
        guest.packet("0/broadcast,")
        return guest

    def call(self, guest: Guest, *values: Any, id: int | str = "") -> None:
        guest.packet(f"2/broadcast,{id}{json.dumps(['serverMsg', *values])}")

    def test_everyone_else_gets_it(self) -> None:
        ann, bob, old = self.caller(), self.caller(), self.caller(3)
        values: list[Any] = [{"a": [1, 2.5, None, "é"]}, "b", True]
        self.call(ann, *values)
        self.call(old)
        assert bob.all("/broadcast") == [["clientMsg", *values], ["clientMsg"]]
        assert old.all("/broadcast") == [["clientMsg", *values]]
        assert ann.all("/broadcast") == [["clientMsg"]]

    def test_the_room_hears_nothing_of_it(self) -> None:
        eve, ann = self.guest(), self.guest()
        ann.packet("0/broadcast")
        bob = self.caller()
        self.call(bob, "hello")
        assert eve.names == ["init", "join"]
        assert ann.names == ["init"]
        assert ann.said("clientMsg", "/broadcast") == ["hello"]

    def test_binary_data(self) -> None:
        ann, bob = self.caller(), self.caller()
        event = f'["serverMsg",{{"b":[{PLACE % 1}]}},{PLACE % 0}]'
        ann.packet(f"52-/broadcast,7{event}", b"\1", bytes(1000))
        assert ann.answers == {7: []}
        told = f'["clientMsg",{{"b":[{PLACE % 0}]}},{PLACE % 1}]'
        assert bob.messages[1:] == [f"452-/broadcast,{told}", bytes(1000), b"\1"]

    def test_who_has_left_gets_nothing(self) -> None:
        ann, bob, eve = self.caller(), self.caller(), self.caller()
        bob.packet("1/broadcast,")
        eve.cut()
        self.call(ann, "hello")
        assert bob.all("/broadcast") == eve.all("/broadcast") == []

    def test_its_rate_is_that_of_talk(self) -> None:
        ann, bob = self.caller(), self.caller()
        for number in range(25):
            self.call(ann, number, id=number)
        self.call(ann, "again")
        assert bob.said("clientMsg", "/broadcast") == list(range(20))
        assert all(ann.answers[number] == [] for number in range(20))
        (error,) = ann.answers[20]
        assert (error["code"], error["event"]) == ("rate_limited", "serverMsg")
        assert 0 < error["retry_after"] <= 0.2
        assert [error["code"] for error in ann.said("error", "/broadcast")] == ["rate_limited"]
        self.settle(1)
        self.call(ann, "again")
        assert bob.said("clientMsg", "/broadcast")[-1] == "again"

    def test_what_cannot_be_passed_on(self) -> None:
        ann, bob = self.caller(), self.caller()
        for text in (
            '2/broadcast,["talk","hello"]',
            '2/broadcast,[1,"hello"]',
            r'2/broadcast,["serverMsg","\ud83d"]',
            '2/broadcast,["serverMsg",1e999]',
            f'2/broadcast,["serverMsg",{"[" * 900}{"]" * 900}]',
        ):
            ann.packet(text)
        ann.packet(f'51-/broadcast,["serverMsg",{PLACE % 1}]', b"\1")
        # Each of these would be sent to everybody.
        many = ",".join([PLACE % 0] * 12)
        ann.packet(f'51-/broadcast,["serverMsg",{many}]', bytes(60_000))
        errors = ann.said("error", "/broadcast")
        assert [error["code"] for error in errors] == ["bad_message"] * 7
        assert bob.all("/broadcast") == []
        for _ in range(50):
            ann.packet('2/broadcast,["talk"]')
        assert ann.texts[-1] == "41/broadcast,"
        assert ann.peer.code == 1008

    def test_who_does_not_read_misses_it(self) -> None:
        ann, bob = self.caller(), self.caller()
        ann.stall()
        self.call(bob, 1)
        ann.go_on()
        self.call(bob, 2)
        assert ann.said("clientMsg", "/broadcast") == [2]
