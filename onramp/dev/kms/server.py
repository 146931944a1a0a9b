"""A key as cloud key services keep it, for development and tests: another signature each time, and every fault that they are known for."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DIGEST: Final = ec.ECDSA(Prehashed(hashes.SHA256()))


@dataclass(slots=True)
class KmsFaults:
    """What goes wrong. Numbers count down with each request; the others stay until taken back."""

    high_s: bool = False
    """s in the upper half, which nodes refuse; both clouds may answer it."""
    short: bool = False
    """r or s with a leading zero byte, which DER leaves out."""
    wrong_key: bool = False
    double_hash: bool = False
    """The digest is hashed again, as some emulators do."""
    garbage: bool = False
    """Something that is no DER."""
    throttle: int = 0
    lose: int = 0
    """It is signed, and the reply is lost."""
    unwell: int = 0
    delay: float = 0.0
    """Seconds before each answer."""
    disabled: bool = False
    denied: bool = False
    bad_crc: bool = False
    """Google: the reply's checksum does not fit it."""
    unverified: bool = False
    """Google: the service does not say that it saw the digest's checksum."""
    other_name: bool = False
    """Google: the reply speaks of another key version."""
    software: bool = False
    """Google: the key is not in hardware."""
    another_curve: bool = False


@dataclass(slots=True)
class DevKey:
    """One key pair, its faults, and how often it has signed."""

    secret: bytes = field(repr=False)
    faults: KmsFaults = field(default_factory=KmsFaults)
    signatures: int = 0
    requests: int = 0

    def take(self, name: str) -> bool:
        """Whether a fault that counts down happens now."""
        left = getattr(self.faults, name)
        if left:
            setattr(self.faults, name, left - 1)
        return bool(left)

    def public_key(self, encoding: Encoding) -> bytes:
        """SubjectPublicKeyInfo."""
        key: Any = ec.generate_private_key(ec.SECP256R1()) if self.faults.another_curve else self._key()
        return bytes(key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, digest: bytes) -> bytes:
        """A DER signature, with the faults that are set."""
        self.signatures += 1
        if self.faults.garbage:
            return b"\x30\x06\x02\x01"
        key = self._key()
        if self.faults.double_hash:
            hashed = hashes.Hash(hashes.SHA256())
            hashed.update(digest)
            digest = hashed.finalize()
        until = time.monotonic() + 10
        while True:
            r, s = decode_dss_signature(key.sign(digest, DIGEST))
            s = max(s, ORDER - s) if self.faults.high_s else s
            if not self.faults.short or min(r, s).bit_length() <= 31 * 8 or time.monotonic() > until:
                return encode_dss_signature(r, s)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(self.secret, "big")
        return ec.derive_private_key(number + 1 if self.faults.wrong_key else number, ec.SECP256K1())
