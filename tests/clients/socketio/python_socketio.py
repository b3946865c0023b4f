"""python-socketio, from PyPI: ``python python_socketio.py ADDRESS OPTIONS``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import socketio  # type: ignore[import-untyped]

EVENTS = ("init", "talk", "join", "exit", "rename", "error")

# Its own patience, 1 and 5 seconds, is little on a busy machine.
client = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.1, request_timeout=60)


def say(**what: Any) -> None:
    # Callbacks have threads of their own, and print() writes the end of a line apart.
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def heard(event: str) -> Callable[[Any], None]:
    # As its documentation has it: one parameter for what was sent.
    def got(data: Any) -> None:
        say(event=event, data=data)

    return got


client.on("connect", lambda: say(connect=client.get_sid()))
client.on("disconnect", lambda reason: say(disconnect=reason))
for name in EVENTS:
    client.on(name, heard(name))
client.connect(sys.argv[1], wait_timeout=60, **json.loads(sys.argv[2]))
for line in sys.stdin:
    if line.strip() == "close":
        break
    if line.strip() == "transport":
        sys.stdout.write(f"transport {client.transport()}\n")
        sys.stdout.flush()
        continue
    event, data, *ack = json.loads(line)
    client.emit(event, data, callback=(lambda *answer: say(ack=answer)) if ack else None)
client.disconnect()
