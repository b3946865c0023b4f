"""
The default log: one SQLite file, in which what was said is durable before anybody sees it.

One thread writes. While one commit is under way, what arrives meanwhile forms the next batch: at
low load a message waits for nothing, and at high load one ``fsync`` serves many. The reactor's
thread reads, over a connection of its own, which the writer never blocks (WAL).

Beside the file lies ``FILE.lock``. It keeps a second process out, and tells a restored backup: after
each commit it is noted there how far the store has come. A store that has not come as far, or is
another one, has ids that cannot be trusted, so that it gets a new epoch.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
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
BUSY = 1000
"""How many milliseconds a commit waits for a lock that another process holds."""
BLOCK = 1000
"""Users' ids are reserved in the store by so many, so that a visitor costs no commit."""

_COLUMNS = "m.id, r.name, m.message, m.type, m.user, m.name, m.time, m.nonce"
_MESSAGES = f"SELECT {_COLUMNS} FROM messages m JOIN rooms r ON r.number = m.room"
_FAR = "SELECT ifnull(max(seq), 0), (SELECT value FROM meta WHERE key = 'users') FROM messages"
_NOTE = 80
"""How many characters a note of it has: more than its three numbers and the epoch ever are."""


class StoreError(Exception):
    """A store that cannot be used; the text says which and why, in one line."""


class _Unfit(Exception):
    """What is wrong with a file, in words that follow its name."""


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
        self._last: dict[int, int] = {}
        self._numbers: dict[str, tuple[int, str]] = {}
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
            self._dispatch()

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
            error = self._attempt(partial(self._set, "users", self._reserved))
            self._from_thread(partial(report, None if error is None else _reason(error)))

        self._work.put(probe)

    def close(self) -> None:
        """Commit what was appended, and let go of the store. Its last outcomes are not told."""
        self.listener = ignore
        while self._drafts:
            self._dispatch()
        self._work.put(None)
        self._thread.join()
        # The user that comes next is known for sure only at an orderly end.
        self._attempt(partial(self._write, [], self._next_user))
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
        seq, users = self._writer.execute(_FAR).fetchone()
        self.secret: bytes = meta.get("secret") or secrets.token_bytes(32)
        note = os.pread(self._lock, _NOTE, 0).decode("ascii", "replace").split()
        known = len(note) == 4 and note[:2] == [str(self._inode), meta.get("epoch")]
        if known and seq >= int(note[2]):
            self.epoch: str = meta["epoch"]
            self._next_user: int = max(users, int(note[3]))
        else:
            self.epoch = secrets.token_hex(8)
            self._next_user = _drawn() if meta else 1
        self._reserved = self._next_user + BLOCK
        self._writer.execute("BEGIN IMMEDIATE")
        self._set("secret", self.secret)
        self._set("epoch", self.epoch)
        self._set("users", self._reserved)
        self._writer.execute("COMMIT")
        self._note()
        os.fsync(self._lock)

    def _note(self) -> None:
        seq, users = self._writer.execute(_FAR).fetchone()
        note = f"{self._inode} {self.epoch} {seq} {users}"
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
        self._busy = True
        self._work.put(partial(self._commit, batch))

    def _done(self, outcomes: Sequence[Outcome]) -> None:
        self._busy = False
        if self._drafts:
            self._dispatch()
        self.listener(outcomes)

    # From here on: the writer's thread.

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _commit(self, batch: list[Draft]) -> None:
        for draft in batch:
            if isinstance(draft, Pass) and isinstance(draft.event, Renamed):
                self._renamed[draft.event.id] = draft.event.name
        outcomes: list[Outcome] = []
        low = self._next_user + BLOCK // 2 > self._reserved
        reserve = self._next_user + BLOCK if low else self._reserved
        if low or self._renamed or any(isinstance(draft, Say) for draft in batch):
            error = self._attempt(lambda: outcomes.extend(self._write(batch, reserve)))
            if error is None:
                self._reserved = reserve
                self._renamed.clear()
            else:
                outcomes = [
                    Refused(draft, "unavailable") if isinstance(draft, Say) else draft
                    for draft in batch
                ]
        else:
            outcomes.extend(draft for draft in batch if isinstance(draft, Pass))
        self._from_thread(partial(self._done, outcomes))

    def _attempt(self, write: Callable[[], object]) -> Exception | None:
        """Do *write* as one transaction; return what kept it from being durable, if anything."""
        error: Exception | None = None
        changes = self._writer.total_changes
        try:
            if self._path.stat().st_ino != self._inode:
                raise FileNotFoundError("the file is another one now")
            self._writer.execute("BEGIN IMMEDIATE")
            write()
            self._writer.execute("COMMIT")
            # It is durable, noted or not. Without a note, all that may be missed is a restore.
            with contextlib.suppress(sqlite3.Error, OSError):
                self._note()
        except Exception as caught:  # noqa: BLE001 (whatever it is, this thread must go on)
            error = caught
            self._last.clear()
            self._numbers.clear()
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error | OSError):
                self._log.failure("a bug in writing the store")
        # Success with nothing to write does not tell that it can be written again.
        wrote = self._writer.total_changes > changes
        if (error is not None) != self._failing and (error is not None or wrote):
            self._failing = error is not None
            # While it fails, nobody is kept waiting for what will most likely fail again.
            self._writer.execute(f"PRAGMA busy_timeout = {0 if self._failing else BUSY}")
            if error is not None:
                reason = _reason(error)
                self._log.error(
                    "cannot write the store {path}: {reason}", path=self._path, reason=reason
                )
            else:
                self._log.info("can write the store {path} again", path=self._path)
        return error

    def _write(self, batch: list[Draft], reserve: int) -> list[Outcome]:
        names = {
            draft.message.sender.id: draft.message.sender.name
            for draft in batch
            if isinstance(draft, Say)
        }
        self._writer.executemany(
            "INSERT INTO users VALUES (?, ?) ON CONFLICT (id)"
            " DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
            names.items(),
        )
        self._writer.executemany(
            "UPDATE users SET name = ? WHERE id = ?",
            [(name, id) for id, name in self._renamed.items()],
        )
        outcomes: list[Outcome] = [
            self._say(draft) if isinstance(draft, Say) else draft for draft in batch
        ]
        if reserve != self._reserved:
            self._set("users", reserve)
        return outcomes

    def _say(self, draft: Say) -> Outcome:
        wish = draft.message
        if wish.nonce is not None:
            found = self._writer.execute(
                f"SELECT r.key, {_COLUMNS} FROM messages m JOIN rooms r ON r.number = m.room"
                " WHERE m.user = ? AND m.nonce = ?",
                (wish.sender.id, wish.nonce),
            ).fetchone()
            if found:
                return repeated(draft, found[0], _message(found[1:]))
        number, name = self._number(draft)
        id = self._last.get(number)
        if id is None:
            (id,) = self._writer.execute(
                "SELECT ifnull(max(id), 0) FROM messages WHERE room = ?", (number,)
            ).fetchone()
        message = replace(wish, id=id + 1, room=name)
        self._writer.execute(
            "INSERT INTO messages (room, id, user, name, type, message, time, nonce)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                message.id,
                wish.sender.id,
                wish.sender.name,
                wish.type,
                wish.message,
                wish.time,
                wish.nonce,
            ),
        )
        self._last[number] = message.id
        return Said(draft, message)

    def _number(self, draft: Say) -> tuple[int, str]:
        found = self._numbers.get(draft.room)
        if found is None:
            self._writer.execute(
                "INSERT INTO rooms (key, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (draft.room, draft.message.room),
            )
            found = self._numbers[draft.room] = self._writer.execute(
                "SELECT number, name FROM rooms WHERE key = ?", (draft.room,)
            ).fetchone()
        return found

    def _set(self, key: str, value: object) -> None:
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


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
