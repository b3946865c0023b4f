"""Rooms as channels: JOIN, PART, NAMES, TOPIC, LIST, MODE, KICK."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from twisted.words.protocols.irc import (
    ERR_CHANOPRIVSNEEDED,
    ERR_NOSUCHCHANNEL,
    ERR_NOTONCHANNEL,
    ERR_TOOMANYCHANNELS,
    ERR_UMODEUNKNOWNFLAG,
    ERR_UNKNOWNMODE,
    ERR_USERSDONTMATCH,
    RPL_CHANNELMODEIS,
    RPL_ENDOFBANLIST,
    RPL_ENDOFNAMES,
    RPL_LIST,
    RPL_LISTEND,
    RPL_LISTSTART,
    RPL_NAMREPLY,
    RPL_NOTOPIC,
    RPL_TOPIC,
    RPL_UMODEIS,
)

from chatroom.commands import Exit, Join, Rooms, SetTopic
from chatroom.events import Error, Event, Exited, Init, Listing, Topic, Who
from chatroom.irc import texts
from chatroom.irc.connection import RPL_TRYAGAIN, Connection, Verb
from chatroom.irc.lines import BODY, Line
from chatroom.irc.nicks import CHANNEL, nick, room_name
from chatroom.irc.reply import Reply
from chatroom.log import Unavailable
from chatroom.names import BadName, Name, parties

HOSTS = "userhost-in-names"
PAGES = 20
"""A LIST has so many times 100 rooms at most."""


def channel(client: Connection, reply: Reply, wish: str) -> Name | None:
    """Return the room that the channel *wish* is, or say that there can be none."""
    try:
        return room_name(wish)
    except BadName as error:
        reply.numeric(ERR_NOSUCHCHANNEL, wish or "*", str(error))
        return None


def joined(client: Connection, reply: Reply, wish: str) -> Name | None:
    """Return the room that the channel *wish* is, or say that the client is not in it."""
    name = channel(client, reply, wish)
    if name is None or name.key in client.presence.channels:
        return name
    if _exists(client, name):
        reply.numeric(ERR_NOTONCHANNEL, wish, "you are not in this channel")
    else:
        reply.numeric(ERR_NOSUCHCHANNEL, wish, "there is no such channel")
    return None


def _exists(client: Connection, name: Name) -> bool:
    chat = client.network.chat
    try:
        return name.key in chat.rooms or chat.log.room(name.key) is not None
    except Unavailable:
        return True


async def join(client: Connection, reply: Reply, line: Line) -> None:
    """Enter rooms; none of them has a key."""
    if line.params[0] == "0":
        await part(client, reply, Line("PART", [",".join(_all(client))], {}))
        return
    for wish in line.params[0].split(","):
        name = channel(client, reply, wish)
        if name is None or name.key in client.presence.channels:
            continue

        def entered(event: Event, key: str = name.key) -> bool:
            # A direct room may be entered meanwhile, and is no channel.
            if not isinstance(event, Init) or parties(event.room):
                return False
            return room_name(CHANNEL + event.room).key == key

        event = (await client.ask(Join(name.shown), entered)).event
        if isinstance(event, Init):
            shown = CHANNEL + event.room
            reply.line(client.mask, "JOIN", shown)
            if event.topic:
                reply.numeric(RPL_TOPIC, shown, event.topic)
            _names(client, reply, name.key, shown)
        elif isinstance(event, Error):
            if event.code == "too_many_rooms":
                reply.numeric(ERR_TOOMANYCHANNELS, wish, event.message)
            else:
                reply.refuse(event, wish)


def _all(client: Connection) -> list[str]:
    return [CHANNEL + shown for shown in client.presence.channels.values()]


async def part(client: Connection, reply: Reply, line: Line) -> None:
    """Leave rooms."""
    reason = line.params[1] if len(line.params) > 1 else ""
    me = client.here.user
    for wish in filter(None, line.params[0].split(",")):
        name = joined(client, reply, wish)
        if name is None:
            continue
        shown = client.presence.channels[name.key]

        def exited(event: Event, room: str = shown) -> bool:
            return isinstance(event, Exited) and (event.id, event.room) == (me.id, room)

        client.network.leaves(me.id, shown, reason)
        event = (await client.ask(Exit(shown), exited)).event
        client.network.leaves(me.id, shown, "")
        if isinstance(event, Error):
            reply.refuse(event, wish)
        else:
            reply.line(client.mask, "PART", CHANNEL + shown, *([reason] if reason else []))


def names(client: Connection, reply: Reply, line: Line) -> None:
    """Say who is in a room, which everybody may know."""
    wish = line.params[0].partition(",")[0] if line.params else "*"
    room = None
    with suppress(BadName):
        room = client.network.chat.rooms.get(room_name(wish).key)
    if room is None:
        reply.numeric(RPL_ENDOFNAMES, wish, "end of NAMES")
    else:
        _names(client, reply, room.key, CHANNEL + room.name)


def _names(client: Connection, reply: Reply, key: str, shown: str) -> None:
    room = BODY - 2 - len(f":{client.server} 353 {client.nick} = {shown} :".encode())
    here, mask = client.network.chat.rooms[key].here, client.network.mask
    who = (mask(Who(id, name)) if HOSTS in client.caps else nick(name) for id, name in here.items())
    for words in _filled(who, room):
        reply.numeric(RPL_NAMREPLY, "=", shown, words)
    reply.numeric(RPL_ENDOFNAMES, shown, "end of NAMES")


def _filled(who: Iterable[str], room: int) -> Iterator[str]:
    """Give *who* is here, as many at a time as *room* bytes have room for."""
    words: list[str] = []
    left = room
    for word in who:
        size = len(word.encode()) + 1
        if size > left + 1 and words:
            yield " ".join(words)
            words, left = [], room
        words.append(word)
        left -= size
    if words:
        yield " ".join(words)


async def topic(client: Connection, reply: Reply, line: Line) -> None:
    """Say what a room is about, or have it be about something else."""
    wish = line.params[0]
    name = joined(client, reply, wish)
    if name is None:
        return
    shown = client.presence.channels[name.key]
    if len(line.params) == 1:
        about = client.network.chat.rooms[name.key].topic
        if about:
            reply.numeric(RPL_TOPIC, CHANNEL + shown, about)
        else:
            reply.numeric(RPL_NOTOPIC, CHANNEL + shown, "there is no topic")
        return
    nonce = client.nonce()

    def changed(event: Event) -> bool:
        return isinstance(event, Topic | Error) and event.nonce == nonce

    about = " ".join(texts.lines(texts.plain(line.params[1])))
    event, outs, _ = await client.ask(SetTopic(about, shown, nonce), changed)
    if isinstance(event, Error):
        reply.refuse(event, wish)
    else:
        reply.send(*outs)


async def list_(client: Connection, reply: Reply, line: Line) -> None:
    """Say which rooms there are: all, those named, those like ``*te*``, or as large as ``>3``."""
    reply.numeric(RPL_LISTSTART, "Channel", "Users  Name")
    for wish in filter(None, (line.params[0] if line.params else "*").split(",")):
        least, most = 0, 2**53
        if size := re.fullmatch("([<>])([0-9]{1,15})", wish):
            least = int(size[2]) + 1 if size[1] == ">" else 0
            most = int(size[2]) if size[1] == "<" else most
            wish = "*"
        if not await _list(client, reply, wish, range(least, most)):
            reply.numeric(RPL_TRYAGAIN, "LIST", "not so fast")
            break
    reply.numeric(RPL_LISTEND, "end of LIST")


async def _list(client: Connection, reply: Reply, wish: str, sizes: range) -> bool:
    """List the rooms that are like *wish*; return whether that could be done."""
    masked = "*" in wish or "?" in wish
    like = texts.like(wish)
    longest = max(re.split("[*?]", wish.removeprefix(CHANNEL)), key=len)
    after = ""
    for _ in range(PAGES):
        piece = await client.ask(Rooms(longest, after), lambda event: isinstance(event, Listing))
        if not isinstance(piece.event, Listing):
            return False
        for room in piece.event.rooms:
            shown = CHANNEL + room.room
            fits = like(shown) if masked else _same(wish, room.room)
            if fits and room.count in sizes:
                reply.numeric(RPL_LIST, shown, str(room.count), room.topic)
            after = room.room
        if not piece.event.more:
            break
    return True


def _same(wish: str, room: str) -> bool:
    try:
        return room_name(wish).key == room_name(CHANNEL + room).key
    except BadName:
        return False


def mode(client: Connection, reply: Reply, line: Line) -> None:
    """Say which modes there are, which nobody can change: those in a room alone may speak there."""
    target, change = line.params[0], "".join(line.params[1:2])
    if not target.startswith(CHANNEL):
        _user_mode(client, reply, target, change)
        return
    name = channel(client, reply, target)
    if name is None:
        return
    if name.key not in client.network.chat.rooms:
        reply.numeric(ERR_NOSUCHCHANNEL, target, "there is no such channel")
    elif not change:
        reply.numeric(RPL_CHANNELMODEIS, target, "+n")
    elif change in ("b", "+b") and len(line.params) == 2:
        reply.numeric(RPL_ENDOFBANLIST, target, "nobody can be banned")
    elif change.strip("+-") and change.strip("+-")[0] in "bklimnopqstv":
        reply.numeric(ERR_CHANOPRIVSNEEDED, target, "there are no operators here")
    else:
        reply.numeric(ERR_UNKNOWNMODE, change.strip("+-")[:1] or "*", "there is no such mode")


def _user_mode(client: Connection, reply: Reply, target: str, change: str) -> None:
    if target.casefold() != client.nick.casefold():
        reply.numeric(ERR_USERSDONTMATCH, "these are not your modes")
    elif change in ("", "+i"):
        reply.numeric(RPL_UMODEIS, "+i")
    else:
        reply.numeric(ERR_UMODEUNKNOWNFLAG, "there are no such modes")


def kick(client: Connection, reply: Reply, line: Line) -> None:
    """Nobody can be sent away."""
    if joined(client, reply, line.params[0]) is not None:
        reply.numeric(ERR_CHANOPRIVSNEEDED, line.params[0], "there are no operators here")


VERBS = {
    "JOIN": Verb(join, 1),
    "KICK": Verb(kick, 2),
    "LIST": Verb(list_),
    "MODE": Verb(mode, 1),
    "NAMES": Verb(names, costs=True),
    "PART": Verb(part, 1),
    "TOPIC": Verb(topic, 1),
}
