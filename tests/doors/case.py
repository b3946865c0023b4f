"""The real site in memory with all of its doors, on a clock of its own, and people at them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.test import iosim
from zope.interface import implementer

from chatroom.doors import Doors
from chatroom.files import Folder
from chatroom.tap import PAGE, Options
from chatroom.web import root
from tests.doors.person import Person
from tests.rig import KEY, Peer, RoomCase, Transport

FULL = 65_536
"""Twisted's own: so many bytes in its buffer a transport takes before it says that it is full."""
STEP = 2.0
"""So many seconds may pass until somebody gets to answer a ping."""
HOST = "chat.example:8080"

P = TypeVar("P", bound=Person)
F = TypeVar("F")


@implementer(IPushProducer)
class Pipe(Transport):
    """
    One whose far end may be *stuck*: then it is full as a socket would be, and says so.

    iosim's own takes any amount, and never says a word to a producer; and Twisted's HTTP server
    listens to such transports only as say that they are producers themselves.
    """

    stuck = False
    _told = False

    @property
    def held(self) -> int:
        """How many bytes are on their way."""
        return sum(map(len, self.stream))

    def write(self, data: bytes) -> None:
        super().write(data)
        producer = self.producer if self.streamingProducer else None
        if producer is not None and not self._told and self.held > FULL:
            self._told = True
            producer.pauseProducing()

    def getOutBuffer(self) -> Any:
        if self.stuck:
            return None
        data = super().getOutBuffer()
        if self._told and self.producer is not None:
            self._told = False
            self.producer.resumeProducing()
        return data


class DoorCase(RoomCase):
    """A test that has the whole site, and people at its doors."""

    origins = ("https://friend.example",)

    def setUp(self) -> None:
        super().setUp()
        self.people: list[Person] = []
        options = Options()
        options.parseOptions(
            [
                *("--echo", f"--max-per-address={self.per_address}"),
                *(f"--origin={origin}" for origin in self.origins),
                *(f"--without={door}" for door in self.without()),
            ]
        )
        folder = Folder(
            Path(self.enterContext(TemporaryDirectory())),
            limit=0,
            total=0,
            has_file=self.log.has_file,
            epoch=self.log.epoch,
            run=maybeDeferred,
            clock=self.clock.seconds,
            wall=lambda: 1_000_000_000.25,
        )
        self.doors = Doors(self.chat, folder, options, self.clock)
        self.site.resource = root(PAGE, self.doors.resources)

    def without(self) -> list[str]:
        """Return the doors that are closed."""
        return []

    def come(self, kind: type[P], name: str | None = None, *rest: Any, **more: Any) -> P:
        """Return somebody who has come in through the door of *kind*."""
        person = kind(self, name, *rest, **more)
        self.people.append(person)
        person.come()
        self.settle()
        return person

    def settle(self, seconds: float = 0) -> None:
        """Let everything that is under way arrive, *seconds* pass, and everybody look."""
        while seconds > STEP:
            super().settle(STEP)
            seconds -= STEP
        super().settle(seconds)
        for person in self.people:
            person.look()
        super().settle()

    def _pump(self) -> None:
        # Each has a clock of its own, which nobody uses.
        while sum(pump.pump(advanceClock=False) for pump in self.pumps) or self._due():
            self.clock.advance(0)
        self.pumps = [pump for pump in self.pumps if not pump.clientIO.disconnected]

    def _due(self) -> bool:
        return any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls())

    def wire(self, far: F, address: IAddress | None = None, near: Any = None) -> F:
        """Connect *far* to what listens, the factory *near* or the site; its ``server`` is ours."""
        here = IPv4Address("TCP", "127.0.0.1", 8080)
        there: Any = address or IPv4Address("TCP", "192.0.2.1", 50_000)
        protocol = (near or self.site).buildProtocol(there)
        server = Pipe(protocol, True, here, there)
        client = iosim.FakeTransport(far, False, there, here)
        far.server = server  # type: ignore[attr-defined]
        self.pumps.append(iosim.connect(protocol, server, far, client))
        return far

    def dial(self, address: Any = None) -> Peer:
        return self.wire(Peer(None), address)


def handshake(path: str, **more: str | None) -> bytes:
    """Return the head of a request for a WebSocket at *path*, with *more* headers."""
    lines = {
        "Host": HOST,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in more.items() if value is not None}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1")
