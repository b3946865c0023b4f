"""The PyPI package httpx-sse: prints what comes, and comes back as its README shows."""

import json
import sys
import time

import httpx
from httpx_sse import SSEError, connect_sse

last, retry = "", 0
with httpx.Client(timeout=httpx.Timeout(10, read=60)) as client:
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                for event in source.iter_sse():
                    last = event.id
                    if event.retry is not None:
                        retry = event.retry
                    if event.data:
                        told = {"event": event.event, "data": event.json(), "id": event.id}
                        print(json.dumps(told), flush=True)
        except (httpx.TransportError, SSEError):
            pass  # what ends in whatever way is begun again, and said to be lost
        print("lost", flush=True)
        # So long the server wants a client to stay away: that is what `retry:` means.
        time.sleep(retry / 1000)
