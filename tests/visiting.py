"""
The fixtures of the tests of the page, which have them by ``pytest_plugins = ["tests.visiting"]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import keep, release
from tests.daemon import PATIENT, Daemon
from tests.visitors import Cable, Visitors

expect.set_options(timeout=PATIENT * 1000)


@pytest.fixture
def browser() -> Browser:
    return keep()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Function | None) -> None:
    # Beside the loop of Playwright no other test could have one.
    if nextitem is None or "browser" not in nextitem.fixturenames:
        release()


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), "--talk-rate", "0") as daemon:
        yield daemon


@pytest.fixture
def room(daemon: Daemon, request: pytest.FixtureRequest) -> str:
    """The address of a room that no other test enters."""
    return f"{daemon.url}#/" + re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def cable(daemon: Daemon) -> Iterator[Cable]:
    cable = Cable(daemon.port)
    yield cable
    cable.close()
