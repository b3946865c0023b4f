"""How what is posted is signed (Standard Webhooks 1.0.0, symmetric signatures)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode


def new_key() -> bytes:
    """Return a key that nobody can guess."""
    return secrets.token_bytes(32)


def shown(key: bytes) -> str:
    """Return *key* as receivers are given it."""
    return f"whsec_{b64encode(key).decode()}"


def signed(key: bytes, id: str, time: int, body: bytes) -> dict[str, list[str]]:
    """Return the headers for *body*, the event *id*, sent at *time* in seconds since 1970."""
    content = b"%b.%d.%b" % (id.encode("ascii"), time, body)
    signature = b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "webhook-id": [id],
        "webhook-timestamp": [str(time)],
        "webhook-signature": [f"v1,{signature}"],
    }
