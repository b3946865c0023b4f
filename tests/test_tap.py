"""``twistd chatroom``: its options, and the real process from start to stop."""

from __future__ import annotations

import gc
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
import weakref
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import capturedLogs
from twisted.python.usage import UsageError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect, unix_connect

from chatroom.doors import NAMES
from chatroom.tap import FREEZE, PAGE, ChatService, Options, address
from chatroom.web import IN_MEMORY
from tests.daemon import TWISTD, Daemon, until


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def test_defaults() -> None:
    assert dict(parsed()) == {
        "listen": ["tcp:8080"],
        "irc": [],
        "store": Path("chatroom.sqlite"),
        "web": PAGE,
        "echo": 0,
        "origin": [],
        "doors": set(NAMES),
        "ping": 25.0,
        "ping-timeout": 20.0,
        "max-message": 4000,
        "max-file": 10_485_760,
        "max-files": 1_073_741_824,
        "files": Path("chatroom.sqlite.files"),
        "max-connections": 0,
        "max-per-address": 0,
        "talk-rate": 5.0,
        "talk-burst": 20,
        "crowd": 200,
        "grace": 10.0,
    }


def test_options() -> None:
    options = parsed(
        *("--listen", "tcp:1", "--listen", "unix:x", "--store", "memory:", "--echo"),
        *("--origin", "https://a.example", "--origin", "*", "--grace", "0.5", "--web", str(PAGE)),
        *("--max-file", "0", "--without", "irc", "--without", "sse", "--without", "irc"),
    )
    assert options["doors"] == {"hooks", "poll", "rest", "socketio"}
    assert options["listen"] == ["tcp:1", "unix:x"]
    assert options["store"] is None
    assert options["echo"] == 1
    assert options["origin"] == ["https://a.example", "*"]
    assert options["grace"] == 0.5
    assert options["web"] == PAGE
    assert options["max-file"] == 0
    # Nowhere in particular: they go with the process, like what is said.
    assert options["files"] is None
    assert parsed("--store", "sqlite:/var/x.db")["files"] == Path("/var/x.db.files")
    assert parsed("--files", "/var/x", "--store", "memory:")["files"] == Path("/var/x")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("listen", "nonsense", "cannot listen on 'nonsense'"),
        ("listen", "tcp:x", "cannot listen on 'tcp:x'"),
        ("listen", "nonsense:1", "cannot listen on 'nonsense:1'"),
        ("irc", "tcp:x", "--irc: cannot listen on 'tcp:x'"),
        ("store", "x.sqlite", "neither sqlite:PATH nor memory:"),
        ("store", "sqlite:", "neither"),
        ("store", "memory:x", "neither"),
        ("store", "sqlite:.", "neither"),
        ("files", "", "'' is no folder"),
        ("web", "/nowhere", "no index.html in '/nowhere'"),
        ("origin", "chat.example", "not an origin like https://chat.example"),
        ("origin", "https://a.example/page", "not an origin"),
        ("ping", "often", "'often' is not a number"),
        ("ping", "-1", "-1 is not from 0 to 86400"),
        ("ping-timeout", "nan", "nan is not from"),
        ("max-message", "1.5", "'1.5' is not a whole number"),
        ("max-message", "0", "0 is not from 1 to 100000"),
        ("max-file", "-1", "not from 0"),
        ("max-files", "10M", "'10M' is not a whole number"),
        ("max-connections", "-1", "not from 0"),
        ("max-per-address", "x", "not a whole number"),
        ("talk-rate", "inf", "inf is not from 0"),
        ("talk-burst", "0", "0 is not from 1"),
        ("crowd", "0", "0 is not from 1"),
        ("grace", "1e9", "not from 0"),
        ("without", "ws", "none of hooks, irc"),
    ],
)
def test_bad_values(option: str, value: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(f"--{option}={value}")
    assert f"--{option}" in str(caught.value)
    assert says in str(caught.value)


def test_a_door_that_is_to_be_open_and_closed() -> None:
    with pytest.raises(UsageError, match="--without irc leaves this door closed"):
        parsed("--irc", "tcp:6667", "--without", "irc")


def test_where_to_open_it() -> None:
    for description, host, url in (
        ("tcp:80", IPv4Address("TCP", "0.0.0.0", 80), "http://localhost:80/"),
        ("tcp:0", IPv4Address("TCP", "127.0.0.1", 81), "http://127.0.0.1:81/"),
        ("ssl:443", IPv4Address("TCP", "0.0.0.0", 443), "https://localhost:443/"),
        ("tcp6:80", IPv6Address("TCP", "::", 80), "http://localhost:80/"),
        ("tcp6:80", IPv6Address("TCP", "::1", 80), "http://[::1]:80/"),
        ("unix:/run/chat", UNIXAddress(b"/run/chat"), "unix:/run/chat"),
    ):
        assert address(description, host) == url


def refused(folder: Path, *options: str) -> str:
    """Return what a daemon prints that does not start; its one line that matters."""
    done = subprocess.run(
        [TWISTD, "-n", "--pidfile=", "chatroom", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "chatroom: " in line]
    return line


def test_bad_option_of_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [TWISTD, "-n", "chatroom", "--grace", "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("--grace: 'x' is not a number")
    assert "Traceback" not in done.stdout + done.stderr


def test_busy_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        listen = f"tcp:{busy.getsockname()[1]}:interface=127.0.0.1"
        line = refused(tmp_path, "--listen", listen)
    assert f"cannot listen on {listen}" in line
    assert "Address already in use" in line


def test_stores_that_will_not_do(tmp_path: Path) -> None:
    def line(store: str) -> str:
        return refused(tmp_path, "--listen", "tcp:0:interface=127.0.0.1", "--store", store)

    (tmp_path / "text").write_text("something else entirely, and long enough to be looked at")
    assert "the store text is no database" in line("sqlite:text")
    with sqlite3.connect(tmp_path / "foreign") as foreign:
        foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    assert "of another program" in line("sqlite:foreign")
    assert "cannot use the store" in line("sqlite:nowhere/x")
    assert "cannot use the store" in line("sqlite:/proc/x")


def test_second_daemon_on_the_same_store(tmp_path: Path) -> None:
    with Daemon(tmp_path):
        line = refused(tmp_path, "--listen", "tcp:0:interface=127.0.0.1")
    assert "chatroom.sqlite is in use by another process" in line


def test_one_line_says_where(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        (line,) = [line for line in daemon.output.splitlines() if "http" in line]
        assert line.endswith(f"The room is open: {daemon.url}")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.output


def test_stops_for_good(tmp_path: Path) -> None:
    """Whoever reads is told 1012; what was said is kept; who does not read keeps nobody."""
    # Nothing else would end a connection that is stuck.
    daemon = Daemon(tmp_path, "--talk-rate", "0", "--ping", "0")
    with daemon, connect(daemon.ws) as client, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", daemon.port))
        stuck.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        client.recv()
        text = "x" * 4000
        for _ in range(500):
            client.send(f'{{"event":"talk","data":{{"message":"{text}"}}}}')
        assert daemon.stop() == 0
        seen = 0
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                seen += '"talk"' in str(client.recv(60))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    with sqlite3.connect(tmp_path / "chatroom.sqlite") as store:
        (kept,) = store.execute("SELECT count(*) FROM messages").fetchone()
    store.close()
    assert kept >= seen > 0


def test_echo_is_there_when_asked_for(tmp_path: Path) -> None:
    with Daemon(tmp_path / "without") as daemon, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{daemon.port}/echo")
    assert refused.value.response.status_code == 404
    with Daemon(tmp_path / "with", "--echo") as daemon:
        with connect(f"ws://127.0.0.1:{daemon.port}/echo") as client:
            client.send("hello")
            assert client.recv(60) == "hello"
            assert daemon.stop() == 0
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


def test_bug_in_a_tick_is_not_its_last() -> None:
    service = ChatService(parsed())
    service._chat = None  # type: ignore[assignment]
    service._doors = SimpleNamespace(connections=0)  # type: ignore[assignment]
    with capturedLogs() as logged:
        service._tick()
    assert [event["log_format"] for event in logged] == ["a bug in a tick"]


def test_bug_in_a_sweep_is_not_its_last() -> None:
    service = ChatService(parsed())
    service._folder = None  # type: ignore[assignment]
    with capturedLogs() as logged:
        service._sweep()
    assert [event["log_format"] for event in logged] == ["a bug in a sweep"]


def test_asked_twice_to_stop(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.output


def test_in_memory_and_in_other_places(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("mine")
    (tmp_path / "page" / "film.bin").write_bytes(b"x" * (IN_MEMORY + 1))
    listen = f"unix:{tmp_path}/socket"
    options = ("--store", "memory:", "--web", str(tmp_path / "page"), "--listen", listen)
    with Daemon(tmp_path, *options) as daemon:
        with unix_connect(f"{tmp_path}/socket", "ws://localhost/ws") as client:
            assert '"init"' in str(client.recv())
            client.send('{"event":"talk","data":{"message":"hello"}}')
            assert '"hello"' in str(client.recv())
        with urllib.request.urlopen(daemon.url + "film.bin") as answer:
            assert answer.read() == b"x" * (IN_MEMORY + 1)
        assert daemon.stop() == 0
    assert not list(tmp_path.glob("*.sqlite*"))


def test_a_system_whose_clock_is_set_back(tmp_path: Path) -> None:
    set_back = (
        "import os, time; real = time.time;"
        "time.time = lambda: real() - 3600 * os.path.exists('set-back');"
        "from twisted.scripts.twistd import run; run()"
    )
    program = sys.executable, "-c", set_back
    with Daemon(tmp_path, "--grace", "0.2", program=program) as daemon:
        with connect(daemon.ws) as ann:
            with connect(daemon.ws) as bob:
                ann.send('{"event":"talk","data":{"message":"before"}}')
                until(lambda: '"before"' in str(ann.recv(60)), "the first message")
                (tmp_path / "set-back").touch()
                ann.send('{"event":"talk","data":{"message":"after"}}')
                until(lambda: '"after"' in str(ann.recv(60)), "the second message")
                bob.socket.shutdown(socket.SHUT_RDWR)
            until(lambda: '"event":"exit"' in str(ann.recv(60)), "that Bob is gone")
        assert daemon.stop() == 0


def test_socket_of_systemd(tmp_path: Path) -> None:
    """Handed over as sd_listen_fds(3) has it: from descriptor 3 on, named by process and number."""
    hand_over = (
        "import os, sys; twistd, fd = sys.argv[1:];"
        "os.dup2(int(fd), 3); os.environ.update("
        "LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='chatroom.socket');"
        "os.execl(twistd, twistd, '-n', '--pidfile=', 'chatroom',"
        " '--listen', 'systemd:domain=INET:index=0')"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", hand_over, TWISTD, str(listening.fileno())],
            cwd=tmp_path,
            pass_fds=[listening.fileno()],
        )
        try:
            # The socket queues who comes before the daemon is there.
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
            with connect(url, open_timeout=60) as client:
                assert '"init"' in str(client.recv(60))
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_limits_of_descriptors_keep_the_room_alive(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        with connect(daemon.ws) as client:
            client.recv()
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (100, 100))
            crowd = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(120)]
            client.send('{"event":"talk","data":{"message":"still here"}}')
            while '"still here"' not in str(client.recv(60)):
                pass
            for sock in crowd:
                sock.close()
        assert "Traceback" not in daemon.output


def test_daemon(tmp_path: Path) -> None:
    listen = "tcp:0:interface=127.0.0.1"
    subprocess.run([TWISTD, "chatroom", "--listen", listen], cwd=tmp_path, timeout=60, check=True)
    log, pidfile = tmp_path / "twistd.log", tmp_path / "twistd.pid"
    until(lambda: log.exists() and "The room is open" in log.read_text(), "a daemon")
    pid = int(pidfile.read_text())
    try:
        again = subprocess.run(
            [TWISTD, "--pidfile=2", "chatroom", "--listen", listen],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert again.returncode == 1
        assert re.search("in use by another process", again.stderr + log.read_text())
        assert "Traceback" not in log.read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not pidfile.exists(), "an end")


def test_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with Daemon(tmp_path) as daemon:
            assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_crowd_that_comes_while_the_daemon_is_held_up(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, ExitStack() as crowd:
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            for _ in range(300):
                knock = socket.create_connection(("127.0.0.1", daemon.port), timeout=60)
                crowd.enter_context(knock).sendall(b"GET /health HTTP/1.0\r\n\r\n")
                last = knock
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert last.recv(99).split()[1] == b"200"


def test_garbage_collector_leaves_those_alone_who_are_there() -> None:
    service = ChatService(parsed())
    try:
        gc.unfreeze()
        service._freeze(FREEZE - 1)
        assert gc.get_freeze_count() == 0
        service._freeze(FREEZE)
        frozen = gc.get_freeze_count()
        assert frozen > 0
        kept: list[list[object]] = [[] for _ in range(1000)]
        service._freeze(2 * FREEZE - 1)
        # Of what is frozen some may go at any time, for other threads have it.
        assert gc.get_freeze_count() <= frozen
        service._freeze(2 * FREEZE)
        assert gc.get_freeze_count() >= frozen + 500
        # What was there, and turned to garbage, goes when half of them have gone.
        knot = Options()
        knot["knot"] = knot
        gone = weakref.ref(knot)
        service._freeze(3 * FREEZE)
        del knot
        service._freeze(2 * FREEZE)
        gc.collect()
        assert gone() is not None
        service._freeze(FREEZE)
        assert gone() is None
        # Now as many may come again.
        frozen = gc.get_freeze_count()
        kept += [[] for _ in range(1000)]
        service._freeze(2 * FREEZE)
        assert gc.get_freeze_count() >= frozen + 500
    finally:
        gc.unfreeze()
