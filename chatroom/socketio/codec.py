"""
Packets of the Socket.IO protocol, revisions 4 and 5, as messages of Engine.IO and back.

The format is that of https://github.com/socketio/socket.io-protocol: a digit, the number of
attachments and a hyphen, the namespace and a comma, an id, and JSON, in which each piece of binary
data is an object that refers to an attachment; these follow as messages of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Raw, Struct

MAIN = "/"
"""The namespace that is not named in packets."""
ATTACHMENTS = 10
"""The most attachments of a packet; the clients of socket.io take no more either."""
RESERVED = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
"""What no event may be called: clients mean something else by it, and break the connection off."""


class Kind(IntEnum):
    """What a packet is."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class BadPacket(Exception):
    """What came is no packet. Its text says why, for people."""


class Packet(Struct):
    """
    One packet as it came, but for its JSON, which nobody may need.

    *id* is there if an answer is wished for, or if this is one. *payload* is JSON: an object or a
    text, or of events and answers the arguments. *attachments* are the binary data that these refer
    to, as soon as all have come. An event with attachments is an `EVENT` all the same.
    """

    kind: Kind
    namespace: str = MAIN
    id: int | None = None
    payload: Raw | None = None
    arguments: Sequence[Raw] = ()
    attachments: Sequence[bytes] = ()

    @property
    def event(self) -> str:
        """The name of an event; what is no text is no name that anybody knows."""
        try:
            return _text.decode(self.arguments[0])
        except ValueError:
            return ""

    def values(self) -> list[Any]:
        """
        Return the arguments behind the name of the event, with the binary data in its places.

        Each attachment has one place: what is sent on has an attachment for each, and so it is not
        more than what came. Raises `BadPacket`.
        """
        left = dict(enumerate(self.attachments))
        try:
            values = [_any.decode(raw) for raw in self.arguments[1:]]
            return [_filled(value, left) for value in values] if left else values
        except (ValueError, RecursionError) as error:
            raise BadPacket(str(error)) from error

    def object(self) -> dict[str, Any]:
        """Return the payload, if it is an object, or nothing. Raises `BadPacket`."""
        if self.payload is None:
            return {}
        try:
            return _object.decode(self.payload)
        except (ValueError, RecursionError) as error:
            raise BadPacket(str(error)) from error


# Of a namespace with a query, as it was in revision 4, 200 characters are more than enough.
_HEAD = re.compile(
    r"([0-6])(?:(?<=[56])([0-9]{1,3})-)?(?:(/[^,\0-\x1f]{0,200})(?:,|$))?([0-9]{1,16})?"
)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_array = msgspec.json.Decoder(list[Raw])
_raw = msgspec.json.Decoder(Raw)
_object = msgspec.json.Decoder(dict[str, Any])
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


def decode(text: str) -> tuple[Packet, int]:
    """
    Return the packet *text*, and how many attachments of it are still to come.

    Raises `BadPacket`.
    """
    head = _HEAD.match(text)
    if head is None:
        raise BadPacket("this begins like no packet")
    digit, count, namespace, id = head.groups()
    kind, rest = Kind(int(digit)), text[head.end() :]
    missing = int(count or 0)
    if (count is not None) != (kind in (Kind.BINARY_EVENT, Kind.BINARY_ACK)):
        raise BadPacket("a packet with attachments says how many")
    if missing > ATTACHMENTS:
        raise BadPacket(f"a packet has at most {ATTACHMENTS} attachments")
    kind = {Kind.BINARY_EVENT: Kind.EVENT, Kind.BINARY_ACK: Kind.ACK}.get(kind, kind)
    packet = Packet(kind, namespace or MAIN, None if id is None else int(id))
    try:
        if kind in (Kind.EVENT, Kind.ACK):
            packet.arguments = _arguments(rest)
            if kind == Kind.EVENT and (not packet.arguments or packet.event in RESERVED):
                raise BadPacket("an event has a name, and not any")
        elif rest:
            packet.payload = _raw.decode(rest)
    except (ValueError, RecursionError) as error:
        raise BadPacket(str(error)) from error
    return packet, missing


def _arguments(text: str) -> list[Raw]:
    """Return the pieces of a JSON array. Raises `ValueError` and `RecursionError`."""
    try:
        return _array.decode(text)
    except msgspec.DecodeError:
        # JavaScript, which cuts texts within a character, takes half of one for JSON. That is for
        # whoever gets the pieces to refuse, and no reason to break the connection off.
        pieces = json.loads(text, parse_constant=_refuse)
        if not isinstance(pieces, list):
            raise
        return [Raw(json.dumps(piece).encode()) for piece in pieces]


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def connect(namespace: str, **members: Any) -> str:
    """Return that *namespace* has been entered, with *members* to say (from revision 5 on)."""
    return f"{Kind.CONNECT:d}{_named(namespace)}{_json(members) if members else ''}"


def disconnect(namespace: str) -> str:
    """Return that *namespace* has been left."""
    return f"{Kind.DISCONNECT:d}{_named(namespace)}"


def refuse(namespace: str, reason: object) -> str:
    """Return that *namespace* cannot be entered: an object since revision 5, or a text before."""
    return f"{Kind.CONNECT_ERROR:d}{_named(namespace)}{_json(reason)}"


def event(namespace: str, name: str, *values: Any) -> list[str | bytes]:
    """Return the event *name* with *values*, in which there may be binary data."""
    return _with(Kind.EVENT, Kind.BINARY_EVENT, namespace, "", [name, *values])


def ack(namespace: str, id: int, *values: Any) -> list[str | bytes]:
    """Return the answer *values* to the event *id*."""
    return _with(Kind.ACK, Kind.BINARY_ACK, namespace, str(id), list(values))


def _with(
    plain: Kind, binary: Kind, namespace: str, id: str, values: list[Any]
) -> list[str | bytes]:
    attachments: list[bytes] = []
    values = _emptied(values, attachments)
    head = f"{binary:d}{len(attachments)}-" if attachments else f"{plain:d}"
    return [f"{head}{_named(namespace)}{id}{_json(values)}", *attachments]


def _named(namespace: str) -> str:
    return "" if namespace == MAIN else f"{namespace},"


def _json(value: object) -> str:
    return _encode(value).decode()


def _filled(value: Any, left: dict[int, bytes]) -> Any:
    """Return *value* with attachments in their places, taken out of *left*. Raises `BadPacket`."""
    if isinstance(value, list):
        return [_filled(item, left) for item in value]
    if not isinstance(value, dict):
        return value
    if "_placeholder" not in value:
        return {key: _filled(item, left) for key, item in value.items()}
    # Other clients would break off on what is nearly one.
    number = value.get("num")
    if value["_placeholder"] is not True or type(number) is not int:
        raise BadPacket("that is no place of an attachment")
    if number not in left:
        raise BadPacket("there is no such attachment, or it has a place already")
    return left.pop(number)


def _emptied(value: Any, attachments: list[bytes]) -> Any:
    """Return *value* with places for its binary data, which goes to the end of *attachments*."""
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, list):
        return [_emptied(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _emptied(item, attachments) for key, item in value.items()}
    return value
