"""
The proof that what was said is kept: a daemon killed again and again in the midst of talk.

``python -m tests.torture --rounds 200`` runs a real daemon, and clients that talk without a break
over real sockets. In each round the daemon is killed with SIGKILL at a random moment and started
again; the clients come back, go on where they were, and send again what they had no answer to. It
exits with 1 as soon as anything that anybody saw is missing, doubled, changed or out of place.
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
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.daemon import Daemon

T = TypeVar("T")

TALKERS = 5
READERS = 3
WINDOW = 6
"""How many messages a talker has on the way at once."""
RETRY = 0.02
"""Seconds between a client's attempts to come back."""
PATIENCE = 60.0
"""Seconds in which all clients must be where they should be."""


class Violation(AssertionError):
    """A promise that was not kept."""


def claim(kept: bool, what: str) -> None:
    """Raise `Violation`, saying *what*, unless the promise was *kept*."""
    if not kept:
        raise Violation(what)


@dataclass
class Witness:
    """What all clients together have seen: one record for each id, whoever saw it first."""

    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    users: set[int] = field(default_factory=set)
    epoch: str | None = None
    figures: Counter[str] = field(default_factory=Counter)

    def meet(self, init: dict[str, Any]) -> int:
        """Take the first *init* of somebody new, and return their user id."""
        id: int = init["self"]["id"]
        claim(id not in self.users, f"the user id {id} was given twice")
        self.users.add(id)
        return id

    def see(self, message: dict[str, Any], who: str) -> None:
        """Take what *who* saw, and hold it against what others have."""
        first = self.seen.setdefault(message["id"], message)
        claim(message == first, f"{who} saw {message}, others {first}")


class Client:
    """Somebody in the lobby who stays, whatever happens to the daemon at *url*."""

    def __init__(self, name: str, url: str, witness: Witness) -> None:
        self.name = name
        self.last = 0
        """The id up to which everything was seen."""
        self._url = url
        self._witness = witness
        self._compression = random.choice(["deflate", None])
        self._id: int | None = None
        self._who: dict[str, str] = {"name": name}
        self._connection: ClientConnection | None = None
        self._moved = asyncio.Event()

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
            event = json.loads(text)
            name, data = event["event"], event["data"]
            if name == "init":
                await self._begin(data, connection)
            elif name == "talk":
                self._hear(data)
            claim(name != "error", f"{self.name} was told {data}")
            await self._go_on(connection)

    async def _begin(self, init: dict[str, Any], connection: ClientConnection) -> None:
        witness = self._witness
        if self._id is not None:
            witness.figures["resumed" if init["resumed"] else "not resumed"] += 1
            claim(init["resumed"], f"{self.name} could not go on behind {self.last}")
            claim(init["self"]["id"] == self._id, f"{self.name} is somebody else now")
            claim(init["self"]["name"] == self.name, f"{self.name} is called otherwise now")
        else:
            self._id = witness.meet(init)
            self.last = init["messages"][0]["id"] - 1 if init["messages"] else 0
        witness.epoch = witness.epoch or init["epoch"]
        claim(init["epoch"] == witness.epoch, "another epoch")
        self._who = {"name": self.name, "token": init["self"]["token"], "epoch": init["epoch"]}
        for message in init["messages"]:
            self._see(message)
        self._connection = connection
        self._moved.set()

    def _hear(self, message: dict[str, Any]) -> None:
        self._see(message)

    def _see(self, message: dict[str, Any]) -> None:
        """Take the next message of the room."""
        follows = message["id"] == self.last + 1
        claim(follows, f"{self.name} saw {message['id']} behind {self.last}")
        self.last += 1
        self._witness.see(message, self.name)
        self._moved.set()

    async def _go_on(self, connection: ClientConnection) -> None:
        """Do what is to be done after each event."""


class Talker(Client):
    """Somebody who talks without a break, and sends again what was not answered."""

    def __init__(self, name: str, url: str, witness: Witness) -> None:
        super().__init__(name, url, witness)
        self._quiet = True
        self.count = 0
        """How many messages there are, of which the last few may be unanswered."""
        self._waiting: dict[str, str] = {}
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

    def _hear(self, message: dict[str, Any]) -> None:
        nonce = message.get("nonce")
        # The answer to what had been said already comes alone, out of the room's order.
        own = message["from"]["id"] == self._id
        if own and nonce in self._again and message["id"] <= self.last:
            self._again.remove(nonce)
            self._witness.figures["said already"] += 1
            self._witness.see(message, self.name)
            self._moved.set()
        else:
            super()._hear(message)
            self._again.discard(nonce)

    def _see(self, message: dict[str, Any]) -> None:
        super()._see(message)
        if message["from"]["id"] == self._id:
            nonce = message["nonce"]
            text = self._waiting.pop(nonce, None)
            claim(message["message"] == text, f"{self.name} did not wait for {message}")

    async def _begin(self, init: dict[str, Any], connection: ClientConnection) -> None:
        # All of it, as if the init did not tell that some of it had been said.
        unanswered = dict(self._waiting)
        await super()._begin(init, connection)
        self._again = set(unanswered)
        self._witness.figures["sent again"] += len(unanswered)
        for nonce, text in unanswered.items():
            await self._talk(connection, nonce, text)

    async def _go_on(self, connection: ClientConnection) -> None:
        while not self._quiet and len(self._waiting) < WINDOW:
            self.count += 1
            nonce = f"{self.name}-{self.count}"
            self._waiting[nonce] = f"{nonce} says 你好 " + "x" * random.choice([0, 10, 100, 1000])
            await self._talk(connection, nonce, self._waiting[nonce])

    async def _talk(self, connection: ClientConnection, nonce: str, text: str) -> None:
        data = {"message": text, "nonce": nonce}
        await connection.send(json.dumps({"event": "talk", "data": data}))


async def history(url: str, witness: Witness, behind: int) -> list[dict[str, Any]]:
    """Return the history as a visitor finds it, behind the message *behind*."""
    found: list[dict[str, Any]] = []
    async with connect(url) as connection:
        init = json.loads(await connection.recv())["data"]
        witness.meet(init)
        query: dict[str, Any] = {"limit": 200}
        while True:
            await connection.send(json.dumps({"event": "history", "data": query}))
            while (event := json.loads(await connection.recv()))["event"] != "history":
                claim(event["event"] != "error", f"a visitor was told {event}")
            page = event["data"]["messages"]
            found[:0] = page
            claim(bool(page) or not event["data"]["more"], "an empty page that is not the last")
            if not event["data"]["more"] or page[0]["id"] <= behind + 1:
                return [message for message in found if message["id"] > behind]
            query["before"] = page[0]["id"]


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


async def look_back(url: str, witness: Witness, behind: int) -> int:
    """Hold the history behind the message *behind* against all that was seen; return its end."""
    high = max(witness.seen, default=0)
    found = await within_reason(history(url, witness, behind), "the history")
    ids = [message["id"] for message in found]
    end = behind + len(ids)
    claim(ids == list(range(behind + 1, end + 1)), f"holes in the history: {ids}")
    claim(high <= end, f"{high} was seen, and the history ends with {end}")
    for message in found:
        witness.see(message, "the history")
    return end


def intact(store: Path) -> None:
    """Have SQLite look through the file *store*, which may be in use."""
    with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as db:
        claim(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "a damaged store")


def look_into(store: Path, witness: Witness, talkers: Sequence[Talker]) -> None:
    """Hold the file *store*, which nobody uses any more, against all that was seen and said."""
    intact(store)
    with contextlib.closing(sqlite3.connect(store)) as db:
        rows = db.execute("SELECT id, message, user, name, time, nonce FROM messages ORDER BY id")
        kept = rows.fetchall()
    seen = [
        (id, m["message"], m["from"]["id"], m["from"]["name"], m["time"], m["nonce"])
        for id, m in sorted(witness.seen.items())
    ]
    claim(kept == seen, "the store holds something else than was seen")
    claim([row[0] for row in kept] == list(range(1, len(kept) + 1)), "holes in the store")
    for talker in talkers:
        nonces = [f"{talker.name}-{n}" for n in range(1, talker.count + 1)]
        own = [row[5] for row in kept if row[3] == talker.name]
        claim(own == nonces, f"{talker.name} is not kept word for word: {own}")
    claim(len(kept) == sum(talker.count for talker in talkers), "something that nobody said")


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
    witness.figures["messages"] = len(witness.seen)
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
        end = await look_back(daemon.ws, witness, end)
        intact(store)
        await all_of((client.back(end) for client in clients), f"everybody back at {end}")
    await all_of((talker.answered() for talker in talkers), "all answers")
    end = await look_back(daemon.ws, witness, 0)
    await all_of((client.back(end) for client in clients), f"everybody at {end}")
    claim(end == len(witness.seen), "something that is in no history")


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
        f" {time.monotonic() - begun:.0f} s: {figures['messages']} messages,"
        f" {figures['resumed']} times resumed, {figures['not resumed']} times not,"
        f" {figures['sent again']} sent again, {figures['said already']} of them said already;"
        " nothing lost, doubled or out of order, integrity ok"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
