"""
Lines of IRC, both ways (https://modern.ircdocs.horse/, "Message Format"; IRCv3 message-tags).

Nothing of `twisted.words` is used for this: it decodes what comes in piece by piece, so that a
character that is cut in two ends the connection, knows no tags, and takes any space of Unicode for
a separator.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BODY = 512
"""The most bytes of a line without its tags, line break included."""
TAGS = 4096
"""The most bytes of the tags that a client sends, with the ``@`` and the space behind."""
LONGEST = TAGS + BODY
PARAMS = 15
"""The most parameters of a line; what is more belongs to the last."""

TEXTS = frozenset(("NOTICE", "PRIVMSG", "QUIT", "TOPIC"))
"""The last parameter of these is text: it has a colon before it whether it takes one or not."""

Tags = tuple[tuple[str, str], ...]

_ESCAPES = {"\\": "\\\\", ";": "\\:", " ": "\\s", "\r": "\\r", "\n": "\\n"}
_unescapes = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}
# What ends a line for anybody, and what cannot be seen, but for a tabulator: of all that goes out,
# no parameter and no tag has it. What CTCP begins with has its place in what is said alone.
_unseen = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029))
_unsaid = {code: None for code in _unseen if code != 1}
_apart = re.compile("[ \t]")
_escapes = {**_unseen, **{ord(c): escaped for c, escaped in _ESCAPES.items()}}


class Line(NamedTuple):
    """
    What a client says: *command* in capitals, its *params*, and *tags*.

    *fault*: what is wrong with it as a line, ``"utf8"`` or ``"long"``, if anything is.
    """

    command: str
    params: list[str]
    tags: dict[str, str]
    fault: str | None = None


class Out(NamedTuple):
    """A line that goes out: its *tags*, and its *body*, without a line break."""

    tags: Tags
    body: bytes

    def tagged(self, *tags: tuple[str, str]) -> Out:
        """Return this with further *tags* before its own."""
        return Out((*tags, *self.tags), self.body)


def parse(data: bytes) -> Line | None:
    """Return the line *data*, without its line break, or None if there is nothing in it."""
    data = data.translate(None, b"\0\r\n")
    tags, rest = b"", data
    if data.startswith(b"@"):
        tags, _, rest = data.partition(b" ")
    fault = None
    if len(tags) + 1 > TAGS or len(rest) + 2 > BODY:
        fault, rest = "long", rest[:BODY]
    try:
        data.decode()
    except UnicodeDecodeError:
        fault = fault or "utf8"
    params = _params(rest.decode("utf-8", "replace"))
    if not params:
        return None
    found = {} if fault == "long" else _tags(tags[1:].decode("utf-8", "replace"))
    return Line(params[0].upper(), params[1:], found, fault)


def _params(text: str) -> list[str]:
    """Return the command in *text*, and its parameters; a source is left out."""
    found: list[str] = []
    text = text.lstrip(" ")
    if text.startswith(":"):
        text = text.partition(" ")[2].lstrip(" ")
    while text:
        if found and text.startswith(":") or len(found) == PARAMS:
            found.append(text.removeprefix(":"))
            break
        word, _, text = text.partition(" ")
        found.append(word)
        text = text.lstrip(" ")
    return found


def _tags(text: str) -> dict[str, str]:
    found = {}
    for tag in text.split(";"):
        key, _, value = tag.partition("=")
        if key:
            found[key] = re.sub(r"\\(.?)", _unescaped, value, flags=re.DOTALL)
    return found


def _unescaped(found: re.Match[str]) -> str:
    return _unescapes.get(found[1], found[1])


def body(source: str, command: str, *params: str) -> bytes:
    """
    Return a line from *source*, of `BODY` bytes at most: what is too long is cut at its end.

    Whatever there is in *params*, it is one line, and has as many parameters: where a space has no
    place it is a fullwidth low line.
    """
    words = [f":{source}", command]
    for at, param in enumerate(params, 1):
        param = param.translate(_unsaid if command == "PRIVMSG" else _unseen)
        plain = param and not _apart.search(param) and not param.startswith(":")
        if at == len(params) and (not plain or command in TEXTS):
            param = f":{param}"
        elif not plain:
            param = param.replace(" ", "\uff3f").replace("\t", "").lstrip(":") or "*"
        words.append(param)
    return cut(" ".join(words), BODY - 2)


def cut(text: str, size: int) -> bytes:
    """Return as much of *text* as *size* bytes of UTF-8 take, in whole characters."""
    data = text.encode("utf-8", "replace")
    return data if len(data) <= size else data[:size].decode("utf-8", "ignore").encode()


def tagged(tags: Tags, body: bytes) -> bytes:
    """Return the line *body* with *tags* before it."""
    if not tags:
        return body
    words = [f"{key}={value.translate(_escapes)}" if value else key for key, value in tags]
    return f"@{';'.join(words)} ".encode("utf-8", "replace") + body


def pieces(text: str, size: int) -> list[str]:
    """
    Return *text* in pieces of at most *size* bytes of UTF-8 each, cut at spaces where there are any.

    Together they are the text. A character that is larger than *size* is a piece by itself.
    """
    found = []
    while len(text.encode("utf-8", "replace")) > size:
        fits = len(cut(text, size).decode()) or 1
        space = text.rfind(" ", fits // 2, fits)
        at = fits if space < 0 else space + 1
        found.append(text[:at])
        text = text[at:]
    return [*found, text] if text or not found else found
