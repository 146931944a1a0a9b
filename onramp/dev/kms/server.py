"""A key that behaves as in a cloud KMS, for development and tests: signatures differ each time, and known faults can be simulated."""

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
    """The faults to simulate. Whole numbers count the requests still to fail; `delay` (seconds) and the switches stay until they are reset."""

    high_s: bool = False
    """The number s is in the upper half of the curve's order, which nodes refuse; both clouds may return such signatures."""
    short: bool = False
    """The number r or s has a leading zero byte, which DER leaves out."""
    wrong_key: bool = False
    double_hash: bool = False
    """The digest is hashed again, as some emulators do."""
    garbage: bool = False
    """The signature is not valid DER."""
    throttle: int = 0
    lose_reply: int = 0
    """The digest is signed, and the reply is lost."""
    internal_error: int = 0
    delay: float = 0.0
    """Seconds before each response."""
    disabled: bool = False
    denied: bool = False
    bad_crc: bool = False
    """Google: the reply's checksum is wrong."""
    unverified: bool = False
    """Google: the service does not confirm the digest's checksum."""
    other_name: bool = False
    """Google: the reply names another key version."""
    software: bool = False
    """Google: the key is not in hardware."""
    another_curve: bool = False


@dataclass(slots=True)
class DevKey:
    """One key pair, its faults, and counts of its signatures and requests."""

    secret: bytes = field(repr=False)
    faults: KmsFaults = field(default_factory=KmsFaults)
    signatures: int = 0
    requests: int = 0
    last_request: dict[str, Any] = field(default_factory=dict)
    """The body of the last request (AWS only)."""

    def use_fault(self, name: str) -> bool:
        """Return whether a counted fault happens now, and count it down."""
        remaining = getattr(self.faults, name)
        if remaining:
            setattr(self.faults, name, remaining - 1)
        return bool(remaining)

    def public_key(self, encoding: Encoding) -> bytes:
        """Return the public key as SubjectPublicKeyInfo."""
        key: Any = ec.generate_private_key(ec.SECP256R1()) if self.faults.another_curve else self._key()
        return bytes(key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, digest: bytes) -> bytes:
        """Return a DER signature of the digest, with the faults that are set."""
        self.signatures += 1
        if self.faults.garbage:
            return b"\x30\x06\x02\x01"
        key = self._key()
        if self.faults.double_hash:
            hashed = hashes.Hash(hashes.SHA256())
            hashed.update(digest)
            digest = hashed.finalize()
        deadline = time.monotonic() + 10
        while True:
            r, s = decode_dss_signature(key.sign(digest, DIGEST))
            s = max(s, ORDER - s) if self.faults.high_s else s
            if not self.faults.short or min(r, s).bit_length() <= 31 * 8 or time.monotonic() > deadline:
                return encode_dss_signature(r, s)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(self.secret, "big")
        return ec.derive_private_key(number + 1 if self.faults.wrong_key else number, ec.SECP256K1())
