"""Why a request is refused, where that is not for the chat to say."""

from __future__ import annotations

from chatroom.answers import Refusal, refusal
from chatroom.events import Error

NOBODY = Refusal(401, "unauthorized", "this needs a token: Authorization: Bearer TOKEN")
NOBODYS_NONCE = NOBODY._replace(words="a nonce is a user's: this needs a token, or no nonce")
NOT_FOUND = Refusal(404, "not_found", "there is nothing here")
GONE = Refusal(404, "no_such_message", "there is no such message in this room")
BAD_METHOD = Refusal(405, "bad_method", "this cannot be done here; see Allow for what can")
TOO_LARGE = Refusal(413, "too_large", "the body is too large")
BAD_TYPE = Refusal(415, "bad_type", "the body must be JSON, and Content-Type say so")

_OWN = {refusal.code: refusal for refusal in (NOT_FOUND, TOO_LARGE, BAD_TYPE)}


class Turned(Exception):
    """A request that is refused: *refusal* says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


def bad(why: str) -> Refusal:
    """Return the refusal of what cannot be understood."""
    return refusal(Error("bad_message", why))


def status(code: str) -> int:
    """Return the HTTP status of a refusal with *code*."""
    return (_OWN.get(code) or refusal(Error(code, ""))).status
