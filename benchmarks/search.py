"""
What search costs: a search in a long history, making the index of it, and talk meanwhile.

``python -m benchmarks.search`` fills a store with 1,000,000 messages in a temporary folder, which
takes some minutes and 1 GB, and prints Markdown tables. Half of the messages are English and half
Chinese, as far as frequencies and lengths of words go (Zipf); of ten, one is in a direct room.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from unittest import mock

from benchmarks.history import row
from chatroom import sqlite
from chatroom.events import Message, Who
from chatroom.log import Found, Outcome, Say, Unavailable
from chatroom.sqlite import SqliteLog
from chatroom.sqlite.index import Hits, IndexFile, index_path
from chatroom.sqlite.search import Index

PUBLIC = 300
"""How many public rooms there are, …"""
DIRECT = 300
"""… and direct ones; in many of these is the user `ASKER`."""
ASKER = 1
USERS = 1000
LIMIT = 20
"""How many hits a page of results has."""
TIME = "2026-10-21T07:28:00.000Z"
BURST = 1000
"""How many messages are on their way where as much is said as can be."""


class Vocabulary:
    """Words, of which the n-th is n times rarer than the first."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self._weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))

    def draw(self, count: int) -> list[str]:
        """Return *count* words as they come in a text."""
        return random.choices(self.words, cum_weights=self._weights, k=count)

    def rank(self, share: float) -> int:
        """Return the rank of the word before which that *share* of a text lies."""
        return bisect(self._weights, share * self._weights[-1])


def english(count: int) -> Vocabulary:
    """Return *count* words of Latin letters; frequent ones are short."""
    syllables = [
        a + b for a in "bcdfghlmnprstwy" for b in ("a", "e", "i", "o", "u", "er", "an", "in")
    ]
    words: dict[str, None] = {}
    while len(words) < count:
        length = 1 + min(3, len(words) * 40 // count // 4 + random.randint(0, 1))
        words["".join(random.choices(syllables, k=length))] = None
        if len(words) == len(syllables):
            words[random.choice(syllables) + random.choice(syllables)] = None
    return Vocabulary(list(words))


def chinese(count: int) -> Vocabulary:
    """Return *count* words of one to four characters, of which some are in many."""
    characters = Vocabulary([chr(0x4E00 + n) for n in random.sample(range(20_000), 4000)])
    words = dict.fromkeys(characters.words[:200])
    while len(words) < count:
        words["".join(characters.draw(random.choice((1, 2, 2, 2, 2, 3, 4))))] = None
    return Vocabulary(list(words))


class Store:
    """A store in *folder* with *size* messages."""

    def __init__(self, folder: Path, size: int) -> None:
        self.path = folder / "chatroom.sqlite"
        self.size = size
        self.english = english(50_000)
        self.chinese = chinese(50_000)
        self.public = Vocabulary([f"room-{n}" for n in range(PUBLIC)])
        others = range(ASKER + 1, ASKER + 1 + DIRECT)
        self.direct = [f"@{ASKER}-{n}" if n % 3 else f"@{n}-{n + 1}" for n in others]
        self.own = [key for key in self.direct if key.startswith(f"@{ASKER}-")]
        # Nobody keeps an index of it yet.
        with mock.patch.object(sqlite, "Index", mock.Mock()):
            SqliteLog(self.path, lambda call: None).close()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN")
            db.executemany(
                "INSERT INTO rooms (number, key, name) VALUES (?, ?, ?)",
                [(n, key, key) for n, key in enumerate([*self.public.words, *self.direct], 1)],
            )
            db.executemany(
                "INSERT INTO users VALUES (?, ?)", [(n, f"user {n}") for n in range(1, USERS + 1)]
            )
            db.executemany(
                "INSERT INTO messages (room, id, user, name, type, message, time)"
                " VALUES (?, ?, ?, 'a user', 'text', ?, ?)",
                self._messages(),
            )
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = WAL")

    def _messages(self) -> Iterator[tuple[int, int, int, str, str]]:
        numbers = {room: n for n, room in enumerate([*self.public.words, *self.direct], 1)}
        last = dict.fromkeys(numbers.values(), 0)
        for n in range(self.size):
            room = numbers[random.choice(self.direct) if n % 10 == 0 else self.public.draw(1)[0]]
            last[room] += 1
            yield room, last[room], random.randint(1, USERS), self.text(), TIME

    def text(self) -> str:
        """Return something to say."""
        length = 1 + int(random.expovariate(1 / 11))
        if random.random() < 0.5:
            return " ".join(self.english.draw(length)).capitalize() + "."
        return "".join(self.chinese.draw(length)) + "。"


class Desk:
    """The search in *store*, asked and waited for."""

    def __init__(self, store: Path) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._index = Index(store, self._calls.put)

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None = None,
        also: Sequence[str] = (),
        before: int | None = None,
    ) -> Hits:
        """Return what *query* finds, as soon as it is there."""
        results: list[Hits | Unavailable] = []
        self._index.search(query, rooms, also, before, LIMIT, results.append)
        self._calls.get()()
        (result,) = results
        if isinstance(result, Unavailable):
            raise result
        return result

    def close(self) -> None:
        self._index.close()


def build(store: Store) -> Iterator[str]:
    """Measure making the index of *store* from nothing."""
    cpu, wall = time.process_time(), time.perf_counter()
    with closing(IndexFile(store.path)) as file:
        while file.take(1024) or file.join():
            pass
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    index = index_path(store.path).stat().st_size
    size = store.path.stat().st_size
    yield "| making the index | |"
    yield "|---|--:|"
    yield f"| messages | {store.size:,} |"
    yield f"| seconds, of CPU time | {wall:.1f}, {cpu:.1f} |"
    yield f"| µs of CPU time a message | {cpu / store.size * 1e6:.1f} |"
    yield f"| MB, of the store | {index / 1e6:.0f}, {size / 1e6:.0f} |"
    yield f"| of the store's size | {index / size:.2f} |"


def searches(store: Store, times: int) -> Iterator[str]:
    """Measure searches of all kinds in *store*."""
    en, zh = store.english, store.chinese
    big, small = store.public.words[0], store.public.words[-1]

    def common() -> str:
        return random.choice(en.words[:20])

    def rare() -> str:
        return random.choice(en.words[20_000:])

    def words(length: int, first: int, last: int) -> str:
        return random.choice([word for word in zh.words[first:last] if len(word) == length])

    queries: dict[str, Callable[[], str]] = {
        "frequent word": lambda: common() + " ",
        "rare word": rare,
        "two frequent words": lambda: f"{common()} {common()}",
        "a frequent and a rare word": lambda: f"{common()} {rare()}",
        "three words": lambda: " ".join(en.draw(3)),
        "quoted, two frequent words": lambda: f'"{common()} {common()}"',
        "beginning of three letters": lambda: rare()[:3],
        "beginning of four letters": lambda: rare()[:4],
        "frequent Chinese character": lambda: words(1, 0, 200),
        "rare Chinese character": lambda: words(2, 20_000, 50_000)[0],
        "frequent Chinese word of two": lambda: words(2, 0, 1000),
        "rare Chinese word of two": lambda: words(2, 20_000, 50_000),
        "Chinese word of four": lambda: words(4, 0, 50_000),
        "frequent in both languages, never together": lambda: f"{common()} {words(1, 0, 20)}",
        "no such word": lambda: f"qq{random.randrange(10**6)}x",
        "no such Chinese word": lambda: words(2, 30_000, 50_000) + words(2, 30_000, 50_000),
        "five words, never together": lambda: " ".join(random.sample(en.words[:60], 5)),
    }
    places: dict[str, tuple[list[str] | None, list[str]]] = {
        "everywhere": (None, []),
        f"and in {len(store.own)} direct rooms": (None, store.own),
        "in the biggest room": ([big], []),
        "in the smallest room": ([small], []),
        "in a direct room": ([store.own[0]], []),
    }
    yield "| milliseconds a search | median | p99 | max | max of CPU time | answered in part |"
    yield "|---|--:|--:|--:|--:|--:|"
    worst = 0.0
    with closing(Desk(store.path)) as desk:

        def measured(what: str, search: Callable[[], Hits]) -> str:
            nonlocal worst
            walls, cpus, parts = [], [], 0
            for _ in range(times):
                wall, cpu = time.perf_counter(), time.process_time()
                hits = search()
                walls.append((time.perf_counter() - wall) * 1000)
                cpus.append((time.process_time() - cpu) * 1000)
                parts += hits.next is not None and len(hits.found) < LIMIT
            worst = max(worst, *walls)
            return f"{row(what, walls)} {max(cpus):.3f} | {parts} of {times} |"

        for where, (rooms, also) in places.items():
            for what, query in queries.items():
                yield measured(
                    f"{what}, {where}",
                    lambda: desk.search(query(), rooms, also),  # noqa: B023
                )
        text, before = common(), None

        def turn() -> Hits:
            nonlocal before
            hits = desk.search(text, None, (), before)
            before = hits.next
            return hits

        yield measured("frequent word, page after page", turn)
    print(f"the longest search took {worst:.1f} ms", file=sys.stderr)


class Talk:
    """
    As much said into *store* as can be, for some *seconds*; and *query* searched for again and again,
    if there is one.
    """

    def __init__(
        self, store: Path, seconds: float, texts: Sequence[str], query: Callable[[], str] | None
    ) -> None:
        self.searches: list[float] = []
        """Milliseconds that each search has taken."""
        self._told = 0
        self._texts = texts
        calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        with closing(SqliteLog(store, calls.put)) as self._log:
            self._log.listener = self._listen
            self._say(BURST)
            if query is not None:
                self._search(query)
            wall, cpu = time.perf_counter(), time.process_time()
            while time.perf_counter() < wall + seconds or not self._is_enough(query is not None):
                calls.get()()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.rate = self._told / wall
        """Messages a second."""
        self.cost = cpu / self._told * 1e6
        """Microseconds of CPU time for each message, in all threads."""

    def _is_enough(self, searched: bool) -> bool:
        """Return whether there is something to make figures of."""
        return self._told > 0 and (len(self.searches) > 1 or not searched)

    def _say(self, count: int) -> None:
        who = Who(1, "a user")
        for n in range(count):
            text = self._texts[(self._told + n) % len(self._texts)]
            self._log.append(Say("talk", Message(0, "talk", text, "text", who, TIME), None))

    def _listen(self, batch: Sequence[Outcome]) -> None:
        self._told += len(batch)
        self._say(len(batch))

    def _search(self, query: Callable[[], str]) -> None:
        begun = time.perf_counter()

        def told(found: Found | Unavailable) -> None:
            assert isinstance(found, Found), found
            self.searches.append((time.perf_counter() - begun) * 1000)
            self._search(query)

        self._log.search(query(), None, (), None, LIMIT, told)


@contextmanager
def aside(path: Path) -> Iterator[None]:
    """Put the file *path* where nobody looks for it."""
    kept = path.rename(path.with_suffix(".kept"))
    yield
    kept.rename(path)


def talks(store: Store, rounds: int, seconds: float) -> Iterator[str]:
    """Measure talk into *store* without an index, with one, and with more to do for it."""
    texts = [store.text() for _ in range(1000)]
    kinds = "no index", "index kept", "search after search", "index made of all"
    query = partial(random.choice, store.english.words)
    done: dict[str, list[Talk]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            with ExitStack() as stack:
                if kind == "no index":
                    stack.enter_context(mock.patch.object(sqlite, "Index", mock.Mock()))
                elif kind == "index made of all":
                    stack.enter_context(aside(index_path(store.path)))
                else:
                    # All that was said before is in it.
                    with closing(IndexFile(store.path)) as file:
                        while file.take(1024) or file.join():
                            pass
                asked = query if kind == "search after search" else None
                done[kind].append(Talk(store.path, seconds, texts, asked))
    yield "| talk | messages a second | to no index | µs of CPU time a message |"
    yield "|---|--:|--:|--:|"
    alone = median(talk.rate for talk in done["no index"])
    for kind, talks in done.items():
        rate, cost = median(talk.rate for talk in talks), median(talk.cost for talk in talks)
        yield f"| {kind} | {rate:,.0f} | {rate / alone:.3f} | {cost:.1f} |"
    yield ""
    yield "| milliseconds a search | median | p99 | max |"
    yield "|---|--:|--:|--:|"
    taken = [took for talk in done["search after search"] for took in talk.searches]
    yield row("any English word, amid as much talk as there can be", taken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=200, help="how often each is measured")
    parser.add_argument("--rounds", type=int, default=15, help="of talk, of each kind in turn")
    parser.add_argument("--seconds", type=float, default=1, help="that a round of talk takes")
    parser.add_argument(
        "--folder", type=Path, help="where there is room; the system's if not given"
    )
    options = parser.parse_args(arguments)
    random.seed(1)
    with tempfile.TemporaryDirectory(prefix="search-", dir=options.folder) as folder:
        begun = time.monotonic()
        store = Store(Path(folder), options.messages)
        print(f"filled in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        for part in (
            build(store),
            searches(store, options.times),
            talks(store, options.rounds, options.seconds),
        ):
            for line in part:
                print(line, flush=True)
            print(flush=True)


if __name__ == "__main__":
    main()
