"""Where requests come in (`Door`): which operation they are for, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from msgspec import UNSET, structs
from twisted.web import server

from chatroom.chat import Chat
from chatroom.rest.asked import Asked
from chatroom.rest.openapi import document
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.refusals import (
    BAD_METHOD,
    BAD_TYPE,
    GONE,
    NOBODY,
    NOBODYS_NONCE,
    NOT_FOUND,
    TOO_LARGE,
    Turned,
    bad,
)
from chatroom.site import (
    UNKNOWN,
    Body,
    Intake,
    Nothing,
    Origins,
    Request,
    bearer,
    cross,
    header,
    preflight,
    refused,
)

BODY = 65_536
"""The most bytes of a body, unless the longest message takes more."""
HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
"""What a page of another site may send."""
WRONG = (msgspec.MsgspecError, UnicodeError, RecursionError)

_KEY = re.compile(r'("?)([!#-~]{1,64})\1')
"""A nonce in a header: with quotes as RFC 9651 has strings, or without."""

Inside = Callable[[Request, str], bytes | int]
"""Renders a request for something in the room of that name."""


class Door(Intake):
    """
    The way to *operations* of *chat*, for programs and for pages of *origins*.

    *inside* has what else there is in rooms, by name, that is only read.
    """

    def __init__(
        self,
        chat: Chat,
        origins: Origins,
        operations: Sequence[Operation],
        inside: Mapping[str, Inside] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._chat = chat
        self._origins = origins
        self._inside = inside
        # As on /ws: JSON may spell a character in twelve bytes.
        self._limit = max(BODY, 12 * chat.limits.message + 1024)
        self._places: dict[tuple[str, ...], dict[str, Operation]] = {}
        for operation in operations:
            place = self._places.setdefault(tuple(operation.path.split("/")[1:]), {})
            place[operation.method] = operation

    def admit(self, request: Request, length: int | None) -> Nothing:
        place, _ = self._find(segments(request.uri))
        operation = place.get(request.method.decode("latin-1"))
        if operation is None or operation.body is None or length == 0:
            return Nothing()
        return Body(request, self._limit)

    def render(self, request: Request) -> bytes | int:
        """Do what *request* asks for, or answer why not."""
        path = segments(request.uri)
        place, named = self._find(path)
        inside = self._inside.get(path[2]) if len(path) == 3 and not place else None
        methods = {"GET"} if inside else set(place)
        if not methods:
            return refused(request, cross(request, self._origins) or NOT_FOUND)
        allowed = ", ".join(
            sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
        )
        request.setHeader("Allow", allowed)
        if request.method == b"OPTIONS":
            return preflight(request, self._origins, allowed, HEADERS)
        if (refusal := cross(request, self._origins)) is not None:
            return refused(request, refusal)
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        if method not in methods:
            return refused(request, BAD_METHOD)
        if inside is not None:
            return inside(request, path[1])
        try:
            asked = self._read(request, place[method], named)
        except Turned as turned:
            return refused(request, turned.refusal)
        place[method].does(asked)
        return server.NOT_DONE_YET

    def _find(self, path: Sequence[str]) -> tuple[dict[str, Operation], dict[str, str]]:
        """Return what can be done at *path*, and what it names."""
        for template, place in self._places.items():
            if len(template) == len(path):
                pairs = list(zip(template, path, strict=True))
                if all(part[0] == "{" or part == said for part, said in pairs):
                    return place, {part[1:-1]: said for part, said in pairs if part[0] == "{"}
        return {}, {}

    def _read(self, request: Request, operation: Operation, named: dict[str, str]) -> Asked:
        """Return what *request* asks of *operation*. Raises `Turned`."""
        token = bearer(request)
        me = self._chat.known(token)
        if me is None and header(request, "authorization") is not None:
            raise Turned(UNKNOWN)
        if me is None and operation.token:
            raise Turned(NOBODY)
        path: dict[str, Any] = dict(named)
        if "id" in path:
            path["id"] = message_id(named["id"])
        given: dict[str, Any] = {}
        try:
            if operation.query is not None:
                given |= members(msgspec.convert(query(request), operation.query, strict=False))
            if operation.body is not None:
                given |= members(msgspec.json.decode(body(request), type=operation.body))
        except RecursionError:
            raise Turned(bad("nested too deep")) from None
        except WRONG as error:
            raise Turned(bad(str(error))) from error
        if operation.once:
            given["nonce"] = nonce(request, given.get("nonce"))
            if me is None and given["nonce"] is not None:
                raise Turned(NOBODYS_NONCE)
        return Asked(self._chat, request, operation.status, token, me, path, given)


def doors(
    chat: Chat, origins: Origins, inside: Mapping[str, Inside] = MappingProxyType({})
) -> dict[str, Door]:
    """Return all doors by the names that their paths begin with; the rest is as for `Door`."""
    described = document(chat.limits)

    def describe(asked: Asked) -> None:
        asked.answer(described)

    read = Operation("GET", "/openapi.json", describe, None, frozenset())
    found = {"openapi.json": Door(chat, origins, [read])}
    for name in ("rooms", "users", "search"):
        own = [operation for operation in OPERATIONS if operation.path.split("/")[1] == name]
        found[name] = Door(chat, origins, own, inside if name == "rooms" else {})
    return found


def segments(uri: bytes) -> list[str]:
    """Return what stands between the slashes of the path of *uri*; nothing if it is no UTF-8."""
    path = uri.partition(b"?")[0]
    try:
        return [unquote_to_bytes(part).decode() for part in path.split(b"/")[1:]]
    except UnicodeError:
        return []


def message_id(text: str) -> int:
    """Return *text*, part of a path, as the id of a message. Raises `Turned`."""
    if not re.fullmatch("[0-9]{1,16}", text):
        raise Turned(GONE)
    return int(text)


def query(request: Request) -> dict[str, str]:
    """Return the parameters of *request*. Raises `Turned` and `UnicodeError`."""
    text = request.uri.partition(b"?")[2].decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Turned(bad("a parameter comes only once"))
    return found


def body(request: Request) -> bytes:
    """Return the JSON that came with *request*; nothing is an empty object. Raises `Turned`."""
    content = request.content
    if not isinstance(content, Body):
        return b"{}"
    type = (header(request, "content-type") or "").partition(";")[0].strip().lower()
    if type != "application/json" or header(request, "content-encoding") not in (None, "identity"):
        raise Turned(BAD_TYPE)
    if content.too_large:
        raise Turned(TOO_LARGE)
    return content.data


def nonce(request: Request, given: str | None) -> str | None:
    """Return the nonce of *request*, whose body has *given*. Raises `Turned`."""
    key = header(request, "idempotency-key")
    if key is None:
        return given
    found = _KEY.fullmatch(key)
    if found is None:
        raise Turned(bad("Idempotency-Key is of 1 to 64 visible characters, without quotes"))
    if given not in (None, found[2]):
        raise Turned(bad("Idempotency-Key and nonce are not the same"))
    return found[2]


def members(record: Any) -> dict[str, Any]:
    """Return those of *record* that were given."""
    return {name: value for name, value in structs.asdict(record).items() if value is not UNSET}
