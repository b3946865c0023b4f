"""Take the picture for the README: ``python -m tests.screenshot docs/screenshot.png``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser import launch
from tests.daemon import Daemon

TALK = (
    ("Mira", "Hello! Who is coming to the lake on Saturday?"),
    ("Jonas", "Me! I can take three people in the car, from the station at nine."),
    ("Jonas", "And the small tent, in case it rains."),
    ("Lin", "Count me in. I'll bring bread, cheese and too many plums."),
    ("Mira", "Perfect. Then I bring the stove, and the coffee."),
    ("Lin", "Swim first, eat later?\nThe water has 19 degrees: warm enough for all but Jonas."),
    ("Jonas", "I heard that."),
    ("Jonas", "Swim first. I'll bring a second towel and a lot of courage."),
    ("Mira", "Ha! Nine o'clock at the station, then. I'll tell Noor when she is back online."),
)


def enter(browser: Browser, url: str, name: str) -> Page:
    """Open the page for somebody called *name*."""
    page = browser.new_context(viewport={"width": 1200, "height": 750}).new_page()
    page.goto(url)
    page.get_by_label("What should people call you?").fill(name)
    page.get_by_role("button", name="Use this name").click()
    expect(page.locator("#naming")).to_be_hidden()
    return page


def take(picture: Path) -> None:
    """Let three people talk, and save what one of them sees as *picture*."""
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder)) as room, launch() as browser:
        people = {name: enter(browser, room.url, name) for name in ("Jonas", "Lin", "Mira")}
        mine = people["Mira"]
        for count, (name, text) in enumerate(TALK, 1):
            people[name].get_by_label("Message", exact=True).fill(text)
            people[name].keyboard.press("Enter")
            expect(mine.locator("#messages .text")).to_have_count(count)
        typing = mine.locator("#typing")
        field = people["Lin"].get_by_label("Message", exact=True)
        for letter in "See you on Saturday!":
            field.press_sequentially(letter, delay=200)
            if typing.inner_text():
                break
        expect(typing).to_contain_text("Lin")
        mine.mouse.move(0, 0)
        mine.screenshot(path=picture)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.screenshot PICTURE.png")
    take(Path(sys.argv[1]))
