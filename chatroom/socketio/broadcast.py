"""``/broadcast``: what somebody sends as ``serverMsg``, everybody else gets as ``clientMsg``."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from chatroom.chat import Chat
from chatroom.events import Close, Error, Shared
from chatroom.limits import TokenBucket
from chatroom.session import PATIENCE, Problem
from chatroom.socketio import codec
from chatroom.socketio.codec import BadPacket, Packet
from chatroom.socketio.connection import Connection, Seat

RELAYED = "serverMsg"
PASSED_ON = "clientMsg"


class Broadcast:
    """Who is in the namespace. The limits are those of *chat*; nothing is kept."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.seats: dict[Relay, None] = {}

    def seat(self, connection: Connection, namespace: str) -> Seat:
        """Return a seat for *connection*."""
        return Relay(connection, namespace, self)


class Relay(Seat):
    """One connection that is told what the others of *broadcast* send."""

    def __init__(self, connection: Connection, namespace: str, broadcast: Broadcast) -> None:
        super().__init__(connection, namespace)
        self._broadcast = broadcast
        self._talk = broadcast.chat.bucket(1)
        self._patience = TokenBucket(1, PATIENCE)
        self._paused = False

    def enter(self, wishes: Mapping[str, Any]) -> None:
        self._broadcast.seats[self] = None
        self.accept(sid=secrets.token_urlsafe(15))

    def event(self, packet: Packet) -> None:
        try:
            self._pass_on(packet)
        except Problem as problem:
            error = problem.error(RELAYED if packet.event == RELAYED else None)
            if packet.id is None:
                self.emit(Error.event, error)
            else:
                self.ack(packet.id, error)
            if self._patience.take(self._broadcast.chat.clock()):
                self.end(Close.POLICY, "too many errors")
        else:
            if packet.id is not None:
                self.ack(packet.id)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def left(self, clean: bool) -> None:
        self._broadcast.seats.pop(self, None)

    def _pass_on(self, packet: Packet) -> None:
        if packet.event != RELAYED:
            raise Problem("bad_message", "there is no such event")
        if wait := self._talk.take(self._broadcast.chat.clock()):
            raise Problem("rate_limited", "not so fast", wait)
        try:
            shared = Shared(codec.event(self.namespace, PASSED_ON, *packet.values()))
        except (BadPacket, RecursionError) as error:
            raise Problem("bad_message", str(error)) from error
        for seat in self._broadcast.seats:
            # Nothing is kept for those who do not take it.
            if seat is not self and not seat._paused:
                seat.socket.write(shared, _made)


def _made(messages: list[str | bytes]) -> list[str | bytes]:
    return messages
