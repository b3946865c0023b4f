"""Where the figures come from: the machine, and the versions of everything."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from benchmarks.contestants import Place, bun, nginx
from benchmarks.generator import versions


def processor() -> str:
    """Return the name of the CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def filesystem(folder: Path) -> str:
    """Return the type of the file system that *folder* is on."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, type, *_ = line.split(" ")
        inside = folder.resolve().is_relative_to(mount)
        if inside and len(mount) >= len(best):
            best, kind = mount, type
    return kind


def machine(folder: Path) -> dict[str, str]:
    """Return what the machine is, with the disk that *folder* is on."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "CPU": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "file system of the store": filesystem(folder),
    }


def software(place: Place) -> dict[str, str]:
    """Return the versions of what takes part."""
    found = {"Python": platform.python_version()}
    for name in ("chatroom", "Twisted", "autobahn", "websockets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commands: dict[str, list[str]] = {}
    if shutil.which("node"):
        commands["Node.js"] = ["node", "--version"]
    if (at := bun(place)) is not None:
        commands["Bun"] = [str(at), "--version"]
    if (server := nginx()) is not None:
        commands["nginx"] = [server, "-v"]
    if shutil.which("cc"):
        commands["C compiler"] = ["cc", "--version"]
    found |= versions(commands)
    for package in ("ws", "socket.io"):
        if (version := place.version(package)) is not None:
            found[package] = version
    return found
