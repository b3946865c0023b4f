"""``/rooms/NAME/events``: a room as Server-Sent Events, in memory."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from contextlib import ExitStack
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher

from chatroom import listening
from chatroom.events import Error, Event, Joined, Message, Who, encode
from chatroom.fast import Direct
from chatroom.heartbeat import way
from chatroom.listening import accepts
from chatroom.log import Unavailable
from chatroom.sse import encodings, give_up_after
from tests.listeners import SMALL, Listener, ListeningCase, Memory

reactor: Any = _reactor
MUCH = int(os.environ.get("EXAMPLES", "100"))
TALK = Message(7, "tea", "one\r\ntwo", "text", Who(3, "Zoé"), "2001-09-09T01:46:40.250Z")
SAID = (
    "event: talk\n"
    'data: {"id":7,"room":"tea","message":"one\\r\\ntwo","type":"text",'
    '"from":{"id":3,"name":"Zoé"},"time":"2001-09-09T01:46:40.250Z"}\n'
    "id: e1-7\n\n"
).encode()
CAME = b'event: join\ndata: {"room":"tea","id":3,"name":"Mary"}\n\n'

DOES = 6 * ["say"] + 3 * ["edit", "react", "take", "settle", "cut", "back"]
DOES += 2 * ["delete", "stick", "drain"] + ["topic"]
DEEDS = st.lists(st.tuples(st.sampled_from(DOES), st.integers(1, 9)), min_size=20, max_size=80)
UNHURRIED = settings(max_examples=MUCH, deadline=None, suppress_health_check=list(HealthCheck))


def test_an_event_is_its_name_its_data_and_where_one_is_then() -> None:
    plain, chunked = encodings("e1")
    events: list[Event] = [TALK, Joined("tea", 3, "Mary")]
    assert plain(events) == SAID + CAME
    assert chunked(events) == b"%x\r\n" % len(SAID + CAME) + SAID + CAME + b"\r\n"


def test_an_error_is_called_otherwise_for_clients_have_one_of_their_own() -> None:
    plain, _ = encodings("e1")
    assert plain([Error("name_taken", "this name is taken")]) == (
        b'event: problem\ndata: {"code":"name_taken","message":"this name is taken"}\n\n'
    )


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("*/*", True),
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/*;q=0.001", True),
        ("application/json", False),
        ("*/*, text/event-stream;q=0", False),
        ("text/* ; q = 0.0, */*", False),
        ("", False),
        (",;,", False),
    ],
)
def test_what_one_accepts(accept: str, taken: bool) -> None:
    assert accepts(accept, "text/event-stream") is taken


def test_the_system_gives_up_a_peer_that_takes_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        give_up_after(SimpleNamespace(socket=client), 1.5)
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1500
    for end in socket.socketpair():
        with end:
            give_up_after(SimpleNamespace(socket=end), 1.5)


class StreamTests(ListeningCase):
    def test_a_stream_begins_with_init(self) -> None:
        stream = self.stream("Tea", name="Ada")
        assert stream.status == 200
        assert stream.header("Content-Type") == "text/event-stream; charset=utf-8"
        assert stream.header("Cache-Control") == "no-store"
        assert stream.header("X-Accel-Buffering") == "no"
        assert stream.header("Content-Length") is None
        assert 1000 <= stream.retry <= 5000
        (init,) = stream.told
        assert init.name == "init"
        assert init.id == f"{self.log.epoch}-0"
        assert init.data["room"] == "Tea"
        assert init.data["self"]["name"] == "Ada"
        assert init.data["users"] == [{"id": init.data["self"]["id"], "name": "Ada"}]
        assert self.chat.known(init.data["self"]["token"]) == init.data["self"]["id"]
        assert not stream.ended

    def test_what_happens_comes_as_it_comes_on_ws(self) -> None:
        peer = self.enter("/ws?room=tea&name=Grace")
        stream = self.stream("tea", name="Ada")
        peer.talk("talk", room="tea", message="hello\n\ndata: no", nonce="n")
        self.settle()
        peer.talk("edit", room="tea", of=1, message="hi")
        peer.talk("react", room="tea", of=1, emoji="👍")
        peer.talk("topic", room="tea", topic="Green")
        peer.talk("delete", room="tea", of=1)
        peer.talk("rename", name="G")
        peer.talk("typing", room="tea")
        peer.talk("exit", room="tea")
        self.settle()
        heard = [(event, data) for event, data in peer.events if event not in ("init", "join")]
        told = [(event.name, event.data) for event in stream.told[1:]]
        # Of its own typing and coming one is told nothing.
        assert [event for event in told if event[0] != "typing"] == heard
        places = [(event.name, event.id.rpartition("-")[2]) for event in stream.told]
        assert places == [
            ("init", "0"),
            ("talk", "1"),
            ("edit", "2"),
            ("react", "3"),
            ("topic", "4"),
            ("delete", "5"),
            ("rename", "5"),
            ("typing", "5"),
            ("exit", "5"),
        ]

    def test_the_streams_differ_in_how_often_they_say_to_come_back_after(self) -> None:
        assert len({self.stream().retry for _ in range(10)}) > 5

    def test_a_batch_is_encoded_once_for_all_streams_of_a_kind(self) -> None:
        peer = self.enter()
        streams = [self.stream() for _ in range(3)]
        streams += [self.ask("/rooms/lobby/events", version="1.0") for _ in range(3)]
        with mock.patch("chatroom.sse.encode", wraps=encode) as encoded:
            peer.talk("talk", message="hello")
            self.settle()
        assert encoded.call_count == 2
        for stream in streams:
            assert stream.told[-1].data["message"] == "hello"

    def test_http_1_0_gets_a_stream_without_chunks(self) -> None:
        stream = self.ask("/rooms/lobby/events", version="1.0")
        assert stream.header("Transfer-Encoding") is None
        self.enter().talk("talk", message="hello")
        self.settle(30)
        assert stream.names() == ["init", "join", "talk"]
        assert stream.beats
        self.events.farewell()
        self.settle()
        assert stream.lost

    def test_head_is_answered_without_a_stream(self) -> None:
        for version in ("1.0", "1.1"):
            stream = self.ask("/rooms/lobby/events?name=Ada", "HEAD", version)
            assert stream.status == 200
            assert stream.header("Content-Type") == "text/event-stream; charset=utf-8"
            assert stream.header("Content-Length") is None
            assert stream.body == b""
        # The connection is good for another request.
        assert self.ask("/rooms/lobby/events", listener=stream, version="1.0").names() == ["init"]
        assert [user.name.shown for user in self.chat.users.values()] == ["guest-1"]

    def test_other_methods_are_not_allowed(self) -> None:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            refused = self.ask("/rooms/lobby/events", method)
            assert refused.status == 405
            assert "GET" in str(refused.header("Allow")).split(", ")
            assert refused.json["code"]
        assert self.chat.users == {}

    def test_who_takes_no_streams_gets_none(self) -> None:
        refused = self.ask("/rooms/lobby/events", Accept="application/json")
        assert refused.status == 406
        assert refused.json["code"] == "bad_message"
        assert self.ask("/rooms/lobby/events", Accept="text/event-stream").status == 200

    def test_a_room_that_can_be_none(self) -> None:
        for room in (".", "a b", "\0", "x" * 65, "@"):
            refused = self.stream(room)
            assert (refused.status, refused.json["code"]) == (404, "bad_room")
        assert self.chat.users == {}

    def test_a_name_with_another_script_is_a_room(self) -> None:
        stream = self.stream("茶")
        assert stream.told[0].data["room"] == "茶"


class WhoTests(ListeningCase):
    def test_a_token_says_who_one_is(self) -> None:
        peer = self.enter("/ws?name=Ada")
        (me,) = [init["self"] for init in peer.said("init")]
        by_query = self.stream("tea", token=me["token"], name="Other")
        by_header = self.ask("/rooms/tea/events", Authorization=f"Bearer {me['token']}")
        assert by_query.told[0].data["self"] == me
        assert by_header.told[0].data["self"] == me
        assert by_header.told[0].data["count"] == 1

    def test_a_token_that_nobody_gave_out_is_that_of_somebody_new(self) -> None:
        stream = self.stream(token="nonsense", name="Ada")
        assert stream.told[0].data["self"]["name"] == "Ada"

    def test_a_name_that_cannot_be_had_is_a_problem(self) -> None:
        self.enter("/ws?name=Ada")
        stream = self.stream(name="ada")
        assert stream.names() == ["init", "problem"]
        assert stream.told[0].data["self"]["name"].startswith("guest-")
        assert stream.told[1].data["code"] == "name_taken"

    def test_a_cut_is_no_exit_for_the_grace_time(self) -> None:
        peer = self.enter("/ws?name=Grace")
        stream = self.stream(name="Ada")
        me = stream.told[0].data["self"]
        stream.transport.loseConnection()
        self.settle(9)
        stream = self.stream(token=me["token"])
        self.settle(9)
        assert stream.told[0].data["self"] == me
        assert [event for event, _ in peer.events] == ["init", "join"]
        stream.transport.loseConnection()
        self.settle(9)
        assert not peer.said("exit")
        self.settle(2)
        assert peer.said("exit") == [{"room": "lobby", "id": me["id"], "name": "Ada"}]
        assert list(self.chat.users) == [1]

    def test_a_direct_room_is_for_its_two(self) -> None:
        one = self.enter("/ws?name=Ada").said("init")[0]["self"]
        two = self.enter("/ws?name=Grace").said("init")[0]["self"]
        room = f"@{one['id']}-{two['id']}"
        stream = self.stream(room, token=one["token"])
        assert stream.told[0].data["direct"] == {"id": two["id"], "name": "Grace"}
        refused = self.stream(room, name="Eve")
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        refused = self.stream(f"@{one['id']}-4711", token=one["token"])
        assert (refused.status, refused.json["code"]) == (404, "no_such_user")
        assert len(self.chat.users) == 2


class OriginTests(ListeningCase):
    def test_pages_of_listed_sites_may_listen(self) -> None:
        stream = self.ask("/rooms/lobby/events", Origin="https://friend.example")
        assert stream.header("Access-Control-Allow-Origin") == "https://friend.example"
        assert stream.header("Access-Control-Allow-Credentials") == "true"
        assert "Origin" in str(stream.header("Vary"))
        assert stream.names() == ["init"]

    def test_other_pages_may_not(self) -> None:
        refused = self.ask("/rooms/lobby/events", Origin="https://foe.example")
        assert refused.status == 403
        assert refused.json["code"] == "forbidden"
        assert refused.header("Access-Control-Allow-Origin") is None
        assert refused.header("Access-Control-Allow-Credentials") is None
        assert self.chat.users == {}

    def test_a_page_may_say_where_it_was(self) -> None:
        answer = self.ask(
            "/rooms/lobby/events",
            "OPTIONS",
            Origin="https://friend.example",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="last-event-id",
        )
        assert answer.status == 204
        assert answer.header("Access-Control-Allow-Origin") == "https://friend.example"
        assert answer.header("Access-Control-Allow-Credentials") == "true"
        allowed = str(answer.header("Access-Control-Allow-Headers")).lower().split(", ")
        assert {"last-event-id", "authorization"} <= set(allowed)


class AnyOriginTests(ListeningCase):
    origins = ("*",)

    def test_pages_of_any_site_may_listen_but_as_nobody(self) -> None:
        stream = self.ask("/rooms/lobby/events", Origin="https://foe.example")
        assert stream.header("Access-Control-Allow-Origin") == "https://foe.example"
        assert stream.header("Access-Control-Allow-Credentials") is None
        assert stream.names() == ["init"]


class ReturnTests(ListeningCase):
    def setUp(self) -> None:
        super().setUp()
        self.peer = self.enter("/ws?name=Grace")
        for number in range(1, 5):
            self.peer.talk("talk", message=f"message {number}")
        self.settle()
        self.peer.talk("edit", of=2, message="edited")
        self.settle()

    def ids(self, stream: Listener) -> tuple[bool, list[int]]:
        """Whether *stream* has gone on, and what it has begun with."""
        data = stream.told[0].data
        changes = [change["data"]["id"] for change in data.get("changes", [])]
        return data["resumed"], [message["id"] for message in data["messages"]] + changes

    def test_last_event_id(self) -> None:
        epoch = self.log.epoch
        stream = self.ask("/rooms/lobby/events", Last_Event_ID=f"{epoch}-2")
        assert self.ids(stream) == (True, [3, 4, 5])
        assert stream.told[0].id == f"{epoch}-5"

    def test_after(self) -> None:
        epoch = self.log.epoch
        for query in ({"after": f"{epoch}-2"}, {"after": 2}, {"after": 2, "epoch": epoch}):
            assert self.ids(self.stream(**query)) == (True, [3, 4, 5])

    def test_last_event_id_is_later_than_after(self) -> None:
        epoch = self.log.epoch
        stream = self.ask(f"/rooms/lobby/events?after={epoch}-1", Last_Event_ID=f"{epoch}-4")
        assert self.ids(stream) == (True, [5])

    def test_last_event_id_of_who_may_set_no_header(self) -> None:
        epoch = self.log.epoch
        stream = self.stream(lastEventId=f"{epoch}-4")
        assert self.ids(stream) == (True, [5])
        assert self.ids(self.stream(lastEventId=f"{epoch}-4", after=f"{epoch}-1")) == (True, [5])
        assert self.ids(self.stream(lastEventId="nonsense")) == (False, [1, 2, 3, 4])
        stream = self.ask(f"/rooms/lobby/events?lastEventId={epoch}-1", Last_Event_ID=f"{epoch}-4")
        assert self.ids(stream) == (True, [5])

    def test_nothing_was_missed(self) -> None:
        stream = self.stream(after=5)
        assert self.ids(stream) == (True, [])

    def test_what_cannot_be_gone_on_from(self) -> None:
        fresh = (False, [1, 2, 3, 4])
        for query in ({"after": "other-2"}, {"after": 2, "epoch": "other"}, {"after": 6}, {}):
            assert self.ids(self.stream(**query)) == fresh
        for said in ("", "nonsense", "other-2", "é", "-", "5" * 17):
            stream = self.ask("/rooms/lobby/events", Last_Event_ID=said)
            assert self.ids(stream) == fresh

    def test_an_after_that_is_no_cursor(self) -> None:
        for after in ("nonsense", "-1-", "1.5", "é"):
            refused = self.stream(after=after)
            assert (refused.status, refused.json["code"]) == (400, "bad_message")


class LimitTests(ListeningCase):
    connections = 3
    per_address = 2

    def test_streams_have_places(self) -> None:
        def come(host: str) -> Listener:
            return self.ask("/rooms/lobby/events", address=IPv4Address("TCP", host, 50_000))

        one, two = come("192.0.2.1"), come("192.0.2.1")
        refused = come("192.0.2.1")
        assert (refused.status, refused.json["code"]) == (429, "rate_limited")
        assert int(str(refused.header("Retry-After"))) > 0
        come("192.0.2.2")
        refused = come("192.0.2.3")
        assert (refused.status, refused.json["code"]) == (503, "unavailable")
        assert self.enter().status == 503
        one.transport.loseConnection()
        two.transport.loseConnection()
        self.settle()
        assert self.places.taken == 1
        assert come("192.0.2.3").names() == ["init"]

    def test_some_descriptors_are_kept_free(self) -> None:
        with mock.patch.object(listening, "descriptors_left", return_value=63):
            refused = self.stream()
        assert (refused.status, refused.json["code"]) == (503, "unavailable")
        assert self.chat.users == {}

    def test_who_is_refused_takes_no_place(self) -> None:
        for _ in range(4):
            assert self.stream("@1-2").status >= 400
        assert self.places.taken == 0
        assert self.stream().status == 200


class TroubleTests(ListeningCase):
    def test_the_store_cannot_be_read(self) -> None:
        with mock.patch.object(self.log, "room", side_effect=Unavailable("no")):
            refused = self.stream("tea", name="Ada")
        assert (refused.status, refused.json["code"]) == (503, "unavailable")
        assert refused.header("Retry-After") == "1"
        assert self.chat.users == {}
        assert self.places.taken == 0

    def test_comments_are_signs_of_life(self) -> None:
        streams = [self.stream() for _ in range(4)]
        self.settle(110)
        for stream in streams:
            assert stream.beats in (4, 5)
            assert set(stream.names()) <= {"init", "join"}
            stream.transport.loseConnection()
        self.settle(20)
        assert list(self.events.streams) == []
        # Only the room itself is left.
        assert self.clock.getDelayedCalls() == []

    def test_a_slow_reader_goes_on_where_they_were(self) -> None:
        stream = self.stream()
        stream.server.stuck = True
        self.flood(30)
        held = stream.server.held
        assert 60_000 < held < 80_000
        for _ in range(30):
            # Read now and then, or be given up.
            stream.server.stuck = False
            self.settle()
            stream.server.stuck = True
            self.flood(1)
        stream.server.stuck = False
        self.settle()
        memory = Memory()
        for event in stream.told:
            memory.hear(event.name, event.data)
        assert memory.ids == list(range(1, 61))

    def test_who_reads_nothing_for_too_long_is_given_up(self) -> None:
        stream, other = self.stream(), self.stream()
        stream.server.stuck = True
        self.flood(20)
        assert stream.server.held > 60_000
        # By now it was asked, and may take its time to answer.
        self.settle(26)
        stream.server.stuck = False
        self.settle(30)
        assert not stream.lost
        stream.server.stuck = True
        self.flood(20)
        self.settle(60)
        assert stream.server.aborted
        assert not other.lost
        assert other.names().count("talk") == 40

    def test_who_is_too_far_behind_begins_afresh(self) -> None:
        stream = self.stream()
        with ExitStack() as stack:
            for limit in SMALL:
                stack.enter_context(limit)
            stream.server.stuck = True
            self.flood(30)
            stream.server.stuck = False
            self.settle()
            assert stream.ended
            assert not stream.lost
            stream = self.ask("/rooms/lobby/events", Last_Event_ID=stream.told[-1].id)
        (init,) = stream.told
        assert not init.data["resumed"]
        assert init.data["last"] == 30

    def test_behind_an_answer_that_is_not_read_nothing_piles_up(self) -> None:
        self.flood(30)
        stream = self.reach()
        stream.server.stuck = True
        ask = "GET /rooms/lobby/{} HTTP/1.1\r\nHost: chat.example:8080\r\n\r\n"
        asked = ask.format("messages") + ask.format("events")
        stream.transport.write(asked.encode())
        self.settle()
        self.flood(30)
        assert stream.server.held < 300_000

    def test_a_stop_ends_all_streams_and_begins_no_other(self) -> None:
        streams = [self.stream(), self.stream("tea")]
        self.events.farewell()
        self.settle()
        for stream in streams:
            assert stream.ended
            assert not stream.lost
            refused = self.ask("/rooms/lobby/events", listener=stream)
            assert (refused.status, refused.json["code"]) == (503, "unavailable")
            assert 1 <= int(str(refused.header("Retry-After"))) <= 5
        assert self.places.taken == 0

    def test_nothing_of_what_a_client_does_wrong_is_logged(self) -> None:
        said: list[Any] = []
        observer: Any = said.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for method in ("GET", "HEAD", "POST"):
            for path in ("/rooms/./events", "/rooms/lobby/events?after=x", "/rooms/lobby/events"):
                self.ask(path, method, Accept="application/json")
                self.ask(path, method).transport.loseConnection()
        self.settle(20)
        assert said == []


class SocketTests(ListeningCase):
    @inlineCallbacks
    def test_the_system_gives_up_who_takes_nothing(self) -> Generator[Deferred[Any], Any, None]:
        port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        port.transport = Direct
        self.addCleanup(port.stopListening)
        client: Any = yield connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Protocol()
        )
        client.transport.write(b"GET /rooms/lobby/events HTTP/1.1\r\nHost: x\r\n\r\n")
        while not (streams := list(self.events.streams)):
            yield deferLater(reactor, 0)
        accepted = streams[0].transport
        assert isinstance(accepted, Direct)
        given = accepted.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert given == 20_000
        assert accepted.getTcpNoDelay()
        client.transport.abortConnection()
        while list(self.events.streams):
            yield deferLater(reactor, 0)

    @pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system tells too little")
    @inlineCallbacks
    def test_who_reads_slowly_stays_until_nothing_is_read(
        self,
    ) -> Generator[Deferred[Any], Any, None]:
        self.flood(50)
        port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        port.transport = Direct
        self.addCleanup(port.stopListening)
        # As on a slow line: little of it is with the system.
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port.getHost().port))
        client.sendall(b"GET /rooms/lobby/events HTTP/1.1\r\nHost: x\r\n\r\n")
        client.setblocking(False)
        while not (streams := list(self.events.streams)):
            yield deferLater(reactor, 0)
        (stream,) = streams
        self.settle()
        assert stream.session.paused

        def taken() -> int:
            there = way(stream.transport)
            assert there is not None
            return there.taken

        for _ in range(12):
            before = taken()
            while taken() < before + 10_000:
                with contextlib.suppress(BlockingIOError):
                    client.recv(1000)
                yield deferLater(reactor, 0)
            self.settle(10)
            assert list(self.events.streams) == streams
        assert stream.session.paused
        # What was under way may still arrive, and then it is only from then on that nothing does.
        arrived = True
        while arrived:
            before = taken()
            self.settle(46)
            arrived = taken() > before
        while list(self.events.streams):
            yield deferLater(reactor, 0)


class PropertyTests(ListeningCase):
    """A reader that is cut at any event, any number of times, sees each entry once and in order."""

    rooms = count()

    def live(self, deeds: list[tuple[str, int]]) -> tuple[Memory, Memory]:
        """Let a room and a reader do *deeds*; return what who is always there knows, and they."""
        room = f"room-{next(self.rooms)}"
        peer = self.enter(f"/ws?room={room}&name=speaker-{room}")
        stays, comes = Memory(), Memory()
        stream: Listener | None = self.stream(room)
        taken, cursor = 0, ""

        def take(most: int) -> None:
            nonlocal taken, cursor
            assert stream is not None
            for event in stream.told[taken : taken + most]:
                comes.hear(event.name, event.data)
                taken, cursor = taken + 1, event.id

        for what, how in deeds:
            match what:
                case "say":
                    peer.talk("talk", room=room, message=f"text {how}")
                case "edit":
                    peer.talk("edit", room=room, of=how, message=f"other text {how}")
                case "delete":
                    peer.talk("delete", room=room, of=how)
                case "react":
                    peer.talk("react", room=room, of=how, emoji="👍", on=how % 3 > 0)
                case "topic":
                    peer.talk("topic", room=room, topic=f"topic {how}")
                case "settle":
                    self.settle(how / 4)
                case "take" if stream is not None:
                    take(how)
                case "cut" if stream is not None:
                    take(how)
                    stream.server.stuck = False
                    stream.transport.abortConnection()
                    stream, taken = None, 0
                case "stick" if stream is not None:
                    stream.server.stuck = True
                case "drain" if stream is not None:
                    stream.server.stuck = False
                case "back" if stream is None:
                    stream = self.back(room, cursor)
        self.settle()
        if stream is None:
            stream = self.back(room, cursor)
        stream.server.stuck = False
        self.settle()
        while stream.ended:
            # They were too far behind.
            take(1_000_000)
            taken, stream = 0, self.back(room, cursor)
        take(1_000_000)
        for event, data in peer.events:
            stays.hear(event, data)
        for end in (peer, stream):
            end.transport.loseConnection()
        self.settle()
        self.pumps.clear()
        return stays, comes

    def back(self, room: str, cursor: str) -> Listener:
        """Return a reader who goes on at *cursor*, if there is one yet."""
        headers: Any = {"Last_Event_ID": cursor} if cursor else {}
        return self.ask(f"/rooms/{room}/events", **headers)

    @UNHURRIED
    @given(deeds=DEEDS)
    def test_each_entry_once_and_in_order(self, deeds: list[tuple[str, int]]) -> None:
        stays, comes = self.live(deeds)
        assert comes.starts == 1
        assert comes.ids == stays.ids == list(range(1, stays.last + 1))
        assert comes.messages == stays.messages
        assert comes.topic == stays.topic

    @UNHURRIED
    @given(deeds=DEEDS)
    def test_who_was_away_for_too_long_begins_afresh(self, deeds: list[tuple[str, int]]) -> None:
        with ExitStack() as stack:
            for limit in SMALL:
                stack.enter_context(limit)
            stays, comes = self.live(deeds)
        assert comes.last == stays.last
        assert comes.topic == stays.topic
        shown = {message.id: message for message in stays.messages}
        assert comes.messages == [shown[message.id] for message in comes.messages]
        if comes.messages:
            first = comes.messages[0].id
            assert comes.messages == [shown[id] for id in sorted(shown) if id >= first]
