"""Signatures as the Standard Webhooks specification (standardwebhooks.com, version 1.0.0) describes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
#: Bytes of a secret; the specification asks for 24 to 64.
LENGTH = 32


def new_secret() -> str:
    """A secret, as it is shown once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(LENGTH)).decode()


def signed(secret: str, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign a message: its id, the moment (seconds since 1970) and the HMAC-SHA256 of both and it."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signature = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
