"""What there is on the port: the page and its files, the room's doors, and how it does."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcssmin import cssmin  # type: ignore[import-untyped]
from rjsmin import jsmin  # type: ignore[import-untyped]
from twisted.web import http, server
from twisted.web.resource import Resource
from twisted.web.static import File

from chatroom import __version__
from chatroom.answers import answer, header
from chatroom.chat import Chat
from chatroom.hardened import Upgrade
from chatroom.names import BadName, room_name
from chatroom.websocket import ChatFactory

LEAN = {".css": cssmin, ".js": jsmin}
"""What leaves out comments and blank space."""
IN_MEMORY = 2**20
"""Files up to so many bytes are kept in memory once they were asked for."""
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
}


class Door(Upgrade):
    """Where a connection to the room begins: at most so many, in all and from one address."""

    factory: ChatFactory

    def refused(
        self, params: dict[str, list[str]], who: str, transport: object
    ) -> tuple[int, str] | None:
        for wish in params.get("room", [])[-1:]:
            try:
                room_name(wish)
            except BadName as error:
                return 400, str(error)
        if (refusal := self.factory.places.refused(who)) is not None:
            return refusal.status, refusal.words
        return super().refused(params, who, transport)


class Health(Resource):
    """Whether the store can be written, found out by writing it: 200 or 503, and a few figures."""

    isLeaf = True

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self._chat = chat
        self._since = chat.clock()
        self._waiting: list[server.Request] = []

    def render_GET(self, request: server.Request) -> int:
        request.notifyFinish().addErrback(lambda _: self._waiting.remove(request))
        self._waiting.append(request)
        # Who asks while the answer is being found out shares it.
        if len(self._waiting) == 1:
            self._chat.log.check(self._found)
        return server.NOT_DONE_YET

    def _found(self, trouble: str | None) -> None:
        chat = self._chat
        report: dict[str, Any] = {
            "status": "ok" if trouble is None else "unavailable",
            "version": __version__,
            "uptime": round(chat.clock() - self._since),
            "users": len(chat.users),
            "rooms": len(chat.rooms),
            "connections": sum(len(user.sessions) for user in chat.users.values()),
        }
        if trouble is not None:
            report["reason"] = trouble
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            request.setHeader("Content-Type", "application/json")
            request.setHeader("Cache-Control", "no-store")
            request.setResponseCode(200 if trouble is None else 503)
            request.write(json.dumps(report).encode())
            request.finish()


@dataclass(frozen=True)
class Stored:
    """A file in memory: its *stamp* tells whether it is still the same."""

    stamp: tuple[int, int, int]
    type: str
    tag: str
    body: bytes
    zipped: bytes | None


class Files(Resource):
    """
    The files in *folder*, and nothing else: no listings, nothing hidden.

    If *lean*, scripts and styles go out without their comments and blank space.
    """

    isLeaf = True

    def __init__(self, folder: Path, *, lean: bool) -> None:
        super().__init__()
        self._folder = folder
        self._lean = lean
        self._stored: dict[Path, Stored] = {}

    def render_GET(self, request: server.Request) -> bytes | int:
        names = [name.decode("utf-8", "replace") for name in request.postpath or []]
        if names == [""]:
            names = ["index.html"]
        if any(not name or name[0] == "." or "/" in name or "\0" in name for name in names):
            return answer(request, 404, "there is nothing here")
        path = self._folder.joinpath(*names)
        try:
            if not path.is_file():
                return answer(request, 404, "there is nothing here")
            if path.stat().st_size > IN_MEMORY:
                large = File(str(path), "application/octet-stream")
                started: int = large.render_GET(request)
                return started
            stored = self._read(path)
        except OSError:
            return answer(request, 404, "there is nothing here")
        request.setHeader("Content-Type", stored.type)
        request.setHeader("Cache-Control", "no-cache")
        body, tag = stored.body, stored.tag
        if stored.zipped is not None:
            request.setHeader("Vary", "Accept-Encoding")
            if accepts_gzip(header(request, "accept-encoding") or ""):
                request.setHeader("Content-Encoding", "gzip")
                body, tag = stored.zipped, f"{tag}-gzip"
        if request.setETag(f'"{tag}"'.encode()) is http.CACHED:
            return b""
        if request.method == b"HEAD":
            # Twisted would take the body, and log that there was one.
            request.setHeader("Content-Length", str(len(body)))
            return b""
        return body

    def _read(self, path: Path) -> Stored:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        stored = self._stored.get(path)
        if stored is None or stored.stamp != stamp:
            body = path.read_bytes()
            if self._lean and path.suffix in LEAN:
                body = LEAN[path.suffix](body)
            type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
            zipped = gzip.compress(body, mtime=0)
            stored = self._stored[path] = Stored(
                stamp,
                type or "application/octet-stream",
                hashlib.sha256(body).hexdigest()[:32],
                body,
                zipped if len(zipped) < len(body) * 0.9 else None,
            )
        return stored


def root(page: Path, doors: dict[str, Resource], *, lean: bool = False) -> Resource:
    """
    Return the resource tree: *doors* by name, and the files in *page* everywhere else.

    If *lean*, its scripts and styles go out without their comments and blank space.
    """

    class Root(Resource):
        def getChild(self, name: bytes, request: server.Request) -> Resource:
            # A WebSocket without a path is meant for the room.
            if name == b"" and "ws" in doors and header(request, "upgrade") == "websocket":
                return doors["ws"]
            assert request.postpath is not None and request.prepath is not None
            request.postpath.insert(0, request.prepath.pop())
            return files

    files = Files(page, lean=lean)
    tree = Root()
    for name, door in doors.items():
        tree.putChild(name.encode(), door)
    return tree


def accepts_gzip(accept: str) -> bool:
    """Return whether ``Accept-Encoding: accept`` asks for gzip (RFC 9110, section 12.5.3)."""
    for part in accept.split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" if weight else True
    return False
