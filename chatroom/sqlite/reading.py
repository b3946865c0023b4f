"""What can be asked of a store."""

from __future__ import annotations

import sqlite3
from typing import Any

from chatroom.events import Entry, Message, Version
from chatroom.log import READ, SEVERAL, Known, Reading, Unavailable
from chatroom.sqlite.rows import CHANGE, MESSAGE, change_of, html_of, message_of

SCANNED = 10_000
"""Among the newest so many messages of a room the unread ones are counted, which bounds the time."""

_ROOM = " JOIN rooms r ON r.number = "
_MESSAGES = f"SELECT {MESSAGE} FROM messages m{_ROOM}m.room WHERE r.key = ?"
_CHANGES = f"SELECT {CHANGE} FROM changes c{_ROOM}c.room WHERE r.key = ?"
_LAST = "(SELECT ifnull(max(id), 0) FROM {} WHERE room = r.number)"
_SAID = _LAST.format("messages")
KNOWN = f"r.name, max({_SAID}, {_LAST.format('changes')}), {_SAID}, r.topic"
"""What `Known` is made of, of the table rooms (r)."""
_READINGS = f"""
    SELECT r.key, ifnull(mark.id, 0),
        (
            SELECT count(*) FROM (
                SELECT 1 FROM (
                    SELECT user, deleted FROM messages WHERE room = mark.room
                    AND id > ifnull(mark.id, 0) ORDER BY id DESC LIMIT {SCANNED}
                ) WHERE user <> mark.user AND deleted IS NULL LIMIT {SEVERAL}
            )
        ),
        (
            SELECT count(*) FROM (
                SELECT 1 FROM mentions WHERE user = mark.user AND room = mark.room
                AND id > ifnull(mark.id, 0) LIMIT {SEVERAL}
            )
        ),
        {KNOWN}
    FROM (
        SELECT d.*, row_number() OVER (
            PARTITION BY r.key GLOB '@*'
            ORDER BY (SELECT seq FROM messages WHERE room = d.room ORDER BY id DESC LIMIT 1) DESC
        ) AS place
        FROM reads d{_ROOM}d.room WHERE d.user = ? ORDER BY place LIMIT {READ}
    ) mark{_ROOM}mark.room
"""


class Reader:
    """
    The part of a `chatroom.log.Log` that reads a store, by the connection *db* of its own.

    The writer never blocks it.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.execute("PRAGMA query_only = 1")
        # Now it has its files open, and goes on reading wherever they are moved.
        self._db.execute("SELECT key FROM meta").fetchall()

    def room(self, room: str) -> Known | None:
        found = self._ask(f"SELECT {KNOWN} FROM rooms r WHERE r.key = ?", room)
        return Known(*found[0]) if found else None

    def since(self, room: str, after: int, limit: int) -> list[Entry]:
        entries: list[Entry] = [*self.after(room, after, limit)]
        # Behind a full page there may be changes too, which are of the next one.
        end = entries[-1].id if len(entries) == limit and entries else 2**63 - 1
        within = " AND c.id > ? AND c.id < ? ORDER BY c.id LIMIT ?"
        if changes := self._ask(_CHANGES + within, room, after, end, limit):
            entries += map(change_of, changes)
            entries.sort(key=lambda entry: entry.id)
        return entries[:limit]

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        found = self._ask(
            f"{_MESSAGES} AND m.id < ? ORDER BY m.id DESC LIMIT ?", room, before, limit
        )
        return [message_of(row) for row in reversed(found)]

    def after(self, room: str, after: int, limit: int) -> list[Message]:
        found = self._ask(f"{_MESSAGES} AND m.id > ? ORDER BY m.id LIMIT ?", room, after, limit)
        return [message_of(row) for row in found]

    def message(self, room: str, id: int) -> Message | None:
        found = self._ask(f"{_MESSAGES} AND m.id = ?", room, id)
        return message_of(found[0]) if found else None

    def edits(self, room: str, id: int, limit: int) -> list[Version]:
        found = self._ask(
            "SELECT m.message, m.type, m.time, m.more, m.room FROM messages m"
            f"{_ROOM}m.room WHERE r.key = ? AND m.id = ? AND m.deleted IS NULL",
            room,
            id,
        )
        if not found:
            return []
        (*first, number) = found[0]
        # What spoke of an id before there was a message of that id changed nothing.
        later = self._ask(
            "SELECT value, type, time, more FROM changes"
            " WHERE kind = 'edit' AND room = ? AND of = ? AND id > of ORDER BY id DESC LIMIT ?",
            number,
            id,
            limit,
        )
        return [
            Version(message, type, time, html_of(more))
            for message, type, time, more in (first, *reversed(later))
        ][-limit:]

    def named(self, user: int, nonce: str, message: bool) -> tuple[str, Entry] | None:
        table, columns = ("messages m", MESSAGE) if message else ("changes c", CHANGE)
        name = table[-1]
        found = self._ask(
            f"SELECT r.key, {columns} FROM {table}{_ROOM}{name}.room"
            f" WHERE {name}.user = ? AND {name}.nonce = ?",
            user,
            nonce,
        )
        if not found:
            return None
        key, *row = found[0]
        return key, message_of(row) if message else change_of(row)

    def rooms(self, match: str, after: str, limit: int) -> list[Known]:
        found = self._ask(
            f"SELECT {KNOWN} FROM rooms r WHERE r.key > ? AND instr(r.key, ?)"
            " AND r.key NOT GLOB '@*' ORDER BY r.key LIMIT ?",
            after,
            match,
            limit,
        )
        return [Known(*row) for row in found]

    def readings(self, user: int) -> list[Reading]:
        return [
            Reading(key, Known(*known), read, unread, mentions)
            for key, read, unread, mentions, *known in self._ask(_READINGS, user)
        ]

    def directs(self, user: int) -> list[str]:
        found = self._ask(
            f"SELECT r.key FROM reads d{_ROOM}d.room WHERE d.user = ? AND r.key GLOB '@*'", user
        )
        return [key for (key,) in found]

    def read(self, room: str, user: int) -> int | None:
        found = self._ask(
            f"SELECT d.id FROM reads d{_ROOM}d.room WHERE r.key = ? AND d.user = ?", room, user
        )
        return found[0][0] if found else None

    def has_file(self, id: str) -> bool:
        return bool(self._ask("SELECT 1 FROM files WHERE file = ? LIMIT 1", id))

    def user(self, id: int) -> str | None:
        found = self._ask("SELECT name FROM users WHERE id = ?", id)
        return found[0][0] if found else None

    def close(self) -> None:
        """Let go of the store."""
        self._db.close()

    def _ask(self, query: str, *values: object) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error
