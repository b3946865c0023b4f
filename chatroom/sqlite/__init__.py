"""
The default log: one SQLite file, in which what was said is durable before anybody sees it.

One thread writes. While one commit is under way, what arrives meanwhile forms the next batch: at
low load a message waits for nothing, and at high load one ``fsync`` serves many. The reactor's
thread reads, over a connection of its own, which the writer never blocks (WAL). The search is in a
file of its own, with a thread of its own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from chatroom.events import Edited, Message, Renamed
from chatroom.log import (
    Draft,
    Found,
    Outcome,
    Pass,
    Refused,
    Say,
    Unavailable,
    ignore,
)
from chatroom.sqlite.index import Hits
from chatroom.sqlite.opening import BLOCK, Opened, drawn
from chatroom.sqlite.reading import Reader
from chatroom.sqlite.schema import Unfit, connected
from chatroom.sqlite.search import Index, until
from chatroom.sqlite.writing import Writer, reason

__all__ = ["BATCH", "BATCH_TEXT", "SqliteLog", "StoreError"]

BATCH = 1000
"""The most drafts of one commit."""
BATCH_TEXT = 250_000
"""After so many characters a batch is full: a batch is what each reader is sent at once."""

_TEXTS = (Message, Edited)


class StoreError(Exception):
    """A store that cannot be used; the text says which and why, in one line."""


class SqliteLog(Reader):
    """
    A `chatroom.log.Log` in the file *path*, which is made if it is not there.

    *from_thread* is called in the writer's thread and calls a callable in this one, in order, like
    `IReactorFromThreads.callFromThread`. Raises `StoreError`.
    """

    def __init__(self, path: Path, from_thread: Callable[[Callable[[], None]], object]) -> None:
        self.listener: Callable[[Sequence[Outcome]], None] = ignore
        self._from_thread = from_thread
        self._drafts: list[Draft] = []
        self._busy = False
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # SQLite has names of its own for what is no file, and nobody may change the folder.
        real = Path(os.path.realpath(path))
        with contextlib.ExitStack() as undo:
            try:
                self._store = undo.enter_context(contextlib.closing(Opened(real)))
                super().__init__(undo.enter_context(contextlib.closing(connected(real))))
            except Unfit as error:
                raise StoreError(f"the store {path} {error}") from error
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"cannot use the store {path}: {reason(error)}") from error
            undo.pop_all()
        self.epoch = self._store.epoch
        self.secret = self._store.secret
        self._next_user = self._store.next_user
        self._writer = Writer(self._store)
        self._thread = threading.Thread(target=self._run, name=f"writer of {path}", daemon=True)
        self._thread.start()
        self._index = Index(real, from_thread)

    def append(self, draft: Draft) -> None:
        self._drafts.append(draft)
        if not self._busy:
            # Not at once: all that comes in one turn of the reactor is to be one batch.
            self._busy = True
            self._from_thread(self._dispatch)

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        report: Callable[[Found | Unavailable], None],
    ) -> None:
        def tell(hits: Hits | Unavailable) -> None:
            found: Found | Unavailable
            try:
                found = hits if isinstance(hits, Unavailable) else self._found(hits)
            except Unavailable as error:
                found = error
            report(found)

        self._index.search(query, rooms, also, before, limit, tell)

    def new_user(self) -> int:
        if self._next_user >= self._store.reserved:
            # They come faster than the store can be written, or it cannot be.
            return drawn()
        self._next_user += 1
        return self._next_user - 1

    def check(self, report: Callable[[str | None], None]) -> None:
        def probe() -> None:
            done = self._writer.attempt([], self._store.reserved)
            why = reason(done) if isinstance(done, Exception) else None
            self._from_thread(partial(report, why))

        self._work.put(probe)

    def close(self) -> None:
        """Commit what was appended, and let go of the store. Its last outcomes are not told."""
        self.listener = ignore
        while self._drafts:
            self._dispatch()
        self._index.close()
        self._work.put(None)
        self._thread.join()
        # The user that comes next is known for sure only at an orderly end.
        self._writer.attempt([], self._next_user)
        super().close()
        self._store.close()

    def _found(self, hits: Hits) -> Found:
        messages = [self.message(hit.room, hit.id) for hit in hits.found]
        # Some may have been deleted since they were found.
        return Found(
            [message for message in messages if message and not message.deleted], hits.next
        )

    def _dispatch(self) -> None:
        size = text = 0
        writes = False
        for draft in self._drafts[:BATCH]:
            size += 1
            if isinstance(draft, Say):
                writes = True
                entry = draft.entry
                if isinstance(entry, _TEXTS):
                    text += len(entry.message)
                    if entry.html:
                        text += len(entry.html)
                    if text > BATCH_TEXT:
                        break
            elif not isinstance(draft, Pass) or isinstance(draft.event, Renamed):
                writes = True
        batch, self._drafts = self._drafts[:size], self._drafts[size:]
        low = self._next_user + BLOCK // 2 > self._store.reserved
        if writes or low or self._writer.renamed:
            self._work.put(partial(self._commit, batch, self._next_user + BLOCK if low else None))
        else:
            # Nothing of it is kept, so that the other thread has nothing to do with it.
            self._from_thread(partial(self._done, batch))

    def _done(self, outcomes: Sequence[Any]) -> None:
        if self._drafts:
            # Not at once either: those who now hear of these have their next word ready, and would
            # else come one batch behind the others for ever.
            self._from_thread(self._dispatch)
        else:
            self._busy = False
        self.listener(outcomes)

    # From here on: the writer's thread.

    def _run(self) -> None:
        while True:
            with contextlib.suppress(Empty):
                if (work := self._work.get(timeout=until(self._writer.due))) is None:
                    break
                work()
            self._writer.empty()

    def _commit(self, batch: list[Draft], reserve: int | None) -> None:
        outcomes: Sequence[Outcome] | Exception = self._writer.attempt(batch, reserve)
        if isinstance(outcomes, Exception):
            outcomes = [
                Refused(draft, "unavailable") if isinstance(draft, Say) else draft
                for draft in batch
            ]
        else:
            self._index.committed()
        self._from_thread(partial(self._done, outcomes))
