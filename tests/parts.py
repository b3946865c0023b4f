"""The real parts that some tests run: programs that are not Python packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def program(name: str, install: str) -> str:
    """
    Return the path of the program *name*.

    Where it is missing the test is skipped with a word on how to *install* it; under CI, where
    nothing may be skipped, it fails instead.
    """
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        missing(f"{name} is not here: {install}")
    return path


def package(name: str, folder: Path) -> Path:
    """
    Install the npm package *name* (``ws``, ``puppeteer-core@25``) into *folder*, and return where
    it is.

    Where npm is missing, or does not get it, the test is skipped as by `program`.
    """
    npm = program("npm", "install npm")
    install = [npm, "install", "--no-audit", "--no-fund", "--prefer-offline", name]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing(f"npm cannot install the package {name} ({error}): is there a network?")
    return folder / "node_modules" / name.partition("@")[0]


def missing(why: str) -> NoReturn:
    """Skip the running test because of *why*; under CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
