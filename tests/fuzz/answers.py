"""What a server answers on one connection, checked byte by byte."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Container, Sequence

from tests.fuzz import wire
from tests.fuzz.past import Past, Wrong

STATUSES = {
    *(100, 101, 200, 201, 204, 206, 304, 400, 401, 403, 404, 405, 411, 413, 414, 416, 426, 429),
    *(431, 501, 503, 505, 507),
}
CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1012, 1013, *range(3000, 5000)}
"""Close codes that may be seen; 1011 is a bug in the server."""
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SIZE = 2**24
"""No frame is larger."""


class Answers:
    """
    All that came on one connection so far.

    *key* is the ``Sec-WebSocket-Key`` that was sent, if any one was; *extensions* and *protocols*
    are whether permessage-deflate and ``chat.v1`` were offered, None for not known.
    """

    def __init__(
        self, key: str | None, extensions: bool | None = None, protocols: bool | None = None
    ) -> None:
        self.status = 0
        self.code: int | None = None
        self.pings: list[bytes] = []
        self.pongs: list[object] = []
        self.inits = 0
        self.errors = 0
        self.events: Counter[str] = Counter()
        """How many came of each event, and of each code of an error."""
        self.claims: Container[int] = ()
        """Behind which entries the client may have said that it is."""
        self.me: wire.Self | None = None
        self.epoch = ""
        self.rooms: dict[str, Past] = {}
        """The rooms that are read."""
        self.bits: int | None = None
        """The window that messages from the server are deflated with, if they may be."""
        self.client_bits = 15
        self.client_takeover = True
        self._data = b""
        self._key = key
        self._extensions = extensions
        self._protocols = protocols

    def feed(self, data: bytes) -> None:
        """Take *data*, which came next. Raises `Wrong`."""
        if not data:
            return
        self._data += data
        if not self.status:
            self._head()
        if self.status == 101:
            self._frames()
        elif self.status:
            self._data = b""

    def took(self, event: wire.Event) -> None:
        """Note *event*, which was right: a place for those who want to know more."""

    def _head(self) -> None:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            if len(self._data) > 8192:
                raise Wrong(f"no head of an answer: {self._data[:200]!r}")
            return
        found = re.match(rb"HTTP/1\.[01] ([0-9]{3}) [^\r\n]+(\r\n|$)", head)
        if not found or int(found[1]) not in STATUSES:
            raise Wrong(f"an answer that starts with {head[:200]!r}")
        self._data = rest
        if found[1] == b"100":
            self._head()
            return
        self.status = int(found[1])
        if self.status == 101:
            self._upgraded(head.decode("latin-1").split("\r\n")[1:])

    def _upgraded(self, lines: Sequence[str]) -> None:
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            if not colon or name.lower() in headers:
                raise Wrong(f"a header {line!r} in the handshake")
            headers[name.lower()] = value
        if headers.get("upgrade", "").lower() != "websocket":
            raise Wrong("no Upgrade in the handshake")
        if self._key is not None:
            digest = hashlib.sha1((self._key + GUID).encode("latin-1")).digest()
            if headers.get("sec-websocket-accept") != base64.b64encode(digest).decode():
                raise Wrong(f"a wrong Sec-WebSocket-Accept for {self._key!r}")
        protocol = headers.get("sec-websocket-protocol")
        if protocol not in (None, "chat.v1") or (
            self._protocols is not None and (protocol is not None) != self._protocols
        ):
            raise Wrong(f"the subprotocol {protocol!r}")
        if "sec-websocket-extensions" in headers:
            if self._extensions is False:
                raise Wrong("an extension that was not offered")
            self._deflated(headers["sec-websocket-extensions"])

    def _deflated(self, extension: str) -> None:
        name, *rest = (part.strip() for part in extension.split(";"))
        params = dict(part.partition("=")[::2] for part in rest)
        known = {"server_no_context_takeover", "client_no_context_takeover"}
        known |= {"server_max_window_bits", "client_max_window_bits"}
        if name != "permessage-deflate" or len(params) != len(rest) or params.keys() - known:
            raise Wrong(f"the extension {extension!r}")
        if "server_no_context_takeover" not in params:
            raise Wrong("a context is kept")
        self.bits = int(params.get("server_max_window_bits", 15))
        self.client_bits = int(params.get("client_max_window_bits", 15))
        self.client_takeover = "client_no_context_takeover" not in params

    def _frames(self) -> None:
        at, data = 0, self._data
        while len(data) >= at + 2:
            first, size, start = data[at], data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if size > 127:
                    raise Wrong("a masked frame")
                if len(data) < start:
                    break
                small, size = 126 if size == 126 else 65_536, int.from_bytes(data[at + 2 : start])
                if not small <= size <= SIZE:
                    raise Wrong(f"the length {size} in {data[at:start]!r}")
            if len(data) < start + size:
                break
            at = start + size
            self._frame(first, data[start:at])
        self._data = data[at:]

    def _frame(self, first: int, payload: bytes) -> None:
        if self.code is not None:
            raise Wrong(f"a frame after the close frame: {first:#x} {payload[:100]!r}")
        if first == 0x81:
            self._text(payload)
        elif first == 0xC1 and self.bits is not None:
            try:
                inflate = zlib.decompressobj(wbits=-self.bits)
                self._text(inflate.decompress(payload + b"\0\0\xff\xff"))
            except zlib.error as error:
                raise Wrong(f"a message that cannot be inflated: {error}") from error
        elif first in (0x88, 0x89, 0x8A) and len(payload) > 125:
            raise Wrong(f"a control frame of {len(payload)} bytes")
        elif first == 0x88:
            self._close(payload)
        elif first == 0x89:
            self.pings.append(payload)
        elif first != 0x8A:
            raise Wrong(f"a frame that begins with {first:#x}")

    def _close(self, payload: bytes) -> None:
        self.code = int.from_bytes(payload[:2]) if payload else 1005
        reason = payload[2:].decode("utf-8", "surrogateescape")
        if payload and self.code not in CODES:
            raise Wrong(f"closed with {self.code}: {reason}")
        if len(payload) == 1 or not reason.isprintable():
            raise Wrong(f"a close frame with {payload!r}")

    def _text(self, text: bytes) -> None:
        try:
            name, event = wire.read(text)
        except ValueError as error:
            raise Wrong(str(error)) from error
        if not self.inits and name != "init":
            raise Wrong(f"{name} before the first init")
        self.events[name] += 1
        self.took(event)
        match event:
            case wire.Init():
                self._init(event)
            case wire.Talk() | wire.Edit() | wire.Delete() | wire.React() | wire.Topic():
                self._entry(event)
            case wire.History() if event.room in self.rooms:
                self.rooms[event.room].page(event)
            case wire.Versions() if event.room in self.rooms:
                self.rooms[event.room].edits(event)
            case wire.Whereabouts() if self.me is not None and event.id == self.me.id:
                if name == "typing":
                    raise Wrong("my own typing")
                if name == "exit":
                    self.rooms.pop(event.room, None)
            case wire.Search():
                for hit in event.hits:
                    self._mine(hit.room)
                    if hit.room in self.rooms:
                        self.rooms[hit.room].lately(hit)
            case wire.Read() | wire.Direct():
                self._mine(event.room)
                self._known(event.room, getattr(event, "id", 0))
            case wire.Rooms() | wire.Mine():
                for room in event.rooms:
                    self._mine(room.room)
                    if room.room in self.rooms and room.last < self.rooms[room.room].last:
                        raise Wrong(f"{room}, and {self.rooms[room.room].last} was there")
            case wire.Error():
                self.errors += 1
                self.events[event.code] += 1
            case dict():
                self.pongs.append(event)

    @property
    def last(self) -> dict[str, int]:
        """Of each room that is read, the id of the newest entry."""
        return {name: past.last for name, past in self.rooms.items()}

    def _init(self, init: wire.Init) -> None:
        if self.me is not None and (init.self.id, init.self.token) != (self.me.id, self.me.token):
            raise Wrong("an init that takes me for somebody else")
        self.inits += 1
        self.me, self.epoch = init.self, init.epoch
        if init.self.id not in [user.id for user in init.users] or init.count < len(init.users):
            raise Wrong(f"the users of an init: {init.users}, {init.count}, me {init.self}")
        self._mine(init.room)
        known = init.room in self.rooms
        self.rooms.setdefault(init.room, Past()).begin(init, known, self.claims)

    def _entry(self, entry: wire.Entry) -> None:
        self._mine(entry.room)
        past = self.rooms.get(entry.room)
        if past is not None and entry.id == past.last + 1:
            past.take(entry)
            return
        own = self.me is not None and entry.sender.id == self.me.id and entry.nonce is not None
        kind = "message" if isinstance(entry, wire.Talk) else "change"
        if not own or (past is not None and entry.id > past.last):
            last = None if past is None else past.last
            raise Wrong(f"{kind} {entry.id} of {entry.room} after {last}")
        if past is not None and isinstance(entry, wire.Talk):
            past.lately(entry)

    def _mine(self, room: str) -> None:
        """Raise `Wrong` if *room* is one of two others."""
        both = wire.parties(room)
        if both and self.me is not None and self.me.id not in both:
            raise Wrong(f"something of {room} for {self.me}")

    def _known(self, room: str, id: int) -> None:
        if room in self.rooms and id > self.rooms[room].last:
            raise Wrong(f"{id} of {room} after {self.rooms[room].last}")
