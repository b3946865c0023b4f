"""
How a text becomes what is searched for.

A text is a row of units. A unit is a word, folded: without case, accents and differences of
compatibility (Unicode NFKC), so that ``CAFÉ`` is ``cafe``. Where words are written without spaces
between them (Chinese, Japanese, Thai …; Korean hangs its particles on them), a unit is a character;
so it is of symbols and emoji. All else only separates.

An index holds the units of a text, and the pairs of neighbours that are single characters: a Chinese
word of two characters is one term of it, like an English word, and a longer one is its pairs.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

SHORTEST = 3
"""The last word of a query may be the beginning of one, if it is at least so long."""

_DENSE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul, not composed
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # radicals, kana, bopomofo
    (0x3130, 0x318F),  # Hangul, not composed
    (0x31A0, 0x31FF),  # bopomofo, kana
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),  # Hangul, not composed
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),
    (0x1AFF0, 0x1B16F),  # kana
    (0x20000, 0x3FFFF),
)
"""Where the scripts are that are written without spaces, or are searched for within words."""
_EMOJI = range(0x1F000, 0x1FB00)
"""Where emoji are, and those will be that Python's Unicode does not know yet."""
_SELECTORS = "".join(map(chr, range(0xFE00, 0xFE10)))
"""They say in which form the character before is to be seen."""
_SINGLE = "\u0e00"
"""A unit from here on that is one character forms a pair with another one."""
_LETTERS = {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ı": "i", "й": "й"}
"""What is read as another letter and is none by Unicode; and one that Unicode takes for two."""
_KEPT = 20_000
"""Of how many characters it is known what becomes of them: there are a million."""


class Query(NamedTuple):
    """
    What is looked for: texts in which all *pieces* are.

    Each piece is one or more neighbouring units, with a space on either side, but for the end of
    one that may be the beginning of a word. *terms* are what an index has of all such texts.
    *prefix* is the beginning of a further one.
    """

    pieces: tuple[str, ...]
    terms: tuple[str, ...]
    prefix: str | None

    @property
    def like(self) -> str:
        """A pattern of SQL's ``LIKE`` for all texts of ASCII that are looked for, and more."""
        longest = max(self.pieces, key=lambda piece: len(piece.split()), default="")
        # Nothing but letters, digits and symbols that are not ASCII is in a unit: no ``%`` or ``_``.
        return f"%{'_%'.join(longest.split())}%"

    def finds(self, text: str) -> bool:
        """Return whether *text* is looked for; where nothing is looked for, none is."""
        if not self.pieces:
            return False
        row = f" {' '.join(units(text))} "
        return all(piece in row for piece in self.pieces)


def units(text: str) -> list[str]:
    """Return the units of *text*, in order."""
    if not text.isascii():
        # Folding case may bring back what had been folded.
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return text.translate(_folded).split()


def indexed(text: str) -> str:
    """
    Return the terms of *text*, between spaces.

    Where the text is all ASCII it is its own answer: for whoever takes runs of ASCII letters and
    digits for terms, whatever their case, as FTS5's tokenizer ``ascii`` does.
    """
    if text.isascii():
        return text
    row = units(text)
    return " ".join(row + _pairs(row))


@lru_cache(maxsize=256)
def parsed(query: str) -> Query:
    """
    Return what is looked for with *query*.

    What is between spaces is a piece, and so is what is between double quotes: its units must be
    neighbours. The last word may be the beginning of one, unless it is quoted.
    """
    pieces: list[str] = []
    terms: list[str] = []
    prefix = None
    *quoted, last = _split(query)
    for piece, open in [(piece, False) for piece in quoted] + [(last, True)]:
        row = units(piece)
        if not row:
            continue
        begun = open and len(row[-1]) >= SHORTEST
        pieces.append(f" {' '.join(row)}{'' if begun else ' '}")
        pairs = _pairs(row)
        paired = {unit for pair in pairs for unit in pair}
        if begun:
            prefix = row.pop()
        # A pair says more than the two that it is of.
        terms += [unit for unit in row if unit not in paired] + pairs
    return Query(tuple(pieces), tuple(dict.fromkeys(terms)), prefix)


def matches(query: str, text: str) -> bool:
    """Return whether *query* finds *text*."""
    return parsed(query).finds(text)


def _split(query: str) -> list[str]:
    """Return the pieces of *query*; the last one is not quoted, and may be empty."""
    pieces = []
    outside = True
    *before, last = query.translate(_quotes).split('"')
    for part in before:
        pieces += part.split() if outside else [part]
        outside = not outside
    # A quotation that is not at its end is none yet.
    words = last.split()
    return [*pieces, *words] if words else [*pieces, ""]


def _pairs(row: list[str]) -> list[str]:
    """Return the pairs of neighbours in *row* that are single characters."""
    return [
        a + b
        for a, b in pairwise(row)
        if a >= _SINGLE and b >= _SINGLE and len(a) == 1 and len(b) == 1
    ]


class _Folded(dict[int, str]):
    """What becomes of a character, by code point, as `str.translate` would have it."""

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code))
        if len(self) < _KEPT:
            self[code] = folded
        return folded


def _fold(char: str) -> str:
    """Return what becomes of *char*, which is in NFKC and has no case."""
    category = unicodedata.category(char)
    if char.isascii():
        return char.lower() if char.isalnum() else " "
    if _is_accent(char) or char in _SELECTORS or (category == "Cf" and char != "\u200b"):
        # Nobody sees it, nor whether it is there.
        return ""
    if category[0] == "S" or ord(char) in _EMOJI:
        return f" {char} "
    if category[0] not in "LMN":
        return " "
    if any(first <= ord(char) <= last for first, last in _DENSE):
        return f" {char} "
    if char in _LETTERS:
        return _LETTERS[char]
    letters = (c for c in unicodedata.normalize("NFD", char) if not _is_accent(c))
    return unicodedata.normalize("NFC", "".join(_LETTERS.get(c, c) for c in letters))


def _is_accent(char: str) -> bool:
    """Return whether *char* is a mark that may be left out: an accent, or a vowel's point."""
    return unicodedata.combining(char) > 0 and (
        "\u0300" <= char <= "\u036f"  # Latin, Greek, Cyrillic
        or "\u0591" <= char <= "\u05c7"  # Hebrew
        or "\u0610" <= char <= "\u061a"  # Arabic
        or "\u064b" <= char <= "\u065f"
        or char == "\u0670"
    )


_folded = _Folded()
_quotes = str.maketrans("“”„«»＂", '""""""')
