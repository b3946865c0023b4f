"""
``chatroom-load``: how much a room carries, found out by filling it.

It opens connections to a server that runs, has some of them talk, and checks that each of them is
told each message once, and all of them the same in the same order.

`options` is what is asked for, `address` the way to the server. `wire` is a connection,
`transcript` what was said on all of them, and `reader` what one of them hears and says. `run` is
the whole course; `tally` what is counted on the way, and `report` what is printed of it.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import react
from twisted.python.usage import UsageError

from chatroom.load.address import endpoint
from chatroom.load.options import Options
from chatroom.load.report import as_json, as_text
from chatroom.load.run import Load

SPARE = 32
"""So many file descriptors are for other things than connections."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the command ``chatroom-load``."""
    options = Options()
    try:
        options.parseOptions(arguments)
        make_room(options["connections"])
    except UsageError as wrong:
        print(f"chatroom-load: {wrong}", file=sys.stderr)
        raise SystemExit(2) from None
    react(measure, [options])


def make_room(connections: int) -> None:
    """Raise the limit of open files to what it may be. Raises `UsageError` if that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE
    most = wanted if hard == resource.RLIM_INFINITY else hard
    if wanted > most:
        raise UsageError(
            f"--connections: at most {most - SPARE:,}, because this process may open only {most:,}"
            " files (see `ulimit -Hn`)"
        )
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def measure(reactor: Any, options: Options) -> None:
    """Do what *options* say, and print what comes of it; `SystemExit` with 1 if it is not well."""
    load = Load(reactor, endpoint(reactor, options), options)

    def interrupt(*_: object) -> None:
        # Whoever asks twice does not want to wait for figures.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        reactor.callFromThread(load.stop)

    # After the reactor has set its own.
    reactor.callWhenRunning(signal.signal, signal.SIGINT, interrupt)
    await load.run()
    print((as_json if options["json"] else as_text)(load.tally, options))
    if not load.tally.well:
        raise SystemExit(1)
