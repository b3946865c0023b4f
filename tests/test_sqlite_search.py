from __future__ import annotations

import contextlib
import json
import math
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from benchmarks import search as benchmark
from chatroom.events import Deleted, Edited
from chatroom.log import Said, Say, Unavailable
from chatroom.names import direct
from chatroom.sqlite import index, search
from chatroom.sqlite.index import Hit, Hits, IndexFile, Stale, index_path
from chatroom.sqlite.opening import Opened
from chatroom.sqlite.search import Index
from chatroom.sqlite.writing import Writer
from chatroom.terms import matches, parsed
from tests.daemon import until
from tests.log_case import ANN, TIME, keep, say

SECRET = "xylophon"
OURS = direct(1, 2).key
THEIRS = direct(2, 3).key


class Store:
    """A store at *path*, written in this thread; closed at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = Opened(path)
        self._writer = Writer(self._opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def write(self, *drafts: Say) -> list[int]:
        """Keep *drafts* in one transaction; return the ids of their entries."""
        done = self._writer.attempt(drafts, None)
        assert isinstance(done, list), done
        ids = []
        for outcome in done:
            assert isinstance(outcome, Said), outcome
            ids.append(outcome.entry.id)
        return ids

    def say(self, *texts: str, room: str = "lobby") -> list[int]:
        return self.write(*(say(text, room) for text in texts))

    def edit(self, of: int, text: str, room: str = "lobby") -> None:
        self.write(keep(Edited(0, room, of, text, "text", ANN, TIME), room))

    def delete(self, *of: int, room: str = "lobby") -> None:
        self.write(*(keep(Deleted(0, room, id, ANN, TIME), room) for id in of))


class Desk:
    """The `Index` of the store *path*, asked and waited for; closed at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.index = Index(path, self.calls.put)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    def ask(
        self,
        query: str,
        rooms: Sequence[str] | None = None,
        also: Sequence[str] = (),
        before: int | None = None,
        limit: int = 50,
    ) -> Hits | Unavailable:
        results: list[Hits | Unavailable] = []
        self.index.search(query, rooms, also, before, limit, results.append)
        assert results == []
        self.calls.get(timeout=60)()
        (result,) = results
        return result

    def find(self, query: str, *place: Any, **more: Any) -> list[tuple[str, int]]:
        """Return the rooms and ids of what *query* finds."""
        result = self.ask(query, *place, **more)
        assert isinstance(result, Hits), result
        return [(room, id) for _, room, id in result.found]

    def why(self, query: str) -> str:
        """Return why nothing can be found."""
        result = self.ask(query)
        assert isinstance(result, Unavailable), result
        assert "\n" not in str(result)
        return str(result)

    def state(self, column: str) -> Any:
        """Return what the index knows, once it is there."""
        with reading(index_path(self.path)) as db:
            return db.execute(f"SELECT {column} FROM state").fetchone()[0]

    def idle(self) -> None:
        """Wait until everything that is in the store is in the index, and nothing else."""

        def done() -> bool:
            self.index.committed()
            with reading(index_path(self.path)) as db, reading(self.path) as store:
                (messages,) = store.execute("SELECT ifnull(max(seq), 0) FROM messages").fetchone()
                (changes,) = store.execute("SELECT ifnull(max(seq), 0) FROM changes").fetchone()
                try:
                    state = db.execute("SELECT messages, changes, shard FROM state").fetchone()
                    left = db.execute("SELECT max(dirty), max(loose) FROM shards").fetchone()
                except sqlite3.OperationalError:
                    # It is not even made.
                    return False
            return (state, any(left)) == ((messages, changes, None), False)

        until(done, "the index is up to date")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of someone else to the file *path*, in autocommit mode."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chatroom.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as store:
        yield store


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shard be of few messages, and a search look through all of them."""
    monkeypatch.setattr(index, "SHARD", 4)
    monkeypatch.setattr(search, "PATIENCE", math.inf)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait that need not."""
    monkeypatch.setattr(search, "LATER", 0.0)
    monkeypatch.setattr(search, "PURGE", 0.0)
    monkeypatch.setattr(search, "RETRY", 0.0)
    monkeypatch.setattr(search, "YIELD", 0)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the search has logged."""
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "chatroom.sqlite.search.Index":
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def whole(path: Path) -> IndexFile:
    """Return the index of the store *path*, with everything in it."""
    file = IndexFile(path)
    while file.take(3) or file.join():
        pass
    return file


def contents(path: Path) -> bytes:
    """Return all bytes of the index of the store *path*."""
    files = path.parent.glob(f"{index_path(path).name}*")
    return b"".join(file.read_bytes() for file in files)


# What is found.


def test_words_in_any_public_room_newest_first(store: Store) -> None:
    store.say("Hello, world!", "good morning")
    store.say("hello from here", room="other")
    store.say("HELLO again")
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 3), ("other", 1), ("lobby", 1)]
        assert desk.find("morn") == [("lobby", 2)]
        assert desk.find("hello wor") == [("lobby", 1)]
        assert desk.find('"from here"') == [("other", 1)]
        assert desk.find('"here from"') == []
        assert desk.find("hello", ["other"]) == [("other", 1)]
        assert desk.find("hello", ["other", "lobby"], limit=2) == [("lobby", 3), ("other", 1)]
        assert desk.find("hello", []) == []
        assert desk.find("hello", ["nowhere"]) == []
        assert desk.find("absent") == desk.find("?!") == desk.find("") == []


def test_chinese_words_of_any_length_and_emoji(store: Store) -> None:
    store.say("他在北京大学学习Python编程", "京北", "好👍🏽", "ok ❤️")
    with Desk(store.path) as desk:
        for query in ("北", "京", "北京", "大学", "北京大学", "在北京大学学习", "python编程"):
            assert ("lobby", 1) in desk.find(query), query
        assert desk.find("北京") == [("lobby", 1)]
        assert desk.find("京北") == [("lobby", 2)]
        assert desk.find("京") == [("lobby", 2), ("lobby", 1)]
        assert desk.find("👍") == [("lobby", 3)]
        assert desk.find("❤") == [("lobby", 4)]


def test_direct_rooms_are_for_who_may_read_them(store: Store) -> None:
    store.say("hello all")
    store.say("hello you", room=OURS)
    store.say("hello them", room=THEIRS)
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 1)]
        assert desk.find("hello", None, [OURS]) == [(OURS, 1), ("lobby", 1)]
        assert desk.find("hello", [OURS]) == [(OURS, 1)]
        assert desk.find("hello", [], [THEIRS]) == [(THEIRS, 1)]
        assert desk.find("hello", ["lobby"], [OURS]) == [(OURS, 1), ("lobby", 1)]
        assert desk.find("hello", None, [direct(1, 9).key]) == [("lobby", 1)]


def test_many_direct_rooms(store: Store) -> None:
    rooms = [direct(1, n).key for n in range(2, 30)]
    for n, room in enumerate(rooms):
        store.say(f"hello number{n}", room=room)
    store.say("hello them", room=THEIRS)
    with Desk(store.path) as desk:
        found = [(room, 1) for room in reversed(rooms)]
        assert desk.find("hello", None, rooms) == found
        assert desk.find("hello", None, rooms[1:]) == found[:-1]
        assert desk.find("number7", None, rooms) == [(rooms[7], 1)]
        # They are not all one user's.
        assert desk.find("hello", None, [*rooms, THEIRS]) == [(THEIRS, 1), *found]


def test_many_rooms(store: Store) -> None:
    rooms = [f"room{n}" for n in range(600)]
    store.say("hello", room=rooms[7])
    store.say("hello", room=rooms[-1])
    store.write(*(say("bye", room) for room in rooms))
    # It is more than a search takes up by itself.
    whole(store.path).close()
    with Desk(store.path) as desk:
        assert desk.find("hello", rooms) == [(rooms[-1], 1), (rooms[7], 1)]


def test_page_after_page(store: Store, small: None) -> None:
    store.say(*(f"{'odd' if n % 2 else 'even'} number {n}" for n in range(1, 31)))
    with Desk(store.path) as desk:
        found: list[Hit] = []
        before = None
        pages = 0
        while pages == 0 or before is not None:
            result = desk.ask("odd", before=before, limit=4)
            assert isinstance(result, Hits)
            found += result.found
            before = result.next
            pages += 1
        assert [id for *_, id in found] == list(range(29, 0, -2))
        assert pages == 4
        assert desk.ask("odd", before=3, limit=1) == Hits([Hit(1, "lobby", 1)], None)
        assert desk.ask("odd", before=1) == desk.ask("odd", before=0) == Hits([], None)
        assert desk.find("odd", before=2**53, limit=1) == [("lobby", 29)]


def test_more_terms_than_an_index_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "TERMS", 2)
    store.say("one two three four", "one two three", "two one")
    with Desk(store.path) as desk:
        assert desk.find("one two three four five") == []
        assert desk.find("four three two one ") == [("lobby", 1)]


def test_what_would_be_special_to_sqlite(store: Store) -> None:
    store.say("a\0b NOT c* \"quoted\" terms:x NEAR(y) ^z 'q' {}", "\ue0011 \ue0021")
    with Desk(store.path) as desk:
        for query in (
            "b",
            '"a b not"',
            "NOT",
            "c*",
            '"quoted"',
            "terms:x",
            "NEAR(y)",
            "^z",
            "'q'",
            "AND OR",
        ):
            assert desk.find(query) == ([] if query == "AND OR" else [("lobby", 1)]), query
        assert desk.find("\ue0011", []) == []
        assert desk.find("\0") == desk.find('"') == desk.find("*") == []


def test_edits_and_deletes(store: Store) -> None:
    store.say("hello one", "hello two", "hello three")
    with Desk(store.path) as desk:
        assert len(desk.find("hello")) == 3
        store.edit(1, "goodbye one")
        store.delete(2)
        assert desk.find("hello") == [("lobby", 3)]
        assert desk.find("goodbye") == [("lobby", 1)]
        store.edit(1, "hello once more")
        assert desk.find("hello") == [("lobby", 3), ("lobby", 1)]
        assert desk.find("goodbye") == desk.find("two") == []
        # What changes nothing.
        store.edit(2, "risen")
        store.edit(99, "nothing")
        store.delete(99, room="elsewhere")
        assert desk.find("risen") == desk.find("nothing") == []


def test_changes_before_the_index_comes_to_the_message(store: Store) -> None:
    store.say("first", "second", "third")
    store.edit(1, "edited")
    store.delete(2)
    with Desk(store.path) as desk:
        assert desk.find("first") == desk.find("second") == []
        assert desk.find("edited") == [("lobby", 1)]


ROOMS = ("lobby", "other", OURS, THEIRS)
WORDS = ("hello", "help", "Über", "uber", "北京", "北", "京", "大学", "👍", "a_b", "x")
TEXTS = st.lists(st.sampled_from([*WORDS, " ", " ", ", "]), max_size=6).map("".join)
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(ROOMS), TEXTS),
    st.tuples(st.just("edit"), st.integers(1, 30), TEXTS),
    st.tuples(st.just("delete"), st.integers(1, 30), st.just("")),
    st.tuples(st.sampled_from(["take", "join", "purge"]), st.integers(1, 5), st.just("")),
)
QUERIES = st.one_of(TEXTS, st.sampled_from(WORDS), TEXTS.map(lambda text: f'"{text}" he'))


@given(st.lists(STEPS, max_size=40), st.lists(QUERIES, min_size=1, max_size=5), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_finds_what_reading_everything_finds(
    steps: list[tuple[str, Any, str]], queries: list[str], data: st.DataObject
) -> None:
    said: list[tuple[str, int]] = []
    now: dict[tuple[str, int], str] = {}
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder, "s")) as store,
        contextlib.closing(IndexFile(store.path)) as file,
    ):
        patch.setattr(index, "SHARD", 4)
        for what, which, text in steps:
            if what == "say":
                (id,) = store.say(text, room=which)
                said.append((which, id))
                now[which, id] = text
            elif what in ("edit", "delete"):
                if which > len(said):
                    continue
                room, id = said[which - 1]
                if what == "edit":
                    store.edit(id, text, room)
                    if (room, id) in now:
                        now[room, id] = text
                else:
                    store.delete(id, room=room)
                    now.pop((room, id), None)
            elif what == "take":
                file.take(which)
            elif what == "join":
                file.join()
            elif file.dirty:
                file.purge(which)
        while file.take(2) or file.join() or (file.dirty and not file.purge(2)):
            pass
        for query in queries:
            rooms = data.draw(st.none() | st.lists(st.sampled_from(ROOMS), max_size=2))
            also = data.draw(st.lists(st.sampled_from([OURS, THEIRS]), max_size=2))
            limit = data.draw(st.integers(1, 5))
            places = {*(("lobby", "other") if rooms is None else rooms), *also}
            expected = [
                Hit(seq, *place)
                for seq, place in reversed(list(enumerate(said, 1)))
                if place[0] in places and matches(query, now.get(place, ""))
            ]
            hits = file.find(parsed(query), rooms, also, None, limit, math.inf)
            assert hits.found == expected[:limit]
            while hits.next is not None:
                expected = expected[limit:]
                hits = file.find(parsed(query), rooms, also, hits.next, limit, math.inf)
                assert hits.found == expected[:limit]
            assert len(expected) <= limit


def test_a_step_is_no_scan(store: Store) -> None:
    store.say("hello", "hello", "other")
    store.edit(1, "hello again")
    store.say("hello", room=OURS)
    with contextlib.closing(whole(store.path)) as file:
        statements: list[str] = []
        file._db.set_trace_callback(statements.append)
        assert len(file.find(parsed("hello"), None, [OURS], None, 9, math.inf).found) == 3
        assert file.behind(file.end) == 0
        store.say("new")
        store.edit(1, "changed")
        assert file.take(9)
        assert file.take(9)
        file._db.set_trace_callback(None)
        reads = [statement for statement in statements if " store." in statement]
        assert len(reads) >= 5
        for statement in reads:
            for *_, step in file._db.execute(f"EXPLAIN QUERY PLAN {statement}"):
                assert "TEMP B-TREE" not in step, statement
                # Of one value, of what FTS5 finds, and of the one row of state.
                ours = step.startswith(("SCAN CONSTANT", "SCAN json_each", "SCAN state", "SCAN c"))
                virtual = "VIRTUAL TABLE" in step or step.startswith("SCAN (subquery")
                assert not step.startswith("SCAN") or ours or virtual, step


# When.


def test_what_was_said_before_it_was_asked(store: Store) -> None:
    with Desk(store.path) as desk:
        for n in range(50):
            store.say(f"hello{n}")
            assert desk.find(f"hello{n}") == [("lobby", n + 1)]


def test_what_was_said_is_taken_up_without_a_search(store: Store, eager: None, small: None) -> None:
    store.say("before")
    with Desk(store.path) as desk:
        desk.idle()
        assert desk.state("messages") == 1
        store.say(*(f"hello {n}" for n in range(20)))
        desk.index.committed()
        until(lambda: desk.state("messages") == 21, "what was said is in the index")
        desk.idle()


def test_far_behind_it_answers_with_what_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.say("hello")
    whole(store.path).close()
    monkeypatch.setattr(search, "NEAR", 2)
    # Nothing is taken up by itself.
    monkeypatch.setattr(Index, "_step", lambda *_: math.inf)
    store.say("hello", "hello", "hello")
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 1)]
        monkeypatch.setattr(search, "NEAR", 3)
        assert len(desk.find("hello")) == 4


def test_a_search_that_takes_too_long_ends_with_what_it_has(store: Store, small: None) -> None:
    ids = store.say(*(f"hello {n}" for n in range(20)), "other")
    with contextlib.closing(whole(store.path)) as file:

        def find(query: str, before: int | None) -> Hits:
            return file.find(parsed(query), None, (), before, 5, -math.inf)

        answers = [find('"hello 2"', None)]
        while (before := answers[-1].next) is not None:
            answers.append(find('"hello 2"', before))
            # Each goes on, however late it is.
            assert (answers[-1].next or 0) < before
        assert len(answers) > 2
        assert answers[0].found == []
        assert [hit.id for answer in answers for hit in answer.found] == [ids[2]]
        assert find("other", None) == Hits([Hit(21, "lobby", 21)], 20)


def test_steps_are_as_large_as_time_allows(
    store: Store, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.say(*(f"hello {n}" for n in range(300)))
    monkeypatch.setattr(search, "STEP", math.inf)
    monkeypatch.setattr(search, "LARGEST", 64)
    with Desk(store.path) as desk:
        desk.idle()
        assert desk.index._size == 64
        monkeypatch.setattr(search, "STEP", -1.0)
        store.say("hello")
        desk.idle()
        store.say("hello")
        desk.idle()
        # A step is over a moment after what it took up is there.
        until(lambda: desk.index._size == search.SMALLEST, "the smallest steps")


def test_pauses_are_in_proportion() -> None:
    pace = search._Pace()
    for took in (0.0, 0.01, 1.0):
        assert 0 <= pace.pause(took) <= took * search.YIELD


@pytest.mark.parametrize(
    ("spent", "pause"), [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0), (1.5, 1.0), (-1.5, 0.0)]
)
def test_a_pause_is_as_long_as_the_others_are_busy(
    monkeypatch: pytest.MonkeyPatch, spent: float, pause: float
) -> None:
    # More than all, and less than nothing: the two clocks are not read at once.
    clock = iter([(5.0, 2.0), (6.0, 2.0 + spent)])
    monkeypatch.setattr(search._Pace, "_now", lambda _: next(clock))
    assert search._Pace().pause(0.01) == pytest.approx(0.01 * search.YIELD * pause)


def test_it_keeps_nobody_from_writing(store: Store) -> None:
    store.say("hello")
    with contextlib.closing(IndexFile(store.path)) as file:
        with file._transaction():
            assert file._rows(index._RANGE, 0, 2**62, 9)
            file._db.execute("UPDATE state SET messages = 0")
            store.say("meanwhile")
            store.edit(1, "changed meanwhile")
        while file.take(1):
            pass
        hits = file.find(parsed("meanwhile"), None, (), None, 9, math.inf)
        assert [id for *_, id in hits.found] == [2, 1]


def test_it_cannot_write_the_store(store: Store) -> None:
    with (
        contextlib.closing(IndexFile(store.path)) as file,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        file._db.execute("DELETE FROM store.messages")


def test_it_is_for_nobody_else(store: Store) -> None:
    with Desk(store.path) as desk:
        desk.find("hello")
        files = list(store.path.parent.glob("*.search*"))
        assert files
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_told_after_the_end(store: Store) -> None:
    calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
    told: list[object] = []
    ours = Index(store.path, calls.put)
    ours.search("hello", None, (), None, 9, told.append)
    call = calls.get(timeout=60)
    ours.search("hello", None, (), None, 9, told.append)
    ours.close()
    call()
    while not calls.empty():
        calls.get()()
    assert told == []
    ours.committed()


# What was deleted.


@pytest.mark.parametrize("before", [True, False])
def test_nothing_is_left_of_what_was_deleted(
    store: Store, eager: None, small: None, before: bool
) -> None:
    ids = store.say("one", f"a {SECRET} here", "three", "四 秘密", "five", "six", "秘密")
    store.say(f"{SECRET} too", room=OURS)
    with Desk(store.path) as desk:
        if before:
            desk.idle()
            assert SECRET.encode() in contents(store.path)
        store.delete(ids[1])
        store.edit(ids[2], f"{SECRET}s")
        store.delete(ids[2])
        store.delete(ids[3])
        store.delete(ids[6])
        store.delete(1, room=OURS)
        desk.idle()

        def gone() -> bool:
            left = contents(store.path)
            return SECRET.encode() not in left and "秘密".encode() not in left

        until(gone, "what was deleted is overwritten")
        assert desk.find("one") == [("lobby", 1)]
        assert desk.find("five") == [("lobby", 5)]
        assert desk.find("six") == [("lobby", 6)]
    assert SECRET.encode() not in contents(store.path)


def test_a_shard_that_is_made_anew_misses_nothing(store: Store, small: None) -> None:
    store.say("alpha", "beta", "gamma")
    with contextlib.closing(whole(store.path)) as file:

        def found(word: str) -> list[int]:
            hits = file.find(parsed(word), None, (), None, 9, math.inf)
            return [id for *_, id in hits.found]

        def take() -> None:
            while file.take(9):
                pass

        store.delete(3)
        take()
        assert file.dirty
        assert not file.purge(1)
        assert not file.purge(1)
        # One that is in it already, one that is not, and a new one.
        store.edit(1, "epsilon")
        store.edit(2, "zeta")
        store.say("delta")
        take()
        assert found("epsilon") == [1]
        while not file.purge(1):
            pass
        assert [found(word) for word in ("epsilon", "zeta", "delta")] == [[1], [2], [7]]
        assert [found(word) for word in ("alpha", "beta", "gamma")] == [[], [], []]
        assert not file.dirty
        # Deleted behind where it has come to, which comes to nothing, and before, which does not.
        store.say("eta", "theta")
        take()
        store.delete(1)
        take()
        assert not file.purge(1)
        assert not file.purge(1)
        store.delete(2)
        take()
        assert (file._one("SELECT count(*) FROM shards WHERE dirty")) == 0
        assert not file.purge(1)
        store.delete(7)
        store.delete(8)
        take()
        while file.dirty:
            file.purge(1)
        assert [found(word) for word in ("epsilon", "zeta", "delta", "eta")] == [[], [], [], []]
        assert found("theta") == [9]


def test_deleted_behind_the_place_that_it_has_come_to(store: Store) -> None:
    store.say("alpha", "beta")
    with contextlib.closing(whole(store.path)) as file:
        store.delete(1)
        file.take(9)
        file.purge(9)
        file.purge(9)
        store.delete(2)
        file.take(9)
        # It is in there already.
        assert file._one("SELECT dirty FROM shards")
        assert file.purge(9)
        assert file.dirty


def test_one_shard_after_the_other(
    store: Store, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LATER", 0.0)
    monkeypatch.setattr(search, "YIELD", 0)
    store.say(*(f"word{n}" for n in range(8)))
    with Desk(store.path) as desk:
        desk.idle()
        store.delete(1, 8)

        def left() -> list[int]:
            desk.index.committed()
            with reading(index_path(store.path)) as db:
                changes, shard = db.execute("SELECT changes, shard FROM state").fetchone()
                dirty = db.execute("SELECT number FROM shards WHERE dirty").fetchall()
            return [number for (number,) in dirty] if (changes, shard) == (2, None) else []

        assert until(lambda: left() == [0], "the newest one was made anew")
        assert desk.find("word1") == [("lobby", 2)]


def test_shards_that_are_whole_are_one_piece(store: Store, eager: None, small: None) -> None:
    with Desk(store.path) as desk:
        for n in range(14):
            store.say(f"word{n} hello")
            store.say(f"word{n} hello", room=OURS)
            assert desk.find(f"word{n}") == [("lobby", n + 1)]
        desk.idle()
        with reading(index_path(store.path)) as db:
            for shard in range(7):
                for kind in ("public", "direct"):
                    count = f"SELECT count(DISTINCT segid) FROM {kind}_{shard}_idx"
                    assert db.execute(count).fetchone() == (1,)
        assert len(desk.find("hello", None, [OURS])) == 28


# What can be wrong with the file.


def garbage(path: Path) -> None:
    index_path(path).write_bytes(b"no database at all" * 1000)


def empty(path: Path) -> None:
    index_path(path).write_bytes(b"")


def missing(path: Path) -> None:
    index_path(path).unlink()


def alter(path: Path, *statements: str) -> None:
    with reading(index_path(path)) as db:
        for statement in statements:
            db.execute(statement)


def older(path: Path) -> None:
    alter(path, "PRAGMA user_version = 0")


def foreign(path: Path) -> None:
    alter(path, "PRAGMA application_id = 1")


def of_another(path: Path) -> None:
    alter(path, "UPDATE state SET epoch = 'another'")


def ahead(path: Path) -> None:
    alter(path, "UPDATE state SET messages = messages + 1")


def ahead_in_changes(path: Path) -> None:
    alter(path, "UPDATE state SET changes = changes + 1")


def broken(path: Path) -> None:
    alter(path, f"UPDATE public_0_data SET block = x'{'a5' * 40}'")


def overwritten(path: Path) -> None:
    size = index_path(path).stat().st_size
    with index_path(path).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (missing, None),
        (empty, None),
        (garbage, "file is not a database"),
        (older, "is of another version"),
        (foreign, "is of another program"),
        (of_another, "is of another store"),
        (ahead, "is of another store"),
        (ahead_in_changes, "is of another store"),
        (broken, "public_0"),
        (overwritten, "malformed"),
    ],
)
def test_an_index_that_is_worth_nothing_is_made_anew(
    store: Store, lines: list[str], damage: Callable[[Path], None], reason: str | None
) -> None:
    store.say("hello", "北京")
    store.edit(1, "hello again")
    whole(store.path).close()
    damage(store.path)
    with Desk(store.path) as desk:
        assert desk.find("again") == [("lobby", 1)]
        assert desk.find("北京") == [("lobby", 2)]
        store.say("more")
        assert desk.find("more") == [("lobby", 4)]
    if reason is None:
        assert lines == []
    else:
        (line,) = lines
        assert "is made anew" in line
        assert reason in line
        assert str(store.path) in line


def test_a_restored_backup(path: Path, lines: list[str]) -> None:
    with Store(path) as store, Desk(path) as desk:
        store.say("hello")
        with reading(path) as source, reading(path.with_suffix(".backup")) as target:
            source.backup(target)
        store.say("gone")
        assert desk.find("gone") == [("lobby", 2)]
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    path.write_bytes(path.with_suffix(".backup").read_bytes())
    with Store(path) as store, Desk(path) as desk:
        store.say("another", "hello")
        assert desk.find("gone") == []
        assert desk.find("another") == [("lobby", 2)]
        assert desk.find("hello") == [("lobby", 3), ("lobby", 1)]
    assert len(lines) == 1


def test_any_name_of_a_store(tmp_path: Path) -> None:
    path = tmp_path / "a folder %20 #1" / "store?mode=rwc&x.sqlite"
    path.parent.mkdir()
    with Store(path) as store:
        store.say("hello")
        with Desk(path) as desk:
            assert desk.find("hello") == [("lobby", 1)]
        names = {file.name for file in path.parent.iterdir()}
        assert names >= {path.name, f"{path.name}.search"}
        assert all(name.startswith(path.name) for name in names)


def test_it_goes_on_where_it_was(store: Store, lines: list[str]) -> None:
    store.say("hello")
    whole(store.path).close()
    store.say("hello")
    store.edit(1, "bye")
    with contextlib.closing(IndexFile(store.path)) as file:
        assert file.behind(file.end) == 2
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 2)]
    assert lines == []


def crash(path: Path, code: str) -> Any:
    """
    Run *code* with the index ``file`` of the store *path* in a process that is killed at its end.

    Returns what it assigned to ``result``.
    """
    program = (
        "import json, os, signal, sys; from pathlib import Path\n"
        "from tests.test_sqlite_search import *; path = Path(sys.argv[1]); index.SHARD = 4\n"
        f"file = IndexFile(path)\n{code}\n"
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


AMID = """
file.take(3)
with file._transaction():
    file._insert(file._rows(index._RANGE, 3, 2**62, 6))
    file._db.execute("UPDATE state SET messages = 9")
    print(file._state().messages, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("code", "taken"),
    [
        # Between two steps, ...
        ("file.take(5); result = file._state().messages", 5),
        # ... in one of them, ...
        (AMID, 9),
        # ... and amid making a shard anew.
        (
            "while file.take(5): pass\nfile.purge(1); file.purge(1); result = file._state().upto",
            1,
        ),
    ],
)
def test_a_crash_amid_indexing(
    store: Store, lines: list[str], small: None, eager: None, code: str, taken: int
) -> None:
    store.say(f"hello word1 {SECRET}", *(f"hello word{n}" for n in range(2, 11)))
    if "purge" in code:
        whole(store.path).close()
    store.delete(1)
    assert crash(store.path, code) == taken
    with Desk(store.path) as desk:
        desk.idle()
        assert [id for _, id in desk.find("hello")] == list(range(10, 1, -1))
        for n in range(2, 11):
            assert desk.find(f"word{n} hello") == [("lobby", n)]
        assert desk.find("word1 hello") == []
        until(lambda: SECRET.encode() not in contents(store.path), "it is overwritten")
    assert lines == []


def test_it_is_made_anew_only_once_in_a_while(
    store: Store, lines: list[str], eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "_step", lambda *_: math.inf)
    store.say("hello")
    whole(store.path).close()
    broken(store.path)
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 1)]
        broken(store.path)
        assert desk.why("hello").startswith("cannot search: ")
        assert desk.why("hello").startswith("cannot search: ")
        assert len(lines) == 2
        monkeypatch.setattr(search, "ANEW", 0.0)
        assert desk.find("hello") == [("lobby", 1)]


def test_no_index_can_be_made(store: Store, lines: list[str], eager: None) -> None:
    store.say("hello")
    index_path(store.path).mkdir()
    with Desk(store.path) as desk:
        assert "Is a directory" in desk.why("hello")
        assert len(lines) == 1
        assert "cannot keep the search index" in lines[0]
        index_path(store.path).rmdir()
        until(lambda: len(lines) == 2, "it can be made again")
        assert "again" in lines[1]
        assert desk.find("hello") == [("lobby", 1)]


def test_nobody_comes_between_what_is_read_and_what_is_written(store: Store) -> None:
    store.say("hello")
    path = index_path(store.path)
    with (
        contextlib.closing(IndexFile(store.path)) as file,
        contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0.0)) as other,
    ):
        tried: list[str] = []

        def write(statement: str) -> None:
            if not statement.startswith("BEGIN"):
                try:
                    other.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    tried.append(str(error))

        file._db.set_trace_callback(write)
        assert file.take(1)
        assert set(tried) == {"database is locked"}


def test_a_search_with_nothing_new_asks_for_no_lock(
    store: Store, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BUSY", 0.0)
    monkeypatch.setattr(Index, "_step", lambda *_: math.inf)
    store.say("hello")
    whole(store.path).close()
    with Desk(store.path) as desk, reading(index_path(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert desk.find("hello") == [("lobby", 1)]
        assert lines == []


def test_what_is_there_is_found_while_the_index_cannot_be_written(
    store: Store, lines: list[str], eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.say("hello")
    whole(store.path).close()
    # Only now, for who looks into it may hold a lock for a moment, too.
    monkeypatch.setattr(index, "BUSY", 0.02)
    with Desk(store.path) as desk:
        assert desk.find("hello") == [("lobby", 1)]
        with reading(index_path(store.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            store.say("hello")
            assert desk.find("hello") == [("lobby", 1)]
            assert len(lines) == 1
            assert "locked" in lines[0]
            other.execute("ROLLBACK")
        desk.index.committed()
        until(lambda: len(lines) == 2, "it can be written again")
        assert desk.find("hello") == [("lobby", 2), ("lobby", 1)]


def test_a_bug_ends_nothing(
    store: Store, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.say("hello")
    with Desk(store.path) as desk:
        with monkeypatch.context() as patch:
            patch.setattr(search, "parsed", lambda query: 1 / 0)
            assert "division" in desk.why("hello")
        assert desk.find("hello") == [("lobby", 1)]
        assert lines == ["a bug in the search"]


def test_a_file_that_cannot_be_opened_is_let_go_of(store: Store) -> None:
    whole(store.path).close()
    of_another(store.path)
    with pytest.raises(Stale):
        IndexFile(store.path)
    # It can be had alone.
    with reading(index_path(store.path)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")


@pytest.mark.long
def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--messages 2000 --times 2 --rounds 1 --seconds 0.05"
    benchmark.main(arguments.split())
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| messages | 2,000 |") for line in lines) == 1
    assert sum("in the smallest room" in line for line in lines) >= 10
    assert sum(line.startswith("| index kept") for line in lines) == 1
