"""
What clients say: one small typed record for each, and `decode`, which reads them.

A JSON door carries each as ``{"event": NAME, "data": {…}}``. ``docs/protocol.md`` states the same
for people; what the server says is in `chatroom.events`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Union

import msgspec
from msgspec import Meta, Struct

LOBBY = "lobby"
NONCE = 64
"""The most characters of a nonce."""

Id = Annotated[int, Meta(ge=0, le=2**53)]
Nonce = Annotated[str, Meta(min_length=1, max_length=NONCE)]
Limit = Annotated[int, Meta(ge=1)]


class Attach(Struct, gc=False):
    """The uploaded file *id* goes with a message, shown as *name*."""

    id: str
    name: str


class Talk(Struct, gc=False):
    """
    Say *message* in *room*, perhaps in *reply* to another message, or with a *file*.

    *nonce* makes sending it again harmless.
    """

    event: ClassVar[str] = "talk"
    message: str
    type: str = "text"
    room: str = LOBBY
    nonce: Nonce | None = None
    reply: Id | None = None
    file: Attach | None = None


class Edit(Struct, gc=False):
    """Have one's own message *of* say *message* instead, as *type* or the one that it has."""

    event: ClassVar[str] = "edit"
    of: Id
    message: str
    type: str | None = None
    room: str = LOBBY
    nonce: Nonce | None = None


class Delete(Struct, gc=False):
    """Take back one's own message *of*."""

    event: ClassVar[str] = "delete"
    of: Id
    room: str = LOBBY
    nonce: Nonce | None = None


class React(Struct, gc=False):
    """Give the message *of* an *emoji*, or take it away if not *on*."""

    event: ClassVar[str] = "react"
    of: Id
    emoji: str
    on: bool = True
    room: str = LOBBY
    nonce: Nonce | None = None


class SetTopic(Struct, gc=False):
    """Let *topic* stand above *room*; nothing if it is empty."""

    event: ClassVar[str] = "topic"
    topic: str
    room: str = LOBBY
    nonce: Nonce | None = None


class Rename(Struct):
    """Be called *name* from now on."""

    event: ClassVar[str] = "rename"
    name: str


class Join(Struct):
    """Enter a further *room*, having seen it up to the entry *after* of *epoch*."""

    event: ClassVar[str] = "join"
    room: str
    after: Id | None = None
    epoch: str | None = None


class DirectTo(Struct):
    """Enter the direct room with the user *id*."""

    event: ClassVar[str] = "direct"
    id: Id


class Exit(Struct):
    """Leave *room*."""

    event: ClassVar[str] = "exit"
    room: str


class History(Struct):
    """
    Ask for at most *limit* messages of *room*: the newest, or those *before*, *after* or *around*
    an id. The answer has the *nonce*.
    """

    event: ClassVar[str] = "history"
    room: str = LOBBY
    before: Id | None = None
    limit: Limit = 50
    after: Id | None = None
    around: Id | None = None
    nonce: Nonce | None = None


class Edits(Struct):
    """Ask what the message *of* has said until now."""

    event: ClassVar[str] = "edits"
    of: Id
    room: str = LOBBY


class Read(Struct, gc=False):
    """Tell that one has read *room* up to the entry *id*."""

    event: ClassVar[str] = "read"
    id: Id
    room: str = LOBBY


class Rooms(Struct):
    """Ask for at most *limit* public rooms with *match* in their names, by name, behind *after*."""

    event: ClassVar[str] = "rooms"
    match: str = ""
    after: str = ""
    limit: Limit = 100


class Mine(Struct):
    """Ask for the rooms that one reads, and how far one has got in them."""

    event: ClassVar[str] = "mine"


class Search(Struct):
    """
    Ask for at most *limit* messages with all words of *query*, in *room* or everywhere.

    *before* is the `next` of an earlier answer. The answer has the *nonce*.
    """

    event: ClassVar[str] = "search"
    query: str
    room: str | None = None
    before: Id | None = None
    limit: Limit = 20
    nonce: Nonce | None = None


class Typing(Struct):
    """Let *room* know that a message is on its way."""

    event: ClassVar[str] = "typing"
    room: str = LOBBY


class Ping(Struct):
    """Ask for a `Pong` with the same *data*, a JSON object without line breaks."""

    event: ClassVar[str] = "ping"
    data: msgspec.Raw


class Bad(Struct):
    """Something that could not be understood, and *why*; *event* where known."""

    why: str
    event: str | None = None


Ordinary = (
    Talk
    | Edit
    | Delete
    | React
    | SetTopic
    | Rename
    | Join
    | DirectTo
    | Exit
    | History
    | Edits
    | Read
    | Rooms
    | Mine
    | Search
    | Typing
)
"""What is read in one pass: all that is right but a ping."""
Command = Ordinary | Ping | Bad


class _Envelope(Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelopes = msgspec.json.Decoder(_Envelope)
_objects = msgspec.json.Decoder(dict[str, object])
_commands: dict[str, msgspec.json.Decoder[Command]] = {
    kind.event: msgspec.json.Decoder(kind) for kind in Ordinary.__args__
}
_ordinary: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    Union[  # noqa: UP007 (made of a tuple)
        tuple(
            msgspec.defstruct(kind.__name__, [("data", kind)], tag_field="event", tag=kind.event)
            for kind in Ordinary.__args__
        )
    ]
)


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


def command(event: str, data: bytes | msgspec.Raw) -> Command:
    """
    Return what a client says with the name *event* and the JSON *data*, where these come apart.

    Like `decode`, it raises nothing that a client could be the cause of.
    """
    known = event if event in _commands or event == "ping" else None
    try:
        if event == "ping":
            _objects.decode(data)
            return Ping(msgspec.Raw(bytes(data).translate(None, b"\r\n")))
        if known is None:
            return Bad("there is no such event")
        return _commands[event].decode(data)
    except RecursionError:
        return Bad("nested too deep", known)
    except (msgspec.MsgspecError, UnicodeError) as error:
        return Bad(str(error), known)


def _decode(text: bytes) -> Command:
    """Return what `decode` does, in two passes, so that it is known what is wrong with what."""
    try:
        envelope = _envelopes.decode(text)
    except RecursionError:
        return Bad("nested too deep")
    except (msgspec.MsgspecError, UnicodeError) as error:
        return Bad(str(error))
    return command(envelope.event, envelope.data)
