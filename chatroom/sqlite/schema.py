"""The file of a store: its tables, how an older one gets them, and what is no store at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

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
    # What is added to messages is NULL for nearly all of them, and so takes no time to add.
    """
    -- JSON: the rest of what was said.
    ALTER TABLE messages ADD COLUMN more TEXT;
    -- JSON: all of the message as it is now, if anything has changed.
    ALTER TABLE messages ADD COLUMN now TEXT;
    -- The id of the change that took it back; nothing of it is left then.
    ALTER TABLE messages ADD COLUMN deleted INTEGER;
    ALTER TABLE rooms ADD COLUMN topic TEXT NOT NULL DEFAULT '';
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY,
        room INTEGER NOT NULL REFERENCES rooms,
        id INTEGER NOT NULL,
        kind TEXT NOT NULL,
        of INTEGER,
        user INTEGER NOT NULL REFERENCES users,
        name TEXT NOT NULL,
        type TEXT,
        value TEXT NOT NULL,
        time TEXT NOT NULL,
        nonce TEXT,
        more TEXT,
        UNIQUE (room, id)
    );
    CREATE UNIQUE INDEX change_nonces ON changes (user, nonce) WHERE nonce IS NOT NULL;
    CREATE INDEX edits ON changes (room, of, id) WHERE kind = 'edit';
    -- How far users have read; no id in a direct room of which they have not said.
    CREATE TABLE reads (
        user INTEGER NOT NULL,
        room INTEGER NOT NULL REFERENCES rooms,
        id INTEGER,
        PRIMARY KEY (user, room)
    ) WITHOUT ROWID;
    -- Whom others mention in messages as they are now.
    CREATE TABLE mentions (
        user INTEGER NOT NULL,
        room INTEGER NOT NULL REFERENCES rooms,
        id INTEGER NOT NULL,
        PRIMARY KEY (user, room, id)
    ) WITHOUT ROWID;
    -- Which messages refer to a file.
    CREATE TABLE files (
        file TEXT NOT NULL,
        room INTEGER NOT NULL REFERENCES rooms,
        id INTEGER NOT NULL,
        PRIMARY KEY (file, room, id)
    ) WITHOUT ROWID;
    """,
)
"""How a store gets from each schema version to the next; `PRAGMA user_version` counts them."""

BUSY = 1000
"""How many milliseconds a commit waits for a lock that another process holds."""


class Unfit(Exception):
    """What is wrong with a file, in words that follow its name."""


def connected(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode, for use in any one thread."""
    return sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None, check_same_thread=False)


def upgrade(db: sqlite3.Connection) -> None:
    """Bring the store to the newest schema. Raises `Unfit` where it is not one of ours."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise Unfit("is of another program")
    if version > len(UPGRADES):
        raise Unfit("was written by a newer version of chatroom")
    if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise Unfit("is on a file system that SQLite cannot use (WAL)")
    db.execute("PRAGMA synchronous = FULL")
    # What was taken back is not to be found in the file either.
    db.execute("PRAGMA secure_delete = ON")
    for number, step in enumerate(UPGRADES[version:], version + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; {step} PRAGMA application_id = {APPLICATION};"
            f"PRAGMA user_version = {number}; COMMIT;"
        )
