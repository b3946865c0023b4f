"""What is printed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chatroom.load.options import Options
from chatroom.load.tally import BRIEF, Tally, per_second

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
"""Which latencies are told: that within which so large a share of the deliveries came."""
ASKED = ("url", "room", "connections", "senders", "window", "rate")
"""Which options are told."""


def as_json(tally: Tally, options: Options) -> str:
    """Return the figures as one JSON object."""
    found = {
        "opened": tally.opened,
        "handshakes_per_second": round(per_second(tally.opened, tally.opening), 1),
        "seconds": round(tally.seconds, 3),
        "said": tally.said,
        "deliveries": tally.deliveries,
        "deliveries_per_second": round(per_second(tally.in_time, tally.seconds), 1),
        "latency_ms": {name: tally.latency(share) for name, share in SHARES.items()},
        "errors": tally.errors,
        "faults": tally.faults,
        "cpu": round(tally.use.cpu, 3),
        "waited_for_cpu": round(tally.use.waited, 3),
        "bottleneck": tally.bottleneck,
        "interrupted": tally.interrupted,
        "ok": tally.well,
    }
    return json.dumps({name: options[name] for name in ASKED} | found)


def as_text(tally: Tally, options: Options) -> str:
    """Return the figures for people."""
    wished = options["connections"]
    opened = f"{tally.opened:,} of {wished:,}" if tally.opened < wished else f"{wished:,}"
    rate = per_second(tally.opened, tally.opening)
    lines = [f"connections  {opened} opened, {rate:,.0f} a second"]
    if tally.seconds:
        said, delivered = (per_second(n, tally.seconds) for n in (tally.said, tally.in_time))
        lines += [
            f"said         {tally.said:,} in {tally.seconds:.1f} s, {said:,.1f} a second",
            f"deliveries   {tally.deliveries:,}, {delivered:,.0f} a second",
        ]
    if tally.latencies:
        figures = [f"{name} {tally.latency(share):,.2f} ms" for name, share in SHARES.items()]
        lines.append(f"latency      {', '.join(figures)}")
    lines += [
        f"errors       {_counted(tally.errors) or 'none'}",
        f"faults       {_counted(tally.faults) or 'none'}",
    ]
    if tally.seconds:
        lines.append(f"own CPU      {tally.use}")
    return "\n".join([*lines, *(f"\n{note}" for note in notes(tally, options))])


def _counted(found: dict[str, Any]) -> str:
    told = []
    for kind, count in found.items():
        if isinstance(count, Counter):
            told += [f"{kind} {n:,} ({why})" for why, n in count.items()]
        else:
            told.append(f"{kind} {count:,}")
    return ", ".join(told)


def notes(tally: Tally, options: Options) -> Iterator[str]:
    """Give what should be known to understand the figures."""
    if tally.interrupted:
        yield "It was ended early."
    if tally.errors["rate_limited"] and tally.limits is not None:
        yield (
            f"rate_limited: the server lets a user say {tally.limits.rate:g} messages a second,"
            f" {tally.limits.burst:,} at once. To measure the server and not this rule, start it"
            " with --talk-rate 0, or have more --senders."
        )
    if tally.errors["too_long"] and tally.limits is not None:
        yield f"too_long: the server takes at most {tally.limits.message:,} characters (--size)."
    rate = options["rate"]
    if rate is not None and tally.said < 0.95 * rate * tally.seconds:
        yield f"It could not keep up the rate of {rate:g} messages a second."
    if tally.bottleneck:
        yield (
            f"chatroom-load was itself the bottleneck: it used {tally.use}. The server may be faster"
            " than this: take the rates for lower bounds, the latencies for upper ones."
        )
    if tally.opening > BRIEF and tally.opening_use.full:
        yield (
            f"While it opened connections, chatroom-load used {tally.opening_use}. The server may be"
            " faster at that, too."
        )
