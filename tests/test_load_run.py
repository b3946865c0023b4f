"""A room that is filled in memory: that it is noticed when something becomes of a message."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import defer, error
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.test import iosim
from twisted.trial.unittest import TestCase
from zope.interface import implementer

import chatroom.load
from chatroom.chat import Chat
from chatroom.events import Close
from chatroom.load.reader import Reader
from chatroom.load.report import as_text, notes
from chatroom.load.run import Load
from chatroom.load.tally import Tally
from chatroom.memory import MemoryLog
from tests.rig import RoomCase, Transport
from tests.test_load_options import parsed

pytestmark = pytest.mark.long


def split(data: bytes) -> list[bytes]:
    """Return the frames of a server, short ones, in *data*."""
    found = []
    while data:
        size = data[1] + 2 if data[1] < 126 else int.from_bytes(data[2:4]) + 4
        found.append(data[:size])
        data = data[size:]
    return found


Tamper = Callable[[int, bytes], list[bytes]]
"""What becomes of a frame with a message on its way to the connection of this number."""


class Tampering(Transport):
    """One whose far end is told what *tamper* makes of messages."""

    number = 0
    tamper: Tamper | None = None

    def write(self, data: bytes) -> None:
        if self.tamper is not None and data[:1] in (b"\x81", b"\x88"):
            frames = [
                self.tamper(self.number, frame) if b'"event":"talk"' in frame else [frame]
                for frame in split(data)
            ]
            data = b"".join(b"".join(those) for those in frames)
        super().write(data)


@implementer(IStreamClientEndpoint)
class InMemory:
    """The way into the site of *case*."""

    def __init__(self, case: LoadCase) -> None:
        self._case = case

    def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
        here = IPv4Address("TCP", "127.0.0.1", 8080)
        there = IPv4Address("TCP", "192.0.2.1", 50_000)
        channel = self._case.site.buildProtocol(there)
        server = Tampering(channel, True, here, there)
        server.number, server.tamper = len(self._case.servers), self._case.tamper
        self._case.servers.append(server)
        reader = protocolFactory.buildProtocol(here)
        client = Transport(reader, False, there, here)
        self._case.readers.append(reader)
        under_way = [reader for reader in self._case.readers if not reader.entered.called]
        self._case.opening.append(len(under_way))
        self._case.pumps.append(iosim.connect(channel, server, reader, client))
        return defer.succeed(reader)


class LoadCase(RoomCase):
    """A test that fills a room in memory."""

    tamper: Tamper | None = None
    talk_rate = 0.0

    def setUp(self) -> None:
        super().setUp()
        self.factory.chat = self.chat = Chat(
            MemoryLog(lambda call: self.clock.callLater(0, call)),
            self.clock.seconds,
            lambda: 1_000_000_000.25,
            rate=self.talk_rate,
        )
        self.servers: list[Tampering] = []
        self.readers: list[Reader] = []
        self.opening: list[int] = []
        """With each connection, how many there were that had not come in yet."""

    def begin(self, *arguments: str) -> Load:
        """Return a load on the room that has begun."""
        self.load = Load(
            self.clock,
            InMemory(self),
            parsed(*arguments),
            lambda: round(self.clock.seconds() * 100_000),
        )
        self.running = defer.ensureDeferred(self.load.run())
        return self.load

    def go(self, seconds: float) -> None:
        """Let *seconds* pass, in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.settle(0.05)

    def fill(self, *arguments: str, seconds: float = 12) -> Tally:
        """Return what has come of a whole run."""
        self.begin(*arguments)
        self.go(seconds)
        self.successResultOf(self.running)
        return self.load.tally


class Well(LoadCase):
    def test_window(self) -> None:
        load = self.begin("-c", "3", "-s", "2", "-w", "4", "-t", "1")
        self.settle(0.05)
        widest = 0
        while load.talking:
            self.settle(0.05)
            widest = max([widest, *(len(one.author.outstanding) for one in load.senders)])
        assert widest == 4
        self.go(1)
        self.successResultOf(self.running)
        tally = load.tally
        assert tally.well
        assert tally.faults == {}
        assert tally.opened == 3
        assert tally.said > 8
        assert tally.deliveries == 3 * tally.said
        assert tally.latencies.total() == tally.deliveries
        assert 1 <= tally.seconds < 1.1

    def test_rate(self) -> None:
        load = self.begin("-c", "4", "-s", "3", "-r", "20", "-t", "2")
        self.settle()
        while load.tally.said < 20:
            assert load.tally.said <= 1 + 20 * self.clock.seconds()
            self.settle(0.05)
        assert 0.9 <= self.clock.seconds() <= 1.15
        # The senders take turns.
        assert {one.author.said for one in load.senders} <= {6, 7}
        self.go(2)
        self.successResultOf(self.running)
        assert load.tally.well
        assert 39 <= load.tally.said <= 41
        assert load.tally.deliveries == 4 * load.tally.said

    def test_latency_is_from_sending_to_hearing(self) -> None:
        held: list[tuple[int, bytes]] = []

        def later(number: int, frame: bytes) -> list[bytes]:
            held.append((number, frame))
            return []

        self.tamper = later
        self.begin("-c", "2", "-s", "1", "-w", "1", "-t", "0.1")
        self.go(1)
        for number, frame in held:
            self.servers[number].stream.append(frame)
        self.go(4)
        self.successResultOf(self.running)
        assert self.load.tally.well
        latency = self.load.tally.latency(1)
        assert latency is not None
        assert 900 < latency < 1100

    def test_what_comes_late_to_one_is_waited_for(self) -> None:
        held: list[bytes] = []

        def later(number: int, frame: bytes) -> list[bytes]:
            if number == 0:
                return [frame]
            held.append(frame)
            return []

        self.tamper = later
        self.begin("-c", "2", "-s", "1", "-r", "2", "-t", "1")
        self.go(3)
        # The sender has had its answers long ago.
        self.assertNoResult(self.running)
        assert held
        self.servers[1].stream += held
        self.go(4)
        self.successResultOf(self.running)
        assert self.load.tally.faults == {}

    def test_messages_of_others_are_checked_but_not_timed(self) -> None:
        ann = self.enter("/ws?room=den&name=Ann")
        ann.talk("talk", room="den", message="before")
        self.settle()
        self.begin("-c", "2", "-r", "2", "-t", "2", "--room", "den")
        self.settle()
        # What was said before it came is none of its business.
        assert self.load.conversation.transcript.first == 2
        self.go(1)
        for text in ("during", "again"):
            ann.talk("talk", room="den", message=text, nonce=text)
        self.go(3)
        self.successResultOf(self.running)
        tally = self.load.tally
        assert tally.well
        assert tally.deliveries == 2 * (tally.said + 2)
        assert tally.latencies.total() == 2 * tally.said
        assert len(ann.said("talk")) == tally.said + 3

    def test_it_leaves_as_one_should(self) -> None:
        self.begin("-c", "2", "-t", "0.1")
        self.go(2)
        self.successResultOf(self.running)
        assert self.chat.users == {}

    def test_what_all_have_heard_is_forgotten(self) -> None:
        load = self.begin("-c", "2", "-r", "100", "-t", "5")
        self.go(4)
        assert load.tally.said > 300
        assert len(load.conversation.transcript.sent) < 100
        self.go(3)
        assert load.tally.well

    def test_ended_early(self) -> None:
        load = self.begin("-c", "2", "-r", "10", "-t", "60")
        self.go(1)
        load.stop()
        self.go(1)
        self.successResultOf(self.running)
        assert load.tally.well
        assert load.tally.interrupted
        assert 1 <= load.tally.seconds < 1.1
        assert "It was ended early." in notes(load.tally, load.options)

    def test_ended_before_the_talk(self) -> None:
        load = self.begin("-c", "2000", "--concurrency", "2")
        self.settle(0.05)
        load.stop()
        self.go(1)
        self.successResultOf(self.running)
        assert 1 <= load.tally.opened < 20
        assert load.tally.said == 0
        assert load.tally.faults == {}
        assert f"{load.tally.opened} of 2,000 opened" in as_text(load.tally, load.options)

    def test_ended_while_connections_wait_for_an_answer(self) -> None:
        way = InMemory(self)
        waiting: list[defer.Deferred[Any]] = []

        @implementer(IStreamClientEndpoint)
        class OfOne:
            def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
                if waiting:
                    waiting.append(defer.Deferred[Any]())
                    return waiting[-1]
                waiting.append(way.connect(protocolFactory))
                return waiting[-1]

        load = Load(self.clock, OfOne(), parsed("-c", "2000", "--concurrency", "3"))
        running = defer.ensureDeferred(load.run())
        self.go(1)
        assert len(waiting) == 4
        load.stop()
        self.go(1)
        self.successResultOf(running)
        # None was begun after that, and what nobody waited for has not failed.
        assert len(waiting) == 4
        assert load.tally.opened == 1
        assert load.tally.faults == {}

    def test_at_most_so_many_are_opened_at_a_time(self) -> None:
        self.begin("-c", "9", "--concurrency", "3", "-t", "0.1")
        self.go(2)
        self.successResultOf(self.running)
        # The first one is alone.
        assert self.opening == [1, 1, 2, 3, 3, 3, 3, 3, 3]


class Printed(LoadCase):
    """What the command says, and whether it fails."""

    def measured(self, *arguments: str) -> tuple[str, defer.Deferred[None]]:
        reactor: Any = self.clock
        reactor.callWhenRunning = lambda *_: None
        self.patch(chatroom.load, "endpoint", lambda reactor, options: InMemory(self))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            measuring = defer.ensureDeferred(chatroom.load.measure(reactor, parsed(*arguments)))
            self.go(12)
        return out.getvalue(), measuring

    def test_well(self) -> None:
        for arguments in ((), ("--json",)):
            out, measuring = self.measured("-c", "2", "-r", "10", "-t", "1", *arguments)
            self.successResultOf(measuring)
            if arguments:
                assert json.loads(out)["ok"] is True
            else:
                assert out.startswith("connections  2 opened")

    def test_not_well(self) -> None:
        self.tamper = lambda number, frame: [frame, frame]
        out, measuring = self.measured("-c", "2", "-r", "10", "-t", "1")
        assert self.failureResultOf(measuring, SystemExit).value.code == 1
        assert "faults       doubled " in out


class Faulty(LoadCase):
    """Six messages by one sender, of which something becomes of the third."""

    RUN = ("-c", "4", "-s", "1", "-r", "5", "-t", "1.1")

    def suffer(self, victims: set[int], *becomes: Callable[[bytes, bytes], list[bytes]]) -> Tally:
        """Return what was noticed when the third (and fourth …) message *becomes* that."""
        seen: Counter[int] = Counter()
        third = b""

        def tamper(number: int, frame: bytes) -> list[bytes]:
            nonlocal third
            seen[number] += 1
            which = seen[number] - 3
            if which == 0:
                third = frame
            if number in victims and 0 <= which < len(becomes):
                return becomes[which](frame, third)
            return [frame]

        self.tamper = tamper
        tally = self.fill(*self.RUN)
        assert tally.said == 6
        assert not tally.well
        return tally

    def test_lost(self) -> None:
        tally = self.suffer({2}, lambda frame, _: [])
        assert tally.faults == {"lost": 1}
        assert tally.deliveries == 23

    def test_lost_by_the_first_reader(self) -> None:
        # The sender itself is that one, and does not get its answer.
        tally = self.suffer({0}, lambda frame, _: [])
        assert tally.faults == {"lost": 1, "unanswered": 1}
        assert tally.deliveries == 23

    def test_lost_by_all(self) -> None:
        assert self.suffer({0, 1, 2, 3}, lambda frame, _: []).faults == {
            "lost": 4,
            "unanswered": 1,
        }

    def test_lost_at_the_end(self) -> None:
        tally = self.suffer({3}, *[lambda frame, _: []] * 4)
        assert tally.faults == {"lost": 4}

    def test_doubled(self) -> None:
        assert self.suffer({1}, lambda frame, _: [frame, frame]).faults == {"doubled": 1}

    def test_doubled_later(self) -> None:
        tally = self.suffer({1, 2}, lambda frame, _: [frame], lambda frame, third: [frame, third])
        assert tally.faults == {"doubled": 2}

    def test_swapped(self) -> None:
        tally = self.suffer({1}, lambda frame, _: [], lambda frame, third: [frame, third])
        assert tally.faults == {"misordered": 1}
        assert tally.deliveries == 24

    def test_out_of_order_by_far(self) -> None:
        later: list[Callable[[bytes, bytes], list[bytes]]] = [lambda frame, _: [frame]] * 2
        tally = self.suffer({1}, lambda frame, _: [], *later, lambda frame, third: [frame, third])
        # By then the others have heard it long ago.
        assert self.load.conversation.transcript.first > 3
        assert tally.faults == {"misordered": 1}
        assert tally.deliveries == 24

    def test_swapped_for_all(self) -> None:
        everybody = {0, 1, 2, 3}
        tally = self.suffer(everybody, lambda frame, _: [], lambda frame, third: [frame, third])
        assert tally.faults == {"misordered": 4}

    def test_altered_for_one(self) -> None:
        tally = self.suffer({3}, lambda frame, _: [frame.replace(b"xxx", b"xyx")])
        assert tally.faults == {"altered": 1}

    def test_altered_for_all(self) -> None:
        tally = self.suffer({0, 1, 2, 3}, lambda frame, _: [frame.replace(b"xxx", b"xyx")])
        assert tally.faults == {"altered": 1}

    def test_another_message_under_the_same_id(self) -> None:
        def renumbered(frame: bytes, third: bytes) -> list[bytes]:
            return [third.replace(b'"id":3,', b'"id":4,')]

        tally = self.suffer({2}, lambda frame, _: [frame], renumbered)
        assert tally.faults == {"altered": 1}

    def test_said_twice_by_the_room(self) -> None:
        def renumbered(frame: bytes, third: bytes) -> list[bytes]:
            return [third.replace(b'"id":3,', b'"id":4,')]

        tally = self.suffer({0, 1, 2, 3}, lambda frame, _: [frame], renumbered)
        # It is in the place of another message, which has had no answer.
        assert tally.faults == {"doubled": 1, "unanswered": 1}

    def test_said_in_another_order_than_sent(self) -> None:
        fourth = b""

        def earlier(frame: bytes, third: bytes) -> list[bytes]:
            nonlocal fourth
            fourth = frame
            return [
                frame.replace(b'"id":4,', b'"id":3,'),
                third.replace(b'"id":3,', b'"id":4,'),
            ]

        tally = self.suffer({0, 1, 2, 3}, lambda frame, _: [], earlier)
        assert fourth
        assert tally.faults == {"misordered": 1}

    def test_a_nonce_that_was_not_sent(self) -> None:
        tally = self.suffer({0, 1, 2, 3}, lambda frame, _: [frame.replace(b'-0-3"', b'-0-x"')])
        assert tally.faults == {"unanswered": 1}

    def test_ended_early_while_something_is_missing(self) -> None:
        self.tamper = lambda number, frame: [frame] if number else []
        self.begin("-c", "2", "-s", "1", "-w", "1", "-t", "1")
        self.go(2)
        self.load.stop()
        self.go(1)
        # It waits all the same, so that nothing under way is taken for lost.
        self.assertNoResult(self.running)
        self.go(10)
        self.successResultOf(self.running)
        assert self.load.tally.faults == {"lost": 1, "unanswered": 1}

    def test_closed(self) -> None:
        self.begin(*self.RUN)
        self.go(0.5)
        one, other = list(self.factory.connections)[:2]
        one.end(Close.TRY_AGAIN, "too far behind\x1b[31m")
        other.transport.loseConnection()
        self.go(12)
        self.successResultOf(self.running)
        tally = self.load.tally
        closed = {"1013 too far behind?[31m": 1, "1006": 1}
        assert tally.faults["closed"] == closed
        assert not tally.well

    def test_all_closed_ends_it(self) -> None:
        self.begin("-c", "3", "-t", "60", "-r", "5")
        self.go(1)
        self.factory.farewell()
        self.go(1)
        self.successResultOf(self.running)
        assert self.load.tally.faults == {
            "closed": {"1012 the server is stopping; come back soon": 3}
        }
        assert self.load.tally.seconds < 2

    def test_no_answers_at_all(self) -> None:
        self.tamper = lambda number, frame: []
        tally = self.fill("-c", "3", "-s", "2", "-w", "7", "-t", "1")
        # The window is full, and nothing more was said.
        assert tally.said == 14
        assert tally.faults == {"unanswered": 14}

    def test_a_server_that_does_not_let_go(self) -> None:
        self.begin("-c", "1", "-t", "0.1", "-r", "1")
        self.settle(0.05)
        self.servers[0].protocol.dataReceived = lambda data: None
        self.go(4)
        self.assertNoResult(self.running)
        self.go(12)
        self.successResultOf(self.running)
        (pump,) = self.pumps
        assert pump.clientIO.aborted


class Limited(LoadCase):
    talk_rate = 5.0

    def test_who_waits_has_one_timer_and_when_gone_is_silent(self) -> None:
        tally = self.begin("-c", "2", "-s", "1", "-w", "30", "-t", "10").tally
        self.go(1)
        (sender,) = self.load.senders
        calls: list[Any] = list(self.clock.getDelayedCalls())
        assert [call.func for call in calls].count(sender.fill) == 1
        said = tally.said
        sender.transport.abortConnection()
        self.go(3)
        assert tally.closed == {"1006": 1}
        assert tally.said == said

    def test_it_keeps_to_the_rate_and_explains_it(self) -> None:
        tally = self.fill("-c", "2", "-s", "1", "-w", "30", "-t", "10", seconds=20)
        # 20 at once, 5 a second, and what showed that there is a limit.
        assert tally.errors == {"rate_limited": 10}
        assert 66 <= tally.said <= 81
        assert tally.deliveries == 2 * (tally.said - 10)
        assert tally.faults == {}
        assert tally.well
        (note,) = notes(tally, self.load.options)
        assert "5 messages a second, 20 at once" in note
        assert "--talk-rate 0" in note
        assert "rate_limited 10" in as_text(tally, self.load.options)

    def test_a_rate_that_cannot_be_kept(self) -> None:
        tally = self.fill("-c", "3", "-r", "50", "-t", "4")
        assert tally.errors["rate_limited"] >= 1
        assert 3 * 20 <= tally.said < 3 * 45
        assert not tally.faults
        told = list(notes(tally, self.load.options))
        assert "It could not keep up the rate of 50 messages a second." in told

    def test_too_long(self) -> None:
        tally = self.fill("-c", "1", "-w", "2", "-t", "3", "--size", "4001")
        assert tally.deliveries == 0
        # Once a second, and not as fast as it can.
        assert tally.errors == {"too_long": tally.said}
        assert 2 <= tally.said <= 8
        assert not tally.well
        assert any("at most 4,000" in note for note in notes(tally, self.load.options))


class Full(LoadCase):
    connections = 2

    def test_refused(self) -> None:
        tally = self.fill("-c", "5", "-t", "1", "-r", "5")
        assert tally.opened == 2
        refused = {"HTTP/1.1 503 Service Unavailable: the room is full": 3}
        assert tally.faults == {"refused": refused}
        assert tally.deliveries == 2 * tally.said > 0
        assert "2 of 5 opened" in as_text(tally, self.load.options)


class Opened(TestCase):
    """Connections that do not come about."""

    def test_nobody_there(self) -> None:
        asked = []

        @implementer(IStreamClientEndpoint)
        class Nowhere:
            def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
                asked.append(protocolFactory)
                return defer.fail(error.DNSLookupError("no such name"))

        load = Load(Clock(), Nowhere(), parsed("-c", "1000"))
        self.successResultOf(defer.ensureDeferred(load.run()))
        assert len(asked) == 1
        assert not load.tally.well
        assert load.tally.faults == {"refused": {"DNS lookup failed: no such name": 1}}
        assert as_text(load.tally, load.options).splitlines() == [
            "connections  0 of 1,000 opened, 0 a second",
            "errors       none",
            "faults       refused 1 (DNS lookup failed: no such name)",
        ]

    def test_an_answer_that_never_comes(self) -> None:
        clock = Clock()
        transports = []

        @implementer(IStreamClientEndpoint)
        class Silent:
            def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
                reader = protocolFactory.buildProtocol(None)
                transports.append(iosim.FakeTransport(reader, False))
                reader.makeConnection(transports[-1])
                return defer.succeed(reader)

        load = Load(clock, Silent(), parsed("-c", "5"))
        running = defer.ensureDeferred(load.run())
        clock.advance(29)
        self.assertNoResult(running)
        clock.advance(2)
        self.successResultOf(running)
        assert load.tally.faults == {"refused": {"no answer in time": 1}}
        assert transports[0].disconnecting
