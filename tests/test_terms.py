from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatroom import terms
from chatroom.terms import Query, indexed, matches, parsed, units

# As people write: letters of all sorts, emoji, and what is between them.
WRITTEN = st.text(
    st.one_of(
        st.sampled_from("aAbB é É ß ø İ й ї e\u0301 ﬁ １ .,-_'\"“”/\n\0"),
        st.sampled_from("北京大学中文 がカﾊﾟ 한국어 ไทย 👍🏽❤️🇩🇪👨\u200d👩 ①½€ \u200b\u00ad"),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("Hello, World!", "hello world"),
        ("don't C++ 3.14 a_b", "don t c 3 14 a b"),
        ("https://example.com/a?b=1", "https example com a b 1"),
        ("CAFÉ Straße ÅNGSTRÖM naïve", "cafe strasse angstrom naive"),
        ("Ærø Łódź đ ħ œuvre", "aero lodz d h oeuvre"),
        ("İstanbul ısı", "istanbul isi"),
        ("x\u0302 e\u0301", "x e"),
        ("ﬁne １２３ ①", "fine 123 1"),
        ("Ёлка мой МОЙ", "елка мой мой"),
        ("ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ"),
        ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
        ("हिन्दी में", "हिन्दी में"),
        ("北京大学", "北 京 大 学"),
        ("学习python编程", "学 习 python 编 程"),
        ("あいが ｶﾞﾊﾟ", "あ い が ガ パ"),
        ("한국어를", "한 국 어 를"),
        ("ไทย", "ไ ท ย"),
        ("好👍🏽!", "好 👍 🏽"),
        ("👨\u200d👩 ❤\ufe0f 🇩🇪", "👨 👩 ❤ 🇩 🇪"),
        ("\U0001fae8", "\U0001fae8"),
        ("5 € → 6", "5 € → 6"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zero width"),
        ("a\0b", "a b"),
        ("\ue001 \ue0021 \ud800", "1"),
        ("…!?、。", ""),
    ],
)
def test_units(text: str, row: str) -> None:
    assert units(text) == row.split()


def test_pairs_are_terms_too() -> None:
    assert indexed("北京 大学 ok 👍").split() == [
        *("北", "京", "大", "学", "ok", "👍"),
        *("北京", "京大", "大学"),
    ]
    assert indexed("é 好") == "e 好"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("hello", "Hello, World!"),
        ("WORLD hello", "Hello, World!"),
        ("wor", "Hello, World!"),
        ("hello wor", "Hello, World!"),
        ('"hello world"', "Hello, World!"),
        ("“hello world”", "Hello, World!"),
        ('"hello wor', "Hello, World!"),
        ("cafe", "Ein CAFÉ"),
        ("Café", "ein cafe"),
        ("京", "北京大学"),
        ("北京", "北京大学"),
        ("京大", "北京大学"),
        ("北京大学", "他在北京大学学习"),
        ("大学 北京", "北京大学"),
        ("한국", "한국어를 배워요"),
        ("ガ", "ｶﾞ"),
        ("👍", "ok 👍🏽"),
        ("❤", "❤️"),
        ("example.com", "see https://example.com/path"),
        ("https://example.com/pat", "see https://example.com/path"),
        ("snake_case", "a snake_case name"),
        ("snake", "a snake_case name"),
        ("don’t", "I don't know"),
        ("3.141", "pi is 3.14159"),
        ("python编程", "学习Python编程吧"),
        ("**bold**", "some **bold** words"),
        ("it", "it is"),
    ],
)
def test_what_is_found(query: str, found: str) -> None:
    assert matches(query, found)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("hello", "help"),
        ("wor hello", "hello world"),
        ('"hello wor"', "hello world"),
        ('"world hello"', "hello world"),
        ('"hello" "worlds"', "hello world"),
        ("ello", "hello"),
        ("hell world", "hello world"),
        ("he", "hello"),
        ("京北", "北京"),
        ("北大", "北京大学"),
        ("北京大学", "大学在北京"),
        ("か", "が"),
        ("мои", "мой"),
        ("example.com", "com example"),
        ("3.1", "3.14"),
        ("hello", ""),
        ("", "hello"),
        ("", ""),
        ("  ", "hello"),
        ("?!", "hello?!"),
        ('""', "hello"),
    ],
)
def test_what_is_not_found(query: str, text: str) -> None:
    assert not matches(query, text)


def test_what_an_index_is_asked_for() -> None:
    assert parsed("the “north sea”, tod") == Query(
        (" the ", " north sea ", " tod"), ("the", "north", "sea"), "tod"
    )
    assert parsed("他在北京 T恤 x") == Query(
        (" 他 在 北 京 ", " t 恤 ", " x "), ("他在", "在北", "北京", "t", "恤", "x"), None
    )
    assert parsed("the the") == Query((" the ", " the"), ("the",), "the")
    assert parsed("!") == Query((), (), None)


@given(WRITTEN)
@settings(deadline=None)
def test_units_are_what_an_index_can_have(text: str) -> None:
    for unit in units(text):
        assert all(c.isalnum() and not c.isupper() for c in unit if c.isascii())
        assert not any(unicodedata.category(c)[0] in "ZC" for c in unit if c < "\U0001f000")


@given(WRITTEN)
@settings(deadline=None)
def test_units_are_the_units_of_themselves(text: str) -> None:
    assert units(" ".join(units(text))) == units(text)


@given(WRITTEN)
@settings(deadline=None)
def test_case_and_form_make_no_difference(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC"):
        assert units(unicodedata.normalize(form, text)) == units(text)
    assert units(text.casefold()) == units(text)


@given(WRITTEN)
@settings(deadline=None)
def test_a_text_finds_itself(text: str) -> None:
    assert matches(text, text) == bool(units(text))


def held(text: str) -> list[str]:
    """Return what FTS5's tokenizer ``ascii`` makes of what is indexed of *text*."""
    return "".join(
        c.lower() if c.isalnum() or not c.isascii() else " " for c in indexed(text)
    ).split()


@given(st.text(), WRITTEN, WRITTEN, WRITTEN)
@settings(deadline=None)
def test_an_index_has_the_terms_of_what_is_found(
    query: str, before: str, middle: str, after: str
) -> None:
    for wish in (query, middle, f'"{middle}" {before}'):
        for text in (f"{before} {wish} {after}", before + wish + after):
            if matches(wish, text):
                there = held(text)
                asked = parsed(wish)
                assert set(asked.terms) <= set(there)
                if asked.prefix is not None:
                    assert any(term.startswith(asked.prefix) for term in there)


@given(WRITTEN, WRITTEN)
@settings(deadline=None)
def test_what_is_quoted_is_found_where_it_was_written(before: str, text: str) -> None:
    quoted = text.translate({ord(mark): None for mark in '"“”„«»＂'})
    if units(quoted):
        assert matches(f'"{quoted}"', f"{before} {quoted} {before}")


@given(st.text(st.characters(codec="ascii"), max_size=40), WRITTEN)
@settings(deadline=None)
def test_all_texts_of_ascii_that_are_looked_for_are_like_it(text: str, other: str) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for wish in (text, f'"{text}"', f'{text} "{text} {other}'):
            if matches(wish, text):
                # To SQLite a text ends at a NUL; the index does not go by LIKE there.
                values = text.replace("\0", " "), parsed(wish).like
                assert db.execute("SELECT ? LIKE ?", values).fetchone() == (1,)


def test_what_is_not_like_it() -> None:
    assert parsed('sea "north sea" b_').like == "%north_%sea%"
    assert parsed("100%").like == "%100%"
    assert parsed("!").like == "%%"


def test_it_is_not_known_of_all_characters_what_becomes_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terms, "_KEPT", 0)
    monkeypatch.setattr(terms, "_folded", terms._Folded())
    assert units("Ä北") == ["a", "北"]
    assert terms._folded == {}
