"""Frames are as RFC 6455 and RFC 7692 have them, and made once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.events import (
    Batch,
    CommonInit,
    Event,
    Joined,
    Limits,
    Message,
    Self,
    Who,
    common_past,
    common_users,
    encode,
)
from chatroom.frames import WORTH, deflating, frame, plain
from chatroom.room import ANSWER

ANN = Who(1, "Ann")
LIMITS = Limits(4000, 32, 64, 64, ("text",), 200, 5.0, 20, 250, 20, 0)


def message(text: str) -> Message:
    return Message(7, "lobby", text, "text", ANN, "2026-10-21T07:28:00.000Z")


def init(others: int, texts: list[str]) -> CommonInit:
    """Return the init of one of several, made of what they share."""
    users = [Who(n, f"guest-{n}") for n in range(others)]
    messages = [message(text) for text in texts]
    return CommonInit(
        *("lobby", Self(1, "Ann", "t"), [*users, ANN], others + 1, messages),
        *(False, True, "e", LIMITS, 7),
        common=(common_past("lobby", messages, False, True, "e", LIMITS, 7), common_users(users)),
    )


def payloads(data: bytes, bits: int) -> Iterator[Any]:
    """Give what is in the frames that *data* is, as a client with a window of 2**bits would."""
    while data:
        first, size, data = data[0], data[1], data[2:]
        extended = {126: 2, 127: 8}.get(size, 0)
        if extended:
            size, data = int.from_bytes(data[:extended]), data[extended:]
        payload, data = data[:size], data[size:]
        assert len(payload) == size
        assert first in (0x81, 0xC1)
        if first == 0xC1:
            inflate = zlib.decompressobj(wbits=-bits)
            payload = inflate.decompress(payload + b"\0\0\xff\xff")
            # At the end of a block: another may follow.
            inflate.decompress(b"\x01\0\0\xff\xff")
            assert inflate.eof
            assert not inflate.unused_data
        yield json.loads(payload)


@pytest.mark.parametrize(
    ("size", "head"), [(125, "817d"), (126, "817e007e"), (65_536, "817f0000000000010000")]
)
def test_sizes(size: int, head: str) -> None:
    assert frame(0x81, b"x" * size).hex().startswith(head)


def test_text_frames_of_any_size() -> None:
    empty = len(encode(message("")))
    for size in (0, 1, 1023 - empty, 1024 - empty, 1025 - empty, 65_535 - empty, 65_536 - empty):
        event = message("x" * size)
        assert plain([event]) == frame(0x81, encode(event))
    joined = Joined("x", 1, "A")
    assert len(encode(joined)) < 126
    assert plain([joined, event]) == frame(0x81, encode(joined)) + frame(0x81, encode(event))
    assert plain([]) == b""


def test_encoded_once() -> None:
    batch = Batch([Joined("lobby", 1, "Ann")])
    assert batch.encoded(plain) is batch.encoded(plain)
    assert batch.encoded(deflating(12)) is batch.encoded(deflating(12))
    assert deflating(12) is not deflating(11)


TEXTS = st.lists(st.text(st.characters(codec="utf-8")) | st.text("ab").map(lambda t: t * 999))
EVENTS = st.builds(init, st.integers(0, 300), TEXTS) | st.builds(message, st.text("xyz"))


@pytest.mark.parametrize("bits", range(9, 16))
@given(events=st.lists(EVENTS, max_size=4))
def test_what_was_deflated_can_be_inflated(bits: int, events: list[Event]) -> None:
    expected = [json.loads(encode(event)) for event in events]
    assert list(payloads(plain(events), bits)) == expected
    assert list(payloads(deflating(bits)(events), bits)) == expected


def test_the_longest_answer_can_be_inflated() -> None:
    events = [init(199, ["".join(map(str, range(n, n + 20_000))) for n in range(9)])]
    assert 800_000 < len(encode(events[0])) < ANSWER
    data = deflating(9)(events)
    assert 65_536 < len(data) < 800_000
    assert list(payloads(data, 9)) == [json.loads(encode(events[0]))]


def test_what_many_have_in_common_is_deflated_once() -> None:
    one = init(199, ["hello " * 10] * 50)
    other = init(0, [])
    other.self, other.users, other.common = Self(9, "Bob", "t"), [*one.users[:-1], ANN], one.common
    first = [deflating(12)([each]) for each in (one, other)]
    assert [len(piece._encoded) for piece in one.common] == [1, 1]
    past, users = (made for piece in one.common for made in piece._encoded.values())
    assert isinstance(past, bytes)
    assert isinstance(users, bytes)
    assert past + users in first[0]
    assert past + users in first[1]
    assert len(first[0]) < len(encode(one)) / 5
    deflating(11)([one])
    assert [len(piece._encoded) for piece in one.common] == [2, 2]


def test_what_is_short_is_not_compressed() -> None:
    size = WORTH - len(encode(message("")))
    assert deflating(12)([message("x" * (size - 1))])[0] == 0x81
    assert deflating(12)([message("x" * size)])[0] == 0xC1
