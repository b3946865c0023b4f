"""What the server says of itself: MOTD, LUSERS, VERSION, TIME, INFO, …; PING and QUIT."""

from __future__ import annotations

from twisted.words.protocols.irc import (
    ERR_NOMOTD,
    ERR_NOOPERHOST,
    ERR_NOSUCHSERVER,
    RPL_ENDOFINFO,
    RPL_INFO,
    RPL_LUSERCHANNELS,
    RPL_LUSERCLIENT,
    RPL_LUSERME,
    RPL_TIME,
    RPL_VERSION,
)

from chatroom import __version__
from chatroom.irc.connection import Connection, Verb
from chatroom.irc.lines import Line
from chatroom.irc.reply import Reply

ERR_NOORIGIN, RPL_LOCALUSERS, RPL_GLOBALUSERS = "409", "265", "266"


def motd(client: Connection, reply: Reply, line: Line) -> None:
    if not _elsewhere(client, reply, line):
        reply.numeric(ERR_NOMOTD, "there is no message of the day")


def lusers(client: Connection, reply: Reply, line: Line) -> None:
    chat = client.network.chat
    users = len(chat.users)
    public = sum(1 for room in chat.rooms.values() if not room.parties)
    words = f"There are {users} users and 0 invisible on 1 servers"
    reply.numeric(RPL_LUSERCLIENT, words)
    reply.numeric(RPL_LUSERCHANNELS, str(public), "channels formed")
    reply.numeric(RPL_LUSERME, f"I have {users} clients and 0 servers")
    most = client.network.most = max(users, client.network.most)
    for number, where in ((RPL_LOCALUSERS, "here"), (RPL_GLOBALUSERS, "on the network")):
        words = f"there are {users} users {where}, and were {most} at most"
        reply.numeric(number, str(users), str(most), words)


def version(client: Connection, reply: Reply, line: Line) -> None:
    if not _elsewhere(client, reply, line):
        about = "rooms over IRC, WebSocket, Socket.IO, SSE and HTTP"
        reply.numeric(RPL_VERSION, f"chatroom-{__version__}", client.server, about)


def time(client: Connection, reply: Reply, line: Line) -> None:
    if not _elsewhere(client, reply, line):
        reply.numeric(RPL_TIME, client.server, client.network.now())


def info(client: Connection, reply: Reply, line: Line) -> None:
    if not _elsewhere(client, reply, line):
        reply.numeric(RPL_INFO, f"chatroom {__version__}")
        reply.numeric(RPL_INFO, f"here since {client.network.since}")
        reply.numeric(RPL_ENDOFINFO, "end of INFO")


def ping(client: Connection, reply: Reply, line: Line) -> None:
    if not line.params:
        reply.numeric(ERR_NOORIGIN, "there is nothing to send back")
    else:
        reply.own("PONG", client.server, line.params[0])


def pong(client: Connection, reply: Reply, line: Line) -> None:
    """Do nothing: that it came at all is the sign of life."""


def quit(client: Connection, reply: Reply, line: Line) -> None:
    reason = line.params[0] if line.params else ""
    if client.session is not None:
        client.network.leaves(client.session.user.id, None, f"Quit: {reason}" if reason else "Quit")
    client.quit(reason or "you have quit")


def oper(client: Connection, reply: Reply, line: Line) -> None:
    reply.numeric(ERR_NOOPERHOST, "there are no operators here")


def _elsewhere(client: Connection, reply: Reply, line: Line) -> bool:
    """Say, if it is so, that the server that is asked is not this one."""
    if not line.params or line.params[0] in ("", "*", client.server, client.nick):
        return False
    reply.numeric(ERR_NOSUCHSERVER, line.params[0], "there is no such server")
    return True


VERBS = {
    "INFO": Verb(info),
    "LUSERS": Verb(lusers, costs=True),
    "MOTD": Verb(motd),
    "OPER": Verb(oper, 2),
    "PING": Verb(ping, early=True),
    "PONG": Verb(pong, early=True),
    "QUIT": Verb(quit, early=True),
    "TIME": Verb(time),
    "VERSION": Verb(version),
}
