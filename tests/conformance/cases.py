"""The cases of the Autobahn test suite, and which of them a run takes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

_GROUPS = """
    1.1:8 1.2:8 2:11 3:7 4.1:5 4.2:5 5:20
    6.1:3 6.2:4 6.3:2 6.4:4 6.5:5 6.6:11 6.7:4 6.8:2 6.9:4 6.10:3 6.11:5 6.12:8
    6.13:5 6.14:10 6.15:1 6.16:3 6.17:5 6.18:5 6.19:5 6.20:7 6.21:8 6.22:34 6.23:7
    7.1:6 7.3:6 7.5:1 7.7:13 7.9:9 7.13:2
    9.1:6 9.2:6 9.3:9 9.4:9 9.5:6 9.6:6 9.7:6 9.8:6 10.1:1
    12.1:18 12.2:18 12.3:18 12.4:18 12.5:18
    13.1:18 13.2:18 13.3:18 13.4:18 13.5:18 13.6:18 13.7:18
"""
_COUNTS = {group: int(count) for group, count in (item.split(":") for item in _GROUPS.split())}

ALL = tuple(f"{group}.{n}" for group, count in _COUNTS.items() for n in range(1, count + 1))
"""All 517 cases. Counted here, and not asked of the suite, so that an empty run cannot pass."""

INFORMATIONAL = frozenset({"7.1.6", "7.13.1", "7.13.2"})
"""The cases that RFC 6455 leaves open: the suite reports on them, but judges nothing."""

FULL = ("*",)

_DEFLATED = [group for group in _COUNTS if group.startswith(("12.", "13."))]
QUICK = (
    *(f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 9, 10)),
    # of each 18: messages of 16 and 8,192 bytes, of 8,192 in 32 fragments, of 131,072 in 4
    *(f"{group}.{n}" for group in _DEFLATED for n in (1, 6, 11, 18)),
)
"""All but groups 12 and 13 (deflate), which take most of the time, and of those a sample."""


def chosen(patterns: Iterable[str]) -> frozenset[str]:
    """Return the cases that the suite must run for *patterns* such as ``1.*`` or ``12.1.6``."""
    return frozenset(case for case in ALL for pattern in patterns if fnmatchcase(case, pattern))
