from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.commands import (
    NONCE,
    Attach,
    Bad,
    Command,
    Delete,
    DirectTo,
    Edit,
    Edits,
    Exit,
    History,
    Join,
    Mine,
    Ping,
    React,
    Read,
    Rename,
    Rooms,
    Search,
    SetTopic,
    Talk,
    Typing,
    _decode,
    decode,
)
from chatroom.events import Pong, encode


def wire(event: str, **data: object) -> bytes:
    return json.dumps({"event": event, "data": data}).encode()


def bad(text: bytes) -> Bad:
    command = decode(text)
    assert isinstance(command, Bad), command
    assert command.why
    assert "\n" not in command.why
    return command


EVENTS = [
    "talk",
    "edit",
    "delete",
    "react",
    "topic",
    "rename",
    "join",
    "direct",
    "exit",
    "history",
    "edits",
    "read",
    "rooms",
    "mine",
    "search",
    "typing",
    "ping",
]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (wire("talk", message="hello", type="text"), Talk("hello")),
        (wire("talk", message="hello"), Talk("hello", "text", "lobby", None)),
        (
            wire("talk", message="", type="image", room="dev", nonce="n"),
            Talk("", "image", "dev", "n"),
        ),
        (wire("talk", message="hello", nonce=None), Talk("hello")),
        (wire("rename", name="zswang"), Rename("zswang")),
        (wire("join", room="dev"), Join("dev")),
        (wire("join", room="dev", after=0, epoch="e"), Join("dev", 0, "e")),
        (wire("join", room="dev", after=2**53), Join("dev", 2**53)),
        (wire("exit", room="dev"), Exit("dev")),
        (wire("history"), History("lobby", None, 50)),
        (wire("history", room="dev", before=7, limit=9999), History("dev", 7, 9999)),
        (b'{"event":"history"}', History()),
        (wire("typing"), Typing("lobby")),
        (wire("typing", room="dev"), Typing("dev")),
        (b'{"event":"typing"}', Typing()),
        (
            wire("talk", message="", reply=7, file={"id": "ab", "name": "a.png"}),
            Talk("", reply=7, file=Attach("ab", "a.png")),
        ),
        (wire("edit", of=7, message="a"), Edit(7, "a")),
        (
            wire("edit", room="dev", of=7, message="a", type="markdown", nonce="n"),
            Edit(7, "a", "markdown", "dev", "n"),
        ),
        (wire("delete", of=7), Delete(7)),
        (wire("delete", room="dev", of=7, nonce="n"), Delete(7, "dev", "n")),
        (wire("react", of=7, emoji="👍"), React(7, "👍", True)),
        (
            wire("react", room="dev", of=7, emoji="👍", on=False, nonce="n"),
            React(7, "👍", False, "dev", "n"),
        ),
        (wire("topic", topic=""), SetTopic("")),
        (wire("topic", room="dev", topic="tea", nonce="n"), SetTopic("tea", "dev", "n")),
        (wire("history", after=7), History(after=7)),
        (wire("history", around=7, nonce="n"), History(around=7, nonce="n")),
        (wire("edits", of=7), Edits(7)),
        (wire("edits", room="dev", of=7), Edits(7, "dev")),
        (wire("read", id=7), Read(7)),
        (wire("read", room="dev", id=0), Read(0, "dev")),
        (wire("rooms"), Rooms()),
        (wire("rooms", match="t", after="s", limit=3), Rooms("t", "s", 3)),
        (wire("mine"), Mine()),
        (b'{"event":"mine"}', Mine()),
        (wire("direct", id=7), DirectTo(7)),
        (wire("search", query="tea"), Search("tea")),
        (
            wire("search", query="tea", room="dev", before=9, limit=3, nonce="n"),
            Search("tea", "dev", 9, 3, "n"),
        ),
        (b' {"data" : {} ,\r\n "event":\t"typing"} ', Typing()),
    ],
)
def test_a_command(text: bytes, command: Command) -> None:
    assert decode(text) == command


def test_what_is_not_known_is_ignored() -> None:
    text = b'{"v":[{}],"event":"talk","data":{"message":"a","to":{"x":[1]}},"id":9}'
    assert decode(text) == Talk("a")


def test_text_comes_as_it_is() -> None:
    text = "\x00 \x7f \u2028 👩‍👩‍👧‍👦 \u202e \ufeff \uffff \U0010ffff <&'\""
    assert decode(json.dumps({"event": "talk", "data": {"message": text}}).encode()) == Talk(text)
    plain = json.dumps({"event": "talk", "data": {"message": text}}, ensure_ascii=False)
    assert decode(plain.encode()) == Talk(text)


def test_a_nonce_is_counted_in_characters() -> None:
    assert decode(wire("talk", message="a", nonce="🦊" * NONCE)) == Talk("a", nonce="🦊" * NONCE)
    assert bad(wire("talk", message="a", nonce="🦊" * (NONCE + 1))).event == "talk"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"hello",
        b"null",
        b"7",
        b'"talk"',
        b"[]",
        b'["talk",{"message":"a"}]',
        b"{}",
        b'{"data":{"message":"a"}}',
        b'{"event":null,"data":{}}',
        b'{"event":7,"data":{}}',
        b'{"event":["talk"],"data":{"message":"a"}}',
        b'{"event":"talk","data":{"message":"a"}',
        b'{"event":"talk","data":{"message":"a"}}{}',
        b'{"event":"talk","data":{"message":"a"},}',
        b"{'event':'talk','data':{'message':'a'}}",
        b'{"event":"talk","data":{"message":"a\nb"}}',
        b'{"event":"talk","data":{"message":"a\x00b"}}',
        b'\xef\xbb\xbf{"event":"typing"}',
        b'{"event":"typing"}\x00',
        wire("shout", message="a"),
        wire("Talk", message="a"),
        wire("init"),
        wire("bad", why="x"),
        wire("", message="a"),
        wire("a\nb"),
    ],
)
def test_not_a_command_at_all(text: bytes) -> None:
    assert bad(text).event is None


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("talk", {}),
        ("talk", {"message": None}),
        ("talk", {"message": 7}),
        ("talk", {"message": ["a"]}),
        ("talk", {"message": {"a": "b"}}),
        ("talk", {"message": True}),
        ("talk", {"message": "a", "type": 1}),
        ("talk", {"message": "a", "type": None}),
        ("talk", {"message": "a", "room": None}),
        ("talk", {"message": "a", "room": 1}),
        ("talk", {"message": "a", "nonce": ""}),
        ("talk", {"message": "a", "nonce": 1}),
        ("talk", {"message": "a", "nonce": "n" * 65}),
        ("rename", {}),
        ("rename", {"name": 1}),
        ("rename", {"name": None}),
        ("join", {}),
        ("join", {"room": 1}),
        ("join", {"room": "dev", "after": -1}),
        ("join", {"room": "dev", "after": 2**53 + 1}),
        ("join", {"room": "dev", "after": 10**40}),
        ("join", {"room": "dev", "after": 1.5}),
        ("join", {"room": "dev", "after": "1"}),
        ("join", {"room": "dev", "after": True}),
        ("join", {"room": "dev", "epoch": 1}),
        ("exit", {}),
        ("exit", {"room": None}),
        ("history", {"before": -1}),
        ("history", {"before": "7"}),
        ("history", {"limit": 0}),
        ("history", {"limit": -1}),
        ("history", {"limit": 1.5}),
        ("history", {"limit": None}),
        ("history", {"room": []}),
        ("typing", {"room": 1}),
        ("talk", {"message": "a", "reply": "7"}),
        ("talk", {"message": "a", "reply": -1}),
        ("talk", {"message": "a", "file": "ab"}),
        ("talk", {"message": "a", "file": {"id": "ab"}}),
        ("edit", {"message": "a"}),
        ("edit", {"of": "7", "message": "a"}),
        ("edit", {"of": 7}),
        ("edit", {"of": 7, "message": "a", "nonce": ""}),
        ("delete", {}),
        ("delete", {"of": 1.5}),
        ("react", {"of": 7}),
        ("react", {"emoji": "👍"}),
        ("react", {"of": 7, "emoji": 1}),
        ("react", {"of": 7, "emoji": "👍", "on": 1}),
        ("topic", {}),
        ("topic", {"topic": None}),
        ("history", {"after": -1}),
        ("history", {"around": "7"}),
        ("history", {"nonce": ""}),
        ("edits", {}),
        ("read", {}),
        ("read", {"id": -1}),
        ("rooms", {"limit": 0}),
        ("rooms", {"match": None}),
        ("direct", {}),
        ("direct", {"id": "7"}),
        ("search", {}),
        ("search", {"query": 7}),
        ("search", {"query": "a", "limit": 0}),
        ("search", {"query": "a", "before": -1}),
    ],
)
def test_members_of_a_wrong_type(event: str, data: dict[str, object]) -> None:
    assert bad(wire(event, **data)).event == event


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("data", [b"null", b"[]", b'"a"', b"7", b"true"])
def test_data_is_an_object(event: str, data: bytes) -> None:
    assert bad(b'{"event":"%b","data":%b}' % (event.encode(), data)).event == event


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"+1", b"01", b".5"]
)
@pytest.mark.parametrize(
    "text",
    [
        b'{"event":"talk","data":{"message":%b}}',
        b'{"event":"talk","data":{"message":"a","x":%b}}',
        b'{"event":"talk","data":{"message":"a"},"x":%b}',
        b'{"event":"history","data":{"limit":%b}}',
        b'{"event":"ping","data":{"a":%b}}',
    ],
)
def test_what_is_no_number_in_json(text: bytes, number: bytes) -> None:
    bad(text % number)


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize(
    "text",
    [
        b"%b",
        b'{"event":%b}',
        b'{"event":"talk","data":%b}',
        b'{"event":"talk","data":{"message":"a","x":%b}}',
        b'{"event":"talk","data":{"message":"a"},"x":%b}',
        b'{"event":"ping","data":{"a":%b}}',
    ],
)
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting(text: bytes, pair: tuple[bytes, bytes], closed: bool) -> None:
    depth = 30_000
    opening, closing = pair
    bad(text % (opening * depth + (b"1" + closing * depth if closed else b"")))


LONE = [r"\ud800", r"\udfff", r"\ud800a", r"\ud800\ud800", r"\udc00\ud800", r"a\ud83e"]


@pytest.mark.parametrize("lone", [*LONE, *(text.replace("d", "D") for text in LONE)])
@pytest.mark.parametrize(
    "text",
    [
        '{"event":"talk","data":{"message":"%s"}}',
        '{"event":"talk","data":{"message":"a","nonce":"%s"}}',
        '{"event":"rename","data":{"name":"%s"}}',
        '{"event":"ping","data":{"a":"%s"}}',
        '{"event":"ping","data":{"%s":1}}',
        '{"event":"ping","data":{"a":["%s"]}}',
        '{"event":"%s"}',
    ],
)
def test_lone_surrogates(text: str, lone: str) -> None:
    bad((text % lone).encode())
    raw = (text % json.loads(f'"{lone}"')).encode("utf-8", "surrogatepass")
    bad(raw)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert decode(rb'{"event":"talk","data":{"message":"\ud83e\udd8a"}}') == Talk("🦊")


@pytest.mark.parametrize(
    "byte", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
)
def test_invalid_utf8(byte: bytes) -> None:
    bad(b'{"event":"talk","data":{"message":"%b"}}' % byte)
    bad(b'{"event":"ping","data":{"a":"%b"}}' % byte)
    bad(b'{"event":"%b"}' % byte)


def strings(value: Any) -> list[str]:
    """Return all strings in *value*, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for text in strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in strings(item)]
    return []


TEXT = st.text(st.characters(exclude_categories=()))  # with surrogates
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)
MEMBERS = st.sampled_from(
    [
        "message",
        "type",
        "room",
        "nonce",
        "name",
        "after",
        "epoch",
        "before",
        "limit",
        "of",
        "on",
        "emoji",
        "topic",
        "id",
        "query",
        "x",
    ]
)
SAID = st.fixed_dictionaries(
    {"event": st.sampled_from([*EVENTS, "init"])},
    optional={"data": st.dictionaries(MEMBERS, JSON) | JSON, "x": JSON},
)


@given(
    st.binary(max_size=60)
    | st.text(st.characters(codec="utf-8")).map(str.encode)
    | JSON.map(lambda value: json.dumps(value).encode())
    | SAID.map(lambda value: json.dumps(value).encode())
    | st.tuples(SAID, st.integers(0, 200), st.binary(max_size=3)).map(
        lambda t: json.dumps(t[0]).encode()[: t[1]] + t[2] + json.dumps(t[0]).encode()[t[1] + 1 :]
    )
)
def test_nothing_that_a_client_sends_raises(text: bytes) -> None:
    command = decode(text)
    for string in strings(msgspec.structs.asdict(command)):
        string.encode()
    if isinstance(command, Ping):
        assert json.loads(encode(Pong(command.data)))["data"] == json.loads(text).get("data", {})


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"{}", b"{}"),
        (b'{"a": 1.0, "b":1e22}', b'{"a": 1.0, "b":1e22}'),
        (b'{"n":123456789012345678901234567890}', b'{"n":123456789012345678901234567890}'),
        (b'{\r\n"a\\n":\n[1,\r2]}', b'{"a\\n":[1,2]}'),
    ],
)
def test_a_pong_is_what_was_sent_in_one_line(said: bytes, answered: bytes) -> None:
    command = decode(b'{"event":"ping","data":%b}' % said)
    assert isinstance(command, Ping)
    assert encode(Pong(command.data)) == b'{"event":"pong","data":%b}' % answered


def test_a_ping_may_come_without_data() -> None:
    command = decode(b'{"event":"ping"}')
    assert isinstance(command, Ping)
    assert encode(Pong(command.data)) == b'{"event":"pong","data":{}}'


@given(SAID.map(lambda value: json.dumps(value).encode()))
def test_the_two_ways_to_decode_are_one(text: bytes) -> None:
    assert decode(text) == _decode(text)
