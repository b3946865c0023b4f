"""
What runs when: the long tests, and more examples, under CI or when they are asked for.

And the fixture `port`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.ports import reserved


def complete(config: pytest.Config) -> bool:
    """Whether nothing is to be left out of this run."""
    if hasattr(config, "workerinput"):  # in a process of xdist's, which was given the tests' names
        return bool(config.workerinput["complete"])
    asked_for = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    asked_for |= bool(config.option.keyword or config.option.markexpr)
    return asked_for or os.environ.get("CI") == "true"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: who waits leaves theirs to another."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["complete"] = complete(node.config)


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says more of the machine than of us.
    slow = [HealthCheck.too_slow]
    settings.register_profile("patient", deadline=None, suppress_health_check=slow)
    settings.register_profile("quick", deadline=None, suppress_health_check=slow, max_examples=20)
    settings.load_profile("patient" if complete(config) else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if complete(config):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not complete(terminalreporter.config):
        terminalreporter.line("The long tests were left out. `CI=true pytest` runs them, too.")


@pytest.fixture
def port() -> Iterator[int]:
    """A port of the loopback for a server that the test starts."""
    with reserved() as kept:
        yield kept.getsockname()[1]
