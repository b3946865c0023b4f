"""`MemoryLog`, the reference of a `chatroom.log.Log`: what is said is gone with the process."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import count, islice, zip_longest
from operator import itemgetter

from msgspec.structs import replace

from chatroom.changes import changed
from chatroom.events import Deleted, Edited, Entry, Message, Reacted, Renamed, Topic, Version
from chatroom.log import (
    READ,
    SEVERAL,
    Draft,
    Found,
    Known,
    Mark,
    Outcome,
    Reading,
    Said,
    Say,
    Unavailable,
    ignore,
    repeated,
)
from chatroom.names import parties
from chatroom.terms import matches

SCANNED = 5000
"""A search looks at so many messages at once, …"""
SCANNED_TEXT = 500_000
"""… or at texts of about so many characters together: nobody else is answered meanwhile."""


class _Kept:
    """What is kept of a room: its newest *entries*, of which the messages are as they are now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.topic = ""
        self.last = 0
        self.said = 0
        self.entries: deque[Entry] = deque()
        self.seqs: deque[int] = deque()
        self.versions: dict[int, list[Version]] = {}

    @property
    def known(self) -> Known:
        return Known(self.name, self.last, self.said, self.topic)

    @property
    def active(self) -> int:
        """The number of the last message in the order of all rooms, if it is kept."""
        return self.seqs[self.at(self.said)]

    def at(self, id: int) -> int:
        """Return the place of the first entry with an id of at least *id*."""
        first = self.entries[0].id if self.entries else self.last + 1
        return min(max(0, id - first), len(self.entries))

    def message(self, id: int) -> Message | None:
        place = self.at(id)
        if place < len(self.entries) and self.entries[place].id == id:
            entry = self.entries[place]
            return entry if isinstance(entry, Message) else None
        return None

    def backwards(self, before: int) -> Iterator[Message]:
        """The messages below *before*, the newest first."""
        entries = islice(reversed(self.entries), len(self.entries) - self.at(before), None)
        return (entry for entry in entries if isinstance(entry, Message))

    def numbered(self) -> Iterator[tuple[int, Message]]:
        """The messages and their numbers in the order of all rooms, the newest first."""
        both = zip(reversed(self.seqs), reversed(self.entries), strict=True)
        return ((seq, entry) for seq, entry in both if isinstance(entry, Message))


class MemoryLog:
    """
    A log in memory, gone with the process.

    *later* calls a callable later, in the order given. The newest *keep* entries of each room are
    kept.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], keep: int = 10_000) -> None:
        self.epoch = secrets.token_hex(8)
        self.secret = secrets.token_bytes(32)
        self.listener: Callable[[Sequence[Outcome]], None] = ignore
        self._later = later
        self._keep = keep
        self._drafts: list[Draft] = []
        self._rooms: dict[str, _Kept] = {}
        self._nonces: dict[tuple[bool, int, str], tuple[str, int]] = {}
        self._users: dict[int, str] = {}
        self._marks: dict[int, dict[str, int]] = {}
        self._files: Counter[str] = Counter()
        self._dropped: deque[str] = deque()
        self._ids = count(1)
        self._seqs = count(1)

    def append(self, draft: Draft) -> None:
        self._drafts.append(draft)
        if len(self._drafts) == 1:
            self._later(self._turn)

    def room(self, room: str) -> Known | None:
        kept = self._rooms.get(room)
        return kept.known if kept else None

    def since(self, room: str, after: int, limit: int) -> list[Entry]:
        if (kept := self._rooms.get(room)) is None:
            return []
        start = kept.at(after + 1)
        return list(islice(kept.entries, start, start + limit))

    def before(self, room: str, before: int, limit: int) -> list[Message]:
        if (kept := self._rooms.get(room)) is None:
            return []
        return list(islice(kept.backwards(before), limit))[::-1]

    def after(self, room: str, after: int, limit: int) -> list[Message]:
        if (kept := self._rooms.get(room)) is None:
            return []
        entries = islice(kept.entries, kept.at(after + 1), None)
        return list(islice((entry for entry in entries if isinstance(entry, Message)), limit))

    def message(self, room: str, id: int) -> Message | None:
        kept = self._rooms.get(room)
        return kept.message(id) if kept else None

    def edits(self, room: str, id: int, limit: int) -> list[Version]:
        message = self.message(room, id)
        if message is None or message.deleted:
            return []
        now = Version(message.message, message.type, message.edited or message.time, message.html)
        return [*self._rooms[room].versions.get(id, ()), now][-limit:]

    def named(self, user: int, nonce: str, message: bool) -> tuple[str, Entry] | None:
        key = message, user, nonce
        return self._original(key) if key in self._nonces else None

    def rooms(self, match: str, after: str, limit: int) -> list[Known]:
        keys = sorted(
            key for key in self._rooms if key > after and match in key and not parties(key)
        )
        return [self._rooms[key].known for key in keys[:limit]]

    def readings(self, user: int) -> list[Reading]:
        marks = dict.fromkeys(self.directs(user), 0)
        marks |= self._marks.get(user, {})
        kinds: tuple[list[str], list[str]] = [], []
        for key in sorted(marks, key=lambda key: self._rooms[key].active, reverse=True):
            kinds[parties(key) is not None].append(key)
        turns = (key for both in zip_longest(*kinds) for key in both if key is not None)
        return [self._reading(user, key, marks[key]) for key in islice(turns, READ)]

    def directs(self, user: int) -> list[str]:
        return [key for key in self._rooms if user in (parties(key) or ())]

    def read(self, room: str, user: int) -> int | None:
        return self._marks.get(user, {}).get(room)

    def has_file(self, id: str) -> bool:
        return self._files[id] > 0

    def search(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
        report: Callable[[Found | Unavailable], None],
    ) -> None:
        self._later(lambda: report(self._found(query, rooms, also, before, limit)))

    def _found(
        self,
        query: str,
        rooms: Sequence[str] | None,
        also: Sequence[str],
        before: int | None,
        limit: int,
    ) -> Found:
        keys = [key for key in self._rooms if not parties(key)] if rooms is None else rooms
        there = [self._rooms[key] for key in {*keys, *also} if key in self._rooms]
        newest = merge(*(kept.numbered() for kept in there), reverse=True, key=itemgetter(0))
        older = (both for both in newest if before is None or both[0] < before)
        found: list[Message] = []
        end = next = None
        text = 0
        for looked, (seq, message) in enumerate(older):
            enough = looked == SCANNED or text >= SCANNED_TEXT
            if not enough and matches(query, message.message):
                enough = len(found) == limit
                if not enough:
                    found.append(message)
            if enough:
                next = end
                break
            end = seq
            text += len(message.message)
        return Found(found, next)

    def user(self, id: int) -> str | None:
        return self._users.get(id)

    def new_user(self) -> int:
        return next(self._ids)

    def check(self, report: Callable[[str | None], None]) -> None:
        self._later(lambda: report(None))

    def _reading(self, user: int, key: str, read: int) -> Reading:
        kept = self._rooms[key]
        unread = mentions = 0
        for message in kept.backwards(kept.last + 1):
            if message.id <= read or unread >= SEVERAL <= mentions:
                break
            if message.sender.id != user and not message.deleted:
                unread += 1
                mentions += any(who.id == user for who in message.mentions)
        return Reading(key, kept.known, read, min(unread, SEVERAL), min(mentions, SEVERAL))

    def _turn(self) -> None:
        drafts, self._drafts = self._drafts, []
        self.listener([self._settle(draft) for draft in drafts])

    def _settle(self, draft: Draft) -> Outcome:
        if isinstance(draft, Say):
            return self._say(draft)
        if isinstance(draft, Mark):
            self._mark(draft)
        elif isinstance(draft.event, Renamed) and draft.event.id in self._users:
            self._users[draft.event.id] = draft.event.name
        return draft

    def _mark(self, mark: Mark) -> None:
        if mark.id is None:
            self._marks.get(mark.user, {}).pop(mark.room, None)
        elif mark.room in self._rooms:
            marks = self._marks.setdefault(mark.user, {})
            marks[mark.room] = max(mark.id, marks.get(mark.room, 0))

    def _say(self, draft: Say) -> Outcome:
        entry = draft.entry
        kept = self._rooms.get(draft.room)
        nonce = None
        if entry.nonce is not None:
            nonce = isinstance(entry, Message), entry.sender.id, entry.nonce
            if nonce in self._nonces:
                return repeated(draft, *self._original(nonce))
        if kept is None:
            kept = self._rooms[draft.room] = _Kept(entry.room)
        # Nobody has seen it yet.
        entry.id = kept.last = kept.last + 1
        if nonce is not None:
            self._nonces[nonce] = draft.room, entry.id
        kept.entries.append(entry)
        kept.seqs.append(next(self._seqs))
        self._users[entry.sender.id] = entry.sender.name
        released: str | None = None
        if isinstance(entry, Message):
            kept.said = entry.id
            if entry.file is not None:
                self._files[entry.file.id] += 1
        elif isinstance(entry, Topic):
            kept.topic = entry.topic
        else:
            released = self._change(kept, entry)
        if len(kept.entries) > self._keep:
            self._drop(kept)
        return Said(draft, entry, released or self._dropped_file())

    def _original(self, nonce: tuple[bool, int, str]) -> tuple[str, Entry]:
        room, id = self._nonces[nonce]
        kept = self._rooms[room]
        return room, kept.entries[kept.at(id)]

    def _change(self, kept: _Kept, change: Edited | Deleted | Reacted) -> str | None:
        """Change the message that *change* is about; return what file nobody refers to now."""
        message = kept.message(change.of)
        if message is None:
            return None
        if message.deleted:
            if isinstance(change, Edited):
                change.message, change.html, change.mentions = "", None, ()
            return None
        if isinstance(change, Edited):
            begun = message.edited or message.time
            version = Version(message.message, message.type, begun, message.html)
            kept.versions.setdefault(message.id, []).append(version)
        kept.entries[kept.at(message.id)] = changed(message, change)
        if not isinstance(change, Deleted):
            return None
        kept.versions.pop(message.id, None)
        for entry in islice(kept.entries, kept.at(message.id), None):
            if isinstance(entry, Edited) and entry.of == message.id:
                kept.entries[kept.at(entry.id)] = replace(entry, message="", html=None, mentions=())
        return self._release(message)

    def _release(self, message: Message) -> str | None:
        if message.file is None:
            return None
        self._files[message.file.id] -= 1
        return None if self.has_file(message.file.id) else message.file.id

    def _drop(self, kept: _Kept) -> None:
        gone = kept.entries.popleft()
        kept.seqs.popleft()
        if gone.nonce is not None:
            del self._nonces[isinstance(gone, Message), gone.sender.id, gone.nonce]
        if isinstance(gone, Message):
            kept.versions.pop(gone.id, None)
            if (file := self._release(gone)) is not None:
                self._dropped.append(file)

    def _dropped_file(self) -> str | None:
        """Return a file of a message that was dropped, if nobody refers to it now."""
        while self._dropped:
            if not self.has_file(file := self._dropped.popleft()):
                return file
        return None
