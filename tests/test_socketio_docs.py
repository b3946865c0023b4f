"""What docs/socketio.md shows works, with the real clients and the real daemon."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.doors.packages import installed
from tests.doors.program import Program
from tests.parts import missing, program

pytestmark = pytest.mark.long

DOCS = Path(__file__).parent.parent / "docs" / "socketio.md"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), "--store", "memory:") as running:
        yield running


def example(daemon: Daemon, start: str, language: str) -> str:
    """Return the first block of *language* with the text *start* in it, for *daemon*."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    found: str = next(block for block in blocks if start in block)
    return found.replace("http://127.0.0.1:8080", daemon.url.rstrip("/"))


def test_the_three_hellos(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> None:
    node = program("node", "install Node.js 20 or later")
    folder = installed("socketio", tmp_path_factory)
    if find_spec("socketio") is None:
        missing("python-socketio is not here: pip install 'python-socketio[client]'")
    (folder / "hello.mjs").write_text(example(daemon, 'emit("talk"', "js"))
    old = example(daemon, "require(", "js").replace('"socket.io-client"', '"socket.io-client-2"')
    (folder / "hello-2.cjs").write_text(old)
    (folder / "hello.py").write_text(example(daemon, "socketio.Client", "python"))
    with Program(node, folder / "hello.mjs") as ada:
        ada.line("in tea, where 0 were said")
        ada.line('Ada: "Is there any left?"')
        ada.line("said, with the id 1")
        with Program(node, folder / "hello-2.cjs") as grace:
            grace.line("in tea")
            grace.line("said, with the id 2")
            grace.line('Grace: "There is."')
            with Program(sys.executable, folder / "hello.py") as mary:
                mary.line("in tea")
                mary.line("said, with the id 3")
                mary.line("Mary ")
                for hears in (ada, grace):
                    hears.line('Mary: "Then I\'ll come."')


def test_the_broadcast(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> None:
    node = program("node", "install Node.js 20 or later")
    folder = installed("socketio", tmp_path_factory)
    script = 'import { io } from "socket.io-client";\n' + example(daemon, "/broadcast", "js")
    (folder / "broadcast.mjs").write_text(script + 'socket.on("connect", () => console.log("in"));')
    with Program(node, folder / "broadcast.mjs") as first:
        first.line("in")
        with Program(node, folder / "broadcast.mjs"):
            first.line("[ { any: [ 'JSON', null, 1.5 ] }, <Buffer 01 02 03> ]")
