"""
Networks of IRC for a test suite: ``python -m tests.conformance.irc_server``.

It does what comes in line by line, and says ``done`` each time. ``open PORT [PORT]`` begins a new
network without a past, on that port, and over WebSocket on the other; what there was ends.
``register NAME PASSWORD`` makes a user who may log in by this password, as if it were their token.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineReceiver
from twisted.python.log import startLogging
from twisted.web.resource import Resource

from chatroom.answers import Origins, Places
from chatroom.chat import Chat
from chatroom.irc import IrcFactory, IrcSocketFactory, IrcUpgrade, Network
from chatroom.memory import MemoryLog
from chatroom.site import Site

reactor: Any = installed
SERVER = "My.Little.Server"
"""What irctest expects a server to be called."""


class Registered(Chat):
    """A chat with users who chose a password."""

    def __init__(self) -> None:
        log = MemoryLog(partial(reactor.callLater, 0))
        # The suite uses names again, is in a hurry, and does not expect to be asked whether it lives.
        super().__init__(log, reactor.seconds, time.time, grace=0, rate=0)
        self.passwords: dict[str, str] = {}

    def register(self, name: str, password: str) -> None:
        """Make a user called *name* who has *password* for a token."""
        self.passwords[password] = self.introduce(name).token

    def known(self, token: str | None) -> int | None:
        return super().known(self.passwords.get(token or "", token))


class Control(LineReceiver):
    """Does what comes in."""

    delimiter = b"\n"

    def __init__(self) -> None:
        self._ports: list[Any] = []
        self._chat = Registered()
        LoopingCall(lambda: self._chat.tick()).start(0.5)

    def lineReceived(self, line: bytes) -> None:
        command, *params = line.decode().split()
        if command == "open":
            self._open(*map(int, params))
        else:
            self._chat.register(*params)
        self.sendLine(b"done")

    def _open(self, port: int, socket: int | None = None) -> None:
        for old in self._ports:
            old.stopListening()
        self._chat = Registered()
        network, places = Network(self._chat, reactor, server=SERVER), Places(0, 0)
        listen = partial(reactor.listenTCP, interface="127.0.0.1")
        self._ports = [listen(port, IrcFactory(network, places, ping=0))]
        if socket is not None:
            root = Resource()
            root.putChild(b"", IrcUpgrade(IrcSocketFactory(network, places), Origins([])))
            self._ports.append(listen(socket, Site(root, reactor)))

    def connectionLost(self, reason: object = None) -> None:
        reactor.stop()


def main() -> None:
    """Go on until there is nothing more to do."""
    startLogging(sys.stderr, setStdout=False)
    StandardIO(Control())
    reactor.run()


if __name__ == "__main__":
    main()
