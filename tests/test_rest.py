"""The rooms by plain requests, byte by byte through the whole site."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from chatroom.answers import Origins
from chatroom.log import Unavailable
from chatroom.rest import Door, doors
from chatroom.rest.door import BODY
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.records import Problem
from chatroom.rest.refusals import status
from chatroom.saying import TOPIC
from chatroom.site import Request
from tests.rig import Peer, RoomCase


def performing(method: str, path: str) -> Operation | None:
    """Return the operation that a request asks for, if it is one."""
    for operation in OPERATIONS:
        template = re.sub(r"\{\w+\}", "[^/]*", operation.path)
        if method == operation.method and re.fullmatch(template, path.partition("?")[0]):
            return operation
    return None


class Answer(NamedTuple):
    """What came back: *data* is its JSON."""

    status: int
    data: Any
    peer: Peer

    def header(self, name: str) -> str | None:
        return self.peer.header(name)


class RestCase(RoomCase):
    """A test that asks by requests."""

    def setUp(self) -> None:
        super().setUp()
        self.inside: list[tuple[str, str]] = []

        def events(request: Request, room: str) -> bytes:
            self.inside.append((room, request.method.decode()))
            return b"events"

        self.doors = doors(self.chat, Origins(self.origins), {"events": events})
        for name, door in self.doors.items():
            self.site.resource.putChild(name.encode(), door)

    def begin(self, method: str, path: str, body: bytes | None, **headers: str) -> Peer:
        """Return a peer that has sent a request, with *body* if there is one."""
        peer = self.dial()
        lines = {"Host": "chat.example", "Connection": "close"}
        if body is not None:
            lines |= {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        peer.transport.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        peer.transport.write(body or b"")
        self.settle()
        return peer

    def ask(
        self,
        method: str,
        path: str,
        data: object = None,
        *,
        token: str | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """
        Return the answer to a request with *data* as JSON, or this very *body*.

        It must be one that is described.
        """
        if data is not None:
            body = json.dumps(data).encode()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        peer = self.begin(method, path, body, **headers)
        assert peer.status, (method, path)
        answer = Answer(peer.status, json.loads(peer.body) if peer.body else None, peer)
        if (operation := performing(method, path)) is None:
            return answer
        if answer.status == operation.status:
            msgspec.convert(answer.data, operation.answer)
        else:
            problem = msgspec.convert(answer.data, Problem)
            assert problem.code in operation.codes, (method, path, answer)
            assert answer.status == status(problem.code)
        return answer

    def do(self, method: str, path: str, data: object = None, **more: Any) -> Any:
        """Return the JSON of an answer that must be good."""
        answer = self.ask(method, path, data, **more)
        assert answer.status in (200, 201), answer
        assert answer.header("Content-Type") == "application/json"
        assert answer.header("Cache-Control") == "no-store"
        return answer.data

    def refusal(
        self, status: int, code: str, method: str, path: str, *rest: Any, **more: Any
    ) -> Answer:
        """Return the answer to a request that must be refused with *status* and *code*."""
        answer = self.ask(method, path, *rest, **more)
        assert (answer.status, answer.data["code"]) == (status, code), answer
        assert answer.data.keys() - {"retry_after"} == {"code", "message"}
        assert answer.data["message"]
        assert answer.header("Content-Type") == "application/json"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert (answer.header("Retry-After") is not None) == ("retry_after" in answer.data)
        assert (answer.header("WWW-Authenticate") == "Bearer") == (status == 401)
        return answer

    def come(self, name: str) -> str:
        """Return the token of somebody new."""
        token: str = self.do("POST", "/users", {"name": name})["token"]
        return token

    def say(self, room: str, message: str, token: str | None = None, **more: Any) -> Any:
        """Say *message*, and return what was said."""
        return self.do("POST", f"/rooms/{room}/messages", {"message": message, **more}, token=token)


class Saying(RestCase):
    def test_it_is_heard_everywhere(self) -> None:
        reader = self.enter("/ws?room=tea")
        ann = self.come("Ann")
        answer = self.ask("POST", "/rooms/Tea/messages", {"message": "hello"}, token=ann)
        assert answer.status == 201
        assert answer.header("Location") == "/rooms/tea/messages/1"
        assert answer.data == {
            "id": 1,
            "room": "tea",
            "message": "hello",
            "type": "text",
            "from": {"id": 2, "name": "Ann"},
            "time": "2001-09-09T01:46:40.250Z",
        }
        assert reader.said("talk") == [answer.data]
        # Nobody is seen to come for it.
        assert [event for event, _ in reader.events] == ["init", "talk"]
        assert self.do("GET", str(answer.header("Location"))) == answer.data
        page = self.do("GET", "/rooms/tea/messages")
        assert page == {"room": "tea", "messages": [answer.data], "more": False, "newer": False}

    def test_what_is_said_elsewhere_is_read_here(self) -> None:
        there = self.enter("/ws?name=Ann")
        there.talk("talk", message="one")
        self.settle()
        assert self.do("GET", "/rooms/lobby/messages")["messages"] == there.said("talk")
        token = there.said("init")[0]["self"]["token"]
        assert self.say("lobby", "two", token)["from"] == there.said("talk")[0]["from"]

    def test_without_a_token_one_is_somebody_new(self) -> None:
        first, second = self.say("tea", "hi"), self.say("tea", "hi", name="Bob")
        assert first["from"]["name"].startswith("guest-")
        assert second["from"]["name"] == "Bob"
        assert first["from"]["id"] != second["from"]["id"]
        # With a token the wish does not count.
        assert self.say("tea", "hi", self.come("Ann"), name="Eve")["from"]["name"] == "Ann"
        self.refusal(
            409, "name_taken", "POST", "/rooms/tea/messages", {"message": "x", "name": "bob"}
        )
        self.refusal(422, "bad_name", "POST", "/rooms/tea/messages", {"message": "x", "name": "\n"})

    def test_reply_and_type(self) -> None:
        ann = self.come("Ann")
        self.say("tea", "question", ann)
        assert self.say("tea", "answer", reply=1)["reply"] == 1
        self.refusal(
            404, "no_such_message", "POST", "/rooms/tea/messages", {"message": "x", "reply": 9}
        )
        riddle = {"message": "x", "type": "riddle"}
        self.refusal(400, "bad_message", "POST", "/rooms/tea/messages", riddle)
        without = {"message": "x", "file": {"id": "0", "name": "x"}}
        self.refusal(404, "no_such_file", "POST", "/rooms/tea/messages", without)

    def test_length(self) -> None:
        limit = self.chat.limits.message
        assert self.say("tea", "😀" * limit)["id"] == 1
        self.refusal(422, "too_long", "POST", "/rooms/tea/messages", {"message": "x" * (limit + 1)})
        self.refusal(422, "empty", "POST", "/rooms/tea/messages", {"message": " \u200b"})

    def test_rate(self) -> None:
        ann = self.come("Ann")
        for _ in range(self.chat.limits.burst):
            self.say("tea", "x", ann)
        answer = self.refusal(
            429, "rate_limited", "POST", "/rooms/tea/messages", {"message": "x"}, token=ann
        )
        assert answer.header("Retry-After") == "1"
        assert answer.data["retry_after"] == 0.2
        self.settle(1)
        assert self.say("tea", "x", ann)["id"] == self.chat.limits.burst + 1


class Once(RestCase):
    """A nonce is said once."""

    def test_same_again(self) -> None:
        ann = self.come("Ann")
        said = self.say("tea", "x", ann, nonce="n1")
        assert said["nonce"] == "n1"
        path, data = "/rooms/tea/messages", {"message": "x"}
        for key in ("n1", '"n1"'):
            again = self.ask("POST", path, data, token=ann, Idempotency_Key=key)
            assert (again.status, again.data) == (201, said)
            assert again.header("Location") == "/rooms/tea/messages/1"
        both = self.ask("POST", path, data | {"nonce": "n1"}, token=ann, Idempotency_Key="n1")
        assert both.data == said
        self.refusal(409, "nonce_reused", "POST", path, {"message": "y", "nonce": "n1"}, token=ann)
        assert len(self.do("GET", path)["messages"]) == 1
        # Nonces are a user's own.
        assert self.say("tea", "x", self.come("Bob"), nonce="n1")["id"] == 2

    def test_two_that_differ(self) -> None:
        ann, path = self.come("Ann"), "/rooms/tea/messages"
        data = {"message": "x", "nonce": "n1"}
        self.refusal(400, "bad_message", "POST", path, data, token=ann, Idempotency_Key="n2")
        for key in ("", '"', "a b", "\xe9", "x" * 65, '"x', "a, b", '""'):
            self.refusal(
                400, "bad_message", "POST", path, {"message": "x"}, token=ann, Idempotency_Key=key
            )
        for nonce in ("", "x" * 65, 1):
            bad = {"message": "x", "nonce": nonce}
            self.refusal(400, "bad_message", "POST", path, bad, token=ann)
        assert self.do("GET", path)["messages"] == []

    def test_nobody_has_none(self) -> None:
        # Each time it would be somebody else's.
        path, data = "/rooms/tea/messages", {"message": "x", "nonce": "n1"}
        self.refusal(401, "unauthorized", "POST", path, data)
        self.refusal(401, "unauthorized", "POST", path, {"message": "x"}, Idempotency_Key="n1")
        assert self.do("GET", path)["messages"] == []

    def test_changes_have_nonces_too(self) -> None:
        ann = self.come("Ann")
        self.say("tea", "x", ann)
        for method, path, data in (
            ("PATCH", "/rooms/tea/messages/1", {"message": "y"}),
            ("PUT", f"/rooms/tea/messages/1/reactions/{quote('🍵')}", None),
            ("DELETE", f"/rooms/tea/messages/1/reactions/{quote('🍵')}", None),
            ("PUT", "/rooms/tea/topic", {"topic": "tea"}),
            ("DELETE", "/rooms/tea/messages/1", None),
        ):
            key = f"{method}-{path.count('/')}"
            one = self.do(method, path, data, token=ann, Idempotency_Key=key)
            two = self.do(method, path, data, token=ann, Idempotency_Key=key)
            assert one == two
            assert one["nonce"] == key
        assert self.do("GET", "/rooms/tea")["last"] == 6


class Changing(RestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bob = self.come("Ann"), self.come("Bob")
        self.say("tea", "one", self.ann)

    def test_edit(self) -> None:
        reader = self.enter("/ws?room=tea")
        path = "/rooms/tea/messages/1"
        change = self.do("PATCH", path, {"message": "uno"}, token=self.ann)
        assert reader.said("edit") == [change]
        assert (change["id"], change["of"], change["message"]) == (2, 1, "uno")
        now = self.do("GET", path)
        assert (now["message"], now["changed"]) == ("uno", 2)
        edits = self.do("GET", f"{path}/edits")
        assert [version["message"] for version in edits["versions"]] == ["one", "uno"]
        self.refusal(403, "forbidden", "PATCH", path, {"message": "x"}, token=self.bob)
        self.refusal(401, "unauthorized", "PATCH", path, {"message": "x"})

    def test_delete(self) -> None:
        reader, path = self.enter("/ws?room=tea"), "/rooms/tea/messages/1"
        self.refusal(403, "forbidden", "DELETE", path, token=self.bob)
        self.refusal(401, "unauthorized", "DELETE", path)
        change = self.do("DELETE", path, token=self.ann)
        assert reader.said("delete") == [change]
        for method, data in (("GET", None), ("PATCH", {"message": "x"}), ("DELETE", None)):
            self.refusal(404, "no_such_message", method, path, data, token=self.ann)
        self.refusal(404, "no_such_message", "GET", f"{path}/edits")
        # The history says that there was something.
        assert self.do("GET", "/rooms/tea/messages")["messages"][0]["deleted"]

    def test_reactions(self) -> None:
        reader = self.enter("/ws?room=tea")
        path = f"/rooms/tea/messages/1/reactions/{quote('👩‍🚀')}"
        given = self.do("PUT", path, token=self.bob)
        assert (given["emoji"], given["on"]) == ("👩‍🚀", True)
        users = [{"id": 2, "name": "Bob"}]
        message = self.do("GET", "/rooms/tea/messages/1")
        assert message["reactions"] == [{"emoji": "👩‍🚀", "users": users}]
        taken = self.do("DELETE", path, token=self.bob)
        assert reader.said("react") == [given, taken]
        assert "reactions" not in self.do("GET", "/rooms/tea/messages/1")
        self.refusal(422, "bad_emoji", "PUT", "/rooms/tea/messages/1/reactions/x", token=self.bob)
        self.refusal(401, "unauthorized", "PUT", path)
        self.refusal(404, "no_such_message", "PUT", path.replace("/1/", "/9/"), token=self.bob)

    def test_topic(self) -> None:
        reader, path = self.enter("/ws?room=tea"), "/rooms/tea/topic"
        change = self.do("PUT", path, {"topic": "Green"}, token=self.bob)
        assert reader.said("topic") == [change]
        assert self.do("GET", "/rooms/tea")["topic"] == "Green"
        self.do("PUT", path, {"topic": ""}, token=self.bob)
        assert "topic" not in self.do("GET", "/rooms/tea")
        self.refusal(422, "too_long", "PUT", path, {"topic": "x" * (TOPIC + 1)}, token=self.bob)
        self.refusal(400, "bad_message", "PUT", path, {"topic": "a\nb"}, token=self.bob)
        self.refusal(401, "unauthorized", "PUT", path, {"topic": "x"})


class Reading(RestCase):
    def test_places(self) -> None:
        for number in range(1, 8):
            self.say("tea", str(number))

        def ids(query: str) -> tuple[list[int], bool, bool]:
            page = self.do("GET", f"/rooms/tea/messages?{query}")
            return [message["id"] for message in page["messages"]], page["more"], page["newer"]

        assert ids("limit=2") == ([6, 7], True, False)
        assert ids("before=3") == ([1, 2], False, True)
        assert ids("after=5&limit=9999") == ([6, 7], True, False)
        assert ids("around=4&limit=3") == ([3, 4, 5], True, True)
        assert ids("after=99") == ([], True, False)

    def test_queries_that_are_none(self) -> None:
        for query in (
            "limit=0",
            "limit=",
            "limit=x",
            "limit=1.5",
            "limit=1&limit=2",
            "before=-1",
            "before=null",
            f"before={2**53 + 1}",
            f"before={'9' * 5000}",
            "before=1&after=1",
            "around=%ff",
            "before=true",
        ):
            self.refusal(400, "bad_message", "GET", f"/rooms/tea/messages?{query}")
        # What a receiver does not know is ignored.
        self.do("GET", "/rooms/tea/messages?unknown=1&other")

    def test_rooms(self) -> None:
        for room in ("tea", "tea-time", "coffee"):
            self.say(room, "x")
        assert self.do("GET", "/rooms?match=tea&limit=1") == {
            "rooms": [{"room": "tea", "count": 0, "last": 1}],
            "more": True,
        }
        assert [room["room"] for room in self.do("GET", "/rooms?after=tea")["rooms"]] == [
            "tea-time"
        ]
        self.refusal(400, "bad_message", "GET", "/rooms?limit=0")

    def test_a_room(self) -> None:
        assert self.do("GET", "/rooms/New") == {"room": "New", "count": 0, "last": 0}
        assert self.do("GET", "/rooms/New/users") == {"room": "New", "users": [], "count": 0}
        assert self.do("GET", "/rooms/New/messages")["messages"] == []
        # To look at a room makes none.
        assert self.chat.rooms == {}
        assert self.do("GET", "/rooms")["rooms"] == []
        self.enter("/ws?room=new&name=Ann")
        self.say("new", "x")
        assert self.do("GET", "/rooms/NEW") == {"room": "new", "count": 1, "last": 1}
        ann = {"id": 1, "name": "Ann"}
        assert self.do("GET", "/rooms/new/users") == {"room": "new", "users": [ann], "count": 1}

    def test_a_crowd(self) -> None:
        for _ in range(205):
            self.enter("/ws?room=tea")
        seen = self.do("GET", "/rooms/tea/users")
        assert (len(seen["users"]), seen["count"]) == (200, 205)

    def test_names_of_rooms(self) -> None:
        for name in ("a%20b", "%00", "..", "%2e", "a%2Fb", "x" * 65, "", "%0d%0a", "<b>"):
            for rest in ("", "/messages", "/users", "/messages/1"):
                if name or rest:
                    self.refusal(404, "bad_room", "GET", f"/rooms/{name}{rest}")
        assert self.do("GET", f"/rooms/{quote('Kävé')}")["room"] == "Kävé"
        assert (
            self.ask("POST", f"/rooms/{quote('Kävé')}/messages", {"message": "x"}).header(
                "Location"
            )
            == f"/rooms/{quote('Kävé')}/messages/1"
        )

    def test_one_message(self) -> None:
        self.say("tea", "x", self.come("Ann"))
        token = self.come("Bob")
        self.do("PUT", "/rooms/tea/topic", {"topic": "x"}, token=token)
        # The second is a change, and the third is not yet.
        for id in ("2", "3", "0", "x", "1.0", "-1", "", str(2**53 + 1), "9" * 400, "%31x", "٣"):
            self.refusal(404, "no_such_message", "GET", f"/rooms/tea/messages/{quote(id, '%')}")
        assert self.do("GET", "/rooms/tea/messages/%31")["id"] == 1

    def test_search(self) -> None:
        self.say("tea", "a green pot")
        self.say("coffee", "a black pot")
        found = self.do("GET", "/search?query=pot")
        assert [hit["room"] for hit in found["hits"]] == ["coffee", "tea"]
        found = self.do("GET", "/search?query=pot&room=Tea&limit=1")
        assert found["room"] == "tea"
        assert [hit["message"] for hit in found["hits"]] == ["a green pot"]
        self.refusal(400, "bad_message", "GET", "/search")
        self.refusal(404, "bad_room", "GET", "/search?query=x&room=a+b")
        self.refusal(422, "too_long", "GET", f"/search?query={'x' * 251}")

    def test_direct_rooms(self) -> None:
        ann, bob, eve = self.come("Ann"), self.come("Bob"), self.come("Eve")
        self.say("@1-2", "psst", ann)
        for rest in ("", "/users", "/messages", "/messages/1", "/messages/1/edits"):
            path = f"/rooms/@1-2{rest}"
            self.do("GET", path, token=bob)
            self.refusal(403, "forbidden", "GET", path, token=eve)
            self.refusal(403, "forbidden", "GET", path)
        self.refusal(403, "forbidden", "POST", "/rooms/@1-2/messages", {"message": "x"}, token=eve)
        self.refusal(403, "forbidden", "POST", "/rooms/@1-2/messages", {"message": "x"})
        self.refusal(403, "forbidden", "PUT", "/rooms/@1-2/topic", {"topic": "x"}, token=ann)
        self.refusal(403, "forbidden", "GET", "/search?query=psst&room=@1-2", token=eve)
        assert len(self.do("GET", "/search?query=psst", token=bob)["hits"]) == 1
        assert self.do("GET", "/search?query=psst", token=eve)["hits"] == []
        assert self.do("GET", "/rooms")["rooms"] == []


class Users(RestCase):
    def test_somebody_new(self) -> None:
        answer = self.ask("POST", "/users", {"name": "Ann"})
        assert answer.status == 201
        assert answer.header("Location") == "/users/me"
        me = answer.data
        assert (me["id"], me["name"]) == (1, "Ann")
        assert self.do("GET", "/users/me", token=me["token"]) == {"id": 1, "name": "Ann"}
        assert self.do("POST", "/users")["name"] == "guest-2"
        assert self.do("POST", "/users", {"name": None})["name"] == "guest-3"
        self.refusal(409, "name_taken", "POST", "/users", {"name": "ANN"})
        self.refusal(422, "bad_name", "POST", "/users", {"name": "\u200b"})
        self.refusal(422, "bad_name", "POST", "/users", {"name": "x" * 33})
        self.refusal(400, "bad_message", "POST", "/users", [])

    def test_token_is_good_at_other_doors(self) -> None:
        there = self.enter(f"/ws?token={self.come('Ann')}")
        assert there.said("init")[0]["self"]["name"] == "Ann"
        self.refusal(409, "name_taken", "POST", "/users", {"name": "Ann"})

    def test_rename(self) -> None:
        token = self.come("Ann")
        there = self.enter(f"/ws?token={token}")
        assert self.do("PATCH", "/users/me", {"name": " Anna  B "}, token=token) == {
            "id": 1,
            "name": "Anna B",
        }
        assert there.said("rename")[0]["name"] == "Anna B"
        self.come("Bob")
        self.refusal(409, "name_taken", "PATCH", "/users/me", {"name": "bob"}, token=token)
        self.refusal(422, "bad_name", "PATCH", "/users/me", {"name": "\n"}, token=token)
        self.refusal(400, "bad_message", "PATCH", "/users/me", {}, token=token)
        self.refusal(401, "unauthorized", "PATCH", "/users/me", {"name": "x"})
        self.refusal(401, "unauthorized", "GET", "/users/me")

    def test_tokens_that_are_none(self) -> None:
        for value in ("Bearer nobody", "Bearer", "", "Basic QTpC", "Bearer \xff", "x"):
            for method, path, data in (
                ("GET", "/rooms", None),
                ("GET", "/users/me", None),
                ("POST", "/rooms/tea/messages", {"message": "x"}),
            ):
                self.refusal(401, "unauthorized", method, path, data, Authorization=value)

    def test_strangers_share_a_bucket(self) -> None:
        for _ in range(self.chat.limits.burst):
            self.do("POST", "/users")
        self.refusal(429, "rate_limited", "POST", "/users")
        self.refusal(429, "rate_limited", "POST", "/rooms/tea/messages", {"message": "x"})


class Requests(RestCase):
    """What holds for all of them."""

    def test_nothing_there(self) -> None:
        for path in (
            "/rooms/",
            "/users",
            "/users/",
            "/users/1",
            "/rooms/tea/",
            "/rooms/tea/poll",
            "/rooms/tea/messages/",
            "/rooms/tea/messages/1/",
            "/rooms/tea/messages/1/reactions",
            "/rooms/%ff",
            "/rooms/tea/messages/1/reactions/%ff",
            "/search/",
            "/search/x",
            "/openapi.json/",
            "/" + "/".join(["rooms"] * 500),
        ):
            answer = self.ask("DELETE", path)
            assert answer.status in (400, 401, 404, 405), path
            assert answer.data.keys() == {"code", "message"}

    def test_methods(self) -> None:
        for path, allowed in (
            ("/rooms", "GET, HEAD, OPTIONS"),
            ("/rooms/tea", "GET, HEAD, OPTIONS"),
            ("/rooms/tea/topic", "OPTIONS, PUT"),
            ("/rooms/tea/messages", "GET, HEAD, OPTIONS, POST"),
            ("/rooms/tea/messages/1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
            ("/rooms/tea/messages/1/reactions/x", "DELETE, OPTIONS, PUT"),
            ("/rooms/tea/events", "GET, HEAD, OPTIONS"),
            ("/users", "OPTIONS, POST"),
            ("/users/me", "GET, HEAD, OPTIONS, PATCH"),
            ("/search", "GET, HEAD, OPTIONS"),
            ("/openapi.json", "GET, HEAD, OPTIONS"),
        ):
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X"} - set(
                allowed.split(", ")
            ):
                answer = self.refusal(405, "bad_method", method, path)
                assert answer.header("Allow") == allowed
            answer = self.ask("OPTIONS", path)
            assert (answer.status, answer.header("Allow"), answer.data) == (204, allowed, None)

    def test_head(self) -> None:
        said = self.say("tea", "x")
        answer = self.ask("HEAD", "/rooms/tea/messages/1")
        assert (answer.status, answer.data) == (200, None)
        assert answer.header("Content-Length") == str(
            len(json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode())
        )
        answer = self.ask("HEAD", "/rooms/tea/messages/2")
        assert (answer.status, answer.data) == (404, None)
        # Of another length than that of GET nothing may be said (RFC 9110, section 8.6).
        assert answer.header("Content-Length") is None

    def test_bodies(self) -> None:
        ann, path = self.come("Ann"), "/rooms/tea/messages"
        for body in (
            b"",
            b"x",
            b"[]",
            b"{}",
            b"null",
            b'{"message": 1}',
            b'{"message": null}',
            b'{"message": "\\ud800"}',
            b'{"message": "\xff"}',
            b'{"message": "x"',
            b'{"message": "x"} x',
            b'{"message": "x", "reply": 1.5}',
            b'{"message": "x", "reply": -1}',
            b'{"message": "x", "reply": NaN}',
            b'{"message": "x", "file": []}',
            b'{"message": "x", "more": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        ):
            self.refusal(400, "bad_message", "POST", path, body=body, token=ann)
        # As on all doors, what is not known is skipped, and null is nothing.
        good = b'\xef\xbb\xbf{"message": "x"}'[3:]
        assert self.do("POST", path, body=good, token=ann)["id"] == 1
        more = {"message": "x", "room": "coffee", "reply": None, "unknown": {"a": [1]}}
        assert self.do("POST", path, more, token=ann)["room"] == "tea"

    def test_types(self) -> None:
        path, data = "/rooms/tea/messages", {"message": "x"}
        for type in ("text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"):
            self.refusal(415, "bad_type", "POST", path, data, Content_Type=type)
        self.refusal(415, "bad_type", "POST", path, data, Content_Encoding="gzip")
        for type in ("application/json; charset=utf-8", "Application/JSON"):
            self.ask("POST", path, data, Content_Type=type)
        assert len(self.do("GET", path)["messages"]) == 2

    def test_large_bodies(self) -> None:
        path = "/rooms/tea/messages"
        assert self.say("tea", "x", more="y" * (BODY - 30))["id"] == 1
        too_large = json.dumps({"message": "x", "more": "y" * BODY}).encode()
        self.refusal(413, "too_large", "POST", path, body=too_large)
        peer = self.dial()
        head = b"POST /rooms/tea/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        peer.transport.write(head + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + b" " * 65_536)
        self.settle()
        assert peer.status == 0
        peer.transport.write(b"\r\n10000\r\n ")
        self.settle()
        assert peer.status == 413
        assert len(self.do("GET", path)["messages"]) == 1

    def test_body_that_nobody_reads(self) -> None:
        self.say("tea", "x")
        assert self.do("GET", "/rooms/tea", body=b"x" * 1_000_000)["last"] == 1

    def test_gone_before_the_answer(self) -> None:
        body = b'{"message": "x"}'
        peer = self.dial()
        channel = peer.server
        peer.transport.write(
            b"POST /rooms/tea/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        appended: list[Any] = []
        append, self.log.append = self.log.append, appended.append  # type: ignore[method-assign,assignment]
        self.settle()
        assert len(appended) == 1
        channel.loseConnection()
        peer.transport.loseConnection()
        self.settle()
        append(appended[0])
        self.settle()
        assert self.do("GET", "/rooms/tea")["last"] == 1
        assert peer.status == 0

    def test_store_that_cannot_be_read(self) -> None:
        ann = self.come("Ann")
        self.say("tea", "x", ann)

        def unavailable(*_: object) -> Any:
            raise Unavailable("the disk is gone")

        for name in ("room", "rooms", "new_user", "user", "edits", "before"):
            setattr(self.log, name, unavailable)
        for method, path, data in (
            ("GET", "/rooms", None),
            ("GET", "/rooms/tea", None),
            ("GET", "/rooms/tea/users", None),
            ("GET", "/rooms/tea/messages", None),
            ("GET", "/rooms/tea/messages/1", None),
            ("GET", "/rooms/tea/messages/1/edits", None),
            ("GET", "/search?query=x&room=tea", None),
            ("POST", "/rooms/tea/messages", {"message": "y"}),
            ("POST", "/users", None),
        ):
            answer = self.refusal(503, "unavailable", method, path, data)
            assert answer.header("Retry-After") == "1"
            assert "disk" not in answer.data["message"]
        # What needs nothing of it goes on.
        assert self.do("GET", "/users/me", token=ann)["name"] == "Ann"

    def test_pipelined(self) -> None:
        peer = self.dial()
        peer.transport.write(b"GET /rooms/a HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        self.settle()
        assert peer.body.count(b'{"room":"a","count":0,"last":0}') == 3

    def test_inside(self) -> None:
        assert self.begin("GET", "/rooms/a%20b/events", None).body == b"events"
        self.begin("HEAD", "/rooms/tea/events?x", None)
        assert self.inside == [("a b", "GET"), ("tea", "HEAD")]
        self.site.resource.putChild(
            b"rooms", Door(self.chat, Origins([]), [], {"events": lambda request, room: b"y"})
        )
        assert self.begin("GET", "/rooms/tea/events", None).body == b"y"
        assert self.begin("GET", "/rooms", None).status == 404
        assert self.begin("POST", "/rooms/tea/messages", b"{}").status == 404

    def test_described(self) -> None:
        told = self.do("GET", "/openapi.json")
        assert told["openapi"] == "3.1.0"
        assert {
            (method.upper(), path) for path, methods in told["paths"].items() for method in methods
        } == {(operation.method, operation.path) for operation in OPERATIONS}


class Pages(RestCase):
    """Pages of other sites."""

    origins = ("https://friend.example",)

    def test_friend(self) -> None:
        origin = "https://friend.example"
        for answer in (
            self.ask("GET", "/rooms", Origin=origin),
            self.ask("GET", "/rooms/a%20b", Origin=origin),
            self.ask("GET", "/rooms/tea/nothing", Origin=origin),
            self.ask("POST", "/users", Origin=origin),
        ):
            assert answer.header("Access-Control-Allow-Origin") == origin
            assert answer.header("Vary") == "Origin"
            exposed = str(answer.header("Access-Control-Expose-Headers")).split(", ")
            assert {"Location", "Retry-After"} <= set(exposed)

    def test_preflight(self) -> None:
        answer = self.ask(
            "OPTIONS",
            "/rooms/tea/messages/1",
            Origin="https://friend.example",
            Access_Control_Request_Method="PATCH",
            Access_Control_Request_Headers="authorization,content-type,idempotency-key",
        )
        assert answer.status == 204
        assert "PATCH" in str(answer.header("Access-Control-Allow-Methods")).split(", ")
        allowed = str(answer.header("Access-Control-Allow-Headers")).lower().split(", ")
        assert {"authorization", "content-type", "idempotency-key", "last-event-id"} <= set(allowed)

    def test_stranger(self) -> None:
        for method, path, data in (
            ("GET", "/rooms", None),
            ("GET", "/rooms/tea/events", None),
            ("OPTIONS", "/rooms", None),
            ("POST", "/rooms/tea/messages", {"message": "x"}),
            ("DELETE", "/rooms", None),
            ("GET", "/rooms/tea/nothing", None),
            ("GET", "/openapi.json", None),
        ):
            answer = self.refusal(403, "forbidden", method, path, data, Origin="https://x.example")
            assert answer.header("Access-Control-Allow-Origin") is None
        assert self.inside == []
        assert self.do("GET", "/rooms/tea")["last"] == 0

    def test_own(self) -> None:
        assert self.ask("GET", "/rooms", Origin="http://chat.example").status == 200
