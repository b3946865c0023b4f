from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatroom.names import (
    ROOM,
    USER,
    BadName,
    Name,
    _compared,
    _shown,
    direct,
    folded,
    parties,
    room_name,
    user_name,
)

INVISIBLE = {
    "nothing": "",
    "a space": " ",
    "an ideographic space": "\u3000",
    "a tab": "\t",
    "NUL": "\x00",
    "a zero-width space": "\u200b",
    "a zero-width joiner": "\u200d",
    "a Hangul filler": "\u3164",
    "a half-width Hangul filler": "\uffa0",
    "a blank Braille pattern": "\u2800",
    "a combining accent alone": "\u0301",
}
FORBIDDEN = {
    "a line break": "a\nb",
    "a tab": "a\tb",
    "NUL": "a\x00b",
    "DEL": "a\x7fb",
    "a C1 control": "a\x85b",
    "right-to-left override": "a\u202eb",
    "left-to-right isolate": "a\u2066b",
    "Arabic letter mark": "a\u061cb",
    "left-to-right mark": "a\u200eb",
    "a zero-width space": "a\u200bb",
    "a zero-width non-joiner": "a\u200cb",
    "a joiner that PRECIS allows in its place": "\u0915\u094d\u200d\u0937",
    "a byte order mark": "\ufeffab",
    "a soft hyphen": "a\u00adb",
    "a variation selector": "a\ufe0f",
    "a tag": "a\U000e0041",
    "a line separator": "a\u2028b",
    "a private character": "a\ue000",
    "an unassigned character": "a\u0378",
    "a noncharacter": "a\uffff",
    "a lone surrogate": "a\ud800",
    "a blank Braille pattern": "a\u2800",
    "a note without a head": "a\U0001d159",
    "an object that is not there": "\ufffca",
}


@pytest.mark.parametrize("wish", INVISIBLE.values(), ids=INVISIBLE)
def test_a_name_can_be_seen(wish: str) -> None:
    with pytest.raises(BadName, match="visible character"):
        user_name(wish)


@pytest.mark.parametrize("wish", FORBIDDEN.values(), ids=FORBIDDEN)
def test_all_of_a_name_can_be_seen(wish: str) -> None:
    with pytest.raises(BadName, match="none but visible characters"):
        user_name(wish)
    with pytest.raises(BadName):
        room_name(wish)


@pytest.mark.parametrize(
    "wish",
    [
        "Ann",
        "王小明",
        "Zoë",
        "Ann Lee",
        "🦊",
        "<img onerror>",
        "O'Neill",
        "a.b",
        "प्रिया",
        "نور",
    ],
)
def test_a_name_is_kept_as_it_was_typed(wish: str) -> None:
    assert user_name(wish).shown == wish


@pytest.mark.parametrize(
    ("wish", "shown"),
    [
        ("  Ann  ", "Ann"),
        ("Ann   Lee", "Ann Lee"),
        ("Ann\u00a0Lee", "Ann Lee"),
        ("\u3000Ann", "Ann"),
        ("Ａｎｎ", "Ann"),
        ("Zoe\u0308", "Zoë"),
        ("ﬁn", "fin"),
    ],
)
def test_a_name_is_enforced(wish: str, shown: str) -> None:
    assert user_name(wish).shown == shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "ANN"),
        ("STRAẞE", "straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Zoë", "zoe\u0308"),
        ("Ann Lee", " ann\u2003lee "),
        ("Ａｎｎ", "ann"),
        ("①", "1"),
    ],
)
def test_the_same_name(one: str, other: str) -> None:
    assert user_name(one).key == user_name(other).key


@pytest.mark.parametrize(
    ("one", "other"), [("Ann", "Anna"), ("Ann", "Аnn"), ("a b", "ab"), ("straße", "strasse")]
)
def test_another_name(one: str, other: str) -> None:
    assert user_name(one).key != user_name(other).key


def test_the_length_of_a_users_name() -> None:
    assert user_name("x" * USER).shown == "x" * USER
    assert user_name("🦊" * USER).shown == "🦊" * USER
    assert user_name(f"  {'x' * USER}  ").shown == "x" * USER
    with pytest.raises(BadName, match="at most 32 characters"):
        user_name("x" * (USER + 1))


def test_a_name_that_becomes_longer_than_it_was() -> None:
    assert len(user_name("ﷺ").shown) == 18
    with pytest.raises(BadName, match="at most 32 characters"):
        user_name("ﷺ" * 2)
    # In lower case, for comparison, each of these is two characters.
    with pytest.raises(BadName, match="at most 32 characters"):
        user_name("İ" * 17)


def test_a_name_much_too_long_costs_nothing() -> None:
    with pytest.raises(BadName, match="at most 32 characters"):
        user_name("\x00" * 10_000_000)


def test_the_length_of_a_rooms_name() -> None:
    assert room_name("x" * ROOM).key == "x" * ROOM
    with pytest.raises(BadName, match="at most 64 characters"):
        room_name("x" * (ROOM + 1))


@pytest.mark.parametrize("wish", ["lobby", "Dev-Talk_2.0", "聊天室", "कक्षा", "٣", "café", "..a"])
def test_a_rooms_name(wish: str) -> None:
    assert room_name(wish).shown == wish


def test_rooms_are_the_same_whatever_their_case() -> None:
    assert room_name("Dev").key == room_name(" dev ").key == "dev"


@pytest.mark.parametrize(
    "wish", ["a b", "a/b", "a?", "#dev", "a:b", "🦊", "½", "a'b", "²b!", "a&b", "<b>"]
)
def test_not_a_rooms_name(wish: str) -> None:
    with pytest.raises(BadName, match="letters, digits"):
        room_name(wish)


@pytest.mark.parametrize("wish", [".", "..", "..."])
def test_dots_alone_are_not_a_room(wish: str) -> None:
    with pytest.raises(BadName, match="more than dots"):
        room_name(wish)


@given(st.text(max_size=40) | st.text(st.characters(codec="utf-8"), max_size=40))
@example("Α\u03f9Α")
@example("ΝίκοΣ\uff41")
def test_a_name_once_had_is_had_again(wish: str) -> None:
    for name in (user_name, room_name):
        try:
            got = name(wish)
        except BadName as error:
            assert str(error)
            assert "\n" not in str(error)
            continue
        # A stored name is enforced again when its user is back.
        assert name(got.shown) == got
        assert 1 <= len(got.shown) <= ROOM
        assert not any(unicodedata.category(c)[0] == "C" for c in got.shown)


@given(st.text(max_size=70))
def test_the_key_of_a_room_names_that_room(wish: str) -> None:
    try:
        key = room_name(wish).key
    except BadName:
        return
    assert room_name(key).key == key


ASCII = st.text(st.characters(max_codepoint=127), max_size=35)


@given(ASCII | st.text("ab \t.", max_size=5) | st.text("Zz!~ \x7f\x00", max_size=5))
def test_a_plain_name_is_what_precis_makes_of_it(wish: str) -> None:
    expected: Name | None = None
    with suppress(UnicodeError):
        shown, key = _shown.enforce(wish), _compared.enforce(wish)
        expected = Name(shown, key) if len(shown) <= USER else None
    name: Name | None = None
    with suppress(BadName):
        name = user_name(wish)
    assert name == expected


# Direct rooms.


def test_the_direct_room_of_two_is_one() -> None:
    assert direct(3, 20) == direct(20, 3) == Name("@3-20", "@3-20")
    assert room_name("@3-20") == direct(3, 20)
    assert parties("@3-20") == frozenset((3, 20))


@pytest.mark.parametrize("ids", [(3, 3), (0, 3), (3, 0), (-1, 3)])
def test_a_direct_room_is_one_of_two(ids: tuple[int, int]) -> None:
    with pytest.raises(BadName, match="two users"):
        direct(*ids)


@pytest.mark.parametrize(
    "wish",
    [
        *("@", "@3", "@3-", "@-3", "@3-3", "@20-3", "@03-20", "@3-020", "@0-3", "@3-20 ", " @3-20"),
        *("@3-20\n", "@3-20-21", "3-20", "@a-b", "@٣-٤", "@3-99999999999999999", "＠3-20"),
    ],
)
def test_what_is_no_direct_room(wish: str) -> None:
    assert parties(wish) is None
    if "@" in wish or "＠" in wish:
        with pytest.raises(BadName):
            room_name(wish)


@given(st.text(max_size=40) | st.text("aZß²ﬁİ ", max_size=5))
def test_a_name_folded_is_its_comparison_form(wish: str) -> None:
    try:
        name = user_name(wish)
    except BadName:
        return
    assert folded(name.shown) == name.key
    assert folded(name.key) == name.key
