"""What is done to a server, and which figures that gives."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contestants import OURS, Contestant, Place, Running, running
from benchmarks.generator import Load, run, shown

Figures = dict[str, float]
KIB = 1024


@dataclass
class Bench:
    """
    Where and how long to measure: *warm* and *measured* are seconds, *most* the most connections.

    *faults* collects what was wrong in the runs since it was last emptied.
    """

    place: Place
    program: Path
    scratch: Path
    server_core: int
    load_core: int
    measured: float
    warm: float
    most: int
    faults: list[str] = field(default_factory=list)

    def load(
        self, server: Running, *, ready: Callable[[], int] | None = None, **options: object
    ) -> Load:
        """Run the generator against *server* with these *options*."""
        who = server.contestant
        given: dict[str, object] = {
            "port": server.port,
            "path": who.path,
            "wire": who.wire,
            "pid": ",".join(map(str, server.pids)),
            "warm": self.warm,
            "seconds": self.measured,
            "drain": 30,
        }
        given |= options
        for name in ("connections", "senders"):
            given[name] = min(int(str(given.get(name, 0))), self.most)
        load = run(self.program, given, core=self.load_core, ready=ready)
        if load.faults:
            self.faults.append(shown(load.faults, load.why))
        return load

    def on(
        self, contestant: Contestant, work: Callable[[Running], Figures], *options: str
    ) -> Figures:
        """Start *contestant* afresh with further *options*, and return what *work* has measured."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            folder = Path(name)
            folder.chmod(0o755)  # nginx's worker is another user
            with running(contestant, self.place, folder, self.server_core, *options) as server:
                figures = work(server)
            if trouble := server.traceback():
                self.faults.append(f"the server logged: {trouble}")
        return figures


Measure = Callable[[Bench, Contestant], Figures]


@dataclass(frozen=True)
class Scenario:
    """One thing that is measured, of the contestants named in *only* (of all, if None)."""

    key: str
    title: str
    measure: Measure
    only: tuple[str, ...] | None = None
    connections: int = 1000


def flow(load: Load) -> Figures:
    """Return the figures of messages that flowed."""
    figures, server = load.figures, load.figures["server"]
    return {
        "deliveries_per_second": figures["deliveries_per_second"],
        "cpu_us": server["cpu_us_per_delivery"],
        "p50_ms": figures["p50_ms"],
        "p99_ms": figures["p99_ms"],
        "bytes": figures["bytes_per_delivery"],
        "own_cpu": figures["own_cpu"],
        "own_wait": figures["own_wait"],
    }


def talk(connections: int, senders: int, *, window: int = 0, rate: float = 0) -> Measure:
    """
    Return a measure of *connections* that read, of which *senders* talk.

    Each has *window* messages on the way, or all together send *rate* a second.
    """

    def measure(bench: Bench, contestant: Contestant) -> Figures:
        return bench.on(
            contestant,
            lambda server: flow(
                bench.load(
                    server, connections=connections, senders=senders, window=window, rate=rate
                )
            ),
        )

    return measure


def connect(connections: int, *, deflate: bool = False) -> Measure:
    """Return a measure of handshakes, and of the memory of *connections* that then do nothing."""

    def work(bench: Bench, server: Running) -> Figures:
        # What the first connections load into memory, and start up, belongs to none of them.
        bench.load(server, connections=20, seconds=0, warm=0, settle=0)
        load = bench.load(
            server, connections=connections, seconds=0, warm=0, settle=3, deflate=deflate
        )
        figures = load.figures["server"]
        return {
            "handshake_us": figures["handshake_cpu_us"],
            "kib": figures["bytes_per_connection"] / KIB,
            "handshakes_per_second": load.figures["handshakes_per_second"],
        }

    return lambda bench, contestant: bench.on(contestant, lambda server: work(bench, server))


def ping(bench: Bench, contestant: Contestant) -> Figures:
    """Measure what a ping and its pong cost: 1000 connections with one a second, less without."""

    def work(server: Running) -> Figures:
        load = bench.load(server, connections=1000, settle=2)
        return {"cpu_s": load.figures["server"]["cpu_s"], "pings": load.figures["pings"]}

    pinged = bench.on(contestant, work, "--ping", "1")
    silent = bench.on(contestant, work, "--ping", "0")
    cost = pinged["cpu_s"] - silent["cpu_s"]
    if not pinged["pings"]:
        bench.faults.append("no pings came")
        return {}
    return {"ping_us": cost * 1e6 / pinged["pings"], "pings": pinged["pings"]}


def slow(bench: Bench, contestant: Contestant) -> Figures:
    """Measure 1000 readers of long messages, without and with 100 more that never read."""
    stuck = 100
    grown: list[float] = []

    def work(server: Running, stuck: int) -> Figures:
        # Enough to fill what the kernel takes for one that does not read.
        load = bench.load(
            server, connections=1000, senders=10, rate=20, size=4000, stuck=stuck, warm=4
        )
        figures = load.figures["server"]
        grown.append(figures["memory_after"] - figures["memory_start"])
        return flow(load)

    free = bench.on(contestant, lambda server: work(server, 0))
    full = bench.on(contestant, lambda server: work(server, stuck))
    return {
        "p50_ms": free["p50_ms"],
        "p99_ms": free["p99_ms"],
        "p50_stuck_ms": full["p50_ms"],
        "p99_stuck_ms": full["p99_ms"],
        "kib_stuck": (grown[1] - grown[0]) / stuck / KIB,
    }


def storm(connections: int) -> Measure:
    """Return a measure of *connections* that come back within 10 s to a daemon that was killed."""

    def work(bench: Bench, server: Running) -> Figures:
        def again() -> int:
            server.kill()
            server.start()
            return server.pids[0]

        load = bench.load(
            server, connections=connections, senders=10, rate=20, storm=10, seconds=0, ready=again
        )
        figures = load.figures["storm"]
        return {
            "cpu_s": figures["cpu_s"],
            "client_us": figures["cpu_us_per_client"],
            "seconds": figures["seconds"],
        }

    return lambda bench, contestant: bench.on(contestant, lambda server: work(bench, server))


def fsync_ms(folder: Path) -> float:
    """Return the median time of one fdatasync after 4 KiB were appended to a file in *folder*."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(101):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return sorted(times)[50] * 1e3


SCENARIOS = (
    Scenario("saturated1000", "1000 readers saturated", talk(1000, 10, window=10)),
    Scenario("saturated5000", "5000 readers saturated", talk(5000, 10, window=10), None, 5000),
    Scenario("saturated100", "100 readers saturated", talk(100, 10, window=10)),
    Scenario("saturated10", "10 readers saturated", talk(10, 10, window=5)),
    Scenario("rate20", "1000 readers, 20 messages/s", talk(1000, 10, rate=20)),
    Scenario("rate100", "1000 readers, 100 messages/s", talk(1000, 10, rate=100)),
    Scenario("lonely", "one reader, window 1", talk(1, 1, window=1)),
    Scenario("connections", "5000 idle connections", connect(5000), None, 5000),
    Scenario(
        "deflate",
        "5000 idle connections, permessage-deflate",
        connect(5000, deflate=True),
        OURS,
        5000,
    ),
    Scenario("connections10000", "10,000 idle connections", connect(10_000), ("durable",), 10_000),
    Scenario("ping", "pings to 1000 idle connections", ping, OURS),
    Scenario("slow", "1000 readers and 100 that never read", slow, OURS, 1100),
    Scenario("storm1000", "1000 clients come back", storm(1000), ("durable",)),
    Scenario("storm2500", "2500 clients come back", storm(2500), ("durable",), 2500),
    Scenario("storm5000", "5000 clients come back", storm(5000), ("durable",), 5000),
)
