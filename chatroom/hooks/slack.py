"""
What programs post to Slack's incoming webhooks, read as a message of ours.

That is JSON, or a form with JSON in its field ``payload``: ``text``, ``attachments`` and ``blocks``
(https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). What only Slack can
show, as buttons, is left out; members of a wrong type are as if they were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from chatroom.hooks import mrkdwn
from chatroom.hooks.mrkdwn import Text, plain, styled

ATTACHMENTS = 100
"""So many attachments a message may have."""
BLOCKS = 50
"""So many blocks a message or an attachment may have."""


class Refused(Exception):
    """A payload that says nothing; its text is Slack's word for what is wrong."""


class Post(NamedTuple):
    """
    A message: its *plain* text, and who says it, if that is said.

    *marked* is the text as Markdown, if that shows more.
    """

    plain: str
    marked: str | None
    username: str | None


def read(body: bytes) -> Post:
    """Return what *body* says. Raises `Refused`."""
    payload = _payload(body)
    parts = list(_parts(payload))
    text = _joined([part for part in parts if part.plain.strip()], "\n\n")
    if not text.plain:
        raise Refused("no_text")
    username = _string(payload, "username").strip() or None
    return Post(text.plain, text.marked if text.rich else None, username)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        if not body.lstrip().startswith(b"{"):
            fields = parse_qs(body.decode("utf-8"), max_num_fields=20)
            body = fields.get("payload", [""])[0].encode("utf-8")
        payload = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused("invalid_payload") from error
    if not isinstance(payload, dict):
        raise Refused("invalid_payload")
    return payload


def _parts(payload: dict[str, Any]) -> Iterator[Text]:
    attachments = payload.get("attachments")
    if isinstance(attachments, list) and len(attachments) > ATTACHMENTS:
        raise Refused("too_many_attachments")
    # Where there are blocks the text is for who cannot show them.
    blocks = list(_blocks(payload))
    if any(block.plain.strip() for block in blocks):
        yield from blocks
    else:
        text = _string(payload, "text")
        unmarked = payload.get("mrkdwn") is False
        yield plain(mrkdwn.unescaped(text)) if unmarked else mrkdwn.read(text)
    for attachment in _objects(payload, "attachments"):
        yield from _attachment(attachment)


def _attachment(attachment: dict[str, Any]) -> Iterator[Text]:
    title = plain(mrkdwn.unescaped(_string(attachment, "title")))
    if title.plain.strip():
        title = styled(mrkdwn.linked(_string(attachment, "title_link"), title), "**")
    lines = [mrkdwn.read(_string(attachment, "pretext")), title]
    lines.append(mrkdwn.read(_string(attachment, "text")))
    for field in _objects(attachment, "fields"):
        name, value = _string(field, "title"), mrkdwn.read(_string(field, "value"))
        if name.strip():
            value = _joined([styled(plain(mrkdwn.unescaped(name)), "**"), plain(": "), value])
        lines.append(value)
    found = [_lines(lines), *_blocks(attachment)]
    if any(text.plain.strip() for text in found):
        yield from found
    else:
        yield plain(mrkdwn.unescaped(_string(attachment, "fallback")))


def _blocks(holder: dict[str, Any]) -> Iterator[Text]:
    blocks = _objects(holder, "blocks")
    if len(blocks) > BLOCKS:
        raise Refused("invalid_blocks")
    for block in blocks:
        kind = block.get("type")
        if kind == "section":
            fields = [_composed(field) for field in _objects(block, "fields")]
            yield _lines([_composed(block.get("text")), *fields])
        elif kind == "header":
            yield styled(_composed(block.get("text")), "**")
        elif kind == "context":
            elements = [_composed(element) for element in _objects(block, "elements")]
            yield _joined(elements, " ")
        elif kind == "rich_text":
            yield _lines([_rich(element) for element in _objects(block, "elements")])
        elif kind == "divider":
            yield Text("—", "---", rich=True)
        elif kind in ("image", "video"):
            yield _composed(block)
        elif kind == "markdown":
            text = _string(block, "text")
            yield Text(text, text, rich=True)


def _composed(object: Any) -> Text:
    """Return the text of a composition object, or of an image."""
    if not isinstance(object, dict):
        return plain("")
    if object.get("type") == "mrkdwn":
        return mrkdwn.read(_string(object, "text"))
    text = _string(object, "text") or _string(object, "alt_text")
    return plain(mrkdwn.unescaped(text))


def _rich(element: dict[str, Any]) -> Text:
    """Return an element of a block of rich text."""
    kind = element.get("type")
    if kind == "rich_text_list":
        ordered = element.get("style") == "ordered"
        indent = element.get("indent")
        # A list within another stands further in.
        indent = "   " * min(max(indent, 0), 8) if isinstance(indent, int) else ""
        return _lines(
            [
                _before_lines(_inline(item), f"{indent}{number}. " if ordered else f"{indent}- ")
                for number, item in enumerate(_objects(element, "elements"), 1)
            ]
        )
    inline = _inline(element)
    if kind == "rich_text_preformatted":
        return mrkdwn.preformatted(inline.plain.strip("\n"))
    return _before_lines(inline, "> ") if kind == "rich_text_quote" else inline


def _inline(element: dict[str, Any]) -> Text:
    return _joined([_piece(piece) for piece in _objects(element, "elements")])


def _piece(piece: dict[str, Any]) -> Text:
    kind, text = piece.get("type"), _string(piece, "text")
    style = piece.get("style")
    style = style if isinstance(style, dict) else {}
    if kind == "link":
        found = mrkdwn.linked(_string(piece, "url"), plain(text))
    elif kind == "text" and style.get("code") and text.strip():
        found = mrkdwn.coded(text)
    elif kind == "text":
        found = plain(text)
    elif kind == "emoji":
        found = plain(_emoji(piece))
    elif kind == "broadcast":
        found = plain(f"@{_string(piece, 'range')}")
    elif kind == "date":
        found = plain(_string(piece, "fallback"))
    else:
        sign, member = _NAMED.get(str(kind), ("", "value"))
        found = plain(f"{sign}{_string(piece, member)}")
    for name, mark in _MARKS.items():
        if style.get(name) is True:
            found = styled(found, mark)
    return found


_NAMED = {
    "user": ("@", "user_id"),
    "usergroup": ("@", "usergroup_id"),
    "channel": ("#", "channel_id"),
}
_MARKS = {"italic": "*", "bold": "**", "strike": "~~"}


def _emoji(piece: dict[str, Any]) -> str:
    try:
        drawn = "".join(chr(int(code, 16)) for code in _string(piece, "unicode").split("-"))
        drawn.encode()
    except (ValueError, OverflowError):
        return f":{_string(piece, 'name')}:"
    return drawn


def _lines(texts: list[Text]) -> Text:
    return _joined([text for text in texts if text.plain], "\n")


def _joined(texts: list[Text], between: str = "") -> Text:
    return Text(
        between.join(text.plain for text in texts),
        between.join(text.marked for text in texts),
        any(text.rich for text in texts),
    )


def _before_lines(text: Text, sign: str) -> Text:
    """Return *text* as a part that begins with *sign*, as does each line of a quote."""
    more = sign if sign == "> " else " " * len(sign)
    return Text(
        sign + text.plain.replace("\n", f"\n{more}"),
        sign + text.marked.replace("\n", f"\n{more}"),
        rich=True,
    )


def _string(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = holder.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
