"""What was said before: CHATHISTORY (IRCv3 draft/chathistory)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from chatroom import names
from chatroom.events import PAGE, Message
from chatroom.irc.connection import Connection, Verb
from chatroom.irc.lines import Line, Out, body
from chatroom.irc.nicks import CHANNEL, entry_id, nick, room_name, user_name
from chatroom.irc.registering import HISTORY
from chatroom.irc.reply import Reply, batched, reference
from chatroom.irc.tongue import BATCH
from chatroom.log import Unavailable
from chatroom.names import BadName
from chatroom.room import Room
from chatroom.session import Session

STAMP = re.compile(r"timestamp=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", flags=re.ASCII)
SUBCOMMANDS = {"LATEST": 4, "BEFORE": 4, "AFTER": 4, "AROUND": 4, "BETWEEN": 5, "TARGETS": 4}
"""What can be asked for, and with how many parameters."""


class Fault(Exception):
    """What is wrong with what was asked for: a *code* of the specification, its text, a context."""

    def __init__(self, code: str, words: str, *context: str) -> None:
        super().__init__(words)
        self.code = code
        self.context = context


class Cut(NamedTuple):
    """A place in a room: behind the entry *before*, and before the entry *after*."""

    before: int
    after: int


async def chathistory(client: Connection, reply: Reply, line: Line) -> None:
    """Answer with what was said before."""
    word = line.params[0].upper()
    try:
        if HISTORY not in client.caps:
            raise Fault("UNKNOWN_COMMAND", f"first agree on {HISTORY}", word)
        if word not in SUBCOMMANDS:
            raise Fault("INVALID_PARAMS", "there is no such subcommand", word)
        if len(line.params) < SUBCOMMANDS[word]:
            raise Fault("INVALID_PARAMS", "there is something missing", word)
        limit = _limit(word, line.params[SUBCOMMANDS[word] - 1])
        if word == "TARGETS":
            _targets(client, reply, _time(word, line.params[1]), _time(word, line.params[2]), limit)
        else:
            _answer(client, reply, line.params[1], await _found(client, line, limit))
    except Fault as fault:
        reply.fail(fault.code, str(fault), *fault.context, agreed=True)
    except Unavailable:
        words = "the store cannot be read now"
        reply.fail("MESSAGE_ERROR", words, word, *line.params[1:2], agreed=True)


async def _found(client: Connection, line: Line, limit: int) -> Sequence[Message]:
    word, target, first = line.params[0].upper(), line.params[1], line.params[2]
    room = _room(client, word, target)
    if word == "LATEST":
        after = 0 if first == "*" else _cut(client, word, room, first).after - 1
        return await _backwards(client, room, None, after, limit)
    cut = _cut(client, word, room, first)
    if word == "BEFORE":
        return await _backwards(client, room, cut.before + 1, 0, limit)
    if word == "AFTER":
        return await _forwards(client, room, cut.after - 1, None, limit)
    if word == "AROUND":
        messages, _, _ = room.page(None, None, (cut.before + cut.after) // 2, limit)
        return [message for message in messages if not message.deleted]
    other = _cut(client, word, room, line.params[3])
    if cut.before <= other.before:
        return await _forwards(client, room, cut.after - 1, other.before + 1, limit)
    return await _backwards(client, room, cut.before + 1, other.after - 1, limit)


async def _backwards(
    client: Connection, room: Room[Session], before: int | None, after: int, limit: int
) -> list[Message]:
    """Return the last *limit* messages between two entries, oldest first."""
    found: list[Message] = []
    more = True
    while more and len(found) < limit:
        page, more, _ = room.page(before, None, None, PAGE)
        fits = [message for message in page if message.id > after and not message.deleted]
        found = fits[max(0, len(fits) - (limit - len(found))) :] + found
        more = more and bool(page) and page[0].id > after
        before = page[0].id if page else before
        if more and len(found) < limit:
            await client.turn()
    return found


async def _forwards(
    client: Connection, room: Room[Session], after: int, before: int | None, limit: int
) -> list[Message]:
    """Return the first *limit* messages between two entries, oldest first."""
    found: list[Message] = []
    more = True
    last = room.last + 1 if before is None else before
    while more and len(found) < limit:
        page, _, more = room.page(None, after, None, PAGE)
        fits = [message for message in page if message.id < last and not message.deleted]
        found += fits[: limit - len(found)]
        more = more and bool(page) and page[-1].id < last
        after = page[-1].id if page else after
        if more and len(found) < limit:
            await client.turn()
    return found


def _room(client: Connection, word: str, target: str) -> Room[Session]:
    """Return the room that *target* is, if the client may read it: it is in it, or it is direct."""
    chat = client.network.chat
    with suppress(BadName):
        if target.startswith(CHANNEL):
            name = room_name(target)
            if name.key in client.presence.channels:
                return chat.rooms[name.key]
        elif (other := chat.called(user_name(target).key)) is not None:
            name = names.direct(client.me, other.id)
            return chat.rooms.get(name.key) or Room(name, chat.log, 1)
    raise Fault("INVALID_TARGET", "there is no history of this for you", word, target)


def _limit(word: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text, flags=re.ASCII) or not int(text):
        raise Fault("INVALID_PARAMS", "the limit is a number from 1 on", word, text)
    return min(int(text), PAGE)


def _time(word: str, text: str) -> str:
    """Return the time that *text* is, as messages have it, so that they can be compared."""
    found = STAMP.fullmatch(text)
    if found is None:
        raise Fault("INVALID_PARAMS", "this is no time", word, text)
    return f"{found[1]}.{(found[2] or '').ljust(3, '0')[:3]}Z"


def _cut(client: Connection, word: str, room: Room[Session], text: str) -> Cut:
    """Return the place in *room* that *text* says."""
    kind, _, value = text.partition("=")
    if kind == "msgid":
        id = entry_id(value, client.network.epoch, room.name)
        if id is None:
            raise Fault("INVALID_PARAMS", "there is no such message here", word, text)
        return Cut(id - 1, id + 1)
    if kind != "timestamp":
        raise Fault("INVALID_MSGREFTYPE", "this is neither msgid= nor timestamp=", word, text)
    time = _time(word, text)
    before = _last(room, lambda message: message.time < time)
    return Cut(before, _last(room, lambda message: message.time <= time) + 1)


def _last(room: Room[Session], early: Callable[[Message], bool]) -> int:
    """Return the id of the last message that is *early*, as all before it are."""
    low, high = 0, room.last + 1
    while low < high:
        middle = (low + high) // 2
        messages, _, _ = room.page(None, middle, None, 1)
        if messages and early(messages[0]):
            low = messages[0].id
        else:
            high = middle
    return low


def _answer(client: Connection, reply: Reply, target: str, messages: Sequence[Message]) -> None:
    outs = [out for message in messages for out in client.tongue.outs(message)]
    _batch(client, reply, ("chathistory", target), outs)


def _batch(client: Connection, reply: Reply, kind: tuple[str, ...], outs: Sequence[Out]) -> None:
    if BATCH not in client.caps:
        reply.send(*outs)
        return
    name = reference()
    reply.own("BATCH", f"+{name}", *kind)
    for out in outs:
        reply.send(out if batched(out) else out.tagged(("batch", name)))
    reply.own("BATCH", f"-{name}")


def _targets(client: Connection, reply: Reply, first: str, second: str, limit: int) -> None:
    """Answer with the channels and users with whom something was said last between two times."""
    earliest, latest = min(first, second), max(first, second)
    found = sorted((time, target) for time, target in _talks(client) if earliest < time < latest)
    found = found[:limit] if first <= second else found[::-1][:limit]
    outs = [
        Out((), body(client.server, "CHATHISTORY", "TARGETS", target, time))
        for time, target in found
    ]
    _batch(client, reply, ("draft/chathistory-targets",), outs)


def _talks(client: Connection) -> Iterator[tuple[str, str]]:
    """Give when something was said last in the client's channels and direct rooms, and where."""
    chat, me = client.network.chat, client.here.user.id
    direct = [key for reading in chat.log.readings(me) if names.parties(key := reading.room)]
    for key in (*client.presence.channels, *direct):
        last = chat.log.before(key, 2**53, 1)
        if last:
            other = chat.other(key, me)
            target = CHANNEL + last[0].room if other is None else nick(other.name)
            yield last[0].time, target


VERBS = {"CHATHISTORY": Verb(chathistory, 1, costs=True)}
