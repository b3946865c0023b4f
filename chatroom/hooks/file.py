"""
The file of hooks beside the store: ``chatroom.sqlite.hooks``.

The daemon and ``chatroom-admin`` have it open at the same time; it holds secrets, so that nobody
else may read it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

APPLICATION = 0x686F6F6B
"""What `PRAGMA application_id` says of our files: "hook" in ASCII."""
VERSION = 1
BUSY = 5.0
"""So many seconds a change waits for one that another process makes."""

SCHEMA = (
    """
    CREATE TABLE incoming (
        id TEXT PRIMARY KEY,
        room TEXT NOT NULL,
        name TEXT NOT NULL,
        -- SHA-256 of the secret.
        digest BLOB NOT NULL UNIQUE,
        token TEXT
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE outgoing (
        id TEXT PRIMARY KEY,
        room TEXT NOT NULL,
        url TEXT NOT NULL,
        private INTEGER NOT NULL,
        key BLOB NOT NULL,
        cursor TEXT,
        trouble TEXT,
        ended INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


class HooksError(Exception):
    """What keeps the file of hooks from being used; its text is one line for people."""


class Incoming(NamedTuple):
    """
    A hook by which programs say something in *room*, as *name* if they have no other wish.

    *digest* is the SHA-256 of the secret in its address; *token* that of the user who speaks, once
    there is one.
    """

    id: str
    room: str
    name: str
    digest: bytes
    token: str | None = None


class State(NamedTuple):
    """
    How far an outgoing hook has come: *cursor* is that of the last entry that was taken.

    *trouble*: why the next one is not, if so. *ended*: it is wanted no more.
    """

    cursor: str | None = None
    trouble: str | None = None
    ended: bool = False


class Outgoing(NamedTuple):
    """
    A hook that posts what is said in *room* to *url*, signed with *key*.

    *private*: that may lead to an address that is not public.
    """

    id: str
    room: str
    url: str
    private: bool
    key: bytes
    state: State = State()


def beside(store: Path) -> Path:
    """Return where the hooks of *store* are."""
    return store.with_name(f"{store.name}.hooks")


def new_id() -> str:
    """Return an id that no hook has, nor will have had, so that receivers can tell them apart."""
    return secrets.token_hex(4)


class HooksFile:
    """
    The hooks in *path*, which is made if it is not there.

    Everything here raises `HooksError`. `keep` may be called in a thread beside all else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._openings = 0
        self._open()

    def _open(self) -> None:
        with _told(self.path), ExitStack() as undo:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                inode = os.fstat(file).st_ino
                os.fchmod(file, 0o600)
                if os.geteuid() == 0:
                    # The daemon, which need not be root, is whose folder it is.
                    folder = self.path.absolute().parent.stat()
                    os.fchown(file, folder.st_uid, folder.st_gid)
            finally:
                os.close(file)
            self._db = undo.enter_context(closing(_connected(self.path)))
            _prepare(self._db)
            # Two connections, so that who looks does not wait for who writes.
            self._notes = undo.enter_context(closing(_connected(self.path)))
            # What gets lost in a power cut is sent twice.
            self._notes.execute("PRAGMA synchronous = NORMAL")
            self._inode = inode
            self._openings += 1
            undo.pop_all()

    def add(self, hook: Incoming | Outgoing) -> None:
        """Keep *hook*."""
        with _told(self.path):
            if isinstance(hook, Incoming):
                self._db.execute("INSERT INTO incoming VALUES (?, ?, ?, ?, ?)", hook)
            else:
                *members, state = hook
                values = "?, ?, ?, ?, ?, ?, ?, ?"
                self._db.execute(f"INSERT INTO outgoing VALUES ({values})", (*members, *state))

    def remove(self, id: str) -> bool:
        """Forget the hook *id*; return whether there was one."""
        with _told(self.path):
            return any(
                self._db.execute(f"DELETE FROM {table} WHERE id = ?", (id,)).rowcount
                for table in ("incoming", "outgoing")
            )

    def hooks(self) -> list[Incoming | Outgoing]:
        """Return all hooks, by room."""
        with _told(self.path):
            incoming = self._db.execute("SELECT * FROM incoming ORDER BY room, id").fetchall()
            outgoing = self._db.execute("SELECT * FROM outgoing ORDER BY room, id").fetchall()
        return [
            *(Incoming(*row) for row in incoming),
            *(
                Outgoing(id, room, url, bool(private), key, State(cursor, trouble, bool(ended)))
                for id, room, url, private, key, cursor, trouble, ended in outgoing
            ),
        ]

    def version(self) -> tuple[int, int]:
        """Return what is another pair when others have changed something, or made a new file."""
        with _told(self.path):
            if not self._there():
                self.close()
                self._open()
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return self._openings, version

    def keep(self, due: Mapping[str, str | State]) -> None:
        """Note what is *due*, by hook: a token, or a state. Of one that was removed, nothing."""
        with _told(self.path), self._notes:
            self._notes.execute("BEGIN IMMEDIATE")
            for id, what in due.items():
                if isinstance(what, State):
                    self._notes.execute(
                        "UPDATE outgoing SET cursor = ?, trouble = ?, ended = ? WHERE id = ?",
                        (*what, id),
                    )
                else:
                    self._notes.execute("UPDATE incoming SET token = ? WHERE id = ?", (what, id))

    def close(self) -> None:
        """Let go of the file."""
        self._notes.close()
        self._db.close()

    def _there(self) -> bool:
        """Return whether the file is still the one that is open."""
        try:
            return os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            return False


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables, if there is nothing yet."""
    # Of several processes that find nothing, one makes them.
    db.execute("BEGIN IMMEDIATE")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise sqlite3.DatabaseError("it is of another program")
    if version > VERSION:
        raise sqlite3.DatabaseError("it was written by a newer version of chatroom")
    for statement in SCHEMA if version == 0 else ():
        db.execute(statement)
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA secure_delete = ON")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise `HooksError` for what is wrong with *path*."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise HooksError(f"cannot use the hooks in {path}: {why}") from error
