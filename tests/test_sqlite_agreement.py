"""Whatever is said and changed, restarts and faults between: `SqliteLog` agrees with the reference."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from chatroom.events import Deleted, Edited, Entry, File, Message, Reacted, Renamed, Topic, Who
from chatroom.log import Draft, Found, Log, Mark, Outcome, Pass, Refused, Repeated, Say, Unavailable
from chatroom.memory import MemoryLog
from chatroom.sqlite import writing
from tests.test_sqlite import Desk, moved, refused

TIME = "2026-11-21T07:28:00.000Z"
ROOMS = ("lobby", "dev", "@1-2")
USERS = range(1, 5)
FILES = {name: File(name * 32, f"{name}.png", 9, "image/png", 1, 2) for name in ("ab", "cd")}

IDS = st.integers(1, 9)
TEXTS = st.sampled_from(("tea", "black tea", "coffee", "喝茶", ""))
NONCES = st.none() | st.sampled_from("mnop")
HTML = st.sampled_from((None, None, "", "<p>tea</p>"))
MENTIONS = st.lists(st.sampled_from(USERS), max_size=2).map(tuple)

TALK = st.tuples(
    st.just("talk"),
    *(TEXTS, HTML, st.none() | IDS, MENTIONS, st.none() | st.sampled_from(("ab", "cd"))),
)
CHANGE = st.one_of(
    st.tuples(st.just("edit"), IDS, TEXTS, HTML, MENTIONS),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("react"), IDS, st.sampled_from("👍🎉"), st.booleans()),
    st.tuples(st.just("topic"), TEXTS),
)
SAY = st.tuples(
    st.just("say"), st.sampled_from(USERS), st.sampled_from(ROOMS), NONCES, TALK | CHANGE
)
DRAFT = st.one_of(
    SAY,
    SAY,
    st.tuples(
        st.just("mark"),
        *(st.sampled_from(USERS), st.sampled_from(ROOMS), st.none() | st.integers(0, 12)),
    ),
    st.tuples(st.just("rename"), st.sampled_from(USERS), st.sampled_from(("Xa", "Xe", "Xi"))),
)
BATCHES = st.lists(
    st.tuples(
        st.sampled_from(("well", "well", "well", "restart", "fault")),
        st.lists(DRAFT, min_size=1, max_size=14),
    ),
    min_size=1,
    max_size=10,
)


class People:
    """How the users are called, which decides what drafts look like."""

    def __init__(self) -> None:
        self._names = {id: f"user {id}" for id in USERS}

    def who(self, id: int) -> Who:
        return Who(id, self._names[id])

    def draft(self, deed: tuple[Any, ...]) -> Draft:
        """Return a new draft of *deed*."""
        kind, user, *rest = deed
        if kind == "rename":
            was, self._names[user] = self._names[user], rest[0]
            return Pass("", Renamed(user, rest[0], was), None)
        if kind == "mark":
            return Mark(rest[0], user, rest[1], None)
        room, nonce, what = rest
        return Say(room, self._entry(self.who(user), room.capitalize(), nonce, *what), None)

    def _entry(self, sender: Who, room: str, nonce: str | None, kind: str, *rest: Any) -> Entry:
        if kind == "talk":
            text, html, reply, mentions, file = rest
            whom = tuple(map(self.who, mentions))
            message = Message(0, room, text, "markdown", sender, TIME, nonce, html, reply, whom)
            message.file = FILES.get(file)
            return message
        if kind == "edit":
            of, text, html, mentions = rest
            whom = tuple(map(self.who, mentions))
            return Edited(0, room, of, text, "text", sender, TIME, nonce, html, whom)
        if kind == "delete":
            return Deleted(0, room, rest[0], sender, TIME, nonce)
        if kind == "react":
            of, emoji, on = rest
            return Reacted(0, room, of, emoji, on, sender, TIME, nonce)
        return Topic(0, room, rest[0], sender, TIME, nonce)


def answers(log: Log) -> dict[str, Any]:
    """Return all that *log* tells who asks."""
    found: dict[str, Any] = {
        "rooms": log.rooms("", "", 9),
        "some rooms": log.rooms("e", "dev", 9),
        "users": [log.user(id) for id in USERS],
        "files": [log.has_file(file.id) for file in FILES.values()],
        "readings": [sorted(log.readings(id)) for id in USERS],
    }
    for room in ROOMS:
        known = log.room(room)
        last = known.last if known else 0
        found[room] = {
            "known": known,
            "read": [log.read(room, id) for id in USERS],
            "since": [log.since(room, id, 3) for id in range(last + 1)],
            "all": log.since(room, 0, 200),
            "before": [log.before(room, id, 3) for id in range(last + 2)],
            "after": [log.after(room, id, 3) for id in range(last + 1)],
            "message": [log.message(room, id) for id in range(last + 2)],
            "edits": [log.edits(room, id, 2 + id % 9) for id in range(last + 2)],
        }
    return found


def searched(log: Log, turn: Callable[[], object]) -> list[Message]:
    """Return all that a search of user 1 finds in *log*, page by page."""
    messages: list[Message] = []
    before = None
    while True:
        reports: list[Found | Unavailable] = []
        log.search("tea", None, ("@1-2",), before, 3, reports.append)
        while not reports:
            turn()
        (found,) = reports
        assert isinstance(found, Found), found
        messages += found.messages
        before = found.next
        if before is None:
            return messages


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(0, 2))
def test_it_does_as_the_reference_does(
    batches: list[tuple[str, list[tuple[Any, ...]]]], known: int
) -> None:
    turns: list[Callable[[], None]] = []
    reference = MemoryLog(turns.append)
    expected: list[Outcome] = []
    reference.listener = expected.extend
    people, same_people = People(), People()
    with (
        mock.patch.object(writing, "KNOWN", known),
        tempfile.TemporaryDirectory() as folder,
        contextlib.ExitStack() as stack,
    ):
        path = Path(folder, "chatroom.sqlite")
        desk = stack.enter_context(Desk(path))
        for how, deeds in batches:
            drafts = [people.draft(deed) for deed in deeds]
            same_drafts = [same_people.draft(deed) for deed in deeds]
            if how == "restart":
                stack.close()
                desk = stack.enter_context(Desk(path))
            del expected[:]
            if how == "fault":
                with moved(path):
                    outcomes = desk.settle(*drafts)
                refused([o for o in outcomes if not isinstance(o, Pass | Mark)])
                # A name is kept later, but a mark is not.
                same_drafts = [draft for draft in same_drafts if isinstance(draft, Pass)]
                outcomes = [outcome for outcome in outcomes if isinstance(outcome, Pass)]
            else:
                outcomes = desk.settle(*drafts)
            for draft in same_drafts:
                reference.append(draft)
            while turns:
                turns.pop(0)()
            for outcome in outcomes:
                if isinstance(outcome, Refused | Repeated):
                    # It may have got an id in vain, at which nobody looks.
                    outcome.draft.entry.id = 0
            assert outcomes == expected
            if how != "fault":
                assert answers(desk.log) == answers(reference)
        # What could not be kept of the last batch is kept by now.
        desk.settle(Pass("", Renamed(9, "Nina", "Nan"), None))
        assert answers(desk.log) == answers(reference)
        assert searched(desk.log, desk.turn) == searched(reference, lambda: turns.pop(0)())
