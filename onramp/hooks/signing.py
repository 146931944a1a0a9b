"""The secrets and signatures of Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks).

`v1` is HMAC-SHA256 under the bytes that `whsec_...` holds in base64; `v1a` is ed25519. Both sign `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the beginning of every secret, not one
PUBLIC_PREFIX: Final = "whpk_"
_BYTES: Final = 32


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The secrets of an endpoint with which a message is signed now: one, or several while a rotation overlaps."""

    shared: Sequence[str]
    """Of HMAC, as `whsec_...`."""
    private_keys: Sequence[bytes] = ()
    """Of ed25519."""


def new_secret() -> str:
    """Return 32 random bytes as `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(_BYTES)).decode()


def new_private_key() -> bytes:
    """Return the 32 random bytes of an ed25519 key."""
    return os.urandom(_BYTES)


def public_key(private_key: bytes) -> str:
    """Return the public key as `whpk_` and base64: with it a receiver verifies `v1a` without holding a secret."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def signed_headers(secrets: Secrets, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of an attempt at `now`: the id, the time in seconds, and a signature with every secret."""
    timestamp = str(int(now.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [f"v1,{_hmac(secret, content)}" for secret in secrets.shared]
    signatures += [f"v1a,{_ed25519(key, content)}" for key in secrets.private_keys]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _hmac(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def _ed25519(private_key: bytes, content: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(private_key).sign(content)).decode()
