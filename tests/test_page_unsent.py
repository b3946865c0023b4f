"""What one wrote is not lost, and comes once: over reloads, closed tabs and restarts, in Chromium."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    BrowserContext,
    FilePayload,
    Page,
    Route,
    WebSocketRoute,
    expect,
)

from tests.daemon import Daemon, until
from tests.filing import image
from tests.visitors import Visitors, begin_history, say, shows

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]

WS = "**/ws?*"
DESK: dict[str, Any] = {"viewport": {"width": 1200, "height": 700}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 700},
    "has_touch": True,
    "is_mobile": True,
}


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

    def back() -> bool:
        page.evaluate("() => dispatchEvent(new Event('online'))")  # amid a try it does nothing
        return page.locator("#link-text").inner_text() == ""

    until(back, "that the page is back")


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
    expect(first.locator("#unsaid .text")).to_have_count(2)
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
    expect(watcher.locator("#messages .text")).to_have_text(["good night"])
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
    assert until(lambda: scripts or page.evaluate("() => 0"), "the script is asked for")
    scripts[0].continue_()
    assert until(lambda: servers or page.evaluate("() => 0"), "the server is asked for")
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
            texts = each.locator("#messages .text")
            expect(texts).to_have_count(2)
            assert set(texts.all_inner_texts()) == {"with a file", "and without"}
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


def attach(page: Page, *files: FilePayload | Path) -> None:
    page.locator("#composer input[type=file]").set_input_files(list(files))  # type: ignore[arg-type]


def payload(name: str, content: bytes) -> FilePayload:
    return FilePayload(name=name, mimeType="", buffer=content)


def drop(page: Page, path: Path, place: str) -> None:
    """Drop what is at *path* on the middle of *place*, as one does it from outside of the browser."""
    box = page.locator(place).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    browser = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for type in ("dragEnter", "dragOver", "drop"):
        what = {"type": type, "x": x, "y": y, "data": data}
        browser.send("Input.dispatchDragEvent", what)
    browser.detach()


def test_a_file_that_is_gone_is_told_and_holds_up_nothing(
    room: str, visitors: Visitors, tmp_path: Path
) -> None:
    visitors.loss_expected = True
    page = visitors.new(room)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    notes = tmp_path / "notes.bin"
    notes.write_bytes(b"swim first" * 10_000)
    attach(page, notes)
    expect(page.locator("#tray li")).to_have_count(1)
    notes.unlink()
    say(page, "with a file", "and without")
    shows(page, "and without")
    fate = page.locator("#unsaid .message .fate")
    expect(fate).to_contain_text("The file is not there any more. Please add it again.")
    assert len([url for url in asked if "files?" in url]) == 1


def test_a_folder_is_told_and_not_taken_for_a_file(
    room: str, visitors: Visitors, tmp_path: Path
) -> None:
    page = visitors.new(room)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside.txt").write_text("inside")
    drop(page, folder, "#stage")
    expect(page.locator("#tray-told")).to_have_text("Folders cannot be sent.")
    expect(page.locator("#tray li")).to_have_count(0)
    drop(page, folder / "inside.txt", "#stage")
    expect(page.locator("#tray .name")).to_have_text(["inside.txt"])
    expect(page.locator("#tray-told")).to_have_text("")


def test_what_is_dropped_anywhere_is_attached(
    room: str, visitors: Visitors, tmp_path: Path
) -> None:
    page = visitors.new(room, **DESK)
    names = []
    for place in ("#sidebar", "#people", "#stage", "#text"):
        names.append(f"{place[1:]}.txt")
        (tmp_path / names[-1]).write_text("dropped")
        drop(page, tmp_path / names[-1], place)
        expect(page.locator("#tray .name")).to_have_text(names)
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_visible()
    drop(page, tmp_path / names[0], "dialog")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    drop(page, tmp_path / names[0], "#people")
    expect(page.locator("#tray .name")).to_have_text([*names, names[0]])
    expect(page.locator(".drop")).to_have_count(0)
    assert page.context.pages == [page]


def test_a_text_that_is_dropped_on_a_field_is_left_to_it(room: str, visitors: Visitors) -> None:
    page = visitors.new(room, **DESK)
    page.keyboard.press("Control+Shift+F")
    taken = """(node, text) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["picture"], "of the text.png"));
      if (text) dataTransfer.setData("text/plain", "a text");
      const over = new DragEvent("dragover", { dataTransfer, bubbles: true, cancelable: true });
      return !node.dispatchEvent(over);
    }"""
    field = page.locator("#search input").first
    assert [field.evaluate(taken, text) for text in (True, False)] == [False, True]


@pytest.mark.parametrize("height", [700, 320])
def test_many_files_leave_room_to_write_and_to_send(
    room: str, visitors: Visitors, height: int
) -> None:
    size = {"width": 390, "height": height}
    page = visitors.new(room, f"Una {height}", **PHONE | {"viewport": size})
    pictures = [payload(f"{n}.png", image("PNG", (30, 20))) for n in range(20)]
    attach(page, *pictures, *(payload(f"{n}.txt", b"") for n in range(20)))
    tray = page.locator("#tray li")
    expect(tray).to_have_count(20)
    field = page.locator("#text")
    field.fill("line\n" * 40)
    for node in (field, page.locator("#send")):
        expect(node).to_be_in_viewport(ratio=1)
    expect(tray.last).to_be_in_viewport(ratio=0.9)  # what was added is seen
    # By the keyboard: all of it is reached, and who removes one stays in its place.
    page.get_by_role("button", name="Remove 0.png", exact=True).focus()
    for n in range(1, 12):
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name=f"Remove {n}.png", exact=True)
        expect(button).to_be_focused()
        expect(button).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(tray).to_have_count(19)
    button = page.get_by_role("button", name="Remove 12.png")
    expect(button).to_be_focused()
    expect(button).to_be_in_viewport(ratio=1)
    last = page.get_by_role("button", name="Remove 19.png")
    last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove 18.png")).to_be_focused()


def test_each_file_that_is_refused_is_named_in_red(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    attach(
        page,
        payload("one.txt", b""),
        payload("notes.txt", b"swim first"),
        payload("large.bin", bytes(11 * 2**20)),
        payload("two.txt", b""),
    )
    expect(page.locator("#tray .name")).to_have_text(["notes.txt"])
    told = page.locator("#tray-told")
    lines = told.inner_text().splitlines()
    assert [line.split()[0] for line in lines] == ["one.txt", "large.bin", "two.txt"]
    bad = page.evaluate(
        """() => {
          const node = document.body.appendChild(document.createElement("p"));
          node.style.color = "var(--bad)";
          return getComputedStyle(node).color;
        }"""
    )
    expect(told).to_have_css("color", bad)


def test_a_table_on_a_phone_scrolls_and_breaks_no_word(room: str, visitors: Visitors) -> None:
    page = visitors.new(room, **PHONE)
    words = ["Department", "Telephone", "Location", "Accounting", "Copenhagen", "Engineering"]
    row = f"| {' | '.join(words)} |"
    visitors.speaker(room, "Tim").say(f"{row}\n{'|-' * 6}|\n{row}", type="markdown")
    cells = page.locator(".rich :is(th, td)")
    expect(cells).to_have_count(12)
    lines = """(nodes) => nodes.map((node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return range.getClientRects().length;
    })"""
    assert cells.evaluate_all(lines) == [1] * 12
    expect(cells.last).not_to_be_in_viewport()
    page.locator(".table").evaluate("(node) => node.scrollTo(node.scrollWidth, 0)")
    expect(cells.last).to_be_in_viewport(ratio=1)
    wide = (
        "() => [document.documentElement, log].map((node) => node.scrollWidth - node.clientWidth)"
    )
    assert page.evaluate(wide) == [0, 0]


def test_messages_that_are_copied_are_only_what_was_said(room: str, visitors: Visitors) -> None:
    page = visitors.new(room, **DESK)
    visitors.speaker(room, "Tom").say("first line", "second line", "third line")
    shows(page, "first line", "second line", "third line")
    first, _, third = page.locator("#messages .text").all()
    start, end = first.bounding_box(), third.bounding_box()
    assert start is not None and end is not None
    page.mouse.move(start["x"] + 1, start["y"] + 8)
    expect(page.locator(".toolbar")).to_be_visible()
    page.mouse.down()
    page.mouse.move(end["x"] + 200, end["y"] + 8, steps=8)
    page.mouse.up()
    page.keyboard.press("Control+c")
    page.locator("#text").focus()
    page.keyboard.press("Control+v")
    expect(page.locator("#text")).to_have_value("first line\nsecond line\nthird line")


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_shortcuts_are_all_seen_at_320_pixels(room: str, visitors: Visitors, locale: str) -> None:
    size = {"width": 320, "height": 568}  # WCAG 2.2, 1.4.10
    page = visitors.new(room, viewport=size, locale=locale)
    page.keyboard.press("Control+/")
    expect(page.locator(".keys")).to_be_visible()
    hidden = """(keys) => keys.filter((key) => {
      const {left, right} = key.getBoundingClientRect();
      const row = key.closest(".keys > div").getBoundingClientRect();
      return left < row.left || right > row.right + 0.5;
    }).map((key) => key.parentNode.textContent)"""
    assert page.locator(".keys kbd").evaluate_all(hidden) == []
    assert page.locator(".keys kbd").count() > 10
