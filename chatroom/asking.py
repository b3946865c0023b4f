"""Where a session goes, what it has read, and what it asks: how that is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from chatroom import names
from chatroom.commands import (
    Bad,
    DirectTo,
    Edits,
    Exit,
    History,
    Join,
    Mine,
    Ping,
    Read,
    Rooms,
    Search,
)
from chatroom.events import (
    PAGE,
    Hits,
    Listed,
    Listing,
    Own,
    Owned,
    Page,
    Pong,
    Version,
    Versions,
    encode,
)
from chatroom.log import Found, Known, Mark, Unavailable
from chatroom.names import BadName
from chatroom.room import fitting
from chatroom.session import UNAVAILABLE, Asked, Problem, Session, room_name

HITS = 50
"""The most messages that one `search` is answered with."""
LISTED = 100
"""The most rooms that one `rooms` is answered with."""
QUERY = 250
"""The most characters of what is searched for."""
VERSIONS = 50
"""The most texts of a message that one `edits` is answered with: the last ones."""
SEARCHES = 5
"""So many searches of one session may be under way or wait."""


def bad(session: Session, bad: Bad) -> None:
    raise Problem("bad_message", bad.why)


def ping(session: Session, ping: Ping) -> None:
    session.reply(Pong(ping.data))


def join(session: Session, join: Join) -> None:
    _spend_move(session)
    name = room_name(join.room)
    session.admit(name)
    session.join(name, join.after, join.epoch)


def direct(session: Session, direct: DirectTo) -> None:
    _spend_move(session)
    try:
        name = names.direct(session.user.id, direct.id)
    except BadName as error:
        raise Problem("no_such_user", str(error)) from error
    session.admit(name)
    session.join(name, None, None)


def exit(session: Session, exit: Exit) -> None:
    room = session.room(exit.room)
    _spend_move(session)
    if not room.parties:
        session.chat.append(room, Mark(room.key, session.user.id, None, None))
    session.chat.leave(session.whole, room)


def read(session: Session, read: Read) -> None:
    room = session.room(read.room)
    _spend_move(session)
    id = min(read.id, room.last)
    session.chat.append(room, Mark(room.key, session.user.id, id, None))


def history(session: Session, history: History) -> None:
    room = session.room(history.room)
    places = history.before, history.after, history.around
    if sum(place is not None for place in places) > 1:
        raise Problem("bad_message", "history has one of before, after and around")
    session.whole.turn_page()
    messages, more, newer = room.page(*places, min(history.limit, PAGE))
    session.reply(Page(room.name, messages, more, newer, history.nonce))


def edits(session: Session, edits: Edits) -> None:
    room = session.room(edits.room)
    _spend_question(session)

    def size(version: Version) -> int:
        return len(encode(Versions(room.name, edits.of, [version])))

    log = session.chat.log
    versions = log.edits(room.key, edits.of, VERSIONS) if edits.of <= room.last else []
    if not versions:
        raise Problem("no_such_message", "there is no such message in this room")
    versions = fitting(versions, len(versions), size)
    session.reply(Versions(room.name, edits.of, versions))


def rooms(session: Session, rooms: Rooms) -> None:
    _spend_question(session)
    chat = session.chat
    limit = min(rooms.limit, LISTED)
    match, after = names.folded(rooms.match), names.folded(rooms.after)
    known = {
        names.room_name(room.name).key: room for room in chat.log.rooms(match, after, limit + 1)
    }
    new = {
        key: Known(room.name, 0, 0, "")
        for key, room in chat.rooms.items()
        if not (room.last or room.parties) and key > after and match in key
    }
    found = sorted((new | known).items())
    listed = [
        Listed(room.name, chat.count(key), room.last, room.topic) for key, room in found[:limit]
    ]
    session.reply(Listing(listed, len(found) > limit))


def mine(session: Session, mine: Mine) -> None:
    _spend_question(session)
    chat, me = session.chat, session.user.id
    own = [
        Own(
            room.name,
            chat.count(key),
            room.last,
            read,
            unread,
            mentions,
            room.topic,
            chat.other(key, me),
        )
        for key, room, read, unread, mentions in sorted(chat.log.readings(me))
    ]
    session.reply(Owned(own))


def _spend_move(session: Session) -> None:
    session.user.moves = session.spend(session.user.moves, 5)


def _spend_question(session: Session) -> None:
    session.user.questions = session.spend(session.user.questions, 5)


def search(session: Session, search: Search) -> None:
    _spend_question(session)
    if len(search.query) > QUERY:
        raise Problem("too_long", f"what is searched for has at most {QUERY} characters")
    whole = session.whole
    if len(whole.searches) >= SEARCHES:
        raise Problem("rate_limited", "one search after the other", 1.0)
    chat, me = session.chat, session.user.id
    if search.room is None:
        asked = Asked(session, search, None, None, chat.log.directs(me))
    else:
        name = room_name(search.room)
        session.admit(name)
        known = chat.log.room(name.key)
        asked = Asked(session, search, known.name if known else name.shown, [name.key], [])
    whole.searches = whole.searches or deque()
    whole.searches.append(asked)
    if len(whole.searches) == 1:
        _search(asked, min(search.limit, HITS))


def _search(asked: Asked, limit: int) -> None:
    """Answer what was *asked* with at most *limit* messages, and then what waits behind it."""
    session, search = asked.session, asked.search
    whole = session.whole

    def report(found: Found | Unavailable) -> None:
        if not whole.searches:
            # It is gone.
            return
        if isinstance(found, Found) and limit > 1 and _too_much(found):
            _search(asked, limit // 2)
            return
        # First, for who is answered may ask again at once, or be gone.
        whole.searches.popleft()
        if whole.searches:
            following = whole.searches[0]
            _search(following, min(following.search.limit, HITS))
        if isinstance(found, Found):
            hits = Hits(search.query, found.messages, asked.name, found.next, search.nonce)
            session.reply(hits)
        else:
            session.refuse(search, UNAVAILABLE)

    session.chat.log.search(search.query, asked.rooms, asked.also, search.before, limit, report)


def _too_much(found: Found) -> bool:
    return len(fitting(found.messages, 0)) < len(found.messages)


ASKING: dict[type, Callable[[Session, Any], None]] = {
    Bad: bad,
    Ping: ping,
    Join: join,
    DirectTo: direct,
    Exit: exit,
    Read: read,
    History: history,
    Edits: edits,
    Rooms: rooms,
    Mine: mine,
    Search: search,
}
"""How the other commands are answered. All of these raise `Problem` and `Unavailable`."""
