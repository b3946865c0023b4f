"""IRC: registering, channels, and talk between IRC and the page."""

from __future__ import annotations

from chatroom import names
from chatroom.irc import channels, network, presence
from tests.irc_rig import IrcCase, bodies

ADA = "Ada!~Ada@u1.chat.room"


class Registering(IrcCase):
    def test_a_plain_client_is_welcome(self) -> None:
        peer = self.call()
        lines = peer.said("NICK Ada", "USER ada 0 * :Ada Lovelace")
        numbers = [line.split()[1] for line in lines]
        assert numbers[:4] == ["001", "002", "003", "004"]
        assert numbers[4:6] == ["005", "005"]
        assert "422" in numbers
        assert lines[0] == ":chat.room 001 Ada :Welcome, Ada: you are Ada!~ada@u1.chat.room"
        support = " ".join(line for line in lines if " 005 " in line)
        for token in (
            *("CASEMAPPING=ascii", "CHANTYPES=#", "NICKLEN=32", "UTF8ONLY", "PREFIX= "),
            *("CHATHISTORY=200", "MSGREFTYPES=msgid,timestamp", "TOPICLEN=250", "CHANNELLEN=65"),
        ):
            assert token in support, token

    def test_a_nick_that_is_taken_can_be_chosen_otherwise(self) -> None:
        self.irc_user("Ada")
        peer = self.call()
        lines = peer.said("NICK ada", "USER ada 0 * :x")
        assert lines == [":chat.room 433 ada ada :this name is taken"]
        lines = peer.said("NICK Grace")
        assert lines[0].startswith(":chat.room 001 Grace ")

    def test_a_web_users_name_is_taken_as_well(self) -> None:
        self.web_user("Ada Lovelace")
        peer = self.call()
        lines = peer.said("NICK Ada\uff3fLovelace", "USER ada 0 * :x")
        assert " 433 " in lines[0]

    def test_what_is_no_nick(self) -> None:
        peer = self.call()
        for wish in ("#tea", "a!b", "a@b", ":", "a.b", "~x", "*", "a,b", "x" * 33):
            assert " 432 " in peer.said(f"NICK {wish}")[0] if wish != ":" else True, wish
        assert " 431 " in peer.said("NICK")[0]
        assert " 431 " in peer.said("NICK :")[0]

    def test_nothing_but_registering_is_done_before_it(self) -> None:
        peer = self.call()
        assert peer.said("JOIN #tea") == [
            ":chat.room 451 * :first say who you are, by NICK and USER"
        ]
        assert peer.said("PING x") == [":chat.room PONG chat.room x"]
        assert peer.said("USER a") == [":chat.room 461 * USER :there is something missing"]

    def test_it_is_waited_for_the_end_of_the_negotiation(self) -> None:
        peer = self.call()
        lines = peer.said("CAP LS 302", "NICK Ada", "USER a 0 * :x")
        assert len(lines) == 1
        assert lines[0].startswith(":chat.room CAP * LS :batch cap-notify draft/chathistory ")
        assert "draft/multiline=max-bytes=4000,max-lines=100" in lines[0]
        assert "sasl=PLAIN" in lines[0]
        assert peer.said("CAP REQ :server-time nonsense") == [
            ":chat.room CAP Ada NAK :server-time nonsense"
        ]
        assert peer.said("CAP REQ :server-time batch") == [
            ":chat.room CAP Ada ACK :server-time batch"
        ]
        assert peer.said("CAP LIST") == [":chat.room CAP Ada LIST :batch server-time"]
        assert peer.said("CAP REQ -batch") == [":chat.room CAP Ada ACK -batch"]
        assert peer.said("CAP LIST") == [":chat.room CAP Ada LIST server-time"]
        assert peer.said("CAP NO") == [":chat.room 410 Ada NO :there is no such command of CAP"]
        assert " 001 Ada " in peer.said("CAP END")[0]
        assert "=" not in self.call().said("CAP LS")[0]

    def test_who_has_a_token_is_who_they_were(self) -> None:
        first = self.call()
        lines = first.said("NICK Ada", "USER a 0 * :x")
        token = lines[-1].rpartition(" ")[2]
        first.said("JOIN #tea", "PRIVMSG #tea :I was here", "QUIT")
        for login in ("sasl", "pass"):
            again = self.call()
            if login == "sasl":
                lines = self.sasl(again, token)
                assert lines[-2:] == [
                    ":chat.room 900 * Ada!~a@u1.chat.room Ada :you are Ada",
                    ":chat.room 903 * :this is right",
                ]
                again.write("CAP END")
            else:
                again.write(f"PASS Ada:{token}")
            # The name that was had before counts, not the nick.
            lines = again.said("NICK Countess", "USER c 0 * :x")
            assert lines[0].startswith(":chat.room 001 Ada :Welcome, Ada: you are Ada!"), login
            assert not any("SASL" in line for line in lines)
            again.said("QUIT")

    def sasl(self, peer: object, token: str) -> list[str]:
        import base64

        from tests.irc_rig import IrcPeer

        assert isinstance(peer, IrcPeer)
        blob = base64.b64encode(f"\0Ada\0{token}".encode()).decode()
        return peer.said("CAP REQ sasl", "AUTHENTICATE PLAIN", f"AUTHENTICATE {blob}")

    def test_a_wrong_token(self) -> None:
        peer = self.call()
        assert self.sasl(peer, "nonsense")[-1] == ":chat.room 904 * :nobody was given this token"
        assert " 904 " in peer.said("AUTHENTICATE SCRAM-SHA-256")[1]
        peer.said("AUTHENTICATE PLAIN")
        assert " 906 " in peer.said("AUTHENTICATE *")[0]
        peer.said("AUTHENTICATE PLAIN")
        assert " 905 " in peer.said(f"AUTHENTICATE {'A' * 401}")[0]
        # In pieces it may be long, but not for ever.
        peer.said("AUTHENTICATE PLAIN")
        assert peer.said(*[f"AUTHENTICATE {'A' * 400}"] * 4) == []
        assert peer.said(f"AUTHENTICATE {'A' * 400}") == [":chat.room 904 * :no token is as long"]
        for blob in ("A", "/w==", "AAAA"):
            peer.said("AUTHENTICATE PLAIN")
            assert peer.said(f"AUTHENTICATE {blob}") == [
                ":chat.room 904 * :nobody was given this token"
            ], blob
        other = self.call()
        lines = other.said("PASS nonsense")
        assert lines == [
            ":chat.room 464 * :nobody was given this token",
            "ERROR :Closing link: nobody was given this token",
        ]
        assert other.lost

    def test_who_has_logged_in_does_not_do_so_again(self) -> None:
        self.irc_user("Ada")
        token = self.chat.token(self.chat.users[1])
        peer = self.call()
        assert " 903 " in self.sasl(peer, token)[-1]
        assert peer.said("AUTHENTICATE PLAIN") == [":chat.room 907 * :you have said who you are"]

    def test_who_is_called_otherwise_now_is_told_why(self) -> None:
        self.irc_user("Ada").said("QUIT")
        token = self.chat._token(1)
        self.irc_user("Ada")
        peer = self.call()
        lines = peer.said(f"PASS {token}", "NICK Ada", "USER a 0 * :x")
        assert lines[0].startswith(":chat.room 001 guest-1 ")
        assert lines[-1] == ":chat.room NOTICE guest-1 :this name is taken"

    def test_a_user_without_a_name(self) -> None:
        peer = self.call()
        assert peer.said("USER a 0 * :") == [":chat.room 461 * USER :there is something missing"]

    def test_a_long_token_comes_in_pieces(self) -> None:
        import base64

        peer = self.call()
        peer.said("CAP REQ sasl", "AUTHENTICATE PLAIN")
        blob = base64.b64encode(b"a" * 297 + b"\0Ada\0x").decode()
        assert peer.said(f"AUTHENTICATE {blob[:400]}") == []
        assert " 904 " in peer.said(f"AUTHENTICATE {blob[400:] or '+'}")[0]


class Channels(IrcCase):
    def test_a_room_is_a_channel(self) -> None:
        web = self.web_user("Ada Lovelace")
        web.talk("topic", room="tea", topic="Green: and black")
        self.settle()
        bob = self.irc_user("Bob")
        assert bob.said("JOIN #Tea") == [
            ":Bob!~Bob@u2.chat.room JOIN #tea",
            ":chat.room 332 Bob #tea :Green: and black",
            ":chat.room 353 Bob = #tea :Ada\uff3fLovelace Bob",
            ":chat.room 366 Bob #tea :end of NAMES",
        ]
        assert web.said("join") == [{"room": "tea", "id": 2, "name": "Bob"}]
        assert bob.said("JOIN #tea") == []
        web.talk("talk", room="tea", message="hello, #tea: ☕")
        self.settle()
        source = ":Ada\uff3fLovelace!user@u1.chat.room"
        assert bob.take() == [f"{source} PRIVMSG #tea :hello, #tea: ☕"]
        assert bob.said("PRIVMSG #tea :good \x02day\x02 \x034,5you") == []
        said = web.said("talk")[-1]
        assert (said["message"], said["from"]["name"]) == ("good day you", "Bob")
        web.talk("rename", name="Countess")
        self.settle()
        assert bob.take() == [f"{source} NICK Countess"]
        web.talk("exit", room="tea")
        self.settle()
        assert bob.take() == [":Countess!user@u1.chat.room PART #tea"]
        web.talk("join", room="tea")
        self.settle()
        assert bob.take() == [":Countess!user@u1.chat.room JOIN #tea"]
        web.close()
        self.settle()
        assert bob.take() == [":Countess!user@u1.chat.room QUIT :"]

    def test_two_by_irc(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea,#milk"), self.irc_user("Bob", "#tea,#milk")
        assert ada.take() == [
            ":Bob!~Bob@u2.chat.room JOIN #tea",
            ":Bob!~Bob@u2.chat.room JOIN #milk",
        ]
        assert bob.said("NICK Bobby") == [":Bob!~Bob@u2.chat.room NICK Bobby"]
        # Once, though in two channels.
        assert ada.take() == [":Bob!~Bob@u2.chat.room NICK Bobby"]
        assert bob.said("NICK ada") == [":chat.room 433 Bobby ada :this name is taken"]
        assert bob.said("NICK bobby") == [":Bobby!~Bob@u2.chat.room NICK bobby"]
        assert bob.said("NICK bobby") == []
        ada.take()
        assert bob.said("PART #milk :no milk") == [":bobby!~Bob@u2.chat.room PART #milk :no milk"]
        assert ada.take() == [":bobby!~Bob@u2.chat.room PART #milk :no milk"]
        assert bob.said("PART #milk") == [":chat.room 442 bobby #milk :you are not in this channel"]
        bob.said("JOIN #milk")
        ada.take()
        lines = bob.said("QUIT :so long")
        assert lines == ["ERROR :Closing link: so long"]
        assert bob.lost
        # Once, too.
        assert ada.take() == [":bobby!~Bob@u2.chat.room QUIT :Quit: so long"]

    def test_who_renames_goes_and_comes_is_told_each_time(self) -> None:
        ada, web = self.irc_user("Ada", "#tea"), self.web_user("Bob")
        web.talk("rename", name="Bobby")
        web.talk("exit", room="tea")
        web.talk("rename", name="Bob")
        web.talk("join", room="tea")
        web.talk("rename", name="Bobby")
        self.settle()
        commands = [line.split()[1] for line in ada.take()]
        assert commands == ["JOIN", "NICK", "PART", "JOIN", "NICK"]

    def test_who_was_renamed_meanwhile_is_told_with_the_room(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        bob.said("NICK Rob")
        ada.said("PART #tea")
        bob.said("NICK Bob")
        assert any(line.endswith(" = #tea :Bob Ada") for line in ada.said("JOIN #tea"))
        bob.said("NICK Rob")
        assert [line.split()[1] for line in ada.take()] == ["NICK"]

    def test_who_was_gone_is_told_with_the_room(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        token = self.chat.token(self.chat.users[2])
        bob.said("QUIT")
        again = self.call()
        again.said(f"PASS {token}", "NICK Bob", "USER b 0 * :x", "JOIN #milk")
        ada.said("JOIN #milk")
        again.said("QUIT")
        assert [line.split()[1] for line in ada.take()] == ["QUIT"]

    def test_why_somebody_left_is_told_once(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        token = self.chat.token(self.chat.users[2])
        ada.take()
        bob.said("QUIT :to bed")
        assert ada.take()[0].endswith(" QUIT :Quit: to bed")
        self.settle(6)
        web = self.enter(f"/ws?token={token}&room=tea")
        self.settle()
        ada.take()
        web.close(1000)
        self.settle()
        assert [line.partition(" QUIT ")[2] for line in ada.take()] == [":"]

    def test_of_many_reasons_the_last_are_known(self) -> None:
        self.patch(network, "REASONS", 1)
        ada, web = self.irc_user("Ada"), self.web_user("Grace")
        bob, eve = self.irc_user("Bob", "#tea,#milk"), self.irc_user("Eve", "#tea")
        ada.said("JOIN #tea")
        # Both are gone before anybody can be told why.
        bob.write("QUIT :to bed")
        eve.write("QUIT :to work")
        for pump in self.pumps:
            pump.pump()
        self.settle()
        said = [line.partition(" QUIT ")[2] for line in ada.take()]
        assert said == [":", ":Quit: to work"]
        assert [gone["name"] for gone in web.said("exit")] == ["Bob", "Eve"]

    def test_of_many_who_were_here_the_last_are_known(self) -> None:
        self.patch(network, "GONE", 1)
        for name in ("Bob", "Eve"):
            self.irc_user(name, "#tea").said("PRIVMSG #tea :I was here", "QUIT")
        ada = self.irc_user("Ada", "#tea", "batch draft/chathistory")
        said = ada.said("CHATHISTORY LATEST #tea * 9")[1:-1]
        assert [line.split()[0] for line in bodies(said)] == [
            ":Bob!user@u1.chat.room",
            ":Eve!~Eve@u2.chat.room",
        ]

    def test_of_many_who_were_renamed_the_last_are_known(self) -> None:
        ada, bob, eve = (self.irc_user(name, "#tea,#milk") for name in ("Ada", "Bob", "Eve"))
        # In two rooms it comes twice, and is told once.
        bob.said("NICK Rob")
        assert len([line for line in ada.take() if " NICK " in line]) == 1
        self.patch(presence, "VIEW", 1)
        bob.said("NICK Bob")
        eve.said("NICK Ewa")
        bob.said("NICK Rob")
        assert [line.split()[-1] for line in ada.take() if " NICK " in line] == [
            *("Bob", "Ewa", "Rob")
        ]
        assert len(ada.server.protocol._connection.presence._view) == 1

    def test_all_channels_can_be_left_at_once(self) -> None:
        ada = self.irc_user("Ada", "#a,#b")
        assert ada.said("JOIN 0") == [f":{ADA} PART #a", f":{ADA} PART #b"]

    def test_what_is_no_channel(self) -> None:
        ada = self.irc_user("Ada")
        for wish in ("tea", "#", "#te!a", "#@1-2", "##"):
            assert f" 403 Ada {wish} :" in ada.said(f"JOIN {wish}")[0], wish
        assert ada.said("PRIVMSG #tea :x") == [
            ":chat.room 404 Ada #tea :you are not in this channel"
        ]
        assert " 403 " in ada.said("PART #nowhere")[0]
        assert " 403 " in ada.said("TOPIC #nowhere")[0]
        assert ada.said("NOTICE #tea :x") == []

    def test_topic(self) -> None:
        ada, web = self.irc_user("Ada", "#tea"), self.web_user("Bob")
        ada.take()
        assert ada.said("TOPIC #tea") == [":chat.room 331 Ada #tea :there is no topic"]
        assert ada.said("TOPIC #tea :Green \x02tea\x0f") == [f":{ADA} TOPIC #tea :Green tea"]
        assert web.said("topic")[-1]["topic"] == "Green tea"
        assert ada.said("TOPIC #tea") == [":chat.room 332 Ada #tea :Green tea"]
        assert ada.said(f"TOPIC #tea {'x' * 251}") == [
            ":chat.room NOTICE Ada :TOPIC #tea: a topic has at most 250 characters"
        ]
        web.talk("topic", room="tea", topic="")
        self.settle()
        assert ada.take() == [":Bob!user@u2.chat.room TOPIC #tea :"]

    def test_names_and_list(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        for at in range(40):
            self.web_user(f"somebody with a long name {at}")
        self.web_user("x", "milk")
        ada.take()
        lines = ada.said("NAMES #tea")
        assert lines[-1] == ":chat.room 366 Ada #tea :end of NAMES"
        nicks = [nick for line in lines[:-1] for nick in line.split(" :")[1].split()]
        assert len(nicks) == len(set(nicks)) == 41
        assert len(lines) > 3
        assert all(len(line.encode()) <= 510 for line in lines)
        assert ada.said("NAMES #nowhere") == [":chat.room 366 Ada #nowhere :end of NAMES"]
        lines = ada.said("LIST")
        assert lines[1:-1] == [":chat.room 322 Ada #milk 1 :", ":chat.room 322 Ada #tea 41 :"]
        assert [line.split()[1] for line in (lines[0], lines[-1])] == ["321", "323"]
        assert (
            len(ada.said("LIST >1"))
            == len(ada.said("LIST #m*"))
            == len(ada.said("LIST #MILK"))
            == 3
        )
        assert len(ada.said("LIST <1")) == len(ada.said("LIST #mil")) == 2
        # What can be no channel is none of them.
        assert len(ada.said("LIST tea")) == 2

    def test_a_list_of_more_rooms_than_a_piece_of_it_has(self) -> None:
        for at in range(120):
            self.chat.open(names.room_name(f"room{at:03}"))
        ada = self.irc_user("Ada")
        rooms = [line.split()[3] for line in ada.said("LIST")[1:-1]]
        assert rooms == [f"#room{at:03}" for at in range(120)]
        self.patch(channels, "PAGES", 1)
        _, *rooms, end = ada.said("LIST")
        assert len(rooms) == 100
        assert end == ":chat.room 323 Ada :end of LIST"

    def test_who_is_in_a_room_that_somebody_is_about_to_enter_or_to_leave(self) -> None:
        ada, bob = self.irc_user("Ada"), self.irc_user("Bob")
        bob.write("JOIN #tea")
        ada.write("NAMES #tea", "WHO #tea")
        # No time passes: the log has not said yet that Bob is in.
        for pump in (*self.pumps[::-1], *self.pumps):
            pump.pump()
        assert [line.split()[1] for line in ada.take()] == ["366", "315"]
        self.settle()
        assert [line.split()[1] for line in bob.take()] == ["JOIN", "353", "366"]
        bob.write("QUIT")
        ada.write("WHO #tea")
        for pump in (*self.pumps[::-1], *self.pumps):
            pump.pump()
        assert [line.split()[1] for line in ada.take()] == ["315"]

    def test_there_are_no_operators(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        assert ada.said("MODE #tea") == [":chat.room 324 Ada #tea +n"]
        assert " 482 " in ada.said("MODE #tea +o Ada")[0]
        assert " 368 " in ada.said("MODE #tea b")[0]
        assert " 472 " in ada.said("MODE #tea +Z")[0]
        assert ada.said("MODE Ada") == ada.said("MODE Ada +i") == [":chat.room 221 Ada +i"]
        assert " 501 " in ada.said("MODE Ada +o")[0]
        assert " 502 " in ada.said("MODE Bob")[0]
        assert " 482 " in ada.said("KICK #tea Bob")[0]


class Asking(IrcCase):
    def test_who_is_here(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea,#milk"), self.irc_user("Bob", "#tea")
        self.web_user("Grace Hopper")
        ada.take()
        assert ada.said("WHO #tea") == [
            ":chat.room 352 Ada #tea ~Ada u1.chat.room chat.room Ada H :0 Real Ada",
            ":chat.room 352 Ada #tea ~Bob u2.chat.room chat.room Bob H :0 Real Bob",
            ":chat.room 352 Ada #tea user u3.chat.room chat.room Grace\uff3fHopper H :0 Grace Hopper",
            ":chat.room 315 Ada #tea :end of WHO",
        ]
        bob.said("AWAY :at tea")
        assert ada.said("WHO bob %tcuhnfar,77")[0] == (
            ":chat.room 354 Ada 77 #tea ~Bob u2.chat.room Bob G 0 :Real Bob"
        )
        assert len(ada.said("WHO B*")) == 2
        assert ada.said("WHO nobody") == [":chat.room 315 Ada nobody :end of WHO"]
        assert ada.said("WHOIS Bob") == [
            ":chat.room 311 Ada Bob ~Bob u2.chat.room * :Real Bob",
            ":chat.room 319 Ada Bob #tea",
            ":chat.room 312 Ada Bob chat.room :a chat room",
            ":chat.room 301 Ada Bob :at tea",
            ":chat.room 318 Ada Bob :end of WHOIS",
        ]
        assert " 401 " in ada.said("WHOIS nobody")[0]
        assert ada.said("USERHOST Bob nobody") == [":chat.room 302 Ada Bob=-~Bob@u2.chat.room"]
        assert ada.said("ISON bob nobody ada") == [":chat.room 303 Ada :bob ada"]
        assert " 301 Ada Bob :at tea" in ada.said("PRIVMSG Bob :hi")[0]
        bob.take()
        assert " 305 " in bob.said("AWAY")[0]
        assert " 406 " in ada.said("WHOWAS nobody")[0]

    def test_what_the_server_says_of_itself(self) -> None:
        ada = self.irc_user("Ada", "#tea")
        assert " 351 Ada chatroom-" in ada.said("VERSION")[0]
        assert " 391 Ada chat.room 2001-09-09T01:46:40.250Z" in ada.said("TIME")[0]
        assert " 422 " in ada.said("MOTD")[0]
        assert " 402 " in ada.said("MOTD elsewhere.example")[0]
        assert [line.split()[1] for line in ada.said("LUSERS")] == [
            "251",
            "254",
            "255",
            "265",
            "266",
        ]
        assert " 421 Ada NONSENSE " in ada.said("nonsense x")[0]
        assert " 409 " in ada.said("PING")[0]
        assert " 461 " in ada.said("JOIN")[0]


class Actions(IrcCase):
    def test_actions(self) -> None:
        ada, bob, web = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea"), None
        web = self.web_user("Grace")
        ada.take(), bob.take()
        ada.said("PRIVMSG #tea :\x01ACTION waves\x01")
        assert web.said("talk")[-1]["message"] == "/me waves"
        assert bob.take() == [f":{ADA} PRIVMSG #tea :\x01ACTION waves\x01"]
        assert " 404 " in ada.said("PRIVMSG #tea :\x01VERSION\x01")[0]
        assert " 531 " in ada.said("PRIVMSG Bob :\x01DCC SEND x 1 2 3\x01")[0]
        assert ada.said("NOTICE #tea :\x01VERSION x\x01") == []
        # What looks like CTCP and comes from elsewhere is none.
        web.talk("talk", room="tea", message="\x01VERSION\x01")
        self.settle()
        assert bodies(bob.take()) == [":Grace!user@u3.chat.room PRIVMSG #tea :VERSION"]

    def test_notices_stay_notices(self) -> None:
        ada, bob = self.irc_user("Ada", "#tea"), self.irc_user("Bob", "#tea")
        ada.said("NOTICE #tea :beep boop")
        assert bob.take() == [f":{ADA} NOTICE #tea :beep boop"]
