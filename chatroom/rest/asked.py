"""One request that was understood (`Asked`), until it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chatroom.answers import Refusal, refusal, refused
from chatroom.chat import Chat
from chatroom.commands import Command
from chatroom.events import Error, Event
from chatroom.site import Request


class Asked:
    """
    What *chat* is asked by *request*.

    *token* and the id *me* are of who asks, if that is somebody known. *path* has what the path
    names, and *given* the members of the body, or of the query, that were given. When it is done,
    *status* is answered.
    """

    def __init__(
        self,
        chat: Chat,
        request: Request,
        status: int,
        token: str | None,
        me: int | None,
        path: dict[str, Any],
        given: dict[str, Any],
    ) -> None:
        self.chat = chat
        self.token = token
        self.me = me
        self.path = path
        self.given = given
        self._request = request
        self._status = status

    def ask(
        self,
        command: Command,
        then: Callable[[Any], object] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """
        Have the chat do *command*, and answer what it tells: as it is, or what *then* makes of it.

        That may be a `Refusal`. Who says something without a token is somebody new called *name*.
        """

        def told(event: Event | None) -> None:
            if isinstance(event, Error):
                self.answer(refusal(event))
            else:
                self.answer(then(event) if then is not None else event)

        self.chat.ask(command, told, token=self.token, name=name)

    def answer(self, what: object) -> None:
        """Answer *what*, a record or a `Refusal`, if anybody still waits for it."""
        request = self._request
        if request.channel is None:
            return
        if isinstance(what, Refusal):
            body = refused(request, what)
        else:
            body = msgspec.json.encode(what)
            request.setResponseCode(self._status)
            request.setHeader("Content-Type", "application/json")
            request.setHeader("Cache-Control", "no-store")
        if body:
            request.setHeader("Content-Length", str(len(body)))
        request.write(body)
        request.finish()

    def located(self, path: str) -> None:
        """Tell with the answer that what it is about is at *path*."""
        self._request.setHeader("Location", path)
