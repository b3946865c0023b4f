from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import pytest
from msgspec.structs import replace
from twisted.internet import reactor as _reactor
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from websockets.sync.client import ClientConnection, connect
from zope.interface import provider

from benchmarks import history
from chatroom.events import Joined, Message, Renamed, Who
from chatroom.log import (
    Draft,
    Found,
    Known,
    Outcome,
    Pass,
    Refused,
    Repeated,
    Said,
    Say,
    Unavailable,
)
from chatroom.names import direct
from chatroom.sqlite import BATCH, BATCH_TEXT, SqliteLog, StoreError, opening, schema, writing
from chatroom.sqlite.opening import BLOCK
from tests.daemon import TWISTD, Daemon, until
from tests.log_contract import BOB, LogContract, said, say, texts
from tests.log_contract_changes import delete, edit, picture, react, topic
from tests.log_contract_marks import mark

reactor: Any = _reactor
CID = Pass("lobby", Joined("Lobby", 3, "Cid"), None)
NOBODY = 65534


class SqliteLogTests(LogContract, TestCase):
    """`SqliteLog` keeps the contract."""

    def make(self) -> SqliteLog:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        log = SqliteLog(Path(folder, "chatroom.sqlite"), reactor.callFromThread)
        self.addCleanup(log.close)
        return log


class Desk:
    """A `SqliteLog` at *path* and the batches that came out of it; closed at the end."""

    def __init__(self, path: Path) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.log = SqliteLog(path, self._calls.put)
        self.batches: list[Sequence[Outcome]] = []
        self.log.listener = self.batches.append

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    @property
    def outcomes(self) -> list[Outcome]:
        """All that came out so far."""
        return [outcome for batch in self.batches for outcome in batch]

    def turn(self) -> None:
        """Wait for the writer's thread to call, and take the call."""
        self._calls.get(timeout=60)()

    def settle(self, *drafts: Draft) -> list[Outcome]:
        """Append *drafts* at once, and return what has become of them."""
        before = len(self.outcomes)
        for draft in drafts:
            self.log.append(draft)
        while len(self.outcomes) < before + len(drafts):
            self.turn()
        return self.outcomes[before:]

    def search(self, query: str, *also: str, rooms: Sequence[str] | None = None) -> list[Message]:
        """Return the newest messages that *query* finds."""
        reports: list[Found | Unavailable] = []
        self.log.search(query, rooms, also, None, 50, reports.append)
        while not reports:
            self.turn()
        assert isinstance(reports[0], Found), reports[0]
        return reports[0].messages

    def check(self) -> str | None:
        """Return why the store cannot be written, if it cannot."""
        reports: list[str | None] = []
        self.log.check(reports.append)
        while not reports:
            self.turn()
        return reports[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit wait for a lock hardly at all."""
    monkeypatch.setattr(schema, "BUSY", 20)
    monkeypatch.setattr(writing, "BUSY", 20)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit wait for a lock however long a test takes to let go of it."""
    monkeypatch.setattr(schema, "BUSY", 60_000)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the store has logged."""
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "chatroom.sqlite.writing.Writer":
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of someone else to the file *path*, in autocommit mode."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@contextlib.contextmanager
def locked(path: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Keep everybody else from writing to the store *path*."""
    with database(path) as other:
        other.execute(f"BEGIN {how}")
        yield


def crash(path: Path, code: str) -> Any:
    """
    Run *code* with the `Desk` ``desk`` at *path* in a process that is killed at its end.

    Returns what it assigned to ``result``.
    """
    program = (
        "import json, os, signal, sys; from pathlib import Path\n"
        "from tests.test_sqlite import *; schema.BUSY = 20; path = Path(sys.argv[1]); desk = Desk(path)\n"
        f"{code}\n"
        "print(json.dumps(result), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return json.loads(done.stdout)


def back_up(path: Path) -> Path:
    """Return a backup of the store *path*, made as SQLite would have it."""
    backup = path.with_suffix(".backup")
    with database(path) as source, database(backup) as target:
        source.backup(target)
    return backup


def restore(backup: Path, path: Path) -> None:
    """Copy *backup* over the store *path*, as administrators do."""
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    inode = path.stat().st_ino
    shutil.copyfile(backup, path)
    assert path.stat().st_ino == inode


def refused(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what was refused as unavailable; fails where anything was not."""
    found = []
    for outcome in outcomes:
        assert isinstance(outcome, Refused), outcome
        assert outcome.code == "unavailable"
        entry = outcome.draft.entry
        found.append(entry.message if isinstance(entry, Message) else entry.event)
    return found


def why(path: Path) -> str:
    """Return why the store *path* is refused, in one line; fails where it is not."""
    files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StoreError) as caught:
        SqliteLog(path, lambda call: None)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == files, "files are still open"
    return str(caught.value)


# How it writes.


@pytest.mark.usefixtures("patient")
def test_one_transaction_a_batch(path: Path) -> None:
    with Desk(path) as desk:
        statements: list[str] = []
        desk.log._store.db.set_trace_callback(statements.append)
        with locked(path):
            # All of one turn is one batch, and so is all that comes while that is committed.
            desk.log.append(say("1"))
            desk.log.append(say("2"))
            desk.turn()
            for text in "345":
                desk.log.append(say(text))
            desk.log.append(CID)
            assert desk.batches == []
        while len(desk.outcomes) < 6:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [2, 4]
        assert statements.count("COMMIT") == 2
        assert texts(desk.log.since("lobby", 0, 9)) == ["1", "2", "3", "4", "5"]


def test_who_answers_what_they_hear_is_in_one_batch_with_those_who_were_late(path: Path) -> None:
    with Desk(path) as desk:
        listen = desk.log.listener

        def answer(batch: Sequence[Outcome]) -> None:
            desk.log.listener = listen
            listen(batch)
            # As soon as they hear of it, and before the reactor turns again.
            desk.log.append(say("an answer"))

        desk.log.listener = answer
        desk.log.append(say("a question"))
        desk.turn()
        desk.log.append(say("late"))
        while len(desk.outcomes) < 3:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [1, 2]


TABLES = "meta|rooms|users|messages|changes|reads|mentions|files|[rmcd]"
"""How the tables are called in the steps of a plan."""


def plans(path: Path, statements: list[str]) -> list[str]:
    """Return the steps in which SQLite would do *statements*."""
    with database(path) as other:
        return [
            detail
            for statement in statements
            for *_, detail in other.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]


@pytest.mark.usefixtures("patient")
def test_a_batch_is_one_statement_whatever_its_size(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("first", nonce="first"))
        statements: list[str] = []
        desk.log._store.db.set_trace_callback(statements.append)
        with locked(path):
            desk.log.append(say("alone"))
            for n in range(BATCH):
                desk.log.append(say(str(n), nonce=str(n)))
        while len(desk.outcomes) < BATCH + 2:
            desk.turn()
        assert [statement.split()[0] for statement in statements] == 2 * [
            "BEGIN",
            "INSERT",
            "COMMIT",
        ]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 127, 128, 129, BATCH - 1, BATCH])
def test_a_batch_of_any_size(path: Path, size: int) -> None:
    def drafts() -> list[Say]:
        return [
            say(f"t {n}", f"room{n % 3}", Who(1 + n % 7, f"u{n % 7}"), None if n % 2 else str(n))
            for n in range(size)
        ]

    with Desk(path) as desk:
        with locked(path):
            desk.log.append(CID)
            desk.log.append(say("first", "first"))
            for draft in drafts():
                desk.log.append(draft)
        while len(desk.outcomes) < size + 2:
            desk.turn()
        messages = said(desk.outcomes[2:])
        for room in range(3):
            here = messages[room::3]
            assert [m.id for m in here] == list(range(1, len(here) + 1))
            assert desk.log.since(f"room{room}", 0, BATCH) == here
        assert [replace(m, id=0) for m in messages] == [draft.entry for draft in drafts()]
    with Desk(path) as desk, database(path) as other:
        assert other.execute("SELECT count(*) FROM messages").fetchone() == (size + 1,)
        outcomes = desk.settle(*(draft for draft in drafts() if draft.entry.nonce is not None))
        assert [o.entry for o in outcomes if isinstance(o, Repeated)] == messages[::2]


def test_a_nonce_is_not_taken_for_none(path: Path) -> None:
    with Desk(path) as desk:
        for nonce in ("0", "", "\x00"):
            first, second = desk.settle(say("a", nonce=nonce), say("a", nonce=nonce))
            (third,) = desk.settle(say("a", nonce=nonce))
            assert isinstance(first, Said)
            assert isinstance(second, Repeated)
            assert isinstance(third, Repeated)
            assert first.entry.nonce == second.entry.nonce == third.entry.nonce == nonce


def test_what_was_said_again_amid_others(path: Path) -> None:
    with Desk(path) as desk:
        first = said(desk.settle(say("a", nonce="n"), say("x", "other", nonce="m")))
        outcomes = desk.settle(
            say("1"),
            say("2", "other", nonce="2"),
            say("a", nonce="n"),
            say("a", "other", nonce="n"),
            say("2", "other", nonce="2"),
            say("2", "lobby", nonce="2"),
            say("3", "third", BOB, "n"),
            say("b", nonce="n"),
            say("x", "other", nonce="m"),
            say("4", "other"),
            say("5", "third", BOB, "n"),
        )
        assert [type(outcome) for outcome in outcomes] == [
            *(Said, Said, Repeated, Refused, Repeated, Refused),
            *(Said, Refused, Repeated, Said, Refused),
        ]
        assert outcomes[2].entry == first[0]  # type: ignore[union-attr]
        assert outcomes[8].entry == first[1]  # type: ignore[union-attr]
        assert outcomes[4].entry == outcomes[1].entry  # type: ignore[union-attr]
        assert texts(desk.log.since("lobby", 0, 9)) == ["a", "1"]
        assert texts(desk.log.since("other", 0, 9)) == ["x", "2", "4"]
        assert texts(desk.log.since("third", 0, 9)) == ["3"]
        (outcome,) = desk.settle(say("6", "third"))
        assert isinstance(outcome, Said)
        assert outcome.entry.id == 2, "what was not said has left no hole"


def test_what_is_only_said_again_makes_no_room(path: Path) -> None:
    with Desk(path) as desk, database(path) as other:
        desk.settle(say("a", nonce="n"))
        desk.settle(say("a", "new", nonce="n"))
        assert other.execute("SELECT key FROM rooms").fetchall() == [("lobby",)]
        assert said(desk.settle(say("b", "new")))[0].id == 1


def test_someone_else_wrote_into_the_store(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        with database(path) as other:
            other.execute(
                "INSERT INTO messages (room, id, user, name, type, message, time)"
                " SELECT room, id + 1, user, name, type, 'theirs', time FROM messages"
            )
        assert said(desk.settle(say("b")))[0].id == 3
        assert texts(desk.log.since("lobby", 0, 9)) == ["a", "theirs", "b"]


def test_a_room_that_was_emptied(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a", "other"), say("b"))
    with database(path) as other:
        other.execute("DELETE FROM messages WHERE message = 'a'")
    with Desk(path) as desk:
        assert said(desk.settle(say("c", "other")))[0].id == 1


def test_what_it_knows_of_rooms_and_users_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "KNOWN", 3)
    with Desk(path) as desk:
        for turn in range(3):
            for n in range(1, 9):
                (message,) = said(desk.settle(say("a", f"room{n}", Who(n, f"user {turn}"))))
                assert message.id == turn + 1
                assert len(desk.log._writer._rooms) <= 4
                assert len(desk.log._writer._names) <= 4
        assert [desk.log.user(n) for n in range(1, 9)] == 8 * ["user 2"]


def test_a_name_that_comes_back(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        desk.settle(say("b", sender=Who(1, "Anna")))
        assert desk.log.user(1) == "Anna"
        desk.settle(say("c"))
        assert desk.log.user(1) == "Ann"
        desk.settle(Pass("", Renamed(1, "Anna", "Ann"), None))
        assert desk.log.user(1) == "Anna"
        desk.settle(say("d"))
        assert desk.log.user(1) == "Ann"
        desk.settle(say("alone"), say("e", sender=Who(1, "Anna")), say("f", sender=Who(1, "Anne")))
        assert desk.log.user(1) == "Anne"


def test_nothing_is_searched_for_from_one_end_to_the_other(path: Path) -> None:
    with Desk(path) as desk:
        log = desk.log
        desk.settle(say("a", nonce="n"), say("b", "other", BOB))
        statements: list[str] = []
        log._db.set_trace_callback(statements.append)
        log.since("lobby", 0, 50)
        log.before("lobby", 2, 50)
        log.after("lobby", 0, 50)
        log.message("lobby", 1)
        log.edits("lobby", 1, 9)
        log.room("lobby")
        log.rooms("o", "a", 9)
        log.readings(1)
        log.directs(1)
        log.named(1, "n", True)
        log.named(1, "n", False)
        log.read("lobby", 1)
        log.has_file("ab")
        log.user(1)
        assert len(statements) == 16
        log._store.db.set_trace_callback(statements.append)
        desk.settle(say("a", nonce="n"), say("c", "new", Who(3, "Cid"), "m"))
        desk.settle(Pass("", Renamed(3, "Cyd", "Cid"), None))
        desk.settle(edit(1, "b", "e"), react(1, "👍"), topic("tea"), picture())
        desk.settle(edit(1, "b", "e"), delete(1), delete(5))
        desk.settle(mark(1), mark(None), say("d", direct(1, 2).key))
        log._store.db.set_trace_callback(None)
        log._db.set_trace_callback(None)
        assert any("asked" in statement for statement in statements)
        statements = [s for s in statements if s not in ("BEGIN IMMEDIATE", "COMMIT")]
        steps = plans(path, statements)
        # Only one's own rooms are, to find the busy ones.
        unsorted = plans(path, [s for s in statements if "row_number" not in s])
    assert sum(step.startswith("SEARCH") for step in steps) >= 40
    assert [step for step in steps if re.match(f"SCAN ({TABLES})\\b", step)] == []
    assert len(unsorted) < len(steps)
    assert [step for step in unsorted if "TEMP B-TREE" in step] == []


def test_what_only_passes_costs_no_transaction(path: Path) -> None:
    with Desk(path) as desk:
        statements: list[str] = []
        desk.log._store.db.set_trace_callback(statements.append)
        assert desk.settle(CID, CID) == [CID, CID]
        assert statements == []


@pytest.mark.usefixtures("patient")
def test_a_batch_is_bounded_in_number_and_in_text(path: Path) -> None:
    with Desk(path) as desk:
        with locked(path):
            desk.log.append(say("first"))
            desk.turn()
            for _ in range(BATCH + 1):
                desk.log.append(CID)
            for _ in range(3):
                desk.log.append(say("x" * (BATCH_TEXT * 2 // 3)))
        while len(desk.outcomes) < BATCH + 5:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [1, BATCH, 3, 1]


def test_it_is_durable_before_it_is_told(path: Path) -> None:
    with Desk(path) as desk:
        told: list[int] = []

        def listen(batch: Sequence[Outcome]) -> None:
            with database(path) as other:
                told.extend(other.execute("SELECT count(*) FROM messages").fetchone())

        desk.log.listener = listen
        desk.log.append(say("a"))
        while not told:
            desk.turn()
        assert told == [1]


def test_the_pragmas_that_make_it_durable(path: Path) -> None:
    with Desk(path) as desk:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2)):
            assert desk.log._store.db.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def test_the_reader_cannot_write(path: Path) -> None:
    with Desk(path) as desk, pytest.raises(sqlite3.OperationalError, match="readonly"):
        desk.log._db.execute("DELETE FROM meta")


def test_files_are_for_their_owner_alone(path: Path) -> None:
    was = os.umask(0)
    try:
        with Desk(path) as desk:
            desk.settle(say("a"))
            # Now there are all the files that there will ever be, and none goes.
            desk.search("a")
            modes = {
                file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode)
                for file in path.parent.iterdir()
            }
    finally:
        os.umask(was)
    assert modes.keys() >= {"", "-wal", "-shm", ".lock", ".search", ".search-wal"}
    assert set(modes.values()) == {0o600}


def test_what_it_costs_does_not_grow_with_the_history(path: Path) -> None:
    with Desk(path) as desk:
        log = desk.log
        steps: list[int] = []

        def cost(work: Callable[[], object]) -> int:
            del steps[:]
            work()
            return len(steps)

        def costs() -> list[int]:
            return [
                cost(lambda: desk.settle(say("a", nonce=str(len(desk.outcomes))))),
                cost(lambda: desk.settle(say("b", nonce="0"))),
                cost(lambda: log.room("lobby")),
                cost(lambda: log.since("lobby", 100, 50)),
                cost(lambda: log.before("lobby", 100, 50)),
                cost(lambda: log.user(1)),
            ]

        for connection in (log._store.db, log._db):
            connection.set_progress_handler(lambda: steps.append(1), 1)
        desk.settle(*(say(str(n), nonce=str(n)) for n in range(200)))
        few = costs()
        for start in range(200, 10_000, 700):
            desk.settle(*(say(str(n), nonce=str(n)) for n in range(start, start + 700)))
        assert all(many <= 1.5 * before for many, before in zip(costs(), few, strict=True))


@pytest.mark.usefixtures("patient")
def test_a_bug_in_the_listener_stops_nothing(path: Path) -> None:
    with Desk(path) as desk:
        listen = desk.log.listener

        def fail(batch: Sequence[Outcome]) -> None:
            raise ZeroDivisionError

        with locked(path):
            desk.log.append(say("1"))
            desk.turn()
            desk.log.append(say("2"))
            desk.log.listener = fail
        with pytest.raises(ZeroDivisionError):
            desk.turn()
        desk.log.listener = listen
        while not desk.outcomes:
            desk.turn()
        assert texts(said([*desk.outcomes, *desk.settle(say("3"))])) == ["2", "3"]
        assert texts(desk.log.since("lobby", 0, 9)) == ["1", "2", "3"]


def test_a_bug_in_writing_is_logged_and_stops_nothing(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:
        assert refused(desk.settle(say("half a character: \ud83d"))) == ["half a character: \ud83d"]
        assert lines[0] == "a bug in writing the store"
        (outcome,) = desk.settle(say("a"))
        assert isinstance(outcome, Said)
        assert outcome.entry.id == 1


# Restarts.


def test_everything_is_there_after_a_restart(path: Path) -> None:
    with Desk(path) as desk:
        log = desk.log
        messages = said(desk.settle(say("a", nonce="n"), say("b", "other", BOB), say("c")))
        desk.settle(Pass("", Renamed(1, "Anna", "Ann"), None))
        epoch, secret = log.epoch, log.secret
    with Desk(path) as desk:
        log = desk.log
        assert (log.epoch, log.secret) == (epoch, secret)
        assert log.since("lobby", 0, 9) + log.since("other", 0, 9) == [
            messages[0],
            messages[2],
            messages[1],
        ]
        assert log.room("lobby") == Known("Lobby", 2, 2, "")
        assert (log.user(1), log.user(2)) == ("Anna", "Bob")
        again, new = desk.settle(say("a", nonce="n"), say("d"))
        assert isinstance(again, Repeated)
        assert again.entry == messages[0]
        assert isinstance(new, Said)
        assert new.entry.id == 3


def test_a_rename_is_done_once(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"), Pass("", Renamed(1, "Anna", "Ann"), None))
        desk.settle(say("b", sender=Who(1, "Anne")))
        assert desk.log.user(1) == "Anne"


def test_everything_is_there_after_a_crash(path: Path) -> None:
    epoch, secret, user = crash(
        path,
        "desk.settle(say('a', nonce='n'), say('b', sender=BOB))\n"
        "desk.settle(Pass('', Renamed(1, 'Anna', 'Ann'), None))\n"
        "result = desk.log.epoch, desk.log.secret.hex(), desk.log.new_user()",
    )
    with Desk(path) as desk:
        log = desk.log
        assert (log.epoch, log.secret.hex()) == (epoch, secret)
        assert texts(log.since("lobby", 0, 9)) == ["a", "b"]
        assert (log.user(1), log.user(2)) == ("Anna", "Bob")
        again, new = desk.settle(say("a", nonce="n"), say("c"))
        assert isinstance(again, Repeated)
        assert isinstance(new, Said)
        assert new.entry.id == 3
        assert log.new_user() > user


def test_a_crash_in_the_middle_of_a_commit_leaves_nothing_of_it(path: Path) -> None:
    # Of the second batch everything is written but the COMMIT.
    epoch = crash(
        path,
        "desk.settle(say('a'))\n"
        "def trace(statement):\n"
        "    if statement == 'COMMIT':\n"
        "        print(json.dumps(desk.log.epoch), flush=True); os.kill(os.getpid(), 9)\n"
        "desk.log._store.db.set_trace_callback(trace)\n"
        "desk.settle(*(say('x' * 4000) for _ in range(900)))",
    )
    with Desk(path) as desk:
        assert desk.log.epoch == epoch
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]
        assert said(desk.settle(say("b")))[0].id == 2


def test_a_user_id_is_given_once(path: Path) -> None:
    given: list[int] = []
    for run in range(6):
        if run % 2:
            given += crash(path, "result = [desk.log.new_user() for _ in range(700)]")
            continue
        with Desk(path) as desk:
            for _ in range(3):
                given += [desk.log.new_user() for _ in range(BLOCK * 2 // 5)]
                desk.settle(CID)
    assert len(set(given)) == len(given)


def test_after_a_stop_user_ids_go_on_without_a_hole(path: Path) -> None:
    given = []
    for _ in range(3):
        with Desk(path) as desk:
            given.append(desk.log.new_user())
    assert given == [1, 2, 3]


def test_who_came_while_nothing_could_be_written_keeps_their_id_for_themselves(path: Path) -> None:
    given = crash(
        path,
        "result = []\n"
        "with locked(path):\n"
        "    for _ in range(3000):\n"
        "        result.append(desk.log.new_user())\n"
        "        if len(result) % 100 == 0: desk.settle(CID)",
    )
    with Desk(path) as desk:
        given += [desk.log.new_user() for _ in range(3000)]
    assert len(set(given)) == 6000
    assert all(0 < id <= 2**53 for id in given)


@pytest.mark.usefixtures("impatient")
def test_ids_go_on_from_the_store_when_it_can_be_written_again(path: Path) -> None:
    with Desk(path) as desk:
        with locked(path):
            given = [desk.log.new_user() for _ in range(BLOCK + 1)]
            desk.settle(CID)
        assert given[:-1] == list(range(1, BLOCK + 1))
        desk.settle(CID)
        assert desk.log.new_user() == BLOCK + 1


def test_a_visitor_who_never_spoke_leaves_no_row(path: Path) -> None:
    def rows() -> dict[str, int]:
        tables = [name for (name,) in other.execute("SELECT name FROM sqlite_schema")]
        return {
            name: other.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in tables
            if name in ("meta", "rooms", "users", "messages")
        }

    with Desk(path) as desk, database(path) as other:
        before = rows()
        assert before["users"] == 0
        id = desk.log.new_user()
        joined = Joined("Lobby", id, "Cid")
        desk.settle(Pass("lobby", joined, None), Pass("lobby", Renamed(id, "Cyd", "Cid"), None))
        desk.settle(CID)
        assert rows() == before


def test_close_commits_what_was_appended(path: Path) -> None:
    with Desk(path) as desk:
        for n in range(BATCH + 10):
            desk.log.append(say(str(n)))
        desk.log.append(Pass("", Renamed(1, "Anna", "Ann"), None))
    for _ in range(2):
        desk.turn()
    assert desk.batches == [], "nobody is told any more"
    with Desk(path) as desk:
        assert desk.log.room("lobby") == Known("Lobby", BATCH + 10, BATCH + 10, "")
        assert desk.log.user(1) == "Anna"


def test_close_leaves_nothing_open_and_a_file_with_its_lock_and_its_index(path: Path) -> None:
    files = len(os.listdir("/proc/self/fd"))
    with Desk(path) as desk:
        desk.settle(say("a"))
        desk.search("a")
    assert len(os.listdir("/proc/self/fd")) == files
    assert sorted(os.listdir(path.parent)) == [
        path.name,
        f"{path.name}.lock",
        f"{path.name}.search",
    ]


@pytest.mark.usefixtures("impatient")
def test_close_lets_go_of_a_store_that_cannot_be_written(path: Path) -> None:
    files = len(os.listdir("/proc/self/fd"))
    desk = Desk(path)
    desk.settle(say("a"))
    given = [desk.log.new_user() for _ in range(10)]
    with locked(path):
        desk.log.append(say("b"))
        desk.log.close()
    assert len(os.listdir("/proc/self/fd")) == files
    with Desk(path) as desk:
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]
        assert desk.log.new_user() not in given


def test_a_closed_store_cannot_be_read(path: Path) -> None:
    with Desk(path) as desk:
        pass
    with pytest.raises(Unavailable, match="closed"):
        desk.log.room("lobby")


# Restored backups.


def test_a_backup_restored_after_a_stop_has_another_epoch(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        backup = back_up(path)
        desk.settle(say("lost"))
        epoch, secret = desk.log.epoch, desk.log.secret
    restore(backup, path)
    with Desk(path) as desk:
        assert desk.log.epoch != epoch
        assert desk.log.secret == secret
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]
        assert said(desk.settle(say("b")))[0].id == 2
        epoch = desk.log.epoch
    with Desk(path) as desk:
        assert desk.log.epoch == epoch


def test_a_backup_restored_after_a_crash_has_another_epoch(path: Path) -> None:
    epoch = crash(
        path,
        "desk.settle(say('a')); back_up(path); desk.settle(say('lost'))\nresult = desk.log.epoch",
    )
    restore(path.with_suffix(".backup"), path)
    with Desk(path) as desk:
        assert desk.log.epoch != epoch
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]


def test_a_backup_moved_into_place_has_another_epoch(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        epoch = desk.log.epoch
    path.with_suffix(".backup").write_bytes(path.read_bytes())
    path.with_suffix(".backup").replace(path)
    with Desk(path) as desk:
        assert desk.log.epoch != epoch


def test_a_backup_that_lacks_nothing_is_no_other_epoch(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        backup = back_up(path)
        given = [desk.log.new_user() for _ in range(2 * BLOCK)]
        desk.settle(CID)
        given.append(desk.log.new_user())
        epoch = desk.log.epoch
    restore(backup, path)
    with Desk(path) as desk:
        assert desk.log.epoch == epoch
        assert desk.log.new_user() not in given


def test_an_older_backup_after_a_newer_one_has_another_epoch(path: Path) -> None:
    epochs: list[str] = []
    with Desk(path) as desk:
        desk.settle(say("a"))
        older = back_up(path).rename(path.with_suffix(".older"))
        desk.settle(say("b"), say("c"))
        newer = back_up(path)
        desk.settle(say("lost"))
        epochs.append(desk.log.epoch)
    for backup in (older, newer, older):
        restore(backup, path)
        with Desk(path) as desk:
            epochs.append(desk.log.epoch)
            desk.settle(say("d"))
    assert len(set(epochs)) == 4


@pytest.mark.parametrize("content", [None, b"", b"1 2 3", b"a b c d", b"\xff" * 81])
def test_a_store_of_unknown_origin_has_another_epoch(path: Path, content: bytes | None) -> None:
    with Desk(path) as desk:
        epoch = desk.log.epoch
        user = desk.log.new_user()
    lock = lock_of(path)
    lock.unlink()
    if content is not None:
        lock.write_bytes(content)
    with Desk(path) as desk:
        assert desk.log.epoch != epoch
        assert desk.log.new_user() != user
        epoch = desk.log.epoch
    with Desk(path) as desk:
        assert desk.log.epoch == epoch


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def copied_an_hour_ago(path: Path) -> Path:
    """Return a copy of the folder of *path* with all that is in it, as if it were an hour old."""
    backup = path.parent.with_name("backup")
    shutil.copytree(path.parent, backup)
    lock = lock_of(backup / path.name)
    *place, noted = lock.read_text("ascii").split()
    lock.write_text(" ".join([*place, str(int(noted) - 3600)]).ljust(120), "ascii")
    for file in backup.iterdir():
        was = file.stat()
        os.utime(file, (was.st_atime - 3600, was.st_mtime - 3600))
    return backup


@pytest.mark.parametrize(
    "command", ["cp -a $0/. $1", "cp -r $0/. $1", "tar -C $0 -c . | tar -C $1 -x --overwrite"]
)
def test_a_store_put_back_in_place_with_its_lock_has_another_epoch(
    path: Path, tmp_path: Path, command: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / path.name
    with Desk(path) as desk:
        desk.settle(say("a"))
        epoch = desk.log.epoch
    backup = copied_an_hour_ago(path)
    with Desk(path) as desk:
        assert desk.log.epoch == epoch
        desk.settle(say("lost"))
        given = desk.log.new_user()
    inodes = path.stat().st_ino, lock_of(path).stat().st_ino
    subprocess.run(["sh", "-c", command, backup, folder], check=True)
    assert (path.stat().st_ino, lock_of(path).stat().st_ino) == inodes
    with Desk(path) as desk:
        assert desk.log.epoch != epoch
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]
        assert desk.log.new_user() != given
        epoch = desk.log.epoch
    with Desk(path) as desk:
        assert desk.log.epoch == epoch


def test_the_life_of_a_lock_is_no_restore(path: Path) -> None:
    """Other times and modes while the store is in use, and notes of earlier versions."""
    with Desk(path) as desk:
        epoch = desk.log.epoch
        os.utime(lock_of(path), (1, 1))
        lock_of(path).chmod(0o640)
    with Desk(path) as desk:
        assert desk.log.epoch == epoch
    for size in (5, 4):
        note = lock_of(path).read_text("ascii").split()[:size]
        lock_of(path).write_text(" ".join(note).ljust(120), "ascii")
        with Desk(path) as desk:
            assert desk.log.epoch == epoch


def test_a_killed_process_is_no_restore(path: Path) -> None:
    """Not even if the lock's times were set before, or its last notes never came to the disk."""
    epoch = crash(
        path,
        "desk.settle(say('a')); os.utime(f'{path}.lock', (1, 1))\n"
        "desk.settle(say('b')); result = desk.log.epoch",
    )
    lock = lock_of(path)
    *place, noted = lock.read_text("ascii").split()
    lock.write_text(" ".join([*place, str(int(noted) - 60)]).ljust(120), "ascii")
    with Desk(path) as desk:
        assert desk.log.epoch == epoch


def test_user_ids_after_a_restore_were_never_given_before(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        backup = back_up(path)
        desk.settle(say("lost"))
        given = [desk.log.new_user() for _ in range(10)]
    for _ in range(3):
        restore(backup, path)
        with Desk(path) as desk:
            desk.settle(say("lost again"))
            given += [desk.log.new_user() for _ in range(10)]
    assert len(set(given)) == len(given)
    assert all(0 < id <= 2**53 for id in given)


# The schema.


def dump(path: Path) -> list[str]:
    with database(path) as other:
        return list(other.iterdump())


def pragmas(path: Path) -> tuple[int, int]:
    with database(path) as other:
        (application,) = other.execute("PRAGMA application_id").fetchone()
        (version,) = other.execute("PRAGMA user_version").fetchone()
    return application, version


def test_the_file_says_what_it_is(path: Path) -> None:
    with Desk(path):
        pass
    assert pragmas(path) == (int.from_bytes(b"chat"), 2)


def test_a_nonce_is_unique_by_schema(path: Path) -> None:
    with Desk(path) as desk, database(path) as other:
        desk.settle(say("a", nonce="n"))
        with pytest.raises(sqlite3.IntegrityError, match=r"messages\.user, messages\.nonce"):
            other.execute(
                "INSERT INTO messages (room, id, user, name, type, message, time, nonce)"
                " SELECT room, id + 1, user, name, type, message, time, nonce FROM messages"
            )


def test_an_older_store_is_upgraded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(path) as desk:
        messages = said(desk.settle(say("a", nonce="n"), say("b", "other", BOB)))
        epoch = desk.log.epoch
    upgrade = "ALTER TABLE rooms ADD COLUMN colour TEXT NOT NULL DEFAULT 'none';"
    index = "CREATE INDEX colours ON rooms (colour);"
    monkeypatch.setattr(schema, "UPGRADES", (*schema.UPGRADES, upgrade, index))
    for _ in range(2):
        with Desk(path) as desk:
            assert desk.log.epoch == epoch
            assert desk.log.since("lobby", 0, 9) + desk.log.since("other", 0, 9) == messages
            assert isinstance(desk.settle(say("a", nonce="n"))[0], Repeated)
    assert pragmas(path)[1] == 4
    with database(path) as other:
        assert other.execute("SELECT colour FROM rooms").fetchall() == [("none",), ("none",)]


def test_an_upgrade_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
    before = dump(path)
    with monkeypatch.context() as patch:
        broken = "CREATE TABLE fresh (x); INSERT INTO nowhere VALUES (1);"
        patch.setattr(schema, "UPGRADES", (*schema.UPGRADES, broken))
        assert "no such table: nowhere" in why(path)
    assert (dump(path), pragmas(path)[1]) == (before, 2)
    with Desk(path) as desk:
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
    with database(path) as other:
        other.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    assert "newer version" in why(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE bookmarks (url)",
        "CREATE TABLE bookmarks (url); PRAGMA user_version = 1",
        "PRAGMA journal_mode = WAL; CREATE TABLE bookmarks (url)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ],
)
def test_a_file_of_another_program_is_refused_and_left_alone(path: Path, sql: str) -> None:
    with database(path) as other:
        other.executescript(sql)
    before = path.read_bytes()
    assert before
    assert "another program" in why(path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.lock"]


@pytest.mark.parametrize("content", [b"x", b"a letter " * 1000, b"SQLite"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert why(path) == f"the store {path} is no database"
    assert path.read_bytes() == content


def test_a_file_that_only_begins_like_a_database(path: Path) -> None:
    path.write_bytes(opening.MAGIC + b"\xff" * 8000)
    before = path.read_bytes()
    assert why(path).endswith("sqlite: file is not a database")
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    with Desk(path) as desk:
        assert len(said(desk.settle(say("a")))) == 1


# A long history, as the benchmark makes it.


def test_a_long_history_is_one_as_the_log_would_have_made_it(tmp_path: Path) -> None:
    store = history.Store(tmp_path)
    for size, small in ((5_000, 1), (25_000, 3)):
        store.grow(size)
        with store.log() as log, database(store.path) as other:
            assert log.room(history.BIG) == Known(history.BIG, size * 9 // 10, size * 9 // 10, "")
            for room, last in ((history.BIG, size * 9 // 10), ("room-499", small)):
                messages = log.since(room, 0, size)
                assert [m.id for m in messages] == list(range(1, last + 1))
            assert other.execute("SELECT count(*), count(nonce) FROM messages").fetchone() == (
                size,
                size,
            )
            assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_a_long_history_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.main(["--messages", "20000", "--times", "20", "--folder", str(tmp_path)])
    assert os.listdir(tmp_path) == []
    head, line, *rows = capsys.readouterr().out.splitlines()
    assert (head, line) == ("| in milliseconds | median | p99 | max |", "|---|--:|--:|--:|")
    figures = {}
    for row in rows:
        _, what, *columns, _ = (column.strip() for column in row.split("|"))
        figures[what] = [float(column) for column in columns]
        assert figures[what] == sorted(figures[what])
    for what in ("0 messages: start", "20,000 messages: start", "`before`: 50 anywhere"):
        assert figures[what][0] > 0


# Stores that cannot be used.


def test_a_store_is_used_once_at_a_time(path: Path) -> None:
    with Desk(path) as desk:
        # Now all the files that it will ever have are open.
        desk.search("a")
        assert why(path) == f"the store {path} is in use by another process"
        link = path.with_name("link.sqlite")
        link.symlink_to(path.name)
        assert why(link) == f"the store {link} is in use by another process"
    with Desk(path):
        pass


def test_the_folder_is_missing(path: Path) -> None:
    assert why(path.parent / "no" / "such").endswith("such: No such file or directory")


def test_a_folder_is_no_store(path: Path) -> None:
    path.mkdir()
    assert why(path).endswith("sqlite: Is a directory")


def test_a_file_system_that_nobody_writes() -> None:
    assert why(Path("/proc/chatroom.sqlite")).endswith("No such file or directory")


def test_a_loop_of_links(path: Path) -> None:
    path.symlink_to(path.name)
    assert "symbolic links" in why(path)


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A folder of everybody's, in which even root has but the permissions of others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def read_only(folder: Path) -> None:
    """Let nobody write into *folder* any longer."""
    own = os.geteuid()
    os.seteuid(os.getuid())
    folder.chmod(0o555)
    os.seteuid(own)


def test_a_folder_that_cannot_be_written(powerless: Path) -> None:
    read_only(powerless)
    assert why(powerless / "chatroom.sqlite").endswith("sqlite: Permission denied")


def test_a_store_in_a_folder_that_cannot_be_written(powerless: Path) -> None:
    path = powerless / "chatroom.sqlite"
    with Desk(path):
        pass
    read_only(powerless)
    assert re.search(": (unable to open|attempt to write a readonly) database", why(path))


def test_a_store_that_cannot_be_written(powerless: Path) -> None:
    path = powerless / "chatroom.sqlite"
    with Desk(path):
        pass
    path.chmod(0o444)
    assert why(path).endswith("sqlite: Permission denied")


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_locked(path: Path) -> None:
    with Desk(path):
        pass
    with database(path) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("DELETE FROM users")
        # Its files are closed when the lock is gone, for that would go with them (POSIX).
        with pytest.raises(StoreError, match="sqlite: database is locked$"):
            SqliteLog(path, lambda call: None)


def test_a_file_system_without_shared_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where SQLite goes without locks it does without that too.
    def connected(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?vfs=unix-none", uri=True, isolation_level=None)

    monkeypatch.setattr(opening, "connected", connected)
    assert why(path).endswith("is on a file system that SQLite cannot use (WAL)")


def test_wherever_the_process_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite would take this name for none, and keep everything in memory.
    monkeypatch.chdir(path.parent)
    with Desk(Path(":memory:")) as desk:
        monkeypatch.chdir("/")
        assert len(said(desk.settle(say("a")))) == 1
    with Desk(path.parent / ":memory:") as desk:
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]


# Stores that cannot be written for a while.

CANNOT = "cannot write the store"
CAN = "can write the store"


def patience(desk: Desk) -> int:
    """Return how many milliseconds the writer waits for a lock."""
    (milliseconds,) = desk.log._store.db.execute("PRAGMA busy_timeout").fetchone()
    assert isinstance(milliseconds, int)
    return milliseconds


def trouble(desk: Desk, path: Path, fault: contextlib.AbstractContextManager[object]) -> str:
    """
    Let *fault* befall the store *path* of *desk* for a while; return how `Log.check` calls it.

    While it lasts who speaks is refused, what passes comes through, and reading goes on. It ends
    as if it had never been.
    """
    desk.settle(say("before", nonce="before"), say("x", sender=BOB))
    with fault:
        outcomes = desk.settle(CID, say("1", nonce="1"), CID, say("2", "new room"), CID)
        assert [isinstance(outcome, Pass) for outcome in outcomes] == [True, False] * 2 + [True]
        assert refused(outcomes[1::2]) == ["1", "2"]
        assert refused(desk.settle(say("3"))) == ["3"]
        assert desk.settle(CID, Pass("", Renamed(2, "Bo", "Bob"), None))[0] == CID
        assert texts(desk.log.since("lobby", 0, 9)) == ["before", "x"]
        assert texts(desk.log.before("lobby", 9, 1)) == ["x"]
        assert desk.log.room("new room") is None
        reason = desk.check()
        assert patience(desk) == 0, "nobody waits for what fails anyway"
    assert reason is not None
    assert desk.log.user(2) == "Bob"
    outcomes = desk.settle(
        say("before", nonce="before"), say("1", nonce="1"), say("2", "new room"), say("4")
    )
    assert isinstance(outcomes[0], Repeated)
    assert [(m.room, m.id) for m in said(outcomes[1:])] == [
        ("Lobby", 3),
        ("New room", 1),
        ("Lobby", 4),
    ]
    assert desk.check() is None
    assert patience(desk) == schema.BUSY
    assert texts(desk.log.since("lobby", 0, 9)) == ["before", "x", "1", "4"]
    assert desk.log.room("new room") == Known("New room", 1, 1, "")
    assert desk.log.user(2) == "Bo", "a rename is not forgotten"
    with database(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return reason


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_the_store_is_locked_by_someone_else(path: Path, lines: list[str], how: str) -> None:
    with Desk(path) as desk:
        assert trouble(desk, path, locked(path, how)) == "database is locked"
    assert lines == [
        f"{CANNOT} {path}: database is locked",
        f"{CAN} {path} again",
    ]


def test_the_disk_is_full(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:

        @contextlib.contextmanager
        def full() -> Iterator[None]:
            (pages,) = desk.log._store.db.execute("PRAGMA page_count").fetchone()
            desk.log._store.db.execute(f"PRAGMA max_page_count = {pages}")
            # What fits into the last page can still be said.
            while not isinstance(desk.settle(say("x" * 4000, "filler"))[0], Refused):
                pass
            yield
            desk.log._store.db.execute("PRAGMA max_page_count = 1000000")

        desk.settle(say("filler", "filler"))
        big = "x" * 4000
        desk.settle(say("before"))
        with full():
            assert refused(desk.settle(say(big), say(big), say(big))) == [big] * 3
            assert texts(desk.log.since("lobby", 0, 9)) == ["before"]
        assert [m.id for m in said(desk.settle(say("1"), say("2")))] == [2, 3]
    assert lines == [f"{CANNOT} {path}: database or disk is full", f"{CAN} {path} again"]


@contextlib.contextmanager
def files_limited(path: Path) -> Iterator[None]:
    """Let no file of this process become larger than the store's WAL is."""
    size = path.with_name(f"{path.name}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_file_may_not_grow(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:
        trouble(desk, path, files_limited(path))
    assert [line.split(f" {path}")[0] for line in lines] == [CANNOT, CAN]


@contextlib.contextmanager
def moved(path: Path) -> Iterator[None]:
    """Have *path* elsewhere."""
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    yield
    elsewhere.rename(path)


def test_the_file_is_moved_away(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:
        assert "No such file" in trouble(desk, path, moved(path))
    assert [line.split(f" {path}")[0] for line in lines] == [CANNOT, CAN]


def test_the_folder_is_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "chatroom.sqlite"
    path.parent.mkdir()
    with Desk(path) as desk:
        assert "No such file" in trouble(desk, path, moved(path.parent))


def test_another_file_is_in_its_place(path: Path) -> None:
    @contextlib.contextmanager
    def replaced() -> Iterator[None]:
        with moved(path):
            path.touch()
            yield
            path.unlink()

    with Desk(path) as desk:
        assert trouble(desk, path, replaced()) == "the file is another one now"


def test_the_file_is_deleted(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        path.unlink()
        assert refused(desk.settle(say("b"))) == ["b"]
        assert texts(desk.log.since("lobby", 0, 9)) == ["a"]
    with Desk(path) as desk:
        assert desk.log.room("lobby") is None


def test_what_writes_nothing_is_no_sign_that_it_could(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:
        desk.settle(say("a", nonce="n"))
        with files_limited(path):
            assert refused(desk.settle(say("x" * 4000))) == ["x" * 4000]
            assert isinstance(desk.settle(say("a", nonce="n"))[0], Repeated)
            assert desk.settle(Pass("", Renamed(9, "Nina", "Nan"), None), CID)[1] == CID
            assert desk.check() is not None
            assert len(lines) == 1
        assert desk.check() is None
    assert len(lines) == 2


def test_a_damaged_file(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(*(say("x" * 4000) for _ in range(100)))
        assert desk.log.epoch
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 60)
    with Desk(path) as desk:
        with pytest.raises(Unavailable, match="malformed"):
            desk.log.since("lobby", 0, 100)
        assert desk.settle(CID) == [CID]


@pytest.mark.usefixtures("patient")
def test_a_short_lock_is_waited_for(path: Path, lines: list[str]) -> None:
    with Desk(path) as desk:
        with locked(path):
            desk.log.append(say("a"))
            desk.turn()
        desk.turn()
        assert len(said(desk.outcomes)) == 1
    assert lines == []


# A real daemon.


def enter(daemon: Daemon, name: str, after: int | None = None) -> ClientConnection:
    query = f"?name={name}" + ("" if after is None else f"&after={after}")
    return connect(daemon.ws + query)


def hear(client: ClientConnection, *names: str) -> dict[str, Any]:
    """Return the data of the next event called one of *names*, and its name as ``event``."""
    while True:
        event = json.loads(client.recv(timeout=60))
        if event["event"] in names:
            return {**event["data"], "event": event["event"]}


def speak(client: ClientConnection, event: str, **data: Any) -> None:
    client.send(json.dumps({"event": event, "data": data}))


def health(daemon: Daemon) -> tuple[int, str]:
    """Return the status of ``/health`` and the reason it gives."""
    try:
        with urllib.request.urlopen(f"{daemon.url}health") as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["reason"]


def outage(daemon: Daemon, fault: contextlib.AbstractContextManager[object], reason: str) -> None:
    """Let *fault* befall the store of *daemon* for a while, as clients see it."""
    with enter(daemon, "ann") as ann:
        hear(ann, "init")
        speak(ann, "talk", message="before", nonce="0")
        assert hear(ann, "talk", "error")["id"] == 1
        with fault:
            speak(ann, "talk", message="x" * 4000, nonce="1")
            error = hear(ann, "talk", "error")
            assert (error["code"], error["nonce"], error["event"]) == ("unavailable", "1", "error")
            with enter(daemon, "bob") as bob:
                assert [m["message"] for m in hear(bob, "init")["messages"]] == ["before"]
                assert hear(ann, "join")["name"] == "bob"
                speak(bob, "rename", name="rob")
                assert hear(ann, "rename")["name"] == "rob"
                speak(bob, "history")
                assert [m["message"] for m in hear(bob, "history")["messages"]] == ["before"]
                status, told = health(daemon)
                assert status == 503
                assert reason in told
        until(lambda: health(daemon)[0] == 200, "a store that can be written")
        speak(ann, "talk", message="x" * 4000, nonce="1")
        assert hear(ann, "talk", "error")["id"] == 2
        speak(ann, "history")
        assert [m["id"] for m in hear(ann, "history")["messages"]] == [1, 2]
    assert daemon.output.count(CANNOT) == 1
    assert daemon.output.count(CAN) == 1
    assert "Traceback" not in daemon.output
    assert daemon.stop() == 0


def test_a_daemon_whose_store_is_locked(path: Path) -> None:
    with Daemon(path.parent) as daemon:
        outage(daemon, locked(path, "EXCLUSIVE"), "database is locked")


def test_a_daemon_whose_disk_is_full(path: Path) -> None:
    @contextlib.contextmanager
    def full() -> Iterator[None]:
        size = path.with_name(f"{path.name}-wal").stat().st_size
        _, hard = was = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (size, hard))
        yield
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, was)

    with Daemon(path.parent) as daemon:
        outage(daemon, full(), "")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("in use", "is in use by another process"),
        ("foreign", "is of another program"),
        ("newer", "was written by a newer version of chatroom"),
        ("missing", "No such file or directory"),
    ],
)
def test_a_daemon_that_cannot_have_its_store(path: Path, what: str, says: str) -> None:
    with contextlib.ExitStack() as stack:
        if what == "in use":
            stack.enter_context(Desk(path))
        elif what == "missing":
            path = path.parent / "no" / "such"
        else:
            with database(path) as other:
                other.execute("CREATE TABLE bookmarks (url)")
                if what == "newer":
                    other.execute(f"PRAGMA application_id = {schema.APPLICATION}")
                    other.execute("PRAGMA user_version = 99")
        listen = ["--listen", "tcp:0:interface=127.0.0.1", "--store", f"sqlite:{path}"]
        done = subprocess.run(
            [TWISTD, "-n", "--pidfile=", "chatroom", *listen],
            cwd=path.parent.parent if what == "missing" else path.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if str(path) in line]
    assert says in line
