"""Markdown as safe HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from unicodedata import east_asian_width

import nh3
from linkify_it import LinkifyIt  # type: ignore[import-untyped]
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.parser_inline import ParserInline
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import StateBase
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block import table as read_table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, emphasis, strikethrough
from markdown_it.token import Token as Part
from markdown_it.utils import EnvType, OptionsDict
from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String, _TokenType
from twisted.logger import Logger

LONGEST = 8000
"""A text of more characters is shown as it is; so is …"""
STEPS = 2000
"""… one that takes the parser more steps (an ordinary one takes one for each ten characters), …"""
LINKS = 100
"""… one with more addresses or destinations of links, …"""
LONGEST_LINK = 2000
"""So many characters of an address are looked at."""
GROWTH = 16
"""… and one whose HTML would have more than so many times its characters."""
LONGEST_CODE = 2000
"""So many characters of code are coloured in a text; a block that goes beyond is not, …"""
LONGEST_LINE = 200
"""… nor is one with a line of more characters …"""
BLANK_LINES = 3
"""… or with more blank lines in a row: expressions of Pygments take quadratic time on these."""

SCHEMES = {"http", "https", "mailto"}
"""Where a link may lead."""
TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "a", "blockquote", "ul", "ol", "li"),
    *("pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td"),
}
"""The elements that there may be."""
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
"""The classes of paragraphs that were headings: in a room they are no headings of the page."""
COLUMNS = {"left", "center", "right"}
"""The classes of cells in a column that has a side."""
COLOURS = {
    Comment: "c",
    Comment.Preproc: "cp",
    Keyword: "k",
    Operator.Word: "k",
    Name.Tag: "k",
    String: "s",
    Number: "m",
    Name.Constant: "m",
    Name.Function: "nf",
    Name.Class: "nc",
    Name.Exception: "nc",
    Name.Attribute: "na",
    Name.Decorator: "na",
    Name.Variable: "na",
    Name.Builtin: "nb",
    Generic.Heading: "nf",
    Generic.Subheading: "nf",
    Generic.Deleted: "gd",
    Generic.Inserted: "gi",
    Generic.Prompt: "c",
}
"""The classes within code by what Pygments calls a token; all else has none."""
LANGUAGES = {
    *("Bash", "Bash Session", "C", "C#", "C++", "CMake", "CSS", "Dart", "Diff", "Docker", "Go"),
    *("GraphQL", "HTML", "INI", "Java", "JavaScript", "JSON", "Kotlin", "Lua", "Makefile"),
    *("Nginx configuration file", "Objective-C", "Perl", "PHP", "PowerShell", "Python"),
    *("Python console session", "S", "Ruby", "Rust", "SCSS", "SQL", "Swift", "TOML", "TypeScript"),
    *("XML", "YAML"),
}
"""What can be coloured, by Pygments' names: of each of these the time was measured."""
SLOW = {"C#", "Java"}
"""Of these only half as much is coloured."""
ALIASES = {
    alias
    for name, aliases, _, _ in get_all_lexers(plugins=False)
    if name in LANGUAGES
    for alias in aliases
}

PLAIN = RendererHTML()
ADDRESSES = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False})
ADDRESSES.add("ftp:", None).add("//", None)
log = Logger()


def render(source: str) -> str:
    """
    Return *source* as HTML that may be put into a page.

    It is CommonMark 0.31 with tables, strikethrough and bare links, and with each line break kept;
    without HTML, images (they become links) and link reference definitions. There are no elements
    but `TAGS`, no attributes but ``href``, ``target`` and ``rel`` of links, ``start`` of lists and
    ``class``, and no links but to `SCHEMES`.

    It never raises, and the time that it takes is bounded: a text on which it would take longer is
    shown as it is.
    """
    text = source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text) <= LONGEST and max(map(text.count, ("](", "://"))) <= LINKS:
        try:
            html: str = MARKDOWN.render(text)
        except TooManySteps:
            pass
        except Exception:  # noqa: BLE001
            # No text is known that does this; yet who sent it shall not be cut off for it.
            log.failure("A text could not be read as Markdown; it is shown as it is")
        else:
            if len(html) <= GROWTH * (len(text) + 10):
                return GATE.clean(html)
    return GATE.clean(f"<p>{escapeHtml(text)}</p>".replace("\n", "<br>\n"))


class TooManySteps(Exception):
    """Reading a text takes more than `STEPS`."""


class Inline(ParserInline):
    """Reads the inline parts of a text, and counts looking ahead as steps."""

    def skipToken(self, state: StateInline) -> None:
        step(state, True)
        super().skipToken(state)


def step(state: StateBase, *rest: object) -> bool:
    """Count a step; as a rule that never applies, whenever the parser looks for one that does."""
    state.env["steps"] = steps = state.env.get("steps", 0) + 1
    if steps > STEPS:
        raise TooManySteps
    return False


def fence(
    self: RendererHTML, parts: list[Part], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Write a fenced block, coloured if the fence names one of `ALIASES`."""
    code, language = parts[index].content, parts[index].info.strip().partition(" ")[0].lower()
    html = escapeHtml(code)
    if language in ALIASES and ordinary(code):
        lexer = lexer_of(language)
        env["code"] = env.get("code", 0) + len(code) * (2 if lexer.name in SLOW else 1)
        if env["code"] <= LONGEST_CODE:
            html = coloured(code, lexer)
    return f"<pre><code>{html}</code></pre>\n"


def coloured(code: str, lexer: Lexer) -> str:
    """Return *code*, as *lexer* reads it, as HTML with the classes of `COLOURS`."""
    tokens = ((colour(kind), text) for _, kind, text in lexer.get_tokens_unprocessed(code))
    html = ""
    for name, run in groupby(tokens, lambda token: token[0]):
        text = escapeHtml("".join(text for _, text in run))
        html += f'<span class="{name}">{text}</span>' if name else text
    return html


def ordinary(code: str) -> bool:
    """Return whether *code* is such that the time to read it is bounded."""
    blank = 0
    for line in code.split("\n"):
        blank = 0 if line.strip() else blank + 1
        if len(line) > LONGEST_LINE or blank > BLANK_LINES:
            return False
    return True


@cache
def colour(kind: _TokenType) -> str | None:
    """Return the class for *kind*, which is that of the nearest kind above that has one."""
    return next((COLOURS[above] for above in reversed(kind.split()) if above in COLOURS), None)


lexer_of = cache(get_lexer_by_name)


def leads_somewhere(url: str) -> bool:
    """Return whether there may be a link to *url*: what the gate would let through."""
    if not url.lower().startswith(("http://", "https://", "mailto:")):
        return False
    return 'href="' in GATE.clean(f'<a href="{escapeHtml(url)}">')


def bare(state: StateInline, silent: bool) -> bool:
    """Read a link of which only the address stands there, before what is in it means something."""
    scheme = next((name for name in ("https", "http") if before(state, name)), None)
    if scheme is None or state.linkLevel > 0 or not state.src.startswith("://", state.pos):
        return False
    start = state.pos - len(scheme)
    found = ADDRESSES.match_at_start(state.src[start : start + LONGEST_LINK])
    if not found:
        return False
    # As the library's own rule does: these are more likely to end emphasis.
    url = until_punctuation(found.url).rstrip("*")
    href = state.md.normalizeLink(url)
    if not state.md.validateLink(href):
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme)]
        state.push("link_open", "a", 1).attrs = {"href": href}
        state.push("text", "", 0).content = state.md.normalizeLinkText(url)
        state.push("link_close", "a", -1)
    state.pos = start + len(url)
    return True


def before(state: StateInline, name: str) -> bool:
    """Return whether *name* is the word before the place that *state* is at."""
    word = state.pending[-len(name) - 1 :]
    first = word[: -len(name)]
    return word.lower().endswith(name) and not (first.isascii() and first.isalnum())


def until_punctuation(url: str) -> str:
    """Return *url* up to Chinese punctuation, which nobody types in an address."""
    for at, character in enumerate(url):
        if character in "，。！？；：、」』】》”" or (character == "）" and "（" not in url[:at]):
            return url[:at]
    return url


def among_cjk(
    read: Callable[[StateInline, bool], bool],
) -> Callable[[StateInline, bool], bool]:
    """
    Return *read*, a rule for marks of emphasis, so that it suits text without spaces.

    By CommonMark's rules for what is left- and right-flanking, the second mark in ``**注意：**请``
    ends nothing: they look for spaces around punctuation, and there are none in Chinese.
    """

    def rule(state: StateInline, silent: bool) -> bool:
        start, known = state.pos, len(state.delimiters)
        if not read(state, silent):
            return False
        before, after = state.src[max(0, start - 1) : start], state.src[state.pos : state.pos + 1]
        if state.src[start] != "_" and (wide(before) or wide(after)):
            for mark in state.delimiters[known:]:
                mark.open |= not (after or " ").isspace()
                mark.close |= not (before or " ").isspace()
        return True

    return rule


def wide(character: str) -> bool:
    """Return whether *character* is one of Chinese, Japanese or Korean writing."""
    return character != "" and east_asian_width(character) in ("W", "F")


def table(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Read a table as GFM does, unless it has more cells than were written."""
    if not read_table(state, first, end, True):
        return False
    columns = state.src.count("|", state.bMarks[first + 1], state.eMarks[first + 1])
    left = len(state.src)
    if columns * (end - first) > left:
        for line in range(first, end):
            if state.isEmpty(line):
                break
            left -= columns
            if left < 0:
                return False
    return read_table(state, first, end, silent)


def settle(state: StateCore) -> None:
    """Make links of images, and text of links that lead nowhere; give columns classes."""
    for part in state.tokens:
        if part.type == "inline":
            part.children = list(settled(state, part.children or []))
        elif style := part.attrs.pop("style", None):
            part.attrSet("class", str(style).removeprefix("text-align:"))


def settled(state: StateCore, parts: list[Part]) -> Iterator[Part]:
    """Give *parts*, the inline ones of a block, as there may be."""
    link: Part | None = None
    for part in parts:
        if part.type == "link_open":
            link = part
        elif part.type == "image":
            url = part.attrs["src"]
            text = PLAIN.renderInlineAsText(part.children, state.md.options, state.env)
            alone = link is None and url
            if alone:
                yield Part("link_open", "a", 1, attrs={"href": url})
            yield Part("text", "", 0, content=text.strip() or str(url))
            if alone:
                yield Part("link_close", "a", -1)
            continue
        if part.type not in ("link_open", "link_close") or (link and link.attrs["href"]):
            yield part
        if part.type == "link_close":
            link = None


def heading(
    self: RendererHTML, parts: list[Part], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Write where a heading begins or ends, as a paragraph that has the class of its rank."""
    part = parts[index]
    return f'<p class="{part.tag}"><strong>' if part.nesting == 1 else "</strong></p>\n"


def parser() -> MarkdownIt:
    """Return what reads Markdown, as `render` says."""
    options = {"html": False, "breaks": True, "xhtmlOut": False, "linkify": True}
    markdown = MarkdownIt("commonmark", options)
    # Before the rules are chosen, for they are kept there.
    markdown.inline = Inline()
    markdown.configure("commonmark", options)
    markdown.enable(["table", "strikethrough"])
    # References can repeat a long address at each mention.
    markdown.disable(["html_block", "html_inline", "reference"])
    markdown.enable("linkify")
    markdown.inline.ruler.at("linkify", bare)
    markdown.inline.ruler.at("emphasis", among_cjk(emphasis.tokenize))
    markdown.inline.ruler.at("strikethrough", among_cjk(strikethrough.tokenize))
    markdown.linkify = ADDRESSES
    markdown.validateLink = leads_somewhere  # type: ignore[method-assign]
    markdown.block.ruler.at("table", table, {"alt": ["paragraph", "reference"]})
    # In all places where the parser looks for what comes next.
    places = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("table", "step", step, {"alt": places})
    markdown.inline.ruler.before("text", "step", step)
    markdown.core.ruler.push("settle", settle)
    for rule in ("heading_open", "heading_close"):
        markdown.add_render_rule(rule, heading)
    markdown.add_render_rule("fence", fence)
    return markdown


GATE = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags=set(),
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    allowed_classes={
        "p": HEADINGS,
        "span": set(COLOURS.values()),
        "th": COLUMNS,
        "td": COLUMNS,
    },
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)
MARKDOWN = parser()
