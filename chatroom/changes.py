"""What becomes of a message by the changes that come after it."""

from __future__ import annotations

from msgspec.structs import replace

from chatroom.events import Change, Deleted, Edited, Message, Reacted, Reaction

REACTIONS = 20
"""The most different emoji on a message."""
GIVEN = 500
"""The most reactions to a message in all: of each emoji, as many as gave it."""


def changed(message: Message, change: Change) -> Message:
    """
    Return *message* as it is after *change*, which is about it.

    What is contained already changes nothing, nor does a change of what was deleted. A reaction that
    would be one too many changes nothing but `Message.changed`.
    """
    if message.deleted or (message.changed or 0) >= change.id:
        return message
    if isinstance(change, Deleted):
        return Message(
            message.id,
            message.room,
            "",
            message.type,
            message.sender,
            message.time,
            message.nonce,
            deleted=True,
            changed=change.id,
        )
    if isinstance(change, Edited):
        return replace(
            message,
            message=change.message,
            type=change.type,
            html=change.html,
            mentions=change.mentions,
            edited=change.time,
            changed=change.id,
        )
    if isinstance(change, Reacted):
        reactions = _reacted(message.reactions, change)
        return replace(message, reactions=reactions, changed=change.id)
    return message


def _reacted(reactions: tuple[Reaction, ...], change: Reacted) -> tuple[Reaction, ...]:
    """Return *reactions* after *change*: in the order in which each emoji was first given."""
    user = change.sender
    place = next((n for n, given in enumerate(reactions) if given.emoji == change.emoji), None)
    users = () if place is None else reactions[place].users
    # Who gives it again keeps their place.
    if change.on == any(who.id == user.id for who in users):
        return reactions
    if not change.on:
        users = tuple(who for who in users if who.id != user.id)
    elif full(reactions, change.emoji, user.id):
        return reactions
    else:
        users = (*users, user)
    now = (Reaction(change.emoji, users),) if users else ()
    place = len(reactions) if place is None else place
    return reactions[:place] + now + reactions[place + 1 :]


def full(reactions: tuple[Reaction, ...], emoji: str, user: int) -> bool:
    """Return whether there is no room for the *emoji* of the *user* among *reactions*."""
    for given in reactions:
        if given.emoji == emoji:
            if any(who.id == user for who in given.users):
                return False
            break
    else:
        if len(reactions) >= REACTIONS:
            return True
    return sum(len(given.users) for given in reactions) >= GIVEN
