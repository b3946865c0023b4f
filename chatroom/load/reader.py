"""Who is in the room: readers, that listen and check, and senders, that talk as well."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from chatroom.events import Error, Limits, Message
from chatroom.load.transcript import FOREIGN, UNHEARD, Author, Conversation
from chatroom.load.wire import Connection, Failed, masked, printable, unmasked

GAP = 100_000
"""Who misses more messages than so many at once has not lost them: the ids are wrong."""


class _Told(Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Begun(Struct):
    """As much of `chatroom.events.Init` as matters here."""

    messages: list[Message]
    limits: Limits


_told = msgspec.json.Decoder(_Told)
_begun = msgspec.json.Decoder(_Begun)
_message = msgspec.json.Decoder(Message)
_error = msgspec.json.Decoder(Error)


class Reader(Connection):
    """One that hears *conversation*. *entered* fires with the `Limits` that the server states."""

    def __init__(self, conversation: Conversation, request: bytes) -> None:
        super().__init__(request)
        self.conversation = conversation
        self.next = 0
        """The id of the message that is to come next; 0 until it is in the room."""
        self._missed: set[int] = set()

    def follow(self, data: memoryview) -> int:
        """Take the messages with which *data* begins as others have heard it; return their size."""
        if not self.next:
            return 0
        heard, size = self.conversation.transcript.follow(self.next, data)
        if size:
            self._heard(heard)
        return size

    def told(self, text: bytes) -> None:
        """Take what the server says. Raises `Failed`."""
        try:
            told = _told.decode(text)
            if not self.next:
                self._enter(told)
            elif told.event == "talk":
                self._talked(_message.decode(told.data), text)
            elif told.event == "error":
                self.refused(_error.decode(told.data))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as wrong:
            raise Failed(f"a message that cannot be understood: {wrong}") from None

    def _enter(self, told: _Told) -> None:
        if told.event != "init":
            raise Failed(f"{printable(told.event)} before init")
        begun = _begun.decode(told.data)
        self.next = begun.messages[-1].id + 1 if begun.messages else 1
        self.entered.callback(begun.limits)

    def _talked(self, message: Message, text: bytes) -> None:
        """Take a *message* that does not simply go on from where this reader is."""
        id, tally, transcript = message.id, self.conversation.tally, self.conversation.transcript
        if id in self._missed:
            self._missed.remove(id)
            tally.lost -= 1
            tally.misordered += 1
        elif id < self.next:
            tally.doubled += 1
            return
        if id - self.next > GAP:
            raise Failed(f"message {id} after {self.next - 1}")
        if id >= transcript.first:
            came = unmasked(text)
            known = transcript.frame(id)
            if known == UNHEARD:
                self.conversation.learn(message, came)
            elif known != came:
                tally.altered += 1
        if id < self.next:
            tally.deliveries += 1
            self.heard([message.nonce or ""])
        else:
            missed = range(self.next, id)
            self._missed.update(missed)
            tally.lost += len(missed)
            self.next = id
            self._heard(id + 1)

    def _heard(self, end: int) -> None:
        """Count the messages up to the one before *end*."""
        tally, transcript = self.conversation.tally, self.conversation.transcript
        these = slice(self.next - transcript.first, end - transcript.first)
        tally.deliveries += end - self.next
        self.next = end
        now, latencies = self.conversation.now(), tally.latencies
        for sent in transcript.sent[these]:
            if sent != FOREIGN:
                latencies[now - sent] += 1
        self.heard(transcript.nonces[these])

    def heard(self, nonces: list[str]) -> None:
        """Take note that the messages with these *nonces* have come."""

    def refused(self, why: Error) -> None:
        """Take note that the server did not want something."""
        self.conversation.tally.errors[printable(why.code)] += 1


class Sender(Reader):
    """One that says what *author* does; *reactor* gives time and timers."""

    def __init__(
        self, conversation: Conversation, request: bytes, author: Author, reactor: Any
    ) -> None:
        super().__init__(conversation, request)
        self.author = author
        self.window = 0
        """So many messages it has under way, if it can."""
        self._reactor = reactor
        self._timer: Any = None
        self._ready = 0.0
        self._space = 0.0

    @property
    def wait(self) -> float:
        """Seconds until it may talk again; none if not above 0."""
        return self._ready - float(self._reactor.seconds())

    def fill(self) -> None:
        """Say as many messages as the window takes."""
        frames = []
        while len(self.author.outstanding) < self.window:
            if (wait := self.wait) > 0:
                if self._timer is None or not self._timer.active():
                    self._timer = self._reactor.callLater(wait, self.fill)
                break
            frames.append(self._next())
        if frames:
            self.transport.write(b"".join(frames))

    def say(self) -> None:
        """Say one message."""
        self.transport.write(self._next())

    def heard(self, nonces: list[str]) -> None:
        for nonce in nonces:
            self.author.outstanding.pop(nonce, None)
        self.fill()

    def refused(self, why: Error) -> None:
        super().refused(why)
        self.author.outstanding.pop(why.nonce or "", None)
        wait = 1.0 if why.retry_after is None else why.retry_after
        self._ready = max(self._ready, self._reactor.seconds() + wait)
        # Who goes on regardless is thrown out.
        limits = self.conversation.tally.limits
        if why.code == "rate_limited" and limits is not None:
            self._space = 1.02 / (limits.rate or 1)
        self.fill()

    def _next(self) -> bytes:
        self.conversation.tally.said += 1
        if self._space:
            self._ready = max(self._ready, self._reactor.seconds()) + self._space
        return masked(0x81, self.author.say(self.conversation.now()))
