"""What every log has to do for who reads: marks, lists of rooms, and searches."""

from __future__ import annotations

from twisted.internet.defer import Deferred, inlineCallbacks

from chatroom.events import Deleted, Message, Topic, Who
from chatroom.log import READ, SEVERAL, Draft, Found, Known, Mark, Pass, Reading, Say, Unavailable
from chatroom.names import direct
from tests.log_case import ANN, BOB, TIME, LogCase, Steps, keep, say, texts
from tests.log_contract_changes import delete, edit, react

EVE = Who(7, "Eve")
ALONE = direct(ANN.id, BOB.id).key


def mark(id: int | None, room: str = "lobby", user: Who = ANN) -> Mark:
    return Mark(room, user.id, id, object())


def mention(text: str, *users: Who, room: str = "lobby", sender: Who = BOB) -> Say:
    return keep(Message(0, room.capitalize(), text, "text", sender, TIME, mentions=users), room)


class MarksContract(LogCase):
    """How far users have read, which rooms there are, and what was said in them."""

    @inlineCallbacks
    def test_a_mark_passes_through_in_its_place(self) -> Steps:
        drafts: list[Draft] = [say("a"), mark(1), Pass("lobby", None, None), mark(None), say("b")]
        outcomes = yield self.settle(*drafts)
        assert outcomes[1:4] == drafts[1:4]

    @inlineCallbacks
    def test_a_mark_is_kept(self) -> Steps:
        yield self.settle(say("a"), say("b"))
        assert self.log.read("lobby", ANN.id) is None
        yield self.settle(mark(1))
        assert self.log.read("lobby", ANN.id) == 1
        yield self.settle(mark(2), mark(1))
        assert self.log.read("lobby", ANN.id) == 2
        assert self.log.read("lobby", BOB.id) is None
        assert self.log.read("other", ANN.id) is None
        yield self.settle(mark(None))
        assert self.log.read("lobby", ANN.id) is None
        yield self.settle(mark(1), mark(None, user=BOB), mark(None, "other"))
        assert self.log.read("lobby", ANN.id) == 1

    @inlineCallbacks
    def test_nothing_is_marked_where_nothing_was_said(self) -> Steps:
        yield self.settle(mark(1, "empty"))
        assert self.log.read("empty", ANN.id) is None
        assert self.log.readings(ANN.id) == []
        assert self.log.rooms("", "", 9) == []

    @inlineCallbacks
    def test_what_is_unread(self) -> Steps:
        yield self.settle(say("1"), mark(1))
        assert self.log.readings(ANN.id) == [Reading("lobby", Known("Lobby", 1, 1, ""), 1, 0, 0)]
        yield self.settle(
            say("mine"),
            say("3", sender=BOB),
            mention("@Ann", ANN, EVE),
            mention("@Eve", EVE),
            mention("gone @Ann", ANN),
            keep(Deleted(0, "Lobby", 6, BOB, TIME)),
        )
        known = Known("Lobby", 7, 6, "")
        assert self.log.readings(ANN.id) == [Reading("lobby", known, 1, 3, 1)]
        yield self.settle(mark(4))
        assert self.log.readings(ANN.id) == [Reading("lobby", known, 4, 1, 0)]
        yield self.settle(mark(7))
        assert self.log.readings(ANN.id) == [Reading("lobby", known, 7, 0, 0)]

    @inlineCallbacks
    def test_unread_messages_are_counted_so_far(self) -> Steps:
        yield self.settle(say("0"), mark(1), mention("first @Ann", ANN))
        yield self.settle(*(mention(str(n), ANN) for n in range(SEVERAL + 20)))
        (reading,) = self.log.readings(ANN.id)
        assert (reading.unread, reading.mentions) == (SEVERAL, SEVERAL)

    @inlineCallbacks
    def test_the_rooms_of_a_user(self) -> Steps:
        yield self.settle(say("a", "one"), say("b", "two"), say("c", "three"))
        yield self.settle(mark(1, "one"), mark(1, "two"), mark(1, "three", BOB))
        assert {reading.room for reading in self.log.readings(ANN.id)} == {"one", "two"}
        yield self.settle(mark(None, "one"))
        assert {reading.room for reading in self.log.readings(ANN.id)} == {"two"}
        assert self.log.readings(EVE.id) == []

    @inlineCallbacks
    def test_a_direct_room_is_read_by_both(self) -> Steps:
        yield self.settle(say("hi", ALONE))
        known = Known(ALONE, 1, 1, "")
        assert self.log.readings(ANN.id) == [Reading(ALONE, known, 0, 0, 0)]
        assert self.log.readings(BOB.id) == [Reading(ALONE, known, 0, 1, 0)]
        assert self.log.readings(EVE.id) == []
        yield self.settle(mark(1, ALONE, BOB))
        assert self.log.readings(BOB.id) == [Reading(ALONE, known, 1, 0, 0)]

    @inlineCallbacks
    def test_the_direct_rooms_of_a_user(self) -> Steps:
        other = direct(ANN.id, EVE.id).key
        yield self.settle(say("a"), mark(1), say("b", ALONE), say("c", other), mark(1, ALONE))
        assert sorted(self.log.directs(ANN.id)) == [ALONE, other]
        assert self.log.directs(BOB.id) == [ALONE]
        assert self.log.directs(EVE.id) == [other]
        assert self.log.directs(99) == []

    @inlineCallbacks
    def test_of_very_many_rooms_the_busy_ones_are_told(self) -> Steps:
        rooms = [f"room{n:03}" for n in range(READ + 2)]
        yield self.settle(say("direct", ALONE), *(say("a", room) for room in rooms))
        yield self.settle(*(mark(1, room) for room in rooms), say("b", rooms[1]))
        found = self.log.readings(ANN.id)
        assert len(found) == READ
        left = {*rooms, ALONE} - {reading.room for reading in found}
        assert left == {rooms[0], rooms[2], rooms[3]}

    @inlineCallbacks
    def test_many_direct_rooms_leave_room_for_others(self) -> Steps:
        alone = [direct(ANN.id, 10 + n).key for n in range(READ)]
        yield self.settle(say("a"), *(say("b", room) for room in alone), mark(1))
        found = [reading.room for reading in self.log.readings(ANN.id)]
        assert sorted(found) == sorted(["lobby", *alone[1:]])
        rooms = [f"room{n:03}" for n in range(READ)]
        yield self.settle(*(say("c", room) for room in rooms))
        yield self.settle(*(mark(1, room) for room in rooms))
        found = [reading.room for reading in self.log.readings(ANN.id)]
        assert sorted(found) == sorted([*rooms[READ // 2 :], *alone[READ // 2 :]])

    # Lists of rooms.

    @inlineCallbacks
    def test_the_rooms_by_name(self) -> Steps:
        rooms = ("tea", "coffee", "café", "c%", "c_d", "cxd", "聊天室", ALONE)
        yield self.settle(*(say("a", room) for room in rooms))
        yield self.settle(keep(Topic(0, "Tea", "green", ANN, TIME), "tea"))

        def found(match: str = "", after: str = "", limit: int = 99) -> list[str]:
            return [known.name.lower() for known in self.log.rooms(match, after, limit)]

        assert found() == ["c%", "c_d", "café", "coffee", "cxd", "tea", "聊天室"]
        assert found(limit=2) == ["c%", "c_d"]
        assert found(after="c_d", limit=2) == ["café", "coffee"]
        assert found(after="é") == ["聊天室"]
        assert found("f") == ["café", "coffee"]
        assert found("%") == ["c%"]
        assert found("c_") == ["c_d"]
        assert found("天") == ["聊天室"]
        assert found("@") == found("1-2") == found("nowhere") == []
        assert self.log.rooms("tea", "", 1) == [Known("Tea", 2, 1, "green")]

    # Searches.

    def find(
        self,
        query: str,
        rooms: list[str] | None = None,
        also: tuple[str, ...] = (),
        before: int | None = None,
        limit: int = 20,
    ) -> Deferred[Found | Unavailable]:
        found: Deferred[Found | Unavailable] = Deferred()
        self.log.search(query, rooms, also, before, limit, found.callback)
        assert not found.called, "the report comes later"
        self.turn()
        return found

    @inlineCallbacks
    def test_a_search(self) -> Steps:
        yield self.settle(
            say("green tea"), say("black tea", "other"), say("coffee"), say("喝茶吗", "other")
        )
        assert texts((yield self.find("tea")).messages) == ["black tea", "green tea"]
        assert texts((yield self.find("TEA green")).messages) == ["green tea"]
        assert texts((yield self.find("tea", ["lobby"])).messages) == ["green tea"]
        assert texts((yield self.find("茶")).messages) == ["喝茶吗"]
        assert texts((yield self.find("喝茶")).messages) == ["喝茶吗"]
        assert (yield self.find("milk")) == Found([], None)
        assert (yield self.find("tea", [])) == Found([], None)
        assert (yield self.find("tea", ["nowhere"])) == Found([], None)

    @inlineCallbacks
    def test_nobody_finds_what_others_say_to_each_other(self) -> Steps:
        yield self.settle(say("secret tea", ALONE), say("tea"))
        assert texts((yield self.find("tea")).messages) == ["tea"]
        assert texts((yield self.find("tea", also=(ALONE,))).messages) == ["tea", "secret tea"]
        assert texts((yield self.find("tea", [ALONE])).messages) == ["secret tea"]

    @inlineCallbacks
    def test_what_is_found_is_as_it_is_now(self) -> Steps:

        yield self.settle(say("tee one"), say("tea two"), say("tea three"))
        yield self.settle(edit(1, "tea one"), edit(2, "coffee"), delete(3), react(1, "👍"))
        found = yield self.find("tea")
        assert found.messages == [self.log.message("lobby", 1)]
        assert (yield self.find("tee")).messages == []
        assert texts((yield self.find("coffee")).messages) == ["coffee"]

    @inlineCallbacks
    def test_a_null_character_hides_nothing_behind_it(self) -> Steps:
        escaped = r"like \u0000 \\u0000" "\\\0end"
        yield self.settle(say("one\0said"), say(escaped), say("three"))
        yield self.settle(react(1, "👍"), react(2, "👍"), edit(3, "three\0edited"))
        for query, text in (
            ("said", "one\0said"),
            ("one said", "one\0said"),
            ("u0000", escaped),
            ("end", escaped),
            ("edited", "three\0edited"),
        ):
            assert texts((yield self.find(query)).messages) == [text], query

    @inlineCallbacks
    def test_pages_of_a_search(self) -> Steps:
        yield self.settle(*(say(f"tea {n}", f"room{n % 2}") for n in range(5)))
        first = yield self.find("tea", limit=2)
        assert texts(first.messages) == ["tea 4", "tea 3"]
        second = yield self.find("tea", before=first.next, limit=2)
        assert texts(second.messages) == ["tea 2", "tea 1"]
        third = yield self.find("tea", before=second.next, limit=2)
        assert texts(third.messages) == ["tea 0"]
        assert third.next is None
