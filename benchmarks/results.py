"""The figures of all runs: kept as JSON, and judged by their medians."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Self


@dataclass
class Run:
    """What one server has shown in one scenario of one round; *faults* says what was wrong."""

    round: int
    scenario: str
    server: str
    figures: dict[str, float]
    faults: list[str] = field(default_factory=list)


@dataclass
class Results:
    """
    All runs, and under which conditions they were made.

    *machine*, *versions* and *settings* are for the reader; *skipped* says of servers and scenarios
    why they were left out.
    """

    made: str
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Keep all in the file *path*."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what was kept in *path*."""
        kept = json.loads(path.read_text())
        kept["runs"] = [Run(**run) for run in kept["runs"]]
        return cls(**kept)

    def by_round(self, scenario: str, server: str, figure: str) -> dict[int, float]:
        """Return the *figure* of each round that has it."""
        return {
            run.round: run.figures[figure]
            for run in self.runs
            if (run.scenario, run.server) == (scenario, server) and figure in run.figures
        }

    def median(self, scenario: str, server: str, figure: str) -> float | None:
        """Return the median of a *figure* over all rounds, None without any."""
        values = self.by_round(scenario, server, figure).values()
        return median(values) if values else None

    def faulty(self, scenario: str, server: str) -> bool:
        """Return whether any run of *server* in *scenario* had faults."""
        return any(
            run.faults for run in self.runs if (run.scenario, run.server) == (scenario, server)
        )

    def ratio(
        self, scenario: str, server: str, figure: str, beside: Sequence[tuple[str, str]]
    ) -> float | None:
        """
        Return the median over the rounds of the *figure*, divided by that of another.

        *beside* names the other's server and figure; of several the lower one of each round is
        taken. Only figures of the same round are compared.
        """
        own = self.by_round(scenario, server, figure)
        others = [self.by_round(scenario, name, other) for name, other in beside]
        ratios = [
            value / min(other[round] for other in others)
            for round, value in own.items()
            if all(other.get(round) for other in others)
        ]
        return median(ratios) if ratios else None


@dataclass(frozen=True)
class Target:
    """
    Something that a *figure* of a *server* must reach: at most *bound*, or *at_least* that.

    What is compared is the figure itself in *unit*; or its ratio to that of the servers *beside* in
    the same round; to the *other* figure of the same run; or to the same one of the scenario *over*;
    or what it is more than that of the scenario *minus*. An *aim* is a wish.
    """

    measure: str
    scenario: str
    server: str
    figure: str
    bound: float
    beside: tuple[str, ...] = ()
    unit: str = ""
    at_least: bool = False
    aim: bool = False
    other: str = ""
    over: str = ""
    minus: str = ""

    def value(self, results: Results) -> float | None:
        """Return what is compared with the bound, None when it was not measured."""
        if self.beside:
            beside = [(name, self.figure) for name in self.beside]
            return results.ratio(self.scenario, self.server, self.figure, beside)
        if self.other:
            beside = [(self.server, self.other)]
            return results.ratio(self.scenario, self.server, self.figure, beside)
        own = results.median(self.scenario, self.server, self.figure)
        if own is None or not (self.over or self.minus):
            return own
        than = results.median(self.over or self.minus, self.server, self.figure)
        if not than:
            return None
        return own / than if self.over else own - than

    def reached(self, results: Results) -> bool | None:
        """Return whether it is reached; None when it was not measured. Faults reach nothing."""
        value = self.value(results)
        if value is None:
            return None
        good = value >= self.bound if self.at_least else value <= self.bound
        return good and not results.faulty(self.scenario, self.server)
