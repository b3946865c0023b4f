"""What the server may say, to the letter: written down a second time, from the wire's definition."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Id = Annotated[int, Meta(ge=1, lt=2**53)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=32)]
RoomName = Annotated[str, Meta(min_length=1, max_length=64)]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Nonce = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=16, pattern=r"^[\w=-]+$")]


class Exact(Struct, forbid_unknown_fields=True):
    """An object with these members and no others."""


class Who(Exact):
    id: Id
    name: Name


class Self(Exact):
    id: Id
    name: Name
    token: Token


class Talk(Exact, rename={"sender": "from"}):
    id: Id
    room: RoomName
    message: Text
    type: Literal["text"]
    sender: Who
    time: Time
    nonce: Nonce | None = None


class Init(Exact):
    room: RoomName
    self: Self
    users: list[Who]
    count: Annotated[int, Meta(ge=1)]
    messages: list[Talk]
    resumed: bool
    more: bool
    epoch: str
    limits: dict[str, Any]


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


class Error(Exact):
    code: Literal[
        "bad_message",
        "too_long",
        "empty",
        "rate_limited",
        "unavailable",
        "nonce_reused",
        "name_taken",
        "bad_name",
        "bad_room",
        "not_in_room",
        "too_many_rooms",
    ]
    message: Annotated[str, Meta(min_length=1, max_length=300)]
    event: Literal["talk", "rename", "join", "exit", "history", "typing", "ping"] | None = None
    nonce: Nonce | None = None
    retry_after: Annotated[float, Meta(gt=0)] | None = None


Event = Init | Presence | Whereabouts | Rename | Talk | History | Error | dict[str, Any]


class _Envelope(Exact):
    event: str
    data: msgspec.Raw


_envelopes = msgspec.json.Decoder(_Envelope)
_events: dict[str, msgspec.json.Decoder[Event]] = {
    "init": msgspec.json.Decoder(Init),
    "presence": msgspec.json.Decoder(Presence),
    "join": msgspec.json.Decoder(Whereabouts),
    "exit": msgspec.json.Decoder(Whereabouts),
    "typing": msgspec.json.Decoder(Whereabouts),
    "rename": msgspec.json.Decoder(Rename),
    "talk": msgspec.json.Decoder(Talk),
    "history": msgspec.json.Decoder(History),
    "error": msgspec.json.Decoder(Error),
    "pong": msgspec.json.Decoder(dict[str, Any]),
}


def read(text: bytes) -> tuple[str, Event]:
    """Return the event in *text* and its name. Raises `ValueError` where it is not allowed."""
    try:
        envelope = _envelopes.decode(text)
        return envelope.event, _events[envelope.event].decode(envelope.data)
    except (msgspec.MsgspecError, KeyError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not an event of the wire: {error!r}: {text[:300]!r}") from error
