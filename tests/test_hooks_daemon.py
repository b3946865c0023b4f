"""Hooks and real processes: the daemon, `chatroom-admin`, a receiver, and Slack's own client."""

from __future__ import annotations

import json
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.webhook import WebhookClient
from standardwebhooks import Webhook
from websockets.sync.client import ClientConnection, connect

from chatroom.hooks import beside
from chatroom.hooks.file import HooksFile, Outgoing
from tests.daemon import Daemon, until

pytestmark = pytest.mark.long

KILLS, EACH = 4, 40


def admin(folder: Path, *arguments: str) -> str:
    """Return what `chatroom-admin` prints in *folder*."""
    command = [sys.executable, "-c", "from chatroom.admin import main; main()", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.PIPE, timeout=60
    ).stdout.decode()


def member(printed: str, name: str) -> str:
    """Return what `chatroom-admin` has *printed* as *name*."""
    for line in printed.splitlines():
        if line.startswith(f"{name}: "):
            return line.removeprefix(f"{name}: ")
    raise AssertionError(printed)


class Posts(ThreadingHTTPServer):
    """A receiver on a loopback port: what came, and how it is answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.came = threading.Condition()
        self.status = 200
        self.most = float("inf")
        """With so many different posts, none is answered any more."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/in"

    @property
    def texts(self) -> list[str]:
        """What has come, each once, in the order in which it came first."""
        events = {headers["webhook-id"]: json.loads(body) for headers, body in self.posts}
        return [event["data"]["message"] for event in events.values()]

    def hold(self, most: float) -> None:
        """Answer less than *most*."""
        with self.came:
            self.most = most
            self.came.notify_all()

    def handle_error(self, *_: object) -> None:
        """Tell of what went wrong, unless that is a sender who was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)  # type: ignore[arg-type]

    def wait(self, count: int) -> None:
        """Wait until so many different ones have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.texts) >= count, 60), self.texts


class Post(BaseHTTPRequestHandler):
    server: Posts
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.came:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.posts.append((headers, body))
            self.server.came.notify_all()
            self.server.came.wait_for(lambda: len(self.server.texts) < self.server.most, 300)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Posts]:
    """Have a receiver."""
    with Posts() as posts:
        thread = threading.Thread(target=posts.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield posts
        finally:
            posts.shutdown()
            thread.join()


def test_slacks_own_client(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--talk-burst", "4") as daemon:
        printed = admin(tmp_path, "hook", "add", "incoming", "--room", "lobby", "--name", "Deploys")
        url = daemon.url.rstrip("/") + member(printed, "path")
        with connect(daemon.ws) as ann:
            client = WebhookClient(url)
            until(lambda: client.send(text="Build 42 passed").status_code == 200, "a new hook")
            answer = client.send(
                text="for who cannot show blocks",
                blocks=[
                    {"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
                    {"type": "section", "text": {"type": "mrkdwn", "text": "*prod* is up"}},
                ],
                attachments=[{"fallback": "with a note"}],
            )
            assert (answer.status_code, answer.body) == (200, "ok")
            answer = client.send_dict({"text": "by another name", "username": "Jenkins"})
            assert (answer.status_code, answer.body) == (200, "ok")
            messages = heard(ann, 3)
        assert [message["message"] for message in messages] == [
            "Build 42 passed",
            "**Deploy**\n\n**prod** is up\n\nwith a note",
            "by another name",
        ]
        assert messages[1]["html"].startswith("<p><strong>Deploy</strong></p>")
        names = [message["from"]["name"] for message in messages]
        assert names == ["Deploys", "Deploys", "Jenkins"]
        # What it is told of trouble, it understands.
        answer = client.send(text="")
        assert (answer.status_code, answer.body) == (400, "no_text")
        answer = WebhookClient(url + "x").send(text="x")
        assert (answer.status_code, answer.body) == (404, "no_service")
        patient = RateLimitErrorRetryHandler(max_retry_count=2)
        insistent = WebhookClient(url, retry_handlers=[patient])
        statuses = [insistent.send(text=str(number)).status_code for number in range(6)]
        assert statuses == [200] * 6
        until(lambda: client.send(text="x").status_code == 429, "too many at once")
        assert "Traceback" not in daemon.output
        for secret in (url.rpartition("/")[2], "Build 42", "Jenkins"):
            assert secret not in daemon.output


def test_killed_again_and_again(tmp_path: Path) -> None:
    rng = random.Random(5)
    texts: list[str] = []
    with receiving() as posts, Daemon(tmp_path, "--talk-rate", "0") as daemon:
        printed = admin(
            *(tmp_path, "hook", "add", "outgoing", "--room", "lobby"),
            *("--url", posts.url, "--allow-private"),
        )
        secret = member(printed, "secret")
        until(lambda: cursor(tmp_path), "a hook that is noticed")
        for _ in range(KILLS):
            # The last of these has come when all ends, and its sender does not know.
            some = len(texts) + rng.randrange(1, EACH)
            posts.hold(some)
            with connect(daemon.ws) as ann:
                for _ in range(EACH):
                    texts.append(f"{len(texts)}")
                    ann.send(json.dumps({"event": "talk", "data": {"message": texts[-1]}}))
                heard(ann, EACH)
                posts.wait(some)
                daemon.kill()
            posts.hold(float("inf"))
            daemon.start()
        posts.wait(len(texts))
        assert posts.texts == texts
        assert len(posts.posts) >= len(texts) + KILLS
        bodies: dict[str, bytes] = {}
        for headers, body in posts.posts:
            assert bodies.setdefault(headers["webhook-id"], body) == body
            Webhook(secret).verify(body, headers)
        # The last has come, but its sender need not know yet.
        noted = f"-{len(texts)}"
        until(lambda: str(cursor(tmp_path)).endswith(noted), "that all have come is noted")
        assert daemon.stop() == 0
        assert str(cursor(tmp_path)).endswith(noted)
        assert "Traceback" not in daemon.output


def test_a_receiver_that_is_away(tmp_path: Path) -> None:
    with receiving() as posts, Daemon(tmp_path) as daemon:
        posts.status = 503
        printed = admin(
            *(tmp_path, "hook", "add", "outgoing", "--room", "lobby"),
            *("--url", posts.url, "--allow-private"),
        )
        id = member(printed, "id")
        with connect(daemon.ws) as ann:
            until(lambda: cursor(tmp_path), "a hook that is noticed")
            ann.send(json.dumps({"event": "talk", "data": {"message": "secret words"}}))
            until(lambda: "fails: the answer is 503" in listed(tmp_path, id), "trouble")
            posts.status = 200
            until(lambda: "well" in listed(tmp_path, id), "no trouble")
        assert f"hook {id} fails, and is tried again: the answer is 503" in daemon.output
        assert f"hook {id} works again" in daemon.output
        assert daemon.output.count(f"hook {id}") == 2
        for word in ("secret words", "factory"):
            assert word not in daemon.output
        assert posts.url not in daemon.output
        assert daemon.stop() == 0


def test_no_hooks_without_them(tmp_path: Path) -> None:
    for options in (("--without", "hooks"), ("--store", "memory:")):
        folder = tmp_path / options[-1].strip(":")
        with Daemon(folder, *options) as daemon:
            answer = WebhookClient(f"{daemon.url}hooks/x").send(text="x")
            assert (answer.status_code, "no_service" in answer.body) == (405, False)
            assert list(folder.glob("*.hooks*")) == []


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "chatroom.sqlite.hooks"
    with Daemon(tmp_path) as daemon:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        daemon.stop()
        path.write_bytes(b"not a database" * 1000)
        try:
            daemon.start()
        except AssertionError as error:
            printed = str(error)
    assert "cannot use the hooks in chatroom.sqlite.hooks: file is not a database" in printed
    assert "Traceback" not in printed


def listed(folder: Path, id: str) -> str:
    """Return the line that `chatroom-admin` has for the hook *id*."""
    lines = admin(folder, "hook", "list").splitlines()
    return next(line for line in lines if line.startswith(id))


def cursor(folder: Path) -> str | None:
    """Return how far the only hook has come, by its file."""
    with closing(HooksFile(beside(folder / "chatroom.sqlite"))) as hooks:
        (hook,) = hooks.hooks()
    assert isinstance(hook, Outgoing)
    return hook.state.cursor


def heard(socket: ClientConnection, count: int) -> list[Any]:
    """Return the next *count* messages that come over *socket*."""
    messages: list[Any] = []
    while len(messages) < count:
        event = json.loads(socket.recv(60))
        messages += [event["data"]] * (event["event"] == "talk")
    return messages
