"""A ring of server keys for rotation: the first key signs and encrypts, all keys verify and decrypt.

Each use has a key of its own, derived by purpose, so that a signature made for one purpose is of no use for another.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KEY_BYTES: Final = 32
_KEY_ID_PURPOSE: Final = "key-id"
_KEY_ID_DIGITS: Final = 8


def parse_key(text: str) -> bytes:
    """Return the 32 bytes of a key in hex or base64 (standard or urlsafe, padded or not).

    Raises ValueError, whose message does not show `text`, for anything else.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("must be 32 bytes each, in hex or urlsafe base64: `openssl rand -hex 32` makes one")
    return key


def is_weak(key: bytes) -> bool:
    """Return whether a key of 32 bytes was probably typed rather than generated: it has fewer than 8 different bytes."""
    return len(set(key)) < KEY_BYTES // 4


@dataclass(frozen=True, slots=True, repr=False)
class DerivedKey:
    """A key for one purpose, derived from a key of the ring."""

    id: str
    """Names the ring's key from which this one is derived, and does not reveal that key."""
    secret: bytes

    def __repr__(self) -> str:
        return f"DerivedKey({self.id})"

    def mac(self, message: bytes) -> bytes:
        """Return the HMAC-SHA256 of `message`."""
        return hmac.digest(self.secret, message, hashlib.sha256)


class KeyRing:
    """Server keys, the current one first, from which a key for each purpose is derived."""

    def __init__(self, keys: Sequence[bytes], context: str) -> None:
        """Check the keys and keep them: 32 uniformly random bytes each, the current one first. Raises ValueError for none, or another length.

        `context` is the application's name; another name gives other derived keys.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError("a key ring holds at least one key of 32 bytes")
        self._keys = tuple(keys)
        self._context = context

    def __repr__(self) -> str:
        return f"KeyRing({len(self._keys)} keys)"

    def all(self, purpose: str) -> tuple[DerivedKey, ...]:
        """Return every key of the ring derived for `purpose`, the current one first."""
        return tuple(_derive(key, self._context, purpose) for key in self._keys)

    def macs(self, purpose: str, text: str) -> list[str]:
        """Return the HMAC-SHA256 of `text` in hex under every key of the ring: store the first, look up by all."""
        return [key.mac(text.encode()).hex() for key in self.all(purpose)]

    def first(self, purpose: str) -> DerivedKey:
        """Return the current key, derived for `purpose`."""
        return _derive(self._keys[0], self._context, purpose)


def _derive(key: bytes, context: str, purpose: str) -> DerivedKey:
    """Derive a key with HKDF-Expand (RFC 5869, 2.3). The ring's keys are uniformly random, so nothing has to be extracted first."""
    identity = _expand(key, f"{context}/{_KEY_ID_PURPOSE}").hex()[:_KEY_ID_DIGITS]
    return DerivedKey(identity, _expand(key, f"{context}/{purpose}"))


def _expand(key: bytes, info: str) -> bytes:
    # Imported late: most commands derive nothing, and cryptography takes some time to load.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info.encode()).derive(key)
