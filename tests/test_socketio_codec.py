"""Packets of Socket.IO: what is one, what is none, and that clients can read what is made here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.socketio import codec
from chatroom.socketio.codec import BadPacket, Kind, Packet, decode


def decoded(*messages: str | bytes) -> Packet:
    """Return the packet that *messages* are."""
    head, *attachments = messages
    assert isinstance(head, str)
    packet, missing = decode(head)
    assert missing == len(attachments)
    packet.attachments = [piece for piece in attachments if isinstance(piece, bytes)]
    return packet


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "id", "arguments"),
    [
        ("0", Kind.CONNECT, "/", None, []),
        ('0{"token":"123"}', Kind.CONNECT, "/", None, []),
        ("0/admin", Kind.CONNECT, "/admin", None, []),
        ("0/admin,", Kind.CONNECT, "/admin", None, []),
        ("0/admin?token=1,", Kind.CONNECT, "/admin?token=1", None, []),
        ('0/admin,{"token":"123"}', Kind.CONNECT, "/admin", None, []),
        ("1", Kind.DISCONNECT, "/", None, []),
        ("1/admin,", Kind.DISCONNECT, "/admin", None, []),
        ('2["foo"]', Kind.EVENT, "/", None, [b'"foo"']),
        ('2/admin,["bar",{"a":[1, 2]}]', Kind.EVENT, "/admin", None, [b'"bar"', b'{"a":[1, 2]}']),
        ('212["foo"]', Kind.EVENT, "/", 12, [b'"foo"']),
        ('2[7,"a"]', Kind.EVENT, "/", None, [b"7", b'"a"']),
        ('3/admin,13["bar"]', Kind.ACK, "/admin", 13, [b'"bar"']),
        ("30[]", Kind.ACK, "/", 0, []),
        ('4{"message":"no"}', Kind.CONNECT_ERROR, "/", None, []),
        ('50-["baz"]', Kind.EVENT, "/", None, [b'"baz"']),
    ],
)
def test_what_is_a_packet(
    text: str, kind: Kind, namespace: str, id: int | None, arguments: list[bytes]
) -> None:
    packet, missing = decode(text)
    found = packet.kind, packet.namespace, packet.id, [bytes(raw) for raw in packet.arguments]
    assert found == (kind, namespace, id, arguments)
    assert missing == 0


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "7", "-1", "²", "4abc"),
        *("2", "2{}", '2"foo"', "2[]", '2["foo"', '2["foo"]x', '2abc["foo"]', '2["foo",NaN]'),
        *('2["connect"]', '2["disconnecting",1]', '2["newListener"]'),
        *("3", "3{}", "36null"),
        *('0{"a":', "0nonsense", "0/admin,nonsense"),
        *('5["foo"]', '5-["foo"]', '5x-["foo"]', '511-["foo"]', '59999-["foo"]', '21-["foo"]'),
        *("6[]", "2/\x1e,[]", "2/" + "a" * 201 + ',["foo"]'),
        "2" + "[" * 100_000,
        '2["foo",' + "[" * 100_000,
        "0" + "[" * 100_000,
        "2" + "9" * 100_000 + '["foo"]',
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(BadPacket):
        decode(text)


def test_binary_data_comes_behind() -> None:
    places = [{"_placeholder": True, "num": 1}, {"a": [{"num": 0, "_placeholder": True}]}]
    packet = decoded(f"52-/admin,7{json.dumps(['baz', *places])}", b"\1\2", b"")
    assert (packet.kind, packet.namespace, packet.id) == (Kind.EVENT, "/admin", 7)
    assert packet.event == "baz"
    assert packet.values() == [b"", {"a": [b"\1\2"]}]


@pytest.mark.parametrize(
    "place",
    [
        *({"_placeholder": True, "num": number} for number in (1, -1, 0.0, "0", None, True, 2**70)),
        *({"_placeholder": sign, "num": 0} for sign in (1, False, "true", None)),
        {"_placeholder": True},
        {"deep": [{"_placeholder": True, "num": 5}]},
    ],
)
def test_a_place_of_nothing_is_not_passed_on(place: dict[str, Any]) -> None:
    packet = decoded(f'51-["foo",{json.dumps(place)}]', b"\1")
    with pytest.raises(BadPacket):
        packet.values()


@pytest.mark.parametrize("wrap", ["{0},{0}", "[{0},{0}]", '{0},{{"a":[{0}]}}', "{0},{1},{0}"])
def test_an_attachment_has_one_place(wrap: str) -> None:
    places = [json.dumps({"_placeholder": True, "num": number}) for number in range(2)]
    packet = decoded(f'52-["foo",{wrap.format(*places)}]', b"\1", b"\2")
    with pytest.raises(BadPacket, match="place already"):
        packet.values()


def test_where_there_is_no_binary_data_nothing_is_a_place() -> None:
    place = {"_placeholder": True, "num": 9}
    assert decoded(f'2["foo",{json.dumps(place)}]').values() == [place]


def test_half_a_character_makes_only_its_event_unreadable() -> None:
    packet = decoded(r'27["talk",{"message":"\ud83d"},1]')
    assert (packet.event, packet.id) == ("talk", 7)
    assert bytes(packet.arguments[1]) == rb'{"message": "\ud83d"}'
    with pytest.raises(BadPacket):
        packet.values()


def test_a_name_that_is_no_text_is_nobodys() -> None:
    assert decoded('2[1,"a"]').event == ""
    assert decoded(r'2["\ud83d"]').event == ""


@pytest.mark.parametrize("payload", ["null", "[]", '"a"', "1"])
def test_wishes_are_an_object(payload: str) -> None:
    packet = decoded(f"0{payload}" if payload != "1" else "0/a,1")
    if packet.payload is None:
        assert (packet.id, packet.object()) == (1, {})
    else:
        with pytest.raises(BadPacket):
            packet.object()


def test_what_is_sent() -> None:
    assert codec.connect("/") == "0"
    assert codec.connect("/a", sid="x") == '0/a,{"sid":"x"}'
    assert codec.disconnect("/") == "1"
    assert codec.disconnect("/a") == "1/a,"
    assert codec.refuse("/a", {"message": "no"}) == '4/a,{"message":"no"}'
    assert codec.refuse("/", "no") == '4"no"'
    assert codec.event("/", "foo", 1, "é") == ['2["foo",1,"é"]']
    place = '{"_placeholder":true,"num":%d}'
    assert codec.event("/a", "foo", b"\1", {"b": [b"\2"]}) == [
        f'52-/a,["foo",{place % 0},{{"b":[{place % 1}]}}]',
        b"\1",
        b"\2",
    ]
    assert codec.ack("/a", 13) == ["3/a,13[]"]
    assert codec.ack("/", 0, b"\1") == [f"61-0[{place % 0}]", b"\1"]


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text().filter(lambda key: key != "_placeholder"), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(["/", "/a", "/broadcast"]),
    st.text().filter(lambda name: name not in codec.RESERVED),
    st.lists(_json, max_size=3),
)
def test_what_is_made_is_read(namespace: str, name: str, values: list[Any]) -> None:
    packet = decoded(*codec.event(namespace, name, *values))
    assert (packet.kind, packet.namespace, packet.id) == (Kind.EVENT, namespace, None)
    assert packet.event == name
    assert packet.values() == values


@given(st.text(max_size=40) | st.from_regex(r"\A[0-6]([0-9]{1,2}-)?(/[a-z]*,)?[0-9]*[\[{\"].*"))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        packet, _ = decode(text)
        packet.attachments = [b"\1"]
        packet.values()
        packet.object()
    except BadPacket:
        pass
