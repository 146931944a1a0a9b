"""A development hot wallet: a fresh key in an encrypted keystore, kept with the development data."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chain.types import to_checksum

_ITERATIONS: Final = 2_000
"""A real keystore takes 262,144 rounds; this one guards play money and is opened at every start."""


@dataclass(frozen=True, slots=True)
class DevWallet:
    """Where the keystore is and what opens it."""

    address: str
    keystore: Path
    password: str = field(repr=False)


def dev_wallet(home: Path) -> DevWallet:
    """The wallet under `home`, made at the first start."""
    from eth_account import Account

    keystore, secret = home / "hot-wallet.json", home / "hot-wallet.password"
    if not keystore.exists():
        password = secrets.token_urlsafe(24)
        made = Account.encrypt(Account.create().key, password, kdf="pbkdf2", iterations=_ITERATIONS)
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o600)
        keystore.write_text(json.dumps(made), encoding="utf-8")
        keystore.chmod(0o600)
    address = to_checksum("0x" + json.loads(keystore.read_text(encoding="utf-8"))["address"].removeprefix("0x"))
    return DevWallet(address, keystore, secret.read_text(encoding="utf-8"))
