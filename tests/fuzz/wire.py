"""What the server may say, to the letter: written down a second time, from the wire's definition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tests.fuzz.markup import unsafe

LARGE = 2**20
"""Many clients take no more bytes in one message."""
CODES = {
    *("bad_message", "bad_name", "name_taken", "bad_room", "not_in_room", "forbidden"),
    *("no_such_message", "no_such_user", "no_such_file", "bad_emoji", "too_many_reactions"),
    *("too_many_rooms", "empty", "too_long", "rate_limited", "nonce_reused", "unavailable"),
}
COMMANDS = {
    *("talk", "edit", "delete", "react", "topic", "rename", "join", "direct", "exit", "history"),
    *("edits", "read", "mine", "rooms", "search", "typing", "ping"),
}
REFUSALS = {
    *("unauthorized", "forbidden", "too_large", "rate_limited", "unavailable", "no_such_file"),
    *("bad_message", "empty"),
}

Id = Annotated[int, Meta(ge=1, lt=2**53)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Some = Annotated[int, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=32)]
RoomName = Annotated[str, Meta(min_length=1, max_length=64)]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Text = Annotated[str, Meta(max_length=4000)]
Type = Literal["text", "markdown"]
Nonce = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=16, pattern=r"^[\w=-]+$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Emoji = Annotated[str, Meta(min_length=1, max_length=16)]
Subject = Annotated[str, Meta(min_length=1, max_length=250)]


class Exact(Struct, forbid_unknown_fields=True):
    """An object with these members and no others."""


class Who(Exact):
    id: Id
    name: Name


Mentions = Annotated[list[Who], Meta(min_length=1, max_length=20)]


class Self(Exact):
    id: Id
    name: Name
    token: Token


class File(Exact):
    """A file as an upload is answered with it."""

    id: Digest
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    size: Id
    type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]+$")]
    width: Id | None = None
    height: Id | None = None

    def __post_init__(self) -> None:
        _claim((self.width is None) == (self.height is None), "half of a size")
        _claim(self.width is None or self.type.startswith("image/"), "a size of no picture")


class Reaction(Exact):
    emoji: Emoji
    users: Annotated[list[Who], Meta(min_length=1)]

    def __post_init__(self) -> None:
        _different([user.id for user in self.users], "users of an emoji")


class Talk(Exact, rename={"sender": "from"}):
    id: Id
    room: RoomName
    message: Text
    type: Type
    sender: Who
    time: Time
    nonce: Nonce | None = None
    html: str | None = None
    reply: Id | None = None
    mentions: Mentions | None = None
    file: File | None = None
    edited: Time | None = None
    deleted: Literal[True] | None = None
    reactions: Annotated[list[Reaction], Meta(min_length=1, max_length=20)] | None = None
    changed: Id | None = None

    def __post_init__(self) -> None:
        _direct(self.room, self.sender)
        changed = (self.edited, self.deleted, self.reactions)
        _claim(self.changed is not None or changed == (None, None, None), "changed by nothing")
        _claim(self.changed is None or self.changed > self.id, "changed before it was said")
        _claim(self.reply is None or self.reply < self.id, "an answer before the question")
        _different([who.id for who in self.mentions or ()], "mentions")
        _different([reaction.emoji for reaction in self.reactions or ()], "reactions")
        if self.deleted:
            left = (self.html, self.reply, self.mentions, self.file, self.edited, self.reactions)
            _claim(not self.message and left == (None,) * 6, "something left of what was deleted")
        else:
            _claim(bool(self.message) or self.file is not None, "an empty message")
            _claim((self.html is not None) == (self.type == "markdown"), "no html, or too much")
            _safe(self.html)


class Change(Exact, rename={"sender": "from"}):
    """What all changes of a room have."""

    id: Id
    room: RoomName
    sender: Who
    time: Time

    def __post_init__(self) -> None:
        _direct(self.room, self.sender)
        of = getattr(self, "of", 0)
        _claim(of < self.id, f"a change of {of}, which is still to come")


class Edit(Change):
    of: Id
    message: Text
    type: Type
    nonce: Nonce | None = None
    html: str | None = None
    mentions: Mentions | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Nothing is left of the text where the message was deleted later.
        html = self.html is not None
        _claim(
            html == (self.type == "markdown") or not (html or self.message), "no html, or too much"
        )
        _different([who.id for who in self.mentions or ()], "mentions")
        _safe(self.html)


class Delete(Change):
    of: Id
    nonce: Nonce | None = None


class React(Change):
    of: Id
    emoji: Emoji
    on: bool
    nonce: Nonce | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for c in self.emoji:
            joins = c == "\u200d" or "\U000e0020" <= c <= "\U000e007f" or c == "ℹ"
            _claim(joins or unicodedata.category(c)[0] not in "LCZ" or c > "\U0001f000", "emoji")


class Topic(Change):
    topic: Annotated[str, Meta(max_length=250)]
    nonce: Nonce | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _claim(self.room[0] != "@", "a topic of a direct room")
        _claim(len(self.topic.splitlines()) < 2, "a topic of several lines")


class Told(Exact):
    """A change within an `Init`."""

    event: Literal["edit", "delete", "react", "topic"]
    data: msgspec.Raw

    @property
    def change(self) -> Change:
        change: Change = _changes[self.event].decode(self.data)
        return change


class Limits(Exact):
    message: Id
    name: Literal[32]
    room: Literal[64]
    nonce: Literal[64]
    types: Annotated[list[Type], Meta(min_length=1)]
    history: Literal[200]
    rate: Annotated[float, Meta(ge=0)]
    burst: Count
    topic: Literal[250]
    reactions: Literal[20]
    file: Count


class Init(Exact):
    room: RoomName
    self: Self
    users: list[Who]
    count: Annotated[int, Meta(ge=1)]
    messages: Annotated[list[Talk], Meta(max_length=2000)]
    resumed: bool
    more: bool
    epoch: str
    limits: Limits
    last: Count
    topic: Subject | None = None
    changes: Annotated[list[Told], Meta(min_length=1, max_length=2000)] | None = None
    read: Count | None = None
    direct: Who | None = None

    def __post_init__(self) -> None:
        _different([user.id for user in self.users], "users")
        _claim((self.direct is not None) == (self.room[0] == "@"), "direct, or not")
        _direct(self.room, self.direct, self.self)
        _claim(self.topic is None or self.direct is None, "a topic of a direct room")
        _claim(self.resumed or self.changes is None, "changes of who begins")
        _claim(self.resumed or len(self.messages) <= 50, "many messages of who begins")
        _claim((self.read or 0) <= self.last, "read what is still to come")
        _rising(self.messages, self.last)


class Presence(Exact):
    room: RoomName
    count: Count
    joined: list[Who]
    left: list[Who]


class Whereabouts(Exact):
    """A `join`, an `exit` or a `typing`."""

    room: RoomName
    id: Id
    name: Name


class Rename(Exact):
    id: Id
    name: Name
    was: Name
    room: RoomName | None = None


class History(Exact):
    room: RoomName
    messages: Annotated[list[Talk], Meta(max_length=200)]
    more: bool
    newer: bool
    nonce: Nonce | None = None

    def __post_init__(self) -> None:
        _rising(self.messages)
        _claim({message.room for message in self.messages} <= {self.room}, "other rooms' messages")


class Version(Exact):
    message: Text
    type: Type
    time: Time
    html: str | None = None

    def __post_init__(self) -> None:
        _safe(self.html)


class Versions(Exact):
    """What `edits` is answered with."""

    room: RoomName
    of: Id
    versions: Annotated[list[Version], Meta(min_length=1)]


class Read(Exact):
    room: RoomName
    id: Count


class Listed(Exact):
    room: RoomName
    count: Count
    last: Count
    topic: Subject | None = None


class Rooms(Exact):
    rooms: Annotated[list[Listed], Meta(max_length=200)]
    more: bool

    def __post_init__(self) -> None:
        _different([room.room for room in self.rooms], "rooms")
        _claim(not any(room.room[0] == "@" for room in self.rooms), "a direct room for all to see")


class Own(Exact):
    room: RoomName
    count: Count
    last: Id
    read: Count
    unread: Some
    mentions: Some
    topic: Subject | None = None
    direct: Who | None = None

    def __post_init__(self) -> None:
        _claim(self.read <= self.last, "read what is still to come")
        _claim(self.mentions <= self.unread <= self.last - self.read, "too much unread")
        _claim((self.direct is not None) == (self.room[0] == "@"), "direct, or not")
        _direct(self.room, self.direct)


class Mine(Exact):
    rooms: list[Own]

    def __post_init__(self) -> None:
        _different([room.room for room in self.rooms], "rooms")


class Direct(Exact, rename={"other": "with"}):
    room: Annotated[str, Meta(pattern=r"^@[1-9]\d*-[1-9]\d*$")]
    other: Who

    def __post_init__(self) -> None:
        _direct(self.room, self.other)


class Search(Exact):
    query: Annotated[str, Meta(max_length=250)]
    hits: Annotated[list[Talk], Meta(max_length=50)]
    room: RoomName | None = None
    next: Count | None = None
    nonce: Nonce | None = None

    def __post_init__(self) -> None:
        last: dict[str, int] = {}
        for hit in self.hits:
            _claim(self.room in (None, hit.room), "a hit in another room")
            _claim(hit.deleted is None, "a hit that was deleted")
            _claim(hit.id < last.get(hit.room, 2**53), "hits that are not newest first")
            last[hit.room] = hit.id
        _claim(self.next is None or bool(self.hits), "no hits, and more of them")


class Error(Exact):
    code: Annotated[str, Meta(pattern=f"^({'|'.join(CODES)})$")]
    message: Annotated[str, Meta(min_length=1, max_length=300)]
    event: Annotated[str, Meta(pattern=f"^({'|'.join(COMMANDS)})$")] | None = None
    nonce: Nonce | None = None
    retry_after: Annotated[float, Meta(gt=0)] | None = None


Entry = Talk | Edit | Delete | React | Topic
Event = (
    Init
    | Presence
    | Whereabouts
    | Rename
    | Entry
    | History
    | Versions
    | Read
    | Rooms
    | Mine
    | Direct
    | Search
    | Error
    | dict[str, Any]
)


class Refusal(Exact):
    """Why there is no file, or none was taken."""

    code: Annotated[str, Meta(pattern=f"^({'|'.join(REFUSALS)})$")]
    message: Annotated[str, Meta(min_length=1, max_length=300)]


class _Envelope(Exact):
    event: str
    data: msgspec.Raw


_envelopes = msgspec.json.Decoder(_Envelope)
_changes: dict[str, msgspec.json.Decoder[Any]] = {
    "edit": msgspec.json.Decoder(Edit),
    "delete": msgspec.json.Decoder(Delete),
    "react": msgspec.json.Decoder(React),
    "topic": msgspec.json.Decoder(Topic),
}
_events: dict[str, msgspec.json.Decoder[Event]] = _changes | {
    "init": msgspec.json.Decoder(Init),
    "presence": msgspec.json.Decoder(Presence),
    "join": msgspec.json.Decoder(Whereabouts),
    "exit": msgspec.json.Decoder(Whereabouts),
    "typing": msgspec.json.Decoder(Whereabouts),
    "rename": msgspec.json.Decoder(Rename),
    "talk": msgspec.json.Decoder(Talk),
    "history": msgspec.json.Decoder(History),
    "edits": msgspec.json.Decoder(Versions),
    "read": msgspec.json.Decoder(Read),
    "rooms": msgspec.json.Decoder(Rooms),
    "mine": msgspec.json.Decoder(Mine),
    "direct": msgspec.json.Decoder(Direct),
    "search": msgspec.json.Decoder(Search),
    "error": msgspec.json.Decoder(Error),
    "pong": msgspec.json.Decoder(dict[str, Any]),
}


def read(text: bytes) -> tuple[str, Event]:
    """Return the event in *text* and its name. Raises `ValueError` where it is not allowed."""
    try:
        envelope = _envelopes.decode(text)
        _claim(len(text) <= LARGE or envelope.event == "pong", f"{len(text)} bytes")
        return envelope.event, _events[envelope.event].decode(envelope.data)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"not an event of the wire: {error!r}: {text[:300]!r}") from error


def parties(room: str) -> tuple[int, ...]:
    """Return the ids of those whose direct room *room* is; nothing if it is none."""
    found = re.fullmatch(r"@([1-9]\d*)-([1-9]\d*)", room)
    return tuple(map(int, found.groups())) if found else ()


def _claim(kept: bool, what: str) -> None:
    if not kept:
        raise ValueError(what)


def _different(things: Sequence[object], what: str) -> None:
    _claim(len(set(things)) == len(things), f"the same twice in {what}")


def _direct(room: str, *people: Who | Self | None) -> None:
    if room[0] == "@":
        both = parties(room)
        _claim(len(both) == 2 and both[0] < both[1], f"the room {room}")
        _claim(
            all(who is not None and who.id in both for who in people), "a third in a direct room"
        )


def _rising(messages: Sequence[Talk], last: int = 2**53) -> None:
    before = 0
    for message in messages:
        _claim(before < message.id <= last, f"{message.id} behind {before}, and {last} is the last")
        before = message.id


def _safe(html: str | None) -> None:
    if html and (found := unsafe(html)):
        raise ValueError(f"unsafe html: {found}")
