"""All pages agree with the log, and so with each other, whatever they went through."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatroom import room as single
from chatroom import rooms
from chatroom.changes import changed
from chatroom.chat import Chat
from chatroom.events import Change, Deleted, Edited, Message, Reacted, Topic, encode
from chatroom.log import Log, Outcome, Pass, ignore
from chatroom.memory import MemoryLog
from chatroom.rooms import NOWHERE
from chatroom.sqlite import SqliteLog
from tests.daemon import PATIENT
from tests.hall import Json
from tests.pages import Page, Pages

ROOMS = ("lobby", "tea")
EMOJI = ("👍", "🎉")
DOES = ["nothing"]
DOES += 8 * ["say"]
DOES += 5 * ["step", "react"]
DOES += 4 * ["edit", "emoji"]
DOES += 3 * ["cut", "connect", "settle", "remove", "pause", "drain", "page"]
DOES += 2 * ["topic", "reply", "show", "jump", "end", "look", "later"]
DOES += ["leave", "restart", "check", "direct"]
DEED = st.tuples(st.sampled_from(DOES), st.integers(0, 2), st.integers(0, 5))
DEEDS = st.lists(DEED, min_size=20, max_size=80).map(
    lambda deeds: [deed for deed in deeds if deed[0] != "nothing"]
)
MUCH = int(os.environ.get("EXAMPLES", "100"))


class House:
    """A `Chat` on a log whose turn comes when the test says so, and its time."""

    def __init__(self, log: Callable[[Callable[..., object]], Log], rate: float) -> None:
        self.due: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.now = 1000.0
        self.log = log(self.due.put)
        self._options: dict[str, Any] = {"rate": rate, "burst": 3}
        self.start()

    def start(self) -> None:
        """Start a chat on the log as it is."""
        self.chat = Chat(self.log, lambda: self.now, lambda: self.now, **self._options)

    def step(self) -> None:
        """Let the log do one thing, if it has something to do just now."""
        if not self.due.empty():
            self.due.get()()

    def turn(self) -> None:
        """Let the log tell what became of all that was appended so far."""
        last = Pass(NOWHERE, None, None)
        told: list[Outcome] = []
        listener = self.log.listener

        def listen(outcomes: Sequence[Outcome]) -> None:
            listener(outcomes)
            told.extend(outcomes)

        self.log.listener = listen
        self.log.append(last)
        while not any(outcome is last for outcome in told):
            self.due.get(timeout=PATIENT)()
        self.log.listener = listener

    def stop(self) -> None:
        """End the chat: what the log tells now nobody hears."""
        self.log.listener = ignore
        self.turn()

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.chat.tick()

    def messages(self, room: str) -> list[Json]:
        """Return all messages of *room* as they go over the wire now."""
        return [
            json.loads(encode(message))["data"] for message in self.log.before(room, 2**53, 2**53)
        ]


class Run:
    """Some pages in a house; the first one is there all the time."""

    def __init__(self, house: House, pages: Pages) -> None:
        self.house = house
        self.pages = [Page(pages, number, ROOMS[0]) for number in range(3)]
        self._all = pages
        for page in self.pages:
            page.connect(house.chat)

    @property
    def rooms(self) -> list[str]:
        ids = sorted(page.id for page in self.pages)
        return [*ROOMS, *(f"@{a}-{b}" for a in ids for b in ids if 0 < a < b)]

    def do(self, what: str, who: int, how: int) -> None:
        """Let the page number *who* do *what*, where it can be done."""
        house, page = self.house, self.pages[who]
        line = page.line
        match what:
            case "say":
                page.write("say", {"text": f"text {how}"})
            case "edit" | "remove" | "emoji" | "reply" | "jump" if seen := self._seen(page):
                self._about(page, what, seen[-1 - how % len(seen)], how)
            case "topic" if not self._current(page).startswith("@"):
                page.write("topic", f"topic {how}")
            case "step":
                house.step()
            case "react":
                page.react()
            case "cut" if line is not None and who > 0:
                page.cut()
            case "connect" if line is None:
                page.connect(house.chat)
            case "pause" if line is not None and who > 0 and not line.session.paused:
                line.session.pause()
            case "drain" if line is not None and line.session.paused:
                line.drain()
            case "page":
                page.do("page", ("older", "newer")[how % 2])
            case "end":
                page.do("page", "end")
            case "look":
                page.do("look", {"visible": how % 2 > 0, "atEnd": how % 3 > 0})
            case "show":
                page.do("show", ROOMS[how % 2])
            case "direct" if page.id and (them := self.pages[how % 3].id) not in (0, page.id):
                page.do("show", "@{}-{}".format(*sorted((page.id, them))))
            case "leave":
                page.do("leave", ROOMS[1])
            case "later":
                page.later(how)
                house.tick(how)
            case "settle" | "check":
                self.settle()
                if what == "check":
                    self.check()
            case "restart":
                house.stop()
                for other in self.pages:
                    other.line = None
                    other.cut()
                house.start()

    def _about(self, page: Page, what: str, message: Json, how: int) -> None:
        match what:
            case "edit" if message["from"]["id"] == page.id:
                page.write("edit", message["id"], f"other text {how}", None)
            case "remove" if message["from"]["id"] == page.id:
                page.write("remove", message["id"])
            case "emoji":
                page.write("react", message["id"], EMOJI[how % 2], how % 3 > 0)
            case "reply":
                page.write("say", {"text": f"text {how}", "reply": message["id"]})
            case "jump":
                page.do("jump", max(1, message["id"] - 4 * how))

    def _current(self, page: Page) -> str:
        current: str = page.waiting()["current"]
        return current

    def _seen(self, page: Page) -> list[Json]:
        essence = page.essence(self._current(page))
        return [] if essence is None else list(essence["messages"])

    def settle(self) -> None:
        """Let all pages be connected and time go on until nothing is under way any more."""
        for _ in range(200):
            for page in self.pages:
                if page.line is None:
                    page.connect(self.house.chat)
                elif page.line.session.paused:
                    page.line.drain()
            self.house.turn()
            busy = sum(page.react() for page in self.pages)
            for page in self.pages:
                page.tidy()
                page.later(1)
            self.house.tick(1)
            if not busy and not any(map(_waits, self.pages)):
                return
        raise AssertionError([page.waiting() for page in self.pages])

    def check(self) -> None:
        """See that all that is on a page is as it is in the log."""
        for page in self.pages:
            for room in self.rooms:
                essence = page.essence(room)
                if essence is not None and essence["entered"]:
                    self._compare(essence, room)
                    self._count(page, essence, room)

    def _compare(self, essence: Json, room: str) -> None:
        truth = self.house.messages(room)
        known = self.house.log.room(room)
        assert essence["last"] == (known.last if known else 0)
        assert essence["topic"] == (known.topic if known else "")
        shown = essence["messages"]
        ids = [message["id"] for message in shown]
        first = ids[0] if ids and essence["more"] else 0
        last = ids[-1] if ids and essence["newer"] else 2**53
        if ids or not (essence["more"] or essence["newer"]):
            assert shown == [message for message in truth if first <= message["id"] <= last]

    def _count(self, page: Page, essence: Json, room: str) -> None:
        readings = {reading.room: reading for reading in self.house.log.readings(page.id)}
        reading = readings.get(room)
        if reading is not None and essence["read"] == reading.read:
            counts = reading.unread, reading.mentions
            assert (essence["unread"], essence["mentions"]) == counts

    def walk(self, page: Page, room: str, jump: int | None = None) -> None:
        """See all of *room* on *page*: from its end or from a jump, back and forth."""
        page.do("show", room)
        self.settle()
        if jump is None:
            page.do("page", "end")
        else:
            page.do("jump", jump)
        seen: dict[int, Json] = {}
        for kind in ("older", "newer"):
            for _ in range(100):
                self.settle()
                essence = page.essence(room)
                assert essence is not None
                self._compare(essence, room)
                seen |= {message["id"]: message for message in essence["messages"]}
                if not essence["more" if kind == "older" else "newer"]:
                    break
                page.do("page", kind)
        assert [seen[id] for id in sorted(seen)] == self.house.messages(room)

    def finish(self) -> None:
        """See that those who stayed, came back, are new or jump around see the same."""
        self.settle()
        self.check()
        fresh = Page(self._all, len(self.pages), ROOMS[1])
        fresh.connect(self.house.chat)
        self.pages.append(fresh)
        for room in ROOMS:
            for page in (self.pages[0], self.pages[1], fresh):
                self.walk(page, room)
            for message in self.house.messages(room)[::5]:
                self.walk(self.pages[2], room, message["id"])
        self.check()


def _waits(page: Page) -> bool:
    waiting = page.waiting()
    return bool(waiting["open"] or waiting["inFlight"] or waiting["asked"] or waiting["joining"])


CASES: list[Json] = json.loads(
    Path(__file__).with_name("web").joinpath("cases.json").read_text("utf-8")
)
KINDS: dict[str, type[Change]] = {
    "edit": Edited,
    "delete": Deleted,
    "react": Reacted,
    "topic": Topic,
}


class Told:
    """What one knows of a room who goes by the server's own `changed`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.last = 0
        self.topic = ""

    def hear(self, event: str, data: Json) -> None:
        if event == "init":
            if not data["resumed"]:
                self.messages = []
            self.messages += [msgspec.convert(message, Message) for message in data["messages"]]
            for change in data.get("changes", []):
                self._change(msgspec.convert(change["data"], KINDS[change["event"]]))
            self.last, self.topic = data["last"], data.get("topic", "")
        elif data["id"] > self.last:
            self.last = data["id"]
            if event == "talk":
                self.messages.append(msgspec.convert(data, Message))
            else:
                self._change(msgspec.convert(data, KINDS[event]))

    def _change(self, change: Change) -> None:
        if isinstance(change, Topic):
            self.topic = change.topic
            return
        self.messages = [
            changed(message, change) if message.id == change.of else message
            for message in self.messages
        ]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_of_the_page_are_those_of_the_server(case: Json) -> None:
    told = Told()
    for event in case["events"]:
        told.hear(event["event"], event["data"])
    essence = {"messages": told.messages, "last": told.last, "topic": told.topic}
    assert json.loads(msgspec.json.encode(essence)) == case["essence"]


@contextmanager
def small_limits() -> Iterator[None]:
    """Have limits that a few messages can reach."""
    with (
        mock.patch.multiple(rooms, CHUNK=2, FAR=8),
        mock.patch.multiple(single, NEWEST=4, BEGIN=3, RESUME=6),
    ):
        yield


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with Pages() as running:
        yield running


def live(house: House, pages: Pages, deeds: Sequence[tuple[str, int, int]]) -> None:
    with small_limits():
        run = Run(house, pages)
        house.turn()
        for deed in deeds:
            run.do(*deed)
        run.finish()


RATE = st.sampled_from((0.0, 5.0))
UNHURRIED = settings(max_examples=MUCH, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(deeds=DEEDS, rate=RATE)
def test_pages_agree_over_a_log_in_memory(
    pages: Pages, deeds: list[tuple[str, int, int]], rate: float
) -> None:
    live(House(MemoryLog, rate), pages, deeds)


@settings(UNHURRIED, max_examples=max(1, MUCH // 4))
@given(deeds=DEEDS, rate=RATE)
def test_pages_agree_over_a_store(
    pages: Pages, deeds: list[tuple[str, int, int]], rate: float
) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        house = House(lambda later: SqliteLog(folder / "room.sqlite3", later), rate)
        assert isinstance(house.log, SqliteLog)
        stack.callback(house.log.close)
        live(house, pages, deeds)
