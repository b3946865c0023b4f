"""Signs of life, asked of many connections in turn and by one timer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import Generic, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

SLOTS = 50
"""In at most so many steps all connections have been asked, …"""
STEP = 0.25
"""… each of which has at least so many seconds: those asked together cost less."""


class Alive(Protocol):
    """What has a heartbeat."""

    slot: int
    """When its turn is; the heartbeat's own."""

    def ask(self) -> None:
        """Ask for a sign of life."""

    def lapse(self) -> None:
        """End: there was none in time."""


C = TypeVar("C", bound=Alive)


class Heartbeat(Generic[C]):
    """
    All connections of a kind: each is asked every *interval* seconds, and has *timeout* to answer.

    Either may be 0 for never. Turns are given out evenly, so that those who came at once are not
    asked at once.
    """

    def __init__(self, clock: IReactorTime, interval: float, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        slots = max(1, min(SLOTS, int(interval / STEP)))
        self._slots: list[set[C]] = [set() for _ in range(slots)]
        self._step = interval / slots
        self._turns = count()
        self._now = 0
        # In the order of their deadlines, for all have the same time.
        self._asked: dict[C, float] = {}
        self._beating: LoopingCall | None = None

    def __iter__(self) -> Iterator[C]:
        return chain(*self._slots)

    def join(self, connection: C) -> None:
        """Count *connection* in."""
        connection.slot = next(self._turns) % len(self._slots)
        self._slots[connection.slot].add(connection)
        if self._step and self._beating is None:
            # A new one, for the last one would count the time without anybody as missed steps.
            self._beating = LoopingCall.withCount(self._beat)
            self._beating.clock = self._clock
            self._beating.start(self._step, now=False)

    def leave(self, connection: C) -> None:
        """Forget *connection*."""
        self._slots[connection.slot].discard(connection)
        self._asked.pop(connection, None)
        if self._beating is not None and not any(self._slots):
            self._beating.stop()
            self._beating = None

    def heard(self, connection: C) -> None:
        """Take note of a sign of life."""
        self._asked.pop(connection, None)

    def _beat(self, steps: int) -> None:
        now = self._clock.seconds()
        if steps > 1:
            # While this process could not hear them, it could not be their fault.
            late = (steps - 1) * self._step
            self._asked = {asked: deadline + late for asked, deadline in self._asked.items()}
        while self._asked:
            connection, deadline = next(iter(self._asked.items()))
            if deadline > now:
                break
            del self._asked[connection]
            connection.lapse()
        for _ in range(min(steps, len(self._slots))):
            self._now = (self._now + 1) % len(self._slots)
            slot = self._slots[self._now]
            for connection in list(slot):
                if connection in slot and connection not in self._asked:
                    if self._timeout:
                        self._asked[connection] = now + self._timeout
                    connection.ask()
