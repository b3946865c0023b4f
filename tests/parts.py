"""The real parts that some tests run: programs that are not Python packages."""

from __future__ import annotations

import os
import shutil
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


def missing(why: str) -> NoReturn:
    """Skip the running test because of *why*; under CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
