"""One run of the fuzzing client against a daemon of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.cases import chosen
from tests.conformance.fuzzer import Say, fuzz
from tests.conformance.verdict import Verdict, judge
from tests.daemon import Daemon


def run(patterns: Sequence[str], folder: Path, say: Say) -> Verdict:
    """
    Start a daemon, run the cases that match *patterns* against its ``/echo``, and judge.

    *folder* is emptied first; afterwards it has the report and the daemon's log. *say* is told
    what goes on. Raises `tests.conformance.fuzzer.Missing`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with Daemon(folder / "daemon", "--echo") as daemon:
        echo = f"ws://127.0.0.1:{daemon.port}/echo"
        report = fuzz(echo, patterns, folder.resolve(), say)
        verdict = judge(report, chosen(patterns))
        if status := daemon.stop():
            verdict.faults.append(f"the daemon ended with status {status}")
        if "Traceback" in daemon.output:
            verdict.faults.append(f"the daemon logged a traceback: {daemon.log}")
    return verdict
