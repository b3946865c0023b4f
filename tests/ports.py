"""Ports of servers which are to come, or to come again."""

from __future__ import annotations

import socket
import weakref


def reserved() -> socket.socket:
    """
    Return a socket that keeps a port of the loopback, as long as it is open.

    A server may listen there beside it, now and again, and nobody else is given the port.
    """
    kept = socket.socket()
    # Whoever has this option as well, as servers do, may be bound beside who does not listen.
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def port_of(owner: object) -> int:
    """Return a port that is kept as long as there is *owner*."""
    kept = reserved()
    weakref.finalize(owner, kept.close)
    port: int = kept.getsockname()[1]
    return port
