"""
Connection state recovery, as clients do it since socket.io-client 4.6.

A client keeps the ``pid`` that it is given when it is let in, and of each event the last argument,
if that is a text: the ``offset``, which is the cursor of its room. It comes back with both. Nothing
is kept for that here: the ``pid`` says who they were and where, and the rest is in the log.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import NamedTuple

from chatroom.names import BadName, room_name


class Past(NamedTuple):
    """
    What a ``pid`` says: the *token* of a user, and the *room* that they began in.

    It is nobody else's business. *salt* tells apart those of one user. *had* is the offset that the
    client had by then, which it keeps until it gets another one: who comes with it has got none.
    """

    token: str
    salt: str
    room: str
    had: str

    @property
    def pid(self) -> str:
        """What a client keeps to itself."""
        return ":".join(self)

    @property
    def sid(self) -> str:
        """What all may know: it is the same after each recovery."""
        digest = hashlib.sha256(self.pid.encode()).digest()
        return urlsafe_b64encode(digest[:15]).decode()


def begin(token: str, room: str, had: str) -> Past:
    """Return the past of who begins now."""
    return Past(token, secrets.token_urlsafe(6), room, had)


def parse(pid: object) -> Past | None:
    """Return what *pid* says, if it can be one of ours."""
    if not isinstance(pid, str) or pid.count(":") != 3:
        return None
    past = Past(*pid.split(":"))
    try:
        room_name(past.room)
    except BadName:
        return None
    return past
