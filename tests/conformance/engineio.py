"""
Run the public test suite of the Engine.IO protocol against a server of ours, and print a verdict.

    git clone https://github.com/socketio/engine.io-protocol
    python -m tests.conformance.engineio engine.io-protocol
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conformance.engineio_server import Echo

SUITE = "test-suite"
PROGRAM = "test-suite.js"
ADDRESS = '"http://localhost:3000"'
"""Where the suite looks for the server."""
SETTINGS = ("--ping-interval=0.3", "--ping-timeout=0.2", "--max-payload=1000000", "--origin=*")
"""What the suite says that the server is to be run with."""
TESTS = 24
LONGEST = 120.0


class CannotRun(Exception):
    """What the suite needs, and is not there."""


def run(checkout: Path, folder: Path, server: Echo, tests: int) -> list[str]:
    """
    Run the suite in *checkout* from a copy in *folder* against *server*, which is not yet running.

    It has so many *tests*. Return what is wrong, best nothing. Raises `CannotRun`.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise CannotRun("npm and node are needed: install Node.js 20 or later")
    if not (checkout / SUITE / PROGRAM).is_file():
        raise CannotRun(f"there is no {SUITE}/{PROGRAM} in {checkout}")
    suite = folder / SUITE
    shutil.copytree(checkout / SUITE, suite, ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(install, check=False, cwd=suite, capture_output=True, timeout=LONGEST)
    if done.returncode:
        raise CannotRun("npm cannot install what the suite needs: is there a network?")
    program = (suite / PROGRAM).read_text()
    if program.count(ADDRESS) != 1:
        raise CannotRun(f"this suite does not look for the server at {ADDRESS}")
    with server:
        (suite / PROGRAM).write_text(program.replace(ADDRESS, json.dumps(server.url)))
        mocha = [node, "node_modules/mocha/bin/mocha", "--exit", "--reporter=json", PROGRAM]
        told = subprocess.run(
            mocha, check=False, cwd=suite, capture_output=True, text=True, timeout=LONGEST
        )
        faults = judge(told.stdout, tests)
        if "Traceback" in (said := server.stop()):
            faults.append(f"the server logged a traceback: {said}")
    return faults


def judge(report: str, tests: int) -> list[str]:
    """Return what is wrong in a *report* of mocha's on so many *tests*, as JSON."""
    try:
        found: dict[str, Any] = json.loads(report)
        faults = [f"{test['fullTitle']}: {test['err']['message']}" for test in found["failures"]]
        passed = len(found["passes"])
    except (ValueError, LookupError) as error:
        return [f"the suite has no report ({error!r}): {report[:1000]}"]
    if passed != tests:
        faults.append(f"{passed} of {tests} tests passed")
    return faults


def main() -> None:
    """Exit with 0 when all is as it should be, else with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.engineio")
    parser.add_argument("checkout", type=Path, help="of github.com/socketio/engine.io-protocol")
    checkout = parser.parse_args().checkout
    with TemporaryDirectory() as folder:
        try:
            faults = run(checkout, Path(folder), Echo(*SETTINGS), TESTS)
        except CannotRun as error:
            sys.exit(f"conformance: {error}")
    print("\n".join(faults) or f"{TESTS} of {TESTS} tests passed")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
