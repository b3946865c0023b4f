"""What files may be called, and how a name is told to a browser."""

from __future__ import annotations

import re
from unicodedata import category, normalize
from urllib.parse import quote

LONGEST = 100
"""The most characters of a name."""
EXTENSION = 16
"""An ending of more characters, the dot included, is not kept when a name is cut."""
NAMELESS = "file"
"""What is called this has no name that could be kept."""

# Control and format characters (bidirectional ones and those without width too), lone surrogates.
_DROPPED = {"Cc", "Cf", "Cs"}
# None of these can be in a name on Windows.
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]")


def clean(name: str) -> str:
    """
    Return *name* as a file may be called: one line, no folders, at most `LONGEST` characters.

    Whatever it is, something comes back, and the same for what has come back. The ending is kept.
    """
    name = "".join(
        " " if character.isspace() else character
        for character in name
        if character.isspace() or category(character) not in _DROPPED
    )
    name = re.split(r"[/\\]", normalize("NFC", name))[-1].translate(_FORBIDDEN)
    name = " ".join(name.split()).strip(". ")
    if len(name) > LONGEST:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) < EXTENSION else ""
        name = name[: LONGEST - len(ending)].rstrip(". ") + ending
    return name or NAMELESS


def disposition(kind: str, name: str) -> str:
    """
    Return a ``Content-Disposition`` (RFC 6266) of *kind*, "inline" or "attachment".

    *name* is what the file is called when it is saved; other than ASCII it is there twice, the
    second time as in RFC 8187.
    """
    plain = _PLAIN.sub("_", name)
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        encoded = quote(name, safe="!#$&+^`|", errors="replace")
        value += f"; filename*=UTF-8''{encoded}"
    return value
