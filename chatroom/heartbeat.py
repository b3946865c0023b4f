"""
Signs of life, asked of many connections in turn and by one timer.

Where a line is so slow that a question cannot have arrived yet, it is a sign of life that the peer's
system takes what comes before it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from fcntl import ioctl
from itertools import chain, count
from struct import Struct
from termios import TIOCOUTQ
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

SLOTS = 50
"""In at most so many steps all connections have been asked, …"""
STEP = 0.25
"""… each of which has at least so many seconds: those asked together cost less."""


class Alive(Protocol):
    """What has a heartbeat."""

    transport: Any
    slot: int
    """When its turn is; the heartbeat's own."""

    def ask(self) -> None:
        """Ask for a sign of life."""

    def lapse(self) -> None:
        """End: there was none in time."""


class Way(NamedTuple):
    """How far bytes have come: of those *given* to a connection, the peer's system has *taken* some."""

    taken: int
    given: int


def way(transport: Any) -> Way | None:
    """Return how far what was written to *transport* has come; None where only Linux could tell."""
    sock = getattr(transport, "socket", None)
    if not isinstance(sock, socket.socket) or sock.family == socket.AF_UNIX:
        return None
    if not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + _ACKED.size)
        (sent,) = _INT.unpack(ioctl(sock, TIOCOUTQ, bytes(_INT.size)))
    except OSError:
        # It is closed, or of a kind that has nothing of this.
        return None
    if len(info) < _ACKED_AT + _ACKED.size:
        return None
    (taken,) = _ACKED.unpack_from(info, _ACKED_AT)
    return Way(taken, taken + sent + len(transport.dataBuffer) - transport.offset)


_ACKED, _ACKED_AT = Struct("Q"), 120
"""``tcpi_bytes_acked`` of Linux's ``struct tcp_info``, since 4.1."""
_INT = Struct("i")


class _Deadline(NamedTuple):
    """When an answer must have come; and how far the question had come, as far as that is known."""

    at: float
    way: Way | None


C = TypeVar("C", bound=Alive)


class Heartbeat(Generic[C]):
    """
    All connections of a kind: each is asked every *interval* seconds, and has *timeout* to answer.
    One to which the question has not got through, but something of what comes before it, has as long
    again.

    Either may be 0 for never. Turns are given out evenly, so that those who came at once are not
    asked at once.
    """

    def __init__(self, clock: IReactorTime, interval: float, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        slots = max(1, min(SLOTS, int(interval / STEP)))
        self._slots: list[set[C]] = [set() for _ in range(slots)]
        self._step = interval / slots
        self._turns = count()
        self._now = 0
        # In the order of their deadlines, for all have the same time.
        self._asked: dict[C, _Deadline] = {}
        # In the last step. Most answer before the next one: there is no need to look how far it came.
        self._just_asked: list[C] = []
        self._beating: LoopingCall | None = None

    def __iter__(self) -> Iterator[C]:
        return chain(*self._slots)

    def join(self, connection: C) -> None:
        """Count *connection* in."""
        connection.slot = next(self._turns) % len(self._slots)
        self._slots[connection.slot].add(connection)
        if self._step and self._beating is None:
            # A new one, for the last one would count the time without anybody as missed steps.
            self._beating = LoopingCall.withCount(self._beat)
            self._beating.clock = self._clock
            self._beating.start(self._step, now=False)

    def leave(self, connection: C) -> None:
        """Forget *connection*."""
        self._slots[connection.slot].discard(connection)
        self._asked.pop(connection, None)
        if self._beating is not None and not any(self._slots):
            self._beating.stop()
            self._beating = None
            self._just_asked = []

    def heard(self, connection: C) -> None:
        """Take note of a sign of life."""
        self._asked.pop(connection, None)

    def _beat(self, steps: int) -> None:
        now = self._clock.seconds()
        if steps > 1:
            # While this process could not hear them, it could not be their fault.
            late = (steps - 1) * self._step
            self._asked = {
                asked: deadline._replace(at=deadline.at + late)
                for asked, deadline in self._asked.items()
            }
        for connection in self._just_asked:
            if (deadline := self._asked.get(connection)) is not None:
                self._asked[connection] = deadline._replace(way=way(connection.transport))
        self._just_asked = []
        self._look(now)
        for _ in range(min(steps, len(self._slots))):
            self._now = (self._now + 1) % len(self._slots)
            slot = self._slots[self._now]
            for connection in list(slot):
                if connection in slot and connection not in self._asked:
                    if self._timeout:
                        self._asked[connection] = _Deadline(now + self._timeout, None)
                        self._just_asked.append(connection)
                    connection.ask()

    def _look(self, now: float) -> None:
        """End those whose time is over, but for those to whom something is getting through."""
        while self._asked:
            connection, deadline = next(iter(self._asked.items()))
            if deadline.at > now:
                break
            del self._asked[connection]
            then = deadline.way
            here = way(connection.transport) if then is not None else None
            if then is not None and here is not None and then.taken < here.taken < then.given:
                still = Way(here.taken, then.given)
                self._asked[connection] = _Deadline(now + self._timeout, still)
            else:
                connection.lapse()
