"""A whole room in memory: the real site on a fake clock, and clients that see every byte."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.test import iosim
from twisted.trial.unittest import TestCase

from chatroom.answers import Origins, Places
from chatroom.chat import Chat
from chatroom.frames import frame
from chatroom.hardened import Upgrade
from chatroom.log import Log
from chatroom.memory import MemoryLog
from chatroom.site import Site
from chatroom.tap import PAGE, TICK
from chatroom.web import Door, Health, root
from chatroom.websocket import ChatFactory, EchoFactory

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Transport(iosim.FakeTransport):
    """One that tells whether it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Peer(Protocol):
    """The far end of a connection to *server*: what was answered, and the frames since."""

    transport: iosim.FakeTransport

    def __init__(self, server: Any) -> None:
        self.server = server
        self.head = b""
        self.frames: list[tuple[int, bytes]] = []
        self.lost = False
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if not self.head and b"\r\n\r\n" in self._data:
            self.head, self._data = self._data.split(b"\r\n\r\n", 1)
            self.head += b"\r\n\r\n"
        if self.status == 101:
            self.frames += self._parse()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def _parse(self) -> Iterator[tuple[int, bytes]]:
        while len(self._data) >= 2:
            size, at = self._data[1], 2
            if size >= 126:
                at = 4 if size == 126 else 10
                size = int.from_bytes(self._data[2:at])
            if len(self._data) < at + size:
                return
            yield self._data[0], self._data[at : at + size]
            self._data = self._data[at + size :]

    @property
    def status(self) -> int:
        """The HTTP status of the answer, 0 before there is one."""
        return int(self.head.split(b" ", 2)[1]) if self.head else 0

    @property
    def body(self) -> bytes:
        """What came behind the head of an answer that is not 101."""
        return self._data

    def header(self, name: str) -> str | None:
        """Return the header *name* of the answer."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            if line.lower().startswith(f"{name.lower()}: "):
                return line.split(": ", 1)[1]
        return None

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What the room has said so far: names and data."""
        found = []
        for first, payload in self.frames:
            if first in (0x81, 0xC1):
                if first == 0xC1:
                    payload = inflated(payload, 12)
                said = json.loads(payload)
                found.append((said["event"], said["data"]))
        return found

    def said(self, name: str) -> list[dict[str, Any]]:
        """Return the data of all events called *name*."""
        return [data for event, data in self.events if event == name]

    @property
    def code(self) -> int | None:
        """The close code that came, if one did."""
        for first, payload in self.frames:
            if first == 0x88:
                return int.from_bytes(payload[:2])
        return None

    def talk(self, event: str, **data: Any) -> None:
        """Say *event* as one text frame."""
        self.frame(0x81, json.dumps({"event": event, "data": data}).encode())

    def frame(self, first: int, payload: bytes) -> None:
        """Send *payload* as one masked frame."""
        self.transport.write(masked(first, payload))

    def close(self, code: int | None = 1000) -> None:
        """Send a close frame."""
        self.frame(0x88, b"" if code is None else code.to_bytes(2))


def inflated(payload: bytes, bits: int) -> bytes:
    """Return the compressed *payload* as it was (RFC 7692, section 7.2.2)."""
    return zlib.decompressobj(wbits=-bits).decompress(payload + b"\0\0\xff\xff")


def masked(first: int, payload: bytes) -> bytes:
    """Return *payload* as one frame of a client (RFC 6455, section 5.3)."""
    plain = frame(first, payload)
    at = len(plain) - len(payload)
    mask = os.urandom(4)
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes((plain[0], plain[1] | 0x80)) + plain[2:at] + mask + body


class RoomCase(TestCase):
    """A test that has a room, on a clock of its own."""

    origins: tuple[str, ...] = ()
    connections = 0
    per_address = 0

    def setUp(self) -> None:
        self.clock = Clock()
        # Autobahn takes its timers from here, when a factory is made.
        timers: Any = txaio
        self.addCleanup(setattr, timers.config, "loop", timers.config.loop)
        timers.config.loop = self.clock
        self.log: Log = MemoryLog(lambda call: self.clock.callLater(0, call))
        self.chat = Chat(self.log, self.clock.seconds, lambda: 1_000_000_000.25)
        self.places = Places(self.connections, self.per_address)
        self.factory = ChatFactory(self.chat, self.places, self.clock)
        origins = Origins(self.origins)
        tree = root(
            PAGE,
            {
                "ws": Door(self.factory, origins),
                "echo": Upgrade(EchoFactory(self.clock), origins),
                "health": Health(self.chat),
            },
        )
        self.site = Site(tree, self.clock)
        self.pumps: list[iosim.IOPump] = []

    def dial(self, address: Any = None) -> Peer:
        """Return a peer with a bare connection."""
        here = IPv4Address("TCP", "127.0.0.1", 8080)
        there = address or IPv4Address("TCP", "192.0.2.1", 50_000)
        channel = self.site.buildProtocol(there)
        server = Transport(channel, True, here, there)
        peer = Peer(server)
        client = iosim.FakeTransport(peer, False, there, here)
        self.pumps.append(iosim.connect(channel, server, peer, client))
        return peer

    def enter(self, path: str = "/ws", *, address: Any = None, **headers: str) -> Peer:
        """Return a peer that has asked for a WebSocket at *path*, and has had its answer."""
        peer = self.dial(address)
        lines = {
            "Host": "chat.example:8080",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        peer.transport.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        self.settle()
        return peer

    def settle(self, seconds: float = 0) -> None:
        """Let everything that is under way arrive, then *seconds* pass, and arrive what follows."""
        self._pump()
        # Who is not called for long takes it that the process was held up.
        self.clock.pump([TICK] * int(seconds / TICK) + [seconds % TICK])
        self.chat.tick()
        self._pump()

    def _pump(self) -> None:
        for _ in range(3):
            while sum(pump.pump() for pump in self.pumps):
                pass
            self.clock.advance(0)
