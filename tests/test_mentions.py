from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.events import Who
from chatroom.mentions import MOST, TRIES, mentioned
from chatroom.names import USER, folded

NAMES = ["Ann", "Ann Lee", "Bob", "Zoë", "小明", "guest-1", "Mr. X", "[bot]", "Straße", "민수", "İ"]
PEOPLE = {folded(name): Who(id, name) for id, name in enumerate(NAMES, 1)}


def names(text: str) -> list[str]:
    return [who.name for who in mentioned(text, PEOPLE.get)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("@", []),
        ("Ann", []),
        ("@Ann", ["Ann"]),
        ("@ANN, hello", ["Ann"]),
        ("hello (@ann)!", ["Ann"]),
        ("@ann.", ["Ann"]),
        ("@ann...", ["Ann"]),
        ("@ann's", ["Ann"]),
        ("@Ann Lee", ["Ann Lee"]),
        ("@ann lee?", ["Ann Lee"]),
        ("@Ann Leeds", ["Ann"]),
        ("@Ann Lee @Ann", ["Ann Lee", "Ann"]),
        ("@Ann @ann @ANN", ["Ann"]),
        ("@bob@ann", []),
        ("@bob @ann", ["Bob", "Ann"]),
        ("@@ann", ["Ann"]),
        ("@ann\n@bob", ["Ann", "Bob"]),
        ("**@ann** `@bob`", ["Ann", "Bob"]),
        # Inside of something longer.
        ("@Anna", []),
        ("@ann_", []),
        ("@ann-marie", []),
        ("@ann.example", []),
        ("@ann1", []),
        ("x@ann", []),
        ("x@ann.example", []),
        ("1@ann", []),
        ("é@ann", []),
        ("_@ann", []),
        ("@ann\u0301", []),
        # Other names.
        ("@ann lee-hello", ["Ann"]),
        ("@zoe\u0308", ["Zoë"]),
        ("@ZOË", ["Zoë"]),
        ("＠ann", ["Ann"]),
        ("@Ａｎｎ", ["Ann"]),
        ("@guest-1", ["guest-1"]),
        ("@guest-12", []),
        ("@mr. x", ["Mr. X"]),
        ("@[bot]x", ["[bot]"]),
        ("@STRASSE", []),
        ("@straße", ["Straße"]),
        ("@İ", ["İ"]),
        # Words without spaces between them.
        ("@小明你好", ["小明"]),
        ("你好@小明", ["小明"]),
        ("你好@ann你好", ["Ann"]),
        ("@민수야", ["민수"]),
    ],
)
def test_whom_a_text_mentions(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_a_message_mentions_only_so_many() -> None:
    people = {f"u{n}": Who(n, f"u{n}") for n in range(MOST + 5)}
    text = " ".join(f"@u{n}" for n in range(MOST + 5))
    assert [who.id for who in mentioned(text, people.get)] == list(range(MOST))


@pytest.mark.parametrize("text", ["@" * 4000, "@a" * 2000, "@é " * 1300, " @" * 2000, "小@" * 2000])
def test_no_text_takes_long(text: str) -> None:
    asked = 0

    def called(key: str) -> None:
        nonlocal asked
        asked += 1

    assert mentioned(text, called) == ()
    assert asked <= TRIES * USER


@given(st.text(st.sampled_from("@anAN bolezë小明.-_1 \n"), max_size=60))
def test_all_who_are_mentioned_are_named(text: str) -> None:
    found = mentioned(text, PEOPLE.get)
    assert len(set(found)) == len(found)
    for who in found:
        assert f"@{folded(who.name)}" in folded(text)
