"""
The proof that who does not read costs next to nothing: readers that are stuck while much is said.

``python -m tests.slow`` runs a real daemon, readers that complete the handshake and then read no
byte, a quick reader, and talkers. When all is said, the quick one must have got everything in
order; the daemon's memory must not have grown by more than `EACH` for each that is stuck. Then
these read on: each must get all that it missed, or 1013, and have all of it once it has come back.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import selectors
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Self

from tests.daemon import Daemon
from tests.fuzz import wire
from tests.fuzz.answers import Answers
from tests.fuzz.frames import frame, handshake
from tests.fuzz.memory import resident
from tests.fuzz.past import Wrong

EACH = 2_000_000
"""A stuck reader may cost the daemon so many bytes of memory."""
TALKERS = 2
AHEAD = 100
"""A talker has so many messages on the way at once."""
SEGMENT = 1400
"""The most bytes of a TCP segment, as on an Ethernet."""
PATIENCE = 60.0
"""In so many seconds something must move."""
TRY_AGAIN = 1013


class Ear(Answers):
    """What came on one connection: strictly the wire, and the ids of the messages in the lobby."""

    def __init__(self, key: str, deflate: bool) -> None:
        super().__init__(key, deflate)
        self.ids: list[int] = []
        self.own = 0
        """How many messages of its own have come back."""
        self.begun: list[wire.Init] = []
        self.pages: list[wire.History] = []

    def took(self, event: wire.Event) -> None:
        match event:
            case wire.Talk():
                self.ids.append(event.id)
                self.own += self.me is not None and event.sender.id == self.me.id
            case wire.Init():
                self.begun.append(event)
                self.ids += [message.id for message in event.messages]
            case wire.History():
                self.pages.append(event)


class Listener:
    """A connection to the lobby that can be read from, or left unread."""

    def __init__(self, port: int, rng: Random, query: dict[str, str], buffer: int = 2**18) -> None:
        request = handshake(rng, query)
        self.ear = Ear(request.key, request.deflate)
        self.closed = False
        self.out = bytearray()
        self._rng = rng
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        # The loopback's own, 64 KiB, would not fit a small buffer, so that the kernel takes up to
        # minutes to go on after it was full.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(request.data)
        while not self.ear.status:
            self.read(256)
        if self.ear.status != 101:
            raise Wrong(f"refused with {self.ear.status}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.socket.close()

    def read(self, most: int = 2**18) -> None:
        """Take what is there. Raises `Wrong`, and what sockets raise."""
        data = self.socket.recv(most)
        self.closed = not data
        self.ear.feed(data)

    def say(self, event: str, **data: object) -> None:
        """Let *event* wait to be written."""
        text = json.dumps({"event": event, "data": data}, ensure_ascii=False).encode()
        self.out += frame(self._rng, 0x81, text)

    def write(self) -> None:
        """Write what waits, as far as it can be."""
        del self.out[: self.socket.send(self.out)]


@dataclass
class Figures:
    """What a run has shown. Memory is in bytes: the daemon's *before* and *after*, and its *peak*."""

    stuck: int
    messages: int = 0
    said: int = 0
    seconds: float = 0.0
    before: int = 0
    after: int = 0
    peak: int = 0
    kernel: int = 0
    """What waited in the kernel to be sent to them, which is not the daemon's memory."""
    peak_later: int = 0
    """The peak when those who were stuck have read on."""
    fates: Counter[str] = field(default_factory=Counter)
    """How many of them got all, and how many did when they had come back."""

    def __str__(self) -> str:
        mib = 2**20
        fates = ", ".join(f"{count} {fate}" for fate, count in self.fates.items())
        return (
            f"{self.stuck} stuck, {self.messages} messages of {self.said / 1e6:.1f} MB in"
            f" {self.seconds:.1f} s: memory {self.before / mib:.1f} MiB before,"
            f" {self.after / mib:.1f} after, {self.peak / mib:.1f} at most;"
            f" {self.kernel / mib:.1f} in the kernel\n"
            f"  the quick reader got all in order; of the stuck ones: {fates or 'there were none'};"
            f" memory then {self.peak_later / mib:.1f} MiB at most"
        )


def run(stuck: int, said: int, longest: int, seed: int) -> Figures:
    """
    Let *said* bytes be said in messages of up to *longest* characters while *stuck* do not read.

    Raises `Wrong` where a promise of the wire is not kept.
    """
    rng, figures = Random(seed), Figures(stuck)
    options = ("--talk-rate", "0", "--ping", "0")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        daemon = stack.enter_context(Daemon(Path(folder), *options))
        port = daemon.port
        quick, *talkers = [stack.enter_context(Listener(port, rng, {})) for _ in range(1 + TALKERS)]
        read_until(lambda: bool(quick.ear.inits), [quick])
        figures.before = resident(daemon.pid)[0]
        idle = [stack.enter_context(Listener(port, rng, {}, buffer=4096)) for _ in range(stuck)]
        started = monotonic()
        talk(quick, talkers, texts(rng, said, longest), figures)
        figures.seconds = monotonic() - started
        figures.after, figures.peak = resident(daemon.pid)
        figures.kernel = queued(port, {each.socket.getsockname()[1] for each in idle})
        for listener in idle:
            figures.fates[read_on(listener, port, rng, figures.messages)] += 1
        figures.peak_later = resident(daemon.pid)[1]
        if status := daemon.stop():
            raise Wrong(f"the daemon ended with status {status}")
        if "Traceback" in daemon.output:
            raise Wrong(f"the daemon logged:\n{daemon.output[-5000:]}")
    return figures


def judged(with_stuck: Figures, without: Figures) -> list[str]:
    """Return what is wrong with the memory that those who were *with_stuck* cost."""
    found = []
    for name, peak in (("", with_stuck.peak), (" when they read on", with_stuck.peak_later)):
        if (each := (peak - with_stuck.before) / with_stuck.stuck) > EACH:
            found.append(f"memory grew{name} by {each:.0f} bytes a stuck reader")
    more = (with_stuck.peak - with_stuck.before) - (without.peak - without.before)
    if more > with_stuck.stuck * EACH:
        found.append(f"memory grew by {more} bytes more than without them")
    return found


def texts(rng: Random, size: int, longest: int) -> Iterator[str]:
    """Yield texts of 1 to *longest* characters, of *size* bytes together."""
    pool = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=2 * longest))
    wide = "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(2 * longest))
    while size > 0:
        start, length = rng.randrange(longest), rng.randint(1, longest)
        text = "-" + (wide if rng.random() < 0.1 else pool)[start : start + length - 1]
        size -= len(text.encode())
        yield text


def talk(
    quick: Listener, talkers: Sequence[Listener], texts: Iterator[str], figures: Figures
) -> None:
    """Let *talkers* say all *texts*, and *quick* hear them."""
    sent = dict.fromkeys(talkers, 0)
    text = next(texts, None)

    def heard() -> bool:
        nonlocal text
        for talker in talkers:
            while text and sent[talker] - talker.ear.own < AHEAD and len(talker.out) < 2**17:
                talker.say("talk", message=text)
                sent[talker] += 1
                figures.said += len(text.encode())
                text = next(texts, None)
        figures.messages = sum(sent.values())
        return text is None and len(quick.ear.ids) >= figures.messages

    read_until(heard, [quick, *talkers])
    complete(quick.ear.ids, figures.messages)


def read_on(listener: Listener, port: int, rng: Random, messages: int) -> str:
    """Let *listener* read at last; return how it got all *messages*."""
    ear = listener.ear
    # Through the small one it would take minutes.
    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    read_until(lambda: len(ear.ids) >= messages or ear.code is not None, [listener])
    if ear.code is None:
        complete(ear.ids, messages)
        return "got all"
    if ear.code != TRY_AGAIN:
        raise Wrong(f"a stuck reader was closed with {ear.code}")
    assert ear.me is not None
    last = ear.ids[-1] if ear.ids else 0
    complete(ear.ids, last)
    query = {"token": ear.me.token, "after": str(last), "epoch": ear.epoch}
    with Listener(port, rng, query) as again:
        read_until(lambda: bool(again.ear.inits), [again])
        init = again.ear.begun[0]
        if init.self.id != ear.me.id:
            raise Wrong("a token did not bring its user back")
        if not init.resumed:
            page_back(again, last)
    complete(ear.ids + again.ear.ids, messages)
    return "got 1013, and the rest when they came back"


def page_back(listener: Listener, last: int) -> None:
    """Let *listener*, who began afresh, ask for all before that and behind *last*."""
    ear = listener.ear
    while ear.ids[0] > last + 1:
        listener.say("history", before=ear.ids[0], limit=min(200, ear.ids[0] - last - 1))
        read_until(lambda: bool(ear.pages), [listener])
        ear.ids[:0] = [message.id for message in ear.pages.pop().messages]


def read_until(done: Callable[[], bool], listeners: Sequence[Listener]) -> None:
    """Read and write for *listeners* until it is *done*. Raises `Wrong` when nothing moves."""
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener.socket, selectors.EVENT_READ, listener)
        while not done():
            for listener in listeners:
                write = selectors.EVENT_WRITE if listener.out else 0
                selector.modify(listener.socket, selectors.EVENT_READ | write, listener)
            ready = selector.select(PATIENCE)
            if not ready:
                raise Wrong("nothing moves any more")
            for key, mask in ready:
                if mask & selectors.EVENT_WRITE:
                    key.data.write()
                if mask & selectors.EVENT_READ:
                    key.data.read()
                if key.data.closed and not done():
                    raise Wrong(f"a connection ended, with {key.data.ear.code}")


def complete(ids: Sequence[int], messages: int) -> None:
    """Raise `Wrong` if *ids* are not 1 to *messages*."""
    for expected, id in enumerate(ids, 1):
        if id != expected:
            raise Wrong(f"message {id} came where {expected} should")
    if len(ids) != messages:
        raise Wrong(f"{len(ids)} of {messages} messages came")


def queued(port: int, peers: set[int]) -> int:
    """Return how many bytes wait in the kernel to be sent from the local *port* to *peers*."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        near, far = (int(field.partition(":")[2], 16) for field in fields[1:3])
        if near == port and far in peers:
            total += int(fields[4].partition(":")[0], 16)
    return total


def main() -> None:
    """Exit with 0 when all is as it should be, else with 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.slow",
        description="Measure what readers cost the daemon that are stuck while much is said.",
    )
    parser.add_argument("--readers", type=int, default=20, help="how many are stuck (20)")
    parser.add_argument("--megabytes", type=float, default=20.0, help="how much is said (20)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    said = int(options.megabytes * 1e6)
    faults: list[str] = []
    # With the shorter messages so many are said that the stuck ones are too far behind in the end.
    for longest in (4000, 500):
        try:
            without = run(0, said, longest, options.seed)
            print(f"slow: up to {longest} characters, {without}", flush=True)
            with_stuck = run(options.readers, said, longest, options.seed)
            print(f"slow: up to {longest} characters, {with_stuck}", flush=True)
            each = (with_stuck.peak - with_stuck.before) / options.readers
            print(f"slow: {each / 1e6:.2f} MB for each stuck reader", flush=True)
            faults += judged(with_stuck, without)
        except Wrong as wrong:
            faults.append(str(wrong))
    print("\n".join(faults) or "slow: passed")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
