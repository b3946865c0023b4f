"""What every log has to do, whatever keeps it: the tests that each of them inherits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace
from twisted.internet.defer import Deferred, inlineCallbacks

from chatroom.events import Exited, Joined, Message, Renamed, Typed, Who
from chatroom.log import Known, Outcome, Pass, Refused, Repeated, Said, Say
from tests.log_case import ANN, BOB, Steps, said, say, texts
from tests.log_contract_changes import ChangesContract
from tests.log_contract_marks import MarksContract

__all__ = ["ANN", "BOB", "LogContract", "Steps", "said", "say", "texts"]

TEXTS = (
    "hello world.",
    " a space at either end ",
    "two\nlines\r\nand\ttabs",
    "a NUL: \x00, and more \x00\x00",
    "\x00",
    "'; DROP TABLE messages; --",
    '<img src=x onerror="alert(1)">',
    "ZoëZoe\u0308 ﬁ Ａ",
    "聊天室",
    "👩‍👩‍👧‍👦 🇩🇪 ❤️ 👍🏽",
    "\u202eright to left\u202c \u200b\ufeff\uffff\U0010ffff",
    "\x7f\x85\u2028\u2029",
    "x" * 100_000,
)


class LogContract(ChangesContract, MarksContract):
    """The contract of a `Log`, to be mixed into a trial ``TestCase``."""

    # Order and ids.

    @inlineCallbacks
    def test_ids_count_from_one_without_a_hole(self) -> Steps:
        outcomes = yield self.settle(*(say(str(n)) for n in range(1, 4)))
        outcomes += yield self.settle(say("4"))
        outcomes += yield self.settle(say("5"), say("6"))
        messages = said(outcomes)
        assert [m.id for m in messages] == [1, 2, 3, 4, 5, 6]
        assert texts(messages) == ["1", "2", "3", "4", "5", "6"]
        assert self.log.since("lobby", 0, 100) == messages

    @inlineCallbacks
    def test_each_room_has_its_own_ids(self) -> Steps:
        outcomes = yield self.settle(say("a", "one"), say("b", "two"), say("c", "one"))
        assert [(m.room, m.id) for m in said(outcomes)] == [("One", 1), ("Two", 1), ("One", 2)]
        assert texts(self.log.since("one", 0, 9)) == ["a", "c"]
        assert texts(self.log.since("two", 0, 9)) == ["b"]
        assert self.log.room("one") == Known("One", 2, 2, "")
        assert self.log.room("two") == Known("Two", 1, 1, "")

    @inlineCallbacks
    def test_an_outcome_has_its_draft_and_the_message_with_an_id(self) -> Steps:
        draft = say("hello", nonce="n")
        (outcome,) = yield self.settle(draft)
        assert outcome.draft is draft
        assert outcome.entry == replace(draft.entry, id=1)

    @inlineCallbacks
    def test_everything_comes_out_in_the_order_it_went_in(self) -> Steps:
        joined, exited = Joined("Lobby", 3, "Cid"), Exited("Lobby", 3, "Cid")
        typed = Typed("Lobby", 3, "Cid")
        renamed = Renamed(3, "Cyd", "Cid", "Lobby")
        origin = object()
        drafts: list[Say | Pass] = [
            Pass("lobby", joined, None),
            say("1", nonce="n"),
            Pass("lobby", typed, None),
            Pass("other", None, origin),
            say("1", nonce="n"),
            Pass("lobby", renamed, None),
            say("1", "other"),
            say("2", nonce="n"),
            Pass("lobby", exited, origin),
            say("2"),
        ]
        outcomes = yield self.settle(*drafts)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Pass, Said, Pass, Pass, Repeated, Pass, Said, Refused, Pass, Said]
        for draft, outcome in zip(drafts, outcomes, strict=True):
            assert (outcome if isinstance(outcome, Pass) else outcome.draft) is draft

    @inlineCallbacks
    def test_what_passes_is_not_kept(self) -> Steps:
        yield self.settle(Pass("lobby", Joined("Lobby", 1, "Ann"), None))
        assert self.log.room("lobby") is None
        (outcome,) = yield self.settle(say("first"))
        assert outcome.entry.id == 1

    @inlineCallbacks
    def test_a_thousand_drafts_at_once(self) -> Steps:
        drafts = [say(str(n), f"room{n % 3}", nonce=f"n{n}") for n in range(999)]
        messages = said((yield self.settle(*drafts, say("last"))))
        assert texts(messages) == [str(n) for n in range(999)] + ["last"]
        for number in range(3):
            kept = self.log.since(f"room{number}", 0, 1000)
            assert [m.id for m in kept] == list(range(1, 334))
            assert texts(kept) == [str(n) for n in range(number, 999, 3)]

    @inlineCallbacks
    def test_a_listener_may_append(self) -> Steps:
        finished: Deferred[list[Outcome]] = Deferred()
        outcomes: list[Outcome] = []
        more = (say(str(n)) for n in count(2))

        def listen(batch: Sequence[Outcome]) -> None:
            before = len(outcomes)
            outcomes.extend(batch)
            if len(outcomes) < 5:
                self.log.append(next(more))
                assert len(outcomes) == before + len(batch), "the listener is called later"
            else:
                finished.callback(outcomes)

        self.log.listener = listen
        self.log.append(say("1"))
        self.turn()
        assert texts(said((yield finished))) == ["1", "2", "3", "4", "5"]

    # What is kept.

    @inlineCallbacks
    def test_any_text_is_kept_as_it_is(self) -> Steps:
        drafts = [say(text, nonce=text[:64]) for text in TEXTS]
        assert texts(said((yield self.settle(*drafts)))) == list(TEXTS)
        assert texts(self.log.since("lobby", 0, 100)) == list(TEXTS)
        outcomes = yield self.settle(*drafts)
        assert [type(outcome) for outcome in outcomes] == [Repeated] * len(TEXTS)

    @inlineCallbacks
    def test_all_of_a_message_is_kept(self) -> Steps:
        time = "1969-12-31T23:59:59.999Z"
        message = Message(0, "Café", "hi", "image", Who(2**53, "王\x00🦊"), time, "\x00 ünïque")
        (outcome,) = yield self.settle(Say("café", message, None))
        kept = Message(1, "Café", "hi", "image", Who(2**53, "王\x00🦊"), time, "\x00 ünïque")
        assert outcome.entry == kept
        assert self.log.since("café", 0, 1) == [kept]
        assert self.log.before("café", 2, 1) == [kept]

    @inlineCallbacks
    def test_a_message_keeps_its_type_and_may_have_no_nonce(self) -> Steps:
        yield self.settle(say("a"), say("b", type="image", nonce="n"), say("a"))
        kept = [(m.message, m.type, m.nonce) for m in self.log.after("lobby", 0, 9)]
        assert kept == [("a", "text", None), ("b", "image", "n"), ("a", "text", None)]

    # Reading.

    @inlineCallbacks
    def test_since(self) -> Steps:
        yield self.settle(*(say(str(n)) for n in range(1, 8)))

        def since(after: int, limit: int) -> list[int]:
            return [m.id for m in self.log.since("lobby", after, limit)]

        assert since(0, 100) == [1, 2, 3, 4, 5, 6, 7]
        assert since(0, 3) == [1, 2, 3]
        assert since(3, 3) == [4, 5, 6]
        assert since(5, 3) == [6, 7]
        assert since(6, 1) == [7]
        assert since(7, 3) == []
        assert since(8, 3) == []
        assert since(2**53, 3) == []
        assert since(3, 0) == []

    @inlineCallbacks
    def test_before(self) -> Steps:
        yield self.settle(*(say(str(n)) for n in range(1, 8)))

        def before(before: int, limit: int) -> list[int]:
            return [m.id for m in self.log.before("lobby", before, limit)]

        assert before(8, 100) == [1, 2, 3, 4, 5, 6, 7]
        assert before(8, 3) == [5, 6, 7]
        assert before(2**53, 3) == [5, 6, 7]
        assert before(7, 3) == [4, 5, 6]
        assert before(3, 3) == [1, 2]
        assert before(2, 1) == [1]
        assert before(1, 3) == []
        assert before(0, 3) == []
        assert before(5, 0) == []

    def test_a_room_in_which_nothing_was_said(self) -> None:
        assert self.log.room("lobby") is None
        assert self.log.since("lobby", 0, 10) == []
        assert self.log.before("lobby", 10, 10) == []

    @inlineCallbacks
    def test_a_room_is_shown_as_by_its_first_message(self) -> Steps:
        first, second = say("a", "dev"), say("b", "dev")
        yield self.settle(first)
        assert self.log.room("dev") == Known("Dev", 1, 1, "")
        yield self.settle(second)
        assert self.log.room("dev") == Known("Dev", 2, 2, "")
        assert [m.room for m in self.log.since("dev", 0, 9)] == ["Dev", "Dev"]

    @inlineCallbacks
    def test_what_is_told_can_be_read_at_once(self) -> Steps:
        read: Deferred[list[str]] = Deferred()
        self.log.listener = lambda batch: read.callback(texts(self.log.since("lobby", 0, 9)))
        self.log.append(say("hello"))
        self.turn()
        assert (yield read) == ["hello"]

    # Sent once is said once.

    @inlineCallbacks
    def test_the_same_nonce_again(self) -> Steps:
        draft = say("hello", nonce="n")
        (outcome,) = yield self.settle(draft)
        again = say("hello", nonce="n")
        (repeated,) = yield self.settle(again)
        assert repeated == Repeated(again, outcome.entry)
        assert repeated.draft is again
        assert len(self.log.since("lobby", 0, 9)) == 1

    @inlineCallbacks
    def test_the_same_nonce_again_in_one_batch(self) -> Steps:
        outcomes = yield self.settle(say("a", nonce="n"), say("a", nonce="n"), say("a", nonce="n"))
        assert [type(outcome) for outcome in outcomes] == [Said, Repeated, Repeated]
        assert [outcome.entry.id for outcome in outcomes] == [1, 1, 1]
        (outcome,) = yield self.settle(say("b"))
        assert outcome.entry.id == 2

    @inlineCallbacks
    def test_the_original_is_the_one_with_the_name_of_then(self) -> Steps:
        yield self.settle(say("a", nonce="n"), Pass("lobby", Renamed(1, "Anna", "Ann"), None))
        (outcome,) = yield self.settle(say("a", sender=Who(1, "Anna"), nonce="n"))
        assert isinstance(outcome, Repeated)
        assert outcome.entry.sender == ANN

    @inlineCallbacks
    def test_a_nonce_names_one_message_only(self) -> Steps:
        outcomes = yield self.settle(
            say("a", nonce="n"),
            say("b", nonce="n"),
            say("a", "other", nonce="n"),
            say("a", type="image", nonce="n"),
        )
        again = yield self.settle(say("b", nonce="n"), say("a", nonce="n"))
        assert isinstance(outcomes[0], Said)
        for outcome in (*outcomes[1:], again[0]):
            assert isinstance(outcome, Refused)
            assert outcome.code == "nonce_reused"
        assert isinstance(again[1], Repeated)
        assert self.log.room("other") is None
        assert texts(self.log.since("lobby", 0, 9)) == ["a"]

    @inlineCallbacks
    def test_another_user_has_other_nonces(self) -> Steps:
        outcomes = yield self.settle(
            say("a", nonce="n"), say("a", sender=BOB, nonce="n"), say("b", "other", BOB, "m")
        )
        assert [m.id for m in said(outcomes)] == [1, 2, 1]

    @inlineCallbacks
    def test_no_nonce_is_never_the_same(self) -> Steps:
        outcomes = yield self.settle(say("a"), say("a"))
        assert [m.id for m in said(outcomes)] == [1, 2]

    @inlineCallbacks
    def test_nonces_differ_by_every_bit(self) -> Steps:
        nonces = ("n", "N", "n ", " n", "n\x00", "ñ", "n\u0303", "ｎ")
        outcomes = yield self.settle(*(say("a", nonce=nonce) for nonce in nonces))
        assert [m.nonce for m in said(outcomes)] == list(nonces)

    # Users.

    @inlineCallbacks
    def test_only_who_spoke_is_known(self) -> Steps:
        yield self.settle(
            Pass("lobby", Joined("Lobby", 2, "Bob"), None),
            say("hello"),
            Pass("lobby", Exited("Lobby", 2, "Bob"), None),
        )
        assert self.log.user(1) == "Ann"
        assert self.log.user(2) is None

    @inlineCallbacks
    def test_a_speakers_new_name_is_kept(self) -> Steps:
        yield self.settle(say("hello"), Pass("lobby", Renamed(1, "Anna", "Ann", "Lobby"), None))
        assert self.log.user(1) == "Anna"
        yield self.settle(Pass("lobby", Renamed(1, "Änn", "Anna", "Lobby"), None))
        assert self.log.user(1) == "Änn"
        assert [m.sender for m in self.log.since("lobby", 0, 9)] == [ANN]

    @inlineCallbacks
    def test_a_speaker_who_is_in_no_room_has_a_new_name_too(self) -> Steps:
        yield self.settle(say("hello"), Pass("", Renamed(1, "Anna", "Ann"), None))
        assert self.log.user(1) == "Anna"

    @inlineCallbacks
    def test_the_new_name_of_someone_who_never_spoke_is_not_kept(self) -> Steps:
        yield self.settle(say("hello"), Pass("lobby", Renamed(2, "Rob", "Bob", "Lobby"), None))
        assert self.log.user(2) is None
        yield self.settle(say("hi", sender=Who(2, "Rob")))
        assert self.log.user(2) == "Rob"

    @inlineCallbacks
    def test_the_name_is_that_of_the_last_word(self) -> Steps:
        yield self.settle(say("a"), say("b", sender=Who(1, "Anna")))
        assert self.log.user(1) == "Anna"

    def test_a_new_user_is_always_another_one(self) -> None:
        ids = [self.log.new_user() for _ in range(3000)]
        assert len(set(ids)) == 3000
        assert all(0 < id <= 2**53 for id in ids)
        assert all(self.log.user(id) is None for id in ids[:10])

    # How it does.

    @inlineCallbacks
    def test_it_can_be_written(self) -> Steps:
        reported: Deferred[str | None] = Deferred()
        self.log.check(reported.callback)
        assert not reported.called, "the report comes later"
        self.turn()
        assert (yield reported) is None

    def test_it_has_an_epoch_and_a_secret(self) -> None:
        other = self.make()
        assert self.log.epoch
        assert len(self.log.secret) == 32
        assert other.epoch != self.log.epoch
        assert other.secret != self.log.secret
