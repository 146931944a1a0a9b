"""Values encrypted at rest: AES-256-GCM under a key ring. The first key encrypts, all of them decrypt.

A sealed value is text, `v1.KEY.DATA`: which key of the ring, then nonce, ciphertext and tag in urlsafe base64. What a value belongs
to (its table, column and row) is authenticated with it, so that a value moved to another row does not open there.
"""

import base64
import binascii
import secrets
from typing import Final

from kit.crypto.keyring import KeyRing

_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
"""Random, as NIST SP 800-38D 8.2.2 allows up to 2^32 values a key; far beyond what one service stores."""


class DecryptionError(Exception):
    """The value cannot be opened: it was changed, belongs elsewhere, or its key is not in the ring. Never says the value."""


def encrypt(ring: KeyRing, value: str, *, purpose: str, belongs_to: str) -> str:
    """Encrypt under the ring's first key. `purpose` names the kind of value, `belongs_to` its row."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = ring.first(purpose)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key.secret).encrypt(nonce, value.encode(), _bound(purpose, belongs_to))
    return f"{_VERSION}.{key.id}.{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"


def decrypt(ring: KeyRing, sealed: str, *, purpose: str, belongs_to: str) -> str:
    """Decrypt with whichever key of the ring it was sealed under. Raises SealError."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id, data = _parts(sealed)
    key = next((key for key in ring.all(purpose) if key.id == key_id), None)
    if key is None:
        raise DecryptionError(f"it was sealed under key {key_id}, which DATA_KEYS does not hold")
    nonce, encrypted = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
    try:
        return AESGCM(key.secret).decrypt(nonce, encrypted, _bound(purpose, belongs_to)).decode()
    except InvalidTag as error:
        raise DecryptionError("it was changed, or belongs to another row") from error


def is_current(ring: KeyRing, sealed: str, *, purpose: str) -> bool:
    """Whether it is sealed under the ring's first key; the others wait to be sealed anew."""
    return _parts(sealed)[0] == ring.first(purpose).id


def _parts(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecryptionError("it is not a sealed value") from error
    if version != _VERSION or len(data) < _NONCE_BYTES + 16:
        raise DecryptionError("it is not a sealed value")
    return key_id, data


def _bound(purpose: str, belongs_to: str) -> bytes:
    return f"{purpose}\x00{belongs_to}".encode()
