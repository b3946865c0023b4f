"""
A server that sends back what it gets over Engine.IO: ``python -m tests.conformance.engineio_server``.

It says on its first line where it listens, and what its options are says ``--help``. `Echo` runs it
for a test.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from twisted.internet import reactor as installed
from twisted.internet.tcp import Port
from twisted.python.log import startLogging
from twisted.web.resource import Resource

from chatroom.answers import Origins, Places
from chatroom.engineio import EngineDoor, Socket
from chatroom.events import Close
from chatroom.fast import FAST, Direct
from chatroom.site import Site
from tests.daemon import PATIENT

reactor: Any = installed
PATH = "engine.io"
COMMANDS = {"close me": Close.POLICY, "try again": Close.TRY_AGAIN}
"""What ends the connection, when it is said, and how."""


class EchoApplication:
    """Sends back what it gets, and prints who comes and goes."""

    def opened(self, socket: Socket) -> None:
        if "greeting" in socket.query:
            socket.send(*socket.query["greeting"])
        print(f"opened {socket.version}", flush=True)

    def received(self, socket: Socket, message: str | bytes) -> None:
        if isinstance(message, str) and message in COMMANDS:
            socket.send("as you wish")
            socket.close(COMMANDS[message], message)
        else:
            socket.send(message)

    def paused(self, socket: Socket) -> None:
        print("paused", flush=True)

    def resumed(self, socket: Socket) -> None:
        print("resumed", flush=True)

    def closed(self, socket: Socket, clean: bool) -> None:
        print(f"closed {'clean' if clean else 'lost'}", flush=True)


class Echo:
    """The server as a process of its own, with further *options*, as a context manager."""

    module = "tests.conformance.engineio_server"

    def __init__(self, *options: str) -> None:
        self._options = options
        self._told: list[str] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, *self._options],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.wait("listening on ([0-9]+)")[1])
        return self

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self, pattern: str) -> re.Match[str]:
        """Read on up to a line that matches *pattern*; whoever runs the test bounds the time."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._told.append(line)
            if found := re.fullmatch(pattern, line.strip()):
                return found
        raise AssertionError(f"never said {pattern}: {''.join(self._told)}")

    def stop(self) -> str:
        """End it as an init system would; return all that it has printed."""
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        self._told += self.process.stdout
        assert self.process.wait(PATIENT) == 0
        return "".join(self._told)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            pass


def main() -> None:
    """Listen on a free port of the loopback until it is to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ping-interval", type=float, default=25.0, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=20.0, help="seconds")
    parser.add_argument("--max-payload", type=int, default=65_536, help="bytes")
    parser.add_argument("--transports", nargs="+", default=["polling", "websocket"])
    parser.add_argument("--origin", action="append", default=[])
    options = parser.parse_args()
    startLogging(sys.stdout, setStdout=False)
    door = EngineDoor(
        EchoApplication(),
        reactor,
        Origins(options.origin),
        Places(0, 0),
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_payload=options.max_payload,
        transports=options.transports,
    )
    root = Resource()
    root.putChild(PATH.encode(), door)
    port: Port = reactor.listenTCP(0, Site(root, reactor), interface="127.0.0.1")
    if FAST:
        # As the daemon does.
        port.transport = Direct
    reactor.addSystemEventTrigger("before", "shutdown", door.farewell)
    print(f"listening on {port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
