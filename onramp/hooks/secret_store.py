"""The secrets of an endpoint, encrypted in its row under DATA_KEYS."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kit.crypto.encryption import decrypt, encrypt
from kit.crypto.keyring import KeyRing
from onramp.hooks import signing
from onramp.hooks.signing import Secrets

_SHARED: Final = "webhook-secret"
_PRIVATE: Final = "webhook-signing-key"
MAX_EARLIER: Final = 3
"""How many earlier secrets may still sign: each makes the header longer."""


def new_columns(ring: KeyRing, endpoint_id: str, *, ed25519: bool) -> tuple[str, dict[str, Any]]:
    """Make new secrets. Return the one that is shown once, `whsec_...`, and the columns that store both."""
    secret = signing.new_secret()
    columns: dict[str, Any] = {
        "secret_sealed": encrypt(ring, secret, purpose=_SHARED, belongs_to=endpoint_id),
        "signing_key_sealed": None,
    }
    if ed25519:
        key = base64.b64encode(signing.new_private_key()).decode()
        columns["signing_key_sealed"] = encrypt(ring, key, purpose=_PRIVATE, belongs_to=endpoint_id)
    return secret, columns


def rotated(row: Any, now: datetime, overlap: timedelta) -> list[dict[str, Any]]:
    """Return the earlier secrets after a rotation at `now`: those of the row, too, end after `overlap` at the latest."""
    ends = now + overlap
    current = {"secret": row.secret_sealed, "key": row.signing_key_sealed, "until": ends.isoformat()}
    earlier = [{**item, "until": min(_until(item), ends).isoformat()} for item in row.earlier_secrets]
    return [item for item in (current, *earlier) if _until(item) > now][:MAX_EARLIER]


def secrets_of(ring: KeyRing, row: Any, now: datetime) -> Secrets:
    """Return the secrets with which messages to this endpoint are signed at `now`, the newest first. Raises DecryptionError."""
    valid: Sequence[Mapping[str, Any]] = [
        {"secret": row.secret_sealed, "key": row.signing_key_sealed},
        *(item for item in row.earlier_secrets if _until(item) > now),
    ]
    return Secrets(
        [decrypt(ring, item["secret"], purpose=_SHARED, belongs_to=row.id) for item in valid],
        [_private_key(ring, item["key"], row.id) for item in valid if item["key"] is not None],
    )


def public_key_of(ring: KeyRing, row: Any) -> str | None:
    """Return the public key that verifies the newest `v1a` signatures; None if the endpoint has none. Raises DecryptionError."""
    if row.signing_key_sealed is None:
        return None
    return signing.public_key(_private_key(ring, row.signing_key_sealed, row.id))


def _private_key(ring: KeyRing, sealed: str, endpoint_id: str) -> bytes:
    return base64.b64decode(decrypt(ring, sealed, purpose=_PRIVATE, belongs_to=endpoint_id))


def _until(item: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(item["until"])
