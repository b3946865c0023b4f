"""Whom a text mentions: ``@`` and a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from chatroom.events import Who
from chatroom.names import USER, folded

MOST = 20
"""So many users one message mentions."""
TRIES = 50
"""At so many ``@`` it is looked whose name follows."""


def mentioned(text: str, called: Callable[[str], Who | None]) -> tuple[Who, ...]:
    """
    Return whom *text* mentions, in order, nobody twice.

    *called* gives who has a name, by its comparison form. Of several names that could be meant
    it is the longest. What is inside of a longer word or an e-mail address mentions nobody.
    """
    text = folded(text)
    found: dict[int, Who] = {}
    at = -1
    for _ in range(TRIES):
        at = text.find("@", at + 1)
        if at < 0 or len(found) >= MOST:
            break
        if at and _of_a_word(text[at - 1]):
            continue
        for end in range(min(len(text), at + 1 + USER), at + 1, -1):
            if not _goes_on(text, end) and (who := called(text[at + 1 : end])):
                found.setdefault(who.id, who)
                at = end - 1
                break
    return tuple(found.values())


def _of_a_word(c: str) -> bool:
    """Return whether *c* is of a word that has spaces around it, as those of Chinese have not."""
    if c.isascii():
        return c.isalnum() or c == "_"
    return unicodedata.category(c)[0] in "LMN" and unicodedata.east_asian_width(c) != "W"


def _goes_on(text: str, end: int) -> bool:
    """Return whether a word, or an address, that has begun in *text* goes on at *end*."""
    if end == len(text) or not _of_a_word(text[end - 1]):
        return False
    if text[end] in ".-@":
        end += 1
    return end < len(text) and _of_a_word(text[end])
