"""A store of the first schema, with all that was said in it, becomes one of today."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatroom.events import Message, Reaction, Who
from chatroom.log import Known, Repeated, Said
from tests.log_contract import ANN, BOB, said, say
from tests.log_contract_changes import edit, react
from tests.test_sqlite import Desk, database

TIME = "2026-10-21T07:28:00.000Z"
# As it was written then, so that nothing that is done to today's can change it.
FIRST = """
    PRAGMA journal_mode = WAL;
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
    PRAGMA application_id = 0x63686174;
    PRAGMA user_version = 1;
    INSERT INTO meta VALUES ('epoch', '0123456789abcdef'), ('users', 7), ('secret', zeroblob(32));
    INSERT INTO rooms (key, name) VALUES ('lobby', 'Lobby'), ('dev', 'Dev');
    INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob');
"""
SAID = "INSERT INTO messages (room, id, user, name, type, message, time, nonce) VALUES"


def first(path: Path, messages: int = 0) -> None:
    """Make a store of the first schema at *path*, as a daemon of then left it behind."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(FIRST)
        db.execute(f"{SAID} (1, 1, 1, 'Ann', 'text', 'hello', '{TIME}', 'n')")
        db.execute(f"{SAID} (2, 1, 2, 'Bob', 'text', 'hi', '{TIME}', NULL)")
        db.execute("BEGIN")
        db.executemany(
            f"{SAID} (1, ?, 1, 'Ann', 'text', 'x', '{TIME}', NULL)",
            [(id,) for id in range(2, 2 + messages)],
        )
        db.execute("COMMIT")
        (seq,) = db.execute("SELECT max(seq) FROM messages").fetchone()
    note = f"{path.stat().st_ino} 0123456789abcdef {seq} 7".ljust(80)
    path.with_name(f"{path.name}.lock").write_text(note)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


def test_all_that_was_said_is_still_there(path: Path) -> None:
    first(path)
    hello = Message(1, "Lobby", "hello", "text", ANN, TIME, "n")
    for _ in range(2):
        with Desk(path) as desk:
            log = desk.log
            assert log.epoch == "0123456789abcdef", "ids that were given out go on to be good"
            assert log.secret == bytes(32)
            assert log.since("lobby", 0, 9) == [hello]
            assert log.before("dev", 9, 9) == [Message(1, "Dev", "hi", "text", BOB, TIME)]
            assert log.room("lobby") == Known("Lobby", 1, 1, "")
            assert log.rooms("", "", 9) == [Known("Dev", 1, 1, ""), Known("Lobby", 1, 1, "")]
            assert log.readings(1) == []
            assert [log.user(id) for id in (1, 2, 3)] == ["Ann", "Bob", None]
            assert desk.search("hello") == [hello]
            (again,) = desk.settle(say("hello", nonce="n"))
            assert isinstance(again, Repeated)
            assert again.entry == hello


def test_an_old_message_can_be_changed(path: Path) -> None:
    first(path)
    with Desk(path) as desk:
        (outcome, *_) = desk.settle(edit(1, "HELLO"), react(1, "👍", BOB), say("next"))
        assert isinstance(outcome, Said)
        now = desk.log.message("lobby", 1)
        assert now is not None
        assert (now.message, now.reactions) == ("HELLO", (Reaction("👍", (BOB,)),))
        assert [version.message for version in desk.log.edits("lobby", 1, 9)] == ["hello", "HELLO"]
        assert [entry.id for entry in desk.log.since("lobby", 0, 9)] == [1, 2, 3, 4]


def test_the_next_user_is_a_new_one(path: Path) -> None:
    first(path)
    with Desk(path) as desk:
        assert desk.log.new_user() == 7


def test_an_upgrade_does_not_touch_the_messages(path: Path) -> None:
    first(path, 20_000)
    size = path.stat().st_size
    assert size > 1_000_000
    with Desk(path) as desk:
        written = path.with_name(f"{path.name}-wal").stat().st_size
        assert written < size / 5
        known = desk.log.room("lobby")
        assert known == Known("Lobby", 20_001, 20_001, "")
        assert said(desk.settle(say("a", sender=Who(3, "Cid"))))[0].id == 20_002
    with database(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
