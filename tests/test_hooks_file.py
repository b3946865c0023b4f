"""The file of hooks: who may read it, several processes at once, and what is no such file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatroom.hooks import file
from chatroom.hooks.file import HooksError, HooksFile, Incoming, Outgoing, State, beside, new_id

CLIENT = """
import sys
from pathlib import Path
from chatroom.hooks.file import HooksFile, Incoming, new_id

print("ready", flush=True)
sys.stdin.readline()
hooks = HooksFile(Path(sys.argv[1]))
for _ in range(5):
    id = new_id()
    hooks.add(Incoming(id, "lobby", "x", id.encode()))
hooks.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return beside(tmp_path / "chatroom.sqlite")


@pytest.fixture
def hooks(path: Path) -> Iterator[HooksFile]:
    with closing(HooksFile(path)) as hooks:
        yield hooks


def test_beside_the_store(path: Path, hooks: HooksFile) -> None:
    assert path.name == "chatroom.sqlite.hooks"
    assert hooks.hooks() == []


def test_nobody_else_may_read_it(path: Path, hooks: HooksFile) -> None:
    hooks.add(Incoming("a", "lobby", "x", b"d"))
    files = list(path.parent.iterdir())
    assert {file.name for file in files} >= {path.name, f"{path.name}-wal"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    # As it is after somebody has copied it back.
    path.chmod(0o644)
    with closing(HooksFile(path)):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_is_whose_folder_it_is(path: Path) -> None:
    os.chown(path.parent, 12_345, 12_346)
    with closing(HooksFile(path)) as hooks:
        hooks.add(Incoming("a", "lobby", "x", b"d"))
        files = list(path.parent.iterdir())
        assert len(files) > 1
        assert {(file.stat().st_uid, file.stat().st_gid) for file in files} == {(12_345, 12_346)}


def test_what_is_kept(path: Path, hooks: HooksFile) -> None:
    inwards = Incoming(new_id(), "Tea", "Deploys", b"digest")
    outwards = Outgoing(new_id(), "lobby", "https://a.example/", True, b"key")
    hooks.add(inwards)
    hooks.add(outwards)
    assert hooks.hooks() == [inwards, outwards]
    state = State("e-5", "the answer is 500", ended=True)
    hooks.keep({inwards.id: "token", outwards.id: state, "gone": State(), "other": "token"})
    with closing(HooksFile(path)) as again:
        assert again.hooks() == [
            inwards._replace(token="token"),
            outwards._replace(state=state),
        ]
        assert again.remove(inwards.id)
        assert not again.remove(inwards.id)
    assert hooks.hooks() == [outwards._replace(state=state)]


def test_what_others_change_is_noticed(path: Path, hooks: HooksFile) -> None:
    version = hooks.version()
    hooks.add(Incoming("a", "lobby", "x", b"a"))
    assert hooks.version() == version
    with closing(HooksFile(path)) as other:
        other.add(Incoming("b", "lobby", "x", b"b"))
    assert hooks.version() != version
    version = hooks.version()
    assert hooks.version() == version


def test_another_file_of_the_same_name_is_noticed(path: Path, hooks: HooksFile) -> None:
    hooks.add(Incoming("a", "lobby", "x", b"a"))
    version = hooks.version()
    for part in path.parent.iterdir():
        part.unlink()
    assert hooks.version() != version
    assert hooks.hooks() == []
    with closing(HooksFile(path)) as other:
        other.add(Incoming("b", "lobby", "x", b"b"))
        assert hooks.hooks() == other.hooks()


def test_a_file_that_goes_and_cannot_be_made_again(path: Path, hooks: HooksFile) -> None:
    for part in path.parent.iterdir():
        part.unlink()
    path.parent.rmdir()
    for _ in range(2):
        with pytest.raises(HooksError, match="No such file or directory"):
            hooks.version()
    path.parent.mkdir()
    hooks.version()
    assert hooks.hooks() == []


def test_several_processes_at_once(path: Path) -> None:
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
    for client in clients:
        assert client.stdin is not None
        client.stdin.write(b"\n")
        client.stdin.flush()
    for client in clients:
        _, error = client.communicate(timeout=60)
        assert (client.returncode, error) == (0, b"")
    with closing(HooksFile(path)) as hooks:
        assert len(hooks.hooks()) == 15


def test_who_waits_too_long_for_another(
    path: Path, hooks: HooksFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUSY", 0.01)
    with closing(HooksFile(path)) as impatient, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        for call in (
            lambda: impatient.add(Incoming("a", "lobby", "x", b"a")),
            lambda: impatient.keep({"a": "token"}),
            lambda: impatient.remove("a"),
            lambda: HooksFile(path),
        ):
            with pytest.raises(HooksError, match="database is locked"):
                call()
        # Who only reads need not wait.
        assert impatient.hooks() == []
        impatient.version()
        other.rollback()
        impatient.keep({"a": "token"})


def spoilt(path: Path) -> None:
    with closing(HooksFile(path)) as hooks:
        for number in range(200):
            hooks.add(Incoming(f"{number:08}", "lobby", "x" * 30, str(number).encode()))
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(data)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE hooks (id)")


def newer(path: Path) -> None:
    HooksFile(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"not a database " * 1000), "file is not a database"),
        (lambda path: path.mkdir(), "Is a directory"),
        (of_another_program, "it is of another program"),
        (newer, "it was written by a newer version of chatroom"),
        (spoilt, "database disk image is malformed"),
    ],
)
def test_what_is_no_file_of_hooks(spoil: object, why: str, path: Path) -> None:
    assert callable(spoil)
    spoil(path)
    with pytest.raises(HooksError) as wrong, closing(HooksFile(path)) as hooks:
        hooks.hooks()
    assert str(wrong.value) == f"cannot use the hooks in {path}: {why}"
