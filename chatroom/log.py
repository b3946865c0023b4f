"""
The contract of a log.

A room is a log: whoever says something appends to it, whoever listens is a cursor on it. Everything
that a room shows goes through the log, so that there is one order; what was said, and what was
changed about it, is kept. `chatroom.memory` has the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from chatroom.events import Deleted, Entry, Event, Message, Reacted, Record, Topic, Version

SEVERAL = 100
"""As far as this, unread messages are counted."""


READ = 500
"""Of so many rooms a user is told how far they have read them."""


class Say(Record):
    """
    A draft to keep: *entry* in the room whose comparison form is *room*.

    The entry is the log's from now on: it has no id yet, and the log may set it. Whether a change
    is about a message that there is was found out before; if there is none, it changes nothing. Of
    an edit of a message that is deleted by then no text is kept, nor told.
    """

    room: str
    entry: Entry
    origin: object
    """Who alone hears of a refusal; the log hands it back and never looks at it."""


class Pass(Record):
    """A draft that passes through in its place: *event*, or what only *origin* is concerned in."""

    room: str
    event: Event | None
    origin: object


class Mark(Record):
    """
    A draft that passes through, and is kept: *user* has read *room* up to the entry *id*.

    Nobody reads backwards. Without *id*, the user does not read the room any more. In a room in
    which nothing was said nothing is kept.
    """

    room: str
    user: int
    id: int | None
    origin: object


Draft = Say | Pass | Mark


class Said(Record):
    """
    A `Say` that is durable now, as *entry*.

    *released*: the id of a file that no message refers to any more because of it.
    """

    draft: Say
    entry: Entry
    released: str | None = None


class Repeated(Record):
    """A `Say` whose user had said just this under the same nonce before: as *entry*."""

    draft: Say
    entry: Entry


class Refused(Record):
    """A `Say` that was not said: *code* is ``nonce_reused`` or ``unavailable``."""

    draft: Say
    code: str


Outcome = Said | Repeated | Refused | Pass | Mark
"""What becomes of a draft; one that passes through comes out as it went in."""


class Unavailable(Exception):
    """The log cannot be read; the text says why."""


class Known(NamedTuple):
    """
    A room that the log knows: its name as it is shown, the ids of its last entry and of its last
    message, and its topic.
    """

    name: str
    last: int
    said: int
    topic: str


class Reading(NamedTuple):
    """
    A room, by comparison form, that a user has *read* up to the entry of that id.

    *unread*: the messages of others since, *mentions*: those that the user is mentioned in, neither
    deleted, both counted as far as `SEVERAL`.
    """

    room: str
    known: Known
    read: int
    unread: int
    mentions: int


class Found(NamedTuple):
    """What a search found: *messages*, newest first; behind *next* there are older ones."""

    messages: list[Message]
    next: int | None


class Log(Protocol):
    """
    Where rooms are kept.

    Drafts go in by `append`, which never waits. What has become of them comes out of `listener`,
    later and in the same order, in batches. Rooms are named by comparison form; the names of direct
    rooms begin with ``@`` (`names.direct`). Messages come as they are now, by all changes up to the
    last one that was told. All that reads raises `Unavailable`.
    """

    epoch: str
    """Changes when ids that were given out can no longer be trusted."""
    secret: bytes
    """32 bytes that stay the same as long as the users do, to sign their tokens with."""
    listener: Callable[[Sequence[Outcome]], None]

    def append(self, draft: Draft) -> None:
        """Take *draft*; what becomes of it is told to `listener` later."""

    def room(self, room: str) -> Known | None:
        """Return what is known of *room*, if anything was said in it."""

    def since(self, room: str, after: int, limit: int) -> list[Entry]:
        """Return the first *limit* entries of *room* with ids above *after*, oldest first."""

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        """Return the last *limit* messages of *room* with ids below *before*, oldest first."""

    def after(self, room: str, after: int, limit: int) -> list[Message]:
        """Return the first *limit* messages of *room* with ids above *after*, oldest first."""

    def message(self, room: str, id: int) -> Message | None:
        """Return the message *id* of *room*, if the entry of that id is one."""

    def edits(self, room: str, id: int, limit: int) -> list[Version]:
        """
        Return the last *limit* things that the message *id* of *room* has said, oldest first.

        If it was deleted, that is nothing.
        """

    def named(self, user: int, nonce: str, message: bool) -> tuple[str, Entry] | None:
        """
        Return the room of the entry that *user* has said under *nonce*, if any, and the entry.

        That is a *message*, or else a change: they have nonces of their own.
        """

    def rooms(self, match: str, after: str, limit: int) -> list[Known]:
        """
        Return the first *limit* rooms, by comparison form, behind *after*.

        Only those with *match* in that form; no direct ones.
        """

    def readings(self, user: int) -> list[Reading]:
        """
        Return the rooms in which *user* has marked something, and the direct rooms of *user*.

        In the latter the user has read up to 0, until that is marked. There are at most `READ`, those
        in which something was said last; others cannot crowd them out with direct ones, nor these
        be crowded out: each kind has half of the places if there are so many.
        """

    def directs(self, user: int) -> list[str]:
        """Return the direct rooms of *user* in which something was said."""

    def read(self, room: str, user: int) -> int | None:
        """Return how far *user* has read *room*, if that was marked."""

    def has_file(self, id: str) -> bool:
        """Return whether a message refers to the file *id*."""

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        report: Callable[[Found | Unavailable], None],
    ) -> None:
        """
        Call *report* later with the newest *limit* messages that *query* finds.

        In *rooms*, or in all that are not direct; and in the rooms *also*. *before* is the `next`
        of an earlier `Found`. Where it would take long, fewer are found, and the rest behind `next`.
        """

    def user(self, id: int) -> str | None:
        """Return the name of the user *id*, if they said something."""

    def new_user(self) -> int:
        """Return an id that no user of this log ever had."""

    def check(self, report: Callable[[str | None], None]) -> None:
        """Call *report* later: with None when the log can be written, else with the reason."""


def repeated(draft: Say, room: str, original: Entry) -> Repeated | Refused:
    """
    Return what becomes of *draft* whose nonce already names *original*, said in *room*.

    Of a message that was edited, and of all that was deleted, it is not asked what it said.
    """
    wish = draft.entry
    same = type(wish) is type(original) and draft.room == room and _same(wish, original)
    return Repeated(draft, original) if same else Refused(draft, "nonce_reused")


def _same(wish: Entry, original: Any) -> bool:
    if isinstance(wish, Message):
        return (
            original.deleted
            or original.edited is not None
            or (wish.type, wish.message, wish.reply, wish.file)
            == (original.type, original.message, original.reply, original.file)
        )
    if isinstance(wish, Topic):
        return bool(wish.topic == original.topic)
    if wish.of != original.of:
        return False
    if isinstance(wish, Reacted):
        return (wish.emoji, wish.on) == (original.emoji, original.on)
    return isinstance(wish, Deleted) or original.message in ("", wish.message)


def ignore(outcomes: Sequence[Outcome]) -> None:
    """The listener of a log that nobody listens to yet."""
