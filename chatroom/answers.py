"""How doors over HTTP answer: whom they let in, and how they say what is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from twisted.internet.interfaces import IAddress
from twisted.web import http, server

from chatroom.events import Error

RETRY = 30
"""After so many seconds somebody who found no place may try again."""

_BEARER = re.compile("bearer +([!-~]+)", re.IGNORECASE)


class Refusal(NamedTuple):
    """
    Why there is not what was asked for over HTTP: a *status*, a *code* for programs, and *words*.

    After *retry* seconds it may be tried again.
    """

    status: int
    code: str
    words: str
    retry: float | None = None


STRANGE = Refusal(403, "forbidden", "pages from there may not connect here")

UNKNOWN = Refusal(401, "unauthorized", "the header Authorization has no token that is known here")

STATUSES = {
    "bad_message": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "bad_room": 404,
    "not_in_room": 404,
    "no_such_file": 404,
    "no_such_message": 404,
    "no_such_user": 404,
    "name_taken": 409,
    "nonce_reused": 409,
    "rate_limited": 429,
    "unavailable": 503,
}
"""The HTTP status for a code of `Error`; what is not here is 422: people wish for it, not programs."""


def refusal(error: Error) -> Refusal:
    """Return *error* for a door that speaks HTTP."""
    status = STATUSES.get(error.code, 422)
    return Refusal(status, error.code, error.message, error.retry_after)


class Origins:
    """Which sites' pages may connect: those of the host itself, and *listed*; ``*`` is any."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = {origin.lower().rstrip("/") for origin in listed}

    def allow(self, origin: str | None, host: str) -> bool:
        """Return whether a page of *origin* may connect to *host*; without one it is no page."""
        return origin is None or self.foreign(origin) or self._same(origin, host)

    def admit(self, request: http.Request) -> bool:
        """Return whether *request* comes from where it may."""
        return self.allow(header(request, "origin"), header(request, "host") or "")

    def foreign(self, origin: str) -> bool:
        """Return whether a page of *origin* may connect wherever it is from."""
        return "*" in self._listed or origin.lower() in self._listed

    def _same(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            ours = urlsplit(f"{parts.scheme}://{host}")
            default = {"http": 80, "https": 443}.get(parts.scheme)
            return (
                default is not None
                and parts.hostname is not None
                and parts.hostname == ours.hostname
                and (parts.port or default) == (ours.port or default)
            )
        except ValueError:
            return False


class Places:
    """
    The places for connections that stay, *connections* in all and *per_address* from one address.

    Either may be 0, which is without limit.
    """

    def __init__(self, connections: int, per_address: int) -> None:
        self._connections = connections
        self._per_address = per_address
        self.taken = 0
        self.addresses: Counter[str] = Counter()
        """How many places each address has."""

    def refused(self, who: str) -> Refusal | None:
        """Return why there is no place for the address *who*, if so; "" is any."""
        if 0 < self._connections <= self.taken:
            return Refusal(503, "unavailable", "the room is full", RETRY)
        if 0 < self._per_address <= self.addresses[who]:
            return Refusal(429, "rate_limited", "too many connections from your address", RETRY)
        return None

    def take(self, who: str) -> None:
        """Give a place to *who*."""
        self.taken += 1
        if who:
            self.addresses[who] += 1

    def leave(self, who: str) -> None:
        """Have back the place of *who*."""
        self.taken -= 1
        if who:
            self.addresses[who] -= 1
            if not self.addresses[who]:
                del self.addresses[who]


def refused(request: server.Request, refusal: Refusal) -> bytes:
    """Set the status of *refusal* and return it as JSON."""
    request.setResponseCode(refusal.status, HTTPStatus(refusal.status).phrase.encode())
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Cache-Control", "no-store")
    told: dict[str, object] = {"code": refusal.code, "message": refusal.words}
    if refusal.retry is not None:
        request.setHeader("Retry-After", str(math.ceil(refusal.retry)))
        told["retry_after"] = math.ceil(refusal.retry * 1000) / 1000
    if refusal.status == UNKNOWN.status:
        request.setHeader("WWW-Authenticate", "Bearer")
    return b"" if request.method == b"HEAD" else msgspec.json.encode(told)


def bearer(request: http.Request) -> str | None:
    """Return the token of ``Authorization: Bearer`` (RFC 6750), if there is one."""
    found = _BEARER.fullmatch(header(request, "authorization") or "")
    return found[1] if found else None


def cross(request: http.Request, origins: Origins) -> Refusal | None:
    """
    Let the page that *request* is from have the answer, or return `STRANGE`: it may not.

    That is the CORS protocol of the Fetch standard, for pages of other sites. Where these are listed
    by name they may ask with credentials, as some clients do by themselves: no cookie counts here.
    """
    request.setHeader("Vary", "Origin")
    if not origins.admit(request):
        return STRANGE
    if (origin := header(request, "origin")) is not None:
        request.setHeader(b"Access-Control-Allow-Origin", origin.encode("latin-1"))
        request.setHeader("Access-Control-Expose-Headers", "Location, Retry-After")
        if origins.foreign(origin) and not origins.foreign("*"):
            request.setHeader("Access-Control-Allow-Credentials", "true")
    return None


def preflight(request: server.Request, origins: Origins, methods: str, headers: str) -> bytes:
    """Tell a page, before it asks, which *methods* and *headers* it may use (CORS-preflight)."""
    if (strange := cross(request, origins)) is not None:
        return refused(request, strange)
    request.setHeader("Access-Control-Allow-Methods", methods)
    request.setHeader("Access-Control-Allow-Headers", headers)
    request.setHeader("Access-Control-Max-Age", "86400")
    request.setResponseCode(204)
    return b""


def answer(request: server.Request, status: int, words: str) -> bytes:
    """Set *status* and return *words* as a line of plain text."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return b"" if request.method == b"HEAD" else f"{words}\n".encode()


def header(request: http.Request, name: str) -> str | None:
    """
    Return the header *name* of *request*, a list with commas if it came more than once.

    Any byte may come in a header (RFC 9110, section 5.5); Twisted's own look-up trusts in UTF-8.
    """
    values = request.requestHeaders.getRawHeaders(name.encode())
    return None if values is None else b",".join(values).decode("latin-1")


def parameters(request: http.Request) -> dict[str, list[str]]:
    """Return the parameters in the URL of *request*, each with its values."""
    # As Autobahn parses it; Twisted takes a semicolon for a separator too.
    return parse_qs(request.uri.partition(b"?")[2].decode("latin-1"))


def client(request: http.Request) -> str:
    """Return the `address` that *request* is from."""
    return address(request.getClientAddress(), header(request, "x-forwarded-for"))


def address(peer: IAddress, forwarded: str | None) -> str:
    """
    Return whose connection this is, for counting.

    A proxy on this machine is believed in what it adds to the ``X-Forwarded-For`` header. Where
    nobody can tell, it is the empty string, which is not counted.
    """
    # A socket for both versions of IP shows addresses of version 4 like this.
    host: str = getattr(peer, "host", "").removeprefix("::ffff:")
    if forwarded and (not host or host == "::1" or host.startswith("127.")):
        return forwarded.rpartition(",")[2].strip()
    return host
