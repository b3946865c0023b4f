"""The npm packages of the clients, installed once however many workers run the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.parts import missing, program

CLIENTS = Path(__file__).parent.parent / "clients"


def installed(name: str, factory: pytest.TempPathFactory) -> Path:
    """
    Return a copy of the folder *name* of ``tests/clients``, with the packages of its package.json.

    All workers of a run share it. Where npm is missing, or does not get them, the test is skipped
    (`tests.parts.missing`).
    """
    npm = program("npm", "install npm")
    base = factory.getbasetemp()
    # What xdist gives each worker lies in the folder of the run.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"clients-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules").is_dir():
            shutil.copytree(CLIENTS / name, folder, dirs_exist_ok=True)
            # What is built at installation is only quicker.
            quick = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
            install = [npm, "install", *quick]
            try:
                subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=600)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                shutil.rmtree(folder, ignore_errors=True)
                missing(f"npm cannot install {CLIENTS / name}/package.json ({error}): a network?")
    return folder
