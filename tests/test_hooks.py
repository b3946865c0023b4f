"""Incoming hooks: what is posted is said in the room, and answered as Slack answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LogLevel, globalLogPublisher

from chatroom.answers import Origins
from chatroom.chat import Chat
from chatroom.hooks import Hooks, beside
from chatroom.hooks.file import HooksError, HooksFile, Incoming, new_id
from chatroom.hooks.incoming import BODY, digest
from chatroom.log import Unavailable
from chatroom.memory import MemoryLog
from chatroom.session import Problem
from tests.rig import Peer, RoomCase

SECRET = "s3cret"


def at_once(call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """Call *call* as in a thread, but here and now."""
    return maybeDeferred(call, *arguments)


class HooksCase(RoomCase):
    """A test that has a room with hooks, and one of them: "Deploys", for the lobby."""

    def setUp(self) -> None:
        super().setUp()
        self.logged: list[Any] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.path = beside(Path(self.enterContext(TemporaryDirectory())) / "chatroom.sqlite")
        self.others = HooksFile(self.path)
        self.addCleanup(self.others.close)
        self.add(SECRET)
        self.begin()
        self.addCleanup(lambda: self.successResultOf(self.hooks.stop()))

    def begin(self, run: Callable[..., Deferred[Any]] = at_once) -> None:
        """Have the hooks, as at a start; *run* calls a function as in a thread."""
        self.hooks = Hooks(self.path, self.chat, self.clock, Origins(self.origins), run=run)
        self.site.resource.putChild(b"hooks", self.hooks.door)
        self.hooks.start()

    def add(self, secret: str, room: str = "lobby", name: str = "Deploys") -> str:
        """Add a hook as `chatroom-admin` does, and return its id."""
        hook = Incoming(new_id(), room, name, digest(secret))
        self.others.add(hook)
        return hook.id

    def post(self, body: bytes | dict[str, Any], path: str = f"/hooks/{SECRET}") -> Peer:
        """Return a peer that has had the answer to a post."""
        return self.ask(
            "POST", path, body if isinstance(body, bytes) else json.dumps(body).encode()
        )

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Peer:
        """Return a peer that has had the answer to a request."""
        peer = self.dial()
        lines = {"Host": "chat.example"}
        if body is not None:
            lines["Content-Length"] = str(len(body))
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        peer.transport.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
        self.settle()
        return peer

    def lines(self, level: LogLevel = LogLevel.info) -> list[str]:
        """Return what has been logged, at least as grave as *level*."""
        return [
            event["log_format"].format(**event)
            for event in self.logged
            if event.get("log_format") and event["log_level"] >= level
        ]

    def assertAnswer(self, peer: Peer, status: int, word: str) -> None:
        """Assert that *peer* was answered as Slack does."""
        self.assertEqual((peer.status, peer.body.decode()), (status, word))
        self.assertEqual(peer.header("Content-Type"), "text/plain; charset=utf-8")


class Saying(HooksCase):
    def test_said(self) -> None:
        ann = self.enter()
        self.assertAnswer(self.post({"text": "Build 42 <https://ci.example> passed"}), 200, "ok")
        (said,) = ann.said("talk")
        self.assertEqual(said["message"], "Build 42 https://ci.example passed")
        self.assertEqual((said["type"], said["from"]["name"]), ("text", "Deploys"))
        # Nobody sees it come or go.
        self.settle(20)
        for event in ("join", "exit", "rename"):
            self.assertEqual(ann.said(event), [])

    def test_markdown_where_there_is_some(self) -> None:
        ann = self.enter()
        self.post({"text": "*now* <https://a.example|up>"})
        with mock.patch.object(self.chat, "types", {"text": None, "markdown": None}):
            self.post({"text": "*now* <https://a.example|up>"})
        plain, marked = ann.said("talk")
        self.assertEqual(
            (plain["type"], plain["message"]), ("text", "*now* up (https://a.example)")
        )
        self.assertEqual(marked["type"], "markdown")
        self.assertEqual(marked["message"], "**now** [up](<https://a.example>)")

    def test_a_form(self) -> None:
        ann = self.enter()
        form = urlencode({"payload": json.dumps({"text": "a & b"})}).encode()
        kind = "application/x-www-form-urlencoded"
        path = f"/hooks/{SECRET}"
        self.assertAnswer(self.ask("POST", path, form, Content_Type=kind), 200, "ok")
        self.assertEqual([said["message"] for said in ann.said("talk")], ["a & b"])

    def test_in_a_room_where_nobody_is(self) -> None:
        self.add("other", room="Tea")
        self.settle(2)
        self.assertAnswer(self.post({"text": "hello"}, "/hooks/other"), 200, "ok")
        (message,) = self.log.before("tea", 10, 10)
        self.assertEqual((message.message, message.room), ("hello", "Tea"))
        self.assertNotIn("tea", self.chat.rooms)

    def test_one_user_whatever_its_name(self) -> None:
        ann = self.enter()
        self.post({"text": "1"})
        self.post({"text": "2", "username": "Jenkins", "icon_emoji": ":x:", "channel": "#other"})
        self.post({"text": "3"})
        said = ann.said("talk")
        names = [message["from"]["name"] for message in said]
        self.assertEqual(names, ["Deploys", "Jenkins", "Deploys"])
        self.assertEqual(len({message["from"]["id"] for message in said}), 1)
        self.assertEqual(ann.said("rename"), [])

    def test_a_name_is_had_for_one_message_only(self) -> None:
        self.post({"text": "x", "username": "Ann"})
        ann = self.enter("/ws?name=Ann")
        (init,) = ann.said("init")
        self.assertEqual(init["self"]["name"], "Ann")
        self.assertEqual(init["messages"][0]["from"]["name"], "Ann")

    def test_a_name_that_cannot_be_had(self) -> None:
        ann = self.enter("/ws?name=Ann")
        for username in ("Ann", "ann", "x" * 33, "\u202e", "a\nb", " "):
            self.assertAnswer(self.post({"text": "x", "username": username}), 200, "ok")
        self.assertEqual({said["from"]["name"] for said in ann.said("talk")}, {"Deploys"})

    def test_a_hook_whose_name_somebody_has(self) -> None:
        deploys = self.enter("/ws?name=Deploys")
        self.post({"text": "x"})
        deploys.close()
        self.settle(1)
        self.post({"text": "y"})
        # The name is free again some time after it was used last.
        self.settle(61)
        self.enter("/ws?name=Deploys")
        self.enter("/ws?name=Deploys%20(hook)")
        self.post({"text": "z"})
        names = [message.sender.name for message in self.log.before("lobby", 10, 10)]
        self.assertEqual(names[:2], ["Deploys (hook)", "Deploys"])
        self.assertRegex(names[2], "guest-[0-9]+")

    def test_what_is_too_long_is_cut(self) -> None:
        ann = self.enter()
        self.post({"text": "x" * 4000})
        self.post({"text": "x" * 4001})
        whole, cut = (said["message"] for said in ann.said("talk"))
        self.assertEqual(whole, "x" * 4000)
        self.assertEqual(cut, "x" * 3999 + "…")

    def test_the_same_user_after_a_restart(self) -> None:
        self.post({"text": "1"})
        self.successResultOf(self.hooks.stop())
        self.begin()
        self.settle(120)
        self.post({"text": "2"})
        first, second = self.log.before("lobby", 10, 10)
        self.assertEqual(first.sender, second.sender)

    def test_another_store(self) -> None:
        self.post({"text": "1"})
        self.successResultOf(self.hooks.stop())
        log = MemoryLog(lambda call: self.clock.callLater(0, call))
        self.assertNotEqual(log.secret, self.log.secret)
        self.chat = Chat(log, self.clock.seconds, lambda: 1_000_000_000.25)
        self.begin()
        for text in ("2", "3"):
            self.assertAnswer(self.post({"text": text}), 200, "ok")
        said = log.before("lobby", 10, 10)
        self.assertEqual([message.message for message in said], ["2", "3"])
        self.assertEqual(len({message.sender.id for message in said}), 1)


class Answering(HooksCase):
    origins = ("https://page.example",)

    def test_what_says_nothing(self) -> None:
        for body, word in (
            (b"{", "invalid_payload"),
            (b'{"text": ""}', "no_text"),
            (b"", "invalid_payload"),
            # Spaces that Python does not know, but that nobody sees.
            ('{"text": "\u200b\u2800"}'.encode(), "no_text"),
        ):
            self.assertAnswer(self.post(body), 400, word)

    def test_a_secret_that_opens_nothing(self) -> None:
        known = digest(SECRET).hex()
        for path in ("/hooks/other", "/hooks/", "/hooks", f"/hooks/{known}", f"/hooks/{SECRET}/"):
            self.assertAnswer(self.post({"text": "x"}, path), 404, "no_service")
        self.assertAnswer(self.post({"text": "x"}, f"/hooks/{SECRET}?x=y"), 200, "ok")
        self.assertAnswer(self.post({"text": "x"}, f"/%68ooks/{SECRET}"), 200, "ok")

    def test_no_body_is_kept_for_a_secret_that_opens_nothing(self) -> None:
        peer = self.dial()
        head = "POST /hooks/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n"
        peer.transport.write(head.encode())
        self.settle()
        self.assertAnswer(peer, 404, "no_service")

    def test_a_payload_that_is_too_large(self) -> None:
        at_most = json.dumps({"text": "x", "y": ""}).encode()
        at_most = json.dumps({"text": "x", "y": "z" * (BODY - len(at_most))}).encode()
        self.assertAnswer(self.post(at_most), 200, "ok")
        self.assertAnswer(self.post(at_most + b" "), 413, "payload_too_large")
        # Without a length, and with more of it behind.
        peer = self.dial()
        head = f"POST /hooks/{SECRET} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%b\r\n" % (BODY, b" " * BODY)
        peer.transport.write(head.encode() + chunk * 4)
        self.settle()
        self.assertAnswer(peer, 413, "payload_too_large")

    def test_other_methods(self) -> None:
        for method in ("GET", "PUT", "DELETE"):
            peer = self.ask(method, f"/hooks/{SECRET}")
            self.assertAnswer(peer, 405, "method_not_allowed")
            self.assertEqual(peer.header("Allow"), "POST, OPTIONS")
        peer = self.ask("HEAD", f"/hooks/{SECRET}")
        self.assertEqual((peer.status, peer.body), (405, b""))

    def test_too_fast(self) -> None:
        statuses = [self.post({"text": "x"}).status for _ in range(20)]
        self.assertEqual(statuses, [200] * 20)
        # Under another name it is the same hook.
        peer = self.post({"text": "x", "username": "Other"})
        self.assertAnswer(peer, 429, "rate_limited")
        self.assertEqual(peer.header("Retry-After"), "1")
        self.settle(1)
        self.assertAnswer(self.post({"text": "x"}), 200, "ok")

    def test_too_many_strangers(self) -> None:
        with self.assertRaisesRegex(Problem, "strangers"):
            while True:
                self.chat.introduce(None)
        peer = self.post({"text": "x"})
        self.assertAnswer(peer, 429, "rate_limited")
        self.settle(1)
        self.assertAnswer(self.post({"text": "x"}), 200, "ok")

    def test_what_is_no_fault_of_who_posts(self) -> None:
        # No hook that `chatroom-admin` makes is like this.
        self.add("odd", room="@98-99")
        self.settle(1)
        self.assertAnswer(self.post({"text": "x"}, "/hooks/odd"), 500, "rollup_error")
        self.assertEqual(self.lines(), ["a hook cannot say something: forbidden"])

    def test_a_store_that_cannot_be_written(self) -> None:
        self.post({"text": "x"})
        with mock.patch.object(self.log, "user", side_effect=_unavailable):
            self.settle(120)
            peer = self.post({"text": "x"})
        self.assertAnswer(peer, 503, "service_unavailable")
        self.assertEqual(peer.header("Retry-After"), "1")
        self.assertAnswer(self.post({"text": "x"}), 200, "ok")

    def test_pages(self) -> None:
        path, body = f"/hooks/{SECRET}", b'{"text": "x"}'
        peer = self.ask("POST", path, body, Origin="https://evil.example")
        self.assertAnswer(peer, 403, "action_prohibited")
        peer = self.ask("POST", path, body, Origin="https://page.example")
        self.assertAnswer(peer, 200, "ok")
        self.assertEqual(peer.header("Access-Control-Allow-Origin"), "https://page.example")
        peer = self.ask("OPTIONS", path, Origin="https://page.example")
        self.assertEqual(peer.status, 204)
        self.assertEqual(peer.header("Access-Control-Allow-Methods"), "POST")
        self.assertEqual(self.ask("OPTIONS", path, Origin="https://evil.example").status, 403)

    def test_who_has_gone(self) -> None:
        ann = self.enter()
        peer = self.dial()
        body = b'{"text": "x"}'
        head = f"POST /hooks/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.transport.write(head.encode() + body)
        self.pumps[-1].pump()
        peer.transport.loseConnection()
        self.settle()
        self.assertEqual([said["message"] for said in ann.said("talk")], ["x"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nothing_is_logged(self) -> None:
        self.enter()
        for body in ({"text": "words"}, {"text": ""}, b"{", {"text": "x", "username": "Bob"}):
            self.post(body)
        self.post({"text": "words"}, "/hooks/other")
        self.ask("HEAD", f"/hooks/{SECRET}")
        self.assertEqual(self.lines(), [])


class Changing(HooksCase):
    def test_added_and_removed_while_it_runs(self) -> None:
        self.assertEqual(self.post({"text": "x"}, "/hooks/other").status, 404)
        id = self.add("other")
        self.settle(1)
        self.assertEqual(self.post({"text": "x"}, "/hooks/other").status, 200)
        self.assertTrue(self.others.remove(id))
        self.settle(1)
        self.assertEqual(self.post({"text": "x"}, "/hooks/other").status, 404)
        self.assertEqual(self.post({"text": "x"}).status, 200)

    def test_removed_while_the_body_comes_in(self) -> None:
        peer = self.dial()
        body = b'{"text": "x"}'
        head = f"POST /hooks/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.transport.write(head.encode())
        self.settle()
        for hook in self.others.hooks():
            self.others.remove(hook.id)
        self.settle(1)
        peer.transport.write(body)
        self.settle()
        self.assertAnswer(peer, 404, "no_service")

    def test_the_file_is_another_one(self) -> None:
        self.others.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()
        self.settle(1)
        self.assertEqual(self.post({"text": "x"}).status, 404)
        self.others = HooksFile(self.path)
        self.add("other")
        self.settle(1)
        self.assertEqual(self.post({"text": "x"}, "/hooks/other").status, 200)

    def test_a_file_that_cannot_be_read_meanwhile(self) -> None:
        with mock.patch.object(HooksFile, "hooks", side_effect=HooksError("no hooks: why")):
            self.add("other")
            self.settle(3)
            self.assertEqual(self.post({"text": "x"}).status, 200)
        self.assertEqual(self.lines(), ["no hooks: why"])
        self.settle(1)
        self.assertEqual(self.post({"text": "x"}, "/hooks/other").status, 200)

    def test_a_token_that_cannot_be_noted_at_once(self) -> None:
        with mock.patch.object(HooksFile, "keep", side_effect=HooksError("no hooks: why")):
            self.assertEqual(self.post({"text": "x"}).status, 200)
            self.settle(3)
            # It is not forgotten when the file is read again.
            self.add("other")
            self.settle(1)
            self.assertEqual(self.post({"text": "y"}).status, 200)
            self.assertEqual([hook.token for hook in self.incoming()], [None, None])
        first, second = self.log.before("lobby", 10, 10)
        self.assertEqual(first.sender, second.sender)
        self.assertEqual(self.lines(), ["no hooks: why"])
        self.settle(1)
        self.settle(1)
        self.assertEqual(self.lines()[1:], ["the hooks can be used again"])
        tokens = {hook.token for hook in self.incoming()} - {None}
        self.assertEqual([self.chat.known(token) for token in tokens], [first.sender.id])

    def test_stopped_while_something_is_noted(self) -> None:
        self.successResultOf(self.hooks.stop())
        self.add("other", name="Other")
        under_way: list[Callable[[], None]] = []

        def later(call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            under_way.append(lambda: done.callback(call(*arguments)))
            return done

        self.begin(later)
        self.post({"text": "x"})
        self.post({"text": "x"}, "/hooks/other")
        ended = self.hooks.stop()
        self.assertNoResult(ended)
        while under_way:
            under_way.pop(0)()
        self.successResultOf(ended)
        ids = [self.chat.known(hook.token) for hook in self.incoming()]
        senders = [message.sender.id for message in self.log.before("lobby", 10, 10)]
        self.assertEqual(sorted(filter(None, ids)), sorted(senders))
        self.begin()

    def test_a_bug_in_noting_is_told_and_nothing_is_lost(self) -> None:
        with mock.patch.object(HooksFile, "keep", side_effect=ZeroDivisionError):
            self.assertEqual(self.post({"text": "x"}).status, 200)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("a bug in noting hooks", self.lines())
        self.settle(1)
        (hook,) = self.incoming()
        (message,) = self.log.before("lobby", 10, 10)
        self.assertEqual(self.chat.known(hook.token), message.sender.id)

    def test_a_damaged_file(self) -> None:
        self.successResultOf(self.hooks.stop())
        self.others.close()
        self.path.write_bytes(b"no database, but long enough to be one" * 100)
        with self.assertRaisesRegex(HooksError, "cannot use the hooks in .*: file is not a dat"):
            self.begin()
        os.unlink(self.path)
        self.begin()

    def incoming(self) -> list[Incoming]:
        return [hook for hook in self.others.hooks() if isinstance(hook, Incoming)]


def _unavailable(*_: object) -> None:
    raise Unavailable("why")
