"""Where requests come in (`Door`), and which operation they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from twisted.web import server

from chatroom.answers import Origins, cross, preflight, refused
from chatroom.chat import Chat
from chatroom.rest.asked import Asked
from chatroom.rest.openapi import document
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.reading import read
from chatroom.rest.refusals import BAD_METHOD, NOT_FOUND, Turned
from chatroom.site import Body, Intake, Nothing, Request

BODY = 65_536
"""The most bytes of a body, unless the longest message takes more."""
HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
"""What a page of another site may send."""

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
            asked = read(self._chat, request, place[method], named)
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


def doors(
    chat: Chat, origins: Origins, inside: Mapping[str, Inside] = MappingProxyType({})
) -> dict[str, Door]:
    """Return all doors by the names that their paths begin with; the rest is as for `Door`."""
    described = document(chat.limits)

    def describe(asked: Asked) -> None:
        asked.answer(described)

    reading = Operation("GET", "/openapi.json", describe, None, frozenset())
    found = {"openapi.json": Door(chat, origins, [reading])}
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
