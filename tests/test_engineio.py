"""Engine.IO by polling, byte by byte, through the whole site."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import LogLevel, capturedLogs

from chatroom.answers import Origins, Places
from chatroom.engineio import EngineDoor, Socket
from chatroom.engineio import polling as limits
from chatroom.engineio.codec import PACKETS, joined, payloads3, payloads3_binary, payloads4
from chatroom.engineio.door import PAYLOAD
from chatroom.engineio.polling import AT_ONCE, FULL, LINGER, Polling
from chatroom.events import Close, Shared
from chatroom.site import PACE
from tests.rig import Peer, RoomCase

INTERVAL, TIMEOUT = 25.0, 20.0
PAGE = "https://pages.example"
UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD = {"code": 3, "message": "Bad request"}


class Recorder:
    """An application that keeps what it is told, and does what a test has it do."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.told: list[tuple[Any, ...]] = []
        self.at_once: list[str | bytes] = []
        self.echo = False
        self.faulty = ""
        self.headers: dict[str, str] = {}
        self._busy = 0

    def opened(self, socket: Socket) -> None:
        self.sockets.append(socket)
        self.headers = socket.headers
        self._note("opened")
        if "unwanted" in socket.query:
            socket.close(Close.POLICY, "not here")
        if self.at_once:
            socket.send(*self.at_once)

    def received(self, socket: Socket, message: str | bytes) -> None:
        self._note("received", message)
        self._busy += 1
        if message == "close me":
            socket.close(Close.POLICY, "as you wish")
        elif self.echo:
            socket.send(message)
        self._busy -= 1

    def paused(self, socket: Socket) -> None:
        self._note("paused")

    def resumed(self, socket: Socket) -> None:
        self._note("resumed")

    def closed(self, socket: Socket, clean: bool) -> None:
        assert not self._busy
        self._note("closed", clean)

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        if self.faulty == what[0]:
            raise RuntimeError(f"a fault in {what[0]}")

    @property
    def messages(self) -> list[str | bytes]:
        """What was received."""
        return [what[1] for what in self.told if what[0] == "received"]

    @property
    def ends(self) -> list[bool]:
        """Of each socket that has ended, whether it was clean."""
        return [what[1] for what in self.told if what[0] == "closed"]


class EngineCase(RoomCase):
    """A test that has a door at ``/engine.io/``."""

    transports: tuple[str, ...] = ("polling", "websocket")

    def setUp(self) -> None:
        super().setUp()
        self.app = Recorder()
        self.places = Places(self.connections, self.per_address)
        self.door = EngineDoor(
            self.app,
            self.clock,
            Origins(self.origins),
            self.places,
            ping_interval=INTERVAL,
            ping_timeout=TIMEOUT,
            transports=self.transports,
        )
        self.site.resource.putChild(b"engine.io", self.door)

    def ask(
        self,
        query: str,
        body: bytes | None = None,
        *,
        method: str = "",
        path: str = "/engine.io/",
        **headers: str,
    ) -> Peer:
        """Return a peer that has asked, with its own connection, and perhaps had its answer."""
        peer = self.dial()
        lines = {"Host": "chat.example:8080"}
        if body is not None:
            lines |= {"Content-Length": str(len(body)), "Content-Type": "text/plain;charset=UTF-8"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        method = method or ("GET" if body is None else "POST")
        peer.transport.write(f"{method} {path}?{query} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        peer.transport.write(body or b"")
        self.settle()
        return peer

    def begin(self, version: int = 4, more: str = "") -> str:
        """Begin a session by polling, and return what further requests of it ask with."""
        answer = self.ask(f"EIO={version}&transport=polling{more}")
        assert answer.status == 200, answer.body
        text = answer.body.decode()
        told = json.loads(text[text.index("{") :])
        return f"EIO={version}&transport=polling{more}&sid={told['sid']}"

    @property
    def socket(self) -> Socket:
        """The newest one."""
        return self.app.sockets[-1]


def error(peer: Peer) -> Any:
    assert peer.header("Content-Type") == "application/json"
    return json.loads(peer.body)


class Handshake(EngineCase):
    def test_open_packet_of_version_4(self) -> None:
        answer = self.ask("EIO=4&transport=polling&t=abc")
        assert answer.status == 200
        assert answer.header("Content-Type") == "text/plain; charset=UTF-8"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.body[:1] == b"0"
        told = json.loads(answer.body[1:])
        assert told == {
            "sid": self.socket.id,
            "upgrades": ["websocket"],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": 65_536,
        }
        assert len(told["sid"]) == 20
        assert self.socket.version == 4
        assert self.app.told == [("opened",)]

    def test_open_packet_of_version_3(self) -> None:
        answer = self.ask("EIO=3&transport=polling")
        length, _, packet = answer.body.decode().partition(":")
        assert int(length) == len(packet)
        assert packet[0] == "0"
        assert json.loads(packet[1:]) == {
            "sid": self.socket.id,
            "upgrades": ["websocket"],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
        }
        assert self.socket.version == 3

    def test_application_learns_with_what_somebody_came(self) -> None:
        self.begin(4, "&room=hall%20a&room=b;c")
        assert self.socket.query["room"] == ["hall a", "b;c"]
        assert self.app.headers["host"] == "chat.example:8080"
        assert self.socket.headers == {}
        assert self.socket.address == "192.0.2.1"

    def test_nobody_has_the_id_of_another(self) -> None:
        assert self.begin() != self.begin()

    def test_what_is_sent_at_once_comes_with_the_next_answer(self) -> None:
        self.app.at_once = ["hello", b"\1"]
        assert self.ask(self.begin()).body == b"4hello\x1ebAQ=="

    def test_what_is_wrong_with_a_request(self) -> None:
        known = self.begin()
        other = known.replace("EIO=4", "EIO=3")
        sid = known.partition("&sid=")[2]
        for query, method, code, words in [
            ("EIO=4", "GET", 0, "Transport unknown"),
            ("EIO=4&transport=abc", "GET", 0, "Transport unknown"),
            ("EIO=4&transport=polling&sid=abc", "GET", 1, "Session ID unknown"),
            ("EIO=4&transport=polling&sid=abc", "POST", 1, "Session ID unknown"),
            ("EIO=4&transport=polling", "POST", 2, "Bad handshake method"),
            ("EIO=4&transport=polling", "PUT", 2, "Bad handshake method"),
            ("EIO=4&transport=websocket", "GET", 3, "Bad request"),
            (f"EIO=4&transport=websocket&sid={sid}", "GET", 3, "Bad request"),
            (other, "GET", 3, "Bad request"),
            (known, "PUT", 3, "Bad request"),
            (known, "DELETE", 3, "Bad request"),
            ("transport=polling", "GET", 5, "Unsupported protocol version"),
            ("EIO=2&transport=polling", "GET", 5, "Unsupported protocol version"),
            ("EIO=%D9%A4&transport=polling", "GET", 5, "Unsupported protocol version"),
        ]:
            answer = self.ask(query, method=method, Content_Length="0")
            assert answer.status == 400, query
            assert error(answer) == {"code": code, "message": words}
        assert len(self.app.sockets) == 1
        assert not self.socket.over

    def test_head_has_no_body(self) -> None:
        answer = self.ask("EIO=4&transport=polling", method="HEAD")
        assert (answer.status, answer.body) == (400, b"")

    def test_there_is_nothing_else(self) -> None:
        answer = self.ask("EIO=4&transport=polling", path="/engine.io/engine.io.js")
        assert answer.status == 404
        assert self.ask("EIO=4&transport=polling", path="/engine.io").status == 200


class OnlyPolling(EngineCase):
    transports = ("polling",)

    def test_there_is_nothing_to_change_to(self) -> None:
        answer = self.ask("EIO=4&transport=polling")
        assert json.loads(answer.body[1:])["upgrades"] == []
        answer = self.ask("EIO=4&transport=websocket")
        assert error(answer) == {"code": 0, "message": "Transport unknown"}


class OnlyWebSockets(EngineCase):
    transports = ("websocket",)

    def test_nobody_polls(self) -> None:
        answer = self.ask("EIO=4&transport=polling")
        assert error(answer) == {"code": 0, "message": "Transport unknown"}


class Strangers(EngineCase):
    origins = (PAGE,)

    def test_page_of_a_listed_site_has_all_answers(self) -> None:
        for query in ("EIO=4&transport=polling", "EIO=4&transport=abc"):
            answer = self.ask(query, Origin=PAGE)
            assert answer.header("Access-Control-Allow-Origin") == PAGE
            assert answer.header("Access-Control-Allow-Credentials") == "true"
            assert answer.header("Vary") == "Origin"
        preflight = self.ask("EIO=4&transport=polling", method="OPTIONS", Origin=PAGE)
        assert preflight.status == 204
        assert preflight.header("Access-Control-Allow-Credentials") == "true"
        assert preflight.header("Access-Control-Allow-Methods") == "GET, POST"
        assert preflight.header("Access-Control-Allow-Headers") == "Authorization, Content-Type"
        asked = "authorization,my-custom-header"
        preflight = self.ask(
            "EIO=4&transport=polling",
            method="OPTIONS",
            Origin=PAGE,
            Access_Control_Request_Headers=asked,
        )
        assert preflight.header("Access-Control-Allow-Headers") == asked
        assert len(self.app.sockets) == 1

    def test_page_of_another_site_has_none_and_does_nothing(self) -> None:
        there = "https://elsewhere.example"
        known = self.begin()
        for query, body in [("EIO=4&transport=polling", None), (known, None), (known, b"4hello")]:
            answer = self.ask(query, body, Origin=there)
            assert answer.status == 403
            assert error(answer)["code"] == 4
            assert answer.header("Access-Control-Allow-Origin") is None
        assert self.ask(known, method="OPTIONS", Origin=there).status == 403
        assert self.app.told == [("opened",)]
        self.app.sockets[0].send("still here")
        assert self.ask(known).body == b"4still here"


class Full(EngineCase):
    connections = 2

    def test_there_are_so_many_places(self) -> None:
        first = self.begin()
        self.begin()
        answer = self.ask("EIO=4&transport=polling")
        assert answer.status == 503
        assert answer.header("Retry-After") == "30"
        assert error(answer) == {"code": 4, "message": "the room is full"}
        self.ask(first, b"1")
        self.begin()


class FullOfOne(EngineCase):
    per_address = 1

    def test_one_address_has_so_many_places(self) -> None:
        self.begin()
        answer = self.ask("EIO=4&transport=polling")
        assert answer.status == 429
        assert error(answer)["code"] == 4
        self.settle(INTERVAL + TIMEOUT + 1)
        self.begin()


class Messages(EngineCase):
    def test_both_ways(self) -> None:
        query = self.begin()
        answer = self.ask(query, "4hello\x1ebAQIDBA==\x1e4€".encode())
        assert (answer.status, answer.body) == (200, b"ok")
        assert self.app.messages == ["hello", b"\1\2\3\4", "€"]
        self.socket.send("one", b"\2", "zwölf")
        answer = self.ask(query)
        assert answer.body == "4one\x1ebAg==\x1e4zwölf".encode()
        assert answer.header("Content-Length") == str(len(answer.body))

    def test_both_ways_in_version_3(self) -> None:
        query = self.begin(3)
        assert self.ask(query, b"6:4hello10:b4AQIDBA==").body == b"ok"
        binary = b"\0\2\xff4x" + b"\1\3\xff\4\0\xff"
        kind = "application/octet-stream"
        assert self.ask(query, binary, Content_Type=kind).body == b"ok"
        assert self.app.messages == ["hello", b"\1\2\3\4", "x", b"\0\xff"]
        # What is binary and what is not does not go in one answer: its type is of the whole.
        self.socket.send("before")
        self.socket.send("with", b"\1")
        self.socket.send("behind")
        answer = self.ask(query)
        assert answer.body == b"7:4before"
        assert answer.header("Content-Type") == "text/plain; charset=UTF-8"
        answer = self.ask(query)
        assert answer.body == b"\0\5\xff4with\1\2\xff\4\1"
        assert answer.header("Content-Type") == "application/octet-stream"
        assert self.ask(query).body == b"7:4behind"

    def test_who_cannot_have_binary_gets_base64(self) -> None:
        query = self.begin(3, "&b64=1")
        self.socket.send("with")
        self.socket.send(b"\1")
        assert self.ask(query).body == b"5:4with6:b4AQ=="

    def test_request_waits_until_there_is_something(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        self.settle(10)
        assert waiting.head == b""
        self.socket.send("one")
        self.socket.send("two")
        self.settle()
        # What is sent at once goes at once.
        assert waiting.body == b"4one\x1e4two"
        assert self.ask(query).head == b""

    def test_order_is_kept_over_many_requests(self) -> None:
        query, found = self.begin(), list[bytes]()
        for i in range(100):
            self.socket.send(str(i))
            if i % 7 == 0:
                found += self.ask(query).body.split(b"\x1e")
        found += self.ask(query).body.split(b"\x1e")
        assert found == [b"4%d" % i for i in range(100)]

    def test_an_answer_has_no_more_packets_than_clients_take(self) -> None:
        # Of a batch, of several, and with an end behind.
        for version, made in ((4, payloads4), (3, payloads3_binary), (3, payloads3)):
            query = self.begin(version, "&b64=1" if made is payloads3 else "")
            numbers = [str(number) for number in range(PACKETS + 5)]
            self.socket.send(*numbers)
            self.socket.send()
            self.socket.send(*numbers[:PACKETS])
            self.socket.send(b"\0")
            self.socket.send("last")
            polling = self.socket.transport
            assert isinstance(polling, Polling)
            sent = made(numbers) + made(numbers[:PACKETS]) + made([b"\0"]) + made(["last"])
            assert polling.size == sum(map(len, sent))
            self.socket.close(Close.POLICY, "enough")
            found = list[bytes]()
            while (answer := self.ask(query)).status == 200:
                _, count = joined(version, sent[len(found) :][:PACKETS])
                found += sent[len(found) :][:count]
                assert answer.body == joined(version, found[-count:])[0]
                assert polling.size == sum(map(len, sent[len(found) :]))
            assert found == sent
            assert error(answer) == UNKNOWN

    def test_post_waits_until_the_last_part_is_fetched(self) -> None:
        query = self.begin()
        large = "x" * (FULL // PACKETS)
        self.socket.send(*[large] * (2 * PACKETS))
        held = self.ask(query, b"4hello")
        assert self.ask(query).body.count(b"x" * len(large)) == PACKETS
        assert held.head == b""
        self.ask(query)
        assert held.body == b"ok"
        assert self.app.told[-1] == ("resumed",)

    def test_what_many_get_is_made_once_for_each_kind(self) -> None:
        asked = []

        def encode(content: str) -> list[str]:
            asked.append(content)
            return [content]

        queries = [self.begin(version) for version in (4, 4, 4, 3, 3)]
        shared = Shared("hello")
        for socket in self.app.sockets:
            socket.write(shared, encode)
        bodies = [self.ask(query).body for query in queries]
        assert bodies == [b"4hello"] * 3 + [b"6:4hello"] * 2
        assert len(asked) == 2

    def test_noop_says_nothing(self) -> None:
        query = self.begin()
        assert self.ask(query, b"6\x1e4hello\x1e6").body == b"ok"
        assert self.app.messages == ["hello"]


class Heartbeat(EngineCase):
    def test_client_of_version_4_is_asked_and_answers(self) -> None:
        query = self.begin()
        for _ in range(5):
            waiting = self.ask(query)
            self.settle(INTERVAL - 1)
            assert waiting.head == b""
            self.settle(1)
            assert waiting.body == b"2"
            assert self.ask(query, b"3").body == b"ok"
        assert self.app.ends == []

    def test_client_of_version_4_that_does_not_answer_is_let_go(self) -> None:
        query = self.begin()
        assert self.ask(query).head == b""
        self.settle(INTERVAL)
        waiting = self.ask(query)
        self.settle(TIMEOUT - 0.5)
        assert waiting.head == b""
        self.settle(0.5)
        assert error(waiting) == UNKNOWN
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN

    def test_client_that_is_never_there_again_is_let_go(self) -> None:
        for version in (3, 4):
            query = self.begin(version)
            self.settle(INTERVAL + TIMEOUT)
            assert self.socket.over
            assert error(self.ask(query)) == UNKNOWN
            assert error(self.ask(query, b"3")) == UNKNOWN
        assert self.app.ends == [False, False]

    def test_client_of_version_3_asks_and_is_answered(self) -> None:
        query = self.begin(3)
        for _ in range(5):
            waiting = self.ask(query)
            self.settle(INTERVAL)
            assert waiting.head == b""
            assert self.ask(query, b"6:2hello").body == b"ok"
            assert waiting.body == b"6:3hello"
        waiting = self.ask(query)
        self.settle(INTERVAL + TIMEOUT)
        assert error(waiting) == UNKNOWN
        assert self.app.ends == [False]

    def test_whatever_comes_is_a_sign_of_life(self) -> None:
        for version, message in ((4, b"4hello"), (3, b"6:4hello")):
            query = self.begin(version)
            for _ in range(4):
                self.settle(INTERVAL + TIMEOUT - 1)
                assert self.ask(query, message).body == b"ok"

    def test_nobody_asks_in_the_wrong_direction(self) -> None:
        for version, wrong in ((4, b"2"), (3, b"1:3"), (4, b"0"), (4, b"5"), (3, b"1:5")):
            query = self.begin(version)
            assert self.ask(query, wrong).status == 400
            assert error(self.ask(query)) == UNKNOWN
        assert self.app.ends == [False] * 5

    def test_process_that_was_held_up_blames_nobody(self) -> None:
        query = self.begin()
        self.clock.advance(1000)
        self.settle()
        assert self.app.ends == []
        assert self.ask(query).body == b"2"
        self.settle(INTERVAL + TIMEOUT)
        assert self.app.ends == [False]


class Ends(EngineCase):
    def test_client_goes(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        assert self.ask(query, b"4bye\x1e1\x1e4too late").body == b"ok"
        assert waiting.body == b"6"
        assert self.app.messages == ["bye"]
        assert self.app.ends == [True]
        assert error(self.ask(query)) == UNKNOWN

    def test_application_ends_it_while_a_request_waits(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        self.socket.send("bye")
        self.socket.close(Close.POLICY, "enough")
        self.socket.send("too late")
        self.socket.close(Close.POLICY, "enough")
        self.settle()
        assert waiting.body == b"4bye"
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN

    def test_application_ends_it_while_none_waits(self) -> None:
        query = self.begin()
        self.socket.send("bye")
        self.socket.close(Close.POLICY, "enough")
        self.settle()
        assert self.app.ends == [False]
        # What else it says is for nobody, and does not keep it from what it was told.
        for _ in range(2):
            assert self.ask(query, b"4hello").body == b"ok"
        assert self.ask(query, b"x").status == 400
        assert self.ask(query).body == b"4bye"
        assert error(self.ask(query, b"4hello")) == UNKNOWN
        assert error(self.ask(query)) == UNKNOWN
        assert self.app.told == [("opened",), ("closed", False)]

    def test_nobody_fetches_the_end(self) -> None:
        query = self.begin()
        self.socket.send("bye")
        self.socket.close(Close.POLICY, "enough")
        self.settle(LINGER)
        assert error(self.ask(query)) == UNKNOWN
        self.settle(INTERVAL + TIMEOUT)
        assert [call for call in self.clock.getDelayedCalls() if "Deadlines" in str(call)] == []

    def test_application_ends_it_on_a_message(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        assert self.ask(query, b"4close me\x1e4too late").body == b"ok"
        assert error(waiting) == UNKNOWN
        assert self.app.messages == ["close me"]
        assert self.app.ends == [False]

    def test_application_ends_it_at_once(self) -> None:
        query = self.begin(more="&unwanted=1")
        assert error(self.ask(query)) == UNKNOWN
        assert self.app.told == [("opened",), ("closed", False)]

    def test_version_3_is_told_everything_before_its_end(self) -> None:
        query = self.begin(3)
        self.socket.send("a")
        self.socket.send(b"b")
        self.socket.close(Close.POLICY, "enough")
        bodies = [self.ask(query).body for _ in range(2)]
        assert bodies == [b"2:4a", b"\1\2\xff\4b"]
        assert error(self.ask(query)) == UNKNOWN

    def test_connection_of_a_waiting_request_is_lost(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        waiting.transport.loseConnection()
        self.settle()
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN

    def test_server_stops(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        self.begin()
        gone: list[Any] = []
        self.door.farewell().addCallback(gone.append)
        assert gone == []
        self.settle()
        # No CLOSE, after which some clients would not come back.
        assert (waiting.status, error(waiting)) == (400, UNKNOWN)
        assert self.app.ends == [False, False]
        assert len(gone) == 1
        for query in ("EIO=4&transport=polling", "EIO=3&transport=polling"):
            late = self.ask(query)
            assert (late.status, error(late)["code"]) == (503, 4)
            assert late.header("Retry-After") == "5"
        assert len(self.app.sockets) == 2
        assert self.door.farewell().called is False

    def test_faults_of_the_application_are_logged_once_and_end_one_socket(self) -> None:
        for fault in ("opened", "received", "closed"):
            self.app.faulty = fault
            with capturedLogs() as logs:
                query = self.begin()
                if fault != "opened":
                    self.ask(query, b"4hello\x1e4again" if fault == "received" else b"1")
                self.settle()
            self.app.faulty = ""
            [entry] = [log for log in logs if log["log_level"] is LogLevel.critical]
            assert entry["log_failure"].check(RuntimeError)
            self.flushLoggedErrors(RuntimeError)
            assert self.socket.over
        self.begin()
        assert len(self.app.ends) == 3


class Abuse(EngineCase):
    def test_two_polls_at_once(self) -> None:
        query = self.begin()
        first = self.ask(query)
        second = self.ask(query)
        assert second.status == 400
        assert error(second) == BAD
        assert (first.status, first.body) == (200, b"1")
        assert error(self.ask(query)) == UNKNOWN
        assert self.app.ends == [False]

    def test_two_posts_at_once(self) -> None:
        query = self.begin()
        first = self.ask(query, b"", Content_Length="6")
        first.transport.write(b"4one")
        second = self.ask(query, b"4two")
        assert second.status == 400
        assert error(second) == BAD
        first.transport.write(b"xx")
        self.settle()
        assert first.status == 400
        assert self.app.messages == []
        assert self.app.ends == [False]

    def test_body_that_is_too_large(self) -> None:
        message = b"4" + b"x" * PAYLOAD
        several = b"\x1e".join([message] * AT_ONCE)[: AT_ONCE * PAYLOAD]
        query = self.begin()
        assert self.ask(query, several).body == b"ok"
        assert len(self.app.messages) == AT_ONCE
        # As announced, …
        peer = self.ask(query, b"", Content_Length=str(AT_ONCE * PAYLOAD + 1))
        assert peer.status == 413
        assert error(peer) == {"code": 3, "message": "Payload too large"}
        assert error(self.ask(query)) == UNKNOWN
        # … as it comes, …
        query = self.begin()
        peer = self.ask(query, b"", Content_Length="", Transfer_Encoding="chunked")
        peer.transport.write(b"%x\r\n%b\r\n" % (len(several), several))
        self.settle()
        assert peer.head == b""
        peer.transport.write(b"1\r\nx\r\n")
        self.settle()
        assert peer.status == 413
        # … or because of what is in it.
        peer = self.ask(self.begin(), message + b"x")
        assert peer.status == 413
        assert len(self.app.messages) == AT_ONCE
        assert self.app.ends == [False] * 3

    def test_what_is_not_engine_io(self) -> None:
        octets = "application/octet-stream"
        for version, body, kind in [
            (4, b"", ""),
            (4, b"abc", ""),
            (4, b"4a\x1ex", ""),
            (4, b"4\xff", ""),
            (4, b"4hello", octets),
            (3, b"4hello", ""),
            (3, b"\2", octets),
        ]:
            query = self.begin(version)
            answer = self.ask(query, body, Content_Type=kind)
            assert answer.status == 400, body
            assert error(answer)["code"] == 3
            assert error(self.ask(query)) == UNKNOWN
        assert self.app.messages == []
        assert self.app.ends == [False] * 7

    def test_body_that_trickles(self) -> None:
        query = self.begin()
        peer = self.ask(query, b"", Content_Length="100")
        for _ in range(int(PACE)):
            peer.transport.write(b"4")
            self.settle(1)
        assert peer.lost
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN

    def test_body_that_breaks_off(self) -> None:
        query = self.begin()
        peer = self.ask(query, b"4hello", Content_Length="100")
        peer.transport.loseConnection()
        self.settle()
        assert self.app.messages == []
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN

    def test_those_who_are_longest_away_make_room(self) -> None:
        self.patch(limits, "UNATTENDED", 3)
        waiting = self.begin()
        held = self.ask(waiting)
        queries = [self.begin() for _ in range(5)]
        self.settle()
        assert self.app.ends == [False, False]
        answers = [self.ask(query) for query in queries]
        assert [error(answer) for answer in answers[:2]] == [UNKNOWN, UNKNOWN]
        assert [answer.head for answer in answers[2:]] == [b""] * 3
        assert held.head == b""
        # Now that these wait, there is room again.
        queries = [self.begin() for _ in range(3)]
        assert [self.ask(query).head for query in queries] == [b""] * 3

    def test_those_for_whom_much_waits_make_room(self) -> None:
        self.patch(limits, "HELD", 3 * FULL)
        queries = [self.begin() for _ in range(5)]
        last = self.app.sockets[-1]
        for socket in self.app.sockets:
            socket.send("x" * (FULL // 2 if socket is last else FULL + 1))
        self.settle()
        assert error(self.ask(queries[0])) == UNKNOWN
        assert error(self.ask(queries[1])) == UNKNOWN
        for query in queries[2:]:
            assert self.ask(query).body.startswith(b"4x")
        assert self.app.ends == [False, False]

    def test_it_is_much_that_goes_where_many_have_little(self) -> None:
        self.patch(limits, "HELD", 3 * FULL)
        queries = [self.begin() for _ in range(8)]
        *little, much = self.app.sockets
        for socket in little:
            socket.send("x" * (FULL // 2))
        self.settle()
        assert self.app.ends == []
        much.send("x" * (FULL + 1))
        self.settle()
        assert self.app.ends == [False]
        assert error(self.ask(queries[-1])) == UNKNOWN

    def test_nobody_keeps_an_end_that_nobody_fetches(self) -> None:
        self.patch(limits, "UNATTENDED", 3)
        queries = [self.begin() for _ in range(3)]
        for socket in self.app.sockets:
            socket.send("bye")
            socket.close(Close.POLICY, "enough")
        self.begin()
        assert error(self.ask(queries[0])) == UNKNOWN
        assert self.ask(queries[1]).body == b"4bye"

    def test_client_that_does_not_poll_is_not_sent_on(self) -> None:
        self.app.echo = True
        query = self.begin()
        large = b"4" + b"x" * (FULL // 2)
        assert self.ask(query, large).body == b"ok"
        # The answer is what the client waits for before it sends more.
        held = self.ask(query, large)
        assert held.head == b""
        assert self.app.told[-1] == ("paused",)
        self.socket.send("small")
        self.settle(10)
        assert held.head == b""
        assert self.ask(query).body.endswith(b"x\x1e4small")
        assert held.body == b"ok"
        assert self.app.told[-1] == ("resumed",)
        assert [what for what in self.app.told if what[0] in ("paused", "resumed")] == [
            ("paused",),
            ("resumed",),
        ]
        assert self.ask(query, b"4again").body == b"ok"

    def test_post_that_waits_is_answered_when_the_session_ends(self) -> None:
        self.app.echo = True
        for how in ("application", "lapse"):
            query = self.begin()
            assert self.ask(query, b"4" + b"x" * (PAYLOAD - 1)).body == b"ok"
            held = self.ask(query, b"4one more")
            assert held.head == b""
            if how == "application":
                self.socket.close(Close.POLICY, "enough")
            self.settle(INTERVAL + TIMEOUT)
            assert held.body == b"ok"
        assert self.app.ends == [False, False]

    def test_post_with_which_the_session_fills_up_and_ends_is_answered(self) -> None:
        self.app.echo = True
        query = self.begin()
        large = b"4" + b"x" * (PAYLOAD - 1)
        assert self.ask(query, large + b"\x1e4more\x1e4close me").body == b"ok"
        assert self.app.told[-2:] == [("received", "close me"), ("closed", False)]
        assert self.ask(query).body == large + b"\x1e4more"
        assert error(self.ask(query)) == UNKNOWN
        assert self.app.told[-1] == ("closed", False)

    def test_post_that_waits_is_lost(self) -> None:
        self.app.echo = True
        query = self.begin()
        assert self.ask(query, b"4" + b"x" * (PAYLOAD - 1)).body == b"ok"
        held = self.ask(query, b"4one more")
        assert held.head == b""
        held.transport.loseConnection()
        self.settle()
        assert self.app.ends == []
        assert self.ask(query).status == 200
        assert self.ask(query, b"4on").body == b"ok"
