"""How fast something may happen. Time is passed in, in seconds of any clock that only goes on."""

from __future__ import annotations


class TokenBucket:
    """
    Room for *burst* takings at once, and then *rate* a second; a *rate* of 0 is without limit.

    A bucket starts full.
    """

    __slots__ = ("_burst", "_level", "_rate", "_then")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._level = burst
        self._then: float | None = None

    def take(self, now: float) -> float:
        """
        Take one token at the time *now* and return 0.0.

        Where there is none, nothing is taken, and what comes back is in how many seconds there
        will be one.
        """
        if not self._rate:
            return 0.0
        if self._then is not None:
            past = max(0.0, now - self._then)
            self._level = min(self._burst, self._level + past * self._rate)
        self._then = now
        # Not 1: who waits just as long as they were told must not fail by a rounding.
        if self._level > 0.999:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate
