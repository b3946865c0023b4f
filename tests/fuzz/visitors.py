"""Who comes to the door: those who talk by the rules of the protocol, and those who keep none."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Protocol, TypeVar

from tests.fuzz import frames, words
from tests.fuzz.answers import Answers
from tests.fuzz.past import Wrong

PATIENCE = 90.0
"""After so many seconds of silence the server has let go of a connection."""
LARGE = 65_536
"""The most bytes of a message that comes in to the room."""
KEPT = 200_000
"""How many of the bytes that were sent are kept, to tell of them if something is wrong."""
CODES = (1000, 1001, 3000, 4999, 1003, 1011)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1012, 1015, 2000, 5000, 65_535)


_AFTER = re.compile(rb'"after"[ \n]*:[ \n]*([-+.0-9eE]+)')
T = TypeVar("T")


class Wire(Protocol):
    """A client's end of a connection."""

    def put(self, chunk: bytes) -> None:
        """Send *chunk*, or nothing more if the server has gone."""

    def take(self) -> bytes:
        """Return what has come since the last time."""

    def end(self, *, reset: bool) -> None:
        """Go away: in order, or by a *reset*."""

    @property
    def closed(self) -> bool:
        """Whether the server has ended the connection."""


class House(Protocol):
    """A server to visit, and its time."""

    hurried: bool
    """Whether its time is ours, so that nobody can wait for long."""
    prompt: float
    """Within so many seconds it answers who reads, and lets go of who says goodbye."""

    def connect(self, window: int) -> Wire:
        """Return a new connection, which takes about *window* bytes that nobody reads."""

    def now(self) -> float:
        """Return the seconds of its clock."""


class Seen:
    """What visitors have learned, for the next ones to use, and the counts of what happened."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        """Of users who were here: their token, the epoch, and an id that they have seen."""
        self.users: list[int] = []
        self.files: list[tuple[str, int]] = []
        """The ids and sizes of files that were uploaded."""
        self.codes: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.events: Counter[str] = Counter()
        """How many came of each event, and of each code of an error."""
        self.connections = 0

    def note(self, kept: list[T], new: T, rng: Random) -> None:
        """Let *new* be among what is *kept*, which is not much."""
        kept.append(new)
        if len(kept) > 30:
            del kept[rng.randrange(30)]


class Memory:
    """What somebody knows (`words.Known`) who got these *answers*, and has *seen* others."""

    def __init__(self, answers: Answers, seen: Seen) -> None:
        self._answers = answers
        self._seen = seen

    def message(self, rng: Random) -> tuple[str, int]:
        rooms, me = self._answers.rooms, self._answers.me
        if not rooms or me is None or rng.random() < 0.1:
            return words.GUESS.message(rng)
        room = rng.choice(list(rooms))
        newest = list(rooms[room].messages.values())[-20:]
        own = [message for message in newest if message.sender.id == me.id]
        if own and rng.random() < 0.5:
            newest = own
        return room, rng.choice(newest).id if newest else rooms[room].last

    def user(self, rng: Random) -> int:
        users = self._seen.users
        return rng.choice(users) if users and rng.random() < 0.8 else words.GUESS.user(rng)

    def file(self, rng: Random) -> str:
        files = self._seen.files
        return rng.choice(files)[0] if files and rng.random() < 0.9 else words.GUESS.file(rng)


class Visitor:
    """One connection, and what came of it. It is *gone* when it is over on both sides."""

    gone = False
    silent = False
    """Whether it only waits for the server to let go."""

    def __init__(self, house: House, rng: Random, seen: Seen, window: int, query: dict[str, str]):
        self.house = house
        self.rng = rng
        self.seen = seen
        self.sent = bytearray()
        self.request = request = frames.handshake(rng, query)
        self.answers = Answers(request.key, request.deflate, request.protocol)
        self._wire = house.connect(window)
        self._since = house.now()
        self._left = False
        self._reading = True

    def step(self) -> int:
        """Do the next thing; return how many messages were sent by it."""
        raise NotImplementedError

    def hear(self) -> None:
        """Take what has come. Raises `Wrong`."""
        if self._reading:
            self.answers.feed(self._wire.take())
            if not self.silent and self.answers.code is None:
                for ping in self.answers.pings:
                    self.put(frames.frame(self.rng, 0x8A, ping))
            self.answers.pings.clear()
        if self._wire.closed or self._left:
            self.over()
        elif self.silent and self.house.now() > self._since + PATIENCE:
            raise Wrong("the connection is still there")

    def over(self) -> None:
        """Note how it went."""
        self.gone = True
        self.seen.connections += 1
        self.seen.events += self.answers.events
        self.seen.statuses[self.answers.status] += 1
        if self.answers.code is not None:
            self.seen.codes[self.answers.code] += 1

    def put(self, data: bytes) -> None:
        """Send *data*, as it may be cut on the way."""
        self.sent += data[: KEPT - len(self.sent)]
        for chunk in frames.cut(self.rng, data):
            self._wire.put(chunk)

    def leave(self) -> None:
        """Go away, in one of the ways there are."""
        kind = self.rng.random()
        if kind < 0.1 and not self.house.hurried:
            self.silent, self._since = True, self.house.now()
            self._reading = self._reading and self.rng.random() < 0.5
        else:
            self._wire.end(reset=kind < 0.4)
            self._left = True


class Talker(Visitor):
    """Keeps to RFC 6455, says anything, and insists on being answered for as long as it reads."""

    def __init__(self, house: House, rng: Random, seen: Seen) -> None:
        query = {}
        if rng.random() < 0.5:
            query["room"] = rng.choice(words.ROOMS)
        if rng.random() < 0.3:
            query["name"] = words.text(rng)[:100]
        if seen.tokens and rng.random() < 0.6:
            query["token"], query["epoch"], last = rng.choice(seen.tokens)
            query["after"] = str(rng.choice((last, last, 0, max(0, last - 60), last + 1)))
        super().__init__(house, rng, seen, rng.choice((20_000, 2**24, 2**24)), query)
        self._claims = {int(query["after"])} if "after" in query else set()
        self.answers.claims = self._claims
        self._known = Memory(self.answers, seen)
        self._messages = rng.choice((1, 3, 20, 50, 100, 400))
        self._deflate: frames.Deflate | None = None
        self._codes = {1008}
        self._due: tuple[float, str] | None = None
        """By when the server must do what."""
        self._asked = self._closing = self._stalled = False
        self._reads_again = 0.0
        self.put(self.request.data)
        self._expect("an answer to the handshake")

    def step(self) -> int:
        rng, now = self.rng, self.house.now()
        if self.answers.status == 0 or self._asked or self._closing or self.silent:
            return 0
        if not self._reading:
            self._reading = now >= self._reads_again
        elif rng.random() < 0.01:
            # It misses the heartbeat, too, so that it may be let go of.
            self._reading, self._stalled = False, True
            self._reads_again = now + rng.choice((1, 5, 30, 100)) / (
                100 if self.house.hurried else 1
            )
        count = min(self._messages, rng.choice((1, 1, 1, 5, 20)))
        self._messages -= count
        if count:
            self.put(b"".join(self._message() for _ in range(count)))
        elif self._reading:
            # This must be answered, whatever came before.
            self._asked = True
            bye = b'{"event":"ping","data":{"bye":1}}'
            self.put(frames.message(rng, bye, 1, self._deflate))
            self._expect("an answer to a ping")
        return count

    def hear(self) -> None:
        super().hear()
        answers, rng = self.answers, self.rng
        if answers.status not in (0, 101):
            raise Wrong(f"refused with {answers.status}")
        if answers.code is not None and answers.code not in self._codes:
            raise Wrong(f"closed with {answers.code}, and not one of {sorted(self._codes)}")
        if answers.code == 1008 and answers.errors < 50:
            raise Wrong(f"closed with 1008 after {answers.errors} errors")
        if self.gone or self.silent or not self._reading:
            return
        if answers.inits and self._due and not self._asked and not self._closing:
            self._due = None
            if answers.bits is not None:
                self._deflate = frames.Deflate(answers.client_bits, answers.client_takeover)
        if answers.code is not None and not self._closing:
            self._closing = True
            if rng.random() < 0.8:
                self.put(frames.frame(rng, 0x88, answers.code.to_bytes(2)))
            self._expect("the end of the connection")
        elif self._asked and not self._closing and {"bye": 1} in answers.pongs:
            if rng.random() < 0.4:
                self._due = None
                self.leave()
            else:
                self._close()
        if self._due and self.house.now() > self._due[0]:
            raise Wrong(f"{self._due[1]} did not come")

    def over(self) -> None:
        super().over()
        answers = self.answers
        if answers.me is not None:
            last = max(answers.last.values(), default=0)
            token = answers.me.token, answers.epoch, last
            self.seen.note(self.seen.tokens, token, self.rng)
            self.seen.note(self.seen.users, answers.me.id, self.rng)
        if answers.code is None and not (self._left or self._stalled or self.silent):
            raise Wrong("the connection was dropped without a close frame")

    def _expect(self, what: str) -> None:
        self._due = self.house.now() + self.house.prompt, what

    def _message(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.005:
            self._codes.add(1003)
            return frames.message(rng, rng.randbytes(rng.randrange(200)), 2, self._deflate)
        payload = words.payload(rng, self._known)
        for after in _AFTER.findall(payload):
            with suppress(ValueError, OverflowError):
                self._claims.add(int(float(after)))
        if len(payload) > LARGE:
            self._codes.add(1009)
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            self._codes.add(1007)
        return frames.message(rng, payload, 1, self._deflate)

    def _close(self) -> None:
        rng = self.rng
        code = rng.choice(BAD_CODES if rng.random() < 0.2 else CODES)
        reason = "".join(words.character(rng) for _ in range(rng.randrange(20)))
        payload = code.to_bytes(2) + reason.encode("utf-8", "replace")
        self._closing = True
        self._codes |= {1000, 1002, 1005, code}
        self.put(frames.frame(rng, 0x88, payload if rng.random() < 0.8 else b""))
        self._expect("the end of the connection")


class Stranger(Visitor):
    """Sends bytes that keep no rule, or only the first ones, and goes away or is silent."""

    def __init__(self, house: House, rng: Random, seen: Seen) -> None:
        super().__init__(house, rng, seen, rng.choice((100, 5000, 2**24)), {})
        self._proper = rng.random() < 0.6
        if self._proper:
            self.put(self.request.data)
        else:
            self.answers = Answers(None)
            self.put(frames.odd_handshake(rng) if rng.random() < 0.75 else frames.noise(rng))
        self.answers.claims = range(2**53 + 1)
        self._steps = rng.randint(1, 2)

    def step(self) -> int:
        if self.silent:
            return 0
        if self._steps:
            self._steps -= 1
            self.put(frames.stream(self.rng))
        else:
            self.leave()
        return 0
