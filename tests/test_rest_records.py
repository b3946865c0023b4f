"""What comes in with requests: the same members as at all other doors, and nothing that breaks."""

from __future__ import annotations

import json
import operator
from types import UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import fields

from chatroom import commands, events
from chatroom.rest.openapi import document
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.records import (
    Correction,
    NewTopic,
    NewUser,
    Problem,
    Say,
    WhatFor,
    WhichMessages,
    WhichRooms,
)
from tests.test_rest import RestCase


def members(record: type[Struct], *without: str) -> dict[str, tuple[Any, Any]]:
    """Return the types and the defaults of *record*, *without* some, where None is UNSET."""
    found = {}
    for field in fields(record):
        kinds = (
            get_args(field.type) if get_origin(field.type) in (Union, UnionType) else (field.type,)
        )
        alike = {UnsetType if kind is type(None) else kind for kind in kinds}
        default = UNSET if field.default is None else field.default
        if field.name not in without:
            found[field.name] = (alike, default)
    return found


@pytest.mark.parametrize(
    ("record", "own", "command", "said_by_the_path"),
    [
        (Say, ("name",), commands.Talk, ("room",)),
        (Correction, (), commands.Edit, ("room", "of")),
        (NewTopic, (), commands.SetTopic, ("room",)),
        (WhichRooms, (), commands.Rooms, ()),
        (WhichMessages, (), commands.History, ("room", "nonce")),
        (WhatFor, (), commands.Search, ("nonce",)),
    ],
)
def test_members_are_those_of_the_command(
    record: type[Struct],
    own: tuple[str, ...],
    command: type[Struct],
    said_by_the_path: tuple[str, ...],
) -> None:
    assert members(record, *own) == members(command, *said_by_the_path)


def test_a_name_is_one_everywhere() -> None:
    name = fields(commands.Rename)[0].type
    for record in (Say, NewUser):
        assert members(record)["name"] == ({name, UnsetType}, UNSET)


def test_an_error_is_one_everywhere() -> None:
    assert members(Problem) == members(events.Error, "about", "nonce")


class Described(RestCase):
    def test_answers_are_described_by_their_records(self) -> None:
        told = document(self.chat.limits)
        kinds = {operation.answer for operation in OPERATIONS}
        _, schemas = msgspec.json.schema_components(
            list(kinds), ref_template="#/components/schemas/{name}"
        )
        assert schemas.items() <= told["components"]["schemas"].items()
        assert {"Message", "Page", "Hits", "Listing", "Versions", "Self"} <= schemas.keys()

    def test_limits_are_those_of_the_server(self) -> None:
        self.chat.limits = msgspec.structs.replace(
            self.chat.limits, message=7, name=8, topic=9, types=("text", "riddle")
        )
        schemas = document(self.chat.limits)["components"]["schemas"]
        assert schemas["Say"]["properties"]["message"]["maxLength"] == 7
        assert schemas["Say"]["properties"]["type"]["enum"] == ["text", "riddle"]
        assert schemas["Rename"]["properties"]["name"]["maxLength"] == 8
        assert schemas["NewTopic"]["properties"]["topic"]["maxLength"] == 9


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
LIKELY = {
    "message": st.sampled_from(["x", "@Ann", "*x*", " ", "x" * 4001]),
    "type": st.sampled_from(["text", None]),
    "nonce": st.sampled_from(["n1", "n2", None, None]),
    "reply": st.sampled_from([None, None, 1, 1, 9]),
    "file": st.sampled_from([None, None, {"id": "0", "name": "x"}]),
    "topic": st.sampled_from(["x", "", "x" * 251, "a\nb"]),
    "name": st.sampled_from(["Ann", "Eve", "\n", None]),
}
QUERIES = st.sampled_from(
    [*{field.name for kind in (WhichRooms, WhichMessages, WhatFor) for field in fields(kind)}]
)


def bodies(kind: type[Struct]) -> st.SearchStrategy[bytes]:
    """Draw what is nearly a *kind*, or is not."""
    right = {name: LIKELY[name] for name in members(kind)}
    wrong = st.dictionaries(st.sampled_from([*right, "unknown"]), ANYTHING, max_size=2)
    near = st.builds(operator.or_, st.fixed_dictionaries({}, optional=right), wrong)
    exact = st.fixed_dictionaries(right).map(encoded)
    return mostly(exact, near.map(encoded), ANYTHING.map(encoded), st.binary(max_size=30))


def mostly(*often_first: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw from the first in half of all cases."""
    first, *others = often_first
    return st.one_of(*[first] * len(others), *others)


def encoded(data: object) -> bytes:
    return json.dumps(data).encode()


PARTS = {
    "{room}": mostly(
        st.sampled_from(["tea", "tea", "Tea", "@1-2"]),
        st.sampled_from(["@2-9"]),
        st.text(max_size=10),
    ),
    "{id}": mostly(st.sampled_from(["1", "2"]), st.just("99"), st.text(max_size=10)),
    "{emoji}": mostly(st.sampled_from(["🍵", "👍", "❤️"]), st.text(max_size=5)),
}
KEYS = mostly(st.none(), st.sampled_from(["n1", '"n2"', "n 3"]), st.text(max_size=70))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Operation, str, bytes | None, dict[str, str]]:
    """Draw an operation, a path for it, a body, and headers."""
    operation = draw(st.sampled_from(OPERATIONS))
    parts = [draw(PARTS[part]) if part in PARTS else part for part in operation.path.split("/")]
    path = "/".join(quote(part, safe="") for part in parts)
    pairs = draw(st.lists(st.tuples(QUERIES, (st.integers(0, 3) | ANYTHING).map(str)), max_size=3))
    query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
    key = draw(KEYS)
    headers = {} if key is None else {"Idempotency-Key": key.encode().decode("latin-1")}
    body = draw(bodies(operation.body) if operation.body else st.none() | bodies(Say))
    return operation, f"{path}?{query}" if query else path, body, headers


class Whatever(RestCase):
    """Whatever comes in, the answer is a proper one."""

    def setUp(self) -> None:
        super().setUp()
        self.chat.limits = msgspec.structs.replace(self.chat.limits, rate=0.0)
        self.chat.strangers = self.chat.bucket(1)
        self.tokens = [self.come("Ann"), self.come("Bob"), None]
        for room in ("tea", "@1-2"):
            for text in ("one", "two"):
                self.say(room, text, self.tokens[0])

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(), st.sampled_from([0, 0, 1, 2]))
    def test_answer(
        self, request: tuple[Operation, str, bytes | None, dict[str, str]], who: int
    ) -> None:
        operation, path, body, headers = request
        if any(c in value for value in headers.values() for c in "\r\n\0"):
            return
        answer = self.ask(operation.method, path, body=body, token=self.tokens[who], **headers)
        assert answer.status < 500
