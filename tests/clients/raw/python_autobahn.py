"""Autobahn's client, on Twisted."""

import sys

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    connectWS,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet import reactor, stdio
from twisted.protocols.basic import LineReceiver


class Lines(LineReceiver):
    """What stands on the standard input, for *client*."""

    delimiter = b"\n"
    MAX_LENGTH = 2**20

    def __init__(self, client: "Client") -> None:
        self.client = client

    def lineReceived(self, line: bytes) -> None:
        if line == b"close":
            self.client.sendClose(1000)
        else:
            self.client.sendMessage(line)


class Client(WebSocketClientProtocol):
    def onOpen(self) -> None:
        print("open", flush=True)
        stdio.StandardIO(Lines(self))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        print(payload.decode(), flush=True)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        print("close", code, flush=True)
        reactor.stop()


def accept(response: object) -> PerMessageDeflateResponseAccept | None:
    """Compress, as the server does."""
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
    return None


factory = WebSocketClientFactory(sys.argv[1])
factory.protocol = Client
factory.setProtocolOptions(
    perMessageCompressionOffers=[PerMessageDeflateOffer()], perMessageCompressionAccept=accept
)
connectWS(factory)
reactor.run()
