"""What can be done by a request (`OPERATIONS`): where, with what, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from msgspec import Struct

from chatroom import commands, names
from chatroom.answers import Refusal, refusal
from chatroom.commands import Delete, Edit, Edits, History, React, Rename, Search, SetTopic, Talk
from chatroom.events import (
    Deleted,
    Edited,
    Hits,
    Listed,
    Listing,
    Message,
    Page,
    Reacted,
    Self,
    Topic,
    Versions,
    Who,
)
from chatroom.log import Unavailable
from chatroom.rest.asked import Asked
from chatroom.rest.records import (
    Correction,
    NewTopic,
    NewUser,
    Present,
    Say,
    WhatFor,
    WhichMessages,
    WhichRooms,
)
from chatroom.rest.refusals import GONE
from chatroom.room import Room
from chatroom.session import UNAVAILABLE, Problem

ROOM = "/rooms/{room}"
MESSAGE = f"{ROOM}/messages/{{id}}"
REACTION = f"{MESSAGE}/reactions/{{emoji}}"


class Operation(NamedTuple):
    """
    What *method* does at *path*, a template: *does*, whose words are for those who use it.

    It takes a *query* and a *body* of these records, and its *answer* is such a record with the
    *status*; or it is refused with one of the *codes*. With *token* it is only for somebody known.
    """

    method: str
    path: str
    does: Callable[[Asked], None]
    answer: Any
    codes: frozenset[str]
    status: int = 200
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    token: bool = False

    @property
    def once(self) -> bool:
        """Whether it is done once only with the same nonce."""
        return "nonce_reused" in self.codes


OPERATIONS: list[Operation] = []


def operation(
    method: str, path: str, answer: Any, codes: str = "", **more: Any
) -> Callable[[Callable[[Asked], None]], Callable[[Asked], None]]:
    """Have the function that follows be an `Operation`, refused with *codes* or as any may be."""
    found = {"unauthorized", "forbidden", *codes.split()}
    if "{room}" in path:
        found |= {"bad_room", "no_such_user", "not_found", "unavailable"}
    if "{id}" in path:
        found.add("no_such_message")
    if method != "GET":
        found |= {"rate_limited", "unavailable"}
    if "query" in more or "body" in more or "nonce_reused" in found:
        found.add("bad_message")
    if "body" in more:
        found |= {"too_large", "bad_type"}

    def add(does: Callable[[Asked], None]) -> Callable[[Asked], None]:
        OPERATIONS.append(Operation(method, path, does, answer, frozenset(found), **more))
        return does

    return add


@operation("GET", "/rooms", Listing, "rate_limited unavailable", query=WhichRooms)
def list_rooms(asked: Asked) -> None:
    """
    Get the public rooms, by name.

    For the next ones, ask again with the last name as `after`.
    """
    asked.ask(commands.Rooms(**asked.given))


@operation("GET", ROOM, Listed)
def get_room(asked: Asked) -> None:
    """
    Get a room: its topic, how many are in it, and the id of its last entry.

    A room need not be made: one in which nothing was said yet is empty.
    """
    look(asked, lambda room: Listed(room.name, len(room.here), room.last, room.topic))


@operation("GET", f"{ROOM}/users", Present)
def list_users(asked: Asked) -> None:
    """
    Get who is in a room.

    In a crowd these are only some of them; `count` are all.
    """

    def present(room: Room[Any]) -> Present:
        count = len(room.here)
        sample = room.sample() if count else None
        return Present(room.name, [*sample.users, sample.last] if sample else [], count)

    look(asked, present)


@operation("PUT", f"{ROOM}/topic", Topic, "too_long nonce_reused", body=NewTopic, token=True)
def set_topic(asked: Asked) -> None:
    """
    Say what a room is about.

    The answer is this change, as all others get it.
    """
    asked.ask(SetTopic(room=asked.path["room"], **asked.given))


@operation("GET", f"{ROOM}/messages", Page, query=WhichMessages)
def list_messages(asked: Asked) -> None:
    """
    Get messages of a room, oldest first: the newest, or those at a certain place.

    You may give one of `before`, `after` and `around`. There are 200 at most; fewer if they are
    long. Believe `more` and `newer`.
    """
    asked.ask(History(asked.path["room"], **asked.given))


@operation(
    "POST",
    f"{ROOM}/messages",
    Message,
    "too_long empty bad_name name_taken no_such_message no_such_file nonce_reused",
    status=201,
    body=Say,
)
def say(asked: Asked) -> None:
    """
    Say something.

    Without a token you are somebody new. With a nonce, which needs a token, it is said once however
    often you ask: the answer is the message that was said with it.
    """

    def said(message: Message) -> Message:
        asked.located(f"/rooms/{quote(message.room)}/messages/{message.id}")
        return message

    name = asked.given.pop("name", None)
    asked.ask(Talk(room=asked.path["room"], **asked.given), said, name=name)


@operation("GET", MESSAGE, Message)
def get_message(asked: Asked) -> None:
    """Get one message."""
    id = asked.path["id"]

    def found(page: Page) -> Message | Refusal:
        for message in page.messages:
            if message.id == id and not message.deleted:
                return message
        return GONE

    asked.ask(History(asked.path["room"], around=id, limit=1), found)


@operation("PATCH", MESSAGE, Edited, "too_long empty nonce_reused", body=Correction, token=True)
def edit_message(asked: Asked) -> None:
    """
    Have one of your own messages say something else.

    The answer is this change, as all others get it.
    """
    asked.ask(Edit(asked.path["id"], room=asked.path["room"], **asked.given))


@operation("DELETE", MESSAGE, Deleted, "nonce_reused", token=True)
def delete_message(asked: Asked) -> None:
    """
    Take back one of your own messages.

    The answer is this change, as all others get it.
    """
    asked.ask(Delete(asked.path["id"], asked.path["room"], **asked.given))


@operation("GET", f"{MESSAGE}/edits", Versions, "rate_limited")
def list_edits(asked: Asked) -> None:
    """Get the last 50 texts of a message, the present one last."""
    asked.ask(Edits(asked.path["id"], asked.path["room"]))


@operation("PUT", REACTION, Reacted, "bad_emoji too_many_reactions nonce_reused", token=True)
def react(asked: Asked) -> None:
    """
    Give a message an emoji.

    The answer is this change, as all others get it.
    """
    path = asked.path
    asked.ask(React(path["id"], path["emoji"], True, path["room"], **asked.given))


@operation("DELETE", REACTION, Reacted, "bad_emoji nonce_reused", token=True)
def take_back_reaction(asked: Asked) -> None:
    """
    Take your emoji away from a message.

    The answer is this change, as all others get it.
    """
    path = asked.path
    asked.ask(React(path["id"], path["emoji"], False, path["room"], **asked.given))


@operation(
    "GET", "/search", Hits, "too_long bad_room no_such_user rate_limited unavailable", query=WhatFor
)
def search(asked: Asked) -> None:
    """
    Get the messages with certain words, newest first.

    Without `room`: of all public rooms, and of your direct ones. For older ones, ask again with
    `next` as `before`.
    """
    asked.ask(Search(**asked.given))


@operation("POST", "/users", Self, "bad_name name_taken", status=201, body=NewUser)
def come(asked: Asked) -> None:
    """
    Be somebody new.

    Keep the token secret: whoever has it is you. It is good for all doors.
    """
    try:
        me = asked.chat.introduce(asked.given.get("name"))
    except Unavailable:
        asked.answer(refusal(UNAVAILABLE.error()))
    except Problem as problem:
        asked.answer(refusal(problem.error()))
    else:
        asked.located("/users/me")
        asked.answer(me)


@operation("GET", "/users/me", Who, token=True)
def get_me(asked: Asked) -> None:
    """Get your id and your name."""
    asked.answer(_me(asked))


@operation("PATCH", "/users/me", Who, "bad_name name_taken", body=Rename, token=True)
def rename_me(asked: Asked) -> None:
    """Be called something else."""
    asked.ask(Rename(**asked.given), lambda _: _me(asked))


def look(asked: Asked, then: Callable[[Room[Any]], object]) -> None:
    """Answer what *then* makes of the room that is asked for, if that is one for who asks."""
    wish = asked.path["room"]
    # Whoever may read it may see this; and while it is read, it is open.
    asked.ask(History(wish, limit=1), lambda _: then(asked.chat.rooms[names.room_name(wish).key]))


def _me(asked: Asked) -> Who:
    assert asked.me is not None
    return asked.chat.who(asked.me)
