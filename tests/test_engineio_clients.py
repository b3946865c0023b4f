"""Engine.IO's own clients, of both versions, unmodified, at a real server."""

from __future__ import annotations

import json
import subprocess

import pytest
from playwright.sync_api import Error

from tests.browser import launch
from tests.conformance.engineio_server import Echo
from tests.daemon import PATIENT
from tests.doors.packages import installed
from tests.parts import program

pytestmark = pytest.mark.long

BUNDLES = {"4": "engine.io-client/dist/engine.io.js", "3": "engine.io-client-3/engine.io.js"}
BEAT = ("--ping-interval=0.4", "--ping-timeout=60")


@pytest.mark.parametrize("version", ["4", "3"])
def test_all_that_is_said_comes_back_in_order(
    version: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    node = program("node", "install Node.js 20 or later")
    script = installed("engineio", tmp_path_factory) / "journey.mjs"
    with Echo(*BEAT) as server:
        told = subprocess.run(
            [node, str(script), server.url, version],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENT,
        )
        log = server.stop()
    assert told.returncode == 0, told.stderr
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(found) == 6
    for client in found:
        assert client["same"], client
        assert client["opened"] == client["transports"][0]
        assert client["upgraded"] == ("websocket" if len(client["transports"]) > 1 else None)
        # Who polls is not told that it is over: the next request fails, as if it was lost.
        lost = "transport error" if client["transports"] == ["polling"] else "transport close"
        assert client["reason"] == ("forced close" if client["leaves"] else lost)
    assert log.count(f"opened {version}\n") == 6
    assert (log.count("closed clean\n"), log.count("closed lost\n")) == (3, 3)
    assert "Traceback" not in log


def test_pages_of_the_same_and_of_another_site(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = installed("engineio", tmp_path_factory)
    script = (folder / "browser.js").read_text()
    with Echo() as elsewhere, Echo("--origin", elsewhere.url) as server, launch() as browser:
        # Of the pages of these servers there is only what they say when they have none.
        context = browser.new_context(bypass_csp=True)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENT)
        for site in (server, elsewhere):
            for version, bundle in BUNDLES.items():
                page.goto(site.url)
                page.add_script_tag(path=folder / "node_modules" / bundle)
                for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
                    told = page.evaluate(script, [server.url, transports])
                    assert told == {
                        "heard": ["€ 👋", [1, 2, 255, 0, 30], "", "last"],
                        "reason": "forced close",
                        "transport": transports[-1],
                    }
                    server.wait(f"opened {version}")
                    server.wait("closed clean")
        # Where this page is from, nobody has heard of at the other server.
        page.goto(server.url)
        page.add_script_tag(path=folder / "node_modules" / BUNDLES["4"])
        for transport in ("polling", "websocket"):
            with pytest.raises(Error, match="Error"):
                page.evaluate(script, [elsewhere.url, [transport]])
        for each in (server, elsewhere):
            assert "Traceback" not in (log := each.stop())
        assert "opened 4" not in log
