"""A message of several lines that comes in as a batch (IRCv3 draft/multiline)."""

from __future__ import annotations

from dataclasses import dataclass, field

LINES = 100
"""The most lines of one message."""


@dataclass
class Multiline:
    """
    What has come of the batch *reference*, a message to *target*.

    *label* is that of its beginning, *reply* the message that it answers, as clients know it. If it
    has *failed*, nothing is said of what else comes.
    """

    reference: str
    target: str
    label: str | None
    reply: str | None
    command: str | None = None
    failed: bool = False
    size: int = 0
    count: int = 0
    text: list[str] = field(default_factory=list)

    def add(self, command: str, text: str, *, concat: bool) -> None:
        """Add a line that was said by *command*: *concat* if it belongs to the one before."""
        self.command = command
        self.count += 1
        self.size += len(text.encode()) + (not concat)
        if not concat and self.count > 1:
            self.text.append("\n")
        self.text.append(text)
