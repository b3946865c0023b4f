"""Real clients of ``/rooms/NAME/events`` and ``/rooms/NAME/poll`` at the real daemon."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page

from tests.browser import launch
from tests.daemon import PATIENT, Daemon, until
from tests.doors.packages import installed
from tests.doors.program import Program
from tests.listeners import Memory
from tests.parts import program
from tests.test_deploy import Proxied, Site
from tests.visitors import Cable

pytestmark = pytest.mark.long

pytest_plugins = ["tests.test_deploy"]

NODE = ("listen.mjs", "listen2.mjs")
PYTHON = ("python_httpx_sse.py",)

rooms = (f"room{number}" for number in count())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("sse"), "--grace", "60") as daemon:
        yield daemon
        assert daemon.stop() == 0
    assert "Traceback" not in daemon.output


def say(url: str, room: str, message: str, token: str | None = None) -> int:
    """Say *message* in *room* of the daemon at *url*, and return its id."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"message": message}).encode()
    with urlopen(Request(f"{url}rooms/{room}/messages", body, headers)) as answer:
        id: int = json.load(answer)["id"]
    return id


def somebody(url: str, name: str) -> str:
    """Return the token of somebody new, called *name*."""
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"name": name}).encode()
    with urlopen(Request(f"{url}users", body, headers)) as answer:
        token: str = json.load(answer)["token"]
    return token


def heard(client: Program) -> Memory:
    """Return what one knows who heard what *client* did."""
    memory = Memory()
    for event, data in client.events:
        memory.hear(event, data)
    return memory


def has_heard(client: Program, last: int) -> bool:
    return heard(client).last == last


def test_clients_come_back_by_themselves_and_miss_nothing(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = installed("sse", tmp_path_factory)
    node = program("node", "install Node.js 20 or later")
    room = next(rooms)
    speaker = somebody(daemon.url, "Speaker")
    with ExitStack() as stack:
        clients = []
        for script in (*NODE, *PYTHON):
            token = somebody(daemon.url, script.partition(".")[0])
            url = f"{daemon.url}rooms/{room}/events?token={token}"
            run = node if script in NODE else sys.executable
            clients.append(stack.enter_context(Program(run, folder / script, url)))

        def hear(last: int) -> None:
            for client in clients:
                client.until(partial(has_heard, client, last), f"the entry {last}")

        for client in clients:
            client.get("init")
        hear(say(daemon.url, room, "你好\n\ndata: 👋 \u2028", speaker))
        for end in (daemon.stop, daemon.kill):
            end()
            daemon.start()
            say(daemon.url, room, "at once", speaker)
            hear(say(daemon.url, room, "and a second one", speaker))
        hear(say(daemon.url, room, "and live", speaker))
        for client in clients:
            memory = heard(client)
            assert memory.ids == [1, 2, 3, 4, 5, 6]
            assert memory.starts == 1
            assert memory.messages[0].message == "你好\n\ndata: 👋 \u2028"
            me = {init["self"]["id"] for init in client.said("init")}
            assert len(me) == 1


def test_curl_is_told_at_once(daemon: Daemon) -> None:
    curl = program("curl", "install curl")
    room = next(rooms)
    with Program(curl, "-sSN", f"{daemon.url}rooms/{room}/events") as client:
        client.line("event: init")
        say(daemon.url, room, "hello")
        client.line("event: talk")
        data = json.loads(client.line('data: {"id":1').removeprefix("data: "))
        assert data["message"] == "hello"

        def ids() -> list[str]:
            return [line for line in list(client.lines) if line.startswith("id: ")]

        id = client.until(lambda: ids()[1:], "its id")[0]
        assert re.fullmatch("id: [0-9a-f]+-1", id)


def test_curl_polls(daemon: Daemon) -> None:
    curl = program("curl", "install curl")
    room = next(rooms)

    def poll(**query: str) -> Program:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return Program(curl, "-s", f"{daemon.url}rooms/{room}/poll?{asked}")

    with poll(name="Ann") as first:
        told = json.loads(first.until(lambda: first.lines, "an answer")[0])
    assert [event["event"] for event in told["events"]] == ["init"]
    with poll(after=told["cursor"], token=told["token"]) as second:
        # The server has it when it sees who is there.
        say(daemon.url, room, "hello", told["token"])
        told = json.loads(second.until(lambda: second.lines, "an answer")[0])
    assert [event["data"]["message"] for event in told["events"]] == ["hello"]


def test_who_does_not_read_is_given_up(tmp_path: Path) -> None:
    options = ("--ping", "1", "--ping-timeout", "2", "--grace", "0", "--talk-rate", "0")
    with Daemon(tmp_path, *options) as daemon:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
        connection.sock = socket.socket()
        # The less the system takes for it, the sooner it is stuck.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sock.connect(("127.0.0.1", daemon.port))
        connection.request("GET", "/rooms/lobby/events?name=Stuck")
        answer = connection.getresponse()
        token = somebody(daemon.url, "Speaker")

        def here() -> int:
            with urlopen(f"{daemon.url}health") as health:
                connections: int = json.load(health)["connections"]
            return connections

        until(lambda: here() == 1, "the stream")

        def given_up() -> bool:
            for _ in range(20):
                say(daemon.url, "lobby", "👋" * 4000, token)
            return not here()

        until(given_up, "given up")
        connection.close()
        answer.close()


# In a browser


LISTEN = """
url => new Promise((resolve, reject) => {
  window.told = [];
  window.source = new EventSource(url);
  for (const name of ["init", "talk", "problem", "error"]) {
    source.addEventListener(name, ({ data, lastEventId }) =>
      told.push([name, data === undefined ? null : JSON.parse(data), lastEventId]));
  }
  source.addEventListener("init", resolve, { once: true });
})
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Callable[[str], Page]]:
    with launch() as browser:

        def visit(url: str) -> Page:
            # A page of the room's own may connect to nowhere else.
            page = browser.new_context(bypass_csp=True).new_page()
            page.set_default_timeout(1000 * PATIENT)
            page.goto(url)
            return page

        yield visit


def test_a_browser_comes_back_by_itself_and_misses_nothing(
    daemon: Daemon, chromium: Callable[[str], Page], request: pytest.FixtureRequest
) -> None:
    room = next(rooms)
    token = somebody(daemon.url, "Bea")
    cable = Cable(daemon.port)
    request.addfinalizer(cable.close)
    page = chromium(f"{cable.url}manifest.webmanifest")
    page.evaluate(LISTEN, f"/rooms/{room}/events?token={token}")
    say(daemon.url, room, "hello", token)
    page.wait_for_function("told.length == 2")
    # Nobody knows when it comes back, but that it is not before there is something to be missed.
    cable.cut()
    daemon.kill()
    daemon.start()
    say(daemon.url, room, "meanwhile", token)
    page.wait_for_function("told.some(([name]) => name == 'error')")
    cable.mend()
    page.wait_for_function("told.filter(([name]) => name == 'init').length == 2")
    told = page.evaluate("told")
    assert [name for name, _, _ in told if name != "error"] == ["init", "talk", "init"]
    assert all(data is None for name, data, _ in told if name == "error")
    _, back, cursor = told[-1]
    assert back["resumed"]
    assert [message["message"] for message in back["messages"]] == ["meanwhile"]
    assert cursor == f"{back['epoch']}-2"


def test_a_browser_hears_of_a_problem(daemon: Daemon, chromium: Callable[[str], Page]) -> None:
    somebody(daemon.url, "Grace")
    page = chromium(f"{daemon.url}manifest.webmanifest")
    page.evaluate(LISTEN, f"/rooms/{next(rooms)}/events?name=grace")
    page.wait_for_function("told.length == 2")
    (_, problem, _) = page.evaluate("told")[1]
    assert problem["code"] == "name_taken"
    assert page.evaluate("source.readyState") == 1


def test_a_page_of_a_listed_site_may_listen_and_no_other(
    tmp_path: Path, chromium: Callable[[str], Page]
) -> None:
    daemon = Daemon(tmp_path)
    port = daemon.port
    daemon.options = ("--origin", f"http://localhost:{port}")
    with daemon:
        url = f"http://127.0.0.1:{port}/rooms/lobby/events"
        page = chromium(f"http://localhost:{port}/manifest.webmanifest")
        page.evaluate(LISTEN, url)
        # Where it was a page of another site says in a header; fetch asks first whether it may.
        status = page.evaluate(
            "url => fetch(url, {headers: {'Last-Event-ID': '1'}}).then(({status}) => status)", url
        )
        assert status == 200
        with Daemon(tmp_path / "other") as other:
            stranger = chromium(f"{other.url}manifest.webmanifest")
            state = stranger.evaluate(
                "url => new Promise(resolve => { const source = new EventSource(url);"
                " source.onerror = () => resolve(source.readyState); })",
                url,
            )
        assert state == 2  # for good


# Behind nginx, and with TLS


def connections(site: Site) -> int:
    """Return how many are connected to the room at *site*."""
    with urlopen(f"{site.url}/health", context=site.trusting) as health:
        found: int = json.load(health)["connections"]
    return found


def is_told_at_once(site: Site, certificates: Path) -> None:
    """Listen to a room at *site*, where somebody says something."""
    curl = program("curl", "install curl")
    room = next(rooms)
    url = f"{site.url}/rooms/{room}/events"
    with Program(curl, "-sSN", "--cacert", certificates / "root.pem", url) as reader:
        reader.line("event: init")
        with site.client() as speaker:
            speaker.get("init")
            speaker.send("join", room=room)
            reader.line("event: join")
            speaker.send("talk", room=room, message="hello")
            reader.line("event: talk")
            assert connections(site) == 2
            reader.kill()
            until(lambda: connections(site) == 1, "the reader is gone")


def test_nginx_passes_on_at_once_what_happens(proxied: Proxied, certificates: Path) -> None:
    is_told_at_once(proxied, certificates)


def test_tls_without_a_proxy(certificates: Path, tmp_path: Path) -> None:
    files = {"privateKey": "privkey", "certKey": "cert", "extraCertChain": "chain"}
    keys = (f"{what}={certificates}/{file}.pem" for what, file in files.items())
    listen = ":".join(["ssl:0:interface=127.0.0.1", *keys])
    with Daemon(tmp_path, "--listen", listen) as daemon:
        (port,) = re.findall(r"https://127\.0\.0\.1:(\d+)/", daemon.output)
        is_told_at_once(Site(int(port), certificates), certificates)
    assert "Traceback" not in daemon.output
