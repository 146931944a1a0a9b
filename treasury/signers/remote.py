"""A signer whose key stays in somebody else's hardware: it is sent digests, but only digests of what we built and checked."""

from dataclasses import dataclass
from typing import Final, Protocol

from chain.signatures.recovery import account_of
from chain.types import Address
from kit.backoff import backoff
from kit.clock import Clock, SystemClock
from treasury.signers.encoding import assemble, signing_hash
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, SignerUnavailable, WrongKey

ATTEMPT_SECONDS: Final = 5.0
DEADLINE_SECONDS: Final = 10.0
"""A signature that is asked for twice costs nothing: neither was stored before it came."""


class SignerThrottled(SignerUnavailable):
    """The service says that it was asked too often."""


@dataclass(frozen=True, slots=True)
class KeySignature:
    """An ECDSA signature as key services give it (DER of r and s), and the id that their logs know the request by."""

    der: bytes
    request_id: str


class KeyService(Protocol):
    """One key pair on secp256k1. Every method raises SignerError and nothing of its library's."""

    async def public_key(self) -> bytes:
        """The public key as SubjectPublicKeyInfo, DER."""

    async def sign(self, digest: bytes) -> KeySignature:
        """Sign 32 bytes as they are, hashing nothing. The same digest gives another signature each time."""

    async def probe(self) -> None:
        """Raise where the key could not sign now; no signature is made."""

    async def close(self) -> None:
        """Give connections and threads back."""


class RemoteSigner:
    """Checks, encodes, asks, and believes nothing that does not recover to the pinned address."""

    def __init__(self, keys: KeyService, rules: SigningLimits, clock: Clock | None = None) -> None:
        """Nothing is asked before the first `probe` or `sign`."""
        self._keys = keys
        self._rules = rules
        self._clock = clock or SystemClock()
        self._compared = False

    def __repr__(self) -> str:
        """Only what is public."""
        return f"RemoteSigner({type(self._keys).__name__}, {self._rules.wallet})"

    @property
    def address(self) -> Address:
        """The pinned wallet."""
        return self._rules.wallet

    async def probe(self) -> None:
        """Compare the key's address with the pinned one, and ask whether it may sign. Raises SignerError."""
        self._compared = False
        await self._compare()
        await self._keys.probe()

    async def sign(self, intent: Intent) -> Signed:
        """Check the intent against the rules, then have it signed. Raises SignerError."""
        objection = self._rules.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        await self._compare()
        signature = await self._ask(signing_hash(intent))
        r, s = numbers(signature.der)
        return assemble(intent, r, s, signature.request_id)

    async def close(self) -> None:
        """Give connections and threads back."""
        await self._keys.close()

    async def _compare(self) -> None:
        """Once, as long as it holds: `assemble` compares again with each signature."""
        if self._compared:
            return
        if address_of(await self._keys.public_key()) != self._rules.wallet:
            raise WrongKey("The key service holds another key than the hot wallet's pinned one.")
        self._compared = True

    async def _ask(self, digest: bytes) -> KeySignature:
        started, attempt = self._clock.monotonic(), 0
        while True:
            attempt += 1
            try:
                return await self._keys.sign(digest)
            except SignerThrottled:
                wait = backoff(attempt, base=0.2, cap=2.0)
                if self._clock.monotonic() - started + wait > DEADLINE_SECONDS:
                    raise
                await self._clock.sleep(wait)


def numbers(der: bytes) -> tuple[int, int]:
    """R and s of a DER signature; SignerRefused for what is none."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        return decode_dss_signature(der)
    except ValueError:
        raise SignerRefused("The key service answered something that is no signature.") from None


def address_of(spki: bytes) -> Address:
    """The address of a public key; SignerRefused for another kind of key."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(spki)
    except ValueError:
        raise SignerRefused("The key service answered something that is no public key.") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256K1):
        raise SignerRefused("The key is not on the curve secp256k1, so it has no address.")
    point = key.public_numbers()
    return account_of(point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big"))
