"""What the room must reach, measured beside the others, and what it would like to."""

from __future__ import annotations

from benchmarks.results import Target

C = ("send", "turn")
"""The quicker of the two loops in C."""


def _flow() -> list[Target]:
    targets = []
    for readers in (1000, 5000):
        what, key = f"{readers} readers saturated, deliveries/s", f"saturated{readers}"
        for server, beside, bound, aim in (
            ("durable", "bun", 2.0, False),
            ("durable", "ws", 60.0, False),
            ("memory", "bun", 2.5, False),
            ("durable", "turn", 0.95, True),
            ("memory", "turn", 0.95, True),
        ):
            targets.append(
                Target(
                    what,
                    key,
                    server,
                    "deliveries_per_second",
                    bound,
                    (beside,),
                    aim=aim,
                    at_least=True,
                )
            )
    cpu, each = "cpu_us", "CPU a delivery"
    for what, key, server, beside, bound, aim in (
        ("100 readers saturated", "saturated100", "durable", "bun", 1.0, False),
        ("100 readers saturated", "saturated100", "memory", "bun", 0.5, False),
        ("100 readers saturated", "saturated100", "durable", "turn", 1.3, True),
        ("100 readers saturated", "saturated100", "memory", "turn", 1.3, True),
        ("10 readers", "saturated10", "durable", "ws", 0.4, False),
        ("10 readers", "saturated10", "memory", "bun", 1.3, False),
        ("10 readers", "saturated10", "durable", "bun", 1.0, True),
        ("10 readers", "saturated10", "memory", "bun", 1.0, True),
    ):
        targets.append(Target(f"{what}, {each}", key, server, cpu, bound, (beside,), aim=aim))
    for server in ("durable", "memory"):
        for beside, bound, aim in (
            ("bun", 1.05, False),
            ("send", 1.25, False),
            ("bun", 0.9, True),
            ("send", 1.1, True),
        ):
            what = f"1000 readers × 20 messages/s, {each}"
            targets.append(Target(what, "rate20", server, cpu, bound, (beside,), aim=aim))
    return targets


def _latency() -> list[Target]:
    targets = []
    for figure in ("p50", "p99"):
        for server, names, bound, aim in (
            ("durable", ("bun",), 1.5, False),
            ("memory", ("bun",), 1.0, False),
            ("durable", C, 1.1, True),
            ("memory", C, 1.1, True),
        ):
            what = f"1000 readers × 20 messages/s, {figure}"
            targets.append(Target(what, "rate20", server, f"{figure}_ms", bound, names, aim=aim))
    what = "100,000 deliveries/s offered to 1000 readers"
    for server, bound in (("durable", 2.0), ("memory", 1.5)):
        targets += [
            Target(
                f"{what}, delivered",
                "rate100",
                server,
                "deliveries_per_second",
                99_000,
                unit="/s",
                at_least=True,
            ),
            Target(f"{what}, p99", "rate100", server, "p99_ms", bound, C),
            Target(f"{what}, p99", "rate100", server, "p99_ms", 1.1, C, aim=True),
        ]
    what = "a lonely chat, round trip p50"
    targets += [
        Target(what, "lonely", "durable", "p50_ms", 3.0, unit="ms"),
        Target(what, "lonely", "memory", "p50_ms", 1.5, ("ws",)),
        Target(what, "lonely", "durable", "p50_ms", 1.0, ("fsync",), aim=True),
    ]
    return targets


def _connections() -> list[Target]:
    targets = []
    for what, key, figure, unit, bound, aim in (
        ("handshake, CPU", "connections", "handshake_us", "µs", 120.0, 60.0),
        ("idle connection, memory", "connections", "kib", "KiB", 6.0, 4.5),
        ("ping and pong, CPU", "ping", "ping_us", "µs", 15.0, 10.0),
    ):
        targets += [
            Target(what, key, "durable", figure, bound, unit=unit),
            Target(what, key, "durable", figure, aim, unit=unit, aim=True),
        ]
    targets += [
        Target(
            "compressed connection, memory more than of another",
            "deflate",
            "durable",
            "kib",
            2.0,
            unit="KiB",
            minus="connections",
        ),
        Target(
            "10,000 connections instead of 5000, memory of each",
            "connections10000",
            "durable",
            "kib",
            1.1,
            over="connections",
        ),
        Target(
            "5000 clients come back instead of 1000, CPU of each²",
            "storm5000",
            "durable",
            "client_us",
            1.25,
            over="storm1000",
        ),
        Target(
            "100 readers that are stuck, p99 of the others²",
            "slow",
            "durable",
            "p99_stuck_ms",
            1.25,
            other="p99_ms",
        ),
        Target(
            "100 readers that are stuck, memory of each²",
            "slow",
            "durable",
            "kib_stuck",
            256.0,
            unit="KiB",
        ),
    ]
    return targets


TARGETS = (*_flow(), *_latency(), *_connections())
