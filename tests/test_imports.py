"""The rules of the house: the core is pure, and no edge knows a sibling edge."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent

CORE = {
    *("commands", "events", "limits", "names", "terms", "changes", "log", "memory", "mentions"),
    *("room", "session", "saying", "asking", "users", "rooms", "visits", "chat"),
}
SHARED = {*CORE, "answers", "frames", "fast", "hardened", "heartbeat", "site"}
"""What a door may use."""
OURS = {
    "__init__": set[str](),
    "commands": set[str](),
    "events": set[str](),
    "limits": set[str](),
    "names": set[str](),
    "terms": set[str](),
    "changes": {"events"},
    "log": {"events"},
    "memory": {"events", "names", "terms", "changes", "log"},
    "mentions": {"events", "names"},
    "room": {"events", "names", "changes", "log"},
    # A session knows its chat, which makes it; only by type.
    "session": {"commands", "events", "limits", "names", "log", "room", "chat"},
    "saying": {
        *("commands", "events", "names", "changes", "log", "mentions", "room", "session", "chat"),
    },
    "asking": {"commands", "events", "names", "log", "room", "session"},
    "visits": {"commands", "events", "log", "room", "saying", "session", "chat"},
    "users": {"events", "names", "log", "session"},
    "rooms": {"events", "names", "log", "room", "session", "users"},
    "chat": {
        *("commands", "events", "limits", "names", "changes", "log", "room", "rooms", "session"),
        *("saying", "asking", "users", "visits"),
    },
    "sqlite": {"events", "names", "terms", "changes", "log", "sqlite"},
    "markup": set[str](),
    "files": {*CORE, "answers", "files", "site"},
    "answers": {"events"},
    "hardened": {"answers", "events", "fast", "frames", "heartbeat", "site"},
    "frames": {"events"},
    "fast": set[str](),
    "heartbeat": set[str](),
    "websocket": SHARED - {"heartbeat"},
    "site": {"fast"},
    "web": {*SHARED, "websocket"},
    **{name: {*SHARED, name} for name in ("engineio", "hooks", "irc", "listening", "rest")},
    **{name: {*SHARED, "listening"} for name in ("polling", "sse")},
    "admin": {"names", "hooks"},
    "doors": {
        *(*SHARED, "websocket", "web", "files", "engineio", "socketio", "sse", "polling", "rest"),
        *("hooks", "irc"),
    },
    "socketio": {*SHARED, "engineio", "socketio"},
    "load": {"commands", "events", "load"},
}
"""
What a module, or a folder of some, may import of ours. An edge that is not here: the core. `tap`:
everything but `load`, a program of its own.
"""
OTHERS = {
    **{name: {"msgspec"} for name in ("commands", "events", "changes", "memory")},
    "names": {"precis_i18n"},
}
"""What a module of the core may import that is neither ours nor pure."""
PURE = {
    "__future__",
    "base64",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "math",
    "operator",
    "re",
    "secrets",
    "types",
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
        if wrong and (module != "tap" or name.startswith("chatroom.load")):
            found.append(name)
    if module in CORE:
        attributes = (node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        found += [f"{attribute}()" for attribute in attributes if attribute in CLOCKS]
    return found


def cycle(sources: dict[str, str]) -> list[str]:
    """Return modules of *sources*, text by full name, each of which imports the one before."""
    graph = {}
    for module, source in sources.items():
        names = set(imports(ast.parse(source)))
        graph[module] = sources.keys() & (names | {name.rpartition(".")[0] for name in names})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        return list(found.args[1])
    return []


def full_name(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted((REPO / "chatroom").rglob("*.py"))
MODULES = {full_name(path): path.read_text(encoding="utf-8") for path in FILES}


def test_all_of_the_core_is_there() -> None:
    assert MODULES.keys() >= {f"chatroom.{module}" for module in CORE | {"tap", "load.run"}}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_it_may(name: str) -> None:
    edge = name.split(".")[1] if "." in name else "__init__"
    assert faults(edge, MODULES[name]) == []


@pytest.mark.parametrize(
    "folder",
    ["engineio", "files", "load", "rest", "sqlite"],
)
def test_the_files_of_a_folder_do_not_import_each_other_in_a_circle(folder: str) -> None:
    files = {name: text for name, text in MODULES.items() if name.startswith(f"chatroom.{folder}")}
    assert len(files) > 3
    assert cycle(files) == []


def test_a_circle_is_seen() -> None:
    load = {name: text for name, text in MODULES.items() if name.startswith("chatroom.load")}
    assert cycle({**load, "chatroom.load.wire": "from chatroom.load import reader"})
    assert cycle({**load, "chatroom.load.tally": "import chatroom.load.run"})
    assert cycle({**load, "chatroom.load.options": "from chatroom.load import main"})


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
        ("web", "from chatroom.load.tally import Tally"),
        ("tap", "from chatroom import load"),
        ("tap", "from chatroom.load import main"),
        ("load", "from chatroom.chat import Chat"),
        ("load", "from chatroom import frames"),
        ("load", "from .wire import unmasked"),
        ("load", "from twisted.internet import reactor"),
    ],
)
def test_a_rule_that_is_broken_is_seen(module: str, source: str) -> None:
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("chat", "from collections.abc import Callable\nfrom chatroom import names"),
        ("chat", "from chatroom.events import Batch, encode"),
        ("events", "import msgspec\nfrom msgspec import Struct"),
        ("sqlite", "import sqlite3, threading\nfrom chatroom.log import Log"),
        ("web", "from chatroom import __version__\nfrom chatroom.websocket import ChatFactory"),
        ("irc", "from twisted.internet import defer\nfrom chatroom.chat import Chat"),
        ("tap", "from twisted.internet import reactor\nfrom chatroom.sqlite import SqliteLog"),
        ("load", "from chatroom.events import Talk\nfrom chatroom.load.wire import unmasked"),
    ],
)
def test_what_is_allowed_is_no_fault(module: str, source: str) -> None:
    assert faults(module, source) == []
