from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatroom.changes import GIVEN, REACTIONS, changed
from chatroom.events import Change, Deleted, Edited, Message, Reacted, Reaction, Topic, Who

ANN, BOB = Who(1, "Ann"), Who(2, "Bob")
TIME = "2026-10-21T07:28:00.000Z"
HELLO = Message(1, "lobby", "hello", "text", ANN, TIME, "n", reply=7)


def react(id: int, emoji: str, user: Who = ANN, on: bool = True) -> Reacted:
    return Reacted(id, "lobby", 1, emoji, on, user, TIME)


def edit(id: int, text: str) -> Edited:
    return Edited(id, "lobby", 1, text, "markdown", ANN, f"t{id}", None, f"<b>{text}</b>", (BOB,))


def play(*changes: Change) -> Message:
    message = HELLO
    for change in changes:
        message = changed(message, change)
    return message


def test_an_edit_leaves_who_when_and_what_it_answers() -> None:
    assert play(edit(2, "hi")) == Message(
        1,
        "lobby",
        "hi",
        "markdown",
        ANN,
        TIME,
        "n",
        "<b>hi</b>",
        7,
        (BOB,),
        edited="t2",
        changed=2,
    )


def test_reactions_stand_in_the_order_in_which_they_were_first_given() -> None:
    first = [react(2, "👍"), react(3, "🎉", BOB), react(4, "👍", BOB)]
    assert play(*first).reactions == (Reaction("👍", (ANN, BOB)), Reaction("🎉", (BOB,)))
    assert play(*first, react(5, "👍", on=False)).reactions == (
        Reaction("👍", (BOB,)),
        Reaction("🎉", (BOB,)),
    )


def test_who_gives_it_twice_gives_it_once_and_keeps_their_place() -> None:
    twice = play(react(2, "👍"), react(3, "👍", BOB), react(4, "👍", Who(1, "Anna")))
    assert twice.reactions == (Reaction("👍", (ANN, BOB)),)
    assert twice.changed == 4


def test_an_emoji_that_nobody_gives_any_more_is_gone() -> None:
    assert play(react(2, "👍"), react(3, "👍", on=False)).reactions == ()
    assert play(react(2, "👍", on=False)).reactions == ()


def test_a_message_has_so_many_different_emoji() -> None:
    emoji = [chr(0x1F600 + n) for n in range(REACTIONS + 1)]
    message = play(*(react(2 + n, given) for n, given in enumerate(emoji)))
    assert [reaction.emoji for reaction in message.reactions] == emoji[:-1]
    assert message.changed == REACTIONS + 2
    # What is there can be given by others, and where one goes there is room for another.
    message = changed(message, react(100, emoji[0], BOB))
    assert message.reactions[0] == Reaction(emoji[0], (ANN, BOB))
    message = changed(message, react(101, emoji[1], on=False))
    message = changed(message, react(102, emoji[-1], BOB))
    assert message.reactions[-1] == Reaction(emoji[-1], (BOB,))
    assert len(message.reactions) == REACTIONS


def test_a_message_has_so_many_reactions_in_all() -> None:
    users = [Who(10 + n, f"u{n}") for n in range(GIVEN - 1)]
    message = play(react(2, "🎉"), *(react(3 + n, "👍", who) for n, who in enumerate(users)))
    full = message.reactions
    assert sum(len(reaction.users) for reaction in full) == GIVEN
    for id, emoji in ((1000, "👍"), (1001, "🎉"), (1002, "🍵")):
        message = changed(message, react(id, emoji, BOB))
        assert (message.reactions, message.changed) == (full, id)
    message = changed(message, react(1003, "👍", users[0], on=False))
    message = changed(message, react(1004, "🍵", BOB))
    assert message.reactions[1:] == (Reaction("👍", tuple(users[1:])), Reaction("🍵", (BOB,)))


def test_what_was_deleted_has_nothing_left() -> None:
    gone = play(edit(2, "hi"), react(3, "👍"), Deleted(4, "lobby", 1, ANN, TIME), edit(5, "x"))
    assert gone == Message(1, "lobby", "", "markdown", ANN, TIME, "n", deleted=True, changed=4)


def test_a_topic_changes_no_message() -> None:
    assert play(Topic(2, "lobby", "tea", ANN, TIME)) is HELLO


CHANGES = st.lists(
    st.one_of(
        st.builds(lambda text: edit(0, text), st.text(max_size=3)),
        st.builds(
            lambda emoji, user, on: react(0, emoji, user, on),
            st.sampled_from("👍🎉"),
            st.sampled_from([ANN, BOB]),
            st.booleans(),
        ),
        st.just(Deleted(0, "lobby", 1, ANN, TIME)),
    ),
    max_size=8,
)


@given(CHANGES, st.data())
def test_what_is_contained_already_changes_nothing(
    changes: list[Change], data: st.DataObject
) -> None:
    """Whoever reads a message and then hears of changes that it contains comes to the same."""
    for id, change in enumerate(changes, 2):
        change.id = id
    at = data.draw(st.integers(0, len(changes)))
    before = HELLO
    for change in changes:
        before = changed(before, change)
    read = play(*changes[:at])
    for change in changes[data.draw(st.integers(0, at)) :]:
        read = changed(read, change)
    assert read == before
