"""Receipts and logs as nodes return them, and the accounts and amounts in them."""

from typing import Any

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic
from chain.types import to_checksum

TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
OTHER_TOKEN = to_checksum("0x" + "77" * 20)
WALLET = to_checksum("0x" + "aa" * 20)
BUYER = to_checksum("0x" + "bb" * 20)
STRANGER = to_checksum("0x" + "cc" * 20)
SENDER = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
"""An account of the development chain."""
OWED = 5 * 10**18
TX = "0x" + "12" * 32
BLOCK_HASH = "0x" + "34" * 32


def log(
    amount: int = 5,
    *,
    token: str = TOKEN,
    sender: str = WALLET,
    recipient: str = BUYER,
    index: int = 0,
    block: int = 100,
    tx_hash: str = TX,
) -> dict[str, Any]:
    """Return a Transfer event."""
    return {
        "address": token.lower(),
        "topics": [TRANSFER_TOPIC, address_topic(sender), address_topic(recipient)],
        "data": "0x" + amount.to_bytes(32, "big").hex(),
        "transactionHash": tx_hash,
        "blockHash": BLOCK_HASH,
        "blockNumber": hex(block),
        "logIndex": hex(index),
        "transactionIndex": "0x0",
        "removed": False,
    }


def receipt(*logs: dict[str, Any], status: int = 1, block: int = 100, block_hash: str = BLOCK_HASH) -> dict[str, Any]:
    """Return a receipt with these logs."""
    return {
        "transactionHash": TX,
        "blockHash": block_hash,
        "blockNumber": hex(block),
        "status": hex(status),
        "logs": [{**entry, "blockHash": block_hash} for entry in logs],
        "gasUsed": "0x5208",
    }
