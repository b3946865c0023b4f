"""``/files``: where files come in, and where they are shown and fetched from."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from errno import EDQUOT, ENOSPC
from pathlib import Path

import msgspec
from msgspec.structs import replace
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.static import SingleRangeStaticProducer

from chatroom.answers import (
    STRANGE,
    UNKNOWN,
    Origins,
    Refusal,
    bearer,
    cross,
    header,
    parameters,
    preflight,
    refused,
)
from chatroom.events import File
from chatroom.files.folder import Folder, Full
from chatroom.files.names import clean, disposition
from chatroom.files.upload import TooLarge, Upload
from chatroom.log import Unavailable
from chatroom.site import Intake, Nothing, Request

AT_ONCE = 4
"""So many uploads of one user may be under way."""
IN_ALL = 64
"""So many uploads of all users may be under way."""
RETRY = 5
"""After so many seconds somebody may try again who found as many under way as there may be."""
SMALL = 2**16
"""Up to so many bytes are sent at once."""

HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Accept-Ranges": "bytes",
}
"""What goes with every file: whatever it is, it can do nothing, and it will never be another."""
ENDINGS = {
    "image/gif": (".gif",),
    "image/jpeg": (".jpg", ".jpeg", ".jfif"),
    "image/png": (".png", ".apng"),
    "image/webp": (".webp",),
}
"""How the names of pictures end."""

_RANGE = re.compile("bytes=([0-9]{0,15})-([0-9]{0,15})")


OFF = Refusal(403, "forbidden", "nothing can be uploaded here")
LENGTHLESS = Refusal(411, "bad_message", "say with Content-Length how many bytes come")
EMPTY = Refusal(400, "empty", "there is nothing in this file")
TOO_LARGE = Refusal(413, "too_large", "this file is too large")
MANY = Refusal(429, "rate_limited", "as many files of yours are coming in as may at once", RETRY)
BUSY = Refusal(503, "unavailable", "as many files are coming in as may at once", RETRY)
NO_ROOM = Refusal(507, "unavailable", "there is no room for this file")
TROUBLE = Refusal(503, "unavailable", "files cannot be kept now")
UNREACHED = Refusal(416, "bad_message", "the file has not so many bytes")
GONE = Refusal(404, "no_such_file", "there is no such file")


class Turned(Nothing):
    """The body of a request that is refused, before it has come."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class Incoming(Nothing):
    """The body of *request* that becomes an *upload*; *done* is called with it at its end."""

    wanted = True
    _log = Logger()

    def __init__(
        self, request: Request, upload: Upload, user: int, done: Callable[[Incoming], None]
    ) -> None:
        self.request = request
        self.upload = upload
        self.user = user
        self._done = done

    def write(self, data: bytes) -> int:
        self.upload.write(data)
        return len(data)

    def close(self) -> None:
        # It counts until nothing is done with it any more, be its sender there or not.
        closed = self.upload.close()
        closed.addErrback(lambda failure: self._log.failure("a file cannot be erased", failure))
        closed.addCallback(lambda _: self._done(self))


class FilesDoor(Intake):
    """
    The way to the files in *folder*.

    *known* returns the id of whom a token was given to, if anybody; *spend* takes from that user what
    an upload costs and returns 0.0, or in how many seconds they may try again. Pages of *origins* may
    come from other sites.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Folder,
        known: Callable[[str | None], int | None],
        spend: Callable[[int], float],
        origins: Origins,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._known = known
        self._spend = spend
        self._origins = origins
        self._coming: set[Incoming] = set()
        self._users: Counter[int] = Counter()

    def farewell(self) -> None:
        """Cut all uploads off: who uploads will come back and do it again."""
        for incoming in list(self._coming):
            if incoming.request.channel is not None:
                incoming.request.channel.transport.abortConnection()

    def admit(self, request: Request, length: int | None) -> Nothing:
        if request.method != b"POST" or request.uri.partition(b"?")[0] != b"/files":
            return Nothing()
        user = self._user(request)
        refusal = self._refusal(request, user, length)
        if user is None or refusal is not None:
            return Turned(refusal or UNKNOWN)
        try:
            upload = Upload(self._folder, length, request.hold, request.hurry)
        except Full:
            return Turned(NO_ROOM)
        incoming = Incoming(request, upload, user, self._gone)
        self._coming.add(incoming)
        self._users[user] += 1
        return incoming

    def render(self, request: server.Request) -> bytes | int:
        """Answer *request*, and let pages have the answer that come from sites which may."""
        cross(request, self._origins)
        answered: bytes | int = super().render(request)
        return answered

    def render_OPTIONS(self, request: server.Request) -> bytes:
        """Tell a page of another site what it may do."""
        return preflight(
            request, self._origins, "GET, HEAD, POST", "Authorization, Content-Type, Range"
        )

    def render_POST(self, request: server.Request) -> bytes | int:
        """Keep what has come in, and tell what it is."""
        body = request.content
        if isinstance(body, Turned):
            return refused(request, body.refusal)
        if not isinstance(body, Incoming):
            return refused(request, GONE)
        if not body.upload.size:
            return refused(request, EMPTY)
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def tell(file: File) -> None:
            if not gone:
                self._folder.promise(file.id, body.user)
                named = replace(file, name=clean(wished(request)))
                request.setHeader("Content-Type", "application/json")
                request.setHeader("Cache-Control", "no-store")
                request.setHeader("Location", f"/files/{file.id}")
                request.setResponseCode(201)
                request.write(msgspec.json.encode(named))
                request.finish()

        def fail(failure: Failure) -> None:
            if not gone:
                request.write(refused(request, self._trouble(failure)))
                request.finish()

        body.upload.keep().addCallbacks(tell, fail)
        return server.NOT_DONE_YET

    def render_GET(self, request: server.Request) -> bytes | int:
        """Send a file, or its thumbnail."""
        id, *more = [name.decode("latin-1") for name in request.postpath or [b""]]
        try:
            file = self._folder.about(id)
        except Unavailable:
            return refused(request, TROUBLE)
        if file is None or more not in ([], ["thumbnail"]) or (more and file.width is None):
            return refused(request, GONE)
        places = self._folder.places(id)
        type = "image/webp" if more else file.type
        name = clean(wished(request))
        if file.width is not None and not name.lower().endswith(ENDINGS[type]):
            # A page in a picture must not become one by its name.
            name = clean(name + ENDINGS[type][0])
        tag = f'"{"-".join([id, *more])}"'
        request.setHeader("ETag", tag)
        for key, value in HEADERS.items():
            request.setHeader(key, value)
        # What a proxy has made a weak tag of is as good: there is one file only with this id.
        had = header(request, "if-none-match") or ""
        if tag in had or had == "*":
            request.setResponseCode(304)
            return b""
        request.setHeader("Content-Type", type)
        request.setHeader(
            "Content-Disposition",
            disposition("inline" if file.width is not None else "attachment", name),
        )
        try:
            return send(request, places.thumbnail if more else places.original, tag)
        except OSError:
            self._log.failure("a file cannot be read")
            return refused(request, TROUBLE)

    def _user(self, request: Request) -> int | None:
        return self._known(bearer(request))

    def _refusal(self, request: Request, user: int | None, length: int | None) -> Refusal | None:
        if not self._origins.admit(request):
            return STRANGE
        if not self._folder.limit:
            return OFF
        if user is None:
            return UNKNOWN
        if length == 0:
            return EMPTY if header(request, "content-length") else LENGTHLESS
        if length is not None and length > self._folder.limit:
            return TOO_LARGE
        if self._users[user] >= AT_ONCE:
            return MANY
        if len(self._coming) >= IN_ALL:
            return BUSY
        if wait := self._spend(user):
            return Refusal(429, "rate_limited", "too many files in too short a time", wait)
        return None

    def _gone(self, incoming: Incoming) -> None:
        self._coming.discard(incoming)
        self._users[incoming.user] -= 1
        if not self._users[incoming.user]:
            del self._users[incoming.user]

    def _trouble(self, failure: Failure) -> Refusal:
        error = failure.value
        if isinstance(error, TooLarge):
            return TOO_LARGE
        if isinstance(error, Full):
            return NO_ROOM
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            self._folder.crowded(str(error.strerror))
            return NO_ROOM
        self._log.failure("a file cannot be kept", failure)
        return TROUBLE


def wished(request: server.Request) -> str:
    """Return the ``name`` in the query of *request*, or nothing."""
    return parameters(request).get("name", [""])[0]


def send(request: server.Request, path: Path, tag: str) -> bytes | int:
    """
    Send the file *path*, or the one range of it that *request* is for (RFC 9110, section 14).

    *tag* is its entity tag. Of several ranges it is free to send the whole: they can be asked for
    so that the answer is much larger than the file. Raises `OSError`.
    """
    with ExitStack() as until_started:
        file = until_started.enter_context(path.open("rb"))
        size = os.fstat(file.fileno()).st_size
        start, stop = 0, size
        asked = between(header(request, "range") or "", size)
        if asked is not None and header(request, "if-range") in (None, tag):
            start, stop = asked
            if start >= stop:
                request.setHeader("Content-Range", f"bytes */{size}")
                return refused(request, UNREACHED)
            request.setResponseCode(206)
            request.setHeader("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        request.setHeader("Content-Length", str(stop - start))
        if request.method == b"HEAD":
            return b""
        if stop - start <= SMALL:
            file.seek(start)
            return file.read(stop - start)
        SingleRangeStaticProducer(request, file, start, stop - start).start()
        until_started.pop_all()
    return server.NOT_DONE_YET


def between(range: str, size: int) -> tuple[int, int] | None:
    """Return where the one ``Range`` of *size* bytes starts and stops, if it is one."""
    found = _RANGE.fullmatch(range)
    if found is None:
        return None
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if not last:
        return int(first), size
    return (int(first), min(size, int(last) + 1)) if int(first) <= int(last) else None
