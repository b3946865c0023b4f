"""Random messages: what clients say, what they nearly say, and what nobody would."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Protocol

ROOMS = ("lobby", "a", "B-2", "\xdf", "日本", "x.y", "Stra\xdfe", "e\u0301", "LOBBY")
ODD_ROOMS = ("@1-2", "@2-3", "@2-1", "@1-1", "@0-1", "@1-9007199254740992", "@", "@１-２", "..")
WEIGHTS = {
    "talk": 40,
    "edit": 9,
    "delete": 4,
    "react": 9,
    "topic": 3,
    "rename": 6,
    "join": 10,
    "direct": 4,
    "exit": 6,
    "history": 7,
    "edits": 3,
    "read": 5,
    "mine": 3,
    "rooms": 3,
    "search": 4,
    "typing": 8,
    "ping": 8,
}
EVENTS = tuple(WEIGHTS)
MEMBERS = (
    *("message", "type", "room", "nonce", "name", "after", "epoch", "before", "limit", "from"),
    *("of", "emoji", "on", "topic", "id", "around", "query", "match", "reply", "file"),
)
EMOJI = (
    *(
        "👍",
        "❤️",
        "🎉",
        "👨‍👩‍👧‍👦",
        "1️⃣",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e007f",
        "ℹ",
        "+1",
        "\u200d",
    ),
    *("", " ", "x", "日", "\u3164", "!" * 16, "!" * 17, "\ufe0f", "\U0001fbff", "\0"),
)
MARKS = (
    *(
        "**",
        "*",
        "_",
        "~~",
        "`",
        "```\n",
        "```python\n",
        "[",
        "](",
        ")",
        "![",
        "<",
        ">",
        "> ",
        "- ",
    ),
    *("1. ", "# ", "|", "|a|b|\n|-|:-:|\n", "\n", "\n\n", "    ", "\\", "&#x6a;", "&lt;", "---\n"),
    *(
        "http://x.y/?a=b&c",
        "javascript:alert(1)",
        "[x](javascript:alert(1))",
        "<script>",
        "HTTPS://[::1",
    ),
    *(
        "[x](data:text/html,y 'z')",
        "<img src=x onerror=y>",
        "<!-- ",
        "mailto:a@b",
        "@guest-1",
        "x",
        " ",
    ),
)
"""What Markdown may be made of."""
NUMBERS = (
    *(0, 1, -1, 2, 50, 200, 201, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
)
PIECES = (
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1e-999", b"9" * 400, b"-" + b"9" * 30, b"0x10"),
    *(rb"\ud800", rb"\udfff", rb"\ud83d\ude00", rb"\u0000", rb"\x41", rb"\"", b"\\", b'"', b"'"),
    *(b"\0", b"\x1b[2J", b"\x7f", b"\xc2\x85", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98\x80", b"\xe2\x82"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"//", b"/*", b" ", b"\r\n", b"\t"),
    *(
        b'"event":"talk",',
        b'"data":{},',
        b'"event":null,',
        b'"room":["lobby"],',
        b'"of":1,',
        b'"reply":1,',
        b'"__proto__":{},',
    ),
    *(b"<img src=x onerror=alert(1)>", b"${jndi:ldap://x}", b"{0.__class__}", b"%s%n", b"'; --"),
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ODD = (
    "\0\x07\t\n\x0b\x1b\x7f\x85\xa0\xad\u0300\u034f\u061c\u115f\u1680\u180e\u200b\u200d\u200e\u202e"
    "\u2028\u2066\u2800\u3000\u3164\ufe0f\ufeff\uffa0\ufff9\uffff\U000e0001\U000e0041\U0001f1e9\u0130"
)


def character(rng: Random) -> str:
    """Return any character that there is, lone surrogates included."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(LETTERS)
    if kind < 0.7:
        return rng.choice(ODD)
    return chr(rng.randrange(0x110000 if kind < 0.85 else 0x3000))


def text(rng: Random) -> str:
    """Return a text, mostly short, at times too long for a message."""
    kind = rng.random()
    if kind < 0.3:
        return "".join(rng.choices(LETTERS + " ", k=rng.randint(1, 40)))
    if kind < 0.45:
        return marked(rng)
    if kind < 0.9:
        return "".join(character(rng) for _ in range(int(rng.expovariate(0.1))))
    if kind < 0.97:
        return character(rng) * rng.choice((1, 31, 32, 33, 64, 65, 129, 500))
    return character(rng) * rng.choice((3999, 4000, 4001, 9000))


def marked(rng: Random) -> str:
    """Return what may mean something in Markdown."""
    if rng.random() < 0.03:
        return (rng.choice(MARKS) * rng.choice((10, 100, 4000)))[: rng.choice((100, 3999))]
    return "".join(rng.choices(MARKS, k=rng.randint(1, 30)))


def anything(rng: Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    kind = rng.randrange(9 if depth < 4 else 7)
    match kind:
        case 0:
            return rng.choice((None, True, False))
        case 1 | 2:
            return rng.choice(NUMBERS)
        case 3:
            return rng.randint(-(2**70), 2**70)
        case 4:
            return rng.choice(EVENTS + MEMBERS + ROOMS)
        case 5 | 6:
            return text(rng)
        case 7:
            return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {
                rng.choice(MEMBERS) if rng.random() < 0.5 else text(rng): anything(rng, depth + 1)
                for _ in range(rng.randrange(4))
            }


class Known(Protocol):
    """What somebody knows who talks."""

    def message(self, rng: Random) -> tuple[str, int]:
        """Return a room and the id of a message, perhaps of their own, that is there perhaps."""

    def user(self, rng: Random) -> int:
        """Return the id of somebody."""

    def file(self, rng: Random) -> str:
        """Return the id of a file."""


class Nothing:
    """Somebody who guesses."""

    def message(self, rng: Random) -> tuple[str, int]:
        return rng.choice(ROOMS), rng.choice((1, 1, 2, 3, 5, 8, 13, 50, 0, 2**53))

    def user(self, rng: Random) -> int:
        return rng.choice((0, 1, 2, 3, 5, 8, 2**53))

    def file(self, rng: Random) -> str:
        return rng.choice(("", "0" * 64, "../" * 10, "A" * 64))


GUESS = Nothing()


def command(rng: Random, known: Known = GUESS) -> dict[str, Any]:
    """Return something that a client may say who has *known* something."""
    event = rng.choices(EVENTS, tuple(WEIGHTS.values()))[0]
    data: dict[str, Any] = {}
    room, id = known.message(rng)
    match event:
        case "talk":
            data["message"] = text(rng)
            if rng.random() < 0.1:
                data["room"], data["reply"] = room, id
            if rng.random() < 0.1:
                data["file"] = {"id": known.file(rng), "name": text(rng)}
                data["message"] = rng.choice(("", data["message"]))
        case "edit":
            data |= {"room": room, "of": id, "message": text(rng)}
        case "delete":
            data |= {"room": room, "of": id}
        case "react":
            data |= {"room": room, "of": id, "emoji": rng.choice(EMOJI)}
            if rng.random() < 0.3:
                data["emoji"] = chr(rng.choice((0x1F600, 0x1F400)) + rng.randrange(64))
            if rng.random() < 0.3:
                data["on"] = rng.random() < 0.3
        case "topic":
            data["topic"] = text(rng)
        case "rename":
            data["name"] = text(rng)
        case "join":
            data["room"] = rng.choice(ROOMS + ODD_ROOMS) if rng.random() < 0.9 else text(rng)
            if rng.random() < 0.3:
                data["after"] = rng.choice((0, 1, 5, 50, 1000, 2**53, id, id))
        case "direct":
            data["id"] = known.user(rng)
        case "history":
            if rng.random() < 0.7:
                place = rng.choice(("before", "after", "around"))
                data[place] = rng.choice((0, 1, 2, 50, 300, 2**53, id, id))
            if rng.random() < 0.5:
                data["limit"] = rng.choice((1, 2, 50, 200, 10**9))
        case "edits":
            data |= {"room": room, "of": id}
        case "read":
            data |= {"room": room, "id": id}
        case "rooms":
            if rng.random() < 0.5:
                data["match"] = rng.choice(("", "a", "B", "\xdf", "@", text(rng)))
            if rng.random() < 0.5:
                data["after"] = rng.choice(ROOMS)
            if rng.random() < 0.5:
                data["limit"] = rng.choice((1, 2, 100, 101, 10**9))
        case "search":
            data["query"] = rng.choice((rng.choice(LETTERS), "", text(rng), '"', "x y"))
            if rng.random() < 0.4:
                data["room"] = rng.choice(ROOMS + ODD_ROOMS)
            if rng.random() < 0.2:
                data["before"] = id
        case "ping":
            data["data"] = anything(rng)
    if event in ("talk", "edit") and rng.random() < 0.3:
        data["type"] = rng.choice(("text", "markdown", "markdown"))
    nonces = ("talk", "edit", "delete", "react", "topic", "history", "search")
    if event in nonces and rng.random() < 0.3:
        data["nonce"] = rng.choice("123456789") if rng.random() < 0.5 else text(rng)[:70]
    optional = ("talk", "topic", "history", "typing")
    if event == "exit" or (event in optional and rng.random() < 0.7):
        data["room"] = data.get("room") or (room if rng.random() < 0.6 else rng.choice(ROOMS))
    return {"event": event, "data": data}


def distorted(rng: Random, known: Known = GUESS) -> dict[str, Any]:
    """Return a command in which some members are missing, too many, or of any other type."""
    said = command(rng, known)
    for _ in range(rng.randint(1, 3)):
        part = (
            said if rng.random() < 0.3 or not isinstance(said.get("data"), dict) else said["data"]
        )
        name = rng.choice((*part, *MEMBERS, "event", "data"))
        if rng.random() < 0.3:
            part.pop(name, None)
        else:
            part[name] = anything(rng)
    return said


def spelled(rng: Random, value: object) -> bytes:
    """Return *value* as JSON in one of its spellings, which may be no UTF-8."""
    ascii, indent = rng.random() < 0.5, 1 if rng.random() < 0.05 else None
    words = json.dumps(value, ensure_ascii=ascii, indent=indent)
    if rng.random() < 0.03 and words.startswith("{"):
        words = json.dumps({rng.choice(MEMBERS): anything(rng)})[:-1] + "," + words[1:]
    return words.encode("utf-8", "surrogatepass")


def mutated(rng: Random, data: bytes, most: int = 4) -> bytes:
    """Return *data* with up to *most* changes: bits, bytes, pieces, their order, its end."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        size = len(changed)
        a = rng.randint(0, size)
        b = min(size, a + int(rng.expovariate(0.2)))
        match rng.randrange(9):
            case 0 if size:
                changed[a % size] ^= 1 << rng.randrange(8)
            case 1 if size:
                changed[a % size] = rng.randrange(256)
            case 2:
                del changed[a:b]
            case 3:
                changed[a:a] = changed[a:b] * rng.choice((1, 1, 2, 50))
            case 4:
                changed[a:a] = rng.randbytes(rng.randint(1, 8))
            case 5 if rng.random() < 0.3:
                del changed[a:]
            case 6 if rng.random() < 0.05:
                changed[a:a] = rng.choice((b"[", b'{"a":', b'"', b"\xf0\x9f\x98\x80")) * 3000
            case 7:
                c = rng.randint(0, size)
                changed[c:c] = changed[a:b]
            case _:
                changed[a:b] = rng.choice(PIECES)
    return bytes(changed)


def payload(rng: Random, known: Known = GUESS) -> bytes:
    """Return what one text message holds of somebody who has *known* something."""
    kind = rng.random()
    if kind < 0.45:
        said = spelled(rng, command(rng, known))
    elif kind < 0.65:
        said = spelled(rng, distorted(rng, known))
    elif kind < 0.9:
        said = mutated(rng, spelled(rng, command(rng, known)))
    elif kind < 0.93:
        said = spelled(rng, anything(rng))
    elif kind < 0.96:
        said = text(rng).encode("utf-8", "surrogatepass")
    elif kind < 0.998:
        said = b"".join(rng.choices(PIECES, k=rng.randrange(30)))
    else:
        said = huge(rng)
    # What is no UTF-8 ends a connection, so that there must not be much of it.
    return said if rng.random() < 0.03 else said.decode("utf-8", "replace").encode()


def huge(rng: Random) -> bytes:
    """Return a message that is very large, or very deep."""
    size = rng.choice((4000, 30_000, 65_500, 65_536, 65_537, 70_000, 200_000))
    match rng.randrange(5):
        case 0:
            return rng.choice((b"[", b'{"event":')) * (size // 9)
        case 1:
            return b'{"event":"ping","data":{"a":%b1%b}}' % (b"[" * (size // 2), b"]" * (size // 2))
        case 2:
            return b'{"event":"history","data":{"before":%b}}' % (b"9" * size)
        case 3:
            return b'{"event":"talk","data":{"message":"%b"}}' % (b"\xc3\xa4" * (size // 2))
        case _:
            return b" " * size + b'{"event":"typing"}'
