"""Run the Autobahn fuzzing client against ``/echo`` of a chatroom daemon, and print a verdict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.conformance.cases import FULL, QUICK, chosen
from tests.conformance.fuzzer import Missing
from tests.conformance.run import run

REPORT = Path(__file__).parents[2] / "build" / "conformance"


def main() -> None:
    """Exit with 0 when all is as it should be, else with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="of the cases in groups 12 and 13 (deflate) run a sample only",
    )
    patterns = QUICK if parser.parse_args().quick else FULL

    def say(what: str) -> None:
        print(f"conformance: {what}", flush=True)

    say(f"{len(chosen(patterns))} cases")
    try:
        verdict = run(patterns, REPORT, say)
    except Missing as missing:
        sys.exit(f"conformance: {missing}")
    print(f"{verdict}\nCase by case: {REPORT / 'index.html'}")
    sys.exit(not verdict.passed)


if __name__ == "__main__":
    main()
