"""
The default log: one SQLite file, in which what was said is durable before anybody sees it.

One thread writes. While one commit is under way, what arrives meanwhile forms the next batch: at
low load a message waits for nothing, and at high load one ``fsync`` serves many. The reactor's
thread reads, over a connection of its own, which the writer never blocks (WAL).

Beside the file lies ``FILE.lock``. It keeps a second process out, and tells a restored backup: after
each commit it is noted there how far the store has come. A store that has not come as far, or is
another one, has ids that cannot be trusted, so that it gets a new epoch.

A batch is one statement, whatever its size: it runs in C without Python's global lock, which the
reactor needs too. A statement a message takes twice the time, and that lock at every one of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from msgspec.structs import replace
from twisted.logger import Logger

from chatroom.events import Message, Renamed, Who
from chatroom.log import (
    Draft,
    Known,
    Outcome,
    Pass,
    Refused,
    Said,
    Say,
    Unavailable,
    ignore,
    repeated,
)

MAGIC = b"SQLite format 3\0"
"""How a file of SQLite begins."""
APPLICATION = 0x63686174
"""What `PRAGMA application_id` says of our files: "chat" in ASCII."""

UPGRADES = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    CREATE TABLE rooms (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL
    );
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY,
        room INTEGER NOT NULL REFERENCES rooms,
        id INTEGER NOT NULL,
        user INTEGER NOT NULL REFERENCES users,
        name TEXT NOT NULL,
        type TEXT NOT NULL,
        message TEXT NOT NULL,
        time TEXT NOT NULL,
        nonce TEXT,
        UNIQUE (room, id)
    );
    CREATE UNIQUE INDEX nonces ON messages (user, nonce) WHERE nonce IS NOT NULL;
    """,
)
"""How a store gets from each schema version to the next; `PRAGMA user_version` counts them."""

BATCH = 1000
"""The most drafts of one commit."""
BATCH_TEXT = 250_000
"""After so many characters a batch is full: a batch is what each reader is sent at once."""
KNOWN = 10_000
"""The most rooms, and the most users' names, that the writer knows without asking the store."""
BUSY = 1000
"""How many milliseconds a commit waits for a lock that another process holds."""
BLOCK = 1000
"""Users' ids are reserved in the store by so many, so that a visitor costs no commit."""

_SELECTED = "m.id, r.name, m.message, m.type, m.user, m.name, m.time, m.nonce"
_MESSAGES = f"SELECT {_SELECTED} FROM messages m JOIN rooms r ON r.number = m.room"
_COLUMNS = ("room", "id", "user", "name", "type", "message", "time", "nonce")
_NOTE = 80
"""How many characters a note of it has: more than its three numbers and the epoch ever are."""


class StoreError(Exception):
    """A store that cannot be used; the text says which and why, in one line."""


class _Unfit(Exception):
    """What is wrong with a file, in words that follow its name."""


_Nonce = tuple[int, str]
"""A user's id and their nonce."""
_Original = tuple[str, Message]
"""The room in which something was said, and what."""


@dataclass(slots=True)
class _Room:
    """What the writer knows of a room: as which it is stored, its name, and its last id."""

    number: int
    name: str
    last: int


class SqliteLog:
    """
    A `chatroom.log.Log` in the file *path*, which is made if it is not there.

    *from_thread* is called in the writer's thread and calls a callable in this one, in order, like
    `IReactorFromThreads.callFromThread`. Raises `StoreError`.
    """

    _log = Logger()

    def __init__(self, path: Path, from_thread: Callable[[Callable[[], None]], object]) -> None:
        self.listener: Callable[[Sequence[Outcome]], None] = ignore
        # SQLite has names of its own for what is no file, and nobody may change the folder.
        self._path = Path(os.path.realpath(path))
        self._from_thread = from_thread
        self._drafts: list[Draft] = []
        self._busy = False
        self._failing = False
        self._rooms: dict[str, _Room] = {}
        self._names: dict[int, str] = {}
        self._renamed: dict[int, str] = {}
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        with contextlib.ExitStack() as undo:
            try:
                self._open(undo)
            except _Unfit as error:
                raise StoreError(f"the store {path} {error}") from error
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"cannot use the store {path}: {_reason(error)}") from error
            undo.pop_all()
        self._thread = threading.Thread(target=self._run, name=f"writer of {path}", daemon=True)
        self._thread.start()

    def append(self, draft: Draft) -> None:
        self._drafts.append(draft)
        if not self._busy:
            # Not at once: all that comes in one turn of the reactor is to be one batch.
            self._busy = True
            self._from_thread(self._dispatch)

    def room(self, room: str) -> Known | None:
        rows = self._read(
            "SELECT name, (SELECT max(id) FROM messages WHERE room = number)"
            " FROM rooms WHERE key = ?",
            room,
        )
        return Known(*rows[0]) if rows else None

    def since(self, room: str, after: int, limit: int) -> list[Message]:
        where = " WHERE r.key = ? AND m.id > ? ORDER BY m.id LIMIT ?"
        return [_message(row) for row in self._read(_MESSAGES + where, room, after, limit)]

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        where = " WHERE r.key = ? AND m.id < ? ORDER BY m.id DESC LIMIT ?"
        return [_message(row) for row in self._read(_MESSAGES + where, room, before, limit)][::-1]

    def user(self, id: int) -> str | None:
        rows = self._read("SELECT name FROM users WHERE id = ?", id)
        return rows[0][0] if rows else None

    def new_user(self) -> int:
        if self._next_user >= self._reserved:
            # They come faster than the store can be written, or it cannot be.
            return _drawn()
        self._next_user += 1
        return self._next_user - 1

    def check(self, report: Callable[[str | None], None]) -> None:
        def probe() -> None:
            done = self._attempt([], self._reserved)
            reason = _reason(done) if isinstance(done, Exception) else None
            self._from_thread(partial(report, reason))

        self._work.put(probe)

    def close(self) -> None:
        """Commit what was appended, and let go of the store. Its last outcomes are not told."""
        self.listener = ignore
        while self._drafts:
            self._dispatch()
        self._work.put(None)
        self._thread.join()
        # The user that comes next is known for sure only at an orderly end.
        self._attempt([], self._next_user)
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def _open(self, undo: contextlib.ExitStack) -> None:
        path = self._path
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        undo.callback(os.close, self._lock)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _Unfit("is in use by another process") from None
        # It holds the secret that users' tokens are signed with.
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._inode = os.fstat(file).st_ino
            # What is shorter than a page, SQLite takes for empty.
            if os.read(file, len(MAGIC)) not in (b"", MAGIC):
                raise _Unfit("is no database")
        finally:
            os.close(file)
        self._writer = undo.enter_context(contextlib.closing(_connected(path)))
        _upgrade(self._writer)
        self._begin()
        self._reader = undo.enter_context(contextlib.closing(_connected(path)))
        self._reader.execute("PRAGMA query_only = 1")
        # Now it has its files open, and goes on reading wherever they are moved.
        self._reader.execute("SELECT key FROM meta").fetchall()

    def _begin(self) -> None:
        meta = dict(self._writer.execute("SELECT key, value FROM meta"))
        (seq,) = self._writer.execute("SELECT ifnull(max(seq), 0) FROM messages").fetchone()
        users = meta.get("users", 0)
        self.secret: bytes = meta.get("secret") or secrets.token_bytes(32)
        note = os.pread(self._lock, _NOTE, 0).decode("ascii", "replace").split()
        known = len(note) == 4 and note[:2] == [str(self._inode), meta.get("epoch")]
        if known and seq >= int(note[2]):
            self.epoch: str = meta["epoch"]
            self._next_user: int = max(users, int(note[3]))
        else:
            self.epoch = secrets.token_hex(8)
            self._next_user = _drawn() if meta else 1
        self._seq: int = seq
        self._reserved = self._next_user + BLOCK
        self._writer.execute("BEGIN IMMEDIATE")
        self._set("secret", self.secret)
        self._set("epoch", self.epoch)
        self._set("users", self._reserved)
        self._writer.execute("COMMIT")
        self._note()
        os.fsync(self._lock)

    def _note(self) -> None:
        note = f"{self._inode} {self.epoch} {self._seq} {self._reserved}"
        os.pwrite(self._lock, note.ljust(_NOTE).encode("ascii"), 0)

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def _dispatch(self) -> None:
        size = text = 0
        for draft in self._drafts[:BATCH]:
            size += 1
            text += len(draft.message.message) if isinstance(draft, Say) else 0
            if text > BATCH_TEXT:
                break
        batch, self._drafts = self._drafts[:size], self._drafts[size:]
        writes = any(isinstance(draft, Say) or isinstance(draft.event, Renamed) for draft in batch)
        low = self._next_user + BLOCK // 2 > self._reserved
        if writes or low or self._renamed:
            self._work.put(partial(self._commit, batch, self._next_user + BLOCK if low else None))
        else:
            # Nothing of it is kept, so that the other thread has nothing to do with it.
            self._from_thread(partial(self._done, batch))

    def _done(self, outcomes: Sequence[Any]) -> None:
        if self._drafts:
            # Not at once either: those who now hear of these have their next word ready, and would
            # else come one batch behind the others for ever.
            self._from_thread(self._dispatch)
        else:
            self._busy = False
        self.listener(outcomes)

    # From here on: the writer's thread.

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _commit(self, batch: list[Draft], reserve: int | None) -> None:
        for draft in batch:
            if isinstance(draft, Pass) and isinstance(draft.event, Renamed):
                self._renamed[draft.event.id] = draft.event.name
        outcomes: Sequence[Outcome] | Exception = self._attempt(batch, reserve)
        if isinstance(outcomes, Exception):
            outcomes = [
                Refused(draft, "unavailable") if isinstance(draft, Say) else draft
                for draft in batch
            ]
        self._from_thread(partial(self._done, outcomes))

    def _attempt(self, batch: list[Draft], reserve: int | None) -> list[Outcome] | Exception:
        """Keep *batch*, and *reserve*; return the outcomes, or what kept it from being durable."""
        done: list[Outcome] | Exception
        wrote = False
        try:
            if os.stat(self._path).st_ino != self._inode:
                raise FileNotFoundError("the file is another one now")
            try:
                done, wrote = self._transact(batch, reserve, {})
            except sqlite3.IntegrityError:
                # Said again, most likely: so rarely that it is cheaper not to ask before.
                self._forget()
                done, wrote = self._transact(batch, reserve, self._originals(batch))
            # It is durable, noted or not. Without a note, all that may be missed is a restore.
            with contextlib.suppress(OSError):
                self._note()
        except Exception as error:  # noqa: BLE001 (whatever it is, this thread must go on)
            done = error
            self._forget()
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error | OSError):
                self._log.failure("a bug in writing the store")
        failed = isinstance(done, Exception)
        # Success with nothing to write does not tell that it can be written again.
        if failed != self._failing and (failed or wrote):
            self._failing = failed
            # While it fails, nobody is kept waiting for what will most likely fail again.
            self._writer.execute(f"PRAGMA busy_timeout = {0 if failed else BUSY}")
            if isinstance(done, Exception):
                reason = _reason(done)
                self._log.error(
                    "cannot write the store {path}: {reason}", path=self._path, reason=reason
                )
            else:
                self._log.info("can write the store {path} again", path=self._path)
        return done

    def _transact(
        self, batch: list[Draft], reserve: int | None, originals: dict[_Nonce, _Original]
    ) -> tuple[list[Outcome], bool]:
        """
        Keep *batch* in one transaction; return the outcomes, and whether anything was written.

        Raises `sqlite3.IntegrityError` where something is said again that is not in *originals*.
        """
        for known in (self._rooms, self._names):
            if len(known) > KNOWN:
                known.clear()
        before = self._writer.total_changes
        self._writer.execute("BEGIN IMMEDIATE")
        outcomes: list[Outcome] = []
        names: dict[int, str] = {}
        rows: list[object] = []
        for draft in batch:
            if isinstance(draft, Say):
                outcomes.append(self._say(draft, originals, names, rows))
            else:
                outcomes.append(draft)
        seq = self._seq
        if rows:
            # Few sizes, so that few statements are compiled.
            size = 1 << (len(rows) // len(_COLUMNS) - 1).bit_length()
            rows += (0,) * (size * len(_COLUMNS) - len(rows))
            seq = self._writer.execute(_insertion(size), rows).lastrowid or seq
        self._name(names)
        if reserve is not None:
            self._set("users", reserve)
        self._writer.execute("COMMIT")
        self._seq = seq
        if reserve is not None:
            self._reserved = reserve
        self._renamed.clear()
        return outcomes, self._writer.total_changes > before

    def _say(
        self,
        draft: Say,
        originals: dict[_Nonce, _Original],
        names: dict[int, str],
        rows: list[object],
    ) -> Outcome:
        """Return what becomes of *draft*; add to the others what is to be kept of it."""
        wish = draft.message
        sender, nonce = wish.sender, wish.nonce
        if nonce is not None and (original := originals.get((sender.id, nonce))):
            return repeated(draft, *original)
        room = self._rooms.get(draft.room) or self._room(draft)
        room.last += 1
        message = replace(wish, id=room.last, room=room.name)
        if nonce is not None:
            originals[sender.id, nonce] = draft.room, message
        names[sender.id] = sender.name
        rows += (
            room.number,
            room.last,
            sender.id,
            sender.name,
            wish.type,
            wish.message,
            wish.time,
            # To bind None takes longer than all the rest.
            0 if nonce is None else nonce,
        )
        return Said(draft, message)

    def _originals(self, batch: list[Draft]) -> dict[_Nonce, _Original]:
        """Return what was said before under the nonces of *batch*."""
        nonces: list[object] = []
        for draft in batch:
            if isinstance(draft, Say) and draft.message.nonce is not None:
                nonces += (draft.message.sender.id, draft.message.nonce)
        if not nonces:
            return {}
        asked = ", ".join(["(?, ?)"] * (len(nonces) // 2))
        found = self._writer.execute(
            f"WITH asked (user, nonce) AS (VALUES {asked}) SELECT r.key, {_SELECTED} FROM asked"
            " CROSS JOIN messages m ON m.user = asked.user AND m.nonce = asked.nonce"
            " JOIN rooms r ON r.number = m.room",
            nonces,
        )
        originals = {}
        for room, *row in found:
            message = _message(row)
            assert message.nonce is not None
            originals[message.sender.id, message.nonce] = room, message
        return originals

    def _name(self, names: dict[int, str]) -> None:
        """Keep the *names* of who spoke, then those of who was renamed."""
        new = [(id, name) for id, name in names.items() if self._names.get(id) != name]
        if new:
            self._writer.executemany(
                "INSERT INTO users VALUES (?, ?) ON CONFLICT (id)"
                " DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
                new,
            )
            self._names.update(new)
        if self._renamed:
            self._writer.executemany(
                "UPDATE users SET name = ? WHERE id = ?",
                [(name, id) for id, name in self._renamed.items()],
            )
            for id in self._renamed:
                self._names.pop(id, None)

    def _room(self, draft: Say) -> _Room:
        """Return the room of *draft*, which is made if nothing was said in it."""
        found = self._writer.execute(
            "SELECT number, name, (SELECT ifnull(max(id), 0) FROM messages WHERE room = number)"
            " FROM rooms WHERE key = ?",
            (draft.room,),
        ).fetchone()
        if found is None:
            name = draft.message.room
            number = self._writer.execute(
                "INSERT INTO rooms (key, name) VALUES (?, ?)", (draft.room, name)
            ).lastrowid
            found = number, name, 0
        room = self._rooms[draft.room] = _Room(*found)
        return room

    def _forget(self) -> None:
        """Ask the store again from now on: what is known may have been rolled back."""
        self._rooms.clear()
        self._names.clear()

    def _set(self, key: str, value: object) -> None:
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


@cache
def _insertion(size: int) -> str:
    """Return the statement that inserts up to *size* messages; what is over is all zeros."""
    values = ", ".join(["(" + ", ".join("?" * len(_COLUMNS)) + ")"] * size)
    columns = ", ".join(f"column{n}" for n in range(1, len(_COLUMNS)))
    return (
        f"INSERT OR ROLLBACK INTO messages ({', '.join(_COLUMNS)})"
        f" SELECT {columns}, nullif(column{len(_COLUMNS)}, 0) FROM (VALUES {values}) WHERE column1"
    )


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode, for use in any one thread."""
    return sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None, check_same_thread=False)


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring the store to the newest schema. Raises `_Unfit` where it is not one of ours."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise _Unfit("is of another program")
    if version > len(UPGRADES):
        raise _Unfit("was written by a newer version of chatroom")
    if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise _Unfit("is on a file system that SQLite cannot use (WAL)")
    db.execute("PRAGMA synchronous = FULL")
    for number, upgrade in enumerate(UPGRADES[version:], version + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; {upgrade} PRAGMA application_id = {APPLICATION};"
            f"PRAGMA user_version = {number}; COMMIT;"
        )


def _reason(error: Exception) -> str:
    """Return what *error* says, without the path that the system's errors repeat."""
    return getattr(error, "strerror", None) or str(error)


def _drawn() -> int:
    """Return an id that surely nobody has, nor anybody soon counted from it."""
    return 1 + secrets.randbits(52)


def _message(row: Sequence[Any]) -> Message:
    id, room, message, type, user, name, time, nonce = row
    return Message(id, room, message, type, Who(user, name), time, nonce)
