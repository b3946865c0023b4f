"""What HTML a message may have: written down a second time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "a", "blockquote", "ul", "ol", "li"),
    *("pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td"),
}
VALUES = {
    ("a", "href"): r"(?i:https?:|mailto:)[^\x00-\x20]*",
    ("a", "rel"): "noopener noreferrer nofollow",
    ("a", "target"): "_blank",
    ("ol", "start"): r"\d{1,9}",
    ("p", "class"): "h[1-6]",
    ("span", "class"): "[a-z]{1,2}",
    ("th", "class"): "left|center|right",
    ("td", "class"): "left|center|right",
}
"""The attributes that an element may have, and their values."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.found = f"<{tag}>"
        for name, value in attributes:
            pattern = VALUES.get((tag, name))
            if pattern is None or not re.fullmatch(pattern, value or ""):
                self.found = f"<{tag} {name}={value!r}>"

    def handle_comment(self, data: str) -> None:
        self.found = "a comment"

    def handle_decl(self, declaration: str) -> None:
        self.found = "a declaration"

    def handle_pi(self, data: str) -> None:
        self.found = "an instruction"


def unsafe(html: str) -> str:
    """Return something in *html* that may not be there; nothing if there is none."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found
