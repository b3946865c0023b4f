"""Random frames and handshakes (RFC 6455): proper ones, and such as break a rule."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from urllib.parse import quote_from_bytes

from tests.fuzz import words


def frame(
    rng: Random, first: int, payload: bytes, *, mask: bool = True, size: int | None = None
) -> bytes:
    """
    Return *payload* as a frame that begins with the byte *first*.

    *size* is the length to announce instead of the right one.
    """
    size = len(payload) if size is None else size
    if size < 126:
        head = bytes((first, size | mask << 7))
    elif size < 65_536:
        head = bytes((first, 126 | mask << 7)) + size.to_bytes(2)
    else:
        head = bytes((first, 127 | mask << 7)) + size.to_bytes(8)
    if not mask:
        return head + payload
    key = rng.randbytes(4)
    long = (key * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload) ^ int.from_bytes(long)
    return head + key + masked.to_bytes(len(payload))


class Deflate:
    """A client's half of permessage-deflate (RFC 7692)."""

    def __init__(self, bits: int, takeover: bool) -> None:
        self._bits = bits
        self._takeover = takeover
        self._deflate = zlib.compressobj(wbits=-bits)

    def __call__(self, payload: bytes) -> bytes:
        if not self._takeover:
            self._deflate = zlib.compressobj(wbits=-self._bits)
        deflated = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return deflated[:-4] or b"\0"


def message(rng: Random, payload: bytes, opcode: int, deflate: Deflate | None) -> bytes:
    """Return *payload* as one proper message: perhaps deflated, perhaps in fragments."""
    first = opcode
    if deflate is not None and rng.random() < 0.5:
        payload, first = deflate(payload), opcode | 0x40
    if rng.random() < 0.8:
        return frame(rng, first | 0x80, payload)
    frames = []
    ends = sorted(rng.randint(0, len(payload)) for _ in range(rng.randint(1, 5)))
    for start, end in pairwise([0, *ends, len(payload)]):
        if rng.random() < 0.2:
            frames.append(frame(rng, rng.choice((0x89, 0x8A)), rng.randbytes(rng.randint(0, 125))))
        frames.append(frame(rng, first, payload[start:end]))
        first = 0
    return b"".join(frames) + frame(rng, 0x80, b"")


def broken(rng: Random) -> bytes:
    """Return a frame of which something is not as it should be."""
    first = rng.choice((0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x41))
    payload = (
        words.payload(rng) if rng.random() < 0.5 else rng.randbytes(int(rng.expovariate(0.02)))
    )
    if first & 0x08:
        payload = payload[: rng.choice((0, 1, 2, 5, 125, 126, 300))]
    match rng.randrange(9):
        case 0:
            return frame(rng, rng.randrange(256), payload)
        case 1:
            return frame(rng, first, payload, mask=False)
        case 2:
            return frame(rng, first, payload, size=max(0, len(payload) + rng.randint(-5, 200)))
        case 3:
            return frame(rng, first, payload, size=rng.choice((65_535, 65_537, 2**31, 2**63 - 1)))
        case 4:
            return bytes((first, 0x80 | 127)) + rng.randbytes(12) + payload
        case 5:
            small = rng.choice((b"\xfe\x00\x05", b"\xff" + bytes(7) + b"\x05", b"\xff" + bytes(8)))
            return bytes((first,)) + small + rng.randbytes(4) + payload
        case 6:
            code = rng.choice((0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, 65_535))
            return frame(rng, 0x88, code.to_bytes(2) + payload[:100])
        case 7:
            fragment = frame(rng, 0, payload[:1])
            return frame(rng, 0x01, b"") + fragment * rng.choice((2, 50, 2100))
        case _:
            return words.mutated(rng, frame(rng, first, payload))


def bomb(rng: Random) -> bytes:
    """Return a small message that inflates to a large one."""
    size = rng.choice((65_536, 65_537, 65_800, 2**20, 2**23))
    deflate = Deflate(rng.choice((9, 12)), False)
    return frame(rng, 0xC1, deflate(rng.choice((b" ", b"[", b"\xff")) * size))


def cut(rng: Random, data: bytes) -> Iterator[bytes]:
    """Yield *data* in pieces as they may arrive."""
    kind = rng.random()
    if kind < 0.6 or len(data) < 2:
        yield data
        return
    if kind < 0.65 and len(data) < 400:
        ends = list(range(1, len(data)))
    else:
        ends = sorted({rng.randint(1, len(data) - 1) for _ in range(rng.randint(1, 6))})
    for start, end in pairwise([0, *ends, len(data)]):
        yield data[start:end]


OFFERS = (
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=10; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=15, permessage-deflate",
    "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits=15",
)
ODD_OFFERS = (
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=-1",
    "permessage-deflate; nonsense",
    "permessage-bzip2, permessage-snappy",
    'permessage-deflate; server_max_window_bits="10"',
    ",;=,",
)
HEADERS = (
    *(
        "Origin: http://127.0.0.1:8080",
        "Origin: null",
        "Origin: http://[::1",
        "Origin: https://x:y",
    ),
    *(
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-For: , ",
        "X-Forwarded-For: a, b, \xff",
        "X: \x0b",
    ),
    *("Sec-WebSocket-Protocol: chat.v0, chat.v1", "Sec-WebSocket-Protocol: ,", "Host: again"),
    *("Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Connection: close"),
    *("Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: \xb2", "Sec-WebSocket-Key: x"),
    *(
        "Expect: 100-continue",
        "Upgrade: h2c",
        "Upgrade: websocket, x",
        " folded",
        "no colon",
        ": x",
    ),
    *(
        "Accept-Encoding: gzip;q=abc",
        "If-None-Match: *",
        "Range: bytes=0-0",
        "Cookie: " + "a" * 9000,
    ),
    *(f"Sec-WebSocket-Extensions: {offer}" for offer in ODD_OFFERS),
)
PATHS = ("/ws", "/ws/", "/ws#x", "/ws/../ws", "//ws", "/%77s", "/WS", "*", "/health", "/", "/nope")
QUERIES = (
    *("room=", "room=%00", "room=a&room=b", "room=a&room=", "room=a;room=b", "room=%ff", "room"),
    *("room=\xc3\xa9", "room=\xe9", "room=%C3%A9", "room=a%20b", "room=..", "room=" + "a" * 70),
    *("name=%E2%80%AE", "name=a&name=", "name=" + "%F0%9F%98%80" * 40, "name=\xe9", "name=%00"),
    *("token=\xe9", "token=%C3%A9", "token=====", "token=A", "token=" + "A" * 5000, "token=-_-_"),
    *("after=-1", "after=1e3", "after=" + "9" * 99, "after=%D9%A3", "after=5&epoch=", "epoch=x"),
    *("&" * 2000, "=&=", "%", "%zz", "a=" * 500),
)


@dataclass
class Request:
    """
    A handshake that is right: its bytes, and what it asks for.

    *deflate* is whether the extension was offered and *protocol* whether ``chat.v1`` was.
    """

    data: bytes
    key: str
    deflate: bool
    protocol: bool


def handshake(rng: Random, query: dict[str, str]) -> Request:
    """Return a proper request for the room with the parameters *query*."""
    key = base64.b64encode(rng.randbytes(16)).decode()
    lines = [
        "Host: 127.0.0.1:8080",
        f"Upgrade: {rng.choice(('websocket', 'WebSocket'))}",
        f"Connection: {rng.choice(('Upgrade', 'keep-alive, Upgrade'))}",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    deflate, protocol = rng.random() < 0.6, rng.random() < 0.3
    if deflate:
        lines.append(f"Sec-WebSocket-Extensions: {rng.choice(OFFERS)}")
    if protocol:
        lines.append("Sec-WebSocket-Protocol: chat.v1, x")
    if rng.random() < 0.3:
        lines.append(f"X-Forwarded-For: 192.0.2.{rng.randrange(8)}")
    first, *others = lines
    rng.shuffle(others)
    encoded = {
        name: quote_from_bytes(value.encode("utf-8", "surrogatepass"))
        for name, value in query.items()
    }
    path = "/ws" + "?" * bool(query) + "&".join(f"{name}={encoded[name]}" for name in query)
    head = "\r\n".join([f"GET {path} HTTP/1.1", first, *others, "", ""])
    return Request(head.encode("ascii"), key, deflate, protocol)


def odd_handshake(rng: Random) -> bytes:
    """Return a request that is not quite right."""
    lines = handshake(rng, {}).data.decode("ascii").split("\r\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(1, max(1, len(lines) - 2))
        match rng.randrange(7):
            case 0:
                lines[0] = f"GET {rng.choice(PATHS)} HTTP/1.1"
            case 1:
                lines[0] = f"GET /ws?{'&'.join(rng.choices(QUERIES, k=2))} HTTP/1.1"
            case 2:
                method = rng.choice(
                    ("POST", "HEAD", "OPTIONS", "get", "CONNECT", "PRI", "\xff", "")
                )
                version = rng.choice(("1.1", "1.0", "0.9", "2.0", "9.9", "1.1 x", ""))
                lines[0] = f"{method} /ws HTTP/{version}"
            case 3 if len(lines) > 4:
                del lines[at]
            case 4:
                lines.insert(at, rng.choice(lines[1:]) or "X: y")
            case 5:
                lines[at] = lines[at].replace(": ", rng.choice((":", " : ", ":\t", ":  ", " ")))
            case _:
                lines.insert(at, rng.choice(HEADERS))
    end = rng.choice(("\r\n", "\r\n", "\r\n", "\n", "\r"))
    data = end.join(lines).encode("latin-1")
    return words.mutated(rng, data) if rng.random() < 0.3 else data


def stream(rng: Random) -> bytes:
    """Return the bytes of frames of which some are broken, or of none."""
    kind = rng.random()
    if kind < 0.25:
        return rng.randbytes(int(rng.expovariate(0.01)))
    parts = []
    deflate = Deflate(rng.choice((9, 12, 15)), rng.random() < 0.5)
    for _ in range(rng.randint(1, 6)):
        odd = rng.random()
        if odd < 0.5:
            parts.append(broken(rng))
        elif odd < 0.51:
            parts.append(bomb(rng))
        else:
            opcode = 1 if rng.random() < 0.95 else 2
            parts.append(message(rng, words.payload(rng), opcode, deflate))
    data = b"".join(parts)
    return words.mutated(rng, data) if kind < 0.5 else data


def noise(rng: Random) -> bytes:
    """Return what is no request at all."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(int(rng.expovariate(0.005)))
        case 1:
            return b"".join(
                rng.choices((b"GET ", b"/ws ", b"HTTP/1.1", b"\r\n", b": ", b"x"), k=40)
            )
        case 2:
            return b"\x16\x03\x01" + rng.randbytes(200)
        case _:
            return words.text(rng).encode("utf-8", "surrogatepass") + b"\r\n\r\n"
