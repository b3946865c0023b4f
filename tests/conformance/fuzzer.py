"""The Autobahn fuzzing client: Python 2.7 with packages from PyPI, else its Docker image."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.conformance.verdict import Report

IMAGE = "crossbario/autobahn-testsuite:25.10.1"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VIRTUALENV = "virtualenv==20.21.1"  # of the last series that makes environments for Python 2.7

LIMITS = ("openHandshakeTimeout", "closeHandshakeTimeout", "serverConnectionDropTimeout")
PATIENT = 60
"""So many seconds the client waits for a server on a busy machine; by itself it would be one."""
WSTEST = """
import os
from autobahntestsuite import fuzzing, wstest
kill = fuzzing.FuzzingProtocol.killAfter.__func__
fuzzing.FuzzingProtocol.killAfter = lambda case, delay: kill(case, int(os.environ["PATIENCE"]))
wstest.run()
"""
"""The suite's program, in which no case is given up before ``PATIENCE`` seconds."""

Say = Callable[[str], None]


class Missing(Exception):
    """There is nothing here that can run the fuzzing client; the message says what is missing."""


def fuzz(
    url: str, patterns: Iterable[str], folder: Path, say: Say, patience: int = PATIENT
) -> Report:
    """
    Run the cases that match *patterns* against the server at *url*, and return the report.

    *folder*, which must be absolute, receives the report with a page for each case
    (``index.html``), and what the client printed (``wstest.log``). *say* is told what goes on.
    A case in which the server does not do what it has to is given up after *patience* seconds.
    Raises `Missing`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spec, index = folder / "spec.json", folder / "index.json"
    index.unlink(missing_ok=True)  # an older run's must not pass for this one's
    server = {"agent": "chatroom", "url": url, "protocols": ["echo-protocol"]}
    spec.write_text(
        json.dumps(
            {
                "outdir": str(folder),
                "servers": [server],
                "cases": list(patterns),
                "options": dict.fromkeys(LIMITS, patience),
            }
        )
    )
    command = [*_wstest(folder, say), "-m", "fuzzingclient", "-s", str(spec)]
    last = ""
    with (
        (folder / "wstest.log").open("w") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PATIENCE": str(patience)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            started = re.match(r"Running test case ID (\d+)\.", line)
            if started and started[1] != last:
                last = started[1]
                say(f"group {last}")
    # without a report there is none of any case, and that is a verdict too
    report: Report = json.loads(index.read_text()).get("chatroom", {}) if index.exists() else {}
    return report


def _wstest(folder: Path, say: Say) -> list[str]:
    """Return a command that runs the suite's program and lets it write to *folder*."""
    missing = []
    for source in (_with_python, _with_docker):
        try:
            return source(folder, say)
        except Missing as error:
            missing.append(str(error))
    raise Missing(f"the fuzzing client cannot run: {', and '.join(missing)}")


def _with_python(folder: Path, say: Say) -> list[str]:
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "chatroom")
    environment = cache / f"wstest-{pins}"
    wstest = [str(environment / "bin" / "python"), "-Euc", WSTEST]
    cache.mkdir(parents=True, exist_ok=True)
    # Whoever else wants it at the same time waits, and does not build it once more.
    with environment.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answer([*wstest, "--help"]):
            python = next(filter(None, map(_python27, _candidates())), None)
            if python is None:
                raise Missing("there is no Python 2.7 (`pyenv install 2.7.18` installs one)")
            say(f"building its environment for {python}, once, in {environment}")
            _build(python, environment)
    return wstest


def _candidates() -> Iterator[str]:
    yield "python2.7"
    for version in _answer(["pyenv", "versions", "--bare"]).split():
        if re.fullmatch(r"2\.7\.\d+", version):
            yield f"{_answer(['pyenv', 'prefix', version])}/bin/python2.7"


def _python27(command: str) -> str:
    """Return the path of what *command* runs, where that is a Python 2.7, else nothing."""
    return _answer([command, "-c", "import sys; print(sys.executable)"])


def _build(python: str, environment: Path) -> None:
    """Make the *environment* aside and move it into its place, so that it is never half made."""
    with tempfile.TemporaryDirectory(dir=environment.parent) as aside:
        tool, made = f"{aside}/tool", f"{aside}/made"
        pip = ["-m", "pip", "install", "-qq", "--no-python-version-warning"]
        for command in (
            [sys.executable, *pip, "--target", tool, VIRTUALENV],
            [sys.executable, "-m", "virtualenv", "-q", "--python", python, made],
            [f"{made}/bin/python", "-E", *pip, "-r", str(REQUIREMENTS)],
        ):
            env = {**os.environ, "PYTHONPATH": tool}
            if subprocess.run(command, check=False, env=env).returncode:
                raise Missing(f"its environment cannot be built (`{' '.join(command)}` failed)")
        shutil.rmtree(environment, ignore_errors=True)
        Path(made).rename(environment)


def _with_docker(folder: Path, say: Say) -> list[str]:
    if not _answer(["docker", "info", "--format", "{{.ServerVersion}}"]):
        raise Missing("there is no running Docker")
    say(f"running it from the Docker image {IMAGE}")
    return [
        *("docker", "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--volume", f"{folder}:{folder}", "--env", "PYTHONUNBUFFERED=1", IMAGE, "wstest"),
    ]


def _answer(command: list[str]) -> str:
    """Return what *command* prints, and nothing where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
