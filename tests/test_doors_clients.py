"""Real clients of raw WebSockets, unmodified, at the real daemon."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.browser import launch
from tests.daemon import Daemon
from tests.doors.packages import CLIENTS, installed
from tests.doors.program import Program
from tests.parts import program
from tests.rig import KEY, masked

pytestmark = pytest.mark.long

FULL = "👋" * 4000
"""The longest message that there may be, in the most bytes."""
NODE = ("ws.mjs", "websocket.mjs", "w3c.mjs")
PYTHON = (
    "python_websockets.py",
    "python_websockets_threads.py",
    "python_websocket_client.py",
    "python_autobahn.py",
)
Start = Callable[..., Program]
rooms = count()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("clients")
    with Daemon(folder, "--store", "memory:", "--grace", "60") as daemon:
        yield daemon
    assert "Traceback" not in daemon.output


@pytest.fixture(scope="module")
def witness(daemon: Daemon) -> Iterator[Program]:
    """Somebody who is here all the time, and sees what clients do."""
    script = CLIENTS / "raw" / PYTHON[0]
    with Program(sys.executable, script, f"{daemon.ws}?name=Witness") as program:
        program.get("init")
        yield program
        program.tell("close")
        program.line("close 1000")
        assert program.end() == 0


@pytest.fixture
def room(witness: Program) -> str:
    """A room that nobody else has been in but the witness."""
    name = f"room{next(rooms)}"
    witness.forget()
    witness.send("join", room=name)
    witness.get("init", room=name)
    return name


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start the client *script* at *daemon*, as somebody with such *wishes*."""
    running: list[Program] = []

    def begin(script: str, daemon: Daemon, /, **wishes: object) -> Program:
        if script.endswith(".mjs"):
            node = program("node", "install Node.js 20 or later")
            command = [node, str(installed("raw", tmp_path_factory) / script)]
        else:
            command = [sys.executable, str(CLIENTS / "raw" / script)]
        running.append(Program(*command, f"{daemon.ws}?{urlencode(wishes)}"))
        return running[-1]

    yield begin
    for each in running:
        each.kill()


@pytest.mark.parametrize("script", [*NODE, *PYTHON])
def test_talks_comes_back_and_leaves(
    script: str, daemon: Daemon, start: Start, witness: Program, room: str
) -> None:
    ann = start(script, daemon, room=room, name="Ann")
    begun = ann.get("init")
    ann.send("talk", room=room, message="你好 👋", nonce="n-1")
    ann.send("talk", room=room, message=FULL)
    witness.get("talk", id=2, message=FULL)
    witness.send("talk", room=room, message=FULL)
    ann.get("talk", id=3, message=FULL)
    ann.kill()
    witness.send("talk", room=room, message="meanwhile")
    witness.get("talk", id=4)
    token, epoch = begun["self"]["token"], begun["epoch"]
    ann = start(script, daemon, room=room, token=token, after=3, epoch=epoch)
    again = ann.get("init")
    assert again["resumed"]
    assert [message["message"] for message in again["messages"]] == ["meanwhile"]
    ann.send("talk", room=room, message="你好 👋", nonce="n-1")
    ann.get("talk", id=1, nonce="n-1")
    ann.send("talk", room=room, message="end")
    witness.get("talk", id=5, message="end")
    assert witness.said("exit") == []
    ann.tell("close")
    ann.line("close")
    assert ann.end() == 0
    # At once: who is cut off would have a minute.
    witness.get("exit", name="Ann")
    assert [message["id"] for message in witness.said("talk")] == [1, 2, 3, 4, 5]


def test_server_that_stops_says_so(tmp_path: Path, start: Start) -> None:
    with Daemon(tmp_path, "--store", "memory:") as daemon:
        clients = [start(script, daemon) for script in (*NODE, *PYTHON)]
        for client in clients:
            client.get("init")
        assert daemon.stop() == 0
    for client in clients:
        assert client.line("close") == "close 1012", client.command
        assert client.end() == 0


def test_curl(daemon: Daemon, witness: Program, room: str) -> None:
    curl = program("curl", "install the package curl")
    headers = [
        *("Connection: Upgrade", "Upgrade: websocket", "Expect:", "Transfer-Encoding:"),
        *("Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"),
    ]
    # What goes up is its standard input, as that comes.
    quiet = "--silent --show-error --no-progress-meter --no-buffer --include --http1.1"
    with Program(
        *(curl, *quiet.split(), "--request", "GET", "--upload-file", "."),
        *(part for header in headers for part in ("--header", header)),
        f"{daemon.url}ws?room={room}&name=Curl",
    ) as client:
        assert client.line("HTTP/1.1 ") == "HTTP/1.1 101 Switching Protocols"
        assert client.line("Sec-WebSocket-Accept: ").endswith("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        witness.get("join", name="Curl")
        talk = f'{{"event":"talk","data":{{"room":"{room}","message":"from curl"}}}}'
        client.write(masked(0x81, talk.encode()))
        assert witness.get("talk")["message"] == "from curl"
        client.write(masked(0x88, (1000).to_bytes(2)))
        assert client.end() == 0
        witness.get("exit", name="Curl")
        assert '"message":"from curl"' in client.lines[-1]
        assert client.lines[-1].endswith("\\x88\x02\x03\\xe8")


TALK = """room => new Promise((resolve, reject) => {
  const heard = [];
  const socket = new WebSocket(`ws://${location.host}/ws?room=${room}&name=Page`);
  socket.onopen = () => heard.push("open");
  socket.onerror = reject;
  socket.onclose = ({code}) => resolve([...heard, code]);
  socket.onmessage = ({data: text}) => {
    const {event, data} = JSON.parse(text);
    heard.push(event);
    if (event === "init") {
      socket.send(JSON.stringify({event: "talk", data: {room, message: "from a page"}}));
    }
    if (event === "talk") socket.close(1000);
  };
})"""


def test_browser(daemon: Daemon, witness: Program, room: str) -> None:
    with launch() as browser:
        page = browser.new_page()
        # A page of this origin that does nothing by itself.
        page.goto(f"{daemon.url}health")
        assert page.evaluate(TALK, room) == ["open", "init", "talk", 1000]
    assert witness.get("talk")["message"] == "from a page"
    witness.get("exit", name="Page")
