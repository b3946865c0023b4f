"""``twistd chatroom``: its options, and the service that wires all the parts together."""

from __future__ import annotations

import contextlib
import gc
import re
import resource
import signal
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from twisted.application import service
from twisted.internet import defer, endpoints, interfaces, task, tcp, threads
from twisted.internet import reactor as _reactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from chatroom.chat import Chat
from chatroom.doors import NAMES, Doors
from chatroom.fast import FAST, Direct
from chatroom.files import Folder, FolderError
from chatroom.hooks import HooksError
from chatroom.log import Log
from chatroom.markup import render
from chatroom.memory import MemoryLog
from chatroom.site import Site
from chatroom.sqlite import SqliteLog, StoreError
from chatroom.web import root

PAGE = Path(__file__).parent / "web"
TICK = 0.5
"""Every so many seconds `Chat.tick` is called."""
SWEEP = 10.0
"""Every so many seconds `Folder.sweep` is called."""
DAY = 86_400
MANY = 1_000_000
LARGE = 2**50
BACKLOG = 4096
"""So many connections may wait to be accepted, if the system lets them; Twisted's 50 are few."""
FREEZE = 500
"""With each so many connections more, the garbage collector stops looking at what there is."""

# The module's type is that of a module; what it is, the reactor that twistd has installed, is more.
reactor: Any = _reactor


class CannotStart(SystemExit, Exception):
    """
    What keeps the service from starting; its text is all that is printed.

    As `SystemExit` it ends ``twistd -n`` with status 1 and without a traceback; as `Exception` it is
    passed on by a daemon to the command that started it.
    """


def _number(least: float, most: float, whole: bool = False) -> Callable[[str], float]:
    kind, name = (int, "a whole number") if whole else (float, "a number")

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {name}") from None
        if not least <= value <= most:
            raise ValueError(f"{text} is not from {least} to {most}")
        return value

    return number


def _folder(text: str) -> Path:
    path = Path(text)
    if not (path / "index.html").is_file():
        raise ValueError(f"there is no index.html in {text!r}")
    return path.absolute()


def _store(text: str) -> Path | None:
    kind, colon, path = text.partition(":")
    if (kind, colon, path) == ("memory", ":", ""):
        return None
    if kind == "sqlite" and Path(path).name:
        return Path(path)
    raise ValueError(f"{text!r} is neither sqlite:PATH nor memory:")


class Options(usage.Options):
    """The options of ``twistd chatroom``."""

    synopsis = "[options]"
    longdesc = "A chat room: open the address that it prints in a browser."
    optFlags: ClassVar[list[list[Any]]] = [
        ["echo", None, "Also echo on /echo what a WebSocket client sends there."]
    ]
    optParameters: ClassVar[list[list[Any]]] = [
        [
            "store",
            None,
            "sqlite:chatroom.sqlite",
            "Where what was said is kept: sqlite:PATH, or memory: to keep it only while running.",
        ],
        ["web", None, None, "A folder with another page than the one that comes along."],
        ["ping", None, 25, "Seconds between signs of life asked of a connection; 0 for none."],
        [
            "ping-timeout",
            None,
            20,
            "Seconds without an answer after which a connection is given up; 0 for never.",
        ],
        ["max-message", None, 4000, "The most characters of one message."],
        ["max-file", None, 10 * 2**20, "The most bytes of a file; 0 is for no uploads."],
        ["max-files", None, 2**30, "The most bytes of all files together."],
        [
            "files",
            None,
            None,
            "A folder where files are kept, by default beside the store, with .files behind its name.",
        ],
        ["max-connections", None, 0, "The most connections to the room; 0 is without limit."],
        ["max-per-address", None, 0, "The most connections from one address; 0 is without limit."],
        [
            "talk-rate",
            None,
            5,
            "How many messages a second a user may send for long; 0 is without limit.",
        ],
        ["talk-burst", None, 20, "How many messages a user may send at once."],
        ["crowd", None, 200, "From more users than this on, a room hears of others in summaries."],
        [
            "grace",
            None,
            10,
            "Seconds that someone cut off has to come back before the others see them leave.",
        ],
    ]
    _values: ClassVar[dict[str, Callable[[str], object]]] = {
        "store": _store,
        "web": _folder,
        "ping": _number(0, DAY),
        "ping-timeout": _number(0, DAY),
        "max-message": _number(1, 100_000, whole=True),
        "max-file": _number(0, LARGE, whole=True),
        "max-files": _number(0, LARGE, whole=True),
        "max-connections": _number(0, MANY, whole=True),
        "max-per-address": _number(0, MANY, whole=True),
        "talk-rate": _number(0, MANY),
        "talk-burst": _number(1, MANY, whole=True),
        "crowd": _number(1, MANY, whole=True),
        "grace": _number(0, DAY),
    }

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["irc"] = []
        self["origin"] = []
        self["doors"] = set(NAMES)

    def opt_listen(self, description: str) -> None:
        """
        Where to listen, as a Twisted endpoint: tcp:8080, tcp:8080:interface=127.0.0.1,
        ssl:443:privateKey=key.pem:certKey=cert.pem, unix:/run/chatroom.sock,
        systemd:domain=INET:index=0. May be given more than once. [default: tcp:8080]
        """
        self._endpoint("listen", description)

    def opt_irc(self, description: str) -> None:
        """
        Where to listen for IRC clients, likewise: tcp:6667, ssl:6697:privateKey=key.pem. May be
        given more than once; otherwise there is IRC over WebSocket alone.
        """
        self._endpoint("irc", description)

    def _endpoint(self, option: str, description: str) -> None:
        try:
            endpoints.serverFromString(reactor, description)
        except Exception as error:
            raise usage.UsageError(
                f"--{option}: cannot listen on {description!r}: {error}"
            ) from error
        self[option].append(description)

    def opt_origin(self, origin: str) -> None:
        """
        A site whose pages may connect too, as https://chat.example; * is any. May be given more
        than once. Pages of the host that they connect to always may.
        """
        if not re.fullmatch(r"\*|null|https?://[^/\s]+/?", origin):
            raise usage.UsageError(
                f"--origin: {origin!r} is not an origin like https://chat.example"
            )
        self["origin"].append(origin)

    def opt_without(self, door: str) -> None:
        """
        A door to leave closed: hooks, irc, poll, rest, socketio or sse. May be given more than
        once.
        """
        if door not in NAMES:
            raise usage.UsageError(f"--without: {door!r} is none of {', '.join(NAMES)}")
        self["doors"].discard(door)

    def postOptions(self) -> None:
        self["listen"] = self["listen"] or ["tcp:8080"]
        if self["irc"] and "irc" not in self["doors"]:
            raise usage.UsageError("--irc: --without irc leaves this door closed")
        if self["web"] is None:
            self["web"] = PAGE
        for name, value in self._values.items():
            try:
                self[name] = value(str(self[name]))
            except ValueError as error:
                raise usage.UsageError(f"--{name}: {error}") from None
        if self["files"] == "":
            raise usage.UsageError("--files: '' is no folder")
        if self["files"] is not None:
            self["files"] = Path(self["files"])
        elif self["store"] is not None:
            self["files"] = self["store"].with_name(f"{self['store'].name}.files")


class Later(Factory):
    """What serves a port that is bound before there is what serves it."""

    noisy = False
    factory: interfaces.IProtocolFactory

    def buildProtocol(self, addr: Any) -> Any:
        return self.factory.buildProtocol(addr)


class ChatService(service.Service):
    """The room as *options* have it: listens, serves, and stops without losing anything."""

    _log = Logger()

    def __init__(self, options: Options) -> None:
        self._options = options
        self._site = Site(Resource(), reactor)
        self._irc = Later()
        self._ports: dict[str, interfaces.IListeningPort] = {}
        self._store: SqliteLog | None = None
        # Where there is no store, what was uploaded goes with the process, too.
        self._passing: TemporaryDirectory[str] | None = None
        self._frozen = 0

    def privilegedStartService(self) -> None:
        """
        Bind all ports, before privileges are given up. Raises `CannotStart`.

        The process may then have as many files open as the system allows it to.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Not all systems let one have what they say: then it stays as it was.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for description in self._options["listen"]:
            self._bind(description, self._site)
        for description in self._options["irc"]:
            self._bind(description, self._irc)

    def _bind(self, description: str, factory: interfaces.IProtocolFactory) -> None:
        """Bind the port *description* for *factory*. Raises `CannotStart`."""
        failed: list[Failure] = []
        endpoint = endpoints.serverFromString(reactor, description)
        endpoint.listen(factory).addCallbacks(
            partial(self._ports.__setitem__, description), failed.append
        )
        if failed:
            error = failed[0].value
            reason = getattr(error, "socketError", error)
            raise CannotStart(f"chatroom: cannot listen on {description}: {reason}")
        port: Any = self._ports[description]
        if isinstance(port, tcp.Port) and "backlog=" not in description:
            port.socket.listen(BACKLOG)
        if type(port) is tcp.Port and FAST:
            port.transport = Direct

    def startService(self) -> None:
        """Open the store and the doors. Raises `CannotStart`."""
        options = self._options
        try:
            log = self._open()
            self._folder = self._shelve(log)
        except (StoreError, FolderError) as error:
            raise CannotStart(f"chatroom: {error}") from None
        self._chat = chat = Chat(
            log,
            reactor.seconds,
            time.time,
            grace=options["grace"],
            rate=options["talk-rate"],
            burst=options["talk-burst"],
            crowd=options["crowd"],
            message=options["max-message"],
            types={"text": None, "markdown": render},
            files=self._folder,
            fault=lambda error: self._log.failure("a bug in markup", Failure(error)),
        )
        try:
            self._doors = Doors(chat, self._folder, options, reactor)
        except HooksError as error:
            raise CannotStart(f"chatroom: {error}") from None
        self._irc.factory = self._doors.irc
        self._site.resource = root(
            options["web"], self._doors.resources, lean=options["web"] == PAGE
        )
        self._ticking = self._regularly(TICK, self._tick)
        self._sweeping = self._regularly(SWEEP, self._sweep)
        reactor.callWhenRunning(self._running)
        super().startService()

    @defer.inlineCallbacks
    def stopService(self) -> Generator[defer.Deferred[Any], Any, None]:
        """Stop accepting, finish the commit under way, and close all connections with 1012."""
        yield defer.gatherResults(
            [defer.maybeDeferred(port.stopListening) for port in self._ports.values()]
        )
        committed: defer.Deferred[None] = defer.Deferred()
        self._chat.log.check(lambda _: committed.callback(None))
        yield committed
        yield self._doors.farewell()
        self._ticking.stop()
        self._sweeping.stop()
        yield self._folder.close()
        if self._passing is not None:
            self._passing.cleanup()
        if self._store is not None:
            self._store.close()
        super().stopService()

    def _open(self) -> Log:
        if self._options["store"] is None:
            return MemoryLog(partial(reactor.callLater, 0))
        self._store = SqliteLog(self._options["store"], reactor.callFromThread)
        return self._store

    def _shelve(self, log: Log) -> Folder:
        path = self._options["files"]
        if path is None:
            self._passing = TemporaryDirectory(prefix="chatroom-")
            path = Path(self._passing.name)
        return Folder(
            path,
            limit=self._options["max-file"],
            total=self._options["max-files"],
            has_file=log.has_file,
            epoch=log.epoch,
            run=threads.deferToThread,
            clock=reactor.seconds,
            wall=time.time,
        )

    def _regularly(self, seconds: float, call: Callable[[], None]) -> task.LoopingCall:
        regular = task.LoopingCall(call)
        regular.clock = reactor
        regular.start(seconds, now=False)
        return regular

    def _sweep(self) -> None:
        try:
            self._folder.sweep()
        except Exception:  # noqa: BLE001 (the next sweep may do)
            self._log.failure("a bug in a sweep")

    def _tick(self) -> None:
        try:
            self._chat.tick()
        except Exception:  # noqa: BLE001 (the next tick may do)
            self._log.failure("a bug in a tick")
        self._freeze(self._doors.connections)

    def _freeze(self, connections: int) -> None:
        """
        Keep the garbage collector from going through *connections*, while everybody waits.

        An ordinary one leaves no garbage; what others leave is collected when half of all have gone.
        """
        if connections >= self._frozen + FREEZE:
            gc.collect()
            gc.freeze()
            self._frozen = connections
        elif self._frozen and connections <= self._frozen // 2:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._frozen = connections

    def _running(self) -> None:
        # The reactor's own would have the process die of the signal, and not with status 0.
        signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(self._terminate))
        where = ", ".join(
            address(description, self._ports[description].getHost())
            for description in self._options["listen"]
        )
        self._log.info("The room is open: {where}", where=where)
        gc.collect()
        gc.freeze()

    def _terminate(self) -> None:
        with contextlib.suppress(ReactorNotRunning):  # when it is asked twice
            reactor.stop()


def address(description: str, host: object) -> str:
    """Return where people find what listens as *description* on *host*: a URL for a browser."""
    port = getattr(host, "port", None)
    if port is None:
        return description
    name = host.host  # type: ignore[attr-defined]
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(name, name)
    if ":" in name:
        name = f"[{name}]"
    scheme = "https" if re.match("(ssl|tls):", description) else "http"
    return f"{scheme}://{name}:{port}/"


def makeService(options: Options) -> service.IService:
    """Return the service of ``twistd chatroom``."""
    # Twisted's own clock is the system's: set back, it would stop all that waits for that long.
    reactor.seconds = time.monotonic
    return ChatService(options)
