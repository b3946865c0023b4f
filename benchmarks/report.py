"""Results as Markdown: what was reached, the figures of all servers, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.contestants import BY_KEY, CONTESTANTS
from benchmarks.results import Results, Target
from benchmarks.scenarios import SCENARIOS
from benchmarks.targets import TARGETS

BOTTLENECK = 0.95
"""From this share of its core on, the load generator may have been what was slow."""
DISTURBED = 0.05
"""Who waits for this share of the time for a core that nobody else should use, is disturbed."""
NOTES = """\
Medians of all rounds; ratios are the medians of the rounds' own ratios. CPU is what all threads of
the server have used in the measured time. ¹ passes messages on as they are, without the sender's
id. ² these bounds are this program's own. † the load generator had no CPU left: the server may be
quicker. ⚠ with faults, see below."""
SHORT = {
    "durable": "durable",
    "memory": "`memory:`",
    "bun": "Bun",
    "ws": "`ws`",
    "send": "the C send loop",
    "turn": "the C turn loop",
    "fsync": "one fsync",
}


@dataclass(frozen=True)
class Column:
    """One figure of all servers, times *scale*."""

    title: str
    scenario: str
    figure: str
    scale: float = 1.0


SPEED = (
    Column(
        "1000 readers saturated: M deliveries/s", "saturated1000", "deliveries_per_second", 1e-6
    ),
    Column("5000 readers", "saturated5000", "deliveries_per_second", 1e-6),
    Column("CPU µs a delivery: 5000 readers", "saturated5000", "cpu_us"),
    Column("1000", "saturated1000", "cpu_us"),
    Column("100", "saturated100", "cpu_us"),
    Column("10 readers", "saturated10", "cpu_us"),
    Column("1000 readers at 20 messages/s", "rate20", "cpu_us"),
)
TIME = (
    Column("1000 readers at 20 messages/s: p50 ms", "rate20", "p50_ms"),
    Column("p99 ms", "rate20", "p99_ms"),
    Column("at 100 messages/s: deliveries/s", "rate100", "deliveries_per_second"),
    Column("p50 ms", "rate100", "p50_ms"),
    Column("p99 ms", "rate100", "p99_ms"),
    Column("a lonely round trip: p50 ms", "lonely", "p50_ms"),
    Column("handshake CPU µs", "connections", "handshake_us"),
    Column("KiB an idle connection", "connections", "kib"),
)
OWN = (
    ("deflate", "handshake_us", "handshake with permessage-deflate: CPU µs"),
    ("deflate", "kib", "idle connection with permessage-deflate: KiB"),
    ("connections10000", "handshake_us", "10,000 connections: handshake CPU µs"),
    ("connections10000", "kib", "10,000 connections: KiB each"),
    ("ping", "ping_us", "ping and pong: CPU µs"),
    ("slow", "p50_ms", "4000-byte messages to 1000 readers, 20 a second: p50 ms"),
    ("slow", "p50_stuck_ms", "… beside 100 that never read: p50 ms"),
    ("slow", "p99_ms", "… without them: p99 ms"),
    ("slow", "p99_stuck_ms", "… beside them: p99 ms"),
    ("slow", "kib_stuck", "… memory of each of them: KiB"),
    ("storm1000", "cpu_s", "1000 clients come back within 10 s: CPU s"),
    ("storm2500", "cpu_s", "2500: CPU s"),
    ("storm5000", "cpu_s", "5000: CPU s"),
    ("storm1000", "client_us", "1000 clients come back: CPU µs each"),
    ("storm2500", "client_us", "2500: CPU µs each"),
    ("storm5000", "client_us", "5000: CPU µs each"),
)


def number(value: float | None) -> str:
    """Return *value* with three digits that count, as people write it."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def demand(target: Target) -> str:
    """Return in words what *target* asks for."""
    sign = "≥" if target.at_least else "≤"
    if target.beside:
        names = " or ".join(SHORT[name] for name in target.beside)
        if len(target.beside) > 1:
            names = f"the better of {names.replace(' or ', ' and ')}"
        return f"{sign} {target.bound:g} × {names}"
    if target.other:
        return f"{sign} {target.bound:g} × without them"
    if target.over:
        return f"{sign} {target.bound:g} ×"
    bound = f"{target.bound:,.0f}" if target.bound >= 1000 else f"{target.bound:g}"
    return f"{sign} {bound} {target.unit}".replace(" /s", "/s")


def found(target: Target, results: Results) -> str:
    """Return in words what was measured for *target*."""
    value = target.value(results)
    if value is None:
        return "–"
    if target.unit:
        return f"{number(value)} {target.unit}".replace(" /s", "/s")
    return f"{number(value)} ×"


def judged(results: Results) -> list[str]:
    """Return the table of the targets of all scenarios that were run: a row each, pass or fail."""
    run = {run.scenario for run in results.runs}
    rows = [
        (
            target.measure,
            SHORT[target.server],
            ("aim: " if target.aim else "") + demand(target),
            found(target, results),
            said(target, results),
        )
        for target in TARGETS
        if target.scenario in run
    ]
    return table(("measure", "chatroom", "asked for", "measured", ""), rows)


def said(target: Target, results: Results) -> str:
    """Return in a word whether *target* is reached."""
    reached = target.reached(results)
    if reached is None:
        return "not measured"
    if reached:
        return "✅"
    if results.faulty(target.scenario, target.server):
        return "❌ **faults**"
    return "not reached" if target.aim else "❌ **missed**"


def cell(results: Results, server: str, column: Column) -> str:
    """Return the median of *column* for *server*, marked when it is not to be relied on."""
    value = results.median(column.scenario, server, column.figure)
    if value is None:
        faulty = results.faulty(column.scenario, server)
        return "fault" if faulty else "–"
    text = number(value * column.scale)
    if results.faulty(column.scenario, server):
        text += " ⚠"
    busy = results.median(column.scenario, server, "own_cpu")
    if column.figure == "deliveries_per_second" and busy is not None and busy > BOTTLENECK:
        text += " †"
    return text


def compared(results: Results, columns: Sequence[Column]) -> list[str]:
    """Return the table of *columns* for all servers that were measured."""
    measured = {run.server for run in results.runs}
    rows = [
        (contestant.title, *(cell(results, contestant.key, column) for column in columns))
        for contestant in CONTESTANTS
        if contestant.key in measured
    ]
    return table(("server", *(column.title for column in columns)), rows)


def own(results: Results) -> list[str]:
    """Return the table of what only the room itself is measured for."""
    rows = []
    for scenario, figure, title in OWN:
        cells = [
            cell(results, name, Column("", scenario, figure)) for name in ("durable", "memory")
        ]
        if cells != ["–", "–"]:
            rows.append((title, *cells))
    return table(("measure", "durable", "`memory:`"), rows) if rows else []


def listed(pairs: dict[str, str]) -> str:
    """Return *pairs* as one line."""
    return "; ".join(f"{name}: {value}" for name, value in pairs.items())


def troubles(results: Results) -> list[str]:
    """Return a line for each run with faults."""
    titles = {scenario.key: scenario.title for scenario in SCENARIOS}
    return [
        f"- round {run.round}, {titles.get(run.scenario, run.scenario)},"
        f" {BY_KEY[run.server].title if run.server in BY_KEY else run.server}: {fault}"
        for run in results.runs
        for fault in run.faults
    ]


def report(results: Results, plot: str | None = None) -> str:
    """Return all as Markdown; *plot* is the name of an image to show."""
    fsync = results.median("lonely", "fsync", "p50_ms")
    lines = [
        f"Measured on {results.made}.",
        f"Machine: {listed(results.machine)}."
        + ("" if fsync is None else f" One fsync of 4 KiB: {number(fsync)} ms."),
        f"Versions: {listed(results.versions)}.",
        f"How: {listed(results.settings)}.",
        "",
    ]
    waits = [run.figures["own_wait"] for run in results.runs if "own_wait" in run.figures]
    if disturbed := sum(wait > DISTURBED for wait in waits):
        lines += [
            f"**Others used the machine: {disturbed} of {len(waits)} runs were disturbed.**",
            "",
        ]
    if plot is not None:
        lines += [f"![The figures below as bars]({plot})", ""]
    lines += ["### What was asked for", "", *judged(results), ""]
    lines += ["### All servers", "", *compared(results, SPEED), "", *compared(results, TIME), ""]
    lines += [NOTES, ""]
    if rows := own(results):
        lines += ["### The room itself", "", *rows, ""]
    lines += ["### Faults", ""]
    lines += troubles(results) or [
        "None: every message came to every reader exactly once, unchanged, and in one order."
    ]
    if results.skipped:
        lines += ["", "### Left out", ""]
        lines += [f"- {name}: {reason}" for name, reason in results.skipped.items()]
    return "\n".join(lines) + "\n"
