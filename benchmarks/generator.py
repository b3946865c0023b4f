"""The load generator ``load.c`` and the servers in C: compiled when needed, and run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LONGEST = 600.0
"""Seconds that a run of the generator may take; it ends by itself long before."""


class Failed(Exception):
    """Something did not run; the text says what and why, in one line."""


@dataclass(frozen=True)
class Load:
    """
    What one run of the generator has shown.

    *figures* is its line of JSON; *faults* holds what was wrong with the deliveries, each kind with
    its count, and is empty when every message came to every reader exactly once and in order.
    """

    figures: dict[str, Any]
    faults: dict[str, int]
    why: str


@contextlib.contextmanager
def on(core: int | None) -> Iterator[None]:
    """Let processes that are started in the block run on *core* alone, if it is given."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, usable if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def compile_c(source: Path, cache: Path) -> Path:
    """
    Return the program made of *source*, compiled into *cache* unless it is there and newer.

    Raises `Failed`.
    """
    program = cache / source.stem
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise Failed("there is no C compiler: install gcc or clang")
    cache.mkdir(parents=True, exist_ok=True)
    made = program.with_suffix(".new")
    command = [compiler, "-std=c11", "-O2", "-o", str(made), str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{source.name} does not compile: {done.stderr.strip()}")
    made.replace(program)
    return program


def arguments(options: dict[str, object]) -> list[str]:
    """Return *options* as the generator takes them: ``seconds=2`` is ``--seconds 2``."""
    listed: list[str] = []
    for name, value in options.items():
        if value is True:
            listed.append(f"--{name}")
        elif value is not False:
            listed += [f"--{name}", str(value)]
    return listed


def run(
    program: Path,
    options: dict[str, object],
    *,
    core: int | None = None,
    ready: Callable[[], int] | None = None,
) -> Load:
    """
    Run the generator with *options*, on *core* alone if given.

    With *ready* it is a storm: that is called when all are connected, and returns the pid of the
    server to come back to. Raises `Failed`.
    """
    with on(core):
        process = subprocess.Popen(
            [str(program), *arguments(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        if ready is not None and process.stdout.readline() == "ready\n":
            process.stdin.write(f"{ready()}\n")
            process.stdin.flush()
        out, errors = process.communicate(timeout=LONGEST)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    try:
        figures = json.loads(out)
    except ValueError:
        reason = errors.strip() or f"exit status {process.returncode}"
        raise Failed(f"the load generator gave no figures: {reason}") from None
    return load(figures)


def load(figures: dict[str, Any]) -> Load:
    """Read what the generator has printed."""
    faults = {name: count for name, count in figures["faults"].items() if count}
    return Load(figures, faults, figures["why_closed"])


def shown(faults: dict[str, int], why: str = "") -> str:
    """Return *faults* in words."""
    words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in faults.items())
    return f"{words} ({why})" if why else words


def versions(commands: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the first line that each of *commands* prints, by its name; those missing are left out."""
    found = {}
    for name, command in commands.items():
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            continue
        lines = (done.stdout or done.stderr).splitlines()
        if done.returncode == 0 and lines:
            found[name] = lines[0]
    return found
