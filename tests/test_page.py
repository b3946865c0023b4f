"""The page in real Chromium, with the real daemon behind it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, WebSocketRoute, expect
from rcssmin import cssmin  # type: ignore[import-untyped]
from rjsmin import jsmin  # type: ignore[import-untyped]

from tests.daemon import Daemon, until
from tests.parts import program
from tests.visitors import (
    Cable,
    Visitors,
    begin_history,
    choose,
    pause,
    say,
    shows,
    told,
)

pytest_plugins = ["tests.visiting"]

HERE = Path(__file__).parent
MARKUP = "<img src=x onerror=alert(1)>"


def test_modules_that_need_no_page() -> None:
    node = program("node", "install Node.js 20.19 or newer")
    tests = sorted(path.as_uri() for path in (HERE / "web").glob("*.test.mjs"))
    all_of_them = "for (const test of process.argv.slice(1)) await import(test);"  # in one process
    command = [node, "--test-reporter=tap", "--input-type=module", "--eval", all_of_them, *tests]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# fail 0" in run.stdout and "# pass 0" not in run.stdout


def test_scripts_mean_the_same_when_they_are_served(tmp_path: Path) -> None:
    node = program("node", "install Node.js 20.19 or newer")
    written, served = tmp_path / "written", tmp_path / "served"
    shutil.copytree(HERE.parent / "web", written)
    # What is served is not always right: this is how it would be found.
    (written / "nested.js").write_text("const text = `${here ? `(${n}) ` : ''}${name}`;")
    scripts = [str(path.relative_to(written)) for path in written.rglob("*.js")]
    for script in scripts:
        (served / script).parent.mkdir(parents=True, exist_ok=True)
        (served / script).write_bytes(jsmin((written / script).read_bytes()))
    same = [node, "--expose-internals", str(HERE / "web" / "same.mjs")]
    command = [*same, str(written), str(served), *scripts]
    assert len(scripts) > 40
    assert subprocess.check_output(command, text=True, timeout=300) == "nested.js\n"


def test_styles_mean_the_same_when_they_are_served(visitors: Visitors) -> None:
    page = visitors.context().new_page()
    # As the browser itself writes what it has understood; in custom properties it keeps blanks.
    rules = """(styles) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(styles);
      return [...sheet.cssRules].map(({ cssText }) => cssText.replace(/,\\s+/g, ","));
    }"""
    written = [path.read_text() for path in sorted((HERE.parent / "web").glob("*.css"))]
    assert len(written) > 5
    for styles in written:
        assert page.evaluate(rules, cssmin(styles)) == page.evaluate(rules, styles)


def test_two_people_talk(room: str, visitors: Visitors) -> None:
    ada, bo = visitors.new(room), visitors.new(room)
    choose(ada, "Ada")
    choose(bo, "Bo")
    say(ada, "Hello!", "Anybody here?")
    shows(bo, "Hello!", "Anybody here?")
    bo.get_by_label("Message", exact=True).press_sequentially("Me")
    expect(ada.locator("#typing")).to_contain_text("typing")
    bo.keyboard.press("Shift+Enter")
    bo.keyboard.type("and tea")
    bo.keyboard.press("Enter")
    for page in (ada, bo):
        shows(page, "Hello!", "Anybody here?", "Me\nand tea")
        expect(page.locator("#messages .name")).to_have_text(["Ada", "Ada", "Bo"])
        expect(page.locator(".message.follows")).to_have_count(1)
        expect(page.get_by_role("heading", name="2 people here")).to_be_visible()
        expect(page.locator("#unsaid li")).to_have_count(0)
    expect(ada.locator("#typing")).to_have_text("")
    expect(ada.locator("#users .name")).to_have_text(["Ada", "Bo"])
    expect(bo.locator("#users .name")).to_have_text(["Bo", "Ada"])
    say(ada, "With milk?")
    shows(bo, "Hello!", "Anybody here?", "Me\nand tea", "With milk?")
    bo.evaluate("() => { location.hash = '#/elsewhere'; }")
    expect(bo.get_by_role("heading", name="elsewhere")).to_be_visible()
    shows(bo)
    say(ada, "Oh.")
    bo.go_back()
    shows(bo, "Hello!", "Anybody here?", "Me\nand tea", "With milk?", "Oh.")
    bo.close()
    alone = ada.get_by_role("heading", name="1 person here")
    expect(alone).to_be_visible()  # after a while: a blip would be no exit
    assert told(ada)[-1] == "Bo left"
    say(ada, "Well.")
    expect(ada.locator("#messages .name")).to_have_count(6)
    expect(ada.locator(".message.follows")).to_have_count(2)


def test_a_guest_talks_without_a_name(room: str, visitors: Visitors) -> None:
    guest = visitors.new(room)
    expect(guest.get_by_label("Message", exact=True)).to_be_focused()
    guest.keyboard.type("Hi")
    guest.keyboard.press("Enter")
    shows(guest, "Hi")
    expect(guest.locator("#naming")).to_be_hidden()


def test_a_rename_is_seen(room: str, visitors: Visitors) -> None:
    cleo, dan = visitors.new(room, "Cleo"), visitors.new(room, "Dan")
    say(dan, "Hello")
    shows(cleo, "Hello")
    dan.get_by_role("button", name="change your name").click()
    name = dan.get_by_label("What should people call you?")
    name.fill("Cleo")
    name.press("Enter")
    expect(dan.locator("#name-problem")).to_have_text("Somebody else has this name.")
    name.fill("Daniel")
    name.press("Enter")
    expect(dan.locator("#naming")).to_be_hidden()
    expect(dan.get_by_label("Message", exact=True)).to_be_focused()
    expect(cleo.locator("#users .name")).to_have_text(["Cleo", "Daniel"])
    assert told(cleo)[-1] == "Dan is now Daniel"
    say(dan, "It's me")
    expect(cleo.locator("#messages .name")).to_have_text(["Dan", "Daniel"])


def test_markup_stays_text(room: str, visitors: Visitors) -> None:
    eve, fay = visitors.new(room, MARKUP), visitors.new(room, "Fay")
    asked: list[str] = []
    for page in (eve, fay):
        page.on("request", lambda request: asked.append(request.url))
    texts = [MARKUP, "<script>alert(2)</script>", "<b>&amp;</b>", "javascript:alert(3)"]
    say(eve, *texts)
    for page in (eve, fay):
        shows(page, *texts)
        expect(page.locator("#messages .name").first).to_have_text(MARKUP)
        expect(page.locator("#users .name", has_text="onerror")).to_have_text(MARKUP)
        expect(page.locator("script:not([src])")).to_have_count(0)
        expect(page.locator("#messages").locator("img, script, b, a")).to_have_count(0)
    eve.get_by_role("button", name="change your name").click()
    eve.get_by_label("What should people call you?").fill("<i>" + MARKUP)
    eve.keyboard.press("Enter")
    expect(fay.locator("#users .name", has_text="onerror")).to_have_text("<i>" + MARKUP)
    assert told(fay)[-1] == f"{MARKUP} is now <i>{MARKUP}"
    assert [url for url in asked if not url.endswith(".js")] == []


def waits(page: Page) -> None:
    """Stop the clock of *page* while it waits to connect again, and tells so."""
    pause(page)
    detail = page.locator("#link-detail")

    def told() -> bool:
        page.clock.run_for(16)  # for a frame: nothing is drawn either
        return "Next try in" in detail.inner_text()

    until(told, "that it waits")


def test_offline_and_back(room: str, visitors: Visitors) -> None:
    visitors.loss_expected = True
    gil, hana = visitors.new(room, "Gil"), visitors.new(room, "Hana")
    hana.clock.install()
    say(gil, "before")
    shows(hana, "before")
    hana.context.set_offline(True)
    expect(hana.locator("#link")).to_contain_text("offline")
    say(gil, "missed")
    hana.get_by_role("button", name="change your name").click()
    hana.get_by_label("What should people call you?").fill("Hanna")
    hana.keyboard.press("Enter")
    say(hana, "from the tunnel")
    shows(gil, "before", "missed")
    expect(hana.locator("#unsaid .text")).to_have_text(["from the tunnel"])
    hana.clock.fast_forward("00:05")  # so long it waits for a sign of life
    expect(hana.locator("#link")).to_contain_text("Next try in")
    expect(hana.locator("#name-problem")).to_contain_text("as soon as you are connected again")
    hana.context.set_offline(False)
    for page in (gil, hana):
        shows(page, "before", "missed", "from the tunnel")
        expect(page.locator("#unsaid li")).to_have_count(0)
    expect(hana.locator("#link-text")).to_have_text("")
    expect(hana.locator("#self-name")).to_have_text("Hanna")
    expect(gil.locator("#users .name")).to_have_text(["Gil", "Hanna"])


def test_a_cut_is_no_exit_and_loses_nothing(tmp_path: Path, visitors: Visitors) -> None:
    visitors.loss_expected = True
    options = ("--talk-rate", "0", "--grace", "600")
    with Daemon(tmp_path, *options) as daemon, closing(Cable(daemon.port)) as cable:
        room, far = (f"{url}#/den" for url in (daemon.url, cable.url))
        ivo = visitors.new(room, "Ivo")
        joan = visitors.new(far, "Joan")
        joan.clock.install()
        say(ivo, "one")
        for page in (ivo, joan):
            shows(page, "one")
        notes = told(ivo)
        cable.cut()
        expect(joan.locator("#link-text")).to_have_text("Disconnected.")
        begin_history(room, 120)
        say(joan, "wrote 1", "wrote 2")
        expect(joan.locator(".fate span").first).to_have_text("Sent when you are connected again")
        waits(joan)
        cable.mend()

        def back() -> bool:
            # With a clock that stands still nothing else brings her back; amid a try it does not.
            joan.evaluate("() => dispatchEvent(new Event('online'))")
            return ivo.locator("#messages .text").last.inner_text() == "wrote 2"

        until(back, "that she is back")
        joan.clock.resume()
        for page in (ivo, joan):
            shows(page, "one", *(f"number {n}" for n in range(1, 121)), "wrote 1", "wrote 2")
        expect(joan.locator("#link-text")).to_have_text("")
        expect(joan.locator("#users .name")).to_have_text(["Joan", "Ivo"])
        assert [note for note in told(ivo) if "Joan" in note] == notes


def test_what_could_not_be_loaded_is_loaded_later(
    cable: Cable, room: str, visitors: Visitors
) -> None:
    visitors.loss_expected = True
    page = visitors.new(cable.url + room[room.index("#") :])
    say(page, "one")
    text = page.get_by_text("one", exact=True)
    expect(text).to_be_visible()
    with page.expect_console_message(lambda message: "has to wait" in message.text):
        cable.cut()
        text.hover()
    cable.mend()
    page.mouse.move(0, 0)
    text.hover()
    expect(page.get_by_role("toolbar")).to_be_visible()


def test_the_server_is_killed_and_comes_back(tmp_path: Path, visitors: Visitors) -> None:
    visitors.loss_expected = True
    with Daemon(tmp_path, "--talk-rate", "0") as daemon:
        kim, lea = visitors.new(daemon.url, "Kim"), visitors.new(daemon.url, "Lea")
        said = []
        for round in range(2):
            said += [f"{round}.before", f"{round}.under way", f"{round}.between"]
            say(kim, f"{round}.before")
            shows(lea, *said[:-2])
            say(kim, f"{round}.under way")
            daemon.kill()
            say(kim, f"{round}.between")
            for page in (kim, lea):
                expect(page.locator("#link-text")).to_have_text("Disconnected.")
            daemon.start()
            for page in (kim, lea):
                if round > 0:  # the first time they come back by themselves
                    page.evaluate("() => dispatchEvent(new Event('online'))")
                expect(page.locator("#link-text")).to_have_text("")
                shows(page, *said)
        for page in (kim, lea):
            page.reload()
            shows(page, *said)
        expect(kim.locator("#self-name")).to_have_text("Kim")
        expect(kim.locator("#users .name")).to_have_text(["Kim", "Lea"])


def test_the_server_says_goodbye(tmp_path: Path, visitors: Visitors) -> None:
    visitors.loss_expected = True
    with Daemon(tmp_path) as daemon:
        mia = visitors.new(daemon.url, "Mia")
        mia.clock.install()
        daemon.stop()
        expect(mia.locator("#link")).to_contain_text("Disconnected")
        waits(mia)
        daemon.start()
        mia.get_by_role("button", name="Try now").dispatch_event("click")
        mia.clock.resume()
        expect(mia.locator("#link-text")).to_have_text("")


def test_all_of_history_is_there_when_scrolled_back(room: str, visitors: Visitors) -> None:
    count = 470
    begin_history(room, count)
    reader = visitors.new(room)
    numbers = reader.locator("#messages .text")
    expect(numbers.last).to_have_text(f"number {count}")
    expect(numbers.last).to_be_in_viewport()
    assert numbers.count() < count

    # What the reader looks at stays where it is while older messages come above it.
    loaded = numbers.count()
    row, place = reader.evaluate(
        """() => {
          document.querySelector("#log").scrollTop = 150;
          const rows = [...document.querySelectorAll("#messages .message")];
          const row = rows.find((row) => row.getBoundingClientRect().top > 200);
          return [row.dataset.id, row.getBoundingClientRect().top];
        }"""
    )
    expect(numbers).not_to_have_count(loaded)
    box = reader.locator(f"[data-id='{row}']").bounding_box()
    assert box is not None and abs(box["y"] - place) < 1

    reader.mouse.move(300, 300)
    begin = reader.get_by_text("This is where the room begins.")

    def scrolled() -> bool:
        reader.mouse.wheel(0, -3000)
        reader.evaluate("() => new Promise(requestAnimationFrame)")
        return begin.is_visible()

    until(scrolled, "the beginning of the room")
    assert numbers.all_text_contents() == [f"number {n}" for n in range(1, count + 1)]
    # Nothing of it was read out: it is not new.
    expect(reader.locator("#announcer")).to_have_text("")
    # One speaker all the time: a head is only where a day begins, not where a page of history did.
    heads = reader.locator(".message:not(.follows)").count()
    assert heads == reader.locator(".day").count()


def test_news_are_read_out_and_do_not_move_who_reads_history(room: str, visitors: Visitors) -> None:
    begin_history(room, 60)
    writer = visitors.speaker(room, "Nora")
    reader = visitors.new(room, "Otto")
    expect(reader.locator("#messages .text").last).to_have_text("number 60")
    reader.evaluate("() => { document.querySelector('#log').scrollTop = 0; }")
    expect(reader.get_by_text("This is where the room begins.")).to_be_visible()
    reader.evaluate("() => { document.querySelector('#log').scrollTop = 300; }")
    jump = reader.locator("#newest")
    expect(jump).to_have_text("Newest messages")
    writer.say("**News!**", type="markdown")
    expect(jump).to_have_text("1 new message")
    expect(reader.locator("#announcer")).to_have_text("Nora: News!")
    assert reader.evaluate("() => document.querySelector('#log').scrollTop") == 300
    jump.click()
    expect(reader.get_by_text("News!", exact=True)).to_be_in_viewport()
    expect(jump).to_be_hidden()
    writer.say("More!")
    expect(reader.get_by_text("More!", exact=True)).to_be_in_viewport()


def test_a_reload_is_the_same_user_and_makes_no_noise(room: str, visitors: Visitors) -> None:
    pia, quin = visitors.new(room, "Pia"), visitors.new(room, "Quin")
    say(pia, "one")
    shows(quin, "one")
    notes = told(quin)
    for _ in range(3):
        pia.reload()
        expect(pia.locator("#self-name")).to_have_text("Pia")
        expect(pia.locator("#naming")).to_be_hidden()
        shows(pia, "one")
    say(pia, "two")
    shows(quin, "one", "two")
    assert told(quin) == notes
    assert quin.locator(".message.follows").count() == 1, "the same user as before"


def test_two_tabs_are_one_user(room: str, visitors: Visitors) -> None:
    rosa, other = visitors.new(room, "Rosa"), visitors.new(room, "Sam")
    tab = visitors.tab(rosa.context, room)
    expect(tab.locator("#self-name")).to_have_text("Rosa")
    say(tab, "from the second")
    shows(rosa, "from the second")
    say(rosa, "from the first")
    for page in (rosa, tab, other):
        shows(page, "from the second", "from the first")
        expect(page.get_by_role("heading", name="2 people here")).to_be_visible()
    tab.get_by_role("button", name="change your name").click()
    tab.get_by_label("What should people call you?").fill("Rose")
    tab.keyboard.press("Enter")
    for page in (rosa, tab):
        expect(page.locator("#self-name")).to_have_text("Rose")
    tab.close()
    rosa.reload()
    expect(rosa.locator("#self-name")).to_have_text("Rose")
    expect(other.get_by_role("heading", name="2 people here")).to_be_visible()


def test_two_tabs_that_are_new_at_once_become_one_user(room: str, visitors: Visitors) -> None:
    watcher = visitors.new(room, "Tess")
    context = visitors.context()
    asking: list[WebSocketRoute] = []

    def meet(route: WebSocketRoute) -> None:
        asking.append(route)
        if len(asking) > 2:
            route.connect_to_server()

    context.route_web_socket("**/ws?*", meet)
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        page.goto(room)
    until(lambda: asking[1:] or first.evaluate("() => 0"), "that both ask")
    assert not any("token=" in route.url for route in asking), "neither is answered yet"
    for route in asking[:2]:
        route.connect_to_server()
    for page in (first, second):
        expect(page.get_by_role("heading", name="2 people here")).to_be_visible()
    say(first, "one")
    shows(watcher, "one")
    say(second, "two")
    shows(watcher, "one", "two")
    expect(watcher.locator(".message.follows")).to_have_count(1)
    expect(watcher.get_by_role("heading", name="2 people here")).to_be_visible()


def test_what_the_server_refuses_is_told(room: str, visitors: Visitors) -> None:
    uma = visitors.new(room, "Uma")
    say(uma, "   ")
    say(uma, "x" * 4001)
    expect(uma.locator("#text-length")).to_have_text("4,001 / 4,000")
    shows(uma)
    say(uma, "\N{SLIGHTLY SMILING FACE}" * 4000)
    expect(uma.locator("#messages .text")).to_have_count(1)
    uma.get_by_role("button", name="change your name").click()
    uma.get_by_label("What should people call you?").fill("n" * 33)
    uma.keyboard.press("Enter")
    expect(uma.locator("#name-problem")).to_contain_text("1 to 32 characters")
    uma.keyboard.press("Escape")
    expect(uma.locator("#self-name")).to_have_text("Uma")
    uma.evaluate("() => { location.hash = '#/no such room'; }")
    expect(uma.locator("#notice-text")).to_have_text("There can be no room of this name.")
    expect(uma.get_by_role("heading", level=1)).to_have_text("test_what_the_server_refuses_is_told")


def test_who_is_too_quick_loses_nothing(tmp_path: Path, visitors: Visitors) -> None:
    with Daemon(tmp_path, "--talk-rate", "0.25", "--talk-burst", "2") as daemon:
        vera = visitors.new(daemon.url)
        visitors.loss_expected = True  # when the daemon ends
        texts = [f"quick {n}" for n in range(3)]
        os.kill(daemon.pid, signal.SIGSTOP)  # so that all wait, however slowly they are written
        try:
            say(vera, *texts)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        expect(vera.locator(".fate").first).to_contain_text("too quick")
        shows(vera, *texts)
        expect(vera.locator("#unsaid li")).to_have_count(0)
