"""
Having a store for oneself: its lock, and whether the ids that were given out can be trusted.

Beside the file lies ``FILE.lock``. It keeps a second process out, and tells a restored backup: after
each commit it is noted there how far the store has come. A store that has not come as far, or is
another one, has ids that cannot be trusted, so that it gets a new epoch.

So does a store whose lock was put back in place together with it. Copying sets the lock's ctime,
which nobody can set back: it is later than the mtime, if that was copied too, or else than the time
in the note. A change of its owner or mode after a stop looks the same, and may cost a new epoch
without need: clients start afresh.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path

from chatroom.sqlite.schema import Unfit, connected, upgrade

MAGIC = b"SQLite format 3\0"
"""How a file of SQLite begins."""
BLOCK = 1000
"""Users' ids are reserved in the store by so many, so that a visitor costs no commit."""
GLANCE = 50
"""How many milliseconds the journal's being emptied waits for who reads it, and talk for that."""
GRAIN = 0.1
"""By no more seconds differ the two times that a write gives a file (but for FAT on an old Linux)."""
LAG = 300.0
"""After a power cut a file may have its last times, and what it said less than so long before."""
_NOTE = 120
"""How many characters a note of it has: more than its five numbers and the epoch ever are."""


class Opened:
    """
    The store *path*, open to be written.

    Raises `Unfit`, `sqlite3.Error`, `OSError`.
    """

    epoch: str
    secret: bytes
    next_user: int
    """The id of the user that comes next."""
    reserved: int
    """Users' ids below are reserved."""
    messages: int
    """The number of the last message, over all rooms."""
    changes: int
    """The number of the last change, over all rooms."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with contextlib.ExitStack() as undo:
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            undo.callback(os.close, self._lock)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unfit("is in use by another process") from None
            # It holds the secret that users' tokens are signed with.
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._inode = os.fstat(file).st_ino
                # What is shorter than a page, SQLite takes for empty.
                if os.read(file, len(MAGIC)) not in (b"", MAGIC):
                    raise Unfit("is no database")
            finally:
                os.close(file)
            self.db = undo.enter_context(contextlib.closing(connected(path)))
            upgrade(self.db)
            self._begin()
            undo.pop_all()

    def check(self) -> None:
        """Raise `OSError` where *path* is not this store any more."""
        if os.stat(self.path).st_ino != self._inode:
            raise FileNotFoundError("the file is another one now")

    def set(self, key: str, value: object) -> None:
        """Keep *value* of the whole store under *key*."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def note(self) -> None:
        """Note how far the store has come."""
        place = f"{self.messages} {self.reserved} {self.changes}"
        note = f"{self._inode} {self.epoch} {place} {time.time():.0f}"
        os.pwrite(self._lock, note.ljust(_NOTE).encode("ascii"), 0)

    def empty(self) -> bool:
        """
        Empty the journal: what was overwritten in the file is still in there.

        Returns whether it is empty. Who reads it keeps it from that, and is hardly waited for.
        """
        (wait,) = self.db.execute("PRAGMA busy_timeout").fetchone()
        self.db.execute(f"PRAGMA busy_timeout = {GLANCE}")
        try:
            busy, *_ = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self.db.execute(f"PRAGMA busy_timeout = {wait}")
        return not busy

    def close(self) -> None:
        """Let go of the store."""
        self.db.close()
        os.close(self._lock)

    def _begin(self) -> None:
        meta = dict(self.db.execute("SELECT key, value FROM meta"))
        self.messages, self.changes = self.db.execute(
            "SELECT (SELECT ifnull(max(seq), 0) FROM messages),"
            " (SELECT ifnull(max(seq), 0) FROM changes)"
        ).fetchone()
        self.secret = meta.get("secret") or secrets.token_bytes(32)
        note = os.pread(self._lock, _NOTE, 0).decode("ascii", "replace").split()
        lock = os.fstat(self._lock)
        # There were no changes in the first schema, and a time came later still.
        if len(note) in (4, 5):
            note += ["0", f"{lock.st_mtime:.0f}"][len(note) - 4 :]
        known = (
            len(note) == 6
            and note[:2] == [str(self._inode), meta.get("epoch")]
            # A write sets both.
            and abs(lock.st_ctime - lock.st_mtime) <= GRAIN
            and lock.st_ctime <= int(note[5]) + LAG
        )
        if known and self.messages >= int(note[2]) and self.changes >= int(note[4]):
            self.epoch = meta["epoch"]
            self.next_user = max(meta.get("users", 0), int(note[3]))
        else:
            self.epoch = secrets.token_hex(8)
            self.next_user = drawn() if meta else 1
        self.reserved = self.next_user + BLOCK
        self.db.execute("BEGIN IMMEDIATE")
        self.set("secret", self.secret)
        self.set("epoch", self.epoch)
        self.set("users", self.reserved)
        self.db.execute("COMMIT")
        self.note()
        os.fsync(self._lock)


def drawn() -> int:
    """Return an id that surely nobody has, nor anybody soon counted from it."""
    return 1 + secrets.randbits(52)
