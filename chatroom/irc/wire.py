"""What a connection comes by (`Wire`), and how lines go out there (`Outlet`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from chatroom.events import Close
from chatroom.irc.lines import Out
from chatroom.irc.network import Network
from chatroom.irc.tongue import Framed


class Wire(Protocol):
    """What a connection comes by."""

    @property
    def framed(self) -> Framed:
        """What makes bytes of a line."""

    def write(self, data: bytes) -> None:
        """Send *data*, which is made of lines that are `framed`."""

    def hold(self, on: bool) -> None:
        """Let no more lines come in for now (*on*), or go on."""

    def leave(self, code: Close | None, reason: str) -> None:
        """End the connection once all that was written has gone; without *code*, as was wished."""


class Outlet:
    """What goes out by *wire* to a client of *network*, as it has agreed: the *caps*."""

    closed = False
    """Whether nothing more goes out."""
    _gathered: list[bytes] | None = None

    def __init__(self, network: Network, wire: Wire) -> None:
        self.network = network
        self.wire = wire
        self.agree(frozenset())

    def agree(self, caps: frozenset[str]) -> None:
        """Use the capabilities *caps* from now on."""
        self.caps = caps
        self.tongue = self.network.tongue(caps, self.wire.framed)

    def send(self, outs: Sequence[Out]) -> None:
        """Send *outs*."""
        self.write(self.tongue.data(outs))

    def write(self, data: bytes) -> None:
        """Send *data*, made by `Tongue.data`."""
        if data and not self.closed:
            if self._gathered is None:
                self.wire.write(data)
            else:
                self._gathered.append(data)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have all that is written meanwhile go out at once."""
        self._gathered = self._gathered or []
        try:
            yield
        finally:
            self.flush()

    def flush(self) -> None:
        """Have it go out now."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self.wire.write(b"".join(gathered))
