"""Engine.IO under whatever order of requests, frames and losses: nothing is lost, twice, or stuck."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs

from chatroom.engineio import codec
from chatroom.engineio.codec import MESSAGE, PACKETS, is_binary
from chatroom.engineio.polling import LINGER, Polling
from chatroom.events import Close
from tests.rig import Peer
from tests.test_engineio import INTERVAL, TIMEOUT
from tests.test_engineio_websocket import SocketCase

OFTEN = ["send", "burst", "large", "binary", "get", "get", "get", "post", "heavy", "pong", "wait"]
CHANGES = ["probe", "upgrade", "change", "say", "say", "stop reading", "read"]
SELDOM = ["two gets", "half a post", "lose", "lose get", "long", "close", "leave", "rubbish"]
STEPS = st.sampled_from(3 * OFTEN + 3 * CHANGES + SELDOM)


class Model(SocketCase):
    """One client, that does what it likes, and its application."""

    connections = 1

    def start(self, version: int) -> None:
        self.version = version
        self.query = self.begin(version)
        self.gets: list[Peer] = []
        self.posts: list[Peer] = []
        self.sockets: list[Peer] = []
        self.sent: list[str | bytes] = []
        self.said: list[str] = []
        self.number = 0

    def step(self, step: str) -> None:
        socket = self.socket
        self.number += 1
        name = str(self.number)
        if step in ("send", "large", "binary"):
            message: str | bytes = name + "x" * (40_000 if step == "large" else 0)
            if step == "binary":
                message = name.encode()
            if not socket.over:
                self.sent.append(message)
            socket.send(message)
        elif step == "burst":
            messages = [f"{name}.{part}" for part in range(PACKETS + 4)]
            if not socket.over:
                self.sent += messages
            socket.send(*messages)
        elif step == "two gets" or (step == "get" and self.idle):
            self.gets.append(self.ask(self.query))
        elif step in ("post", "heavy", "pong", "rubbish", "leave"):
            what = {"pong": "3" if self.version == 4 else "2", "rubbish": "x", "leave": "1"}
            text = what.get(step, f"4{name}" + "x" * (50_000 if step == "heavy" else 0))
            body = text if self.version == 4 else f"{len(text)}:{text}"
            self.posts.append(self.ask(self.query, body.encode()))
        elif step == "half a post":
            self.ask(self.query, b"", Content_Length="5").transport.loseConnection()
        elif step == "change":
            if not (socket.over or socket.probing) and isinstance(socket.transport, Polling):
                self.step("probe")
                self.step("upgrade")
        elif step == "probe":
            self.sockets.append(self.connect(self.query.replace("transport=polling&", "")))
            self.text(self.sockets[-1], "2probe")
        elif step in ("upgrade", "say", "lose", "read", "stop reading"):
            if not self.sockets:
                return
            peer = self.sockets[-1]
            if step == "upgrade":
                self.text(peer, "5")
            elif step == "say":
                self.text(peer, f"4{name}")
            elif step == "lose":
                peer.transport.loseConnection()
            elif not peer.lost and peer.status == 101:
                server = self.server(peer)
                (server.resumeProducing if step == "read" else server.pauseProducing)()
        elif step == "lose get" and self.gets:
            self.gets[-1].transport.loseConnection()
        elif step == "close":
            socket.close(Close.POLICY, "enough")
        elif step in ("wait", "long"):
            self.settle(1 if step == "wait" else INTERVAL)
        self.settle()

    @property
    def idle(self) -> bool:
        """Whether no poll of the client's waits for its answer."""
        return all(peer.head or peer.lost for peer in self.gets)

    def heard(self) -> list[str | bytes]:
        """Return all messages that have come to the client, by whichever way, in order."""
        found: list[str | bytes] = []
        for peer in self.gets:
            if peer.status == 200:
                binary = self.version == 3 and is_binary(peer.body)
                packets = codec.packets(self.version, peer.body, binary, 10**6)
                assert len(packets) <= PACKETS
                found += [said.data for said in packets if said.kind == MESSAGE]
        for peer in self.sockets:
            for first, payload in peer.frames:
                if first == 0x82:
                    said = codec.binary_packet(self.version, payload)
                elif first == 0x81:
                    said = codec.packet(self.version, payload.decode())
                else:
                    continue
                if said.kind == MESSAGE:
                    found.append(said.data)
        return found

    def catch_up(self) -> None:
        """Fetch all that is still to come."""
        for _ in range(200):
            if self.socket.over or self.heard() == self.sent:
                return
            if not isinstance(self.socket.transport, Polling):
                self.server(self.sockets[-1]).resumeProducing()
                self.settle()
            else:
                self.step("get")

    def check(self) -> None:
        """Look at what both sides have had so far."""
        heard = self.heard()
        assert heard == self.sent[: len(heard)]
        told = [what[0] for what in self.app.told]
        assert told[0] == "opened"
        assert told.count("opened") == 1
        assert told.count("closed") <= 1
        pauses = [what for what in told if what in ("paused", "resumed")]
        assert pauses == ["paused", "resumed"] * (len(pauses) // 2) + ["paused"] * (len(pauses) % 2)
        assert len([peer for peer in self.gets if not peer.head and not peer.lost]) <= 1
        numbers = [int(str(message).rstrip("x")) for message in self.app.messages]
        assert numbers == sorted(set(numbers))


class Whatever(Model):
    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from([3, 4]), st.lists(STEPS, max_size=50))
    def test_order_and_ends(self, version: int, steps: list[str]) -> None:
        self.setUp()
        with capturedLogs() as logs:
            self.start(version)
            for step in steps:
                self.step(step)
                self.check()
            if not self.socket.over:
                # Who behaves from here on gets everything.
                self.catch_up()
                self.check()
                assert not self.socket.over
                assert self.heard() == self.sent
            self.settle(INTERVAL + TIMEOUT + LINGER)
            self.settle(INTERVAL)
            self.check()
        assert self.app.ends in ([True], [False])
        assert self.places.refused("192.0.2.1") is None
        for peer in [*self.gets, *self.posts]:
            assert peer.head or peer.lost
        assert [log for log in logs if log["log_level"] is LogLevel.critical] == []
        assert [call for call in self.clock.getDelayedCalls() if "Deadlines" in str(call)] == []
