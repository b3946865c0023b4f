"""People with browsers, and their way to the daemon, for the tests of the page."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from websockets.sync.client import ClientConnection, connect

from tests.daemon import PATIENT

REMEMBERED = """if (location.protocol === "http:") {
  localStorage[`chatroom ${new URL(".", location.href).pathname} name`] ??= NAME;
}"""
HOURS = 12 - datetime.now(UTC).hour
NOON = f"Etc/GMT{-HOURS:+}"
"""A time zone in which it is about noon now, so that no day begins amid a test."""

# What Chromium itself prints when a server cannot be reached.
LOST = re.compile(r"WebSocket connection to '\S+' failed: |net::ERR_")
# … and when one answers with an error.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4")


class Cable:
    """A way to the port *far* of this machine that can be cut, and mended."""

    def __init__(self, far: int) -> None:
        self._far = far
        self._whole = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._near = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._near.getsockname()[1]}/"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        with self._lock:
            self._whole = False
            for end in self._ends:
                with suppress(OSError):  # it has just been ended by its other side
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let new connections through."""
        self._whole = True

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        self._near.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENT)

    def _accept(self) -> None:
        with self._near:
            while True:
                try:
                    near, _ = self._near.accept()
                except OSError:  # closed
                    return
                carry = threading.Thread(target=self._carry, args=(near,), daemon=True)
                self._threads.append(carry)
                carry.start()

    def _carry(self, near: socket.socket) -> None:
        with near:
            with self._lock:
                if not self._whole:
                    return
                self._ends.add(near)
            # An error is a side that is not there, or that went while the other was still saying
            # something.
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._far)) as far:
                _carry_on({near: far, far: near})
            with self._lock:
                self._ends.remove(near)


def _carry_on(ways: dict[socket.socket, socket.socket]) -> None:
    while True:
        for source in select.select(list(ways), [], [])[0]:
            if not (data := source.recv(65536)):
                return
            ways[source].sendall(data)


class Speaker:
    """Somebody in a *room* without a page; *socket* is their connection."""

    def __init__(self, socket: ClientConnection, room: str) -> None:
        self._socket = socket
        self._room = room

    def say(self, *texts: str, type: str = "text") -> None:
        """Say *texts* of this *type*, and wait until the room has heard them."""
        for text in texts:
            data = {"room": self._room, "message": text, "type": type}
            self._socket.send(json.dumps({"event": "talk", "data": data}))
        for text in texts:
            while json.loads(self._socket.recv(PATIENT))["data"].get("message") != text:
                pass


@contextmanager
def speaking(url: str, name: str | None = None) -> Iterator[Speaker]:
    """Enter the room at *url* of the page, called *name*, and leave it afterwards."""
    site, _, room = url.partition("#/")
    query = urlencode({"room": room} | ({} if name is None else {"name": name}))
    with connect(
        f"{site.replace('http', 'ws', 1)}ws?{query}", max_queue=None, open_timeout=PATIENT
    ) as socket:
        assert json.loads(socket.recv(PATIENT))["event"] == "init"
        yield Speaker(socket, room)


class Visitors:
    """Browsers of people, and everything that those have to complain about."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.complaints: list[str] = []
        self.loss_expected = False
        self.refusal_expected = False
        self._contexts: list[BrowserContext] = []
        self._speakers = ExitStack()

    def context(self, **options: Any) -> BrowserContext:
        """A browser of somebody who was never here, with further *options* of Playwright's."""
        context = self.browser.new_context(
            **{
                "viewport": {"width": 900, "height": 600},
                "locale": "en-GB",
                "timezone_id": NOON,
                # It fetches all of the page once more; tests/test_worker.py is about it.
                "service_workers": "block",
                **options,
            }
        )
        context.set_default_timeout(PATIENT * 1000)
        context.on("console", self._listen)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        self._contexts.append(context)
        return context

    def new(self, url: str, name: str | None = None, **options: Any) -> Page:
        """
        Somebody with a browser of their own, who opens *url*.

        They have chosen *name* in an earlier visit; without one they were never here.
        """
        context = self.context(**options)
        if name is not None:
            context.add_init_script(REMEMBERED.replace("NAME", json.dumps(name)))
        page = self.tab(context, url)
        if name is not None:
            expect(page.locator("#self-name")).to_have_text(name)
        return page

    def tab(self, context: BrowserContext, url: str) -> Page:
        """A further tab of the same browser."""
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#self-name")).not_to_have_text("")
        return page

    def speaker(self, url: str, name: str) -> Speaker:
        """Somebody called *name* in the room at *url*, who only says things there."""
        return self._speakers.enter_context(speaking(url, name))

    def leave(self) -> None:
        """Close all, and fail if there was a complaint."""
        self._speakers.close()
        for context in self._contexts:
            context.close()
        assert self.complaints == [], self.complaints

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or "blocked by Playwright" in message.text:
            return
        if self.loss_expected and LOST.search(message.text):
            return
        if not (self.refusal_expected and REFUSED.search(message.text)):
            self.complaints.append(message.text)


def choose(page: Page, name: str) -> None:
    """Be called *name*, as somebody who was never here."""
    page.get_by_label("What should people call you?").fill(name)
    page.get_by_role("button", name="Use this name").click()
    expect(page.locator("#self-name")).to_have_text(name)


def say(page: Page, *texts: str) -> None:
    for text in texts:
        page.get_by_label("Message", exact=True).fill(text)
        page.keyboard.press("Enter")


def shows(page: Page, *texts: str) -> None:
    """Wait until exactly *texts* are what was said, as *page* shows it."""
    expect(page.locator("#messages .text")).to_have_text(list(texts))


def closed(page: Page, drawer: str) -> None:
    """Wait until the *drawer* of a phone is closed, and *page* back from its entry in the history."""
    expect(page.locator(drawer)).to_be_hidden()
    page.wait_for_function("() => !history.state?.drawer")


def pause(page: Page) -> None:
    """Stop the clock of *page*, and of all tabs of its browser: no timers, and no frames."""
    page.clock.install()
    page.clock.pause_at(page.evaluate("() => Math.ceil(Date.now()) + 1000"))


def told(page: Page) -> list[str]:
    """What *page* tells between the messages, without the isolates around names."""
    return [
        re.sub("[\u2068\u2069]", "", note) for note in page.locator(".note").all_text_contents()
    ]


def begin_history(url: str, count: int) -> None:
    """Have somebody say *count* messages in the room at *url* of the page."""
    with speaking(url) as speaker:
        speaker.say(*(f"number {n}" for n in range(1, count + 1)))
