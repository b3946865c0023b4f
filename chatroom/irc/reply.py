"""The answer to one command (`Reply`): as it comes, or with its label (IRCv3 labeled-response)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol

from twisted.words.protocols.irc import ERR_NOMOTD

from chatroom.events import Error
from chatroom.irc.lines import Out, Tags, body
from chatroom.irc.tongue import BATCH

LABELS = "labeled-response"
REPLIES = "standard-replies"

_references = count(1)


def reference() -> str:
    """Return what a batch may be called that no other one is called."""
    return f"b{next(_references)}"


class Asker(Protocol):
    """Who is answered."""

    caps: frozenset[str]

    @property
    def nick(self) -> str: ...

    @property
    def server(self) -> str: ...

    def send(self, outs: Sequence[Out]) -> None: ...

    def grumble(self) -> None: ...


class Reply:
    """
    What *connection* is answered to *command*.

    With a *label*, it is kept until it is `done`, and has the label then.
    """

    def __init__(self, connection: Asker, command: str, label: str | None) -> None:
        self._connection = connection
        self.command = command
        self.label = label if LABELS in connection.caps else None
        self._kept: list[Out] = []

    def send(self, *outs: Out) -> None:
        """Answer with *outs*."""
        if self.label is None:
            self._connection.send(outs)
        else:
            self._kept += outs

    def line(self, source: str, command: str, *params: str, tags: Tags = ()) -> None:
        """Answer with one line."""
        self.send(Out(tags, body(source, command, *params)))

    def own(self, command: str, *params: str) -> None:
        """Answer with a line that the server says."""
        self.line(self._connection.server, command, *params)

    def numeric(self, number: str, *params: str) -> None:
        """Answer with a numeric (https://modern.ircdocs.horse/#numerics); errors are counted."""
        self.own(number, self._connection.nick, *params)
        if number[0] in "45" and number != ERR_NOMOTD:
            self._connection.grumble()

    def fail(self, code: str, words: str, *context: str, agreed: bool = False) -> None:
        """
        Say that the command failed (IRCv3 standard-replies), which is counted.

        A client that knows nothing of that, where it has not *agreed* to it by what it uses, is told
        in *words*.
        """
        self._failed(code, words, context, agreed=agreed)
        self._connection.grumble()

    def _failed(self, code: str, words: str, context: Sequence[str], *, agreed: bool) -> None:
        if agreed or REPLIES in self._connection.caps:
            self.own("FAIL", self.command, code, *context, words)
        elif context:
            self.own("NOTICE", self._connection.nick, f"{self.command} {context[0]}: {words}")
        else:
            self.own("NOTICE", self._connection.nick, f"{self.command}: {words}")

    def refuse(self, error: Error, *context: str) -> None:
        """Say why the room did not do it, which it has counted."""
        again = () if error.retry_after is None else (f"{error.retry_after:g}",)
        self._failed(error.code.upper(), error.message, (*context, *again), agreed=False)

    def done(self) -> None:
        """Send what was kept, all of it with one label."""
        if self.label is None:
            return
        label, kept, self._kept = ("label", self.label), self._kept, []
        self.label = None
        server = self._connection.server
        if not kept:
            self.send(Out((label,), body(server, "ACK")))
        elif len(kept) == 1 or _whole(kept):
            self.send(kept[0].tagged(label), *kept[1:])
        elif BATCH not in self._connection.caps:
            self.send(*kept)
        else:
            name = reference()
            inside = [out if batched(out) else out.tagged(("batch", name)) for out in kept]
            self.send(
                Out((label,), body(server, "BATCH", f"+{name}", LABELS)),
                *inside,
                Out((), body(server, "BATCH", f"-{name}")),
            )


def batched(out: Out) -> bool:
    """Return whether *out* is in a batch, or the end of one."""
    words = out.body.split(b" ", 3)
    return any(key == "batch" for key, _ in out.tags) or (
        words[1] == b"BATCH" and words[2].startswith(b"-")
    )


def _whole(outs: list[Out]) -> bool:
    """Return whether *outs* are one batch."""
    first, last = (out.body.split(b" ") for out in (outs[0], outs[-1]))
    return first[1] == last[1] == b"BATCH" and first[2][1:] == last[2][1:]
