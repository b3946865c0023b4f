"""irctest, the public test suite of IRC servers: its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.irc import CannotRun, judge, run
from tests.conformance.irc_reasons import REASONS


def report(*cases: tuple[str, str, str]) -> str:
    """Return the suite's report on *cases*: class, name, and outcome."""
    found = [
        f'<testcase classname="irctest.server_tests.{kind}" name="{name}">'
        f"{f'<{outcome}/>' if outcome else ''}</testcase>"
        for kind, name, outcome in cases
    ]
    return f"<testsuites><testsuite>{''.join(found)}</testsuite></testsuites>"


def test_a_verdict() -> None:
    known = "whowas.WhowasTestCase"
    verdict = judge(
        report(
            ("whowas.A", "test", ""),
            ("whowas.A", "other", "skipped"),
            (known, "testWhowasMultiple", "failure"),
            (known, "testWhowasCount[1]", "error"),
        ),
        ["whowas.py"],
    )
    assert verdict.faults == []
    assert str(verdict).splitlines() == [
        "2 not done, for a reason",
        "1 passed",
        "1 skipped by the suite",
        "  2: it is not kept who was here",
    ]


def test_faults() -> None:
    verdict = judge(report(("chmodes.ban.New", "test[a]", "failure")), ["whowas.py"])
    assert verdict.faults == [
        "chmodes/ban.py::New::test[a] failed",
        "whowas.py::WhowasTestCase::* does not fail any more",
        "nothing passed",
    ]
    assert len(judge(report(("a.B", "test", "")), []).faults) == len(REASONS)


def test_without_the_suite(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="there is no irctest/server_tests in "):
        run(tmp_path, [], tmp_path / "log")
