"""
What becomes of a batch of drafts in one transaction.

What is said is one statement, whatever its size: it runs in C without Python's global lock, which
the reactor needs too. A statement a message takes twice the time, and that lock at every one of
them. Changes are rarer, and look at what they change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from msgspec.structs import replace

from chatroom.changes import changed
from chatroom.events import Change, Edited, Entry, Message, Topic
from chatroom.log import Draft, Mark, Outcome, Said, Say, repeated
from chatroom.names import parties
from chatroom.sqlite.reading import KNOWN
from chatroom.sqlite.rows import (
    CHANGE,
    CHANGES,
    MESSAGE,
    change_of,
    columns_of,
    message_of,
    more_of,
    now_of,
)

_COLUMNS = ("room", "id", "user", "name", "type", "message", "time", "nonce", "more")

Nonce = tuple[bool, int, str]
"""Whether it is one of a message (not of a change), the id of the user, and their word for it."""
Original = tuple[str, Entry]
"""The room in which something was said, and what."""


@dataclass(slots=True)
class Room:
    """What the writer knows of a room: as which it is stored, its name, and its last id."""

    number: int
    name: str
    last: int


class Batch:
    """
    A batch on its way into *db*, within a transaction.

    *rooms* are those that are known by comparison form, and *originals* what was said before under
    the nonces of the batch; both are added to. Where something was said before that is not in
    *originals*, `settle` raises `sqlite3.IntegrityError`, and the transaction is undone.
    """

    def __init__(
        self, db: sqlite3.Connection, rooms: dict[str, Room], originals: dict[Nonce, Original]
    ) -> None:
        self.names: dict[int, str] = {}
        """The names of who spoke."""
        self.messages: int | None = None
        """The number of its last message, over all rooms."""
        self.changes: int | None = None
        """The number of its last change, over all rooms."""
        self.erased = False
        """Whether it has taken anything back."""
        self._db = db
        self._rooms = rooms
        self._originals = originals
        self._said: list[object] = []
        self._changed: list[tuple[object, ...]] = []
        self._mentions: list[tuple[int, int, int]] = []
        self._files: list[tuple[str, int, int]] = []
        # What was changed, by room and id.
        self._now: dict[tuple[str, int], Message] = {}
        self._topics: dict[int, str] = {}
        # By room and user: whether to forget what was marked before, and how far it is read then.
        self._marks: dict[tuple[str, int], tuple[bool, int | None]] = {}

    def settle(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Keep what is to be kept of *drafts*, but for `names`; return what becomes of them."""
        outcomes: list[Outcome] = []
        for draft in drafts:
            if isinstance(draft, Say):
                outcomes.append(self._say(draft, draft.entry))
            else:
                if isinstance(draft, Mark):
                    self._mark(draft)
                outcomes.append(draft)
        self._insert()
        if self._now:
            self._db.executemany(
                "UPDATE messages SET now = ? WHERE room = ? AND id = ?",
                [
                    (now_of(message), self._rooms[room].number, id)
                    for (room, id), message in self._now.items()
                    if not message.deleted
                ],
            )
        if self._topics:
            topics = [(topic, number) for number, topic in self._topics.items()]
            self._db.executemany("UPDATE rooms SET topic = ? WHERE number = ?", topics)
        if self._marks:
            self._keep_marks()
        return outcomes

    def _say(self, draft: Say, entry: Entry) -> Outcome:
        """Return what becomes of *draft*; add to the others what is to be kept of it."""
        sender, nonce = entry.sender, entry.nonce
        message = type(entry) is Message
        if nonce is not None:
            key = message, sender.id, nonce
            if original := self._originals.get(key):
                return self._repeat(draft, *original)
            self._originals[key] = draft.room, entry
        room = self._rooms.get(draft.room) or self._room(draft)
        # Nobody has seen it yet.
        entry.id = room.last = room.last + 1
        entry.room = room.name
        self.names[sender.id] = sender.name
        if not isinstance(entry, Message):
            released = self._change(draft.room, room, entry)
            self._changed.append(columns_of(entry, room.number))
            return Said(draft, entry, released)
        more: str | int = 0
        if entry.html is not None or entry.reply or entry.mentions or entry.file:
            more = more_of(entry)
            self._refer(entry, room)
        self._said += (
            room.number,
            entry.id,
            sender.id,
            sender.name,
            entry.type,
            entry.message,
            entry.time,
            # To bind None takes longer than all the rest.
            0 if nonce is None else nonce,
            more,
        )
        return Said(draft, entry)

    def _repeat(self, draft: Say, room: str, original: Entry) -> Outcome:
        """Return what becomes of *draft* whose nonce names *original*, said in *room*."""
        if isinstance(original, Message):
            original = self._now.get((room, original.id), original)
        elif isinstance(original, Edited):
            now = self._now.get((room, original.of))
            if now and now.deleted and original.id < (now.changed or 0):
                original = replace(original, message="", html=None, mentions=())
        return repeated(draft, room, original)

    def _change(self, key: str, room: Room, change: Change) -> str | None:
        """Do *change* in *room*; return the id of a file that no message refers to any more."""
        if isinstance(change, Topic):
            self._topics[room.number] = change.topic
            return None
        was = self._message(key, room, change.of)
        if was is None:
            return None
        if was.deleted:
            if isinstance(change, Edited):
                change.message, change.html, change.mentions = "", None, ()
            return None
        now = changed(was, change)
        self._now[key, change.of] = now
        if now.mentions != was.mentions:
            self._insert()
            self._db.executemany(
                "DELETE FROM mentions WHERE user = ? AND room = ? AND id = ?",
                [(who.id, room.number, was.id) for who in was.mentions],
            )
            self._mention(now, room)
        return self._erase(room, was, now) if now.deleted else None

    def _message(self, key: str, room: Room, id: int) -> Message | None:
        """Return the message *id* of *room* as it is now."""
        if found := self._now.get((key, id)):
            return found
        query = (
            f"SELECT {MESSAGE} FROM messages m JOIN rooms r ON r.number = m.room"
            " WHERE m.room = ? AND m.id = ?"
        )
        row = self._db.execute(query, (room.number, id)).fetchone()
        if row is None and self._said:
            # Said just before, in the same batch.
            self._insert()
            row = self._db.execute(query, (room.number, id)).fetchone()
        return row and message_of(row)

    def _erase(self, room: Room, was: Message, now: Message) -> str | None:
        """Leave nothing of what a message *was* but that it was; return as `_change` does."""
        self._insert()
        self.erased = True
        place = room.number, was.id
        self._db.execute(
            "UPDATE messages SET type = ?, message = '', more = NULL, now = NULL, deleted = ?"
            " WHERE room = ? AND id = ?",
            (now.type, now.changed, *place),
        )
        self._db.execute(
            "UPDATE changes SET value = '', more = NULL"
            " WHERE kind = 'edit' AND room = ? AND of = ? AND id > of",
            place,
        )
        if was.file is None:
            return None
        file = was.file.id
        self._db.execute("DELETE FROM files WHERE file = ? AND room = ? AND id = ?", (file, *place))
        left = self._db.execute("SELECT 1 FROM files WHERE file = ? LIMIT 1", (file,)).fetchone()
        return None if left else file

    def _refer(self, message: Message, room: Room) -> None:
        """Let *message* be found by whom it mentions and by its file."""
        self._mention(message, room)
        if message.file is not None:
            self._files.append((message.file.id, room.number, message.id))

    def _mention(self, message: Message, room: Room) -> None:
        """Let *message* be found by whom it mentions."""
        self._mentions += (
            (who.id, room.number, message.id)
            for who in message.mentions
            if who.id != message.sender.id
        )

    def _insert(self) -> None:
        """Insert what was said and changed up to now."""
        if said := self._said:
            # Few sizes, so that few statements are compiled.
            size = 1 << (len(said) // len(_COLUMNS) - 1).bit_length()
            said += (0,) * (size * len(_COLUMNS) - len(said))
            self.messages = self._db.execute(_insertion(size), said).lastrowid
            self._said = []
        if self._changed:
            marks = ", ".join("?" * len(CHANGES))
            self._db.executemany(
                f"INSERT OR ROLLBACK INTO changes ({', '.join(CHANGES)}) VALUES ({marks})",
                self._changed,
            )
            self._changed.clear()
            (self.changes,) = self._db.execute("SELECT max(seq) FROM changes").fetchone()
        if self._mentions:
            self._db.executemany("INSERT OR IGNORE INTO mentions VALUES (?, ?, ?)", self._mentions)
            self._mentions.clear()
        if self._files:
            self._db.executemany("INSERT INTO files VALUES (?, ?, ?)", self._files)
            self._files.clear()

    def _room(self, draft: Say) -> Room:
        """Return the room of *draft*, which is made if nothing was said in it."""
        if found := self._find(draft.room):
            return found
        name = draft.entry.room
        number = self._db.execute(
            "INSERT INTO rooms (key, name) VALUES (?, ?)", (draft.room, name)
        ).lastrowid
        assert number is not None
        self._db.executemany(
            "INSERT INTO reads VALUES (?, ?, NULL)",
            [(user, number) for user in parties(draft.room) or ()],
        )
        room = self._rooms[draft.room] = Room(number, name, 0)
        return room

    def _find(self, key: str) -> Room | None:
        """Return the room *key*, if anything was said in it."""
        query = f"SELECT r.number, {KNOWN} FROM rooms r WHERE r.key = ?"
        row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            return None
        room = self._rooms[key] = Room(*row[:3])
        return room

    def _mark(self, mark: Mark) -> None:
        """Add to the others what is to be kept of *mark*."""
        if mark.room not in self._rooms and self._find(mark.room) is None:
            return
        key = mark.room, mark.user
        if mark.id is None:
            self._marks[key] = True, None
        else:
            forget, id = self._marks.get(key, (False, None))
            self._marks[key] = forget, max(mark.id, id or 0)

    def _keep_marks(self) -> None:
        forgotten = []
        direct = []
        marked = []
        for (key, user), (forget, id) in self._marks.items():
            number = self._rooms[key].number
            if forget:
                forgotten.append((user, number))
                if user in (parties(key) or ()):
                    direct.append((user, number))
            if id is not None:
                marked.append((user, number, id))
        self._db.executemany("DELETE FROM reads WHERE user = ? AND room = ?", forgotten)
        self._db.executemany("INSERT INTO reads VALUES (?, ?, NULL)", direct)
        self._db.executemany(
            "INSERT INTO reads VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id"
            " WHERE reads.id IS NULL OR reads.id < excluded.id",
            marked,
        )


@cache
def _insertion(size: int) -> str:
    """Return the statement that inserts up to *size* messages; what is over is all zeros."""
    values = ", ".join(["(" + ", ".join("?" * len(_COLUMNS)) + ")"] * size)
    columns = [f"column{n}" for n in range(1, len(_COLUMNS) + 1)]
    columns[-2:] = (f"nullif({column}, 0)" for column in columns[-2:])
    return (
        f"INSERT OR ROLLBACK INTO messages ({', '.join(_COLUMNS)})"
        f" SELECT {', '.join(columns)} FROM (VALUES {values}) WHERE column1"
    )


def originals(db: sqlite3.Connection, drafts: Sequence[Draft]) -> dict[Nonce, Original]:
    """Return what was said in *db* before under the nonces of *drafts*."""
    found: dict[Nonce, Original] = {}
    wishes = [draft.entry for draft in drafts if isinstance(draft, Say)]
    for messages in (True, False):
        asked: list[object] = []
        for wish in wishes:
            if wish.nonce is not None and isinstance(wish, Message) is messages:
                asked += (wish.sender.id, wish.nonce)
        if asked:
            values = ", ".join(["(?, ?)"] * (len(asked) // 2))
            table, columns = ("messages m", MESSAGE) if messages else ("changes c", CHANGE)
            name = table[-1]
            for key, *row in db.execute(
                f"WITH asked (user, nonce) AS (VALUES {values}) SELECT r.key, {columns} FROM asked"
                f" CROSS JOIN {table} ON {name}.user = asked.user AND {name}.nonce = asked.nonce"
                f" JOIN rooms r ON r.number = {name}.room",
                asked,
            ):
                entry = message_of(row) if messages else change_of(row)
                assert entry.nonce is not None
                found[messages, entry.sender.id, entry.nonce] = key, entry
    return found
