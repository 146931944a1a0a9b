"""A development hot wallet: a new key in an encrypted keystore, kept with the development data."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chain.types import to_checksum

_ITERATIONS: Final = 2_000
"""The rounds of the keystore's key derivation. A real keystore takes 262,144; this one protects play money and is decrypted at every start."""


@dataclass(frozen=True, slots=True)
class DevWallet:
    """The wallet's address, its keystore file and the keystore's password."""

    address: str
    keystore: Path
    password: str = field(repr=False)


def dev_wallet(home: Path) -> DevWallet:
    """Return the wallet in the folder `home`; make it at the first start."""
    from eth_account import Account

    keystore, secret = home / "hot-wallet.json", home / "hot-wallet.password"
    if not keystore.exists():
        password = secrets.token_urlsafe(24)
        encrypted = Account.encrypt(Account.create().key, password, kdf="pbkdf2", iterations=_ITERATIONS)
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o600)
        keystore.write_text(json.dumps(encrypted), encoding="utf-8")
        keystore.chmod(0o600)
    address = to_checksum("0x" + json.loads(keystore.read_text(encoding="utf-8"))["address"].removeprefix("0x"))
    return DevWallet(address, keystore, secret.read_text(encoding="utf-8"))
