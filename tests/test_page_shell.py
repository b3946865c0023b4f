"""The frame of the page around the room, in real Chromium with the real daemon behind it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import (
    FilePayload,
    Locator,
    Page,
    Route,
    WebSocket,
    WebSocketRoute,
    expect,
)

from chatroom.asking import QUERY
from chatroom.tap import PAGE
from tests.daemon import Daemon, until
from tests.filing import image
from tests.visitors import (
    Visitors,
    begin_history,
    choose,
    closed,
    pause,
    say,
    shows,
    speaking,
)

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]

HASTY = (
    *(sys.executable, "-c"),
    "from chatroom.sqlite import search as s; s.PATIENCE = -1.0\n"
    + "from twisted.scripts.twistd import run; run()",
)
"""A ``twistd`` whose searches have no time: each ends after its first step."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon for each test: everybody has the name that they like."""
    with Daemon(tmp_path, "--talk-rate", "0") as daemon:
        yield daemon


@pytest.fixture
def room(daemon: Daemon) -> str:
    """The address of a room."""
    return f"{daemon.url}#/den"


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FIRST_LOAD = 60_000
"""Bytes, as they come over the wire."""


def row(page: Page, name: str) -> Any:
    """The row of the room or the person *name* in the user's list."""
    return page.locator("#lists li", has=page.get_by_text(name, exact=True)).get_by_role("link")


def go(page: Page, name: str) -> None:
    """Go to the room *name* as somebody who knows its name."""
    page.keyboard.press("Control+k")
    page.get_by_label("Name of a room").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_several_rooms_and_what_is_unread_in_them(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada"), visitors.speaker(room, "Bo")
    go(ada, "den-2")
    expect(row(ada, "den-2")).to_have_attribute("aria-current", "page")
    expect(row(ada, "den")).not_to_have_attribute("aria-current", "page")
    bo.say("one", "two")
    expect(row(ada, "den")).to_have_accessible_name(re.compile("2 unread messages$"))
    expect(row(ada, "den").locator(".count")).to_have_text("2")
    expect(ada).to_have_title("(2) den-2 · chatroom")
    expect(ada.locator("link[rel=icon]")).to_have_attribute("href", "favicon.svg")
    bo.say("@Ada, where are you?")
    expect(row(ada, "den")).to_have_accessible_name(re.compile("3 unread messages, 1 mention$"))
    expect(row(ada, "den").locator(".badge")).to_have_text("1")
    expect(ada.locator("link[rel=icon]")).to_have_attribute("href", "favicon-unread.svg")
    row(ada, "den").click()
    shows(ada, "one", "two", "@Ada, where are you?")
    expect(row(ada, "den")).to_have_accessible_name("den")
    expect(ada).to_have_title("den · chatroom")
    ada.go_back()
    expect(ada.get_by_role("heading", name="den-2", exact=True)).to_be_visible()


def test_one_s_rooms_are_there_again(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada"), visitors.speaker(room, "Bo")
    with ada.expect_websocket() as socket:
        ada.reload()
    with socket.value.expect_event("framesent", lambda frame: '"event":"read"' in frame):
        bo.say("one")
    go(ada, "den-2")
    ada.reload()
    bo.say("two")
    expect(row(ada, "den")).to_have_accessible_name("den, 1 unread message")
    ada.goto("about:blank")
    bo.say("three")
    ada.goto(f"{room}-2")
    expect(row(ada, "den")).to_have_accessible_name("den, 2 unread messages")


def test_rooms_are_found_and_left(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada"), visitors.new(room, "Bo")
    go(ada, "den-garden")
    say(ada, "Tomatoes!")
    shows(ada, "Tomatoes!")
    bo.get_by_role("button", name="Find or create a room").click()
    dialog = bo.get_by_role("dialog", name="Find or create a room")
    bo.get_by_label("Name of a room").fill("no such: room")
    expect(dialog.get_by_role("status")).to_contain_text("Letters, digits")
    bo.get_by_label("Name of a room").fill("den-gar")
    expect(dialog.get_by_role("link")).to_have_count(2)
    expect(dialog.get_by_role("link").last).to_have_text("Create the room den-gar")
    expect(dialog.get_by_role("link").first).to_contain_text("1 person here")
    dialog.get_by_role("link").first.click()
    expect(dialog).to_have_count(0)
    shows(bo, "Tomatoes!")
    expect(ada.get_by_role("heading", name="2 people here")).to_be_visible()
    bo.get_by_role("button", name="More about this room").click()
    bo.get_by_role("menuitem", name="Leave this room").click()
    expect(row(bo, "den-garden")).to_have_count(0)
    expect(ada.get_by_role("heading", name="1 person here")).to_be_visible()
    bo.reload()
    expect(row(bo, "den")).to_be_visible()
    expect(row(bo, "den-garden")).to_have_count(0)


def test_the_lobby_alone_is_not_left(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room.partition("#")[0], "Ada")
    ada.get_by_role("button", name="More about this room").click()
    leave = ada.get_by_role("menuitem", name="Leave this room")
    expect(leave).to_be_disabled()
    ada.keyboard.press("Escape")
    go(ada, "den")
    row(ada, "lobby").click()
    ada.get_by_role("button", name="More about this room").click()
    leave.click()
    expect(ada.get_by_role("heading", name="den", exact=True)).to_be_visible()
    expect(row(ada, "lobby")).to_have_count(0)


def test_the_topic_is_everybodys(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada"), visitors.new(room, "Bo")
    ada.get_by_role("button", name="More about this room").click()
    ada.get_by_role("menuitem", name="Change the topic").click()
    field = ada.get_by_label("What is this room about?")
    expect(field).to_be_focused()
    field.fill("x" * 251)
    expect(ada.get_by_role("dialog").get_by_role("status")).to_have_text("251 / 250")
    ada.get_by_role("button", name="Save").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("The lake,\n  on\x85\x07 Saturday <b>")
    field.press("Enter")
    for page in (ada, bo):
        expect(page.locator("#topic")).to_have_text("The lake, on Saturday <b>")
    bo.get_by_role("button", name="Change the topic: The lake").click()
    expect(bo.get_by_label("What is this room about?")).to_have_value("The lake, on Saturday <b>")
    bo.get_by_label("What is this room about?").fill("")
    bo.get_by_role("button", name="Save").click()
    for page in (ada, bo):
        expect(page.locator("#topic")).to_be_hidden()


def test_a_click_on_a_person_is_a_conversation_of_two(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada"), visitors.new(room, "Bo")
    ada.get_by_role("button", name="Bo: write a direct message").click()
    expect(ada.get_by_role("heading", name="Bo", exact=True)).to_be_visible()
    say(ada, "Psst")
    expect(row(bo, "Ada")).to_have_accessible_name(re.compile("1 unread message$"))
    expect(row(bo, "Ada").locator(".badge")).to_have_text("1")
    shows(bo)
    row(bo, "Ada").click()
    shows(bo, "Psst")
    expect(bo.get_by_role("heading", name="Ada", exact=True)).to_be_visible()
    bo.get_by_role("button", name="More about this room").click()
    expect(bo.get_by_role("menuitem", name="Leave this room")).to_be_hidden()
    expect(bo.get_by_role("menuitem", name="Change the topic")).to_be_hidden()


def test_an_invitation_leads_into_the_room(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.get_by_role("button", name="More about this room").click()
    ada.get_by_role("menuitem", name="Invite people").click()
    ada.get_by_role("button", name="Copy link").click()
    expect(ada.get_by_role("dialog").get_by_role("status")).to_have_text("Copied.")
    link = ada.evaluate("() => navigator.clipboard.readText()")
    assert link == room
    bo = visitors.new(link, "Bo")
    expect(bo.get_by_role("heading", name="2 people here")).to_be_visible()


def test_a_link_to_no_room_is_told_and_forgotten(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    ada.evaluate("() => { location.hash = '#/no room'; }")
    notice = ada.get_by_role("alert").get_by_text("There can be no room of this name.")
    expect(notice).to_be_visible()
    expect(ada).to_have_url(room)  # nobody copies it from there
    go(ada, "den-2")
    expect(notice).to_be_hidden()


def test_a_link_to_a_room_of_two_others_leads_back(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    ada.evaluate("() => { location.hash = '#/@1000001-1000002'; }")
    expect(ada.get_by_role("alert")).to_be_visible()
    expect(ada.get_by_role("heading", name="den", exact=True)).to_be_visible()
    say(ada, "Here I am.")
    shows(ada, "Here I am.")
    expect(ada.locator("#unsaid li")).to_have_count(0)


def test_what_was_said_is_found_and_gone_to(room: str, visitors: Visitors) -> None:
    ada = visitors.speaker(room, "Ada")
    begin_history(room, 1)
    ada.say("The <b>plums</b> are ripe, and plums do not wait")
    begin_history(room, 300)
    reader = visitors.new(room, "Lin")
    reader.keyboard.press("Control+Shift+F")
    field = reader.get_by_role("searchbox", name="Search messages")
    expect(field).to_be_focused()
    expect(field).to_have_js_property("maxLength", QUERY)
    field.fill("PLUM")
    hits = reader.locator("#search .hits li")
    expect(hits).to_have_count(1)
    expect(hits.locator("mark").first).to_have_text(re.compile("^plum", re.IGNORECASE))
    expect(hits.locator(".text")).to_have_text("The <b>plums</b> are ripe, and plums do not wait")
    expect(hits.locator(".name")).to_have_text("Ada")
    expect(reader.get_by_text("are ripe").nth(1)).to_have_count(0)
    hits.get_by_role("link").click()
    found = reader.locator("#messages .text", has_text="are ripe")
    expect(found).to_be_in_viewport()
    field.fill("number")
    expect(hits).to_have_count(20)
    reader.get_by_role("button", name="Older ones").click()
    expect(hits).to_have_count(40)
    field.fill("nowhere said")
    expect(reader.locator("#search").get_by_role("status")).to_have_text("Nothing found.")
    reader.get_by_label("Everywhere").check()
    field.fill("ripe")
    expect(hits.locator(".place")).to_have_text(" #den")
    reader.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(reader.locator("#search-toggle")).to_be_focused()
    expect(reader.get_by_role("heading", name="2 people here")).to_be_visible()


def test_a_search_goes_on_by_itself(tmp_path: Path, visitors: Visitors) -> None:
    with Daemon(tmp_path / "daemon", "--talk-rate", "0", program=HASTY) as daemon:
        room = f"{daemon.url}#/den"
        with speaking(room) as speaker:
            speaker.say("The tea pot.", *(200 * ["A pot of tea."]))
        reader = visitors.new(room, "Lin")
        answers: list[str | bytes] = []

        def listen(socket: WebSocket) -> None:
            socket.on("framereceived", lambda data: answers.append(data))

        reader.on("websocket", listen)
        reader.reload()
        reader.locator("#search-toggle").click()
        field = reader.get_by_role("searchbox", name="Search messages")
        hits = reader.locator("#search .hits li")
        status = reader.locator("#search").get_by_role("status")
        field.fill('"tea pot"')
        expect(status).to_have_text("1 message")
        expect(hits.locator(".text")).to_have_text("The tea pot.")
        expect(reader.get_by_role("button", name="Older ones")).to_be_hidden()
        assert sum('"event":"search"' in str(answer) for answer in answers) > 3
        field.fill('"pot tea"')
        expect(status).to_have_text("Nothing found.")
        field.fill("tea pot")
        expect(hits).to_have_count(20)
        expect(status).to_have_text("The newest 20 messages")
        reader.close()  # before the daemon ends: it would miss that


def test_what_is_loaded_later_may_be_newer(tmp_path: Path, visitors: Visitors) -> None:
    web = tmp_path / "web"
    shutil.copytree(PAGE, web)
    with Daemon(tmp_path / "daemon", "--web", str(web)) as daemon:
        ada = visitors.new(f"{daemon.url}#/den", "Ada")
        say(ada, "Hello.")
        shows(ada, "Hello.")
        for name in ("actions", "complete", "search"):
            later = web / f"{name}.js"
            later.write_text(f'import {{ later }} from "./dom.js";\n{later.read_text()}')
        notice = ada.get_by_role("alert").filter(has_text="There is a new version of this page.")
        ways: tuple[Callable[[], object], ...] = (
            lambda: ada.locator("#messages .text").hover(),
            lambda: ada.get_by_label("Message", exact=True).fill("@"),
            lambda: ada.keyboard.press("Control+Shift+F"),
        )
        for way in ways:
            way()
            expect(notice).to_be_visible()
            ada.mouse.move(0, 0)
            ada.reload()
            shows(ada, "Hello.")
        ada.close()
        complaints, visitors.complaints = visitors.complaints, []
        assert len(complaints) >= len(ways)
        assert all("does not provide an export named 'later'" in text for text in complaints)


def test_a_phone_has_drawers(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada", **PHONE)
    rooms, people = ada.locator("#sidebar"), ada.locator("#people")
    address = ada.url
    for leave in ("Escape", "back", "beside", "button"):
        expect(rooms).to_be_hidden()
        expect(people).to_be_hidden()
        ada.locator("#rooms-toggle").tap()
        expect(rooms).to_be_in_viewport()
        expect(row(ada, "den")).to_be_focused()
        for _ in range(12):  # the focus stays within
            ada.keyboard.press("Tab")
            assert ada.evaluate(
                "() => document.activeElement === document.body"
                " || document.querySelector('#sidebar').contains(document.activeElement)"
            )
        if leave == "Escape":
            ada.keyboard.press("Escape")
        elif leave == "back":
            ada.go_back()
        elif leave == "beside":
            ada.touchscreen.tap(380, 400)
        else:
            rooms.get_by_role("button", name="Close").tap()
        closed(ada, "#sidebar")
        assert ada.url == address
        expect(ada.locator("main")).not_to_have_attribute("inert", "")
        if leave != "beside":
            expect(ada.locator("#rooms-toggle")).to_be_focused()
    ada.locator("#rooms-toggle").tap()
    ada.locator("#settings").tap()
    expect(ada.get_by_role("dialog", name="Settings")).to_be_visible()
    expect(rooms).to_be_hidden()
    ada.get_by_role("button", name="Change").tap()
    expect(ada.get_by_label("What should people call you?")).to_be_focused()
    ada.keyboard.press("Escape")
    ada.locator("#rooms-toggle").tap()
    ada.get_by_role("button", name="Ada: change your name").tap()
    expect(ada.get_by_label("What should people call you?")).to_be_focused()
    ada.keyboard.press("Escape")
    go(ada, "den-2")
    ada.locator("#rooms-toggle").tap()
    row(ada, "den").tap()
    expect(rooms).to_be_hidden()
    expect(ada.get_by_role("heading", name="den", exact=True)).to_be_visible()
    ada.go_back()  # not into the drawer
    expect(ada.get_by_role("heading", name="den-2", exact=True)).to_be_visible()
    ada.locator("#people-toggle").tap()
    expect(people).to_be_in_viewport()
    ada.set_viewport_size({"width": 1200, "height": 700})
    expect(rooms).to_be_visible()
    expect(ada.locator("main")).not_to_have_attribute("inert", "")
    settled = "Promise.allSettled(document.getAnimations().map(({ finished }) => finished))"
    width = ada.evaluate(f"() => {settled}.then(() => document.documentElement.scrollWidth)")
    assert width == 1200


def test_nothing_reaches_out_of_a_narrow_page(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "A" * 32, viewport={"width": 320, "height": 480})
    go(ada, "r" * 64)
    assert ada.evaluate("() => document.documentElement.scrollWidth") == 320
    for button in ada.locator("header").get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 320
        assert box["width"] >= 24 and box["height"] >= 24


def test_a_long_name_reaches_out_of_no_page(room: str, visitors: Visitors) -> None:
    visitors.speaker(room, "很长中文名字" * 5).say("hello")
    for width in (390, 900):
        ada = visitors.new(room, f"Ada {width}", viewport={"width": width, "height": 700})
        ada.locator("#messages .text").hover(position={"x": 2, "y": 2})
        ada.get_by_role("toolbar").get_by_role("button", name="Reply", exact=True).click()
        cancel = ada.locator("#about").get_by_role("button")
        expect(cancel).to_be_visible()
        assert ada.evaluate("() => document.documentElement.scrollWidth") == width
        inside, outside = cancel.bounding_box(), ada.locator("#composer").bounding_box()
        assert inside is not None and outside is not None
        assert inside["x"] + inside["width"] <= outside["x"] + outside["width"]


def test_the_keys(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    for other in ("b", "c"):
        go(ada, f"den-{other}")
    text = ada.get_by_label("Message", exact=True)
    text.click()
    ada.keyboard.press("Alt+ArrowUp")
    expect(ada.get_by_role("heading", name="den-b", exact=True)).to_be_visible()
    ada.keyboard.press("Alt+ArrowDown")
    expect(ada.get_by_role("heading", name="den-c", exact=True)).to_be_visible()
    text.press_sequentially("1/2?")
    expect(text).to_have_value("1/2?")
    text.fill("")
    shortcuts = ada.get_by_role("dialog", name="Keyboard shortcuts")
    ada.keyboard.press("Control+/")
    expect(shortcuts).to_be_visible()
    ada.keyboard.press("Escape")
    expect(shortcuts).to_have_count(0)
    expect(text).to_be_focused()
    ada.locator("#settings").focus()
    ada.keyboard.press("?")
    expect(shortcuts).to_be_visible()
    ada.keyboard.press("Escape")
    expect(ada.locator("#settings")).to_be_focused()
    ada.keyboard.press("Enter")
    ada.get_by_label("The keys / and ? alone are shortcuts").uncheck()
    ada.keyboard.press("Escape")
    ada.keyboard.press("?")
    ada.keyboard.press("Control+k")
    expect(ada.get_by_role("dialog")).to_have_count(1)
    expect(shortcuts).to_have_count(0)


def test_the_menu_by_keys(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    toggle, items = ada.locator("#menu-toggle"), ada.get_by_role("menuitem")
    toggle.focus()
    ada.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    ada.keyboard.press("ArrowDown")
    expect(items.first).to_be_focused()
    ada.keyboard.press("End")
    ada.keyboard.press("ArrowUp")
    expect(items.nth(3)).to_be_focused()
    ada.keyboard.press("Escape")
    expect(ada.get_by_role("menu")).to_be_hidden()
    expect(toggle).to_be_focused()
    ada.keyboard.press("Enter")
    expect(items.first).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("menu")).to_be_hidden()


def ground(page: Page) -> str:
    """The colour of the page."""
    colour: str = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return colour


def test_light_and_dark_by_the_system_and_by_choice(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada", color_scheme="light")
    light = ground(ada)
    ada.emulate_media(color_scheme="dark")
    dark = ground(ada)
    assert light == "rgb(255, 255, 255)" != dark
    other = visitors.tab(ada.context, room)
    assert ground(other) == light
    ada.bring_to_front()  # in a tab behind another nothing moves
    ada.locator("#settings").click()
    ada.get_by_label("Light").check()
    assert ground(ada) == light
    ada.get_by_label("Dark").check()
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    assert ground(other) == ground(ada) == dark
    other.reload()
    assert ground(other) == dark
    shown = "() => [...document.querySelectorAll('meta[name=theme-color]')]"
    shown += ".filter((meta) => matchMedia(meta.media).matches).map((meta) => meta.content)"
    assert other.evaluate(shown) == ["#191a21"]
    ada.get_by_label("As the system").check()
    expect(other.locator("html")).not_to_have_attribute("data-theme", re.compile(""))


def test_chinese_by_the_browser_and_by_choice(room: str, visitors: Visitors) -> None:
    xiao = visitors.tab(visitors.context(locale="zh-CN"), room)
    expect(xiao.locator("html")).to_have_attribute("lang", "zh-CN")
    xiao.get_by_label("大家该怎么称呼你？").fill("晓月")
    xiao.get_by_role("button", name="就用这个名字").click()
    expect(xiao.locator("#self-name")).to_have_text("晓月")
    expect(xiao.get_by_role("heading", name="1 人在线")).to_be_visible()
    for open_it in ("#settings", "#browse", None):
        if open_it is None:
            xiao.keyboard.press("Control+/")
        else:
            xiao.locator(open_it).click()
        expect(xiao.get_by_role("dialog")).to_be_visible()
        seen = xiao.locator("body").inner_text()
        english = set(re.findall("[A-Za-z]{3,}", seen.replace("den", "").replace("chatroom", "")))
        assert english <= {"Ctrl", "Alt", "Shift", "Enter", "Esc", "English", "guest"}, english
        xiao.keyboard.press("Escape")
    xiao.locator("#settings").click()
    xiao.get_by_label("语言").select_option("English")
    expect(xiao.locator("html")).to_have_attribute("lang", "en")
    expect(xiao.get_by_role("heading", name="1 person here")).to_be_visible()


def test_without_a_connection_a_panel_says_so(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")

    def lose(route: Route) -> None:
        route.abort()

    visitors.loss_expected = True
    ada.route("**/settings.js", lose)
    ada.locator("#settings").click()
    expect(ada.locator("#notice-text")).to_have_text(
        "This could not be loaded. Is there a connection?"
    )
    ada.locator("#notice").get_by_role("button", name="Close").click()
    expect(ada.locator("#notice")).to_be_hidden()
    visitors.complaints.clear()


RECORD = """
  window.shown = [];
  const Real = Notification;
  window.Notification = class extends Real {
    constructor(title, options) {
      super(title, options);
      window.shown.push([title, options.body, options.tag]);
      window.last = this;
    }
  };
"""


@pytest.mark.parametrize("kind", ["direct", "all", "none"])
def test_notifications_are_what_the_user_wants(kind: str, room: str, visitors: Visitors) -> None:
    context = visitors.context(permissions=["notifications"])
    context.add_init_script(RECORD)
    ada = visitors.tab(context, room)
    choose(ada, "Ada")
    bo = visitors.speaker(room, "Bo")
    ada.locator("#settings").click()
    ada.get_by_label("Notify me of").select_option(kind)
    ada.keyboard.press("Escape")
    go(ada, "den-2")
    bo.say("while she looks")
    expect(row(ada, "den").locator(".count")).to_have_text("1")
    assert ada.evaluate("() => shown") == []
    # Playwright has every page believe that it has the focus, and knows no way to take it away.
    ada.evaluate("() => { document.hasFocus = () => false; }")
    bo.say("plain <b>", "@Ada <i>")
    expect(row(ada, "den").locator(".badge")).to_have_text("1")
    expected = {
        "none": [],
        "direct": [["Bo in #den", "@Ada <i>", "den"]],
        "all": [["Bo in #den", text, "den"] for text in ("plain <b>", "@Ada <i>")],
    }
    assert told_of(len(expected[kind]), ada) == expected[kind]
    if kind != "none":
        ada.evaluate("() => last.dispatchEvent(new Event('click'))")
        expect(ada.get_by_role("heading", name="den", exact=True)).to_be_visible()


def told_of(count: int, *tabs: Page) -> list[list[str]]:
    """All that *tabs* of a browser have notified of, when none has more to tell than *count*."""

    later = "(answer) => new Promise((done) => setTimeout(done, 50, answer))"

    def shown() -> list[list[str]]:
        return [each for tab in tabs for each in tab.evaluate(f"() => ({later})(shown)")]

    until(lambda: len(shown()) >= count, "notifications")
    held = "(await navigator.locks.query()).held.filter(({ name }) => / tells /.test(name)).length"
    idle = f"async () => ({later})({held})"
    until(lambda: tabs[0].evaluate(idle) == 0, "no tab that tells something")
    return shown()


def test_one_tab_notifies_of_what_is_read_in_none(room: str, visitors: Visitors) -> None:
    context = visitors.context(permissions=["notifications"])
    context.add_init_script(RECORD)
    unfocused = "() => { document.hasFocus = () => false; }"
    here = visitors.tab(context, room)
    choose(here, "Ida")
    bo = visitors.speaker(room, "Bob")
    bo.say("so that it is one of hers")
    there = visitors.tab(context, room)
    go(there, "den-2")
    with there.expect_websocket() as socket:
        there.reload()
    expect(row(there, "den")).to_be_visible()
    there.evaluate(unfocused)
    ids: list[int] = []

    def is_read(frame: str | bytes) -> bool:
        event = json.loads(frame)
        if "other tab" in event["data"].get("message", ""):
            ids.append(event["data"]["id"])
        return event["event"] == "read" and ids != [] and event["data"]["id"] >= ids[0]

    def frame(count: int, *texts: Locator) -> bool:
        context.clock.run_for(16)
        return sum(text.count() for text in texts) == count

    # What one tab does within so many seconds of another it does however slow they are.
    pause(here)
    with socket.value.expect_event("framereceived", is_read):
        bo.say("@Ida who looks at it in the other tab")
        looked_at = here.locator("#messages .text", has_text="the other tab")
        until(lambda: frame(1, looked_at), "the message")
        context.clock.run_for(1000)
    context.clock.resume()
    expect(row(there, "den").locator(".badge")).to_have_count(0)
    go(here, "den-3")
    here.evaluate(unfocused)
    pause(here)
    bo.say("@Ida who looks at neither")
    badges = [row(tab, "den").locator(".badge", has_text="1") for tab in (here, there)]
    until(lambda: frame(2, *badges), "what is unread")
    for tab in (here, there):  # each has asked whether it is the one
        tab.evaluate(
            """async () => {
              await import(new URL("notifications.js", location));
              await navigator.locks.query();
            }"""
        )
    context.clock.resume()
    shown = told_of(1, here, there)
    assert [body for _, body, _ in shown] == ["@Ida who looks at neither"]


def test_the_first_load_is_small(room: str, visitors: Visitors) -> None:
    page = visitors.context().new_page()
    sizes: dict[str, int] = {}
    page.on(
        "requestfinished",
        lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}),
    )
    page.goto(room, wait_until="networkidle")
    expect(page.locator("#self")).to_be_visible()
    origin = room.partition("#")[0]
    assert all(url.startswith((origin, "data:")) for url in sizes)
    assert len(sizes) > 10
    assert sum(sizes.values()) < FIRST_LOAD, sizes


def held(page: Page, name: str) -> list[Route]:
    """What *page* asks for under *name*: it comes when it is let go on."""
    routes: list[Route] = []
    page.route(f"**/{name}", lambda route: routes.append(route))
    return routes


def loaded(page: Page, module: str, style: str) -> None:
    """Wait until *page* has both, and all that waited for them has gone on."""
    page.evaluate(
        """async ([module, style]) => {
          const { sheet } = await import(new URL("sheet.js", location));
          await Promise.all([import(new URL(module, location)), sheet(style)]);
          await new Promise((done) => requestAnimationFrame(done));
        }""",
        [module, style],
    )


def tool(page: Page, text: str, label: str) -> Locator:
    """The tool of this *label* for the message that says *text*."""
    said = page.locator("#messages .message", has=page.get_by_text(text, exact=True))
    said.locator(".text").hover(position={"x": 2, "y": 2})
    return said.get_by_role("toolbar").get_by_role("button", name=label, exact=True)


def press_again(page: Page) -> None:
    """Make the click that the mouse has just made a double one."""
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)


def test_what_is_open_does_nothing_in_another_room(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    say(ada, "one")
    shows(ada, "one")
    go(ada, "den-2")
    expect(ada.get_by_label("Message", exact=True)).to_be_focused()
    say(ada, "two")
    shows(ada, "two")
    dialog, picker, log = ada.get_by_role("dialog"), ada.locator("#picker"), ada.locator("#log")

    def back_and_forth() -> None:
        ada.go_back()
        shows(ada, "one")
        expect(dialog).to_have_count(0)
        ada.go_forward()
        shows(ada, "two")

    ada.get_by_role("button", name="More about this room").click()
    ada.get_by_role("menuitem", name="Change the topic").click()
    ada.get_by_label("What is this room about?").fill("The second den")
    back_and_forth()
    expect(ada.locator("#menu-toggle")).to_be_focused()
    tool(ada, "two", "Add a reaction").click()
    expect(picker).to_be_visible()
    back_and_forth()
    expect(log).to_be_focused()
    questions = held(ada, "confirm.js")
    with ada.expect_request("**/confirm.js"):
        tool(ada, "two", "Delete").click()
    ada.go_back()
    shows(ada, "one")
    questions.pop().continue_()
    loaded(ada, "confirm.js", "panels.css")
    expect(dialog).to_have_count(0)
    ada.go_forward()
    shows(ada, "two")
    tool(ada, "two", "Delete").click()
    expect(dialog).to_be_visible()
    back_and_forth()
    expect(log).to_be_focused()


def test_enter_goes_to_the_first_room_that_is_found(room: str, visitors: Visitors) -> None:
    for name in ("big-tea", "general", "tea"):
        visitors.speaker(f"{room[: room.index('#')]}#/{name}", name).say(f"welcome to {name}")
    ada = visitors.new(room, "Ada")
    field = ada.get_by_label("Name of a room")
    found = ada.get_by_role("dialog").get_by_role("listitem").get_by_role("link")

    def arrive(name: str) -> None:
        expect(ada.get_by_role("heading", name=name, exact=True)).to_be_visible()
        expect(ada.get_by_label("Message", exact=True)).to_be_focused()
        expect(ada).to_have_url(re.compile(f"#/{name}$"))

    # Each with Enter before the answer is there.
    for typed, name in (("gen", "general"), ("Tea", "tea"), ("gent", "gent")):
        ada.keyboard.press("Control+k")
        expect(field).to_be_focused()
        ada.keyboard.insert_text(typed)
        ada.keyboard.press("Enter")
        arrive(name)
    ada.keyboard.press("Control+k")
    field.fill("tea")
    expect(found).to_have_count(2)
    for key, focused in (
        ("ArrowUp", field),
        ("ArrowDown", found.first),
        ("ArrowDown", found.last),
        ("ArrowDown", found.last),
        ("ArrowUp", found.first),
        ("ArrowUp", field),
        ("ArrowDown", found.first),
    ):
        ada.keyboard.press(key)
        expect(focused).to_be_focused()
    ada.keyboard.press("Enter")
    arrive("big-tea")


def test_what_is_found_stays_until_there_is_an_answer(room: str, visitors: Visitors) -> None:
    for name in ("big-tea", "tea"):
        visitors.speaker(f"{room[: room.index('#')]}#/{name}", name).say(f"welcome to {name}")
    answers: list[str | bytes] = []
    pages: list[WebSocketRoute] = []

    def connect(page: WebSocketRoute) -> None:
        pages.append(page)
        page.connect_to_server().on_message(hear)

    def hear(message: str | bytes) -> None:
        if '"event":"rooms"' in str(message):
            answers.append(message)
        else:
            pages[-1].send(message)

    context = visitors.context()
    context.route_web_socket("**/ws?*", connect)
    ada = visitors.tab(context, room)
    dialog = ada.get_by_role("dialog")
    found, status = dialog.get_by_role("listitem").get_by_role("link"), dialog.get_by_role("status")
    ada.keyboard.press("Control+k")
    expect(status).to_have_text("Looking…")
    until(lambda: answers or ada.evaluate("() => 0"), "the first answer")
    pages[-1].send(answers[0])
    expect(status).to_have_text("3 rooms")
    ada.get_by_label("Name of a room").fill("tea")
    ada.keyboard.press("ArrowDown")
    expect(found.first).to_be_focused()
    first = found.first.element_handle()
    expect(status).to_have_text("Looking…")
    expect(found.first).to_be_focused()
    until(lambda: answers[1:] or ada.evaluate("() => 0"), "the second answer")
    pages[-1].send(answers[1])
    expect(status).to_have_text("2 rooms")
    expect(found.first).to_be_focused()
    expect(found).to_have_text([re.compile("^#big-tea"), re.compile("^#tea")])
    assert first.evaluate("(node) => node.isConnected"), "it goes away under a finger"


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_who_has_left_is_written_to(size: str, room: str, visitors: Visitors) -> None:
    phone = {**PHONE, "viewport": {"width": 320, "height": 640}}
    ada = visitors.new(room, "Ada", **(phone if size == "phone" else {}))
    say(ada, "mine")
    shows(ada, "mine")
    bo = visitors.new(room, "Bo")
    say(bo, "yours")
    shows(ada, "mine", "yours")
    bo.goto("about:blank")
    expect(ada.get_by_role("heading", name="1 person here", include_hidden=True)).to_have_count(1)
    write = ada.get_by_role("toolbar").get_by_role("button", name="Write directly")
    if size == "phone":
        mores = ada.get_by_role("button", name="What to do with this message")
        mores.first.tap()
        expect(ada.get_by_role("toolbar")).to_be_visible()
        expect(write).to_have_count(0)
        mores.last.tap()
        expect(write).to_be_visible()
        for button in ada.get_by_role("toolbar").get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 320
        write.tap()
    else:
        ada.locator("#log").focus()
        rows = ada.locator("#messages .message")
        ada.keyboard.press("ArrowUp")
        expect(rows.last).to_be_focused()
        ada.keyboard.press("ArrowUp")
        expect(rows.first).to_be_focused()
        ada.keyboard.press("Enter")
        expect(ada.get_by_role("toolbar").get_by_role("button").first).to_be_focused()
        expect(write).to_have_count(0)
        ada.keyboard.press("Escape")
        ada.keyboard.press("ArrowDown")
        ada.keyboard.press("Enter")
        ada.keyboard.press("End")
        ada.keyboard.press("ArrowLeft")
        expect(write).to_be_focused()
        ada.keyboard.press("Enter")
    expect(ada.get_by_role("heading", name="Bo", exact=True)).to_be_visible()
    expect(ada.get_by_label("Message", exact=True)).to_be_focused()
    say(ada, "Psst")
    shows(ada, "Psst")
    bo.goto(room)
    row(bo, "Ada").click()
    shows(bo, "Psst")
    expect(tool(bo, "Psst", "Reply")).to_be_visible()
    expect(bo.get_by_role("toolbar").get_by_role("button", name="Write directly")).to_have_count(0)


def test_a_second_click_neither_closes_nor_opens_twice(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    ada.set_viewport_size({"width": 1200, "height": 800})
    picture = {"name": "lake.png", "mimeType": "image/png", "buffer": image("PNG", (800, 600))}
    ada.locator("#composer input[type=file]").set_input_files([cast(FilePayload, picture)])
    expect(ada.locator("#tray li")).to_have_count(1)
    say(ada, "the lake")
    dialog = ada.locator("dialog[open]")
    opens = {
        ("lightbox.js", "lightbox.css"): lambda: ada.locator("a.file.image"),
        ("confirm.js", "panels.css"): lambda: tool(ada, "the lake", "Delete"),
    }
    expect(ada.locator("a.file.image img")).to_have_js_property("complete", True)
    for (module, style), node in opens.items():
        routes = held(ada, module)
        with ada.expect_request(f"**/{module}"):
            node().click()
        node().click()
        routes.pop().continue_()
        loaded(ada, module, style)
        expect(dialog).to_have_count(1)
        ada.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        node().click(position={"x": 5, "y": 5})
        expect(dialog).to_have_count(1)
        press_again(ada)
        expect(dialog).to_have_count(1)
        ada.mouse.click(5, 795)
        expect(dialog).to_have_count(0)


def test_a_search_is_found_again_on_a_phone(room: str, visitors: Visitors) -> None:
    visitors.speaker(room, "Bo").say("hay", "a needle", "more hay")
    ada = visitors.new(room, "Ada", **PHONE)
    hits = ada.locator("#search .hits").get_by_role("link")
    ada.locator("#search-toggle").tap()
    ada.get_by_role("searchbox", name="Search messages").fill("needle")
    hits.tap()
    expect(ada.locator("#search")).to_be_hidden()
    expect(ada.locator("#messages .goal")).to_contain_text("a needle")
    ada.locator("#search-toggle").tap()
    field = ada.get_by_role("searchbox", name="Search messages")
    expect(field).to_have_value("needle")
    expect(field).to_be_focused()
    expect(hits).to_have_count(1)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_room_on_the_page_is_seen_in_the_list(size: str, room: str, visitors: Visitors) -> None:
    phone = size == "phone"
    small = {"viewport": {"width": 390 if phone else 900, "height": 400}}
    ada = visitors.new(room, "Ada", **({**PHONE, **small} if phone else small))
    names = [f"room-{number:02}" for number in range(16)]
    for name in names:
        ada.evaluate("(name) => { location.hash = `#/${name}`; }", name)
        expect(ada.locator("#rooms [aria-current]")).to_have_text(f"#{name}")
        say(ada, "One of mine")
        shows(ada, "One of mine")

    def seen() -> None:
        assert ada.evaluate("() => [scrollX, scrollY, visualViewport.pageLeft]") == [0, 0, 0]
        if phone:
            ada.locator("#rooms-toggle").tap()
        expect(ada.locator("#rooms [aria-current]")).to_be_in_viewport(ratio=0.8)
        if phone:
            ada.keyboard.press("Escape")
            closed(ada, "#sidebar")

    seen()
    ada.reload()
    expect(ada.locator("#rooms li")).to_have_count(len(names))
    seen()
    for name in reversed(names[:-1]):
        ada.keyboard.press("Alt+ArrowUp")
        expect(ada.get_by_role("heading", name=name, exact=True)).to_be_visible()
    seen()


def test_a_second_click_on_the_smiley_closes_the_picker(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada")
    smiley, picker = ada.get_by_role("button", name="Choose an emoji"), ada.locator("#picker")
    for _ in range(2):
        smiley.click()
        expect(picker).to_be_visible()
        smiley.click()
        expect(ada.get_by_label("Message", exact=True)).to_be_focused()
        expect(picker).to_have_count(0)
    smiley.focus()
    ada.keyboard.press("Enter")
    expect(picker).to_be_visible()


@pytest.mark.parametrize(
    "broken",
    [
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } });",
        "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); };",
    ],
    ids=["denied", "full"],
)
def test_settings_count_without_a_store(broken: str, room: str, visitors: Visitors) -> None:
    context = visitors.context(color_scheme="light")
    context.add_init_script(broken)
    ada = visitors.tab(context, room)
    for theme in ("Dark", "Light"):
        ada.locator("#settings").click()
        ada.get_by_label(theme).check()
        expect(ada.locator("html")).to_have_attribute("data-theme", theme.lower())
        ada.get_by_label("Notify me of").select_option("all")
        ada.keyboard.press("Escape")
        expect(ada.get_by_role("dialog")).to_have_count(0)
    assert ground(ada) == "rgb(255, 255, 255)"
    ada.locator("#settings").click()
    expect(ada.get_by_label("Light")).to_be_checked()
    expect(ada.get_by_label("Notify me of")).to_have_value("all")
    told, visitors.complaints = visitors.complaints, []
    assert all(text.startswith("This cannot be remembered:") for text in told)
