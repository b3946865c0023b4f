"""Engine.IO over WebSockets, from the beginning and by upgrade, frame by frame."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

from twisted.logger import LogLevel, capturedLogs

from chatroom.engineio.door import PAYLOAD
from chatroom.engineio.polling import SPARE, Polling
from chatroom.engineio.websocket import UPGRADING, EngineProtocol
from chatroom.events import Close, Shared
from chatroom.frames import WORTH
from chatroom.hardened import LINGER
from tests.rig import Peer, inflated
from tests.test_engineio import INTERVAL, PAGE, TIMEOUT, UNKNOWN, EngineCase, error

LONG = {"Content_Length": "0"}
"""With this a handshake does not go the short way."""


class SocketCase(EngineCase):
    """A test that has WebSockets."""

    def connect(self, query: str = "EIO=4", *, path: str = "/engine.io/", **headers: str) -> Peer:
        """Return a peer that has asked for a WebSocket."""
        return self.enter(f"{path}?transport=websocket&{query}", **headers)

    def text(self, peer: Peer, text: str) -> None:
        """Send *text* as one frame."""
        peer.frame(0x81, text.encode())
        self.settle()

    def server(self, peer: Peer) -> EngineProtocol:
        """Return the protocol at the other end."""
        protocol = peer.server.protocol
        assert isinstance(protocol, EngineProtocol)
        return protocol


def texts(peer: Peer) -> list[str]:
    """Return the texts that have come, but for open packets."""
    found = [payload.decode() for first, payload in peer.frames if first == 0x81]
    return [text for text in found if not text.startswith("0{")]


class Direct(SocketCase):
    def test_open_packet_both_ways_in(self) -> None:
        for headers in ({}, LONG):
            for path in ("/engine.io/", "/engine.io"):
                peer = self.connect("EIO=4&room=hall", path=path, User_Agent="x", **headers)
                assert peer.status == 101
                [(first, payload)] = peer.frames
                assert first == 0x81
                assert payload[:1] == b"0"
                assert json.loads(payload[1:]) == {
                    "sid": self.socket.id,
                    "upgrades": [],
                    "pingInterval": 25_000,
                    "pingTimeout": 20_000,
                    "maxPayload": 65_536,
                }
                assert self.socket.query["room"] == ["hall"]
                assert self.app.headers["user-agent"] == "x"
                assert self.socket.headers == {}
                assert self.socket.address == "192.0.2.1"
        assert self.app.told == [("opened",)] * 4

    def test_open_packet_of_version_3(self) -> None:
        [(_, payload)] = self.connect("EIO=3").frames
        assert json.loads(payload[1:]).keys() == {"sid", "upgrades", "pingInterval", "pingTimeout"}
        assert self.socket.version == 3

    def test_what_is_sent_at_once_comes_behind_it(self) -> None:
        self.app.at_once = ["hello", b"\1"]
        for headers in ({}, LONG):
            peer = self.connect(**headers)
            assert peer.frames[1:] == [(0x81, b"4hello"), (0x82, b"\1")]

    def test_what_is_wrong_with_a_handshake(self) -> None:
        for headers in ({}, LONG):
            for query, words in [
                ("transport=polling&EIO=4", b"Bad request\n"),
                ("transport=abc&EIO=4", b"Transport unknown\n"),
                ("EIO=4", b"Transport unknown\n"),
                ("transport=websocket", b"Unsupported protocol version\n"),
                ("transport=websocket&EIO=5", b"Unsupported protocol version\n"),
                ("transport=websocket&EIO=4&sid=abc", b"Session ID unknown\n"),
            ]:
                peer = self.enter(f"/engine.io/?{query}", **headers)
                assert (peer.status, peer.body) == (400, words)
            assert self.connect(path="/engine.io/else", **headers).status == 404
            assert self.connect(path="/engine.io/else/", **headers).status == 404
        assert self.app.told == []

    def test_messages_both_ways(self) -> None:
        peer = self.connect()
        self.text(peer, "4hello")
        peer.frame(0x82, b"\1\2")
        self.text(peer, "bAwQ=")
        assert self.app.messages == ["hello", b"\1\2", b"\3\4"]
        self.socket.send("€", b"\5")
        self.settle()
        assert peer.frames[1:] == [(0x81, "4€".encode()), (0x82, b"\5")]

    def test_messages_both_ways_in_version_3(self) -> None:
        peer = self.connect("EIO=3")
        self.text(peer, "4hello")
        peer.frame(0x82, b"\4\1\2")
        self.text(peer, "b4AwQ=")
        assert self.app.messages == ["hello", b"\1\2", b"\3\4"]
        self.socket.send("€", b"\5")
        self.settle()
        assert peer.frames[1:] == [(0x81, "4€".encode()), (0x82, b"\4\5")]

    def test_who_cannot_have_binary_gets_base64(self) -> None:
        for version, expected in ((4, "bBQ=="), (3, "b4BQ==")):
            peer = self.connect(f"EIO={version}&b64=1")
            self.socket.send(b"\5")
            self.settle()
            assert texts(peer) == [expected]

    def test_large_messages_are_compressed_for_who_can_have_it(self) -> None:
        for headers in ({}, LONG):
            offer = "permessage-deflate; client_max_window_bits"
            peer = self.connect(Sec_WebSocket_Extensions=offer, **headers)
            self.socket.send("x" * WORTH, "small")
            self.settle()
            (large, payload), (small, text) = peer.frames[1:]
            assert (large, small, text) == (0xC1, 0x81, b"4small")
            assert inflated(payload, 12) == b"4" + b"x" * WORTH
            assert len(payload) < 50

    def test_what_many_get_is_made_once_for_each_kind(self) -> None:
        asked = []

        def encode(content: str) -> list[str]:
            asked.append(content)
            return [content]

        peers = [self.connect() for _ in range(3)] + [self.connect("EIO=3") for _ in range(2)]
        shared = Shared("hello")
        for socket in self.app.sockets:
            socket.write(shared, encode)
        self.settle()
        assert [texts(peer) for peer in peers] == [["4hello"]] * 5
        assert len(asked) == 2

    def test_client_of_version_4_is_asked_and_answers(self) -> None:
        peer = self.connect()
        for beat in range(1, 6):
            self.settle(INTERVAL)
            assert texts(peer) == ["2"] * beat
            self.text(peer, "3")
        self.settle(INTERVAL + TIMEOUT)
        assert peer.server.aborted
        assert self.app.ends == [False]

    def test_client_of_version_3_asks_and_is_answered(self) -> None:
        peer = self.connect("EIO=3")
        for _ in range(5):
            self.settle(INTERVAL)
            self.text(peer, "2")
        assert texts(peer) == ["3"] * 5
        self.settle(INTERVAL + TIMEOUT)
        assert peer.lost
        assert self.app.ends == [False]

    def test_how_clients_go(self) -> None:
        for code, clean in [(1000, True), (None, True), (1001, False), (4000, False)]:
            peer = self.connect()
            peer.close(code)
            self.settle()
            assert self.app.ends.pop() is clean
            self.app.told.clear()
        peer = self.connect()
        peer.transport.loseConnection()
        self.settle()
        assert self.app.ends == [False]
        peer = self.connect()
        self.text(peer, "1")
        assert peer.code == 1000
        assert self.app.ends == [False, True]

    def test_application_ends_it(self) -> None:
        peer = self.connect()
        self.socket.send("bye")
        self.socket.close(Close.TRY_AGAIN, "full")
        self.socket.send("too late")
        self.settle()
        assert texts(peer) == ["4bye"]
        assert peer.frames[-1] == (0x88, b"\x03\xf5full")
        assert self.app.ends == [False]
        peer.close(1013)
        self.settle(LINGER)
        assert peer.lost
        assert self.app.ends == [False]

    def test_application_ends_it_at_once(self) -> None:
        for headers in ({}, LONG):
            peer = self.connect("EIO=4&unwanted=1", **headers)
            assert [first for first, _ in peer.frames] == [0x81, 0x88]
            assert peer.code == 1008
            self.text(peer, "4hello")
            peer.close(1008)
            self.settle()
            assert self.app.told == [("opened",), ("closed", False)]
            self.app.told.clear()

    def test_application_ends_it_on_a_message(self) -> None:
        peer = self.connect()
        peer.frame(0x81, b"4close me")
        self.text(peer, "4too late")
        assert self.app.messages == ["close me"]
        assert self.app.ends == [False]

    def test_what_is_not_engine_io_ends_with_1008(self) -> None:
        for query, first, payload in [
            ("EIO=4", 0x81, b"abc"),
            ("EIO=4", 0x81, b""),
            ("EIO=4", 0x81, b"2"),
            ("EIO=4", 0x81, b"2probe"),
            ("EIO=4", 0x81, b"5"),
            ("EIO=4", 0x81, b"b*"),
            ("EIO=3", 0x81, b"3"),
            ("EIO=3", 0x82, b"\1"),
        ]:
            peer = self.connect(query)
            peer.frame(first, payload)
            self.settle()
            assert peer.code == 1008, payload
        assert self.app.messages == []
        assert self.app.ends == [False] * 8

    def test_message_that_is_too_large_ends_with_1009(self) -> None:
        peer = self.connect()
        self.text(peer, "4" + "x" * (PAYLOAD - 1))
        assert len(self.app.messages[0]) == PAYLOAD - 1
        self.text(peer, "4" + "x" * PAYLOAD)
        assert peer.code == 1009
        self.socket.send("too late")
        self.settle()
        assert peer.frames[-1][0] == 0x88
        assert len(self.app.messages) == 1
        self.settle(LINGER)
        assert self.app.ends == [False]

    def test_faults_of_the_application_are_logged_once_and_end_one_socket(self) -> None:
        other = self.connect()
        for fault in ("opened", "received", "resumed", "paused"):
            self.app.faulty = fault
            with capturedLogs() as logs:
                peer = self.connect()
                self.text(peer, "4hello")
                if not self.socket.over:
                    self.server(peer).pauseProducing()
                    self.server(peer).resumeProducing()
                self.settle()
            self.app.faulty = ""
            [entry] = [log for log in logs if log["log_level"] is LogLevel.critical]
            assert entry["log_failure"].check(RuntimeError)
            self.flushLoggedErrors(RuntimeError)
            assert peer.code == 1011
        self.text(other, "4hello")
        assert self.app.messages[-1] == "hello"
        assert self.app.ends == [False] * 4

    def test_slow_reader_is_paused_and_not_read(self) -> None:
        peer = self.connect()
        reading: list[bool] = []
        peer.server.pauseProducing = lambda: reading.append(False)
        peer.server.resumeProducing = lambda: reading.append(True)
        server = self.server(peer)
        assert peer.server.producer is server
        server.pauseProducing()
        self.socket.send("this goes")
        server.resumeProducing()
        server.stopProducing()
        self.settle()
        assert reading == [False, True]
        assert self.app.told == [("opened",), ("paused",), ("resumed",)]
        assert texts(peer) == ["4this goes"]

    def test_after_the_end_nobody_is_told_of_pauses(self) -> None:
        peer = self.connect()
        self.socket.close(Close.POLICY, "enough")
        server = self.server(peer)
        server.pauseProducing()
        server.resumeProducing()
        self.settle()
        assert self.app.told == [("opened",), ("closed", False)]


class Strangers(SocketCase):
    origins = (PAGE,)

    def test_pages_of_other_sites(self) -> None:
        for headers in ({}, LONG):
            assert self.connect(Origin="https://elsewhere.example", **headers).status == 403
            assert self.connect(Origin=PAGE, **headers).status == 101
            assert self.connect(Origin="http://chat.example:8080", **headers).status == 101


class Full(SocketCase):
    connections = 1

    def test_there_are_so_many_places(self) -> None:
        for headers in ({}, LONG):
            query = self.begin()
            peer = self.connect(**headers)
            assert peer.status == 503
            assert peer.header("Retry-After") == "30"
            # Who changes has a place.
            peer = self.connect(query.replace("transport=polling", ""), **headers)
            assert peer.status == 101
            self.text(peer, "2probe")
            self.text(peer, "5")
            peer.close()
            self.settle()
            assert self.app.ends[-1] is True


class Upgrades(SocketCase):
    def change(self, query: str, *, done: bool = True, **headers: str) -> Peer:
        """Return a peer that changes from polling with *query*, or only tries if not *done*."""
        peer = self.connect(query.replace("transport=polling&", ""), **headers)
        assert peer.status == 101
        self.text(peer, "2probe")
        if done:
            self.text(peer, "5")
        return peer

    def test_from_polling_without_a_gap(self) -> None:
        for version, headers in ((4, {}), (3, LONG)):
            query = self.begin(version)
            waiting = self.ask(query)
            peer = self.connect(query.replace("transport=polling&", ""), **headers)
            assert peer.frames == []
            # What is said before the change goes the old way.
            self.socket.send("old")
            self.settle()
            assert waiting.body.endswith(b"4old")
            waiting = self.ask(query)
            self.text(peer, "2probe")
            assert texts(peer) == ["3probe"]
            # The client is to come over, and no request is left to wait for.
            assert waiting.body.endswith(b"6")
            assert self.ask(query).body.endswith(b"6")
            self.socket.send("new", b"\1")
            self.settle()
            assert texts(peer) == ["3probe"]
            peer.frame(0x81, b"5")
            self.text(peer, "4hello")
            binary = b"\1" if version == 4 else b"\4\1"
            assert peer.frames[1:] == [(0x81, b"4new"), (0x82, binary)]
            self.socket.send("more")
            self.settle()
            assert texts(peer)[-1] == "4more"
            assert self.app.messages == ["hello"]
            assert self.app.ends == []
            self.app.told.clear()

    def test_what_waits_when_the_probe_comes_goes_the_old_way(self) -> None:
        query = self.begin()
        self.socket.send("first")
        peer = self.change(query, done=False)
        assert self.ask(query).body == b"4first"
        assert self.ask(query).body == b"6"
        assert texts(peer) == ["3probe"]

    def test_afterwards_there_is_no_polling(self) -> None:
        query = self.begin()
        waiting = self.ask(query)
        peer = self.change(query)
        assert waiting.body == b"6"
        for body in (None, b"4hello"):
            answer = self.ask(query, body)
            assert error(answer) == {"code": 3, "message": "Bad request"}
        self.text(peer, "4hello")
        assert self.app.messages == ["hello"]

    def test_request_that_still_waits_is_let_go(self) -> None:
        query = self.begin()
        peer = self.connect(query.replace("transport=polling&", ""))
        peer.frame(0x81, b"2probe")
        peer.frame(0x81, b"5")
        waiting = self.ask(query)
        self.settle()
        assert waiting.status == 400
        assert self.socket.over is False

    def test_heartbeat_goes_on(self) -> None:
        query = self.begin()
        self.settle(INTERVAL - 1)
        peer = self.change(query)
        self.settle(1)
        assert texts(peer) == ["3probe", "2"]
        self.text(peer, "3")
        self.settle(INTERVAL)
        assert texts(peer) == ["3probe", "2", "2"]
        self.settle(TIMEOUT)
        assert peer.lost
        assert self.app.ends == [False]

    def test_only_one_is_tried_and_one_is_changed_to(self) -> None:
        for done in (False, True):
            query = self.begin()
            peer = self.change(query, done=done)
            other = self.connect(query.replace("transport=polling&", ""))
            assert other.status == 101
            assert other.code == 1008
            other.close(1008)
            self.text(peer, "4hello" if done else "5")
            self.text(peer, "4hello")
            assert self.app.messages[-1] == "hello"
            assert self.app.ends == []

    def test_connection_that_says_something_else_is_closed_and_polling_goes_on(self) -> None:
        for wrong in ("5", "4hello", "2", "3probe", "abc", "2probe!", "1"):
            query = self.begin()
            peer = self.connect(query.replace("transport=polling&", ""))
            self.text(peer, wrong)
            assert peer.code == 1008
            peer.close(1008)
            waiting = self.ask(query)
            assert waiting.head == b""
            self.socket.send("on")
            self.settle()
            assert waiting.body == b"4on"
        assert self.app.messages == []
        assert self.app.ends == []

    def test_upgrade_that_is_never_completed(self) -> None:
        for said in ("", "2probe"):
            query = self.begin()
            peer = self.connect(query.replace("transport=polling&", ""))
            if said:
                self.text(peer, said)
            self.settle(UPGRADING)
            assert peer.code == 1008
            self.settle(LINGER)
            assert peer.lost
            # From here on requests wait again.
            assert self.ask(query).head == b""
            # And it may be tried again.
            again = self.change(query)
            self.socket.send("here")
            self.settle()
            assert texts(again) == ["3probe", "4here"]

    def test_connection_is_lost_before_the_change(self) -> None:
        query = self.begin()
        peer = self.change(query, done=False)
        peer.transport.loseConnection()
        self.settle()
        assert self.app.ends == []
        self.socket.send("on")
        self.settle()
        assert self.ask(query).body == b"4on"
        assert self.ask(query).head == b""

    def test_session_ends_before_the_change(self) -> None:
        for how in ("client", "application", "lapse"):
            query = self.begin()
            peer = self.change(query, done=False)
            if how == "client":
                assert self.ask(query, b"1").body == b"ok"
            elif how == "application":
                self.socket.close(Close.POLICY, "enough")
            else:
                self.socket.drop()
            self.settle()
            assert peer.code == 1008
            self.text(peer, "5")
            self.text(peer, "4hello")
            self.settle(LINGER)
            assert peer.lost
        assert self.app.messages == []
        assert self.app.ends == [True, False, False]

    def test_who_was_paused_goes_on(self) -> None:
        self.app.echo = True
        query = self.begin()
        assert self.ask(query, b"4" + b"x" * (PAYLOAD - 1)).body == b"ok"
        held = self.ask(query, b"4more")
        assert held.head == b""
        assert self.app.told[-1] == ("paused",)
        peer = self.change(query, done=False)
        # It waits for this before it changes, and it does not poll meanwhile.
        assert held.body == b"ok"
        self.text(peer, "5")
        assert [len(payload) for _, payload in peer.frames] == [6, PAYLOAD, 5]
        assert self.app.told[-1] == ("resumed",)

    def test_only_so_much_comes_in_while_somebody_changes_and_does_not_poll(self) -> None:
        self.app.echo = True
        query = self.begin()
        large = b"4" + b"x" * (PAYLOAD - 1)
        assert self.ask(query, large).body == b"ok"
        answered = [self.ask(query, large)]
        for attempt in range(3):
            peer = self.change(query, done=False)
            assert answered[0].body == b"ok"
            while answered[-1].body == b"ok" and len(answered) < 2 * SPARE:
                answered.append(self.ask(query, large))
            peer.close()
            self.settle()
            assert len(answered) == SPARE + 1, attempt
        assert self.ask(query).status == 200
        assert answered[-1].body == b"ok"

    def test_who_was_paused_and_does_not_read_there_either_does_not(self) -> None:
        self.app.echo = True
        query = self.begin()
        assert self.ask(query, b"4" + b"x" * (PAYLOAD - 1)).body == b"ok"
        self.ask(query, b"4more")
        peer = self.change(query, done=False)
        server = self.server(peer)
        server.pauseProducing()
        self.text(peer, "5")
        assert self.app.told[-1] == ("paused",)
        server.resumeProducing()
        assert self.app.told[-1] == ("resumed",)

    def test_who_does_not_read_what_is_tried_is_paused_when_that_is_the_way(self) -> None:
        query = self.begin()
        peer = self.change(query, done=False)
        server = self.server(peer)
        server.pauseProducing()
        assert self.app.told == [("opened",)]
        self.text(peer, "5")
        assert self.app.told == [("opened",), ("paused",)]
        server.resumeProducing()
        assert self.app.told == [("opened",), ("paused",), ("resumed",)]

    def test_what_comes_in_the_old_way_during_the_change_is_lost_and_so_nothing_follows(
        self,
    ) -> None:
        query = self.begin()
        late = self.ask(query, b"4he", Content_Length="6")
        peer = self.change(query)
        late.transport.write(b"llo")
        self.settle()
        assert late.status == 400
        assert self.app.messages == []
        self.text(peer, "4on")
        assert self.app.messages == []
        assert self.app.ends == [False]
        assert peer.lost

    def test_change_then_lost(self) -> None:
        query = self.begin()
        peer = self.change(query)
        peer.transport.loseConnection()
        self.settle()
        assert self.app.ends == [False]
        assert error(self.ask(query)) == UNKNOWN


class Farewell(SocketCase):
    def test_all_are_told_and_waited_for(self) -> None:
        peer = self.connect()
        query = self.begin()
        tried = self.connect(query.replace("transport=polling&", ""))
        waiting = self.ask(query)
        gone: list[Any] = []
        self.door.farewell().addCallback(gone.append)
        self.settle()
        assert peer.frames[-1][1][:2] == (1012).to_bytes(2)
        assert tried.code in (1008, 1012)
        assert error(waiting) == UNKNOWN
        # The short way in, and the long one.
        for more in ({}, {"Content-Length": "0"}):
            assert self.connect(**more).status == 503
        assert len(self.app.sockets) == 2
        assert self.app.ends == [False, False]
        assert gone == []
        peer.close(1012)
        tried.close(1012)
        self.settle(LINGER)
        assert len(gone) == 1
        assert self.app.ends == [False, False]


class Memory(SocketCase):
    def test_what_is_over_leaves_nothing_for_the_garbage_collector(self) -> None:
        kept: list[weakref.ref[Any]] = []
        channels: list[Any] = []
        channel = self.site.channel

        def noted(there: Any) -> Any:
            channels.append(channel(there))
            return channels[-1]

        self.patch(self.site, "channel", noted)
        gc.disable()
        self.addCleanup(gc.enable)
        for way in ("polling", "leaves", "ends", "lapses", "websocket", "change"):
            if way == "websocket":
                peer = self.connect()
            else:
                query = self.begin()
                polling = self.socket.transport
                assert isinstance(polling, Polling)
                kept.append(weakref.ref(polling))
                del polling
                self.ask(query)
            if way == "leaves":
                self.ask(query, b"1")
            elif way == "ends":
                self.socket.close(Close.POLICY, "enough")
            elif way == "lapses":
                self.socket.drop()
            elif way == "change":
                peer = self.connect(query.replace("transport=polling&", ""))
                self.text(peer, "2probe")
                self.text(peer, "5")
            if way in ("websocket", "change"):
                kept.append(weakref.ref(self.server(peer)))
                peer.transport.loseConnection()
                self.settle()
                # A real transport lets go of its protocol and of its producer.
                peer.server.producer = None
                del peer.server.protocol, peer
            elif way == "polling":
                self.settle(INTERVAL + TIMEOUT)
        self.settle(INTERVAL + TIMEOUT + LINGER)
        assert self.app.ends == [False, True, False, False, False, False]
        self.app.sockets.clear()
        self.pumps.clear()
        # Twisted's own: the HTTP channel and its request know each other.
        while channels:
            channels.pop().requests.clear()
        assert [reference() for reference in kept] == [None] * 7
