"""
What the server says: one small typed record for each event, and `encode`, which writes them.

A JSON door carries each as ``{"event": NAME, "data": {…}}``. ``docs/protocol.md`` states the same
for people; what clients say is in `chatroom.commands`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec
from msgspec import Struct

C = TypeVar("C")
T = TypeVar("T")

PAGE = 200
"""The most messages that one `history` answers with."""


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


class File(Struct, frozen=True, omit_defaults=True, gc=False):
    """
    A file that was uploaded: *id* is its SHA-256 in hex, *name* for display, *size* in bytes.

    *type* is what its bytes say. Only checked raster images have *width* and *height*, in pixels.
    """

    id: str
    name: str
    size: int
    type: str
    width: int | None = None
    height: int | None = None


class Reaction(Struct, frozen=True, gc=False):
    """An *emoji* that *users* gave a message."""

    emoji: str
    users: tuple[Who, ...]


class Message(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
    """
    What was said, as it is now: the same record live, in `Init` and in `Page`.

    *id* is its place in its room, which counts 1, 2, 3, …, changes included. *time* is RFC 3339 UTC
    with milliseconds, for display only. *reply* is the id of the message that it answers, *edited*
    the time of its last `Edited`, *changed* the id of the last change that is contained. One that
    was *deleted* has nothing left to show.
    """

    event: ClassVar[str] = "talk"
    id: int
    room: str
    message: str
    type: str
    sender: Who
    time: str
    nonce: str | None = None
    html: str | None = None
    reply: int | None = None
    mentions: tuple[Who, ...] = ()
    file: File | None = None
    edited: str | None = None
    deleted: bool = False
    reactions: tuple[Reaction, ...] = ()
    changed: int | None = None


class Edited(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
    """The message *of* says *message* now."""

    event: ClassVar[str] = "edit"
    id: int
    room: str
    of: int
    message: str
    type: str
    sender: Who
    time: str
    nonce: str | None = None
    html: str | None = None
    mentions: tuple[Who, ...] = ()


class Deleted(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
    """The message *of* was taken back."""

    event: ClassVar[str] = "delete"
    id: int
    room: str
    of: int
    sender: Who
    time: str
    nonce: str | None = None


class Reacted(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
    """*sender* gives the message *of* an *emoji*, or gives it no more if not *on*."""

    event: ClassVar[str] = "react"
    id: int
    room: str
    of: int
    emoji: str
    on: bool
    sender: Who
    time: str
    nonce: str | None = None


class Topic(Struct, rename={"sender": "from"}, omit_defaults=True, gc=False):
    """*topic* stands above the room now."""

    event: ClassVar[str] = "topic"
    id: int
    room: str
    topic: str
    sender: Who
    time: str
    nonce: str | None = None


Change = Edited | Deleted | Reacted | Topic
Entry = Message | Change
"""What the log of a room keeps: what was said, and what has changed since."""


class Told(Struct, frozen=True):
    """A `Change` in its envelope, within an `Init`."""

    event: str
    data: Any


class Limits(Struct, frozen=True):
    """
    What a client may do: characters of a message, a name, a room, a nonce and a topic, bytes of a
    file (0: there are none), different *reactions* to a message, and the rest.
    """

    message: int
    name: int
    room: int
    nonce: int
    types: tuple[str, ...]
    history: int
    rate: float
    burst: int
    topic: int
    reactions: int
    file: int


class Init(Struct, omit_defaults=True):
    """
    Where a client begins in *room*, or goes on.

    *resumed*: *messages* are exactly those after what the client said that it has, and *changes*
    all that has changed since; otherwise they are the newest messages. *more*: there are older
    ones. *last* is the id of the last entry of the room. *users* is everyone here, or, in a crowd,
    a sample with oneself in it; *count* is everyone. *epoch*: the one that the ids belong to.
    *read*: how far one has read; *direct*: with whom one is alone.
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
    last: int
    topic: str = ""
    changes: list[Told] = []
    read: int | None = None
    direct: Who | None = None


class CommonInit(Init, kw_only=True):
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


class Page(Struct, frozen=True, omit_defaults=True):
    """
    A piece of the history of *room*, oldest first, as asked for with *nonce*.

    *more*: there are older ones; *newer*: there are newer ones.
    """

    event: ClassVar[str] = "history"
    room: str
    messages: list[Message]
    more: bool
    newer: bool
    nonce: str | None = None


class Version(Struct, frozen=True, omit_defaults=True):
    """What a message said from *time* on."""

    message: str
    type: str
    time: str
    html: str | None = None


class Versions(Struct, frozen=True):
    """The last things that the message *of* has said, the present one last."""

    event: ClassVar[str] = "edits"
    room: str
    of: int
    versions: list[Version]


class ReadTo(Struct, frozen=True):
    """One has read *room* up to the entry *id*, here or on another device."""

    event: ClassVar[str] = "read"
    room: str
    id: int


class Listed(Struct, frozen=True, omit_defaults=True):
    """A *room*: its *topic*, how many are here now, and the id of its *last* entry."""

    room: str
    count: int
    last: int
    topic: str = ""


class Listing(Struct, frozen=True):
    """Some public *rooms*, by name; *more*: there are others behind them."""

    event: ClassVar[str] = "rooms"
    rooms: list[Listed]
    more: bool


class Own(Struct, frozen=True, omit_defaults=True):
    """
    A *room* that one has *read* up to an id; the other members are as in `Listed` and `Init`.

    *unread* are messages of others since, *mentions* those that one is mentioned in, both counted
    as far as 100.
    """

    room: str
    count: int
    last: int
    read: int
    unread: int
    mentions: int
    topic: str = ""
    direct: Who | None = None


class Owned(Struct, frozen=True):
    """The *rooms* that one reads."""

    event: ClassVar[str] = "mine"
    rooms: list[Own]


class Direct(Struct, frozen=True, rename={"other": "with"}):
    """Something was said in the direct *room* with *other*, which one is not in."""

    event: ClassVar[str] = "direct"
    room: str
    other: Who


class Hits(Struct, frozen=True, omit_defaults=True):
    """
    Messages that *query* found in *room*, or everywhere, newest first, as asked for with *nonce*.

    Older ones are behind *next*, if there are more.
    """

    event: ClassVar[str] = "search"
    query: str
    hits: list[Message]
    room: str | None = None
    next: int | None = None
    nonce: str | None = None


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


Event = (
    Init
    | Joined
    | Exited
    | Renamed
    | Message
    | Edited
    | Deleted
    | Reacted
    | Topic
    | Typed
    | Presence
    | Page
    | Versions
    | ReadTo
    | Listing
    | Owned
    | Direct
    | Hits
    | Error
    | Pong
)


class Batch(Shared[Sequence[Event]]):
    """What is sent to many at once."""

    __slots__ = ()

    @property
    def events(self) -> Sequence[Event]:
        return self.content


def cursor(epoch: str, id: int) -> str:
    """Return what says in one word that a reader has had the entry *id* of *epoch*."""
    return f"{epoch}-{id}"


def parse_cursor(text: str) -> tuple[str | None, int] | None:
    """Return the epoch and the id of a `cursor`, or of a bare id without an epoch; else None."""
    epoch, _, id = text.rpartition("-")
    return (epoch or None, int(id)) if re.fullmatch("[0-9]{1,16}", id) else None


_encode = msgspec.json.Encoder().encode
_openings = {kind: b'{"event":"%b","data":' % kind.event.encode() for kind in get_args(Event)}


def encode(event: Event) -> bytes:
    """Return *event* as UTF-8 JSON without line breaks, in its envelope."""
    if type(event) is CommonInit:
        past, users = event.common
        return past.content + users.content + own(event)
    data = event.data if type(event) is Pong else event
    return _openings[type(event)] + _encode(data) + b"}"


def common_past(
    room: str,
    messages: list[Message],
    resumed: bool,
    more: bool,
    epoch: str,
    limits: Limits,
    last: int,
    topic: str = "",
    changes: Sequence[Change] = (),
) -> Shared[bytes]:
    """Return how the JSON of each `CommonInit` with these members begins, envelope included."""
    members: dict[str, object] = {
        "room": room,
        "messages": messages,
        "resumed": resumed,
        "more": more,
        "epoch": epoch,
        "limits": limits,
        "last": last,
    }
    if topic:
        members["topic"] = topic
    if changes:
        members["changes"] = [Told(change.event, change) for change in changes]
    return Shared(_openings[Init] + _encode(members)[:-1] + b",")


def common_users(users: list[Who]) -> Shared[bytes]:
    """Return the middle of the JSON of each `CommonInit` with these *users* and one more."""
    return Shared(b'"users":' + _encode(users)[:-1] + (b"," if users else b""))


def own(init: CommonInit) -> bytes:
    """Return the end of the JSON of *init*, which nobody shares."""
    members: dict[str, object] = {"self": init.self, "count": init.count}
    if init.read is not None:
        members["read"] = init.read
    if init.direct is not None:
        members["direct"] = init.direct
    return _encode(init.users[-1]) + b"]," + _encode(members)[1:] + b"}"
