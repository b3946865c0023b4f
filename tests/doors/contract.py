"""
What holds at every door.

Each class is about one promise. A door's tests are made of those that it can keep by its nature
(see ``tests/test_doors.py``); somebody at `/ws` is always there to see the other side of it.
"""

from __future__ import annotations

from random import Random
from typing import NoReturn

from chatroom.log import Unavailable
from tests.doors.case import DoorCase
from tests.doors.person import Person
from tests.doors.websocket import WebSocketPerson

BURST = 20
"""So many messages one may send at once, unless an option says otherwise."""
GRACE = 10.0
"""So many seconds somebody has to come back unseen, likewise."""
LONGEST = 4000
"""So many characters a message may have, likewise."""

TEXTS = (
    "hello",
    "你好 👋🏽 e\u0301",
    "<b>&amp;</b><script>alert(1)</script>",
    '\\"\' {"event":"talk"} ]]>',
    "0",
    "data: x",
    ":x PRIVMSG #lobby :y",
    '42["talk",{}]',
    "%00 %0A &#10; \\n",
    "\u2028 and \u2029 end",
)
"""What might mean something on some wire, and must not."""
LINES = ("first\nsecond", "a\r\nevent: talk\r\ndata: {}\r\n\r\n", "x\rPRIVMSG #lobby :y\r\n")
"""The same, of several lines."""


class DoorContract(DoorCase):
    """A room with somebody at the `door`, and somebody else at `/ws`."""

    door: type[Person]

    def someone(self, name: str | None = "Ann", room: str = "lobby") -> Person:
        """Return somebody who has come in through the door."""
        return self.come(self.door, name, room)

    def witness(self, name: str = "Wit", room: str = "lobby") -> WebSocketPerson:
        """Return somebody who has come in through `/ws`."""
        return self.come(WebSocketPerson, name, room)

    def agree(self, *people: Person, texts: list[str] | None = None) -> None:
        """See that all *people* have the same on their screens: *texts*, numbered without a gap."""
        # As it was said, if anybody hears it so.
        first = min(people, key=lambda person: person.shows is not Person.shows)
        for person in people:
            assert person.missed == [], f"{person.name} missed what is before {person.missed}"
            expected = [
                (id, person.shows(text) if person is not first else text, sender)
                for id, text, sender in first.screen
            ]
            assert person.screen == expected, (
                f"{person.name} (over: {person.over}, {person.code}) has up to {person.ids[-1:]},"
                f" {first.name} up to {first.ids[-1:]}"
            )
        if texts is not None:
            assert first.texts == texts
            assert first.ids == list(range(1, len(texts) + 1))

    def went_on(self, person: Person) -> None:
        """See that *person* began afresh only when they came for the first time."""
        assert person.resumed.count(False) <= 1


class Talks(DoorContract):
    """What is said comes to all, as it was said."""

    def test_both_hear_what_either_says(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("hello")
        self.settle()
        wit.say("good morning")
        self.settle()
        self.agree(wit, ann, texts=["hello", "good morning"])
        assert [heard.sender for heard in ann.shown] == ["Ann", "Wit"]
        assert ann.again == wit.again == []
        assert ann.errors == []

    def test_any_text_comes_as_it_was_said(self) -> None:
        ann, wit = self.someone(), self.witness()
        for text in TEXTS:
            ann.say(text)
            self.settle()
        for text in TEXTS:
            wit.say(text)
        self.settle()
        self.agree(wit, ann, texts=[*TEXTS, *TEXTS])

    def test_text_of_several_lines_comes_as_one_message(self) -> None:
        ann, wit = self.someone(), self.witness()
        for text in LINES:
            wit.say(text)
        wit.say("end")
        self.settle()
        assert wit.texts == [*LINES, "end"]
        self.agree(ann, wit)

    def test_longest_text(self) -> None:
        ann, wit = self.someone(), self.witness()
        wit.say("好" * LONGEST)
        wit.say("👋" * LONGEST)
        self.settle()
        self.agree(ann, wit, texts=["好" * LONGEST, "👋" * LONGEST])

    def test_who_comes_later_is_shown_what_was_said(self) -> None:
        wit = self.witness()
        for text in ("one", "two", "three"):
            wit.say(text)
        self.settle()
        self.agree(self.someone(), wit, texts=["one", "two", "three"])

    def test_another_room_hears_nothing(self) -> None:
        ann, wit = self.someone(room="tea"), self.witness()
        there = self.witness("Tom", "tea")
        wit.say("here")
        there.say("there")
        self.settle()
        ann.say("there, too")
        self.settle()
        self.agree(there, ann, texts=["there", "there, too"])
        assert wit.texts == ["here"]


class TalksAtLength(DoorContract):
    """The longest message there may be can be said, and no longer one."""

    def test_longest_text_can_be_said(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("👋" * LONGEST)
        self.settle()
        self.agree(ann, wit, texts=["👋" * LONGEST])

    def test_too_long_text(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("x" * (LONGEST + 1), "n")
        self.settle()
        ann.say("after")
        self.settle()
        assert ann.errors == ["too_long"]
        self.agree(ann, wit, texts=["after"])

    def test_lines_can_be_said(self) -> None:
        ann, wit = self.someone(), self.witness()
        for text in LINES:
            ann.say(text)
            self.settle()
        self.agree(ann, wit, texts=list(LINES))


class Refuses(DoorContract):
    """What cannot be done has a code, and does no harm."""

    def test_empty_text(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("\u200b ")
        self.settle()
        ann.say("after")
        self.settle()
        assert ann.errors == ["empty"]
        self.agree(ann, wit, texts=["after"])

    def test_nonsense(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.nonsense()
        self.settle()
        ann.say("after")
        self.settle()
        assert ann.errors == ["bad_message"]
        assert not ann.over
        self.agree(ann, wit, texts=["after"])


GARBAGE = (
    b"",
    b"\0",
    b" ",
    b"{",
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b"null",
    b"[]",
    b"{}",
    b'"talk"',
    b'{"event":null,"data":[]}',
    b'{"event":"talk","data":null}',
    b'{"event":"talk","data":{"message":"\\ud800"}}',
    b'{"event":"talk","data":{"message":"x","nonce":""}}',
    b'{"event":"talk","data":{"message":"x","reply":-1}}',
    b'{"event":"history","data":{"before":1e400}}',
    b'{"message":NaN}',
    b'{"message":"x","reply":99999999999999999999999999}',
    b'["talk"]',
    b'["talk",null,null,null]',
    b'["talk",{"message":{"_placeholder":true,"num":0}}]',
    b'99999999999999999999["talk",{"message":1}]',
    b'-1["x"]',
    b"/nowhere,",
    b'/nowhere,["talk",{}]',
    b"5-",
    b"2probe",
    b"6",
    b"\xff\xfe\xfd",
    b"\xc3\xa9",
    "\ud83d\ude00".encode("utf-16", "surrogatepass"),
    b"x" * 70_000,
    b"..",
    b"%2e%2e%2f%00",
    b"#" + b"x" * 600,
    b"a" * 520,
    b":prefix COMMAND",
    b"@=;=;;; PING",
    b"JOIN #" + b",#" * 200,
    b"CAP REQ :" + b"x " * 200,
    b"NICK",
    b"AUTHENTICATE " + b"=" * 400,
    b"CHATHISTORY BETWEEN #lobby msgid=x timestamp=y -1",
)
"""What somebody may send who means harm, or does not know what they do."""


class Survives(DoorContract):
    """Nothing that comes in harms anybody else, or is taken for a fault of the server's."""

    def test_garbage(self) -> None:
        wit = self.witness()
        for data in GARBAGE:
            person = self.someone(None)
            person.garbage(data)
            self.settle()
            # Whatever that was, it was not said to anybody.
            assert wit.shown == [], data
            person.cut()
            # New people may come only so often.
            self.settle(0.3)
        wit.say("still here")
        self.settle()
        assert wit.texts == ["still here"]
        self.agree(self.someone("Last"), wit)

    def test_garbage_at_random(self) -> None:
        random = Random(1)
        wit = self.witness()
        person = self.someone(None)
        for _ in range(150):
            data = bytearray(random.choice(GARBAGE)[:300] or b"x")
            for _ in range(random.randrange(4)):
                data[random.randrange(len(data))] = random.randrange(256)
            person.garbage(bytes(data))
            if random.random() < 0.3:
                self.settle(0.5)
            if person.over:
                person = self.someone(None)
        self.settle()
        assert [text for text in wit.texts if len(text) > 300] == []
        wit.say("still here")
        self.settle()
        assert wit.texts[-1] == "still here"


class Stops(DoorContract):
    """Whoever is there is told when the server stops, and nobody can come in any more."""

    def test_all_are_sent_away(self) -> None:
        ann, wit = self.someone(), self.witness()
        gone = self.doors.farewell()
        self.settle(5.0)
        self.successResultOf(gone)
        assert wit.code == 1012
        assert ann.over or ann.status == 503
        assert ann.code in (None, 1012)


class KnowsTrouble(DoorContract):
    """Where the store cannot be read, that is what one is told."""

    def test_store_that_cannot_be_read(self) -> None:
        def broken(room: str) -> NoReturn:
            raise Unavailable("disk")

        self.log.room = broken  # type: ignore[method-assign]
        ann = self.someone()
        assert ann.shown == []
        assert ann.status == 503 or ann.code == 1013 or "unavailable" in ann.errors or ann.over
        del self.log.room
        self.agree(self.someone("Bob"), self.witness(), texts=[])


class SendsAway(DoorContract):
    """Who goes on in spite of many errors is sent away."""

    def test_who_talks_nonsense_all_the_time(self) -> None:
        ann, wit = self.someone(), self.witness()
        for _ in range(60):
            ann.nonsense()
        self.settle()
        assert ann.over
        assert ann.code in (None, 1008)
        assert 0 < len(ann.errors) <= 60
        assert set(ann.errors) == {"bad_message"}
        wit.say("still here")
        self.settle()
        assert wit.texts == ["still here"]


class Orders(DoorContract):
    """All see the same ids in the same order."""

    def test_all_at_once(self) -> None:
        people = [self.someone(name) for name in ("Ann", "Bob")]
        people += [self.witness(name) for name in ("Wit", "Tom")]
        for i in range(10):
            for person in people:
                person.say(f"{person.name} {i}")
        self.settle()
        self.agree(*people)
        assert people[0].ids == list(range(1, 41))
        for person in people:
            assert person.again == []
            own = [heard.text for heard in people[0].shown if heard.sender == person.name]
            assert own == [f"{person.name} {i}" for i in range(10)]


class Changes(DoorContract):
    """What becomes of messages comes in the same order as what is said."""

    def test_changes_have_their_place(self) -> None:
        ann, wit = self.someone(), self.witness()
        wit.say("teh")
        self.settle()
        wit.send("edit", of=1, message="the")
        wit.send("react", of=1, emoji="🍵")
        wit.send("topic", topic="Tea")
        wit.send("talk", message="more")
        wit.send("delete", of=1)
        self.settle()
        for person in (ann, wit):
            entries = [heard for heard in person.heard if heard.id is not None]
            assert [(heard.kind, heard.id, heard.text) for heard in entries] == [
                ("talk", 1, "teh"),
                ("edit", 2, "the"),
                ("react", 3, "🍵"),
                ("topic", 4, "Tea"),
                ("talk", 5, "more"),
                ("delete", 6, ""),
            ]


class KeepsChanges(DoorContract):
    """What becomes of messages is told to who comes back."""

    def test_changes_are_not_missed_by_who_was_away(self) -> None:
        ann, wit = self.someone(), self.witness()
        wit.say("teh")
        self.settle()
        ann.cut()
        self.settle()
        wit.send("edit", of=1, message="the")
        wit.send("talk", message="more")
        self.settle()
        ann.come()
        self.settle()
        assert ann.missed == ann.again == []
        entries = [heard for heard in ann.heard if heard.id is not None]
        assert [(heard.kind, heard.id) for heard in entries] == [
            ("talk", 1),
            ("edit", 2),
            ("talk", 3),
        ]


class Returns(DoorContract):
    """Who comes back misses nothing, and sees nothing twice."""

    def test_what_was_said_meanwhile_comes_once(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("before")
        self.settle()
        for turn in range(3):
            ann.cut()
            self.settle(1.0)
            wit.say(f"meanwhile {turn}")
            wit.say(f"and more {turn}")
            self.settle()
            assert len(ann.shown) < len(wit.shown)
            ann.come()
            self.settle()
            wit.say(f"after {turn}")
            self.settle()
            self.agree(wit, ann)
            assert ann.again == []
        assert wit.ids == list(range(1, 11))
        self.went_on(ann)

    def test_with_nothing_seen_yet(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.cut()
        self.settle()
        wit.say("first")
        self.settle()
        ann.come()
        self.settle()
        ann.cut()
        self.settle()
        ann.come()
        self.settle()
        self.agree(ann, wit, texts=["first"])
        assert ann.again == []
        self.went_on(ann)

    def test_after_a_long_absence(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("before")
        self.settle()
        ann.cut()
        self.settle(3 * GRACE)
        for round in range(4):
            for i in range(BURST):
                wit.say(f"{round} {i}")
            self.settle(4.0)
        ann.come()
        self.settle()
        self.agree(wit, ann)
        assert ann.again == []
        assert len(wit.shown) == 1 + 4 * BURST
        self.went_on(ann)

    def test_is_the_same_user(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("before")
        self.settle()
        ann.cut()
        self.settle()
        ann.come()
        self.settle()
        ann.say("after")
        self.settle()
        self.agree(wit, ann, texts=["before", "after"])
        assert [heard.sender for heard in wit.shown] == ["Ann", "Ann"]


class BeginsAfresh(DoorContract):
    """Ids that mean nothing any more are forgotten."""

    def test_another_epoch(self) -> None:
        ann, wit = self.someone(), self.witness()
        for text in ("one", "two"):
            wit.say(text)
        self.settle()
        ann.cut()
        self.settle()
        ann.epoch = "0123456789abcdef"
        ann.come()
        self.settle()
        assert ann.epoch == wit.epoch
        self.agree(ann, wit, texts=["one", "two"])


class BeginsAgain(DoorContract):
    """Whoever has more than there is begins afresh."""

    def test_beyond_the_end(self) -> None:
        ann, wit = self.someone(), self.witness()
        wit.say("one")
        self.settle()
        ann.cut()
        self.settle()
        ann.last = 1000
        ann.come()
        self.settle()
        wit.say("two")
        self.settle()
        self.agree(wit, ann, texts=["one", "two"])


class SaysOnce(DoorContract):
    """A nonce is said once."""

    def test_twice_is_once(self) -> None:
        ann, wit = self.someone(), self.witness()
        for text in ("hello", "hello"):
            ann.say(text, "n-1")
            self.settle()
        ann.say("more", "n-2")
        self.settle()
        ann.say("hello", "n-1")
        self.settle()
        self.agree(ann, wit, texts=["hello", "more"])
        assert wit.again == []
        assert ann.answered["n-1"][0] == 1
        # Each time it is said it is answered.
        assert ann.answered["n-1"].count(1) >= 3
        assert ann.errors == []

    def test_another_text(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("hello", "n-1")
        self.settle()
        ann.say("bye", "n-1")
        self.settle()
        assert ann.errors == ["nonce_reused"]
        self.agree(ann, wit, texts=["hello"])

    def test_another_user(self) -> None:
        ann, bob, wit = self.someone(), self.someone("Bob"), self.witness()
        for person in (ann, bob, wit):
            person.say("hello", "n-1")
            self.settle()
        self.agree(ann, bob, wit, texts=["hello", "hello", "hello"])

    def test_over_another_connection(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("hello", "n-1")
        self.settle()
        ann.cut()
        self.settle()
        ann.come()
        self.settle()
        ann.say("hello", "n-1")
        self.settle()
        self.agree(ann, wit, texts=["hello"])
        assert wit.again == []

    def test_lost_on_the_way(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("hello", "n-1")
        # Whether it came in, nobody can tell.
        ann.cut()
        self.settle()
        ann.come()
        self.settle()
        ann.say("hello", "n-1")
        self.settle()
        self.agree(ann, wit, texts=["hello"])
        assert 1 in ann.answered["n-1"]


class SaysOnceAtAnyDoor(DoorContract):
    """A nonce is said once, through whatever doors."""

    def test_through_two_doors(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("hello", "n-1")
        self.settle()
        also = self.come(WebSocketPerson, None, token=ann.token)
        also.say("hello", "n-1")
        self.settle()
        assert also.id == ann.id
        self.agree(wit, ann, also, texts=["hello"])
        assert wit.again == ann.again == []
        assert also.answered["n-1"][-1] == 1


class IsCalled(DoorContract):
    """Names are had once, and the same can be had everywhere."""

    def test_name_that_somebody_has(self) -> None:
        wit = self.witness("Ann")
        ann = self.someone("ＡＮＮ")
        ann.say("hello")
        self.settle()
        assert ann.errors == ["name_taken"]
        assert wit.shown[0].sender != "Ann"

    def test_name_that_cannot_be(self) -> None:
        wit = self.witness()
        ann = self.someone("An\u202en")
        ann.say("hello")
        self.settle()
        assert ann.errors == ["bad_name"]
        assert "\u202e" not in wit.shown[0].sender

    def test_another_name(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.say("one")
        self.settle()
        ann.rename("Ada")
        self.settle()
        ann.say("two")
        self.settle()
        assert [heard.sender for heard in wit.shown] == ["Ann", "Ada"]
        self.agree(ann, wit)
        assert ann.name == "Ada"
        # The name that was had is free.
        assert self.witness("Ann").errors == []

    def test_another_name_that_cannot_be_had(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.rename("Wit")
        self.settle()
        ann.rename("An\u202en")
        self.settle()
        ann.say("still Ann")
        self.settle()
        assert ann.errors == ["name_taken", "bad_name"]
        assert wit.shown[0].sender == "Ann"


class IsSeen(DoorContract):
    """Others see who comes and goes, each once."""

    def test_coming_and_leaving(self) -> None:
        wit = self.witness()
        ann = self.someone()
        assert [heard.sender for heard in wit.told("join")] == ["Ann"]
        ann.leave()
        self.settle(GRACE + 1 if self.door.lingers else 0)
        assert [heard.sender for heard in wit.told("exit")] == ["Ann"]
        assert ann.over

    def test_others_are_seen(self) -> None:
        ann = self.someone()
        wit = self.witness()
        wit.rename("Witness")
        self.settle()
        wit.leave()
        self.settle()
        assert [heard.sender for heard in ann.told("join")] == ["Wit"]
        assert [(heard.text, heard.sender) for heard in ann.told("rename")] == [("Wit", "Witness")]
        assert [heard.sender for heard in ann.told("exit")] == ["Witness"]

    def test_another_name_is_seen_once(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.rename("Ada")
        self.settle()
        assert [(heard.text, heard.sender) for heard in wit.told("rename")] == [("Ann", "Ada")]
        assert [(heard.text, heard.sender) for heard in ann.told("rename")] == [("Ann", "Ada")]

    def test_leaves_with_the_last_connection(self) -> None:
        ann, wit = self.someone(), self.witness()
        also = self.come(WebSocketPerson, None, token=ann.token)
        assert wit.told("join") == []
        ann.leave()
        self.settle(GRACE + 1)
        assert wit.told("exit") == []
        also.leave()
        self.settle()
        assert [heard.sender for heard in wit.told("exit")] == ["Ann"]

    def test_who_is_cut_off_has_time_to_come_back(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.cut()
        self.settle(GRACE / 2)
        assert wit.told("exit") == []
        ann.come()
        self.settle(3 * GRACE)
        assert wit.told("exit") == wit.told("join") == []

    def test_who_does_not_come_back_has_left(self) -> None:
        ann, wit = self.someone(), self.witness()
        ann.cut()
        self.settle(GRACE + 1)
        assert [heard.sender for heard in wit.told("exit")] == ["Ann"]


class Floods(DoorContract):
    """Nobody is quicker than anybody else may be, whatever their door."""

    def test_burst_and_what_is_beyond_it(self) -> None:
        ann, wit = self.someone(), self.witness()
        for i in range(BURST + 5):
            ann.say(str(i), f"n-{i}")
        self.settle()
        assert ann.errors == ["rate_limited"] * 5
        assert [heard.retry for heard in ann.told("error")] == [
            retry for heard in ann.told("error") if (retry := heard.retry) is not None and retry > 0
        ]
        self.agree(ann, wit, texts=[str(i) for i in range(BURST)])
        self.settle(1.5)
        ann.say("later", "n-later")
        self.settle()
        assert wit.texts[-1] == ann.texts[-1] == "later"

    def test_others_are_not_held_up(self) -> None:
        ann, wit = self.someone(), self.witness()
        for i in range(BURST + 5):
            ann.say(str(i))
        wit.say("hello")
        self.settle()
        assert "hello" in wit.texts
        self.agree(ann, wit)
        assert wit.errors == []


class FloodsThroughDoors(DoorContract):
    """Another door is no way around it."""

    def test_one_bucket_for_all_doors(self) -> None:
        ann = self.someone()
        for i in range(BURST):
            ann.say(str(i))
        self.settle()
        also = self.come(WebSocketPerson, None, token=ann.token)
        also.say("too much")
        self.settle()
        assert also.errors == ["rate_limited"]
        assert "too much" not in ann.texts


class ReadsSlowly(DoorContract):
    """Who does not read costs little, and has it all when they read on."""

    def test_goes_on_from_the_log(self) -> None:
        talkers = [self.witness(), self.witness("Tom")]
        ann = self.someone()
        ann.stop()
        # Not so long that they would have to answer a ping.
        for round in range(4):
            for i in range(BURST):
                for talker in talkers:
                    talker.say(f"{round} {i} " + "x" * 3900)
            self.settle(4.0)
        wit = talkers[0]
        assert len(wit.shown) == 4 * BURST * 2
        # Of more than half a megabyte.
        assert ann.held < 250_000
        assert len(ann.shown) < len(wit.shown)
        ann.go_on()
        self.settle()
        self.agree(wit, ann)
        assert ann.again == []
        wit.say("live again")
        self.settle()
        assert ann.texts[-1] == "live again"


class KnowsPages(DoorContract):
    """A page of another site may not, unless an option says so (RFC 6454)."""

    def page(self, origin: str) -> Person:
        return self.come(self.door, "Page", origin=origin)

    def test_own_pages_may(self) -> None:
        wit = self.witness()
        page = self.page("http://chat.example:8080")
        page.say("hello")
        self.settle()
        assert page.status in (101, 200, 201)
        self.agree(wit, page, texts=["hello"])

    def test_pages_of_listed_sites_may(self) -> None:
        wit = self.witness()
        page = self.page("https://friend.example")
        page.say("hello")
        self.settle()
        assert page.status in (101, 200, 201)
        self.agree(wit, page, texts=["hello"])

    def test_others_may_not(self) -> None:
        wit = self.witness()
        for origin in (
            "https://evil.example",
            "null",
            "http://chat.example:8081",
            "https://friend.example.evil.example",
            "http://chat.example:8080.evil.example",
        ):
            page = self.page(origin)
            assert page.status == 403, origin
            assert page.errors in ([], ["forbidden"])
            page.say("hello")
            self.settle()
        self.settle(1)
        assert wit.shown == page.shown == []
        assert wit.told("join") == []


class HasPlaces(DoorContract):
    """As many may come in from one address as an option says, through whatever doors."""

    per_address = 2

    def test_no_more_than_there_are_places(self) -> None:
        ann = self.someone()
        wit = self.witness()
        assert ann.status in (0, 101, 200) and wit.status == 101
        assert self.someone("Bob").status == 429
        assert self.witness("Tom").status == 429
        wit.leave()
        self.settle()
        assert self.someone("Bob").status in (0, 101, 200)
        ann.cut()
        self.settle(GRACE + 1)
        assert self.witness("Tom").status == 101


class IsClosed(DoorContract):
    """An option closes the door, and no other."""

    closed: str

    def without(self) -> list[str]:
        return [self.closed]

    def test_nobody_comes_in(self) -> None:
        ann, wit = self.someone(), self.witness()
        # The page's files are everywhere else, and nothing can be posted there.
        assert ann.status in (404, 405)
        assert wit.status == 101
        assert wit.told("join") == []


class KnowsRooms(DoorContract):
    """Rooms have names, and some are nobody else's."""

    def test_room_that_cannot_be(self) -> None:
        for room in ("a b", "x" * 65, "a/b", "..", "a\nb"):
            if set(room) & set(self.door.unsayable):
                continue
            person = self.someone(None, room)
            assert 400 <= person.status < 500 or person.errors == ["bad_room"], room
            assert person.shown == []

    def test_same_room_in_other_letters(self) -> None:
        ann, wit = self.someone(room="TEA"), self.witness(room="tea")
        wit.say("hello")
        ann.say("hello")
        self.settle()
        self.agree(ann, wit, texts=["hello", "hello"])

    def test_direct_room_of_others(self) -> None:
        one, two = self.witness("One"), self.witness("Two")
        secret = f"@{one.id}-{two.id}"
        one.send("direct", id=two.id)
        self.settle()
        one.send("talk", room=secret, message="secret")
        self.settle()
        person = self.someone("Eve", secret)
        one.send("talk", room=secret, message="more secrets")
        person.say("hello")
        self.settle()
        assert person.status == 403 or {"forbidden", "bad_room"} & {*person.errors}
        assert not any("secret" in text for text in person.texts)


class MissesNothing(DoorContract):
    """Whatever happens, in whatever order: each message once, in one order."""

    def test_at_random(self) -> None:
        for seed in range(6):
            self.doTest(Random(seed), f"room{seed}")

    def doTest(self, random: Random, room: str) -> None:
        """Let three people do things at random in *room*."""
        inside = [self.someone(f"{room}-{i}", room) for i in range(2)]
        wit = self.witness(f"{room}-w", room)
        away: list[Person] = []
        stuck: list[Person] = []
        for step in range(80):
            here = [person for person in inside if person not in away]
            person = random.choice([*here, wit])
            match random.randrange(10):
                case 0 if person is not wit:
                    person.cut()
                    away.append(person)
                    if person in stuck:
                        stuck.remove(person)
                case 1 if away:
                    away.pop(random.randrange(len(away))).come()
                case 2 if person is not wit and person not in stuck:
                    person.stop()
                    stuck.append(person)
                case 3 if stuck:
                    stuck.pop().go_on()
                case 4 | 5:
                    self.settle(random.choice([0, 0.3, 2.0]))
                case _ if person not in stuck:
                    person.say(f"{step} {'x' * random.choice([1, 3000])}")
        for person in stuck:
            person.go_on()
        self.settle(1.0)
        for person in away:
            person.come()
        self.settle(1.0)
        wit.say("end")
        self.settle()
        self.agree(wit, *inside)
        assert wit.texts[-1] == "end"
        for person in (wit, *inside):
            assert person.again == []


class Contract(
    Talks,
    TalksAtLength,
    Refuses,
    Survives,
    Stops,
    KnowsTrouble,
    Orders,
    Changes,
    KeepsChanges,
    Returns,
    BeginsAfresh,
    BeginsAgain,
    SaysOnce,
    SaysOnceAtAnyDoor,
    IsCalled,
    IsSeen,
    Floods,
    FloodsThroughDoors,
    ReadsSlowly,
    KnowsPages,
    KnowsRooms,
    MissesNothing,
):
    """All that holds at a door through which one can both read and say."""


class Carries(
    Talks,
    Refuses,
    Orders,
    KeepsChanges,
    Returns,
    BeginsAfresh,
    SaysOnce,
    IsSeen,
    ReadsSlowly,
    MissesNothing,
):
    """What depends on how things are carried, for doors that are like another one in all else."""
