"""The conformance command: its verdict, where it gets the fuzzing client from, a small real run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conformance import fuzzer
from tests.conformance.cases import ALL, FULL, INFORMATIONAL, QUICK, chosen
from tests.conformance.run import run
from tests.conformance.verdict import judge
from tests.daemon import Daemon
from tests.parts import missing

pytestmark = pytest.mark.long


def report(cases: Sequence[str] = ALL, **other: tuple[str, str]) -> dict[str, dict[str, object]]:
    """Return what the suite writes when all is well; *other* is ``_1_1_1=(behavior, close)``."""
    results: dict[str, dict[str, object]] = {}
    for case in cases:
        fine = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
        behavior, close = other.get("_" + case.replace(".", "_"), (fine, fine))
        results[case] = {
            "behavior": behavior,
            "behaviorClose": close,
            "duration": 2,
            "remoteCloseCode": 1000,
            "reportfile": f"chatroom_case_{case.replace('.', '_')}.json",
        }
    return results


def test_517_cases_of_which_3_are_informational_pass() -> None:
    verdict = judge(report(), ALL)
    assert verdict.passed
    assert str(verdict).splitlines() == [
        "517 cases",
        "behavior:      514 OK, 3 INFORMATIONAL",
        "behaviorClose: 514 OK, 3 INFORMATIONAL",
        "passed",
    ]


@pytest.mark.parametrize(
    "behavior",
    ["NON-STRICT", "UNIMPLEMENTED", "FAILED", "INFORMATIONAL", "WRONG CODE", "UNCLEAN", "", "ok"],
)
def test_any_other_behavior_fails(behavior: str) -> None:
    assert judge(report(_6_4_1=(behavior, "OK")), ALL).faults == [
        f"6.4.1: behavior is {behavior}, not OK"
    ]


@pytest.mark.parametrize(
    "close", ["WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED", "INFORMATIONAL"]
)
def test_any_other_close_fails(close: str) -> None:
    assert judge(report(_7_3_1=("OK", close)), ALL).faults == [
        f"7.3.1: behaviorClose is {close}, not OK"
    ]


def test_an_informational_case_may_be_nothing_else() -> None:
    assert judge(report(_7_1_6=("FAILED", "INFORMATIONAL")), ALL).faults == [
        "7.1.6: behavior is FAILED, not INFORMATIONAL"
    ]


def test_a_result_without_its_members_fails() -> None:
    assert judge({"2.1": {}}, ["2.1"]).faults == [
        "2.1: behavior is None, not OK",
        "2.1: behaviorClose is None, not OK",
    ]


def test_a_case_that_did_not_run_fails() -> None:
    results = report()
    del results["12.1.18"], results["2.10"]
    assert judge(results, ALL).faults == ["2.10: did not run", "12.1.18: did not run"]


def test_a_case_too_many_fails() -> None:
    assert judge(report([*ALL, "14.1"]), ALL).faults == ["14.1: not expected to run"]


def test_an_empty_report_fails_with_each_case_and_the_count() -> None:
    lines = str(judge({}, ALL)).splitlines()
    assert lines[0] == "1.1.1: did not run"
    assert lines[-4:] == [
        "0 cases",
        "behavior:      none",
        "behaviorClose: none",
        "FAILED: 517 faults",
    ]


def test_the_full_run_is_all_517_and_the_quick_one_a_sample_of_deflate() -> None:
    assert len(ALL) == len(set(ALL)) == len(chosen(FULL)) == 517
    left_out = chosen(FULL) - chosen(QUICK)
    assert {case.split(".")[0] for case in left_out} == {"12", "13"}
    groups = {case.rpartition(".")[0] for case in ALL}
    assert {case.rpartition(".")[0] for case in chosen(QUICK)} == groups


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is installed: the folder that is its PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def test_without_python_2_and_docker_it_says_what_is_missing(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(fuzzer.Missing) as error:
        fuzzer.fuzz("ws://127.0.0.1:9/echo", FULL, tmp_path / "report", print)
    assert str(error.value) == (
        "the fuzzing client cannot run: there is no Python 2.7 "
        "(`pyenv install 2.7.18` installs one), and there is no running Docker"
    )


def test_docker_takes_over_and_a_client_that_reports_nothing_fails(
    bare: Path, tmp_path: Path
) -> None:
    docker, folder, said = bare / "docker", tmp_path / "report", list[str]()
    docker.write_text('#!/bin/sh\necho "$@"\n')
    docker.chmod(0o755)
    folder.mkdir()
    (folder / "index.json").write_text(json.dumps({"chatroom": report()}))  # of an older run
    results = fuzzer.fuzz("ws://127.0.0.1:9/echo", FULL, folder, said.append)
    command = (folder / "wstest.log").read_text()
    assert said == [f"running it from the Docker image {fuzzer.IMAGE}"]
    assert command.startswith("run --rm --network host ")
    assert f" --volume {folder}:{folder} " in command
    assert command.endswith(f" {fuzzer.IMAGE} wstest -m fuzzingclient -s {folder / 'spec.json'}\n")
    assert len(judge(results, chosen(FULL)).faults) == 517


def test_a_few_cases_against_the_real_daemon(tmp_path: Path) -> None:
    patterns = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.4.1", "7.*", "9.7.1", "10.*", "13.7.1")
    try:
        verdict = run(patterns, tmp_path / "run", print)
    except fuzzer.Missing as error:
        missing(str(error))
    assert verdict.passed, verdict
    assert verdict.behavior.total() == len(chosen(patterns)) > 100
    handshake = (tmp_path / "run" / "chatroom_case_1_1_1.json").read_text()
    assert "Sec-WebSocket-Protocol: echo-protocol" in handshake


def test_the_real_client_finds_fault_with_what_is_no_echo(tmp_path: Path) -> None:
    with Daemon(tmp_path / "daemon") as daemon:
        try:
            results = fuzzer.fuzz(daemon.ws, ("1.1.1",), tmp_path / "report", print, patience=1)
        except fuzzer.Missing as error:
            missing(str(error))
    assert judge(results, ["1.1.1"]).faults == ["1.1.1: behavior is FAILED, not OK"]
