"""What every log has to do with what is changed after it was said."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import inlineCallbacks

from chatroom.changes import REACTIONS, changed
from chatroom.events import (
    Deleted,
    Edited,
    Entry,
    File,
    Message,
    Reacted,
    Reaction,
    Topic,
    Version,
    Who,
)
from chatroom.log import Known, Refused, Repeated, Said, Say
from tests.log_case import ANN, BOB, LogCase, Steps, keep, said, say, texts

LATER = "2026-10-21T07:29:00.000Z"
LATEST = "2026-10-21T07:30:00.000Z"
PICTURE = File("ab" * 32, "cat.png", 70, "image/png", 1, 2)


def edit(of: int, text: str, nonce: str | None = None, time: str = LATER) -> Say:
    """Return a draft of Ann's."""
    return keep(Edited(0, "Lobby", of, text, "text", ANN, time, nonce))


def delete(of: int, nonce: str | None = None) -> Say:
    """Return a draft of Ann's."""
    return keep(Deleted(0, "Lobby", of, ANN, LATER, nonce))


def react(of: int, emoji: str, sender: Who = ANN, on: bool = True, nonce: str | None = None) -> Say:
    return keep(Reacted(0, "Lobby", of, emoji, on, sender, LATER, nonce))


def topic(text: str, nonce: str | None = None) -> Say:
    return keep(Topic(0, "Lobby", text, ANN, LATER, nonce))


def picture(caption: str = "", file: File = PICTURE, room: str = "lobby") -> Say:
    return keep(Message(0, room.capitalize(), caption, "text", ANN, LATER, file=file), room)


def ids(entries: Sequence[Entry]) -> list[int]:
    return [entry.id for entry in entries]


class ChangesContract(LogCase):
    """Changes are entries in the order of the room, and messages are read as they are now."""

    @inlineCallbacks
    def test_changes_and_messages_share_one_count(self) -> Steps:
        outcomes = yield self.settle(
            say("a"), react(1, "👍"), edit(1, "b"), say("c"), topic("tea"), delete(4)
        )
        assert [outcome.entry.id for outcome in outcomes] == [1, 2, 3, 4, 5, 6]
        assert [type(entry) for entry in self.log.since("lobby", 0, 9)] == [
            Message,
            Reacted,
            Edited,
            Message,
            Topic,
            Deleted,
        ]
        assert ids(self.log.since("lobby", 2, 3)) == [3, 4, 5]
        assert ids(self.log.since("lobby", 5, 3)) == [6]
        assert self.log.room("lobby") == Known("Lobby", 6, 4, "tea")
        (outcome,) = yield self.settle(say("d"))
        assert outcome.entry.id == 7

    @inlineCallbacks
    def test_a_change_is_kept_as_it_is(self) -> Steps:
        drafts = [
            say("a"),
            keep(Edited(0, "Lobby", 1, "*b*", "markdown", ANN, LATER, "n", "<b>b</b>", (BOB,))),
            keep(Reacted(0, "Lobby", 1, "👩‍👩‍👧‍👦", False, BOB, LATER, "n")),
            keep(Topic(0, "Lobby", "聊天室 \x00", ANN, LATEST)),
        ]
        outcomes = yield self.settle(*drafts)
        assert (
            self.log.since("lobby", 1, 9)
            == [outcome.entry for outcome in outcomes[1:]]
            == [
                Edited(2, "Lobby", 1, "*b*", "markdown", ANN, LATER, "n", "<b>b</b>", (BOB,)),
                Reacted(3, "Lobby", 1, "👩‍👩‍👧‍👦", False, BOB, LATER, "n"),
                Topic(4, "Lobby", "聊天室 \x00", ANN, LATEST),
            ]
        )

    @inlineCallbacks
    def test_all_of_a_message_is_kept_that_is_more_than_text(self) -> Steps:
        message = Message(
            0, "Lobby", "*hi*", "markdown", ANN, LATER, "n", "<em>hi</em>", 1, (BOB,), PICTURE
        )
        outcomes = yield self.settle(say("a"), keep(message))
        kept = Message(
            2, "Lobby", "*hi*", "markdown", ANN, LATER, "n", "<em>hi</em>", 1, (BOB,), PICTURE
        )
        assert outcomes[1].entry == kept
        assert self.log.since("lobby", 1, 1) == self.log.after("lobby", 1, 1) == [kept]
        assert self.log.before("lobby", 3, 1) == [kept]
        assert self.log.message("lobby", 2) == kept

    @inlineCallbacks
    def test_a_message_is_read_as_it_is_now(self) -> Steps:
        outcomes = yield self.settle(
            say("a"), say("b"), edit(1, "A"), react(1, "👍", BOB), react(1, "👍"), react(1, "🎉")
        )
        outcomes += yield self.settle(react(1, "👍", BOB, on=False), edit(1, "AA", time=LATEST))
        now = outcomes[0].entry
        for outcome in outcomes[2:]:
            now = changed(now, outcome.entry)
        assert now.message == "AA"
        assert now.edited == LATEST
        assert now.changed == 8
        assert now.reactions == (Reaction("👍", (ANN,)), Reaction("🎉", (ANN,)))
        assert self.log.message("lobby", 1) == now
        assert self.log.since("lobby", 0, 1) == [now]
        assert self.log.before("lobby", 2, 9) == [now]
        assert self.log.after("lobby", 0, 1) == [now]
        assert self.log.message("lobby", 2) == outcomes[1].entry

    @inlineCallbacks
    def test_a_page_has_messages_only(self) -> Steps:
        yield self.settle(
            say("1"), react(1, "👍"), say("3"), edit(1, "one"), react(3, "👍"), say("6")
        )
        assert ids(self.log.before("lobby", 7, 2)) == [3, 6]
        assert ids(self.log.before("lobby", 6, 9)) == [1, 3]
        assert ids(self.log.before("lobby", 5, 1)) == [3]
        assert ids(self.log.after("lobby", 0, 2)) == [1, 3]
        assert ids(self.log.after("lobby", 1, 9)) == [3, 6]
        assert ids(self.log.after("lobby", 3, 1)) == [6]
        assert self.log.after("lobby", 6, 9) == []
        assert self.log.after("lobby", 0, 0) == []
        assert self.log.message("lobby", 2) is None
        assert self.log.message("lobby", 7) is None
        assert self.log.message("elsewhere", 1) is None

    @inlineCallbacks
    def test_a_room_of_which_nothing_is_known_has_no_pages(self) -> Steps:
        yield self.settle(say("a", "other"))
        assert self.log.after("lobby", 0, 9) == []
        assert self.log.edits("lobby", 1, 9) == []

    @inlineCallbacks
    def test_what_was_deleted_is_gone(self) -> Steps:
        secret = keep(
            Message(
                0, "Lobby", "secret", "markdown", ANN, LATER, "n", "<p>s</p>", 1, (BOB,), PICTURE
            )
        )
        yield self.settle(say("a"), secret, edit(2, "secrets", "e"), react(2, "👍"))
        yield self.settle(delete(2))
        tombstone = Message(2, "Lobby", "", "text", ANN, LATER, "n", deleted=True, changed=5)
        assert self.log.message("lobby", 2) == tombstone
        assert self.log.before("lobby", 9, 1) == self.log.after("lobby", 1, 9) == [tombstone]
        entries = self.log.since("lobby", 1, 9)
        assert entries[0] == tombstone
        assert entries[1] == Edited(3, "Lobby", 2, "", "text", ANN, LATER, "e")
        assert self.log.edits("lobby", 2, 9) == []

    @inlineCallbacks
    def test_what_was_deleted_does_not_change(self) -> Steps:
        yield self.settle(say("a"), delete(1), edit(1, "b"), react(1, "👍"), delete(1))
        now = self.log.message("lobby", 1)
        assert now is not None
        assert now.deleted
        assert now.changed == 2
        assert now.reactions == ()
        assert now.message == ""
        assert self.log.edits("lobby", 1, 9) == []
        assert ids(self.log.since("lobby", 0, 9)) == [1, 2, 3, 4, 5]

    @inlineCallbacks
    def test_an_edit_of_what_was_deleted_leaves_no_text(self) -> Steps:
        def late(nonce: str) -> Say:
            entry = Edited(0, "Lobby", 1, "b", "markdown", ANN, LATER, nonce, "<b>b</b>", (BOB,))
            return keep(entry)

        # It may have been on its way with the deletion, or come later.
        outcomes = yield self.settle(say("a"), delete(1), late("n"))
        outcomes += yield self.settle(late("m"))
        left = [Edited(3 + n, "Lobby", 1, "", "markdown", ANN, LATER, "nm"[n]) for n in range(2)]
        assert [outcome.entry for outcome in outcomes[2:]] == left
        assert self.log.since("lobby", 2, 9) == left
        outcomes = yield self.settle(late("n"), late("m"))
        assert [outcome.entry for outcome in outcomes] == left
        assert [type(outcome) for outcome in outcomes] == [Repeated] * 2

    @inlineCallbacks
    def test_a_message_has_so_many_reactions(self) -> Steps:
        emoji = [chr(0x1F600 + n) for n in range(REACTIONS + 2)]
        outcomes = yield self.settle(say("a"), *(react(1, given) for given in emoji[:-1]))
        outcomes += yield self.settle(react(1, emoji[-1]), react(1, emoji[0], BOB))
        assert [type(outcome) for outcome in outcomes] == [Said] * (REACTIONS + 4)
        now = self.log.message("lobby", 1)
        assert now is not None
        assert [reaction.emoji for reaction in now.reactions] == emoji[:REACTIONS]
        assert now.reactions[0].users == (ANN, BOB)
        assert now.changed == REACTIONS + 4

    @inlineCallbacks
    def test_a_change_of_nothing_is_kept_and_changes_nothing(self) -> Steps:
        yield self.settle(say("a"), react(1, "👍"), react(2, "👍"), edit(9, "b"), delete(2))
        assert ids(self.log.since("lobby", 0, 9)) == [1, 2, 3, 4, 5]
        assert texts(self.log.before("lobby", 9, 9)) == ["a"]

    @inlineCallbacks
    def test_the_versions_of_a_message(self) -> Steps:
        original = keep(Message(0, "Lobby", "*a*", "markdown", ANN, "t0", html="<em>a</em>"))
        yield self.settle(
            original, say("x"), edit(1, "b"), react(1, "👍"), edit(1, "c", "n", LATEST)
        )
        assert self.log.edits("lobby", 1, 9) == [
            Version("*a*", "markdown", "t0", "<em>a</em>"),
            Version("b", "text", LATER),
            Version("c", "text", LATEST),
        ]
        assert [version.message for version in self.log.edits("lobby", 2, 9)] == ["x"]
        assert self.log.edits("lobby", 3, 9) == []

    @inlineCallbacks
    def test_the_last_versions_of_a_message(self) -> Steps:
        yield self.settle(say("0"), *(edit(1, str(n)) for n in range(1, 4)))
        for limit, found in ((1, "3"), (3, "123"), (4, "0123"), (5, "0123")):
            assert [version.message for version in self.log.edits("lobby", 1, limit)] == [*found]

    @inlineCallbacks
    def test_the_topic_is_the_last_one(self) -> Steps:
        yield self.settle(topic("a"), topic("b"), say("1"))
        assert self.log.room("lobby") == Known("Lobby", 3, 3, "b")
        yield self.settle(topic(""))
        assert self.log.room("lobby") == Known("Lobby", 4, 3, "")

    # Files.

    @inlineCallbacks
    def test_a_file_is_released_with_the_last_message_that_has_it(self) -> Steps:
        other = File("cd" * 32, "notes.txt", 9, "text/plain")
        yield self.settle(picture(), picture("again"), picture("other", other), say("none"))
        assert self.log.has_file(PICTURE.id)
        assert not self.log.has_file("ef" * 32)
        outcomes = yield self.settle(delete(1), delete(1), delete(4), edit(2, "caption"))
        assert [outcome.released for outcome in outcomes] == [None] * 4
        assert self.log.has_file(PICTURE.id)
        outcomes = yield self.settle(delete(2))
        assert [outcome.released for outcome in outcomes] == [PICTURE.id]
        assert not self.log.has_file(PICTURE.id)
        assert self.log.has_file(other.id)

    @inlineCallbacks
    def test_an_edit_leaves_a_message_its_file(self) -> Steps:
        yield self.settle(picture("a"), edit(1, "b"))
        now = self.log.message("lobby", 1)
        assert now is not None
        assert (now.message, now.file) == ("b", PICTURE)

    # Sent once is said once.

    @inlineCallbacks
    def test_a_change_that_comes_again(self) -> Steps:
        drafts = [edit(1, "b", "n"), react(1, "👍", nonce="r"), topic("tea", "t"), delete(2, "d")]
        outcomes = yield self.settle(say("a"), say("x"), *drafts)
        assert [type(outcome) for outcome in outcomes] == [Said] * 6
        again = [edit(1, "b", "n"), react(1, "👍", nonce="r"), topic("tea", "t"), delete(2, "d")]
        repeated = yield self.settle(*again)
        assert repeated == [
            Repeated(draft, outcome.entry)
            for draft, outcome in zip(again, outcomes[2:], strict=True)
        ]
        assert ids(self.log.since("lobby", 0, 9)) == [1, 2, 3, 4, 5, 6]

    @inlineCallbacks
    def test_a_change_that_comes_twice_at_once(self) -> Steps:
        outcomes = yield self.settle(say("a"), edit(1, "b", "n"), edit(1, "b", "n"), say("c"))
        assert [type(outcome) for outcome in outcomes] == [Said, Said, Repeated, Said]
        assert [outcome.entry.id for outcome in outcomes] == [1, 2, 2, 3]

    @inlineCallbacks
    def test_a_nonce_names_one_change_only(self) -> Steps:
        yield self.settle(say("a"), say("b"), edit(1, "c", "n"), topic("tea", "t"))
        outcomes = yield self.settle(
            edit(1, "d", "n"),
            edit(2, "c", "n"),
            delete(1, "n"),
            react(1, "👍", nonce="n"),
            topic("coffee", "t"),
        )
        for outcome in outcomes:
            assert isinstance(outcome, Refused), outcome
            assert outcome.code == "nonce_reused"
        outcomes = yield self.settle(react(1, "👍", nonce="r"))
        outcomes = yield self.settle(
            react(1, "👎", nonce="r"),
            react(1, "👍", on=False, nonce="r"),
            react(2, "👍", nonce="r"),
        )
        assert [type(outcome) for outcome in outcomes] == [Refused] * 3
        assert ids(self.log.since("lobby", 0, 9)) == [1, 2, 3, 4, 5]

    @inlineCallbacks
    def test_messages_and_changes_have_nonces_of_their_own(self) -> Steps:
        outcomes = yield self.settle(say("a", nonce="n"), edit(1, "b", "n"), say("c", nonce="m"))
        assert [type(outcome) for outcome in outcomes] == [Said] * 3

    @inlineCallbacks
    def test_a_message_that_comes_again_comes_as_it_is_now(self) -> Steps:
        yield self.settle(say("a", nonce="n"), say("b", nonce="m"))
        yield self.settle(edit(1, "A"), delete(2))
        outcomes = yield self.settle(say("a", nonce="n"), say("b", nonce="m"))
        assert [type(outcome) for outcome in outcomes] == [Repeated, Repeated]
        assert outcomes[0].entry == self.log.message("lobby", 1)
        assert outcomes[1].entry == self.log.message("lobby", 2)

    @inlineCallbacks
    def test_an_edit_of_what_was_deleted_may_come_again(self) -> Steps:
        yield self.settle(say("a"), edit(1, "b", "n"), delete(1))
        (outcome,) = yield self.settle(edit(1, "b", "n"))
        assert isinstance(outcome, Repeated)
        assert outcome.entry.id == 2

    @inlineCallbacks
    def test_what_a_nonce_names(self) -> Steps:
        yield self.settle(
            say("a", nonce="n"),
            edit(1, "b", "n"),
            react(1, "👍", BOB, nonce="n"),
            say("c", "other", nonce="m"),
            topic("tea", "t"),
        )
        yield self.settle(delete(1, "d"))
        now = self.log.message("lobby", 1)
        assert now is not None
        assert now.deleted
        assert self.log.named(ANN.id, "n", True) == ("lobby", now)
        entries = self.log.since("lobby", 0, 9)
        assert self.log.named(ANN.id, "n", False) == ("lobby", entries[1])
        assert self.log.named(BOB.id, "n", False) == ("lobby", entries[2])
        assert self.log.named(ANN.id, "t", False) == ("lobby", entries[3])
        assert self.log.named(ANN.id, "d", False) == ("lobby", entries[4])
        assert self.log.named(ANN.id, "m", True) == ("other", self.log.message("other", 1))
        assert self.log.named(ANN.id, "m", False) is None
        assert self.log.named(BOB.id, "n", True) is None
        assert self.log.named(7, "x", True) is None

    @inlineCallbacks
    def test_an_answer_is_part_of_what_a_nonce_names(self) -> Steps:
        def answer(reply: int) -> Say:
            return keep(Message(0, "Lobby", "a", "text", ANN, LATER, "n", reply=reply))

        outcomes = yield self.settle(say("1"), say("2"), answer(1), answer(1), answer(2))
        assert [type(outcome) for outcome in outcomes[2:]] == [Said, Repeated, Refused]

    @inlineCallbacks
    def test_who_changes_something_is_known(self) -> Steps:
        yield self.settle(say("a"), react(1, "👍", BOB))
        assert self.log.user(BOB.id) == "Bob"

    @inlineCallbacks
    def test_a_thousand_changes_at_once(self) -> Steps:
        drafts = [say("a"), say("b")]
        drafts += [react(1 + n % 2, "👍", Who(3 + n, f"u{n}")) for n in range(998)]
        outcomes = yield self.settle(*drafts)
        assert len(said(outcomes[:2])) == 2
        now = self.log.message("lobby", 1)
        assert now is not None
        assert now.changed == 999
        assert [who.id for who in now.reactions[0].users] == list(range(3, 1001, 2))
