"""How much memory a process has."""

from __future__ import annotations

import os
import re
from pathlib import Path


def resident(pid: int | None = None) -> tuple[int, int]:
    """Return the bytes of memory that *pid* (or this process) has, and the most that it ever had."""
    status = Path(f"/proc/{os.getpid() if pid is None else pid}/status").read_text()
    kilobytes = dict(re.findall(r"(\w+):\s+(\d+) kB\n", status))
    return int(kilobytes["VmRSS"]) * 1024, int(kilobytes["VmHWM"]) * 1024
