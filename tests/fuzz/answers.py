"""What a server answers on one connection, checked byte by byte."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Sequence

from tests.fuzz import wire

STATUSES = {100, 101, 200, 304, 400, 403, 404, 405, 413, 414, 426, 429, 431, 501, 503, 505}
CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1012, 1013, *range(3000, 5000)}
"""Close codes that may be seen; 1011 is a bug in the server."""
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SIZE = 2**24
"""No frame is larger."""


class Wrong(Exception):
    """What a server must not do; the text says what it did."""


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
        self.events = 0
        self.me: wire.Self | None = None
        self.epoch = ""
        self.last: dict[str, int | None] = {}
        """Of each room that is read, the id of the newest message, if it is known."""
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
        self.events += 1
        self.took(event)
        match event:
            case wire.Init():
                self._init(event)
            case wire.Talk():
                self._talk(event)
            case wire.History():
                _ids(event.messages)
            case wire.Whereabouts() if self.me is not None and event.id == self.me.id:
                if name == "typing":
                    raise Wrong("my own typing")
                if name == "exit":
                    self.last.pop(event.room, None)
            case wire.Error():
                self.errors += 1
            case dict():
                self.pongs.append(event)

    def _init(self, init: wire.Init) -> None:
        if self.me is not None and (init.self.id, init.self.token) != (self.me.id, self.me.token):
            raise Wrong("an init that takes me for somebody else")
        self.inits += 1
        self.me, self.epoch = init.self, init.epoch
        if init.self.id not in [user.id for user in init.users] or init.count < len(init.users):
            raise Wrong(f"the users of an init: {init.users}, {init.count}, me {init.self}")
        _ids(init.messages)
        if init.messages:
            self.last[init.room] = init.messages[-1].id
        elif not init.resumed:
            self.last[init.room] = 0
        else:
            self.last.setdefault(init.room, None)

    def _talk(self, talk: wire.Talk) -> None:
        last = self.last.get(talk.room, 0)
        own = self.me is not None and talk.sender.id == self.me.id and talk.nonce is not None
        if talk.room in self.last and (last is None or talk.id == last + 1):
            self.last[talk.room] = talk.id
        elif not (own and (talk.room not in self.last or talk.id <= (last or 0))):
            raise Wrong(f"message {talk.id} of {talk.room} after {self.last.get(talk.room)}")


def _ids(messages: Sequence[wire.Talk]) -> None:
    ids = [message.id for message in messages]
    if ids and ids != list(range(ids[0], ids[0] + len(ids))):
        raise Wrong(f"messages with a hole or out of order: {ids}")
