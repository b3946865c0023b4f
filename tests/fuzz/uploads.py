"""Who comes with files: one request of HTTP after the other, and what is answered to each."""

from __future__ import annotations

import hashlib
import io
import re
from http.client import HTTPException, HTTPResponse
from random import Random
from urllib.parse import quote

import msgspec

from tests.fuzz import wire, words
from tests.fuzz.answers import Answers
from tests.fuzz.past import Wrong
from tests.fuzz.visitors import House, Seen, Visitor

LIMIT, TOTAL = 20_000, 400_000
"""The most bytes of a file, and of all, where these visitors come."""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0"
    "00000301010018dd8db00000000049454e44ae426082"
)


class Answered(Answers):
    """The bytes of an answer; its status is known at once."""

    def __init__(self) -> None:
        super().__init__(None)
        self.data = b""

    def feed(self, data: bytes) -> None:
        self.data += data
        super().feed(data)

    def complete(self, method: str) -> bool:
        """Return whether all of the answer to *method* is there."""
        head, end, body = self.data.partition(b"\r\n\r\n")
        if method == "HEAD" or self.status in (204, 304):
            return bool(end)
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


class _Reply:
    def __init__(self, data: bytes) -> None:
        self.makefile = lambda mode: io.BytesIO(data)


class Uploader(Visitor):
    """Uploads a file, or fetches one, by the rules of HTTP or nearly so."""

    def __init__(self, house: House, rng: Random, seen: Seen) -> None:
        super().__init__(house, rng, seen, 2**24, {})
        self.answers: Answered = Answered()
        self._method = "POST"
        self._size = 0
        self._digest = ""
        self._right: set[int] = set()
        self._patient = True
        """Whether it waits for its answer, and the request is one that must be answered."""
        self._until = house.now() + house.prompt
        # Where not all was read that it sends, the server stays for a while.
        self._goes = house.hurried or rng.random() < 0.5
        self.put(self._get() if seen.files and rng.random() < 0.4 else self._post())

    def step(self) -> int:
        if not (self._patient or self._left):
            self.leave()
        return 0

    def hear(self) -> None:
        super().hear()
        if self.gone or not self._patient:
            return
        if self._goes and self.answers.complete(self._method):
            self._wire.end(reset=False)
            self._left = True
        elif self.house.now() > self._until:
            raise Wrong("an answer did not come")

    def over(self) -> None:
        super().over()
        if not self._patient:
            return
        if self.answers.status not in self._right:
            status = self.answers.status
            raise Wrong(f"answered with {status}, not with one of {sorted(self._right)}")
        reply = HTTPResponse(_Reply(self.answers.data), method=self._method)  # type: ignore[arg-type]
        try:
            reply.begin()
            body = reply.read()
        except (HTTPException, OSError) as error:
            raise Wrong(f"half an answer: {error!r}") from error
        if reply.getheader("X-Content-Type-Options") != "nosniff":
            raise Wrong(f"the headers {reply.getheaders()}")
        try:
            self._look(reply, body)
        except (ValueError, msgspec.MsgspecError) as error:
            raise Wrong(f"not an answer of the wire: {error!r}: {body[:300]!r}") from error

    def _look(self, reply: HTTPResponse, body: bytes) -> None:
        if reply.status == 201:
            file = msgspec.json.decode(body, type=wire.File)
            if (file.id, file.size) != (self._digest, self._size):
                raise Wrong(f"{file} is not what was sent")
            self.seen.note(self.seen.files, (file.id, file.size), self.rng)
        elif reply.status in (200, 206) and self._method == "GET":
            if reply.getheader("Content-Security-Policy", "").partition(";")[0] != "sandbox":
                raise Wrong(f"the headers {reply.getheaders()}")
            if reply.status == 200 and hashlib.sha256(body).hexdigest() != self._digest:
                raise Wrong("another file than was asked for")
        elif reply.status >= 400 and reply.status not in (405, 501):
            if body and self._method != "HEAD":
                msgspec.json.decode(body, type=wire.Refusal)
            if (reply.getheader("Retry-After") is None) == (reply.status in (429, 503)):
                raise Wrong(f"{reply.status} with {reply.getheaders()}")

    def _get(self) -> bytes:
        rng = self.rng
        self._digest, size = rng.choice(self.seen.files)
        self._method = rng.choice(("GET", "GET", "GET", "HEAD"))
        path = f"/files/{self._digest}?name={_quoted(words.text(rng)[:50])}"
        lines = []
        self._right = {200, 404}
        match rng.randrange(6):
            case 0:
                start, end = sorted((rng.randint(0, size), rng.randint(0, size)))
                wish = rng.choice((f"{start}-{end}", f"{start}-", f"-{end}", f"{size}-", "-0"))
                lines = [f"Range: bytes={wish}"]
                self._right = {206, 404, 416}
            case 1:
                odd = rng.choice(("x", "bytes=", "bytes=5-2", "bytes=0-1,3-4", "bytes=--1", "\xff"))
                lines = [f"Range: {odd}"]
            case 2:
                lines = [f'If-None-Match: W/"{self._digest}"']
                self._right = {304, 404}
            case 3:
                ends = ("/thumbnail", "/x", "/", "/thumbnail/x", "/%2e%2e/about.json", "%00")
                path = f"/files/{self._digest}{rng.choice(ends)}"
                self._method, self._right = "HEAD", {200, 404}
        return self._request(path, lines, b"")

    def _post(self) -> bytes:
        rng = self.rng
        token = rng.choice(self.seen.tokens)[0] if self.seen.tokens else "A" * 32
        size = rng.choice((1, 10, 1000, 8192, LIMIT))
        body = (
            rng.randbytes(size)
            if rng.random() < 0.8
            else words.text(rng).encode("utf-8", "surrogatepass")[:LIMIT]
        )
        if rng.random() < 0.01:
            body = PNG + rng.randbytes(rng.randrange(3))
        path = f"/files?name={_quoted(words.text(rng)[:200])}"
        # The token may be from an earlier round, when there was another log.
        known = {201, 401, 429, 507}
        self._right = known if body else {400, 401, 429}
        lines = [f"Authorization: {rng.choice(('Bearer', 'bearer'))} {token}"]
        match rng.randrange(20):
            case 0:
                lines, self._right = ["Authorization: Bearer x"], {401}
            case 1:
                lines, self._right = [*lines, "Origin: http://elsewhere"], {403}
            case 2:
                body, self._right = b"x" * (LIMIT + 1), {413, 401, 429}
            case 3:
                body, self._right = b"", {400, 401, 429}
            case 4:
                return self._chunked(path, lines, body)
            case 5:
                # The rest never comes.
                self._patient = False
                return self._request(path, lines, body)[: -max(1, len(body) // 2)]
            case 6:
                self._patient = False
                return words.mutated(rng, self._request(path, lines, body))
            case 7:
                self._method, self._right = rng.choice(("PUT", "DELETE")), {405, 501}
            case 8:
                path, self._right = rng.choice(("/files/", "/files/x", "//files")), {404, 405}
        self._digest, self._size = hashlib.sha256(body).hexdigest(), len(body)
        return self._request(path, lines, body)

    def _chunked(self, path: str, lines: list[str], body: bytes) -> bytes:
        if self.rng.random() < 0.3:
            body += bytes(LIMIT)
        self._digest, self._size = hashlib.sha256(body).hexdigest(), len(body)
        self._right = {413 if len(body) > LIMIT else 201 if body else 400, 401, 429, 507}
        chunks = [body[at : at + 1500] for at in range(0, len(body), 1500)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        return self._request(path, [*lines, "Transfer-Encoding: chunked"], sent, counted=False)

    def _request(self, path: str, lines: list[str], body: bytes, counted: bool = True) -> bytes:
        if counted and (body or self._method in ("POST", "PUT")):
            lines = [*lines, f"Content-Length: {len(body)}"]
        lines = ["Host: 127.0.0.1:8080", "Connection: close", *lines]
        self.rng.shuffle(lines)
        head = "\r\n".join([f"{self._method} {path} HTTP/1.1", *lines, "", ""])
        return head.encode("latin-1") + body


def _quoted(name: str) -> str:
    return quote(name.encode("utf-8", "surrogatepass"))
