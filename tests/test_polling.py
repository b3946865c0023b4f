"""``/rooms/NAME/poll``: a room in pieces, in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address

from chatroom.events import encode
from chatroom.log import Outcome, Unavailable
from tests.listeners import SMALL, Listener, ListeningCase, Memory, path
from tests.rig import Peer

MUCH = int(os.environ.get("EXAMPLES", "100"))
DOES = 6 * ["say"] + 8 * ["poll"] + 3 * ["edit", "react", "lose", "settle", "wait"]
DOES += 2 * ["delete", "leave", "cut"] + ["topic", "forget"]
DEEDS = st.lists(st.tuples(st.sampled_from(DOES), st.integers(0, 9)), min_size=20, max_size=80)
UNHURRIED = settings(max_examples=MUCH, deadline=None, suppress_health_check=list(HealthCheck))


def names(listener: Listener) -> list[str]:
    """Return the names of the events in the answer."""
    return [event["event"] for event in listener.json["events"]]


class Someone:
    """Somebody who polls *room* as docs/sse.md says."""

    def __init__(self, case: ListeningCase, room: str = "lobby", **query: Any) -> None:
        self.case = case
        self.room = room
        self.query: dict[str, Any] = query
        self.memory = Memory()
        self.listener: Listener | None = None
        self.unseen = False

    def poll(self, wait: int = 25) -> Listener:
        """Ask for what is new, when `look` has been at what came before."""
        self.unseen = True
        self.listener = self.case.poll(self.room, listener=self.listener, **self.query, wait=wait)
        return self.listener

    @property
    def waits(self) -> bool:
        return self.listener is not None and not self.listener.status

    def look(self) -> list[str]:
        """Take note of the answer, which has come, and return what was in it."""
        assert self.listener is not None
        self.unseen = False
        answer = self.listener.json
        if self.listener.status == 503:
            return ["unavailable"]
        for event in answer["events"]:
            self.memory.hear(event["event"], event["data"])
        self.query |= {"after": answer["cursor"], "token": answer["token"]}
        return names(self.listener)

    def begin(self) -> None:
        """Poll for the first time."""
        self.poll()
        assert self.look() == ["init"]

    def cut(self) -> None:
        """Lose the connection."""
        if self.listener is not None:
            self.listener.transport.abortConnection()
            self.listener = None
            self.unseen = False


class PollTests(ListeningCase):
    def test_the_first_answer_comes_at_once(self) -> None:
        answer = self.poll("Tea", name="Ada")
        assert answer.status == 200
        assert answer.header("Content-Type") == "application/json"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("Content-Length") == str(len(answer.body))
        told = answer.json
        (init,) = told["events"]
        me = init["data"]["self"]
        assert init["event"] == "init"
        assert init["data"]["room"] == "Tea"
        assert me["name"] == "Ada"
        assert told["cursor"] == f"{self.log.epoch}-0"
        assert told["token"] == me["token"]

    def test_the_next_one_when_something_happens(self) -> None:
        peer = self.enter("/ws?name=Grace")
        someone = Someone(self, name="Ada")
        someone.begin()
        someone.poll()
        self.settle(24)
        assert someone.waits
        peer.talk("talk", message="hello")
        self.settle()
        assert someone.look() == ["talk"]
        assert someone.query["after"] == f"{self.log.epoch}-1"
        assert [message.message for message in someone.memory.messages] == ["hello"]

    def test_or_when_the_time_is_over(self) -> None:
        someone = Someone(self)
        someone.begin()
        for wait in (0, 1, 25, 55):
            someone.poll(wait)
            if wait:
                self.settle(wait - 0.5)
                assert someone.waits
            self.settle(0.5)
            assert someone.look() == []
        someone.query.pop("wait", None)
        listener = self.poll(listener=someone.listener, **someone.query)
        self.settle(24.5)
        assert not listener.status
        self.settle(0.5)
        assert listener.json["events"] == []

    def test_the_time_does_not_begin_before_the_room_has_said_where_one_is(self) -> None:
        go_on = self.hold()
        first, third = self.poll(wait=0), self.poll(after=0)
        second = self.poll("tea", after=0, wait=1)
        self.settle(5)
        assert not (first.status or second.status or third.status)
        go_on()
        assert names(first) == ["init", "join"]
        assert names(second) == ["init"]
        self.settle(9)
        assert not third.status

    def test_what_happens_as_one_comes_is_told_at_once(self) -> None:
        peer = self.enter()
        go_on = self.hold()
        answer = self.poll(after=0)
        peer.talk("talk", message="hello")
        self.settle()
        assert not answer.status
        go_on()
        assert names(answer) == ["init", "talk"]
        assert answer.json["events"][0]["data"]["resumed"]

    def hold(self) -> Callable[[], None]:
        """Have the log tell nothing until what is returned is called."""
        listener, held = self.log.listener, list[Outcome]()
        self.log.listener = held.extend

        def go_on() -> None:
            self.log.listener = listener
            listener(held)
            self.settle()

        return go_on

    def test_a_wait_that_is_none(self) -> None:
        for wait in ("56", "100", "-1", "1.5", "nan", "1e1", "٣", "1 "):
            refused = self.poll(wait=wait)
            assert (refused.status, refused.json["code"]) == (400, "bad_message")
        assert self.chat.users == {}

    def test_what_happened_between_two_polls_comes_at_once_with_the_next(self) -> None:
        peer = self.enter("/ws?name=Grace")
        someone = Someone(self, name="Ada")
        someone.begin()
        peer.talk("talk", message="one")
        self.settle()
        peer.talk("edit", of=1, message="two")
        self.settle()
        someone.poll()
        assert someone.look() == ["talk", "edit"]
        assert someone.memory.messages[0].message == "two"

    def test_who_came_between_two_polls_is_told_by_an_init(self) -> None:
        someone = Someone(self, name="Ada")
        someone.begin()
        self.enter("/ws?name=Grace")
        listener = someone.poll()
        assert someone.look() == ["init"]
        (init,) = listener.json["events"]
        assert init["data"]["resumed"]
        assert [user["name"] for user in init["data"]["users"]] == ["Ada", "Grace"]
        someone.poll()
        assert someone.waits

    def test_much_comes_in_more_than_one_answer(self) -> None:
        someone = Someone(self)
        someone.begin()
        for _ in range(6):
            peer = self.enter()
            for number in range(20):
                peer.talk("talk", message=str(number))
                self.settle(0.05)
        answers = 0
        while someone.memory.last < 120:
            someone.poll()
            someone.look()
            answers += 1
        assert answers == 3
        assert someone.memory.ids == list(range(1, 121))
        assert someone.memory.starts == 1

    def test_all_who_wait_are_told_what_was_encoded_once(self) -> None:
        peer = self.enter()
        waiting = [Someone(self) for _ in range(4)]
        for someone in waiting:
            someone.begin()
        for someone in waiting:
            someone.poll()
            if not someone.waits:
                # Others came.
                someone.look()
                someone.poll()
        assert all(someone.waits for someone in waiting)
        with mock.patch("chatroom.polling.encode", wraps=encode) as encoded:
            peer.talk("talk", message="hello")
            self.settle()
        assert encoded.call_count == 1
        assert [someone.look() for someone in waiting] == [["talk"]] * 4

    def test_an_error_is_called_error(self) -> None:
        self.enter("/ws?name=Ada")
        someone = Someone(self, name="ada")
        someone.begin()
        someone.poll()
        assert someone.look() == ["error"]
        someone.poll()
        assert someone.waits

    def test_http_1_0_has_a_connection_for_each_answer(self) -> None:
        listener = self.ask("/rooms/lobby/poll", version="1.0")
        assert listener.lost
        assert names(listener) == ["init"]

    def test_requests_that_come_at_once_are_answered_in_turn(self) -> None:
        someone = Someone(self)
        someone.begin()
        listener = someone.listener
        assert listener is not None
        again = path("lobby", "poll", {**someone.query, "wait": 0})
        asked = f"GET {again} HTTP/1.1\r\nHost: chat.example:8080\r\n\r\n".encode()
        listener.again()
        listener.transport.write(asked * 3)
        self.settle(0.5)
        assert listener.body.count(b'{"events":[]') == 3
        assert len(self.chat.users) == 1

    def test_head_asks_for_nothing(self) -> None:
        answer = self.ask("/rooms/lobby/poll", "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("Content-Type") == "application/json"
        assert self.chat.users == {}

    def test_what_is_refused(self) -> None:
        for refused, status, code in (
            (self.poll("."), 404, "bad_room"),
            (self.poll(after="nonsense"), 400, "bad_message"),
            (self.poll("@1-2"), 404, "no_such_user"),
            (self.ask("/rooms/lobby/poll", Accept="text/html"), 406, "bad_message"),
            (self.ask("/rooms/lobby/poll", Origin="https://foe.example"), 403, "forbidden"),
        ):
            assert (refused.status, refused.json["code"]) == (status, code)
        assert self.ask("/rooms/lobby/poll", "POST").status == 405
        assert self.chat.users == {}
        assert self.places.taken == 0

    def test_pages_of_listed_sites_may_poll(self) -> None:
        answer = self.ask("/rooms/lobby/poll", Origin="https://friend.example")
        assert answer.header("Access-Control-Allow-Origin") == "https://friend.example"
        assert names(answer) == ["init"]


class WhoTests(ListeningCase):
    def test_one_is_there_for_the_grace_time_after_a_poll(self) -> None:
        peer = self.enter("/ws?name=Grace")
        someone = Someone(self, name="Ada")
        someone.begin()
        for _ in range(2):
            self.settle(9.5)
            someone.poll(5)
            self.settle(5)
            assert someone.look() == []
        assert [event for event, _ in peer.events] == ["init", "join"]
        self.settle(9.5)
        assert not peer.said("exit")
        self.settle(1)
        (gone,) = peer.said("exit")
        assert gone["name"] == "Ada"
        assert [user.name.shown for user in self.chat.users.values()] == ["Grace"]

    def test_who_comes_back_later_is_the_same_and_misses_nothing(self) -> None:
        peer = self.enter("/ws?name=Grace")
        someone = Someone(self, name="Ada")
        someone.begin()
        self.settle(15)
        peer.talk("talk", message="hello")
        self.settle()
        someone.poll()
        assert someone.look() == ["init"]
        assert someone.memory.ids == [1]
        assert someone.memory.starts == 1
        assert [data["id"] for data in peer.said("join")] == [2, 2]

    def test_a_token_in_the_header(self) -> None:
        me = self.enter("/ws?name=Ada").said("init")[0]["self"]
        answer = self.ask("/rooms/lobby/poll", Authorization=f"Bearer {me['token']}")
        assert answer.json["token"] == me["token"]
        assert answer.json["events"][0]["data"]["self"] == me

    def test_who_sends_no_token_does_not_spin(self) -> None:
        cursor = self.poll().json["cursor"]
        for _ in range(3):
            answer = self.poll(after=cursor, wait=5)
            self.settle(4)
            assert not answer.status
            self.settle(1)
            (init,) = answer.json["events"]
            assert init["data"]["resumed"]
            assert answer.json["cursor"] == cursor

    def test_who_goes_on_as_another_is_told_what_they_missed(self) -> None:
        peer = self.enter()
        cursor = self.poll().json["cursor"]
        peer.talk("talk", message="hello")
        self.settle()
        (init,) = self.poll(after=cursor).json["events"]
        assert init["data"]["resumed"]
        assert [message["id"] for message in init["data"]["messages"]] == [1]

    def test_another_epoch_is_another_beginning(self) -> None:
        someone = Someone(self)
        someone.begin()
        token = someone.query["token"]
        for query in ({"after": "other-0"}, {"after": 0, "epoch": "other"}, {"after": 1}):
            (init,) = self.poll(token=token, **query).json["events"]
            assert not init["data"]["resumed"]
        for query in ({"after": 0}, {"after": 0, "epoch": self.log.epoch}):
            answer = self.poll(token=token, wait=1, **query)
            self.settle(1)
            assert answer.json["cursor"] == someone.query["after"]

    def test_two_tabs_of_one_user(self) -> None:
        peer = self.enter("/ws?name=Grace")
        one, two = Someone(self, name="Ada"), Someone(self)
        one.begin()
        two.query = dict(one.query)
        for number in range(1, 4):
            one.poll()
            two.poll()
            peer.talk("talk", message=str(number))
            self.settle()
            one.look()
            two.look()
            assert one.memory.ids == two.memory.ids == list(range(1, number + 1))
            # One of them can do what both could.
            assert self.places.taken == 2
        self.settle(11)
        assert [event for event, _ in peer.events] == [
            *("init", "join", "talk", "talk", "talk", "exit"),
        ]
        assert self.places.taken == 1


class LossTests(ListeningCase):
    def test_an_answer_that_is_lost_comes_again(self) -> None:
        peer = self.enter()
        someone = Someone(self)
        someone.begin()
        someone.poll()
        peer.talk("talk", message="hello")
        self.settle()
        assert not someone.waits
        someone.cut()
        someone.poll()
        assert someone.look() == ["init"]
        assert someone.memory.ids == [1]
        someone.poll()
        assert someone.waits

    def test_a_request_that_is_lost_may_come_again(self) -> None:
        peer = self.enter()
        someone = Someone(self)
        someone.begin()
        someone.poll()
        someone.cut()
        self.settle(5)
        peer.talk("talk", message="hello")
        self.settle()
        someone.poll()
        assert someone.look() == ["talk"]

    def test_who_is_lost_before_the_first_answer_leaves(self) -> None:
        listener = self.reach()
        with mock.patch.object(self.log, "listener"):
            # The log does not get to tell that they came.
            listener.transport.write(b"GET /rooms/tea/poll HTTP/1.1\r\nHost: x\r\n\r\n")
            self._pump()
            listener.transport.abortConnection()
            self._pump()
        assert len(self.chat.users) == 1
        self.settle(11)
        assert [user.sessions for user in self.chat.users.values()] in ([], [[]])
        assert self.places.taken == 0

    def test_who_is_too_far_behind_begins_afresh(self) -> None:
        with ExitStack() as stack:
            for limit in SMALL:
                stack.enter_context(limit)
            someone = Someone(self)
            someone.begin()
            peer = self.enter()
            for number in range(15):
                peer.talk("talk", message=str(number))
                self.settle()
            someone.poll()
            assert someone.look() == ["unavailable"]
            assert someone.listener is not None
            assert someone.listener.header("Retry-After") == "1"
            someone.poll()
            assert someone.look() == ["init"]
            assert someone.memory.starts == 2
            assert someone.memory.last == 15
            assert not peer.said("exit")

    def test_the_store_cannot_be_read(self) -> None:
        with mock.patch.object(self.log, "room", side_effect=Unavailable("no")):
            refused = self.poll("tea")
        assert (refused.status, refused.json["code"]) == (503, "unavailable")
        assert self.chat.users == {}
        assert self.places.taken == 0

    def test_a_stop_answers_all_and_forgets_those_between_two_polls(self) -> None:
        waits, rests = Someone(self), Someone(self, "tea")
        for someone in (waits, rests):
            someone.begin()
        waits.poll()
        self.polling.farewell()
        self.settle()
        assert waits.look() == ["unavailable"]
        assert rests.poll().status == 503
        retry = rests.listener.header("Retry-After") if rests.listener else None
        assert retry in ("1", "2", "3", "4", "5")
        self.settle(11)
        assert self.chat.users == {}
        assert self.places.taken == 0
        for someone in (waits, rests):
            someone.cut()
        self.settle(20)
        assert self.clock.getDelayedCalls() == []


class LimitTests(ListeningCase):
    connections = 2
    per_address = 1

    def test_who_polls_has_a_place_until_they_leave(self) -> None:
        def come(host: str, **query: object) -> Listener:
            address = IPv4Address("TCP", host, 50_000)
            return self.ask(path("lobby", "poll", query), address=address)

        one = come("192.0.2.1").json
        assert come("192.0.2.1").status == 429
        come("192.0.2.2")
        refused = come("192.0.2.3")
        assert (refused.status, refused.json["code"]) == (503, "unavailable")
        # Who has a place needs no other.
        answer = come("192.0.2.1", after=one["cursor"], token=one["token"], wait=1)
        self.settle(1)
        assert answer.status == 200
        self.settle(11)
        assert self.places.taken == 0
        assert come("192.0.2.3").status == 200


class PropertyTests(ListeningCase):
    """Who loses answers, requests and time sees each entry once and in order."""

    rooms = count()

    def live(self, deeds: list[tuple[str, int]]) -> tuple[Memory, Memory]:
        """Let a room and somebody do *deeds*; return what who is always there knows, and they."""
        room = f"room-{next(self.rooms)}"
        peer = self.enter(f"/ws?room={room}&name=speaker-{room}")
        someone = Someone(self, room)
        someone.begin()
        for what, how in deeds:
            answered = someone.unseen and not someone.waits
            match what:
                case "say":
                    peer.talk("talk", room=room, message=f"text {how}")
                case "edit":
                    peer.talk("edit", room=room, of=how, message=f"other text {how}")
                case "delete":
                    peer.talk("delete", room=room, of=how)
                case "react":
                    peer.talk("react", room=room, of=how, emoji="👍", on=how % 3 > 0)
                case "topic":
                    peer.talk("topic", room=room, topic=f"topic {how}")
                case "settle":
                    self.settle(how / 4)
                case "wait" | "leave":
                    # A reader that is always there would have to answer pings.
                    self.settle(how if what == "wait" else 2.5)
                case "poll":
                    if answered:
                        someone.look()
                    if not someone.waits:
                        someone.poll(how)
                case "lose" if answered:
                    someone.poll(how)
                case "cut":
                    someone.cut()
                case "forget" if answered:
                    someone.look()
                    someone.query.pop("token", None)
            self.alive(peer)
        stays = Memory()
        self.settle(10)
        if someone.unseen:
            someone.look()
        while someone.memory.last < self.last(room):
            someone.poll(0)
            self.settle(0.5)
            someone.look()
        for event, data in peer.events:
            stays.hear(event, data)
        someone.cut()
        peer.transport.loseConnection()
        self.settle()
        self.pumps.clear()
        return stays, someone.memory

    def alive(self, peer: Peer) -> None:
        """Let *peer* answer a ping, if there may have been one."""
        peer.frame(0x8A, b"")

    def last(self, room: str) -> int:
        known = self.log.room(room)
        return known.last if known else 0

    @UNHURRIED
    @given(deeds=DEEDS)
    def test_each_entry_once_and_in_order(self, deeds: list[tuple[str, int]]) -> None:
        stays, someone = self.live(deeds)
        assert someone.starts == 1
        assert someone.ids == stays.ids == list(range(1, stays.last + 1))
        assert someone.messages == stays.messages
        assert someone.topic == stays.topic

    @UNHURRIED
    @given(deeds=DEEDS)
    def test_who_was_away_for_too_long_begins_afresh(self, deeds: list[tuple[str, int]]) -> None:
        with ExitStack() as stack:
            for limit in SMALL:
                stack.enter_context(limit)
            stays, someone = self.live(deeds)
        assert someone.last == stays.last
        assert someone.topic == stays.topic
        shown: dict[int, Any] = {message.id: message for message in stays.messages}
        first = someone.messages[0].id if someone.messages else stays.last + 1
        assert someone.messages == [shown[id] for id in sorted(shown) if id >= first]
