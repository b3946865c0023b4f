"""
What is said, as bytes: the packets of Engine.IO's versions 4 and 3, alone and as payloads.

In this package an *item* is a message, text or binary, or a `Packet` of any other kind. What makes
bytes of items for one way of carrying them is a `Kind`.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from chatroom.frames import WORTH, frame

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)
"""The kinds of packets, as they are numbered on the wire."""
MOST = 4096
"""So many packets may be in one payload."""

PACKETS = 16
"""So many packets go out in one payload: python-engineio takes no more, and breaks off."""

T = TypeVar("T")

_KINDS = "0123456"
_SEPARATOR = "\x1e"
# Of code units, for those are what version 3 counts: what JavaScript calls characters.
_LENGTH = re.compile(rb"((?:[0-9]\0){1,10}):\0", re.DOTALL)
_BINARY_LENGTH = re.compile(rb"([\0\1])([\0-\x09]{1,10})\xff", re.DOTALL)
_DIGITS = bytes.maketrans(bytes(range(10)), b"0123456789")
_PAIR = re.compile("[\U00010000-\U0010ffff]")


class Malformed(ValueError):
    """What came in is not Engine.IO, or not at this point."""


class TooLarge(Malformed):
    """There is more in it than there may be."""


class Packet(NamedTuple):
    """One packet: its *kind*, and the *data* that came with it."""

    kind: int
    data: str | bytes = ""


Item = str | bytes | Packet
Kind = Callable[[Sequence[Item]], T]


# What comes in.


def packet(version: int, text: str) -> Packet:
    """Return the packet that *text* is. Raises `Malformed`."""
    if text[:1] == "b":
        # In version 4 it is always a message.
        kind, encoded = (text[1:2], text[2:]) if version == 3 else (str(MESSAGE), text[1:])
        try:
            data: str | bytes = b64decode(encoded, validate=True)
        except ValueError as error:
            raise Malformed("that is not base64") from error
        if kind != str(MESSAGE):
            raise Malformed("only messages are binary")
    else:
        kind, data = text[:1], text[1:]
    if not kind or kind not in _KINDS:
        raise Malformed("there is no packet of that kind")
    return Packet(int(kind), data)


def binary_packet(version: int, data: bytes) -> Packet:
    """Return the packet that *data* is. Raises `Malformed`."""
    if version == 3:
        if data[:1] != bytes((MESSAGE,)):
            raise Malformed("only messages are binary")
        data = data[1:]
    return Packet(MESSAGE, data)


def packets(version: int, payload: bytes, binary: bool, largest: int) -> list[Packet]:
    """
    Return what *payload* has in it, the body of one request.

    It is *binary* if it was said to be ``application/octet-stream``. The *largest* packet may have
    so many bytes or characters. Raises `Malformed`.
    """
    if version == 3 and binary:
        found = list(_binary_packets(payload))
    elif binary:
        raise Malformed("that is not text")
    else:
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise Malformed("that is not UTF-8") from error
        if version == 3:
            found = list(_counted_packets(text))
        else:
            found = [packet(4, part) for part in text.split(_SEPARATOR)]
    if not found:
        raise Malformed("there is nothing in it")
    if len(found) > MOST:
        raise TooLarge("there are too many packets in it")
    if max(len(said.data) for said in found) > largest:
        raise TooLarge("there is too large a packet in it")
    return found


def _counted_packets(text: str) -> Iterator[Packet]:
    units, at = text.encode("utf-16-le"), 0
    while at < len(units):
        length = _LENGTH.match(units, at)
        if length is None:
            raise Malformed("there is no length")
        at = length.end() + 2 * int(length[1][::2])
        if at > len(units):
            raise Malformed("the length is wrong")
        try:
            part = units[length.end() : at].decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise Malformed("the length is wrong") from error
        yield packet(3, part)


def _binary_packets(payload: bytes) -> Iterator[Packet]:
    at = 0
    while at < len(payload):
        length = _BINARY_LENGTH.match(payload, at)
        if length is None:
            raise Malformed("there is no length")
        at = length.end() + int(length[2].translate(_DIGITS))
        if at > len(payload):
            raise Malformed("the length is wrong")
        part = payload[length.end() : at]
        if length[1] == b"\1":
            yield binary_packet(3, part)
        else:
            try:
                yield packet(3, part.decode())
            except UnicodeDecodeError as error:
                raise Malformed("that is not UTF-8") from error


# What goes out.


def as_is(items: Sequence[Item]) -> Sequence[Item]:
    """Return *items*."""
    return items


@cache
def framing(kind: Kind[T], encode: Callable[[Any], Sequence[Item]]) -> Callable[[Any], T]:
    """Return what makes a *kind* of bytes out of what *encode* makes items of."""
    return lambda content: kind(encode(content))


def payloads4(items: Sequence[Item]) -> list[bytes]:
    """Return *items* as payloads of version 4, one of each."""
    return [_text(4, item).encode() for item in items]


def payloads3(items: Sequence[Item]) -> list[bytes]:
    """Return *items* as payloads of version 3 that are text, one of each."""
    payloads = []
    for item in items:
        text = _text(3, item)
        length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        payloads.append(f"{length}:{text}".encode())
    return payloads


def payloads3_binary(items: Sequence[Item]) -> list[bytes]:
    """
    Return *items* as payloads of version 3, one of each, that are binary if something in them is.

    So they are if clients in other languages than JavaScript would count characters otherwise: in
    binary payloads it is bytes that count.
    """
    if not any(isinstance(item, bytes) or _PAIR.search(_text(3, item)) for item in items):
        return payloads3(items)
    payloads = []
    for item in items:
        first, data = 0, b""
        if isinstance(item, bytes):
            first, data = 1, bytes((MESSAGE,)) + item
        else:
            data = _text(3, item).encode()
        digits = bytes([int(digit) for digit in str(len(data))])
        payloads.append(b"%c%b\xff%b" % (first, digits, data))
    return payloads


def joined(version: int, payloads: Sequence[bytes]) -> tuple[bytes, int]:
    """Return as many of *payloads*, of a packet each, as can be one, and how many these are."""
    if version == 4:
        return _SEPARATOR.encode().join(payloads), len(payloads)
    first = is_binary(payloads[0])
    count = 1
    while count < len(payloads) and is_binary(payloads[count]) == first:
        count += 1
    return b"".join(payloads[:count]), count


def is_binary(payload: bytes) -> bool:
    """Return whether *payload* is one of `payloads3_binary` that is not text."""
    return payload[0] <= 1


@cache
def frames(version: int, binary: bool, bits: int) -> Kind[bytes]:
    """
    Return what makes WebSocket frames of items.

    What is binary goes as base64 unless the client can have it *binary*. Messages are compressed
    for a window of 2**bits (RFC 7692), or not at all if that is 0.
    """

    def framed(item: Item) -> bytes:
        if binary and isinstance(item, bytes):
            first, payload = 0x82, item if version == 4 else bytes((MESSAGE,)) + item
        else:
            first, payload = 0x81, _text(version, item).encode()
        if bits and len(payload) >= WORTH:
            stream = zlib.compressobj(wbits=-bits)
            payload = (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
            first |= 0x40
        return frame(first, payload)

    return lambda items: b"".join([framed(item) for item in items])


def _text(version: int, item: Item) -> str:
    if isinstance(item, str):
        return f"{MESSAGE}{item}"
    if isinstance(item, bytes):
        kind = MESSAGE if version == 3 else ""
        return f"b{kind}{b64encode(item).decode('ascii')}"
    return f"{item.kind}{item.data if isinstance(item.data, str) else ''}"
