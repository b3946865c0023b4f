"""Lines, nicks and texts, each by itself; and that nobody can write a line of their own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom import names
from chatroom.irc import nicks, texts
from chatroom.irc.lines import BODY, Line, Out, body, cut, parse, pieces, tagged

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
HARD = st.text(st.sampled_from("a:@ \r\n\0;\\=,#\u2028\x85é☕\x01"), max_size=40)


def seen(text: str) -> str:
    """Return what of *text* can go out as part of a line."""
    return re.sub("[\x00\x02-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", "", text)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", None),
        (b"\r", None),
        (b"   ", None),
        (b"@a=b ", None),
        (b":source", None),
        (b"ping x\r", Line("PING", ["x"], {})),
        (b":ada PRIVMSG #tea :hello  you ", Line("PRIVMSG", ["#tea", "hello  you "], {})),
        (b"  JOIN   #a,#b  key ", Line("JOIN", ["#a,#b", "key"], {})),
        (b"TOPIC #a :", Line("TOPIC", ["#a", ""], {})),
        (b"TOPIC #a ::x", Line("TOPIC", ["#a", ":x"], {})),
        (b"A b:c d", Line("A", ["b:c", "d"], {})),
        (b"A\x00B c", Line("AB", ["c"], {})),
        (b"A b\xc2\xa0c", Line("A", ["b\xa0c"], {})),
        (b"@a=b;+c;d=;e=f=g A", Line("A", [], {"a": "b", "+c": "", "d": "", "e": "f=g"})),
        (rb"@a=\:\s\\\r\n\x\ A", Line("A", [], {"a": "; \\\r\nx"})),
        (b"@a=1;a=2 A", Line("A", [], {"a": "2"})),
        (b"A " + b"b " * 20, Line("A", [*["b"] * 14, "b b b b b b "], {})),
        (b"A \xff", Line("A", ["\ufffd"], {}, "utf8")),
        (b"@a=\xff A", Line("A", [], {"a": "\ufffd"}, "utf8")),
    ],
)
def test_what_a_line_says(data: bytes, line: Line | None) -> None:
    assert parse(data) == line


def test_how_long_a_line_may_be() -> None:
    def fault(data: bytes) -> str | None:
        line = parse(data)
        assert line is not None
        return line.fault

    assert fault(b"A " + b"b" * 508) is None
    assert fault(b"A " + b"b" * 509) == "long"
    assert fault(b"@" + b"a" * 4094 + b" A " + b"b" * 508) is None
    assert fault(b"@" + b"a" * 4095 + b" A") == "long"
    assert fault(b"A " + b"\xff" * 509) == "long"


@given(st.binary(max_size=700))
def test_anything_may_come_in(data: bytes) -> None:
    line = parse(data)
    assert line is None or (line.command and len(line.params) <= 15)


@given(HARD, HARD, HARD, st.sampled_from(("PRIVMSG", "353", "JOIN")))
def test_whatever_is_in_it_a_line_that_goes_out_is_one(a: str, b: str, c: str, word: str) -> None:
    data = body("src", word, a, b, c)
    assert not re.search(b"[\r\n\0]", data)
    line = parse(data)
    assert line is not None
    assert line.command == word
    # The same number of parameters, of which the last is as it was.
    assert len(line.params) == 3
    assert line.params[2] == (seen(c) if word == "PRIVMSG" else seen(c).replace("\x01", ""))


@given(TEXT, TEXT)
def test_a_line_is_never_too_long(a: str, b: str) -> None:
    data = body("src", "PRIVMSG", a, b * 10)
    assert len(data) <= BODY - 2
    data.decode()


@given(st.dictionaries(st.sampled_from(("a", "+b", "c/d")), TEXT))
def test_tags_come_as_they_went(found: dict[str, str]) -> None:
    data = tagged(tuple(found.items()), b"A")
    assert not re.search(b"[\r\n\0]", data)
    line = parse(data)
    assert line is not None
    assert {key: seen(value) for key, value in line.tags.items()} == {
        key: seen(value).replace("\x01", "") for key, value in found.items()
    }
    assert all(line.tags[key].count("\n") == value.count("\n") for key, value in found.items())


def test_a_further_tag_comes_first() -> None:
    assert Out((("a", "1"),), b"X").tagged(("b", "2")).tags == (("b", "2"), ("a", "1"))


@given(TEXT, st.integers(4, 40))
def test_pieces_are_the_text(text: str, size: int) -> None:
    found = pieces(text, size)
    assert "".join(found) == text
    assert all(len(piece.encode()) <= size for piece in found)
    assert found == [""] or all(found)


def test_pieces_end_at_spaces() -> None:
    assert pieces("one two three", 8) == ["one two ", "three"]
    assert pieces("onetwothree", 8) == ["onetwoth", "ree"]
    assert pieces("☕☕", 4) == ["☕", "☕"]
    assert pieces("☕☕", 1) == ["☕", "☕"]
    assert cut("a☕", 3) == b"a"


@given(TEXT)
def test_no_line_of_a_text_breaks(text: str) -> None:
    for line in texts.lines(text):
        assert len(line.splitlines()) <= 1
        assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", line)


def test_texts() -> None:
    assert texts.lines("a\r\nb\n\nc\u2028d\te\x01") == ["a", "b", "", "c", "d\te"]
    assert texts.plain("\x02a\x02\x0312,4b\x03c\x04ff0000d\x1de\x0f3") == "abcde3"
    assert texts.ctcp("\x01ACTION does it\x01") == ("ACTION", "does it")
    assert texts.ctcp("\x01version") == ("VERSION", "")
    assert texts.ctcp("x\x01") is None
    assert texts.action("/me does") == "does"
    assert texts.action("/meet") is None


def test_masks() -> None:
    assert texts.like("*te?")("#TEA")
    assert texts.like("[a*")("[abc")
    assert not texts.like("[a]")("a")
    assert not texts.like("a?")("a")
    # A mask that would take a careless program for ever.
    assert not texts.like("*a" * 200 + "b")("a" * 100)


NAMES = st.text(
    st.one_of(
        st.sampled_from("ab _-.!@*?,:#$%&+~\\|[]{}^`\uff3f\uff01\u00a0☕é李"),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=12,
)


@given(NAMES)
def test_each_name_has_a_nick_and_is_known_by_it(wish: str) -> None:
    try:
        name = names.user_name(wish)
    except names.BadName:
        return
    nick = nicks.nick(name.shown)
    assert nicks.user_name(nick) == name
    assert len(nick) == len(name.shown)
    # What no nick may have, and what would be none of it on a line.
    assert not re.search("[ !*,.?@\x00-\x20]", nick)
    assert nick[0] not in "#$%&+:~"
    assert parse(body("src", "NICK", nick)) == Line("NICK", [nick], {})


@given(NAMES, NAMES)
def test_no_two_names_have_one_nick(one: str, other: str) -> None:
    try:
        found = names.user_name(one).shown, names.user_name(other).shown
    except names.BadName:
        return
    assert (found[0] == found[1]) == (nicks.nick(found[0]) == nicks.nick(found[1]))


def test_nicks() -> None:
    assert nicks.nick("Ada") == "Ada"
    assert nicks.nick("Ada Lovelace") == "Ada\uff3fLovelace"
    assert nicks.nick("Ada_Lovelace") == "Ada_Lovelace"
    assert nicks.nick("Dr. Who?") == "Dr\uff0e\uff3fWho\uff1f"
    assert nicks.nick("#1 + ~2") == "\uff031\uff3f+\uff3f~2"
    assert nicks.user_name("[foo]^\\|`{}").shown == "[foo]^\\|`{}"
    for bad in ("", "a b", "a!b", "#a", ":a", "a\x01", "\uff3f", "a" * 33):
        with pytest.raises(names.BadName):
            nicks.user_name(bad)


def test_channels_and_messages() -> None:
    assert nicks.room_name("#Tea") == names.room_name("Tea")
    for bad in ("Tea", "", "#", "#@1-2", "##a", "#a b", "#a,b"):
        with pytest.raises(names.BadName):
            nicks.room_name(bad)
    id = nicks.msgid("e-1", 42, "Tea")
    assert nicks.entry_id(id, "e-1", "tea") == 42
    for epoch, room in (("e-1", "milk"), ("e-2", "tea")):
        assert nicks.entry_id(id, epoch, room) is None
    mark = id.rpartition("-")[2]
    for other in ("", "42", f"e-1-x-{mark}", f"e-1-²-{mark}", f"e-1-{'1' * 17}-{mark}"):
        assert nicks.entry_id(other, "e-1", "tea") is None
