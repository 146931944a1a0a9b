"""Encryption of values at rest: AES-256-GCM under a key ring. The current key encrypts, all keys decrypt.

An encrypted value is text, `v1.KEY.DATA`: the id of the ring's key, then nonce, ciphertext and tag in urlsafe base64. What the value belongs
to (table, column and row) is authenticated with it, so that it cannot be decrypted after being moved to another row.
"""

import base64
import binascii
import secrets
from typing import Final

from kit.crypto.keyring import KeyRing

_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
"""The length of a nonce. NIST SP 800-38D (8.2.2) allows random nonces for up to 2^32 values per key, far more than one service stores."""


class DecryptionError(Exception):
    """A value cannot be decrypted: it was changed or moved, or its key is not in the ring. The message does not contain the value."""


def encrypt(ring: KeyRing, value: str, *, purpose: str, belongs_to: str) -> str:
    """Return `value` encrypted under the ring's current key. `purpose` names the kind of value, `belongs_to` its table, column and row."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = ring.first(purpose)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    data = nonce + AESGCM(key.secret).encrypt(nonce, value.encode(), _bound(purpose, belongs_to))
    return f"{_VERSION}.{key.id}.{base64.urlsafe_b64encode(data).decode().rstrip('=')}"


def decrypt(ring: KeyRing, encrypted: str, *, purpose: str, belongs_to: str) -> str:
    """Return the decrypted value, with the key of the ring that encrypted it. `purpose` and `belongs_to` must be those it was encrypted with.

    Raises DecryptionError.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id, data = _parts(encrypted)
    key = next((key for key in ring.all(purpose) if key.id == key_id), None)
    if key is None:
        raise DecryptionError(f"it was encrypted under key {key_id}, which is not in the key ring")
    nonce, ciphertext = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
    try:
        return AESGCM(key.secret).decrypt(nonce, ciphertext, _bound(purpose, belongs_to)).decode()
    except InvalidTag as error:
        raise DecryptionError("it was changed, or belongs to another row") from error


def is_current(ring: KeyRing, encrypted: str, *, purpose: str) -> bool:
    """Return whether a value is encrypted under the ring's current key; one that is not should be encrypted again."""
    return _parts(encrypted)[0] == ring.first(purpose).id


def _parts(encrypted: str) -> tuple[str, bytes]:
    version, _, rest = encrypted.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecryptionError("it is not an encrypted value") from error
    if version != _VERSION or len(data) < _NONCE_BYTES + 16:
        raise DecryptionError("it is not an encrypted value")
    return key_id, data


def _bound(purpose: str, belongs_to: str) -> bytes:
    return f"{purpose}\x00{belongs_to}".encode()
