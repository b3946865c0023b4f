"""Outgoing hooks as a whole, over a network in memory: begun, ended, and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import TestCase
from twisted.web.server import NOT_DONE_YET, Site

from chatroom.answers import Origins
from chatroom.chat import Chat
from chatroom.commands import Talk
from chatroom.events import cursor
from chatroom.hooks import Hooks, beside
from chatroom.hooks.file import HooksFile, Outgoing, State, new_id
from chatroom.hooks.signing import new_key
from chatroom.memory import MemoryLog
from chatroom.names import BadName
from tests.test_hooks import at_once
from tests.test_hooks_posting import PUBLIC, Book, Net


class Outgoings(TestCase):
    def setUp(self) -> None:
        self.book = Book()
        self.net = Net({"a.example": [PUBLIC]}, {})
        self.net.sites[PUBLIC] = Site(self.book, reactor=self.net)
        self.log = MemoryLog(lambda call: self.net.callLater(0, call))
        self.chat = Chat(self.log, self.net.seconds, lambda: 1_000_000_000.25, rate=0)
        self.ann = self.chat.introduce("Ann").token
        self.path = beside(Path(self.enterContext(TemporaryDirectory())) / "chatroom.sqlite")
        self.others = HooksFile(self.path)
        self.addCleanup(self.others.close)
        self.begin()
        self.addCleanup(lambda: self.successResultOf(self.hooks.stop()))

    def begin(self) -> None:
        """Have the hooks, as at a start."""
        self.hooks = Hooks(self.path, self.chat, self.net, Origins([]), run=at_once)
        self.hooks.start()
        self.net.settle()

    def add(self, room: str = "lobby", path: str = "") -> str:
        """Add a hook as `chatroom-admin` does, and return its id when that has been noticed."""
        hook = Outgoing(new_id(), room, f"http://a.example/{path}", False, new_key())
        self.others.add(hook)
        self.net.settle(1)
        return hook.id

    def say(self, *texts: str, room: str = "lobby") -> None:
        for text in texts:
            self.chat.ask(Talk(text, room=room), lambda event: None, token=self.ann)
            self.net.settle()

    @property
    def posted(self) -> list[str]:
        """The texts that the receiver got, as often as it did."""
        return [json.loads(body)["data"]["message"] for _, body in self.book.requests]

    def state(self) -> State:
        """Return how far the only hook has come, by the file."""
        (hook,) = self.others.hooks()
        assert isinstance(hook, Outgoing)
        return hook.state

    def test_begun_and_ended_while_it_runs(self) -> None:
        self.say("too early")
        id = self.add()
        self.say("1", "2")
        self.assertEqual(self.posted, ["1", "2"])
        self.assertEqual(self.state(), State(cursor(self.log.epoch, 3)))
        self.assertTrue(self.others.remove(id))
        self.net.settle(1)
        self.assertTrue(all(client.disconnecting for client in self.net.clients))
        self.say("too late")
        self.assertEqual(self.posted, ["1", "2"])

    def test_several(self) -> None:
        self.add(path="a")
        self.add(path="b")
        self.add(path="c", room="tea")
        self.say("x")
        paths = sorted(self.book.paths)
        self.assertEqual(paths, [b"POST /a", b"POST /b"])
        keys = {headers["webhook-signature"] for headers, _ in self.book.requests}
        self.assertEqual(len(keys), 2)
        self.say("y", room="tea")
        self.assertEqual(self.book.paths[-1], b"POST /c")

    def test_a_slow_one_keeps_nobody_from_anything(self) -> None:
        self.add(path="slow")
        self.add(path="quick")

        def answer(request: Any) -> bytes | int:
            return NOT_DONE_YET if request.uri == b"/slow" else b""

        self.book.answer = answer
        self.say("1", "2", "3")
        self.assertEqual(self.book.paths.count(b"POST /quick"), 3)
        self.assertEqual(self.book.paths.count(b"POST /slow"), 1)

    def test_goes_on_after_a_restart(self) -> None:
        self.add()
        self.say("1")
        self.successResultOf(self.hooks.stop())
        self.say("2", "3")
        self.begin()
        self.assertEqual(self.posted, ["1", "2", "3"])

    def test_ended_in_the_middle_of_a_post(self) -> None:
        self.add()
        self.book.answer = lambda request: NOT_DONE_YET
        self.say("1")
        self.successResultOf(self.hooks.stop())
        self.net.settle()
        self.assertTrue(self.net.clients[0].aborted)
        # That nobody waited for it is no trouble of the receiver.
        self.assertIsNone(self.state().trouble)
        self.book.answer = lambda request: b""
        self.begin()
        self.assertEqual(self.posted, ["1", "1"])
        first, second = (headers["webhook-id"] for headers, _ in self.book.requests)
        self.assertEqual(first, second)

    def test_ended_in_the_middle_of_a_post_on_a_connection_that_was_kept(self) -> None:
        self.add()
        self.say("1")
        self.book.answer = lambda request: NOT_DONE_YET
        self.say("2")
        self.successResultOf(self.hooks.stop())
        self.net.settle(60)
        self.assertEqual(self.posted, ["1", "2"])
        self.assertEqual(len(self.net.dialled), 1)
        self.assertIsNone(self.state().trouble)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.begin()

    def test_one_that_cannot_be(self) -> None:
        # No hook that `chatroom-admin` makes is like this.
        self.others.add(Outgoing("0", "no room", "http://a.example/", False, b"key"))
        self.net.settle(5)
        self.assertEqual(len(self.flushLoggedErrors(BadName)), 1)
        self.others.remove("0")
        self.add()
        self.say("x")
        self.assertEqual(self.posted, ["x"])

    def test_how_it_is(self) -> None:
        self.add()

        def answer(request: Any) -> bytes:
            request.setResponseCode(500)
            return b""

        self.book.answer = answer
        self.say("1")
        self.assertEqual(self.state().trouble, "the answer is 500")
        self.book.answer = lambda request: b""
        self.net.settle(2)
        self.assertEqual(self.state(), State(cursor(self.log.epoch, 1)))

    def test_gone_for_good(self) -> None:
        self.add()

        def answer(request: Any) -> bytes:
            request.setResponseCode(410)
            return b""

        self.book.answer = answer
        self.say("1")
        self.assertTrue(self.state().ended)
        self.successResultOf(self.hooks.stop())
        self.begin()
        self.say("2")
        self.assertEqual(self.posted, ["1"])
