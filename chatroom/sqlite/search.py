"""
Full-text search over a store: asked in the reactor's thread, answered by a thread of its own.

The thread takes up what the store has committed, in small steps with pauses, and searches in between.
A search comes first: what had been said before it was asked is taken up before it is answered,
unless that is much. It is answered soon, if need be with a part of what there is to be found. While
the process is busy the pauses are long, so that nobody notices; what is left behind then is made up
for later.

The index is worth nothing that could not be had again. Where anything is wrong with it, it is made
anew from the store.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from twisted.logger import Logger

from chatroom.log import Unavailable
from chatroom.sqlite.index import Hits, IndexFile, Stale, remove
from chatroom.sqlite.writing import reason
from chatroom.terms import parsed

LATER = 1.0
"""After so many seconds what was said is taken up, if nobody searches before."""
PATIENCE = 0.03
"""A search ends after so many seconds, with what it has found; the next one can go on from there."""
NEAR = 512
"""A search takes up what is new, where that is no more than so many messages and changes."""
RETRY = 30.0
"""So many seconds after trouble it tries again."""
ANEW = 3600.0
"""Within so many seconds it is made anew only once: there may be something wrong with the store."""
PURGE = 30.0
"""So many seconds lie between one shard's being made anew without what was deleted, and the next."""
SMALLEST, LARGEST = 16, 1024
"""How many messages are taken up in one step: as many as it can in about …"""
STEP = 0.01
"""… so many seconds."""
YIELD = 100
"""How many times as long as a step the pause after it is, if the process is all busy meanwhile."""

T = TypeVar("T")


class _Ask(NamedTuple):
    """A search, and whom to tell what it finds."""

    query: str
    rooms: Sequence[str] | None
    also: Sequence[str]
    before: int | None
    limit: int
    report: Callable[[Hits | Unavailable], None]


class Index:
    """
    The search over the store in the file *store*, which has to be there, with an index beside it.

    *from_thread* is called in a thread and calls a callable in this one, in order, like
    `IReactorFromThreads.callFromThread`.
    """

    _log = Logger()

    def __init__(self, store: Path, from_thread: Callable[[Callable[[], None]], object]) -> None:
        self._store = Path(os.path.realpath(store))
        self._from_thread = from_thread
        self._jobs: SimpleQueue[_Ask | None] = SimpleQueue()
        self._told = False
        self._closing = False
        self._file: IndexFile | None = None
        self._failing = False
        self._anew = self._purge = -math.inf
        self._size = SMALLEST
        self._thread = threading.Thread(target=self._run, name=f"search of {store}", daemon=True)
        self._thread.start()

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        report: Callable[[Hits | Unavailable], None],
    ) -> None:
        """
        Call *report* later with the newest *limit* messages that *query* finds.

        They are in the rooms with the comparison forms *rooms*, or in any that is not direct; or in
        one of *also*, which are direct rooms of one user. *before* is the `next` of earlier `Hits`.
        """
        self._jobs.put(_Ask(query, rooms, also, before, limit, report))

    def committed(self) -> None:
        """Know that there is something new in the store. It may be called in any thread."""
        if not self._told:
            self._told = True
            self._jobs.put(None)

    def close(self) -> None:
        """Let go of the index. Searches that were not answered are not answered any more."""
        self._closing = True
        self._jobs.put(None)
        self._thread.join()

    def _tell(
        self, report: Callable[[Hits | Unavailable], None], result: Hits | Unavailable
    ) -> None:
        if not self._closing:
            report(result)

    # From here on: the index's thread.

    def _run(self) -> None:
        pace = _Pace()
        due = 0.0
        while True:
            with suppress(Empty):
                job = self._jobs.get(timeout=until(due))
                if self._closing:
                    break
                if job is not None:
                    self._answer(job)
                else:
                    due = min(due, time.monotonic() + LATER)
            if time.monotonic() >= due:
                # Until here it was known that there is something new.
                self._told = False
                due = time.monotonic() + self._step(pace)
        self._let_go()

    def _step(self, pace: _Pace) -> float:
        """Take up some of what is new; return after how many seconds to go on."""
        begun = time.monotonic()
        try:
            wait = self._attempt(self._advance)
        except Exception as error:  # noqa: BLE001 (whatever it is, this thread must go on)
            self._trouble(error)
            return RETRY
        self._recovered()
        took = time.monotonic() - begun
        if took > STEP:
            self._size = max(SMALLEST, self._size // 2)
        elif took < STEP / 2:
            self._size = min(LARGEST, self._size * 2)
        return max(wait, pace.pause(took))

    def _advance(self, file: IndexFile) -> float:
        """Take one step; return after how many seconds there is something more to do."""
        if file.take(self._size) or file.join():
            return 0.0
        if not file.dirty:
            return math.inf
        if (wait := self._purge + PURGE - time.monotonic()) > 0:
            return wait
        if file.purge(self._size):
            self._purge = time.monotonic()
        return 0.0

    def _answer(self, ask: _Ask) -> None:
        result: Hits | Unavailable
        try:
            result = self._attempt(partial(self._found, ask))
        except Exception as error:  # noqa: BLE001 (whatever it is, this thread must go on)
            self._trouble(error)
            result = Unavailable(f"cannot search: {reason(error)}")
        self._from_thread(partial(self._tell, ask.report, result))

    def _found(self, ask: _Ask, file: IndexFile) -> Hits:
        until = time.monotonic() + PATIENCE
        try:
            self._catch_up(file)
        except sqlite3.OperationalError as error:
            # What is there can be searched all the same.
            self._trouble(error)
        query = parsed(ask.query)
        return file.find(query, ask.rooms, ask.also, ask.before, ask.limit, until)

    def _catch_up(self, file: IndexFile) -> None:
        """Take up what has been said until now, if that does not take long."""
        end = file.end
        if 0 < file.behind(end) <= NEAR:
            while file.take(NEAR, end):
                pass

    def _attempt(self, work: Callable[[IndexFile], T]) -> T:
        """Return what *work* makes of the index, which is made anew if there is need."""
        try:
            return work(self._opened())
        except (Stale, sqlite3.DatabaseError) as error:
            now = time.monotonic()
            if now < self._anew + ANEW or not _is_unfit(error):
                raise
            self._anew = now
            self._log.warn(
                "the search index of {path} is made anew: {reason}", path=self._store, reason=error
            )
        self._let_go()
        remove(self._store)
        return work(self._opened())

    def _opened(self) -> IndexFile:
        if self._file is None:
            self._file = IndexFile(self._store)
        return self._file

    def _let_go(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _trouble(self, error: Exception) -> None:
        if not isinstance(error, sqlite3.Error | OSError | Stale):
            self._log.failure("a bug in the search")
        elif not self._failing:
            self._failing = True
            self._log.error(
                "cannot keep the search index of {path}: {reason}",
                path=self._store,
                reason=reason(error),
            )

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            self._log.info("can keep the search index of {path} again", path=self._store)


class _Pace:
    """How busy all other threads of the process are; for use in one thread."""

    def __init__(self) -> None:
        self._at, self._spent = self._now()

    def pause(self, took: float) -> float:
        """Return for how many seconds to leave them alone after a step that *took* some seconds."""
        at, spent = self._now()
        busy = (spent - self._spent) / max(at - self._at, 1e-6)
        self._at, self._spent = at, spent
        return took * YIELD * min(max(0.0, busy), 1.0) ** 2

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time() - time.thread_time()


def until(due: float) -> float | None:
    """Return how many seconds there are until *due*; None if that is never."""
    return None if due == math.inf else max(0.0, due - time.monotonic())


def _is_unfit(error: Exception) -> bool:
    """Return whether *error* says that the index is worth nothing any more."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, Stale) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
