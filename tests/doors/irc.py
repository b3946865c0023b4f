"""Somebody with an IRC client, over TCP or over a WebSocket."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import NamedTuple

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from tests.doors.case import Pipe, handshake
from tests.doors.person import Ear, Heard, Person
from tests.doors.websocket import Wire

CAPS = (
    "batch draft/chathistory draft/message-redaction draft/multiline echo-message"
    " labeled-response message-tags sasl server-time standard-replies"
)
CODES = {
    "403": "bad_room",
    "404": "not_in_room",
    "412": "empty",
    "421": "bad_message",
    "432": "bad_name",
    "433": "name_taken",
}
"""What numerics say, in the words of docs/protocol.md."""
PIECE = 350
"""So many bytes of a text go into one line."""
_LINE = re.compile(r"(?:@(\S+) +)?(?::(\S+) +)?(\S+)((?: +(?!:)\S+)*)(?: +:(.*))? *", re.DOTALL)
_ESCAPES = {r"\:": ";", r"\s": " ", r"\\": "\\", r"\r": "\r", r"\n": "\n"}
# All that ends a line, or cannot be seen; the server keeps it from clients.
_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)))


class Line(NamedTuple):
    """A line that came (https://modern.ircdocs.horse/#message-format)."""

    tags: dict[str, str]
    nick: str
    command: str
    params: list[str]


class Batch(NamedTuple):
    """A batch that is open: its *kind*, the line that it began with, and what is in it."""

    kind: str
    first: Line
    texts: list[str]
    entries: list[Heard]


def parse(text: str) -> Line:
    """Return the line *text*."""
    found = _LINE.fullmatch(text)
    assert found is not None, text
    tags, source, command, params, last = found.groups()
    pairs = (tag.partition("=") for tag in (tags or "").split(";") if tag)
    values = {
        key: re.sub(r"\\[:s\\rn]", lambda m: _ESCAPES[m[0]], value) for key, _, value in pairs
    }
    words = params.split() + ([] if last is None else [last])
    return Line(values, (source or "").partition("!")[0], command, words)


class Cord(Ear):
    """The far end of a TCP connection with lines; *hear* is called with each."""

    server: Pipe

    def __init__(self, person: IrcPerson) -> None:
        self._person = person
        self._data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        *lines, self._data = (self._data + data).split(b"\r\n")
        for line in lines:
            if not self.deaf:
                # However it is read, it is one line.
                assert len(line) <= 8191 + 510 and not re.search(b"[\r\n\0]", line)
                self._person.take_line(line.decode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class IrcPerson(Person):
    """IRC over TCP, with the capabilities of IRCv3 that are for what happens in rooms."""

    unsayable = " \r\n"
    _end: Cord | Wire
    _names = 0

    @staticmethod
    def shows(text: str) -> str:
        return "\n".join(line.translate(_CONTROLS) for line in text.splitlines())

    def come(self) -> None:
        self._open: dict[str, Batch] = {}
        self._live: list[Heard] | None = []
        """What came before the history did, or None once that is there."""
        self._fresh = not self.resumed
        self.wish = self.name = self.name or self._invented()
        self._dial()

    def _invented(self) -> str:
        IrcPerson._names += 1
        return f"somebody{IrcPerson._names}"

    def _dial(self) -> None:
        self._end = self.case.wire(Cord(self), near=self.case.doors.irc)
        self._begin()

    def _begin(self) -> None:
        self.write(f"CAP REQ :{CAPS}")
        if self.token is not None:
            self.write("AUTHENTICATE PLAIN")
        self.write(f"NICK {self.name}")
        self.write("USER user 0 * :Somebody")
        if self.token is None:
            self.write("CAP END")

    def say(self, text: str, nonce: str | None = None) -> None:
        target = f"#{self.room}"
        label = "" if nonce is None else f"@label={nonce} "
        lines = re.split("\r\n|\r|\n", text)
        pieces = [(piece, at > 0) for line in lines for at, piece in enumerate(_pieces(line))]
        if len(pieces) == 1:
            self.write(f"{label}PRIVMSG {target} :{text}")
            return
        self.write(f"{label}BATCH +b draft/multiline {target}")
        for piece, concat in pieces:
            more = ";draft/multiline-concat" if concat else ""
            self.write(f"@batch=b{more} PRIVMSG {target} :{piece}")
        self.write("BATCH -b")

    def rename(self, name: str) -> None:
        self.write(f"NICK {name}")

    def nonsense(self) -> None:
        self.write("GARBAGE :of all kinds")

    def garbage(self, data: bytes) -> None:
        for line in (data, b"PRIVMSG " + data, b"@" + data + b" BATCH +x draft/multiline #lobby"):
            self.write_bytes(line)

    def leave(self) -> None:
        self.write("QUIT :bye")

    def cut(self) -> None:
        self._end.sever()

    def stop(self) -> None:
        self._end.server.stuck = True

    def go_on(self) -> None:
        self._end.server.stuck = False

    @property
    def over(self) -> bool:
        return self._end.lost

    @property
    def held(self) -> int:
        return self._end.server.held

    def write(self, line: str) -> None:
        """Send *line*."""
        self.write_bytes(line.encode())

    def write_bytes(self, line: bytes) -> None:
        """Send the bytes *line*, and its end."""
        self._end.transport.write(line + b"\r\n")

    # What comes.

    def take_line(self, text: str) -> None:
        """Take in one line."""
        line = parse(text)
        command, params = line.command, line.params
        if command == "PING":
            self.write(f"PONG :{params[-1]}")
        elif command == "AUTHENTICATE":
            self.write(
                "AUTHENTICATE " + b64encode(f"\0{self.name}\0{self.token}".encode()).decode()
            )
        elif command in ("903", "904"):
            self.write("CAP END")
        elif command == "001":
            self.name = params[0]
            self.write(f"JOIN #{self.room}")
        elif command == "366":
            self._ask()
        elif command == "NOTICE":
            if found := re.search(r"SASL PLAIN .*: (\S+)$", params[-1]):
                self.token = found[1]
        elif command == "FAIL":
            self._failed(line)
        elif command in CODES:
            self._refused(CODES[command])
        elif command == "BATCH":
            self._batch(line)
        elif command in ("PRIVMSG", "TAGMSG", "TOPIC", "REDACT"):
            self._entry(line)
        elif command in ("JOIN", "PART", "QUIT", "NICK"):
            self._moved(line)

    def _failed(self, line: Line) -> None:
        command, code, *context = line.params
        if command == "CHATHISTORY":
            # What they had means nothing here.
            self._fresh = True
            self._ask()
            return
        retry = float(context[-2]) if code == "RATE_LIMITED" else None
        label = line.tags.get("label")
        self.heard.append(Heard("error", text=code.lower(), nonce=label, retry=retry))

    def _refused(self, code: str) -> None:
        self.heard.append(Heard("error", text=code))
        if self.token is None and code in ("bad_name", "name_taken"):
            self.name = self._invented()
            self.write(f"NICK {self.name}")

    def _moved(self, line: Line) -> None:
        if line.command == "NICK":
            if line.nick == self.name:
                self.name = line.params[0]
            self.heard.append(Heard("rename", text=line.nick, sender=line.params[0]))
        elif line.nick != self.name:
            kind = "join" if line.command == "JOIN" else "exit"
            self.heard.append(Heard(kind, sender=line.nick))

    def _batch(self, line: Line) -> None:
        reference = line.params[0][1:]
        if line.params[0][0] == "+":
            self._open[reference] = Batch(line.params[1], line, [], [])
            return
        batch = self._open.pop(reference)
        if batch.kind == "draft/multiline":
            first = batch.first
            self._told(first._replace(params=[first.params[2], "".join(batch.texts)]))
        elif batch.kind == "chathistory":
            self._came(batch.entries)

    def _entry(self, line: Line) -> None:
        batch = self._open.get(line.tags.get("batch", ""))
        if batch is not None and batch.kind == "draft/multiline":
            if batch.texts and "draft/multiline-concat" not in line.tags:
                batch.texts.append("\n")
            batch.texts.append(line.params[1])
        else:
            self._told(line)

    def _told(self, line: Line) -> None:
        """Take in an entry, from wherever it comes."""
        epoch, id, _ = line.tags["msgid"].rsplit("-", 2)
        text = line.params[-1] if len(line.params) > 1 else ""
        kind = {"TAGMSG": "react", "TOPIC": "topic", "REDACT": "delete"}.get(line.command, "talk")
        if kind == "talk" and "+draft/reply" in line.tags and text.startswith("* "):
            kind, text = "edit", text[2:]
        elif kind == "react":
            text = line.tags["+draft/react"]
        elif kind == "delete":
            text = ""
        heard = Heard(kind, int(id), text, line.nick, line.tags.get("label"))
        batch = self._open.get(line.tags.get("batch", ""))
        if batch is not None and batch.kind == "chathistory":
            batch.entries.append(heard)
            self._msgid = line.tags["msgid"]
        elif self._live is not None:
            self._live.append(heard)
        else:
            self._keep(heard, epoch, line.tags["msgid"])

    def _keep(self, heard: Heard, epoch: str, msgid: str) -> None:
        self.epoch, self._msgid = epoch, msgid
        self.take(heard)

    # Where they begin.

    _msgid = ""

    def _ask(self) -> None:
        """Ask for what was said, from where they were if they were here."""
        if self._fresh or not self._msgid:
            self.write(f"CHATHISTORY LATEST #{self.room} * 200")
        else:
            mark = self._msgid.rpartition("-")[2]
            # What a test says that they have kept counts.
            msgid = f"{self.epoch}-{self.last}-{mark}"
            self.write(f"CHATHISTORY AFTER #{self.room} msgid={msgid} 200")

    def _came(self, entries: list[Heard]) -> None:
        resumed = bool(self._msgid) and not self._fresh
        if self._fresh:
            self.shown.clear()
            self.last = (entries[0].id or 1) - 1 if entries else 0
        self._fresh = False
        for heard in entries:
            self.take(heard)
        if entries:
            self.epoch = self._msgid.rsplit("-", 2)[0]
        if len(entries) == 200:
            self._ask()
            return
        self.resumed.append(resumed)
        live, self._live = self._live or [], None
        for heard in live:
            if (heard.id or 0) > self.last:
                self.take(heard)


class IrcSocketPerson(IrcPerson):
    """IRC over a WebSocket: a line is a message (IRCv3 websocket)."""

    _end: Wire

    def _dial(self) -> None:
        self._end = self.case.wire(Wire(self._received, self._begin))
        self._end.transport.write(
            handshake("/irc", Origin=self.origin, Sec_WebSocket_Protocol="text.ircv3.net")
        )

    def write_bytes(self, line: bytes) -> None:
        self._end.frame(0x81, line)

    def look(self) -> None:
        self.status, self.code = self._end.status, self._end.ended

    def _received(self, payload: bytes, binary: bool) -> None:
        assert not binary
        assert not re.search(b"[\r\n\0]", payload)
        self.take_line(payload.decode())


def _pieces(line: str) -> list[str]:
    """Return *line* in pieces that fit."""
    pieces = [""]
    for character in line:
        if len((pieces[-1] + character).encode()) > PIECE:
            pieces.append("")
        pieces[-1] += character
    return pieces
