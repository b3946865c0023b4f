"""PyPI `websockets` with its `broadcast`: ``python websockets_broadcast.py PORT``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from itertools import count

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

connections: set[ServerConnection] = set()
messages = count(1)
users = count(1)


async def talk(connection: ServerConnection) -> None:
    """Rebuild each message that comes on *connection* and send it to all."""
    connections.add(connection)
    user = next(users)
    with contextlib.suppress(ConnectionClosed):
        async for text in connection:
            said = json.loads(text)
            if said["event"] == "talk":
                data = {"id": next(messages), "from": user, "message": said["data"]["message"]}
                rebuilt = json.dumps({"event": "talk", "data": data}, separators=(",", ":"))
                broadcast(connections, rebuilt)
    connections.discard(connection)


async def main(port: int) -> None:
    """Serve on *port* of 127.0.0.1 for ever."""
    async with serve(talk, "127.0.0.1", port, compression=None, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
