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
