"""What is installed: the plugin and the page, from a wheel and from an editable install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from chatroom import __version__
from tests.parts import program

pytestmark = pytest.mark.long

TOP = Path(__file__).parent.parent
COMPILED = "chatroom/_fast."
LEAVE = shutil.ignore_patterns(
    ".*", "build", "*.egg-info", "__pycache__", "node_modules", "*.so", "peers"
)
TWISTD = "from twisted.scripts.twistd import run; run()"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, for building leaves things behind."""
    copy = tmp_path_factory.mktemp("packaging") / "source"
    shutil.copytree(TOP, copy, symlinks=True, ignore=LEAVE)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", "..", ".", cwd=source)
    (built,) = source.parent.glob("chatroom-*.whl")
    return built


def environment(folder: Path) -> Path:
    """Make an environment in *folder* that sees the libraries of this one, but not chatroom."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # The .pth files of a folder that is named in a .pth file are not read, so that an editable
    # chatroom there stays out.
    (Path(site.strip()) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def works(python: Path, elsewhere: Path) -> None:
    """Check from another folder that ``twistd`` lists it, its page is there, and its command."""
    assert "A chat room over WebSocket." in run(python, "-c", TWISTD, "--help", cwd=elsewhere)
    where = run(python, "-c", "import chatroom.tap as t; print(t.PAGE)", cwd=elsewhere)
    assert (Path(where.strip()) / "index.html").is_file()
    version = run(python.parent / "chatroom-load", "--version", cwd=elsewhere)
    assert version == f"chatroom {__version__}\n"


def test_what_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    web = TOP / "web"
    page = {f"chatroom/web/{path.relative_to(web)}" for path in web.rglob("*") if path.is_file()}
    code = {str(path.relative_to(TOP)) for path in (TOP / "chatroom").rglob("*.py")}
    assert page | code | {"twisted/plugins/chatroom_plugin.py"} <= names
    # Such a file would overwrite Twisted's own.
    assert not {name for name in names if name.startswith("twisted/") and "__init__" in name}
    assert not {name for name in names if name.startswith(("tests/", "build/"))}


def test_what_can_be_compiled_is(wheel: Path) -> None:
    program("cc", "install a C compiler")
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(COMPILED)]


def test_without_a_compiler(tmp_path: Path) -> None:
    no = ("--no-deps", "--no-build-isolation")
    shutil.copytree(TOP, tmp_path / "source", symlinks=True, ignore=LEAVE)
    run(*PIP, "wheel", *no, "-w", "..", ".", cwd=tmp_path / "source", CC="false")
    (wheel,) = tmp_path.glob("chatroom-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith(COMPILED)] == []
    python = environment(tmp_path / "venv")
    run(*PIP, "--python", python, "install", "--no-deps", wheel, cwd=tmp_path)
    works(python, tmp_path)
    look = "from chatroom.fast import FAST, compiled; print(FAST, compiled)"
    assert run(python, "-c", look, cwd=tmp_path, CHATROOM_FAST="1") == "True None\n"


def test_installed_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    run(*PIP, "--python", python, "install", "--no-deps", wheel, cwd=tmp_path)
    works(python, tmp_path)


def test_installed_editable(source: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    no = ("--no-deps", "--no-build-isolation")
    run(*PIP, "--python", python, "install", *no, "-e", source, cwd=tmp_path)
    works(python, tmp_path)
