"""Entries of a log as rows of the store, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from chatroom.events import Change, Deleted, Edited, File, Message, Reacted, Topic, Who

MESSAGE = (
    "m.id, r.name, m.message, m.type, m.user, m.name, m.time, m.nonce, m.more, m.now, m.deleted"
)
"""What `message_of` is made of, of the tables messages (m) and rooms (r)."""
CHANGE = "c.id, r.name, c.kind, c.of, c.user, c.name, c.type, c.value, c.time, c.nonce, c.more"
"""What `change_of` is made of, of the tables changes (c) and rooms (r)."""
CHANGES = (
    *("room", "id", "kind", "of", "user", "name"),
    *("type", "value", "time", "nonce", "more"),
)
"""The columns of the table changes, in the order of `columns_of`."""


class More(Struct, omit_defaults=True, frozen=True, gc=False):
    """What an entry seldom has: members of `Message`, `Edited` and `Reacted`."""

    html: str | None = None
    reply: int | None = None
    mentions: tuple[Who, ...] = ()
    file: File | None = None
    on: bool = True


_encode = msgspec.json.Encoder().encode
_more = msgspec.json.Decoder(More)
_now = msgspec.json.Decoder(Message)
_NONE = More()


def more_of(message: Message) -> str:
    """Return what the column ``more`` has of *message*, if there is something."""
    rest = More(message.html, message.reply, message.mentions, message.file)
    return _encode(rest).decode()


def now_of(message: Message) -> str:
    """Return what the column ``now`` has of *message*, which was changed."""
    return _encode(message).decode()


def html_of(more: str | None) -> str | None:
    """Return what the column *more* has of the rendered text."""
    return None if more is None else _more.decode(more).html


def message_of(row: Sequence[Any]) -> Message:
    """Return the message, as it is now, of a *row* of `MESSAGE`."""
    id, room, text, type, user, name, time, nonce, more, now, deleted = row
    if more is None and now is None and deleted is None:
        return Message(id, room, text, type, Who(user, name), time, nonce)
    if now is not None:
        return _now.decode(now)
    sender = Who(user, name)
    if deleted is not None:
        return Message(id, room, text, type, sender, time, nonce, deleted=True, changed=deleted)
    rest = _more.decode(more)
    return Message(
        id, room, text, type, sender, time, nonce, rest.html, rest.reply, rest.mentions, rest.file
    )


def change_of(row: Sequence[Any]) -> Change:
    """Return the change of a *row* of `CHANGE`."""
    id, room, kind, of, user, name, type, value, time, nonce, more = row
    sender = Who(user, name)
    rest = _NONE if more is None else _more.decode(more)
    if kind == Edited.event:
        return Edited(id, room, of, value, type, sender, time, nonce, rest.html, rest.mentions)
    if kind == Reacted.event:
        return Reacted(id, room, of, value, rest.on, sender, time, nonce)
    if kind == Deleted.event:
        return Deleted(id, room, of, sender, time, nonce)
    return Topic(id, room, value, sender, time, nonce)


def columns_of(change: Change, room: int) -> tuple[object, ...]:
    """Return the `CHANGES` of *change* in the room of number *room*."""
    of: int | None = None
    type = rest = None
    value = ""
    if isinstance(change, Topic):
        value = change.topic
    else:
        of = change.of
        if isinstance(change, Edited):
            value, type = change.message, change.type
            if change.html is not None or change.mentions:
                rest = _encode(More(change.html, mentions=change.mentions)).decode()
        elif isinstance(change, Reacted):
            value = change.emoji
            rest = None if change.on else _OFF
    sender = change.sender
    return (
        room,
        change.id,
        change.event,
        of,
        sender.id,
        sender.name,
        type,
        value,
        change.time,
        change.nonce,
        rest,
    )


_OFF = _encode(More(on=False)).decode()
