"""What one sees and does in a room on the page, in real Chromium with the real daemon behind it."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, WebSocketRoute, expect

from tests.daemon import Daemon, until
from tests.visitors import Cable, Visitors, begin_history, choose, pause, say, shows

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
PYTHON = """Look:

```python
def swim(lake):
    return "cold"
```

- **one**
- [two](https://example.com/)
"""


def png(width: int, height: int) -> bytes:
    """A picture of this size, black all over."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0" * width) * height)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def message(page: Page, text: str) -> Locator:
    """The row of the message that says *text*."""
    said = page.locator(".text", has_text=re.compile(f"^{re.escape(text)}"))
    return page.locator("#messages .message").filter(has=said)


def act(page: Page, row: Locator, label: str) -> None:
    """Do with the message in *row* what the tool of this *label* does."""
    tool = row.get_by_role("toolbar").get_by_role("button", name=label, exact=True)

    def offered() -> bool:
        row.locator(".text").hover(position={"x": 2, "y": 2})  # tools may lie over the rest
        return tool.is_visible()

    # What has just come may have moved another row to where the pointer is.
    until(offered, f"that one can {label}")
    tool.click()


def field(page: Page) -> Locator:
    return page.get_by_label("Message", exact=True)


def focused(page: Page) -> str:
    """What has the focus: its text, or else what it is called."""
    text: str = page.evaluate(
        """() => {
          const node = document.activeElement;
          return node.querySelector?.(".text")?.textContent ?? node.ariaLabel ?? node.id;
        }"""
    )
    return text


def top_of(row: Locator) -> float:
    box = row.bounding_box()
    assert box is not None
    return box["y"]


def scroll(page: Page, top: int) -> None:
    """Scroll the log so far from its top, and wait until the page has drawn that."""
    page.evaluate(
        """async (top) => {
          document.querySelector("#log").scrollTop = top;
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
        }""",
        top,
    )


def test_markdown_is_read_and_text_stays_text(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 1"), visitors.new(room, "Bo 1")
    say(ada, PYTHON, "5 > 4 and https://example.com/a_(b).", "*<img src=x onerror=alert(1)>*")
    for page in (ada, bo):
        code = page.locator("#messages pre code")
        expect(code).to_have_text('def swim(lake):\n    return "cold"\n')
        expect(code.locator(".k")).to_have_text(["def", "return"])
        expect(page.locator("#messages strong")).to_have_text("one")
        link = page.get_by_role("link", name="two")
        expect(link).to_have_attribute("href", "https://example.com/")
        expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        bare = page.get_by_role("link", name="https://example.com/a_(b)")
        expect(bare).to_have_attribute("target", "_blank")
        expect(page.locator("#messages em")).to_have_text("<img src=x onerror=alert(1)>")
        expect(page.locator("#messages").locator("img, script")).to_have_count(0)
    bo.get_by_role("button", name="Write with Markdown").click()
    say(bo, "*as it is*")
    expect(message(ada, "*as it is*")).to_be_visible()
    bo.reload()
    toggle = bo.get_by_role("button", name="Write with Markdown")
    expect(toggle).to_have_attribute("aria-pressed", "false")


def test_html_is_built_of_what_is_listed(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    for html, built in (
        ("<p class=h1>a <strong>b</strong></p>", '<p class="h1">a <strong>b</strong></p>'),
        ("<p class=unseen id=log style=color:red onclick=alert(1)>a</p>", "<p>a</p>"),
        ("<p>a</p><script>alert(1)</script><img src=x onerror=alert(1)>", "<p>a</p>alert(1)"),
        ("<svg><a xlink:href='javascript:alert(1)'>a</a></svg>", "a"),
        ("<a href='javascript:alert(1)'>a</a><a href='/x'>b</a><a>c</a>", "abc"),
        ("<a href=' JaVa\tscript:alert(1)'>a</a>", "a"),
        ("<form><input name=q><button>go</button></form>", "go"),
        ("<template><b>a</b></template><iframe srcdoc='<b>'></iframe>", ""),
        ("<ol start=3><li>a</li></ol>", '<ol start="3"><li>a</li></ol>'),
        (
            "<span class=nf>a</span><span class=toolbar>b</span>",
            '<span class="nf">a</span><span>b</span>',
        ),
    ):
        assert (
            page.evaluate(
                """async (html) => {
                  const { nodes } = await import("./html.js");
                  const box = document.createElement("div");
                  box.append(...nodes(html, (text) => [document.createTextNode(text)]));
                  return box.innerHTML;
                }""",
                html,
            )
            == built
        ), html
    # The browser's own policy has refused the styles and scripts before that.
    assert any("Content Security Policy" in complaint for complaint in visitors.complaints)
    visitors.complaints.clear()
    deep = page.evaluate(
        """async () => {
          const { nodes } = await import("./html.js");
          return nodes("<p>".repeat(2) + "<blockquote>".repeat(5000) + "a", () => []).length;
        }"""
    )
    assert deep > 0


def test_a_few_emoji_are_large(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    say(page, "\N{GRINNING FACE}", "\N{GRINNING FACE} so")
    shows(page, "\N{GRINNING FACE}", "\N{GRINNING FACE} so")
    expect(page.locator(".text.large")).to_have_text(["\N{GRINNING FACE}"])


def test_an_own_message_is_edited_and_deleted(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 3"), visitors.new(room, "Bo 3")
    say(ada, "Helo")
    shows(bo, "Helo")
    say(bo, "Hi")
    shows(ada, "Helo", "Hi")
    field(ada).press("ArrowUp")
    expect(field(ada)).to_have_value("Helo")
    expect(ada.locator("#about")).to_contain_text("Editing your message")
    ada.keyboard.press("Escape")
    expect(field(ada)).to_have_value("")
    field(ada).press("ArrowUp")
    expect(field(ada)).to_have_value("Helo")
    say(ada, "Hello")
    expect(ada.locator("#about")).to_be_hidden()
    for page in (ada, bo):
        shows(page, "Hello (edited)", "Hi")
    bo.get_by_role("button", name="(edited)").click()
    dialog = bo.get_by_role("dialog", name="Earlier versions")
    expect(dialog.locator(".text")).to_have_text(["Helo", "Hello"])
    bo.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert bo.evaluate("() => document.activeElement.textContent") == "(edited)"

    row = message(bo, "Hello")
    row.locator(".text").hover()
    expect(row.get_by_role("button", name="Delete")).to_be_hidden()
    act(ada, message(ada, "Hello"), "Delete")
    sure = ada.get_by_role("dialog", name="Delete this message for everybody?")
    sure.get_by_role("button", name="Cancel").click()
    shows(bo, "Hello (edited)", "Hi")
    act(ada, message(ada, "Hello"), "Delete")
    sure.get_by_role("button", name="Delete").click()
    for page in (ada, bo):
        shows(page, "This message was deleted.", "Hi")
    assert focused(ada) == "This message was deleted."
    for page in (ada, bo):
        page.reload()
        shows(page, "This message was deleted.", "Hi")


def test_code_of_an_earlier_version_can_be_copied(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    say(page, "```\nold\n```")
    expect(page.locator("#messages pre")).to_have_text("old")
    field(page).press("ArrowUp")
    expect(field(page)).to_have_value("```\nold\n```")
    say(page, "```\nnew\n```")
    page.get_by_role("button", name="(edited)").click()
    dialog = page.get_by_role("dialog", name="Earlier versions")
    dialog.get_by_role("button", name="Copy this code").first.click()
    expect(dialog.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("() => navigator.clipboard.readText()").strip() == "old"


def test_what_was_said_without_markdown_is_edited_without_it(room: str, visitors: Visitors) -> None:
    page, bo = visitors.new(room), visitors.new(room, "Bo 21")
    markdown = page.get_by_role("button", name="Write with Markdown")
    markdown.click()
    say(page, "keep *this* text")
    shows(page, "keep *this* text")
    markdown.click()
    field(page).press("ArrowUp")
    expect(field(page)).to_have_value("keep *this* text")
    page.keyboard.press("End")
    page.keyboard.type("!")
    page.keyboard.press("Enter")
    shows(bo, "keep *this* text! (edited)")
    say(page, "make *this* slanted")
    shows(bo, "keep *this* text! (edited)", "make this slanted")


def test_reactions_are_given_and_taken_back(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 4"), visitors.new(room, "Bo 4")
    say(ada, "Cake!")
    act(bo, message(bo, "Cake!"), "React with \N{THUMBS UP SIGN}")
    thumb = ada.locator(".reactions [aria-pressed]")
    expect(thumb).to_have_attribute("aria-label", re.compile("1: \u2068?Bo"))
    expect(thumb).to_have_attribute("aria-pressed", "false")
    thumb.click()
    for page in (ada, bo):
        both = page.locator(".reactions [aria-pressed=true]")
        expect(both.locator(".count")).to_have_text("2")
    thumb.click()
    expect(thumb).to_have_attribute("aria-pressed", "false")
    expect(thumb).to_be_focused()
    bo.get_by_role("button", name="Add a reaction").last.click()
    bo.get_by_role("searchbox", name="Search emoji").fill("party")
    bo.keyboard.press("Enter")
    given = ada.locator(".reactions [data-emoji]")
    expect(given).to_have_count(2)
    bo.locator(".reactions [aria-pressed=true]").first.click()
    expect(given).to_have_count(1)


def test_a_reply_quotes_and_its_quote_leads_back(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 5"), visitors.new(room, "Bo 5")
    say(ada, "Who comes?")
    begin_history(room, 60)
    act(bo, message(bo, "number 60"), "Reply")
    expect(bo.locator("#about")).to_contain_text("number 60")
    bo.keyboard.press("Escape")
    expect(bo.locator("#about")).to_be_hidden()
    scroll(bo, 0)
    act(bo, message(bo, "Who comes?"), "Reply")
    expect(field(bo)).to_be_focused()
    expect(bo.locator("#about")).to_contain_text("Who comes?")
    say(bo, "I do")
    quote = message(ada, "I do").locator(".quote")
    expect(quote).to_contain_text("Who comes?")
    expect(message(ada, "I do")).to_be_in_viewport()
    quote.click()
    expect(message(ada, "Who comes?")).to_be_in_viewport()
    expect(message(ada, "Who comes?")).to_be_focused()
    expect(message(ada, "Who comes?")).to_have_class(re.compile(r"\bgoal\b"))
    ada.locator("#newest").click()
    expect(message(ada, "I do")).to_be_in_viewport()


def test_what_is_deleted_meanwhile_stops_nobody(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 15"), visitors.new(room, "Bo 15")
    say(ada, "one", "two")
    shows(bo, "one", "two")
    act(bo, message(bo, "one"), "Reply")
    expect(bo.locator("#about")).to_contain_text("one")
    field(bo).fill("an answer")
    other = visitors.tab(ada.context, room)
    act(other, message(other, "two"), "Edit")
    expect(field(other)).to_have_value("two")
    field(other).fill("two and a half")
    ada.bring_to_front()  # in a tab behind another nothing moves
    for text in ("one", "two"):
        act(ada, message(ada, text), "Delete")
        ada.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(bo.locator(".message.deleted")).to_have_count(2)
    bo.keyboard.press("Enter")
    expect(message(ada, "an answer")).to_be_visible()
    other.bring_to_front()
    field(other).press("Enter")
    other.get_by_role("button", name="Edit", exact=True).click()
    expect(field(other)).to_have_value("two and a half")
    expect(field(other)).to_be_focused()
    field(other).press("Enter")
    expect(message(bo, "two and a half")).to_be_visible()


def test_names_are_completed_and_mentions_marked(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada Byron"), visitors.new(room, "Bo 6")
    shows(ada)
    field(bo).press_sequentially("Hello @a")
    proposals = bo.get_by_role("listbox", name="Suggestions")
    expect(proposals.get_by_role("option").locator(".name")).to_have_text(["Ada Byron"])
    expect(field(bo)).to_have_attribute("aria-activedescendant", "completion-0")
    bo.keyboard.press("Enter")
    expect(field(bo)).to_have_value("Hello @Ada Byron ")
    expect(proposals).to_be_hidden()
    bo.keyboard.press("Enter")
    expect(ada.locator(".calls .mention.me")).to_have_text("@Ada Byron")
    expect(bo.locator(".mention")).to_have_text("@Ada Byron")
    expect(bo.locator(".mention.me")).to_have_count(0)
    field(bo).press_sequentially("@ad")
    proposals.get_by_role("option").click()
    expect(field(bo)).to_have_value("@Ada Byron ")
    expect(field(bo)).to_be_focused()
    field(bo).press_sequentially("and @A")
    bo.keyboard.press("Escape")
    expect(proposals).to_be_hidden()
    bo.keyboard.press("Enter")
    expect(message(ada, "@Ada Byron and @A")).to_be_visible()


def test_completion_keeps_what_was_written(room: str, visitors: Visitors) -> None:
    visitors.speaker(room, "İpek").say("hello")
    page = visitors.new(room)
    field(page).press_sequentially("hello @İ")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(field(page)).to_have_value("hello @İpek ")
    field(page).fill("x :")
    field(page).press_sequentially("tad")
    expect(page.get_by_role("option").first).to_contain_text("tada")
    field(page).fill("")
    field(page).press_sequentially("use std::map")
    expect(page.get_by_role("option")).to_have_count(0)
    page.keyboard.press("Enter")
    shows(page, "hello", "use std::map")


def test_emoji_are_found_by_name_and_by_picture(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    field(page).press_sequentially("nice :tad")
    expect(page.get_by_role("option").first).to_contain_text("tada")
    page.keyboard.press("Tab")
    expect(field(page)).to_have_value("nice \N{PARTY POPPER}")
    field(page).press_sequentially(" :heart:")
    expect(field(page)).to_have_value(re.compile("\N{HEAVY BLACK HEART}"))
    page.get_by_role("button", name="Choose an emoji").click()
    search = page.get_by_role("searchbox", name="Search emoji")
    expect(search).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    cell = page.locator("#picker :focus")
    chosen = cell.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#picker")).to_have_count(0)
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value(re.compile(re.escape(chosen) + "$"))
    page.get_by_role("button", name="Choose an emoji").click()
    expect(search).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#picker")).to_have_count(0)
    expect(field(page)).to_be_focused()


def test_files_are_sent_and_pictures_shown(room: str, visitors: Visitors, tmp_path: Path) -> None:
    ada, bo = visitors.new(room, "Ada 8"), visitors.new(room, "Bo 8")
    picked = ada.locator("#composer input[type=file]")
    contents = {
        "lake.png": png(800, 400),
        "notes.txt": b"swim first",
        "large.bin": b"0" * 11 * 2**20,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    picked.set_input_files([tmp_path / name for name in contents])
    tray = ada.get_by_role("list", name="Files to send").get_by_role("listitem")
    expect(tray).to_have_count(2)
    expect(ada.locator("#tray-told")).to_contain_text("large.bin has 11.5 MB")
    ada.get_by_role("button", name="Remove notes.txt").click()
    expect(tray).to_have_count(1)
    expect(ada.get_by_role("button", name="Remove lake.png")).to_be_focused()
    say(ada, "The lake")
    expect(tray).to_have_count(0)
    expect(ada.locator("#tray-told")).to_have_text("")
    for page in (ada, bo):
        shown = page.get_by_role("img", name="Picture: lake.png")
        expect(shown).to_have_js_property("complete", True)
        box = shown.bounding_box()
        assert box is not None and (round(box["width"]), round(box["height"])) == (360, 180)
    bo.get_by_role("link", name="Picture: lake.png").click()
    large_one = bo.get_by_role("dialog", name="lake.png")
    expect(large_one.get_by_role("img")).to_have_js_property("naturalWidth", 800)
    bo.keyboard.press("Escape")
    expect(large_one).to_have_count(0)
    expect(bo.get_by_role("link", name="Picture: lake.png")).to_be_focused()

    field(ada).evaluate(
        """(node) => {
          const data = new DataTransfer();
          data.items.add(new File(["pasted"], "pasted.txt", { type: "text/plain" }));
          node.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(tray).to_contain_text("pasted.txt")
    ada.locator("#stage").evaluate(
        """(node) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain" }));
          node.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }"""
    )
    expect(tray).to_have_count(2)
    field(ada).press("Enter")
    expect(bo.get_by_role("link", name="dropped.txt")).to_be_visible()
    card = bo.get_by_role("link", name="pasted.txt")
    with bo.expect_download() as download:
        card.click()
    saved = tmp_path / "saved"
    download.value.save_as(saved)
    assert saved.read_bytes() == b"pasted"


def test_an_upload_is_seen_cancelled_and_tried_again(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    visitors.refusal_expected = True
    under_way: list[Route] = []
    page.route("**/files?*", lambda route: under_way.append(route))
    picked = page.locator("#composer input[type=file]")
    notes = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"swim first")
    for ending in ("cancelled", "tried again"):
        picked.set_input_files(notes)
        expect(page.locator("#tray li")).to_have_count(1)
        say(page, ending)
        waiting = page.locator("#unsaid .message")
        expect(waiting.locator(".text")).to_have_text(ending)
        expect(waiting.locator(".fate")).to_contain_text("Uploading")
        until(lambda: under_way or page.evaluate("() => 0"), "the upload")
        upload = under_way.pop()
        if ending == "cancelled":
            expect(waiting.get_by_role("progressbar")).to_have_count(1)
            waiting.get_by_role("button", name="Cancel").click()
            expect(waiting).to_have_count(0)
            expect(field(page)).to_be_focused()
    say(page, "meanwhile")
    shows(page, "meanwhile")
    expect(waiting).to_have_count(1)
    upload.fulfill(status=413, json={"code": "too_large", "message": ""})
    expect(waiting.locator(".fate")).to_contain_text("Not sent. The file is larger than 10.5 MB.")
    page.unroute("**/files?*")
    waiting.get_by_role("button", name="Try again").click()
    shows(page, "meanwhile", "tried again")
    expect(page.get_by_role("link", name="notes.txt")).to_be_visible()
    expect(waiting).to_have_count(0)


def test_who_is_quicker_than_the_tray_sends_the_file_all_the_same(
    room: str, visitors: Visitors
) -> None:
    page = visitors.new(room)
    visitors.loss_expected = True
    trays: list[Route] = []
    page.route("**/tray.js", lambda route: trays.append(route))
    picked = page.locator("#composer input[type=file]")
    notes = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"swim first")

    def chosen() -> Route:
        picked.set_input_files(notes)
        say(page, "See what I wrote.")
        until(lambda: trays or page.evaluate("() => 0"), "that the tray is asked for")
        return trays.pop()

    chosen().abort()
    expect(page.locator("#notice")).to_contain_text("This could not be loaded.")
    expect(field(page)).to_have_value("See what I wrote.")
    tray = chosen()
    field(page).press("Enter")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(field(page)).to_have_value("See what I wrote.")
    tray.continue_()
    shows(page, "See what I wrote.")
    expect(page.locator("#messages .message")).to_have_count(1)
    expect(page.get_by_role("link", name="notes.txt")).to_be_visible()
    expect(field(page)).to_have_value("")


def test_all_of_it_by_keyboard(room: str, visitors: Visitors) -> None:
    page = visitors.new(room, "Kay 9")
    say(page, "one", "two", "three")
    shows(page, "one", "two", "three")
    page.locator("#log").focus()
    keys = page.keyboard
    keys.press("ArrowUp")  # what goes through them is loaded with it
    until(lambda: focused(page) == "three", "that the last message has the focus")
    keys.press("ArrowUp")
    assert focused(page) == "two"
    keys.press("Home")
    assert focused(page) == "one"
    keys.press("ArrowDown")
    keys.press("Enter")
    assert focused(page).startswith("React with")
    keys.press("ArrowLeft")
    assert focused(page) == "Delete"
    keys.press("Escape")
    assert focused(page) == "two"
    keys.press("r")
    expect(field(page)).to_be_focused()
    expect(page.locator("#about")).to_contain_text("two")
    keys.press("Escape")
    page.locator("#log").focus()
    keys.press("ArrowUp")
    keys.press("e")
    expect(field(page)).to_have_value("three")
    keys.press("Escape")
    page.locator("#log").focus()
    keys.press("ArrowUp")
    keys.press("Delete")
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_role("dialog").get_by_role("button", name="Delete")).to_be_focused()
    keys.press("Enter")
    shows(page, "one", "two", "This message was deleted.")
    assert focused(page) == "This message was deleted."
    keys.press("Escape")
    expect(field(page)).to_be_focused()


def test_an_input_method_keeps_its_enter(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    session = page.context.new_cdp_session(page)
    field(page).focus()
    session.send(
        "Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5}
    )
    field(page).dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    session.send("Input.insertText", {"text": "你好"})
    expect(field(page)).to_have_value("你好")
    shows(page)
    page.keyboard.press("Enter")
    shows(page, "你好")


def test_a_draft_stays_with_its_room(room: str, visitors: Visitors) -> None:
    page = visitors.new(room)
    field(page).fill("not yet")
    page.evaluate("() => { location.hash += '-other'; }")
    expect(field(page)).to_have_value("")
    field(page).fill("elsewhere")
    page.go_back()
    expect(field(page)).to_have_value("not yet")
    page.reload()
    expect(page.locator("#self-name")).not_to_have_text("")  # the browser itself fills in the field
    expect(field(page)).to_have_value("not yet")
    page.keyboard.press("Enter")
    shows(page, "not yet")


def test_what_is_new_stands_below_a_line(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room, "Ada 12"), visitors.new(room, "Bo 12")
    say(ada, "before")
    shows(bo, "before")
    bo.evaluate("() => { location.hash += '-other'; }")
    expect(bo.get_by_role("heading", level=1)).to_have_text(re.compile("-other$"))
    shows(bo)
    say(ada, "missed", "missed, too")
    expect(bo).to_have_title(re.compile(r"^\(2\) "))
    bo.go_back()
    shows(bo, "before", "missed", "missed, too")
    line = bo.locator(".unread")
    expect(line).to_have_count(1)
    expect(message(bo, "missed").first.locator(".unread")).to_be_visible()
    expect(bo.locator("#announcer")).to_have_text("")
    expect(ada.locator(".unread")).to_have_count(0)


def test_what_comes_below_who_reads_up_there_is_not_read(room: str, visitors: Visitors) -> None:
    begin_history(room, 80)
    begin_history(f"{room}-2", 80)
    bo = visitors.speaker(room, "Bo 20")
    ada = visitors.new(room)
    expect(message(ada, "number 80")).to_be_visible()
    scroll(ada, 500)
    for suffix in ("'-2'", "''"):
        ada.evaluate(
            f"(name) => {{ location.hash = name + {suffix}; }}", f"#{room.partition('#')[2]}"
        )
        expect(ada.get_by_role("heading", level=1)).to_have_text(
            re.compile(f"{re.escape(room.partition('#/')[2])}{suffix[1:-1]}$")
        )
        if suffix == "'-2'":
            expect(message(ada, "number 80")).to_be_visible()
            scroll(ada, 500)
    jump = ada.locator("#newest")
    expect(jump).to_have_text("Newest messages")
    bo.say("one", "two")
    expect(jump).to_have_text("2 new messages")


def test_what_loads_does_not_move_who_reads(room: str, visitors: Visitors) -> None:
    begin_history(room, 1500)
    writer = visitors.speaker(room, "Nora 13")
    reader = visitors.new(room, "Otto 13")
    rows = reader.locator("#messages .message")
    expect(message(reader, "number 1500")).to_be_in_viewport()
    moved = reader.evaluate(
        """async () => {
          const log = document.querySelector("#log");
          // Behind what a frame draws: what is put right before that, nobody sees.
          const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          const top = (row) => row.getBoundingClientRect().top;
          const seen = () =>
            [...document.querySelectorAll(".message")].find((row) => top(row) > 200);
          let worst = 0;
          let most = 0;
          // Who waits at the top goes on at the very moment when older ones have come.
          for (let page = 0; page < 3; page++) {
            const list = document.querySelector("#messages");
            const came = new Promise((done) => {
              new MutationObserver((_, observer) => {
                observer.disconnect();
                log.scrollTop -= 350;
                const row = seen();
                done([row, top(row)]);
              }).observe(list, { childList: true });
            });
            log.scrollTop = 0;
            const [row, before] = await came;
            for (let n = 0; n < 3; n++) await frame();
            worst = Math.max(worst, Math.abs(top(row) - before));
          }
          const first = () => document.querySelector(".message").dataset.id;
          let [oldest, since] = [first(), performance.now()];
          while (!document.querySelector(".message[data-id='1']")) {
            if (first() !== oldest) [oldest, since] = [first(), performance.now()];
            if (performance.now() > since + 60000) throw new Error(`nothing came before ${oldest}`);
            log.scrollTop -= 350;
            await frame();
            const row = seen();
            const before = top(row);
            const at = log.scrollTop;
            await frame();
            await frame();
            // Nobody scrolls: what is seen stays, whatever came above it meanwhile.
            worst = Math.max(worst, Math.abs(top(row) - before));
            most = Math.max(most, document.querySelectorAll(".message").length);
          }
          return [worst, most];
        }"""
    )
    assert moved[0] < 1.5, f"what was read moved by {moved[0]} px"
    assert moved[1] <= 600, f"{moved[1]} rows at once"
    expect(reader.locator("#announcer")).to_have_text("")
    writer.say("News!")
    jump = reader.get_by_role("button", name="1 new message")
    expect(jump).to_be_visible()
    jump.click()
    expect(message(reader, "News!")).to_be_in_viewport()
    expect(jump).to_be_hidden()
    assert rows.count() <= 600


def test_a_link_leads_to_an_old_message_and_back(room: str, visitors: Visitors) -> None:
    begin_history(room, 900)
    writer = visitors.speaker(room, "Nora 14")
    reader = visitors.new(f"{room}?at=100", "Otto 14")
    goal = message(reader, "number 100")
    expect(goal.first).to_be_in_viewport()
    scroll(reader, 10**6)
    expect(message(reader, "number 160")).to_have_count(1)
    reader.locator("#newest").click()
    expect(message(reader, "number 900")).to_be_in_viewport()
    writer.say("News!")
    expect(message(reader, "News!")).to_be_in_viewport()


def test_who_reads_up_there_stays_when_pictures_come(room: str, visitors: Visitors) -> None:
    ada = visitors.new(room, "Ada 16")
    picked = ada.locator("#composer input[type=file]")
    for number in range(3):
        name = f"{number}.png"
        payload = FilePayload(name=name, mimeType="image/png", buffer=png(300, 200 + number))
        picked.set_input_files(payload)
        expect(ada.locator("#tray li")).to_have_count(1)
        ada.get_by_label("Message", exact=True).press("Enter")
        expect(ada.get_by_role("img", name=f"Picture: {name}")).to_have_count(1)
    begin_history(room, 40)
    bo = visitors.new(room, "Bo 16")
    last = message(bo, "number 40")
    expect(last).to_be_in_viewport()
    place = top_of(last)
    pictures = bo.locator("#messages img")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        picture.evaluate("async (node) => { node.loading = 'eager'; await node.decode(); }")
    assert abs(top_of(last) - place) < 1.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_by_touch(room: str, visitors: Visitors, theme: str) -> None:
    ada = visitors.new(room, f"Ada {theme}")
    say(ada, "Who comes?")
    phone = visitors.new(room, None, **PHONE, color_scheme=theme)
    row = message(phone, "Who comes?")
    row.get_by_role("button", name="What to do with this message").tap()
    row.get_by_role("button", name="Reply").tap()
    expect(phone.locator("#about")).to_contain_text("Who comes?")
    field(phone).fill("I do")
    phone.get_by_role("button", name="Send").tap()
    expect(message(ada, "I do").locator(".quote")).to_contain_text("Who comes?")
    wide = phone.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert wide, "the page is wider than the phone"


HEARD = """
  window.heard = false;
  window.WebSocket = class extends WebSocket {
    constructor(...rest) {
      super(...rest);
      this.addEventListener("message", ({ data }) => { heard ||= data.includes('"number 1000"'); });
    }
  };
"""


def test_a_burst_is_drawn_at_once_and_read_out_in_short(room: str, visitors: Visitors) -> None:
    context = visitors.context()
    context.add_init_script(HEARD)
    reader = visitors.tab(context, room)
    shows(reader)
    drawn = reader.evaluate_handle(
        """() => {
          const counts = { frames: 0 };
          new MutationObserver(() => counts.frames++).observe(document.querySelector("#messages"), {
            childList: true,
            subtree: true,
          });
          return counts;
        }"""
    )
    pause(reader)  # no frames meanwhile
    begin_history(room, 1000)
    until(lambda: reader.evaluate("() => heard"), "all that was said")
    reader.clock.resume()
    expect(message(reader, "number 1000")).to_be_in_viewport()
    assert reader.locator("#messages .message").count() <= 600
    frames = drawn.evaluate("(counts) => counts.frames")
    assert 0 < frames < 5, f"drawn {frames} times"
    expect(reader.locator("#announcer p")).to_have_count(1)


def look_away(page: Page) -> None:
    """Have *page* lose the focus: Playwright itself has all pages believe that they have it."""
    page.evaluate(
        """() => {
          document.hasFocus = () => false;
          dispatchEvent(new Event("blur"));
          return new Promise((done) => setTimeout(done));  // as the page looks for itself
        }"""
    )


def look_back(page: Page) -> None:
    page.evaluate("() => { delete document.hasFocus; dispatchEvent(new Event('focus')); }")


def test_what_comes_beside_the_window_that_has_the_focus_is_not_read(
    room: str, visitors: Visitors
) -> None:
    bo = visitors.speaker(room, "Bo 22")
    ada = visitors.new(room, "Ada 22")
    title = f"{ada.locator('#room').inner_text()} · chatroom"
    ada.evaluate("() => dispatchEvent(new Event('blur'))")  # the focus may go into a frame
    bo.say("before")
    shows(ada, "before")
    expect(ada).to_have_title(title)
    look_away(ada)
    bo.say("@Ada 22, look", "and this")
    expect(ada).to_have_title(f"(2) {title}")
    expect(message(ada, "@Ada 22, look").locator(".unread")).to_be_visible()
    context = visitors.context()
    context.add_init_script("document.hasFocus = () => false;")
    beside = visitors.tab(context, room)
    shows(beside, "before", "@Ada 22, look", "and this")
    bo.say("third")
    expect(beside).to_have_title(f"(1) {title}")
    expect(ada).to_have_title(f"(3) {title}")
    look_back(ada)
    expect(ada).to_have_title(title)


RECORD = """
  window.notified = [];
  window.Notification = class extends EventTarget {
    static permission = "granted";
    constructor(title, { body }) {
      super();
      notified.push([title, body]);
    }
  };
"""


def test_what_an_init_brings_is_notified(
    room: str, cable: Cable, daemon: Daemon, visitors: Visitors
) -> None:
    visitors.loss_expected = True
    context = visitors.context()
    context.add_init_script(RECORD)
    bo = visitors.new(room, "Bo 23")
    ada = visitors.tab(context, room.replace(daemon.url, cable.url))
    choose(ada, "Ada 23")
    look_away(ada)
    cable.cut()
    expect(ada.locator("#link-text")).to_have_text("Disconnected.")
    say(bo, "@Ada 23, hello?", "well")
    shows(bo, "@Ada 23, hello?", "well")
    cable.mend()
    ada.evaluate("() => dispatchEvent(new Event('online'))")
    name = ada.locator("#room").inner_text()
    ada.wait_for_function("() => notified.length > 0")
    assert ada.evaluate("() => notified") == [[f"Bo 23 in #{name}", "@Ada 23, hello?"]]
    bo.locator("#users").get_by_role("button", name="Ada 23").click()
    expect(bo.locator("#room")).to_have_text("Ada 23")
    say(bo, "psst")
    ada.wait_for_function("() => notified.length > 1")
    assert ada.evaluate("() => notified")[1:] == [["Bo 23", "psst"]]


def test_who_comes_back_is_led_to_what_is_unread_far_above(room: str, visitors: Visitors) -> None:
    bo = visitors.speaker(room, "Bo 24")
    ada = visitors.new(room)
    missed = ada.get_by_role("button", name="Go to the first unread message")
    shows(ada)
    look_away(ada)
    bo.say("one", "two")
    expect(message(ada, "two")).to_be_in_viewport()
    look_back(ada)
    expect(ada).to_have_title(re.compile("^test"))
    expect(missed).to_be_hidden()
    look_away(ada)
    bo.say(*(f"number {n}" for n in range(1, 81)))
    expect(message(ada, "number 80")).to_be_in_viewport()
    look_back(ada)
    expect(ada).to_have_title(re.compile("^test"))  # all counts as read
    expect(missed).to_be_visible()
    expect(message(ada, "number 80")).to_be_in_viewport()
    missed.click()
    first = ada.locator(".message").filter(has=ada.locator(".unread"))
    expect(first.locator(".text")).to_have_text("number 1")
    expect(first).to_be_in_viewport()
    expect(missed).to_be_hidden()
    ada.locator("#newest").click()
    expect(message(ada, "number 80")).to_be_in_viewport()
    expect(missed).to_be_hidden()


PARCELS = """async () => {
  const done = (request) => new Promise((resolve) => (request.onsuccess = resolve));
  const opening = indexedDB.open(`chatroom ${location.pathname}`);
  await done(opening);
  const counting = opening.result.transaction("files").objectStore("files").count();
  await done(counting);
  opening.result.close();
  return counting.result;
}"""
"""How many files the page keeps that are to be sent."""


def test_what_waits_over_a_reload_is_whose_it_is_with_its_picture(
    room: str, visitors: Visitors
) -> None:
    page = visitors.new(room, "Ada 25")
    under_way: list[Route] = []
    servers: list[WebSocketRoute] = []
    page.route("**/files?*", lambda route: under_way.append(route))
    payload = FilePayload(name="lake.png", mimeType="image/png", buffer=png(300, 200))
    page.locator("#composer input[type=file]").set_input_files(payload)
    expect(page.locator("#tray li")).to_have_count(1)
    say(page, "The lake")
    waiting = page.locator("#unsaid .message")
    expect(waiting.get_by_role("img", name="lake.png")).to_have_js_property("naturalWidth", 300)
    until(lambda: page.evaluate(PARCELS), "the picture is kept")
    page.route_web_socket("**/ws*", lambda route: servers.append(route))
    page.reload()
    expect(waiting.get_by_role("img", name="lake.png")).to_have_js_property("naturalWidth", 300)
    until(lambda: servers or page.evaluate("() => 0"), "the server is asked for")
    servers[0].connect_to_server()
    expect(waiting.locator(".name")).to_have_text("Ada 25")
    expect(waiting).to_have_class(re.compile(r"\bmine\b"))
    page.unroute("**/files?*")
    page.reload()
    until(lambda: servers[1:] or page.evaluate("() => 0"), "the server is asked for")
    servers[1].connect_to_server()
    shows(page, "The lake")
    expect(waiting).to_have_count(0)


def test_the_address_is_that_of_what_is_looked_at(room: str, visitors: Visitors) -> None:
    begin_history(room, 300)
    page = visitors.new(f"{room}?at=100")
    last = message(page, "number 300")
    expect(page.get_by_text("number 100", exact=True)).to_be_in_viewport()
    page.locator("#newest").click()
    expect(last).to_be_in_viewport()
    expect(page).to_have_url(room)
    page.reload()
    expect(last).to_be_in_viewport()
    for number in (150, 265):  # outside of what is at hand, and in it
        page.evaluate(
            "(hash) => { location.hash = hash; }", f"#{room.partition('#')[2]}?at={number}"
        )
        expect(page.get_by_text(f"number {number}", exact=True)).to_be_in_viewport()
        expect(last).not_to_be_in_viewport()
        page.go_back()
        expect(page).to_have_url(room)
        expect(last).to_be_in_viewport()
    page.go_forward()
    expect(page.get_by_text("number 265", exact=True)).to_be_in_viewport()
    say(page, "from up there")
    expect(page.get_by_text("from up there")).to_be_in_viewport()
    expect(page).to_have_url(room)
