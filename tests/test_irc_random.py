"""Whatever clients say, in whatever order: nothing breaks, and each sees what the room has."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatroom.events import Message
from chatroom.irc.lines import parse
from tests.irc_rig import MODERN, IrcCase, IrcPeer

WORDS = (
    "Ada Bob Web #tea #milk #nowhere * 0 5 x : :a :hello_you +1 -1 draft/multiline -o +b"
    " LATEST BEFORE AROUND BETWEEN TARGETS msgid=x timestamp=2001-09-09T01:46:40.250Z %tcn,1 >1"
    " LS REQ LIST END 302 :echo-message :-batch PLAIN + QUIT \x01ACTION \x01VERSION\x01 é☕ , a,b"
)
VERBS = (
    "AUTHENTICATE AWAY BATCH CAP CHATHISTORY INFO ISON JOIN JOIN JOIN KICK LIST LUSERS MODE MOTD"
    " NAMES NICK NOTICE OPER PART PASS PING PONG PRIVMSG PRIVMSG PRIVMSG REDACT TAGMSG TIME TOPIC"
    " USER USERHOST VERSION WHO WHOIS WHOWAS NONSENSE"
)
TAGS = st.sampled_from(
    ["", "@label=x ", "@batch=1 ", "@+typing=active ", "@+draft/react=👍;+draft/reply=ID "]
    + ["@batch=1;draft/multiline-concat ", "@+draft/unreact=👍;+draft/reply=ID ", "@+reply=ID "]
)
LINES = st.one_of(
    st.sampled_from(
        [
            *("PRIVMSG #tea :one", "NOTICE #tea :two", "@label=x PRIVMSG #tea :three"),
            *("PRIVMSG Bob :psst", "PRIVMSG Ada :psst", "TOPIC #tea :about", "JOIN #milk"),
            *("PRIVMSG #milk :four", "PART #milk", "NICK Ada", "NICK Bob", "NICK Eve"),
            *("REDACT #tea ID", "@+draft/reply=ID;+draft/react=👍 TAGMSG #tea", "WHO #tea"),
            *("BATCH +1 draft/multiline #tea", "@batch=1 PRIVMSG #tea :five", "BATCH -1"),
        ]
    ),
    st.builds(
        lambda tags, verb, words: f"{tags}{verb} {' '.join(words)}",
        TAGS,
        st.sampled_from(VERBS.split()),
        st.lists(st.sampled_from(WORDS.split()), max_size=4),
    ),
)
WEB = st.sampled_from(
    [
        ("talk", {"room": "tea", "message": "one\ntwo"}),
        ("talk", {"room": "@1-3", "message": "psst"}),
        ("direct", {"id": 1}),
        ("direct", {"id": 2}),
        ("edit", {"room": "tea", "of": 1, "message": "three"}),
        ("delete", {"room": "tea", "of": 1}),
        ("react", {"room": "tea", "of": 1, "emoji": "👍"}),
        ("rename", {"name": "Web Two"}),
        ("rename", {"name": "Web"}),
        ("join", {"room": "milk"}),
        ("exit", {"room": "milk"}),
        ("typing", {"room": "tea"}),
    ]
)
HEARD = "message-tags server-time"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ada"), LINES),
        st.tuples(st.just("bob"), LINES),
        st.tuples(st.just("web"), WEB),
        st.tuples(st.just("clog"), st.booleans()),
        st.tuples(st.just("settle"), st.just(1)),
    ),
    max_size=40,
)


class Random(IrcCase):
    @given(STEPS)
    @settings(max_examples=150, deadline=None)
    def test_nothing_breaks(self, steps: list[tuple[str, Any]]) -> None:
        # One network for each example.
        IrcCase.setUp(self)
        ada, bob = self.irc_user("Ada", "#tea", MODERN), self.irc_user("Bob", "#tea", HEARD)
        people = {"ada": ada, "bob": bob}
        web = self.web_user("Web")
        for who, what in steps:
            if who == "settle":
                self.settle()
            elif who == "clog":
                self.clog(people["bob"], what)
            elif who == "web":
                web.talk(what[0], **what[1])
            elif not people[who].lost:
                id = f"{self.chat.log.epoch}-1-9141d259"
                people[who].write(what.replace("ID", id).replace("msgid=x", f"msgid={id}"))
        self.clog(people["bob"], False)
        self.settle()
        for peer in people.values():
            self.check(peer)
        said = [what for who, what in steps if who == "bob"]
        if not bob.lost and not any(
            word in line for line in said for word in ("PART", " 0", "CAP")
        ):
            self.compare(bob)
        assert self.flushLoggedErrors() == []

    def clog(self, peer: IrcPeer, on: bool) -> None:
        """Have the transport of *peer* say that it is full, or no longer."""
        producer = peer.server.producer
        if producer is not None and not peer.lost:
            (producer.pauseProducing if on else producer.resumeProducing)()

    def compare(self, bob: IrcPeer) -> None:
        """See that *bob*, who was there all the time, has seen all of it, once and in order."""
        seen: list[int] = []
        for text in bob.data.decode().split("\r\n"):
            line = parse(text.encode())
            if line is not None and line.params[:1] == ["#tea"] and "msgid" in line.tags:
                seen.append(int(line.tags["msgid"].split("-")[1]))
        assert seen == sorted(set(seen))
        me = bob.server.protocol._connection.me
        for entry in self.log.since("tea", 0, 1000):
            if isinstance(entry, Message) and entry.sender.id != me and not entry.deleted:
                assert entry.id in seen

    def check(self, peer: IrcPeer) -> None:
        """See that *peer* is still answered, and that all lines and batches were in order."""
        if not peer.lost:
            peer.write("PING alive")
            self.settle()
        lines = peer.take()
        if not peer.lost:
            assert any(line.endswith(" PONG chat.room alive") for line in lines)
        assert not any("a bug in the server" in line for line in lines)
        open: set[str] = set()
        for text in lines:
            line = parse(text.encode())
            assert line is not None
            assert line.fault is None
            if "batch" in line.tags:
                assert line.tags["batch"] in open
            if line.command == "BATCH":
                name = line.params[0][1:]
                if line.params[0].startswith("+"):
                    open.add(name)
                else:
                    open.remove(name)
        assert not open
