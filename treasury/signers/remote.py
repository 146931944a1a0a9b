"""A signer whose key stays in a key service: the service receives digests, each of a transaction that was built and checked here."""

from dataclasses import dataclass
from typing import Final, Protocol

from chain.signatures.recovery import account_of
from chain.types import Address
from kit.backoff import backoff
from kit.clock import Clock, SystemClock
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, SignerUnavailable, WrongKey
from treasury.signers.signed_transaction import assemble, signing_hash

ATTEMPT_SECONDS: Final = 5.0
"""Seconds that one request to the key service may take."""
DEADLINE_SECONDS: Final = 10.0
"""Seconds for which throttled requests are retried. Retrying is safe: a signature counts only once its bytes are stored."""


class SignerThrottled(SignerUnavailable):
    """The key service limits the rate of requests."""


@dataclass(frozen=True, slots=True)
class KeySignature:
    """An ECDSA signature as key services return it (DER of r and s), and the id of the request in their logs."""

    der: bytes
    request_id: str


class KeyService(Protocol):
    """One key pair on secp256k1. Every method raises SignerError, never an exception of the library behind it."""

    async def public_key(self) -> bytes:
        """Return the public key as SubjectPublicKeyInfo in DER."""

    async def sign(self, digest: bytes) -> KeySignature:
        """Sign a digest of 32 bytes without hashing it again. Each call may return another signature of the same digest."""

    async def probe(self) -> None:
        """Raise SignerError if the key could not sign now. No signature is made."""

    async def close(self) -> None:
        """Release connections and threads."""


class RemoteSigner:
    """Checks and encodes an intent, has a key service sign its digest, and accepts only a signature that recovers to the pinned address.

    Implements `Signer`.
    """

    def __init__(self, key_service: KeyService, limits: SigningLimits, clock: Clock | None = None) -> None:
        """Store the parts; the key service is not called before `probe` or `sign`."""
        self._key_service = key_service
        self._limits = limits
        self._clock = clock or SystemClock()
        self._address_checked = False

    def __repr__(self) -> str:
        """Return the kind of service and the address."""
        return f"RemoteSigner({type(self._key_service).__name__}, {self._limits.wallet})"

    @property
    def address(self) -> Address:
        """The wallet that the settings pin."""
        return self._limits.wallet

    async def probe(self) -> None:
        """Compare the key's address with the pinned one, and check that the key may sign. Raises SignerError."""
        self._address_checked = False
        await self._check_address()
        await self._key_service.probe()

    async def sign(self, intent: Intent) -> Signed:
        """Check the intent against the limits, then have the key service sign it. Raises SignerError."""
        objection = self._limits.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        await self._check_address()
        signature = await self._sign_digest(signing_hash(intent))
        r, s = decode_der(signature.der)
        return assemble(intent, r, s, signature.request_id)

    async def close(self) -> None:
        """Release connections and threads."""
        await self._key_service.close()

    async def _check_address(self) -> None:
        """Compare the key's address with the pinned one, once; `assemble` checks each signature again."""
        if self._address_checked:
            return
        if address_of_public_key(await self._key_service.public_key()) != self._limits.wallet:
            raise WrongKey("The key service holds another key than the hot wallet's pinned one.")
        self._address_checked = True

    async def _sign_digest(self, digest: bytes) -> KeySignature:
        started, attempt = self._clock.monotonic(), 0
        while True:
            attempt += 1
            try:
                return await self._key_service.sign(digest)
            except SignerThrottled:
                wait = backoff(attempt, base=0.2, cap=2.0)
                if self._clock.monotonic() - started + wait > DEADLINE_SECONDS:
                    raise
                await self._clock.sleep(wait)


def decode_der(der: bytes) -> tuple[int, int]:
    """Return r and s of a DER signature. Raises SignerRefused for anything else."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        return decode_dss_signature(der)
    except ValueError:
        raise SignerRefused("The key service returned something that is not a signature.") from None


def address_of_public_key(spki: bytes) -> Address:
    """Return the address of a public key (SubjectPublicKeyInfo in DER). Raises SignerRefused for a key of another kind."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(spki)
    except ValueError:
        raise SignerRefused("The key service returned something that is not a public key.") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256K1):
        raise SignerRefused("The key is not on the curve secp256k1, so it has no address.")
    point = key.public_numbers()
    return account_of(point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big"))
