"""Everything that a client can overdo: floods, rubbish, silence, slowness."""

from __future__ import annotations

from chatroom.events import Batch, Message, Who
from chatroom.irc import channels as verbs
from chatroom.irc import connection, tongue
from chatroom.irc.lines import LONGEST
from chatroom.irc.tcp import ended
from chatroom.session import PATIENCE
from chatroom.site import SPARE
from tests.irc_rig import MODERN, IrcCase, IrcPeer, bodies


class Rubbish(IrcCase):
    def test_rubbish_ends_the_connection(self) -> None:
        for line in (
            b"NONSENSE",
            b"PRIVMSG",
            b"\xff\xfe",
            b"x" * 600,
            b"@" + b"a" * 5000 + b" PING x",
        ):
            peer = self.irc_user("Ada")
            for _ in range(PATIENCE * 2):
                peer.write(line)
            self.settle()
            lines = peer.take()
            assert lines[-1] == "ERROR :Closing link: too many errors", line
            assert peer.lost
            assert len(lines) <= PATIENCE + 2
            self.settle(20)

    def test_rubbish_before_registration(self) -> None:
        peer = self.call()
        for _ in range(100):
            peer.write("JOIN #tea")
        self.settle()
        assert peer.lost

    def test_what_is_not_utf8_is_told(self) -> None:
        peer = self.irc_user("Ada", "#tea")
        assert peer.said(b"PRIVMSG #tea :\xe8") == [
            ":chat.room FAIL PRIVMSG INVALID_UTF8 :this is not UTF-8"
        ]

    def test_a_line_that_is_too_long_is_no_line(self) -> None:
        bob, ada = self.irc_user("Bob", "#tea"), self.irc_user("Ada", "#tea")
        bob.take()
        assert ada.said(f"PRIVMSG #tea :{'x' * 497}") == [
            ":chat.room 417 Ada :this line is too long"
        ]
        # By itself it fits, but not with who says it before it.
        assert " 417 " in ada.said(f"PRIVMSG #tea :{'x' * 490}")[0]
        assert ada.said(f"@a={'x' * 4091} PRIVMSG #tea :{'x' * 400}") == []
        assert " 417 " in ada.said(f"@a={'x' * 4093} PRIVMSG #tea :x")[0]
        assert len(bob.take()) == 1
        # However long it is, nothing of it is kept, and nothing is taken for the next line.
        ada.transport.write(b"PRIVMSG #tea :" + b"x" * LONGEST)
        ada.transport.write(b"x" * 10_000)
        assert ada.said(b"end", "PING x") == [
            ":chat.room 417 Ada :this line is too long",
            ":chat.room PONG chat.room x",
        ]
        protocol = ada.server.protocol
        assert len(protocol._begun) == 0
        assert bob.take() == []

    def test_a_line_without_an_end_ends_the_connection(self) -> None:
        ada = self.irc_user("Ada")
        for _ in range(100):
            ada.transport.write(b"x" * 65_536)
            self.settle()
        assert ada.lost

    def test_lines_may_end_otherwise_and_come_in_pieces(self) -> None:
        ada = self.irc_user("Ada")
        for byte in "PING ä\nPING b\r\n\r\n\n PING c\r\n".encode():
            ada.transport.write(bytes([byte]))
            self.settle()
        assert ada.take() == [f":chat.room PONG chat.room {x}" for x in "äbc"]

    def test_what_is_too_long_may_come_in_pieces_as_well(self) -> None:
        ada = self.irc_user("Ada")
        for piece in (b"PING " + b"x" * LONGEST, b"x" * LONGEST, b"x\r\nPING a\r\nPING", b" b\r\n"):
            ada.transport.write(piece)
            self.settle()
        assert ada.take() == [
            ":chat.room 417 Ada :this line is too long",
            ":chat.room PONG chat.room a",
            ":chat.room PONG chat.room b",
        ]


class Rates(IrcCase):
    def test_talk_is_limited_as_by_every_door(self) -> None:
        ada, web = self.irc_user("Ada", "#tea"), self.web_user("Grace")
        ada.take()
        for _ in range(30):
            ada.write("PRIVMSG #tea :x")
        self.settle()
        refused = [line for line in ada.take() if "not so fast" in line]
        assert (len(web.said("talk")), len(refused)) == (20, 10)
        self.settle(1)
        ada.said("PRIVMSG #tea :x")
        assert len(web.said("talk")) == 21

    def test_questions_are_limited(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        numbers = [line.split()[1] for _ in range(101) for line in ada.said("WHO #tea")]
        assert numbers.count("315") == 100
        assert numbers.count("263") == 1
        # It goes through all rooms.
        assert ada.said("LUSERS")[0].split()[1] == "263"


class Silence(IrcCase):
    def test_who_does_not_register_is_let_go(self) -> None:
        peer = self.call()
        peer.write("NICK Ada")
        self.settle(connection.REGISTRATION - 1)
        assert not peer.lost
        self.settle(2)
        assert peer.take()[-1] == "ERROR :Closing link: you did not say who you are"
        assert peer.lost

    def test_who_answers_pings_stays(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        heard: list[str] = []
        for _ in range(24):
            self.settle(2.5)
            heard += ada.take()
            if heard and heard[-1] == "PING :alive?":
                ada.said("PONG :alive?")
        assert not ada.lost
        assert bob.lost
        assert bob.take()[-1] == "ERROR :Closing link: no sign of life"
        # After the time that one has to come back.
        assert ":Bob!~Bob@u2.chat.room QUIT :" in heard

    def test_who_is_gone_can_come_back_unseen(self) -> None:
        first = self.call()
        token = first.said("NICK Ada", "USER a 0 * :x", "JOIN #tea")[-4].rpartition(" ")[2]
        bob = self.irc_user("Bob", "#tea")
        first.transport.abortConnection()
        self.settle(1)
        again = self.call()
        again.said(f"PASS {token}", "NICK Ada", "USER a 0 * :x", "JOIN #tea")
        self.settle(20)
        assert [line for line in bob.take() if "Ada" in line] == []


class Slowness(IrcCase):
    def clog(self, peer: IrcPeer, on: bool) -> None:
        """Have the transport of *peer* say that it is full, or no longer."""
        producer = peer.server.producer
        (producer.pauseProducing if on else producer.resumeProducing)()

    def test_who_does_not_read_gets_it_all_later(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea", MODERN), self.irc_user("Bob", "#tea")
        grace, web = self.irc_user("Grace", "#tea"), self.web_user("Web")
        ada.take()
        self.clog(ada, True)
        bob.said("PRIVMSG #tea :one")
        bob.said("NICK Bobby")
        grace.said("QUIT")
        self.irc_user("New", "#tea").said("PRIVMSG #tea :two")
        web.talk("topic", room="tea", topic="three")
        ada.write("PING later")
        self.settle()
        assert ada.take() == []
        self.clog(ada, False)
        self.settle()
        assert [line.partition("@u")[0] for line in bodies(ada.take())] == [
            ":Bob!~Bob",
            ":New!~New",
            ":Web!user",
            ":Grace!~Grace",
            ":Bob!~Bob",
            ":New!~New",
            ":chat.room PONG chat.room later",
        ]
        bob.said("PRIVMSG #tea :four")
        assert bodies(ada.take()) == [":Bobby!~Bob@u2.chat.room PRIVMSG #tea :four"]

    def test_who_was_slow_for_nothing_is_told_the_rest_once(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        self.clog(ada, True)
        self.clog(ada, False)
        bob = self.irc_user("Bob", "#tea")
        assert ada.take() == [":Bob!~Bob@u2.chat.room JOIN #tea"]
        self.clog(ada, True)
        self.irc_user("Grace", "#tea")
        bob.said("PART #tea")
        self.clog(ada, False)
        self.settle()
        assert ada.take() == [
            ":Bob!~Bob@u2.chat.room PART #tea",
            ":Grace!~Grace@u3.chat.room JOIN #tea",
        ]

    def test_who_does_not_read_before_saying_who_it_is(self) -> None:
        peer = self.call()
        self.clog(peer, True)
        peer.write("NICK Ada", "USER Ada 0 * :x", "JOIN #tea")
        self.settle()
        assert peer.take() == []
        self.clog(peer, False)
        self.settle()
        assert [line.split()[1] for line in peer.take()][-3:] == ["JOIN", "353", "366"]

    def test_what_was_said_directly_to_who_was_about_to_speak_directly(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob")
        ada.write("PRIVMSG #tea,Bob :one")
        # Stopped between what it said to the room and the answer.
        self.pumps[0].pump()
        self.clog(ada, True)
        bob.said("PRIVMSG Ada :two")
        assert ada.take() == []
        self.clog(ada, False)
        self.settle()
        assert ada.take() == [":Bob!~Bob@u2.chat.room PRIVMSG Ada :two"]
        assert bob.take() == [":Ada!~Ada@u1.chat.room PRIVMSG Bob :one"]

    def test_what_one_says_while_it_is_slow_is_done(self) -> None:
        ada, web = self.irc_user("Ada", "#tea", MODERN), self.web_user("Web")
        ada.take()
        ada.write("@label=a PRIVMSG #tea :one")
        # Stopped between what it said and the answer.
        self.pumps[0].pump()
        self.clog(ada, True)
        ada.write("@label=b PRIVMSG #tea :two")
        self.settle()
        assert [said["message"] for said in web.said("talk")] == ["one"]
        assert ada.take() == []
        self.clog(ada, False)
        self.settle()
        assert [line.partition(";")[0] for line in ada.take()] == ["@label=a", "@label=b"]
        assert [said["message"] for said in web.said("talk")] == ["one", "two"]

    def test_an_answer_that_is_among_what_was_missed(self) -> None:
        for channels, said in (("#tea", "NICK Eve"), ("", "NICK Eve"), ("#tea", "PRIVMSG Bob :hi")):
            with self.subTest(channels, said=said):
                self.setUp()
                ada, _ = self.irc_user("Ada", channels), self.irc_user("Bob")
                if not channels:
                    ada.said("PRIVMSG Bob :hi")
                ada.take()
                ada.write(said)
                # Stopped between what it said and the answer.
                self.pumps[0].pump()
                self.clog(ada, True)
                self.settle()
                self.clog(ada, False)
                self.settle()
                lines = ada.take() + ada.said("PING x")
                wished = [":Ada!~Ada@u1.chat.room NICK Eve"] if "NICK" in said else []
                assert lines == [*wished, ":chat.room PONG chat.room x"]

    def test_commands_wait_and_reading_with_them(self) -> None:
        ada = self.irc_user("Ada")
        reading: list[bool] = []
        ada.server.pauseProducing = lambda: reading.append(False)
        ada.server.resumeProducing = lambda: reading.append(True)
        ada.write("JOIN #tea", "PING x")
        self.pumps[0].pump()
        assert reading == [False]
        self.settle()
        assert reading == [False, True]
        assert [line.split()[1] for line in ada.take()] == ["JOIN", "353", "366", "PONG"]


class Places(IrcCase):
    connections = 2

    def test_there_are_as_many_as_there_are_places(self) -> None:
        first, second = self.irc_user("Ada"), self.enter("/irc")
        assert second.status == 101
        third = self.call()
        self.settle()
        assert third.take() == ["ERROR :Closing link: the room is full"]
        assert third.lost
        assert self.enter("/irc").status == 503
        first.said("QUIT")
        assert self.irc_places.taken == 1
        self.irc_user("Grace")

    def test_descriptors_are_kept_free(self) -> None:
        from chatroom.irc import tcp

        self.patch(tcp, "descriptors_left", lambda transport: SPARE - 1)
        peer = self.call()
        self.settle()
        assert peer.take() == ["ERROR :Closing link: the server is full"]


class Ending(IrcCase):
    def test_all_are_told_when_the_server_stops(self) -> None:
        ada, gone = self.irc_user("Ada", "#tea"), list[None]()
        self.irc.farewell().addCallback(gone.append)
        self.settle()
        assert ada.take() == ["ERROR :Closing link: the server is stopping; come back soon"]
        assert gone == [None]
        assert self.irc.farewell().called

    def test_the_server_waits_for_all_of_them(self) -> None:
        ada, bob, gone = self.irc_user("Ada"), self.irc_user("Bob"), list[None]()
        self.patch(ada.server, "loseConnection", lambda: None)
        self.irc.farewell().addCallback(gone.append)
        self.settle()
        assert (ada.lost, bob.lost, gone) == (False, True, [])
        # For who does not go it waits no longer than two seconds.
        self.settle(2)
        assert (ada.lost, gone) == (True, [None])

    def test_a_bug_ends_one_connection_alone(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        ada.take()
        broken = ada.server.protocol._connection

        def broken_hear(batch: object) -> None:
            raise ZeroDivisionError

        self.patch(broken, "_hear", broken_hear)
        bob.said("PRIVMSG #tea :x")
        assert ada.take() == ["ERROR :Closing link: a bug in the server"]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert bob.said("PING x") == [":chat.room PONG chat.room x"]

    def test_a_bug_in_a_command_that_waits_does_so_as_well(self) -> None:
        ada, bob = self.irc_user("Ada"), self.irc_user("Bob")

        def broken_names(*args: object) -> None:
            raise ZeroDivisionError

        self.patch(verbs, "_names", broken_names)
        *_, end = ada.said("JOIN #tea", "PING x")
        assert end == "ERROR :Closing link: a bug in the server"
        assert ada.lost
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert bob.said("PING x") == [":chat.room PONG chat.room x"]

    def test_who_goes_before_the_answer_has_said_it(self) -> None:
        ada, web = self.irc_user("Ada", "#tea"), self.web_user("Grace")
        ada.write("PRIVMSG #tea :bye", "PRIVMSG #tea :never said")
        self.pumps[0].pump()
        ada.transport.abortConnection()
        self.settle()
        assert ada.lost
        assert [said["message"] for said in web.said("talk")] == ["bye"]
        self.settle(11)
        assert [gone["name"] for gone in web.said("exit")] == ["Ada"]

    def test_behind_the_end_there_is_nothing(self) -> None:
        ada, web = self.irc_user("Ada", "#tea"), self.web_user("Grace")
        self.patch(ada.server, "loseConnection", lambda: None)
        assert ada.said(*["NONSENSE"] * 60)[-1] == "ERROR :Closing link: too many errors"
        web.talk("talk", room="tea", message="hello")
        web.talk("topic", room="tea", topic="who is gone")
        self.irc_user("Bob", "#tea")
        assert ada.said("PING x") == []

    def test_who_has_not_read_the_end_is_dropped(self) -> None:
        ada = self.irc_user("Ada")
        server = ada.server
        server.loseConnection = lambda: None
        ada.said("QUIT")
        assert not ada.lost
        self.settle(3)
        assert server.aborted


class Once(IrcCase):
    """A message to many is made into lines once for all who have agreed on the same."""

    def test_lines_are_made_once(self) -> None:
        for at in range(5):
            self.irc_user(f"old{at}", "#tea")
            self.irc_user(f"new{at}", "#tea", MODERN)
            self.irc_user(f"timed{at}", "#tea", "server-time labeled-response echo-message")
        made: list[object] = []
        original = tongue.Tongue.outs

        def outs(self: tongue.Tongue, event: object) -> object:
            made.append(event)
            return original(self, event)  # type: ignore[arg-type]

        self.patch(tongue.Tongue, "outs", outs)
        web = self.web_user("Grace")
        made.clear()
        web.talk("talk", room="tea", message="hello")
        self.settle()
        assert len(made) == 3

    def test_a_batch_is_one_write(self) -> None:
        told = [
            Message(at, "tea", "x", "text", Who(9, "Zoe"), "2001-09-09T01:46:40.250Z")
            for at in range(5)
        ]
        batch = Batch(told)
        tongue = self.network.tongue(frozenset(), ended)
        assert batch.encoded(tongue.told) is batch.encoded(tongue.told)
        ada = self.irc_user("Ada", "#tea")
        written: list[bytes] = []
        ada.server.write = written.append
        ada.server.protocol._connection.hear(batch)
        assert [data.count(b"\r\n") for data in written] == [5]
