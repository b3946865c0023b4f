"""Frames are as RFC 6455 and RFC 7692 have them, and made once."""

from __future__ import annotations

import pytest

from chatroom.events import Batch, Joined
from chatroom.frames import deflating, frame, plain


@pytest.mark.parametrize(
    ("size", "head"), [(125, "817d"), (126, "817e007e"), (65_536, "817f0000000000010000")]
)
def test_sizes(size: int, head: str) -> None:
    assert frame(0x81, b"x" * size).hex().startswith(head)


def test_encoded_once() -> None:
    batch = Batch([Joined("lobby", 1, "Ann")])
    assert batch.encoded(plain) is batch.encoded(plain)
    assert batch.encoded(deflating(12)) is batch.encoded(deflating(12))
    assert deflating(12) is not deflating(11)
