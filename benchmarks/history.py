"""
What a long history costs: reading it, writing behind it, and starting with it.

``python -m benchmarks.history`` fills a store with 10,000,000 messages in a temporary folder, which
takes a minute or two and 2 GB, and prints a Markdown table of what `SqliteLog` takes to start with
it, to read it and to go on. One room has 9 of 10 messages, a thousand others share the rest, all
interleaved. "Not in memory" is what the system forgot on request; a virtual machine's host may still
have it.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from statistics import median, quantiles

from chatroom.events import Message, Who
from chatroom.log import Outcome, Said, Say
from chatroom.names import room_name
from chatroom.room import RESUME, Room
from chatroom.sqlite import SqliteLog

BIG = "big"
SMALL = 1000
"""How many small rooms there are."""
USERS = 5000
PAGE = 50
TEXT = 72
"""How many characters a message has; with all else it is about 100 bytes of JSON on the wire."""

# Of ten messages the tenth is in a small room, and one after the other has its turn.
GROW = f"""
    WITH RECURSIVE numbers (n) AS (SELECT :start UNION ALL SELECT n + 1 FROM numbers WHERE n < :end)
    INSERT INTO messages (room, id, user, name, type, message, time, nonce)
    SELECT
        iif(n % 10, 1, 2 + n / 10 % {SMALL}), iif(n % 10, n - n / 10, 1 + n / 10 / {SMALL}),
        1 + abs(random()) % {USERS}, 'A user''s name', 'text',
        hex(randomblob({TEXT} / 2)),
        '2026-10-21T07:28:00.000Z', hex(randomblob(8))
    FROM numbers
"""


class Store:
    """A store in *folder* with many messages, all with nonces."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chatroom.sqlite"
        self.messages = 0
        with self.log():
            pass

    @contextmanager
    def log(self) -> Iterator[SqliteLog]:
        """Have it open to be read."""
        with closing(SqliteLog(self.path, lambda call: None)) as log:
            yield log

    def grow(self, messages: int) -> None:
        """Add messages up to the number of *messages*, by SQL alone."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            # Nothing of this is worth anything after a crash.
            db.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN")
            if not self.messages:
                rooms = [(f"room-{n}",) * 2 for n in range(SMALL)]
                db.executemany("INSERT INTO rooms (key, name) VALUES (?, ?)", [(BIG, BIG), *rooms])
                users = [(n, "A user's name") for n in range(1, USERS + 1)]
                db.executemany("INSERT INTO users VALUES (?, ?)", users)
            index = "SELECT sql FROM sqlite_schema WHERE name = 'nonces'"
            (nonces,) = db.execute(index).fetchone()
            # Sorted at once it is made in a fraction of the time.
            db.execute("DROP INDEX nonces")
            db.execute(GROW, {"start": self.messages, "end": messages - 1})
            db.execute(nonces)
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = WAL")
        self.messages = messages

    def warm(self) -> None:
        """Let the system have all of the file in memory, as far as there is room."""
        with self.path.open("rb") as file:
            while file.read(1 << 24):
                pass

    def chill(self) -> None:
        """Let the system forget what it has of the file in memory."""
        file = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def row(what: str, times: Sequence[float]) -> str:
    """Return the line of the table for *times* in milliseconds."""
    p99 = quantiles(times, n=100, method="inclusive")[98]
    return f"| {what} | {median(times):.3f} | {p99:.3f} | {max(times):.3f} |"


def start(store: Store, room: str, cold: bool) -> tuple[float, float]:
    """Return what it takes to open *store*, and to open *room* in it for the first one to come."""
    if cold:
        store.chill()
    begun = time.perf_counter()
    with store.log() as log:
        opened = time.perf_counter()
        Room[int](room_name(room), log, 200)
        return (opened - begun) * 1000, (time.perf_counter() - opened) * 1000


def starts(store: Store, times: int) -> Iterator[str]:
    """Measure the start with *store*."""
    for cold in (False, True):
        found = [start(store, BIG, cold) for _ in range(times)]
        name = f"{store.messages:,} messages{', not in memory' if cold else ''}"
        yield row(f"{name}: start", [opened for opened, _ in found])
        yield row(f"{name}: first to come", [entered for _, entered in found])


def reads(store: Store, times: int) -> Iterator[str]:
    """Measure what reading takes, at random places of rooms of *store*."""
    with store.log() as log:
        known = log.room(BIG)
        assert known is not None
        last = known.last
        smalls = [f"room-{n}" for n in range(SMALL)]
        length = store.messages // 10 // SMALL

        def anywhere(width: int) -> int:
            return random.randint(1, max(1, last - width))

        works: dict[str, Callable[[], object]] = {
            f"`before`: {PAGE} at the end": lambda: log.before(BIG, last + 1, PAGE),
            f"`before`: {PAGE} anywhere": lambda: log.before(BIG, anywhere(0) + PAGE, PAGE),
            f"`before`: {PAGE} at the beginning": lambda: log.before(BIG, PAGE + 1, PAGE),
            f"`since`: {PAGE} anywhere": lambda: log.since(BIG, anywhere(PAGE), PAGE),
            f"`before`: {PAGE} in any small room": lambda: log.before(
                random.choice(smalls), random.randint(1, length) + PAGE, PAGE
            ),
            f"`since`: {RESUME} to the end": lambda: log.since(BIG, last - RESUME, RESUME),
            f"`since`: {RESUME} anywhere": lambda: log.since(BIG, anywhere(RESUME), RESUME),
            "`room`: the big one": lambda: log.room(BIG),
            "`room`: any small one": lambda: log.room(random.choice(smalls)),
            "`user`": lambda: log.user(random.randint(1, USERS)),
        }
        for what, work in works.items():
            yield row(what, [milliseconds(work) for _ in range(times)])


def cold_reads(store: Store, times: int) -> Iterator[str]:
    """Measure one page each time that nothing of *store* is in memory."""

    def page(room: str, before: int) -> float:
        store.chill()
        with store.log() as log:
            return milliseconds(lambda: log.before(room, before, PAGE))

    last = store.messages * 9 // 10
    length = store.messages // 10 // SMALL
    big = [page(BIG, random.randint(PAGE, last)) for _ in range(times)]
    yield row(f"not in memory: {PAGE} anywhere", big)
    rooms = random.choices(range(SMALL), k=times)
    small = [page(f"room-{n}", random.randint(1, length) + PAGE) for n in rooms]
    yield row(f"not in memory: {PAGE} in any small room", small)


def writes(store: Store, times: int) -> Iterator[str]:
    """Measure what it takes until something said is durable and told, behind the whole history."""
    calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
    with closing(SqliteLog(store.path, calls.put)) as log:
        told: list[Outcome] = []
        log.listener = told.extend

        def say(size: int) -> None:
            del told[:]
            for _ in range(size):
                user = Who(random.randint(1, USERS), "A user's name")
                text, nonce = "x" * TEXT, random.randbytes(8).hex()
                time = "2026-10-21T07:28:00.000Z"
                log.append(Say(BIG, Message(0, BIG, text, "text", user, time, nonce), None))
            while len(told) < size:
                calls.get()()
            assert all(isinstance(outcome, Said) for outcome in told)

        for size in (1, 100):
            what = f"commit of {size}, {store.messages:,} messages before"
            yield row(what, [milliseconds(lambda: say(size)) for _ in range(times)])  # noqa: B023


def table(folder: Path, messages: int, times: int) -> Iterator[str]:
    """Measure with up to *messages* messages, in a store in *folder*; yield a Markdown table."""
    yield "| in milliseconds | median | p99 | max |"
    yield "|---|--:|--:|--:|"
    store = Store(folder)
    few = max(5, times // 50)
    yield from starts(store, few)
    sizes = {max(messages // 100, 1), max(messages // 10, 1), messages}
    for size in sorted(sizes):
        begun = time.monotonic()
        store.grow(size)
        took = time.monotonic() - begun
        gigabytes = store.path.stat().st_size / 1e9
        print(f"{size:,} messages: {gigabytes:.2f} GB in {took:.0f} s", file=sys.stderr)
        yield from starts(store, few)
    store.warm()
    yield from reads(store, times)
    yield from cold_reads(store, few)
    store.warm()
    yield from writes(store, times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=1000, help="how often each is measured")
    parser.add_argument(
        "--folder", type=Path, help="where there is room; the system's if not given"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="history-", dir=options.folder) as folder:
        for line in table(Path(folder), options.messages, options.times):
            print(line, flush=True)


if __name__ == "__main__":
    main()
