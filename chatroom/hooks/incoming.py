"""``/hooks/SECRET``: where programs say something, as they would to Slack."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from chatroom.answers import Origins, answer, cross, preflight
from chatroom.chat import Chat
from chatroom.commands import Talk
from chatroom.events import Error, Event
from chatroom.hooks import slack
from chatroom.hooks.file import Incoming
from chatroom.log import Unavailable
from chatroom.session import UNAVAILABLE, Problem, Told, error
from chatroom.site import Body, Intake, Nothing, Request

BODY = 2**17
"""So many bytes a payload may have."""
FURTHER = " (hook)"
"""What is added to the name of a hook that somebody else has."""

ANSWERS = {
    "empty": (400, "no_text"),
    "rate_limited": (429, "rate_limited"),
    "unavailable": (503, "service_unavailable"),
}
"""What Slack says, for a code of `Error`; all others are no fault of who posts."""


def digest(secret: str) -> bytes:
    """Return what is kept of the *secret* of a hook, which nobody can guess."""
    return hashlib.sha256(secret.encode()).digest()


class IncomingDoor(Intake):
    """
    The way in for what is said by hooks.

    *find* returns the hook whose secret has a digest, if there is one, and *met* is told of the token
    of its user when there is a new one. Pages of *origins* may post from other sites.
    """

    _log = Logger()

    def __init__(
        self,
        chat: Chat,
        origins: Origins,
        find: Callable[[bytes], Incoming | None],
        met: Callable[[Incoming, str], None],
    ) -> None:
        super().__init__()
        self._chat = chat
        self._origins = origins
        self._find = find
        self._met = met

    def admit(self, request: Request, length: int | None) -> Nothing:
        hook = self._find(_digest(request))
        return Nothing() if hook is None or request.method != b"POST" else Body(request, BODY)

    def render(self, request: Request) -> bytes | int:
        """Answer *request* in plain text, as Slack does."""
        if request.method == b"OPTIONS":
            return preflight(request, self._origins, "POST", "Content-Type")
        if cross(request, self._origins) is not None:
            return told(request, 403, "action_prohibited")
        if request.method != b"POST":
            request.setHeader("Allow", "POST, OPTIONS")
            return told(request, 405, "method_not_allowed")
        # It may have been removed while the body came in.
        hook, body = self._find(_digest(request)), request.content
        if hook is None or not isinstance(body, Body):
            return told(request, 404, "no_service")
        if body.too_large:
            return told(request, 413, "payload_too_large")
        try:
            post = slack.read(body.data)
        except slack.Refused as refused:
            return told(request, 400, str(refused))
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def tell(event: Event | None) -> None:
            if not gone:
                answered = self._answer(request, event)
                request.setHeader("Content-Length", str(len(answered)))
                request.write(answered)
                request.finish()

        self._say(hook, post, tell)
        return NOT_DONE_YET

    def _say(self, hook: Incoming, post: slack.Post, tell: Told) -> None:
        """Say *post* in the room of *hook*, and *tell* what becomes of it."""
        chat = self._chat
        marked = post.marked if "markdown" in chat.types else None
        text = post.plain if marked is None else marked
        if len(text) > chat.limits.message:
            text = text[: chat.limits.message - 1] + "…"
        talk = Talk(text, "text" if marked is None else "markdown", hook.room)
        own = (hook.name, f"{hook.name}{FURTHER}")
        try:
            token = hook.token
            # There is none yet, or the store is another one.
            if token is None or chat.known(token) is None:
                token = chat.introduce(None).token
                self._met(hook, token)
            chat.name(token, *filter(None, [post.username]), *own)
        except Problem as problem:
            tell(error(talk, problem))
        except Unavailable:
            tell(error(talk, UNAVAILABLE))
        else:
            chat.ask(talk, tell, token=token)
            if post.username is not None:
                # It is somebody else's to have again.
                chat.name(token, *own)

    def _answer(self, request: Request, event: Event | None) -> bytes:
        if not isinstance(event, Error):
            return told(request, 200, "ok")
        if event.retry_after is not None:
            request.setHeader("Retry-After", str(math.ceil(event.retry_after)))
        if event.code not in ANSWERS:
            self._log.error("a hook cannot say something: {code}", code=event.code)
        return told(request, *ANSWERS.get(event.code, (500, "rollup_error")))


def told(request: Request, status: int, word: str) -> bytes:
    """Set *status* and return *word* as plain text, without a line break."""
    return answer(request, status, word).rstrip()


def _digest(request: Request) -> bytes:
    path = request.uri.partition(b"?")[0].split(b"/", 2)
    return digest(path[-1].decode("latin-1"))
