"""Pages of the web client without a browser: their state in Node.js, their connections here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chatroom.chat import Chat
from chatroom.commands import decode
from chatroom.events import Event, encode
from tests.hall import Json, Line
from tests.parts import program

DRIVER = Path(__file__).with_name("web") / "agreement.mjs"


class Pages:
    """The process in which the states of all pages are. As a context manager it ends it."""

    def __init__(self) -> None:
        node = program("node", "install Node.js 20 or later")
        command = [node, str(DRIVER)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, at)  # which ends its input, and waits for its end

    def ask(self, page: int, act: str, *rest: object) -> tuple[Any, list[Json]]:
        """Have *page* do *act*; return the result, and what it wants to be sent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([page, act, *rest]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the pages have crashed"
        result, commands, error = json.loads(answer)
        assert error is None, error
        return result, commands


class Page:
    """One page, opened for *room*, and its connection to a chat."""

    def __init__(self, pages: Pages, number: int, room: str) -> None:
        self._pages = pages
        self.number = number
        self.line: Line | None = None
        self.token: str | None = None
        self.id = 0
        self._heard: list[Json] = []
        self._ask("open", room)

    def connect(self, chat: Chat) -> None:
        """Connect as the page would, with what it knows."""
        entrance = self._ask("dial")
        line = self.line = Line(self._hear)
        line.session = chat.connect(line.send, line.disconnect, None, self.token)
        line.session.enter(entrance["room"], entrance.get("after"), entrance.get("epoch"))

    def cut(self) -> None:
        """Lose the connection, and all that is on its way."""
        if self.line is not None:
            session, self.line = self.line.session, None
            session.close(clean=False)
        self._heard.clear()
        self._ask("cut")

    def do(self, what: str, *rest: object) -> None:
        """Do something that takes a state."""
        self._ask("do", what, *rest)

    def write(self, what: str, *rest: object) -> None:
        """Do something that goes to the outbox."""
        self._ask("write", what, *rest)

    def later(self, seconds: float) -> None:
        """Let time pass on the page."""
        self._ask("later", seconds * 1000)

    def tidy(self) -> None:
        """Give up what was refused."""
        self._ask("tidy")

    def react(self) -> bool:
        """Let the page see what has come; return whether there was anything."""
        if self.line is not None and self.line.ended is not None:
            self.cut()
            return True
        if not self._heard:
            return False
        events, self._heard = self._heard, []
        self._ask("hear", events)
        return True

    def essence(self, room: str) -> Json | None:
        """Return what is seen of *room*, if the page knows it."""
        essence: Json | None = self._pages.ask(self.number, "essence", room)[0]
        return essence

    def waiting(self) -> Json:
        """Return what the page waits for."""
        waiting: Json = self._pages.ask(self.number, "waiting")[0]
        return waiting

    def _ask(self, act: str, *rest: object) -> Any:
        result, commands = self._pages.ask(self.number, act, *rest)
        for command in commands:
            if self.line is not None and self.line.ended is None:
                self.line.say(decode(json.dumps(command).encode()))
        return result

    def _hear(self, event: Event) -> None:
        said = json.loads(encode(event))
        self._heard.append(said)
        if said["event"] == "init":
            self.token, self.id = said["data"]["self"]["token"], said["data"]["self"]["id"]
