"""Changes in a store: in order with what is said, durable with it, and nothing left of the deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from chatroom.changes import changed
from chatroom.events import Edited, Entry, File, Message, Reacted, Who
from chatroom.log import Outcome, Refused, Repeated, Said, Say
from chatroom.sqlite import BATCH, BATCH_TEXT
from tests.log_contract import ANN, BOB, said, say, texts
from tests.log_contract_changes import LATER, PICTURE, delete, edit, picture, react, topic
from tests.test_sqlite import Desk, back_up, crash, database, locked, restore
from tests.test_sqlite import patient as patient  # noqa: PLC0414 (a fixture)

SECRET = "a secret that nobody is to find"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


def entries(outcomes: Sequence[Outcome]) -> list[Entry]:
    """Return what was said and changed; fails where anything was not."""
    found = []
    for outcome in outcomes:
        assert isinstance(outcome, Said), outcome
        found.append(outcome.entry)
    return found


def secret(nonce: str | None = None) -> Say:
    """Return a draft of a message that has `SECRET` wherever it can be."""
    whom = (Who(5, SECRET),)
    file = File("ef" * 32, SECRET, 3, "text/plain")
    message = Message(
        0, "Lobby", SECRET, "markdown", ANN, LATER, nonce, SECRET, mentions=whom, file=file
    )
    return Say("lobby", message, None)


# In one batch with what is said.


@pytest.mark.usefixtures("patient")
def test_a_batch_of_all_kinds(path: Path) -> None:
    drafts = [
        say("1"),
        react(1, "👍", BOB),
        say("3", "other"),
        edit(1, "one"),
        say("4", nonce="4"),
        delete(4),
        topic("tea"),
        react(1, "👍"),
        picture("a picture"),
    ]
    with Desk(path) as desk:
        with locked(path):
            desk.log.append(say("first", "other"))
            desk.turn()
            for draft in drafts:
                desk.log.append(draft)
        while len(desk.outcomes) < len(drafts) + 1:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [1, len(drafts)]
        found = entries(desk.outcomes[1:])
        assert [entry.id for entry in found if entry.room == "Lobby"] == list(range(1, 9))
        assert [entry.id for entry in found if entry.room == "Other"] == [2]
        assert [(e.id, type(e)) for e in desk.log.since("lobby", 0, 99)] == [
            (e.id, type(e)) for e in found if e.room == "Lobby"
        ]
        now = desk.log.message("lobby", 1)
        assert now == reduce(changed, [found[1], found[3], found[7]], said(desk.outcomes[1:2])[0])  # type: ignore[arg-type]


@pytest.mark.usefixtures("patient")
def test_talk_among_changes_is_still_one_statement(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("0"), say("1"))
        statements: list[str] = []
        desk.log._store.db.set_trace_callback(statements.append)
        drafts: list[Say] = []
        for n in range(BATCH // 2):
            drafts += (say(str(n)), react(1 + n % 2, "👍", Who(2 + n, f"user {n}")))
        with locked(path):
            desk.log.append(say("alone"))
            desk.turn()
            for draft in drafts:
                desk.log.append(draft)
        while len(desk.outcomes) < len(drafts) + 3:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [2, 1, BATCH]
        assert sum(s.startswith("INSERT OR ROLLBACK INTO messages") for s in statements) == 2
        assert sum(s.startswith("UPDATE messages") for s in statements) == 2, "one a message"
        assert sum(s.startswith("SELECT m.id") for s in statements) == 2, "read once in a batch"


@pytest.mark.usefixtures("patient")
def test_a_long_edit_fills_a_batch_too(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        html = Edited(0, "Lobby", 1, "x", "markdown", ANN, LATER, html="x" * BATCH_TEXT)
        with locked(path):
            desk.log.append(say("first"))
            desk.turn()
            for draft in (edit(1, "x" * BATCH_TEXT), say("b"), Say("lobby", html, None), say("c")):
                desk.log.append(draft)
        while len(desk.outcomes) < 6:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [1, 1, 2, 1, 1]


def test_a_message_that_comes_again_in_the_batch_that_changes_it(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("old", nonce="o"), edit(1, "OLD", "e"))
        outcomes = desk.settle(
            say("new", nonce="n"),
            edit(1, "older"),
            edit(3, "NEW", "f"),
            say("old", nonce="o"),
            say("new", nonce="n"),
            delete(1),
            delete(3),
            edit(3, "after"),
            *(say("old", nonce="o"), say("new", nonce="n")),
            *(edit(1, "OLD", "e"), edit(3, "NEW", "f")),
        )
        repeated = [o.entry for o in outcomes if isinstance(o, Repeated)]
        assert len(repeated) == 6
        assert texts(repeated[:4]) == ["older", "NEW", "", ""]
        assert [e.message for e in repeated[4:] if isinstance(e, Edited)] == ["", ""]
        assert repeated[2:4] == [desk.log.message("lobby", 1), desk.log.message("lobby", 3)]


def test_whom_a_message_mentions_after_several_edits_at_once(path: Path) -> None:
    def mention(*whom: Who) -> Say:
        return Say("lobby", Edited(0, "Lobby", 1, "b", "text", ANN, LATER, mentions=whom), None)

    cid, dan = Who(3, "Cid"), Who(4, "Dan")
    with Desk(path) as desk, database(path) as other:
        desk.settle(say("a"), mention(BOB, cid), mention(cid), mention(dan, dan, ANN))
        assert other.execute("SELECT user, id FROM mentions").fetchall() == [(dan.id, 1)]
        desk.settle(mention(BOB))
        assert other.execute("SELECT user, id FROM mentions").fetchall() == [(BOB.id, 1)]
        desk.settle(delete(1))
        assert other.execute("SELECT count(*) FROM mentions").fetchone() == (0,)


def test_a_nonce_of_a_change_is_unique_by_schema(path: Path) -> None:
    with Desk(path) as desk, database(path) as other:
        desk.settle(topic("tea", "n"))
        with pytest.raises(sqlite3.IntegrityError, match=r"changes\.user, changes\.nonce"):
            other.execute(
                "INSERT INTO changes (room, id, kind, user, name, value, time, nonce)"
                " SELECT room, id + 1, kind, user, name, value, time, nonce FROM changes"
            )


def test_someone_else_changed_something_in_the_store(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(topic("tea"))
        with database(path) as other:
            other.execute(
                "INSERT INTO changes (room, id, kind, user, name, value, time)"
                " SELECT room, id + 1, kind, user, name, 'theirs', time FROM changes"
            )
        assert [entry.id for entry in entries(desk.settle(topic("coffee"), say("a")))] == [3, 4]


def test_a_change_that_cannot_be_kept_is_refused(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        outcomes = desk.settle(edit(1, "half a character: \ud83d"), react(1, "👍"))
        assert [type(outcome) for outcome in outcomes] == [Refused, Refused]
        now = desk.log.message("lobby", 1)
        assert now is not None
        assert now.changed is None
        assert entries(desk.settle(react(1, "👍")))[0].id == 2


# What was deleted.


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_is_left_of_what_was_deleted(path: Path, at_once: bool) -> None:
    whom = (Who(6, SECRET),)
    again = Edited(0, "Lobby", 2, SECRET * 1000, "text", ANN, LATER, "e", SECRET, whom)
    drafts = [say("first"), secret("n"), Say("lobby", again, None), react(2, "👍"), delete(2)]
    with Desk(path) as desk, database(path) as other:
        if at_once:
            desk.settle(*drafts)
        else:
            for draft in drafts:
                desk.settle(draft)
        dump = "\n".join(other.iterdump())
        assert "first" in dump
        assert SECRET not in dump
        assert not desk.log.has_file("ef" * 32)
        (repeated,) = desk.settle(secret("n"))
        assert isinstance(repeated, Repeated), "it has been said all the same"
    with database(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert SECRET.encode() not in path.read_bytes()
    assert b"first" in path.read_bytes()


def test_a_file_is_told_to_be_free_once(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(picture(), picture())
        released = [
            outcome.released
            for outcome in desk.settle(delete(1), delete(2), picture(), delete(2), delete(5))
            if isinstance(outcome, Said)
        ]
        assert released == [None, PICTURE.id, None, None, PICTURE.id]


# Durable, and in its place.


def test_changes_are_there_after_a_crash(path: Path) -> None:
    epoch = crash(
        path,
        "from tests.log_contract_changes import *\n"
        "desk.settle(say('a', nonce='n'), edit(1, 'b'), react(1, '+'), topic('tea'), say('x'))\n"
        "desk.settle(delete(5)); result = desk.log.epoch",
    )
    with Desk(path) as desk:
        assert desk.log.epoch == epoch
        assert [entry.id for entry in desk.log.since("lobby", 0, 9)] == [1, 2, 3, 4, 5, 6]
        now, gone = desk.log.before("lobby", 9, 9)
        assert (now.message, now.changed, gone.deleted) == ("b", 3, True)
        known = desk.log.room("lobby")
        assert known is not None
        assert known.topic == "tea"
        assert entries(desk.settle(react(1, "👍")))[0].id == 7


def test_a_crash_in_the_middle_of_a_batch_of_changes_leaves_nothing_of_it(path: Path) -> None:
    crash(
        path,
        "from tests.log_contract_changes import *\n"
        "desk.settle(say('a'), picture())\n"
        "def trace(statement):\n"
        "    if statement == 'COMMIT':\n"
        "        print(json.dumps(0), flush=True); os.kill(os.getpid(), 9)\n"
        "desk.log._store.db.set_trace_callback(trace)\n"
        "desk.settle(edit(1, 'b'), delete(2), topic('tea'), say('x' * 4000))",
    )
    with Desk(path) as desk:
        assert texts(desk.log.since("lobby", 0, 9)) == ["a", ""]
        assert desk.log.has_file(PICTURE.id)
        assert desk.log.room("lobby") == ("Lobby", 2, 2, "")


def test_a_backup_that_lacks_a_change_has_another_epoch(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        backup = back_up(path)
        desk.settle(react(1, "👍"))
        epoch = desk.log.epoch
    restore(backup, path)
    with Desk(path) as desk:
        assert desk.log.epoch != epoch
        assert entries(desk.settle(edit(1, "b")))[0].id == 2
        epoch = desk.log.epoch
    with Desk(path) as desk:
        assert desk.log.epoch == epoch


# What it costs.


def test_what_reading_costs_does_not_grow_with_the_changes(path: Path) -> None:
    with Desk(path) as desk:
        steps: list[int] = []
        desk.log._db.set_progress_handler(lambda: steps.append(1), 1)

        def cost(work: Callable[[], Any]) -> int:
            del steps[:]
            work()
            return len(steps)

        def costs() -> list[int]:
            return [
                cost(lambda: desk.log.before("lobby", 10, 50)),
                cost(lambda: desk.log.after("lobby", 0, 50)),
                cost(lambda: desk.log.message("lobby", 1)),
                cost(lambda: desk.log.room("lobby")),
                cost(lambda: desk.log.since("lobby", desk.log.room("lobby").last - 5, 50)),  # type: ignore[union-attr]
            ]

        desk.settle(*(say(str(n)) for n in range(9)))
        desk.settle(*(react(1, "👍", on=bool(n % 2)) for n in range(20)))
        few = costs()
        for _ in range(5):
            desk.settle(*(react(1, "👍", on=bool(n % 2)) for n in range(900)))
        assert all(many <= 1.5 * before for many, before in zip(costs(), few, strict=True))
        now = desk.log.message("lobby", 1)
        assert now is not None
        assert now.changed == 9 + 20 + 4500
        assert [who.id for reaction in now.reactions for who in reaction.users] == [ANN.id]


def test_an_entry_is_a_change_of_its_kind(path: Path) -> None:
    with Desk(path) as desk:
        found = entries(desk.settle(react(7, "👍", on=False), react(7, "👍", BOB)))
        assert desk.log.since("lobby", 0, 9) == found
        assert [entry.on for entry in found if isinstance(entry, Reacted)] == [False, True]
