"""What happens in a room, as lines: made once for all who have agreed on the same (`Tongue`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import quote

from chatroom import names
from chatroom.events import (
    Deleted,
    Edited,
    Entry,
    Event,
    Exited,
    File,
    Joined,
    Message,
    Presence,
    Reacted,
    Renamed,
    Topic,
    Typed,
    Who,
)
from chatroom.irc import texts
from chatroom.irc.lines import BODY, Out, Tags, body, pieces, tagged
from chatroom.irc.nicks import CHANNEL, msgid, nick

TAGS = "message-tags"
TIME = "server-time"
BATCH = "batch"
MULTILINE = "draft/multiline"
REDACTION = "draft/message-redaction"
HEARD = frozenset((TAGS, TIME, BATCH, MULTILINE, REDACTION))
"""The capabilities on which it depends how a room is heard."""

CONCAT = "draft/multiline-concat"
NOTICE = "notice-"
"""What the nonce of a message begins with that was said by NOTICE."""

Framed = Callable[[bytes], bytes]


class Around(Protocol):
    """What there is beside the events."""

    @property
    def epoch(self) -> str:
        """What ids belong to."""

    def mask(self, who: Who) -> str:
        """Return the source of what *who* says: nick, user name and host."""

    def who(self, id: int) -> Who:
        """Return the user *id*."""

    def here(self, id: int) -> bool:
        """Return whether the user *id* is anywhere."""

    def reason(self, id: int, room: str | None) -> str:
        """Return what the user *id* said when leaving *room*, or leaving altogether."""

    def now(self) -> str:
        """Return the time, as the tag ``time`` has it."""


class Piece(NamedTuple):
    """An *event*, as lines and as bytes."""

    event: Event
    outs: tuple[Out, ...]
    data: bytes


class Told(NamedTuple):
    """
    Events as *pieces*, and as the *data* of them all.

    *speakers*: whose they are, where that is all that makes a difference to who hears them; None
    where each has to be looked at. *direct*: the direct room where it is, and the id of the last.
    """

    pieces: tuple[Piece, ...]
    data: bytes
    speakers: frozenset[int] | None
    direct: tuple[str, int] | None


class Tongue:
    """How those hear a room who have agreed on *caps*; *framed* makes bytes of a line."""

    def __init__(self, around: Around, caps: frozenset[str], framed: Framed) -> None:
        self._around = around
        self._caps = caps
        self._framed = framed
        # Bound once, for it is the key under which a batch is kept.
        self.told = self._told

    def data(self, outs: Sequence[Out]) -> bytes:
        """Return *outs* as bytes."""
        return b"".join([self._framed(tagged(out.tags, out.body)) for out in outs])

    def _told(self, events: Sequence[Event]) -> Told:
        found = []
        speakers: set[int] = set()
        plain, direct = True, None
        for event in events:
            if isinstance(event, Entry):
                speakers.add(event.sender.id)
                if names.parties(event.room):
                    direct = event.room, event.id
            elif not isinstance(event, Typed):
                plain = False
            for single in _singly(event):
                outs = tuple(self.outs(single))
                found.append(Piece(single, outs, self.data(outs)))
        data = b"".join([piece.data for piece in found])
        return Told(tuple(found), data, frozenset(speakers) if plain else None, direct)

    def outs(self, event: Event) -> Iterator[Out]:
        """Give *event* as lines; there are none of what concerns one connection alone."""
        if isinstance(event, Message):
            yield from self._message(event)
        elif isinstance(event, Edited):
            if event.message:
                yield from self._edited(event)
        elif isinstance(event, Deleted):
            if REDACTION in self._caps:
                yield self._entry(event, "REDACT", self._msgid(event, event.of))
        elif isinstance(event, Reacted):
            if TAGS in self._caps:
                react = "+draft/react" if event.on else "+draft/unreact"
                about = ("+draft/reply", self._msgid(event, event.of))
                yield self._entry(event, "TAGMSG").tagged((react, event.emoji), about)
        elif isinstance(event, Topic):
            yield self._entry(event, "TOPIC", event.topic)
        elif isinstance(event, Typed):
            if TAGS in self._caps:
                who = Who(event.id, event.name)
                target = self.target(event.room, event.id)
                yield self._passing(who, "TAGMSG", target).tagged(("+typing", "active"))
        elif isinstance(event, Joined | Exited):
            if not names.parties(event.room):
                yield self._moved(event)
        elif isinstance(event, Renamed):
            yield self._passing(Who(event.id, event.was), "NICK", nick(event.name))

    def target(self, room: str, speaker: int) -> str:
        """Return to whom or what it is said if *speaker* says something in *room*."""
        parties = names.parties(room)
        if parties is None:
            return CHANNEL + room
        (other,) = parties - {speaker}
        return nick(self._around.who(other).name)

    def _moved(self, event: Joined | Exited) -> Out:
        who, channel = Who(event.id, event.name), CHANNEL + event.room
        if isinstance(event, Joined):
            return self._passing(who, "JOIN", channel)
        if self._around.here(event.id):
            reason = self._around.reason(event.id, event.room)
            return self._passing(who, "PART", channel, *([reason] if reason else []))
        return self._passing(who, "QUIT", self._around.reason(event.id, None))

    def _passing(self, who: Who, command: str, *params: str) -> Out:
        """Return a line about what is not kept."""
        tags = (("time", self._around.now()),) if TIME in self._caps else ()
        return Out(tags, body(self._around.mask(who), command, *params))

    def _entry(self, entry: Entry, command: str, *params: str) -> Out:
        """Return a line about *entry*."""
        target = self.target(entry.room, entry.sender.id)
        source = self._around.mask(entry.sender)
        return Out(self._tags(entry), body(source, command, target, *params))

    def _tags(self, entry: Entry) -> Tags:
        tags = [("time", entry.time)] if TIME in self._caps else []
        if TAGS in self._caps:
            tags.append(("msgid", self._msgid(entry, entry.id)))
        return tuple(tags)

    def _msgid(self, entry: Entry, id: int) -> str:
        return msgid(self._around.epoch, id, entry.room)

    def _message(self, message: Message) -> Iterator[Out]:
        tags = self._tags(message)
        if message.reply is not None and TAGS in self._caps:
            tags += (("+draft/reply", self._msgid(message, message.reply)),)
        notice = message.nonce is not None and message.nonce.startswith(NOTICE)
        said = texts.lines(message.message)
        if len(said) == 1 and not notice and (does := texts.action(said[0])) is not None:
            room = self._room(message, "PRIVMSG") - len("\x01ACTION \x01")
            said = [f"\x01ACTION {piece}\x01" for piece in pieces(does, room)]
        if message.file is not None:
            said = [line for line in said if line] + [_file(message.file)]
        yield from self._said(message, tags, "NOTICE" if notice else "PRIVMSG", said)

    def _edited(self, entry: Edited) -> Iterator[Out]:
        tags = self._tags(entry)
        if TAGS in self._caps:
            tags += (("+draft/reply", self._msgid(entry, entry.of)),)
        first, *others = texts.lines(entry.message)
        yield from self._said(entry, tags, "PRIVMSG", [f"* {first}", *others])

    def _said(self, entry: Entry, tags: Tags, command: str, said: Sequence[str]) -> Iterator[Out]:
        """Give the lines *said*, in so many as it takes."""
        target = self.target(entry.room, entry.sender.id)
        source = self._around.mask(entry.sender)
        room = self._room(entry, command)
        split = [(piece, at > 0) for line in said for at, piece in enumerate(pieces(line, room))]
        if len(split) == 1 or not {BATCH, MULTILINE} <= self._caps:
            time = tuple(tag for tag in tags if tag[0] == "time")
            for line, _ in split:
                if line.strip():
                    yield Out(tags, body(source, command, target, line))
                    tags = time
            return
        reference = f"m{entry.id}"
        yield Out(tags, body(source, "BATCH", f"+{reference}", MULTILINE, target))
        for line, concat in split:
            tags = (("batch", reference), *([(CONCAT, "")] if concat else []))
            yield Out(tags, body(source, command, target, line))
        yield Out((), body(source, "BATCH", f"-{reference}"))

    def _room(self, entry: Entry, command: str) -> int:
        """Return how many bytes of text a line about *entry* has room for."""
        target = self.target(entry.room, entry.sender.id)
        return BODY - 2 - len(body(self._around.mask(entry.sender), command, target, ""))


def _singly(event: Event) -> Sequence[Event]:
    """Return *event*; of a summary, what it is made of."""
    if not isinstance(event, Presence):
        return (event,)
    joined = [Joined(event.room, who.id, who.name) for who in event.joined]
    return joined + [Exited(event.room, who.id, who.name) for who in event.left]


def _file(file: File) -> str:
    name = " ".join(texts.lines(file.name))
    about = f"{name} ({file.type}, {file.size:,} bytes)"
    return f"{about}: /files/{file.id}?name={quote(file.name)}"
