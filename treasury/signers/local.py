"""A key in an encrypted keystore file, for development and small installations."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

from chain.types import Address, to_checksum
from treasury.signers.encoding import assemble, signing_hash
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, WrongKey

_MAX_KEYSTORE = 64_000


def address_of(keystore: Path) -> Address | None:
    """The address that a keystore file shows without its password, as most writers of them have it do; None where it shows none."""
    try:
        return to_checksum("0x" + str(json.loads(keystore.read_bytes())["address"]).removeprefix("0x"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class LocalSigner:
    """Decrypts the keystore once, away from the event loop, and keeps the key in this process alone."""

    def __init__(self, keystore: Path, password: str, rules: SigningLimits) -> None:
        """Nothing is read before the first `probe` or `sign`."""
        self._keystore = keystore
        self._password = password
        self._rules = rules
        self._key: Any = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        """Only what is public."""
        return f"LocalSigner({self._rules.wallet})"

    @property
    def address(self) -> Address:
        """The pinned wallet."""
        return self._rules.wallet

    async def probe(self) -> None:
        """Open the keystore and compare its address with the pinned one. Raises SignerError."""
        await self._opened()

    async def sign(self, intent: Intent) -> Signed:
        """Check the intent against the rules, then sign it. Raises SignerError."""
        objection = self._rules.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        key = await self._opened()
        signature = key.sign_msg_hash(signing_hash(intent))
        return assemble(intent, signature.r, signature.s, "local-" + secrets.token_hex(16))

    async def close(self) -> None:
        """Forget the key."""
        self._key = None

    async def _opened(self) -> Any:
        async with self._opening:
            if self._key is None:
                # The key derivation is slow on purpose: seconds of pure computation.
                self._key = await asyncio.to_thread(self._open)
        return self._key

    def _open(self) -> Any:
        from eth_account import Account
        from eth_keys.datatypes import PrivateKey

        try:
            text = self._keystore.read_bytes()[: _MAX_KEYSTORE + 1]
        except OSError:
            raise WrongKey("The file of HOT_WALLET_KEYSTORE cannot be read.") from None
        # What the libraries say may quote the file or the password, so nothing of it is passed on.
        try:
            if len(text) > _MAX_KEYSTORE:
                raise ValueError
            key = PrivateKey(bytes(Account.decrypt(json.loads(text), self._password)))
        except Exception:  # noqa: BLE001 - whatever they raise may quote it
            raise WrongKey(
                "HOT_WALLET_KEYSTORE does not open: HOT_WALLET_PASSWORD is wrong, or it is no keystore."
            ) from None
        if key.public_key.to_checksum_address() != self._rules.wallet:
            raise WrongKey("The hot wallet's keystore holds another address than the pinned one.")
        return key
