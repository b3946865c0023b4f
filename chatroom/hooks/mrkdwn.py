"""What Slack's clients write (mrkdwn), as Markdown and as plain text."""

from __future__ import annotations

import re
from typing import NamedTuple


class Text(NamedTuple):
    """A text in two ways: *plain*, and as Markdown; *rich* if that shows more than the plain one."""

    plain: str
    marked: str
    rich: bool = False


# What is ready is put aside, and these, which nobody writes, are around its number meanwhile.
_ASIDE = "\ue000{}\ue001"
_KEPT = re.compile("\ue000([0-9]+)\ue001")
_UNWRITTEN = dict.fromkeys((0xE000, 0xE001))

_VERBATIM = re.compile(r"```(.+?)```|`([^`\n]+)`|<([^<>\n]+)>", re.DOTALL)
_STRONG = re.compile(r"(?<!\*)(?<![^\W_])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![^\W_]|\*)")
_STRUCK = re.compile(r"(?<!~)(?<![^\W_])~(?=[^\s~])([^~\n]*[^\s~])~(?![^\W_]|~)")
_SLANTED = re.compile(r"(?<![\w_])_(?=[^\s_])[^_\n]*[^\s_]_(?![\w_])")
_QUOTED = re.compile(r"^ {0,3}>", re.MULTILINE)

# Each ends with the character that would mean something in Markdown, and does not here.
_SPECIAL = re.compile(
    r"""
    [*`\[\]]
    | \\ (?=[!-/:-@\[-`{-~])
    | ~ (?=~)
    | & (?=\#?\w{1,40};)
    | ^[ ]{0,3} (?: \#{1,6} (?=[ \t]|$) | [=-] (?=[=\- \t]*$) )
    """,
    re.VERBOSE | re.MULTILINE,
)
_SPECIAL_IN_LINK = re.compile(r"\\|&(?=#?\w{1,40};)")
_URL = re.compile(r"(?:https?://|mailto:)[^\s<>]+", re.IGNORECASE)
_TICKS = re.compile("`+")


def read(text: str) -> Text:
    """Return what *text* says: ``*strong*``, ``_slanted_``, ``~struck~``, code, ``<links>``."""
    kept: list[Text] = []

    def keep(ready: Text) -> str:
        kept.append(ready)
        return _ASIDE.format(len(kept) - 1)

    def keep_verbatim(found: re.Match[str]) -> str:
        block, code, link = found.groups()
        if link is not None:
            return keep(_link(link))
        if code is not None:
            return keep(coded(unescaped(code)))
        before = "" if found.start() == 0 or found.string[found.start() - 1] == "\n" else "\n"
        after = "" if found.string[found.end() : found.end() + 1] in ("", "\n") else "\n"
        return before + keep(preformatted(unescaped(block).strip("\n"))) + after

    text = unescaped(_VERBATIM.sub(keep_verbatim, text.translate(_UNWRITTEN)))
    rich = bool(_QUOTED.search(text) or _SLANTED.search(text))
    for written, sign, mark in ((_STRONG, "*", "**"), (_STRUCK, "~", "~~")):
        aside = keep(Text(sign, mark, rich=True))
        text, count = written.subn(rf"{aside}\1{aside}", text)
        rich = rich or count > 0
    rich = rich or any(part.rich for part in kept[:-2])
    return Text(
        _KEPT.sub(lambda found: kept[int(found[1])].plain, text),
        _KEPT.sub(lambda found: kept[int(found[1])].marked, escaped(text)),
        rich,
    )


def plain(text: str) -> Text:
    """Return *text* that marks up nothing."""
    return Text(text, escaped(text))


def styled(text: Text, mark: str) -> Text:
    """Return *text* with a Markdown *mark* on either side, close to what can be seen."""
    inner = text.marked.strip()
    if not inner:
        return text
    before, _, after = text.marked.partition(inner)
    return Text(text.plain, f"{before}{mark}{inner}{mark}{after}", rich=True)


def coded(text: str) -> Text:
    """Return *text* as code within a line."""
    ticks = _longer_than_in(text, 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return Text(text, f"{ticks}{space}{text}{space}{ticks}", rich=True)


def preformatted(text: str) -> Text:
    """Return *text* as lines of code."""
    fence = _longer_than_in(text, 3)
    return Text(text, f"{fence}\n{text}\n{fence}", rich=True)


def linked(url: str, label: Text) -> Text:
    """Return a link to *url* called *label*; the label alone, if it does not lead into the web."""
    if not _URL.fullmatch(url):
        return label
    if label.plain in ("", url, url.partition(":")[2], url.partition("://")[2]):
        shown = label.plain or url
        return Text(shown, f"<{url}>" if shown == url else label.marked)
    target = _SPECIAL_IN_LINK.sub(r"\\\g<0>", url)
    return Text(f"{label.plain} ({url})", f"[{label.marked}](<{target}>)", rich=True)


def escaped(text: str) -> str:
    """Return Markdown that shows *text*, whose ``_`` and ``>`` mean the same in both."""
    return _SPECIAL.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)


def unescaped(text: str) -> str:
    """Return *text* with the three characters that are written as entities."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _link(content: str) -> Text:
    target, bar, label = map(unescaped, content.partition("|"))
    if target.startswith(("!here", "!channel", "!everyone")):
        return plain(f"@{target[1:]}")
    if target.startswith("!"):
        return plain(label or f"@{target[1:].partition('^')[0]}")
    if target.startswith(("@", "#")):
        return plain(f"{target[0]}{label.lstrip('@#')}" if label else target)
    if _URL.fullmatch(target):
        return linked(target, plain(label))
    return plain(f"<{target}{bar}{label}>")


def _longer_than_in(text: str, least: int) -> str:
    """Return more backticks than there are in a row in *text*."""
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    return "`" * max(least, longest + 1)
