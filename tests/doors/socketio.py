"""Somebody with a client of Socket.IO, of its present protocols or of the old ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.doors.case import handshake
from tests.doors.http import Answer, Line
from tests.doors.person import Heard, Person, entry
from tests.doors.websocket import Wire

SEPARATOR = "\x1e"


class SocketIoPerson(Person):
    """
    Socket.IO, revision 5, over Engine.IO 4 (socket.io-client since 3.0).

    Begins by polling, has a WebSocket at once, or changes from the one to the other, as it *polls*
    and *upgrades*; in each case all that is said is acknowledged if it *acks*. With *recovers* it
    comes back as socket.io-client does by itself, else by the cursor of docs/protocol.md.
    """

    version = 4
    polls = False
    upgrades = False
    acks = False
    recovers = False

    _polling: Line
    _posting: Line
    _wire: Wire | None = None
    _sid: str | None = None
    _pid: str | None = None
    _offset: str | None = None
    _over = False
    _probing = False
    """Whether there is no further poll, for the WebSocket is about to take over."""
    _upgraded = False
    _acks: int = 0

    def come(self) -> None:
        self._sid = self._wire = None
        self._over = self._probing = self._upgraded = False
        self._waiting: dict[int, str | None] = {}
        self._connected = False
        self._buffer: list[str] = []
        if self.polls:
            self._polling = self.case.wire(Line())
            self._posting = self.case.wire(Line())
            self._poll()
        else:
            self._dial()

    def say(self, text: str, nonce: str | None = None) -> None:
        more = {} if nonce is None else {"nonce": nonce}
        self.emit("talk", nonce, room=self.room, message=text, **more)

    def rename(self, name: str) -> None:
        self.emit("rename", None, name=name)

    def nonsense(self) -> None:
        self.emit("talk", None, message=7)

    def garbage(self, data: bytes) -> None:
        text = data.decode("latin-1").replace(SEPARATOR, "")
        # As an event, as a packet of Socket.IO, and as one of Engine.IO.
        for packet in (f"42{text}", f"4{text}", text or "4"):
            self._send(packet)

    def emit(self, event: str, nonce: str | None = None, /, **data: Any) -> None:
        """Send *event* with *data*; *nonce* is that of what is said."""
        ack = ""
        if self.acks:
            self._acks += 1
            self._waiting[self._acks] = nonce
            ack = str(self._acks)
        packet = f"42{ack}{json.dumps([event, data])}"
        if self._connected:
            self._send(packet)
        else:
            self._buffer.append(packet)

    def leave(self) -> None:
        self._send("41")
        self._send("1")

    def cut(self) -> None:
        for line in self._lines:
            line.sever()

    def stop(self) -> None:
        for line in self._lines:
            line.server.stuck = True

    def go_on(self) -> None:
        for line in self._lines:
            line.server.stuck = False

    def look(self) -> None:
        if self._wire is not None and not self.polls:
            self.status = self._wire.status
            self.code = self._wire.ended

    @property
    def over(self) -> bool:
        carries = self._upgraded or not self.polls
        return self._over or (carries and self._wire is not None and self._wire.lost)

    @property
    def held(self) -> int:
        return sum(line.server.held for line in self._lines)

    @property
    def _lines(self) -> list[Line | Wire]:
        found: list[Line | Wire] = [self._polling, self._posting] if self.polls else []
        return found if self._wire is None else [*found, self._wire]

    # Engine.IO.

    def _at(self, transport: str) -> str:
        query = {"EIO": str(self.version), "transport": transport}
        if self._sid is not None:
            query["sid"] = self._sid
        elif self.version == 3:
            query |= {name: str(value) for name, value in self._wishes().items()}
        return f"/socket.io/?{urlencode(query)}"

    def _poll(self) -> None:
        headers = {"Origin": self.origin}
        self._polling.ask("GET", self._at("polling"), self._polled, headers=headers)

    def _polled(self, answer: Answer) -> None:
        if self._sid is None:
            self.status = answer.status
        if answer.status != 200:
            self._over = True
            return
        found = self._split(answer.body)
        # The most that python-engineio takes.
        assert len(found) <= 16
        for packet in found:
            self._packet(packet)
        if not self._over and not self._probing and not self._polling.lost:
            self._poll()
        elif self._probing and not self._upgraded:
            # Nothing more comes by polling (the upgrade of the protocol).
            self._upgraded = True
            self._frame("5")

    def _split(self, payload: bytes) -> list[str]:
        return payload.decode().split(SEPARATOR)

    def _join(self, packet: str) -> str:
        return packet

    def _dial(self, begun: Callable[[], None] | None = None) -> None:
        self._wire = self.case.wire(Wire(self._framed, begun))
        self._wire.transport.write(handshake(self._at("websocket"), Origin=self.origin))

    def _framed(self, payload: bytes, binary: bool) -> None:
        assert not binary
        self._packet(payload.decode())

    def _frame(self, packet: str) -> None:
        assert self._wire is not None
        self._wire.frame(0x81, packet.encode())

    def _send(self, packet: str) -> None:
        if self._upgraded or not self.polls:
            self._frame(packet)
        else:
            self._posting.ask(
                "POST",
                self._at("polling"),
                self._posted,
                body=self._join(packet).encode(),
                headers={"Content-Type": "text/plain;charset=UTF-8", "Origin": self.origin},
            )

    def _posted(self, answer: Answer) -> None:
        if answer.status != 200:
            self._over = True

    def _packet(self, packet: str) -> None:
        kind, rest = packet[0], packet[1:]
        if kind == "0":
            self._opened(json.loads(rest))
        elif kind == "1":
            self._over = True
        elif kind == "2":
            self._send("3" + rest)
        elif packet == "3probe":
            # The poll that waits is answered now; then it is the WebSocket's turn.
            self._probing = True
        elif kind == "4":
            self._message(rest)
        else:
            assert kind in "36", packet

    def _opened(self, told: dict[str, Any]) -> None:
        self._sid = told["sid"]
        if self.polls:
            assert told["upgrades"] == ["websocket"]
        self._send("40" + json.dumps(self._wishes()))
        if self.upgrades:
            self._dial(lambda: self._frame("2probe"))

    # Socket.IO.

    def _wishes(self) -> dict[str, Any]:
        wishes: dict[str, Any] = {"room": self.room, "name": self.wish, "token": self.token}
        if self.recovers:
            offset = None if self._offset is None else f"{self.epoch}-{self.last}"
            wishes |= {"pid": self._pid, "offset": offset}
        elif self.epoch is not None:
            wishes |= {"after": self.last, "epoch": self.epoch}
        return {name: value for name, value in wishes.items() if value is not None}

    def _message(self, message: str) -> None:
        found = re.fullmatch(r"(\d)(\d*)(.*)", message, re.DOTALL)
        assert found is not None, message
        kind, id, text = found.groups()
        told: Any = json.loads(text) if text else {}
        if kind == "0":
            pid = told.get("pid")
            if pid is not None and pid == self._pid and self._offset:
                self.resumed.append(True)
            self._pid = pid
            self._connected = True
            buffer, self._buffer = self._buffer, []
            for packet in buffer:
                self._send(packet)
        elif kind == "1":
            self._over = True
        elif kind == "2":
            event, data, *more = told
            self.hear(event, data)
            if more and more[0]:
                self._offset = more[0]
                assert self._offset == f"{self.epoch}-{self.last}"
        elif kind == "3":
            self._acked(int(id), told)
        elif kind == "4":
            reason = told.get("data", told)
            self.heard.append(Heard("error", text=reason["code"]))

    def _acked(self, id: int, told: list[dict[str, Any]]) -> None:
        nonce = self._waiting.pop(id)
        if told and "code" in told[0]:
            error = {"nonce": nonce, **told[0]}
            assert error["nonce"] == nonce
            self.hear("error", error)
        elif told:
            self.answer(entry("talk", told[0]))


class PollingIoPerson(SocketIoPerson):
    """The same by polling alone, with acknowledgements."""

    polls = acks = True


class UpgradingIoPerson(SocketIoPerson):
    """The same, as a browser does it: by polling first, and then over a WebSocket."""

    polls = upgrades = acks = True


class RecoveringIoPerson(SocketIoPerson):
    """The same with what socket.io-client does when it has lost its connection."""

    recovers = acks = True


class OldIoPerson(SocketIoPerson):
    """Socket.IO, revision 4, over Engine.IO 3 (socket.io-client 2.x)."""

    version = 3

    def _opened(self, told: dict[str, Any]) -> None:
        self._sid = told["sid"]
        # It is the client who gives signs of life.
        self._ping(self._sid, told["pingInterval"] / 1000)

    def _ping(self, sid: str | None, seconds: float) -> None:
        if sid == self._sid and not self.over and not any(line.deaf for line in self._lines):
            self._send("2")
            self.case.clock.callLater(seconds, self._ping, sid, seconds)


class OldPollingIoPerson(OldIoPerson):
    """The same by polling alone, with acknowledgements."""

    polls = acks = True

    def _split(self, payload: bytes) -> list[str]:
        found = []
        if payload[0]:
            # All count such characters alike; what has others is binary.
            text = payload.decode()
            while text:
                size, _, text = text.partition(":")
                found.append(text[: int(size)])
                assert max(found[-1]) <= "\uffff"
                text = text[int(size) :]
        while payload and not payload[0]:
            digits, _, rest = payload[1:].partition(b"\xff")
            size = "".join(map(str, digits))
            found.append(rest[: int(size)].decode())
            payload = rest[int(size) :]
        return found

    def _join(self, packet: str) -> str:
        return f"{len(packet.encode('utf-16-le')) // 2}:{packet}"
