"""The resource tree on one port: over treq in memory, and byte by byte."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import treq
from treq.testing import StubTreq
from twisted.internet.address import IPv4Address
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from chatroom.chat import Chat
from chatroom.memory import MemoryLog
from chatroom.site import HEAD, HEADERS
from chatroom.tap import PAGE
from chatroom.web import IN_MEMORY, Health, accepts_gzip, root
from tests.rig import RoomCase, masked


class Served(RoomCase):
    """What a browser gets, through the whole site."""

    def get(self, path: str, *more: str, method: str = "GET") -> Any:
        peer = self.dial()
        lines = "".join(f"{line}\r\n" for line in ("Host: x", "Connection: close", *more))
        peer.transport.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        self.settle()
        return peer

    def test_page(self) -> None:
        answer = self.get("/")
        assert answer.status == 200
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert answer.body == (PAGE / "index.html").read_bytes()

    def test_every_file_of_the_page_has_its_type(self) -> None:
        types = {
            ".css": "text/css; charset=utf-8",
            ".html": "text/html; charset=utf-8",
            ".js": "text/javascript; charset=utf-8",
            ".json": "application/json",
            ".png": "image/png",
            ".svg": "image/svg+xml",
            ".txt": "text/plain; charset=utf-8",
            ".webmanifest": "application/manifest+json",
        }
        octets = "application/octet-stream"
        for path in PAGE.rglob("*"):
            if path.is_file() and path.stat().st_size <= IN_MEMORY:
                answer = self.get(f"/{path.relative_to(PAGE)}")
                assert answer.status == 200
                assert answer.body == path.read_bytes()
                assert answer.header("Content-Type") == types.get(path.suffix, octets)

    def test_headers_are_on_everything(self) -> None:
        for path in ("/", "/ws", "/health", "/nothing", "/main.js"):
            answer = self.get(path)
            for name, value in HEADERS.items():
                assert answer.header(name) == value, path
        assert "unsafe-inline" not in HEADERS["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in HEADERS["Content-Security-Policy"]

    def test_not_modified(self) -> None:
        tag = self.get("/main.js").header("ETag")
        again = self.get("/main.js", f"If-None-Match: {tag}")
        assert again.status == 304
        assert again.body == b""
        assert self.get("/main.js", 'If-None-Match: "other"').status == 200

    def test_gzip(self) -> None:
        plain, zipped = self.get("/main.js"), self.get("/main.js", "Accept-Encoding: br, gzip")
        assert plain.header("Content-Encoding") is None
        assert zipped.header("Content-Encoding") == "gzip"
        assert plain.header("Vary") == zipped.header("Vary") == "Accept-Encoding"
        assert gzip.decompress(zipped.body) == plain.body
        assert zipped.header("ETag") != plain.header("ETag")

    def test_head(self) -> None:
        with capturedLogs() as logged:
            answer = self.get("/", method="HEAD")
        assert logged == []
        assert answer.status == 200
        assert answer.body == b""
        assert int(answer.header("Content-Length")) == (PAGE / "index.html").stat().st_size

    def test_nothing_else(self) -> None:
        for path in (
            "/nothing",
            "/../setup.cfg",
            "/%2e%2e/setup.cfg",
            "/..%2fsetup.cfg",
            "//",
            "/.git",
            "/a%00b",
            "/%ff",
            "/index.html/",
            "/index.html/x",
            "/" + "x" * 5000,
        ):
            answer = self.get(path)
            assert answer.status == 404, path
            assert answer.body == b"there is nothing here\n"

    def test_header_that_is_no_utf8(self) -> None:
        assert self.get("/", "Accept-Encoding: \xff").status == 200

    def test_other_methods(self) -> None:
        assert self.get("/", method="POST").status == 405
        assert self.get("/ws", method="POST").status == 405

    def test_echo_of_a_path_is_none(self) -> None:
        assert b"<script>" not in self.get("/<script>").body

    def test_body_is_not_kept(self) -> None:
        peer = self.dial()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        peer.transport.write(head + b"x" * 1_000_000)
        self.settle()
        assert peer.status == 405
        chunked = self.dial()
        chunked.transport.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
        )
        self.settle()
        assert chunked.status == 405


class Folder(RoomCase):
    """Files of one's own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        (self.folder / "sub").mkdir()
        (self.folder / "index.html").write_text("one")
        self.client: Any = StubTreq(root(self.folder, {}))

    def get(self, path: str) -> Any:
        return self.successResultOf(self.client.get(f"http://x{path}"))

    def content(self, path: str) -> bytes:
        got: bytes = self.successResultOf(treq.content(self.get(path)))
        return got

    def test_change_is_seen(self) -> None:
        assert self.content("/") == b"one"
        (self.folder / "index.html").write_text("another")
        assert self.content("/") == b"another"

    def test_folders(self) -> None:
        (self.folder / "sub" / "x.unknown").write_bytes(b"\0")
        (self.folder / "sub" / "x.webp").write_bytes(b"\0")
        assert self.get("/sub").code == 404
        assert self.get("/sub/").code == 404
        answer = self.get("/sub/x.unknown")
        assert answer.code == 200
        assert answer.headers.getRawHeaders("Content-Type") == ["application/octet-stream"]
        answer = self.get("/sub/x.webp")
        assert answer.headers.getRawHeaders("Content-Type") == ["image/webp"]

    def test_file_that_cannot_be_read(self) -> None:
        os.symlink("loop", self.folder / "loop")
        assert self.get("/loop").code == 404


class Healthy(RoomCase):
    def test_figures(self) -> None:
        self.enter()
        self.enter("/ws?room=dev")
        self.settle(5)
        peer = self.dial()
        peer.transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.settle()
        assert peer.status == 200
        assert peer.header("Content-Type") == "application/json"
        report = json.loads(peer.body.split(b"\r\n")[1])
        assert report["status"] == "ok"
        assert (report["users"], report["rooms"], report["connections"]) == (2, 2, 2)
        assert report["uptime"] == 5

    @inlineCallbacks
    def test_store_that_cannot_be_written(self) -> Any:
        reports: list[Any] = []
        log = MemoryLog(lambda call: None)
        log.check = reports.append  # type: ignore[method-assign,assignment]
        chat = Chat(log, Clock().seconds, lambda: 0.0)
        client: Any = StubTreq(Health(chat))
        first, second = client.get("http://x/"), client.get("http://x/")
        third = client.get("http://x/")
        third.addErrback(lambda _: None)
        client.flush()
        # Who asks meanwhile shares the answer, and who has gone misses it.
        assert len(reports) == 1
        reports[0]("disk full")
        client.flush()
        for pending in (first, second):
            answer = yield pending
            assert answer.code == 503
            report = yield answer.json()
            assert (report["status"], report["reason"]) == ("unavailable", "disk full")

    def test_who_asks_and_goes(self) -> None:
        peer = self.dial()
        peer.transport.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.pumps[0].pump()
        peer.transport.loseConnection()
        self.settle()
        assert peer.status in (0, 200)


class Beginning(RoomCase):
    """Which WebSockets begin."""

    origins = ("https://Friend.example/",)

    def status(self, **headers: str) -> int:
        return self.enter(**headers).status

    def test_origins(self) -> None:
        for host, origin, status in (
            ("chat.example:8080", "", 101),
            ("chat.example:8080", "http://chat.example:8080", 101),
            ("Chat.Example:8080", "http://chat.example:8080", 101),
            ("chat.example", "https://chat.example", 101),
            ("chat.example", "http://chat.example", 101),
            ("chat.example:443", "https://chat.example", 101),
            ("[::1]:8080", "http://[::1]:8080", 101),
            ("chat.example:8080", "https://friend.example", 101),
            ("chat.example:8080", "http://friend.example", 403),
            ("chat.example:8080", "http://chat.example", 403),
            ("chat.example", "http://chat.example.evil.example", 403),
            ("chat.example", "null", 403),
            ("chat.example", "http://chat.example:x", 403),
            ("chat.example", "file://chat.example", 403),
            ("chat.example", "http://", 403),
        ):
            assert self.status(Host=host, Origin=origin) == status, (host, origin)

    def test_line_breaks_within_headers(self) -> None:
        for breaker in ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"):
            peer = self.enter(X_Note=f"a{breaker}Origin: http://evil.example")
            assert peer.status == 400, repr(breaker)
            assert self.enter(f"/ws?a{breaker}X: y").status == 400, repr(breaker)
        assert self.status(X_Note="ünïcode") == 101

    def test_frames_that_come_with_the_request(self) -> None:
        peer = self.dial()
        peer.transport.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            + masked(0x81, b'{"event":"talk","data":{"message":"hello"}}')
        )
        self.settle()
        assert [name for name, _ in peer.events] == ["init", "talk"]

    def test_headers_that_are_no_utf8(self) -> None:
        near = IPv4Address("TCP", "127.0.0.1", 1)
        for name, status in (
            ("Upgrade", 426),
            ("Origin", 403),
            ("Host", 101),
            ("X_Forwarded_For", 101),
            ("Accept_Encoding", 101),
        ):
            assert self.enter(address=near, **{name: "\xff"}).status == status, name

    def test_room_as_autobahn_reads_it(self) -> None:
        assert self.enter("/ws?room=a;room=b").status == 400
        assert self.enter("/ws?room=a%20b&room=b").status == 101

    def test_without_upgrade(self) -> None:
        peer = self.enter(Upgrade="")
        assert peer.status == 426
        assert peer.header("Upgrade") == "websocket"
        assert self.status(Upgrade="h2c, WebSocket") == 101

    def test_speaks_no_http_2(self) -> None:
        assert self.site.acceptableProtocols() == [b"http/1.1"]

    def test_bad_requests_are_answered_by_autobahn(self) -> None:
        assert self.status(Sec_WebSocket_Key="short") == 400
        assert self.status(Sec_WebSocket_Version="7") == 400

    def test_room_that_cannot_be(self) -> None:
        assert self.enter("/ws?room=a%20b").status == 400
        assert self.enter("/ws?room=%ff").status == 400
        assert self.enter("/ws?room=%E8%81%8A%E5%A4%A9").status == 101
        assert self.enter("/ws?room=@1-2").status == 101


class Anybody(RoomCase):
    origins = ("*",)

    def test_any_origin(self) -> None:
        assert self.enter(Origin="null").status == 101
        assert self.enter(Origin="http://evil.example").status == 101


class Full(RoomCase):
    connections = 3
    per_address = 2

    def test_limits(self) -> None:
        one, two = self.enter(), self.enter()
        peer = self.enter()
        assert peer.status == 429
        assert peer.header("Retry-After")
        other = IPv4Address("TCP", "192.0.2.2", 1)
        assert self.enter(address=other).status == 101
        full = self.enter(address=other)
        assert full.status == 503
        assert full.header("Retry-After")
        one.close()
        self.settle()
        assert self.enter().status == 101
        assert two.events[0][0] == "init"

    def test_behind_a_proxy(self) -> None:
        proxy = IPv4Address("TCP", "127.0.0.1", 1)
        for last, status in (
            ("9.9.9.1", 101),
            ("9.9.9.1", 101),
            ("9.9.9.1", 429),
            ("9.9.9.2", 101),
        ):
            peer = self.enter(address=proxy, X_Forwarded_For=f"10.0.0.1, {last}")
            assert peer.status == status


class Descriptors(RoomCase):
    """Nobody is let in with the last file descriptors."""

    def test_few_left(self) -> None:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        for left, status in ((65, 101), (63, 503), (31, 0)):
            peer = self.dial()
            peer.server.fileno = lambda left=left: soft - left
            self.pumps[-1].server.connectionMade()
            peer.transport.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            self.settle()
            assert peer.status == status, left


class Slow(RoomCase):
    def test_head_that_trickles_in(self) -> None:
        peer = self.dial()
        for byte in b"GET / HT":
            peer.transport.write(bytes([byte]))
            self.settle(1)
        assert not peer.lost
        self.settle(HEAD)
        assert peer.lost

    def test_first_byte_that_comes_when_it_is_too_late(self) -> None:
        peer = self.dial()
        # As in a turn of the reactor that reads before it looks at the time.
        self.clock.rightNow += HEAD + 0.01
        peer.transport.write(b"GET / HTTP/1.1\r\n")
        self.pumps[0].pump(advanceClock=False)
        self.settle()
        assert peer.lost
        assert peer.head == b""

    def test_second_request_has_its_own_time(self) -> None:
        peer = self.dial()
        peer.transport.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle(30)
        assert peer.status == 404
        peer.transport.write(b"GET ")
        self.settle(HEAD - 1)
        assert not peer.lost
        self.settle(2)
        assert peer.lost

    def test_idle_connection_ends(self) -> None:
        peer = self.dial()
        peer.transport.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle(59)
        assert not peer.lost
        self.settle(2)
        assert peer.lost

    def test_websocket_stays(self) -> None:
        peer = self.enter()
        self.settle(24)
        assert not peer.lost
        self.settle(20)
        assert not peer.lost


def test_accept_encoding() -> None:
    for accept, yes in (
        ("gzip", True),
        ("br, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("", False),
        ("br", False),
        ("x-gzip", False),
    ):
        assert accepts_gzip(accept) is yes, accept
