"""What is counted, and what is told of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import defer, error
from twisted.trial.unittest import TestCase

from chatroom.load import tally as tally_module
from chatroom.load.address import explained
from chatroom.load.report import as_json, as_text, notes
from chatroom.load.tally import Tally, Use
from chatroom.load.wire import printable
from tests.test_load_options import URL, parsed


@given(st.lists(st.integers(0, 50), min_size=1), st.floats(0, 1, exclude_min=True))
def test_latency_is_the_nearest_rank(took: list[int], share: float) -> None:
    """So large a share came within it, and not within less."""
    tally = Tally(latencies=Counter(took))
    latency = tally.latency(share)
    assert latency == sorted(took)[math.ceil(share * len(took)) - 1] / 100
    assert tally.latency(1) == max(took) / 100


def test_no_latency() -> None:
    assert Tally().latency(0.5) is None


class Told(TestCase):
    def tally(self, **found: Any) -> Tally:
        usual: dict[str, Any] = {
            "opened": 100,
            "opening": 0.5,
            "seconds": 2.0,
            "said": 40,
            "deliveries": 4000,
            "in_time": 3900,
            "latencies": Counter({150: 99, 1000: 1}),
            "use": Use(0.5, 0.0),
        }
        return Tally(**usual | found)

    def test_json(self) -> None:
        options = parsed("--room", "r", "-s", "10")
        told = json.loads(as_json(self.tally(), options))
        assert told == {
            "url": URL,
            "room": "r",
            "connections": 100,
            "senders": 10,
            "window": 10,
            "rate": None,
            "opened": 100,
            "handshakes_per_second": 200.0,
            "seconds": 2.0,
            "said": 40,
            "deliveries": 4000,
            "deliveries_per_second": 1950.0,
            "latency_ms": {"p50": 1.5, "p90": 1.5, "p99": 1.5, "max": 10.0},
            "errors": {},
            "faults": {},
            "cpu": 0.5,
            "waited_for_cpu": 0.0,
            "bottleneck": False,
            "interrupted": False,
            "ok": True,
        }

    def test_json_of_faults(self) -> None:
        tally = self.tally(
            lost=2,
            closed=Counter({"1013 slow": 3}),
            errors=Counter(rate_limited=1),
            use=Use(0.9, 0),
        )
        told = json.loads(as_json(tally, parsed("-r", "5")))
        assert told["faults"] == {"lost": 2, "closed": {"1013 slow": 3}}
        assert told["errors"] == {"rate_limited": 1}
        assert (told["window"], told["rate"]) == (None, 5.0)
        assert told["bottleneck"] is True
        assert told["ok"] is False

    def test_text(self) -> None:
        assert as_text(self.tally(), parsed()).splitlines() == [
            "connections  100 opened, 200 a second",
            "said         40 in 2.0 s, 20.0 a second",
            "deliveries   4,000, 1,950 a second",
            "latency      p50 1.50 ms, p90 1.50 ms, p99 1.50 ms, max 10.00 ms",
            "errors       none",
            "faults       none",
            "own CPU      50% of a core",
        ]

    def test_text_of_faults(self) -> None:
        tally = self.tally(lost=1234, closed=Counter({"1006": 3}), errors=Counter(empty=2))
        told = as_text(tally, parsed())
        assert "\nerrors       empty 2\n" in told
        assert "\nfaults       lost 1,234, closed 3 (1006)\n" in told

    def test_bottleneck(self) -> None:
        for use, full in (
            (Use(0.95, 0.0), True),
            (Use(0.5, 0.45), True),
            (Use(0.89, 0.0), False),
        ):
            told = list(notes(self.tally(use=use), parsed()))
            assert any("itself the bottleneck" in note for note in told) is full
            assert any("lower bounds" in note for note in told) is full
        brief = self.tally(use=Use(0.95, 0.0), seconds=0.1)
        assert list(notes(brief, parsed())) == []
        assert not brief.bottleneck
        assert "used 50% of a core, and waited for one 45% of the time" in "".join(
            notes(self.tally(use=Use(0.5, 0.45)), parsed())
        )

    def test_waiting_for_a_core_is_not_known_everywhere(self) -> None:
        self.patch(tally_module, "SCHEDSTAT", Path("/nowhere/schedstat"))
        assert tally_module.waited() == 0

    def test_busy_while_connecting(self) -> None:
        busy = Use(0.97, 0)
        (note,) = notes(self.tally(opening=2.0, opening_use=busy), parsed())
        assert note.startswith("While it opened connections, chatroom-load used 97% of a core.")
        # Too short to tell.
        assert list(notes(self.tally(opening=0.1, opening_use=busy), parsed())) == []

    def test_explained(self) -> None:
        for failed, words in (
            (error.ConnectionRefusedError(), "Connection was refused by other side"),
            (error.ConnectionDone(), "the server hung up"),
            (error.TimeoutError(), "no answer in time"),
            (defer.TimeoutError(), "no answer in time"),
            (
                SSL.Error([("x", "y", "certificate verify failed")]),
                "TLS: certificate verify failed",
            ),
            (SSL.Error(), "Error"),
            (ValueError("two\nlines\x1b"), "two lines?"),
        ):
            assert explained(failed) == words

    def test_printable(self) -> None:
        assert printable("a\x1b[31m\nb\u202e") == "a?[31m?b?"
        assert len(printable("x" * 1000)) == 200
