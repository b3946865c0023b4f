"""Fuzz the room's door: `tests.fuzz`."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from twisted.logger import globalLogBeginner

from tests.daemon import Daemon
from tests.fuzz.real import OPTIONS, RealHouse
from tests.fuzz.run import in_memory, real

ROUND = 50_000
"""So many messages are a round, after which nothing may be left."""


def main() -> None:
    """Exit with 0 when nothing was found, else with 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Send random and mutated messages and byte streams to /ws of the real code,"
        " in memory, and check all that comes back and that nothing is left.",
    )
    parser.add_argument("--messages", type=int, help="how many (1,000,000; 20,000 with --real)")
    parser.add_argument("--streams", type=int, help="how many (100,000; 5,000 with --real)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="to repeat a run")
    parser.add_argument("--real", action="store_true", help="over TCP, to a daemon")
    options = parser.parse_args()
    messages = options.messages or (20_000 if options.real else 1_000_000)
    streams = options.streams or (5000 if options.real else 100_000)
    print(f"fuzz: {messages} messages, {streams} streams, --seed {options.seed}", flush=True)
    if options.real:
        with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder), *OPTIONS) as daemon:
            result = real(RealHouse(daemon), options.seed, messages, streams)
    else:
        # Twisted would keep all that is logged until somebody looks at it.
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
        rounds = max(2, messages // ROUND)
        result = in_memory(
            options.seed, messages, streams, rounds, lambda line: print(line, flush=True)
        )
    print(result)
    sys.exit(bool(result.faults))


if __name__ == "__main__":
    main()
