"""The room's whole site in memory, on a loop without a kernel, and what is left of its visitors."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from functools import _lru_cache_wrapper, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, cast

import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.tcp import Server
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.web.resource import Resource
from zope.interface import implementer

from chatroom import terms
from chatroom.answers import Origins, Places
from chatroom.chat import Chat
from chatroom.files import FilesDoor, Folder
from chatroom.files.folder import UNSAID
from chatroom.markup import render
from chatroom.memory import MemoryLog
from chatroom.site import Site
from chatroom.tap import PAGE, TICK
from chatroom.web import Door, Health, root
from chatroom.websocket import ChatFactory
from tests.fuzz.loop import Loop, Socket
from tests.fuzz.memory import resident
from tests.fuzz.uploads import LIMIT, TOTAL

CROWD = 6
"""From more users than this on a room is told in summaries, so that both ways are taken."""
ADDRESSES = 3
"""From so many addresses visitors come; the first is a proxy's on this machine."""


@implementer(ILogObserver)
class Watch:
    """Notes in *faults* what is logged and should not be."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.error or "log_failure" in event:
            self._faults.append(eventAsText(event))


class Port:
    """Where connections are accepted, as a connection knows it."""

    _realPortNumber = 8080


class MemoryWire:
    """A `tests.fuzz.visitors.Wire` over a `Socket`."""

    def __init__(self, socket: Socket) -> None:
        self.put = socket.put
        self.take = socket.take
        self.end = socket.end
        self._socket = socket

    @property
    def closed(self) -> bool:
        return self._socket.closed


class MemoryHouse:
    """
    A `tests.fuzz.visitors.House`: the real site, wired as the daemon wires it.

    As a context manager it watches what is logged: `faults` is all that should not have been.
    """

    hurried = False
    prompt = 15.0

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._watch = Watch(self.faults)
        self._loop = loop = Loop()
        # Autobahn takes its timers from here, when a factory is made.
        self._timers: Any = txaio
        self._loop_before = self._timers.config.loop
        self._timers.config.loop = loop
        self._chat = Chat(
            self._log(),
            loop.seconds,
            self._wall,
            crowd=CROWD,
            types={"text": None, "markdown": render},
        )
        self._place = TemporaryDirectory(prefix="fuzz-")
        self._folder = self._chat.files = Folder(
            Path(self._place.name),
            limit=LIMIT,
            total=TOTAL,
            has_file=lambda id: self._chat.log.has_file(id),
            epoch="e",
            run=partial(deferLater, cast(Any, loop), 0),
            clock=loop.seconds,
            wall=self._wall,
        )
        self._factory = ChatFactory(self._chat, Places(0, 0), loop)
        doors: dict[str, Resource] = {
            "ws": Door(self._factory, Origins([])),
            "health": Health(self._chat),
            "files": FilesDoor(self._folder, self._chat.known, self._chat.spend, Origins([])),
        }
        self._site = Site(root(PAGE, doors), loop)
        self._site.doStart()
        self._ticking = LoopingCall(self._chat.tick)
        self._ticking.clock = loop
        self._ticking.start(TICK, now=False)
        self._connected = 0

    def __enter__(self) -> Self:
        globalLogPublisher.addObserver(self._watch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ticking.stop()
        self._site.doStop()
        self._folder.close()
        self._place.cleanup()
        self._timers.config.loop = self._loop_before
        gc.collect()
        globalLogPublisher.removeObserver(self._watch)

    def connect(self, window: int) -> MemoryWire:
        self._connected += 1
        host = ("127.0.0.1", "192.0.2.1", "192.0.2.2")[self._connected % ADDRESSES]
        protocol = self._site.buildProtocol(IPv4Address("TCP", host, 50_000))
        assert protocol is not None
        socket = Socket(window)
        connection = Server(
            socket,  # type: ignore[arg-type]
            protocol,
            (host, 50_000),
            Port(),  # type: ignore[arg-type]
            self._connected,
            self._loop,  # type: ignore[arg-type]
        )
        protocol.makeConnection(connection)
        return MemoryWire(socket)

    def now(self) -> float:
        return self._loop.seconds()

    def settle(self, seconds: float = 0.0) -> None:
        """Let *seconds* pass, and everything happen that can."""
        self._loop.run(seconds)

    def renew(self) -> None:
        """Begin with an empty log: all that one keeps would be growth otherwise."""
        log = self._log()
        log.listener = self._chat.log.listener
        self._chat.log = log
        # What the old log referred to is as if it had just come.
        for place in self._folder._all():
            self._folder.uploaded(place.name)

    def left(self) -> dict[str, int]:
        """Let the time of grace pass; return what is there of visitors who have gone, by kind."""
        for _ in range(40):
            self.settle(0.5)
        chat, factory = self._chat, self._factory
        # The two that always wait: the tick, and the date in Twisted's HTTP headers.
        timers = len(self._loop.calls) - 2
        counts = {
            "users": len(chat.users),
            "names": len(chat._names),
            "absent": len(chat._absent),
            "rooms": len(chat.rooms),
            "attached files": len(chat._attached),
            "uploads": len(self._folder._uploads),
            "bytes of files": self._swept(),
            "connections": len(list(factory.connections)),
            "counted connections": factory.countConnections,
            "counted addresses": sum(factory.places.addresses.values()),
            "readers": len(self._loop.readers),
            "writers": len(self._loop.writers),
            "timers": timers,
        }
        return {kind: count for kind, count in counts.items() if count}

    def _swept(self) -> int:
        """Sweep; return how many bytes are counted beyond those of files that messages refer to."""
        self.settle(UNSAID)
        self._folder.sweep()
        self.settle()
        said = [place for place in self._folder._all() if self._chat.log.has_file(place.name)]
        return self._folder.used - sum(
            part.stat().st_size for place in said for part in place.iterdir()
        )

    def _wall(self) -> float:
        return 1e9 + self._loop.seconds()

    def _log(self) -> MemoryLog:
        return MemoryLog(lambda call: self._loop.callLater(0, call))


class Footprint:
    """
    How much there is in this process: *objects* by type, memory *blocks*, and *bytes* resident.

    Types are counted that are defined in the room, in Autobahn or in Twisted. Caches that have a
    bound do not count.
    """

    def __init__(self) -> None:
        gc.collect()
        self.objects: Counter[str] = Counter()
        for thing in gc.get_objects():
            if isinstance(thing, _lru_cache_wrapper) and thing.cache_info().maxsize is not None:
                thing.cache_clear()
        terms._folded.clear()
        for thing in gc.get_objects():
            kind = type(thing)
            module = str(kind.__module__)
            if module.partition(".")[0] in ("chatroom", "autobahn", "twisted"):
                self.objects[sys.intern(f"{module}.{kind.__qualname__}")] += 1
        self.blocks = sys.getallocatedblocks()
        self.bytes = resident()[0]
