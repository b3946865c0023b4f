"""Uploading and fetching, byte by byte, through the whole site."""

from __future__ import annotations

import stat
from signal import SIGTERM
from subprocess import Popen
from typing import Any
from unittest import mock
from urllib.parse import quote

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent

from chatroom.files.door import AT_ONCE, HEADERS, IN_ALL, RETRY, SMALL
from chatroom.files.folder import AGAIN
from chatroom.files.upload import PICTURES, UNKNOWN, WAITING
from chatroom.site import HEAD, LEAST, LINGER, PACE
from tests.filing import ANN, BOB, LIMIT, FilesCase, body, content, exif, image, sha
from tests.test_files_picture import POLYGLOTS, SCRIPT, behind, opened

AUTH = {"Authorization": f"Bearer {ANN}"}


def written(text: str) -> PngInfo:
    """Return what is written about a PNG."""
    info = PngInfo()
    info.add_text("Comment", text)
    return info


class Uploads(FilesCase):
    def test_what_comes_in_goes_out(self) -> None:
        data = b"what somebody wrote down\n"
        peer = self.ask("POST", "/files?name=notes.txt", data, **AUTH)
        assert peer.status == 201
        file = content(peer)
        assert file == {
            "id": sha(data),
            "name": "notes.txt",
            "size": len(data),
            "type": "application/octet-stream",
        }
        assert peer.header("Location") == f"/files/{file['id']}"
        answer = self.get(f"/files/{file['id']}?name=notes.txt")
        assert answer.status == 200
        assert answer.body == data
        assert answer.header("Content-Type") == "application/octet-stream"
        assert answer.header("Content-Disposition") == 'attachment; filename="notes.txt"'
        for name, value in HEADERS.items():
            assert answer.header(name) == value
        assert answer.header("X-Content-Type-Options") == "nosniff"

    def test_picture(self) -> None:
        data = image("PNG", (1600, 1200), "L")
        assert len(data) <= SMALL
        file = self.upload(data, "photo.png")
        assert (file["type"], file["width"], file["height"]) == ("image/png", 1600, 1200)
        answer = self.get(f"/files/{file['id']}?name=photo.png")
        assert answer.header("Content-Type") == "image/png"
        assert answer.header("Content-Disposition") == 'inline; filename="photo.png"'
        small = self.get(f"/files/{file['id']}/thumbnail")
        assert small.status == 200
        assert small.header("Content-Type") == "image/webp"
        assert body(small)[8:12] == b"WEBP"
        for name, value in HEADERS.items():
            assert small.header(name) == value

    def test_photographs_lose_where_they_were_taken(self) -> None:
        said, second = exif(6, placed=True), Image.new("RGB", (40, 20))
        whole = image("JPEG", (2000, 1500), exif=said)
        large = image("JPEG", (9248, 6936), exif=said)
        for data, type in (
            (whole, "image/jpeg"),
            (whole + behind(), "image/jpeg"),
            (image("MPO", save_all=True, append_images=[second], exif=said), "image/jpeg"),
            (large, UNKNOWN),
            (whole[:-40], UNKNOWN),
        ):
            file = self.upload(data, "photo.jpg")
            assert file["type"] == type
            assert ("width" in file) == (type != UNKNOWN)
            kept = self.folder.places(file["id"]).original.read_bytes()
            assert (file["id"], file["size"]) == (sha(kept), len(kept))
            assert dict(opened(kept).getexif()) == {ExifTags.Base.Orientation: 6}
            assert b"ftyp" not in kept
            assert b"A camera" not in kept
            # The same again is the same file.
            assert self.upload(data, "photo.jpg") == file
        assert self.folder.used == sum(
            path.stat().st_size for path in self.path.rglob("*/*") if path.is_file()
        )
        # One that was taken nowhere is kept just as it came.
        for data in (image("JPEG", exif=exif(6)), image("JPEG", exif=exif(6))[:-40]):
            assert self.upload(data)["id"] == sha(data)

    limit, total = 10**7, 10**8

    def test_chunked(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        for part in (b"abc", b"d" * 1000):
            peer.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.settle()
        assert peer.status == 0
        peer.transport.write(b"0\r\n\r\n")
        self.settle()
        assert peer.status == 201
        assert content(peer)["id"] == sha(b"abc" + b"d" * 1000)
        assert self.folder.used == sum(
            path.stat().st_size for path in self.path.rglob("*/*") if path.is_file()
        )

    def test_twice_is_once(self) -> None:
        one = self.upload(b"the same", "a")
        used = self.folder.used
        two = self.upload(b"the same", "b", BOB)
        assert one == two | {"name": "a"}
        assert self.folder.used == used
        assert len(self.parts()) == 2

    def test_names_are_cleaned(self) -> None:
        file = self.upload(b"x", quote("../.\u202esecret\n<é>.txt"))
        assert file["name"] == "secret _é_.txt"
        assert self.upload(b"x", "")["name"] == "file"
        # Of what is not UTF-8, what can be read.
        assert self.upload(b"x", "a%ffb")["name"] == "a\ufffdb"

    def test_several_over_one_connection(self) -> None:
        peer = self.dial()
        head = "POST /files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 3\r\n\r\n"
        for data in (b"abc", b"def"):
            peer.head = peer._data = b""
            peer.transport.write(head.format(ANN).encode() + data)
            self.settle()
            assert peer.status == 201
            assert content(peer)["id"] == sha(data)
        self.settle(59)
        assert not peer.lost

    def test_100_continue(self) -> None:
        peer = self.begin("POST", "/files", 3, Expect="100-continue", **AUTH)
        assert peer.status == 100
        peer.head = b""
        peer.transport.write(b"abc")
        self.settle()
        assert peer.status == 201
        refused = self.begin("POST", "/files", 3, Expect="100-continue")
        assert refused.status == 401

    def test_folder_is_nobody_elses(self) -> None:
        self.upload(b"x")
        assert stat.S_IMODE(self.path.stat().st_mode) == 0o700


class Refusals(FilesCase):
    """What is refused, is so before it has come."""

    def refusal(self, status: int, code: str, length: int = 10, **headers: str) -> Any:
        peer = self.begin("POST", "/files", length, **AUTH | headers)
        assert peer.status == status
        assert peer.header("Content-Type") == "application/json"
        assert peer.header("Connection") == "close"
        report = content(peer)
        assert report.keys() == {"code", "message"}
        assert report["code"] == code
        # What has been sent meanwhile is thrown away, so that the answer is not lost with it.
        peer.transport.write(b"x" * min(length, 100_000))
        self.settle(LINGER - 1)
        assert not peer.lost
        self.settle(1.1)
        assert peer.lost
        assert self.parts() == []
        assert self.folder.used == 0
        self.settle(HEAD)
        assert self.clock.getDelayedCalls() == []
        return peer

    def test_tokens(self) -> None:
        for wrong in (
            "Bearer nobody",
            f"Basic {ANN}",
            "Bearer",
            "",
            "Bearer \xff",
            f"bearer {ANN} x",
        ):
            peer = self.refusal(401, "unauthorized", Authorization=wrong)
            assert peer.header("WWW-Authenticate") == "Bearer"
        assert self.ask("POST", "/files", b"x", Authorization=f"bearer  {ANN}").status == 201

    def test_too_large(self) -> None:
        self.refusal(413, "too_large", LIMIT + 1)
        self.refusal(413, "too_large", 10**15)
        assert self.upload(b"x" * LIMIT)["size"] == LIMIT

    def test_too_large_as_it_turns_out(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        for _ in range(4):
            peer.transport.write(b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        self.settle()
        assert peer.status == 413
        assert content(peer)["code"] == "too_large"
        peer.transport.write(b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        self.settle(LINGER + 0.1)
        assert peer.lost
        assert self.parts() == []
        assert self.folder.used == 0

    def test_too_large_with_its_last_bytes(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        size = LIMIT + 1
        peer.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
        self.settle()
        assert peer.status == 413
        self.settle(LINGER + 1)
        assert self.parts() == []

    def test_no_length_and_nothing(self) -> None:
        peer = self.begin("POST", "/files", None, **AUTH)
        assert peer.status == 411
        assert self.ask("POST", "/files", b"", **AUTH).status == 400
        chunked = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        chunked.transport.write(b"0\r\n\r\n")
        self.settle()
        assert (chunked.status, content(chunked)["code"]) == (400, "empty")
        assert self.parts() == []
        assert self.folder.used == 0

    def test_no_room(self) -> None:
        self.upload(b"x" * LIMIT)
        self.restart(total=LIMIT + 1000)
        with capturedLogs() as logged:
            peer = self.begin("POST", "/files", 1000, **AUTH)
            assert (peer.status, content(peer)["code"]) == (507, "unavailable")
            assert self.begin("POST", "/files", 1000, **AUTH).status == 507
            assert len(logged) == 1
            assert f"--max-files allows for {LIMIT + 1000} bytes" in str(formatEvent(logged[0]))
            self.settle(AGAIN)
            assert self.begin("POST", "/files", 1000, **AUTH).status == 507
        assert len(logged) == 2
        chunked = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        chunked.transport.write(b"%x\r\n%b\r\n" % (2000, b"x" * 2000))
        self.settle()
        assert chunked.status == 507
        # What is under way counts.
        one = self.begin("POST", "/files", 500, **AUTH)
        assert self.begin("POST", "/files", 500, **AUTH).status == 507
        one.transport.loseConnection()
        self.settle()
        assert self.begin("POST", "/files", 500, **AUTH).status == 0

    def test_uploads_that_are_switched_off(self) -> None:
        file = self.upload(b"from before")
        self.restart(limit=0)
        peer = self.begin("POST", "/files", 1, **AUTH)
        assert (peer.status, content(peer)["code"]) == (403, "forbidden")
        assert self.get(f"/files/{file['id']}").body == b"from before"

    def test_too_many_at_once(self) -> None:
        mine = [self.begin("POST", "/files", 5, **AUTH) for _ in range(AT_ONCE)]
        peer = self.begin("POST", "/files", 5, **AUTH)
        assert peer.status == 429
        assert peer.header("Retry-After") == str(RETRY)
        assert content(peer)["code"] == "rate_limited"
        other = {"Authorization": f"Bearer {BOB}"}
        assert self.begin("POST", "/files", 5, **other).status == 0
        mine[0].transport.loseConnection()
        mine[1].transport.write(b"12345")
        self.settle()
        assert mine[1].status == 201
        assert self.begin("POST", "/files", 5, **AUTH).status == 0
        assert self.begin("POST", "/files", 5, **AUTH).status == 0
        assert self.begin("POST", "/files", 5, **AUTH).status == 429

    def test_too_many_in_all(self) -> None:
        self.door._known = lambda token: int(str(token))
        for user in range(IN_ALL):
            token = {"Authorization": f"Bearer {user}"}
            assert self.begin("POST", "/files", 5, **token).status == 0
        peer = self.begin("POST", "/files", 5, Authorization="Bearer 999")
        assert (peer.status, content(peer)["code"]) == (503, "unavailable")
        assert peer.header("Retry-After") == str(RETRY)

    def test_too_fast(self) -> None:
        left = {1: 0.0, 2: 1.2}
        self.door._spend = left.__getitem__
        assert self.upload(b"x", token=ANN)
        peer = self.begin("POST", "/files", 5, Authorization=f"Bearer {BOB}")
        assert (peer.status, content(peer)["code"]) == (429, "rate_limited")
        assert peer.header("Retry-After") == "2"

    def test_other_places_and_methods(self) -> None:
        for path in ("/files/", "/files/x", "/%66iles", "/files/../files"):
            peer = self.ask("POST", path, b"x", **AUTH)
            assert peer.status == 404, path
        assert self.ask("PUT", "/files", b"x", **AUTH).status == 501
        assert self.ask("DELETE", "/files/x").status == 501
        assert self.get("/files").status == 404
        assert self.parts() == []

    def test_get_with_a_body_is_answered_at_once(self) -> None:
        peer = self.begin("GET", "/files", 10_000)
        assert peer.status == 404
        assert peer.header("Connection") == "close"

    def test_what_is_too_much_is_said_once(self) -> None:
        """However much more comes, and what comes behind that is no request."""
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        chunk = b"%x\r\n%b\r\n" % (LIMIT, b"x" * LIMIT)
        peer.transport.write(chunk * 3)
        self.settle()
        assert peer.status == 413
        answered = peer.body
        peer.transport.write(chunk + b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle(LINGER - 1)
        assert not peer.lost
        assert peer.body == answered
        self.settle(1.1)
        assert peer.lost
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_end_that_comes_with_what_is_too_much(self) -> None:
        peer = self.begin("POST", "/files", LIMIT, **AUTH)
        self.door._folder.limit = 10
        peer.transport.write(b"x" * LIMIT + b"GET /files HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle()
        # All of it was read, so the next request is one.
        assert peer.status == 413
        assert b"HTTP/1.1 404 Not Found" in peer.body
        assert not peer.lost

    def test_malformed_chunks(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        peer.transport.write(b"3\r\nabc\r\nnonsense\r\n")
        self.settle()
        assert peer.status == 400
        assert peer.lost
        assert self.parts() == []
        assert self.folder.used == 0

    def test_two_lengths(self) -> None:
        peer = self.begin("POST", "/files", 3, Transfer_Encoding="chunked", **AUTH)
        assert peer.status == 400
        assert self.parts() == []


class Cuts(FilesCase):
    """An upload that does not come to its end leaves nothing."""

    def test_connection_that_is_lost(self) -> None:
        peer = self.begin("POST", "/files", 1000, **AUTH)
        peer.transport.write(b"x" * 500)
        self.settle()
        assert len(self.parts()) == 1
        assert self.folder.used == 1000
        peer.transport.loseConnection()
        self.settle()
        assert self.parts() == []
        assert self.folder.used == 0
        self.settle(HEAD)
        assert self.clock.getDelayedCalls() == []

    def test_before_its_first_byte(self) -> None:
        self.begin("POST", "/files", 1000, **AUTH).transport.loseConnection()
        self.settle()
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_slow_one_goes_on_as_long_as_it_comes(self) -> None:
        size = 5 * LEAST
        peer = self.begin("POST", "/files", size, **AUTH)
        for _ in range(5):
            self.settle(PACE - 1)
            peer.transport.write(b"x" * LEAST)
            self.settle()
        assert peer.status == 201
        assert PACE > HEAD

    def test_one_that_trickles_is_cut(self) -> None:
        peer = self.begin("POST", "/files", LIMIT, **AUTH)
        peer.transport.write(b"x" * LEAST)
        self.settle(PACE)
        for _ in range(int(PACE) - 1):
            assert not peer.lost
            peer.transport.write(b"x" * 100)
            self.settle(1)
        self.settle(1)
        assert peer.lost
        assert self.parts() == []
        assert self.folder.used == 0

    def test_head_of_an_upload_has_no_more_time_than_others(self) -> None:
        peer = self.dial()
        for byte in b"POST /files":
            peer.transport.write(bytes([byte]))
            self.settle(1)
        assert peer.lost

    def test_stop(self) -> None:
        peers = [self.begin("POST", "/files", 1000, **AUTH) for _ in range(2)]
        peers[0].transport.write(b"x" * 500)
        self.settle()
        self.door.farewell()
        self.settle()
        self.successResultOf(self.folder.close())
        assert [peer.lost for peer in peers] == [True, True]
        assert self.parts() == []


class Threads(FilesCase):
    """What a thread does takes its time, and meanwhile a client is held up instead of kept."""

    limit, total = 10**7, 10**8

    def setUp(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = []
        super().setUp()

    def thread(self, call: Any, *arguments: Any) -> Deferred[Any]:
        started: Deferred[Any] = Deferred()
        self.waiting.append((started, call, arguments))
        return started

    def turn(self, times: int = 99) -> None:
        """Let what waits in threads happen, one after the other, with what follows from it."""
        while self.waiting and times:
            times -= 1
            started, call, arguments = self.waiting.pop(0)
            maybeDeferred(call, *arguments).chainDeferred(started)
            self.settle()

    def test_client_is_held_up_by_a_slow_disk(self) -> None:
        peer = self.begin("POST", "/files", 5 * WAITING, **AUTH)
        paused: list[bool] = []
        peer.server.pauseProducing = lambda: paused.append(True)
        peer.server.resumeProducing = lambda: paused.append(False)
        peer.transport.write(b"x" * (WAITING - 1))
        self.settle()
        assert paused == []
        peer.transport.write(b"x" * (WAITING + 1))
        self.settle()
        assert paused == [True]
        # Nobody is called slow whom nobody reads from.
        self.settle(1.5 * PACE)
        assert not peer.lost
        self.turn()
        assert paused == [True, False]
        peer.transport.write(b"x" * 3 * WAITING)
        self.settle()
        self.turn()
        assert peer.status == 201
        assert content(peer)["id"] == sha(b"x" * 5 * WAITING)

    def test_too_much_while_all_of_it_comes(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        size = self.limit + 1
        peer.transport.write(b"3\r\nabc\r\n" * 2 + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
        self.settle()
        self.turn()
        assert peer.status == 413
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_disk_that_fails_when_it_was_too_much_anyway(self) -> None:
        peer = self.begin("POST", "/files", None, Transfer_Encoding="chunked", **AUTH)
        peer.transport.write(b"3\r\nabc\r\n")
        self.settle()
        (written, _, _) = self.waiting.pop()
        size = self.limit + 1
        peer.transport.write(b"%x\r\n%b\r\n" % (size, b"x" * size))
        self.settle()
        written.errback(OSError(28, "No space left on device"))
        self.turn()
        assert peer.status == 413
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_who_goes_while_it_is_written(self) -> None:
        peer = self.begin("POST", "/files", 100, **AUTH)
        peer.transport.write(b"x" * 50)
        self.settle()
        peer.transport.loseConnection()
        self.settle()
        self.turn()
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_who_goes_while_it_is_kept(self) -> None:
        peer = self.begin("POST", "/files", 3, **AUTH)
        peer.transport.write(b"abc")
        self.settle()
        peer.transport.loseConnection()
        self.settle()
        self.turn()
        # All of it had come: it is there, for as long as what nobody has said anything with.
        assert self.folder.find(sha(b"abc"), 1) is not None
        assert self.folder._uploads == set()

    def test_who_goes_while_it_is_kept_is_counted_until_that_is_done(self) -> None:
        for n in range(AT_ONCE):
            peer = self.begin("POST", "/files", 3, **AUTH)
            peer.transport.write(b"ab%d" % n)
            self.settle()
            peer.transport.loseConnection()
            self.settle()
        assert self.ask("POST", "/files", b"abc", **AUTH).status == 429
        self.door.farewell()
        self.turn()
        assert self.door._coming == set()
        peer = self.ask("POST", "/files", b"abc", **AUTH)
        self.turn()
        assert peer.status == 201

    def test_what_cannot_be_erased_takes_no_room_for_ever(self) -> None:
        peer = self.begin("POST", "/files", 100, **AUTH)
        peer.transport.write(b"x" * 50)
        self.settle()
        self.turn()
        peer.transport.loseConnection()
        self.settle()
        ((erased, erase, _),) = self.waiting
        with mock.patch("shutil.rmtree", side_effect=OSError(5, "Input/output error")):
            maybeDeferred(erase).chainDeferred(erased)
        assert len(self.flushLoggedErrors(OSError)) == 1
        assert (self.folder.used, self.folder._uploads, self.door._coming) == (0, set(), set())
        self.waiting.clear()

    def test_who_goes_while_it_cannot_be_kept(self) -> None:
        peer = self.begin("POST", "/files", 3, **AUTH)
        peer.transport.write(b"abc")
        self.settle()
        peer.transport.loseConnection()
        self.settle()
        (self.path / "incoming").rmdir()
        with capturedLogs():
            self.turn()
        assert self.folder.used == 0

    def test_stop_waits_for_threads(self) -> None:
        peer = self.begin("POST", "/files", 100, **AUTH)
        peer.transport.write(b"x" * 50)
        self.settle()
        self.door.farewell()
        closed = self.folder.close()
        self.assertNoResult(closed)
        self.turn()
        self.successResultOf(closed)
        assert self.parts() == []

    def test_stop_ends_looking_at_pictures(self) -> None:
        photos = [image("PNG", (9, side)) for side in (8, 9)]
        for photo in photos:
            self.begin("POST", "/files", len(photo), **AUTH).transport.write(photo)
            self.settle()
        self.turn(4)
        ((looked, call, (_, begun)),) = self.waiting
        assert call.__name__ == "examined"
        with Popen(["sleep", "99"]) as process:
            begun(process)
            self.door.farewell()
            self.settle()
            closed = self.folder.close()
            assert process.wait(60) == -SIGTERM
        # One that begins just now, too.
        with Popen(["sleep", "99"]) as process:
            begun(process)
            assert process.wait(60) == -SIGTERM
        self.waiting.clear()
        with capturedLogs():
            looked.errback(OSError("ended"))
            self.turn()
        self.successResultOf(closed)
        assert self.parts() == []

    def test_one_picture_at_a_time(self) -> None:
        photos = [image("PNG", (9, side)) for side in (8, 9)]
        peers = [self.begin("POST", "/files", len(photo), **AUTH) for photo in photos]
        for peer, photo in zip(peers, photos, strict=True):
            peer.transport.write(photo)
            self.settle()
        examined = []
        while self.waiting:
            examined.append(sum(call.__name__ == "examined" for _, call, _ in self.waiting))
            self.turn(1)
        assert max(examined) == 1
        assert [peer.status for peer in peers] == [201, 201]


class Trouble(FilesCase):
    """A disk that does not do what it should."""

    def thread(self, call: Any, *arguments: Any) -> Deferred[Any]:
        trouble = self.trouble.get(call.__name__)
        return maybeDeferred(call, *arguments) if trouble is None else fail(trouble)

    def setUp(self) -> None:
        self.trouble: dict[str, Exception] = {}
        super().setUp()

    def test_disk_that_is_full(self) -> None:
        told: list[LogEvent] = []
        for stage in ("_append", "_settle", "_store"):
            self.trouble = {stage: OSError(28, "No space left on device")}
            with capturedLogs() as logged:
                peer = self.ask("POST", "/files", b"abc", **AUTH)
            told += logged
            assert (peer.status, content(peer)["code"]) == (507, "unavailable"), stage
            assert (self.parts(), self.folder.used) == ([], 0)
        (event,) = told
        assert str(formatEvent(event)).endswith(": No space left on device")

    def test_disk_that_is_full_in_the_middle(self) -> None:
        peer = self.begin("POST", "/files", 1000, **AUTH)
        peer.transport.write(b"x" * 100)
        self.settle()
        self.trouble = {"_append": OSError(122, "Disk quota exceeded")}
        peer.transport.write(b"x" * 100)
        self.settle()
        assert peer.status == 507
        peer.transport.write(b"x" * 100)
        self.settle(LINGER + 0.1)
        assert peer.lost
        assert (self.parts(), self.folder.used) == ([], 0)

    def test_other_trouble_is_logged(self) -> None:
        for error in (OSError(5, "Input/output error"), ValueError("a bug")):
            self.trouble = {"_store": error}
            with capturedLogs() as logged:
                peer = self.ask("POST", "/files", b"abc", **AUTH)
            assert (peer.status, content(peer)["code"]) == (503, "unavailable")
            assert [event["log_level"] for event in logged] == [LogLevel.critical]
            assert self.flushLoggedErrors(type(error))
            assert (self.parts(), self.folder.used) == ([], 0)

    def test_file_that_cannot_be_read(self) -> None:
        file = self.upload(b"abc")
        original = self.folder.places(file["id"]).original
        original.unlink()
        original.symlink_to("original")
        assert self.get(f"/files/{file['id']}").status == 503
        about = self.folder.places(file["id"]).about
        about.write_bytes(b"{")
        assert self.get(f"/files/{file['id']}").status == 503
        assert len(self.flushLoggedErrors()) == 2


class Fetching(FilesCase):
    def setUp(self) -> None:
        super().setUp()
        self.data = bytes(range(256)) * 4
        self.file = self.upload(self.data, "data.bin")
        self.url = f"/files/{self.file['id']}"

    def test_ranges(self) -> None:
        size = len(self.data)
        for asked, start, stop in (
            ("bytes=0-9", 0, 10),
            ("bytes=10-", 10, size),
            ("bytes=-10", size - 10, size),
            ("bytes=0-999999", 0, size),
            ("bytes=-999999", 0, size),
            (f"bytes={size - 1}-", size - 1, size),
        ):
            answer = self.get(self.url, Range=asked)
            assert answer.status == 206, asked
            assert answer.body == self.data[start:stop], asked
            assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/{size}"

    def test_ranges_that_are_none(self) -> None:
        for asked in (
            "bytes=0-1,3-4",
            "bytes=" + "0-," * 1000,
            "bytes=-",
            "bytes=x-1",
            "bytes=1_0-",
            "lines=0-1",
            "\xff",
            "bytes=5-3",
            "",
        ):
            answer = self.get(self.url, Range=asked)
            assert answer.status == 200, asked
            assert answer.body == self.data

    def test_ranges_behind_the_end(self) -> None:
        for asked in (f"bytes={len(self.data)}-", "bytes=99999-999999", "bytes=-0"):
            answer = self.get(self.url, Range=asked)
            assert answer.status == 416, asked
            assert answer.header("Content-Range") == f"bytes */{len(self.data)}"
            assert answer.header("Cache-Control") == "no-store"

    def test_range_if_it_is_still_the_same(self) -> None:
        tag = f'"{self.file["id"]}"'
        assert self.get(self.url, Range="bytes=0-1", If_Range=tag).status == 206
        assert self.get(self.url, Range="bytes=0-1", If_Range='"other"').status == 200

    def test_not_modified(self) -> None:
        answer = self.get(self.url)
        tag = answer.header("ETag")
        assert tag == f'"{self.file["id"]}"'
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = self.get(self.url, If_None_Match=known)
            assert again.status == 304, known
            assert again.body == b""
            assert again.header("Cache-Control") == answer.header("Cache-Control")
            assert again.header("ETag") == tag
        assert self.get(self.url, If_None_Match='"x"').status == 200
        assert self.get(self.url, If_None_Match=self.file["id"]).status == 200

    def test_head(self) -> None:
        answer = self.ask("HEAD", self.url)
        assert answer.status == 200
        assert answer.header("Content-Length") == str(len(self.data))
        assert answer.body == b""
        assert self.ask("HEAD", "/files/" + "0" * 64).status == 404

    def test_nothing_there(self) -> None:
        id = self.file["id"]
        for path in (
            "/files",
            "/files/",
            "/files/x",
            f"/files/{'0' * 64}",
            f"/files/{id.upper()}",
            f"/files/{id}/",
            f"/files/{id}/thumbnail",
            f"/files/{id}/original",
            f"/files/{id}/about.json",
            f"/files/{id[:2]}/{id}/original",
            f"/files/..%2ffiles%2f{id[:2]}%2f{id}%2foriginal",
            "/files/incoming",
            "/files/lock",
            "/files/%ff",
            "/files/%00",
        ):
            answer = self.get(path)
            assert answer.status == 404, path
            assert content(answer)["code"] == "no_such_file"
            assert answer.header("Cache-Control") == "no-store"

    def test_names_cannot_put_anything_into_headers(self) -> None:
        name = quote('a"\r\nX-Evil: 1\r\n\r\n<script>é.exe')
        answer = self.get(f"{self.url}?name={name}")
        assert answer.header("X-Evil") is None
        disposition = answer.header("Content-Disposition")
        assert disposition == (
            'attachment; filename="a_ X-Evil_ 1 _script__.exe";'
            " filename*=UTF-8''a_%20X-Evil_%201%20_script_%C3%A9.exe"
        )

    def test_looking_keeps_nothing_alive(self) -> None:
        self.settle(3599)
        assert self.get(self.url).status == 200
        self.settle(2)
        self.folder.sweep()
        assert self.get(self.url).status == 404


class Polyglots(FilesCase):
    """What may be more than one thing is never shown, and is of no type that can be run."""

    def test_are_never_shown(self) -> None:
        for what, data in POLYGLOTS.items():
            if not data:
                continue
            file = self.upload(data, "page.html")
            assert "width" not in file, what
            assert file["type"] not in PICTURES, what
            answer = self.get(f"/files/{file['id']}?name=page.html")
            assert answer.status == 200
            assert str(answer.header("Content-Disposition")).startswith("attachment;"), what
            assert answer.header("Content-Type") == file["type"]
            assert answer.header("X-Content-Type-Options") == "nosniff"
            assert str(answer.header("Content-Security-Policy")).startswith("sandbox;")
            assert self.get(f"/files/{file['id']}/thumbnail").status == 404

    def test_page_within_a_picture_is_a_picture(self) -> None:
        data = image("PNG", pnginfo=written("<script>alert(1)</script>")) + SCRIPT
        file = self.upload(data, "page.html")
        assert file["type"] == "image/png"
        answer = self.get(f"/files/{file['id']}?name=page.html")
        assert answer.header("Content-Type") == "image/png"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        # Nor does it become a page where it is saved.
        assert answer.header("Content-Disposition") == 'inline; filename="page.html.png"'
        assert b"<script>" not in body(self.get(f"/files/{file['id']}/thumbnail"))


class Foreign(FilesCase):
    """Pages of other sites."""

    origins = ("https://friend.example",)

    def test_page_of_another_site_may_if_it_is_listed(self) -> None:
        friend, evil = "https://friend.example", "https://evil.example"
        asked = self.ask(
            "OPTIONS",
            "/files?name=x",
            Origin=friend,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization",
        )
        assert asked.status == 204
        assert asked.header("Access-Control-Allow-Origin") == friend
        assert "Authorization" in str(asked.header("Access-Control-Allow-Headers"))
        assert "POST" in str(asked.header("Access-Control-Allow-Methods"))
        assert asked.header("Vary") == "Origin"
        answer = self.ask("POST", "/files", b"x", Origin=friend, **AUTH)
        assert answer.status == 201
        assert answer.header("Access-Control-Allow-Origin") == friend
        id = content(answer)["id"]
        assert (
            self.get(f"/files/{id}", Origin=friend).header("Access-Control-Allow-Origin") == friend
        )
        # What went wrong, too, can be read by who may.
        refused = self.ask("POST", "/files", b"x", Origin=friend)
        assert refused.status == 401
        assert refused.header("Access-Control-Allow-Origin") == friend

        asked = self.ask("OPTIONS", "/files", Origin=evil)
        assert (asked.status, content(asked)["code"]) == (403, "forbidden")
        assert asked.header("Access-Control-Allow-Origin") is None
        refused = self.begin("POST", "/files", 5, Origin=evil, **AUTH)
        assert (refused.status, content(refused)["code"]) == (403, "forbidden")
        assert refused.header("Access-Control-Allow-Origin") is None
        answer = self.get(f"/files/{id}", Origin=evil)
        assert answer.status == 200
        assert answer.header("Access-Control-Allow-Origin") is None
        assert answer.header("Cross-Origin-Resource-Policy") == "same-origin"

    def test_page_of_its_own(self) -> None:
        assert self.ask("POST", "/files", b"x", Origin="http://chat.example", **AUTH).status == 201
        assert self.begin("POST", "/files", 1, Origin="null", **AUTH).status == 403
