"""docs/rest.md: what it says is so, and its examples do what they show."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import fields

from chatroom import visits
from chatroom.events import PAGE
from chatroom.rest.door import BODY
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.records import WhichMessages
from chatroom.rest.refusals import BAD_METHOD, status
from tests.daemon import PATIENT, Daemon
from tests.parts import program
from tests.test_docs import REPO, named, read, rows, sections
from tests.test_rest import performing

REST = REPO / "docs" / "rest.md"
VARYING = {"time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "token": r"[\w-]{32}"}
"""What differs each time, and what it looks like."""
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", read(REST), re.MULTILINE | re.DOTALL)
ANSWERS = re.findall(r"^```json\n(.*?)^```$", read(REST), re.MULTILINE | re.DOTALL)


def alike(text: str) -> str:
    """Return the JSON *text* without what differs each time."""

    def hook(data: dict[str, Any]) -> dict[str, Any]:
        for name, form in VARYING.items():
            if name in data and re.fullmatch(form, data[name]):
                data[name] = form
        return data

    return json.dumps(json.loads(text, object_hook=hook), ensure_ascii=False)


def asked(command: str) -> tuple[str, str]:
    """Return what the curl *command* asks for, as a method and a path."""
    curl, *words = shlex.split(command)
    assert curl == "curl"
    (url,) = (word for word in words if word.startswith("http://127.0.0.1:8080/"))
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
    return method, urlsplit(url).path


def given(operation: Operation) -> list[str]:
    """Return the members that *operation* takes, as the table has them."""
    taken = operation.query or operation.body
    if taken is None:
        return []
    return [field.name if field.required else f"{field.name}?" for field in fields(taken)]


def test_the_examples_do_what_they_show(tmp_path: Path) -> None:
    program("curl", "install curl")
    bash = program("bash", "install bash")
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nnoproxy = *\nmax-time = 100\n")
    environment = os.environ | {"CURL_HOME": str(tmp_path), "TOKEN": "nobody"}
    assert len(COMMANDS) == len(ANSWERS) > 20
    with Daemon(tmp_path / "daemon", "--store", "memory:") as daemon:
        for command, shown in zip(COMMANDS, ANSWERS, strict=True):
            answered = subprocess.check_output(
                [bash, "-euc", command.replace("127.0.0.1:8080", f"127.0.0.1:{daemon.port}")],
                env=environment,
                text=True,
                timeout=PATIENT,
            )
            assert alike(answered) == alike(shown), command
            environment["TOKEN"] = json.loads(answered).get("token", environment["TOKEN"])


def test_all_that_there_is_is_shown() -> None:
    requests = [request for request in map(asked, COMMANDS) if request != ("POST", "/files")]
    operations = [performing(*request) for request in requests]
    assert None not in operations
    assert {op.does for op in operations if op} == {operation.does for operation in OPERATIONS}


def test_the_table_has_all_that_there_is() -> None:
    table = rows(sections(read(REST), 2)["What there is"])
    told = [(named(row[0])[0], named(row[2]), int(row[3])) for row in table]
    assert told == [
        (f"{operation.method} {operation.path}", given(operation), operation.status)
        for operation in OPERATIONS
    ]


def test_who_needs_a_token_is_told() -> None:
    text = " ".join(sections(read(REST), 2)["What there is"].split())
    told = "A token is needed for all but `GET`, `POST /users` and saying something; and for `GET /users/me`."
    assert told in text
    for operation in OPERATIONS:
        free = operation.method in ("GET", "POST") and operation.path != "/users/me"
        assert operation.token != free, operation.path


def test_all_errors_are_told() -> None:
    table = rows(sections(read(REST), 2)["Errors"])
    codes = {code for operation in OPERATIONS for code in operation.codes}
    expected = {(status(code), code) for code in codes} | {(BAD_METHOD.status, BAD_METHOD.code)}
    told = [(int(row[0]), named(row[1])[0]) for row in table]
    assert set(told) == expected
    assert len(told) == len(expected)
    # Where no reason stands, the protocol has one.
    elsewhere = rows(sections(read(REPO / "docs" / "protocol.md"), 2)["Errors"])
    known = {named(row[0])[0] for row in elsewhere}
    assert {named(row[1])[0] for row in table if not row[2]} <= known


def test_figures_are_right() -> None:
    text = " ".join(read(REST).split())
    assert f"for {visits.STAY:.0f} seconds after the last request" in text
    assert f"at most {BODY:,} bytes" in text
    (limit,) = (field.default for field in fields(WhichMessages) if field.name == "limit")
    assert (
        f"The newest {limit}, oldest first, unless you say otherwise: `limit` up to {PAGE}" in text
    )
