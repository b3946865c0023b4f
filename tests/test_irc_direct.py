"""Direct messages: nicks are users, and what is said to one is in their direct room."""

from __future__ import annotations

from chatroom.irc import presence
from tests.irc_rig import MODERN, IrcCase, bodies, tags

ADA, BOB = ":Ada!~Ada@u1.chat.room", ":Bob!~Bob@u2.chat.room"


class Direct(IrcCase):
    def test_two_by_irc(self) -> None:
        ada, bob = self.irc_user("Ada", caps=MODERN), self.irc_user("Bob", caps="message-tags")
        (echo,) = ada.said("@label=x PRIVMSG bob :hello")
        assert bodies([echo]) == [f"{ADA} PRIVMSG Bob :hello"]
        assert tags(echo)["label"] == "x"
        (heard,) = bob.take()
        assert bodies([heard]) == [f"{ADA} PRIVMSG Bob :hello"]
        assert tags(heard)["msgid"] == tags(echo)["msgid"]
        assert bob.said(f"@+draft/reply={tags(heard)['msgid']} PRIVMSG Ada :hello yourself") == []
        (answer,) = ada.take()
        assert bodies([answer]) == [f"{BOB} PRIVMSG Ada :hello yourself"]
        assert tags(answer)["+draft/reply"] == tags(echo)["msgid"]
        assert bob.said("@+typing=active TAGMSG Ada") == []
        assert bodies(ada.take()) == [f"{BOB} TAGMSG Ada"]
        (line,) = ada.said(f"REDACT Bob {tags(echo)['msgid']}")
        assert bodies([line]) == [f"{ADA} REDACT Bob {tags(echo)['msgid']}"]

    def test_with_somebody_on_the_web(self) -> None:
        web, bob = self.web_user("Ada Lovelace"), self.irc_user("Bob")
        web.talk("direct", id=2)
        web.talk("talk", room="@1-2", message="psst")
        web.talk("talk", room="@1-2", message="you")
        self.settle()
        # Nothing of it looks like a channel.
        source = ":Ada\uff3fLovelace!user@u1.chat.room"
        assert bob.take() == [f"{source} PRIVMSG Bob :psst", f"{source} PRIVMSG Bob :you"]
        assert bob.said("PRIVMSG Ada\uff3fLovelace :yes?") == []
        assert web.said("talk")[-1]["message"] == "yes?"
        assert web.said("talk")[-1]["room"] == "@1-2"
        web.talk("rename", name="Countess")
        self.settle()
        assert bob.take() == [f"{source} NICK Countess"]

    def test_it_begins_while_a_channel_is_entered(self) -> None:
        ada, bob = self.irc_user("Ada"), self.irc_user("Bob", caps="message-tags")
        lines = bob.said("@+typing=active TAGMSG Ada", "JOIN #tea")
        assert [line.split()[1] for line in lines] == ["JOIN", "353", "366"]
        assert bodies(ada.take()) == []
        assert not bob.lost

    def test_nobody_of_this_name(self) -> None:
        ada = self.irc_user("Ada")
        assert " 401 Ada Bob :" in ada.said("PRIVMSG Bob :hello")[0]
        assert " 401 Ada a!b :" in ada.said("PRIVMSG a!b :hello")[0]
        assert ada.said("NOTICE Bob :hello") == []
        assert " 411 " in ada.said("PRIVMSG")[0]
        assert " 412 " in ada.said("PRIVMSG Bob")[0]

    def test_to_oneself(self) -> None:
        ada = self.irc_user("Ada", caps=MODERN)
        first, second = ada.said("@label=x PRIVMSG Ada :note")
        assert sorted(["label" in tags(first), "label" in tags(second)]) == [False, True]
        assert {*bodies([first, second])} == {f"{ADA} PRIVMSG Ada :note"}

    def test_several_at_once(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea", caps=MODERN), self.irc_user("Bob", "#tea")
        ada.take(), bob.take()
        lines = ada.said("PRIVMSG #tea,Bob,#tea :hello")
        assert bodies(lines) == [f"{ADA} PRIVMSG #tea :hello", f"{ADA} PRIVMSG Bob :hello"]
        assert len(bob.take()) == 2
        lines = ada.said("PRIVMSG #tea,a,b,c,d :hello")
        assert " 407 Ada d :" in lines[0]

    def test_what_was_said_before_is_not_said_again(self) -> None:
        first = self.call()
        token = first.said("NICK Ada", "USER a 0 * :x")[-1].rpartition(" ")[2]
        bob = self.irc_user("Bob")
        first.said("PRIVMSG Bob :old")
        bob.said("PRIVMSG Ada :old, too")
        first.said("QUIT")
        again = self.call()
        again.said(f"PASS {token}", "NICK Ada", "USER a 0 * :x")
        bob.take()
        bob.said("PRIVMSG Ada :new")
        assert bodies(again.take()) == [f"{BOB} PRIVMSG Ada :new"]
        again.said("PRIVMSG Bob :new, too")
        assert len(bob.take()) == 1

    def test_who_speaks_with_many_forgets_none(self) -> None:
        self.patch(presence, "DIRECTS", 2)
        ada = self.irc_user("Ada")
        others = [self.irc_user(f"user{at}") for at in range(4)]
        for turn in range(3):
            for at, other in enumerate(others):
                other.said(f"PRIVMSG Ada :{turn} of {at}")
        said = [line.rpartition(":")[2] for line in ada.take()]
        assert said == [f"{turn} of {at}" for turn in range(3) for at in range(4)]
        assert len(self.chat.users[1].sessions[0].rooms) == 2
        for at, other in enumerate(others):
            ada.said(f"PRIVMSG user{at} :hello {at}")
            assert [line.rpartition(":")[2] for line in other.take()] == [f"hello {at}"]

    def test_on_two_connections(self) -> None:
        first = self.call()
        token = first.said("NICK Ada", "USER a 0 * :x")[-1].rpartition(" ")[2]
        second = self.call()
        second.said("CAP REQ echo-message", f"PASS {token}", "NICK Ada", "USER a 0 * :x", "CAP END")
        self.irc_user("Bob")
        first.said("PRIVMSG Bob :hello")
        # What one says oneself is told to a connection that expects that.
        assert second.take() == [":Ada!~a@u1.chat.room PRIVMSG Bob :hello"]
        second.said("PRIVMSG Bob :hello again")
        assert first.take() == []
