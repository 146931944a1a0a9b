"""The hot wallet of the treasury's tests: its key, its address, and the chain, token and Safe around it."""

from coincurve import PrivateKey

from chain.types import keccak, to_checksum
from treasury.core.hot_wallets import HotWallet

CHAIN_ID = 31611
TOKEN = to_checksum("0x118917a40faf1cd7a13db0ef56c86de7973ac503")
KEY = bytes.fromhex("11" * 32)
SAFE = to_checksum("0x" + "5a" * 20)
BUYER = to_checksum("0x" + "b0" * 20)
MUSD = 10**18
"""Base units of one MUSD."""


def address_of(key: bytes) -> str:
    """Return the address of a private key of 32 bytes."""
    return to_checksum("0x" + keccak(PrivateKey(key).public_key.format(compressed=False)[1:])[12:].hex())


WALLET = address_of(KEY)
HOT_WALLET = HotWallet(CHAIN_ID, WALLET)
