"""The page as axe-core sees it: the rules of WCAG 2.2 AA, and good practice, in each of its states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.daemon import Daemon
from tests.parts import package
from tests.visitors import Visitors, closed, say, shows

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]


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
DESKTOP = {"viewport": {"width": 1200, "height": 750}}
LISTED = """(rules) => axe.run({ resultTypes: ["violations"], ...rules }).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`)))"""
# All that makes a page light or dark are its colours.
RULES: dict[Any, dict[str, Any]] = {
    "light": {},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},
}


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script of axe-core."""
    return package("axe-core", tmp_path_factory.mktemp("axe")) / "axe.min.js"


class Inspector:
    """Somebody with axe-core in the browser."""

    def __init__(self, visitors: Visitors, axe: Path, room: str, **options: Any) -> None:
        context = visitors.context(**options)
        context.add_init_script(path=axe)  # by the browser itself: the page's policy stays as it is
        self.page = context.new_page()
        self.page.goto(room)
        expect(self.page.locator("#self-name")).not_to_have_text("")

    def inspect(self, where: str) -> None:
        """Fail if there is something to be found, in light or dark, *where* the page is now."""
        for scheme, rules in RULES.items():
            self.page.emulate_media(color_scheme=scheme)
            # What fades in has other colours on its way.
            self.page.evaluate(
                "() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished))"
            )
            found = self.page.evaluate(LISTED, rules)
            assert found == [], f"{where}, {scheme}:\n" + "\n".join(found)


def close(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_axe_finds_what_is_wrong(axe: Path, room: str, visitors: Visitors) -> None:
    inspector = Inspector(visitors, axe, room)
    inspector.page.evaluate(
        """() => {
          document.querySelector("#settings").removeAttribute("aria-label");
        }"""
    )
    with pytest.raises(AssertionError, match=r"light:\s+button-name: #settings"):
        inspector.inspect("where a label is missing")
    inspector.page.evaluate(
        """() => {
          document.querySelector("#settings").setAttribute("aria-label", "Settings");
          document.querySelector("#room").style.color = "#444";
        }"""
    )
    with pytest.raises(AssertionError, match=r"dark:\s+color-contrast: #room"):
        inspector.inspect("where something is grey on black")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_nothing(size: str, axe: Path, room: str, visitors: Visitors) -> None:
    phone = size == "phone"
    options: dict[str, Any] = PHONE if phone else DESKTOP
    inspector = Inspector(visitors, axe, room, **options)
    page = inspector.page
    bo = visitors.speaker(room, "Bo")
    inspector.inspect("who is new here")
    page.get_by_label("What should people call you?").fill("Bo")
    page.get_by_role("button", name="Use this name").click()
    expect(page.locator("#name-problem")).to_have_text("Somebody else has this name.")
    inspector.inspect("a name that is taken")
    page.get_by_label("What should people call you?").fill("Ada")
    page.get_by_role("button", name="Use this name").click()
    expect(page.locator("#naming")).to_be_hidden()
    bo.say("Hello @Ada", "a link: https://example.org/", "x" * 300, type="markdown")
    shows(page, "Hello @Ada", "a link: https://example.org/", "x" * 300)
    say(page, "Hello Bo")
    shows(page, "Hello @Ada", "a link: https://example.org/", "x" * 300, "Hello Bo")
    inspector.inspect("what was said")
    if phone:
        page.get_by_role("button", name="What to do with this message").first.tap()
    else:
        page.locator("#messages .text").first.hover()
    write = page.get_by_role("toolbar").get_by_role("button", name="Write directly")
    expect(write).to_be_visible()
    inspector.inspect("the tools of a message")
    if phone:
        for drawer, toggle in (("#sidebar", "#rooms-toggle"), ("#people", "#people-toggle")):
            page.locator(toggle).tap()
            expect(page.locator(drawer)).to_be_visible()
            inspector.inspect(drawer)
            page.keyboard.press("Escape")
            closed(page, drawer)
    page.locator("#menu-toggle").click()
    expect(page.get_by_role("menu")).to_be_visible()
    inspector.inspect("the menu")
    page.get_by_role("menuitem", name="Change the topic").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    inspector.inspect("the topic")
    page.get_by_label("What is this room about?").fill("Accessible to all")
    page.keyboard.press("Enter")
    expect(page.locator("#topic")).to_be_visible()
    inspector.inspect("a topic")
    for item in ("Invite people", "Keyboard shortcuts", "Settings"):
        page.locator("#menu-toggle").click()
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        inspector.inspect(item)
        close(page)
    page.keyboard.press("Control+k")
    page.get_by_label("Name of a room").fill("new-one")
    expect(page.get_by_role("dialog").get_by_text("Create the room new-one")).to_be_visible()
    inspector.inspect("rooms")
    close(page)
    page.locator("#search-toggle").click()
    page.get_by_role("searchbox", name="Search messages").fill("hello")
    expect(page.locator("#search .hits li")).to_have_count(2)
    inspector.inspect("the search")
    page.keyboard.press("Escape")
    closed(page, "#search")
    page.evaluate("() => { location.hash = '#/no such room'; }")
    expect(page.locator("#notice")).to_be_visible()
    inspector.inspect("a notice")


def test_axe_finds_nothing_without_a_connection(axe: Path, room: str, visitors: Visitors) -> None:
    visitors.loss_expected = True
    inspector = Inspector(visitors, axe, room, **DESKTOP)
    inspector.page.clock.install()
    inspector.page.context.set_offline(True)
    expect(inspector.page.locator("#link")).to_contain_text("offline")
    inspector.page.clock.fast_forward("00:05")  # so long it waits for a sign of life
    expect(inspector.page.locator("#link")).to_contain_text("Next try in")
    say(inspector.page, "from the tunnel")
    inspector.inspect("offline")
