"""The PyPI package ``websockets``, with asyncio."""

import asyncio
import sys
import threading

from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect


def follow(socket: ClientConnection, loop: asyncio.AbstractEventLoop) -> None:
    for line in sys.stdin:
        text = line.removesuffix("\n")
        sending = socket.close() if text == "close" else socket.send(text)
        asyncio.run_coroutine_threadsafe(sending, loop).result()


async def main() -> None:
    async with connect(sys.argv[1], proxy=None) as socket:
        print("open", flush=True)
        loop = asyncio.get_running_loop()
        threading.Thread(target=follow, args=(socket, loop), daemon=True).start()
        try:
            while True:
                print(await socket.recv(), flush=True)
        except ConnectionClosed:
            pass
    print("close", socket.close_code, flush=True)


asyncio.run(main())
