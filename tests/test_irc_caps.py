"""What capabilities bring: tags, echoes, labels, several lines, emoji, typing, taking back, edits."""

from __future__ import annotations

from tests.irc_rig import MODERN, IrcCase, bodies, tags

ADA = ":Ada!~Ada@u1.chat.room"
TIME = "2001-09-09T01:46:40.250Z"


class Modern(IrcCase):
    def setUp(self) -> None:
        super().setUp()
        self.ada = self.irc_user("Ada", "#tea", MODERN)
        self.bob = self.irc_user("Bob", "#tea", "message-tags server-time")
        self.old = self.irc_user("Old", "#tea")
        self.web = self.web_user("Grace")
        self.epoch = self.chat.log.epoch
        for peer in (self.ada, self.bob, self.old):
            peer.take()

    def msgid(self, line: str) -> str:
        return tags(line)["msgid"]

    def test_ids_and_times(self) -> None:
        (echo,) = self.ada.said("PRIVMSG #tea :hello")
        (heard,) = self.bob.take()
        assert echo == heard
        assert tags(echo)["time"] == TIME
        assert self.msgid(echo).startswith(f"{self.epoch}-1-")
        assert bodies([echo]) == self.old.take() == [f"{ADA} PRIVMSG #tea :hello"]
        # The same id by every door, and others in other rooms.
        assert self.web.said("talk")[-1]["id"] == 1
        self.ada.said("JOIN #milk")
        (other,) = self.ada.said("PRIVMSG #milk :hello")
        assert self.msgid(other).startswith(f"{self.epoch}-1-")
        assert self.msgid(other) != self.msgid(echo)

    def test_what_one_says_elsewhere_is_heard(self) -> None:
        token = self.chat.token(self.chat.users[1])
        page = self.enter(f"/ws?token={token}&room=tea")
        page.talk("talk", room="tea", message="from the page")
        self.settle()
        (line,) = self.ada.take()
        assert bodies([line]) == [f"{ADA} PRIVMSG #tea :from the page"]
        assert "label" not in tags(line)

    def test_labels(self) -> None:
        (echo,) = self.ada.said("@label=one PRIVMSG #tea :hello")
        assert tags(echo)["label"] == "one"
        assert "label" not in tags(self.bob.take()[0])
        first, *inside, last = self.ada.said("@label=two JOIN #milk,#honey")
        name = first.split(" ")[3].removeprefix("+")
        assert first == f"@label=two :chat.room BATCH +{name} labeled-response"
        assert last == f":chat.room BATCH -{name}"
        assert len(inside) == 6
        assert {tags(line)["batch"] for line in inside} == {name}
        assert self.ada.said("@label=three PONG x") == ["@label=three :chat.room ACK"]
        assert self.ada.said("@label=four PING x") == ["@label=four :chat.room PONG chat.room x"]
        first, *_ = self.ada.said("@label=five CHATHISTORY LATEST #tea * 5")
        assert first.startswith("@label=five :chat.room BATCH +")
        assert first.endswith(" chathistory #tea")
        assert self.ada.said("@label=six WHATEVER")[0].startswith("@label=six :chat.room 421 ")
        assert "label" not in "".join(self.bob.said("@label=x PING x"))

    def test_failures_have_codes(self) -> None:
        for _ in range(20):
            self.ada.said("PRIVMSG #tea :x")
        assert self.ada.said("PRIVMSG #tea :x") == [
            ":chat.room FAIL PRIVMSG RATE_LIMITED #tea 0.2 :not so fast"
        ]
        self.settle(5)
        for _ in range(20):
            self.old.said("PRIVMSG #tea :x")
        assert self.old.said("PRIVMSG #tea :x") == [
            ":chat.room NOTICE Old :PRIVMSG #tea: not so fast"
        ]
        assert len(self.web.said("talk")) == 40

    def test_answers(self) -> None:
        (echo,) = self.ada.said("PRIVMSG #tea :a question")
        self.web.talk("talk", room="tea", message="an answer", reply=1)
        self.settle()
        (answer,) = self.ada.take()
        assert tags(answer)["+draft/reply"] == self.msgid(echo)
        (again,) = self.ada.said(f"@+draft/reply={self.msgid(answer)} PRIVMSG #tea :I see")
        assert tags(again)["+draft/reply"] == self.msgid(answer)
        assert self.web.said("talk")[-1]["reply"] == 2
        # An id that is of no message here is left out.
        (lone,) = self.ada.said("@+draft/reply=nonsense PRIVMSG #tea :what?")
        assert "+draft/reply" not in tags(lone)

    def test_emoji(self) -> None:
        (echo,) = self.ada.said("PRIVMSG #tea :good news")
        id = self.msgid(echo)
        self.old.take(), self.bob.take()
        self.web.talk("react", room="tea", of=1, emoji="👍")
        self.settle()
        (line,) = self.ada.take()
        assert bodies([line]) == [":Grace!user@u4.chat.room TAGMSG #tea"]
        assert (tags(line)["+draft/react"], tags(line)["+draft/reply"]) == ("👍", id)
        assert self.old.take() == []
        self.web.talk("react", room="tea", of=1, emoji="👍", on=False)
        self.settle()
        assert tags(self.ada.take()[0])["+draft/unreact"] == "👍"
        self.bob.take()
        assert self.bob.said(f"@+draft/reply={id};+draft/react=🍵 TAGMSG #tea") == []
        said = self.web.said("react")[-1]
        assert (said["of"], said["emoji"], said["from"]["name"]) == (1, "🍵", "Bob")
        assert tags(self.ada.take()[0])["+draft/react"] == "🍵"
        self.bob.said(f"@+draft/reply={id};+draft/unreact=🍵 TAGMSG #tea")
        assert self.web.said("react")[-1]["on"] is False
        self.ada.take()
        assert self.ada.said(f"@+draft/reply={id};+draft/react=words TAGMSG #tea") == [
            ":chat.room FAIL TAGMSG BAD_EMOJI #tea :this is no emoji"
        ]

    def test_typing(self) -> None:
        assert self.bob.said("@+typing=active TAGMSG #tea") == []
        assert self.web.said("typing") == [{"room": "tea", "id": 2, "name": "Bob"}]
        (line,) = self.ada.take()
        assert line == f"@+typing=active;time={TIME} :Bob!~Bob@u2.chat.room TAGMSG #tea"
        assert self.bob.said("@+typing=done TAGMSG #tea") == []
        assert self.old.said("@+typing=active TAGMSG #tea") == []
        self.web.talk("typing", room="tea")
        self.settle()
        assert [tags(line).get("+typing") for line in self.ada.take()] == ["active"]
        assert self.old.take() == []

    def test_tags_that_are_not_passed_on(self) -> None:
        assert self.ada.said("TAGMSG") == [
            ":chat.room 411 Ada :there is nobody to say it to (TAGMSG)"
        ]
        for target in ("#milk", "#te!a"):
            (line,) = self.ada.said(f"@+typing=active TAGMSG {target}")
            assert line.split(" ")[1] in ("403", "404"), line
        assert self.ada.said("@+typing=done TAGMSG #tea", "@+other=x TAGMSG #tea") == []
        # Who has not agreed on tags has said nothing.
        assert self.old.said("@+typing=active TAGMSG #tea") == []
        assert self.bob.take() == []
        assert self.web.said("typing") == []

    def test_labels_without_batches(self) -> None:
        peer = self.irc_user("New", caps="labeled-response")
        assert peer.said("@label=one PING x") == ["@label=one :chat.room PONG chat.room x"]
        # Several lines have one label only as a batch.
        lines = peer.said("@label=two WHOIS Ada")
        assert [line.split()[1] for line in lines] == ["311", "312", "318"]

    def test_taking_back(self) -> None:
        (echo,) = self.ada.said("PRIVMSG #tea :oh no")
        id = self.msgid(echo)
        self.bob.take(), self.old.take()
        assert self.bob.said(f"REDACT #tea {id}")[0].startswith(
            f":chat.room FAIL REDACT REDACT_FORBIDDEN #tea {id} :"
        )
        (line,) = self.ada.said(f"REDACT #tea {id} :wrong room")
        assert bodies([line]) == [f"{ADA} REDACT #tea {id}"]
        assert self.bob.take() == self.old.take() == []
        assert self.web.said("delete")[-1]["of"] == 1
        assert " UNKNOWN_MSGID " in self.ada.said(f"REDACT #tea {id}")[0]
        assert " UNKNOWN_MSGID " in self.ada.said("REDACT #tea nonsense")[0]
        assert " INVALID_TARGET " in self.ada.said(f"REDACT #nowhere {id}")[0]

    def test_edits_are_told(self) -> None:
        self.web.talk("talk", room="tea", message="helo")
        self.settle()
        self.web.talk("edit", room="tea", of=1, message="hello\nyou")
        self.settle()
        first, *edit = self.bob.take()
        assert bodies(edit) == [
            ":Grace!user@u4.chat.room PRIVMSG #tea :* hello",
            ":Grace!user@u4.chat.room PRIVMSG #tea :you",
        ]
        assert tags(edit[0])["+draft/reply"] == self.msgid(first)
        assert [line.partition(" :")[2] for line in self.old.take()] == ["helo", "* hello", "you"]
        # In the history there is what it says now.
        lines = self.ada.said("CHATHISTORY LATEST #tea * 5")
        assert [line.rpartition(" #tea :")[2] for line in lines[-4:-2]] == ["hello", "you"]

    def test_files(self) -> None:
        from chatroom.events import File, Message, Who
        from chatroom.irc.tcp import ended

        file = File("ab" * 32, "a picture.png", 12_345, "image/png", 3, 4)
        message = Message(1, "tea", "look", "text", Who(1, "Ada"), TIME, file=file)
        tongue = self.network.tongue(frozenset(), ended)
        address = f"/files/{file.id}?name=a%20picture.png"
        said = tongue.told([message]).data.decode().split("\r\n")
        assert said == [
            f"{ADA} PRIVMSG #tea :look",
            f"{ADA} PRIVMSG #tea :a picture.png (image/png, 12,345 bytes): {address}",
            "",
        ]


class Several(IrcCase):
    """Messages of several lines, both ways."""

    def setUp(self) -> None:
        super().setUp()
        self.ada = self.irc_user("Ada", "#tea", MODERN)
        self.old = self.irc_user("Old", "#tea", "message-tags server-time")
        self.web = self.web_user("Grace")
        self.ada.take(), self.old.take()

    def test_lines_of_the_web(self) -> None:
        self.web.talk("talk", room="tea", message="one\n\nthree")
        self.settle()
        first, *inside, last = self.ada.take()
        assert bodies([first, last]) == [
            ":Grace!user@u3.chat.room BATCH +m1 draft/multiline #tea",
            ":Grace!user@u3.chat.room BATCH -m1",
        ]
        assert "msgid" in tags(first)
        assert [line.rpartition(" #tea :")[2] for line in inside] == ["one", "", "three"]
        assert all(tags(line) == {"batch": "m1"} for line in inside)
        plain = self.old.take()
        assert [line.rpartition(" #tea :")[2] for line in plain] == ["one", "three"]
        assert tags(plain[0])["msgid"] == tags(first)["msgid"]
        assert [key for key in tags(plain[1])] == ["time"]

    def test_a_long_line_of_the_web(self) -> None:
        text = " ".join(f"wörd{at}" for at in range(300))
        self.web.talk("talk", room="tea", message=text)
        self.settle()
        _, *inside, _ = self.ada.take()
        assert "".join(line.rpartition(" #tea :")[2] for line in inside) == text
        assert [("draft/multiline-concat" in tags(line)) for line in inside] == [
            False,
            *[True] * (len(inside) - 1),
        ]
        for line in [*inside, *self.old.take()]:
            assert len(bodies([line])[0].encode()) <= 510

    def test_lines_of_a_client(self) -> None:
        lines = self.ada.said(
            "@label=x BATCH +1 draft/multiline #tea",
            "@batch=1 PRIVMSG #tea :one",
            "@batch=1 PRIVMSG #tea :two ",
            "PING meanwhile",
            "@batch=1;draft/multiline-concat PRIVMSG #tea :and a half",
            "BATCH -1",
        )
        assert lines[0] == ":chat.room PONG chat.room meanwhile"
        assert tags(lines[1])["label"] == "x"
        assert self.web.said("talk")[-1]["message"] == "one\ntwo and a half"

    def test_what_is_no_such_message(self) -> None:
        begin = "BATCH +1 draft/multiline #tea"
        for lines, code in (
            (["BATCH +1 nonsense #tea"], "UNKNOWN_TYPE"),
            (["BATCH -1"], "MULTILINE_INVALID"),
            ([begin, "BATCH -1"], "MULTILINE_INVALID"),
            ([begin, "@batch=2 PRIVMSG #tea :x", "BATCH -1"], "MULTILINE_INVALID"),
            ([begin, "@batch=1 PRIVMSG #milk :x", "BATCH -1"], "MULTILINE_INVALID"),
            ([begin, begin, "BATCH -1"], "MULTILINE_INVALID"),
            ([begin, *["@batch=1 PRIVMSG #tea :x"] * 102, "BATCH -1"], "MULTILINE_MAX_LINES"),
            (
                [begin, *[f"@batch=1 PRIVMSG #tea :{'x' * 400}"] * 11, "BATCH -1"],
                "MULTILINE_MAX_BYTES",
            ),
        ):
            (fault,) = self.ada.said(*lines)
            assert fault.startswith(f":chat.room FAIL BATCH {code} "), (code, fault)
        assert self.web.said("talk") == []
        assert " UNKNOWN_TYPE " in self.old.said(begin)[0]

    def test_what_a_batch_cannot_hold(self) -> None:
        beginning = "BATCH +1 draft/multiline #tea"
        lines = self.ada.said(
            beginning,
            "@batch=1;draft/multiline-concat PRIVMSG #tea :",
            "@batch=1 PRIVMSG #tea :said to nobody",
            "BATCH -1",
        )
        assert lines == [
            ":chat.room FAIL BATCH MULTILINE_INVALID :there is nothing to add to the line before"
        ]
        assert self.web.said("talk") == []
