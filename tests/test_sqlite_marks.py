"""What a store knows of who has read what, and what a search of it brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatroom.log import Found, Known, Mark, Reading, Unavailable
from chatroom.names import direct
from chatroom.sqlite import BATCH, index, reading
from tests.log_contract import ANN, BOB, say, texts
from tests.log_contract_changes import delete
from tests.log_contract_marks import mark
from tests.test_sqlite import Desk, crash, database, locked, moved
from tests.test_sqlite import patient as patient  # noqa: PLC0414 (a fixture)

ALONE = direct(ANN.id, BOB.id).key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


# Marks.


@pytest.mark.usefixtures("patient")
def test_a_flood_of_marks_is_few_statements(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        statements: list[str] = []
        desk.log._store.db.set_trace_callback(statements.append)
        with locked(path):
            desk.log.append(say("first"))
            desk.turn()
            for n in range(BATCH):
                desk.log.append(mark(n))
        while len(desk.outcomes) < BATCH + 2:
            desk.turn()
        assert [len(batch) for batch in desk.batches] == [1, 1, BATCH]
        begun = statements.index("BEGIN IMMEDIATE", 1)
        assert [statement.split()[0] for statement in statements[begun:]] == [
            "BEGIN",
            "INSERT",
            "COMMIT",
        ]
        assert desk.log.read("lobby", ANN.id) == BATCH - 1


def test_marks_and_what_is_forgotten_in_one_batch(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(mark(9), say("a"), mark(5), mark(None), mark(3), mark(2))
        assert desk.log.read("lobby", ANN.id) == 3
        desk.settle(mark(5), mark(None))
        assert desk.log.read("lobby", ANN.id) is None
        assert desk.log.readings(ANN.id) == []


def test_a_direct_room_is_never_forgotten(path: Path) -> None:
    known = Known(ALONE, 1, 1, "")
    with Desk(path) as desk:
        desk.settle(say("a", ALONE, BOB), mark(1, ALONE))
        assert desk.log.readings(ANN.id) == [Reading(ALONE, known, 1, 0, 0)]
        desk.settle(mark(None, ALONE))
        assert desk.log.readings(ANN.id) == [Reading(ALONE, known, 0, 1, 0)]
        assert desk.log.read(ALONE, ANN.id) is None
        # Who is none of the two reads it like any other.
        desk.settle(Mark(ALONE, 7, 1, None))
        assert desk.log.read(ALONE, 7) == 1
        desk.settle(Mark(ALONE, 7, None, None))
        assert desk.log.readings(7) == []


def test_a_mark_is_durable(path: Path) -> None:
    crash(
        path,
        "from tests.log_contract_marks import *\n"
        "desk.settle(say('a'), mark(1), say('b', ALONE)); result = None",
    )
    with Desk(path) as desk:
        assert desk.log.read("lobby", ANN.id) == 1
        assert [r.room for r in desk.log.readings(BOB.id)] == [ALONE]


def test_a_mark_of_a_store_that_cannot_be_written_passes_through(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("a"))
        with moved(path):
            assert desk.settle(mark(1))[0].user == ANN.id  # type: ignore[union-attr]
        assert desk.log.read("lobby", ANN.id) is None


def test_what_is_unread_among_very_many_of_ones_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Desk(path) as desk:
        desk.settle(say("theirs", sender=BOB), *(say("mine") for _ in range(500)))
        desk.settle(mark(0), say("theirs", sender=BOB))
        assert desk.log.readings(ANN.id)[0].unread == 2
        steps: list[int] = []
        desk.log._db.set_progress_handler(lambda: steps.append(1), 1)
        monkeypatch.setattr(
            reading, "_READINGS", reading._READINGS.replace(str(reading.SCANNED), "50")
        )
        assert desk.log.readings(ANN.id)[0].unread == 1, "as far as it looks"
        assert len(steps) < 1000


# Searches.


def test_what_a_search_finds_is_as_it_is_now(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("green tea"), say("black tea", "other"), say("tea for two", ALONE))
        assert texts(desk.search("tea")) == ["black tea", "green tea"]
        assert texts(desk.search("tea", ALONE, rooms=[])) == ["tea for two"]


def test_what_is_deleted_while_it_is_searched_is_not_found(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("green tea"), say("black tea"))
        hits = index.Hits([index.Hit(2, "lobby", 2), index.Hit(1, "lobby", 1)], 1)
        desk.settle(delete(2))
        reports: list[Found | Unavailable] = []
        desk.log._index.search = (  # type: ignore[method-assign]
            lambda query, rooms, also, before, limit, report: report(hits)
        )
        desk.log.search("tea", None, (), None, 9, reports.append)
        (found,) = reports
        assert isinstance(found, Found)
        assert texts(found.messages) == ["green tea"]
        assert found.next == 1


def test_a_search_of_a_store_that_is_gone(path: Path) -> None:
    with Desk(path) as desk:
        desk.settle(say("tea"))
        reports: list[Found | Unavailable] = []
        desk.log.search("tea", None, (), None, 9, reports.append)
        desk.log._db.close()
        while not reports:
            desk.turn()
        assert isinstance(reports[0], Unavailable)


def test_a_search_with_an_index_that_cannot_be_had(path: Path) -> None:
    path.with_name(f"{path.name}.search").mkdir()
    with Desk(path) as desk:
        desk.settle(say("tea"))
        reports: list[Found | Unavailable] = []
        desk.log.search("tea", None, (), None, 9, reports.append)
        while not reports:
            desk.turn()
        assert isinstance(reports[0], Unavailable)
        assert texts(desk.log.since("lobby", 0, 9)) == ["tea"]


def test_mentions_are_counted_by_the_store(path: Path) -> None:
    with Desk(path) as desk, database(path) as other:
        desk.settle(say("a"))
        other.executemany("INSERT INTO mentions VALUES (1, 1, ?)", [(id,) for id in range(150)])
        desk.settle(mark(0))
        assert desk.log.readings(ANN.id)[0].mentions == 100
