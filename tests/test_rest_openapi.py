"""The server against its own OpenAPI document: schemathesis asks all that it allows, and more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatroom.rest.operations import OPERATIONS
from tests.daemon import PATIENT, Daemon
from tests.test_rest import performing

pytestmark = pytest.mark.long

REPO = Path(__file__).parent.parent

EXAMPLES = 8
"""So many requests for each operation, besides some thirty that are worked out."""
CONFIGURATION = """
hooks = "tests.schema_hooks"
[generation]
database = "none"
[warnings]
fail-on = ["missing_auth", "method_not_allowed", "unsupported_regex", "unused_openapi_auth"]
[checks.negative_data_rejection]
# Not 5xx, as it is by default; and 413 for texts and bodies that are too long.
expected-statuses = [400, 401, 403, 404, 409, 413, 415, 422]
[checks.positive_data_acceptance]
# Not 5xx; and 422 for what no schema can tell from what is right: names as RFC 8266 has them, texts
# in which nothing can be seen, emoji.
expected-statuses = [200, 201, 401, 403, 404, 409, 422]
"""


def post(port: int, path: str, data: object) -> Any:
    """Return what is answered to *data*."""
    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(data), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def done(har: Path) -> set[tuple[str, str]]:
    """Return which operations were done at least once, by what was recorded in *har*."""
    found = set()
    for entry in json.loads(har.read_text())["log"]["entries"]:
        request, answered = entry["request"], entry["response"]["status"]
        operation = performing(request["method"], urlsplit(request["url"]).path)
        if operation is not None and answered == operation.status:
            found.add((operation.method, operation.path))
    return found


def test_the_server_is_as_its_document_says(tmp_path: Path) -> None:
    configuration, report, har = (tmp_path / name for name in ("c.toml", "r.json", "r.har"))
    configuration.write_text(CONFIGURATION)
    with Daemon(tmp_path / "daemon", "--store", "memory:", "--talk-rate", "0") as daemon:
        token = post(daemon.port, "/users", {})["token"]
        # Somebody else's, which will not be deleted.
        post(daemon.port, "/rooms/tea/messages", {"message": "The pot is on the table."})
        program = Path(sys.executable).with_name("schemathesis")
        command: list[str | Path] = [
            *(program, "--config-file", configuration, "run", f"{daemon.url}openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--checks", "all"),
            *("--request-timeout", str(PATIENT)),
            *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--report", "json,har"),
            *("--report-json-path", report, "--report-har-path", har, "--no-color"),
        ]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPO)},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.output
        assert "Unhandled" not in daemon.output
    told = json.loads(report.read_text())
    assert told["failures"] == told["errors"] == []
    assert told["operations"]["tested"] == len(OPERATIONS)
    phases = {name: phase["status"] for name, phase in told["phases"].items()}
    assert phases == dict.fromkeys(("examples", "coverage", "fuzzing", "stateful"), "success")
    assert told["test_cases"]["generated"] > 500
    # It is not that all of it was refused.
    assert done(har) == {(operation.method, operation.path) for operation in OPERATIONS}
