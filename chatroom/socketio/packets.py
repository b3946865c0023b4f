"""The room's events as messages of Socket.IO, made once for all who get the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chatroom.events import Change, Event, Init, Message, encode
from chatroom.socketio.codec import Kind

Encode = Callable[[Sequence[Event]], Sequence[str]]


def plain(events: Sequence[Event]) -> list[str]:
    """Return *events*, each with its data and nothing else."""
    return [packet(event) for event in events]


def lost(events: Sequence[Event]) -> list[str]:
    """Return *events* for who cannot be given later what they miss: an empty offset says so."""
    return [packet(event, ',""') for event in events]


def following(epoch: str, zero: str = "") -> Encode:
    """Return what encodes events, with their `cursor` (and *zero* in it) behind those that have one."""

    def followed(events: Sequence[Event]) -> list[str]:
        return [packet(event, behind(place(event))) for event in events]

    def behind(id: int) -> str:
        return f',"{epoch}-{zero}{id}"' if id >= 0 else ""

    return followed


def newest(events: Sequence[Event]) -> int:
    """Return up to which entry those have all who have had *events*; -1 if these do not say so."""
    return max(map(place, events), default=-1)


def place(event: Event) -> int:
    """Return up to which entry somebody has all who has had *event*; -1 if it does not say so."""
    if isinstance(event, Message | Change):
        return event.id
    return event.last if isinstance(event, Init) else -1


def packet(event: Event, more: str = "") -> str:
    """Return *event* in the main namespace, with *more* JSON behind its data."""
    return f'{Kind.EVENT:d}["{event.event}",{data(event)}{more}]'


def answer(id: int, event: Event | None) -> str:
    """Return the ack of the event *id* in the main namespace: the data of *event*, if any."""
    return f"{Kind.ACK:d}{id}[{'' if event is None else data(event)}]"


def data(event: Event) -> str:
    """Return the JSON of what is in the envelope of *event*."""
    return encode(event)[len('{"event":"","data":') + len(event.event) : -1].decode()
