"""Events as WebSocket frames (RFC 6455), each encoded and deflated (RFC 7692) once for everybody."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache

from chatroom.events import (
    CommonInit,
    Event,
    encode,
    own,
)

WINDOW = 12
"""The base-2 logarithm of the deflate window, both ways (RFC 7692, section 7.1.2)."""
WORTH = 300
"""From so many bytes on a message is compressed."""


def plain(events: Sequence[Event]) -> bytes:
    """Return *events* as text frames (RFC 6455, section 5.2)."""
    parts = []
    for event in events:
        payload = encode(event)
        size = len(payload)
        parts.append(_HEADS[size] if size < len(_HEADS) else _head(0x81, size))
        parts.append(payload)
    return b"".join(parts)


@cache
def deflating(bits: int) -> Callable[[Sequence[Event]], bytes]:
    """Return what `plain` is, with messages compressed for a window of 2**bits (RFC 7692)."""

    def deflate(json: bytes) -> bytes:
        """Return blocks of RFC 1951 that end at a byte, and need nothing that was before them."""
        stream = zlib.compressobj(wbits=-bits)
        return stream.compress(json) + stream.flush(zlib.Z_SYNC_FLUSH)

    def framed(event: Event) -> bytes:
        if isinstance(event, CommonInit):
            # Only what all have in common is worth the time, for that is spent once.
            blocks = [shared.encoded(deflate) for shared in event.common]
            return frame(0xC1, b"".join(blocks) + _stored(own(event)) + b"\0")
        payload = encode(event)
        if len(payload) < WORTH:
            return frame(0x81, payload)
        return frame(0xC1, deflate(payload)[:-4])

    def deflated(events: Sequence[Event]) -> bytes:
        return b"".join([framed(event) for event in events])

    return deflated


def frame(first: int, payload: bytes) -> bytes:
    """Return *payload* as one unmasked frame that begins with the byte *first*."""
    return _head(first, len(payload)) + payload


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2)
    return bytes((first, 127)) + size.to_bytes(8)


_HEADS = [_head(0x81, size) for size in range(1024)]


def _stored(data: bytes) -> bytes:
    """Return *data*, less than 64 KiB, as one block without compression (RFC 1951, 3.2.4)."""
    size = len(data)
    return b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data
