"""What was taken back is soon in none of a store's files, while it is in use."""

from __future__ import annotations

import contextlib
import math
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatroom.log import Draft
from chatroom.sqlite import schema, writing
from chatroom.sqlite.opening import Opened
from chatroom.sqlite.writing import ERASE, REMIND, Writer
from tests.daemon import until
from tests.log_contract import say, texts
from tests.log_contract_changes import delete, edit, react
from tests.test_sqlite import Desk, crash, database
from tests.test_sqlite import lines as lines  # noqa: PLC0414 (a fixture)

SECRET = "xylophon"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


class Clock:
    """What the writer takes for the time: *now*, in seconds."""

    def __init__(self) -> None:
        self.now = float(math.ceil(time.monotonic()))  # whole, so that sums are exact


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(writing, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Store:
    """A store at *path*, written in this thread; its journal has been emptied once."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.opened = Opened(path)
        self.writer = Writer(self.opened)
        self._clock = clock
        self.wait(ERASE)

    def write(self, *drafts: Draft) -> None:
        done = self.writer.attempt(drafts, None)
        assert isinstance(done, list), done

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._clock.now += seconds
        self.writer.empty()

    @property
    def rest(self) -> float:
        """In how many seconds the journal is to be emptied."""
        return self.writer.due - self._clock.now


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(path, clock)
    yield store
    store.opened.close()


def having(path: Path, text: str = SECRET) -> set[str]:
    """Return which of the files of the store *path* have *text*, by the ends of their names."""
    found = set()
    for file in path.parent.iterdir():
        # One that is gone meanwhile has nothing.
        with contextlib.suppress(FileNotFoundError):
            if text.encode() in file.read_bytes():
                found.add(file.name.removeprefix(path.name))
    return found


def test_it_is_soon_in_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ERASE", 0.0)
    with Desk(path) as desk:
        desk.settle(say("first"), say(SECRET))
        # Now the index has it too.
        assert texts(desk.search(SECRET)) == [SECRET]
        assert len(having(path)) > 1
        desk.settle(delete(2))
        until(lambda: not having(path), "nothing is left of it")
        assert having(path, "first")
        until(lambda: desk.log._writer.due == math.inf, "there is nothing more to do")


def test_one_time_for_all_that_was_taken_back_meanwhile(store: Store, path: Path) -> None:
    store.write(say(SECRET), say(SECRET), say("first"))
    store.write(delete(1))
    assert store.rest == ERASE
    store.wait(ERASE - 1)
    store.write(delete(2))
    assert having(path) == {"-wal"}
    store.wait(1)
    assert having(path) == set()
    assert having(path, "first") == {""}
    assert store.rest == math.inf


def test_who_takes_nothing_back_costs_nothing(store: Store, path: Path) -> None:
    store.write(say("first"), edit(1, "second"), react(1, "👍"))
    assert store.rest == math.inf
    store.wait(1e6)
    assert having(path, "first") == {"-wal"}


def test_who_reads_the_journal_is_not_waited_for(store: Store, path: Path) -> None:
    store.write(say(SECRET))
    with database(path) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM messages").fetchall()
        store.write(delete(1))
        store.wait(ERASE)
        assert "-wal" in having(path)
        assert store.rest == ERASE
        assert store.opened.db.execute("PRAGMA busy_timeout").fetchone() == (schema.BUSY,)
        store.write(say("first"))
        store.wait(ERASE)
        assert "-wal" in having(path)
    store.wait(ERASE)
    assert having(path) == set()
    assert store.rest == math.inf


def test_what_a_killed_process_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(
        path,
        "from tests.log_contract_changes import *\n"
        f"desk.settle(say('{SECRET}')); desk.settle(delete(1)); result = 0",
    )
    assert "-wal" in having(path)
    monkeypatch.setattr(writing, "ERASE", 0.0)
    with Desk(path):
        until(lambda: not having(path), "nothing is left of it")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Let no file of this process be written behind its first page."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_trouble_is_told_and_it_is_tried_again(store: Store, path: Path, lines: list[str]) -> None:
    store.write(say(SECRET), say("x" * 10_000))
    store.write(delete(1))
    with limited():
        store.wait(ERASE)
    assert [line.split(f" {path},")[0] for line in lines] == ["cannot empty the journal of"]
    assert store.rest == REMIND
    store.wait(REMIND)
    assert having(path) == set()
    assert len(lines) == 1
