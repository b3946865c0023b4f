"""
``python -m benchmarks``: the room and its peers, side by side and in turns.

Each server runs on one core and the load generator on another. In every round each scenario is run
on each server, started afresh. What comes out is ``results.json`` (written after every run),
``performance.md`` and ``performance.svg`` in the folder ``--out``.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contestants import BY_KEY, CONTESTANTS, SERVERS, Contestant, Place
from benchmarks.generator import HERE, Failed, compile_c
from benchmarks.machine import machine, software
from benchmarks.plot import plot
from benchmarks.report import report
from benchmarks.results import Results, Run
from benchmarks.scenarios import SCENARIOS, Bench, Scenario, fsync_ms

FEW = 300
"""The most connections with ``--quick``."""
SPARE = 200
"""File descriptors that a server needs besides its connections."""


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the room beside other servers."
    )
    scenarios = [scenario.key for scenario in SCENARIOS]
    add = parser.add_argument
    add("--rounds", type=int, default=3, metavar="N", help="how often all is run [3]")
    add("--seconds", type=float, default=5.0, metavar="S", help="measured in each run [5]")
    add("--warm", type=float, default=1.0, metavar="S", help="before that in each run [1]")
    add("--scenario", action="append", choices=scenarios, help="only this one; may be repeated")
    add("--server", action="append", choices=list(BY_KEY), help="only this one; may be repeated")
    add("--npm", type=Path, metavar="FOLDER", help="where npm has installed ws, socket.io and bun")
    add(
        "--out",
        type=Path,
        default=Path("build/benchmarks"),
        metavar="FOLDER",
        help="for results, compiled programs and stores; on a real disk [build/benchmarks]",
    )
    add(
        "--quick",
        action="store_true",
        help=f"one round of one second with {FEW} connections at most, to see that all works",
    )
    add("--report", type=Path, metavar="FILE", help="run nothing; write what results.json says")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or chosen.seconds <= 0 or chosen.warm < 0:
        parser.error("--rounds and --seconds must be more than 0, and --warm not less")
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.warm = 1, 1.0, 0.5
    if chosen.npm is None and os.environ.get("NODE_PATH"):
        chosen.npm = Path(os.environ["NODE_PATH"].split(os.pathsep)[0])
    return chosen


def cores() -> tuple[int, int]:
    """Return the core of the servers and that of the load."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def present(results: Results, place: Place, wished: list[str] | None) -> list[Contestant]:
    """Return the contestants that can run, and note of the others what to install."""
    found = []
    for contestant in CONTESTANTS:
        if wished and contestant.key not in wished:
            continue
        if missing := contestant.missing(place):
            results.skipped[contestant.key] = missing
            say(f"{contestant.key} is left out: {missing}")
        else:
            found.append(contestant)
    return found


def possible(results: Results, wished: list[str] | None, most: int) -> list[Scenario]:
    """Return the scenarios that can run, and note why others cannot."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found = []
    for scenario in SCENARIOS:
        if wished and scenario.key not in wished:
            continue
        if min(scenario.connections, most) + SPARE > files:
            results.skipped[scenario.key] = f"ulimit -Hn is {files}"
            say(f"{scenario.key} is left out: ulimit -Hn is {files}")
        else:
            found.append(scenario)
    return found


def say(text: str) -> None:
    """Tell who waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def attempt(bench: Bench, scenario: Scenario, contestant: Contestant, round: int) -> Run:
    """Run *scenario* on *contestant* once; what fails is a fault and not the end."""
    bench.faults.clear()
    try:
        figures = scenario.measure(bench, contestant)
    except Failed as error:
        figures = {}
        bench.faults.append(str(error))
    faults = list(dict.fromkeys(bench.faults))
    shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    say(f"  {contestant.key}: {shown}{' FAULTS: ' if faults else ''}{'; '.join(faults)}")
    return Run(round, scenario.key, contestant.key, figures, faults)


def measure(chosen: argparse.Namespace) -> Results:
    """Run everything that was *chosen*, and return the results."""
    out: Path = chosen.out
    out.mkdir(parents=True, exist_ok=True)
    place = Place(out.resolve() / "compiled", chosen.npm and chosen.npm.resolve())
    server_core, load_core = cores()
    results = Results(
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine(out),
        software(place),
        {
            "rounds": str(chosen.rounds),
            "seconds of each run": f"{chosen.seconds:g} after {chosen.warm:g} to warm up",
            "server on core": str(server_core),
            "load on core": str(load_core),
        },
    )
    most = FEW if chosen.quick else sys.maxsize
    if chosen.quick:
        results.settings["quick"] = f"at most {FEW} connections: these figures say nothing"
    if server_core == load_core:
        say("there is one core only: servers and load compete for it")
    program = compile_c(HERE / "load.c", place.cache)
    contestants = present(results, place, chosen.server)
    if any(contestant.key in ("send", "turn") for contestant in contestants):
        compile_c(SERVERS / "turn.c", place.cache)
    scenarios = possible(results, chosen.scenario, most)
    bench = Bench(
        place, program, out.resolve(), server_core, load_core, chosen.seconds, chosen.warm, most
    )
    for round in range(1, chosen.rounds + 1):
        for scenario in scenarios:
            say(f"round {round} of {chosen.rounds}: {scenario.title}")
            if scenario.key == "lonely":
                figures = {"p50_ms": fsync_ms(out)}
                results.runs.append(Run(round, scenario.key, "fsync", figures))
            for contestant in contestants:
                if scenario.only is None or contestant.key in scenario.only:
                    results.runs.append(attempt(bench, scenario, contestant, round))
                    results.write(out / "results.json")
    return results


def kept(path: Path) -> Results:
    """Return the results in the file *path*. Raises `Failed`."""
    try:
        return Results.read(path)
    except (ValueError, KeyError, TypeError):
        raise Failed(f"{path} has no results of benchmarks") from None


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return 1 if there were faults, 2 if nothing could be measured."""
    chosen = options(arguments)
    try:
        results = kept(chosen.report) if chosen.report else measure(chosen)
    except KeyboardInterrupt:
        say(f"ended early; --report {chosen.out / 'results.json'} shows what there is")
        return 130
    except (Failed, OSError) as error:
        say(f"benchmarks: {error}")
        return 2
    out: Path = chosen.out
    out.mkdir(parents=True, exist_ok=True)
    image: str | None = "performance.svg"
    try:
        plot(results, out / "performance.svg")
    except ImportError:
        image = None
        say("there is no plot: pip install matplotlib")
    (out / "performance.md").write_text(report(results, image))
    say(f"written: {out / 'performance.md'}")
    return 1 if any(run.faults for run in results.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
