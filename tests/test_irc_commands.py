"""The smaller commands of IRC, and how those that are wrong are answered."""

from __future__ import annotations

from tests.irc_rig import MODERN, IrcCase


class Small(IrcCase):
    def test_what_the_server_is(self) -> None:
        ada = self.irc_user("Ada")
        (version,) = ada.said("VERSION")
        assert version.startswith(":chat.room 351 Ada chatroom-")
        (time,) = ada.said("TIME")
        assert time.startswith(":chat.room 391 Ada chat.room ")
        *about, end = ada.said("INFO")
        assert [line.split(" ")[1] for line in about] == ["371", "371"]
        assert end == ":chat.room 374 Ada :end of INFO"
        for command in ("VERSION", "TIME", "INFO"):
            (line,) = ada.said(f"{command} elsewhere.example")
            assert line.startswith(":chat.room 402 Ada elsewhere.example ")

    def test_what_is_missing(self) -> None:
        ada = self.irc_user("Ada")
        for line, number in {
            "PING": "409",
            "WHOIS": "431",
            "WHOIS :": "431",
            "WHOWAS": "431",
            "NICK": "431",
            "JOIN": "461",
            "MODE": "461",
            "USER a 0 * :b": "462",
            "PASS secret": "462",
            "MODE #a!b": "403",
            "MODE #nowhere": "403",
        }.items():
            (answer,) = ada.said(line)
            assert answer.split(" ")[1] == number, (line, answer)
        assert ada.said("PONG x") == []

    def test_wishes_for_nicks(self) -> None:
        ada = self.irc_user("Ada")
        self.irc_user("Bob")
        assert ada.said("NICK Bob")[0].split(" ")[1] == "433"
        assert ada.said("NICK :a\u202eb")[0].split(" ")[1] == "432"

    def test_who_is_away(self) -> None:
        ada, bob = self.irc_user("Ada"), self.irc_user("Bob")
        ada.said("AWAY :at lunch")
        assert ":chat.room 301 Bob Ada :at lunch" in bob.said("WHOIS Ada")
        assert ":chat.room 301 Bob Ada :at lunch" in bob.said("PRIVMSG Ada :hello")
        ada.said("AWAY")
        assert not any(" 301 " in line for line in bob.said("WHOIS Ada"))

    def test_who_is_away_on_two_connections_is_so_until_both_are_gone(self) -> None:
        ada, bob = self.irc_user("Ada"), self.irc_user("Bob")
        ada.said("AWAY :at lunch")
        token = self.chat.token(self.chat.users[1])
        second = self.call()
        second.said(f"PASS {token}", "NICK Ada", "USER Ada 0 * :x")
        ada.said("QUIT")
        assert ":chat.room 301 Bob Ada :at lunch" in bob.said("WHOIS Ada")
        second.said("QUIT")
        third = self.call()
        third.said(f"PASS {token}", "NICK Ada", "USER Ada 0 * :x")
        lines = bob.said("WHOIS Ada")
        assert not any(" 301 " in line for line in lines)
        assert any(" 311 " in line for line in lines)

    def test_who_is_in_channels_that_cannot_be(self) -> None:
        ada = self.irc_user("Ada")
        (end,) = ada.said("WHO #a!b")
        assert end.split(" ")[1] == "315"

    def test_logging_in(self) -> None:
        ada = self.irc_user("Ada", caps=MODERN)
        (line,) = ada.said("AUTHENTICATE PLAIN")
        assert line.split(" ")[1] == "462"
