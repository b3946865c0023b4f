"""What may be asked of ``chatroom-load``, and what not."""

from __future__ import annotations

import pytest

from chatroom.load import main
from chatroom.load.options import Options

URL = "ws://chat.example:8080/ws"


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions([URL, *arguments])
    return options


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give one address"),
        (["ws://a/", "ws://b/"], "give one address"),
        (["http://a/"], "'http://a/' is no address like ws://127.0.0.1:8080/ws"),
        (["ws:///ws"], "is no address like"),
        (["ws://a:x/ws"], "is no address: Port could not be cast"),
        (["ws://b\u00fccher.example/ws"], "what is not ASCII must be encoded"),
        (["ws://a/b c"], "what is not ASCII must be encoded"),
        ([URL, "--room", "a\udc80"], "--room: this is no name of a room"),
        ([URL, "--rate", "5", "--window", "10"], "--rate and --window: give one of them"),
        ([URL, "--connections", "many"], "--connections: 'many' is not a whole number"),
        ([URL, "--connections", "1.5"], "--connections: '1.5' is not a whole number"),
        ([URL, "--connections", "0"], "--connections: 0 is not from 1 to 1,000,000"),
        ([URL, "--seconds", "x"], "--seconds: 'x' is not a number"),
        ([URL, "--seconds", "nan"], "--seconds: nan is not from"),
        ([URL, "--rate", "0"], "--rate: 0 is not from 0.001"),
        ([URL, "--rate", "5", "--window", "5"], "--rate and --window: give one of them"),
        ([URL, "--connections", "5", "--senders", "6"], "--senders: there are not so many"),
        ([URL, "--insecure"], "--insecure is for wss://"),
        ([URL, "--nonsense"], "option --nonsense not recognized"),
        ([URL, "-c"], "option -c requires argument"),
    ],
)
def test_bad_options(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, told = capsys.readouterr()
    assert out == ""
    assert told.startswith("chatroom-load: ")
    assert says in told
    assert told.count("\n") == 1


def test_options() -> None:
    options = parsed()
    assert (options["connections"], options["senders"], options["window"]) == (100, 10, 10)
    assert (options["rate"], options["seconds"], options["insecure"]) == (None, 10.0, 0)
    assert options["room"].startswith("load-")
    assert options["room"] != parsed()["room"]
    assert parsed("-c", "3")["senders"] == 3
    anywhere = Options()
    anywhere.parseOptions(["-c", "7", "--insecure", "wss://[::1]:9/x?name=y", "--room=", "--json"])
    assert (anywhere["connections"], anywhere["room"], anywhere["json"]) == (7, "", 1)
    assert (anywhere.host, anywhere.port, anywhere.secure) == ("::1", 9, True)
    assert anywhere.request().startswith(b"GET /x?name=y&room= HTTP/1.1\r\nHost: [::1]:9\r\n")
    plain = Options()
    plain.parseOptions(["ws://example.org"])
    assert plain.port == 80
    assert plain.request().startswith(b"GET /ws?room=load-")
