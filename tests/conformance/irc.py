"""
Run irctest, the public test suite of IRC servers, against a server of ours, and print a verdict.

    git clone https://github.com/progval/irctest
    python -m tests.conformance.irc irctest

What it asks for that the server does not do is known, with the reason (`irc_reasons`); whatever
else fails is a fault, and so is a reason that is none any more.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from tests.conformance.irc_reasons import REASONS

REPO = Path(__file__).parents[2]
SUITE = Path("irctest") / "server_tests"
WITHOUT = "not Ergo and not Sable and not deprecated and not strict"
"""What other servers have made up, and what is no longer, or was never quite, agreed on."""
LONGEST = 900.0


class CannotRun(Exception):
    """What the suite needs, and is not there."""


@dataclass
class Verdict:
    """How many tests had which *outcome*, why some *lack* something, and what is at *fault*."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lacks: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items())]
        lines += [f"  {count}: {reason}" for reason, count in self.lacks.most_common()]
        return "\n".join([*lines, *self.faults])


def run(checkout: Path, modules: Sequence[str], log: Path) -> Verdict:
    """
    Run the *modules* of the suite in *checkout*, all if there are none, and judge.

    What it prints goes to *log*. Raises `CannotRun`.
    """
    if not (checkout / SUITE).is_dir():
        raise CannotRun(f"there is no {SUITE} in {checkout}")
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["--controller=tests.conformance.irc_controller", f"--junitxml={report}"]
        options += ["-m", WITHOUT, "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        paths = [str(SUITE / module) for module in modules] or [str(SUITE)]
        with log.open("wb") as told:
            subprocess.run(
                [sys.executable, "-m", "pytest", *options, *paths],
                check=False,
                cwd=checkout,
                env={
                    # It is no part of a run of ours.
                    **{
                        name: it for name, it in os.environ.items() if not name.startswith("PYTEST")
                    },
                    "PYTHONPATH": f"{checkout.resolve()}{os.pathsep}{REPO}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdout=told,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
            )
        if not report.exists():
            raise CannotRun(f"the suite has no report: {log.read_text(errors='replace')[-1000:]}")
        verdict = judge(report.read_text(), modules)
    if "Unhandled" in (said := log.read_text(errors="replace")) or "a bug in" in said:
        verdict.faults.append(f"the server logged an error: {log}")
    return verdict


def judge(report: str, modules: Sequence[str]) -> Verdict:
    """Return what comes of a *report* in JUnit's form on *modules*, or on all if there are none."""
    verdict, stale = Verdict(), dict(REASONS)
    if modules:
        stale = {name: why for name, why in stale.items() if name.split("::")[0] in modules}
    for case in ElementTree.fromstring(report).iter("testcase"):
        outcome = next((child.tag for child in case if child.tag in OUTCOMES), "passed")
        if outcome not in ("failure", "error"):
            verdict.outcomes[OUTCOMES[outcome]] += 1
            continue
        name = _name(case)
        known = [pattern for pattern in REASONS if _fits(name, pattern)]
        if known:
            verdict.outcomes["not done, for a reason"] += 1
            verdict.lacks[REASONS[known[0]]] += 1
            stale.pop(known[0], None)
        else:
            verdict.outcomes["failed"] += 1
            verdict.faults.append(f"{name} failed")
    verdict.faults += [f"{name} does not fail any more" for name in stale]
    if not verdict.outcomes["passed"]:
        verdict.faults.append("nothing passed")
    return verdict


OUTCOMES = {"failure": "", "error": "", "skipped": "skipped by the suite", "passed": "passed"}


def _name(case: ElementTree.Element) -> str:
    """Return the name of *case* as pytest writes it, from the folder of the tests on."""
    parts = case.get("classname", "").removeprefix("irctest.server_tests.").split(".")
    return f"{'/'.join(parts[:-1])}.py::{parts[-1]}::{case.get('name')}"


def _fits(name: str, pattern: str) -> bool:
    # What stands in brackets is no choice of characters here.
    return fnmatchcase(name.replace("[", "("), pattern.replace("[", "("))


def main() -> None:
    """Exit with 0 when all is as it should be, else with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.irc")
    parser.add_argument("checkout", type=Path, help="of github.com/progval/irctest")
    parser.add_argument("modules", nargs="*", help="such as join.py; without any: all")
    options = parser.parse_args()
    log = REPO / "build" / "irctest.log"
    log.parent.mkdir(exist_ok=True)
    try:
        verdict = run(options.checkout, options.modules, log)
    except CannotRun as error:
        sys.exit(f"conformance: {error}")
    print(verdict)
    sys.exit(bool(verdict.faults))


if __name__ == "__main__":
    main()
