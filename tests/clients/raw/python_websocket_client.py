"""The PyPI package ``websocket-client``, in its own style."""

import sys
import threading

from websocket import WebSocketApp


def opened(app: WebSocketApp) -> None:
    print("open", flush=True)
    threading.Thread(target=follow, args=(app,), daemon=True).start()


def follow(app: WebSocketApp) -> None:
    for line in sys.stdin:
        if line == "close\n":
            # Its own `close` reads the answer in this thread while the other one reads, too.
            assert app.sock is not None
            app.sock.send_close()
            break
        app.send(line.removesuffix("\n"))


def received(app: WebSocketApp, message: str) -> None:
    print(message, flush=True)


def closed(app: WebSocketApp, code: int | None, reason: str | None) -> None:
    print("close", code, flush=True)


def failed(app: WebSocketApp, error: Exception) -> None:
    print(error, flush=True)


WebSocketApp(
    sys.argv[1], on_open=opened, on_message=received, on_close=closed, on_error=failed
).run_forever()
