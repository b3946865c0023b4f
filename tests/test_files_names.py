"""What files are called, and how that is told to a browser."""

from __future__ import annotations

import re
import unicodedata
from email.message import Message
from email.parser import HeaderParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from chatroom.files.names import LONGEST, NAMELESS, clean, disposition

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("photo.jpg", "photo.jpg"),
        ("  my   photo .jpg ", "my photo .jpg"),
        ("照片 1.png", "照片 1.png"),
        ("cafe\u0301.txt", "caf\u00e9.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("/", NAMELESS),
        ("..", NAMELESS),
        ("", NAMELESS),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\u200bb\u2066c\ufeff.txt", "abc.txt"),
        ("a\x00b\x7f.txt", "ab.txt"),
        ("\ud800x", "x"),
        ('a"b<c>|d?.txt', "a_b_c__d_.txt"),
        ("a\u2028b", "a b"),
    ],
)
def test_cleaned(name: str, cleaned: str) -> None:
    assert clean(name) == cleaned


def test_long_names_keep_their_ending() -> None:
    assert clean("x" * 200 + ".tar.gz") == "x" * 97 + ".gz"
    assert clean("x" * 200) == "x" * 100
    assert clean("x" * 100) == "x" * 100
    assert clean("x." + "y" * 200) == "x." + "y" * 98
    assert clean("x" * 95 + " ." * 20 + ".jpeg") == "x" * 95 + ".jpeg"


@given(ANYTHING)
def test_whatever_it_is_it_is_a_name(name: str) -> None:
    cleaned = clean(name)
    assert 0 < len(cleaned) <= LONGEST
    assert not set(cleaned) & set('/\\<>:"|?*')
    assert cleaned == cleaned.strip(". ")
    assert not {unicodedata.category(character) for character in cleaned} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert clean(cleaned) == cleaned


@given(
    st.text(st.characters(codec="utf-8"), max_size=150), st.sampled_from(["", ".jpg", ".tar.gz"])
)
def test_ending_stays(stem: str, ending: str) -> None:
    assert clean("x" + stem + "y" + ending).endswith(ending.rpartition(".")[2])


@given(ANYTHING.map(clean), st.sampled_from(["inline", "attachment"]))
def test_browser_reads_the_name_that_was_meant(name: str, kind: str) -> None:
    value = disposition(kind, name)
    # RFC 9110: nothing that would end a header, and no byte that is not plain.
    assert re.fullmatch(r"[ -~]+", value)
    assert parse_options_header(value) == (kind, {"filename": name})


@given(ANYTHING, st.sampled_from(["inline", "attachment"]))
def test_nothing_can_be_put_into_the_header(name: str, kind: str) -> None:
    """Even with what was never cleaned."""
    value = disposition(kind, name)
    assert re.fullmatch(r"[ -~]+", value)
    read, parameters = parse_options_header(value)
    assert read == kind
    assert parameters.keys() == {"filename"}
    message: Message = HeaderParser(policy=HTTP).parsestr(f"Content-Disposition: {value}\r\n\r\n")
    assert message.keys() == ["Content-Disposition"]
    assert message.get_content_disposition() == kind


def test_old_clients_get_something_plain() -> None:
    assert disposition("inline", "a b.png") == 'inline; filename="a b.png"'
    assert disposition("attachment", "é%\"'.txt") == (
        "attachment; filename=\"____.txt\"; filename*=UTF-8''%C3%A9%25%22%27.txt"
    )
