"""What people write, as IRC has it and as everybody else has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

ACTION = "/me "
"""What a message begins with that says what its sender does (CTCP ACTION on IRC)."""

# Bold, colours and their like (https://modern.ircdocs.horse/formatting): others would see rubbish.
_FORMATTING = re.compile(
    "\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?"
    "|[\x02\x0f\x11\x16\x1d\x1e\x1f]"
)
# Controls, but for the tabulator: some are formatting, one is CTCP, none can be seen.
_controls = str.maketrans(dict.fromkeys(map(chr, (*range(9), *range(10, 32), *range(127, 160)))))


def plain(text: str) -> str:
    """Return *text*, which came over IRC, without its formatting."""
    return _FORMATTING.sub("", text)


def lines(text: str) -> list[str]:
    """
    Return the lines of *text*, as they can go out.

    Whatever any client may take for the end of a line (as `str.splitlines` does) is one.
    """
    return [line.translate(_controls) for line in text.splitlines()]


def action(text: str) -> str | None:
    """Return what the sender of *text* does, if *text*, of one line, is of that kind."""
    return text.removeprefix(ACTION) if text.startswith(ACTION) else None


def ctcp(text: str) -> tuple[str, str] | None:
    """Return the command of the CTCP message *text* and what it is about, if it is one."""
    if not text.startswith("\x01"):
        return None
    command, _, rest = text.strip("\x01").partition(" ")
    return command.upper(), rest


def like(mask: str) -> Callable[[str], bool]:
    """
    Return what tells whether a text is like *mask*, where ``*`` is anything and ``?`` one character.

    Upper and lower case are the same. It takes no longer for any mask than it should.
    """
    # For the rest of what a shell knows, a mask has no use.
    found = re.compile(translate(mask.casefold().replace("[", "[[]")))
    return lambda text: found.match(text.casefold()) is not None
