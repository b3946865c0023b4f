"""``chatroom-load``, the command, with a real daemon."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID
from twisted.python.usage import UsageError
from websockets.sync.client import connect

from chatroom.load import main, make_room
from tests.daemon import Daemon, until

COMMAND = [sys.executable, "-m", "chatroom.load"]


def test_more_connections_than_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(UsageError, match=rf"at most {hard - 32:,}, .* only {hard:,} files"):
        make_room(hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, says in (("--help", "ws://HOST:PORT/ws"), ("--version", "chatroom ")):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert not ended.value.code
        assert says in capsys.readouterr().out


@pytest.mark.long
def test_a_real_run(tmp_path: Path) -> None:
    """More connections than the soft limit of files, with a bar on a terminal."""
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 80))

    def few_files() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))

    with Daemon(tmp_path, "--talk-rate", "0") as daemon:
        command = [*COMMAND, daemon.ws, "-c", "50", "-s", "5", "-w", "2", "-t", "1", "--json"]
        ran = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=there,
            preexec_fn=few_files,
            timeout=60,
        )
    os.close(there)
    shown = b""
    try:
        while data := os.read(here, 65_536):
            shown += data
    except OSError:  # as Linux ends a terminal
        pass
    os.close(here)
    told = json.loads(ran.stdout)
    assert ran.returncode == 0, (told, shown)
    assert told["ok"] is True
    assert told["opened"] == 50
    assert told["deliveries"] == 50 * told["said"] > 0
    assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["max"]
    assert told["cpu"] > 0
    assert b"connection" in shown
    assert b"deliveries/s" in shown


@pytest.mark.long
def test_interrupted(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--talk-rate", "0", "--store", "memory:") as daemon:
        process = subprocess.Popen(
            [*COMMAND, daemon.ws, "-c", "5", "-r", "50", "-t", "600", "--room", "lobby"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with connect(daemon.ws) as socket:
            until(lambda: '"event":"talk"' in str(socket.recv(60)), "a message")
        process.send_signal(signal.SIGINT)
        told, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, (told, complaints)
    assert "faults       none" in told
    assert "\nIt was ended early.\n" in told
    # No bar where there is no terminal.
    assert complaints == ""


def test_nobody_there() -> None:
    ran = subprocess.run(
        [*COMMAND, "ws://127.0.0.1:1/ws", "-c", "3"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "0 of 3 opened" in ran.stdout
    assert "refused 1 (" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.long
def test_tls(tmp_path: Path) -> None:
    """A certificate is verified, unless one does not want it to be."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    tls = "ssl:0:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
    with Daemon(tmp_path, "--listen", tls, "--store", "memory:") as daemon:
        port = until(lambda: _secure_port(daemon), "the port")

        def run(*more: str, **env: str) -> subprocess.CompletedProcess[str]:
            address = f"wss://localhost:{port}/ws"
            command = [*COMMAND, address, "-c", "3", "-r", "5", "-t", "0.3", *more]
            return subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                env=os.environ | env,
            )

        unknown = run()
        assert unknown.returncode == 1
        assert "TLS: certificate verify failed" in unknown.stdout
        for trusted in (run("--insecure"), run(SSL_CERT_FILE=str(tmp_path / "cert.pem"))):
            assert trusted.returncode == 0, trusted
            assert "3 opened" in trusted.stdout


def _secure_port(daemon: Daemon) -> str:
    return daemon.output.partition("https://")[2].partition(":")[2].partition("/")[0]
