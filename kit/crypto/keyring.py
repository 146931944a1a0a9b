"""A ring of server keys: the first makes, all of them check, so that a key can be replaced while the old one is still understood.

Every use derives a key of its own, so that what signs one thing is no help with another.
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
DEVELOPMENT: Final = hashlib.sha256(b"onramp development key: known to everyone").digest()
"""Stands in where no key is set. It protects nothing, production refuses to start with it, and the doctor says so."""


def parse_key(text: str) -> bytes:
    """32 bytes as hex or base64 (of either alphabet), padded or not. ValueError for anything else, without the value."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        message = "must be 32 bytes each, in hex or urlsafe base64: `openssl rand -hex 32` makes one"
        raise ValueError(message)
    return key


def is_weak(key: bytes) -> bool:
    """A key that somebody typed: the development key, or one of very few different bytes."""
    return key == DEVELOPMENT or len(set(key)) < KEY_BYTES // 4


@dataclass(frozen=True, slots=True, repr=False)
class DerivedKey:
    """A key for one purpose; `id` names the ring's key that it comes from, and tells nothing about it."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"DerivedKey({self.id})"

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA256 of `message`."""
        return hmac.digest(self.secret, message, hashlib.sha256)


class KeyRing:
    """Derives keys by purpose, in the ring's order."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys`: 32 bytes each, the first is the one that makes."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            message = "a key ring holds at least one key of 32 bytes"
            raise ValueError(message)
        self._keys = tuple(keys)

    def __repr__(self) -> str:
        return f"KeyRing({len(self._keys)} keys)"

    @property
    def is_weak(self) -> bool:
        """Whether any of the keys protects nothing."""
        return any(is_weak(key) for key in self._keys)

    def all(self, purpose: str) -> tuple[DerivedKey, ...]:
        """Every key of the ring, for one purpose; the first makes."""
        return tuple(_derive(key, purpose) for key in self._keys)

    def macs(self, purpose: str, text: str) -> list[str]:
        """The text's HMAC in hex under every key of the ring, the one to store first: what to look up a stored one by."""
        return [key.mac(text.encode()).hex() for key in self.all(purpose)]

    def first(self, purpose: str) -> DerivedKey:
        """The key that makes."""
        return _derive(self._keys[0], purpose)


def _derive(key: bytes, purpose: str) -> DerivedKey:
    """One block of HKDF-Expand (RFC 5869, 2.3) with the purpose as `info`; the ring's keys are uniform, so nothing is extracted."""
    identity = hmac.digest(key, b"onramp/key-id\x01", hashlib.sha256).hex()[:8]
    return DerivedKey(identity, hmac.digest(key, f"onramp/{purpose}".encode() + b"\x01", hashlib.sha256))
