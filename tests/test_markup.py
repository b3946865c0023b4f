"""Markdown as HTML: what it looks like, that nothing in it can run, and how long it takes."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name
from twisted.logger import LogLevel, capturedLogs

from chatroom import markup
from chatroom.markup import ALIASES, COLOURS, GATE, LANGUAGES, LONGEST, render
from tests.cost import seconds

CSS = Path(__file__).parent.parent / "web" / "code.css"
AWAY = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
ATTRIBUTES = {
    "a": {"href", "target", "rel"},
    "ol": {"start"},
    "p": {"class"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
CLASSES = {
    "p": markup.HEADINGS,
    "span": set(COLOURS.values()),
    "td": markup.COLUMNS,
    "th": markup.COLUMNS,
}
# What has a meaning somewhere, in Markdown, in HTML, in code or in Unicode.
SIGNS = st.sampled_from(
    [
        *"[]()!*_~`<>|\\:-+#=&;/.@\"'{}^$%?, \n\t\0\x0b\x1c\x85\xa0\u2028\u202e\u200b\u0301中。🎉",
        *("\r\n", "  \n", "\n\n", "    ", "> ", "- ", "1. ", "# ", "---", "```", "```py\n", "~~"),
        *("**", "__", "![", "](", "[a](", "|-|", "\n-|-\n", "http://", "HTTPS://a.b", "mailto:"),
        *("a@b.c", "www.", "javascript:", "data:text/html,", "&lt;", "&#0;", "&#x6a;", "%zz"),
        *("xn--", "<a href=", "<b>", "</p>", "<!--", "<script>", "onerror=", "style=", "\ud800"),
    ]
)
TEXTS = st.lists(st.one_of(SIGNS, st.text(max_size=6))).map("".join)


def tree(html: str) -> Element:
    """Return *html* as a browser reads it."""
    parsed: Element = html5lib.parseFragment(html, namespaceHTMLElements=False)
    return parsed


def text_of(html: str) -> str:
    return "".join(tree(html).itertext())


def faults(html: str) -> list[str]:
    """Return what there is in *html* that must not be."""
    found = []
    for element in tree(html).iter():
        tag = str(element.tag)
        if tag == "DOCUMENT_FRAGMENT":
            continue
        if tag not in markup.TAGS:
            found.append(tag)
        for name, value in element.attrib.items():
            if name not in ATTRIBUTES.get(tag, ()):
                found.append(f"{tag} {name}")
            if name == "class" and value not in CLASSES[tag]:
                found.append(f"{tag} {name} {value}")
            if name == "start" and not value.isdecimal():
                found.append(f"start {value}")
        if tag == "a":
            if urlsplit(element.attrib.get("href", "")).scheme not in markup.SCHEMES:
                found.append(f"leads to {element.attrib.get('href')}")
            if not element.attrib.items() > AWAY.items():
                found.append("a link that is not away")
    return found


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("Hello", "<p>Hello</p>"),
        (
            "*a* _b_ **c** __d__",
            "<p><em>a</em> <em>b</em> <strong>c</strong> <strong>d</strong></p>",
        ),
        ("snake_case_name 2*3*4", "<p>snake_case_name 2<em>3</em>4</p>"),
        ("~~a~~ ~b~", "<p><s>a</s> ~b~</p>"),
        ("`a <b> *c*` ``d ` e``", "<p><code>a &lt;b&gt; *c*</code> <code>d ` e</code></p>"),
        ("a\nb", "<p>a<br>\nb</p>"),
        ("a\n\nb", "<p>a</p>\n<p>b</p>"),
        ("a\\*b\\*", "<p>a*b*</p>"),
        ("&copy; &lt; &amp;", "<p>© &lt; &amp;</p>"),
        ("> a\n> b\n\nc", "<blockquote>\n<p>a<br>\nb</p>\n</blockquote>\n<p>c</p>"),
        ("- a\n- b\n  - c", "<ul>\n<li>a</li>\n<li>b\n<ul>\n<li>c</li>\n</ul>\n</li>\n</ul>"),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("3) a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("---", "<hr>"),
        ("    a < b", "<pre><code>a &lt; b\n</code></pre>"),
        ("```\n*a*\n```", "<pre><code>*a*\n</code></pre>"),
        ("```unheard-of\n*a*\n```", "<pre><code>*a*\n</code></pre>"),
        ("", ""),
        (" \n\n ", ""),
    ],
)
def test_markdown(source: str, html: str) -> None:
    assert render(source).rstrip("\n") == html


def test_a_heading_is_none_of_the_page() -> None:
    assert render("# a *b*\n###### c") == (
        '<p class="h1"><strong>a <em>b</em></strong></p>\n<p class="h6"><strong>c</strong></p>\n'
    )
    assert render("a\n===\nb\n---") == (
        '<p class="h1"><strong>a</strong></p>\n<p class="h2"><strong>b</strong></p>\n'
    )


def test_a_table() -> None:
    html = render("| a | b | c | d |\n|---|:--|:-:|--:|\n| 1 | `x \\| y` | **3** |")
    assert [child.attrib for child in tree(html).iter("td")] == [
        *({}, {"class": "left"}, {"class": "center"}, {"class": "right"}),
    ]
    assert [child.text for child in tree(html).iter("th")] == list("abcd")
    assert '<td class="left"><code>x | y</code></td>' in html


@pytest.mark.parametrize(
    ("source", "address", "text"),
    [
        ("[a *b*](https://c.d/e?f=g&h#i)", "https://c.d/e?f=g&h#i", "a b"),
        ('[a](http://b.c "d")', "http://b.c", "a"),
        ("[a](<http://b.c/d e>)", "http://b.c/d%20e", "a"),
        ("[a](mailto:b@c.d)", "mailto:b@c.d", "a"),
        ("<http://a.b>", "http://a.b", "http://a.b"),
        ("<a@b.c>", "mailto:a@b.c", "a@b.c"),
        ("Look: http://a.b/c_d_e.", "http://a.b/c_d_e", "http://a.b/c_d_e"),
        ("(https://a.b/c_(d))", "https://a.b/c_(d)", "https://a.b/c_(d)"),
        ("HTTPS://A.b/C", "HTTPS://A.b/C", "HTTPS://A.b/C"),
        ("https://a.b/_c_/**d", "https://a.b/_c_/**d", "https://a.b/_c_/**d"),
        ("**https://a.b**", "https://a.b", "https://a.b"),
        ("请看https://a.b/中。", "https://a.b/%E4%B8%AD", "https://a.b/中"),
        ("write to mailto:a@b.c!", "mailto:a@b.c", "mailto:a@b.c"),
        ("http://müller.de", "http://xn--mller-kva.de", "http://müller.de"),
        ("[a](http://[::1]:8080/)", "http://[::1]:8080/", "a"),
        ("请看https://a.b/c，然后", "https://a.b/c", "https://a.b/c"),
        ("（https://a.b/c）", "https://a.b/c", "https://a.b/c"),
        ("https://a.b/c（d）。", "https://a.b/c%EF%BC%88d%EF%BC%89", "https://a.b/c（d）"),
        ("![a *b*](http://c.d/e.png)", "http://c.d/e.png", "a b"),
        ("![](http://c.d/e.png)", "http://c.d/e.png", "http://c.d/e.png"),
        ("[![a](http://b.c/d.svg)](http://e.f)", "http://e.f", "a"),
        ("http[http://a.b](http://c.d)", "http://c.d", "http://a.b"),
    ],
)
def test_a_link(source: str, address: str, text: str) -> None:
    html = render(source)
    (link,) = tree(html).iter("a")
    assert link.attrib == {"href": address, **AWAY}
    assert "".join(link.itertext()) == text


@pytest.mark.parametrize(
    "source",
    [
        *("www.a.b", "a.b/c", "a@b.c", "ftp://a.b", "//a.b/c", "file:///etc/passwd", "http://"),
        *("http:a.b", "xhttp://", "https:\\\\a.b", "`http://a.b`", "    http://a.b"),
        *("http://1.2.3.400", "see http://a.1/b"),
        *(
            "[a](/b)",
            "[a](b)",
            "[a](#b)",
            "[a](?b)",
            "[a](//b.c)",
            "[a](\\\\b.c)",
            "[a](ftp://b.c)",
        ),
        *("[a]()", "[a](<>)", "[a](javascript:b)", "[a](data:,b)", "![a](data:image/png;base64,b)"),
        *(
            "![a](b.png)",
            "![a]()",
            "[a](http://[)",
            "<ftp://a.b>",
            "<javascript:a>",
        ),
        *("[a]\n\n[a]: <http:/b.c>", "[a][b]\n\n[b]: <http:b>", "<http:b>", "[a](http:b)"),
    ],
)
def test_no_link(source: str) -> None:
    assert list(tree(render(source)).iter("a")) == []


def test_what_is_no_link_is_seen_as_it_was_written() -> None:
    for source in ("[a](/b)", "[a](javascript:b)", "![a](data:image/png;base64,b)", "<script>"):
        assert text_of(render(source)).strip() == source
    assert render("[*a*]() b") == "<p><em>a</em> b</p>\n"


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**注意：**请看", "<strong>注意：</strong>请看"),
        ("请看**“这里”**吧", "请看<strong>“这里”</strong>吧"),
        ("这是*很（非常）*好", "这是<em>很（非常）</em>好"),
        ("~~旧。~~新", "<s>旧。</s>新"),
        ("**中文**和**English**", "<strong>中文</strong>和<strong>English</strong>"),
        ("三 * 四 * 五", "三 * 四 * 五"),
        ("**「强调」**です。**また**", "<strong>「强调」</strong>です。<strong>また</strong>"),
        ("变量_名_字", "变量_名_字"),
    ],
)
def test_emphasis_in_writing_without_spaces(source: str, html: str) -> None:
    assert render(source) == f"<p>{html}</p>\n"


def test_code_is_coloured_by_the_language_of_its_fence() -> None:
    html = render("```python title=x\ndef f(x):\n    return 'a' + 1  # <b>\n```")
    assert html == (
        '<pre><code><span class="k">def</span> <span class="nf">f</span>(x):\n'
        '    <span class="k">return</span> <span class="s">\'a\'</span> + '
        '<span class="m">1</span>  <span class="c"># &lt;b&gt;</span>\n</code></pre>\n'
    )
    assert 'class="gi"' in render("~~~ Diff\n+a\n-b\n~~~")


def test_each_language_is_there_and_keeps_the_code_as_it_is() -> None:
    assert {get_lexer_by_name(alias).name for alias in ALIASES} == LANGUAGES
    code = "\n<?php \tif (a == 'b\\'') { // c\n\n  @d: \"e\" => 0x1F; /* f */ }\n$ ls\n>>> g\n\n"
    for alias in ALIASES:
        html = render(f"```{alias}\n{code}```")
        assert text_of(html) == f"{code}\n", alias
        assert faults(html) == [], alias


@pytest.mark.parametrize(
    "code",
    [
        "x = 1\n" * (markup.LONGEST_CODE // 6 + 1),
        "x = " + "1" * markup.LONGEST_LINE,
        "x = 1" + "\n" * (markup.BLANK_LINES + 2) + "y = 2",
        "x = 1" + "\n \t\x0c" * (markup.BLANK_LINES + 1) + "\ny = 2",
    ],
)
def test_code_that_could_take_long_is_not_coloured(code: str) -> None:
    html = render(f"```py\n{code}\n```")
    assert "<pre><code>x = 1" in html
    assert "<span" not in html


def test_so_much_code_is_coloured_in_a_message() -> None:
    block = "```py\n" + "x = 1\n" * 200 + "```\n"
    assert render(block).count("<span") == 200
    assert render(block * 2).count("<span") == 200


def test_a_table_has_no_more_cells_than_were_written() -> None:
    assert "<table>" in render("|a|b|\n|-|-|\n" + "c\n" * 3)
    assert "<table>" in render(
        "|" + "a|" * 20 + "\n|" + "-|" * 20 + "\n" + ("|" + "b|" * 20 + "\n") * 20
    )
    assert "<table>" not in render("|" + "a|" * 99 + "\n|" + "-|" * 99 + "\n" + "b\n" * 1000)
    # What comes behind a table is none of its rows.
    head = "|" + "a|" * 20 + "\n|" + "-|" * 20 + "\n"
    assert render(f"{head}b\nb\n\n{'c' * 9}\n" + "c\n" * 60).count("<tr>") == 3


@pytest.mark.parametrize(
    "source",
    [
        "*a* " * (LONGEST // 4) + "b",
        "*a* " * (LONGEST // 8),
        "[a](http://b.c) " * 101,
        "http://b.c " * 101,
        "- a\n" * 1900,
        "|" + "a|" * 40 + "\n|" + ":-:|" * 40 + "\n" + "b\n" * 4,
    ],
)
def test_a_text_that_would_take_long_is_shown_as_it_is(source: str) -> None:
    html = render(source)
    assert {str(element.tag) for element in tree(html).iter()} <= {"DOCUMENT_FRAGMENT", "p", "br"}
    assert text_of(html) == source


def test_an_ordinary_long_text_is_not() -> None:
    paragraph = (
        "Some *words* with `code`, a [link](http://a.b) and so on, as people write them.\n\n"
    )
    html = render(paragraph * 90)
    assert html.count("<em>") == 90
    assert render("- an item of a list\n" * 300).count("<li>") == 300


@pytest.mark.parametrize(
    "pattern",
    [
        # What took longest, before there were bounds.
        *(
            "a://",
            "http://^?中",
            "![",
            "*[",
            "[![",
            "<http://",
            "http://a.b/(",
            "http://a-",
            "http://a.",
        ),
        *(
            "_![a](>🎉![",
            "\n-|-\n>>```;\\\n?",
            "\n-|-\n>```\\\n<http://a",
            "a|b\n-|-\n1|2\n",
            "- a\n",
        ),
        *(
            "> ",
            "***a***",
            "|" + "a|" * 40 + "\n" + "|" + "-|" * 40 + "\na\n",
            "[a](http://b/%",
            "\\!",
        ),
        *(
            "```java\n_ _ _ _ _ _ _ _ _ _\n_ _ _ _\n```\n",
            "```py\na=1\n```\n",
            "[" * 50 + "a" + "]" * 50,
        ),
        *(
            "mailto:a@",
            "&#x41;",
            "`a``b```",
            "~~a",
            "<a@b.c>",
            "1. a\n\n   > - b\n",
            "a  \n",
            "|-|\n",
        ),
    ],
)
def test_no_text_takes_long(pattern: str) -> None:
    source, ordinary = ((s * LONGEST)[:LONGEST] for s in (pattern, "*a*\n\n> b\n\n1. c\n\n"))
    # Some 0.1 s and 0.02 s where this was written; without bounds it is a second and more.
    assert seconds(lambda: render(source)) < 15 * seconds(lambda: render(ordinary))
    html = render(source)
    assert len(html) < markup.GROWTH * (len(source) + 10) * 1.2


@pytest.mark.parametrize(
    "alias", ["java", "c#", "ini", "console", "js", "perl", "go", "ruby", "make"]
)
def test_no_code_takes_long(alias: str) -> None:
    for pattern in (
        "_ ",
        "def \n\n",
        ":       ",
        "]::[]",
        "\n\\\"\\'",
        '\n\n\\"',
        "`<<A",
        "中__END__",
        "\n",
    ):
        code = (pattern * 2000)[:1990]
        lines = "\n".join(code[at : at + 190] for at in range(0, len(code), 190))
        source = f"```{alias}\n{lines}"[: markup.LONGEST_CODE]
        begun = time.thread_time()
        render(source)
        assert time.thread_time() - begun < 0.6, (alias, pattern)


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href='javascript:alert(1)'>a</a>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<form><button formaction=javascript:alert(1)>a",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<!--><img src=x onerror=alert(1)-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](javascript&#58;alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](&#x6A;avascript:alert(1))",
    "[a](java\tscript:alert(1))",
    "[a](<java\nscript:alert(1)>)",
    "[a](\x01javascript:alert(1))",
    "[a](\u2028javascript:alert(1))",
    "[a](vbscript:msgbox(1))",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[a](blob:http://a.b/c)",
    "[a](view-source:javascript:alert(1))",
    '[a](http://a.b/"onmouseover=alert(1)//)',
    '[a](http://a.b/ "b\\" onmouseover=alert(1) ")',
    "[a](http://a.b/' style=color:red '')",
    '![a](x"onerror=alert(1)//)',
    '!["onerror="alert(1)](http://a.b)',
    "![a](javascript:alert(1))",
    "<javascript:alert(1)>",
    '<http://a.b/"onclick=alert(1)>',
    'http://a.b/"onclick=alert(1)//',
    "http://a.b/<script>alert(1)</script>",
    "mailto:a@b.c?<script>",
    "[<script>alert(1)</script>](http://a.b)",
    "`<script>alert(1)</script>`",
    "``` <script>alert(1)</script>\na\n```",
    '```"onclick=alert(1)\na\n```',
    "```html\n<script>alert(1)</script>\n```",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "# <script>alert(1)</script>",
    "1<script>. a",
    "9999999999999. a",
    "999999999. a",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "<<script>script>alert(1)",
    "<a name=innerHTML id=body class=h1 style=position:fixed>",
    "<style>@import 'http://evil.example'</style>",
    "[a](http://evil.example\\@good.example)",
]


@pytest.mark.parametrize("source", ATTACKS)
def test_nothing_in_it_can_run(source: str) -> None:
    for text in (source, f"> {source}", f"- {source}", f"**{source}**", f"a{source}b\n{source}"):
        html = render(text)
        assert faults(html) == []
        assert not re.search(r"<(?:script|img|svg|iframe|style|math|form|base|meta)", html)


@given(TEXTS)
@settings(deadline=None)
@example("\0")
@example("\ud800\udc00 \udc00\ud800")
@example("\u202e" * 100)
@example("\r")
@example("a" * (LONGEST + 1) + "<script>\0\ud800")
def test_any_text_becomes_safe_html(source: str) -> None:
    with capturedLogs() as said:
        html = render(source)
    assert said == []
    html.encode()
    assert faults(html) == []
    assert GATE.clean(html) == html


@given(TEXTS)
@settings(deadline=None)
def test_what_was_said_is_still_there(source: str) -> None:
    def letters(text: str) -> list[str]:
        return re.findall(r"[b-z中🎉]", text)

    # Entities, addresses and titles of links, and what stands behind a fence are not shown as such.
    plain = re.sub(
        r"&\S*|[\[\]`~]|https?|mailto|www|javascript|data", " ", source, flags=re.IGNORECASE
    )
    plain = re.sub(r"xn--|%", " ", plain)
    shown = letters(text_of(render(plain)))
    assert shown == letters(plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def test_a_mistake_of_the_parser_is_no_fault_of_who_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> str:
        raise IndexError("a secret text")

    monkeypatch.setattr(markup.MARKDOWN, "render", broken)
    with capturedLogs() as said:
        assert render("*a*\n<b>") == "<p>*a*<br>\n&lt;b&gt;</p>"
    assert [event["log_level"] for event in said] == [LogLevel.critical]


def colours(text: str) -> dict[str, tuple[str, str]]:
    """Return the colours in *text*, light and dark, by name."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\);", text)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """Return the relative luminance of *colour* (WCAG 2.2)."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


def test_each_class_has_a_colour_that_can_be_read() -> None:
    css = CSS.read_text()
    theme = colours((CSS.parent / "style.css").read_text())
    known = theme | colours(css)
    used = dict(re.findall(r"code \.(\w+) \{\s*color: var\(--([\w-]+)\);", css))
    assert used.keys() == set(COLOURS.values())
    for name in {"ink", *used.values()}:
        for text, ground in zip(known[name], known["code-ground"], strict=True):
            assert contrast(text, ground) >= 4.5, (name, text)
