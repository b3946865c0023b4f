"""What a request says (`read`): who asks, and what is in its path, its query and its body."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, structs

from chatroom.answers import UNKNOWN, bearer, header
from chatroom.chat import Chat
from chatroom.rest.asked import Asked
from chatroom.rest.operations import Operation
from chatroom.rest.refusals import BAD_TYPE, GONE, NOBODY, NOBODYS_NONCE, TOO_LARGE, Turned, bad
from chatroom.site import Body, Request

_KEY = re.compile(r'("?)([!#-~]{1,64})\1')
"""A nonce in a header: with quotes as RFC 9651 has strings, or without."""


def read(chat: Chat, request: Request, operation: Operation, named: dict[str, str]) -> Asked:
    """
    Return what *request*, whose path has *named* things, asks *chat* by *operation*.

    Raises `Turned`.
    """
    token = bearer(request)
    me = chat.known(token)
    if me is None and header(request, "authorization") is not None:
        raise Turned(UNKNOWN)
    if me is None and operation.token:
        raise Turned(NOBODY)
    path: dict[str, Any] = dict(named)
    if "id" in path:
        path["id"] = message_id(named["id"])
    given: dict[str, Any] = {}
    try:
        if operation.query is not None:
            given |= members(msgspec.convert(query(request), operation.query, strict=False))
        if operation.body is not None:
            given |= members(msgspec.json.decode(body(request), type=operation.body))
    except RecursionError:
        raise Turned(bad("nested too deep")) from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Turned(bad(str(error))) from error
    if operation.once:
        given["nonce"] = nonce(request, given.get("nonce"))
        if me is None and given["nonce"] is not None:
            raise Turned(NOBODYS_NONCE)
    return Asked(chat, request, operation.status, token, me, path, given)


def message_id(text: str) -> int:
    """Return *text*, part of a path, as the id of a message. Raises `Turned`."""
    if not re.fullmatch("[0-9]{1,16}", text):
        raise Turned(GONE)
    return int(text)


def query(request: Request) -> dict[str, str]:
    """Return the parameters of *request*. Raises `Turned` and `UnicodeError`."""
    text = request.uri.partition(b"?")[2].decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Turned(bad("a parameter comes only once"))
    return found


def body(request: Request) -> bytes:
    """Return the JSON that came with *request*; nothing is an empty object. Raises `Turned`."""
    content = request.content
    if not isinstance(content, Body):
        return b"{}"
    type = (header(request, "content-type") or "").partition(";")[0].strip().lower()
    if type != "application/json" or header(request, "content-encoding") not in (None, "identity"):
        raise Turned(BAD_TYPE)
    if content.too_large:
        raise Turned(TOO_LARGE)
    return content.data


def nonce(request: Request, given: str | None) -> str | None:
    """Return the nonce of *request*, whose body has *given*. Raises `Turned`."""
    key = header(request, "idempotency-key")
    if key is None:
        return given
    found = _KEY.fullmatch(key)
    if found is None:
        raise Turned(bad("Idempotency-Key is of 1 to 64 visible characters, without quotes"))
    if given not in (None, found[2]):
        raise Turned(bad("Idempotency-Key and nonce are not the same"))
    return found[2]


def members(record: Any) -> dict[str, Any]:
    """Return those of *record* that were given."""
    return {name: value for name, value in structs.asdict(record).items() if value is not UNSET}
