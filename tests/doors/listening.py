"""Somebody who hears by Server-Sent Events, or by polling, and says by plain requests."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.doors.http import Answer, Line
from tests.doors.rest import HttpPerson


class ListeningPerson(HttpPerson):
    """Somebody who goes on by a cursor that they are told."""

    ear: Line
    cursor: str | None = None
    lingers = True

    @property
    def query(self) -> str:
        """Who they are, where they have no token that says so."""
        wishes = {} if self.wish is None or self.token is not None else {"name": self.wish}
        return urlencode(wishes)

    def cut(self) -> None:
        super().cut()
        self.ear.sever()

    def stop(self) -> None:
        self.ear.server.stuck = True

    def go_on(self) -> None:
        self.ear.server.stuck = False

    @property
    def over(self) -> bool:
        return self.ear.lost

    @property
    def held(self) -> int:
        return self.ear.server.held

    def refused(self, answer: Answer) -> None:
        """Note that there is nothing to hear."""
        self.status = answer.status
        if answer.status >= 400 and answer.body:
            self.failed(answer)


class SsePerson(ListeningPerson):
    """Server-Sent Events, as a browser's EventSource reads them (the HTML standard, 9.2)."""

    _head: Answer
    _told_all = False
    _lines: bytes

    def come(self) -> None:
        self._lines, self._told_all = b"", False
        self.ear = self.case.wire(Line())
        after = None
        if self.cursor is not None:
            epoch, _, id = self.cursor.rpartition("-")
            # What a test says that they have kept counts.
            after = f"{self.epoch or epoch}-{self.last if self.epoch else id}"
        self.ear.ask(
            "GET",
            f"{self.at}/events?{self.query}",
            self._ended,
            begun=self._begun,
            piece=self._piece,
            headers={
                "Accept": "text/event-stream",
                "Authorization": self.bearer,
                "Last-Event-ID": after,
                "Origin": self.origin,
            },
        )

    @property
    def over(self) -> bool:
        return super().over or self._told_all

    def _ended(self, answer: Answer) -> None:
        self._told_all = True

    def _begun(self, head: Answer) -> None:
        self._head, self.status = head, head.status
        if head.status == 200:
            assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert head.headers["cache-control"] == "no-store"

    def _piece(self, data: bytes) -> None:
        if self.status != 200:
            # It says why not.
            self.failed(self._head._replace(body=data))
            return
        self._lines += data
        while b"\n\n" in self._lines:
            block, self._lines = self._lines.split(b"\n\n", 1)
            self._dispatch(block.decode())

    def _dispatch(self, block: str) -> None:
        fields: dict[str, str] = {}
        # Those three are the line ends of the format; Python's own are more.
        for line in block.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
            name, _, value = line.partition(":")
            if name:
                assert name not in fields, block
                fields[name] = value.removeprefix(" ")
        self.cursor = fields.get("id", self.cursor)
        if "data" in fields:
            data: dict[str, Any] = json.loads(fields["data"])
            event = fields["event"]
            self.hear("error" if event == "problem" else event, data)
            if "id" in fields:
                assert fields["id"] == f"{self.epoch}-{self.last}"


class PollPerson(ListeningPerson):
    """Long polling: the next question is asked when the last one is answered (RFC 6202)."""

    def come(self) -> None:
        self.ear = self.case.wire(Line())
        if self.cursor is not None:
            self.cursor = f"{self.epoch}-{self.last}"
        self._poll()

    def _poll(self) -> None:
        query = self.query
        if self.cursor is not None:
            query = urlencode({"after": self.cursor, "wait": 25})
        self.ear.ask(
            "GET",
            f"{self.at}/poll?{query}",
            self._polled,
            headers={"Authorization": self.bearer, "Origin": self.origin},
        )

    def _polled(self, answer: Answer) -> None:
        self.refused(answer)
        if answer.status != 200:
            return
        told = answer.json
        for event in told["events"]:
            self.hear(event["event"], event["data"])
        self.cursor, self.token = told["cursor"], told["token"]
        assert self.cursor == f"{self.epoch}-{self.last}"
        if not self.ear.lost:
            self._poll()
