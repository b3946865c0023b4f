"""Deadlines of many by one timer, where all have the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LATE = 1.0
"""By so many seconds a timer is late only in a process that was held up."""

T = TypeVar("T")


class Deadlines(Generic[T]):
    """
    *late* is called with each who was `expect`ed, and not forgotten, for *seconds*.

    If it is for *peers* to be in time, they have all their time again after the process was held
    up: while it could not hear them, it could not be their fault.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        late: Callable[[T], None],
        *,
        peers: bool = False,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._late = late
        self._peers = peers
        # In the order of their deadlines.
        self._due: dict[T, float] = {}
        self._timer: IDelayedCall | None = None

    def expect(self, who: T) -> None:
        """Count the time of *who* from now on."""
        self._due.pop(who, None)
        self._due[who] = self._clock.seconds() + self._seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._look)

    def forget(self, who: T) -> None:
        """Expect nothing of *who* any more."""
        self._due.pop(who, None)

    def _look(self) -> None:
        assert self._timer is not None
        now = self._clock.seconds()
        if self._peers and now - self._timer.getTime() > LATE:
            self._due = dict.fromkeys(self._due, now + self._seconds)
        while self._due:
            who, due = next(iter(self._due.items()))
            if due > now:
                break
            del self._due[who]
            self._late(who)
        self._timer = None
        if self._due:
            first = next(iter(self._due.values()))
            self._timer = self._clock.callLater(first - now, self._look)
