"""
The proof that what was said is kept: a daemon killed again and again in the midst of talk.

``python -m tests.torture --rounds 200`` runs a real daemon, and clients that talk without a break
over real sockets. In each round the daemon is killed with SIGKILL at a random moment and started
again; the clients come back, go on where they were, and send again what they had no answer to. They
talk, edit and delete what they have said, and react to what others have. It exits with 1 as soon as
anything that anybody saw is missing, doubled, otherwise or out of place.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.daemon import Daemon
from tests.fuzz import wire
from tests.fuzz.past import Past, Wrong

E = TypeVar("E", wire.Init, wire.History)
T = TypeVar("T")

TALKERS = 5
READERS = 3
WINDOW = 6
"""How many messages and changes a talker has on the way at once."""
EMOJI = ("👍", "❤️", "🎉", "🇩🇪")
RETRY = 0.02
"""Seconds between a client's attempts to come back."""
PATIENCE = 120.0
"""Seconds in which all clients must be where they should be."""


class Violation(AssertionError):
    """A promise that was not kept."""


def claim(kept: bool, what: str) -> None:
    """Raise `Violation`, saying *what*, unless the promise was *kept*."""
    if not kept:
        raise Violation(what)


def lasting(entry: wire.Entry) -> tuple[object, ...]:
    """Return of *entry* what never changes: a message may, and what an edit said is deleted."""
    kind = type(entry).__name__.lower()
    members = [entry.id, kind, entry.sender.id, entry.sender.name, entry.time, entry.nonce]
    if isinstance(entry, wire.React):
        return *members, entry.of, entry.emoji, entry.on
    return *members, getattr(entry, "of", None)


@dataclass
class Witness:
    """What all clients together have seen: one record for each id, whoever saw it first."""

    seen: dict[int, tuple[object, ...]] = field(default_factory=dict)
    messages: set[int] = field(default_factory=set)
    """The ids of those that are messages."""
    users: set[int] = field(default_factory=set)
    epoch: str | None = None
    figures: Counter[str] = field(default_factory=Counter)

    def meet(self, init: wire.Init) -> int:
        """Take the first *init* of somebody new, and return their user id."""
        id = init.self.id
        claim(id not in self.users, f"the user id {id} was given twice")
        self.users.add(id)
        return id

    def see(self, entry: wire.Entry, who: str) -> None:
        """Take what *who* saw, and hold it against what others have."""
        first = self.seen.setdefault(entry.id, lasting(entry))
        claim(lasting(entry) == first, f"{who} saw {entry}, others {first}")
        if isinstance(entry, wire.Talk):
            self.messages.add(entry.id)


class Client:
    """Somebody in the lobby who stays, whatever happens to the daemon at *url*."""

    def __init__(self, name: str, url: str, witness: Witness) -> None:
        self.name = name
        self.past = Past(kept=10**9)
        """What was seen, all of it."""
        self._url = url
        self._witness = witness
        self._compression = random.choice(["deflate", None])
        self._id: int | None = None
        self._who: dict[str, str] = {"name": name}
        self._connection: ClientConnection | None = None
        self._moved = asyncio.Event()

    @property
    def last(self) -> int:
        """The id up to which everything was seen."""
        return self.past.last

    async def run(self) -> None:
        """Be there until cancelled. Raises `Violation`."""
        while True:
            try:
                async with connect(self._address, compression=self._compression) as connection:
                    await self._listen(connection)
                raise Violation(f"{self.name} was sent away")
            except ConnectionClosed as end:
                claim(end.rcvd is None and end.sent is None, f"{self.name} was sent away: {end}")
            except (OSError, EOFError, InvalidMessage):
                """Nobody listens there now, or they were killed before they could answer."""
            self._connection = None
            self._moved.set()
            await asyncio.sleep(RETRY)

    async def lost(self) -> None:
        """Return when the connection is gone."""
        await self._until(lambda: self._connection is None)

    async def back(self, id: int) -> None:
        """Return when there is a connection, and everything up to the message *id* was seen."""
        await self._until(lambda: self._connection is not None and self.last >= id)

    async def _until(self, come: Callable[[], bool]) -> None:
        while not come():
            self._moved.clear()
            await self._moved.wait()

    @property
    def _address(self) -> str:
        after = {} if self._id is None else {"after": str(self.last)}
        return f"{self._url}?{urlencode(self._who | after)}"

    async def _listen(self, connection: ClientConnection) -> None:
        async for text in connection:
            try:
                _, event = wire.read(text.encode() if isinstance(text, str) else text)
                if isinstance(event, wire.Init):
                    await self._begin(event, connection)
                elif isinstance(event, wire.Entry):
                    self._hear(event)
                elif isinstance(event, wire.Error):
                    self._told(event)
            except (ValueError, Wrong) as wrong:
                raise Violation(f"{self.name}: {wrong}") from wrong
            await self._go_on(connection)

    async def _begin(self, init: wire.Init, connection: ClientConnection) -> None:
        witness = self._witness
        known = self._id is not None
        if known:
            witness.figures["resumed" if init.resumed else "not resumed"] += 1
            claim(init.resumed, f"{self.name} could not go on behind {self.last}")
            claim(init.self.id == self._id, f"{self.name} is somebody else now")
            claim(init.self.name == self.name, f"{self.name} is called otherwise now")
        else:
            self._id = witness.meet(init)
        witness.epoch = witness.epoch or init.epoch
        claim(init.epoch == witness.epoch, "another epoch")
        self._who = {"name": self.name, "token": init.self.token, "epoch": init.epoch}
        self.past.begin(init, known, ())
        entries: list[Any] = [*init.messages, *(told.change for told in init.changes or ())]
        for entry in sorted(entries, key=attrgetter("id")):
            self._see(entry)
        self._connection = connection
        self._moved.set()

    def _hear(self, entry: wire.Entry) -> None:
        """Take the next entry of the room."""
        claim(entry.id == self.last + 1, f"{self.name} saw {entry.id} behind {self.last}")
        self.past.take(entry)
        self._see(entry)

    def _see(self, entry: wire.Entry) -> None:
        self._witness.see(entry, self.name)
        self._moved.set()

    def _told(self, error: wire.Error) -> None:
        raise Violation(f"{self.name} was told {error}")

    async def _go_on(self, connection: ClientConnection) -> None:
        """Do what is to be done after each event."""


class Talker(Client):
    """Somebody who talks without a break, and sends again what was not answered."""

    def __init__(self, name: str, url: str, witness: Witness) -> None:
        super().__init__(name, url, witness)
        self._quiet = True
        self.count = 0
        """How many messages there are, of which the last few may be unanswered."""
        self.said: dict[str, str] = {}
        """What all messages said at first."""
        self.refused: set[str] = set()
        """What was too late: the message had been deleted."""
        self._waiting: dict[str, tuple[str, dict[str, Any]]] = {}
        self._again: set[str] = set()

    async def talk(self) -> None:
        """Begin to talk."""
        self._quiet = False
        if self._connection is not None:
            with contextlib.suppress(ConnectionClosed):  # `run` sees that too
                await self._go_on(self._connection)

    def hush(self) -> None:
        """Begin no more messages; those that are on their way will be sent again if need be."""
        self._quiet = True

    async def answered(self) -> None:
        """Return when everything was answered."""
        await self._until(lambda: not (self._waiting or self._again))

    def _hear(self, entry: wire.Entry) -> None:
        nonce = entry.nonce
        # The answer to what had been said already comes alone, out of the room's order.
        own = entry.sender.id == self._id
        if own and nonce in self._again and entry.id <= self.last:
            self._again.remove(nonce)
            self._witness.figures["said already"] += 1
            if isinstance(entry, wire.Talk):
                self.past.lately(entry)
            self._see(entry)
        else:
            super()._hear(entry)
            self._again.discard(nonce or "")

    def _see(self, entry: wire.Entry) -> None:
        super()._see(entry)
        if entry.sender.id == self._id and entry.nonce in self._waiting:
            event, data = self._waiting.pop(entry.nonce)
            of = getattr(entry, "of", None)
            claim(of == data.get("of"), f"{self.name} did not wait for {entry}")
            if event == "talk" and entry.id == self.last:
                claim(entry.message == data["message"], f"{self.name} said {data}, not {entry}")  # type: ignore[union-attr]

    def _told(self, error: wire.Error) -> None:
        nonce = error.nonce or ""
        claim(nonce in self._waiting, f"{self.name} was told {error} of what had been done")
        _, data = self._waiting.pop(nonce)
        message = self.past.messages.get(data.get("of", 0))
        late = message is not None and message.deleted and error.code == "no_such_message"
        claim(bool(late), f"{self.name} was told {error}")
        self._again.discard(nonce)
        self.refused.add(nonce)
        self._witness.figures["too late"] += 1
        self._moved.set()

    async def _begin(self, init: wire.Init, connection: ClientConnection) -> None:
        # All of it, as if the init did not tell that some of it had been said.
        unanswered = dict(self._waiting)
        await super()._begin(init, connection)
        self._again = set(unanswered)
        self._witness.figures["sent again"] += len(unanswered)
        for event, data in unanswered.values():
            await self._send(connection, event, data)

    async def _go_on(self, connection: ClientConnection) -> None:
        while not self._quiet and len(self._waiting) < WINDOW:
            self.count += 1
            nonce = f"{self.name}-{self.count}"
            event, data = self._next(nonce)
            self._waiting[nonce] = event, data | {"nonce": nonce}
            self._witness.figures[event] += 1
            await self._send(connection, *self._waiting[nonce])

    def _next(self, nonce: str) -> tuple[str, dict[str, Any]]:
        """Return what to say next, and the members of it."""
        text = f"{nonce} says 你好 " + "x" * random.choice([0, 10, 100, 1000])
        there = list(self.past.messages.values())[-30:]
        there = [message for message in there if not message.deleted]
        own = [message for message in there if message.sender.id == self._id]
        kind = random.random()
        if kind < 0.15 and own:
            type = random.choice(["text", "markdown"])
            return "edit", {"of": random.choice(own).id, "message": text, "type": type}
        if kind < 0.2 and own:
            return "delete", {"of": random.choice(own).id}
        if kind < 0.4 and there:
            emoji, on = random.choice(EMOJI), random.random() < 0.8
            return "react", {"of": random.choice(there).id, "emoji": emoji, "on": on}
        self.said[nonce] = text
        return "talk", {"message": text}

    async def _send(self, connection: ClientConnection, event: str, data: dict[str, Any]) -> None:
        await connection.send(json.dumps({"event": event, "data": data}))


async def history(url: str, witness: Witness, behind: int) -> tuple[int, list[wire.Talk]]:
    """Return the room's end and history as a visitor finds it, behind the entry *behind*."""
    found: list[wire.Talk] = []
    async with connect(url) as connection:

        async def next_of(kind: type[E]) -> E:
            while True:
                text = await connection.recv()
                _, event = wire.read(text.encode() if isinstance(text, str) else text)
                if isinstance(event, kind):
                    return event
                claim(not isinstance(event, wire.Error), f"a visitor was told {event}")

        init = await next_of(wire.Init)
        witness.meet(init)
        query: dict[str, Any] = {"limit": 200}
        while True:
            await connection.send(json.dumps({"event": "history", "data": query}))
            page = await next_of(wire.History)
            found[:0] = page.messages
            claim(bool(page.messages) or not page.more, "an empty page that is not the last")
            if not page.more or page.messages[0].id <= behind + 1:
                last = max([init.last, *(message.id for message in page.messages)])
                return last, [message for message in found if message.id > behind]
            query["before"] = page.messages[0].id


async def within_reason(work: Awaitable[T], what: str) -> T:
    """Return what *work* returns, which must not take for ever."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await work
    except TimeoutError:
        raise Violation(f"not within {PATIENCE} s: {what}") from None


async def all_of(work: Iterable[Coroutine[Any, Any, None]], what: str) -> None:
    """Wait for all of *work*."""
    await within_reason(asyncio.gather(*work), what)


async def look_back(url: str, witness: Witness, behind: int) -> tuple[int, list[wire.Talk]]:
    """Hold the history behind the entry *behind* against all that was seen; return its end and it."""
    high = max(witness.seen, default=0)
    end, found = await within_reason(history(url, witness, behind), "the history")
    claim(high <= end, f"{high} was seen, and the history ends with {end}")
    for message in found:
        witness.see(message, "the history")
    return end, found


def intact(store: Path) -> None:
    """Have SQLite look through the file *store*, which may be in use."""
    with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as db:
        claim(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "a damaged store")


def look_into(store: Path, witness: Witness, talkers: Sequence[Talker]) -> None:
    """Hold the file *store*, which nobody uses any more, against all that was seen and said."""
    intact(store)
    with contextlib.closing(sqlite3.connect(store)) as db:
        talks = db.execute(
            "SELECT id, 'talk', user, name, time, nonce, NULL, message, deleted FROM messages"
        ).fetchall()
        changes = db.execute(
            "SELECT id, kind, user, name, time, nonce, of, value, more FROM changes"
        ).fetchall()
    kept = sorted(talks + changes)
    seen = [witness.seen[id] for id in sorted(witness.seen)]
    claim([row[:7] for row in kept] == [entry[:7] for entry in seen], "the store is otherwise")
    claim([row[0] for row in kept] == list(range(1, len(kept) + 1)), "holes in the store")
    for row in changes:
        claim(row[1] != "react" or row[7] == witness.seen[row[0]][7], f"another emoji: {row}")
    said = {nonce: text for talker in talkers for nonce, text in talker.said.items()}
    messages = talkers[0].past.messages
    for id, *_, nonce, _of, text, deleted in talks:
        gone = bool(messages[id].deleted)
        claim(gone == (deleted is not None), f"{id} is deleted in one place only")
        claim(text == ("" if gone else said[nonce]), f"{id} says {text!r} at first")
    for id, kind, *_, of, text, _more in changes:
        gone = kind == "edit" and bool(messages[of].deleted)
        claim(kind == "delete" or (text == "") == gone, f"{id} is left of what was deleted: {text}")
    for talker in talkers:
        nonces = [f"{talker.name}-{n}" for n in range(1, talker.count + 1)]
        own = [row[5] for row in kept if row[3] == talker.name]
        answered = [nonce for nonce in nonces if nonce not in talker.refused]
        claim(own == answered, f"{talker.name} is not kept word for word: {own}")


async def torture(folder: Path, rounds: int, seed: int) -> Counter[str]:
    """Kill a daemon in *folder* so many *rounds*; return the figures. Raises `Violation`."""
    random.seed(seed)
    witness = Witness()
    store = folder / "chatroom.sqlite"
    with Daemon(folder, "--talk-rate", "0") as daemon:
        talkers = [Talker(f"talker{n}", daemon.ws, witness) for n in range(TALKERS)]
        clients = talkers + [Client(f"reader{n}", daemon.ws, witness) for n in range(READERS)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.run()) for client in clients]
                await talk_and_kill(daemon, store, rounds, witness, talkers, clients)
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        claim(daemon.stop() == 0, "the daemon did not stop as it should")
    claim("Traceback" not in daemon.output, f"a traceback in {daemon.log}")
    look_into(store, witness, talkers)
    witness.figures["entries"] = len(witness.seen)
    claim(witness.figures["resumed"] == rounds * len(clients), "not everybody went on each time")
    return witness.figures


async def talk_and_kill(
    daemon: Daemon,
    store: Path,
    rounds: int,
    witness: Witness,
    talkers: Sequence[Talker],
    clients: Sequence[Client],
) -> None:
    """Kill *daemon* so many *rounds*, and look each time whether all is as it was."""
    end = 0
    await all_of((client.back(0) for client in clients), "everybody in the room")
    for _ in range(rounds):
        await all_of((talker.talk() for talker in talkers), "everybody talking")
        await asyncio.sleep(random.uniform(0.05, 0.4))
        daemon.kill()
        for talker in talkers:
            talker.hush()
        await all_of((client.lost() for client in clients), "everybody cut off")
        await asyncio.to_thread(daemon.start)
        behind = end
        end, found = await look_back(daemon.ws, witness, behind)
        intact(store)
        await all_of((client.back(end) for client in clients), f"everybody back at {end}")
        ids = {id for id in witness.messages if behind < id <= end}
        claim(ids == {message.id for message in found if message.id <= end}, "another history")
    await all_of((talker.answered() for talker in talkers), "all answers")
    end, found = await look_back(daemon.ws, witness, 0)
    await all_of((client.back(end) for client in clients), f"everybody at {end}")
    claim(sorted(witness.seen) == list(range(1, end + 1)), "something that is in no history")
    now = {message.id: message for message in found}
    for client in clients:
        claim(client.past.messages == now, f"{client.name} has come to something else")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    begun = time.monotonic()
    try:
        figures = asyncio.run(torture(folder, options.rounds, options.seed))
    except Violation as violation:
        print(f"VIOLATION (seed {options.seed}, see {folder}): {str(violation)[:1000]}")
        return 1
    shutil.rmtree(folder)
    print(
        f"{options.rounds} rounds of kill -9 (seed {options.seed}) in"
        f" {time.monotonic() - begun:.0f} s: {figures['entries']} entries of {figures['talk']}"
        f" messages, {figures['edit']} edits, {figures['delete']} deletions and"
        f" {figures['react']} reactions ({figures['too late']} too late),"
        f" {figures['resumed']} times resumed, {figures['not resumed']} times not,"
        f" {figures['sent again']} sent again, {figures['said already']} of them said already;"
        " nothing lost, doubled or out of order, integrity ok"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
