"""
Run the public test suite of the Socket.IO protocol against a server of ours, and print a verdict.

    git clone https://github.com/socketio/socket.io-protocol
    python -m tests.conformance.socketio socket.io-protocol
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance.engineio import CannotRun, run
from tests.conformance.socketio_server import Server

TESTS = 32


def main() -> None:
    """Exit with 0 when all is as it should be, else with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.socketio")
    parser.add_argument("checkout", type=Path, help="of github.com/socketio/socket.io-protocol")
    checkout = parser.parse_args().checkout
    with TemporaryDirectory() as folder:
        try:
            faults = run(checkout, Path(folder), Server(), TESTS)
        except CannotRun as error:
            sys.exit(f"conformance: {error}")
    print("\n".join(faults) or f"{TESTS} of {TESTS} tests passed")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
