"""
Writing a store: a batch is a transaction, and is durable before anybody hears of it.

All of it is for the writer's thread.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import time
from collections.abc import Sequence

from twisted.logger import Logger

from chatroom.events import Renamed
from chatroom.log import Draft, Outcome, Pass
from chatroom.sqlite.batch import Batch, Nonce, Original, Room, originals
from chatroom.sqlite.opening import Opened
from chatroom.sqlite.schema import BUSY

KNOWN = 10_000
"""The most rooms, and the most users' names, that are known without asking the store."""
ERASE = 10.0
"""So many seconds after something was taken back the journal is emptied, in which it still is."""
REMIND = 3600.0
"""So many seconds after trouble with that it is tried again, and told."""


class Writer:
    """Writes into *store*, however often that fails for a while."""

    _log = Logger()

    def __init__(self, store: Opened) -> None:
        self.renamed: dict[int, str] = {}
        """The new names of users that are not kept yet."""
        self.due = time.monotonic() + ERASE
        """When to `empty` the journal: an earlier process may have come to its end before that."""
        self._store = store
        self._failing = False
        self._rooms: dict[str, Room] = {}
        self._names: dict[int, str] = {}

    def attempt(self, drafts: Sequence[Draft], reserve: int | None) -> list[Outcome] | Exception:
        """
        Keep *drafts*, and *reserve* users' ids below.

        Returns the outcomes, or what kept it from being durable.
        """
        for draft in drafts:
            if isinstance(draft, Pass) and isinstance(draft.event, Renamed):
                self.renamed[draft.event.id] = draft.event.name
        done: list[Outcome] | Exception
        wrote = False
        db = self._store.db
        try:
            self._store.check()
            try:
                done, wrote = self._transact(drafts, reserve, {})
            except sqlite3.IntegrityError:
                # Said again, most likely: so rarely that it is cheaper not to ask before.
                self._forget()
                done, wrote = self._transact(drafts, reserve, originals(db, drafts))
            # It is durable, noted or not. Without a note, all that may be missed is a restore.
            with contextlib.suppress(OSError):
                self._store.note()
        except Exception as error:  # noqa: BLE001 (whatever it is, this thread must go on)
            done = error
            self._forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error | OSError):
                self._log.failure("a bug in writing the store")
        failed = isinstance(done, Exception)
        # Success with nothing to write does not tell that it can be written again.
        if failed != self._failing and (failed or wrote):
            self._failing = failed
            # While it fails, nobody is kept waiting for what will most likely fail again.
            db.execute(f"PRAGMA busy_timeout = {0 if failed else BUSY}")
            path = self._store.path
            if isinstance(done, Exception):
                why = reason(done)
                self._log.error("cannot write the store {path}: {reason}", path=path, reason=why)
            else:
                self._log.info("can write the store {path} again", path=path)
        return done

    def empty(self) -> None:
        """Empty the journal, if it is `due`."""
        now = time.monotonic()
        if now < self.due:
            return
        try:
            self.due = math.inf if self._store.empty() else now + ERASE
        except sqlite3.Error as error:
            self.due = now + REMIND
            self._log.error(
                "cannot empty the journal of {path}, where what was taken back still is: {reason}",
                path=self._store.path,
                reason=reason(error),
            )

    def _transact(
        self, drafts: Sequence[Draft], reserve: int | None, originals: dict[Nonce, Original]
    ) -> tuple[list[Outcome], bool]:
        """
        Keep *drafts* in one transaction; return the outcomes, and whether anything was written.

        Raises `sqlite3.IntegrityError` where something is said again that is not in *originals*.
        """
        for known in (self._rooms, self._names):
            if len(known) > KNOWN:
                known.clear()
        store = self._store
        before = store.db.total_changes
        store.db.execute("BEGIN IMMEDIATE")
        batch = Batch(store.db, self._rooms, originals)
        outcomes = batch.settle(drafts)
        self._name(batch.names)
        if reserve is not None:
            store.set("users", reserve)
        store.db.execute("COMMIT")
        store.messages = batch.messages or store.messages
        store.changes = batch.changes or store.changes
        if batch.erased:
            self.due = min(self.due, time.monotonic() + ERASE)
        if reserve is not None:
            store.reserved = reserve
        self.renamed.clear()
        return outcomes, store.db.total_changes > before

    def _name(self, names: dict[int, str]) -> None:
        """Keep the *names* of who spoke, then those of who was renamed."""
        new = [(id, name) for id, name in names.items() if self._names.get(id) != name]
        if new:
            self._store.db.executemany(
                "INSERT INTO users VALUES (?, ?) ON CONFLICT (id)"
                " DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
                new,
            )
            self._names.update(new)
        if self.renamed:
            self._store.db.executemany(
                "UPDATE users SET name = ? WHERE id = ?",
                [(name, id) for id, name in self.renamed.items()],
            )
            for id in self.renamed:
                self._names.pop(id, None)

    def _forget(self) -> None:
        """Ask the store again from now on: what is known may have been rolled back."""
        self._rooms.clear()
        self._names.clear()


def reason(error: Exception) -> str:
    """Return what *error* says, without the path that the system's errors repeat."""
    return getattr(error, "strerror", None) or str(error)
