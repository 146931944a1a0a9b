"""The little of ERC-20 that is used, coded by hand: a transfer, a balance, the Transfer event.

A payout's calldata is `transfer(to, amount)` followed by 32 bytes of ours. Solidity's decoder ignores what follows the
arguments it knows, so the token does not care, and the chain itself carries our idempotency key.
"""

import re
from collections.abc import Mapping
from typing import Any

from chain.abi.words import WORD, address_word, uint256_word
from chain.types import Address, BlockRef, Transfer, checksum_digits, keccak, to_checksum, to_hex

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""keccak256 of `Transfer(address,address,uint256)`."""

_TRANSFER = bytes.fromhex("a9059cbb")
_BALANCE_OF = bytes.fromhex("70a08231")
_DECIMALS = bytes.fromhex("313ce567")
_SYMBOL = bytes.fromhex("95d89b41")
_ARGUMENTS_END = 4 + 2 * WORD
_PAYOUT_LENGTH = _ARGUMENTS_END + WORD


def encode_transfer(to: Address, amount: int) -> bytes:
    """Calldata of `transfer(to, amount)`; `amount` in base units. Raises ValueError for a bad address or amount."""
    return _TRANSFER + address_word(to) + uint256_word(amount)


def encode_balance_of(owner: Address) -> bytes:
    """Calldata of `balanceOf(owner)`."""
    return _BALANCE_OF + address_word(owner)


def encode_decimals() -> bytes:
    """Calldata of `decimals()`."""
    return _DECIMALS


def encode_symbol() -> bytes:
    """Calldata of `symbol()`."""
    return _SYMBOL


def decode_string(data: bytes) -> str:
    """The string that a contract returned: as the ABI writes one, or in one word as some older tokens do. Empty for anything else."""
    if len(data) == WORD:
        text = data.rstrip(b"\0")
    else:
        start = int.from_bytes(data[:WORD], "big") + WORD
        text = data[start : start + int.from_bytes(data[start - WORD : start], "big")] if start <= len(data) else b""
    return text.decode("utf-8", "replace")


def reference_of(session_id: str) -> bytes:
    """The 32 bytes that tie a payout on chain to its session: keccak256 of the id's ASCII."""
    return keccak(session_id.encode("ascii"))


def payout_calldata(to: Address, amount: int, reference: bytes) -> bytes:
    """Calldata of a payout: the transfer, then the reference. Raises ValueError where the reference is not 32 bytes."""
    if len(reference) != WORD:
        message = "a payout's reference is 32 bytes"
        raise ValueError(message)
    return encode_transfer(to, amount) + reference


def split_payout_calldata(data: bytes) -> tuple[Address, int, bytes] | None:
    """(to, amount, reference) of calldata built by `payout_calldata`.

    None for anything else, a plain transfer included.
    """
    if len(data) != _PAYOUT_LENGTH or data[:4] != _TRANSFER or any(data[4:16]):
        return None
    to = to_checksum("0x" + data[16:36].hex())
    return to, int.from_bytes(data[36:_ARGUMENTS_END], "big"), data[_ARGUMENTS_END:]


def decode_transfer(data: bytes) -> tuple[Address, int] | str:
    """(to, amount) of calldata that is exactly `transfer(to, amount)`; otherwise what it is instead, as half a sentence."""
    if data[:4] != _TRANSFER:
        return f"calls the function {to_hex(data[:4])}, not transfer(address,uint256)"
    if len(data) != _ARGUMENTS_END:
        return f"has {len(data)} bytes of calldata where transfer(address,uint256) has {_ARGUMENTS_END}"
    if any(data[4:16]):
        return "has bytes before the recipient's address that must be zero"
    return to_checksum("0x" + data[16:36].hex()), int.from_bytes(data[36:], "big")


def address_topic(address: Address) -> str:
    """An address as an indexed topic."""
    return to_hex(address_word(address))


_HASH = "0x[0-9a-fA-F]{64}"
_INDEXED = "0x0{24}([0-9a-fA-F]{40})"
_NUMBER = "0x([0-9a-fA-F]{1,64})"
# Everything at once: field by field, reading a block's logs cost more than matching them.
_LOG = re.compile(
    f"(0x[0-9a-fA-F]{{40}}) {TRANSFER_TOPIC} {_INDEXED} {_INDEXED} 0x([0-9a-fA-F]{{64}}) "
    f"({_HASH}) {_NUMBER} {_NUMBER} ({_HASH})"
)
"""Dirty upper bytes of a topic would name no address; data of another length is another event with the same name (ERC-721)."""


def decode_transfer_log(log: Mapping[str, Any]) -> Transfer | None:
    """The Transfer a log tells of; None where it is another event, is marked as removed, or is not well formed."""
    try:
        event, *indexed = log["topics"]
        at = (log["transactionHash"], log["logIndex"], log["blockNumber"], log["blockHash"])
        found = _LOG.fullmatch(" ".join((log["address"], event.lower(), *indexed, log["data"], *at)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if found is None or log.get("removed") is True:
        return None
    token, sender, recipient, amount, tx_hash, log_index, number, block_hash = found.groups()
    return Transfer(
        token=checksum_digits(token[2:]),
        sender=checksum_digits(sender),
        recipient=checksum_digits(recipient),
        amount=int(amount, 16),
        tx_hash=tx_hash.lower(),
        log_index=int(log_index, 16),
        block=BlockRef(int(number, 16), block_hash.lower()),
    )
