"""One person at each door, in one room: all see the same ids in the same order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENT, Daemon, until
from tests.doors.packages import installed
from tests.doors.program import Program
from tests.doors.receiver import receiver
from tests.parts import program

pytestmark = pytest.mark.long

ROOM = "everybody"
CLIENTS = ("ws", "socketio", "socketio2", "sse", "poll", "irc")
EACH = 6
ADMIN = "from chatroom.admin import main; main()"


def admin(daemon: Daemon, *command: str) -> dict[str, str]:
    """Have ``chatroom-admin`` add a hook for the room, and return what it tells."""
    told = subprocess.check_output(
        [sys.executable, "-c", ADMIN, "hook", "add", command[0], "--room", ROOM, *command[1:]],
        cwd=daemon.folder,
        text=True,
    )
    return dict(re.findall(r"^(\w+): (\S+)$", told, re.MULTILINE))


def ask(url: str, body: object = None, token: str | None = None) -> bytes:
    """Return what *url* answers, when *body* is posted there if there is one."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=PATIENT) as answer:
        found: bytes = answer.read()
        return found


def is_known(hook: str) -> bool:
    """Return whether the daemon has noticed that there is this *hook*, and those before it."""
    try:
        ask(hook, {})
    except urllib.error.HTTPError as error:
        assert error.code in (400, 404), error
        return error.code == 400
    raise AssertionError("nothing was said, and was taken")


def has(person: Program, count: int) -> bool:
    """Return whether *person* has heard so many messages."""
    return len(person.said("talk")) >= count


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_one_at_each_door(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, stack: ExitStack, port: int
) -> None:
    node = program("node", "install Node.js 20 or later")
    folder = installed("raw", tmp_path_factory) / "doors"
    daemon = Daemon(tmp_path, "--irc", f"tcp:{port}:interface=127.0.0.1")
    stack.enter_context(daemon)
    url, posted = stack.enter_context(receiver())
    admin(daemon, "outgoing", "--url", url, "--allow-private")
    incoming = f"{daemon.url}{admin(daemon, 'incoming', '--name', 'hook')['path'][1:]}"
    until(partial(is_known, incoming), "that both hooks are noticed")
    people: dict[str, Program] = {}
    for name in CLIENTS:
        address = f"http://127.0.0.1:{port if name == 'irc' else daemon.port}"
        command = (node, folder / f"{name}.mjs", address, ROOM, name)
        people[name] = stack.enter_context(Program(*command))
    for person in people.values():
        person.get("init")
    token = json.loads(ask(f"{daemon.url}users", {"name": "rest"}))["token"]
    messages = f"{daemon.url}rooms/{ROOM}/messages"

    # Of all the doors at once; nobody waits for anybody else.
    for i in range(EACH):
        for name, person in people.items():
            person.tell(f"{name} {i} 你好")
        ask(messages, {"message": f"rest {i} 你好"}, token)
        assert ask(incoming, {"text": f"hook {i} 你好"}) == b"ok"

    count = EACH * (len(people) + 2)
    for person in people.values():
        person.until(partial(has, person, count), f"{count} messages")
    until(lambda: len(posted) >= count, f"{count} posts")
    page = json.loads(ask(f"{messages}?after=0&limit={count + 1}"))["messages"]
    expected = [(each["id"], each["message"], each["from"]["name"]) for each in page]
    assert [id for id, _, _ in expected] == list(range(1, count + 1))
    for name in (*people, "rest", "hook"):
        own = [text for _, text, sender in expected if sender == name]
        assert own == [f"{name} {i} 你好" for i in range(EACH)]

    def heard(data: dict[str, Any]) -> tuple[int, str, str]:
        return data["id"], data["message"], data["from"]

    for person in people.values():
        assert list(map(heard, person.said("talk"))) == expected, person.command
    assert [
        (told["data"]["id"], told["data"]["message"], told["data"]["from"]["name"])
        for told in posted
    ] == expected
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.output
