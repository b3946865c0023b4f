"""Who is here: WHO (with WHOX), WHOIS, WHOWAS, USERHOST, ISON, AWAY."""

from __future__ import annotations

import re
from collections.abc import Iterator

from twisted.words.protocols.irc import (
    ERR_NONICKNAMEGIVEN,
    ERR_NOSUCHNICK,
    ERR_WASNOSUCHNICK,
    RPL_AWAY,
    RPL_ENDOFWHO,
    RPL_ENDOFWHOIS,
    RPL_ENDOFWHOWAS,
    RPL_ISON,
    RPL_NOWAWAY,
    RPL_UNAWAY,
    RPL_USERHOST,
    RPL_WHOISCHANNELS,
    RPL_WHOISSERVER,
    RPL_WHOISUSER,
    RPL_WHOREPLY,
)

from chatroom.irc import texts
from chatroom.irc.connection import Connection, Verb
from chatroom.irc.lines import Line
from chatroom.irc.network import Network
from chatroom.irc.nicks import CHANNEL, nick, room_name, user_name
from chatroom.irc.reply import Reply
from chatroom.names import BadName
from chatroom.session import User

RPL_WHOSPCRPL = "354"
SERVER_INFO = "a chat room"
AWAY = 200
"""The most characters of what is said of being away."""
ORDER = "tcuihsnfdlaor"
"""In this order WHOX answers with what it was asked for."""


def find(network: Network, wish: str) -> User | None:
    """Return the user whose nick is *wish*, if they are here."""
    try:
        return network.chat.called(user_name(wish).key)
    except BadName:
        return None


def who(client: Connection, reply: Reply, line: Line) -> None:
    """Say who is in a room, or who has a nick like what is asked for, of those in one's rooms."""
    wish = line.params[0] if line.params else "*"
    asked = re.fullmatch("%([a-z]*)(?:,([0-9]{1,3}))?", "".join(line.params[1:2]))
    for channel, user in _like(client, wish):
        member = _member(client.network, channel, user)
        if asked is None:
            last = f"{member['d']} {member['r']}"
            reply.numeric(RPL_WHOREPLY, *(member[key] for key in "cuhsnf"), last)
        else:
            member["t"] = asked[2] or "0"
            reply.numeric(RPL_WHOSPCRPL, *(member[key] for key in ORDER if key in asked[1]))
    reply.numeric(RPL_ENDOFWHO, wish, "end of WHO")


def _member(network: Network, channel: str, user: User) -> dict[str, str]:
    """Return what WHO says of *user*, by the letters of WHOX."""
    person = network.people.get(user.id)
    return {
        "c": channel,
        "u": network.username(user.id),
        "i": "255.255.255.255",
        "h": network.host(user.id),
        "s": network.server,
        "n": nick(user.name.shown),
        "f": "G" if person is not None and person.away is not None else "H",
        "d": "0",
        "l": "0",
        "a": "0",
        "o": "n/a",
        "r": realname(network, user),
    }


def realname(network: Network, user: User) -> str:
    """Return the real name of *user*: by IRC they say it, others have just one name."""
    person = network.people.get(user.id)
    return person.realname if person is not None and person.realname else user.name.shown


def _like(client: Connection, wish: str) -> Iterator[tuple[str, User]]:
    """Give the users who are like *wish*, and a channel of each."""
    chat = client.network.chat
    if wish.startswith(CHANNEL):
        try:
            room = chat.rooms.get(room_name(wish).key)
        except BadName:
            room = None
        for id in () if room is None else list(room.here):
            if room is not None and (user := chat.users.get(id)) is not None:
                yield CHANNEL + room.name, user
    elif (user := find(client.network, wish)) is not None:
        yield _shared(client, user), user
    elif "*" in wish or "?" in wish:
        like = texts.like(wish)
        seen: set[int] = set()
        for key in client.presence.channels:
            for id in list(chat.rooms[key].here):
                user = chat.users.get(id)
                if user is None or id in seen:
                    continue
                seen.add(id)
                name, mask = nick(user.name.shown), client.network.mask(user.who)
                words = (name, mask, client.network.username(id), realname(client.network, user))
                if any(map(like, words)):
                    yield _shared(client, user), user


def _shared(client: Connection, user: User) -> str:
    """Return a channel in which both the client and *user* are."""
    channels = client.presence.channels
    return next((CHANNEL + channels[key] for key in channels if key in user.rooms), "*")


def whois(client: Connection, reply: Reply, line: Line) -> None:
    """Say what is known of a user."""
    if not line.params or not line.params[-1]:
        reply.numeric(ERR_NONICKNAMEGIVEN, "there is no nick")
        return
    wish = line.params[-1].partition(",")[0]
    network = client.network
    user = find(network, wish)
    if user is None:
        reply.numeric(ERR_NOSUCHNICK, wish, "there is nobody of this name here")
        reply.numeric(RPL_ENDOFWHOIS, wish, "end of WHOIS")
        return
    name = nick(user.name.shown)
    host = network.host(user.id)
    about = realname(network, user)
    reply.numeric(RPL_WHOISUSER, name, network.username(user.id), host, "*", about)
    known = client.presence.channels
    shared = [CHANNEL + shown for key, shown in known.items() if key in user.rooms]
    for at in range(0, len(shared), 5):
        reply.numeric(RPL_WHOISCHANNELS, name, " ".join(shared[at : at + 5]))
    reply.numeric(RPL_WHOISSERVER, name, network.server, SERVER_INFO)
    person = network.people.get(user.id)
    if person is not None and person.away is not None:
        reply.numeric(RPL_AWAY, name, person.away)
    reply.numeric(RPL_ENDOFWHOIS, name, "end of WHOIS")


def whowas(client: Connection, reply: Reply, line: Line) -> None:
    """Say nothing of who is gone, for that is not kept."""
    if not line.params or not line.params[0]:
        reply.numeric(ERR_NONICKNAMEGIVEN, "there is no nick")
        return
    reply.numeric(ERR_WASNOSUCHNICK, line.params[0], "it is not kept who was here")
    reply.numeric(RPL_ENDOFWHOWAS, line.params[0], "end of WHOWAS")


def userhost(client: Connection, reply: Reply, line: Line) -> None:
    """Say where users are."""
    found = []
    for wish in line.params[:5]:
        if (user := find(client.network, wish)) is not None:
            person = client.network.people.get(user.id)
            away = "-" if person is not None and person.away is not None else "+"
            host = f"{client.network.username(user.id)}@{client.network.host(user.id)}"
            found.append(f"{nick(user.name.shown)}={away}{host}")
    reply.numeric(RPL_USERHOST, " ".join(found))


def ison(client: Connection, reply: Reply, line: Line) -> None:
    """Say who of some is here."""
    wishes = " ".join(line.params).split()[:20]
    here = [wish for wish in wishes if find(client.network, wish) is not None]
    reply.numeric(RPL_ISON, " ".join(here))


def away(client: Connection, reply: Reply, line: Line) -> None:
    """Take note of being away: who writes to the user directly, by IRC, is told."""
    words = " ".join(texts.lines(texts.plain("".join(line.params[:1]))))[:AWAY]
    client.network.people[client.here.user.id].away = words or None
    if words:
        reply.numeric(RPL_NOWAWAY, "you are away")
    else:
        reply.numeric(RPL_UNAWAY, "you are here")


VERBS = {
    "AWAY": Verb(away),
    "ISON": Verb(ison, 1, costs=True),
    "USERHOST": Verb(userhost, 1, costs=True),
    "WHO": Verb(who, costs=True),
    "WHOIS": Verb(whois, costs=True),
    "WHOWAS": Verb(whowas),
}
