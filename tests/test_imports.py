"""The rules of the house: the core is pure, and no edge knows a sibling edge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent

CORE = {"events", "limits", "names", "log", "room", "session", "chat"}
OURS = {
    "__init__": set[str](),
    "events": set[str](),
    "limits": set[str](),
    "names": set[str](),
    "log": {"events"},
    "room": {"events", "limits", "names", "log"},
    # A session knows its chat, which makes it; only by type.
    "session": {"events", "limits", "names", "log", "room", "chat"},
    "chat": {"events", "names", "log", "room", "session"},
    "sqlite": {"events", "log"},
    "frames": {"events"},
    "fast": set[str](),
    "heartbeat": set[str](),
    "websocket": {*CORE, "frames", "fast", "heartbeat"},
    "web": {*CORE, "fast", "websocket"},
}
"""What a module may import of ours. An edge that is not here: the core. `tap`: everything."""
OTHERS = {"events": {"msgspec"}, "names": {"precis_i18n"}}
"""What a module of the core may import that is neither ours nor pure."""
PURE = {
    "__future__",
    "base64",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "itertools",
    "math",
    "secrets",
    "typing",
    "unicodedata",
}
"""What all may import of the standard library: nothing in it waits or looks outside, but for …"""
CLOCKS = {"now", "utcnow", "today"}
"""… these methods, which the core does not call."""


def imports(tree: ast.AST) -> Iterator[str]:
    """Give the full name of everything that is imported in *tree*, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def faults(module: str, source: str) -> list[str]:
    """Return what *module*, whose text is *source*, imports and must not, or asks a clock."""
    tree = ast.parse(source)
    found = []
    for name in imports(tree):
        top, _, rest = name.partition(".")
        if top == "chatroom":
            ours = rest.partition(".")[0]
            wrong = ours not in OURS.get(module, CORE) and ours != "__version__"
        elif module in CORE or name.startswith("."):
            wrong = top not in PURE | OTHERS.get(module, set())
        else:
            wrong = name.startswith("twisted.internet.reactor")
        if wrong and module != "tap":
            found.append(name)
    if module in CORE:
        attributes = (node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        found += [f"{attribute}()" for attribute in attributes if attribute in CLOCKS]
    return found


MODULES = sorted((REPO / "chatroom").rglob("*.py"))


def test_all_of_the_core_is_there() -> None:
    assert {path.stem for path in MODULES} >= CORE | {"tap"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_what_it_may(path: Path) -> None:
    assert faults(path.stem, path.read_text(encoding="utf-8")) == []


def test_the_plugin_imports_nothing_of_ours() -> None:
    plugin = REPO / "twisted" / "plugins" / "chatroom_plugin.py"
    names = list(imports(ast.parse(plugin.read_text(encoding="utf-8"))))
    assert names
    assert [name for name in names if name.startswith("chatroom")] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("chat", "import time"),
        ("chat", "import socket"),
        ("chat", "import asyncio"),
        ("chat", "from threading import Thread"),
        ("chat", "import twisted"),
        ("chat", "from twisted.internet import defer"),
        ("chat", "import msgspec"),
        ("chat", "from chatroom import sqlite"),
        ("chat", "from chatroom.websocket import ChatProtocol"),
        ("chat", "def f():\n    import time"),
        ("chat", "try:\n    import time as base64\nexcept ImportError:\n    pass"),
        ("chat", "from datetime import datetime\nthen = datetime.now()"),
        ("chat", "from . import events"),
        ("chat", "from .events import Talk"),
        ("room", "from chatroom.chat import Chat"),
        ("log", "from chatroom.names import Name"),
        ("log", "from msgspec.structs import replace"),
        ("names", "from chatroom import events"),
        ("limits", "from chatroom import events"),
        ("events", "from chatroom import log"),
        ("events", "import os.path"),
        ("__init__", "from chatroom.chat import Chat"),
        ("sqlite", "from chatroom.chat import Chat"),
        ("sqlite", "from chatroom.websocket import ChatFactory"),
        ("websocket", "from chatroom import sqlite"),
        ("websocket", "import chatroom.web"),
        ("websocket", "import chatroom"),
        ("web", "from chatroom.sqlite import SqliteLog"),
        ("web", "from chatroom import tap"),
        ("irc", "from chatroom.websocket import ChatFactory"),
        ("websocket", "from twisted.internet import defer, reactor"),
        ("web", "import twisted.internet.reactor"),
        ("sqlite", "def f():\n    from twisted.internet import reactor"),
        ("irc", "from twisted.internet.reactor import callLater"),
        ("web", "from .websocket import ChatFactory"),
    ],
)
def test_a_rule_that_is_broken_is_seen(module: str, source: str) -> None:
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("chat", "from collections.abc import Callable\nfrom chatroom import names"),
        ("chat", "from chatroom.events import Talk, encode"),
        ("events", "import msgspec\nfrom msgspec import Struct"),
        ("sqlite", "import sqlite3, threading\nfrom chatroom.log import Log"),
        ("web", "from chatroom import __version__\nfrom chatroom.websocket import ChatFactory"),
        ("irc", "from twisted.internet import defer\nfrom chatroom.chat import Chat"),
        ("tap", "from twisted.internet import reactor\nfrom chatroom.sqlite import SqliteLog"),
    ],
)
def test_what_is_allowed_is_no_fault(module: str, source: str) -> None:
    assert faults(module, source) == []
