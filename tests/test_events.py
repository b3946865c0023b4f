from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.events import (
    Batch,
    Close,
    CommonInit,
    Deleted,
    Direct,
    Edited,
    Error,
    Event,
    Exited,
    File,
    Hits,
    Init,
    Joined,
    Limits,
    Listed,
    Listing,
    Message,
    Own,
    Owned,
    Page,
    Pong,
    Presence,
    Reacted,
    Reaction,
    ReadTo,
    Renamed,
    Self,
    Told,
    Topic,
    Typed,
    Version,
    Versions,
    Who,
    common_past,
    common_users,
    encode,
)

ANN = Who(1, "Ann")
TIME = "2026-10-21T07:28:00.000Z"
HELLO = Message(7, "lobby", "hello", "text", ANN, TIME)
LIKED = Reacted(8, "lobby", 7, "👍", True, ANN, TIME)

LIMITS = Limits(4000, 32, 64, 64, ("text",), 200, 5.0, 20, 250, 20, 10**7)
NAME = st.text(st.characters(codec="utf-8"), max_size=5)
SAYS: list[tuple[Event, dict[str, object]]] = [
    (
        Init("lobby", Self(1, "Ann", "t"), [ANN], 1, [HELLO], False, True, "e", LIMITS, 7),
        {
            "event": "init",
            "data": {
                "room": "lobby",
                "self": {"id": 1, "name": "Ann", "token": "t"},
                "users": [{"id": 1, "name": "Ann"}],
                "count": 1,
                "messages": [
                    {
                        "id": 7,
                        "room": "lobby",
                        "message": "hello",
                        "type": "text",
                        "from": {"id": 1, "name": "Ann"},
                        "time": "2026-10-21T07:28:00.000Z",
                    }
                ],
                "resumed": False,
                "more": True,
                "epoch": "e",
                "limits": {
                    "message": 4000,
                    "name": 32,
                    "room": 64,
                    "nonce": 64,
                    "types": ["text"],
                    "history": 200,
                    "rate": 5.0,
                    "burst": 20,
                    "topic": 250,
                    "reactions": 20,
                    "file": 10**7,
                },
                "last": 7,
            },
        },
    ),
    (
        Message(
            *(1, "lobby", "*hi*", "markdown", ANN, TIME, "n", "<em>hi</em>", 9, (ANN,)),
            File("ab", "a.png", 9, "image/png", 3, 4),
            TIME,
            False,
            (Reaction("👍", (ANN,)),),
            8,
        ),
        {
            "event": "talk",
            "data": {
                "id": 1,
                "room": "lobby",
                "message": "*hi*",
                "type": "markdown",
                "from": {"id": 1, "name": "Ann"},
                "time": TIME,
                "nonce": "n",
                "html": "<em>hi</em>",
                "reply": 9,
                "mentions": [{"id": 1, "name": "Ann"}],
                "file": {
                    "id": "ab",
                    "name": "a.png",
                    "size": 9,
                    "type": "image/png",
                    "width": 3,
                    "height": 4,
                },
                "edited": TIME,
                "reactions": [{"emoji": "👍", "users": [{"id": 1, "name": "Ann"}]}],
                "changed": 8,
            },
        },
    ),
    (
        Edited(8, "lobby", 7, "hi", "text", ANN, TIME),
        {
            "event": "edit",
            "data": {
                "id": 8,
                "room": "lobby",
                "of": 7,
                "message": "hi",
                "type": "text",
                "from": {"id": 1, "name": "Ann"},
                "time": TIME,
            },
        },
    ),
    (
        Deleted(8, "lobby", 7, ANN, TIME, "n"),
        {
            "event": "delete",
            "data": {
                "id": 8,
                "room": "lobby",
                "of": 7,
                "from": {"id": 1, "name": "Ann"},
                "time": TIME,
                "nonce": "n",
            },
        },
    ),
    (
        LIKED,
        {
            "event": "react",
            "data": {
                "id": 8,
                "room": "lobby",
                "of": 7,
                "emoji": "👍",
                "on": True,
                "from": {"id": 1, "name": "Ann"},
                "time": TIME,
            },
        },
    ),
    (
        Topic(8, "lobby", "tea", ANN, TIME),
        {
            "event": "topic",
            "data": {
                "id": 8,
                "room": "lobby",
                "topic": "tea",
                "from": {"id": 1, "name": "Ann"},
                "time": TIME,
            },
        },
    ),
    (
        Versions("lobby", 7, [Version("*a*", "markdown", TIME, "<em>a</em>")]),
        {
            "event": "edits",
            "data": {
                "room": "lobby",
                "of": 7,
                "versions": [
                    {"message": "*a*", "type": "markdown", "time": TIME, "html": "<em>a</em>"}
                ],
            },
        },
    ),
    (ReadTo("lobby", 7), {"event": "read", "data": {"room": "lobby", "id": 7}}),
    (
        Listing([Listed("lobby", 2, 7), Listed("tea", 0, 1, "green")], True),
        {
            "event": "rooms",
            "data": {
                "rooms": [
                    {"room": "lobby", "count": 2, "last": 7},
                    {"room": "tea", "count": 0, "last": 1, "topic": "green"},
                ],
                "more": True,
            },
        },
    ),
    (
        Owned([Own("@1-2", 1, 9, 7, 2, 0, direct=ANN)]),
        {
            "event": "mine",
            "data": {
                "rooms": [
                    {
                        "room": "@1-2",
                        "count": 1,
                        "last": 9,
                        "read": 7,
                        "unread": 2,
                        "mentions": 0,
                        "direct": {"id": 1, "name": "Ann"},
                    }
                ]
            },
        },
    ),
    (
        Direct("@1-2", ANN),
        {"event": "direct", "data": {"room": "@1-2", "with": {"id": 1, "name": "Ann"}}},
    ),
    (
        Hits("tea", [], "lobby", 7, "n"),
        {
            "event": "search",
            "data": {"query": "tea", "hits": [], "room": "lobby", "next": 7, "nonce": "n"},
        },
    ),
    (Hits("tea", []), {"event": "search", "data": {"query": "tea", "hits": []}}),
    (
        Message(1, "lobby", "hi", "text", ANN, "2026-10-21T07:28:00.000Z", "n"),
        {
            "event": "talk",
            "data": {
                "id": 1,
                "room": "lobby",
                "message": "hi",
                "type": "text",
                "from": {"id": 1, "name": "Ann"},
                "time": "2026-10-21T07:28:00.000Z",
                "nonce": "n",
            },
        },
    ),
    (
        Joined("lobby", 1, "Ann"),
        {"event": "join", "data": {"room": "lobby", "id": 1, "name": "Ann"}},
    ),
    (
        Exited("lobby", 1, "Ann"),
        {"event": "exit", "data": {"room": "lobby", "id": 1, "name": "Ann"}},
    ),
    (
        Renamed(1, "Anna", "Ann", "lobby"),
        {"event": "rename", "data": {"room": "lobby", "id": 1, "name": "Anna", "was": "Ann"}},
    ),
    (
        Renamed(1, "Anna", "Ann"),
        {"event": "rename", "data": {"id": 1, "name": "Anna", "was": "Ann"}},
    ),
    (
        Typed("lobby", 1, "Ann"),
        {"event": "typing", "data": {"room": "lobby", "id": 1, "name": "Ann"}},
    ),
    (
        Presence("lobby", 300, [ANN], []),
        {
            "event": "presence",
            "data": {
                "room": "lobby",
                "count": 300,
                "joined": [{"id": 1, "name": "Ann"}],
                "left": [],
            },
        },
    ),
    (
        Page("lobby", [], False, True, "n"),
        {
            "event": "history",
            "data": {"room": "lobby", "messages": [], "more": False, "newer": True, "nonce": "n"},
        },
    ),
    (
        Error("empty", "nothing"),
        {"event": "error", "data": {"code": "empty", "message": "nothing"}},
    ),
    (
        Error("rate_limited", "slowly", "talk", "n", 0.2),
        {
            "event": "error",
            "data": {
                "code": "rate_limited",
                "message": "slowly",
                "event": "talk",
                "nonce": "n",
                "retry_after": 0.2,
            },
        },
    ),
    (
        Pong(msgspec.Raw(b'{"a":[1.0,null]}')),
        {"event": "pong", "data": {"a": [1.0, None]}},
    ),
]


@pytest.mark.parametrize(("event", "said"), SAYS)
def test_an_event(event: Event, said: dict[str, object]) -> None:
    assert json.loads(encode(event)) == said


def test_all_events_are_tested() -> None:
    assert {type(event) for event, _ in SAYS} == set(Event.__args__)


@given(st.text(st.characters(codec="utf-8")))
def test_an_event_is_one_line_of_utf8(text: str) -> None:
    line = encode(Message(1, "lobby", text, "text", Who(1, text), "", text))
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line.decode())["data"]["message"] == text


def test_a_batch_is_encoded_once_for_each_format() -> None:
    calls: list[str] = []

    def frames(events: Sequence[Event]) -> bytes:
        calls.append("frames")
        return b"".join(encode(event) for event in events)

    def lines(events: Sequence[Event]) -> list[bytes]:
        calls.append("lines")
        return [encode(event) for event in events]

    batch = Batch([HELLO, HELLO])
    for _ in range(3):
        assert batch.encoded(frames) == encode(HELLO) * 2
        assert batch.encoded(lines) == [encode(HELLO)] * 2
    assert calls == ["frames", "lines"]


@given(
    st.lists(st.builds(Who, st.integers(0, 2**53), NAME), min_size=1, max_size=4),
    st.lists(st.text(st.characters(codec="utf-8")), max_size=3),
    st.booleans(),
    NAME,
    st.integers(0) | st.none(),
)
def test_an_init_made_of_what_is_shared_is_the_same(
    users: list[Who], said: list[str], yes: bool, room: str, read: int | None
) -> None:
    messages = [Message(n, room, text, "text", ANN, "", None) for n, text in enumerate(said)]
    init = Init(room, Self(1, room, "t"), users, 9, messages, yes, not yes, room, LIMITS, 9)
    if yes:
        init.topic, init.changes, init.direct = room, [Told("react", LIKED)], ANN
    init.read = read
    whole = encode(init)
    changes = [told.data for told in init.changes]
    past = common_past(room, messages, yes, not yes, room, LIMITS, 9, init.topic, changes)
    common = past, common_users(users[:-1])
    line = encode(CommonInit(**msgspec.structs.asdict(init), common=common))
    assert json.loads(line) == json.loads(whole)
    assert b"\n" not in line


def test_close_codes() -> None:
    assert [code.value for code in Close] == [1003, 1008, 1009, 1011, 1012, 1013]
