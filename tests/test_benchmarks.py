"""The benchmarks: the generator notices every fault, and the tables say what the figures say."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from benchmarks import generator
from benchmarks.__main__ import main
from benchmarks.contestants import BY_KEY, Place, Running, running
from benchmarks.generator import Failed, Load, compile_c
from benchmarks.plot import plot
from benchmarks.report import number, report
from benchmarks.results import Results, Run, Target
from benchmarks.targets import TARGETS
from tests.daemon import Daemon
from tests.parts import missing, program

pytestmark = pytest.mark.long

SPOILT = 10
"""The message that does not come as it should."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program("cc", "install gcc or clang")
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def load(cache: Path) -> Path:
    return compile_c(Path(generator.__file__).with_name("load.c"), cache)


@pytest.fixture
def turn(cache: Path, tmp_path: Path) -> Iterator[Running]:
    with running(BY_KEY["turn"], Place(cache, None), tmp_path, 0) as server:
        yield server


Trick = Callable[[int, str], list[str]]
"""What the second reader gets instead of a message, given its number from 1 and its text."""


class Room:
    """A room that plays a trick on its second reader, and is fair to all others."""

    def __init__(self, trick: Trick) -> None:
        self._trick = trick
        self._lock = threading.Lock()
        self._readers: list[ServerConnection] = []
        self._count = 0
        self.ponged = False

    def talk(self, reader: ServerConnection) -> None:
        with self._lock:
            self._readers.append(reader)
        reader.send("x" * 70_000)  # a greeting whose length takes eight bytes
        self.ponged = reader.ping().wait(10) or self.ponged
        with suppress(ConnectionClosed):  # the generator ends without a word
            for said in reader:
                self._to_all(str(json.loads(said)["data"]["message"]))

    def _to_all(self, message: str) -> None:
        text = json.dumps({"event": "talk", "data": {"message": message}}, separators=(",", ":"))
        with self._lock:
            self._count += 1
            for place, reader in enumerate(self._readers):
                for each in self._trick(self._count, text) if place == 1 else [text]:
                    if each:
                        reader.send(each)
                    else:
                        reader.close(1013, "too slow")


@contextmanager
def listening(room: Room) -> Iterator[int]:
    """Serve *room*; gives the port."""
    with serve(room.talk, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def heard(load: Path, port: int, senders: int = 1, **options: object) -> Load:
    """Let a few readers listen to *senders* for a moment."""
    given: dict[str, object] = {"connections": 3, "senders": senders, "rate": 200} | options
    moment: dict[str, object] = {"settle": 0, "warm": 0, "seconds": 0.6, "drain": 5}
    return generator.run(load, {"port": port} | moment | given)


def fair(number: int, text: str) -> list[str]:
    return [text]


def lose(number: int, text: str) -> list[str]:
    return [] if number == SPOILT else [text]


def double(number: int, text: str) -> list[str]:
    return [text] * (2 if number == SPOILT else 1)


def alter(number: int, text: str) -> list[str]:
    return [text.replace("abc", "abd") if number == SPOILT else text]


def close(number: int, text: str) -> list[str]:
    return [""] if number == SPOILT else [text] if number < SPOILT else []


def stop(number: int, text: str) -> list[str]:
    return [text] if number < SPOILT else []


class Swap:
    """Exchanges two messages that follow each other."""

    def __init__(self) -> None:
        self.held = ""

    def __call__(self, number: int, text: str) -> list[str]:
        if number == SPOILT:
            self.held = text
            return []
        if number == SPOILT + 1:
            return [text, self.held]
        return [text]


class Overtake:
    """Has what one sender says next come before what another has said."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.done = False

    def __call__(self, number: int, text: str) -> list[str]:
        if self.done or number < SPOILT:
            return [text]
        if not self.held or sender(text) == sender(self.held[0]):
            self.held.append(text)
            return []
        self.done = True
        return [text, *self.held]


def sender(text: str) -> str:
    """Return whose *text* it is; benchmarks/load.c says how it tells."""
    return text.partition("say:")[2][:4]


def test_a_fair_room_has_no_faults(load: Path) -> None:
    room = Room(fair)
    with listening(room) as port:
        found = heard(load, port, wire="chatroom")
    assert found.faults == {}
    assert found.figures["ok"]
    # Only what came in the measured time counts, not the last message's way.
    assert 0 < found.figures["deliveries"] <= 3 * found.figures["messages"]
    assert 0 < found.figures["p50_ms"] <= found.figures["p99_ms"] <= found.figures["max_ms"] * 1.01
    assert room.ponged


@pytest.mark.parametrize(
    ("trick", "faults"),
    [
        (lose, {"lost": 1}),
        (double, {"doubled": 1}),
        (Swap(), {"out_of_order": 1}),
        (alter, {"altered": 1, "lost": 1}),
    ],
    ids=["lost", "doubled", "swapped", "altered"],
)
def test_one_message_gone_wrong_is_noticed(
    load: Path, trick: Trick, faults: dict[str, int]
) -> None:
    with listening(Room(trick)) as port:
        assert heard(load, port, wire="chatroom").faults == faults


def test_messages_of_two_senders_in_another_order_are_noticed(load: Path) -> None:
    # Each sender's own stay in order, so that only a comparison of the readers can show it.
    with listening(Room(Overtake())) as port:
        assert heard(load, port, 2, wire="chatroom").faults == {"differing_order": 1}


def test_messages_that_stay_out_are_noticed(load: Path) -> None:
    with listening(Room(stop)) as port:
        found = heard(load, port, wire="chatroom")
    assert found.faults == {"undelivered": found.figures["messages"] - SPOILT + 1}


def test_a_connection_that_is_closed_is_noticed(load: Path) -> None:
    with listening(Room(close)) as port:
        found = heard(load, port, wire="chatroom")
    assert found.faults["closed"] == 1
    assert found.why == "closed with 1013 too slow"


def test_a_refusal_is_noticed(load: Path, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        found = heard(load, daemon.port, path="/nothing-here")
    assert found.faults["not_opened"] == 3
    assert found.why == "refused: HTTP/1.1 404 Not Found"


@contextmanager
def running_daemon(folder: Path) -> Iterator[Daemon]:
    with Daemon(folder, "--store", "sqlite:room.sqlite", "--talk-rate", "0") as daemon:
        yield daemon


@pytest.mark.parametrize("how", ["turn", "send"])
def test_the_servers_in_c_deliver_all(load: Path, cache: Path, tmp_path: Path, how: str) -> None:
    with running(BY_KEY[how], Place(cache, None), tmp_path, 0) as server:
        pid = ",".join(map(str, server.pids))
        found = heard(load, server.port, 5, connections=20, window=10, rate=0, pid=pid)
        long = heard(load, server.port, 2, size=40_000)
    assert found.faults == long.faults == {}
    assert found.figures["deliveries"] > 1000
    assert found.figures["server"]["cpu_us_per_delivery"] > 0


def test_the_daemon_delivers_all_and_takes_back_who_was_cut_off(load: Path, tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        found = heard(load, daemon.port, 5, wire="chatroom", window=10, rate=0, connections=20)

        def again() -> int:
            daemon.kill()
            return daemon.start().pid

        options: dict[str, object] = {"port": daemon.port, "wire": "chatroom", "connections": 20}
        talk: dict[str, object] = {"senders": 2, "rate": 100, "warm": 0.2, "settle": 0}
        storm = generator.run(load, options | talk | {"storm": 0.3, "seconds": 0}, ready=again)
    assert found.faults == storm.faults == {}
    assert found.figures["deliveries"] > 100
    assert storm.figures["storm"]["seconds"] >= 0.28


def test_frames_may_come_in_any_pieces(load: Path, turn: Running) -> None:
    with pieces(turn.port) as port:
        found = heard(load, port, connections=2)
    assert found.faults == {}
    assert found.figures["deliveries"] > 0


@contextmanager
def pieces(port: int) -> Iterator[int]:
    """Pass on to *port*, and what comes back in pieces of a few bytes; gives the port to use."""
    pairs: list[threading.Thread] = []

    def answer(door: socket.socket) -> None:
        with suppress(OSError):  # when the door is shut
            while True:
                pairs.append(threading.Thread(target=pair, args=(door.accept()[0],)))
                pairs[-1].start()

    def pair(near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            there = threading.Thread(target=copy, args=(near, far, 2**16))
            there.start()
            copy(far, near, 9)
            there.join()

    def copy(source: socket.socket, to: socket.socket, most: int) -> None:
        rng = Random(most)
        with suppress(OSError):  # when the other direction has ended
            while data := source.recv(rng.randint(1, most)):
                to.sendall(data)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as door:
        answering = threading.Thread(target=answer, args=(door,))
        answering.start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for thread in (answering, *pairs):
                thread.join()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--port PORT"),
        ({"port": 1, "senders": 2, "rate": 1}, "senders are connections, too"),
        ({"port": 1, "senders": 1}, "either --window or --rate"),
        ({"port": 1, "size": 20}, "a message has"),
        ({"port": 1, "rate": "fast"}, "--rate: not fast"),
        ({"port": 1, "wire": "morse"}, "--wire: not morse"),
    ],
)
def test_options_that_make_no_sense_are_told(
    load: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(Failed, match=words):
        generator.run(load, options)


def test_what_does_not_compile_is_told(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.c").write_text("int main(void) { return nothing; }")
    with pytest.raises(Failed, match="wrong.c does not compile"):
        compile_c(tmp_path / "wrong.c", cache)


def test_what_has_not_changed_is_not_compiled_again(load: Path) -> None:
    before = load.stat().st_mtime_ns
    assert compile_c(Path(generator.__file__).with_name("load.c"), load.parent) == load
    assert load.stat().st_mtime_ns == before


def test_the_command_measures_and_writes(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--rounds 1 --seconds 0.2 --warm 0.1 --server turn --server ws --scenario saturated10"
    status = main([*options.split(), "--npm", str(tmp_path), "--out", str(tmp_path / "out")])
    assert status == 0
    said = capsys.readouterr().err
    assert "ws is left out" in said
    text = (tmp_path / "out" / "performance.md").read_text()
    kept = Results.read(tmp_path / "out" / "results.json")
    (run,) = kept.runs
    assert (run.scenario, run.server, run.faults) == ("saturated10", "turn", [])
    assert (
        f"| C, one `send()` a turn | – | – | – | – | – | {number(run.figures['cpu_us'])} |" in text
    )
    assert "npm install ws" in text


def results(target: Target, value: float, rounds: int = 3) -> Results:
    """Return results in which *target* is compared with 2.0 and its own figure makes *value*."""
    made = Results("today")
    compared = bool(target.beside or target.other or target.over)
    own = value * 2 if compared else value + 2 if target.minus else value
    for round in range(1, rounds + 1):
        figures = {target.figure: own}
        if target.other:
            figures[target.other] = 2.0
        made.runs.append(Run(round, target.scenario, target.server, figures))
        for name in target.beside:
            made.runs.append(Run(round, target.scenario, name, {target.figure: 2.0}))
        if target.over or target.minus:
            scenario = target.over or target.minus
            made.runs.append(Run(round, scenario, target.server, {target.figure: 2.0}))
    return made


def row(target: Target, made: Results) -> str:
    """Return the row of *target* in the report of *made*."""
    aim = "aim: " if target.aim else ""
    (found,) = [
        line
        for line in report(made).splitlines()
        if line.startswith(f"| {target.measure} | ")
        and f" {target.bound:g}" in line.replace(",", "")
        and (f"| {aim}≤" in line or f"| {aim}≥" in line)
        and line.split(" | ")[1] == {"durable": "durable", "memory": "`memory:`"}[target.server]
        and "not measured" not in line
    ]
    return found


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_each_target_is_judged_at_its_bound(target: Target) -> None:
    worse = 0.98 if target.at_least else 1.02
    reached, missed = results(target, target.bound), results(target, target.bound * worse)
    assert target.reached(reached) is True
    assert target.reached(missed) is False
    assert row(target, reached).endswith("| ✅ |")
    assert row(target, missed).endswith("not reached |" if target.aim else "❌ **missed** |")


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_faults_and_gaps_reach_no_target(target: Target) -> None:
    faulty = results(target, target.bound)
    faulty.runs[0].faults.append("1 lost")
    assert target.reached(faulty) is False
    assert row(target, faulty).endswith("❌ **faults** |")
    assert "1 lost" in report(faulty)
    assert target.reached(Results("today")) is None


def test_ratios_are_made_in_each_round() -> None:
    # The second round was disturbed, for both alike: the medians of each would give 1.5.
    made = Results("today")
    for round, (ours, theirs) in enumerate([(2.0, 1.0), (30.0, 10.0), (3.0, 1.5)], 1):
        made.runs.append(Run(round, "saturated10", "durable", {"cpu_us": ours}))
        made.runs.append(Run(round, "saturated10", "bun", {"cpu_us": theirs}))
    assert made.ratio("saturated10", "durable", "cpu_us", [("bun", "cpu_us")]) == 2.0
    assert made.median("saturated10", "durable", "cpu_us") == 3.0


def test_of_several_beside_the_best_of_the_round_counts() -> None:
    made = Results("today")
    for name, value in (("memory", 6.0), ("send", 3.0), ("turn", 2.0)):
        made.runs.append(Run(1, "rate20", name, {"p99_ms": value}))
    beside = [("send", "p99_ms"), ("turn", "p99_ms")]
    assert made.ratio("rate20", "memory", "p99_ms", beside) == 3.0


def test_a_bottleneck_and_faults_are_marked() -> None:
    figures = {"deliveries_per_second": 9.4e6, "cpu_us": 0.1, "own_cpu": 0.99}
    made = Results("today", runs=[Run(1, "saturated1000", "turn", figures)])
    assert "| 9.40 † |" in report(made)
    made.runs[0] = replace(made.runs[0], faults=["2 doubled"])
    assert "| 9.40 ⚠ † |" in report(made)
    assert "round 1, 1000 readers saturated, C, one `send()` a turn: 2 doubled" in report(made)
    assert "None: every message" not in report(made)


def test_a_report_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "[]", "{}", '{"runs": [{"speed": 1}]}'):
        (tmp_path / "other.json").write_text(text)
        assert main(["--report", str(tmp_path / "other.json"), "--out", str(tmp_path)]) == 2
        assert "other.json has no results of benchmarks" in capsys.readouterr().err
    assert main(["--report", str(tmp_path / "nothing.json"), "--out", str(tmp_path)]) == 2
    assert not (tmp_path / "performance.md").exists()


def test_results_are_kept_whole(tmp_path: Path) -> None:
    made = results(TARGETS[0], 1.5)
    made.skipped["ws"] = "npm install ws"
    made.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == made


def test_the_plot_shows_all_who_were_measured(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        missing("matplotlib is not here: pip install matplotlib")
    made = Results("today")
    for name, value in (("turn", 9.4e6), ("durable", 12.3e6)):
        made.runs.append(Run(1, "saturated1000", name, {"deliveries_per_second": value}))
    plot(made, tmp_path / "bars.svg")
    text = (tmp_path / "bars.svg").read_text()
    ElementTree.fromstring(text)
    # Letters are drawn as paths, and what they say stands beside them in comments.
    for said in ("chatroom", "C, one send() a turn", "9.40", "12.3"):
        assert f"<!-- {said} -->" in text
    assert "Bun" not in text
