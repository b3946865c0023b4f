"""A real client: a program that is told what to send, and prints what it gets."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.daemon import PATIENT, until


class Program:
    """
    The running *command*: `tell` it lines, and wait for what it prints.

    Each line that is a JSON object ``{"event": …, "data": …}`` is an event. As a context manager
    it is killed at the end, if it still runs.
    """

    def __init__(self, *command: str | Path, folder: Path | None = None) -> None:
        self.command = " ".join(map(str, command))
        self.lines: list[str] = []
        self._ended = False
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))

    def forget(self) -> None:
        """Forget what it has printed until now."""
        self.lines.clear()

    def tell(self, line: str) -> None:
        """Write *line* to its standard input."""
        self.write(line.encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Write *data* to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def send(self, event: str, /, **data: Any) -> None:
        """Have it send *event*, as docs/protocol.md has it."""
        self.tell(json.dumps({"event": event, "data": data}))

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """The events that it has printed."""
        found = [json.loads(line) for line in list(self.lines) if line.startswith('{"event":')]
        return [(said["event"], said["data"]) for said in found]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the data of all events called *event*."""
        return [data for name, data in self.events if name == event]

    def get(self, event: str, /, **members: Any) -> dict[str, Any]:
        """Wait for an *event* with such *members*, and return its data."""

        def found() -> list[dict[str, Any]]:
            return [data for data in self.said(event) if members.items() <= data.items()]

        first: dict[str, Any] = self.until(found, f"{event} with {members}")[0]
        return first

    def line(self, start: str) -> str:
        """Wait for a line that begins with *start*, and return it."""
        found: str = self.until(
            lambda: [line for line in list(self.lines) if line.startswith(start)],
            f"a line {start}",
        )[0]
        return found

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """Wait until *look* returns something true, and return that."""
        try:
            return until(look, what)
        except AssertionError as error:
            shown = "\n".join(self.lines)
            raise AssertionError(f"{error}: {self.command} printed\n{shown}") from None

    def kill(self) -> None:
        """End it without a word, if it has not ended."""
        if not self._ended:
            self._process.kill()
            self._end()

    def end(self) -> int:
        """Wait until it ends by itself, and return its status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        status = self._process.wait(PATIENT)
        self._end()
        return status

    def _end(self) -> None:
        self._ended = True
        self._process.wait(PATIENT)
        self._reading.join(PATIENT)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
