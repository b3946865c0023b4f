"""What clients say: PRIVMSG, NOTICE, TAGMSG, REDACT, and BATCH for messages of several lines."""

from __future__ import annotations

from twisted.words.protocols.irc import (
    ERR_CANNOTSENDTOCHAN,
    ERR_NORECIPIENT,
    ERR_NOSUCHCHANNEL,
    ERR_NOSUCHNICK,
    ERR_NOTEXTTOSEND,
    ERR_TOOMANYTARGETS,
    RPL_AWAY,
)

from chatroom.commands import Command, Delete, React, Talk, Typing
from chatroom.events import Entry, Error, Event
from chatroom.irc import texts
from chatroom.irc.connection import ECHO, ERR_INPUTTOOLONG, Connection, Verb
from chatroom.irc.lines import BODY, Line, Out, body
from chatroom.irc.multiline import LINES, Multiline
from chatroom.irc.nicks import CHANNEL, entry_id, room_name, user_name
from chatroom.irc.registering import TARGETS
from chatroom.irc.reply import Reply
from chatroom.irc.tongue import CONCAT, MULTILINE, TAGS, TIME
from chatroom.log import Unavailable
from chatroom.names import BadName
from chatroom.session import UNAVAILABLE, Problem, User

ERR_CANTSENDTOUSER = "531"
REPLY = ("+draft/reply", "+reply")
TYPING = ("+typing", "+draft/typing")


async def privmsg(client: Connection, reply: Reply, line: Line) -> None:
    """Say something: to rooms, or to users."""
    if client.multiline is not None and "batch" in line.tags:
        if not client.multiline.failed:
            _add(client, reply, client.multiline, line)
        return
    if not line.params or not line.params[0]:
        reply.numeric(ERR_NORECIPIENT, f"there is nobody to say it to ({line.command})")
    elif len(line.params) < 2 or not line.params[1]:
        reply.numeric(ERR_NOTEXTTOSEND, "there is nothing to say")
    else:
        for target in _targets(reply, line):
            if _fits(client, reply, line.command, target, line.params[1]):
                await say(client, reply, line.command, target, line.params[1], _answers(line))


def _targets(reply: Reply, line: Line) -> list[str]:
    targets = list(dict.fromkeys(filter(None, line.params[0].split(","))))
    if len(targets) > TARGETS:
        reply.numeric(ERR_TOOMANYTARGETS, targets[TARGETS], "to so many it cannot be said at once")
    return targets[:TARGETS]


def _answers(line: Line) -> str | None:
    return next((line.tags[key] for key in REPLY if line.tags.get(key)), None)


def _fits(client: Connection, reply: Reply, command: str, target: str, text: str) -> bool:
    """Return whether others can be told *text* in one line; otherwise say that it is too long."""
    head = f":{client.mask} {command} {target} :"
    if len(head.encode()) + len(text.encode()) <= BODY - 2:
        return True
    reply.numeric(ERR_INPUTTOOLONG, "with your name before it, this line is too long")
    return False


async def say(
    client: Connection, reply: Reply, command: str, target: str, text: str, answers: str | None
) -> None:
    """Say *text* to *target*, as an answer to the message known as *answers*."""
    quiet = command == "NOTICE"
    if (message := _plain(reply, target, text, quiet=quiet)) is None:
        return
    if _is_me(client, target):
        _to_oneself(client, reply, command, text)
        return
    room = find(client, reply, target, quiet=quiet)
    if room is None:
        return
    answered = None if answers is None else entry_id(answers, client.network.epoch, room)
    nonce = client.nonce(notice=quiet)
    talk = Talk(message, room=room, nonce=nonce, reply=answered)
    await _done(client, reply, talk, nonce, target, quiet=quiet)
    if not quiet and not target.startswith(CHANNEL) and (user := _user(client, target)):
        person = client.network.people.get(user.id)
        if person is not None and person.away is not None:
            reply.numeric(RPL_AWAY, target, person.away)


def _plain(reply: Reply, target: str, text: str, *, quiet: bool) -> str | None:
    """Return *text* as others read it; of CTCP nothing but ACTION can be said."""
    if (found := texts.ctcp(text)) is None:
        return texts.plain(text)
    command, rest = found
    if command == "ACTION" and not quiet:
        return texts.ACTION + texts.plain(rest)
    if not quiet:
        number = ERR_CANNOTSENDTOCHAN if target.startswith(CHANNEL) else ERR_CANTSENDTOUSER
        reply.numeric(number, target, "of CTCP, only ACTION is passed on")
    return None


def _is_me(client: Connection, target: str) -> bool:
    user = None if target.startswith(CHANNEL) else _user(client, target)
    return user is client.here.user


def _to_oneself(client: Connection, reply: Reply, command: str, text: str) -> None:
    """Say *text* back: nobody has a room with themselves, so that it is not kept."""
    tags = (("time", client.network.now()),) if TIME in client.caps else ()
    out = Out(tags, body(client.mask, command, client.nick, text))
    if ECHO in client.caps:
        reply.send(out)
    client.send([out])


def _user(client: Connection, target: str) -> User | None:
    try:
        return client.network.chat.called(user_name(target).key)
    except BadName:
        return None


def find(client: Connection, reply: Reply, target: str, *, quiet: bool = False) -> str | None:
    """Return the room that *target* is, or say why it cannot be, unless *quiet*."""
    if not target.startswith(CHANNEL):
        user = _user(client, target)
        if user is None or user is client.here.user:
            if not quiet:
                reply.numeric(ERR_NOSUCHNICK, target, "there is nobody else of this name here")
            return None
        try:
            return client.presence.direct(user.id).shown
        except Unavailable:
            problem = UNAVAILABLE
        except Problem as found:
            problem = found
        if not quiet:
            reply.fail(problem.code.upper(), str(problem), target)
        return None
    try:
        name = room_name(target)
    except BadName as error:
        if not quiet:
            reply.numeric(ERR_NOSUCHCHANNEL, target, str(error))
        return None
    if name.key in client.presence.channels:
        return client.presence.channels[name.key]
    if not quiet:
        reply.numeric(ERR_CANNOTSENDTOCHAN, target, "you are not in this channel")
    return None


async def _done(
    client: Connection,
    reply: Reply,
    command: Command,
    nonce: str,
    target: str,
    *,
    quiet: bool = False,
) -> Error | None:
    """Have *command*, which has the *nonce*, done, and answer it; return why it was not, if so."""

    def settled(event: Event) -> bool:
        return isinstance(event, Entry | Error) and event.nonce == nonce

    event, outs, _ = await client.ask(command, settled)
    if not isinstance(event, Error):
        if ECHO in client.caps:
            reply.send(*outs)
        return None
    if isinstance(command, Talk) and not quiet:
        reply.refuse(event, target)
    return event


async def tagmsg(client: Connection, reply: Reply, line: Line) -> None:
    """Give a message an emoji, or let others see that one is writing; all else is not passed on."""
    if TAGS not in client.caps:
        return
    if not line.params or not line.params[0]:
        reply.numeric(ERR_NORECIPIENT, "there is nobody to say it to (TAGMSG)")
        return
    typing = any(line.tags.get(key) == "active" for key in TYPING)
    react, unreact = line.tags.get("+draft/react"), line.tags.get("+draft/unreact")
    emoji, answers = react or unreact, _answers(line)
    for target in _targets(reply, line):
        if _is_me(client, target) or not (typing or emoji and answers):
            continue
        room = find(client, reply, target)
        if room is None:
            continue
        if emoji and answers:
            nonce = client.nonce()
            of = entry_id(answers, client.network.epoch, room) or 0
            command = React(of, emoji, bool(react), room, nonce)
            if error := await _done(client, reply, command, nonce, target):
                reply.refuse(error, target)
        elif typing:
            client.here.receive(Typing(room))


async def redact(client: Connection, reply: Reply, line: Line) -> None:
    """Take back what one has said (IRCv3 draft/message-redaction)."""
    target, message = line.params[0], line.params[1]
    room = find(client, reply, target, quiet=True)
    if room is None:
        words = "you are not in this channel, or there is nobody of this name"
        reply.fail("INVALID_TARGET", words, target, agreed=True)
        return
    nonce = client.nonce()
    of = entry_id(message, client.network.epoch, room) or 0

    def settled(event: Event) -> bool:
        return isinstance(event, Entry | Error) and event.nonce == nonce

    event, outs, _ = await client.ask(Delete(of, room, nonce), settled)
    if not isinstance(event, Error):
        reply.send(*outs)
    elif event.code == "no_such_message":
        reply.fail("UNKNOWN_MSGID", event.message, target, message, agreed=True)
    elif event.code == "forbidden":
        reply.fail("REDACT_FORBIDDEN", event.message, target, message, agreed=True)
    else:
        reply.refuse(event, target)


async def batch(client: Connection, reply: Reply, line: Line) -> None:
    """Begin or end a message of several lines (IRCv3 draft/multiline)."""
    reference, open = line.params[0], client.multiline
    if MULTILINE not in client.caps:
        reply.fail("UNKNOWN_TYPE", "there is no such batch", reference, agreed=True)
    elif reference.startswith("+") and (open is None or open.failed):
        if len(line.params) < 3 or line.params[1] != MULTILINE:
            reply.fail("UNKNOWN_TYPE", "there is no such batch", reference, agreed=True)
        else:
            # What has the label is the answer to all of it.
            label, reply.label = reply.label, None
            client.multiline = Multiline(reference[1:], line.params[2], label, _answers(line))
    elif open is not None and reference == f"-{open.reference}":
        client.multiline, reply.label = None, open.label
        text = "".join(open.text)
        if open.failed:
            return
        if not text.strip() or open.command is None:
            _invalid(client, reply, "there is nothing in this batch")
        elif texts.ctcp(text):
            _invalid(client, reply, "CTCP has one line")
        else:
            reply.command = open.command
            await say(client, reply, open.command, open.target, text, open.reply)
    else:
        _invalid(client, reply, "this batch begins within another, or ends without a beginning")


def _add(client: Connection, reply: Reply, open: Multiline, line: Line) -> None:
    """Add *line* to the message that is *open*."""
    reply.command, concat = "BATCH", CONCAT in line.tags
    limit = client.network.chat.limits.message
    text = line.params[1] if len(line.params) > 1 else ""
    if line.tags["batch"] != open.reference or not line.params or line.params[0] != open.target:
        _invalid(client, reply, "this line is of another batch")
    elif concat and not text:
        _invalid(client, reply, "there is nothing to add to the line before")
    elif open.command not in (None, line.command):
        _invalid(client, reply, "a batch is of one command")
    else:
        open.add(line.command, text, concat=concat)
        if open.count > LINES:
            open.failed = True
            words = "these are too many lines"
            reply.fail("MULTILINE_MAX_LINES", words, str(LINES), agreed=True)
        elif open.size > limit:
            open.failed = True
            words = "these are too many bytes"
            reply.fail("MULTILINE_MAX_BYTES", words, str(limit), agreed=True)


def _invalid(client: Connection, reply: Reply, words: str) -> None:
    if client.multiline is not None:
        client.multiline.failed = True
    reply.fail("MULTILINE_INVALID", words, agreed=True)


VERBS = {
    "BATCH": Verb(batch, 1),
    "NOTICE": Verb(privmsg),
    "PRIVMSG": Verb(privmsg),
    "REDACT": Verb(redact, 2),
    "TAGMSG": Verb(tagmsg),
}
