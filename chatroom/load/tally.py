"""What is counted and measured."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chatroom.events import Limits

TICK = 10_000
"""Latency is counted in ticks of so many nanoseconds."""
BUSY = 0.9
"""Who uses this share of a core could hardly do more."""
BRIEF = 0.5
"""Less than so many seconds is not enough to tell how busy one was."""
SCHEDSTAT = Path("/proc/self/schedstat")
"""Nanoseconds on a core, waiting for one, and how often (Linux)."""
FAULTS = ("lost", "doubled", "misordered", "altered", "unanswered", "refused", "closed")


def ticks() -> int:
    """Return a time in units of `TICK`."""
    return time.perf_counter_ns() // TICK


def waited() -> float:
    """Return how many seconds this program has waited for a core, where Linux tells it."""
    return int(SCHEDSTAT.read_text().split()[1]) / 1e9 if SCHEDSTAT.exists() else 0.0


def per_second(count: float, seconds: float) -> float:
    """Return the rate of *count* things in *seconds*; 0 where no time has passed."""
    return count / seconds if seconds > 0 else 0.0


@dataclass(frozen=True)
class Use:
    """
    How busy this program was: the share of a core that it used, and the share of the time that it
    *waited* for one that others were using (0 where the system does not tell).
    """

    cpu: float = 0.0
    waited: float = 0.0

    @property
    def full(self) -> bool:
        """Whether this program could hardly have done more."""
        return self.cpu + self.waited >= BUSY

    def __str__(self) -> str:
        waited = f", and waited for one {self.waited:.0%} of the time" if self.waited > 0.01 else ""
        return f"{self.cpu:.0%} of a core{waited}"


class Stopwatch:
    """Measures, from now on, the time that passes by *now*, in ticks, and the CPU's."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._then, self._cpu, self._waited = now(), time.process_time(), waited()

    @property
    def seconds(self) -> float:
        """Seconds since then."""
        return (self._now() - self._then) * TICK / 1e9

    @property
    def use(self) -> Use:
        """How busy this program has been since then."""
        cpu, held = time.process_time() - self._cpu, waited() - self._waited
        return Use(per_second(cpu, self.seconds), per_second(held, self.seconds))


@dataclass
class Tally:
    """What was counted. All from *lost* to *closed* are faults."""

    opened: int = 0
    opening: float = 0.0
    """Seconds in which the connections were opened."""
    opening_use: Use = Use()
    """How busy this program was meanwhile."""
    seconds: float = 0.0
    """How long the talk lasted."""
    use: Use = Use()
    """How busy this program was meanwhile."""
    said: int = 0
    deliveries: int = 0
    """All of them, also after the talk."""
    in_time: int = 0
    """Deliveries while the talk lasted."""
    latencies: Counter[int] = field(default_factory=Counter)
    """How many deliveries took how many ticks."""
    errors: Counter[str] = field(default_factory=Counter)
    """What the server refused to say, by code."""
    lost: int = 0
    """Deliveries, as *doubled*, *misordered* and *altered* are."""
    doubled: int = 0
    misordered: int = 0
    altered: int = 0
    unanswered: int = 0
    """Messages of which nobody knows what became."""
    refused: Counter[str] = field(default_factory=Counter)
    """Connections that were not opened, by reason."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that were open and are no longer, by close code and reason."""
    interrupted: bool = False
    limits: Limits | None = None
    """Those that the server has stated."""

    @property
    def faults(self) -> dict[str, int | Counter[str]]:
        """What went wrong and how often; nothing if all was well."""
        return {kind: found for kind in FAULTS if (found := getattr(self, kind))}

    @property
    def well(self) -> bool:
        """Whether there is nothing to complain of; a limit of the server is not."""
        return self.opened > 0 and not self.faults and not (self.errors.keys() - {"rate_limited"})

    @property
    def bottleneck(self) -> bool:
        """Whether it was rather this program than the server that was measured."""
        return self.seconds > BRIEF and self.use.full

    def latency(self, share: float) -> float | None:
        """Return in how many milliseconds *share* of the deliveries came, if there were any."""
        rank = math.ceil(share * self.latencies.total())
        for took in sorted(self.latencies):
            rank -= self.latencies[took]
            if rank <= 0:
                return took * TICK / 1e6
        return None
