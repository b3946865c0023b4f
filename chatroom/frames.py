"""Events as WebSocket frames (RFC 6455), each encoded and deflated (RFC 7692) once for everybody."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache

from chatroom.events import Event, encode

WINDOW = 12
"""The base-2 logarithm of the deflate window, both ways (RFC 7692, section 7.1.2)."""
WORTH = 300
"""From so many bytes on a message is compressed."""


def plain(events: Sequence[Event]) -> bytes:
    """Return *events* as text frames (RFC 6455, section 5.2)."""
    return b"".join(frame(0x81, encode(event)) for event in events)


@cache
def deflating(bits: int) -> Callable[[Sequence[Event]], bytes]:
    """Return what `plain` is, with messages compressed for a window of 2**bits (RFC 7692)."""

    def deflated(events: Sequence[Event]) -> bytes:
        return b"".join(_deflated(encode(event), bits) for event in events)

    return deflated


def _deflated(payload: bytes, bits: int) -> bytes:
    if len(payload) < WORTH:
        return frame(0x81, payload)
    deflate = zlib.compressobj(wbits=-bits)
    return frame(0xC1, (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4])


def frame(first: int, payload: bytes) -> bytes:
    """Return *payload* as one unmasked frame that begins with the byte *first*."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload
