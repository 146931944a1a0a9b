"""The parts of ERC-20 that the service uses: transfers, balances, allowances and the Transfer event.

A payout's calldata is `transfer(to, amount)` followed by a 32-byte reference. Solidity's decoder ignores bytes after the
arguments, so the token accepts it, and the chain itself stores our idempotency key.
"""

import re
from collections.abc import Mapping
from typing import Any

from chain.abi.decoding import decode_values
from chain.abi.words import WORD, address_word, uint256_word
from chain.types import Address, BlockRef, Transfer, checksum_digits, keccak, to_checksum, to_hex

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""The keccak256 of `Transfer(address,address,uint256)`."""

_TRANSFER = bytes.fromhex("a9059cbb")
_BALANCE_OF = bytes.fromhex("70a08231")
_APPROVE = bytes.fromhex("095ea7b3")
_ALLOWANCE = bytes.fromhex("dd62ed3e")
_DECIMALS = bytes.fromhex("313ce567")
_SYMBOL = bytes.fromhex("95d89b41")
_ARGUMENTS_END = 4 + 2 * WORD
_PAYOUT_LENGTH = _ARGUMENTS_END + WORD


def encode_transfer(to: Address, amount: int) -> bytes:
    """Return the calldata of `transfer(to, amount)`; `amount` in base units. Raises ValueError for an invalid address or amount."""
    return _TRANSFER + address_word(to) + uint256_word(amount)


def encode_balance_of(owner: Address) -> bytes:
    """Return the calldata of `balanceOf(owner)`."""
    return _BALANCE_OF + address_word(owner)


def encode_approve(spender: Address, amount: int) -> bytes:
    """Return the calldata of `approve(spender, amount)`; `amount` in base units. Raises ValueError for an invalid address or amount."""
    return _APPROVE + address_word(spender) + uint256_word(amount)


def decode_approve(data: bytes) -> tuple[Address, int]:
    """Return (spender, amount) of calldata that `encode_approve` wrote, `amount` in base units. Raises ValueError for other calldata."""
    if len(data) != _ARGUMENTS_END or data[:4] != _APPROVE or any(data[4:16]):
        raise ValueError("not the calldata of approve(address,uint256)")
    return to_checksum("0x" + data[16:36].hex()), int.from_bytes(data[36:], "big")


def encode_allowance(owner: Address, spender: Address) -> bytes:
    """Return the calldata of `allowance(owner, spender)`."""
    return _ALLOWANCE + address_word(owner) + address_word(spender)


def encode_decimals() -> bytes:
    """Return the calldata of `decimals()`."""
    return _DECIMALS


def encode_symbol() -> bytes:
    """Return the calldata of `symbol()`."""
    return _SYMBOL


def decode_string(data: bytes) -> str:
    """Decode a string that a contract returned, including one in a single word as some older tokens do. Returns "" for anything else."""
    if len(data) == WORD:
        text = data.rstrip(b"\0")
    else:
        try:
            (text,) = decode_values(["bytes"], data)
        except ValueError:
            return ""
    return text.decode("utf-8", "replace")


def reference_of(session_id: str) -> bytes:
    """Return the 32 bytes that link a payout on chain to its session: the keccak256 of the session id in ASCII."""
    return keccak(session_id.encode("ascii"))


def payout_calldata(to: Address, amount: int, reference: bytes) -> bytes:
    """Return the calldata of a payout: the transfer of `amount` base units, then the reference. Raises ValueError if the reference is not 32 bytes."""
    if len(reference) != WORD:
        raise ValueError("a payout's reference is 32 bytes")
    return encode_transfer(to, amount) + reference


def split_payout_calldata(data: bytes) -> tuple[Address, int, bytes] | None:
    """Split calldata built by `payout_calldata` into (to, amount, reference).

    Returns None for any other calldata, including a plain transfer.
    """
    if len(data) != _PAYOUT_LENGTH or data[:4] != _TRANSFER or any(data[4:16]):
        return None
    to = to_checksum("0x" + data[16:36].hex())
    return to, int.from_bytes(data[36:_ARGUMENTS_END], "big"), data[_ARGUMENTS_END:]


def decode_transfer(data: bytes) -> tuple[Address, int] | str:
    """Return (to, amount) if the calldata is exactly `transfer(to, amount)`; otherwise text that continues "The transaction ..."."""
    if data[:4] != _TRANSFER:
        return f"calls the function {to_hex(data[:4])}, not transfer(address,uint256)"
    if len(data) != _ARGUMENTS_END:
        return f"has {len(data)} bytes of calldata where transfer(address,uint256) has {_ARGUMENTS_END}"
    if any(data[4:16]):
        return "has bytes before the recipient's address that must be zero"
    return to_checksum("0x" + data[16:36].hex()), int.from_bytes(data[36:], "big")


def address_topic(address: Address) -> str:
    """Return an address as the indexed topic of an event: a 32-byte word in hexadecimal."""
    return to_hex(address_word(address))


_HASH = "0x[0-9a-fA-F]{64}"
_INDEXED = "0x0{24}([0-9a-fA-F]{40})"
_NUMBER = "0x([0-9a-fA-F]{1,64})"
# One expression for all fields: parsing them one by one took longer than matching a block's logs to payments.
_LOG = re.compile(
    f"(0x[0-9a-fA-F]{{40}}) {TRANSFER_TOPIC} {_INDEXED} {_INDEXED} 0x([0-9a-fA-F]{{64}}) "
    f"({_HASH}) {_NUMBER} {_NUMBER} ({_HASH})"
)
"""The fields of a Transfer's log.

A topic with bytes above the address is not an address; data of another length belongs to another event of this name (ERC-721).
"""


def decode_transfer_log(log: Mapping[str, Any]) -> Transfer | None:
    """Return the Transfer in a log; None if it is another event, is marked as removed, or is malformed."""
    try:
        event, *indexed = log["topics"]
        at = (log["transactionHash"], log["logIndex"], log["blockNumber"], log["blockHash"])
        match = _LOG.fullmatch(" ".join((log["address"], event.lower(), *indexed, log["data"], *at)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if match is None or log.get("removed") is True:
        return None
    token, sender, recipient, amount, tx_hash, log_index, number, block_hash = match.groups()
    return Transfer(
        token=checksum_digits(token[2:]),
        sender=checksum_digits(sender),
        recipient=checksum_digits(recipient),
        amount=int(amount, 16),
        tx_hash=tx_hash.lower(),
        log_index=int(log_index, 16),
        block=BlockRef(int(number, 16), block_hash.lower()),
    )
