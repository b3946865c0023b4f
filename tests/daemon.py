"""The real daemon in a folder of its own, for tests whose subject is a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.ports import port_of

T = TypeVar("T")

OPEN = re.compile(r"http://\S+:(\d+)/")
PATIENT = 120.0
"""So many seconds a test waits for what takes one where nobody else has need of the machine."""
TWISTD = str(Path(sys.executable).with_name("twistd"))


def until(look: Callable[[], T | None], what: str) -> T:
    """Call *look* until it returns something true, and return that: *what* is waited for."""
    deadline = time.monotonic() + PATIENT
    while True:
        if found := look():
            return found
        # What is waited for has need of the processor, too.
        threading.Event().wait(0.005)
        assert time.monotonic() < deadline, f"not within {PATIENT} s: {what}"


class Daemon:
    """
    ``twistd -n chatroom`` on a loopback port, in *folder*, with further *options*.

    *program* is what is run in place of ``twistd``.

    The system chooses the port, and nobody else gets it: every start takes the same one, so that
    clients find a restarted daemon where they left it. As a context manager it starts, and is
    killed at the end if it still runs.
    """

    def __init__(self, folder: Path, *options: str, program: Sequence[str] = (TWISTD,)) -> None:
        self.folder = folder
        self.options = options
        self.program = program
        self.port = port_of(self)
        self.log = folder / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The page's address, with a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def ws(self) -> str:
        """The room's address."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def output(self) -> str:
        """What all starts together have printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The running process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> Self:
        """Start, and return when the daemon has said where it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listen = f"tcp:{self.port}:interface=127.0.0.1"
        with self.log.open("ab") as log:
            said_before = log.tell()
            self.process = process = subprocess.Popen(
                [*self.program, "-n", "--pidfile=", "chatroom", "--listen", listen, *self.options],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def opened() -> re.Match[str] | None:
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                return OPEN.search(self.output, said_before)
            raise AssertionError(f"the daemon did not start:\n{self.output}")

        try:
            until(opened, "a line that says where to open the room")
        except AssertionError:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """End it as a power cut would: no goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as an init system would, and return its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(PATIENT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
