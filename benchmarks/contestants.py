"""The servers that are measured, how each is started, and what to install where one is missing."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generator import HERE, Failed, compile_c, on

SERVERS = HERE / "servers"
TWISTD = Path(sys.executable).with_name("twistd")
NCHAN = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules")
PATIENCE = 30.0
"""Seconds that a server has to start, and to end."""


@dataclass(frozen=True)
class Place:
    """Where programs are compiled to (*cache*), and where npm packages are (*npm*, if anywhere)."""

    cache: Path
    npm: Path | None

    @property
    def modules(self) -> Path | None:
        """The ``node_modules`` to use."""
        if self.npm is None:
            return None
        inside = self.npm / "node_modules"
        return inside if inside.is_dir() else self.npm

    def version(self, package: str) -> str | None:
        """Return the version of the npm *package*, None if it is not there."""
        if self.modules is None:
            return None
        about = self.modules / package / "package.json"
        return str(json.loads(about.read_text())["version"]) if about.is_file() else None


@dataclass(frozen=True)
class Contestant:
    """
    One server.

    *missing* returns what to install, or None; *command* the command that serves on a port, given
    a folder that is its own; *wire* and *path* are what the generator needs to know.
    """

    key: str
    title: str
    command: Callable[[Place, Path, int], Sequence[str | Path]]
    missing: Callable[[Place], str | None]
    wire: str = "plain"
    path: str = "/ws"


def _turn(how: str) -> Callable[[Place, Path, int], Sequence[str | Path]]:
    return lambda place, _, port: [compile_c(SERVERS / "turn.c", place.cache), str(port), how]


def _daemon(store: str) -> Callable[[Place, Path, int], Sequence[str | Path]]:
    def command(place: Place, folder: Path, port: int) -> Sequence[str | Path]:
        listen = f"tcp:{port}:interface=127.0.0.1"
        rules = ["--talk-rate", "1000000", "--talk-burst", "1000000"]
        return [
            TWISTD,
            "-n",
            "--pidfile=",
            "chatroom",
            "--listen",
            listen,
            "--store",
            store,
            *rules,
        ]

    return command


def bun(place: Place) -> Path | None:
    """Return the program of Bun: the npm package's, or else the one that is installed."""
    at = place.modules / ".bin" / "bun" if place.modules else None
    found = shutil.which("bun")
    return at if at is not None and at.exists() else Path(found) if found else None


def _no_package(package: str) -> Callable[[Place], str | None]:
    def missing(place: Place) -> str | None:
        if shutil.which("node") is None:
            return "install Node.js"
        if place.version(package) is None:
            return f"npm install {package}, and give its folder with --npm"
        return None

    return missing


def _node(script: str) -> Callable[[Place, Path, int], Sequence[str | Path]]:
    return lambda _, __, port: ["node", SERVERS / script, str(port)]


def _nchan_module() -> Path | None:
    for folder in NCHAN:
        if (module := Path(folder, "ngx_nchan_module.so")).exists():
            return module
    return None


def nginx() -> str | None:
    """Return the program of nginx."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _nchan(place: Place, folder: Path, port: int) -> Sequence[str | Path]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = (SERVERS / "nchan.conf.in").read_text()
    for name, value in (("MODULE", _nchan_module()), ("FILES", files), ("PORT", port)):
        text = text.replace(f"@{name}@", str(value))
    (folder / "nginx.conf").write_text(text)
    program = nginx()
    assert program is not None
    return [program, "-p", folder, "-e", "start.log", "-c", "nginx.conf"]


def _no_nchan(_: Place) -> str | None:
    found = nginx() is not None and _nchan_module() is not None
    return None if found else "install nginx and libnginx-mod-nchan"


def _no_daemon(_: Place) -> str | None:
    return None if TWISTD.exists() else "pip install chatroom for the Python that runs this"


def _no_compiler(_: Place) -> str | None:
    return None if shutil.which("cc") else "install gcc or clang"


CONTESTANTS = (
    Contestant("send", "C, one `send()` a message", _turn("send"), _no_compiler),
    Contestant("turn", "C, one `send()` a turn", _turn("turn"), _no_compiler),
    Contestant(
        "bun",
        "Bun `publish` (uWebSockets)",
        lambda place, _, port: [bun(place) or "bun", SERVERS / "bun.js", str(port)],
        lambda place: None if bun(place) else "npm install bun, and give its folder with --npm",
    ),
    Contestant("nchan", "nginx + nchan¹", _nchan, _no_nchan),
    Contestant("ws", "Node.js `ws`", _node("ws.js"), _no_package("ws")),
    Contestant(
        "socketio",
        "Socket.IO",
        _node("socketio.js"),
        _no_package("socket.io"),
        "socketio",
        "/socket.io/?EIO=4&transport=websocket",
    ),
    Contestant(
        "websockets",
        "Python `websockets`, `broadcast`",
        lambda _, __, port: [sys.executable, SERVERS / "websockets_broadcast.py", str(port)],
        lambda _: None if importlib.util.find_spec("websockets") else "pip install websockets",
    ),
    Contestant("durable", "**chatroom**", _daemon("sqlite:room.sqlite"), _no_daemon, "chatroom"),
    Contestant("memory", "**chatroom**, `memory:`", _daemon("memory:"), _no_daemon, "chatroom"),
)
OURS = ("durable", "memory")
BY_KEY = {contestant.key: contestant for contestant in CONTESTANTS}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


class Running:
    """A *contestant* that serves from *folder* on its *port*, alone on *core*."""

    def __init__(
        self, contestant: Contestant, place: Place, folder: Path, core: int, *options: str
    ) -> None:
        self.contestant = contestant
        self.port = free_port()
        self.log = folder / "output.log"
        self._folder = folder
        self._core = core
        self._environment = dict(os.environ)
        if place.modules is not None:
            self._environment["NODE_PATH"] = str(place.modules)
        self._command = [*map(str, contestant.command(place, folder, self.port)), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers. Raises `Failed`."""
        with self.log.open("ab") as log, on(self._core):
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                self._ask()
                return
            time.sleep(0.02)
        raise Failed(f"{self.contestant.key} did not start: {self._last_line()}")

    def _ask(self) -> None:
        """Wait for any answer to a request, refusals too. Raises `OSError`."""
        address = ("127.0.0.1", self.port)
        request = f"GET {self.contestant.path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(address, timeout=PATIENCE) as asking:
            asking.sendall(request.encode())
            asking.recv(100)

    def _last_line(self) -> str:
        return (self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[
            -1
        ]

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in self.pids:
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def traceback(self) -> str | None:
        """Return the last line of what it logged, if a Python traceback is in it."""
        return self._last_line() if b"Traceback" in self.log.read_bytes() else None


@contextlib.contextmanager
def running(
    contestant: Contestant, place: Place, folder: Path, core: int, *options: str
) -> Iterator[Running]:
    """Run *contestant* with further *options* while the block runs."""
    server = Running(contestant, place, folder, core, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
