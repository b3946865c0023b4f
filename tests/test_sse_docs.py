"""docs/sse.md: what it says is so, and its examples do what they show."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from chatroom import listening, polling
from chatroom.chat import Chat
from chatroom.sse import Events
from tests.browser import launch
from tests.daemon import PATIENT, Daemon, until
from tests.doors.program import Program
from tests.listeners import Listener, ListeningCase
from tests.parts import program
from tests.test_docs import REPO, read, rows, sections
from tests.test_sse_clients import say

pytestmark = pytest.mark.long

SSE = REPO / "docs" / "sse.md"
VARYING = {
    r'"time":"[^"]+"': '"time":…',
    r'"token":"[\w-]{32}"': '"token":…',
    r"\b[0-9a-f]{16}\b": "EPOCH",
    r"retry: [1-5]\d{3}\n": "retry: …\n",
}
"""What differs each time, and what stands for it."""


def blocks(language: str) -> list[str]:
    """Return the examples in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", read(SSE), re.MULTILINE | re.DOTALL)


def alike(text: str) -> str:
    """Return *text* without what differs each time."""
    for form, name in VARYING.items():
        text = re.sub(form, name, text)
    return text


def count(daemon: Daemon, room: str) -> int:
    """Return how many are in *room*."""
    with urlopen(f"{daemon.url}rooms/{room}") as answer:
        found: int = json.load(answer)["count"]
    return found


def test_the_commands_do_what_they_show(tmp_path: Path) -> None:
    program("curl", "install curl")
    bash = program("bash", "install bash")
    listen, back, poll, again = blocks("sh")
    (stream,), (answer,) = blocks("text"), blocks("json")

    def run(daemon: Daemon, command: str) -> Program:
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{daemon.port}")
        return Program(bash, "-c", command.replace("curl ", "exec curl -sS "))

    with Daemon(tmp_path, "--store", "memory:", "--grace", "1") as daemon:
        with run(daemon, listen) as curl:
            curl.line("event: init")
            say(daemon.url, "tea", "The pot is on the table.")
            shown = curl.until(lambda: ended(curl, 2), "two events")
            assert alike(shown) == alike(stream)
            cursor = shown.rpartition("id: ")[2].strip()
        assert "d2b1b46bcda21d13-1" in back
        with run(daemon, back.replace("d2b1b46bcda21d13-1", cursor)) as curl:
            shown = curl.until(lambda: ended(curl, 1), "an event")
            assert '"resumed":true' in shown
            assert f"\nid: {cursor}\n" in shown
        until(lambda: not count(daemon, "tea"), "nobody is there")
        with run(daemon, poll) as curl:
            curl.end()
        assert alike("\n".join(curl.lines)) == alike(answer.rstrip())
        told = json.loads(curl.lines[0])
        for name in ("cursor", "token"):
            again = again.replace(f"${name.upper()}", told[name])
        with run(daemon, again) as curl:
            say(daemon.url, "tea", "Is there any left?", told["token"])
            curl.end()
        last = json.loads(curl.lines[0])["events"][-1]
        assert (last["event"], last["data"]["message"]) == ("talk", "Is there any left?")


def ended(curl: Program, events: int) -> str | None:
    """Return what *curl* has printed up to the end of so many *events*, when these are there."""
    text = "".join(f"{line}\n" for line in list(curl.lines))
    found = re.match(rf"(?ms)(?:.*?^event: .*?\n\n){{{events}}}", text)
    return found and found[0]


def test_the_page_works(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    listen, script = blocks("js")
    (page / "listen.mjs").write_text(listen)
    (page / "page.mjs").write_text(script)
    (page / "index.html").write_text(
        '<!doctype html><ol id="log"></ol><script type="module" src="page.mjs"></script>'
    )
    with launch() as browser, Daemon(tmp_path / "daemon", "--web", str(page)) as daemon:
        view = browser.new_page()
        view.goto(daemon.url)
        until(lambda: count(daemon, "lobby"), "the page is there")
        say(daemon.url, "lobby", "<b>Good morning</b>")
        lines = view.locator("li")
        longest = 1000 * PATIENT
        said = [re.compile("^guest-.*: <b>Good morning</b>$")]
        expect(lines).to_have_text(said, timeout=longest)
        daemon.kill()
        daemon.start()
        say(daemon.url, "lobby", "meanwhile")
        expect(lines).to_have_count(2, timeout=longest)
        say(daemon.url, "lobby", "and live")
        expect(lines).to_have_count(3, timeout=longest)
        expect(lines.last).to_have_text(re.compile(": and live$"), timeout=longest)


def has_printed(program: Program, end: str) -> bool:
    return any(line.endswith(end) for line in program.lines)


def test_the_poller_works(tmp_path: Path) -> None:
    (text,) = blocks("python")
    with Daemon(tmp_path / "daemon") as daemon:
        (tmp_path / "poll.py").write_text(text.replace(":8080", f":{daemon.port}"))
        with Program(sys.executable, tmp_path / "poll.py") as poller:
            until(lambda: count(daemon, "lobby"), "it is there")
            for number in range(1, 4):
                say(daemon.url, "lobby", f"number {number}")
                text = f"'number {number}'"
                poller.until(partial(has_printed, poller, text), text)
                if number == 2:
                    daemon.kill()
                    daemon.start()
            said = [line.partition(" ")[2] for line in poller.lines]
            assert said == ["'number 1'", "'number 2'", "'number 3'"]


class TableTests(ListeningCase):
    per_address = 2

    def refused(self) -> Iterator[Listener]:
        """Have all that is in the table."""
        yield self.stream(after="x")
        yield self.poll(wait="x")
        yield self.ask("/rooms/lobby/events", Origin="https://foe.example")
        yield self.stream(".")
        yield self.ask("/rooms/lobby/events", "POST")
        yield self.ask("/rooms/lobby/events", Accept="text/html")
        yield self.ask("/rooms/lobby/poll", Accept="text/event-stream")
        me = self.enter("/ws?name=Ada").said("init")[0]["self"]
        yield self.stream(f"@{me['id']}-4711", token=me["token"])
        yield self.stream("@4711-4712")
        self.enter()
        yield self.stream()
        self.events.farewell()
        yield self.stream()

    def test_all_is_told_that_can_be_refused(self) -> None:
        table = rows(sections(read(SSE), 2)["When there is nothing to hear"])
        told = {(int(status), code.strip("`")) for status, code, _ in table}
        assert told == {(peer.status, peer.json["code"]) for peer in self.refused()}


def test_figures_are_right() -> None:
    text = " ".join(read(SSE).split())
    asked = sections(read(SSE), 2)
    assert f"from 0 to {polling.LONGEST}. Without it: {polling.WAIT}." in text
    assert "from {:.0f} to {:.0f} seconds, and differs".format(*listening.BACK) in text
    assert "1000 + 4000 * Math.random()" in asked["In a page"]
    defaults = inspect.signature(Events).parameters
    assert f"every {defaults['ping'].default:.0f} seconds" in text
    assert f"nothing of it for {defaults['ping_timeout'].default:.0f} seconds" in text
    grace = inspect.signature(Chat).parameters["grace"].default
    assert f"then for the {grace:.0f} seconds" in text
    assert f"longer than {grace:.0f} seconds" in text
    assert f"until {grace:.0f} seconds after" in text
