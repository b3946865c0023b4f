"""The public test suite of the Socket.IO protocol, against a server of ours."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance.engineio import CannotRun, run
from tests.conformance.socketio import TESTS
from tests.conformance.socketio_server import Server
from tests.parts import missing

CHECKOUT = "SOCKETIO_PROTOCOL"


def test_all_of_the_suite_passes(tmp_path: Path) -> None:
    checkout = os.environ.get(CHECKOUT)
    if checkout is None:
        missing(
            "git clone https://github.com/socketio/socket.io-protocol, "
            f"and say in ${CHECKOUT} where it is"
        )
    try:
        faults = run(Path(checkout), tmp_path, Server(), TESTS)
    except CannotRun as error:
        missing(str(error))
    assert not faults
