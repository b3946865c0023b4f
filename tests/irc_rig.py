"""A room in memory with IRC clients in it, that see every line."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.test import iosim

from chatroom.answers import Origins, Places
from chatroom.irc import IrcFactory, IrcSocketFactory, IrcUpgrade, Network
from tests.rig import Peer, RoomCase, Transport

MODERN = (
    "batch cap-notify draft/chathistory draft/message-redaction draft/multiline echo-message"
    " labeled-response message-tags server-time standard-replies"
)


class IrcPeer(Protocol):
    """The far end of a connection to *server*: the lines that came, and those not yet taken."""

    transport: iosim.FakeTransport

    def __init__(self, case: IrcCase, server: Any) -> None:
        self.case = case
        self.server = server
        self.data = b""
        self.lost = False
        self._taken = 0

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def write(self, *lines: str | bytes) -> None:
        """Send *lines*."""
        for line in lines:
            data = line if isinstance(line, bytes) else line.encode()
            self.transport.write(data + b"\r\n")

    def said(self, *lines: str | bytes) -> list[str]:
        """Send *lines*, and return what came since the last time."""
        self.write(*lines)
        self.case.settle()
        return self.take()

    def take(self) -> list[str]:
        """Return the lines that came since the last time."""
        assert self.data.endswith(b"\r\n") or not self.data
        found = self.data[self._taken :].decode().split("\r\n")[:-1]
        self._taken = len(self.data)
        return found


class IrcCase(RoomCase):
    """A test that has a room and a network of IRC, on a clock of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.network = Network(self.chat, self.clock)
        self.irc_places = Places(self.connections, self.per_address)
        self.irc = IrcFactory(self.network, self.irc_places)
        self.sockets = IrcSocketFactory(self.network, self.irc_places)
        self.site.resource.putChild(b"irc", IrcUpgrade(self.sockets, Origins(self.origins)))

    def call(self) -> IrcPeer:
        """Return a peer with a bare connection."""
        here = IPv4Address("TCP", "127.0.0.1", 6667)
        there = IPv4Address("TCP", "192.0.2.1", 50_000)
        protocol = self.irc.buildProtocol(there)
        server = Transport(protocol, True, here, there)
        peer = IrcPeer(self, server)
        client = iosim.FakeTransport(peer, False, there, here)
        self.pumps.append(iosim.connect(protocol, server, peer, client))
        return peer

    def irc_user(self, nick: str, channels: str = "", caps: str = "") -> IrcPeer:
        """Return a client called *nick*, in *channels*, that has agreed on *caps*."""
        peer = self.call()
        if caps:
            peer.write("CAP LS 302", f"CAP REQ :{caps}")
        peer.write(f"NICK {nick}", f"USER {nick} 0 * :Real {nick}")
        if caps:
            peer.write("CAP END")
        if channels:
            peer.write(f"JOIN {channels}")
        self.settle()
        lines = peer.take()
        assert any(" 001 " in line for line in lines), lines
        return peer

    def web_user(self, name: str, room: str = "tea") -> Peer:
        """Return somebody called *name* in *room*, by the page's own WebSocket."""
        return self.enter(f"/ws?name={name.replace(' ', '%20')}&room={room}")


def bodies(lines: list[str]) -> list[str]:
    """Return *lines* without their tags."""
    return [line.split(" ", 1)[1] if line.startswith("@") else line for line in lines]


def tags(line: str) -> dict[str, str]:
    """Return the tags of *line*, values as they are."""
    if not line.startswith("@"):
        return {}
    pairs = (tag.partition("=") for tag in line[1:].split(" ", 1)[0].split(";"))
    return {key: value for key, _, value in pairs}
