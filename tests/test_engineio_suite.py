"""What `tests.conformance.engineio` makes of the public suite's report, and of its absence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.engineio import PROGRAM, SETTINGS, SUITE, TESTS, CannotRun, judge, run
from tests.conformance.engineio_server import Echo


def report(passed: int, *failed: str) -> str:
    """Return what mocha writes."""
    failures = [{"fullTitle": title, "err": {"message": "expected 1"}} for title in failed]
    return json.dumps({"passes": [{"fullTitle": "a"}] * passed, "failures": failures})


def test_verdict() -> None:
    assert judge(report(24), 24) == []
    assert judge(report(23, "heartbeat sends"), 24) == [
        "heartbeat sends: expected 1",
        "23 of 24 tests passed",
    ]
    assert judge(report(23), 24) == ["23 of 24 tests passed"]
    assert judge(report(0), 24) == ["0 of 24 tests passed"]
    for nothing in ("", "Error: no such file", "{}", '{"failures": []}'):
        [fault] = judge(nothing, 24)
        assert fault.startswith("the suite has no report")


def test_without_the_suite_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRun, match=f"there is no {SUITE}/{PROGRAM} in "):
        run(tmp_path, tmp_path / "run", Echo(*SETTINGS), TESTS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match="npm and node are needed"):
        run(tmp_path, tmp_path / "run", Echo(*SETTINGS), TESTS)
