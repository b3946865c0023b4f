"""How one listens to a room over HTTP, be it told as a stream or in pieces."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from typing import NamedTuple

from twisted.web.server import NOT_DONE_YET

from chatroom.answers import (
    RETRY,
    Places,
    Refusal,
    bearer,
    client,
    header,
    parameters,
    refusal,
    refused,
)
from chatroom.chat import Chat, Session
from chatroom.events import Batch, Close, Entry, Event, Init, parse_cursor
from chatroom.log import Unavailable
from chatroom.names import Name
from chatroom.session import UNAVAILABLE, Problem, room_name
from chatroom.site import SPARE, Request, descriptors_left

FULL = Refusal(503, "unavailable", "the server is full", RETRY)
BACK = (1.0, 5.0)
"""A client comes back after so many seconds, each after others: all may have been cut at once."""


class Wish(NamedTuple):
    """
    To listen to *room* behind the entry *after* of *epoch*, or else from its newest messages on.

    Who wishes so is whom *token* was given to, or somebody new called *name*; they come from the
    address *who*. *query* is all that they ask for.
    """

    room: Name
    name: str | None
    token: str | None
    after: int | None
    epoch: str | None
    who: str
    query: dict[str, str]


class Listening:
    """
    A way to listen to the rooms of *chat*; whoever does has one of *places*.

    It gets requests of GET and HEAD from where they may come from.
    """

    gives: str
    """The media type of what is told."""
    charset = ""
    """Its parameter, where some clients take it for something else than UTF-8 otherwise."""

    def __init__(self, chat: Chat, places: Places) -> None:
        self.chat = chat
        self.places = places
        self.stopping = False

    def render(self, request: Request, room: str) -> bytes | int:
        """Answer *request*, about the room called *room*."""
        request.setHeader("Content-Type", self.gives + self.charset)
        request.setHeader("Cache-Control", "no-store")
        try:
            if not accepts(header(request, "accept") or "*/*", self.gives):
                return refused(request, Refusal(406, "bad_message", f"this is {self.gives}"))
            wish = wished(request, room)
            if request.method == b"HEAD":
                request.finish()
                return NOT_DONE_YET
            return self.listen(request, wish)
        except Problem as problem:
            trouble = problem
        except Unavailable:
            trouble = UNAVAILABLE
        return refused(request, refusal(trouble.error()))

    def listen(self, request: Request, wish: Wish) -> bytes | int:
        """Answer *request*. Raises `Problem` and `Unavailable`."""
        raise NotImplementedError

    def refused(self, request: Request, who: str) -> Refusal | None:
        """Return why there is no place for *request* from the address *who*, if so."""
        if self.stopping:
            return stopping()
        if descriptors_left(request.channel.transport) < SPARE:
            return FULL
        return self.places.refused(who)

    def enter(
        self, wish: Wish, send: Callable[[Batch], None], end: Callable[[Close, str], None]
    ) -> Session:
        """Return the session of *wish*, which enters its room. Raises `Problem`, `Unavailable`."""
        session = self.chat.connect(send, end, wish.name, wish.token)
        # The cursor is all that it takes to go on.
        session.known = True
        try:
            session.admit(wish.room)
            session.join(wish.room, wish.after, wish.epoch)
        except (Problem, Unavailable):
            session.close(clean=True)
            raise
        return session


def wished(request: Request, room: str) -> Wish:
    """
    Return what *request* asks for, of the room called *room*.

    ``Last-Event-ID`` is later than ``after``; one that nobody here has given out does not count.
    Who may set no headers says it as ``lastEventId`` (event-source-polyfill). Raises `Problem`.
    """
    name = room_name(room)
    asked = {name: values[-1] for name, values in parameters(request).items()}
    seen = parse_cursor(header(request, "last-event-id") or asked.get("lastEventId", ""))
    if seen is None and "after" in asked:
        seen = parse_cursor(asked["after"])
        if seen is None:
            raise Problem("bad_message", "after is a cursor, or the id of an entry")
    epoch, after = seen or (None, None)
    return Wish(
        name,
        asked.get("name"),
        bearer(request) or asked.get("token"),
        after,
        epoch or asked.get("epoch"),
        client(request),
        asked,
    )


def stopping() -> Refusal:
    """Return why there is nothing to listen to any more."""
    words = "the server is stopping; come back soon"
    return Refusal(503, "unavailable", words, uniform(*BACK))


def place(event: Event) -> int | None:
    """Return the id of the last entry that who is told *event* has then had, if it says so."""
    if isinstance(event, Init):
        return event.last
    return event.id if isinstance(event, Entry) else None


def accepts(accept: str, type: str) -> bool:
    """Return whether ``Accept: accept`` takes *type* (RFC 9110, section 12.5.1)."""
    kinds = (type, f"{type.partition('/')[0]}/*", "*/*")
    weights = {}
    for part in accept.lower().split(","):
        kind, *params = (piece.replace(" ", "") for piece in part.split(";"))
        weights[kind] = next((param[2:] for param in params if param.startswith("q=")), "1")
    weight = next((weights[kind] for kind in kinds if kind in weights), "0")
    return weight.strip("0.") != ""
