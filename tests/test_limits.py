from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatroom.limits import TokenBucket


def test_a_burst_at_once_and_then_nothing() -> None:
    bucket = TokenBucket(rate=5, burst=20)
    assert [bucket.take(100.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(100.0) == pytest.approx(0.2)


def test_a_refusal_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(0.0) == 0.0
    assert [bucket.take(0.5) for _ in range(3)] == [0.5] * 3
    assert bucket.take(1.0) == 0.0


def test_it_fills_at_its_rate() -> None:
    bucket = TokenBucket(rate=5, burst=20)
    for _ in range(20):
        bucket.take(0.0)
    taken = sum(bucket.take(tenth / 10) == 0.0 for tenth in range(1, 101))
    assert taken == 50


def test_it_is_never_more_than_full() -> None:
    bucket = TokenBucket(rate=5, burst=3)
    bucket.take(0.0)
    assert [bucket.take(1e6) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_is_set_back_takes_nothing() -> None:
    bucket = TokenBucket(rate=5, burst=2)
    assert [bucket.take(1000.0), bucket.take(10.0)] == [0.0, 0.0]
    assert bucket.take(10.0) == pytest.approx(0.2)
    assert bucket.take(11.0) == 0.0


def test_a_rate_of_zero_is_without_limit() -> None:
    bucket = TokenBucket(rate=0, burst=1)
    assert [bucket.take(0.0) for _ in range(1000)] == [0.0] * 1000


@given(
    rate=st.floats(0.01, 1000),
    burst=st.integers(1, 50),
    start=st.floats(0, 1e7),
    steps=st.lists(st.floats(0, 2), max_size=60),
)
def test_who_waits_as_told_is_not_refused_again(
    rate: float, burst: int, start: float, steps: list[float]
) -> None:
    bucket, now = TokenBucket(rate, burst), start
    for step in steps:
        now += step
        if wait := bucket.take(now):
            # One may be let through by a thousandth too early.
            assert 0 < wait <= 1.001 / rate
            now += wait
            assert bucket.take(now) == 0.0


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0, 1), max_size=200),
)
def test_never_more_than_the_burst_and_what_the_rate_gives(
    rate: float, burst: int, steps: list[float]
) -> None:
    bucket, now, taken = TokenBucket(rate, burst), 0.0, 0
    for step in steps:
        now += step
        taken += bucket.take(now) == 0.0
        assert taken <= burst + now * rate + 0.01
