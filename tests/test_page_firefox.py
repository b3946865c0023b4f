"""The page in real Firefox, with the real daemon behind it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.landscape import landscape
from tests.parts import package, program

JOURNEY = Path(__file__).with_name("firefox") / "journey.mjs"
LONGEST = 600.0


@pytest.mark.long
def test_two_people_in_firefox(tmp_path: Path) -> None:
    firefox = program("firefox-esr", "install the package firefox-esr")
    node = program("node", "install Node.js 20 or later")
    package("puppeteer-core@25", tmp_path)
    journey = shutil.copy(JOURNEY, tmp_path)  # Node.js looks for packages beside it
    picture = tmp_path / "view.jpg"
    picture.write_bytes(landscape(64, 48, 1))
    with Daemon(tmp_path / "daemon") as daemon:
        process = subprocess.Popen(
            [node, journey, daemon.url, firefox, picture],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        patience = threading.Timer(LONGEST, process.terminate)
        patience.start()
        told = []
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            for line in process.stdout:
                told.append(line)
                if line in ("kill\n", "start\n"):
                    if line == "kill\n":
                        daemon.kill()
                    else:
                        daemon.start()
                    print("done", file=process.stdin, flush=True)
        patience.cancel()
    assert process.returncode == 0, "".join(told)
    assert "Traceback" not in daemon.output
