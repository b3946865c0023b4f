"""Connections from their first byte on: how long they may be silent."""

from __future__ import annotations

from chatroom.site import HEAD
from tests.rig import RoomCase


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
        self.settle()
        assert peer.body.count(b"HTTP/1.1 200") == 5

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
