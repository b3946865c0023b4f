"""
How irctest runs a server of ours: ``pytest --controller tests.conformance.irc_controller``.

It is its controller for servers that are there already, but that each test gets a network of its
own. ``CHATROOM_PYTHON`` in the environment is the Python to run it by.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from typing import Any

from irctest.basecontrollers import BaseServerController  # type: ignore[import-not-found]
from irctest.controllers.external_server import (  # type: ignore[import-not-found]
    ExternalServerController,
)
from irctest.runner import NotImplementedByController  # type: ignore[import-not-found]
from irctest.specifications import OptionalBehaviors  # type: ignore[import-not-found]


@cache
def server() -> subprocess.Popen[str]:
    """Return the one process that all networks are in."""
    python = os.environ.get("CHATROOM_PYTHON", sys.executable)
    process = subprocess.Popen(
        [python, "-m", "tests.conformance.irc_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def tell(line: str) -> None:
    """Have the process do *line*."""
    process = server()
    assert process.stdin is not None
    assert process.stdout is not None
    print(line, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


class ChatroomController(ExternalServerController):  # type: ignore[misc]
    """A network for one test."""

    software_name = "chatroom"
    supported_sasl_mechanisms = frozenset(("PLAIN",))
    sync_sleep_time = 0.01
    """For one client's message to be stored before another one asks whether it is there, in seconds."""
    optional_behaviors = frozenset((OptionalBehaviors.MULTI_PRIVMSG,))

    def get_hostname_and_port(self) -> Any:
        return BaseServerController.get_hostname_and_port(self)

    def run(self, hostname: str, port: int, **wishes: Any) -> None:
        for wish, needed in (("ssl", "TLS"), ("password", "a password for all")):
            if wishes[wish]:
                raise NotImplementedByController(needed)
        socket = wishes["websocket_port"]
        tell(f"open {port}" if socket is None else f"open {port} {socket}")

    def kill(self) -> None:
        BaseServerController.kill(self)

    def wait_for_services(self) -> None:
        pass

    def registerUser(self, case: object, username: str, password: str | None = None) -> None:
        tell(f"register {username} {password}")


def get_irctest_controller_class() -> type[ChatroomController]:
    """Return what runs the server."""
    return ChatroomController
