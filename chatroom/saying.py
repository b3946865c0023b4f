"""What is said to a room, and changed about it: whether it may be, and how it goes to the log."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from chatroom.changes import full
from chatroom.commands import Attach, Delete, Edit, React, Rename, SetTopic, Talk, Typing
from chatroom.events import Deleted, Edited, Entry, File, Message, Reacted, Topic, Typed, Who
from chatroom.log import Pass, Refused, Say, repeated
from chatroom.mentions import mentioned
from chatroom.names import folded
from chatroom.room import Room
from chatroom.session import TROUBLE, Problem, Session

if TYPE_CHECKING:
    from chatroom.chat import Chat

TYPING = 3.0
"""One `typing` of a user in a room is passed on in so many seconds."""
TOPIC = 250
"""The most characters of a topic."""
Render = Callable[[str], str]
"""Makes safe HTML of a text."""
EMOJI = 16
"""The most characters of an emoji: a family has eleven."""

# What is wrong now may have been right when it was said.
_NO_LONGER = frozenset(("forbidden", "no_such_file", "no_such_message", "too_many_reactions"))
_UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Zs"))
# Letters and symbols that are drawn as nothing.
_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"


def talk(session: Session, talk: Talk) -> None:
    chat, user, text = session.chat, session.user, talk.message
    render = _check(session, text, talk.type, talk.file)
    room = session.room(talk.room)
    time = rfc3339(chat.wall())
    message = Message(0, room.name, text, talk.type, user.who, time, talk.nonce)
    if talk.reply is not None or talk.file is not None:
        _connect(session, room, message, talk)
    user.talk = session.spend(user.talk)
    if message.file is not None:
        chat.attach(message.file.id)
    if render is not None or "@" in text or "＠" in text:
        _look_into(message, render, chat, room)
    chat.append(room, Say(room.key, message, session))


def edit(session: Session, edit: Edit) -> None:
    chat, text = session.chat, edit.message
    room = session.room(edit.room)
    time = rfc3339(chat.wall())
    type = edit.type or "text"
    entry = Edited(0, room.name, edit.of, text, type, session.user.who, time, edit.nonce)
    render = None
    with _unless_said(session, room, entry):
        message = _own(session, room, edit.of)
        entry.type = message.type if edit.type is None else edit.type
        render = _check(session, text, entry.type, message.file)
    _spend(session)
    _look_into(entry, render, chat, room)
    chat.append(room, Say(room.key, entry, session))


def delete(session: Session, delete: Delete) -> None:
    room = session.room(delete.room)
    time = rfc3339(session.chat.wall())
    entry = Deleted(0, room.name, delete.of, session.user.who, time, delete.nonce)
    with _unless_said(session, room, entry):
        _own(session, room, delete.of)
    _spend(session)
    session.chat.append(room, Say(room.key, entry, session))


def react(session: Session, react: React) -> None:
    room = session.room(react.room)
    if not is_emoji(react.emoji):
        raise Problem("bad_emoji", "this is no emoji")
    who, time = session.user.who, rfc3339(session.chat.wall())
    entry = Reacted(0, room.name, react.of, react.emoji, react.on, who, time, react.nonce)
    with _unless_said(session, room, entry):
        message = _message(room, react.of)
        if react.on and full(message.reactions, react.emoji, who.id):
            raise Problem("too_many_reactions", "this message has as many reactions as it can")
    _spend(session)
    session.chat.append(room, Say(room.key, entry, session))


def topic(session: Session, topic: SetTopic) -> None:
    room = session.room(topic.room)
    if room.parties:
        raise Problem("forbidden", "a direct room has no topic")
    if len(topic.topic) > TOPIC:
        raise Problem("too_long", f"a topic has at most {TOPIC} characters")
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in topic.topic):
        raise Problem("bad_message", "a topic is one line, without control characters")
    _spend(session)
    text = "" if blank(topic.topic) else topic.topic.strip()
    time = rfc3339(session.chat.wall())
    entry = Topic(0, room.name, text, session.user.who, time, topic.nonce)
    session.chat.append(room, Say(room.key, entry, session))


def rename(session: Session, rename: Rename) -> None:
    _spend(session)
    session.chat.rename(session.user, rename.name)


def typing(session: Session, typing: Typing) -> None:
    room, user, now = session.room(typing.room), session.user, session.chat.clock()
    if user.typed is None:
        user.typed = {}
    if now >= user.typed.get(room.key, float("-inf")) + TYPING:
        user.typed[room.key] = now
        event = Typed(room.name, user.id, user.name.shown)
        session.chat.append(room, Pass(room.key, event, None))


SAYING: dict[type, Callable[[Session, Any], None]] = {
    Talk: talk,
    Edit: edit,
    Delete: delete,
    React: react,
    SetTopic: topic,
    Rename: rename,
    Typing: typing,
}
"""What becomes of the commands that say something. All of these raise `Problem`."""


def _spend(session: Session) -> None:
    session.user.talk = session.spend(session.user.talk)


@contextmanager
def _unless_said(session: Session, room: Room[Session], entry: Entry) -> Iterator[None]:
    """
    Let it pass that *entry* cannot be said any more if it was said: the log has its answer.

    What it is about may be gone since, perhaps by itself.
    """
    try:
        yield
    except Problem as problem:
        if entry.nonce is None or problem.code not in _NO_LONGER:
            raise
        message = isinstance(entry, Message)
        original = session.chat.log.named(session.user.id, entry.nonce, message)
        if original is None:
            raise
        again = repeated(Say(room.key, entry, session), *original)
        if isinstance(again, Refused):
            raise Problem(again.code, TROUBLE[again.code]) from problem


def _connect(session: Session, room: Room[Session], message: Message, talk: Talk) -> None:
    """Have *message* answer what *talk* answers, and have the file that goes with it."""
    message.reply = talk.reply
    if talk.file is not None:
        # As far as it is known without looking.
        message.file = File(talk.file.id, talk.file.name, 0, "")
    with _unless_said(session, room, message):
        if talk.file is not None:
            message.file = _file(session, talk.file)
        if talk.reply is not None:
            _message(room, talk.reply)


def _look_into(
    entry: Message | Edited, render: Render | None, chat: Chat, room: Room[Session]
) -> None:
    """Find out what is in the text of *entry*."""
    if render is not None:
        try:
            entry.html = render(entry.message)
        except Exception as error:  # noqa: BLE001 (whatever it is, the text can be read as it is)
            chat.fault(error)
    entry.mentions = mentioned(entry.message, _called(chat, room))


def _called(chat: Chat, room: Room[Session]) -> Callable[[str], Who | None]:
    """Return what finds who is in *room*, or spoke lately, by the comparison form of a name."""

    @cache
    def speakers() -> dict[str, Who]:
        return {folded(entry.sender.name): entry.sender for entry in room.newest}

    def called(key: str) -> Who | None:
        user = chat.called(key)
        return user.who if user and room.key in user.rooms else speakers().get(key)

    return called


def _check(session: Session, text: str, type: str, file: object) -> Render | None:
    """See whether *text* can be said as *type*, with a *file*; return what makes HTML of it."""
    chat = session.chat
    if type not in chat.types:
        raise Problem("bad_message", "there is no such type of message")
    if len(text) > chat.limits.message:
        raise Problem("too_long", f"a message has at most {chat.limits.message} characters")
    if blank(text) and file is None:
        raise Problem("empty", "there is nothing to be seen in this message")
    return chat.types[type]


def _message(room: Room[Session], id: int) -> Message:
    message = room.message(id)
    if message is None or message.deleted:
        raise Problem("no_such_message", "there is no such message in this room")
    return message


def _own(session: Session, room: Room[Session], id: int) -> Message:
    message = _message(room, id)
    if message.sender.id != session.user.id:
        raise Problem("forbidden", "this is somebody else's message")
    return message


def _file(session: Session, attach: Attach) -> File:
    files = session.chat.files
    found = files.find(attach.id, session.user.id) if files is not None else None
    if files is None or found is None:
        raise Problem("no_such_file", "there is no such file")
    name = files.clean(attach.name)
    return File(found.id, name, found.size, found.type, found.width, found.height)


def blank(text: str) -> bool:
    """Return whether nothing can be seen in *text*: spaces, controls, zero-width characters."""
    for c in text:
        if "!" <= c <= "~" or not (unicodedata.category(c) in _UNSEEN or c in _EMPTY):
            return False
    return True


def is_emoji(text: str) -> bool:
    """
    Return whether *text* may be given to a message: an emoji, or a few other signs.

    Which emoji there are changes each year. So it is said what is none: letters (but for one that
    is an emoji), what cannot be seen, and what is too long.
    """
    return 0 < len(text) <= EMOJI and all(map(_drawn, text)) and any(map(_visible, text))


def _visible(c: str) -> bool:
    # Those of next year are not assigned yet.
    return unicodedata.category(c)[0] in "NPS" or c == "ℹ" or "\U0001f000" <= c <= "\U0001fbff"


def _drawn(c: str) -> bool:
    """Return whether *c* may be in an emoji: a sign, or what joins or colours signs."""
    joins = c == "\u200d" or "\U000e0020" <= c <= "\U000e007f"
    return joins or unicodedata.category(c)[0] == "M" or (_visible(c) and c not in _EMPTY)


def rfc3339(seconds: float) -> str:
    """Return *seconds* since 1970 as UTC with milliseconds (RFC 3339)."""
    return _millisecond(math.floor(seconds * 1000))


# In a busy room much is said in one millisecond, let alone in one second.
@lru_cache(maxsize=1)
def _millisecond(number: int) -> str:
    return f"{_second(number // 1000)}.{number % 1000:03}Z"


@lru_cache(maxsize=1)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%dT%H:%M:%S")
