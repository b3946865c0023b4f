"""The room's own door, over a whole site in memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Generator
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from chatroom import session as session_module
from chatroom.answers import Origins, address
from chatroom.hardened import Upgrade
from chatroom.log import Unavailable
from chatroom.tap import reactor
from chatroom.websocket import ChatProtocol
from tests.rig import Peer, RoomCase, inflated, masked


class Conversation(RoomCase):
    def test_bare_client_can_talk_at_once(self) -> None:
        peer = self.dial()
        peer.transport.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        reading: list[bool] = []
        peer.server.pauseProducing = lambda: reading.append(False)
        peer.server.resumeProducing = lambda: reading.append(True)
        while not peer.head:
            self.pumps[0].pump()
        assert peer.events == []
        peer.talk("ping")
        self.pumps[0].pump()
        # What more is sent this early waits in the socket.
        assert reading[-1] is False
        assert peer.events == []
        peer.talk("talk", message="hello")
        self.settle()
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in peer.head
        assert [name for name, _ in peer.events] == ["init", "pong", "talk"]
        assert reading[-1] is True
        init, talk = peer.said("init")[0], peer.said("talk")[0]
        assert init["room"] == "lobby"
        assert init["self"]["name"] == "guest-1"
        assert talk == {
            "id": 1,
            "room": "lobby",
            "message": "hello",
            "type": "text",
            "from": {"id": 1, "name": "guest-1"},
            "time": "2001-09-09T01:46:40.250Z",
        }

    def test_two_people(self) -> None:
        ann, bob = self.enter("/ws?name=Ann"), self.enter("/ws?name=Bob")
        assert ann.said("join") == [{"room": "lobby", "id": 2, "name": "Bob"}]
        ann.talk("talk", message="你好 👋", nonce="1")
        ann.talk("rename", name="Anna")
        ann.talk("typing")
        self.settle()
        assert bob.said("talk")[0]["message"] == "你好 👋"
        assert bob.said("rename") == [{"room": "lobby", "id": 1, "name": "Anna", "was": "Ann"}]
        assert bob.said("typing") == [{"room": "lobby", "id": 1, "name": "Anna"}]
        assert ann.said("typing") == []
        ann.close()
        self.settle()
        assert bob.said("exit") == [{"room": "lobby", "id": 1, "name": "Anna"}]
        assert ann.lost
        assert ann.code == 1000

    def test_pong_carries_the_same_data(self) -> None:
        peer = self.enter()
        peer.talk("ping", a=[1.5, {"b": None}])
        self.settle()
        assert peer.said("pong") == [{"a": [1.5, {"b": None}]}]

    def test_parameters_choose_room_and_where_to_go_on(self) -> None:
        ann = self.enter("/ws?room=dev")
        for text in "abc":
            ann.talk("talk", message=text, room="dev")
        self.settle()
        init = ann.said("init")[0]
        bob = self.enter(
            f"/ws?room=dev&token={init['self']['token']}&after=1&epoch={init['epoch']}"
        )
        again = bob.said("init")[0]
        assert again["resumed"]
        assert again["self"] == init["self"]
        assert [m["message"] for m in again["messages"]] == ["b", "c"]
        assert ann.said("join") == []

    def test_after_that_is_no_number_begins_afresh(self) -> None:
        token = self.enter().said("init")[0]["self"]["token"]
        for after in ("x", "-1", "1e3", "9" * 40, ""):
            assert not self.enter(f"/ws?token={token}&after={after}").said("init")[0]["resumed"]

    def test_room_that_cannot_be(self) -> None:
        # The site's door would not let it in.
        self.site.resource.putChild(b"bare", Upgrade(self.factory, Origins([])))
        assert self.enter("/bare?room=a%20b").code == 1008

    def test_subprotocols(self) -> None:
        assert self.enter().header("Sec-WebSocket-Protocol") is None
        offer = self.enter(Sec_WebSocket_Protocol="x, chat.v1")
        assert offer.header("Sec-WebSocket-Protocol") == "chat.v1"
        unknown = self.enter(Sec_WebSocket_Protocol="x, y")
        assert unknown.header("Sec-WebSocket-Protocol") is None
        assert unknown.events[0][0] == "init"


class Ends(RoomCase):
    def after(self, first: int, payload: bytes) -> Peer:
        peer = self.enter()
        peer.frame(first, payload)
        self.settle()
        return peer

    def test_binary(self) -> None:
        assert self.after(0x82, b"x").code == 1003

    def test_invalid_utf8(self) -> None:
        assert self.after(0x81, b"\xff").code == 1007

    def test_against_the_framing(self) -> None:
        assert self.after(0xF1, b"x").code == 1002
        peer = self.enter()
        peer.transport.write(b"\x81\x01x")
        self.settle()
        assert peer.code == 1002

    def test_too_large_as_announced(self) -> None:
        peer = self.enter()
        peer.transport.write(b"\x81\xff" + (10**10).to_bytes(8) + b"\0\0\0\0")
        self.settle()
        assert peer.code == 1009

    def test_too_large_by_one_byte(self) -> None:
        assert self.after(0x81, b" " * 65_537).code == 1009
        assert self.after(0x81, b" " * 65_536).said("error")[0]["code"] == "bad_message"

    def test_too_large_after_inflating(self) -> None:
        for size in (65_537, 65_600, 1_000_000):
            peer = self.enter(Sec_WebSocket_Extensions="permessage-deflate")
            deflate = zlib.compressobj(wbits=-12)
            body = deflate.compress(b" " * size) + deflate.flush(zlib.Z_SYNC_FLUSH)
            peer.frame(0xC1, body[:-4])
            self.settle()
            assert peer.code == 1009, size

    def test_too_many_fragments(self) -> None:
        peer = self.enter()
        peer.frame(0x01, b"")
        peer.transport.write(masked(0x00, b"") * 1000)
        self.settle()
        assert peer.code is None
        peer.transport.write(masked(0x00, b"") * 2000)
        self.settle()
        assert peer.code == 1009

    def test_many_errors(self) -> None:
        peer = self.enter()
        for _ in range(100):
            peer.frame(0x81, b"{}")
        self.settle()
        assert {e["code"] for e in peer.said("error")} == {"bad_message"}
        assert peer.code == 1008
        assert len(peer.said("error")) == session_module.PATIENCE + 1

    def test_goes_on_sending_after_the_end(self) -> None:
        peer = self.enter()
        peer.transport.write(b"\xf1\xff" + (2**40).to_bytes(8) + b"\0\0\0\0")
        self.settle()
        peer.transport.write(b"x" * 2**20)
        self.settle()
        assert not peer.lost
        peer.transport.write(b"x")
        self.settle()
        assert peer.lost

    def test_close_is_given_two_seconds(self) -> None:
        peer = self.after(0x82, b"x")
        assert not peer.lost
        self.settle(2.5)
        assert peer.lost

    def test_bad_close_frames(self) -> None:
        for payload, code in (
            (b"\x03\xe7", 1002),
            (b"\x13\x88", 1002),
            (b"\x00", 1002),
            (b"\x03\xe8\xff", 1007),
        ):
            peer = self.after(0x88, payload)
            # Aborting would throw away a close frame that has not gone.
            assert not peer.server.aborted, payload
            assert (peer.code, peer.lost) == (code, True), payload

    def test_end_of_ours_is_orderly(self) -> None:
        peer = self.after(0x82, b"x")
        peer.close(1003)
        self.settle()
        assert (peer.lost, peer.server.aborted) == (True, False)

    def test_who_closes_but_does_not_read_is_gone_in_the_end(self) -> None:
        ann, bob = self.enter(), self.enter()
        # A transport with something left to write waits with losing its connection.
        bob.server.loseConnection = lambda: None
        bob.close()
        self.settle(1)
        assert not bob.lost
        self.settle(1.5)
        assert (bob.lost, bob.server.aborted) == (True, True)
        assert [e["id"] for e in ann.said("exit")] == [2]

    def test_without_a_sign_of_life(self) -> None:
        peer = self.enter()
        self.settle(26)
        ((_, payload),) = [f for f in peer.frames if f[0] == 0x89]
        peer.frame(0x8A, payload)
        self.settle()
        self.settle(26)
        assert not peer.lost
        # It is a pong that counts.
        peer.talk("ping")
        self.settle(21)
        assert peer.lost

    def test_closing_without_a_code_is_meant(self) -> None:
        ann, bob = self.enter(), self.enter()
        bob.close(None)
        self.settle()
        assert [e["id"] for e in ann.said("exit")] == [2]

    def test_going_away_may_be_a_blip(self) -> None:
        ann, bob = self.enter(), self.enter()
        token = bob.said("init")[0]["self"]["token"]
        bob.close(1001)
        self.settle(9)
        assert ann.said("exit") == []
        bob = self.enter(f"/ws?token={token}")
        self.settle(9)
        assert ann.said("exit") == []
        bob.transport.loseConnection()
        self.settle(9)
        assert ann.said("exit") == []
        self.settle(2)
        assert [e["id"] for e in ann.said("exit")] == [2]
        assert [e["id"] for e in ann.said("join")] == [2]

    def test_farewell(self) -> None:
        ann, bob = self.enter(), self.enter()
        gone = self.factory.farewell()
        self.settle()
        assert (ann.code, bob.code) == (1012, 1012)
        ann.close(1012)
        self.settle()
        self.assertNoResult(gone)
        self.settle(2.5)
        self.successResultOf(gone)
        assert bob.lost
        assert list(self.factory.connections) == []

    def test_farewell_to_nobody_and_to_those_who_are_there(self) -> None:
        self.successResultOf(self.factory.farewell())
        ann = self.enter()
        gone = self.factory.farewell()
        # Nobody waits for those who come now.
        bob = self.enter()
        ann.close(1012)
        self.settle()
        self.successResultOf(gone)
        assert not bob.lost


class Faults(RoomCase):
    def test_bug_of_ours_ends_one_connection_only(self) -> None:
        ann, bob = self.enter(), self.enter()

        def broken(batch: object) -> None:
            raise ZeroDivisionError

        (session,) = self.chat.users[1].sessions
        session.receive = broken  # type: ignore[assignment,method-assign]
        ann.talk("talk", message="x")
        self.settle()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert ann.code == 1011
        bob.talk("talk", message="still here")
        self.settle()
        assert bob.said("talk")[0]["message"] == "still here"

    def test_bug_at_the_beginning(self) -> None:
        self.chat.connect = None  # type: ignore[assignment,method-assign]
        peer = self.enter()
        assert len(self.flushLoggedErrors(TypeError)) == 1
        assert peer.code == 1011

    def test_store_that_cannot_be_read(self) -> None:
        def broken(room: str) -> None:
            raise Unavailable("disk")

        self.log.room = broken  # type: ignore[method-assign]
        assert self.enter().code == 1013

    def test_store_that_cannot_be_written(self) -> None:
        def broken() -> int:
            raise Unavailable("disk")

        self.log.new_user = broken  # type: ignore[method-assign]
        peer = self.enter()
        assert peer.code == 1013
        # Nothing comes of it that it does not read, nor of what it says.
        peer.server.producer.pauseProducing()
        peer.talk("talk", message="x")
        self.settle()
        peer.server.producer.resumeProducing()
        self.settle()
        assert [first for first, _ in peer.frames] == [0x88]
        self.settle(3)
        assert peer.lost
        assert self.chat.users == {}


class Pressure(RoomCase):
    def protocol(self, peer: Peer) -> ChatProtocol:
        # It is the transport's to call its producer.
        assert peer.server.producer is peer.server.protocol
        return cast(ChatProtocol, peer.server.protocol)

    def test_reader_that_does_not_read_goes_on_where_it_was(self) -> None:
        ann, bob = self.enter("/ws?name=Ann"), self.enter("/ws?name=Bob")
        self.protocol(bob).pauseProducing()
        for i in range(10):
            ann.talk("talk", message=str(i))
        bob.talk("ping")
        self.settle()
        assert bob.said("talk") == []
        assert bob.said("pong") == []
        self.protocol(bob).resumeProducing()
        self.protocol(bob).stopProducing()
        self.settle()
        assert [m["id"] for m in bob.said("talk")] == list(range(1, 11))
        assert bob.said("pong") == [{}]


class Socket(RoomCase):
    @inlineCallbacks
    def test_nodelay_is_set_on_the_accepted_socket(self) -> Generator[Deferred[Any], Any, None]:
        accepted: list[ChatProtocol] = []

        class Listening(ChatProtocol):
            def connectionMade(self) -> None:
                super().connectionMade()
                accepted.append(self)

        self.factory.protocol = Listening
        # Without the HTTP server before it, which sets the option too.
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client: Any = yield connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Protocol()
        )
        while not accepted:
            yield deferLater(reactor, 0)
        assert accepted[0].transport.getTcpNoDelay()
        client.transport.abortConnection()
        accepted[0].transport.abortConnection()
        while accepted[0].state != accepted[0].STATE_CLOSED:
            yield deferLater(reactor, 0)


class Addresses(RoomCase):
    def test_whose_connection_it_is(self) -> None:
        far, near = IPv4Address("TCP", "192.0.2.7", 1), IPv4Address("TCP", "127.0.0.1", 1)
        assert address(far, None) == "192.0.2.7"
        assert address(far, "198.51.100.1") == "192.0.2.7"
        assert address(near, None) == "127.0.0.1"
        assert address(near, "198.51.100.9, 198.51.100.1") == "198.51.100.1"
        assert address(UNIXAddress(b"/x"), "198.51.100.1") == "198.51.100.1"
        assert address(UNIXAddress(b"/x"), None) == ""
        mapped = IPv6Address("TCP", "::ffff:127.0.0.1", 1)
        assert address(mapped, "192.0.2.7") == "192.0.2.7"
        assert address(IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.7") == "192.0.2.1"

    def test_are_counted_and_forgotten(self) -> None:
        peers = [self.enter(), self.enter(), self.enter(address=UNIXAddress(b"/x"))]
        assert self.places.addresses == {"192.0.2.1": 2}
        for peer in peers:
            peer.close()
        self.settle()
        assert dict(self.places.addresses) == {}


class Compression(RoomCase):
    def test_compressed_only_where_negotiated_and_worth_it(self) -> None:
        offer = "permessage-deflate; client_max_window_bits"
        ann, bob = self.enter(Sec_WebSocket_Extensions=offer), self.enter()
        assert ann.header("Sec-WebSocket-Extensions") == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
            " client_max_window_bits=12"
        )
        assert bob.header("Sec-WebSocket-Extensions") is None
        for text in ("short", "long " * 200):
            bob.talk("talk", message=text)
        self.settle()
        assert [f[0] for f in ann.frames] == [0xC1, 0x81, 0x81, 0xC1]
        assert [m["message"] for m in ann.said("talk")] == ["short", "long " * 200]
        assert {f[0] for f in bob.frames} == {0x81}

    def test_smaller_window_where_asked_for(self) -> None:
        peer = self.enter(Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=9")
        assert "server_max_window_bits=9" in (peer.header("Sec-WebSocket-Extensions") or "")
        ((_, payload),) = peer.frames
        assert json.loads(inflated(payload, 9))["event"] == "init"

    def test_a_client_whose_own_window_is_small_is_told_no_larger_one(self) -> None:
        for bits in range(8, 16):
            offer = f"permessage-deflate; client_max_window_bits={bits}"
            # The short way in, and the long one.
            for more in ({}, {"Content-Length": "0"}):
                peer = self.enter(Sec_WebSocket_Extensions=offer, **more)
                assert peer.header("Sec-WebSocket-Extensions") == (
                    "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                    + ("; client_max_window_bits=12" if bits >= 12 else "")
                )
                said = '{"event":"ping","data":{"a":"%s"}}' % ("long " * 200)
                deflate = zlib.compressobj(wbits=-min(max(bits, 9), 12))
                body = deflate.compress(said.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
                peer.frame(0xC1, body[:-4])
                self.settle()
                assert [name for name, _ in peer.events] == ["init", "pong"]
                peer.close()
                self.settle(10)

    def test_an_offer_that_cannot_be_taken_is_declined(self) -> None:
        for params in (
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "client_max_window_bits=7",
            "client_max_window_bits=9; client_max_window_bits=9",
            "unknown=1",
        ):
            offer = f"permessage-deflate; {params}"
            peer = self.enter(Sec_WebSocket_Extensions=offer)
            assert (peer.status, peer.header("Sec-WebSocket-Extensions")) == (101, None), params
            assert peer.events[0][0] == "init"
            second = f"{offer}, permessage-deflate; server_max_window_bits=9"
            peer = self.enter(Sec_WebSocket_Extensions=second)
            assert "server_max_window_bits=9" in (peer.header("Sec-WebSocket-Extensions") or "")
            self.settle(10)

    def test_other_extensions_are_not_taken(self) -> None:
        peer = self.enter(Sec_WebSocket_Extensions="permessage-bzip2, x-webkit-deflate-frame")
        assert peer.header("Sec-WebSocket-Extensions") is None
        assert peer.events[0][0] == "init"


class Echo(RoomCase):
    def test_echoes_text_and_binary(self) -> None:
        peer = self.enter("/echo", Sec_WebSocket_Protocol="echo-protocol")
        assert peer.header("Sec-WebSocket-Protocol") == "echo-protocol"
        peer.frame(0x81, "发送数据".encode())
        peer.frame(0x82, b"\xff" * 100_000)
        self.settle()
        assert peer.frames == [(0x81, "发送数据".encode()), (0x82, b"\xff" * 100_000)]

    def test_any_client(self) -> None:
        assert self.enter("/echo").status == 101
        assert self.enter("/echo", Sec_WebSocket_Protocol="x").status == 101
