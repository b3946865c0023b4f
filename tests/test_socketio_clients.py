"""Clients of Socket.IO as they come from npm and PyPI, with the real daemon."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.doors.packages import installed
from tests.doors.program import Program
from tests.parts import missing
from tests.parts import program as executable

pytestmark = pytest.mark.long

CLIENTS = Path(__file__).with_name("clients") / "socketio"
POLLING, WEBSOCKET = ["polling"], ["websocket"]
UPGRADE = [*POLLING, *WEBSOCKET]


class Client(Program):
    """A client that prints JSON: `emit` something, and `wait` for it."""

    def emit(self, *values: Any) -> None:
        """Have it emit *values*, and print the answer if the last one is "ack"."""
        self.tell(json.dumps(values))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    @property
    def printed(self) -> list[dict[str, Any]]:
        """All that it has printed as JSON."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def wait(self, member: str, count: int = 1) -> Any:
        """Wait for the *count*-th line with *member*, and return that line."""

        def found() -> dict[str, Any] | None:
            those = [said for said in self.printed if member in said]
            return those[count - 1] if len(those) >= count else None

        return self.until(found, f"{count} × {member}")

    def hear(self, event: str, count: int = 1) -> Any:
        """Wait for the *count*-th *event*, and return its data."""
        return self.until(lambda: self.said(event)[count - 1 :], f"{count} × {event}")[0]


Start = Callable[..., Client]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running
        assert "Traceback" not in running.output


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return what starts a client: the name of its program, an address, and options."""
    started: list[Client] = []

    def begin(name: str, address: str, **options: Any) -> Client:
        if name.endswith(".py"):
            if find_spec("socketio") is None:
                missing("python-socketio is not here: pip install 'python-socketio[client]'")
            command = [sys.executable, str(CLIENTS / name)]
        else:
            node = executable("node", "install Node.js 20 or later")
            command = [node, str(installed("socketio", tmp_path_factory) / name)]
        started.append(client := Client(*command, address, json.dumps(options)))
        return client

    yield begin
    for client in started:
        client.kill()


def wished(program: str, /, **wishes: Any) -> dict[str, Any]:
    """Return options by which a client of *program* says what it wishes."""
    return {"query" if program == "v2.mjs" else "auth": wishes}


def pass_on(ann: Client, bob: Client) -> None:
    """Have them enter the other namespace as well, and send each other binary data."""
    for client in (ann, bob):
        client.tell("/broadcast")
        client.wait("in")
    piece = {"bytes": [0, 1, 2, 253, 254, 255]}
    data = {"picture": piece, "more": [piece, "é"]}
    ann.emit("/broadcast", "serverMsg", data, piece, "ack")
    assert bob.wait("in", 2) == {
        "event": "clientMsg",
        "data": data,
        "more": [piece],
        "in": "/broadcast",
    }
    assert ann.wait("ack", 4)["ack"] == []
    bob.emit("/broadcast", "serverMsg", "thanks")
    assert ann.hear("clientMsg") == "thanks"


@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, UPGRADE], ids="+".join)
@pytest.mark.parametrize("name", ["v4.mjs", "v2.mjs"])
def test_two_talk(daemon: Daemon, start: Start, name: str, transports: list[str]) -> None:
    room = f"{name}-{'-'.join(transports)}"
    ann = start(name, daemon.url, transports=transports, **wished(name, room=room, name=room))
    init = ann.hear("init")
    assert (init["room"], init["self"]["name"]) == (room, room)
    # Old and new ones are in the same room.
    other = "v2.mjs" if name == "v4.mjs" else "v4.mjs"
    bob = start(other, daemon.url, transports=transports, **wished(other, room=room))
    bob.hear("init")
    assert ann.hear("join")["id"] == bob.hear("init")["self"]["id"]
    if transports == UPGRADE:
        ann.line("upgraded")
    ann.tell("transport")
    ann.line(f"transport {transports[-1]}")
    ann.emit("talk", {"message": "Grüße 👋 </script>", "room": room, "nonce": "1"}, "ack")
    (stored,) = ann.wait("ack")["ack"]
    assert stored["message"] == "Grüße 👋 </script>"
    assert bob.hear("talk") == ann.hear("talk") == stored
    # The same again is answered, and not said.
    ann.emit("talk", {"message": "Grüße 👋 </script>", "room": room, "nonce": "1"}, "ack")
    assert ann.wait("ack", 2)["ack"] == [stored]
    ann.emit("talk", {"message": " ", "room": room}, "ack")
    assert ann.wait("ack", 3)["ack"][0]["code"] == "empty"
    # An event called `error` does no harm to either, and does come.
    ann.emit("talk", {"message": " ", "room": room})
    assert ann.hear("error")["code"] == "empty"
    bob.emit("talk", {"message": "x" * 4000, "room": room})
    assert len(ann.hear("talk", 2)["message"]) == 4000
    pass_on(ann, bob)
    bob.tell("close")
    assert bob.wait("disconnect")["disconnect"] == "io client disconnect"
    assert ann.hear("exit")["id"] == bob.hear("init")["self"]["id"]


def test_what_cannot_be_entered(daemon: Daemon, start: Start) -> None:
    new = start("v4.mjs", daemon.url, auth={"room": "a b"})
    refused = new.wait("refused")
    assert refused["data"]["code"] == "bad_room"
    assert refused["data"]["message"] == refused["refused"]
    old = start("v2.mjs", daemon.url, query={"room": "a b"})
    assert old.hear("error")["code"] == "bad_room"
    new.tell("/nowhere")
    assert new.wait("refused", 2) == {"refused": "Invalid namespace", "in": "/nowhere"}
    old.tell("/nowhere")
    assert old.hear("error", 2) == "Invalid namespace"


def recovered(client: Client, count: int) -> bool:
    """Wait until *client* has connected for the *count*-th time, and return whether it recovered."""
    return bool(client.wait("recovered", count)["recovered"])


def test_recovery(daemon: Daemon, start: Start) -> None:
    ann = start("v4.mjs", daemon.url, transports=WEBSOCKET, auth={"room": "lost", "name": "Ann"})
    ann.hear("init")
    bob = start("v4.mjs", daemon.url, transports=WEBSOCKET, auth={"room": "lost", "name": "Bob"})
    bob.hear("init")
    sid = ann.wait("connect")["connect"]
    said = 0

    def talk() -> None:
        nonlocal said
        said += 1
        bob.emit("talk", {"message": f"{said}", "room": "lost"}, "ack")
        bob.wait("ack", said)

    # With no message seen.
    ann.tell("cut")
    ann.wait("disconnect")
    talk()
    talk()
    assert recovered(ann, 2)
    ann.hear("users")
    talk()
    ann.hear("talk", 3)
    # A second time, and a third with nothing in between.
    for time in (2, 3):
        ann.tell("cut")
        ann.wait("disconnect", time)
        assert recovered(ann, time + 1)
        ann.hear("users", time)
    talk()
    ann.hear("talk", 4)
    # The server is killed, and starts again.
    daemon.kill()
    ann.wait("disconnect", 4)
    daemon.start()
    assert recovered(ann, 5)
    assert recovered(bob, 2)
    talk()
    ann.hear("talk", 5)
    assert [data["message"] for data in ann.said("talk")] == ["1", "2", "3", "4", "5"]
    assert [data["message"] for data in bob.said("talk")] == ["1", "2", "3", "4", "5"]
    assert len(ann.said("init")) == len(bob.said("init")) == 1
    assert {line["connect"] for line in ann.printed if "connect" in line} == {sid}
    assert ann.said("users")[-1]["count"] <= 2


def test_a_client_that_polls_recovers_from_a_restart(daemon: Daemon, start: Start) -> None:
    ann = start("v4.mjs", daemon.url, transports=POLLING, auth={"room": "polls", "name": "Ann"})
    ann.emit("talk", {"message": "1", "room": "polls"}, "ack")
    ann.wait("ack")
    ann.hear("talk")
    daemon.stop()
    ann.wait("disconnect")
    daemon.start()
    assert recovered(ann, 2)
    ann.emit("talk", {"message": "2", "room": "polls"}, "ack")
    ann.hear("talk", 2)
    assert [data["message"] for data in ann.said("talk")] == ["1", "2"]


def test_python_that_polls_keeps_up_and_comes_back(daemon: Daemon, start: Start) -> None:
    ann = start("python_socketio.py", daemon.url, transports=POLLING, auth={"room": "slow"})
    ann.hear("init")
    others = [start("v4.mjs", daemon.url, auth={"room": "slow"}) for _ in range(2)]
    for other in others:
        other.hear("init")
    # All this waits for it: more than it takes in one answer.
    ann.signal(signal.SIGSTOP)
    for other in others:
        for number in range(20):
            other.emit("talk", {"message": f"{number}", "room": "slow"}, "ack")
    for other in others:
        other.wait("ack", 20)
    ann.signal(signal.SIGCONT)
    ann.hear("talk", 40)
    # Each is told by a thread of its own.
    assert sorted(data["id"] for data in ann.said("talk")) == list(range(1, 41))
    assert len(ann.said("init")) == 1
    daemon.stop()
    assert ann.wait("disconnect")["disconnect"] == "transport error"
    daemon.start()
    assert len(ann.hear("init", 2)["messages"]) == 40


def test_what_is_said_again_is_said_once(daemon: Daemon, start: Start) -> None:
    ann = start(
        "v4.mjs",
        daemon.url,
        transports=WEBSOCKET,
        auth={"room": "once", "name": "Once"},
        retries=20,
        ackTimeout=1000,
    )
    ann.hear("init")
    for number in range(1, 6):
        ann.emit("talk", {"message": f"{number}", "room": "once", "nonce": f"{number}"}, "ack")
        # Perhaps before it is heard, perhaps after.
        ann.tell("cut")
        error, stored = ann.wait("ack", number)["ack"]
        assert (error, stored["id"]) == (None, number)
        assert recovered(ann, number + 1)
    ann.hear("talk", 5)
    assert [data["id"] for data in ann.said("talk")] == [1, 2, 3, 4, 5]


def test_in_two_rooms_nobody_recovers(daemon: Daemon, start: Start) -> None:
    ann = start("v4.mjs", daemon.url, transports=WEBSOCKET, auth={"room": "here", "name": "Ann"})
    me = ann.hear("init")["self"]
    ann.emit("join", {"room": "there"}, "ack")
    ann.hear("init", 2)
    ann.tell("cut")
    assert not recovered(ann, 2)
    init = ann.hear("init", 3)
    assert (init["room"], init["resumed"]) == ("here", False)
    assert init["self"] == me


def test_an_old_client_comes_back(daemon: Daemon, start: Start) -> None:
    ann = start("v2.mjs", daemon.url, transports=UPGRADE, query={"room": "old", "name": "Ann"})
    ann.hear("init")
    ann.line("upgraded")
    ann.tell("cut")
    ann.wait("disconnect")
    ann.wait("connect", 2)
    assert ann.hear("init", 2)["room"] == "old"


@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, UPGRADE], ids="+".join)
def test_python(daemon: Daemon, start: Start, transports: list[str]) -> None:
    room = f"python-{'-'.join(transports)}"
    ann = start(
        "python_socketio.py",
        daemon.url,
        transports=transports,
        auth={"room": room, "name": f"Ann {transports}"},
    )
    ann.wait("connect")
    assert ann.hear("init")["room"] == room
    ann.tell("transport")
    ann.line(f"transport {transports[-1]}")
    ann.emit("talk", {"message": "hello", "room": room}, "ack")
    assert ann.wait("ack")["ack"] == [ann.hear("talk")]
    ann.emit("talk", {"message": " ", "room": room})
    assert ann.hear("error")["code"] == "empty"
    other = start("v4.mjs", daemon.url, auth={"room": room})
    assert other.hear("init")["messages"] == ann.said("talk")
    ann.tell("close")
    assert other.hear("exit")["id"] == ann.hear("init")["self"]["id"]
    assert ann.end() == 0
