"""
Nicks and names, channels and rooms: what one is called on IRC, and everywhere else.

A user's name may have spaces and any sign; a nick may not. But no name has a fullwidth form, for
RFC 8266 makes the plain one of it. So these are free to stand in a nick for what a nick cannot have:
the fullwidth low line for a space, others for their plain forms. Each name has one nick, and no two
names have the same.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from chatroom import names
from chatroom.names import BadName, Name

CHANNEL = "#"
"""What channels begin with."""

_FULLWIDTH = 0xFF01 - ord("!")
_SPACE = "\uff3f"
_NEVER = "!*,.?@"
_NOT_FIRST = "#$%&+:~"

_nick = str.maketrans({" ": _SPACE, **{c: chr(ord(c) + _FULLWIDTH) for c in _NEVER}})


@lru_cache(maxsize=4096)
def nick(name: str) -> str:
    """Return the nick of the user called *name*."""
    found = name.translate(_nick)
    if found[0] in _NOT_FIRST:
        found = chr(ord(found[0]) + _FULLWIDTH) + found[1:]
    return found


def user_name(nick: str) -> Name:
    """Return the name whose nick is *nick*. Raises `BadName`."""
    if not nick or nick[0] in _NOT_FIRST or any(c in _NEVER or c <= " " for c in nick):
        raise BadName("a nick has none of ! * , . ? @ and does not begin with # $ % & + : ~")
    return names.user_name(nick.replace(_SPACE, " "))


def room_name(channel: str) -> Name:
    """Return the room whose channel is *channel*. Raises `BadName`."""
    room = channel.removeprefix(CHANNEL)
    if room == channel or names.parties(room):
        raise BadName("a channel's name is # and letters, digits, '-', '_' and '.'")
    return names.room_name(room)


@lru_cache(maxsize=4096)
def _mark(room: str) -> str:
    # Ids count in each room, and are given to clients that know messages of many.
    return hashlib.blake2s(names.room_name(room).key.encode(), digest_size=4).hexdigest()


def msgid(epoch: str, id: int, room: str) -> str:
    """Return what clients know the entry *id* of *room* by, in all of the network."""
    return f"{epoch}-{id}-{_mark(room)}"


def entry_id(msgid: str, epoch: str, room: str) -> int | None:
    """Return the id of the entry of *room* whose `msgid` is given, if it is one of *epoch*."""
    parts = msgid.rsplit("-", 2)
    if len(parts) != 3 or parts[0] != epoch or parts[2] != _mark(room):
        return None
    id = parts[1]
    return int(id) if id.isascii() and id.isdecimal() and len(id) <= 16 else None
