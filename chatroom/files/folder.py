"""The folder of files beside the store: each is there as a whole, or not at all."""

from __future__ import annotations

import fcntl
import math
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.logger import Logger

from chatroom.events import File
from chatroom.files.names import clean
from chatroom.files.picture import Picture, examined
from chatroom.log import Unavailable

UNSAID = 3600.0
"""So many seconds a file is kept that no message refers to."""
WAIT = 1800.0
"""So many seconds after the start nothing goes that was there before: the store may be a wrong one."""
AGAIN = 3600.0
"""After so many seconds it is told again that there is no room."""
STRANGE = 7 * 86_400.0
"""So many seconds after the epoch has changed nothing goes that was there before."""
PORTION = 200
"""Of so many files it is asked in one sweep whether a message refers to them."""
INCOMING = "incoming"

_ID = re.compile("[0-9a-f]{64}")
_COMING = re.compile("[0-9a-f]{32}")

Run = Callable[..., Deferred[Any]]
"""Calls a function with arguments in a thread."""
Close = Callable[[], Deferred[None]]
"""Gives up what is coming in; fires when nothing is left of it."""


class FolderError(Exception):
    """What keeps a folder of files from being used; its text is one line for people."""


class Full(Exception):
    """There is no room for a file: with it, there would be more bytes than there may be."""


class Places(NamedTuple):
    """Where the parts of a file are."""

    original: Path
    about: Path
    thumbnail: Path


class Folder:
    """
    The files that people show each other, below *path*.

    *limit* is the most bytes of one, 0 for no uploads, and *total* of all. *has_file* tells whether
    a message refers to the file with an id, and *epoch* whether these are the messages that there
    were before. *run* calls a function in a thread, *clock* gives seconds that only go on, and
    *wall* seconds since 1970. Raises `FolderError`.

    A file is a folder of its own: what was uploaded, what is known of it, and the thumbnail of a
    picture. It is made in another place and moved to its own at once, so that a crash leaves nothing
    half. Someone must call `sweep` from time to time.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        *,
        limit: int,
        total: int,
        has_file: Callable[[str], bool],
        epoch: str,
        run: Run,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.path = path
        self.limit = limit
        self.used = 0
        """How many bytes there are, with those that uploads have been given room for."""
        self.run = run
        # Only one picture is looked at at a time: it may take much memory.
        self._looking = DeferredLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._crowded = -math.inf
        self._total = total
        self._has_file = has_file
        self._clock = clock
        self._uploads: set[Close] = set()
        self._removals: set[Deferred[None]] = set()
        # In the order in which they came.
        self._unsaid: dict[str, float] = {}
        # To whom it was promised that these are there.
        self._promised: dict[str, set[int]] = {}
        self._coming = path / INCOMING
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            self._coming.mkdir(exist_ok=True)
            self._lock = os.open(path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin(epoch, wall())
        except BlockingIOError:
            raise FolderError(f"the folder of files {path} is in use by another process") from None
        except OSError as error:
            raise FolderError(f"cannot use the folder of files {path}: {error.strerror}") from error

    clean = staticmethod(clean)

    def find(self, id: str, user: int) -> File | None:
        """
        Return what is known of the file *id*, nameless, if it is there. Raises `Unavailable`.

        The *user* is about to say something with it.
        """
        found = self.about(id)
        if found is not None:
            # Whatever comes of that, it is looked at again.
            self.uploaded(id)
            self._promised.get(id, set()).discard(user)
        return found

    def about(self, id: str) -> File | None:
        """Return the same as `find` for who only looks. Raises `Unavailable`."""
        if not _ID.fullmatch(id):
            return None
        try:
            return msgspec.json.decode(self.places(id).about.read_bytes(), type=File)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            self._log.failure("a file cannot be read")
            raise Unavailable(str(error)) from error

    def promise(self, id: str, user: int) -> None:
        """Keep the file *id*, which was `uploaded`, for *user*, who has been told that it is there."""
        self._promised.setdefault(id, set()).add(user)

    def remove(self, id: str) -> None:
        """
        Remove the file *id*: no message refers to it any more. It is out of reach at once.

        But where somebody has uploaded it, too, it stays until they have had the time to show it.
        """
        if not self._promised.get(id):
            self._remove(id)

    def _remove(self, id: str) -> None:
        self._unsaid.pop(id, None)
        self._promised.pop(id, None)
        place, gone = self._place(id), self._coming / secrets.token_hex(16)
        try:
            if not place.exists():
                return
            size = _size(place)
            place.rename(gone)
        except OSError:
            self._log.failure("a file cannot be removed")
            # The next sweep tries again.
            self._unsaid[id] = self._clock()
            return
        self.used -= size
        removed = self.run(shutil.rmtree, gone)
        self._removals.add(removed)
        removed.addErrback(lambda failure: self._log.failure("a file cannot be removed", failure))
        removed.addCallback(lambda _: self._removals.discard(removed))

    def begin(self, close: Close) -> Path:
        """Return a new place for what is coming in; *close* is called if the folder is closed."""
        self._uploads.add(close)
        return self._coming / secrets.token_hex(16)

    def take(self, size: int) -> None:
        """Give room for *size* bytes more; less than 0 gives room back. Raises `Full`."""
        if size > 0 and self.used + size > self._total:
            self.crowded(f"--max-files allows for {self._total} bytes")
            raise Full
        self.used += size

    def crowded(self, why: str) -> None:
        """Tell, from time to time, that there is no room for a file."""
        if self._clock() >= self._crowded + AGAIN:
            self._crowded = self._clock()
            self._log.warn("there is no room for a file in {path}: {why}", path=self.path, why=why)

    def done(self, close: Close) -> None:
        """Forget what is coming in: it is kept, or nothing is left of it."""
        self._uploads.discard(close)

    def uploaded(self, id: str) -> None:
        """Keep the file *id* for a while, until somebody says something with it."""
        self._unsaid.pop(id, None)
        self._unsaid[id] = self._clock()

    def places(self, id: str) -> Places:
        """Return where the parts of the file *id* are."""
        place = self._place(id)
        return Places(place / "original", place / "about.json", place / "thumbnail")

    def keep(self, home: Path, id: str) -> bool:
        """
        Move the file *id* from *home* to its place, for good, and return whether it was not there.

        To be called in a thread. Raises `OSError`.
        """
        place = self._place(id)
        if not place.parent.exists():
            place.parent.mkdir(exist_ok=True)
            sync(self.path)
        try:
            home.rename(place)
        except OSError:
            if not place.exists():
                raise
            return False
        sync(place.parent)
        return True

    def examine(self, path: Path) -> Deferred[Picture | None]:
        """Return what picture is in the file *path*, when it is its turn."""
        return self._looking.run(self._examine, path)

    def sweep(self) -> None:
        """Remove files that have been here for a while, and that no message refers to."""
        due = self._clock() - UNSAID
        old = (id for id, came in self._unsaid.items() if came <= due)
        for id in list(islice(old, PORTION)):
            try:
                said = self._has_file(id)
            except Unavailable:
                return
            if said:
                del self._unsaid[id]
                self._promised.pop(id, None)
            else:
                self._remove(id)

    def close(self) -> Deferred[None]:
        """Give up all uploads; fires when nothing is left of them. Nothing may be asked then."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()
        last = [close() for close in list(self._uploads)] + list(self._removals)
        return gatherResults(last).addCallback(lambda _: os.close(self._lock))

    def _examine(self, path: Path) -> Deferred[Picture | None]:
        if self._closed:
            raise ConnectionError("the folder is closed")

        def begun(process: subprocess.Popen[bytes]) -> None:
            self._process = process
            if self._closed:
                process.terminate()

        return self.run(examined, path, begun)

    def _begin(self, epoch: str, now: float) -> None:
        known = os.pread(self._lock, 100, 0).decode("ascii", "replace")
        if known != epoch:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, epoch.encode("ascii"), 0)
        if known not in ("", epoch):
            self._log.warn("the store is not the one that {path} belonged to", path=self.path)
        changed = os.fstat(self._lock).st_mtime
        for left in self._coming.iterdir():
            if _COMING.fullmatch(left.name):
                shutil.rmtree(left)
        for place in self._all():
            self.used += _size(place)
            came = place.stat().st_mtime
            age = min(max(0.0, now - came), UNSAID - WAIT)
            wait = max(0.0, changed + STRANGE - now) if came < changed else 0.0
            self._unsaid[place.name] = self._clock() - age + wait

    def _all(self) -> Iterator[Path]:
        for shelf in self.path.iterdir():
            if re.fullmatch("[0-9a-f]{2}", shelf.name):
                yield from (place for place in shelf.iterdir() if _ID.fullmatch(place.name))

    def _place(self, id: str) -> Path:
        # Some systems are slow with very many names in one folder.
        return self.path / id[:2] / id


def _size(place: Path) -> int:
    with os.scandir(place) as parts:
        return sum(part.stat().st_size for part in parts)


def sync(path: Path) -> None:
    """Have the disk keep what is in *path*; of a folder, the names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
