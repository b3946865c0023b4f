"""Ports that are free until a program takes them that has to be told which."""

from __future__ import annotations

import socket


def free_port() -> int:
    """
    Return a loopback port that is free for who binds it with ``SO_REUSEADDR``, as servers do.

    The system gives it to nobody else meanwhile, for there is a connection that waits on it for its
    last packets (``TIME_WAIT``, a minute on Linux).
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as there,
    ):
        port: int = server.getsockname()[1]
        # Who closes first is who waits.
        server.accept()[0].close()
        there.recv(1)
    return port
