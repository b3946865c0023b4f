"""What a report of the fuzzing client amounts to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.conformance.cases import INFORMATIONAL

Report = Mapping[str, Mapping[str, object]]
"""The suite's ``index.json`` for one server: case → ``behavior``, ``behaviorClose`` and more."""


@dataclass(frozen=True)
class Verdict:
    """How many cases came out how, and each thing that is wrong, as one line each."""

    behavior: Counter[object]
    close: Counter[object]
    faults: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def __str__(self) -> str:
        return "\n".join(
            [
                *self.faults,
                f"{self.behavior.total()} cases",
                f"behavior:      {_counts(self.behavior)}",
                f"behaviorClose: {_counts(self.close)}",
                "passed" if self.passed else f"FAILED: {len(self.faults)} faults",
            ]
        )


def judge(report: Report, expected: Collection[str]) -> Verdict:
    """
    Return the verdict on *report*, which has to hold the *expected* cases and no other.

    Every case has to be ``OK`` in what the server did and in how it closed; those that are
    informational have to be just that. Nothing else will do.
    """
    faults = []
    for case in sorted({*report, *expected}, key=_number):
        if case not in report:
            faults.append(f"{case}: did not run")
        elif case not in expected:
            faults.append(f"{case}: not expected to run")
        else:
            wanted = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
            faults += [
                f"{case}: {what} is {report[case].get(what)}, not {wanted}"
                for what in ("behavior", "behaviorClose")
                if report[case].get(what) != wanted
            ]
    return Verdict(
        Counter(result.get("behavior") for result in report.values()),
        Counter(result.get("behaviorClose") for result in report.values()),
        faults,
    )


def _number(case: str) -> tuple[int, ...]:
    return tuple(int(part) for part in case.split("."))


def _counts(of: Counter[object]) -> str:
    return ", ".join(f"{count} {what}" for what, count in of.most_common()) or "none"
