"""Engine.IO's packets and payloads: as the specification shows them, and there and back again."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.engineio import codec
from chatroom.engineio.codec import (
    CLOSE,
    MESSAGE,
    MOST,
    NOOP,
    OPEN,
    PING,
    PONG,
    UPGRADE,
    Item,
    Kind,
    Malformed,
    Packet,
    TooLarge,
    as_is,
    binary_packet,
    frames,
    framing,
    is_binary,
    joined,
    packet,
    payloads3,
    payloads3_binary,
    payloads4,
)
from chatroom.events import Shared
from chatroom.frames import WORTH

packets = partial(codec.packets, largest=65_536)
EURO = "€"
NUMBERS = b"\1\2\3\4"

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))
ANY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
CONTROLS = st.builds(Packet, st.sampled_from([OPEN, CLOSE, PING, PONG, UPGRADE, NOOP]), TEXTS)
ITEMS = st.lists(TEXTS | st.binary() | CONTROLS, min_size=1, max_size=20)
ANY_ITEMS = st.lists(ANY_TEXTS | st.binary() | CONTROLS, min_size=1, max_size=20)


def as_packets(items: list[Item]) -> list[Packet]:
    return [item if isinstance(item, Packet) else Packet(MESSAGE, item) for item in items]


def payload4(items: list[Item]) -> bytes:
    return whole(4, payloads4(items))


def payload3(items: list[Item]) -> bytes:
    return whole(3, payloads3(items))


def payload3_binary(items: list[Item]) -> bytes:
    return whole(3, payloads3_binary(items))


def whole(version: int, payloads: list[bytes]) -> bytes:
    payload, count = joined(version, payloads)
    assert count == len(payloads)
    return payload


# The examples of the specification's section on encoding, and of its third version's.


@pytest.mark.parametrize(
    ("items", "wire"),
    [
        (["hello", Packet(PING), "world"], b"4hello\x1e2\x1e4world"),
        (["hello", NUMBERS], b"4hello\x1ebAQIDBA=="),
        ([EURO], b"4\xe2\x82\xac"),
        ([""], b"4"),
        ([Packet(PONG, "probe")], b"3probe"),
    ],
)
def test_payloads_of_version_4(items: list[Item], wire: bytes) -> None:
    assert payload4(items) == wire
    assert packets(4, wire, binary=False) == as_packets(items)


@pytest.mark.parametrize(
    ("items", "wire"),
    [
        (["hello", EURO], "6:4hello2:4€"),
        ([EURO, NUMBERS], "2:4€10:b4AQIDBA=="),
        (["\N{PILE OF POO}"], "3:4\N{PILE OF POO}"),
        ([Packet(PONG, "probe"), ""], "6:3probe1:4"),
    ],
)
def test_payloads_of_version_3_count_what_javascript_calls_characters(
    items: list[Item], wire: str
) -> None:
    assert payload3(items) == wire.encode()
    assert packets(3, wire.encode(), binary=False) == as_packets(items)


def test_binary_payload_of_version_3() -> None:
    wire = bytes.fromhex("00 04 ff 34 e2 82 ac  01 05 ff 04 01 02 03 04")
    assert payload3_binary([EURO, NUMBERS]) == wire
    assert packets(3, wire, binary=True) == as_packets([EURO, NUMBERS])
    assert is_binary(wire)


def test_without_anything_binary_a_payload_of_version_3_is_text() -> None:
    assert payload3_binary(["hello", EURO]) == payload3(["hello", EURO])
    assert not is_binary(payload3(["hello"]))


def test_what_is_counted_otherwise_elsewhere_is_binary_in_version_3() -> None:
    wire = b"\0\6" + b"\xff4hello" + b"\0\5\xff" + "4👋".encode()
    assert payload3_binary(["hello", "👋"]) == wire
    assert packets(3, wire, binary=True) == as_packets(["hello", "👋"])


# There and back.


@given(ITEMS)
def test_version_4_there_and_back(items: list[Item]) -> None:
    assert packets(4, payload4(items), binary=False) == as_packets(items)


@given(ANY_ITEMS)
def test_version_3_there_and_back_as_text(items: list[Item]) -> None:
    assert packets(3, payload3(items), binary=False) == as_packets(items)


@given(ANY_ITEMS)
def test_version_3_there_and_back_as_it_comes(items: list[Item]) -> None:
    wire = payload3_binary(items)
    texts = [item.data if isinstance(item, Packet) else item for item in items]
    assert is_binary(wire) == any(
        isinstance(text, bytes) or max(text, default="") > "\uffff" for text in texts
    )
    assert packets(3, wire, binary=is_binary(wire)) == as_packets(items)


@given(st.lists(ITEMS, min_size=1, max_size=5), st.sampled_from([3, 4]))
def test_payloads_join_in_order_and_none_is_lost(parts: list[list[Item]], version: int) -> None:
    made = [(payloads4 if version == 4 else payloads3_binary)(part) for part in parts]
    payloads = [payload for part in made for payload in part]
    found = []
    while payloads:
        payload, count = joined(version, payloads)
        found += packets(version, payload, binary=version == 3 and is_binary(payload))
        del payloads[:count]
    assert found == as_packets([item for part in parts for item in part])


def unframed(data: bytes) -> list[tuple[int, bytes]]:
    """Return the first byte and the payload of each frame in *data* (RFC 6455, section 5.2)."""
    found = []
    while data:
        size, at = data[1], 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at])
        payload = data[at : at + size]
        if data[0] & 0x40:
            payload = zlib.decompressobj(wbits=-12).decompress(payload + b"\0\0\xff\xff")
        found.append((data[0], payload))
        data = data[at + size :]
    return found


@given(
    ANY_ITEMS, st.sampled_from([3, 4]), st.booleans(), st.sampled_from([0, 12]), st.integers(0, 1)
)
def test_frames_there_and_back(
    items: list[Item], version: int, binary: bool, bits: int, large: int
) -> None:
    items = [*items, large * WORTH * "x", large * 2 * WORTH * b"y"]
    found = unframed(frames(version, binary, bits)(items))
    back = [
        binary_packet(version, payload) if first & 0xF == 2 else packet(version, payload.decode())
        for first, payload in found
    ]
    assert back == as_packets(items)
    if large or not bits:
        assert any(first & 0x40 for first, _ in found) == bool(bits)
    assert any(first & 0xF == 2 for first, _ in found) == binary


def test_small_messages_are_not_compressed_and_large_ones_are() -> None:
    kind = frames(4, True, 12)
    assert kind(["hello"]) == b"\x81\6" + b"4hello"
    large = kind(["x" * WORTH])
    assert large[0] == 0xC1
    assert len(large) < WORTH / 2
    assert kind([b"y" * WORTH])[0] == 0xC2


# What is wrong.


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    "text", ["", "7", "9hello", "abc", "b", "bA", "b4A", "b4A*==", "b4AQ==x", "\x1e", "-1", "٤"]
)
def test_what_is_no_packet(version: int, text: str) -> None:
    if version == 4 and text == "b":
        assert packet(4, text) == Packet(MESSAGE, b"")
        return
    with pytest.raises(Malformed):
        packet(version, text)


def test_only_messages_are_binary() -> None:
    for wrong in ("b2AQ==", "b9AQ==", "b"):
        with pytest.raises(Malformed):
            packet(3, wrong)
    for data in (b"", b"\2hello", b"4hello"):
        with pytest.raises(Malformed):
            binary_packet(3, data)
    assert binary_packet(4, b"") == Packet(MESSAGE, b"")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"abc",
        b":4",
        b"4",
        b"2:4",
        b"1:44",
        b"1:4x",
        b"-1:4",
        b"1e1:4",
        b"99999999999:4",
        b"9999999999:4",
        "2:4\N{PILE OF POO}".encode(),
        "1:4\N{PILE OF POO}".encode(),
        b"2:4\xff",
        b"1:9",
        "١:4".encode(),
    ],
)
def test_what_is_no_payload_of_version_3(payload: bytes) -> None:
    with pytest.raises(Malformed):
        packets(3, payload, binary=False)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\xff4",
        b"\2\1\xff4",
        b"\0\2\xff4",
        b"\0\x0a\xff4",
        b"\0\1\xff9",
        b"\0\2\xff4\xff",
        b"\1\1\xff\2",
        b"\0" + b"\1" * 11 + b"\xff4",
        b"1:4",
    ],
)
def test_what_is_no_binary_payload_of_version_3(payload: bytes) -> None:
    with pytest.raises(Malformed):
        packets(3, payload, binary=True)


@pytest.mark.parametrize("payload", [b"", b"abc", b"4a\x1e", b"\x1e4a", b"4\xff", b"4a\x1e\x1e4b"])
def test_what_is_no_payload_of_version_4(payload: bytes) -> None:
    with pytest.raises(Malformed):
        packets(4, payload, binary=False)


def test_version_4_knows_no_binary_payloads() -> None:
    with pytest.raises(Malformed):
        packets(4, b"4hello", binary=True)


@pytest.mark.parametrize("version", [3, 4])
def test_many_packets_in_one_payload_are_too_many(version: int) -> None:
    make = payload4 if version == 4 else payload3
    assert len(packets(version, make([""] * MOST), binary=False)) == MOST
    with pytest.raises(TooLarge):
        packets(version, make([""] * (MOST + 1)), binary=False)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("message", ["x", b"x"])
def test_a_packet_may_be_so_large(version: int, message: str | bytes) -> None:
    make = payload4 if version == 4 else payload3
    large = packets(version, make([100 * message] * 5), binary=False, largest=100)
    assert large == [Packet(MESSAGE, 100 * message)] * 5
    with pytest.raises(TooLarge):
        packets(version, make([100 * message, 101 * message]), binary=False, largest=100)


@given(st.sampled_from([3, 4]), st.binary(max_size=64), st.booleans())
def test_whatever_comes_is_packets_or_malformed(version: int, payload: bytes, binary: bool) -> None:
    try:
        found = packets(version, payload, binary=binary)
    except Malformed as error:
        assert len(str(error).splitlines()) == 1
        return
    assert found
    assert all(isinstance(said.data, str) or said.kind == MESSAGE for said in found)


# Once for all.


def test_what_many_get_is_made_once_for_each_kind() -> None:
    asked: list[str] = []

    def encode(content: str) -> list[str]:
        asked.append(content)
        return [json.dumps(content)]

    shared = Shared("hello")
    kinds: list[Kind[object]] = [payloads4, payloads3, payloads3_binary]
    kinds += [frames(4, True, 0), frames(3, True, 12)]
    first = [shared.encoded(framing(kind, encode)) for kind in kinds]
    again = [shared.encoded(framing(kind, encode)) for kind in kinds]
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert asked == ["hello"] * len(kinds)
    assert first[0] == [b'4"hello"']
    assert frames(4, True, 0) is frames(4, True, 0)


def test_items_are_themselves() -> None:
    items = ["a", b"b", Packet(NOOP)]
    assert framing(payloads4, as_is)(items) == [b"4a", b"b" + b64encode(b"b"), b"6"]
