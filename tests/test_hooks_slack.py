"""What is posted to Slack's incoming webhooks, as a message of ours."""

from __future__ import annotations

import json
from html import escape
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.hooks import slack
from chatroom.hooks.mrkdwn import escaped
from chatroom.hooks.mrkdwn import read as mrkdwn
from chatroom.markup import render
from tests.cost import seconds


def post(payload: Any) -> slack.Post:
    return slack.read(json.dumps(payload).encode())


def shown(payload: Any) -> str:
    """Return what *payload* says, as Markdown if that shows more."""
    found = post(payload)
    return found.plain if found.marked is None else found.marked


def html(text: str) -> str:
    """Return mrkdwn *text* as the page shows it, without paragraphs and what all links have."""
    made = render(mrkdwn(text).marked)
    made = made.replace(' target="_blank" rel="noopener noreferrer nofollow"', "")
    return made.strip().removeprefix("<p>").removesuffix("</p>")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Build 42 passed", "Build 42 passed"),
        ("a\nb", "a\nb"),
        ("2 &lt; 3 &amp;&amp; 4 &gt; 3", "2 < 3 && 4 > 3"),
        ("&amp;lt;", "&lt;"),
        ("see <https://ci.example/a_b?c=1&amp;d=2>", "see https://ci.example/a_b?c=1&d=2"),
        ("<https://ci.example/|https://ci.example/>", "https://ci.example/"),
        ("<https://ci.example|ci.example>", "ci.example"),
        ("<mailto:ann@a.example|ann@a.example>", "ann@a.example"),
        ("<!here> and <!channel>, <!everyone|all>", "@here and @channel, @everyone"),
        ("<@U024BE7LH>", "@U024BE7LH"),
        ("<@U024BE7LH|ann>", "@ann"),
        ("<#C024BE7LR>", "#C024BE7LR"),
        ("<#C024BE7LR|tea>", "#tea"),
        ("<!subteam^SAZ94GDB8|@cooks>", "@cooks"),
        ("<!subteam^SAZ94GDB8>", "@subteam"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("<script>", "<script>"),
        ("<javascript:alert(1)|click>", "<javascript:alert(1)|click>"),
        ("2 * 3 * 4, a*b*c, _x, snake_case_name", "2 * 3 * 4, a*b*c, _x, snake_case_name"),
        ("# 3 builds\n- a\n====", "# 3 builds\n- a\n===="),
        ("\ue0000\ue001", "0"),
    ],
)
def test_text_without_markup_stays_as_it_is(text: str, plain: str) -> None:
    assert mrkdwn(text).plain == plain
    assert post({"text": text}) == slack.Post(plain, None, None)


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("*strong*", "<strong>strong</strong>"),
        ("*two words*, and", "<strong>two words</strong>, and"),
        ("_slanted_", "<em>slanted</em>"),
        ("~struck~", "<s>struck</s>"),
        ("*_~all~_*", "<strong><em><s>all</s></em></strong>"),
        ("`a*b*c &lt;d&gt;`", "<code>a*b*c &lt;d&gt;</code>"),
        ("*x* a*b*c", "<strong>x</strong> a*b*c"),
        ("*x* 2 * 3 * 4 [a](b) ![c](d)", "<strong>x</strong> 2 * 3 * 4 [a](b) ![c](d)"),
        ("*x* &amp;copy; \\* ~~y", "<strong>x</strong> &amp;copy; \\* ~~y"),
        ("*x*\n# no heading", "<strong>x</strong><br>\n# no heading"),
        ("*x*\n---", "<strong>x</strong><br>\n---"),
        ("*x*\n=", "<strong>x</strong><br>\n="),
        ("<https://a.example|the *log*>", '<a href="https://a.example">the *log*</a>'),
        ("*<https://a.example|b>*", '<strong><a href="https://a.example">b</a></strong>'),
        ("<https://a.example|x](y)>", '<a href="https://a.example">x](y)</a>'),
        ("<https://a.example/)|x>", '<a href="https://a.example/)">x</a>'),
        (
            "<https://a.example/?x&amp;copy;|x>",
            '<a href="https://a.example/?x&amp;copy;">x</a>',
        ),
        ("*x* &lt;b&gt;y&lt;/b&gt;", "<strong>x</strong> &lt;b&gt;y&lt;/b&gt;"),
    ],
)
def test_markup(text: str, page: str) -> None:
    assert mrkdwn(text).rich
    assert html(text) == page


def test_code_and_quotes() -> None:
    assert html("see ```\nif a &lt; b:\n    *c*\n``` there") == (
        "see</p>\n<pre><code>if a &lt; b:\n    *c*\n</code></pre>\n<p>there"
    )
    assert html("&gt; said\nthen") == "<blockquote>\n<p>said<br>\nthen</p>\n</blockquote>"
    assert mrkdwn("```a `` b```") == ("a `` b", "```\na `` b\n```", True)
    assert mrkdwn("`x`").plain == "x"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read(text: str) -> None:
    found = mrkdwn(text)
    assert found.plain.encode() is not None
    render(found.marked)
    assert "\ue000" not in found.marked + found.plain


@given(st.text("ab *~`#=[]()!\\<&;|.", max_size=40))
def test_what_is_escaped_is_shown_as_it_is(text: str) -> None:
    text = text.strip()
    assert render(escaped(text)).strip() == (f"<p>{escape(text)}</p>" if text else "")


@pytest.mark.parametrize(
    "text",
    [
        "*" * 60_000,
        "*a " * 20_000,
        "<" * 60_000,
        "<a" * 30_000,
        "`a" * 30_000,
        "```" * 20_000,
        "~a" * 30_000,
        "_a " * 20_000,
        "-\n" * 30_000,
        "- " * 30_000,
        "=" * 60_000,
        "&" * 60_000,
        "&a" * 30_000,
        "&" + "a" * 60_000,
        "#" * 60_000,
        "\n   #" * 12_000,
        "<!a^" * 15_000,
        " " * 60_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    # Some 0.06 s for either where this was written.
    assert seconds(lambda: mrkdwn(text)) < 6 * seconds(lambda: mrkdwn("*a* `b` " * 7_500))


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "invalid_payload"),
        (b"{", "invalid_payload"),
        (b"[]", "invalid_payload"),
        (b'"text"', "invalid_payload"),
        (b"payload=", "invalid_payload"),
        (b"payload=%5B%5D", "invalid_payload"),
        (b"text=hello", "invalid_payload"),
        (b"a=b&" * 100, "invalid_payload"),
        (b"payload=%FF", "invalid_payload"),
        (b"\xff", "invalid_payload"),
        (b'{"text": "\xff"}', "invalid_payload"),
        (b'{"text": "\\ud800"}', "invalid_payload"),
        (b'{"text": NaN}', "invalid_payload"),
        (b'{"a":' * 5000, "invalid_payload"),
        (b"{}", "no_text"),
        (b'{"text": ""}', "no_text"),
        (b'{"text": " \\n"}', "no_text"),
        (b'{"text": 5}', "no_text"),
        (b'{"text": null, "attachments": null, "blocks": {}}', "no_text"),
        (b'{"text": "", "attachments": [1, {}, {"fields": [{}]}]}', "no_text"),
        (b'{"blocks": [{"type": "divider"}]}', None),
        (json.dumps({"attachments": [{}] * 101}).encode(), "too_many_attachments"),
        (json.dumps({"blocks": [{"type": "divider"}] * 51}).encode(), "invalid_blocks"),
    ],
)
def test_a_payload_that_says_nothing(body: bytes, word: str | None) -> None:
    if word is None:
        assert slack.read(body).marked == "---"
        return
    with pytest.raises(slack.Refused) as refused:
        slack.read(body)
    assert str(refused.value) == word


def test_a_form() -> None:
    said = {"text": "grün & *gut* 100% + 1", "username": " CI "}
    expected = slack.Post("grün & gut 100% + 1", "grün & **gut** 100% + 1", "CI")
    assert slack.read(urlencode({"payload": json.dumps(said)}).encode()) == expected._replace(
        plain="grün & *gut* 100% + 1"
    )
    raw = json.dumps(said, ensure_ascii=False)
    assert slack.read(f"channel=x&payload={quote_plus(raw)}".encode()).username == "CI"
    # As `curl --data '{…}'` sends it, which says that it is a form.
    assert slack.read(b'\n {"text": "a=b&payload=c"}').plain == "a=b&payload=c"


def test_mrkdwn_false() -> None:
    assert post({"text": "*a* &lt;", "mrkdwn": False}) == slack.Post("*a* <", None, None)


def test_attachments() -> None:
    assert shown(
        {
            "text": "Two things",
            "attachments": [
                {
                    "fallback": "not this",
                    "color": "#36a64f",
                    "pretext": "before",
                    "title": "Build *42*",
                    "title_link": "https://ci.example/42",
                    "text": "it _passed_",
                    "fields": [
                        {"title": "Branch", "value": "main", "short": True},
                        {"value": "alone"},
                    ],
                    "footer": "not shown",
                },
                {"fallback": "this & *that*"},
            ],
        }
    ) == (
        "Two things\n\n"
        "before\n**[Build \\*42\\*](<https://ci.example/42>)**\nit _passed_\n"
        "**Branch**: main\nalone\n\n"
        "this & \\*that\\*"
    )


def test_an_attachment_alone_that_is_plain() -> None:
    assert post({"attachments": [{"text": "a"}, {"pretext": "b"}]}) == slack.Post(
        "a\n\nb", None, None
    )


def test_blocks_are_shown_instead_of_the_text() -> None:
    assert shown(
        {
            "text": "for who cannot show blocks",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Deploy &amp; *go*"}},
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": "*prod* is <https://a.example|up>"},
                    "fields": [
                        {"type": "mrkdwn", "text": "*Env*\nprod"},
                        {"type": "plain_text", "text": "*as is*"},
                    ],
                    "accessory": {"type": "button", "text": {"type": "plain_text", "text": "no"}},
                },
                {"type": "divider"},
                {
                    "type": "context",
                    "elements": [
                        {"type": "image", "image_url": "https://a.example/x", "alt_text": "cat"},
                        {"type": "mrkdwn", "text": "by <@U1|ann>"},
                    ],
                },
                {"type": "actions", "elements": [{"type": "button"}]},
                {"type": "image", "image_url": "https://a.example/y", "alt_text": "a chart"},
                {"type": "markdown", "text": "## as\n\nit is"},
                {"type": "of tomorrow", "text": "?"},
            ],
            "attachments": [{"blocks": [{"type": "section", "text": {"text": "below"}}]}],
        }
    ) == (
        "**Deploy & \\*go\\***\n\n"
        "**prod** is [up](<https://a.example>)\n**Env**\nprod\n\\*as is\\*\n\n"
        "---\n\n"
        "cat by @ann\n\n"
        "a chart\n\n"
        "## as\n\nit is\n\n"
        "below"
    )


def test_a_title_that_does_not_lead_into_the_web() -> None:
    for link in ("javascript:alert(1)", "file:///etc/passwd", "a.example", 5):
        attachment = {"title": "title", "title_link": link}
        assert shown({"attachments": [attachment]}) == "**title**", link


def test_blocks_that_show_nothing_leave_the_text() -> None:
    empty = {"type": "header", "text": {"type": "plain_text", "text": " "}}
    for block in (empty, {"type": "section", "text": "not as it should be"}):
        assert shown({"text": "this", "blocks": [block]}) == "this"
    assert (
        shown({"text": "this", "blocks": [{"type": "actions"}, {"type": "of tomorrow"}]}) == "this"
    )


def test_rich_text() -> None:
    def text(said: str, **style: bool) -> dict[str, Any]:
        return {"type": "text", "text": said, "style": style}

    def elements(kind: str, *those: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"type": kind, "elements": list(those), **more}

    section = "rich_text_section"
    assert shown(
        {
            "blocks": [
                elements(
                    "rich_text",
                    elements(
                        section,
                        text("Hello "),
                        text("bold ", bold=True, italic=True),
                        text("gone", strike=True),
                        text(" "),
                        text("a*b", code=True),
                        text(" *not strong* "),
                        {"type": "link", "url": "https://a.example", "text": "here"},
                        {"type": "emoji", "name": "tada", "unicode": "1f389"},
                        {"type": "emoji", "name": "family", "unicode": "1f468-200d-1f467"},
                        {"type": "emoji", "name": "party_parrot"},
                        {"type": "emoji", "name": "odd", "unicode": "d800"},
                        {"type": "user", "user_id": "U1"},
                        {"type": "channel", "channel_id": "C1"},
                        {"type": "usergroup", "usergroup_id": "S1"},
                        {"type": "broadcast", "range": "here"},
                        {"type": "date", "timestamp": 1, "fallback": "long ago"},
                        {"type": "color", "value": "#fff"},
                    ),
                    elements(
                        "rich_text_list",
                        elements(section, text("one\nmore")),
                        elements(section, text("two")),
                        style="bullet",
                    ),
                    elements(
                        "rich_text_list", elements(section, text("in")), style="ordered", indent=1
                    ),
                    elements("rich_text_preformatted", text("a ``` b\n")),
                    elements("rich_text_quote", text("said\nso")),
                )
            ]
        }
    ) == (
        "Hello ***bold*** ~~gone~~ `a*b` \\*not strong\\* [here](<https://a.example>)"
        "🎉👨\u200d👧:party_parrot::odd:@U1#C1@S1@herelong ago#fff\n"
        "- one\n  more\n- two\n"
        "   1. in\n"
        "````\na ``` b\n````\n"
        "> said\n> so"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("text", "type", "blocks", "attachments", "elements", "fields", "title"),
                    *("style", "value", "unicode", "url", "indent", "username", "fallback"),
                )
            ),
            inner | st.sampled_from(("section", "rich_text", "rich_text_list", "mrkdwn", "emoji")),
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(("text", "blocks", "attachments", "username")), JSON))
def test_any_payload_is_read_or_refused(payload: dict[str, Any]) -> None:
    try:
        found = post(payload)
    except slack.Refused:
        return
    found.plain.encode()
    assert found.plain.strip()
