"""Somebody who asks and says by plain requests, and what others say that way who cannot otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.doors.http import Answer, Line
from tests.doors.person import Heard, Person, entry


class HttpPerson(Person):
    """Somebody who says by plain requests, however they hear."""

    line: Line | None = None
    _said: list[str]

    @property
    def at(self) -> str:
        """The path of their room."""
        return f"/rooms/{quote(self.room, safe='')}"

    def call(
        self,
        method: str,
        path: str,
        body: Any,
        answered: Callable[[Answer], object],
        key: str | None = None,
    ) -> None:
        """Ask for *path* as who they are, from where they are; *key* is that of Idempotency-Key."""
        data = None if body is None else json.dumps(body).encode()
        self._call(method, path, data, answered, key)

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        answered: Callable[[Answer], object],
        key: str | None = None,
    ) -> None:
        if self.line is None or self.line.lost:
            self.line = self.case.wire(Line())
        self.line.ask(
            method,
            path,
            answered,
            body=body,
            headers={
                "Authorization": self.bearer,
                "Content-Type": None if body is None else "application/json",
                "Idempotency-Key": key,
                "Origin": self.origin,
            },
        )

    @property
    def bearer(self) -> str | None:
        """What proves who they are."""
        return None if self.token is None else f"Bearer {self.token}"

    def say(self, text: str, nonce: str | None = None) -> None:
        def said(answer: Answer) -> None:
            if not self.failed(answer, nonce):
                self.answer(entry("talk", answer.json))

        body = {"message": text}
        self.call("POST", f"{self.at}/messages", body, said, nonce)

    def rename(self, name: str) -> None:
        def renamed(answer: Answer) -> None:
            if not self.failed(answer):
                self.name = answer.json["name"]

        self.call("PATCH", "/users/me", {"name": name}, renamed)

    def nonsense(self) -> None:
        self.call("POST", f"{self.at}/messages", {"message": 7}, self.failed)

    def garbage(self, data: bytes) -> None:
        # As the body of what can be said, and as what stands in a path and in a query.
        self._call("POST", f"{self.at}/messages", data, self._told)
        path = quote(data[:2000])
        for place in (f"/rooms/{path}", f"{self.at}/messages/{path}", f"{self.at}/{path}?{path}"):
            self._call("GET", place, None, self._told)

    def _told(self, answer: Answer) -> None:
        """Note what was wrong, which is nobody's fault but their own."""
        assert answer.status < 500, answer
        if answer.status >= 400 and answer.headers["content-type"] == "application/json":
            self.failed(answer)

    def failed(self, answer: Answer, nonce: str | None = None) -> bool:
        """Return whether *answer* is an error, and note it."""
        if answer.status < 400:
            return False
        assert answer.headers["content-type"] == "application/json", answer
        told = answer.json
        # Header and body say the same, the one in whole seconds (RFC 9110, section 10.2.3).
        retry = answer.headers.get("retry-after")
        assert (retry is None) == ("retry_after" not in told)
        assert retry is None or float(retry) >= told["retry_after"] > float(retry) - 1
        assert isinstance(told["message"], str)
        self.heard.append(
            Heard("error", text=told["code"], nonce=nonce, retry=told.get("retry_after"))
        )
        return True

    def leave(self) -> None:
        self.cut()

    def cut(self) -> None:
        if self.line is not None and not self.line.lost:
            self.line.sever()


class RestPerson(HttpPerson):
    """Plain requests alone: nobody sees them come or go, and they ask for what was said."""

    _asking = False
    _away = False

    def come(self) -> None:
        def introduced(answer: Answer) -> None:
            self.status = answer.status
            if answer.status in (403, 404, 405):
                return
            if self.failed(answer):
                if self.errors[-1] in ("bad_name", "name_taken"):
                    # As at other doors: then a guest's name.
                    self.call("POST", "/users", {}, introduced)
                return
            me = answer.json
            self.id, self.name, self.token = me["id"], me["name"], me["token"]

        self._asking = self._away = False
        if self.token is None:
            body = {} if self.wish is None else {"name": self.wish}
            self.call("POST", "/users", body, introduced)

    def cut(self) -> None:
        super().cut()
        self._away = True

    def look(self) -> None:
        if self.token is None or self._asking or self._away:
            return
        self._asking = True
        path = f"{self.at}/messages?after={self.last}&limit=200"
        self.call("GET", path, None, self._looked)

    def _looked(self, answer: Answer) -> None:
        self._asking = False
        if answer.status >= 400:
            self.status = answer.status
            self.failed(answer)
            return
        page = answer.json
        for message in page["messages"]:
            self.take(entry("talk", message))
        if page["newer"]:
            self.look()

    @property
    def over(self) -> bool:
        return self.line is not None and self.line.lost
