"""Who a client is, and what it has agreed on: CAP, AUTHENTICATE, PASS, NICK, USER; then the welcome."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Coroutine
from typing import Any

from twisted.words.protocols.irc import (
    ERR_ALREADYREGISTRED,
    ERR_ERRONEUSNICKNAME,
    ERR_NEEDMOREPARAMS,
    ERR_NICKNAMEINUSE,
    ERR_NONICKNAMEGIVEN,
    ERR_PASSWDMISMATCH,
    RPL_CREATED,
    RPL_MYINFO,
    RPL_WELCOME,
    RPL_YOURHOST,
)

from chatroom import __version__
from chatroom.chat import Chat
from chatroom.commands import Rename
from chatroom.events import PAGE, Batch, Close, Error, Renamed
from chatroom.irc.channels import HOSTS
from chatroom.irc.connection import ECHO, Connection, Verb
from chatroom.irc.lines import Line
from chatroom.irc.multiline import LINES
from chatroom.irc.nicks import nick as nick_of
from chatroom.irc.nicks import user_name
from chatroom.irc.reply import LABELS, REPLIES, Reply
from chatroom.irc.server import lusers, motd
from chatroom.irc.tongue import BATCH, MULTILINE, REDACTION, TAGS, TIME
from chatroom.log import Unavailable
from chatroom.names import BadName
from chatroom.saying import TOPIC

HISTORY = "draft/chathistory"
SASL = "sasl"
PREFIXES = "multi-prefix"
"""Nobody has a prefix, so that nothing comes of this; but there are clients that insist on it."""
TARGETS = 4
"""To so many one message is said at once."""

# IRCv3 sasl-3.1 and capability-negotiation, and https://modern.ircdocs.horse/ for the last.
RPL_LOGGEDIN, RPL_SASLSUCCESS = "900", "903"
ERR_SASLFAIL, ERR_SASLTOOLONG, ERR_SASLABORTED, ERR_SASLALREADY = "904", "905", "906", "907"
RPL_SASLMECHS, ERR_INVALIDCAPCMD, RPL_ISUPPORT = "908", "410", "005"

CHUNK = 400
"""What an authentication says comes in pieces of so many bytes, and a shorter one at its end."""
SECRET = 1200
"""The most bytes of it."""


def offered(chat: Chat) -> dict[str, str]:
    """Return the capabilities that there are, with their values."""
    multiline = f"max-bytes={chat.limits.message},max-lines={LINES}"
    return {
        BATCH: "",
        "cap-notify": "",
        HISTORY: "",
        REDACTION: "",
        MULTILINE: multiline,
        ECHO: "",
        LABELS: "",
        PREFIXES: "",
        TAGS: "",
        SASL: "PLAIN",
        TIME: "",
        REPLIES: "",
        HOSTS: "",
    }


def support(chat: Chat) -> list[str]:
    """Return what the server supports, as RPL_ISUPPORT says it."""
    limits = chat.limits
    return [
        "CASEMAPPING=ascii",
        "CHANLIMIT=#:100",
        "CHANMODES=,,,n",
        f"CHANNELLEN={limits.room + 1}",
        "CHANTYPES=#",
        f"CHATHISTORY={PAGE}",
        "CLIENTTAGDENY=*,-draft/react,-draft/reply,-draft/unreact,-typing",
        "ELIST=MU",
        "MODES=1",
        "MSGREFTYPES=msgid,timestamp",
        "NETWORK=chatroom",
        f"NICKLEN={limits.name}",
        "PREFIX=",
        "SAFELIST",
        f"TARGMAX=JOIN:,NAMES:1,NOTICE:{TARGETS},PART:,PRIVMSG:{TARGETS},TAGMSG:{TARGETS},WHOIS:1",
        f"TOPICLEN={TOPIC}",
        "UTF8ONLY",
        "WHOX",
    ]


def cap(client: Connection, reply: Reply, line: Line) -> None:
    """Do what IRCv3 capability-negotiation has."""
    word = line.params[0].upper()
    rest = line.params[1] if len(line.params) > 1 else ""
    there = offered(client.network.chat)
    if word == "LS":
        client.negotiating = client.negotiating or client.session is None
        if rest.isdecimal() and len(rest) < 6:
            client.version = max(client.version, int(rest))
        values = client.version >= 302
        _list(client, reply, "LS", [f"{c}={v}" if v and values else c for c, v in there.items()])
    elif word == "LIST":
        _list(client, reply, "LIST", sorted(client.caps))
    elif word == "REQ":
        client.negotiating = client.negotiating or client.session is None
        wishes = rest.split()
        known = all(wish.removeprefix("-") in there for wish in wishes)
        if known:
            off = {wish[1:] for wish in wishes if wish.startswith("-")}
            client.agree(client.caps - off | {wish for wish in wishes if wish[0] != "-"})
        reply.own("CAP", client.nick, "ACK" if known else "NAK", rest)
    elif word == "END":
        client.negotiating = False
        register(client, reply)
    else:
        reply.numeric(ERR_INVALIDCAPCMD, line.params[0], "there is no such command of CAP")


def _list(client: Connection, reply: Reply, word: str, caps: list[str]) -> None:
    # All of them fit in one line.
    reply.own("CAP", client.nick, word, " ".join(caps))


def authenticate(client: Connection, reply: Reply, line: Line) -> None:
    """Do what IRCv3 sasl-3.1 has, by PLAIN (RFC 4616): the password is a user's token."""
    said = line.params[0]
    if client.session is not None:
        reply.numeric(ERR_ALREADYREGISTRED, "a connection is one user's from beginning to end")
    elif client.token is not None:
        reply.numeric(ERR_SASLALREADY, "you have said who you are")
    elif SASL not in client.caps or said == "*":
        client.sasl = None
        reply.numeric(ERR_SASLABORTED, "this was aborted")
    elif client.sasl is None:
        if said.upper() == "PLAIN":
            client.sasl = ""
            reply.own("AUTHENTICATE", "+")
        else:
            reply.numeric(RPL_SASLMECHS, "PLAIN", "are the mechanisms that there are")
            reply.numeric(ERR_SASLFAIL, "there is no such mechanism")
    elif len(said) > CHUNK:
        client.sasl = None
        reply.numeric(ERR_SASLTOOLONG, "this is too long")
    elif len(client.sasl) > SECRET:
        client.sasl = None
        reply.numeric(ERR_SASLFAIL, "no token is as long")
    else:
        client.sasl += "" if said == "+" else said
        if len(said) < CHUNK:
            secret, client.sasl = client.sasl, None
            _authenticated(client, reply, secret)


def _authenticated(client: Connection, reply: Reply, secret: str) -> None:
    chat = client.network.chat
    try:
        _, name, token = base64.b64decode(secret, validate=True).decode().split("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        name = token = ""
    id = chat.known(token) if name else None
    if id is None:
        reply.numeric(ERR_SASLFAIL, "nobody was given this token")
        return
    client.token = token
    account = nick_of(chat.who(id).name)
    mask = client.network.mask(chat.who(id))
    reply.numeric(RPL_LOGGEDIN, mask, account, f"you are {account}")
    reply.numeric(RPL_SASLSUCCESS, "this is right")


def password(client: Connection, reply: Reply, line: Line) -> None:
    """Take a token from a client that knows no SASL: alone, or behind a name and a colon."""
    if client.session is not None:
        reply.numeric(ERR_ALREADYREGISTRED, "you have said who you are")
        return
    token = line.params[0].rpartition(":")[2]
    if client.network.chat.known(token) is None:
        reply.numeric(ERR_PASSWDMISMATCH, "nobody was given this token")
        client.end(Close.POLICY, "nobody was given this token")
    else:
        client.token = token


def nick(client: Connection, reply: Reply, line: Line) -> Coroutine[Any, Any, None] | None:
    """Be called otherwise, or wish to be."""
    if not line.params or not line.params[0]:
        reply.numeric(ERR_NONICKNAMEGIVEN, "there is no nick")
        return None
    wish = line.params[0]
    try:
        name = user_name(wish)
    except BadName as error:
        reply.numeric(ERR_ERRONEUSNICKNAME, wish, str(error))
        return None
    if client.session is not None:
        return _rename(client, reply, wish, name.shown)
    client.wish = wish
    register(client, reply)
    return None


async def _rename(client: Connection, reply: Reply, wish: str, name: str) -> None:
    me = client.here.user
    if name == me.name.shown:
        return

    def renamed(event: object) -> bool:
        return isinstance(event, Renamed) and event.id == me.id

    event, outs, _ = await client.ask(Rename(name), renamed)
    if not isinstance(event, Error):
        reply.send(*outs)
    elif event.code == "name_taken":
        reply.numeric(ERR_NICKNAMEINUSE, wish, event.message)
    elif event.code == "bad_name":
        reply.numeric(ERR_ERRONEUSNICKNAME, wish, event.message)
    else:
        reply.refuse(event, wish)


def user(client: Connection, reply: Reply, line: Line) -> None:
    """Take the user's name and real name."""
    if client.session is not None:
        reply.numeric(ERR_ALREADYREGISTRED, "you have said who you are")
    elif not line.params[0] or not line.params[3]:
        reply.numeric(ERR_NEEDMOREPARAMS, "USER", "there is something missing")
    else:
        client.username = "~" + (re.sub(r"[^A-Za-z0-9._-]", "", line.params[0])[:10] or "user")
        client.realname = line.params[3][:100]
        register(client, reply)


def register(client: Connection, reply: Reply) -> None:
    """Begin, if all has been said that is needed for it."""
    if client.session is not None or client.negotiating:
        return
    if client.wish is None or client.username is None:
        return
    chat = client.network.chat
    name = user_name(client.wish)
    if client.token is None and chat.called(name.key) is not None:
        reply.numeric(ERR_NICKNAMEINUSE, client.wish, "this name is taken")
        client.wish = None
        return
    try:
        session = chat.connect(client.hear, client.end, name.shown, client.token)
        session.known = True
        client.registered(session)
        client.presence.start()
    except Unavailable:
        client.end(Close.TRY_AGAIN, "the store cannot be read now")
        return
    # In no room, and so without an `Init` to begin with.
    session.begin(Batch(()))
    _welcome(client, reply)
    session.work()


def _welcome(client: Connection, reply: Reply) -> None:
    network, chat, session = client.network, client.network.chat, client.here
    reply.numeric(RPL_WELCOME, f"Welcome, {session.user.name.shown}: you are {client.mask}")
    reply.numeric(RPL_YOURHOST, f"This is {network.server}, chatroom {__version__}")
    reply.numeric(RPL_CREATED, f"It has been here since {network.since}")
    reply.numeric(RPL_MYINFO, network.server, f"chatroom-{__version__}", "i", "n")
    tokens = support(chat)
    for at in range(0, len(tokens), 10):
        reply.numeric(RPL_ISUPPORT, *tokens[at : at + 10], "are supported here")
    lusers(client, reply, Line("LUSERS", [], {}))
    motd(client, reply, Line("MOTD", [], {}))
    if client.token is None:
        token = chat.token(session.user)
        words = "To be the same user next time, log in by SASL PLAIN with this as the password:"
        reply.own("NOTICE", client.nick, f"{words} {token}")


VERBS = {
    "AUTHENTICATE": Verb(authenticate, 1, early=True),
    "CAP": Verb(cap, 1, early=True),
    "NICK": Verb(nick, early=True),
    "PASS": Verb(password, 1, early=True),
    "USER": Verb(user, 4, early=True),
}
