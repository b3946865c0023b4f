"""Files and a real process: what it leaves behind, however it ends, and how much memory it takes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.daemon import Daemon, until
from tests.filing import image
from tests.test_tap import refused

pytestmark = pytest.mark.long

LARGE = 100 * 10**6
SLACK = 16 * 10**6
"""A file of any size may take so many bytes of memory."""


class Visitor:
    """Somebody in the lobby of *daemon*, who uploads things."""

    def __init__(self, daemon: Daemon, socket: ClientConnection) -> None:
        self.port = daemon.port
        self.socket = socket
        self.token = self.heard("init")["self"]["token"]

    def heard(self, name: str) -> Any:
        """Return the data of the next event called *name*."""
        while (said := json.loads(self.socket.recv(60)))["event"] != name:
            assert said["event"] != "error", said
        return said["data"]

    def say(self, event: str, **data: Any) -> None:
        self.socket.send(json.dumps({"event": event, "data": data}))

    def post(self, size: int) -> HTTPConnection:
        """Begin to upload *size* bytes."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=60)
        client.putrequest("POST", "/files?name=x.bin")
        client.putheader("Authorization", f"Bearer {self.token}")
        client.putheader("Content-Length", str(size))
        client.endheaders()
        return client

    def upload(self, data: bytes) -> Any:
        """Upload *data* and return what it is."""
        client = self.post(len(data))
        client.send(data)
        return said(client)


@contextmanager
def entered(daemon: Daemon) -> Iterator[Visitor]:
    """Have somebody in the lobby."""
    with connect(daemon.ws) as socket:
        yield Visitor(daemon, socket)


def said(client: HTTPConnection) -> Any:
    with client.getresponse() as answer:
        body = json.loads(answer.read())
        assert answer.status == 201, body
    client.close()
    return body


def coming(folder: Path) -> int:
    """Return how many bytes there are in *folder* of uploads that are under way."""
    return sum(path.stat().st_size for path in folder.glob("incoming/*/original"))


def fetch(daemon: Daemon, path: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", daemon.port, timeout=60)) as client:
        client.request("GET", path)
        with client.getresponse() as answer:
            return answer.status, answer.read()


def test_kill_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5_000_000)
    files = tmp_path / "chatroom.sqlite.files"
    with Daemon(tmp_path) as daemon, entered(daemon) as visitor:
        client = visitor.post(len(data))
        client.send(data[:2_000_000])
        until(lambda: coming(files) == 2_000_000, "an upload that is half there")
        daemon.kill()
        with pytest.raises(OSError):
            client.send(data[2_000_000:])
            client.getresponse()
        client.close()
        assert coming(files) == 2_000_000
        daemon.start()
        assert coming(files) == 0
        assert list(files.glob("incoming/*")) == []
        # The same user, with the same token, uploads it again.
        file = visitor.upload(data)
        assert file["id"] == hashlib.sha256(data).hexdigest()
        assert fetch(daemon, f"/files/{file['id']}") == (200, data)
        daemon.kill()
        daemon.start()
        assert fetch(daemon, f"/files/{file['id']}") == (200, data)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.output


def test_stop_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    files = tmp_path / "chatroom.sqlite.files"
    with Daemon(tmp_path) as daemon, entered(daemon) as visitor:
        client = visitor.post(5_000_000)
        client.send(b"x" * 2_000_000)
        until(lambda: coming(files) == 2_000_000, "an upload that is half there")
        assert daemon.stop() == 0
        with pytest.raises(OSError):
            client.getresponse()
        client.close()
        assert list(files.glob("incoming/*")) == []
        assert "Traceback" not in daemon.output
        daemon.start()
        assert visitor.upload(b"x" * 5_000_000)["size"] == 5_000_000


def most(daemon: Daemon) -> int:
    """Return how many bytes of memory *daemon* has had at most."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def test_large_files_take_little_memory(tmp_path: Path) -> None:
    chunk = random.Random(2).randbytes(10**6)
    with Daemon(tmp_path, "--max-file", str(LARGE)) as daemon, entered(daemon) as visitor:
        # What is needed for any of them: libraries, threads, buffers.
        visitor.upload(image())
        assert fetch(daemon, f"/files/{visitor.upload(chunk)['id']}") == (200, chunk)
        before = most(daemon)
        client = visitor.post(LARGE)
        digest = hashlib.sha256()
        for _ in range(LARGE // len(chunk)):
            client.send(chunk)
            digest.update(chunk)
        file = said(client)
        assert file["id"] == digest.hexdigest()
        client = HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        client.request("GET", f"/files/{file['id']}")
        answer = client.getresponse()
        back = hashlib.sha256()
        while part := answer.read(10**6):
            back.update(part)
        assert back.hexdigest() == file["id"]
        client.close()
        assert most(daemon) - before < SLACK
        assert "Traceback" not in daemon.output


def test_file_goes_with_the_last_message_that_refers_to_it(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, entered(daemon) as visitor:
        data = image("PNG", (100, 50))
        file = visitor.upload(data)
        for _ in range(2):
            visitor.say("talk", message="", file={"id": file["id"], "name": "a/../b.png"})
        first, second = visitor.heard("talk"), visitor.heard("talk")
        assert first["file"] == file | {"name": "b.png"}
        path = f"/files/{file['id']}?name=b.png"
        for id, there in ((first["id"], True), (second["id"], False)):
            visitor.say("delete", of=id)
            visitor.heard("delete")
            status, body = fetch(daemon, path)
            assert (status == 200) is there
            assert (body == data) is there
        until(
            lambda: (
                not any(
                    set(files) - {"lock"}
                    for _, _, files in os.walk(tmp_path / "chatroom.sqlite.files")
                )
            ),
            "an empty folder",
        )


def test_client_that_goes_on_after_a_refusal_gets_the_answer(tmp_path: Path) -> None:
    """As browsers do, which send all before they look at what was answered."""
    with Daemon(tmp_path) as daemon:
        client = HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        client.request("POST", "/files", b"x" * 20_000_000, {"Authorization": "Bearer nobody"})
        answer = client.getresponse()
        assert answer.status == 401
        assert json.loads(answer.read())["code"] == "unauthorized"
        client.close()


def test_without_a_store_the_files_go_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    there = Daemon(tmp_path / "there", "--store", "memory:")
    with there as daemon, entered(daemon) as visitor:
        data = random.Random(3).randbytes(1_000_000)
        file = visitor.upload(data)
        assert fetch(daemon, f"/files/{file['id']}") == (200, data)
        assert len(list(tmp_path.glob("chatroom-*"))) == 1
        assert daemon.stop() == 0
        assert list(tmp_path.glob("chatroom-*")) == []


def test_room_goes_on_while_a_picture_is_looked_at(tmp_path: Path) -> None:
    """The largest that is decoded, over and over, and somebody who asks all the time."""
    photo = image("PNG", (6000, 4000), "L")
    with Daemon(tmp_path) as daemon, entered(daemon) as visitor, entered(daemon) as other:
        client = visitor.post(len(photo))
        client.send(photo)
        answered = sum(pings(other, client, daemon))
        file = said(client)
        assert (file["width"], file["height"]) == (6000, 4000)
        assert answered > 5


def pings(visitor: Visitor, until_answered: HTTPConnection, daemon: Daemon) -> Iterator[bool]:
    """
    Ask for signs of life until there is an answer.

    Gives of each whether all the time, from its question to its answer, a picture was looked at.
    """
    connection = until_answered.sock
    assert isinstance(connection, socket.socket)
    connection.setblocking(False)
    while True:
        looking = children(daemon)
        visitor.say("ping")
        visitor.heard("pong")
        yield bool(looking & children(daemon))
        try:
            connection.recv(1, socket.MSG_PEEK)
            break
        except BlockingIOError:
            pass
    connection.settimeout(60)


def children(daemon: Daemon) -> set[str]:
    """Return the ids of the processes that *daemon* has begun."""
    found: set[str] = set()
    for begun in Path(f"/proc/{daemon.pid}/task").glob("*/children"):
        with suppress(OSError):  # of a thread that has ended
            found.update(begun.read_text().split())
    return found


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    options = ("--listen", "tcp:0:interface=127.0.0.1", "--files")
    assert "cannot use the folder of files /proc/x" in refused(tmp_path, *options, "/proc/x")
    (tmp_path / "text").write_text("")
    assert "text: File exists" in refused(tmp_path, *options, "text")
    with Daemon(tmp_path, "--files", "shared"):
        line = refused(tmp_path, "--store", "sqlite:other.sqlite", *options, "shared")
    assert line.endswith("shared is in use by another process")
