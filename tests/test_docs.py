"""The words for users: what they say is so, and what they show works."""

from __future__ import annotations

import ast
import asyncio
import http.client
import inspect
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import monotonic
from typing import IO, Any, TypeVar, get_args

import msgspec
import pytest
from autobahn.websocket.protocol import WebSocketProtocol
from playwright.sync_api import expect
from websockets import ClientConnection, connect

from chatroom import asking, changes, log, mentions, room, rooms, saying, session, websocket
from chatroom.admin import AddIncoming, AddOutgoing
from chatroom.commands import (
    Bad,
    Command,
    Mine,
    Ping,
    decode,
)
from chatroom.events import (
    PAGE,
    Close,
    Event,
    Message,
    Pong,
    Who,
    encode,
)
from chatroom.load import options as load_options
from chatroom.tap import Options
from tests.browser import launch
from tests.daemon import PATIENT, TWISTD, Daemon, until
from tests.parts import package, program
from tests.test_imports import CORE, OURS

T = TypeVar("T")

REPO = Path(__file__).parent.parent
PACKAGE = REPO / "chatroom"
README = REPO / "README.md"
PROTOCOL = REPO / "docs" / "protocol.md"
ARCHITECTURE = REPO / "docs" / "architecture.md"
WORDS = sorted([*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")])

SENT = {kind.event: kind for kind in get_args(Command) if kind is not Bad}
GOT = {kind.event: kind for kind in get_args(Event)}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of Markdown *text* that are in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return Markdown *text* without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def sections(text: str, level: int) -> dict[str, str]:
    """Return what stands below each heading of *level* in Markdown *text*."""
    _, *parts = re.split(rf"^{'#' * level} (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in Markdown *text*, without their heads."""
    lines = [line[1:-1] for line in prose(text).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    heads = [at - 1 for at, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [row for at, row in enumerate(cells) if at not in heads and at - 1 not in heads]


def named(text: str) -> list[str]:
    """Return what stands in backquotes in *text*."""
    return re.findall("`([^`]+)`", text)


def anchors(text: str) -> set[str]:
    """Return how links name the headings of Markdown *text*."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = (name for n in count(1) if (name := f"{slug}-{n}") not in found)
        found.add(next(again) if slug in found else slug)
    return found


class Somebody:
    """A client over *socket*; *wait* gives the result of what its loop does."""

    def __init__(
        self, socket: ClientConnection, wait: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self._socket = socket
        self._wait = wait

    def send(self, event: str, /, **data: object) -> None:
        self._wait(self._socket.send(json.dumps({"event": event, "data": data})))

    def get(self, event: str, /, **members: object) -> dict[str, Any]:
        """Return the data of the next *event* that has *members*; skip what comes before."""
        while True:
            came, data = self.next()
            if came == event and members.items() <= data.items():
                return data

    def next(self) -> tuple[str, dict[str, Any]]:
        """Return the next event, and its data."""
        received = json.loads(self._wait(self._socket.recv()))
        return received["event"], received["data"]


@contextmanager
def somebody(address: str, /, **options: Any) -> Iterator[Somebody]:
    """
    A client of the room at *address*; *options* are for `websockets.connect`.

    It lives in a thread of its own, so that it answers pings and the server's goodbye. (The client in
    `websockets.sync` would, too, but reads and writes in two threads, with which TLS may get stuck.)
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(coroutine: Coroutine[Any, Any, T]) -> T:
        timely = asyncio.wait_for(coroutine, PATIENT)
        return asyncio.run_coroutine_threadsafe(timely, loop).result()

    connection = connect(address, proxy=None, **options)
    try:
        socket = wait(connection.__aenter__())
        try:
            yield Somebody(socket, wait)
        finally:
            wait(connection.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Program:
    """The example *command*, run in *folder*: lines in, lines out."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
        assert self._process.stdin is not None
        self._stdin: IO[bytes] = self._process.stdin

    def say(self, text: str) -> None:
        self._stdin.write(text.encode() + b"\n")
        self._stdin.flush()

    def shows(self, *lines: str) -> None:
        """Wait until exactly *lines* are what it has printed."""

        def shown() -> bool:
            return self._output.read_text().splitlines() == list(lines)

        try:
            until(shown, f"{lines} in the output")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self._output.read_text()}") from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stdin.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("docs"), "--max-per-address", "30") as daemon:
        yield daemon


# All documents.


@pytest.mark.parametrize("path", WORDS, ids=lambda path: str(path.relative_to(REPO)))
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(read(path))):
        if re.match("[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and anchor not in anchors(read(target))):
            broken.append(link)
    assert broken == []


# README.md


def test_the_table_has_all_options_with_their_defaults() -> None:
    run = [TWISTD, "chatroom", "--help"]
    told = subprocess.check_output(run, text=True, env={**os.environ, "COLUMNS": "1000"})
    helped = dict(re.findall(r"^ +(?:-\w, )?(--[\w-]+)=? +(.*)$", told, re.MULTILINE))
    del helped["--help"], helped["--version"]
    found = {option: re.search(r"\[default: (.*)\]", text) for option, text in helped.items()}
    table = rows(sections(read(README), 2)["Options"])
    assert {named(option)[0]: "".join(named(default)) for option, _, default in table} == {
        option: default[1] if default else "" for option, default in found.items()
    }


def test_no_option_is_named_that_is_not_there() -> None:
    known = {*Options().docs, "help", "pidfile", "upgrade", "now", "reference"}
    known |= {*load_options.Options().docs, *AddIncoming().docs, *AddOutgoing().docs}
    mentioned = {
        option
        for path in [*WORDS, *(REPO / "docs" / "deploy").iterdir()]
        if path.name != "conformance.md"
        for option in re.findall(r"(?<![\w-])--([a-z][\w-]*)", read(path))
    }
    assert mentioned - known == set()
    assert len(mentioned) > 13


def test_it_names_the_version_of_python_that_is_needed() -> None:
    setup = ConfigParser()
    setup.read(REPO / "setup.cfg")
    needed = setup["options"]["python_requires"].removeprefix(">=")
    assert f"You need Python {needed} or newer" in read(README)


# docs/protocol.md


def parts(heading: str) -> dict[str, str]:
    """Return the sections on events below *heading*, by the events that they are about."""
    return {
        event: text
        for title, text in sections(sections(read(PROTOCOL), 2)[heading], 3).items()
        for event in named(title)
    }


def fields(kind: type[msgspec.Struct]) -> dict[str, bool]:
    """Return the members of *kind* as JSON names them, and whether each must be there."""
    return {field.encode_name: field.required for field in msgspec.structs.fields(kind)}


def members(text: str) -> dict[str, bool]:
    """Return the members in the table of *text*, and whether each must be there."""
    names = [name for row in rows(text) for name in named(row[0])]
    return {name.rstrip("?"): not name.endswith("?") for name in names}


@pytest.mark.parametrize(
    ("heading", "kinds"), [("What you send", SENT), ("What you get", GOT)], ids=["sent", "got"]
)
def test_all_events_are_told_with_their_members(heading: str, kinds: dict[str, Any]) -> None:
    told = parts(heading)
    assert set(told) == set(kinds)
    for event, text in told.items():
        if kinds[event] is Message:
            text = sections(sections(read(PROTOCOL), 2)[heading], 3)["A message"]
        if kinds[event] not in (Ping, Pong, Mine):
            assert members(text) == fields(kinds[event]), event


def test_examples_of_what_is_sent_are_understood() -> None:
    for event, text in parts("What you send").items():
        (example,) = blocks(text, "json")
        envelope = json.loads(example)
        assert envelope.keys() == {"event", "data"} and envelope["event"] == event
        assert type(decode(example.encode())) is SENT[event], example
        assert SENT[event] is Ping or envelope["data"].keys() <= fields(SENT[event]).keys()


def test_examples_of_what_is_got_are_as_the_server_sends_them() -> None:
    for event, text in parts("What you get").items():
        examples = [json.loads(example) for example in blocks(text, "json")]
        (data,) = [example["data"] for example in examples if example["event"] == event]
        kind = GOT[event]
        said = Pong(data) if kind is Pong else msgspec.convert(data, kind)
        assert json.loads(encode(said)) == {"event": event, "data": data}


def test_the_first_example_is_understood(daemon: Daemon) -> None:
    (example,) = blocks(sections(read(PROTOCOL), 2)["In one minute"], "json")
    with somebody(daemon.ws) as client:
        said = json.loads(example)
        client.send(said["event"], **said["data"])
        assert client.get("init")["room"] == "lobby"
        assert client.get("talk")["message"] == said["data"]["message"]


def test_all_parameters_are_told() -> None:
    source = inspect.getsource(websocket)
    table = rows(sections(read(PROTOCOL), 2)["Connecting"])
    told = {named(row[0])[0] for row in table if named(row[0])}
    assert told == set(re.findall(r'said\.get\("(\w+)"', source)) != set()


def test_all_error_codes_are_told() -> None:
    raised = set()
    for path in (REPO / "chatroom").glob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            match node:
                case ast.Call(ast.Name("Problem" | "Error"), [ast.Constant(str(code)), *_]):
                    raised.add(code)
                case ast.Call(ast.Name("Refused"), [_, ast.Constant(str(code))]):
                    raised.add(code)
    table = rows(sections(read(PROTOCOL), 2)["Errors"])
    assert {named(row[0])[0] for row in table} == raised


def test_errors_come_as_told(daemon: Daemon) -> None:
    told = {named(row[0])[0] for row in rows(sections(read(PROTOCOL), 2)["Errors"])}
    address = f"{daemon.ws}?room=errors&name="
    with somebody(address + "Eve") as eve, somebody(address + "eve") as client:
        assert client.get("init")["self"]["name"].startswith("guest-")
        taken = client.get("error")
        assert taken["code"] == "name_taken" and "event" not in taken
        eve.send("talk", room="errors", message="mine", nonce="n")
        eve.get("talk")
        eve.send("talk", room="errors", message="another", nonce="n")
        codes = {taken["code"], eve.get("error", event="talk", nonce="n")["code"]}
        wrong: list[tuple[str, dict[str, object]]] = [
            ("talk", {"room": "errors", "message": 7}),
            ("rename", {"name": "\u202e"}),
            ("join", {"room": "a room"}),
            ("talk", {"message": "in the lobby"}),
            ("talk", {"room": "errors", "message": " "}),
            ("talk", {"room": "errors", "message": "x" * 4001}),
            ("talk", {"room": "errors", "message": "a", "file": {"id": "0" * 64, "name": "a"}}),
            ("edit", {"room": "errors", "of": 1, "message": "not mine"}),
            ("delete", {"room": "errors", "of": 9}),
            ("react", {"room": "errors", "of": 1, "emoji": "yes"}),
        ]
        for event, data in wrong:
            client.send(event, **data)
            codes.add(client.get("error", event=event)["code"])
        joins, begun = 0, monotonic()
        while not codes & {"rate_limited"}:
            joins += 1
            client.send("join", room="errors")
            client.send("ping", n=joins)
            while (came := client.next())[0] != "pong":
                if came[0] == "error":
                    codes.add(came[1]["code"])
                    assert came[1]["retry_after"] > 0
        # As many as at once, and those of the time that it took.
        rate, burst = Options().defaults["talk-rate"], Options().defaults["talk-burst"]
        assert 5 * burst <= joins <= 5 * burst + rate * (monotonic() - begun) + 1
        eve.send("direct", id=2**53)
        codes.add(eve.get("error", event="direct")["code"])
        for number in range(21):
            giver = eve if number < 12 else client
            giver.send("react", room="errors", of=1, emoji=chr(0x1F400 + number))
            if number < 20:
                giver.get("react", emoji=chr(0x1F400 + number))
        codes.add(client.get("error", event="react")["code"])
    # One needs a disk that is full, as the tests of the store have, one a hundred rooms, one HTTP.
    assert codes == told - {"unavailable", "too_many_rooms", "unauthorized"}


def test_all_close_codes_are_told() -> None:
    # What Autobahn finds by itself.
    found = {
        WebSocketProtocol.CLOSE_STATUS_CODE_PROTOCOL_ERROR,
        WebSocketProtocol.CLOSE_STATUS_CODE_INVALID_PAYLOAD,
    }
    table = rows(sections(read(PROTOCOL), 2)["Close codes"])
    assert {int(row[0]) for row in table} == {int(code) for code in Close} | found


def test_no_connection_is_refused_but_as_told(daemon: Daemon, tmp_path: Path) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    def ask(port: int, method: str, path: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            if answer.status in (429, 503):
                assert int(answer.headers["Retry-After"]) > 0
            assert answer.status == 101 or len(answer.read().decode().strip()) > 10
            return answer.status
        finally:
            connection.close()

    assert ask(daemon.port, "GET", "/ws", upgrade) == 101
    answers = {
        ask(daemon.port, "GET", "/ws?room=a%20room", upgrade),
        ask(daemon.port, "GET", "/ws", upgrade | {"Origin": "https://elsewhere.example"}),
        ask(daemon.port, "POST", "/ws", upgrade),
        ask(daemon.port, "GET", "/ws", {}),
    }
    for option in ("--max-per-address", "--max-connections"):
        with Daemon(tmp_path / option, option, "1") as small, somebody(small.ws):
            answers.add(ask(small.port, "GET", "/ws", upgrade))
    table = rows(sections(read(PROTOCOL), 2)["Connecting"])
    assert answers == {int(row[0]) for row in table if row[0].isdigit()}


@pytest.mark.long
def test_a_crowd_is_told_as_told(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, "--crowd", "4", "--grace", "0") as daemon,
        somebody(daemon.ws) as watcher,
        ExitStack() as guests,
    ):
        watcher.get("init", resumed=False)
        for _ in range(3):
            guests.enter_context(somebody(daemon.ws))
            watcher.get("join")
        with somebody(daemon.ws), somebody(daemon.ws):
            summary = watcher.get("presence", count=6)
            assert summary["joined"] and summary["left"] == []
        watcher.get("presence", count=4)
        guests.close()
        init = watcher.get("init", resumed=True)
        assert init["count"] == len(init["users"]) == 1


def test_limits_are_as_told(daemon: Daemon) -> None:
    with somebody(daemon.ws) as client:
        limits = client.get("init")["limits"]
    options = Options()
    options.parseOptions([])
    expected: list[tuple[str, object]] = [
        *((name, value) for name, value in limits.items()),
        ("Reactions to one message in all: of each emoji, as many as gave it.", changes.GIVEN),
        ("Users whom one message mentions.", mentions.MOST),
        ("Characters of what is searched for.", asking.QUERY),
        ("Rooms in one `rooms`.", asking.LISTED),
        ("Rooms in one `mine`.", log.READ),
        ("Texts in one `edits`.", asking.VERSIONS),
        ("`join`, `exit`, `direct` and `read` at once; `rate` for long.", 5 * limits["burst"]),
        ("`rooms`, `mine`, `edits` and `search` at once; `rate` for long.", 5 * limits["burst"]),
        ("`history` over connections at once; `rate` for long.", session.SCROLL * limits["burst"]),
        ("`search` of one connection that are not answered yet.", asking.SEARCHES),
        ("Bytes of one WebSocket message that you send.", websocket.MESSAGE),
        ("Errors at once; 1 a second for long.", session.PATIENCE),
        ("Messages and changes in an `init` with `resumed: true`.", room.RESUME),
        ("Messages in an `init` with `resumed: false`.", room.BEGIN),
        ("Bytes of one `init`, `history`, `edits` or `search`, nearly.", room.ANSWER),
        ("Messages and changes that a slow connection may fall behind.", rooms.FAR),
        ("Seconds from one ping of the server to the next.", options["ping"]),
        ("Seconds to answer it.", options["ping-timeout"]),
        ("Seconds to come back unseen.", options["grace"]),
    ]
    table = rows(sections(read(PROTOCOL), 2)["Limits"])
    told: list[tuple[str, object]] = [
        (
            named(limit)[0] if limit else what,
            named(value) if "`" in value else int(value.replace(",", "")),
        )
        for limit, what, value in table
    ]
    assert told == expected


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (r"within (\d+) seconds, the others see", Options().defaults["grace"]),
        (r"more than (\d+) people", Options().defaults["crowd"]),
        (r"every (\d+) seconds; the server passes no more", saying.TYPING),
    ],
)
def test_figures_in_the_text_are_right(words: str, value: float) -> None:
    (found,) = re.findall(words, " ".join(read(PROTOCOL).split()))
    assert float(found) == float(value)


@pytest.mark.long
def test_nothing_is_longer_than_a_mebibyte(tmp_path: Path) -> None:
    # A control character takes six bytes in JSON; no other character takes more.
    longest = "\x01" * (int(Options().defaults["max-message"]) - 1) + "x"
    with Daemon(tmp_path, "--talk-rate", "0") as daemon:
        # By itself this client takes a mebibyte, and ends the connection when there is more.
        with somebody(f"{daemon.ws}?room=long") as client:
            begin = client.get("init")
            for _ in range(60):
                client.send("talk", room="long", message=longest)
            client.get("talk", id=60)
            client.send("history", room="long", limit=PAGE)
            page = client.get("history")
            assert 20 < len(page["messages"]) < 60
            assert page["more"] and page["messages"][-1]["id"] == 60
        cursor = f"token={begin['self']['token']}&epoch={begin['epoch']}&after="
        with somebody(f"{daemon.ws}?room=long&{cursor}40") as client:
            assert client.get("init")["resumed"]
        with somebody(f"{daemon.ws}?room=long&{cursor}1") as client:
            init = client.get("init")
            assert not init["resumed"] and init["more"] and len(init["messages"]) > 20
    users = [Who(2**53, "\U0001f600" * 32)] * int(Options().defaults["crowd"])
    assert len(msgspec.json.encode(users)) + room.ANSWER + 2000 < 2**20


# The examples in docs/protocol.md


def example(name: str, address: str = "") -> str:
    """Return the file *name* that docs/protocol.md shows, for a room at *address*."""
    _, _, after = read(PROTOCOL).partition(f"`{name}`:\n")
    (text,) = re.findall(r"\A\n```\w+\n(.*?)^```$", after, re.MULTILINE | re.DOTALL)
    return str(text.replace("127.0.0.1:8080", address))


def write(folder: Path, address: str, *names: str) -> None:
    for name in names:
        (folder / name).write_text(example(name, address), encoding="utf-8")


def talk_through_a_crash(
    daemon: Daemon, say: Callable[[str], object], shows: Callable[..., object]
) -> None:
    """
    Talk with a client, kill the daemon, and talk on.

    *say* has it say a text; *shows* waits until all that it shows is these names and texts.
    """
    with somebody(f"{daemon.ws}?name=Ada") as ada:
        ada.send("talk", message="one")
        shows(("Ada", "one"))
        say("two")
        client = ada.get("talk", message="two")["from"]
        who = client["name"]
        shows(("Ada", "one"), (who, "two"))
        daemon.kill()
    say("three")
    daemon.start()
    with somebody(f"{daemon.ws}?name=Ada") as ada:
        if all(m["message"] != "three" for m in ada.get("init")["messages"]):
            ada.get("talk", message="three")
        ada.send("talk", message="four")
        shows(("Ada", "one"), (who, "two"), (who, "three"), ("Ada", "four"))
        ada.send("history")
        kept = ada.get("history")["messages"]
    assert [m["message"] for m in kept] == ["one", "two", "three", "four"]
    assert kept[2]["from"] == client


@pytest.mark.parametrize("name", ["hello.mjs", "hello-node.mjs", "hello.py"])
def test_the_least_clients_are_short(name: str) -> None:
    assert len([line for line in example(name).splitlines() if line]) <= 15


@pytest.mark.long
def test_the_least_program_in_python_works(tmp_path: Path) -> None:
    says_hello(tmp_path, [sys.executable, "hello.py"], "Python 'Hello from Python!'", "Ada 'yes'")


@pytest.mark.long
def test_the_least_program_in_node_works(tmp_path: Path) -> None:
    command = [with_ws(tmp_path), "hello-node.mjs"]
    says_hello(tmp_path, command, 'Node: "Hello from Node.js!"', 'Ada: "yes"')


def says_hello(folder: Path, command: list[str], hello: str, answer: str) -> None:
    """Run an example that says hello, and shows how many are here and what they say."""
    with Daemon(folder / "daemon") as daemon, somebody(f"{daemon.ws}?name=Ada") as ada:
        write(folder, f"127.0.0.1:{daemon.port}", command[1])
        client = Program(folder, *command)
        try:
            ada.get("talk", nonce="hello")
            ada.send("talk", message="yes")
            client.shows("2 in lobby", hello, answer)
        finally:
            client.end()


@pytest.mark.long
@pytest.mark.parametrize("files", [("hello.mjs",), ("page.mjs", "room.mjs")])
def test_the_page_works(tmp_path: Path, files: tuple[str, ...]) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    write(folder, "", "index.html", *files)
    index = folder / "index.html"
    index.write_text(index.read_text().replace("page.mjs", files[0]))
    complaints: list[str] = []
    with Daemon(tmp_path / "daemon", "--web", str(folder)) as daemon, launch() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(daemon.url)

        with somebody(f"{daemon.ws}?name=Ada") as ada:
            ada.send("talk", message="Good morning")
            expect(page.locator("#log li")).to_have_text(["Ada: Good morning"])
            page.get_by_label("Message").fill("<img src=x onerror=alert(1)>")
            page.keyboard.press("Enter")
            said = ada.get("talk", message="<img src=x onerror=alert(1)>")
        line = f"{said['from']['name']}: {said['message']}"
        expect(page.locator("#log li")).to_have_text(["Ada: Good morning", line])
    assert complaints == []


STUTTER = """
import { WebSocket } from "ws";
globalThis.WebSocket = class extends WebSocket {
  send(text) {
    super.send(text);
    super.send(text);
  }
};
"""


def with_ws(folder: Path) -> str:
    """Return Node.js, with its package ws in *folder*."""
    node = program("node", "install Node.js 20 or newer")
    package("ws", folder)
    return node


@pytest.mark.long
def test_the_terminal_works(tmp_path: Path) -> None:
    node = with_ws(tmp_path)
    with Daemon(tmp_path / "daemon") as daemon:
        write(tmp_path, f"127.0.0.1:{daemon.port}", "terminal.mjs", "room.mjs")
        # It stutters, so that what it says is only said once because of its nonce.
        (tmp_path / "stutter.mjs").write_text(STUTTER)
        terminal = Program(tmp_path, node, "--import", "./stutter.mjs", "terminal.mjs")
        try:
            talk_through_a_crash(
                daemon,
                terminal.say,
                lambda *lines: terminal.shows(*(f'{name}: "{text}"' for name, text in lines)),
            )
        finally:
            terminal.end()


@pytest.mark.long
def test_the_greeter_works(tmp_path: Path) -> None:
    with Daemon(tmp_path / "daemon") as daemon, somebody(daemon.ws) as watcher:
        write(tmp_path, f"127.0.0.1:{daemon.port}", "greeter.py")
        greeter = Program(tmp_path, sys.executable, "greeter.py")
        try:
            watcher.get("join", name="Greeter")
            with somebody(f"{daemon.ws}?name=Ada") as ada:
                ada.get("talk", message="Hello, Ada!")
                ada.send("talk", message="one")
                greeter.shows("Greeter 'Hello, Ada!'", "Ada 'one'")
                daemon.kill()
            daemon.start()
            shown = ["Greeter 'Hello, Ada!'", "Ada 'one'"]
            with somebody(f"{daemon.ws}?name=Bob") as bob:
                if any(user["name"] == "Greeter" for user in bob.get("init")["users"]):
                    bob.get("talk", message="Hello, Bob!")
                    shown.append("Greeter 'Hello, Bob!'")
                else:
                    bob.get("join", name="Greeter")
                bob.send("talk", message="two")
                greeter.shows(*shown, "Bob 'two'")
        finally:
            greeter.end()


# docs/architecture.md


def test_the_table_has_all_files_and_what_they_may_import() -> None:
    told: dict[str, set[str]] = {}
    for file, _, may in rows(sections(read(ARCHITECTURE), 2)["Files"]):
        told[named(file)[0]] = {*named(may), *(CORE if "the core" in may else ())}
        assert ("everything" in may) == (file == "`tap.py`")
    parts = {path.name: path.stem for path in PACKAGE.glob("*.py")}
    parts |= {f"{path.parent.name}/": path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    del parts["__init__.py"]
    assert told == {
        name: OURS.get(part, CORE) - {part} if part != "tap" else set()
        for name, part in parts.items()
    }


def test_the_core_comes_first() -> None:
    table = rows(sections(read(ARCHITECTURE), 2)["Files"])
    assert {named(row[0])[0] for row in table[: len(CORE)]} == {f"{module}.py" for module in CORE}
