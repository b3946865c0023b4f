"""
The server that the public test suite of the Socket.IO protocol expects.

``python -m tests.conformance.socketio_server`` says on its first line where it listens; `Server` runs
it for a test.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.tcp import Port
from twisted.python.log import startLogging
from twisted.web.resource import Resource

from chatroom.answers import Origins, Places
from chatroom.engineio import EngineDoor
from chatroom.fast import FAST, Direct
from chatroom.site import Site
from chatroom.socketio import Connections, Seat
from chatroom.socketio.codec import Packet
from tests.conformance.engineio_server import Echo

reactor: Any = installed
LATER = 0.005
"""After so many seconds ``auth`` is sent: the suite begins to wait for it when it has the answer."""


class Mirror(Seat):
    """Sends back what it gets, and first of all what somebody came with."""

    def enter(self, wishes: Mapping[str, Any]) -> None:
        query = self.socket.query
        auth = {name: wish for name, wish in wishes.items() if name not in query}
        self.accept(sid=secrets.token_urlsafe(15))
        reactor.callLater(LATER, self.emit, "auth", auth)

    def event(self, packet: Packet) -> None:
        if packet.event == "message":
            self.emit("message-back", *packet.values())
        elif packet.event == "message-with-ack" and packet.id is not None:
            self.ack(packet.id, *packet.values())


class Server(Echo):
    """The server as a process of its own."""

    module = "tests.conformance.socketio_server"


def main() -> None:
    """Listen on a free port of the loopback until it is to stop."""
    startLogging(sys.stdout, setStdout=False)
    door = EngineDoor(
        Connections({"/": Mirror, "/custom": Mirror}, reactor, patience=1.0),
        reactor,
        Origins(["*"]),
        Places(0, 0),
        ping_interval=0.3,
        ping_timeout=0.2,
        max_payload=1_000_000,
    )
    root = Resource()
    root.putChild(b"socket.io", door)
    port: Port = reactor.listenTCP(0, Site(root, reactor), interface="127.0.0.1")
    if FAST:
        # As the daemon does.
        port.transport = Direct
    reactor.addSystemEventTrigger("before", "shutdown", door.farewell)
    print(f"listening on {port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
