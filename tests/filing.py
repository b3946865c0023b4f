"""Files without a room: a folder and its door on a fake clock, and things to put there."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import ExifTags, Image
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.test import iosim
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from chatroom.answers import Origins
from chatroom.files import FilesDoor, Folder
from chatroom.site import Site
from tests.rig import Peer, Transport

ANN, BOB = "token-of-Ann", "token-of-Bob"
LIMIT, TOTAL = 300_000, 2_000_000


def image(
    format: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB", **more: Any
) -> bytes:
    """Return a picture of *size* in *format*, of many colours or shades."""
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, format, **more)
    return out.getvalue()


def exif(turn: int | None = None, placed: bool = False) -> bytes:
    """Return what a camera writes: how a picture is to be *turn*-ed, and where it was taken."""
    written = Image.Exif()
    written[ExifTags.Base.Make] = "A camera"
    if turn is not None:
        written[ExifTags.Base.Orientation] = turn
    if placed:
        written[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (48.0, 51.0, 29.1),
        }
    return written.tobytes()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that says that it is as large as this, with very few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(min((width // 8 + 1) * height, 10**7)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class FilesCase(TestCase):
    """A test that has a folder of files, and its door on a port."""

    origins: tuple[str, ...] = ()
    limit, total = LIMIT, TOTAL

    def setUp(self) -> None:
        self.clock = Clock()
        self.said: set[str] = set()
        self.path = Path(self.enterContext(TemporaryDirectory())) / "files"
        self.open()

    def give_up(self, folder: Folder) -> None:
        """Close the files of uploads that a test leaves behind in *folder*."""
        for close in list(folder._uploads):
            close()

    def known(self, token: str | None) -> int | None:
        """Return the id of whom *token* was given to."""
        return {ANN: 1, BOB: 2}.get(str(token))

    def spend(self, id: int) -> float:
        """Return in how many seconds the user *id* may upload something."""
        return 0.0

    def thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Call *call* as in a thread, but here and now."""
        return maybeDeferred(call, *arguments)

    def open(self, **more: Any) -> None:
        """Open the folder, as at a start."""
        options: dict[str, Any] = {
            "limit": self.limit,
            "total": self.total,
            "has_file": self.said.__contains__,
            "epoch": "e",
            "run": self.thread,
            "clock": self.clock.seconds,
            "wall": lambda: 1_000_000_000.0,
        }
        self.folder = Folder(self.path, **options | more)
        self.addCleanup(self.give_up, self.folder)
        self.door = FilesDoor(self.folder, self.known, self.spend, Origins(self.origins))
        tree = Resource()
        tree.putChild(b"files", self.door)
        self.site = Site(tree, self.clock)
        self.pumps: list[iosim.IOPump] = []

    def restart(self, **more: Any) -> None:
        """Close the folder and open it again."""
        self.successResultOf(self.folder.close())
        self.open(**more)

    def dial(self) -> Peer:
        """Return a peer with a bare connection."""
        here = IPv4Address("TCP", "127.0.0.1", 8080)
        there = IPv4Address("TCP", "192.0.2.1", 50_000)
        channel = self.site.buildProtocol(there)
        server = Transport(channel, True, here, there)
        peer = Peer(server)
        client = iosim.FakeTransport(peer, False, there, here)
        self.pumps.append(iosim.connect(channel, server, peer, client))
        return peer

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Peer:
        """Return a peer that has had the answer to a request."""
        peer = self.begin(method, path, None if body is None else len(body), **headers)
        if body:
            peer.transport.write(body)
            self.settle()
        return peer

    def begin(self, method: str, path: str, length: int | None = None, **headers: str) -> Peer:
        """Return a peer that has sent the head of a request whose body is so long."""
        peer = self.dial()
        lines = {"Host": "chat.example"}
        if length is not None:
            lines["Content-Length"] = str(length)
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        peer.transport.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        self.settle()
        return peer

    def upload(self, data: bytes, name: str = "x", token: str = ANN, **headers: str) -> Any:
        """Upload *data* and return what is answered, which must be good."""
        headers["Authorization"] = f"Bearer {token}"
        peer = self.ask("POST", f"/files?name={name}", data, **headers)
        assert peer.status == 201, (peer.head, peer.body)
        return content(peer)

    def get(self, path: str, **headers: str) -> Peer:
        return self.ask("GET", path, None, **headers)

    def settle(self, seconds: float = 0) -> None:
        """Let arrive what is under way, then *seconds* pass, and arrive what follows."""
        self._pump()
        self.clock.pump([1.0] * int(seconds) + [seconds % 1.0])
        self._pump()

    def _pump(self) -> None:
        for _ in range(3):
            while sum(pump.pump() for pump in self.pumps):
                pass
            self.clock.advance(0)

    def parts(self) -> list[str]:
        """Return everything in the folder but the lock."""
        return sorted(
            str(path.relative_to(self.path))
            for path in self.path.rglob("*")
            if path.is_file() and path.name != "lock"
        )


def content(peer: Peer) -> Any:
    """Return the JSON of the answer that *peer* had."""
    return json.loads(body(peer))


def body(peer: Peer) -> bytes:
    """Return the body of the answer that *peer* had, which may have come in chunks."""
    data = peer.body
    if peer.header("Transfer-Encoding") != "chunked":
        return data
    whole = b""
    while True:
        size, data = data.split(b"\r\n", 1)
        if not (length := int(size, 16)):
            return whole
        whole += data[:length]
        data = data[length + 2 :]
