"""The service worker in real Chromium: the page without a network, and never an old one with it."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.daemon import Daemon, until

pytestmark = pytest.mark.long

pytest_plugins = ["tests.visiting"]

WEB = Path(__file__).parent.parent / "web"
PAUSE = "const PAUSE = 2_000;"  # shorter here
WHOLE = """async () => {
  for (const name of await caches.keys()) {
    const shell = await caches.open(name);
    const kept = await shell.keys();
    const versions = await Promise.all(kept.map((file) => shell.match(file).then((a) => a.text())));
    if (kept.some(({ url }) => url.endsWith("?whole")) && versions.some(WANTED)) return true;
  }
  return false;
}"""
PINS = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    const kept = await (await caches.open(name)).keys();
    found.push(...kept.map(({ url }) => url).filter((url) => url.includes("?client=")));
  }
  return found;
}"""
KEPT = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    const kept = await (await caches.open(name)).keys();
    found.push(...kept.map(({ url }) => new URL(url)));
  }
  return found.filter(({ search }) => !search).map(({ pathname }) => pathname).sort();
}"""
FOLDERS = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    const kept = (await (await caches.open(name)).keys()).map(({ url }) => new URL(url));
    if (!kept.some(({ search }) => search === "?whole")) continue;
    const folders = kept.map(({ pathname }) => pathname.slice(0, pathname.lastIndexOf("/") + 1));
    found[name.split(" ")[1]] = [...new Set(folders)];
  }
  return found;
}"""


SECONDS = count(1_700_000_000, 10)


def write(folder: Path, version: str, pause: int = 100) -> None:
    """
    Make *folder* hold a page in *version*: a document, a module, and two that come later.

    Its files are kept *pause* milliseconds after it has loaded. What is written later is newer by seconds, for ``Last-Modified`` knows no less.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(WEB / "worker.js", folder)
    install = (WEB / "install.js").read_text()
    assert PAUSE in install
    (folder / "install.js").write_text(install.replace(PAUSE, f"const PAUSE = {pause};"))
    document = f'<title>{version}</title><script type="module" src="main.js"></script>'
    (folder / "index.html").write_text(f"<!doctype html>{document}<p></p><ol></ol>")
    (folder / "part.js").write_text(f'export const part = "{version}";')
    (folder / "later.js").write_text(f'export const part = "later {version}";')
    (folder / "unused.js").write_text(f'export const part = "unused {version}";')
    (folder / "main.js").write_text(
        'import { install } from "./install.js";\n'
        'import { part } from "./part.js";\n'
        f'document.querySelector("p").textContent = `{version} ${{part}}`;\n'
        "install((room, id) => {\n"
        '  const told = document.createElement("li");\n'
        "  told.textContent = `${room} ${id}`;\n"
        '  document.querySelector("ol").append(told);\n'
        "});\n"
    )
    now = next(SECONDS)
    for path in folder.glob("*.*"):
        os.utime(path, (now, now))


class Host:
    """
    A plain web server of the files in *folder*, on the loopback interface.

    It cuts the connection when it is asked for a path in *broken*, and answers everything with
    *status* if there is one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: set[str] = set()
        self.status = 0
        host = self

        class Answer(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path in host.broken:
                    self.close_connection = True
                elif host.status:
                    self.send_error(host.status)
                else:
                    super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "no-cache")
                super().end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answer, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Go away, as a machine does that is switched off."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "page", "one")
    return tmp_path / "page"


@pytest.fixture
def host(folder: Path) -> Iterator[Host]:
    """The page below a path, without ETags."""
    (folder / "a").mkdir()
    write(folder / "a" / "room", "one")
    served = Host(folder)
    served.url += "a/room/"
    yield served
    served.close()


def becomes(page: Page, question: str, what: object) -> bool:
    """Ask the page *question*, a function, until it says true; *what* is that in words."""

    def look() -> bool:
        # Its answer is late enough not to ask all the time.
        again = "(answer) => answer || new Promise((wait) => setTimeout(wait, 50, false))"
        answer: bool = page.evaluate(f"async () => ({again})(await ({question})())")
        return answer

    return until(look, str(what))


def kept(page: Page, version: str) -> None:
    """Wait until a whole shell of *version* is kept."""
    wanted = f"(text) => text.includes('<title>{version}<')"
    becomes(page, WHOLE.replace("WANTED", wanted), f"{version} is kept")


def keeps(page: Page, name: str) -> None:
    """Wait until the file *name* is kept, too."""
    becomes(page, f"async () => (await ({KEPT})()).includes('{name}')", f"{name} is kept")


def shows(page: Page, version: str) -> None:
    expect(page.locator("p")).to_have_text(f"{version} {version}")


def part(page: Page, name: str) -> str:
    """Return what the page gets when it comes to need the module *name*, or what went wrong."""
    text: str = page.evaluate(
        "(name) => import(`./${name}`).then(({ part }) => part, (error) => error.name)", name
    )
    return text


def controlled(page: Page, url: str, version: str = "one") -> None:
    """Open the page twice: only the second time its files go through the worker."""
    page.goto(url)
    kept(page, version)
    pinned(page)
    shows(page, version)


def pinned(page: Page) -> None:
    """Load the page again, and wait until it is pinned to what is kept."""
    before = json.dumps(page.evaluate(PINS))
    page.reload()
    more = f"(pin) => !{before}.includes(pin)"
    becomes(page, f"async () => (await ({PINS})()).some({more})", "the page is pinned")


def test_without_a_network_there_is_the_page_as_it_was_last(
    context: BrowserContext, folder: Path, tmp_path: Path
) -> None:
    with Daemon(tmp_path / "room", "--web", str(folder), "--store", "memory:") as room:
        page = context.new_page()
        page.goto(f"{room.url}#/tea")
        kept(page, "one")
        room.stop()
        page.reload()
        shows(page, "one")
        assert page.url.endswith("#/tea")
        assert part(page, "unused.js") == "TypeError"
        context.new_page().goto(room.url)
        shows(context.pages[1], "one")


def test_with_a_network_there_is_what_the_server_has(
    context: BrowserContext, folder: Path, tmp_path: Path
) -> None:
    with Daemon(tmp_path / "room", "--web", str(folder), "--store", "memory:") as room:
        page = context.new_page()
        controlled(page, room.url)
        # One file that nothing else tells of.
        (folder / "part.js").write_text('export const part = "two";')
        page.reload()
        expect(page.locator("p")).to_have_text("one two")
        write(folder, "three")
        page.reload()
        shows(page, "three")
        kept(page, "three")
        room.stop()
        page.reload()
        shows(page, "three")


def test_the_page_itself_is_there_without_a_network(
    context: BrowserContext, tmp_path: Path
) -> None:
    with Daemon(tmp_path, "--store", "memory:") as room:
        page = context.new_page()
        page.goto(room.url)
        kept(page, "chatroom")
        room.stop()
        page.reload()
        expect(page.get_by_role("log")).to_be_visible()
        expect(page.get_by_label("Message", exact=True)).to_be_visible()


def test_what_is_not_the_page_is_left_alone(
    context: BrowserContext, folder: Path, tmp_path: Path
) -> None:
    (folder / "files").mkdir()
    (folder / "files" / "0a1b").write_text("a file that somebody sent")
    with Daemon(tmp_path / "room", "--web", str(folder), "--store", "memory:") as room:
        page = context.new_page()
        controlled(page, room.url)
        for address in (
            "health",
            "files/0a1b",
            "files/0a1b?name=a.png",
            "part.js?other",
            "part.js",
        ):
            with page.expect_response(f"{room.url}{address}") as answer:
                page.evaluate("(address) => fetch(address).then(() => null)", address)
            assert answer.value.from_service_worker == (address == "part.js"), address
        assert part(page, "later.js") == "later one"
        keeps(page, "/later.js")
        names = {"/", "/install.js", "/later.js", "/main.js", "/part.js"}
        assert set(page.evaluate(KEPT)) == names
        room.stop()
        for address in ("health", "files/0a1b", "files/0a1b?name=a.png", "part.js?other"):
            failed = "(address) => fetch(address).then(() => false, () => true)"
            assert page.evaluate(failed, address)


def test_a_page_without_a_network_gets_no_newer_parts(context: BrowserContext, host: Host) -> None:
    page = context.new_page()
    controlled(page, host.url)
    assert part(page, "later.js") == "later one"
    keeps(page, "/a/room/later.js")
    host.status = 503
    page.reload()
    shows(page, "one")
    # The server is back, with another version.
    write(folder_of(host), "two")
    host.status = 0
    assert part(page, "later.js") == "later one"
    assert part(page, "unused.js") == "unused two"
    page.reload()
    shows(page, "two")


def test_a_page_from_the_network_gets_no_older_parts(context: BrowserContext, host: Host) -> None:
    page = context.new_page()
    controlled(page, host.url)
    write(folder_of(host), "two")
    host.broken.add("/a/room/part.js")
    page.reload()
    expect(page).to_have_title("two")
    page.wait_for_load_state()
    assert page.locator("p").inner_text() == ""
    # The version that was kept whole is still there.
    host.close()
    page.reload()
    shows(page, "one")


def test_a_page_is_not_taken_for_one_of_another_version(
    context: BrowserContext, host: Host
) -> None:
    page = context.new_page()
    controlled(page, host.url)
    write(folder_of(host), "two", pause=1_000_000)
    page.reload()
    shows(page, "two")
    write(folder_of(host), "three")
    page.evaluate("navigator.serviceWorker.controller.postMessage({ keep: [] })")
    kept(page, "three")
    host.close()
    assert page.evaluate("fetch('part.js').then(() => false, () => true)")
    page.reload()
    shows(page, "three")


def test_a_page_goes_on_with_the_version_that_it_began_with(
    context: BrowserContext, host: Host
) -> None:
    page = context.new_page()
    controlled(page, host.url)
    assert part(page, "later.js") == "later one"
    keeps(page, "/a/room/later.js")
    pinned(page)
    shows(page, "one")
    write(folder_of(host), "two")
    other = context.new_page()
    other.goto(host.url)
    shows(other, "two")
    kept(other, "two")
    assert part(page, "later.js") == "later one"
    host.close()
    page.reload()
    shows(page, "two")


def test_old_versions_are_not_collected(context: BrowserContext, host: Host) -> None:
    page = context.new_page()
    controlled(page, host.url)
    for version in ("two", "three", "four", "five"):
        write(folder_of(host), version)
        page.reload()
        shows(page, version)
        kept(page, version)
    becomes(page, "async () => (await caches.keys()).length <= 2", "only two versions are kept")


def test_below_a_path_only_the_page_is_answered(context: BrowserContext, host: Host) -> None:
    page = context.new_page()
    controlled(page, host.url)
    root = host.url.removesuffix("a/room/")
    page.goto(root)
    expect(page).to_have_title("one")
    assert page.evaluate("navigator.serviceWorker.controller") is None
    # The page above has a worker of its own, which keeps its own files and not those of the other.
    becomes(page, f"async () => '/' in (await ({FOLDERS})())", "the page above is kept")
    page.goto(host.url)
    shows(page, "one")
    assert page.evaluate(FOLDERS) == {"/": ["/"], "/a/room/": ["/a/room/"]}
    host.close()
    page.goto(f"{host.url}index.html")
    shows(page, "one")


def test_a_click_on_a_notification_is_told_to_the_page(context: BrowserContext, host: Host) -> None:
    context.grant_permissions(["notifications"], origin=host.url.removesuffix("/a/room/"))
    page = context.new_page()
    controlled(page, host.url)
    (worker,) = context.service_workers
    # Nobody can click on a notification from here; only the focus needs a real click.
    worker.evaluate(
        """async () => {
          const data = { room: "tea time", id: 7 };
          await self.registration.showNotification("Mira", { tag: "tea", data });
          const [notification] = await self.registration.getNotifications();
          self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        }"""
    )
    expect(page.locator("li")).to_have_text("tea time 7")


def folder_of(host: Host) -> Path:
    """Return the folder of the page that *host* serves."""
    return host.folder / "a" / "room"
