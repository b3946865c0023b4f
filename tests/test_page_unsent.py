"""What one wrote is not lost, and comes once: over reloads, closed tabs and restarts, in Chromium."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute, expect

from tests.daemon import Daemon, until
from tests.visitors import Visitors, begin_history, say, shows

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]

WS = "**/ws?*"


class Gate:
    """Lets a browser's pages connect to the room, or not; all else of the site is there."""

    def __init__(self, context: BrowserContext) -> None:
        self._open = True
        self._routes: list[WebSocketRoute] = []
        context.route_web_socket(WS, self._pass)

    def close(self) -> None:
        """End all connections, and each new one at once."""
        self._open = False
        routes, self._routes = self._routes, []
        for route in routes:
            route.close()

    def open(self) -> None:
        """Let new connections through."""
        self._open = True

    def _pass(self, route: WebSocketRoute) -> None:
        if self._open:
            self._routes.append(route)
            route.connect_to_server()
        else:
            route.close()


def behind_gate(visitors: Visitors, room: str) -> tuple[Page, Gate]:
    """Somebody new who has entered *room* through a gate."""
    context = visitors.context()
    gate = Gate(context)
    return visitors.tab(context, room), gate


def wake(page: Page) -> None:
    """Have the page connect now instead of a little later."""
    page.evaluate("() => dispatchEvent(new Event('online'))")


def unsent(page: Page, *texts: str) -> None:
    expect(page.locator("#unsaid .text")).to_have_text(list(texts))


def test_what_is_not_sent_survives_a_reload(room: str, visitors: Visitors) -> None:
    watcher = visitors.new(room)
    page, gate = behind_gate(visitors, room)
    say(page, "before")
    for each in (page, watcher):
        shows(each, "before")
    gate.close()
    say(page, "one", "two")
    for _ in range(2):
        unsent(page, "one", "two")
        page.reload()
    unsent(page, "one", "two")
    gate.open()
    wake(page)
    for each in (page, watcher):
        shows(each, "before", "one", "two")
    unsent(page)
    page.reload()
    shows(page, "before", "one", "two")
    unsent(page)


def test_another_tab_sends_what_a_closed_one_left(room: str, visitors: Visitors) -> None:
    watcher = visitors.new(room)
    first, gate = behind_gate(visitors, room)
    second = visitors.tab(first.context, room)
    say(second, "hello")
    for each in (first, second):
        shows(each, "hello")
    gate.close()
    say(second, "left behind")
    say(first, "still here")
    unsent(second, "left behind")
    unsent(first, "still here")  # each has its own
    second.close()
    expect(first.locator("#unsaid .text")).to_have_count(2, timeout=10_000)
    gate.open()
    wake(first)
    expect(watcher.locator("#messages .text")).to_have_count(3)
    unsent(first)
    said = set(watcher.locator("#messages .text").all_inner_texts())
    assert said == {"hello", "left behind", "still here"}


def test_a_new_tab_sends_what_was_left_when_the_browser_was_closed(
    room: str, visitors: Visitors
) -> None:
    watcher = visitors.new(room)
    page, gate = behind_gate(visitors, room)
    gate.close()
    say(page, "good night")
    unsent(page, "good night")
    page.close()
    gate.open()
    other = visitors.tab(page.context, room)
    expect(watcher.locator("#messages .text")).to_have_text(["good night"], timeout=10_000)
    shows(other, "good night")


def test_a_duplicated_tab_does_not_send_twice(room: str, visitors: Visitors) -> None:
    page, gate = behind_gate(visitors, room)
    gate.close()
    say(page, "once")
    unsent(page, "once")
    # As a browser duplicates a tab: with what its session has.
    session = page.evaluate("() => JSON.stringify(sessionStorage)")
    twin = page.context.new_page()
    twin.add_init_script(
        f"for (const [key, value] of Object.entries({session})) sessionStorage.setItem(key, value);"
    )
    twin.goto(room)
    gate.open()
    wake(twin)
    expect(twin.locator("#self-name")).not_to_have_text("")
    wake(page)
    shows(page, "once")
    shows(twin, "once")
    unsent(page)
    unsent(twin)


def test_what_is_being_written_is_kept_for_each_room(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    field = page.get_by_label("Message", exact=True)
    field.fill("half a sentence")
    page.evaluate("() => { location.hash = '#/elsewhere'; }")
    expect(field).to_have_value("")
    field.fill("another")
    page.reload()
    expect(field).to_have_value("another")
    page.evaluate("(hash) => { location.hash = hash; }", "#" + room.partition("#")[2])
    expect(field).to_have_value("half a sentence")
    page.keyboard.press("Enter")
    shows(page, "half a sentence")
    page.reload()
    shows(page, "half a sentence")
    expect(field).to_have_value("")


def test_what_is_written_before_there_is_a_page_or_a_server_is_kept(
    room: str, visitors: Visitors
) -> None:
    context = visitors.context()
    page = context.new_page()
    scripts: list[Route] = []
    servers: list[WebSocketRoute] = []
    page.route("**/main.js", lambda route: scripts.append(route))
    page.route_web_socket("**/ws*", lambda route: servers.append(route))
    page.goto(room, wait_until="commit")
    field = page.locator("#text")  # it has no label yet
    field.press_sequentially("my first words")
    assert until(lambda: scripts or page.evaluate("() => 0"), 10, "the script is asked for")
    scripts[0].continue_()
    assert until(lambda: servers or page.evaluate("() => 0"), 10, "the server is asked for")
    expect(field).to_have_value("my first words")
    kept = "() => Object.keys(localStorage).some((key) => key.includes('drafts'))"
    page.wait_for_function(kept)
    servers[0].connect_to_server()
    expect(page.locator("#self-name")).not_to_have_text("")
    expect(field).to_have_value("my first words")
    page.close()
    again = visitors.tab(context, room)
    expect(again.get_by_label("Message", exact=True)).to_have_value("my first words")


def test_a_file_arrives_though_the_server_restarts_and_the_page_is_reloaded(
    tmp_path: Path, visitors: Visitors
) -> None:
    visitors.loss_expected = True
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"much to tell\n" * 300_000)
    with Daemon(tmp_path / "daemon") as daemon:
        watcher = visitors.new(daemon.url)
        page = visitors.new(daemon.url)
        page.locator("input[type=file]").set_input_files(notes)
        expect(page.locator("#tray")).to_contain_text("notes.txt")
        os.kill(daemon.pid, signal.SIGSTOP)  # so that it is under way when the server is gone
        say(page, "with a file")
        say(page, "and without")
        expect(page.locator("#unsaid .message")).to_have_count(2)
        daemon.kill()
        daemon.start()
        page.reload()
        for each in (watcher, page):
            wake(each)
            expect(each.locator("#messages .text")).to_have_text(
                ["with a file", "and without"], timeout=20_000
            )
            expect(each.locator("#messages").get_by_text("notes.txt")).to_be_visible()
        unsent(page)
        href = watcher.locator("#messages a", has_text="notes.txt").first.get_attribute("href")
        assert href is not None
        answer = watcher.request.get(daemon.url + href)
        assert answer.status == 200
        assert answer.body() == notes.read_bytes()


def test_unread_is_counted_and_both_devices_agree(room: str, visitors: Visitors) -> None:
    writer, page = visitors.speaker(room, "Nia"), visitors.new(room, "Oona")
    writer.say("one")
    shows(page, "one")
    tab = visitors.tab(page.context, f"{room}-2")
    name = room.rpartition("/")[2]
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{name}-2")
    expect(page.locator("#room")).to_have_text(f"{name}-2")
    writer.say("two", "three")
    for each in (page, tab):
        expect(each).to_have_title(f"(2) {name}-2 · chatroom")
    tab.bring_to_front()
    tab.evaluate("(hash) => { location.hash = hash; }", f"#/{name}")
    shows(tab, "one", "two", "three")
    for each in (tab, page):
        expect(each).to_have_title(f"{each.locator('#room').inner_text()} · chatroom")
    writer.say("four")
    shows(tab, "one", "two", "three", "four")
    page.reload()
    expect(page).to_have_title(f"{name}-2 · chatroom")


def test_a_link_leads_to_a_message_in_its_context(room: str, visitors: Visitors) -> None:
    begin_history(room, 800)
    page = visitors.new(f"{room}?at=200")
    expect(page.get_by_text("number 200", exact=True)).to_be_in_viewport()
    expect(page.locator("#messages .text").filter(has_text="number 800")).to_have_count(0)
    page.locator("#newest").click()
    expect(page.get_by_text("number 800", exact=True)).to_be_in_viewport()
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{room.rpartition('/')[2]}?at=799")
    expect(page.get_by_text("number 799", exact=True)).to_be_in_viewport()
