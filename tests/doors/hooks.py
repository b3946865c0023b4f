"""A program that says something by a webhook, and reads by plain requests what others say."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import maybeDeferred

from chatroom.answers import Origins
from chatroom.hooks import Hooks, beside
from chatroom.hooks.file import HooksFile, Incoming, new_id
from chatroom.hooks.incoming import digest
from tests.doors.case import DoorCase
from tests.doors.http import Answer
from tests.doors.person import Heard
from tests.doors.rest import RestPerson

# What a text of Slack's has instead of these three.
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
CODES = {"no_text": "empty", "invalid_payload": "bad_message", "action_prohibited": "forbidden"}
"""What is answered, in the words of docs/protocol.md."""


class HooksDoorCase(DoorCase):
    """A test that has hooks, too, as a store has them."""

    def setUp(self) -> None:
        super().setUp()
        path = beside(Path(self.enterContext(TemporaryDirectory())) / "chatroom.sqlite")
        origins = Origins(self.origins)
        self.hooks = Hooks(path, self.chat, self.clock, origins, run=maybeDeferred)
        self.site.resource.putChild(b"hooks", self.hooks.door)
        self.hooks.start()
        self.addCleanup(lambda: self.successResultOf(self.hooks.stop()))
        self.file = HooksFile(path)
        self.addCleanup(self.file.close)


class HookPerson(RestPerson):
    """Somebody whose program was given a URL with a secret in it."""

    case: HooksDoorCase

    def come(self) -> None:
        self._asking = self._away = False
        if not self.status:
            hook = Incoming(new_id(), self.room, self.wish or "hook", digest(self._secret))
            self.case.file.add(hook)
            # It is looked once a second whether there are others.
            self.case.clock.advance(1)
            self.name = hook.name
            # Only who posts learns whether pages of their origin may.
            self.call("OPTIONS", self._url, None, self._told)

    def _told(self, answer: Answer) -> None:
        self.status = 200 if answer.status == 204 else answer.status

    @property
    def _secret(self) -> str:
        return f"secret-of-{id(self)}"

    @property
    def _url(self) -> str:
        return f"/hooks/{self._secret}"

    def say(self, text: str, nonce: str | None = None) -> None:
        escaped = "".join(_ESCAPED.get(character, character) for character in text)
        self.call("POST", self._url, {"text": escaped}, self._posted)

    def nonsense(self) -> None:
        self.call("POST", self._url, [], self._posted)

    def _posted(self, answer: Answer) -> None:
        word = answer.body.decode()
        if answer.status != 200:
            retry = answer.headers.get("retry-after")
            code = CODES.get(word, word)
            self.heard.append(
                Heard("error", text=code, retry=None if retry is None else float(retry))
            )
        else:
            assert word == "ok"

    def look(self) -> None:
        # Anybody may read what is said in a room.
        if not (self._asking or self._away) and self.status == 200:
            self._asking = True
            path = f"{self.at}/messages?after={self.last}&limit=200"
            self.call("GET", path, None, self._looked)
