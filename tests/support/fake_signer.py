"""A signer with its key in memory."""

import secrets

from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]

from chain.payonce import ADDRESS
from tests.support.hot_wallet import CHAIN_ID, KEY, SAFE, TOKEN, address_of
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, SignerUnavailable
from treasury.signers.signed_transaction import assemble, signing_hash


class KeySigner:
    """Signs with a key in memory. Each signature of the same digest differs, as those of a KMS do."""

    def __init__(self, key: bytes = KEY, max_fee: int = 50 * 10**9) -> None:
        self._key = key
        self.address = address_of(key)
        self.limits = SigningLimits(CHAIN_ID, self.address, TOKEN, max_fee, cold=SAFE, contract=ADDRESS)
        self.requests: list[Intent] = []
        self.down = False
        """True: every request fails with SignerUnavailable."""

    async def probe(self) -> None:
        if self.down:
            raise SignerUnavailable("The signer is down.")

    async def close(self) -> None:
        """Nothing is open."""

    async def sign(self, intent: Intent) -> Signed:
        self.requests.append(intent)
        await self.probe()
        objection = self.limits.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        # Fresh randomness, as cloud key services use: the same digest gives another signature each time.
        nonce = (lib.secp256k1_nonce_function_default, ffi.from_buffer(secrets.token_bytes(32)))
        raw = PrivateKey(self._key).sign_recoverable(signing_hash(intent), hasher=None, custom_nonce=nonce)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        return assemble(intent, r, s, f"req-{len(self.requests)}")
