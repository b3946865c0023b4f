"""Somebody at `/ws`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.doors.case import Pipe, handshake
from tests.doors.person import Ear, Person
from tests.rig import Peer, inflated


class Wire(Ear, Peer):
    """
    The far end of a WebSocket: answers pings, and calls *hear* with each message.

    It calls *begun* when it has begun.
    """

    server: Pipe

    def __init__(
        self, hear: Callable[[bytes, bool], None], begun: Callable[[], None] | None = None
    ) -> None:
        super().__init__(None)
        self._hear = hear
        self._begun = begun

    def dataReceived(self, data: bytes) -> None:
        if self.deaf:
            return
        super().dataReceived(data)
        if self.status == 101 and self._begun is not None:
            begun, self._begun = self._begun, None
            begun()
        frames, self.frames = self.frames, []
        for first, payload in frames:
            if first == 0x89:
                self.frame(0x8A, payload)
            elif first == 0x88:
                self.ended = int.from_bytes(payload[:2]) or None
                self.frame(0x88, payload[:2])
            else:
                plain = inflated(payload, 12) if first & 0x40 else payload
                self._hear(plain, first & 0x0F == 2)

    ended: int | None = None
    """The close code that came, if one did."""


class WebSocketPerson(Person):
    """JSON over a WebSocket of RFC 6455."""

    path = "/ws"
    offer: str | None = None
    wire: Wire

    def come(self) -> None:
        wishes = {"room": self.room, "name": self.wish, "token": self.token, "epoch": self.epoch}
        query: dict[str, Any] = {key: value for key, value in wishes.items() if value is not None}
        if self.epoch is not None:
            query["after"] = self.last
        self.wire = self.case.wire(Wire(self._received))
        self.wire.transport.write(
            handshake(
                f"{self.path}?{urlencode(query)}",
                Origin=self.origin,
                Sec_WebSocket_Extensions=self.offer,
            )
        )

    def say(self, text: str, nonce: str | None = None) -> None:
        more = {} if nonce is None else {"nonce": nonce}
        self.send("talk", room=self.room, message=text, **more)

    def rename(self, name: str) -> None:
        self.send("rename", name=name)

    def nonsense(self) -> None:
        self.wire.frame(0x81, b'{"event": "talk", "data": {"message": 7}}')

    def garbage(self, data: bytes) -> None:
        self.wire.frame(0x81, data)

    def leave(self) -> None:
        self.wire.close()

    def cut(self) -> None:
        self.wire.sever()

    def stop(self) -> None:
        self.wire.server.stuck = True

    def go_on(self) -> None:
        self.wire.server.stuck = False

    def look(self) -> None:
        self.status, self.code = self.wire.status, self.wire.ended

    @property
    def over(self) -> bool:
        return self.wire.lost

    @property
    def held(self) -> int:
        return self.wire.server.held

    def send(self, event: str, /, **data: Any) -> None:
        """Send *event* as the protocol has it."""
        self.wire.talk(event, **data)

    def _received(self, payload: bytes, binary: bool) -> None:
        assert not binary
        said = json.loads(payload)
        self.hear(said["event"], said["data"])


class DeflatedPerson(WebSocketPerson):
    """The same, compressed (RFC 7692)."""

    offer = "permessage-deflate; client_max_window_bits"
