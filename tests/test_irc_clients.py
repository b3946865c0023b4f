"""A client of IRC as it comes from npm, with the real daemon, by TCP and by WebSocket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.daemon import PATIENT, Daemon
from tests.doors.packages import installed
from tests.doors.program import Program
from tests.parts import program
from tests.ports import port_of

pytestmark = pytest.mark.long


class IrcDaemon(Daemon):
    """The daemon, with a port for IRC as well."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.irc = port_of(self)
        super().__init__(folder, "--irc", f"tcp:{self.irc}:interface=127.0.0.1", *options)


class Framework(Program):
    """The client: `do` what it can, and wait for what it tells."""

    def do(self, method: str, *parameters: Any) -> None:
        """Have it call its *method*."""
        self.tell(json.dumps([method, *parameters]))


Start = Callable[..., Framework]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IrcDaemon]:
    with IrcDaemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running
        assert "Traceback" not in running.output


@pytest.fixture(params=["tcp", "websocket"])
def start(
    request: pytest.FixtureRequest, daemon: IrcDaemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Return what starts a client called so, with further options."""
    started: list[Framework] = []

    def begin(nick: str, **options: Any) -> Framework:
        node = program("node", "install Node.js 20 or later")
        folder = installed("irc", tmp_path_factory)
        port = daemon.irc if request.param == "tcp" else daemon.port
        wishes = {"host": "127.0.0.1", "port": port, "nick": nick} | options
        if request.param == "websocket":
            wishes["path"] = "/irc"
        client = Framework(node, folder / "framework.mjs", json.dumps(wishes))
        started.append(client)
        return client

    yield begin
    for client in started:
        client.kill()


def page(daemon: Daemon, name: str, room: str) -> ClientConnection:
    """Return a connection as the page has it."""
    return connect(f"{daemon.ws}?name={name}&room={room}", open_timeout=PATIENT)


def hear(page: ClientConnection, event: str) -> dict[str, Any]:
    """Return the next *event* that comes to the *page*."""
    while True:
        said = json.loads(page.recv(PATIENT))
        if said["event"] == event:
            data: dict[str, Any] = said["data"]
            return data


def say(page: ClientConnection, event: str, **data: Any) -> None:
    page.send(json.dumps({"event": event, "data": data}))


def test_a_room(daemon: IrcDaemon, start: Start, request: pytest.FixtureRequest) -> None:
    room = f"tea-{request.node.callspec.id}"
    with page(daemon, f"Ada%20L.%20{room}"[:32], room) as web:
        hear(web, "init")
        say(web, "topic", room=room, topic="Green: and black")
        bob = start(f"bob-{room}")
        bob.get("registered", nick=f"bob-{room}")
        bob.do("join", f"#{room}")
        bob.get("join", nick=f"bob-{room}", channel=f"#{room}")
        bob.get("topic", channel=f"#{room}", topic="Green: and black")
        nicks = [user["nick"] for user in bob.get("userlist")["users"]]
        ada = f"Ada\uff3fL\uff0e\uff3f{room}"[:32]
        assert sorted(nicks) == sorted([ada, f"bob-{room}"])
        assert hear(web, "join")["name"] == f"bob-{room}"

        bob.do("say", f"#{room}", "hello ☕")
        talk = hear(web, "talk")
        assert talk["message"] == "hello ☕"
        echo = bob.get("message", nick=f"bob-{room}", message="hello ☕", type="privmsg")
        assert echo["tags"]["msgid"].split("-")[1] == str(talk["id"])
        assert echo["tags"]["time"] == talk["time"]

        say(web, "talk", room=room, message="a :b\r\nQUIT :c", reply=talk["id"])
        first = bob.get("message", nick=ada, message="a :b")
        assert first["tags"]["+draft/reply"] == echo["tags"]["msgid"]
        bob.get("message", nick=ada, message="QUIT :c")

        say(web, "react", room=room, of=talk["id"], emoji="👍")
        react = bob.get("tagmsg", nick=ada)
        assert react["tags"]["+draft/react"] == "👍"
        id = first["tags"]["msgid"]
        bob.do("tagmsg", f"#{room}", {"+draft/reply": id, "+draft/react": "🍵"})
        assert hear(web, "react")["emoji"] == "👍"
        assert hear(web, "react")["emoji"] == "🍵"

        bob.do("action", f"#{room}", "waves")
        assert hear(web, "talk")["message"] == "/me waves"
        bob.get("message", type="action", message="waves")

        bob.do("changeNick", f"bobby-{room}")
        bob.get("nick", nick=f"bob-{room}", new_nick=f"bobby-{room}")
        assert hear(web, "rename")["name"] == f"bobby-{room}"
        bob.do("whois", ada)
        bob.get("whois", nick=ada, real_name=f"Ada L. {room}"[:32])

        bob.do("raw", "CHATHISTORY", "LATEST", f"#{room}", "*", "10")
        past = bob.get("batch end chathistory")
        texts = [line["params"][1] for line in past["commands"] if line["command"] == "PRIVMSG"]
        assert texts == ["hello ☕", "a :b", "QUIT :c", "\x01ACTION waves\x01"]

        bob.do("part", f"#{room}", "so long")
        bob.get("part", channel=f"#{room}", nick=f"bobby-{room}")
        assert hear(web, "exit")["name"] == f"bobby-{room}"
        bob.do("quit", "bye")
        bob.get("close")


def test_two_users_and_who_comes_back(
    daemon: IrcDaemon, start: Start, request: pytest.FixtureRequest
) -> None:
    mark = request.node.callspec.id
    ada, bob = start(f"ada-{mark}"), start(f"bob-{mark}")
    ada.get("registered")
    bob.get("registered")
    ada.do("say", f"bob-{mark}", "psst")
    bob.get("message", nick=f"ada-{mark}", target=f"bob-{mark}", message="psst", type="privmsg")
    ada.get("message", nick=f"ada-{mark}", target=f"bob-{mark}", message="psst")
    bob.do("notice", f"ada-{mark}", "yes?")
    ada.get("message", nick=f"bob-{mark}", message="yes?", type="notice")

    taken = start(f"ada-{mark}")
    taken.get("nick in use")
    taken.kill()

    def token() -> list[str]:
        said = [data["message"] for data in ada.said("message") if "SASL" in data["message"]]
        return [text.rpartition(" ")[2] for text in said]

    password = ada.until(token, "a token")[0]
    ada.do("quit")
    ada.get("close")
    again = start("another", account={"account": f"ada-{mark}", "password": password})
    again.get("loggedin", account=f"ada-{mark}")
    again.get("registered", nick=f"ada-{mark}")
    bob.do("say", f"ada-{mark}", "welcome back")
    again.get("message", nick=f"bob-{mark}", message="welcome back")
    wrong = start(f"eve-{mark}", account={"account": f"ada-{mark}", "password": "x"})
    wrong.get("sasl failed", reason="fail")


def test_the_daemon_stops_in_order(tmp_path: Path) -> None:
    with IrcDaemon(tmp_path / "daemon") as daemon:
        with socket.create_connection(("127.0.0.1", daemon.irc), PATIENT) as peer:
            stream = peer.makefile("rwb")
            stream.write("NICK Ada\r\nUSER a 0 * :x\r\nJOIN #tea\r\nPRIVMSG #tea :ö\r\n".encode())
            stream.flush()
            while b" 366 " not in stream.readline():
                pass
            stream.write(b"PING done\r\n")
            stream.flush()
            while b" PONG " not in stream.readline():
                pass
            assert daemon.stop() == 0
            words = b"the server is stopping; come back soon"
            assert stream.readline() == b"ERROR :Closing link: %b\r\n" % words
            assert stream.read() == b""
        daemon.start()
        with page(daemon, "Grace", "tea") as web:
            assert [said["message"] for said in hear(web, "init")["messages"]] == ["ö"]
        assert "Traceback" not in daemon.output
