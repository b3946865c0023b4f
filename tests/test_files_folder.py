"""The folder of files itself: what is in it, for how long, and after what."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail

from chatroom.events import File
from chatroom.files import Folder, FolderError
from chatroom.files.folder import PORTION, STRANGE, UNSAID, WAIT
from chatroom.log import Unavailable
from tests.filing import BOB, FilesCase, exif, image, sha


class Kept(FilesCase):
    def size(self) -> int:
        return sum((self.path / part).stat().st_size for part in self.parts())

    def test_what_is_known(self) -> None:
        text, photo = b"some text", image("JPEG", (30, 60), exif=exif(6))
        self.upload(text, "a.txt")
        self.upload(photo, "b.jpg")
        assert self.folder.find(sha(text), 1) == File(
            sha(text), "", len(text), "application/octet-stream"
        )
        assert self.folder.find(sha(photo), 1) == File(
            sha(photo), "", len(photo), "image/jpeg", 60, 30
        )
        for wrong in ("", "x", "0" * 64, sha(text).upper(), "../lock", sha(text) + "\n"):
            assert self.folder.find(wrong, 1) is None, wrong

    def test_after_a_restart_all_is_as_it_was(self) -> None:
        self.upload(image(), "a.png")
        self.upload(b"text")
        used, parts = self.folder.used, self.parts()
        assert used == self.size()
        self.restart()
        assert (self.folder.used, self.parts()) == (used, parts)
        assert self.folder.find(sha(image()), 1) is not None

    def test_photograph_is_known_by_what_is_kept_of_it(self) -> None:
        data = image("JPEG", exif=exif(placed=True))
        file = self.upload(data)
        kept = self.folder.places(file["id"]).original.read_bytes()
        assert file["id"] == sha(kept) != sha(data)
        assert file["size"] == len(kept) < len(data)
        assert self.folder.used == self.size()
        assert self.upload(data)["id"] == file["id"]
        assert self.folder.used == self.size()

    def test_what_a_crash_has_left_is_gone(self) -> None:
        self.begin("POST", "/files", 100, Authorization="Bearer token-of-Ann")
        left = self.path / "incoming" / ("0" * 32)
        left.mkdir()
        (left / "original").write_bytes(b"half")
        # Of somebody else, who has a folder of this name.
        (self.path / "incoming" / "mine").mkdir()
        (self.path / "readme").write_text("mine")
        self.restart()
        assert self.parts() == ["readme"]
        assert (self.path / "incoming" / "mine").is_dir()
        assert self.folder.used == 0

    def test_remove(self) -> None:
        file = self.upload(image())
        self.upload(b"another")
        assert self.folder.find(file["id"], 1)
        self.folder.remove(file["id"])
        assert self.folder.find(file["id"], 1) is None
        assert self.get(f"/files/{file['id']}").status == 404
        assert len(self.parts()) == 2
        assert self.folder.used == self.size()
        self.folder.remove(file["id"])
        self.folder.remove("0" * 64)
        # It can come again.
        assert self.upload(image())["id"] == file["id"]

    def test_what_others_have_uploaded_too_waits_for_them(self) -> None:
        id = self.upload(b"x")["id"]
        assert self.folder.find(id, 1)
        self.upload(b"x", token=BOB)
        self.folder.remove(id)
        assert self.folder.about(id)
        assert self.folder.find(id, 2)
        self.folder.remove(id)
        assert self.folder.about(id) is None
        # Who has not shown it by then is not waited for.
        self.upload(b"x", token=BOB)
        self.folder.remove(id)
        self.settle(UNSAID)
        self.folder.sweep()
        assert self.folder.about(id) is None
        self.upload(b"x")
        assert self.folder.find(id, 1)
        self.folder.remove(id)
        assert self.folder.about(id) is None

    def test_what_cannot_be_removed_is_tried_again(self) -> None:
        file = self.upload(b"x")
        assert self.folder.find(file["id"], 1)
        incoming = self.path / "incoming"
        incoming.rmdir()
        self.folder.remove(file["id"])
        assert len(self.flushLoggedErrors(OSError)) == 1
        incoming.mkdir()
        self.settle(UNSAID)
        self.folder.sweep()
        assert self.parts() == []

    def test_keep_that_fails(self) -> None:
        (self.path / sha(b"x")[:2]).write_bytes(b"in the way")
        peer = self.ask("POST", "/files", b"x", Authorization="Bearer token-of-Ann")
        assert peer.status == 503
        assert len(self.flushLoggedErrors(OSError)) == 1
        assert self.parts() == [sha(b"x")[:2]]
        assert self.folder.used == 0


class Swept(FilesCase):
    def test_what_nobody_says_anything_with_goes(self) -> None:
        said, unsaid = self.upload(b"said")["id"], self.upload(b"unsaid")["id"]
        self.said.add(said)
        self.settle(UNSAID - 1)
        self.folder.sweep()
        assert self.folder.about(unsaid)
        self.settle(1)
        self.folder.sweep()
        assert self.folder.about(unsaid) is None
        assert self.folder.about(said)
        assert self.folder._unsaid == {}

    def test_who_asks_for_it_says_something_with_it(self) -> None:
        id = self.upload(b"x")["id"]
        self.settle(UNSAID - 1)
        assert self.folder.find(id, 1)
        self.settle(UNSAID - 1)
        self.folder.sweep()
        assert self.folder.about(id)
        self.settle(1)
        self.folder.sweep()
        assert self.folder.about(id) is None

    def test_uploading_it_again_keeps_it(self) -> None:
        self.upload(b"x")
        self.settle(UNSAID - 1)
        id = self.upload(b"x")["id"]
        self.settle(UNSAID - 1)
        self.folder.sweep()
        assert self.folder.about(id)

    def test_age_counts_through_a_restart(self) -> None:
        id = self.upload(b"x")["id"]
        place = self.folder.places(id).about.parent
        os.utime(self.path / "lock", (0, 0))
        for age, left in ((UNSAID - WAIT - 10, WAIT + 10), (-100, UNSAID), (9 * UNSAID, WAIT)):
            os.utime(place, (10**9 - age, 10**9 - age))
            self.restart()
            self.settle(left - 1)
            self.folder.sweep()
            assert self.folder.about(id), age
        self.settle(1)
        self.folder.sweep()
        assert self.folder.about(id) is None

    def test_with_another_store_nothing_goes_for_a_week(self) -> None:
        id = self.upload(b"x")["id"]
        place = self.folder.places(id).about.parent
        os.utime(place, (10**9 - 3 * UNSAID, 10**9 - 3 * UNSAID))
        self.restart(epoch="another")
        os.utime(self.path / "lock", (10**9, 10**9))
        self.restart(epoch="another")
        new = self.upload(b"y")["id"]
        for seconds, there in ((UNSAID, True), (STRANGE - UNSAID - 1, True), (UNSAID + 1, False)):
            self.settle(seconds)
            self.folder.sweep()
            assert bool(self.folder.about(id)) is there, seconds
            assert self.folder.about(new) is None

    def test_what_was_about_to_be_said_is_looked_at_again(self) -> None:
        id = self.upload(b"x")["id"]
        self.said.add(id)
        self.settle(UNSAID)
        self.folder.sweep()
        assert self.folder.find(id, 1)
        # The last message that has it goes, and it was not said again.
        self.said.clear()
        self.settle(UNSAID)
        self.folder.sweep()
        assert self.folder.about(id) is None

    def test_many_take_several_sweeps(self) -> None:
        self.door._spend = lambda user: 0.0
        asked: list[str] = []

        def has_file(id: str) -> bool:
            asked.append(id)
            return True

        self.restart(has_file=has_file, total=10**9)
        ids = {f"{i:064x}" for i in range(PORTION + 5)}
        for id in ids:
            self.folder.uploaded(id)
        self.settle(UNSAID)
        self.folder.sweep()
        assert len(asked) == PORTION
        self.folder.sweep()
        assert set(asked) == ids
        self.folder.sweep()
        assert len(asked) == len(ids)

    def test_nothing_goes_while_the_store_cannot_be_read(self) -> None:
        def broken(id: str) -> bool:
            raise Unavailable("locked")

        self.restart(has_file=broken)
        id = self.upload(b"x")["id"]
        self.settle(UNSAID)
        self.folder.sweep()
        assert self.folder.about(id)


class Erasing(FilesCase):
    """Files that are erased in a thread which takes its time, or fails."""

    def setUp(self) -> None:
        self.erasing: list[Deferred[None]] = []
        super().setUp()

    def thread(self, call: Any, *arguments: Any) -> Deferred[Any]:
        if call.__name__ == "rmtree":
            self.erasing.append(Deferred())
            return self.erasing[-1]
        return super().thread(call, *arguments)

    def test_is_waited_for_at_the_end(self) -> None:
        id = self.upload(b"x")["id"]
        assert self.folder.find(id, 1)
        self.folder.remove(id)
        assert self.folder.about(id) is None
        closed = self.folder.close()
        self.assertNoResult(closed)
        self.erasing[0].callback(None)
        self.successResultOf(closed)

    def test_failure_is_logged(self) -> None:
        id = self.upload(b"x")["id"]
        assert self.folder.find(id, 1)
        self.folder.remove(id)
        fail(OSError("disk")).chainDeferred(self.erasing[0])
        assert len(self.flushLoggedErrors(OSError)) == 1
        self.successResultOf(self.folder.close())


class Starting(FilesCase):
    def why(self, path: Path) -> str:
        self.path = path
        with self.assertRaises(FolderError) as caught:
            self.open()
        (line,) = str(caught.exception).splitlines()
        return line

    def test_folders_that_will_not_do(self) -> None:
        (self.path / "file").write_text("")
        assert self.why(self.path / "file").endswith("file: File exists")
        assert self.why(Path("/proc/files")).startswith("cannot use the folder of files /proc/")
        assert "No such file" in self.why(Path("/nowhere/files"))

    def test_one_process_at_a_time(self) -> None:
        with (self.path / "lock").open("r+") as other:
            self.successResultOf(self.folder.close())
            fcntl.flock(other, fcntl.LOCK_EX)
            assert self.why(self.path).endswith("is in use by another process")
        self.open()

    def test_second_folder_in_one_process(self) -> None:
        options: dict[str, Any] = {
            "limit": 1, "total": 1, "has_file": self.said.__contains__, "epoch": "e",
            "run": self.thread, "clock": self.clock.seconds, "wall": lambda: 0.0,
        }  # fmt: skip
        with self.assertRaises(FolderError):
            Folder(self.path, **options)
