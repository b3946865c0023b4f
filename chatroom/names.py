"""
What a user or a room may be called: RFC 8266 (PRECIS Nickname), with a few things less.

Two names are the same when their comparison forms are; what is shown is what was typed, after
enforcement (spaces trimmed, compatibility characters folded).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from precis_i18n import get_profile

USER = 32
"""The most characters of a user's name."""
ROOM = 64
"""The most characters of a room's name."""

# Ids fit in 2**53.
_direct = re.compile("@([1-9][0-9]{0,15})-([1-9][0-9]{0,15})")
_EMPTY = "\u2800\U0001d159\ufffc"
"""Drawn as nothing, though Unicode takes them for symbols: a blank, a note without a head, a gap."""
_shown = get_profile("NicknameCasePreserved")
_compared = get_profile("Nickname")


class Name(NamedTuple):
    """A name as it is *shown*, and the *key* by which it is compared."""

    shown: str
    key: str


class BadName(ValueError):
    """A name that cannot be had; its text says why, in words for whoever wished it."""


def user_name(wish: str) -> Name:
    """
    Return *wish* as the name of a user.

    Raises `BadName` where it is empty or longer than `USER` characters, holds a character that
    cannot be seen (control, bidirectional control, zero-width), or nothing that can.
    """
    return _name(wish, USER)


@lru_cache(maxsize=4096)
def room_name(wish: str) -> Name:
    """
    Return *wish* as the name of a room; of a direct one, if it is just what `direct` returns.

    Raises `BadName` where it is empty or longer than `ROOM` characters, or holds anything but
    letters, digits, ``-``, ``_`` and ``.``, of which dots alone are not a name (they would be
    something else in a URL's path).
    """
    if parties(wish):
        return Name(wish, wish)
    name = _name(wish, ROOM)
    if not all(c in "-_." or unicodedata.category(c)[0] in "LM" or c.isdecimal() for c in name.key):
        raise BadName("a room's name is of letters, digits, '-', '_' and '.'")
    if not name.key.strip("."):
        raise BadName("a room's name is more than dots")
    return name


def direct(a: int, b: int) -> Name:
    """
    Return the name of the direct room of the users *a* and *b*, which no other room can have.

    Raises `BadName` where these are no two users.
    """
    if a == b or a < 1 or b < 1:
        raise BadName("a direct room is one of two users")
    name = f"@{min(a, b)}-{max(a, b)}"
    return Name(name, name)


def parties(key: str) -> frozenset[int] | None:
    """Return the ids of the users whose direct room has the comparison form *key*, if it is one."""
    found = _direct.fullmatch(key)
    if found is None:
        return None
    a, b = map(int, found.groups())
    return frozenset((a, b)) if a < b else None


def folded(text: str) -> str:
    """Return *text* as it is where it is part of a comparison form, be it a name or not."""
    if text.isascii():
        return text.lower()
    # Lower case may bring back what had been folded.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _name(wish: str, limit: int) -> Name:
    # Before enforcement, which takes time in proportion; trimming makes no sane name this short.
    if len(wish) > 4 * limit:
        raise BadName(f"a name has at most {limit} characters")
    return _enforced(wish, limit)


@lru_cache(maxsize=4096)
def _enforced(wish: str, limit: int) -> Name:
    if wish.isascii() and wish.isprintable() and wish and wish == " ".join(wish.split()):
        # What PRECIS would return, at a hundredth of the price.
        shown, key = wish, wish.lower()
    else:
        shown, key = _by_precis(wish)
    if len(shown) > limit or len(key) > limit:
        raise BadName(f"a name has at most {limit} characters")
    return Name(shown, key)


def _by_precis(wish: str) -> tuple[str, str]:
    try:
        # Of what is shown: enforced by itself, what was typed may be compared as something else.
        shown = _shown.enforce(wish)
        key = _compared.enforce(shown)
    except UnicodeError as error:
        raise BadName("a name has none but visible characters, and at least one") from error
    if all(unicodedata.category(c)[0] in "MZ" for c in shown):
        raise BadName("a name has at least one visible character")
    if any(c in _EMPTY or unicodedata.category(c) in ("Cc", "Cf") for c in shown):
        raise BadName("a name has none but visible characters, and at least one")
    return shown, key
