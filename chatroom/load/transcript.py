"""
What was said, and so what everybody must have heard.

`Transcript` is why a program in Python can check fast enough: a message is parsed when the first
reader hears it, and compared byte by byte, a whole read at once, when the others do.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import Callable

import msgspec

from chatroom.commands import Talk
from chatroom.events import Message
from chatroom.load.tally import Tally

FOREIGN = -1
"""In place of the tick when it was sent, for a message that somebody else has sent."""
UNHEARD = b"\xff"
"""In place of a message that nobody has heard yet: no frame begins like this."""


class Transcript:
    """
    What was said in a room from the message *first* on, as its first readers were told.

    It is one string of bytes, the frames in which it came, so that comparing what others are told
    costs next to nothing.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.sent: list[int] = []
        """When each message was sent, in ticks, or `FOREIGN`."""
        self.nonces: list[str] = []
        self._text = bytearray()
        self._starts = [0]

    def follow(self, id: int, data: memoryview) -> tuple[int, int]:
        """
        Compare *data* with what was heard from the message *id* on, as far as that goes.

        Returns the id after the messages that are whole in *data*, and their size in bytes:
        *id* and 0 where there is none, or a difference.
        """
        at = id - self.first
        if at >= len(self.sent):
            return id, 0
        start = self._starts[at]
        if not self._text.startswith(data[: len(self._text) - start], start):
            return id, 0
        after = bisect_right(self._starts, start + len(data)) - 1
        return self.first + after, self._starts[after] - start

    def frame(self, id: int) -> bytes:
        """Return the frame of the message *id*, or `UNHEARD`."""
        at = id - self.first
        if at >= len(self.sent):
            return UNHEARD
        return bytes(self._text[self._starts[at] : self._starts[at + 1]])

    def learn(self, id: int, frame: bytes, nonce: str, sent: int) -> None:
        """Put down the *frame* of a message that is not in here yet."""
        at = id - self.first
        while len(self.sent) <= at:
            self._text += UNHEARD
            self._starts.append(len(self._text))
            self.sent.append(FOREIGN)
            self.nonces.append("")
        start, grown = self._starts[at], len(frame) - len(UNHEARD)
        self._text[start : start + len(UNHEARD)] = frame
        self._starts[at + 1 :] = [start + grown for start in self._starts[at + 1 :]]
        self.sent[at] = sent
        self.nonces[at] = nonce

    def forget(self, id: int) -> None:
        """Drop what came before the message *id*."""
        at = min(id - self.first, len(self.sent))
        start = self._starts[at]
        del self._text[:start], self.sent[:at], self.nonces[:at]
        self._starts = [other - start for other in self._starts[at:]]
        self.first += at


class Author:
    """Who says messages of *size* characters in *room*; their nonces begin with *name*."""

    def __init__(self, name: str, room: str, size: int) -> None:
        self.outstanding: dict[str, int] = {}
        """When what this one has not heard back was sent, by nonce."""
        self.said = 0
        self.last = (0, 0)
        """The number and the id of the last message that anybody has heard."""
        self._name, self._room, self._size = name, room, size

    def say(self, now: int) -> bytes:
        """Return what to send for the next message, *now*."""
        self.said += 1
        nonce = f"{self._name}-{self.said}"
        self.outstanding[nonce] = now
        talk = msgspec.json.encode(Talk(self.text(nonce), room=self._room, nonce=nonce))
        return b'{"event":"talk","data":%b}' % talk

    def text(self, nonce: str) -> str:
        """Return what is said under *nonce*."""
        return f"{nonce} ".ljust(self._size, "x")[: self._size]


class Conversation:
    """What all connections have part in; *now* gives the time in ticks."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.tally = Tally()
        self.transcript = Transcript(1)
        self.own = 0
        """The id after the last message that an author of this conversation has said."""
        self._run = secrets.token_hex(4)
        self._authors: dict[str, Author] = {}

    def author(self, room: str, size: int) -> Author:
        """Return a further author of this conversation."""
        name = f"{self._run}-{len(self._authors)}"
        author = self._authors[name] = Author(name, room, size)
        return author

    def learn(self, message: Message, came: bytes) -> None:
        """Take a *message* that nobody has heard yet, and that *came* as this frame."""
        nonce, sent, tally = message.nonce or "", FOREIGN, self.tally
        name, _, number = nonce.rpartition("-")
        author = self._authors.get(name)
        if author is not None and number.isdecimal():
            this = int(number), message.id
            sent = author.outstanding.get(nonce, FOREIGN)
            if sent == FOREIGN or this[0] == author.last[0]:
                tally.doubled += 1
            elif (this[0] > author.last[0]) != (this[1] > author.last[1]):
                tally.misordered += 1
            if message.message != author.text(nonce):
                tally.altered += 1
            author.last = max(author.last, this)
            self.own = max(self.own, message.id + 1)
        self.transcript.learn(message.id, came, nonce, sent)
