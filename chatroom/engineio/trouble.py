"""What is wrong with a request, as clients know it."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from twisted.web import server


class Trouble(NamedTuple):
    """What is wrong with a request: what clients know it by, its *words*, and the *status*."""

    code: int
    words: str
    status: int = 400
    retry: float | None = None


TRANSPORT = Trouble(0, "Transport unknown")
SESSION = Trouble(1, "Session ID unknown")
METHOD = Trouble(2, "Bad handshake method")
REQUEST = Trouble(3, "Bad request")
FORBIDDEN = 4
VERSION = Trouble(5, "Unsupported protocol version")
TOO_LARGE = Trouble(3, "Payload too large", 413)
"""These numbers and most of these words are those of the reference server."""
STOPPING = Trouble(FORBIDDEN, "the server is stopping; come back soon", 503, 5)


def refuse(request: server.Request, trouble: Trouble) -> bytes:
    """Set the status of *trouble* and return it as clients expect it."""
    request.setResponseCode(trouble.status, HTTPStatus(trouble.status).phrase.encode())
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Cache-Control", "no-store")
    if trouble.retry is not None:
        request.setHeader("Retry-After", str(math.ceil(trouble.retry)))
    if request.method == b"HEAD":
        return b""
    return msgspec.json.encode({"code": trouble.code, "message": trouble.words})
