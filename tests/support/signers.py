"""What the tests of all signers share: limits, an intent, and a key service with its faults."""

from dataclasses import dataclass

from chain.abi.erc20 import reference_of
from onramp.dev.kms.server import DevKey
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, TOKEN, WALLET
from treasury.signers.intent import SigningLimits, TransferIntent
from treasury.signers.protocol import Signer
from treasury.signers.remote import KeyService

LIMITS = SigningLimits(CHAIN_ID, WALLET, TOKEN, max_fee=10**10)
INTENT = TransferIntent(CHAIN_ID, WALLET, 7, TOKEN, BUYER, 5 * MUSD, reference_of("ons_one"), 80_000, 10**9, 10**8)
PASSWORD = "correct horse"
"""The password of the keystore."""


@dataclass(slots=True)
class Rig:
    """A signer with the key service behind it, and the service's key, whose faults a test sets."""

    signer: Signer
    key: DevKey
    keys: KeyService
    endpoint: str
