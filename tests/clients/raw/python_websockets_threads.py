"""The PyPI package ``websockets``, with threads."""

import sys
import threading

from websockets import ConnectionClosed
from websockets.sync.client import connect

with connect(sys.argv[1], proxy=None) as socket:
    print("open", flush=True)

    def follow() -> None:
        for line in sys.stdin:
            text = line.removesuffix("\n")
            if text == "close":
                socket.close()
            else:
                socket.send(text)

    threading.Thread(target=follow, daemon=True).start()
    try:
        while True:
            print(socket.recv(), flush=True)
    except ConnectionClosed:
        pass
    print("close", socket.close_code, flush=True)
