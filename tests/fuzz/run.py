"""A run: visitors come and go until enough was said, and then nothing may be left of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from tests.fuzz.house import Footprint, MemoryHouse
from tests.fuzz.past import Wrong
from tests.fuzz.real import RealHouse
from tests.fuzz.uploads import Uploader
from tests.fuzz.visitors import PATIENCE, Seen, Stranger, Talker, Visitor

AT_ONCE = 12
"""So many visitors are there at the same time, besides those who are silent."""
SILENT = 40
"""From so many silent ones on all wait until the server has let go of them."""
FAULTS = 10
"""After so many faults a run ends."""
OBJECTS = 20
"""So many objects of one type more are no growth."""
BLOCKS = 3000
"""So many blocks of memory more are no growth: what interpreter and libraries keep at hand."""


@dataclass
class Result:
    """What a run has found, and what it has done."""

    faults: list[str] = field(default_factory=list)
    messages: int = 0
    streams: int = 0
    seconds: float = 0.0
    memory: str = ""
    seen: Seen = field(default_factory=Seen)

    def __str__(self) -> str:
        statuses = ", ".join(f"{n} × {status}" for status, n in sorted(self.seen.statuses.items()))
        codes = ", ".join(f"{n} × {code}" for code, n in sorted(self.seen.codes.items()))
        events = ", ".join(f"{n} × {name}" for name, n in sorted(self.seen.events.items()))
        verdict = f"FAILED, {len(self.faults)} faults" if self.faults else "no faults"
        done = (
            f"{self.messages} messages and {self.streams} streams on {self.seen.connections}"
            f" connections, {self.seen.events.total()} events checked, in {self.seconds:.0f} s: {verdict}"
        )
        return "\n".join(
            [
                *self.faults,
                f"answers: {statuses}",
                f"closed with: {codes}",
                f"came: {events}",
                self.memory,
                done,
            ]
        )


def in_memory(
    seed: int, messages: int, streams: int, rounds: int, say: Callable[[str], object]
) -> Result:
    """Let *messages* and *streams* come to the site in memory, in so many *rounds*."""
    result, rng, started = Result(), Random(seed), monotonic()
    prints: list[Footprint] = []
    with MemoryHouse() as house:
        for number in range(1, rounds + 1):
            _round(house, rng, result, messages // rounds, streams // rounds)
            left = house.left()
            if left and not result.faults:
                result.faults.append(f"left after round {number}: {left}")
            house.renew()
            prints.append(Footprint())
            say(
                f"round {number} of {rounds}: {result.messages} messages,"
                f" {result.seen.connections} connections, {monotonic() - started:.0f} s,"
                f" {prints[-1].blocks} blocks, {prints[-1].bytes / 2**20:.1f} MiB"
            )
            if result.faults:
                break
    result.faults += grown(prints)
    first, last = prints[len(prints) // 2 - 1 if len(prints) > 1 else 0], prints[-1]
    result.memory = (
        f"memory with nobody there, half-way and at the end: {first.blocks} and {last.blocks}"
        f" blocks, {first.bytes / 2**20:.1f} and {last.bytes / 2**20:.1f} MiB"
    )
    result.seconds = monotonic() - started
    return result


def grown(prints: Sequence[Footprint]) -> list[str]:
    """Return what there is more of in the second half of *prints* than in the first."""
    first, second = prints[: len(prints) // 2], prints[len(prints) // 2 :]
    if not first:
        return []
    found = []
    for kind in sorted(set().union(*(print.objects for print in second))):
        before = max(print.objects[kind] for print in first)
        after = min(print.objects[kind] for print in second)
        if after > before + OBJECTS:
            found.append(f"growth: {after} instances of {kind}, before {before}")
    before = max(print.blocks for print in first)
    after = min(print.blocks for print in second)
    if after > before + BLOCKS:
        found.append(f"growth: {after} blocks of memory, before {before}")
    return found


def real(house: RealHouse, seed: int, messages: int, streams: int) -> Result:
    """Let *messages* and *streams* come to a running daemon, the half of them as a warm-up."""
    result, rng, started = Result(), Random(seed), monotonic()
    _round(house, rng, result, messages // 2, streams // 2)
    warm = house.resident()
    _round(house, rng, result, messages // 2, streams // 2)
    after = house.resident()
    result.memory = f"memory of the daemon: {warm / 2**20:.1f} and {after / 2**20:.1f} MiB"
    result.faults += house.judged(warm)
    result.seconds = monotonic() - started
    return result


def _round(
    house: MemoryHouse | RealHouse, rng: Random, result: Result, messages: int, streams: int
) -> None:
    """Let so many *messages* and *streams* come, and wait until all have gone."""
    visitors: list[Visitor] = []
    messages += result.messages
    streams += result.streams
    tempo = 0.0
    while len(result.faults) < FAULTS:
        active = [visitor for visitor in visitors if not visitor.silent]
        talk = max(0, messages - result.messages) / 50
        rest = streams - result.streams
        visitor: Visitor | None = None
        if len(active) < AT_ONCE and rng.random() * (talk + rest) < talk:
            visitor = Talker(house, rng, result.seen)
            visitors.append(visitor)
        elif len(active) < AT_ONCE and rest:
            kind = Uploader if rng.random() < 0.2 else Stranger
            visitor = kind(house, rng, result.seen)
            visitors.append(visitor)
            result.streams += 1
        elif active:
            visitor = rng.choice(active)
            result.messages += visitor.step()
        elif not visitors:
            break
        if rng.random() < 0.002:
            tempo = 10 ** rng.uniform(-4, -0.5)
        seconds = rng.expovariate(1) * tempo
        if visitor is None or len(visitors) - len(active) > SILENT:
            seconds = PATIENCE
        elif rng.random() < 0.0003 and not house.hurried:
            seconds = rng.choice((3, 12, 30))
        while visitors and seconds >= 0:
            house.settle(min(seconds, 0.5))
            seconds -= 0.5
            for guest in list(visitors):
                try:
                    guest.hear()
                except Wrong as wrong:
                    result.faults.append(_told(guest, str(wrong)))
                    guest.gone = True
                if guest.gone:
                    visitors.remove(guest)
            result.faults += [_told(visitor, f"logged: {text}") for text in house.faults]
            house.faults.clear()


def _told(visitor: Visitor | None, what: str) -> str:
    if visitor is None:
        return what
    sent = bytes(visitor.sent)
    shown = sent if len(sent) < 6000 else sent[:2000] + b"..." + sent[-4000:]
    return f"{type(visitor).__name__}: {what}\n  it had sent {len(sent)} bytes: {shown!r}"
