"""
The vocabulary: one small typed record for each thing that clients and server say.

A JSON door carries each as ``{"event": NAME, "data": {…}}``; `decode` reads what clients say and
`encode` writes what the server says. ``docs/protocol.md`` states the same for people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args

import msgspec
from msgspec import Meta, Struct

C = TypeVar("C")
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


class Record(Struct):
    """What is made for each message, and so of the kind that is made in a third of the time."""


# What clients say.


class Talk(Struct, gc=False):
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


class Shared(Generic[C]):
    """A *content* that is sent to many, encoded once for each wire format in use."""

    __slots__ = ("_encoded", "content")

    def __init__(self, content: C) -> None:
        self.content = content
        self._encoded: dict[Callable[[C], object], object] = {}

    def encoded(self, encode: Callable[[C], T]) -> T:
        """Return ``encode(content)``, which is called at the first asking only."""
        try:
            return self._encoded[encode]  # type: ignore[return-value]
        except KeyError:
            encoded = self._encoded[encode] = encode(self.content)
            return encoded


class Who(Struct, frozen=True, gc=False):
    """A user as others see them."""

    id: int
    name: str


class Self(Struct, frozen=True):
    """A user as they see themselves; *token* proves who they were when they come back."""

    id: int
    name: str
    token: str


class Message(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
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


class CommonInit(Init):
    """
    An `Init` of which others have nearly all in common.

    *common* is their JSON, made once by `common_past` and `common_users`; the rest is `own`.
    """

    common: tuple[Shared[bytes], Shared[bytes]]


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


class Batch(Shared[Sequence[Event]]):
    """What is sent to many at once."""

    __slots__ = ()

    @property
    def events(self) -> Sequence[Event]:
        return self.content


class _Envelope(Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelopes = msgspec.json.Decoder(_Envelope)
_objects = msgspec.json.Decoder(dict[str, object])
_commands: dict[str, msgspec.json.Decoder[Command]] = {
    kind.__name__.lower(): msgspec.json.Decoder(kind)
    for kind in (Talk, Rename, Join, Exit, History, Typing)
}
# In one pass; it knows all that is right but a ping, and an event without data.
_ordinary: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    Union[  # noqa: UP007 (made of a tuple)
        tuple(
            msgspec.defstruct(kind, [("data", decoder.type)], tag_field="event", tag=kind)
            for kind, decoder in _commands.items()
        )
    ]
)
_encode = msgspec.json.Encoder().encode
_openings = {kind: b'{"event":"%b","data":' % kind.event.encode() for kind in get_args(Event)}


def decode(text: bytes) -> Command:
    """
    Return what a client says with the JSON *text*.

    Nothing that a client sends raises: what cannot be understood comes back as `Bad`. NaN, deep
    nesting and lone surrogates cannot be understood.
    """
    try:
        return _ordinary.decode(text).data  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _decode(text)


def _decode(text: bytes) -> Command:
    """Return what `decode` does, in two passes, so that it is known what is wrong with what."""
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
    if type(event) is CommonInit:
        past, users = event.common
        return past.content + users.content + own(event)
    data = event.data if type(event) is Pong else event
    return _openings[type(event)] + _encode(data) + b"}"


def common_past(
    room: str, messages: list[Message], resumed: bool, more: bool, epoch: str, limits: Limits
) -> Shared[bytes]:
    """Return how the JSON of each `CommonInit` with these members begins, envelope included."""
    members = {
        "room": room,
        "messages": messages,
        "resumed": resumed,
        "more": more,
        "epoch": epoch,
        "limits": limits,
    }
    return Shared(_openings[Init] + _encode(members)[:-1] + b",")


def common_users(users: list[Who]) -> Shared[bytes]:
    """Return the middle of the JSON of each `CommonInit` with these *users* and one more."""
    return Shared(b'"users":' + _encode(users)[:-1] + (b"," if users else b""))


def own(init: CommonInit) -> bytes:
    """Return the end of the JSON of *init*, which nobody shares."""
    members = {"self": init.self, "count": init.count}
    return _encode(init.users[-1]) + b"]," + _encode(members)[1:] + b"}"
