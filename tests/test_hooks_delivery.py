"""Outgoing hooks, without a network: in order, at least once, and for as long as it takes."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from chatroom.chat import Chat
from chatroom.commands import Delete, Edit, React, SetTopic, Talk
from chatroom.events import Error, Event, cursor
from chatroom.hooks.delivery import CHUNK, Delivery
from chatroom.hooks.file import Outgoing, State
from chatroom.hooks.posting import Answer
from chatroom.log import Unavailable
from chatroom.memory import MemoryLog

NEW = State()
WELL = Answer()
FAILED = Answer("the answer is 500")


class DeliveryCase(TestCase):
    """A test that has a room, a hook of it, and is the receiver."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.log = MemoryLog(lambda call: self.clock.callLater(0, call))
        self.chat = Chat(self.log, self.clock.seconds, lambda: 1_000_000_000.25, rate=0)
        self.ann = self.chat.introduce("Ann").token
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.waiting: list[Deferred[Answer]] = []
        """Posts that the receiver has not answered yet, …"""
        self.cancelled: list[Deferred[Answer]] = []
        """… and those that it need not answer any more."""
        self.states: list[State] = []
        self.random = 1.0
        self.logged: list[Any] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def begin(self, state: State = NEW) -> Delivery:
        """Have the hook, that has come as far as *state*."""
        hook = Outgoing("hook", "Lobby", "https://a.example/", False, b"key", state)
        delivery = Delivery(hook, self.chat, self.clock, self.post, self.note, lambda: self.random)
        self.settle()
        return delivery

    def post(self, id: str, body: bytes) -> Deferred[Answer]:
        self.posts.append((id, json.loads(body)))
        answer: Deferred[Answer] = Deferred(self.cancelled.append)
        self.waiting.append(answer)
        return answer

    def note(self, id: str, state: State) -> None:
        self.assertEqual(id, "hook")
        self.states.append(state)

    def ask(self, command: Any) -> None:
        told: list[Event | None] = []
        self.chat.ask(command, told.append, token=self.ann)
        self.settle()
        self.assertFalse(isinstance(told[0], Error), told)

    def say(self, *texts: str, room: str = "lobby") -> None:
        """Have Ann say *texts*."""
        for text in texts:
            self.ask(Talk(text, room=room))

    def settle(self, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        for _ in range(4):
            self.clock.advance(0)

    def answer(self, answer: Answer = WELL) -> None:
        """Answer the post that waits: there is only ever one."""
        (waiting,) = self.waiting
        self.waiting.clear()
        waiting.callback(answer)
        self.settle()

    def drain(self) -> None:
        """Answer all that comes."""
        while self.waiting:
            self.answer()

    @property
    def texts(self) -> list[str]:
        """What has been posted, as often as it was."""
        return [posted["data"].get("message") for _, posted in self.posts]

    def lines(self) -> list[str]:
        """Return what has been logged."""
        return [event["log_format"].format(**event) for event in self.logged]


class Handing(DeliveryCase):
    def test_in_order_one_at_a_time(self) -> None:
        self.begin()
        self.say("1", "2", "3")
        self.assertEqual(self.texts, ["1"])
        self.answer()
        self.assertEqual(self.texts, ["1", "2"])
        self.drain()
        self.assertEqual(self.texts, ["1", "2", "3"])
        ids = [id for id, _ in self.posts]
        self.assertEqual(ids, [f"hook-{self.log.epoch}-{number}" for number in (1, 2, 3)])
        self.assertEqual(self.states[-1], State(cursor(self.log.epoch, 3)))
        self.assertEqual(self.lines(), [])

    def test_as_on_the_wire(self) -> None:
        self.begin()
        self.say("hello")
        (message,) = self.log.before("lobby", 10, 1)
        ((_, posted),) = self.posts
        self.assertEqual(
            posted,
            {
                "event": "talk",
                "data": {
                    "id": 1,
                    "room": "lobby",
                    "message": "hello",
                    "type": "text",
                    "from": {"id": message.sender.id, "name": "Ann"},
                    "time": "2001-09-09T01:46:40.250Z",
                },
            },
        )

    def test_entries_of_all_kinds(self) -> None:
        self.begin()
        self.say("hello")
        self.drain()
        self.ask(Edit(1, "hi"))
        self.ask(React(1, "👍"))
        self.ask(SetTopic("tea"))
        self.ask(Delete(1))
        self.drain()
        kinds = [posted["event"] for _, posted in self.posts]
        self.assertEqual(kinds, ["talk", "edit", "react", "topic", "delete"])

    def test_only_of_its_room(self) -> None:
        self.begin()
        self.say("no", room="tea")
        self.say("yes")
        self.assertEqual(self.texts, ["yes"])

    def test_from_now_on(self) -> None:
        self.say("before")
        self.begin()
        self.assertEqual(self.states, [State(cursor(self.log.epoch, 1))])
        self.say("after")
        self.assertEqual(self.texts, ["after"])

    def test_much_that_came_meanwhile(self) -> None:
        self.begin()
        texts = [str(number) for number in range(3 * CHUNK)]
        self.say(*texts)
        self.drain()
        self.assertEqual(self.texts, texts)

    def test_the_one_who_speaks_waits_for_nobody(self) -> None:
        self.begin()
        # What a slow receiver does not take is kept by nobody but the log.
        self.say(*(str(number) for number in range(1000)))
        self.assertEqual(len(self.posts), 1)
        self.assertEqual(self.log.room("lobby").last, 1000)  # type: ignore[union-attr]


class Failing(DeliveryCase):
    def test_tried_again_with_the_same_id(self) -> None:
        self.begin()
        self.say("1", "2")
        self.answer(FAILED)
        self.assertEqual(self.texts, ["1"])
        self.settle(1)
        self.answer()
        self.drain()
        self.assertEqual(self.texts, ["1", "1", "2"])
        self.assertEqual(self.posts[0], self.posts[1])

    def test_longer_and_longer_up_to_an_hour(self) -> None:
        waits = []
        self.begin()
        self.say("x")
        for _ in range(15):
            self.answer(FAILED)
            begun = self.clock.seconds()
            while not self.waiting:
                self.settle(0.25)
            waits.append(self.clock.seconds() - begun)
        self.assertEqual(waits[:13], [2.0**number for number in range(12)] + [3600.0])
        self.assertEqual(waits[13:], [3600.0] * 2)
        self.answer()
        self.say("y")
        self.answer(FAILED)
        self.settle(1)
        self.assertEqual(self.texts[-2:], ["y", "y"])

    def test_not_all_at_the_same_time(self) -> None:
        self.random = 0.0
        self.begin()
        self.say("x")
        for wait in (0.5, 1, 2):
            self.answer(FAILED)
            self.settle(wait - 0.01)
            self.assertEqual(self.waiting, [])
            self.settle(0.01)

    def test_when_the_receiver_wishes(self) -> None:
        self.begin()
        self.say("x")
        self.answer(Answer("the answer is 503", retry=90.0))
        self.settle(89)
        self.assertEqual(self.waiting, [])
        self.settle(1)
        self.answer(Answer("the answer is 503", retry=1e9))
        self.settle(3600)
        self.assertEqual(len(self.waiting), 1)

    def test_one_line_when_it_begins_and_one_when_it_ends(self) -> None:
        self.begin()
        self.say("secret words")
        for answer in (FAILED, FAILED, Answer("the connection is refused")):
            self.answer(answer)
            self.settle(3600)
        self.assertEqual(
            self.states[-2:],
            [
                State(cursor(self.log.epoch, 0), "the answer is 500"),
                State(cursor(self.log.epoch, 0), "the connection is refused"),
            ],
        )
        self.answer()
        self.say("more")
        self.drain()
        self.assertEqual(
            self.lines(),
            ["hook hook fails, and is tried again: the answer is 500", "hook hook works again"],
        )
        self.assertEqual(self.states[-1], State(cursor(self.log.epoch, 2)))

    def test_what_was_taken_back_meanwhile_is_not_told(self) -> None:
        self.begin()
        self.say("regretted")
        self.answer(FAILED)
        self.ask(Delete(1))
        self.settle(1)
        self.drain()
        (_, first), (_, second), (_, third) = self.posts
        self.assertEqual(first["data"]["message"], "regretted")
        self.assertEqual((second["data"]["message"], second["data"]["deleted"]), ("", True))
        self.assertEqual(third["event"], "delete")

    def test_gone(self) -> None:
        self.begin()
        self.say("1", "2")
        self.answer(Answer("the answer is 410", gone=True))
        self.say("3")
        self.settle(7200)
        self.assertEqual(self.texts, ["1"])
        self.assertEqual(self.lines(), ["hook hook has ended: the answer is 410"])
        ended = self.states[-1]
        self.assertEqual(ended, State(cursor(self.log.epoch, 0), "the answer is 410", True))
        # So it is after a restart.
        self.begin(ended)
        self.say("4")
        self.assertEqual(self.texts, ["1"])

    def test_a_store_that_cannot_be_read(self) -> None:
        with mock.patch.object(self.log, "room", side_effect=Unavailable("why")):
            self.begin()
            self.settle(1)
        self.say("before")
        self.settle(2)
        self.say("1", "2")
        with mock.patch.object(self.log, "since", side_effect=Unavailable("why")):
            self.answer()
            self.settle(1)
        self.assertEqual(self.texts, ["1"])
        self.settle(2)
        self.assertEqual(self.texts, ["1", "2"])

    def test_a_bug_is_told(self) -> None:
        self.begin()
        with mock.patch.object(self.log, "since", side_effect=ZeroDivisionError):
            self.say("x")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("a bug in hook hook", self.lines())


class Stopping(DeliveryCase):
    def test_goes_on_where_it_was(self) -> None:
        delivery = self.begin()
        self.say("1", "2", "3")
        self.answer()
        delivery.stop()
        self.assertEqual(self.cancelled, self.waiting)
        self.waiting.clear()
        self.say("4")
        self.assertEqual(self.texts, ["1", "2"])
        self.begin(self.states[-1])
        self.drain()
        self.assertEqual(self.texts, ["1", "2", "2", "3", "4"])
        self.assertEqual(self.posts[1], self.posts[2])

    def test_while_it_waits(self) -> None:
        for failing in (False, True):
            delivery = self.begin()
            if failing:
                self.say("x")
                self.answer(FAILED)
            delivery.stop()
            self.posts.clear()
            self.say("y")
            self.settle(3600)
            self.assertEqual(self.posts, [])
            self.assertEqual(self.chat._followers["lobby"], [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_given_up_has_not_failed(self) -> None:
        # As a connection ends that is closed while something is posted by it.
        posted: Deferred[Answer] = Deferred(lambda waiting: waiting.callback(FAILED))
        self.patch(self, "post", lambda id, body: posted)
        delivery = self.begin()
        self.say("x")
        before = self.states[:]
        delivery.stop()
        self.settle(7200)
        self.assertTrue(posted.called)
        self.assertEqual(self.states, before)
        self.assertEqual(self.lines(), [])

    def test_just_when_there_is_news(self) -> None:
        delivery = self.begin()
        self.chat.ask(Talk("x"), lambda event: delivery.stop(), token=self.ann)
        self.settle()
        self.assertEqual(self.posts, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_another_store(self) -> None:
        self.say("1", "2")
        self.begin(State("other-1"))
        self.say("3")
        self.assertEqual(self.texts, ["3"])
        self.assertEqual(
            self.lines(),
            ["hook hook begins with what is said from now on: the store is another one"],
        )
