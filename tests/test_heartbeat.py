"""Signs of life: who is asked when, and who lapses."""

from __future__ import annotations

import socket
from collections import Counter
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatroom import heartbeat
from chatroom.heartbeat import SLOTS, Heartbeat, Way
from tests.daemon import until
from tests.rig import KEY, RoomCase

INTERVAL, TIMEOUT = 25.0, 20.0
STEP = INTERVAL / SLOTS
NEAR = 1e-6
"""Times are sums of steps that are no binary fractions."""


class Heart:
    """A connection that answers after *delay* seconds, or never."""

    slot = 0
    transport: Any = None

    def __init__(self, ward: Ward, delay: float | None = 0.0) -> None:
        self.ward = ward
        self.delay = delay
        self.asked: list[float] = []
        self.lapsed: list[float] = []

    def ask(self) -> None:
        self.asked.append(self.ward.clock.seconds())
        if self.delay is not None:
            self.ward.clock.callLater(self.delay, self.ward.beat.heard, self)

    def lapse(self) -> None:
        self.lapsed.append(self.ward.clock.seconds())
        self.ward.beat.leave(self)


class Ward:
    """A heartbeat on a clock of its own."""

    def __init__(self, interval: float = INTERVAL, timeout: float = TIMEOUT) -> None:
        self.clock = Clock()
        self.beat = Heartbeat[Heart](self.clock, interval, timeout)

    def join(self, number: int = 1, delay: float | None = 0.0) -> list[Heart]:
        hearts = [Heart(self, delay) for _ in range(number)]
        for heart in hearts:
            self.beat.join(heart)
        return hearts

    def run(self, seconds: float, step: float = STEP / 2) -> None:
        """Let *seconds* pass in small steps."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    @property
    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())


def test_who_joins_at_once_is_not_asked_at_once() -> None:
    ward = Ward()
    hearts = ward.join(5000)
    ward.run(INTERVAL + STEP / 2)
    times = Counter(round(time / STEP) for heart in hearts for time in heart.asked)
    assert sum(times.values()) == 5000
    assert len(times) == SLOTS
    assert set(times.values()) == {5000 // SLOTS}


def test_each_is_asked_once_an_interval() -> None:
    ward = Ward()
    hearts = ward.join(120, delay=1.0)
    ward.run(10 * INTERVAL + STEP / 2)
    for heart in hearts:
        assert len(heart.asked) == 10
        gaps = [after - before for before, after in zip(heart.asked, heart.asked[1:], strict=False)]
        assert gaps == pytest.approx([INTERVAL] * 9, abs=STEP)
        assert heart.asked[0] <= INTERVAL + NEAR
        assert heart.lapsed == []
    assert set(ward.beat) == set(hearts)


def test_who_joins_later_is_asked_within_an_interval() -> None:
    ward = Ward()
    for _ in range(3 * SLOTS):
        ward.run(1.7)
        (heart,) = ward.join()
        joined = ward.clock.seconds()
        ward.run(INTERVAL + STEP)
        assert heart.asked
        assert heart.asked[0] - joined <= INTERVAL + NEAR
        ward.beat.leave(heart)


def test_who_does_not_answer_lapses_after_the_timeout() -> None:
    ward = Ward()
    silent, alive = ward.join(70, delay=None), ward.join(70, delay=TIMEOUT - STEP)
    ward.run(3 * INTERVAL)
    for heart in silent:
        assert len(heart.asked) == 1
        (lapsed,) = heart.lapsed
        assert TIMEOUT - NEAR <= lapsed - heart.asked[0] <= TIMEOUT + STEP + NEAR
    assert {len(heart.lapsed) for heart in alive} == {0}
    assert set(ward.beat) == set(alive)


def test_timeout_longer_than_the_interval() -> None:
    ward = Ward(10, 35)
    silent, slow = ward.join(60, delay=None), ward.join(60, delay=32.0)
    ward.run(200, 0.1)
    for heart in silent:
        # Whom an answer is awaited of is not asked again.
        assert len(heart.asked) == 1
        (lapsed,) = heart.lapsed
        assert 35 - NEAR <= lapsed - heart.asked[0] <= 35 + heartbeat.STEP + NEAR
    for heart in slow:
        assert heart.lapsed == []
        gaps = [after - before for before, after in zip(heart.asked, heart.asked[1:], strict=False)]
        assert gaps == pytest.approx([40.0] * len(gaps), abs=heartbeat.STEP)
        assert len(heart.asked) >= 4
    assert set(ward.beat) == set(slow)


def test_interval_of_zero_asks_nobody() -> None:
    ward = Ward(0, TIMEOUT)
    hearts = ward.join(100, delay=None)
    assert ward.timers == 0
    ward.clock.advance(10_000)
    assert not any(heart.asked or heart.lapsed for heart in hearts)
    assert set(ward.beat) == set(hearts)
    for heart in hearts:
        ward.beat.heard(heart)
        ward.beat.leave(heart)
    assert list(ward.beat) == []


def test_timeout_of_zero_lapses_nobody() -> None:
    ward = Ward(INTERVAL, 0)
    silent, alive = ward.join(100, delay=None), ward.join(100, delay=1.0)
    ward.run(4 * INTERVAL + STEP / 2)
    assert not any(heart.lapsed for heart in silent + alive)
    assert {len(heart.asked) for heart in alive} == {4}
    # Nothing is awaited of them, so that this is no reason to leave them out.
    assert {len(heart.asked) for heart in silent} == {4}
    assert set(ward.beat) == {*silent, *alive}


def test_stalled_process_does_not_blame_those_who_could_not_be_heard() -> None:
    ward = Ward()
    hearts = ward.join(2 * SLOTS, delay=None)
    ward.run(INTERVAL / 2)
    awaited = [heart for heart in hearts if heart.asked]
    assert awaited
    # For two minutes nothing is read; what they have answered is read right after.
    ward.clock.advance(120)
    assert not any(heart.lapsed for heart in hearts)
    for heart in hearts:
        if heart.asked:
            ward.beat.heard(heart)
    ward.run(TIMEOUT - STEP)
    assert not any(heart.lapsed for heart in hearts)


def test_stalled_process_finds_the_dead_all_the_same() -> None:
    ward = Ward()
    hearts = ward.join(2 * SLOTS, delay=None)
    ward.run(INTERVAL / 2)
    ward.clock.advance(120)
    ward.run(INTERVAL + TIMEOUT + 2 * STEP)
    assert {len(heart.lapsed) for heart in hearts} == {1}
    assert ward.timers == 0


def test_one_timer_while_somebody_is_there() -> None:
    ward = Ward()
    assert ward.timers == 0
    for number in (1, 2, 500):
        hearts = ward.join(number)
        assert ward.timers == 1
        ward.run(INTERVAL)
        assert ward.timers == 1
        for heart in hearts:
            ward.beat.leave(heart)
        assert ward.timers == 0


def test_room_that_was_empty_for_a_while() -> None:
    ward = Ward()
    (heart,) = ward.join()
    ward.run(INTERVAL)
    ward.beat.leave(heart)
    ward.clock.advance(10 * INTERVAL)
    assert len(heart.asked) == 1
    hearts = ward.join(10 * SLOTS)
    ward.clock.advance(STEP)
    assert sum(len(heart.asked) for heart in hearts) <= 10
    ward.run(INTERVAL)
    assert {len(heart.asked) for heart in hearts} <= {1, 2}
    assert sum(len(heart.asked) for heart in hearts) <= 10 * (SLOTS + 2)


def test_leaving_is_possible_at_any_point() -> None:
    ward = Ward()

    class Shy(Heart):
        def ask(self) -> None:
            super().ask()
            ward.beat.leave(self)

    class Fatal(Heart):
        """Takes another along."""

        def ask(self) -> None:
            super().ask()
            for heart in [heart for heart in ward.beat if heart is not self]:
                ward.beat.leave(heart)

    shy = [Shy(ward) for _ in range(2 * SLOTS)]
    for heart in shy:
        ward.beat.join(heart)
    ward.run(2 * INTERVAL)
    assert {len(heart.asked) for heart in shy} == {1}
    assert ward.timers == 0

    fatal = [Fatal(ward) for _ in range(3 * SLOTS)]
    for other in fatal:
        ward.beat.join(other)
    ward.run(INTERVAL + STEP)
    (last,) = ward.beat
    assert last.asked
    # Twice, and before anybody was asked.
    ward.beat.leave(last)
    ward.beat.leave(last)
    ward.beat.heard(last)
    (new,) = ward.join()
    ward.beat.leave(new)
    assert ward.timers == 0


def test_whoever_lapses_may_take_all_others_along() -> None:
    ward = Ward()

    class Fatal(Heart):
        def lapse(self) -> None:
            super().lapse()
            for heart in list(ward.beat):
                ward.beat.leave(heart)

    hearts = [Fatal(ward, None) for _ in range(3 * SLOTS)]
    for heart in hearts:
        ward.beat.join(heart)
    ward.run(3 * INTERVAL)
    assert sum(len(heart.lapsed) for heart in hearts) == 1
    assert ward.timers == 0


class Line:
    """A real connection over which much was sent at once, to a peer that reads when it is told to."""

    dataBuffer = b""
    offset = 0

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.socket()
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            self.peer.connect(listening.getsockname())
            self.socket, _ = listening.accept()
        self.socket.setblocking(False)
        self.given = self.socket.send(bytes(1_000_000))
        self.moved(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.close()
        self.socket.close()

    @property
    def way(self) -> Way:
        way = heartbeat.way(self)
        assert way is not None
        return way

    def told(self, given: int) -> None:
        """Wait until its way tells *given*: in two questions, between which something may be taken."""
        until(lambda: self.way.given == given, f"{given} bytes are told")

    def moved(self, before: int) -> None:
        """Wait until more than *before* has been taken."""
        until(lambda: self.way.taken > before, "something is taken")

    def read(self, size: int) -> None:
        """Let the peer read *size* bytes, of which some make place for others."""
        before = self.way.taken
        while size:
            size -= len(self.peer.recv(size))
        self.moved(before)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system tells nothing of the way")
def test_who_takes_what_is_before_the_question_does_not_lapse() -> None:
    with Line() as line, Line() as stuck:
        line.told(line.given)
        line.dataBuffer, line.offset = b"waiting", 3
        line.told(line.given + 4)
        ward = Ward()
        slow, still = ward.join(2, delay=None)
        slow.transport, still.transport = line, stuck
        ward.run(INTERVAL + STEP)
        for _ in range(5):
            line.read(100_000)
            ward.run(TIMEOUT + 2 * STEP)
            assert slow.lapsed == []
            assert len(still.lapsed) == 1
        # And then no more.
        ward.run(TIMEOUT + 2 * STEP)
        assert len(slow.lapsed) == len(slow.asked) == 1


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system tells nothing of the way")
def test_who_has_taken_everything_has_to_answer() -> None:
    with Line() as line:
        ward = Ward()
        (silent,) = ward.join(delay=None)
        silent.transport = line
        ward.run(INTERVAL + STEP)
        line.read(line.given)
        until(lambda: line.way.taken >= line.given, "everything is taken")
        # What comes later is not before the question.
        line.socket.send(bytes(100_000))
        ward.run(TIMEOUT + STEP)
        assert len(silent.lapsed) == 1


def test_where_nobody_can_tell_there_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heartbeat.way(None) is None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert heartbeat.way(SimpleNamespace(socket=ours)) is None
    with Line() as line:
        with mock.patch.object(heartbeat, "_ACKED_AT", 1000):
            assert heartbeat.way(line) is None
        closed = Line()
        with closed:
            pass
        assert heartbeat.way(closed) is None
        monkeypatch.delattr(socket, "TCP_INFO", raising=False)
        assert heartbeat.way(line) is None


@given(
    st.sampled_from([(25.0, 20.0), (10.0, 35.0), (5.0, 5.0)]),
    st.lists(
        st.tuples(
            st.floats(0, 60),
            st.sampled_from([None, 0.0, 1.0, 4.0]),
            st.none() | st.floats(0, 60),
        ),
        max_size=30,
    ),
)
def test_whoever_answers_stays_and_nobody_else(
    times: tuple[float, float], stays: list[tuple[float, float | None, float | None]]
) -> None:
    interval, timeout = times
    step = max(interval / SLOTS, heartbeat.STEP)
    ward = Ward(interval, timeout)
    hearts = []

    def come(delay: float | None, stay: float | None) -> None:
        (heart,) = ward.join(1, delay)
        hearts.append((heart, ward.clock.seconds(), stay))
        if stay is not None:
            ward.clock.callLater(stay, ward.beat.leave, heart)

    for when, delay, stay in stays:
        ward.clock.callLater(when, come, delay, stay)
    ward.run(140, step / 2)
    for heart, joined, stay in hearts:
        there = 140 - joined if stay is None else stay
        if heart.delay is None:
            assert len(heart.asked) <= 1
            if there > interval + timeout + 3 * step:
                assert len(heart.lapsed) == 1
            if heart.lapsed:
                waited = heart.lapsed[0] - heart.asked[0]
                # A step may be late by a rounding, and is then taken for a stall.
                assert timeout - NEAR <= waited <= timeout + 2 * step + NEAR
        else:
            assert heart.lapsed == []
            assert len(heart.asked) <= there // interval + 1
            assert len(heart.asked) >= (there - 2 * step) // interval
    staying = {heart for heart, _, stay in hearts if stay is None and heart.delay is not None}
    assert set(ward.beat) == staying
    # What is answered before it is over is the test's own.
    ward.clock.advance(5)
    for heart in staying:
        ward.beat.leave(heart)
    ward.clock.advance(60)
    assert ward.timers == 0


class House(RoomCase):
    def test_thousand_connections_cost_one_delayed_call(self) -> None:
        self.settle(30)
        before = len(self.clock.getDelayedCalls())
        head = (
            "GET /{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        peers = [self.dial() for _ in range(1000)]
        for i, peer in enumerate(peers):
            peer.transport.write(head.format(f"ws?room=r{i}").encode())
        self.settle()
        # So long somebody may be silent at the beginning; for all, that is one more.
        self.settle(12)
        assert {peer.status for peer in peers} == {101}
        assert len(list(self.factory.connections)) == 1000
        assert len(self.clock.getDelayedCalls()) == before + 1
        for peer in peers:
            peer.close()
        self.settle()
        assert all(peer.lost for peer in peers)
        # Those who say goodbye need a moment each; afterwards nothing is left.
        self.settle(30)
        assert len(self.clock.getDelayedCalls()) == before
