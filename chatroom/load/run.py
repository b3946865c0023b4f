"""The whole course: connections are opened, talk, and leave."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from tqdm import tqdm
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, deferLater

from chatroom.events import Limits
from chatroom.load.address import explained
from chatroom.load.options import Options
from chatroom.load.reader import Reader, Sender
from chatroom.load.tally import Stopwatch, per_second, ticks
from chatroom.load.transcript import Conversation

OPENING = 30.0
"""Seconds that a connection may take until it is in the room."""
STALLED = 5.0
"""Seconds without a delivery after which what is still missing at the end is taken for lost."""
LEAVING = 5.0
"""Seconds that the server may take to close all connections."""
BEAT = 0.25
"""Every so many seconds one looks how things are."""


class Load:
    """
    Connections to *endpoint*, and the talk on them, as *options* have it.

    *reactor* gives time and timers; *now* the time in ticks. What comes of it is in *tally*.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        options: Options,
        now: Callable[[], int] = ticks,
    ) -> None:
        self.conversation = Conversation(now)
        self.tally = self.conversation.tally
        self.options = options
        self.senders: deque[Sender] = deque()
        self.talking = False
        self._reactor = reactor
        self._endpoint = endpoint
        self._now = now
        self._request = options.request()
        self._readers: set[Reader] = set()
        self._waits: set[Deferred[Any]] = set()
        self._leaving = False

    async def run(self) -> None:
        """Open the connections, talk, see that everything arrives, and leave."""
        await self._open()
        if self.senders and not self.tally.interrupted:
            await self._talk()
            await self._settle()
        await self._leave()

    def stop(self) -> None:
        """End early."""
        self.tally.interrupted = True
        self._cut()

    # One thing after the other.

    async def _open(self) -> None:
        watch, wished = Stopwatch(self._now), self.options["connections"]
        numbers = iter(range(wished))
        with progress(wished, "connection") as bar:
            # One alone, for where nobody answers there is no use in asking a thousand times.
            await self._enter(islice(numbers, 1), bar)
            if self._readers:
                many = range(self.options["concurrency"])
                await gatherResults([ensureDeferred(self._enter(numbers, bar)) for _ in many])
        self.tally.opening, self.tally.opening_use = watch.seconds, watch.use

    async def _enter(self, numbers: Iterator[int], bar: tqdm[Any]) -> None:
        """Open a connection for each of *numbers*, one after the other."""
        for number in numbers:
            if self.tally.interrupted:
                return
            try:
                if await self._comes(self._connected(self._reader(number))):
                    bar.update()
            except Exception as failed:  # noqa: BLE001 (whatever it is, it is counted and shown)
                self.tally.refused[explained(failed)] += 1

    def _connected(self, reader: Reader) -> Deferred[Any]:
        reader.entered.addCallback(self._entered, reader)
        reader.left.addCallback(self._lost, reader)
        factory = Factory.forProtocol(lambda: reader)
        factory.noisy = False
        entering = self._endpoint.connect(factory)
        entering.addCallback(lambda _: reader.entered)
        return entering.addTimeout(OPENING, self._reactor)

    def _reader(self, number: int) -> Reader:
        if number >= self.options["senders"]:
            return Reader(self.conversation, self._request)
        author = self.conversation.author(self.options["room"], self.options["size"])
        return Sender(self.conversation, self._request, author, self._reactor)

    def _entered(self, limits: Limits, reader: Reader) -> None:
        if not self.tally.opened:
            self.conversation.transcript.first = reader.next
            self.tally.limits = limits
        self.tally.opened += 1
        self._readers.add(reader)
        if isinstance(reader, Sender):
            self.senders.append(reader)

    def _lost(self, why: str, reader: Reader) -> None:
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        if isinstance(reader, Sender):
            self.senders.remove(reader)
            reader.window = 0
        if not self._leaving:
            self.tally.closed[why] += 1
        if not self._readers and (self._leaving or self.talking):
            self._cut()

    async def _talk(self) -> None:
        # One's own pauses would be taken for the server's.
        gc.collect()
        gc.freeze()
        tally, seconds = self.tally, self.options["seconds"]
        self.talking = True
        self._watch = Stopwatch(self._now)
        with progress(seconds, "s") as bar:
            beat = LoopingCall(self._show, bar)
            beat.clock = self._reactor
            beat.start(BEAT, now=False)
            if self.options["rate"] is None:
                for sender in list(self.senders):
                    sender.window = self.options["window"]
                    sender.fill()
            else:
                self._say_due()
            try:
                await self._comes(deferLater(self._reactor, seconds))
            finally:
                self.talking = False
                for sender in self.senders:
                    sender.window = 0
                beat.stop()
                gc.unfreeze()
            self._show(bar)
        tally.seconds, tally.use = self._watch.seconds, self._watch.use
        tally.in_time = tally.deliveries

    def _say_due(self) -> None:
        """Say what is due at the rate that was asked for, the senders in turn."""
        rate, tally = self.options["rate"], self.tally
        passed = self._watch.seconds
        while self.talking and tally.said < passed * rate:
            for _ in range(len(self.senders)):
                self.senders.rotate(-1)
                if self.senders[-1].wait <= 0:
                    self.senders[-1].say()
                    break
            else:
                break
        if self.talking:
            self._reactor.callLater(max(tally.said / rate - passed, 0.001), self._say_due)

    def _show(self, bar: tqdm[Any]) -> None:
        if self._readers:
            self.conversation.transcript.forget(min(reader.next for reader in self._readers))
        passed = min(self._watch.seconds, self.options["seconds"])
        bar.update(passed - bar.n)
        bar.set_postfix_str(f"{per_second(self.tally.deliveries, passed):,.0f} deliveries/s")

    async def _settle(self) -> None:
        """Wait for what is still under way, and count what does not come."""
        before, still = -1, Stopwatch(self._now)

        def look() -> None:
            nonlocal before, still
            if self.tally.deliveries > before:
                before, still = self.tally.deliveries, Stopwatch(self._now)
            if not (self._missing() or self._unanswered()) or still.seconds > STALLED:
                watching.stop()

        watching = LoopingCall(look)
        watching.clock = self._reactor
        await watching.start(BEAT)
        self.tally.lost += self._missing()
        self.tally.unanswered += self._unanswered()

    def _missing(self) -> int:
        """Return how many deliveries are still to come."""
        return sum(max(0, self.conversation.own - reader.next) for reader in self._readers)

    def _unanswered(self) -> int:
        """Return of how many messages nobody knows what became."""
        return sum(len(sender.author.outstanding) for sender in self.senders)

    async def _leave(self) -> None:
        self._leaving = True
        for reader in list(self._readers):
            reader.leave()
        if self._readers:
            await self._comes(deferLater(self._reactor, LEAVING))
        for reader in list(self._readers):
            reader.transport.abortConnection()

    async def _comes(self, waiting: Deferred[Any]) -> bool:
        """Wait, and return whether that was not cut short."""
        self._waits.add(waiting)
        try:
            await waiting
            return True
        except CancelledError:
            return False
        finally:
            self._waits.discard(waiting)

    def _cut(self) -> None:
        for waiting in list(self._waits):
            waiting.cancel()


def progress(total: float, unit: str) -> tqdm[Any]:
    """Return a progress bar on stderr, where that is a terminal."""
    tqdm.monitor_interval = 0  # no thread
    return tqdm(
        total=total,
        unit=unit,
        leave=False,
        disable=None,
        bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} {unit} {postfix}",
    )
