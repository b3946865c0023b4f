"""Readers that are stuck, at a small size, and that the proof would fail where it should."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.past import Wrong
from tests.slow import EACH, Figures, complete, judged, run, texts

pytestmark = pytest.mark.long


def test_stuck_readers_cost_little_and_miss_nothing() -> None:
    without, with_stuck = run(0, 800_000, 4000, seed=1), run(4, 800_000, 4000, seed=1)
    assert judged(with_stuck, without) == []
    assert with_stuck.fates == {"got all": 4}
    assert with_stuck.messages > 250
    assert with_stuck.said >= 800_000
    # They were stuck: what they did not read waited for them.
    assert with_stuck.kernel > 100_000


def test_memory_above_the_bound_fails() -> None:
    figures = Figures(stuck=10, before=50_000_000, peak=55_000_000, peak_later=55_000_000)
    without = Figures(stuck=0, before=50_000_000, peak=51_000_000)
    assert judged(figures, without) == []
    figures.peak_later = figures.before + 10 * EACH + 10
    assert judged(figures, without) == [
        f"memory grew when they read on by {EACH + 1} bytes a stuck reader"
    ]
    figures.peak = figures.before + 12 * EACH
    assert len(judged(figures, without)) == 3


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ([1, 2, 4], "message 4 came where 3 should"),
        ([1, 2, 2, 3], "message 2 came where 3 should"),
        ([2, 1, 3], "message 2 came where 1 should"),
        ([1, 2], "2 of 3 messages came"),
    ],
)
def test_a_hole_a_double_or_another_order_fails(ids: list[int], why: str) -> None:
    complete([1, 2, 3], 3)
    with pytest.raises(Wrong, match=why):
        complete(ids, 3)


def test_texts_are_as_long_as_asked_for() -> None:
    said = list(texts(Random(1), 500_000, 4000))
    assert 500_000 <= sum(len(text.encode()) for text in said) < 520_000
    assert 1 <= min(map(len, said)) < 200
    assert 3800 < max(map(len, said)) <= 4000
