"""What real Chromium makes of what was uploaded: a picture to look at, or a file to keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Dialog, Page

from chatroom.files.names import clean
from tests.browser import launch
from tests.daemon import Daemon
from tests.filing import image
from tests.test_files_daemon import Visitor, entered

pytestmark = pytest.mark.long

HTML = b"<!doctype html><script>top.document.title = 'ran'; alert(1)</script>"
PAGE = "<!doctype html><title>quiet</title>"
PNG = image("PNG", (30, 20))
SUSPECTS = {
    "a page": HTML,
    "a drawing": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a script": b"top.document.title = 'ran'",
    "a script that begins as a GIF": b"GIF89a=1;top.document.title='ran'",
    "a module": b"export default (top.document.title = 'ran')",
    "a style sheet": b"title { display: block } * { color: red }",
    "a page behind the head of a PNG": PNG[:8] + HTML,
    "a page behind a PNG": PNG + HTML,
}
TRY = """async ([kind, url]) => {
    const element = document.createElement(kind);
    if (kind === "link") element.rel = "stylesheet";
    if (kind === "object") element.data = url;
    element[{link: "href"}[kind] ?? "src"] = url;
    const outcome = new Promise((tell) => {
        element.onload = () => tell("load");
        element.onerror = () => tell("error");
    });
    document.body.append(element);
    return outcome;
}"""
TRY_WORKER = """async ([type, url]) => new Promise((tell) => {
    const worker = new Worker(url, {type});
    worker.onmessage = () => tell("message");
    worker.onerror = () => tell("error");
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text(PAGE)
    (folder / "page" / "own.js").write_text("self.postMessage?.call(self, 'ran')")
    (folder / "page" / "own.css").write_text("p { color: red }")
    with Daemon(folder, "--store", "memory:", "--web", "page", "--talk-rate", "0") as daemon:
        yield daemon


@pytest.fixture
def visitor(daemon: Daemon) -> Iterator[Visitor]:
    with entered(daemon) as visitor:
        yield visitor


@pytest.fixture
def page(browser: Browser, daemon: Daemon) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(daemon.url)
    yield page
    page.close()


def test_what_is_the_pages_own_runs(page: Page) -> None:
    """So that what follows is for the reason that is meant."""
    assert page.evaluate(TRY, ["script", "/own.js"]) == "load"
    assert page.evaluate(TRY, ["link", "/own.css"]) == "load"
    assert page.evaluate(TRY_WORKER, ["classic", "/own.js"]) == "message"


@pytest.mark.parametrize("what", SUSPECTS)
def test_nothing_that_was_uploaded_runs(what: str, visitor: Visitor, page: Page) -> None:
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    url = f"/files/{visitor.upload(SUSPECTS[what])['id']}?name=page.html"
    # By the page's own CSP all of these may come from this host: it is the answer that forbids it.
    for kind in ("script", "link"):
        assert page.evaluate(TRY, [kind, url]) == "error", kind
    for type in ("classic", "module"):
        assert page.evaluate(TRY_WORKER, [type, url]) == "error", type
    assert page.title() == "quiet"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    if what == "a page behind a PNG":
        assert page.evaluate(TRY, ["img", url]) == "load"
        page.goto(page.url.rstrip("/") + url)
        assert page.evaluate("document.contentType") == "image/png"
        assert page.evaluate("document.scripts.length") == 0
    else:
        with page.expect_download() as download:
            page.evaluate("(url) => { location.href = url; }", url)
        assert download.value.suggested_filename == "page.html"
    assert dialogs == []


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "照片 (1).txt",
        "é\u0301'\"%41;filename=x.exe",
        "a\r\nContent-Type: text/html",
        "../../x; y=z",
        "family 👩‍👩‍👧.bin",
    ],
)
def test_saved_under_the_name_that_was_meant(name: str, visitor: Visitor, page: Page) -> None:
    file = visitor.upload(b"text")
    with page.expect_download() as download:
        url = f"/files/{file['id']}?name={quote(name)}"
        page.evaluate("(url) => { location.href = url; }", url)
    assert download.value.suggested_filename == clean(name)


def test_picture_is_seen(visitor: Visitor, page: Page) -> None:
    file = visitor.upload(PNG)
    for url in (f"/files/{file['id']}", f"/files/{file['id']}/thumbnail"):
        size = page.evaluate(
            """async (url) => {
                const image = new Image();
                image.src = url;
                await image.decode();
                return [image.naturalWidth, image.naturalHeight];
            }""",
            url,
        )
        assert size == [30, 20]


def test_page_uploads_and_can_watch(visitor: Visitor, page: Page, tmp_path: Path) -> None:
    """As a page does it that shows how far it has come."""
    answer = page.evaluate(
        """async (token) => new Promise((tell) => {
            const request = new XMLHttpRequest();
            const seen = [];
            request.open("POST", "/files?name=x.bin");
            request.setRequestHeader("Authorization", `Bearer ${token}`);
            request.upload.onprogress = (event) => seen.push(event.loaded);
            request.onload = () => tell([request.status, JSON.parse(request.response), seen.at(-1)]);
            request.send(new Blob([new Uint8Array(3_000_000)]));
        })""",
        visitor.token,
    )
    status, file, seen = answer
    assert (status, file["size"], seen) == (201, 3_000_000, 3_000_000)


def test_refusal_is_read_though_the_body_was_not(visitor: Visitor, page: Page) -> None:
    """Browsers send all that they have before they look at what was answered."""
    status = page.evaluate(
        """async (token) => {
            const answer = await fetch("/files", {
                method: "POST",
                headers: {Authorization: `Bearer ${token}`},
                body: new Blob([new Uint8Array(20_000_000)]),
            });
            return [answer.status, (await answer.json()).code];
        }""",
        visitor.token,
    )
    assert status == [413, "too_large"]
