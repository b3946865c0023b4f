"""
The vocabulary: one small typed record for each thing that clients and server say.

A JSON door carries each as ``{"event": NAME, "data": {…}}``; `decode` reads what clients say and
`encode` writes what the server says. ``docs/protocol.md`` states the same for people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Annotated, ClassVar, TypeVar

import msgspec
from msgspec import Meta, Struct

T = TypeVar("T")

LOBBY = "lobby"
PAGE = 200
"""The most messages that one `history` answers with."""
NONCE = 64
"""The most characters of a nonce."""

Id = Annotated[int, Meta(ge=0, le=2**53)]
Nonce = Annotated[str, Meta(min_length=1, max_length=NONCE)]


class Close(IntEnum):
    """Why the server ends a connection: close codes of RFC 6455, section 7.4, and its registry."""

    UNSUPPORTED = 1003
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_AGAIN = 1013


# What clients say.


class Talk(Struct):
    """Say *message* in *room*; *nonce* makes sending it again harmless."""

    message: str
    type: str = "text"
    room: str = LOBBY
    nonce: Nonce | None = None


class Rename(Struct):
    """Be called *name* from now on."""

    name: str


class Join(Struct):
    """Enter a further *room*, having seen it up to the message *after* of *epoch*."""

    room: str
    after: Id | None = None
    epoch: str | None = None


class Exit(Struct):
    """Leave *room*."""

    room: str


class History(Struct):
    """Ask for at most *limit* messages older than the message *before*; the newest without it."""

    room: str = LOBBY
    before: Id | None = None
    limit: Annotated[int, Meta(ge=1)] = 50


class Typing(Struct):
    """Let *room* know that a message is on its way."""

    room: str = LOBBY


class Ping(Struct):
    """Ask for a `Pong` with the same *data*, a JSON object without line breaks."""

    data: msgspec.Raw


class Bad(Struct):
    """Something that could not be understood, and *why*; *event* where known."""

    why: str
    event: str | None = None


Command = Talk | Rename | Join | Exit | History | Typing | Ping | Bad


# What the server says.


class Who(Struct, frozen=True):
    """A user as others see them."""

    id: int
    name: str


class Self(Struct, frozen=True):
    """A user as they see themselves; *token* proves who they were when they come back."""

    id: int
    name: str
    token: str


class Message(Struct, rename={"sender": "from"}, omit_defaults=True):
    """
    What was said: the same record live, in `Init` and in `Page`.

    *id* counts 1, 2, 3, … in its room. *time* is RFC 3339 UTC with milliseconds, for display only.
    """

    event: ClassVar[str] = "talk"
    id: int
    room: str
    message: str
    type: str
    sender: Who
    time: str
    nonce: str | None = None

    def numbered(self, id: int) -> Message:
        """Return this message with the *id* that its log gives it."""
        return msgspec.structs.replace(self, id=id)


class Limits(Struct, frozen=True):
    """What a client may do: characters of a message, a name, a room and a nonce, and the rest."""

    message: int
    name: int
    room: int
    nonce: int
    types: tuple[str, ...]
    history: int
    rate: float
    burst: int


class Init(Struct):
    """
    Where a client begins in *room*, or goes on.

    *resumed*: *messages* are exactly those after what the client said that it has; otherwise the
    newest ones. *more*: there are older ones. *users* is everyone here, or, in a crowd, a sample
    with oneself in it; *count* is everyone. *epoch*: the one that the ids belong to.
    """

    event: ClassVar[str] = "init"
    room: str
    self: Self
    users: list[Who]
    count: int
    messages: list[Message]
    resumed: bool
    more: bool
    epoch: str
    limits: Limits


class Joined(Struct, frozen=True):
    """The user *id* entered *room*."""

    event: ClassVar[str] = "join"
    room: str
    id: int
    name: str


class Exited(Struct, frozen=True):
    """The user *id* left *room*."""

    event: ClassVar[str] = "exit"
    room: str
    id: int
    name: str


class Renamed(Struct, frozen=True, omit_defaults=True):
    """The user *id* is *name* now, and *was* called otherwise; no *room* for who is in none."""

    event: ClassVar[str] = "rename"
    id: int
    name: str
    was: str
    room: str | None = None


class Typed(Struct, frozen=True):
    """The user *id* is writing in *room*."""

    event: ClassVar[str] = "typing"
    room: str
    id: int
    name: str


class Presence(Struct, frozen=True):
    """In a crowd: *count* are in *room* now; some who *joined* and *left* since the last one."""

    event: ClassVar[str] = "presence"
    room: str
    count: int
    joined: list[Who]
    left: list[Who]


class Page(Struct, frozen=True):
    """A piece of the history of *room*, oldest first; *more*: there are older ones."""

    event: ClassVar[str] = "history"
    room: str
    messages: list[Message]
    more: bool


class Error(Struct, frozen=True, omit_defaults=True):
    """
    What was wrong: *code* for programs, *message* for people.

    *event* and *nonce* say with what; after *retry_after* seconds it may be tried again.
    """

    event: ClassVar[str] = "error"
    code: str
    message: str
    about: str | None = msgspec.field(default=None, name="event")
    nonce: str | None = None
    retry_after: float | None = None


class Pong(Struct, frozen=True):
    """The answer to `Ping`, with its *data*."""

    event: ClassVar[str] = "pong"
    data: msgspec.Raw


Event = Init | Joined | Exited | Renamed | Message | Typed | Presence | Page | Error | Pong


class Batch:
    """What is sent to many at once, encoded once for each wire format in use."""

    __slots__ = ("_encoded", "events")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._encoded: dict[Callable[[Sequence[Event]], object], object] = {}

    def encoded(self, encode: Callable[[Sequence[Event]], T]) -> T:
        """Return ``encode(events)``, which is called at the first asking only."""
        try:
            return self._encoded[encode]  # type: ignore[return-value]
        except KeyError:
            encoded = self._encoded[encode] = encode(self.events)
            return encoded


class _Envelope(Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelopes = msgspec.json.Decoder(_Envelope)
_objects = msgspec.json.Decoder(dict[str, object])
_commands: dict[str, msgspec.json.Decoder[Command]] = {
    kind.__name__.lower(): msgspec.json.Decoder(kind)
    for kind in (Talk, Rename, Join, Exit, History, Typing)
}
_encoder = msgspec.json.Encoder()


def decode(text: bytes) -> Command:
    """
    Return what a client says with the JSON *text*.

    Nothing that a client sends raises: what cannot be understood comes back as `Bad`. NaN, deep
    nesting and lone surrogates cannot be understood.
    """
    name = None
    try:
        envelope = _envelopes.decode(text)
        if envelope.event == "ping":
            name = "ping"
            _objects.decode(envelope.data)
            return Ping(msgspec.Raw(bytes(envelope.data).translate(None, b"\r\n")))
        if envelope.event not in _commands:
            return Bad("there is no such event")
        name = envelope.event
        return _commands[name].decode(envelope.data)
    except RecursionError:
        return Bad("nested too deep", name)
    except (msgspec.MsgspecError, UnicodeError) as error:
        return Bad(str(error), name)


def encode(event: Event) -> bytes:
    """Return *event* as UTF-8 JSON without line breaks, in its envelope."""
    data = event.data if isinstance(event, Pong) else event
    return b'{"event":"%b","data":%b}' % (event.event.encode(), _encoder.encode(data))
