"""A key in an encrypted keystore file, for development and small installations."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

from chain.types import Address, to_checksum
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, WrongKey
from treasury.signers.signed_transaction import assemble, signing_hash

_MAX_KEYSTORE_BYTES = 64_000


def keystore_address(keystore: Path) -> Address | None:
    """Return the address stated in a keystore file, without its password; None if there is none, or the file cannot be read. Never raises."""
    try:
        return to_checksum("0x" + str(json.loads(keystore.read_bytes())["address"]).removeprefix("0x"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class LocalSigner:
    """Signs with the key of a keystore file, which it decrypts once, in a thread, and keeps in memory. Implements `Signer`."""

    def __init__(self, keystore: Path, password: str, limits: SigningLimits) -> None:
        """Store the parts; the file is not read before `probe` or `sign`."""
        self._keystore = keystore
        self._password = password
        self._limits = limits
        self._key: Any = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        """Return the address only: the default would show the password."""
        return f"LocalSigner({self._limits.wallet})"

    @property
    def address(self) -> Address:
        """The wallet that the settings pin. `probe` and `sign` compare the keystore's key with it."""
        return self._limits.wallet

    async def probe(self) -> None:
        """Open the keystore and compare its address with the pinned one. Raises SignerError."""
        await self._load_key()

    async def sign(self, intent: Intent) -> Signed:
        """Check the intent against the limits, then sign it. Raises SignerError."""
        objection = self._limits.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        key = await self._load_key()
        signature = key.sign_msg_hash(signing_hash(intent))
        return assemble(intent, signature.r, signature.s, "local-" + secrets.token_hex(16))

    async def close(self) -> None:
        """Discard the key."""
        self._key = None

    async def _load_key(self) -> Any:
        async with self._lock:
            if self._key is None:
                # Key derivation is slow by design: seconds of computation.
                self._key = await asyncio.to_thread(self._decrypt)
        return self._key

    def _decrypt(self) -> Any:
        from eth_account import Account
        from eth_keys.datatypes import PrivateKey

        try:
            text = self._keystore.read_bytes()[: _MAX_KEYSTORE_BYTES + 1]
        except OSError:
            raise WrongKey("The file of HOT_WALLET_KEYSTORE cannot be read.") from None
        # The libraries' messages may quote the file or the password, so none of them is passed on.
        try:
            if len(text) > _MAX_KEYSTORE_BYTES:
                raise ValueError
            key = PrivateKey(bytes(Account.decrypt(json.loads(text), self._password)))
        except Exception:  # noqa: BLE001 - any message may quote the password
            raise WrongKey(
                "HOT_WALLET_KEYSTORE does not open: HOT_WALLET_PASSWORD is wrong, or the file is not a keystore."
            ) from None
        if key.public_key.to_checksum_address() != self._limits.wallet:
            raise WrongKey("The hot wallet's keystore holds another address than the pinned one.")
        return key
