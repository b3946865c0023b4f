"""
What comes in with a request, and what is answered that the chat has no record of.

Bodies and queries are commands of `chatroom.commands` without what the path says already, so that
all doors have the same members; a test keeps that.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from chatroom.commands import Attach, Id, Limit, Nonce
from chatroom.events import Who


class Say(Struct):
    """What to say, and what somebody new who says it would like to be called: *name*."""

    message: str
    type: str = "text"
    nonce: Nonce | None = None
    reply: Id | None = None
    file: Attach | None = None
    name: str | None = None


class Correction(Struct):
    """What a message says instead."""

    message: str
    type: str | None = None
    nonce: Nonce | None = None


class NewTopic(Struct):
    """What a room is about; nothing takes the topic away."""

    topic: str
    nonce: Nonce | None = None


class NewUser(Struct):
    """What somebody new would like to be called; without a *name* they are a guest."""

    name: str | None = None


# In a query nothing is null: what is not there was not given.


class WhichRooms(Struct):
    """Rooms with *match* in their names, behind the one called *after*, at most *limit*."""

    match: str = ""
    after: str = ""
    limit: Limit = 100


class WhichMessages(Struct):
    """At most *limit* messages: the newest, or those *before*, *after* or *around* an id."""

    before: Id | UnsetType = UNSET
    after: Id | UnsetType = UNSET
    around: Id | UnsetType = UNSET
    limit: Limit = 50


class WhatFor(Struct):
    """At most *limit* messages with all words of *query*; *before* is the `next` of an answer."""

    query: str
    room: str | UnsetType = UNSET
    before: Id | UnsetType = UNSET
    limit: Limit = 20


class Present(Struct):
    """Who is in *room*: *count* of them, and in a crowd only some of the *users*."""

    room: str
    users: list[Who]
    count: int


class Problem(Struct, omit_defaults=True):
    """
    Why something was not done: *code* for programs, *message* for people.

    After *retry_after* seconds it may be tried again.
    """

    code: str
    message: str
    retry_after: float | None = None
