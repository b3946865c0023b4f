"""What a client has of a room that keeps to the protocol, against which all that comes is held."""

from __future__ import annotations

from collections.abc import Container, Sequence

from msgspec.structs import replace

from tests.fuzz import wire

DIFFERENT, GIVEN = 20, 500
"""So many different reactions a message has, and so many in all."""
KEPT = 500
"""So many messages of a room a client has at hand."""


class Wrong(Exception):
    """What a server must not do; the text says what it did."""


class Past:
    """
    A room up to its entry *last*: its *topic*, and so many messages at hand as they are.

    All methods raise `Wrong` where something does not fit.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.last = 0
        self.topic = ""
        self.messages: dict[int, wire.Talk] = {}
        self._kept = kept

    def begin(self, init: wire.Init, known: bool, claims: Container[int]) -> None:
        """Begin with *init*; go on if something is *known*, or behind what the client claims."""
        where = f"the init of {init.room} up to {init.last}"
        if init.last < self.last:
            raise Wrong(f"{where}, with {self.last} known")
        if not init.resumed:
            self.messages.clear()
        else:
            self._go_on(init, known, claims, where)
        for message in init.messages:
            self.keep(message)
        self.last, self.topic = init.last, init.topic or ""

    def take(self, entry: wire.Entry) -> None:
        """Take *entry*, which is the next one."""
        self.last = entry.id
        if isinstance(entry, wire.Talk):
            self.keep(entry)
        elif isinstance(entry, wire.Topic):
            self.topic = entry.topic
        elif (message := self.messages.get(entry.of)) is not None:
            self.messages[entry.of] = changed(message, entry)

    def keep(self, message: wire.Talk) -> None:
        """Have *message* at hand."""
        self.messages[message.id] = message
        if len(self.messages) > self._kept:
            del self.messages[next(iter(self.messages))]

    def same(self, message: wire.Talk) -> None:
        """
        See that *message*, which was asked for, is what it is known to be by now.

        It may be ahead, with a change that is kept already and still to be told.
        """
        if message.id > self.last:
            raise Wrong(f"a message from behind {self.last}: {message}")
        known = self.messages.get(message.id, message)
        if known != message and (message.changed or 0) <= self.last:
            raise Wrong(f"not as it is by {self.last}: {message}, but {known}")

    def lately(self, message: wire.Talk) -> None:
        """See that *message*, which was found some moments ago, is what it may have been then."""
        known = self.messages.get(message.id)
        if known is None or (known.changed or 0) <= (message.changed or 0):
            self.same(message)

    def page(self, page: wire.History) -> None:
        """See that *page* has what is known to be there."""
        for message in page.messages:
            self.same(message)
        ids = [message.id for message in page.messages]
        if ids:
            missing = {id for id in self.messages if ids[0] < id < ids[-1]}.difference(ids)
            before, behind = min(self.messages, default=ids[0]), max(self.messages, default=0)
            if (
                missing
                or (before < ids[0] and not page.more)
                or (behind > ids[-1] and not page.newer)
            ):
                more = f"more {page.more}, newer {page.newer}"
                raise Wrong(f"a page {ids}, {more}, without {sorted(missing)} of {self.messages}")
        for message in page.messages:
            self.keep(message)

    def edits(self, answer: wire.Versions) -> None:
        """See that what the message says by now is in *answer*, which may be ahead."""
        message = self.messages.get(answer.of)
        if message is None:
            return
        begun = message.edited or message.time
        now = wire.Version(message.message, message.type, begun, message.html)
        if now not in answer.versions or message.deleted:
            raise Wrong(f"the versions {answer.versions} of {message}")

    def _go_on(self, init: wire.Init, known: bool, claims: Container[int], where: str) -> None:
        changes = [told.change for told in init.changes or ()]
        new = {message.id: message for message in init.messages}
        ids = sorted([*new, *(change.id for change in changes)])
        start = ids[0] - 1 if ids else init.last
        if ids != list(range(start + 1, init.last + 1)):
            raise Wrong(f"{where} with a hole: {ids}")
        if [change.id for change in changes] != sorted(change.id for change in changes):
            raise Wrong(f"{where} with changes out of order")
        if start != (self.last if known else start) and start not in claims:
            raise Wrong(f"{where} goes on behind {start}, and {self.last} was known")
        if start > self.last:
            self.messages.clear()
        topic = None if start > self.last or not known else self.topic
        for change in changes:
            if isinstance(change, wire.Topic):
                topic = change.topic
                continue
            message = new.get(change.of)  # type: ignore[attr-defined]
            if message is None:
                self.take(change)  # type: ignore[arg-type]
            elif not message.deleted and (message.changed or 0) < change.id:
                raise Wrong(f"{where} with {message}, which is not as {change} has it")
        if topic is not None and topic != (init.topic or ""):
            raise Wrong(f"{where} has the topic {init.topic!r}, and it is {topic!r}")


def changed(message: wire.Talk, change: wire.Edit | wire.Delete | wire.React) -> wire.Talk:
    """Return *message* after *change*, by what the protocol tells clients to do."""
    if message.deleted or change.id <= (message.changed or 0):
        return message
    if not isinstance(change, wire.React) and change.sender.id != message.sender.id:
        raise Wrong(f"{change} by somebody else than {message}")
    if isinstance(change, wire.Delete):
        return wire.Talk(
            **{name: getattr(message, name) for name in ("id", "room", "type", "sender", "time")},
            message="",
            nonce=message.nonce,
            deleted=True,
            changed=change.id,
        )
    if isinstance(change, wire.Edit):
        return replace(
            message,
            message=change.message,
            type=change.type,
            html=change.html,
            mentions=change.mentions,
            edited=change.time,
            changed=change.id,
        )
    reactions = _reacted(message.reactions or (), change)
    return replace(message, reactions=reactions or None, changed=change.id)


def _reacted(reactions: Sequence[wire.Reaction], change: wire.React) -> list[wire.Reaction]:
    me = change.sender
    given = {reaction.emoji: list(reaction.users) for reaction in reactions}
    users = given.setdefault(change.emoji, [])
    if not change.on:
        given[change.emoji] = [who for who in users if who.id != me.id]
    # One too many changes nothing: two may have come at once.
    elif (
        me.id not in [who.id for who in users]
        and sum(map(len, given.values())) < GIVEN
        and len(given) <= DIFFERENT
    ):
        users.append(me)
    return [wire.Reaction(emoji, users) for emoji, users in given.items() if users]
