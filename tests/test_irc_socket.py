"""IRC over WebSocket: a line is a message."""

from __future__ import annotations

from chatroom.irc.connection import REGISTRATION
from chatroom.irc.websocket import BINARY, LINES, TEXT, chosen
from tests.irc_rig import IrcCase
from tests.rig import Peer


def lines(peer: Peer, first: int = 0x81) -> list[str]:
    """Return the lines that came in frames that begin with the byte *first*."""
    return [payload.decode() for kind, payload in peer.frames if kind == first]


class Sockets(IrcCase):
    def socket(self, protocols: str = TEXT, **headers: str) -> Peer:
        peer = self.enter("/irc", Sec_WebSocket_Protocol=protocols, **headers)
        assert peer.status == 101
        return peer

    def say(self, peer: Peer, *said: str, first: int = 0x81) -> None:
        for line in said:
            peer.frame(first, line.encode())
        self.settle()

    def test_text(self) -> None:
        web, peer = self.web_user("Grace"), self.socket()
        assert peer.header("Sec-WebSocket-Protocol") == TEXT
        self.say(peer, "NICK Ada", "USER a 0 * :x", "JOIN #tea", "PRIVMSG #tea :hello ☕")
        found = lines(peer)
        assert found[0].startswith(":chat.room 001 Ada ")
        assert found[-1] == ":chat.room 366 Ada #tea :end of NAMES"
        assert not any("\r" in line or "\n" in line for line in found)
        assert web.said("talk")[-1]["message"] == "hello ☕"
        web.talk("talk", room="tea", message="one\ntwo")
        self.settle()
        source = ":Grace!user@u1.chat.room"
        assert lines(peer)[-2:] == [f"{source} PRIVMSG #tea :one", f"{source} PRIVMSG #tea :two"]
        self.say(peer, "QUIT :bye")
        assert lines(peer)[-1] == "ERROR :Closing link: bye"
        assert peer.code == 1000
        assert web.said("exit")[-1]["name"] == "Ada"

    def test_binary(self) -> None:
        peer = self.socket(f"x, {BINARY}, {TEXT}")
        assert peer.header("Sec-WebSocket-Protocol") == BINARY
        self.say(peer, "NICK Ada", "USER a 0 * :x", "PING x\r\n", first=0x82)
        assert lines(peer) == []
        assert lines(peer, 0x82)[-1] == ":chat.room PONG chat.room x"

    def test_without_a_subprotocol(self) -> None:
        peer = self.enter("/irc")
        assert peer.header("Sec-WebSocket-Protocol") is None
        self.say(peer, "PING x")
        assert lines(peer) == [":chat.room PONG chat.room x"]
        assert chosen(["a", BINARY, TEXT]) == BINARY
        assert chosen(["a"]) == ""

    def test_with_compression_offered_and_the_long_way(self) -> None:
        for headers in (
            {"Sec_WebSocket_Extensions": "permessage-deflate"},
            {"X_Strange": "\u00e9", "Upgrade": "WebSocket"},
        ):
            peer = self.socket(BINARY, **headers)
            self.say(peer, "PING x", first=0x82)
            assert lines(peer, 0x82) == [":chat.room PONG chat.room x"]

    def test_whose_page_it_is(self) -> None:
        assert self.enter("/irc", Origin="https://evil.example").status == 403
        assert self.enter("/irc", Origin="http://chat.example:8080").status == 101

    def test_a_handshake_that_fails_takes_no_place(self) -> None:
        peer = self.enter("/irc", Sec_WebSocket_Key="nonsense")
        self.settle()
        assert (peer.status, peer.lost) == (400, True)
        assert self.irc_places.taken == 0
        self.say(self.socket(), "PING x")
        assert self.irc_places.taken == 1

    def test_behind_the_end_there_is_nothing(self) -> None:
        web, peer = self.web_user("Grace"), self.socket()
        self.say(peer, "NICK Ada", "USER a 0 * :x", "JOIN #tea")
        self.patch(peer.server, "loseConnection", lambda: None)
        before = len(peer.frames)
        peer.close()
        self.settle()
        web.talk("talk", room="tea", message="hello")
        self.settle()
        assert [first for first, _ in peer.frames[before:]] == [0x88]

    def test_who_leaves_when_it_is_too_late_to_say_who_it_is(self) -> None:
        peer = self.socket()
        self.settle(REGISTRATION - 1)
        # It does not close its side: two seconds later it is dropped.
        self.patch(peer.server, "loseConnection", lambda: None)
        peer.close()
        self.settle(1.5)
        assert [first for first, _ in peer.frames if first != 0x89] == [0x88]
        assert peer.code == 1000
        self.settle(1)
        assert peer.lost

    def test_what_is_not_utf8(self) -> None:
        peer = self.socket(BINARY)
        self.say(peer, "NICK Ada", "USER a 0 * :x", first=0x82)
        peer.frame(0x82, b"PRIVMSG #tea :\xff")
        self.settle()
        assert " FAIL PRIVMSG INVALID_UTF8 " in lines(peer, 0x82)[-1]

    def test_who_leaves_and_who_is_lost(self) -> None:
        web = self.web_user("Grace")
        for code, at_once in ((1000, True), (None, True), (1001, False)):
            peer = self.socket()
            self.say(peer, "NICK Ada", "USER a 0 * :x", "JOIN #tea")
            before = len(web.said("exit"))
            peer.close(code)
            self.settle()
            assert len(web.said("exit")) == before + at_once
            self.settle(11)
            assert len(web.said("exit")) == before + 1
        assert self.irc_places.taken == 0

    def test_too_large_a_message(self) -> None:
        peer = self.socket()
        peer.frame(0x81, b"x" * 20_000)
        self.settle()
        assert lines(peer) == [":chat.room 417 * :this line is too long"]
        peer.frame(0x81, b"x" * 70_000)
        self.settle()
        assert peer.code == 1009

    def test_some_lines_in_one_message(self) -> None:
        peer = self.socket()
        self.say(peer, "PING 1\r\nPING 2\r\n")
        assert [line[-1] for line in lines(peer)] == ["1", "2"]
        # A frame of few bytes could hold very many otherwise.
        self.say(peer, "PING x\n" * 600)
        assert len(lines(peer)) <= 2 + LINES
        self.say(peer, "PING x\n" * 2000)
        assert len(lines(peer)) <= 3 + LINES

    def test_a_long_reason_for_the_end(self) -> None:
        peer = self.socket()
        self.say(peer, f"QUIT :a{'é' * 60}")
        (reason,) = [payload[2:] for kind, payload in peer.frames if kind == 0x88]
        assert reason.decode() == "a" + "é" * 49

    def test_who_does_not_read(self) -> None:
        web, peer = self.web_user("Grace"), self.socket()
        self.say(peer, "NICK Ada", "USER a 0 * :x", "JOIN #tea")
        connection = peer.server.producer
        connection.pauseProducing()
        web.talk("talk", room="tea", message="hello")
        self.settle()
        assert not lines(peer)[-1].endswith("hello")
        connection.resumeProducing()
        self.settle()
        assert lines(peer)[-1].endswith("hello")

    def test_the_end_of_the_server(self) -> None:
        peer = self.socket()
        self.sockets.farewell()
        self.settle()
        assert peer.code == 1012
