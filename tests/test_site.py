"""Connections from their first byte on: how long they may be silent, and what they may ask."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory
from twisted.internet.ssl import ClientContextFactory, DefaultOpenSSLContextFactory
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test import iosim
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.test.requesthelper import DummyRequest
from zope.interface import provider

from chatroom import site
from chatroom.answers import Refusal, refused
from chatroom.site import HEAD, TAKE, Body
from tests.doors.case import Pipe
from tests.listeners import Listener, ListeningCase
from tests.rig import KEY, Peer, RoomCase, Transport, masked
from tests.test_hooks_posting import certificate


class Silence(RoomCase):
    def test_who_says_nothing_is_dropped_in_time(self) -> None:
        early = self.dial()
        self.settle(4)
        late = self.dial()
        self.settle(HEAD - 4.1)
        assert (early.lost, late.lost) == (False, False)
        self.settle(0.2)
        assert (early.lost, late.lost) == (True, False)
        assert early.server.aborted
        self.settle(4)
        assert late.lost

    def test_who_goes_or_speaks_is_not_waited_for(self) -> None:
        timers = len(self.clock.getDelayedCalls())
        gone, page, room = self.dial(), self.dial(), self.enter()
        gone.transport.loseConnection()
        page.transport.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.settle(HEAD + 1)
        assert (gone.lost, page.lost, room.lost) == (True, True, False)
        assert (page.status, room.status) == (200, 101)
        room.close()
        self.settle(30)
        assert len(self.clock.getDelayedCalls()) == timers

    def test_handshake_where_no_room_is_is_answered_by_what_is_there(self) -> None:
        assert self.enter("/health").status == 200
        assert self.enter("/nothing").status == 404


class Pipelined(RoomCase):
    """Requests that come before the answers to others have been read."""

    def test_what_is_not_read_is_not_answered_on(self) -> None:
        peer = self.dial()
        request = b"GET /health HTTP/1.1\r\nHost: chat.example\r\n\r\n"
        peer.transport.write(request)
        self.settle()
        assert peer.status == 200
        channel = peer.server.protocol
        # As a transport does whose buffer is full, and later when it is empty.
        channel.pauseProducing()
        peer.transport.write(request * 5)
        self.settle()
        assert peer.body.count(b"HTTP/1.1 200") <= 1
        channel.resumeProducing()
        for _ in range(5):
            self.settle()
        assert peer.body.count(b"HTTP/1.1 200") == 5

    def test_who_asks_much_at_once_has_others_wait_for_one_answer_at_most(self) -> None:
        greedy, modest = self.dial(), self.dial()
        request = b"GET /nothing HTTP/1.1\r\nHost: chat.example\r\n\r\n"
        greedy.transport.write(request * 9)
        modest.transport.write(request)
        for _ in range(3):
            for pump in self.pumps:
                pump.pump()
        assert modest.status == 404
        assert greedy.status == 404
        assert greedy.body.count(b"HTTP/1.1 404") == 0
        for _ in range(9):
            self.settle()
        assert greedy.body.count(b"HTTP/1.1 404") == 8

    def test_who_goes_while_an_answer_waits_leaves_nothing(self) -> None:
        timers = len(self.clock.getDelayedCalls())
        peer = self.dial()
        request = b"GET /health HTTP/1.1\r\nHost: chat.example\r\n\r\n"
        peer.transport.write(request)
        self.settle()
        channel = peer.server.protocol
        channel.pauseProducing()
        peer.transport.write(request * 2)
        self.settle()
        peer.transport.loseConnection()
        self.settle(HEAD + 1)
        assert peer.lost
        assert len(self.clock.getDelayedCalls()) == timers


class Lengths(RoomCase):
    def test_length_of_more_digits_than_can_be_read_is_a_bad_request(self) -> None:
        peer = self.dial()
        head = b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5_000
        peer.transport.write(head + b"\r\nX-More: of it\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        self.settle(HEAD)
        assert peer.status == 400
        assert not peer.body
        assert peer.lost
        assert not self.flushLoggedErrors()


class Bodies(TestCase):
    def test_body_in_small_pieces_takes_little_more_than_in_large_ones(self) -> None:
        request: Any = None
        body = Body(request, 2**16)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(2**15):
            body.write(number.to_bytes(2))
        taken, _ = tracemalloc.get_traced_memory()
        assert taken < 2**18
        body.seek(0)
        assert body.data == b"".join(number.to_bytes(2) for number in range(2**15))


class Untaken(ListeningCase):
    def begin(self) -> Listener:
        """Return who has asked for much and takes nothing."""
        talker = self.enter("/ws")
        for _ in range(40):
            talker.talk("talk", message="x" * 4000)
            self.settle(1)
        listener = self.reach()
        listener.server.stuck = True
        listener.transport.write(b"GET /rooms/lobby/messages HTTP/1.1\r\nHost: a\r\n\r\n")
        self.settle()
        return listener

    def test_who_asks_and_reads_nothing_is_given_up(self) -> None:
        listener = self.begin()
        self.settle(TAKE - 1)
        assert not listener.server.aborted
        self.settle(1)
        assert listener.server.aborted

    def test_who_reads_in_the_end_stays(self) -> None:
        listener = self.begin()
        self.settle(TAKE - 1)
        listener.server.stuck = False
        self.settle(2)
        assert listener.status == 200
        assert not listener.server.aborted

    def test_what_is_full_may_say_so_several_times(self) -> None:
        timers = len(self.clock.getDelayedCalls())
        listener = self.begin()
        self.settle(TAKE - 1)
        # As a transport does that is written to while it is full.
        producer: Any = listener.server.producer
        producer.pauseProducing()
        self.settle(1)
        assert listener.server.aborted
        self.settle(HEAD)
        assert len(self.clock.getDelayedCalls()) == timers

    def test_a_websocket_that_reads_nothing_is_given_up_once(self) -> None:
        self.patch(site, "FAST", False)
        listener = self.reach()
        listener.transport.write(
            b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n" % KEY.encode()
        )
        self.settle()
        listener.server.stuck = True
        listener.transport.write(masked(0x82, bytes(200_000)))
        self.settle(50)
        assert listener.server.aborted
        # That was the heartbeat; the HTTP server has nothing to do with it any more.
        self.settle(TAKE)

    def test_who_does_not_take_the_last_answer_is_given_up_too(self) -> None:
        # As a transport does that has something left.
        self.patch(Pipe, "loseConnection", lambda _: None)
        listener = self.reach()
        listener.transport.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.settle(TAKE - 1)
        assert not listener.server.aborted
        self.settle(1)
        assert listener.server.aborted


class Refused(TestCase):
    def test_time_to_try_again_is_in_milliseconds_and_never_too_early(self) -> None:
        for seconds, told, header in (
            (0.098848247, 0.099, b"1"),
            (30, 30, b"30"),
            (1.5, 1.5, b"2"),
        ):
            request: Any = DummyRequest([])
            why = refused(request, Refusal(429, "rate_limited", "not so fast", seconds))
            assert json.loads(why)["retry_after"] == told
            assert request.responseHeaders.getRawHeaders(b"retry-after") == [header]


class Words(Resource):
    def render_GET(self, request: object) -> bytes:
        return b"words"


class Quiet(RoomCase):
    def test_what_is_asked_for_is_not_written_into_the_log(self) -> None:
        logged: list[str] = []

        @provider(ILogObserver)
        def log(event: LogEvent) -> None:
            logged.append(formatEvent(event))

        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        for method in ("HEAD", "GET", "OPTIONS"):
            peer = self.dial()
            asked = f"{method} /?token=secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            peer.transport.write(asked.encode())
            self.settle()
            assert peer.status in (200, 501)
        assert not [line for line in logged if "secret" in line]
        # Twisted itself writes of a request whose answer has a body that is not sent.
        self.site.resource.putChild(b"static", Words())
        peer = self.dial()
        peer.transport.write(b"HEAD /static?token=secret HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle()
        assert peer.status == 200
        assert [line for line in logged if "HEAD request <Request at 0x" in line], logged
        assert not [line for line in logged if "secret" in line]


class OverTls(RoomCase):
    def dial(self, address: Any = None) -> Peer:
        here = IPv4Address("TCP", "127.0.0.1", 443)
        there = IPv4Address("TCP", "192.0.2.1", 50_000)
        folder = Path(self.enterContext(TemporaryDirectory()))
        path = certificate("localhost", folder)
        context = DefaultOpenSSLContextFactory(path, path)
        channel = TLSMemoryBIOFactory(context, False, self.site, self.clock).buildProtocol(there)
        server = Transport(channel, True, here, there)
        peer = Peer(server)
        clients = Factory.forProtocol(lambda: peer)
        there_too = TLSMemoryBIOFactory(ClientContextFactory(), True, clients, self.clock)
        wrapped = there_too.buildProtocol(here)
        client = iosim.FakeTransport(wrapped, False, there, here)
        self.pumps.append(iosim.connect(channel, server, wrapped, client))
        return peer

    def test_the_page_and_the_room(self) -> None:
        for fast in (True, False):
            self.patch(site, "FAST", fast)
            page = self.dial()
            page.transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.settle()
            assert (page.status, page.lost) == (200, True)
            room = self.enter()
            room.talk("talk", message="hello")
            self.settle()
            assert room.said("talk")[-1]["message"] == "hello"
            room.close()
            self.settle()
            assert (room.code, room.lost) == (1000, True)
            assert not any(self.factory.connections)
