"""CHATHISTORY: what was said before, by ids and by times."""

from __future__ import annotations

from typing import Any

from chatroom.irc import past
from chatroom.room import Room
from chatroom.session import Session
from tests.irc_rig import MODERN, IrcCase, bodies, tags


class History(IrcCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 1_000_000_000.0
        self.chat.wall = lambda: self.now
        self.web = self.web_user("Grace")
        for at in range(10):
            self.now += 1
            self.web.talk("talk", room="tea", message=f"number {at}")
            self.settle(1)
        self.ada = self.irc_user("Ada", "#tea", MODERN)

    def asked(self, *words: str) -> list[str]:
        """Return the numbers of the messages that are the answer."""
        first, *inside, last = self.ada.said(f"CHATHISTORY {' '.join(words)}")
        name = first.split(" ")[2].removeprefix("+")
        assert first.endswith(f" chathistory {words[1]}")
        assert last.endswith(f" BATCH -{name}")
        assert all(tags(line)["batch"] == name for line in inside)
        return [line.rpartition(" ")[2] for line in inside]

    def message(self, at: int) -> str:
        """Return what the message *at* is known by."""
        lines = self.ada.said("CHATHISTORY LATEST #tea * 50")[1:-1]
        (line,) = [line for line in lines if line.endswith(f" {at}")]
        return f"msgid={tags(line)['msgid']}"

    def time(self, at: float) -> str:
        seconds = f"{41 + at:06.3f}"
        return f"timestamp=2001-09-09T01:46:{seconds}Z"

    def test_by_ids_and_by_times(self) -> None:
        for place in (self.message, self.time):
            two, five, eight = place(2), place(5), place(8)
            assert self.asked("LATEST", "#tea", "*", "3") == ["7", "8", "9"]
            assert self.asked("LATEST", "#tea", five, "3") == ["7", "8", "9"]
            assert self.asked("LATEST", "#tea", five, "9") == ["6", "7", "8", "9"]
            assert self.asked("BEFORE", "#tea", five, "3") == ["2", "3", "4"]
            assert self.asked("BEFORE", "#tea", two, "9") == ["0", "1"]
            assert self.asked("AFTER", "#tea", five, "3") == ["6", "7", "8"]
            assert self.asked("AFTER", "#tea", eight, "9") == ["9"]
            assert self.asked("AROUND", "#tea", five, "3") == ["4", "5", "6"]
            assert self.asked("AROUND", "#tea", five, "1") == ["5"]
            assert self.asked("BETWEEN", "#tea", two, eight, "9") == ["3", "4", "5", "6", "7"]
            assert self.asked("BETWEEN", "#tea", two, eight, "2") == ["3", "4"]
            assert self.asked("BETWEEN", "#tea", eight, two, "2") == ["6", "7"]

    def test_times_between_messages(self) -> None:
        assert self.asked("BEFORE", "#tea", self.time(4.5), "2") == ["3", "4"]
        assert self.asked("AFTER", "#tea", self.time(4.5), "2") == ["5", "6"]
        assert self.asked("AFTER", "#tea", "timestamp=1999-01-01T00:00:00Z", "2") == ["0", "1"]
        assert self.asked("AFTER", "#tea", "timestamp=2030-01-01T00:00:00.5Z", "2") == []
        assert self.asked("BEFORE", "#tea", "timestamp=1999-01-01T00:00:00Z", "2") == []

    def test_what_was_taken_back_does_not_count(self) -> None:
        for at in (3, 4, 6):
            self.web.talk("delete", room="tea", of=at + 1)
        self.settle()
        self.ada.take()
        assert self.asked("BEFORE", "#tea", self.time(7), "3") == ["1", "2", "5"]
        assert self.asked("AFTER", "#tea", self.time(2), "3") == ["5", "7", "8"]
        assert self.asked("AFTER", "#tea", self.time(8), "3") == ["9"]

    def test_what_is_said_cannot_look_like_the_end_of_a_batch(self) -> None:
        self.web.talk("talk", room="tea", message="see BATCH -x")
        self.settle()
        self.ada.take()
        assert self.asked("LATEST", "#tea", "*", "2") == ["9", "-x"]

    def test_longer_than_a_page(self) -> None:
        self.patch(past, "PAGE", 3)
        self.ada.take()
        assert self.asked("LATEST", "#tea", "*", "9") == ["7", "8", "9"]
        self.web.talk("delete", room="tea", of=6)
        self.settle()
        self.ada.take()
        assert self.asked("BEFORE", "#tea", self.time(7), "3") == ["3", "4", "6"]
        assert self.asked("AFTER", "#tea", self.time(3), "3") == ["4", "6", "7"]

    def test_others_have_their_turns_while_there_is_nothing_but_what_was_taken_back(self) -> None:
        for at in range(10):
            self.web.talk("delete", room="tea", of=at + 1)
            self.settle(1)
        self.ada.take()
        self.patch(past, "PAGE", 1)
        pages: list[object] = []
        page = Room.page

        def counted(room: Room[Session], *where: Any) -> Any:
            pages.append(where)
            return page(room, *where)

        self.patch(Room, "page", counted)
        self.ada.write("CHATHISTORY LATEST #tea * 5", "PING :me")
        while sum(pump.pump() for pump in self.pumps):
            pass
        assert len(pages) == 1
        first, last, pong = self.ada.said()
        assert len(pages) > 3
        assert " BATCH +" in first
        assert " BATCH -" in last
        assert pong.endswith("PONG chat.room me")

    def test_nobody_reads_on_for_who_has_gone(self) -> None:
        self.patch(past, "PAGE", 1)
        for at in range(10):
            self.web.talk("delete", room="tea", of=at + 1)
            self.settle(1)
        self.ada.write("CHATHISTORY LATEST #tea * 5")
        while sum(pump.pump() for pump in self.pumps):
            pass
        self.ada.transport.loseConnection()
        self.patch(Room, "page", None)
        self.settle()
        assert self.ada.lost

    def test_faults(self) -> None:
        other = "msgid=0-1-00000000"
        for words, fault in (
            ("LATEST #nowhere * 5", "INVALID_TARGET LATEST #nowhere"),
            ("LATEST Nobody * 5", "INVALID_TARGET LATEST Nobody"),
            ("LATEST #tea * x", "INVALID_PARAMS LATEST x"),
            ("LATEST #tea * 0", "INVALID_PARAMS LATEST 0"),
            ("LATEST #tea *", "INVALID_PARAMS LATEST"),
            ("BEFORE #tea id=1 5", "INVALID_MSGREFTYPE BEFORE id=1"),
            (f"BEFORE #tea {other} 5", f"INVALID_PARAMS BEFORE {other}"),
            ("BEFORE #tea timestamp=soon 5", "INVALID_PARAMS BEFORE timestamp=soon"),
            ("NONSENSE #tea * 5", "INVALID_PARAMS NONSENSE"),
        ):
            (line,) = self.ada.said(f"CHATHISTORY {words}")
            assert line.startswith(f":chat.room FAIL CHATHISTORY {fault} :"), line
        plain = self.irc_user("Old", "#tea")
        assert " UNKNOWN_COMMAND " in plain.said("CHATHISTORY LATEST #tea * 5")[0]

    def test_only_who_is_in_a_room_reads_its_past(self) -> None:
        self.ada.said("PART #tea")
        (line,) = self.ada.said("CHATHISTORY LATEST #tea * 5")
        assert " FAIL CHATHISTORY INVALID_TARGET " in line

    def test_direct_rooms_and_targets(self) -> None:
        bob = self.irc_user("Bob", caps=MODERN)
        self.now += 60
        bob.said("PRIVMSG Ada :number 1")
        self.now += 60
        self.ada.said("PRIVMSG Bob :number 2")
        bob.take(), self.ada.take()
        # As one who has not joined anything.
        assert self.asked("LATEST", "Bob", "*", "5") == ["1", "2"]
        lines = bob.said("CHATHISTORY LATEST Ada * 1")[1:-1]
        assert bodies(lines) == [":Ada!~Ada@u2.chat.room PRIVMSG Bob :number 2"]
        early, late = "timestamp=2000-01-01T00:00:00.000Z", "timestamp=2030-01-01T00:00:00.000Z"
        first, *inside, _ = self.ada.said(f"CHATHISTORY TARGETS {early} {late} 10")
        assert first.endswith(" draft/chathistory-targets")
        assert bodies(inside) == [
            ":chat.room CHATHISTORY TARGETS #tea 2001-09-09T01:46:50.000Z",
            ":chat.room CHATHISTORY TARGETS Bob 2001-09-09T01:48:50.000Z",
        ]
        (_, one, _) = self.ada.said(f"CHATHISTORY TARGETS {late} {early} 1")
        assert " TARGETS Bob " in one
        assert len(bob.said(f"CHATHISTORY TARGETS {early} {self.time(0)} 10")) == 2

    def test_a_channel_in_which_nothing_was_said_is_no_target(self) -> None:
        early, late = "timestamp=2000-01-01T00:00:00.000Z", "timestamp=2030-01-01T00:00:00.000Z"
        self.ada.said("JOIN #quiet")
        _, *inside, _ = self.ada.said(f"CHATHISTORY TARGETS {early} {late} 10")
        assert [line.split(" ")[4] for line in inside] == ["#tea"]

    def test_without_batches_it_is_just_the_messages(self) -> None:
        bob = self.irc_user("Bob", "#tea", "draft/chathistory")
        assert bob.said("CHATHISTORY LATEST #tea * 2") == [
            ":Grace!user@u1.chat.room PRIVMSG #tea :number 8",
            ":Grace!user@u1.chat.room PRIVMSG #tea :number 9",
        ]

    def test_who_has_been_in_rooms_by_the_page_may_come_by_irc(self) -> None:
        token = self.chat.token(self.chat.users[1])
        self.web.talk("read", room="tea", id=10)
        self.settle()
        self.web.close()
        self.settle()
        peer = self.call()
        peer.said(
            "CAP REQ draft/chathistory", f"PASS {token}", "NICK x", "USER g 0 * :x", "CAP END"
        )
        lines = peer.said("JOIN #tea")
        assert [line.split()[1] for line in lines] == ["JOIN", "353", "366"]
        (line,) = peer.said("CHATHISTORY LATEST #tea * 1")
        assert line.endswith(" PRIVMSG #tea :number 9")
