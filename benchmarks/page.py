"""
What the page costs in Chromium: to load, to draw a burst, and to scroll through a long history.

``python -m benchmarks.page`` fills a room with 100,000 messages, which takes a minute, lets a real
browser read it, and prints a Markdown table. Times are of the browser's main thread, so that
they do not hold what others do on the machine meanwhile, but for caches and clock rates.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page
from websockets.sync.client import ClientConnection, connect

from tests.browser import launch
from tests.daemon import Daemon

ROOM = "long"
BURST = 1000
STEP = 2000
LOADS = 9

SCROLL = """async () => {
  const log = document.querySelector("#log");
  const times = [];
  let rows = 0;
  while (!document.querySelector(".message[data-id='1']")) {
    const before = performance.now();
    log.scrollTop -= 700;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - before);
    if (times.length % 100 === 0) {
      rows = Math.max(rows, document.querySelectorAll(".message").length);
    }
  }
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.floor(times.length * part)];
  return { rows, median: at(0.5), p99: at(0.99) };
}"""


class Costs:
    """What *page* has cost so far, as Chromium counts it."""

    def __init__(self, page: Page) -> None:
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        self._devtools.send("Performance.enable")
        self._before = self._metrics()

    def since(self) -> dict[str, float]:
        """Return the milliseconds of scripts, styles and layout since the last time."""
        now = self._metrics()
        names = {
            "script": "ScriptDuration",
            "style": "RecalcStyleDuration",
            "layout": "LayoutDuration",
        }
        spent = {name: (now[key] - self._before[key]) * 1000 for name, key in names.items()}
        self._before = now
        return spent

    def heap(self) -> float:
        """Return the MiB that the page's scripts keep."""
        self._devtools.send("HeapProfiler.collectGarbage")
        return self._metrics()["JSHeapUsedSize"] / 2**20

    def _metrics(self) -> dict[str, float]:
        metrics = self._devtools.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}


@contextmanager
def speaker(daemon: Daemon) -> Iterator[ClientConnection]:
    with connect(f"{daemon.ws}?room={ROOM}", max_size=None) as socket:
        socket.recv()
        yield socket


def say(socket: ClientConnection, first: int, last: int) -> None:
    """Say the numbers from *first* to *last*, and wait until all are said."""
    for number in range(first, last + 1):
        text = f"number {number}, said as people say things"
        if number % 5 == 0:
            text = f"number {number}: look at https://chat.example/{number}"
        data = {"room": ROOM, "message": text}
        socket.send(json.dumps({"event": "talk", "data": data}))
    ending = f"number {last}"
    while not json.loads(socket.recv())["data"].get("message", "").startswith(ending):
        pass


def visit(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 1200, "height": 750}).new_page()


def load(browser: Browser, url: str) -> dict[str, float]:
    """Return what it takes until one can read and write, in a browser that was never here."""
    page = visit(browser)
    devtools: Any = page.context.new_cdp_session(page)
    sizes: dict[str, int] = {}
    devtools.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    devtools.send("Network.enable")
    costs = Costs(page)
    page.goto(f"{url}#/{ROOM}")
    page.wait_for_selector("#messages .message")
    result = costs.since()
    result["usable"] = page.evaluate("() => performance.now()")
    page.wait_for_load_state("networkidle")
    result["bytes"] = sum(sizes.values())
    result["requests"] = len(sizes)
    page.context.close()
    return result


def measure(messages: int) -> Iterator[tuple[str, str]]:
    """Give what was measured, a line each."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Daemon(Path(folder), "--talk-rate", "0") as daemon,
        speaker(daemon) as socket,
        launch() as browser,
    ):
        for first in range(1, messages, STEP):
            say(socket, first, min(messages, first + STEP - 1))
        loads = [load(browser, daemon.url) for _ in range(LOADS)]

        def middle(name: str) -> float:
            return median(each[name] for each in loads)

        yield "first load, with all headers", f"{middle('bytes'):,.0f} bytes"
        yield "requests of it", f"{middle('requests'):.0f}"
        yield "scripts until usable", f"{middle('script'):.0f} ms"
        yield "styles and layout until usable", f"{middle('style') + middle('layout'):.0f} ms"
        yield "usable, from the start of the load", f"{middle('usable'):.0f} ms"

        page = visit(browser)
        page.goto(f"{daemon.url}#/{ROOM}")
        page.wait_for_selector(f".message[data-id='{messages}']")
        costs = Costs(page)
        yield "memory of its scripts", f"{costs.heap():.1f} MiB"
        costs.since()
        say(socket, messages + 1, messages + BURST)
        last = messages + BURST
        page.wait_for_selector(f".message[data-id='{last}']")
        spent = costs.since()
        yield f"{BURST:,} messages in a burst, scripts", f"{spent['script']:.0f} ms"
        yield "styles and layout of it", f"{spent['style'] + spent['layout']:.0f} ms"
        scrolled = page.evaluate(SCROLL)
        spent = costs.since()
        yield f"memory after scrolling through {messages:,} messages", f"{costs.heap():.1f} MiB"
        yield "most rows on the page", f"{scrolled['rows']:,}"
        yield "a step of 700 pixels, median", f"{scrolled['median']:.1f} ms"
        yield "a step of 700 pixels, p99", f"{scrolled['p99']:.1f} ms"
        yield "scripts for 1,000 messages scrolled", f"{spent['script'] * 1000 / messages:.0f} ms"
        page.click("#newest")
        page.wait_for_selector(f".message[data-id='{last}']")
        yield "memory, back at the end", f"{costs.heap():.1f} MiB"
        page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="What the page costs in Chromium.")
    parser.add_argument("--messages", type=int, default=100_000, help="how long the history is")
    print("| | |\n|---|--:|")
    for what, figure in measure(parser.parse_args().messages):
        print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
