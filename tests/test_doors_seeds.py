"""What stands in the seeds for clients, as written but for host and port, in the real browser."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import launch
from tests.daemon import PATIENT, Daemon, until
from tests.doors.packages import CLIENTS, installed
from tests.doors.pages import served
from tests.doors.program import Program

pytestmark = pytest.mark.long

SEEDS = CLIENTS / "seeds"
PLACES = re.compile(r"localhost:\d+|example\.com(?::\d+)?")
"""Hosts and ports, as the seeds have them."""
LIBRARIES = {"new": "socket.io-client", "old": "socket.io-client-2"}


def seed(name: str, place: str) -> str:
    """Return the piece *name* of a seed, with *place* as its host and port."""
    return PLACES.sub(place, (SEEDS / name).read_text(encoding="utf-8"))


class Site:
    """Pages of somebody's own site in *folder*, at *origin*, whose clients talk to *daemon*."""

    def __init__(self, browser: Browser, folder: Path, origin: str, daemon: Daemon) -> None:
        self.browser = browser
        self.folder = folder
        self.origin = origin
        self.daemon = daemon
        self.place = f"localhost:{daemon.port}"
        self._count = 0

    @contextmanager
    def page(self, *parts: str) -> Iterator[Page]:
        """
        Open a page of scripts: pieces of seeds by their names, and what else is to be there.

        All that it prints, and all dialogs that it shows, are in its list ``printed``.
        """
        self._count += 1
        text = "<!doctype html><meta charset=utf-8>"
        for at, part in enumerate(parts):
            if part.startswith("<"):
                text += part
                continue
            name = f"{self._count}-{at}.js"
            script = seed(part, self.place) if part.endswith(".js") else part
            (self.folder / name).write_text(script, encoding="utf-8")
            text += f"<script src={name}></script>"
        path = self.folder / f"{self._count}.html"
        path.write_text(text, encoding="utf-8")
        with self.opened(path.name) as page:
            yield page

    @contextmanager
    def opened(self, path: str) -> Iterator[Page]:
        """Open the page at *path*."""
        page = self.browser.new_page()
        page.set_default_timeout(1000 * PATIENT)
        printed: list[str] = []
        page.on("console", lambda message: printed.append(message.text))
        page.on("pageerror", lambda error: printed.append(f"error: {error}"))

        def shown(dialog: Any) -> None:
            printed.append(f"alert: {dialog.message}")
            dialog.accept()

        page.on("dialog", shown)
        page.printed = printed  # type: ignore[attr-defined]
        try:
            page.goto(f"{self.origin}/{path}")
            yield page
        finally:
            page.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    packages = installed("raw", tmp_path_factory) / "node_modules"
    folder = tmp_path_factory.mktemp("seeds")
    shutil.copy(packages / "jquery" / "dist" / "jquery.min.js", folder)
    for name, package in LIBRARIES.items():
        (folder / name).mkdir()
        shutil.copy(packages / package / "dist" / "socket.io.js", folder / name)
    with (
        served(folder) as origin,
        Daemon(
            tmp_path_factory.mktemp("daemon"),
            *("--store", "memory:", "--echo", "--grace", "60", "--origin", origin),
        ) as daemon,
        launch() as browser,
    ):
        yield Site(browser, folder, origin, daemon)
    assert "Traceback" not in daemon.output


@pytest.fixture(scope="module")
def first(site: Site) -> Iterator[Program]:
    """Somebody who is in the lobby before anybody else, over `/ws`."""
    script = CLIENTS / "raw" / "python_websockets.py"
    with Program(sys.executable, script, f"{site.daemon.ws}?name=Witness") as program:
        program.get("init")
        yield program
        program.tell("close")
        assert program.end() == 0


@pytest.fixture
def witness(first: Program, request: pytest.FixtureRequest) -> Program:
    """The same, who forgets what was before a test."""
    # What others did may still be on its way: it comes before the answer to this.
    first.send("ping", test=request.node.name)
    first.get("pong", test=request.node.name)
    first.forget()
    return first


def prints(page: Page, *lines: str) -> None:
    """Wait until *page* has printed *lines*, in this order and nothing else."""

    def look() -> bool:
        page.wait_for_timeout(10)
        printed: list[str] = page.printed  # type: ignore[attr-defined]
        return len(printed) >= len(lines)

    until(look, f"{lines} in {page.printed}")  # type: ignore[attr-defined]
    assert page.printed == list(lines)  # type: ignore[attr-defined]


# 000: what is said, and what is answered.

HAS = """([example, told]) => {
  const has = (shape, value) =>
    Array.isArray(shape) ? Array.isArray(value) && value.every((item) => has(shape[0], item))
    : typeof shape === "object" ? Object.keys(shape).every((key) => has(shape[key], value[key]))
    : typeof shape === typeof value;
  return has(eval(`(${example})`), told);
}"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_000_chat_room(site: Site, witness: Program, library: str) -> None:
    say = f"""
        var heard = {{init: [], join: [], talk: [], rename: [], exit: []}};
        var socket = io("http://{site.place}");
        Object.keys(heard).forEach((name) =>
          socket.on(name, (data) => heard[name].push(data)));
        function send(name, text) {{ socket.emit(name, eval(`(${{text}})`)); }}
    """
    library = f"<script src={library}/socket.io.js></script>"
    with ExitStack() as stack:
        page = stack.enter_context(site.page(library, say))
        # The other one has to come later, for this one is told of it.
        page.wait_for_function("heard.init.length")
        other = stack.enter_context(site.page(library, say))
        other.wait_for_function("heard.init.length")
        me = page.evaluate("heard.init[0].self")
        page.wait_for_function("heard.join.length")
        page.evaluate("text => send('talk', text)", (SEEDS / "000-client-talk.js").read_text())
        said = witness.get("talk", message="hello", type="text")
        assert said["from"] == {"id": me["id"], "name": me["name"]}
        page.evaluate("text => send('rename', text)", (SEEDS / "000-client-rename.js").read_text())
        witness.get("rename", id=me["id"], name="zswang")
        page.evaluate("socket.disconnect()")
        witness.get("exit", id=me["id"], name="zswang")
        other.wait_for_function("heard.exit.length")
        with site.page(library, say) as later:
            later.wait_for_function("heard.init.length")
            assert later.evaluate("heard.init[0].messages")[-1] == said
            for name in ("init", "join", "talk", "rename", "exit"):
                told = (later if name == "init" else other).evaluate(f"heard.{name}")
                assert told if name != "join" else True
                for data in told:
                    example = (SEEDS / f"000-server-{name}.js").read_text()
                    assert other.evaluate(HAS, [example, data]), (name, data)


# 001: the browser's own WebSocket.


def test_001_socket(site: Site) -> None:
    names = f"var url = 'ws://{site.place}/echo', protocol = 'echo-protocol';"
    with site.page(names, "001-socket.js") as page:
        page.wait_for_function("Socket.readyState === 1")
        assert page.evaluate("Socket.protocol") == "echo-protocol"


def test_001_echo(site: Site) -> None:
    with site.page("001-echo.js") as page:
        prints(page, "alert: 数据发送中...", "alert: 数据已接收...")
        page.evaluate("ws.close()")
        prints(page, "alert: 数据发送中...", "alert: 数据已接收...", "alert: 连接已关闭...")


def test_001_message(site: Site, witness: Program) -> None:
    jquery = "<script src=jquery.min.js></script><input id=message>"
    with site.page(jquery, "001-message.js") as page:
        prints(page, "Connection to server opened")
        page.fill("#message", '{"event": "talk", "data": {"message": "from 001"}}')
        page.evaluate("sendMessage()")
        witness.get("talk", message="from 001")


# 002: a life in one piece, and Socket.IO.


def test_002_socket(site: Site, witness: Program) -> None:
    with site.page("002-socket.js") as page:
        prints(page, "closed")
        who = witness.get("join")
        # It went as it should, so the others see it at once.
        witness.get("exit", id=who["id"])


@pytest.mark.parametrize("library", LIBRARIES)
def test_002_socket_io(site: Site, witness: Program, library: str) -> None:
    folder = site.folder / library / "page"
    folder.mkdir()
    (folder / "index.html").write_text(seed("002-index.html", site.place), encoding="utf-8")
    with site.opened(f"{library}/page/index.html") as page:
        page.wait_for_function("socket.connected")
        witness.get("join")
        assert page.printed == []  # type: ignore[attr-defined]


# 003: the handshake, byte by byte, and an echo.


def test_003_handshake(site: Site) -> None:
    request = seed("003-request.txt", site.place).replace("\n", "\r\n") + "\r\n"
    with socket.create_connection(("127.0.0.1", site.daemon.port), PATIENT) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as answer:
            lines = [answer.readline().decode().strip() for _ in range(6)]
    for line in (SEEDS / "003-response.txt").read_text().splitlines():
        name = line.partition(": ")[0]
        found = [line for line in lines if line.partition(": ")[0] == name]
        assert len(found) == 1, (line, lines)
        if name != "Upgrade":  # whose case does not matter (RFC 6455, section 4.2.2)
            assert found == [line]


def test_003_echo(site: Site) -> None:
    with site.page("003-connection.js") as page:
        page.wait_for_function("connection.readyState === 1")
        # A slide of its own, for it says something at once.
        (site.folder / "003.js").write_text(seed("003-message.js", site.place), encoding="utf-8")
        page.add_script_tag(url="003.js")
        prints(page, "Server: 消息内容")


# 004: what one sends to the server, the others get.


@pytest.mark.parametrize("library", LIBRARIES)
def test_004_broadcast(site: Site, library: str) -> None:
    begin = f"""
        var heard = [];
        var socket = io("http://{site.place}/broadcast");
        socket.on("connect", () => heard.push("connect"));
        socket.on("disconnect", () => heard.push("disconnect"));
        socket.on("clientMsg", (data) => heard.push(data));
    """
    script = f"<script src={library}/socket.io.js></script>"
    with (
        site.page(script, begin, "004-client.js") as page,
        site.page(script, begin, "004-client.js") as other,
    ):
        for each in (page, other):
            each.wait_for_function("heard[0] === 'connect'")
        page.evaluate("socket.emit('serverMsg', {from: 'page', list: [1, null, '你好']})")
        other.wait_for_function("heard.length === 2")
        other.evaluate("socket.emit('serverMsg', 'from the other')")
        page.wait_for_function("heard.length === 2")
        for each in (page, other):
            each.evaluate("socket.disconnect()")
            each.wait_for_function("heard.length === 3")
            assert each.printed == []  # type: ignore[attr-defined]
        assert page.evaluate("heard") == ["connect", "from the other", "disconnect"]
        assert other.evaluate("heard") == [
            "connect",
            {"from": "page", "list": [1, None, "你好"]},
            "disconnect",
        ]
