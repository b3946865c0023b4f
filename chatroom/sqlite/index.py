"""
The file of the search index, ``STORE.search``: made of what is in the store, and of nothing else.

It holds for each term (`chatroom.terms`) in which messages it is: in tables of SQLite's FTS5 without
texts or positions. Each shard of `SHARD` messages in the store's order has two of them, one for what
was said in public and one for direct rooms. So a search goes from the newest ones back and stops when
it has enough, and each of its steps is short; and a message that was deleted is taken out by making
its shard anew, after which nothing of it is left in the file.

What the index finds are candidates: the store's present text decides. So an edited message may leave
old terms behind until its shard is made anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from chatroom.names import parties
from chatroom.terms import Query, indexed

FORMAT = 1
"""Of the file and of the terms in it; `PRAGMA user_version`."""
APPLICATION = 0x63686173
"""What `PRAGMA application_id` says of our files: "chas" in ASCII."""
SHARD = 1 << 16
"""How many messages a shard is of."""
TERMS = 32
"""The most terms of a query that the index is asked for; the text decides on the others."""
FEW = 8
"""In more rooms than this nobody looks for one after the other, if there is another way."""
CANDIDATES = 256
"""The most candidates that are looked at in one step."""
PAGES = 64
"""How many pages are merged in one step."""
BUSY = 1.0
"""How many seconds to wait for a lock that another process holds."""
LEFT = 4 << 20
"""How many bytes the journal may keep for later."""

PUBLIC, DIRECT = "public", "direct"
"""The kinds of tables."""
_FRESH = "fresh"
"""In place of its number: a shard that is being made anew."""
_ROOM, _PARTY = "\ue001", "\ue002"
"""How terms for a room, by number, and a user of a direct room begin: as no text's terms do."""

_SCHEMA = f"""
    BEGIN;
    CREATE TABLE state (
        epoch TEXT NOT NULL,
        messages INTEGER NOT NULL DEFAULT 0,
        changes INTEGER NOT NULL DEFAULT 0,
        shard INTEGER,
        upto INTEGER
    );
    CREATE TABLE shards (
        number INTEGER PRIMARY KEY,
        -- Something in it was deleted.
        dirty INTEGER NOT NULL DEFAULT 0,
        -- Nothing is added to it any more, and it is in more pieces than it need be.
        loose INTEGER NOT NULL DEFAULT 0
    );
    INSERT INTO state (epoch) SELECT value FROM store.meta WHERE key = 'epoch';
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {FORMAT};
    COMMIT;
"""
_TABLE = """
    CREATE VIRTUAL TABLE {} USING fts5 (
        terms, content = '', columnsize = 0, detail = none, prefix = 3, tokenize = ascii
    )
"""
# SQLite would end a text of JSON at U+0000, which is a space to a search. With no escaped backslash
# left, what looks like one is one.
_NOW = r"replace(replace(m.now, '\\', '\u005c'), '\u0000', '\u0020')"
_TEXT = f"ifnull({_NOW} ->> '$.message', m.message)"
"""What a message says now; nothing if it was deleted."""
# All as one value: each row that Python is given is a wait for its global lock.
_MESSAGES = f"""
    SELECT json_group_array(json_array(seq, room, key, text)) FROM (
        SELECT m.seq, m.room, r.key, {_TEXT} AS text
        FROM store.messages m JOIN store.rooms r ON r.number = m.room
        WHERE {{}} ORDER BY m.seq LIMIT ?
    )
"""
_RANGE = _MESSAGES.format("m.seq > ? AND m.seq <= ?")
_GIVEN = _MESSAGES.format("m.seq IN (SELECT value FROM json_each(?))")
_CHANGES = """
    SELECT json_group_array(json_array(seq, kind, message)) FROM (
        SELECT c.seq, c.kind, m.seq AS message
        FROM store.changes c LEFT JOIN store.messages m ON m.room = c.room AND m.id = c.of
        WHERE c.seq > ? AND c.seq <= ? ORDER BY c.seq LIMIT ?
    )
"""
_END = """
    SELECT
        (SELECT ifnull(max(seq), 0) FROM store.messages),
        (SELECT ifnull(max(seq), 0) FROM store.changes)
"""
# How many candidates there are, the last one, and those whose text may be looked for: a text of ASCII
# is told by LIKE, which is quicker than handing it to Python.
_FOUND = f"""
    SELECT json_array(count(*), min(seq), json_group_array(json_array(seq, key, id, text))
        FILTER (WHERE text LIKE ? OR length(text) < length(CAST(text AS BLOB)))
    ) FROM (
        SELECT c.seq, r.key, m.id, {_TEXT} AS text
        FROM ({{}} ORDER BY 1 DESC LIMIT ?) c
        LEFT JOIN store.messages m ON m.seq = c.seq LEFT JOIN store.rooms r ON r.number = m.room
    )
"""
_CANDIDATES = "SELECT rowid AS seq FROM {0} WHERE {0} MATCH ? AND rowid < ?"


class End(NamedTuple):
    """A place in the store: the numbers of a message and of a change."""

    messages: int
    changes: int


BEHIND_ALL = End(2**62, 2**62)
"""Behind all that there can be."""


class Stale(Exception):
    """An index that is not one of this store, and has to be made anew; the text says why."""


class Hit(NamedTuple):
    """A message that was found: its place in the store, its room's comparison form, and its id."""

    seq: int
    room: str
    id: int


class Hits(NamedTuple):
    """What was found, newest first; behind *next* there may be more."""

    found: list[Hit]
    next: int | None


class _State(NamedTuple):
    """How far the index has come in *messages* and *changes*, and in making *shard* anew."""

    messages: int
    changes: int
    shard: int | None
    upto: int | None


class IndexFile:
    """
    The index beside the store in the file *store* (absolute), which has to be there.

    For use in one thread. Everything raises `sqlite3.Error`, and the constructor `Stale` and `OSError`.
    """

    def __init__(self, store: Path) -> None:
        path = index_path(store)
        # Like the store it can be read by nobody else.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path.as_uri(), timeout=BUSY, isolation_level=None, uri=True)
        try:
            self._open(store)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def end(self) -> End:
        """How far the store has come."""
        return End(*self._db.execute(_END).fetchone())

    def behind(self, end: End) -> int:
        """Return how many messages and changes up to *end* are not in the index."""
        state = self._state()
        return max(0, end.messages - state.messages) + max(0, end.changes - state.changes)

    def take(self, size: int, end: End = BEHIND_ALL) -> bool:
        """
        Take up to *size* messages, or changes, from the store, none behind *end*.

        Returns whether there were any.
        """
        with self._transaction():
            state = self._state()
            rows = self._rows(_RANGE, state.messages, end.messages, size)
            if rows:
                self._insert(rows)
                self._db.execute("UPDATE state SET messages = ?", (rows[-1][0],))
                return True
            changes = self._rows(_CHANGES, state.changes, end.changes, size)
            if changes:
                self._change(changes, state)
                self._db.execute("UPDATE state SET changes = ?", (changes[-1][0],))
            return bool(changes)

    def join(self) -> bool:
        """Go on in making one piece of each shard that is whole; return whether there was need."""
        with self._transaction():
            shard = self._one("SELECT max(number) FROM shards WHERE loose")
            if shard is None:
                return False
            if not any(self._merge(_name(kind, shard)) for kind in (PUBLIC, DIRECT)):
                self._db.execute("UPDATE shards SET loose = 0 WHERE number = ?", (shard,))
        return True

    @property
    def dirty(self) -> bool:
        """Whether there is something in the index that was deleted."""
        return bool(
            self._one("SELECT shard IS NOT NULL OR (SELECT max(dirty) FROM shards) FROM state")
        )

    def purge(self, size: int) -> bool:
        """
        Go on by *size* messages in making a shard anew in which something was deleted.

        Returns whether it is done.
        """
        with self._transaction():
            state = self._state()
            shard = state.shard
            if shard is None:
                self._begin()
                return False
            end = min(state.messages, shard * SHARD + SHARD - 1)
            rows = self._rows(_RANGE, state.upto, end, size)
            if rows:
                self._write(_FRESH, rows)
                self._db.execute("UPDATE state SET upto = ?", (rows[-1][0],))
                return False
            for kind in (PUBLIC, DIRECT):
                self._db.execute(f"DROP TABLE {_name(kind, shard)}")
                self._db.execute(
                    f"ALTER TABLE {_name(kind, _FRESH)} RENAME TO {_name(kind, shard)}"
                )
            self._db.execute(
                "UPDATE shards SET loose = number < (SELECT max(number) FROM shards)"
                " WHERE number = ?",
                (shard,),
            )
            self._db.execute("UPDATE state SET shard = NULL")
        self._empty()
        return True

    def find(
        self,
        query: Query,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        until: float,
    ) -> Hits:
        """
        Return the newest *limit* messages before *before* that *query* finds.

        They are in *rooms*, or in any room that is not direct, or in *also*. After the time *until*
        (`time.monotonic`) it takes no further step, and ends with what it has found.
        """
        matches = self._matches(query, rooms, also)
        if not matches:
            return Hits([], None)
        allowed = {*(rooms or ()), *also}
        start = self._state().messages + 1 if before is None else before
        found: list[Hit] = []
        late = False
        for shard in self._shards((start - 1) // SHARD):
            statement = _FOUND.format(
                " UNION ALL ".join(_CANDIDATES.format(_name(kind, shard)) for kind in matches)
            )
            start = min(start, (shard + 1) * SHARD)
            size = limit + 1 - len(found)
            while True:
                if late:
                    return Hits(found, start)
                asked = [value for match in matches.values() for value in (match, start)]
                count, last, candidates = self._rows(statement, query.like, *asked, size)
                for seq, room, id, text in candidates:
                    public = rooms is None and room is not None and not _is_direct(room)
                    if (public or room in allowed) and query.finds(text):
                        if len(found) == limit:
                            return Hits(found, found[-1].seq)
                        found.append(Hit(seq, room, id))
                late = time.monotonic() > until
                if count < size:
                    break
                start = last
                size = min(2 * size, CANDIDATES)
        return Hits(found, None)

    def _matches(
        self, query: Query, rooms: Sequence[str] | None, also: Sequence[str]
    ) -> dict[str, str]:
        """Return what FTS5 is asked for in each kind of table."""
        terms = [f'"{term}"' for term in query.terms[:TERMS]]
        if query.prefix is not None:
            terms.append(f'"{query.prefix}" *')
        if not terms:
            return {}
        wanted = " AND ".join(terms)
        keys = [*(rooms or ()), *also]
        public = self._places([key for key in keys if not _is_direct(key)])
        direct = [key for key in keys if _is_direct(key)]
        users: frozenset[int] = frozenset()
        if len(direct) > FEW:
            # They are one user's, most likely.
            users = frozenset.intersection(*(parties(key) or users for key in direct))
        private = [f'"{_PARTY}{user}"' for user in users] or self._places(direct)
        matches = {}
        if rooms is None:
            matches[PUBLIC] = wanted
        elif public:
            matches[PUBLIC] = f"({' OR '.join(public)}) AND {wanted}"
        if private:
            matches[DIRECT] = f"({' OR '.join(private)}) AND {wanted}"
        return matches

    def _places(self, rooms: Sequence[str]) -> list[str]:
        """Return the terms for *rooms*, as far as there are such."""
        numbers = self._rows(
            "SELECT json_group_array(number) FROM store.rooms"
            " WHERE key IN (SELECT value FROM json_each(?))",
            json.dumps(rooms),
        )
        return [f'"{_ROOM}{number}"' for number in numbers]

    def _shards(self, newest: int) -> list[int]:
        """Return the numbers of the shards up to *newest*, backwards."""
        return self._rows(
            "SELECT json_group_array(number) FROM"
            " (SELECT number FROM shards WHERE number <= ? ORDER BY number DESC)",
            newest,
        )

    def _merge(self, table: str) -> bool:
        """Go on in making one piece of *table*; return whether there was need."""
        before = self._db.total_changes
        self._db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', -{PAGES})")
        # That it was asked for is one change.
        return self._db.total_changes - before > 1

    def _begin(self) -> None:
        """Begin to make a shard anew in which something was deleted."""
        shard = self._one("SELECT max(number) FROM shards WHERE dirty")
        self._db.execute("UPDATE shards SET dirty = 0 WHERE number = ?", (shard,))
        self._create(_FRESH)
        self._db.execute("UPDATE state SET shard = ?, upto = ?", (shard, shard * SHARD - 1))

    def _change(self, changes: list[Any], state: _State) -> None:
        """Take *changes*, of which each is a place in the store, a kind, and that of a message."""
        edited, deleted = (
            {
                seq
                for _, kind, seq in changes
                if kind == which and (seq or BEHIND_ALL.messages) <= state.messages
            }
            for which in ("edit", "delete")
        )
        if edited:
            rows = self._rows(_GIVEN, json.dumps(sorted(edited)), len(edited))
            self._insert(rows)
            self._write(_FRESH, [row for row in rows if _was_made(row[0], state)])
        shards = {
            seq // SHARD for seq in deleted if seq // SHARD != state.shard or _was_made(seq, state)
        }
        self._db.executemany(
            "UPDATE shards SET dirty = 1 WHERE number = ?", [(shard,) for shard in shards]
        )

    def _insert(self, rows: Iterable[Any]) -> None:
        """Add the messages *rows*, which are in order, to their tables."""
        for shard, some in groupby(rows, key=lambda row: row[0] // SHARD):
            new = "INSERT OR IGNORE INTO shards (number) VALUES (?)"
            if self._db.execute(new, (shard,)).rowcount:
                self._create(shard)
                self._db.execute(
                    "UPDATE shards SET loose = 1 WHERE number ="
                    " (SELECT max(number) FROM shards WHERE number < ?)",
                    (shard,),
                )
            self._write(shard, some)

    def _create(self, shard: int | str) -> None:
        for kind in (PUBLIC, DIRECT):
            self._db.execute(_TABLE.format(_name(kind, shard)))

    def _write(self, shard: int | str, rows: Iterable[Any]) -> None:
        entries: dict[str, list[tuple[int, str]]] = {PUBLIC: [], DIRECT: []}
        for seq, room, key, text in rows:
            if text:
                # SQLite would end the text there.
                terms = f"{indexed(text)} {_places(room, key)}".replace("\0", " ")
                entries[DIRECT if _is_direct(key) else PUBLIC].append((seq, terms))
        for kind, some in entries.items():
            if some:
                self._db.execute(
                    f"INSERT INTO {_name(kind, shard)} (rowid, terms)"
                    " SELECT value ->> 0, value ->> 1 FROM json_each(?)",
                    (json.dumps(some, ensure_ascii=False),),
                )

    def _open(self, store: Path) -> None:
        self._db.execute("ATTACH ? AS store", (f"{store.as_uri()}?mode=ro",))
        epoch = self._one("SELECT value FROM store.meta WHERE key = 'epoch'")
        if self._one("SELECT count(*) FROM main.sqlite_schema"):
            if self._one("PRAGMA application_id") != APPLICATION:
                raise Stale("is of another program")
            if self._one("PRAGMA user_version") != FORMAT:
                raise Stale("is of another version")
            state, end = self._state(), self.end
            ahead = state.messages > end.messages or state.changes > end.changes
            if ahead or self._one("SELECT epoch FROM state") != epoch:
                raise Stale("is of another store")
        self._db.execute("PRAGMA main.journal_mode = WAL")
        # At worst the last things taken are taken again.
        self._db.execute("PRAGMA main.synchronous = NORMAL")
        self._db.execute("PRAGMA main.secure_delete = 1")
        self._db.execute(f"PRAGMA main.journal_size_limit = {LEFT}")
        if not self._one("SELECT count(*) FROM main.sqlite_schema"):
            self._db.executescript(_SCHEMA)
        # It may have come to its end before this.
        self._empty()

    def _empty(self) -> None:
        """Empty the journal: what was overwritten in the file is still in there."""
        self._db.execute("PRAGMA main.wal_checkpoint(TRUNCATE)")

    def _state(self) -> _State:
        row = self._db.execute("SELECT messages, changes, shard, upto FROM state").fetchone()
        return _State(*row)

    def _one(self, statement: str, *values: object) -> Any:
        """Return the one value of the first row."""
        return self._db.execute(statement, values).fetchone()[0]

    def _rows(self, statement: str, *values: object) -> list[Any]:
        """Return the JSON array that is the result of *statement*."""
        rows: list[Any] = json.loads(self._one(statement, *values))
        return rows

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db:
            # After it has read, SQLite waits for nobody's lock: not even for a reader's, who may hold
            # one for a moment.
            self._db.execute("BEGIN IMMEDIATE")
            yield


def index_path(store: Path) -> Path:
    """Return where the index of *store* is."""
    return store.with_name(f"{store.name}.search")


def remove(store: Path) -> None:
    """Remove the index of *store*, if there is one. Raises `OSError`."""
    path = index_path(store)
    for rest in ("-wal", "-shm", ""):
        path.with_name(path.name + rest).unlink(missing_ok=True)


def _name(kind: str, shard: int | str) -> str:
    return f"{kind}_{shard}"


def _is_direct(room: str) -> bool:
    return room.startswith("@")


def _was_made(seq: int, state: _State) -> bool:
    """Return whether the message *seq* is in the shard that is being made anew."""
    return seq // SHARD == state.shard and seq <= (state.upto or 0)


def _places(room: int, key: str) -> str:
    """Return the terms for where a message is: in the room with this number and *key*."""
    return " ".join([f"{_ROOM}{room}", *(f"{_PARTY}{user}" for user in parties(key) or ())])
