"""When a room says no, or the store cannot be read: what a client of IRC is told."""

from __future__ import annotations

import msgspec

from chatroom import session
from chatroom.log import Unavailable
from tests.irc_rig import MODERN, IrcCase, IrcPeer


def broken(*args: object) -> None:
    raise Unavailable("the disk is gone")


class Refusals(IrcCase):
    def hurry(self, peer: IrcPeer, bucket: str) -> None:
        """Take from the user of *peer* all that is in a *bucket*."""
        user = peer.server.protocol._connection.here.user
        spent = self.chat.bucket(1)
        while not spent.take(self.clock.seconds()):
            pass
        setattr(user, bucket, spent)

    def test_too_many_rooms(self) -> None:
        self.patch(session, "ROOMS", 2)
        ada = self.irc_user("Ada", "#a,#b")
        assert ada.said("JOIN #c") == [":chat.room 405 Ada #c :a connection is in at most 2 rooms"]
        self.irc_user("Bob")
        (line,) = ada.said("PRIVMSG Bob :hello")
        assert line == ":chat.room NOTICE Ada :PRIVMSG Bob: a connection is in at most 2 rooms"
        # Who cannot hear it now reads it later, and is not cut off for it.
        bob = self.irc_user("Bob2")
        bob.said("PRIVMSG Ada :hello")
        assert ada.take() == []
        ada.said("PART #b", "CAP REQ :batch draft/chathistory")
        assert "hello" in ada.said("CHATHISTORY LATEST Bob2 * 5")[1]

    def test_not_so_fast(self) -> None:
        ada = self.irc_user("Ada", "#tea", MODERN)
        self.hurry(ada, "moves")
        assert ada.said("JOIN #milk") == [
            ":chat.room FAIL JOIN RATE_LIMITED #milk 0.2 :not so fast"
        ]
        assert ada.said("PART #tea") == [":chat.room FAIL PART RATE_LIMITED #tea 0.2 :not so fast"]
        self.hurry(ada, "talk")
        assert ada.said("NICK Eda") == [":chat.room FAIL NICK RATE_LIMITED Eda 0.2 :not so fast"]
        assert ada.said("TOPIC #tea :x") == [
            ":chat.room FAIL TOPIC RATE_LIMITED #tea 0.2 :not so fast"
        ]
        id = f"{self.chat.log.epoch}-1-9141d259"
        self.settle(1)
        ada.said("PRIVMSG #tea :x")
        self.hurry(ada, "talk")
        assert " FAIL REDACT RATE_LIMITED #tea " in ada.said(f"REDACT #tea {id}")[0]
        self.hurry(ada, "questions")
        assert ada.said("LIST")[1:] == [
            ":chat.room 263 Ada LIST :not so fast",
            ":chat.room 323 Ada :end of LIST",
        ]

    def test_a_message_that_is_too_long_or_empty(self) -> None:
        self.chat.limits = msgspec.structs.replace(self.chat.limits, message=10)
        ada = self.irc_user("Ada", "#tea", MODERN)
        assert " FAIL PRIVMSG TOO_LONG #tea " in ada.said("PRIVMSG #tea :12345678901")[0]
        assert " FAIL PRIVMSG EMPTY #tea " in ada.said("PRIVMSG #tea :\x02 \x02")[0]
        assert ada.said("NOTICE #tea :12345678901") == []
        assert (
            " FAIL BATCH MULTILINE_MAX_BYTES 10 "
            in ada.said(
                "BATCH +1 draft/multiline #tea", "@batch=1 PRIVMSG #tea :12345678901", "BATCH -1"
            )[0]
        )
        assert (
            " FAIL BATCH MULTILINE_INVALID "
            in ada.said(
                "BATCH +1 draft/multiline #tea",
                "@batch=1 PRIVMSG #tea :\x01VERSION\x01",
                "BATCH -1",
            )[0]
        )
        assert (
            " FAIL BATCH MULTILINE_INVALID "
            in ada.said(
                "BATCH +1 draft/multiline #tea",
                "@batch=1 PRIVMSG #tea :a",
                "@batch=1 NOTICE #tea :b",
                "BATCH -1",
            )[0]
        )


class Store(IrcCase):
    def test_nobody_comes_in_while_the_store_cannot_be_read(self) -> None:
        peer = self.call()
        self.patch(self.log, "new_user", broken)
        assert peer.said("NICK Ada", "USER a 0 * :x") == [
            "ERROR :Closing link: the store cannot be read now"
        ]
        assert peer.lost
        assert self.chat.users == {}

    def test_who_was_known_does_not_come_in_either(self) -> None:
        first = self.call()
        token = first.said("NICK Ada", "USER a 0 * :x")[-1].rpartition(" ")[2]
        first.said("QUIT")
        self.patch(self.log, "readings", broken)
        again = self.call()
        lines = again.said(f"PASS {token}", "NICK Ada", "USER a 0 * :x")
        assert lines == ["ERROR :Closing link: the store cannot be read now"]
        assert self.chat.users == {}

    def test_what_cannot_be_read(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea", MODERN), self.irc_user("Bob")
        self.patch(self.log, "room", broken)
        self.patch(self.log, "before", broken)
        assert ada.said("JOIN #milk") == [
            ":chat.room FAIL JOIN UNAVAILABLE #milk 1 :the store cannot be read now"
        ]
        assert " 442 " in ada.said("PART #milk")[0]
        assert " FAIL PRIVMSG UNAVAILABLE Bob " in ada.said("PRIVMSG Bob :hello")[0]
        # To a NOTICE nothing is answered.
        assert ada.said("NOTICE Bob :hello", "NOTICE #te!a :hello") == []
        assert " FAIL CHATHISTORY MESSAGE_ERROR " in ada.said("CHATHISTORY LATEST #tea * 5")[0]
        assert bob.take() == []
        assert ada.said("PRIVMSG #tea :still") != []
