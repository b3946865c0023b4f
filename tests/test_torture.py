from __future__ import annotations

import pytest

from tests.torture import READERS, TALKERS, main

pytestmark = pytest.mark.long


def test_what_was_said_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--rounds", "3", "--seed", "2"])
    summary = capsys.readouterr().out
    assert status == 0, summary
    assert f"{3 * (TALKERS + READERS)} times resumed, 0 times not" in summary
