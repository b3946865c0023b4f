"""A file that is coming in: never all of it in memory, and all that may take long in a thread."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO

import filetype  # type: ignore[import-untyped]
import msgspec
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks

from chatroom.events import File
from chatroom.files.folder import Folder, Full, sync
from chatroom.files.picture import TYPES, Picture, forget

WAITING = 2**18
"""With so many bytes that wait to be written, no more are wanted."""
PICTURES = {*TYPES.values(), "image/apng"}
"""What is of one of these types is that only if it is a picture."""
BEGINNING = 8192
"""So many bytes tell of what type a file is."""
UNKNOWN = "application/octet-stream"
"""The type of what is not known, and of what says that it is a picture but is none."""


class TooLarge(Exception):
    """A file has more bytes than one may have."""


class Upload:
    """
    What is coming in for *folder*: *length* bytes, or as many as come. Raises `Full`.

    *hold* is called with True when no more should be written for now, and with False when that is
    over; *fail* when this cannot be kept.
    """

    def __init__(
        self,
        folder: Folder,
        length: int | None,
        hold: Callable[[bool], None],
        fail: Callable[[], None],
    ) -> None:
        self.size = 0
        self.error: Exception | None = None
        """Why this cannot be kept."""
        self._folder = folder
        self._hold = hold
        self._fail = fail
        self._reserved = 0
        self._waiting: list[bytes] = []
        self._unwritten = 0
        # What is done with the file in a thread is done one after the other.
        self._turn = DeferredLock()
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._type = UNKNOWN
        self._keeping = False
        self._over = False
        self.reserve(length or 0)
        self._home = folder.begin(self.close)

    def reserve(self, size: int) -> None:
        """Make sure that *size* bytes have room. Raises `Full`."""
        if size > self._reserved:
            self._folder.take(size - self._reserved)
            self._reserved = size

    def write(self, data: bytes) -> None:
        """Take the next *data*."""
        if self.error is not None:
            return
        self.size += len(data)
        try:
            if self.size > self._folder.limit:
                raise TooLarge
            self.reserve(self.size)
        except (TooLarge, Full) as error:
            self._failed(error)
            return
        self._waiting.append(data)
        self._unwritten += len(data)
        if len(self._waiting) == 1:
            self._turn.run(self._write)
        if self._unwritten >= WAITING:
            self._hold(True)

    def keep(self) -> Deferred[File]:
        """
        Keep what was written, and return what is known of it, nameless.

        The errors are `TooLarge`, `Full` and `OSError`.
        """
        self._keeping = True
        return self._turn.run(self._keep)

    def close(self) -> Deferred[None]:
        """Give up, unless it is being kept; fires when that is done, or nothing is left."""
        if not (self._keeping or self.error):
            self.error = ConnectionError("given up")
        return self._turn.run(self._discard)

    def _failed(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
            self._waiting.clear()
            self._fail()

    @inlineCallbacks
    def _write(self) -> Generator[Deferred[Any], Any, None]:
        chunks, self._waiting = self._waiting, []
        try:
            if chunks and self.error is None:
                yield self._folder.run(self._append, chunks)
        except Exception as error:  # noqa: BLE001 (it is told to who wants to have it kept)
            self._failed(error)
        self._unwritten -= sum(map(len, chunks))
        if self._unwritten < WAITING:
            self._hold(False)

    @inlineCallbacks
    def _keep(self) -> Generator[Deferred[Any], Any, File]:
        folder = self._folder
        try:
            if self.error is not None:
                raise self.error
            seen = None
            if (yield folder.run(self._settle)) in PICTURES:
                seen = yield folder.examine(self._home / "original")
            record, size = yield folder.run(self._store, seen)
        except BaseException:
            yield self._discard()
            raise
        self._over = True
        folder.used += size - self._reserved
        folder.done(self.close)
        folder.uploaded(record.id)
        return record  # type: ignore[no-any-return]

    @inlineCallbacks
    def _discard(self) -> Generator[Deferred[Any], Any, None]:
        if self._over:
            return
        self._over = True
        try:
            yield self._folder.run(self._erase)
        finally:
            self._folder.used -= self._reserved
            self._folder.done(self.close)

    # What follows is done in a thread.

    def _append(self, chunks: list[bytes]) -> None:
        if self._file is None:
            self._home.mkdir()
            self._file = (self._home / "original").open("xb", buffering=0)
        for chunk in chunks:
            left = memoryview(chunk)
            while left:
                left = left[self._file.write(left) :]
            self._digest.update(chunk)

    def _settle(self) -> str:
        assert self._file is not None
        self._file.close()
        self._type = sniffed(self._home / "original")
        return self._type

    def _store(self, seen: Picture | None) -> tuple[File, int]:
        original = self._home / "original"
        id = self._digest.hexdigest()
        # Whether or not it can be shown: everybody can get it.
        if self._type == "image/jpeg" and forget(original, seen):
            with original.open("rb") as file:
                id = hashlib.file_digest(file, "sha256").hexdigest()
        size = original.stat().st_size
        if seen is None:
            record = File(id, "", size, UNKNOWN if self._type in PICTURES else self._type)
        else:
            record = File(id, "", size, seen.type, seen.width, seen.height)
            (self._home / "thumbnail").write_bytes(seen.thumbnail)
        (self._home / "about.json").write_bytes(msgspec.json.encode(record))
        used = 0
        for part in self._home.iterdir():
            sync(part)
            used += part.stat().st_size
        sync(self._home)
        if not self._folder.keep(self._home, id):
            shutil.rmtree(self._home)
            used = 0
        return record, used

    def _erase(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._home.exists():
            shutil.rmtree(self._home)


def sniffed(path: Path) -> str:
    """Return of what type the file *path* says it is, by what it begins with."""
    with path.open("rb") as file:
        type: str | None = filetype.guess_mime(file.read(BEGINNING))
    return type or UNKNOWN
