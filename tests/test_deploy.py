"""What README.md tells those who run a room for others: done as it says, with the real programs."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID
from slack_sdk.webhook import WebhookClient
from websockets.exceptions import InvalidStatus

from tests.daemon import TWISTD, Daemon, until
from tests.parts import program
from tests.ports import port_of
from tests.test_docs import README, REPO, Somebody, blocks, named, prose, read, sections, somebody
from tests.test_files_daemon import Visitor, entered, fetch
from tests.test_hooks_daemon import admin, member

pytestmark = pytest.mark.long

NGINX = REPO / "docs" / "deploy" / "nginx.conf"
UNIT = REPO / "docs" / "deploy" / "chatroom.service"
INSTALLED = "/opt/chatroom/.venv/bin/"
HERE = f"{Path(TWISTD).parent}/"


def commands(heading: str) -> list[str]:
    """Return the commands that README.md shows below *heading*, a block each."""
    return blocks(sections(read(README), 2)[heading], "sh")


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *command* in *folder* by the shell."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{HERE}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Return *text* after *changes*, each of which must change something."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


class Site:
    """
    A site with TLS at a *port* of localhost.

    *trust* has the certificate that its clients trust, `root.pem`.
    """

    def __init__(self, port: int, trust: Path) -> None:
        self.port = port
        self.url = f"https://localhost:{port}"
        self.trusting = ssl.create_default_context(cafile=trust / "root.pem")

    def client(
        self, origin: str | None = None, source: str = "127.0.0.1", **options: Any
    ) -> AbstractContextManager[Somebody]:
        """Somebody who connects from the address *source*, with a page from *origin* or a program."""
        return somebody(
            f"wss://localhost:{self.port}/ws?token=a-secret-token",
            host="127.0.0.1",
            local_addr=(source, 0),
            ssl=self.trusting,
            origin=origin,
            **options,
        )

    def refuses(self, **options: Any) -> int:
        """Return the status with which a `client` is refused."""
        with pytest.raises(InvalidStatus) as refusal, self.client(**options):
            pass
        return refusal.value.response.status_code

    def is_a_room(self) -> None:
        """Load the page, and talk from it."""
        with urlopen(self.url, context=self.trusting) as page:
            assert page.read() == (REPO / "web" / "index.html").read_bytes()
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        with self.client(origin=self.url) as one, self.client(origin=self.url) as other:
            one.get("init")
            one.send("talk", message="Good morning")
            assert other.get("talk")["message"] == "Good morning"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder with a certificate for localhost, as certbot names the files.

    There is one between it and `root.pem`, as there is in real life.
    """
    folder = tmp_path_factory.mktemp("certificates")
    keys = {name: generate_private_key(SECP256R1()) for name in ("root", "middle", "localhost")}
    now = datetime.now(UTC)

    def certificate(name: str, issuer: str) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=name != "localhost", path_length=None), True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(keys[issuer], hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    cert, chain = certificate("localhost", "middle"), certificate("middle", "root")
    key = keys["localhost"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "root.pem").write_bytes(certificate("root", "root"))
    (folder / "cert.pem").write_bytes(cert)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "fullchain.pem").write_bytes(cert + chain)
    (folder / "privkey.pem").write_bytes(key)
    return folder


# Behind nginx


class Proxied(Site):
    """
    A *daemon* behind nginx with docs/deploy/nginx.conf, in which names, ports and paths are
    changed; nginx has its files in *folder*.
    """

    def __init__(self, daemon: Daemon, unix: Path | None, folder: Path, trust: Path) -> None:
        super().__init__(port_of(self), trust)
        self.daemon = daemon
        self.folder = folder
        self.plain = port_of(self)
        upstream = ("server 127.0.0.1:8080;", f"server 127.0.0.1:{daemon.port};")
        if unix is not None:
            upstream = ("server 127.0.0.1:8080;", "")
        site = changed(
            read(NGINX),
            upstream,
            ("# server unix:/run/chatroom/room.sock;", f"server unix:{unix};" if unix else ""),
            ("/etc/letsencrypt/live/chat.example", str(trust)),
            ("chat.example", "localhost"),
            ("/var/log/nginx", str(folder)),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("listen [::]:443 ssl;", f"listen 127.0.0.3:{self.port} ssl;"),
            ("listen 80;", f"listen 127.0.0.1:{self.plain};"),
            ("listen [::]:80;", f"listen 127.0.0.3:{self.plain};"),
        )
        scratch = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
            f"{'user root;' if os.geteuid() == 0 else ''} events {{}}"
            f"http {{ access_log {folder}/access.log; include {folder}/site.conf;"
            + "".join(f"{what}_temp_path {folder}/{what};" for what in scratch)
            + "}"
        )
        nginx = program("nginx", "install the package nginx")
        self.command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]

    def answers(self) -> bool:
        """Whether nginx takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module", params=["tcp", "unix"])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("nginx")
    unix = folder / "room.sock" if request.param == "unix" else None
    listen = ["--listen", f"unix:{unix}"] if unix else []
    with Daemon(folder / "daemon", "--max-per-address", "2", *listen) as daemon:
        proxied = Proxied(daemon, unix, folder, certificates)
        with (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(proxied.command, stderr=stderr)
        try:
            until(proxied.answers, "nginx takes connections")
            yield proxied
        finally:
            process.terminate()
            process.wait(60)


def test_nginx_serves_the_room(proxied: Proxied) -> None:
    proxied.is_a_room()


def test_nginx_leads_from_http_to_https(proxied: Proxied) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxied.plain)
    connection.request("GET", "/?room=tea", headers={"Host": "localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://localhost/?room=tea")
    connection.close()


def test_nginx_lets_no_other_site_in(proxied: Proxied) -> None:
    assert proxied.refuses(origin="https://elsewhere.example") == 403
    assert proxied.refuses(origin="https://localhost:1") == 403


def test_nginx_tells_who_connects(proxied: Proxied) -> None:
    with ExitStack() as clients:
        for source in ("127.0.0.1", "127.0.0.2") * 2:
            clients.enter_context(proxied.client(source=source)).get("init")
        claim = {"X-Forwarded-For": "192.0.2.1"}
        assert proxied.refuses(source="127.0.0.2") == 429
        assert proxied.refuses(source="127.0.0.2", additional_headers=claim) == 429
        with proxied.client(source="127.0.0.4") as third:
            third.get("init")


def test_nginx_writes_down_no_tokens(proxied: Proxied) -> None:
    with proxied.client() as client:
        client.get("init")
    proxied.daemon.stop()
    try:
        assert proxied.refuses() == 502
    finally:
        proxied.daemon.start()
    assert (proxied.folder / "access.log").read_bytes() == b""
    logs = [*proxied.folder.glob("*.log"), proxied.folder / "stderr"]
    assert len(logs) == 4
    assert [log.name for log in logs if b"a-secret-token" in log.read_bytes()] == []


def test_nginx_waits_longer_than_a_room_is_silent() -> None:
    waits = re.findall(r"proxy_(read|send)_timeout (\d+)h;", read(NGINX))
    assert sorted(waits) == [("read", "1"), ("send", "1")]


# TLS without a proxy


def test_tls_without_a_proxy(certificates: Path) -> None:
    (command,) = commands("TLS without a proxy")
    *start, option, listen = shlex.split(command)
    # As the daemon below is started.
    assert start == [".venv/bin/twistd", "-n", "--pidfile=", "chatroom"]
    listen = changed(listen, ("ssl:8443:", "ssl:0:interface=127.0.0.1:"))
    with Daemon(certificates, option, listen) as daemon:
        (port,) = re.findall(r"https://127\.0\.0\.1:(\d+)/", daemon.output)
        site = Site(int(port), certificates)
        site.is_a_room()
        assert site.refuses(origin="https://elsewhere.example") == 403


# As a service


def service() -> str:
    """Return the unit, for the programs that are here."""
    return changed(read(UNIT), (INSTALLED, HERE))


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "install the package systemd")
    unit = tmp_path / UNIT.name
    unit.write_text(service())
    verdict = run(f"{analyze} verify --man=no {unit}", tmp_path)
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")
    # An exposure of at most 1.5 of 10.
    secure = run(f"{analyze} security --offline=true --threshold=15 --no-pager {unit}", tmp_path)
    assert secure.returncode == 0, secure.stdout + secure.stderr


def test_the_service_runs_and_stops(tmp_path: Path, port: int) -> None:
    unit = RawConfigParser(strict=False)
    unit.read_string(service())
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["WorkingDirectory"] == f"%S/{unit['Service']['StateDirectory']}"
    start = changed(unit["Service"]["ExecStart"], ("tcp:8080:", f"tcp:{port}:"))
    log = tmp_path / "log"
    state = tmp_path / "state"
    state.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            shlex.split(start),
            cwd=state,
            stdout=output,
            stderr=output,
            umask=int(unit["Service"]["UMask"], 8),
        )
    try:
        opened = f"The room is open: http://127.0.0.1:{port}/\n"
        until(lambda: opened in log.read_text(), "the room is open")
        with somebody(f"ws://127.0.0.1:{port}/ws") as client:
            client.get("init")
            # What it is made with is gone by then.
            until((state / "chatroom.sqlite.search-wal").exists, "the index is there")
            files = list(state.iterdir())
            assert {file.name.partition(".")[0] for file in files} == {"chatroom"}
            modes = {oct(file.stat().st_mode) for file in files}
            assert modes == {"0o100600", "0o40700"}, "only its own user can look into them"
            process.send_signal(signal.Signals[unit["Service"]["KillSignal"]])
            assert process.wait(float(unit["Service"]["TimeoutStopSec"])) == 0
    finally:
        process.kill()
        process.wait()


def test_the_service_is_where_readme_installs_it() -> None:
    install, _ = commands("As a service")
    assert f"{INSTALLED}pip install ." in install
    _, upgrade = commands("Upgrade")
    assert f"{INSTALLED}pip install --upgrade ." in upgrade
    for block in install, upgrade:
        # The service itself cannot write down where the plugin is.
        assert re.search(r"/pip install .*\n.*/twistd --help\n(.*\n)*.*systemctl", block)
    assert f"ExecStart={INSTALLED}twistd " in read(UNIT)
    assert f"cp {UNIT.relative_to(REPO)} /etc/systemd/system/\n" in install
    assert "enable --now chatroom\n" in install and UNIT.stem == "chatroom"


def test_in_the_background(tmp_path: Path, port: int) -> None:
    _, shown = commands("As a service")
    listen = f"{TWISTD} chatroom --listen tcp:{port}:interface=127.0.0.1"
    start, stop = changed(shown, (".venv/bin/twistd chatroom", listen)).splitlines()
    # After a power cut, the number may be that of another process.
    (tmp_path / "twistd.pid").write_text(str(os.getpid()))
    refused = run(start, tmp_path)
    assert refused.returncode == 1
    assert "nother twistd server is running" in refused.stdout + refused.stderr
    (tmp_path / "twistd.pid").unlink()
    started = run(f"exec </dev/null >output 2>&1; {start}", tmp_path)
    assert started.returncode == 0, (tmp_path / "output").read_text()
    pid = int((tmp_path / "twistd.pid").read_text())
    log = tmp_path / "twistd.log"
    try:
        until(lambda: "The room is open" in log.read_text(), "the room is open")
        with somebody(f"ws://127.0.0.1:{port}/ws") as client:
            client.get("init")
            assert run(stop, tmp_path).returncode == 0
        until(lambda: not (tmp_path / "twistd.pid").exists(), "it has ended")
        until(lambda: "Server Shut Down." in log.read_text(), "it says so")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


# Your data


def kill_after_talk(daemon: Daemon) -> None:
    """Say something, and kill *daemon* while there is something in the journal of its store."""
    journal = daemon.folder / "chatroom.sqlite-wal"

    def is_left() -> bool:
        with somebody(daemon.ws) as client:
            client.send("talk", message="the last word")
            client.get("talk")
            # It might empty the journal just now.
            os.kill(daemon.pid, signal.SIGSTOP)
            if journal.stat().st_size > 0:
                daemon.kill()
                return True
            os.kill(daemon.pid, signal.SIGCONT)
            return False

    until(is_left, "something in the journal")


def test_a_backup_of_a_live_store_is_restored(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    with Daemon(tmp_path / "room", "--talk-rate", "0") as daemon:
        with somebody(daemon.ws) as client:
            before = client.get("init")
            for number in range(200):
                client.send("talk", message=f"number {number}")
            client.get("talk", id=20)
            done = run(backup, daemon.folder)
            assert (done.returncode, done.stderr) == (0, "")
            client.get("talk", id=200)
        copies = list(daemon.folder.glob("*backup*"))
        assert copies and all(copy.stat().st_mode & 0o077 == 0 for copy in copies)
        kill_after_talk(daemon)
        done = run(restore, daemon.folder)
        assert (done.returncode, done.stderr) == (0, "")
        daemon.start()
        cursor = f"token={before['self']['token']}&epoch={before['epoch']}&after=5"
        with somebody(f"{daemon.ws}?{cursor}") as client:
            after = client.get("init")
            assert after["self"]["id"] == before["self"]["id"]
            assert after["epoch"] != before["epoch"] and not after["resumed"]
            client.send("history", limit=200)
            kept = client.get("history")["messages"]
            assert [m["id"] for m in kept] == list(range(1, len(kept) + 1))
            assert 20 <= len(kept) <= 200
            assert all(m["message"] == f"number {m['id'] - 1}" for m in kept)
            client.send("talk", message="on we go")
            assert client.get("talk")["id"] == len(kept) + 1
        daemon.stop()
        with sqlite3.connect(daemon.folder / "chatroom.sqlite") as store:
            assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        store.close()


def pasted(command: str, folder: Path) -> None:
    """Do *command* in *folder* as in a shell where others follow it; nothing may go wrong."""
    done = run(f"umask 022\n{command.rstrip()}\necho $? $(umask)", folder)
    assert (done.stdout.splitlines()[-1:], done.stderr) == (["0 0022"], "")


def history(visitor: Visitor) -> list[tuple[str, str | None]]:
    """Return what was said, each with the id of its file."""
    visitor.say("history", limit=100)
    messages = visitor.heard("history")["messages"]
    return [(m["message"], m["file"]["id"] if "file" in m else None) for m in messages]


def say(visitor: Visitor, message: str, file: Any = None) -> None:
    """Say it, and wait until it is kept."""
    visitor.say("talk", message=message, **({"file": file} if file else {}))
    visitor.heard("talk")


def test_backups_and_restores_may_be_done_again(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    told = named(prose(sections(read(README), 2)["Your data"]))
    (chown,) = (words for words in told if words.startswith("chown "))
    if os.geteuid() == 0:
        # As with systemd, where root does it for another user.
        os.chown(tmp_path, 65534, 65534)
    with Daemon(tmp_path) as daemon:
        paths, kept = [], []
        for number in "first", "second":
            with entered(daemon) as visitor:
                file = visitor.upload(f"the {number} file".encode())
                say(visitor, number, file)
            kept.append((number, file["id"]))
            new = ("hook", "add", "incoming", "--room", "lobby", "--name", number)
            paths.append(member(admin(tmp_path, *new), "path"))
            pasted(backup, tmp_path)
        hooks = admin(tmp_path, "hook", "list")
        for number in "third", "fourth":
            with entered(daemon) as visitor:
                since = visitor.upload(f"the {number} file".encode())
                say(visitor, number, since)
            admin(tmp_path, "hook", "add", "incoming", "--room", "lobby", "--name", number)
            kill_after_talk(daemon)
            pasted(restore, tmp_path)
            assert run(chown, tmp_path).returncode == 0
            restored = [
                p for top in tmp_path.glob("chatroom.sqlite*") for p in [top, *top.rglob("*")]
            ]
            assert {path.stat().st_uid for path in restored} == {tmp_path.stat().st_uid}
            assert admin(tmp_path, "hook", "list") == hooks
            daemon.start()
            with entered(daemon) as visitor:
                assert history(visitor) == kept
            for message, id in kept:
                assert fetch(daemon, f"/files/{id}") == (200, f"the {message} file".encode())
            assert fetch(daemon, f"/files/{since['id']}")[0] == 404
        for path in paths:
            hook = WebhookClient(daemon.url.rstrip("/") + path)
            assert hook.send(text="ok").status_code == 200
        assert daemon.stop() == 0


def test_a_backup_without_files_and_hooks(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    with Daemon(tmp_path, "--files", "elsewhere", "--without", "hooks") as daemon:
        for number in "first", "second":
            with entered(daemon) as visitor:
                say(visitor, number)
            pasted(backup, tmp_path)
        daemon.stop()
        pasted(restore, tmp_path)
        assert [path.name for path in tmp_path.glob("chatroom.sqlite*")] == ["chatroom.sqlite"]
        daemon.start()
        with entered(daemon) as visitor:
            assert history(visitor) == [("first", None), ("second", None)]


def test_a_backup_moves_to_another_machine(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    here, there = tmp_path / "here", tmp_path / "there"
    with Daemon(here) as daemon:
        with entered(daemon) as visitor:
            say(visitor, "moved", visitor.upload(b"a file"))
            (moved,) = history(visitor)
        pasted(backup, here)
    shutil.copytree(here / "chatroom-backup", there / "chatroom-backup")
    pasted(restore.splitlines()[-1], there)
    with Daemon(there) as daemon:
        with entered(daemon) as visitor:
            assert history(visitor) == [moved]
        assert fetch(daemon, f"/files/{moved[1]}") == (200, b"a file")


def test_what_is_not_there_is_neither_backed_up_nor_restored(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    assert run(backup, tmp_path).returncode != 0
    assert run(restore, tmp_path).returncode != 0
    assert list(tmp_path.iterdir()) == []
    with Daemon(tmp_path) as daemon:
        daemon.stop()
    there = sorted(tmp_path.iterdir())
    assert run(restore, tmp_path).returncode != 0
    assert sorted(tmp_path.iterdir()) == there


def test_a_backup_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    backup, restore = commands("Your data")
    with Daemon(tmp_path) as daemon:
        with entered(daemon) as visitor:
            say(visitor, "kept")
        pasted(backup, tmp_path)
        daemon.stop()
        (tmp_path / "chatroom.sqlite").write_bytes(b"not a database" * 1000)
        assert run(backup, tmp_path).returncode != 0
        pasted(restore, tmp_path)
        daemon.start()
        with entered(daemon) as visitor:
            assert history(visitor) == [("kept", None)]


# Privacy


def test_nothing_is_written_down_but_what_was_said(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:

        def visitor(name: str) -> AbstractContextManager[Somebody]:
            return somebody(f"{daemon.ws}?name={name}", local_addr=("127.0.0.9", 0))

        with visitor("Speaker") as speaker, visitor("Reader") as reader:
            token = speaker.get("init")["self"]["token"]
            reader.send("rename", name="Renamed")
            reader.send("talk", message="x" * 5000, nonce="TooLong")
            reader.send("whistle", tune="Whistled")
            speaker.send("talk", message="SaidAloud")
            reader.get("talk")
        with pytest.raises(InvalidStatus), somebody(daemon.ws, origin="https://origin.example"):
            pass
        with urlopen(daemon.url) as page:
            assert "Set-Cookie" not in page.headers
            assert "//" not in page.headers["Content-Security-Policy"]
        assert daemon.stop() == 0
    store = (tmp_path / "chatroom.sqlite").read_bytes()
    unsaid = ["Reader", "Renamed", "127.0.0.9", "TooLong", "Whistled", "origin.example", token]
    said = ["Speaker", "SaidAloud"]
    assert [word for word in said if word.encode() not in store] == []
    assert [word for word in unsaid if word.encode() in store] == []
    assert [word for word in [*said, *unsaid] if word in daemon.output] == []
