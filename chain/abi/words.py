"""Encode and decode the 32-byte words of Ethereum's ABI, which calldata, return values and storage consist of.

Written by hand because every payout, balance read and log filter uses them: eth-abi takes three times as long to encode a transfer
and eighty times as long to decode a number.
A test compares them with eth-abi. Everything that is longer than one word is decoded by eth-abi (`chain.abi.decoding`).
"""

from typing import Final

from chain.types import Address, address_bytes

WORD: Final = 32
"""The length of an ABI word in bytes."""


def uint256_word(number: int) -> bytes:
    """Encode an unsigned integer as one big-endian word. Raises ValueError if it does not fit."""
    if isinstance(number, bool) or not 0 <= number < 2**256:
        raise ValueError("not an unsigned 256-bit integer")
    return number.to_bytes(WORD, "big")


def address_word(address: Address) -> bytes:
    """Encode an address as one word, padded with zeros on the left. Raises ValueError if it is not an address."""
    return address_bytes(address).rjust(WORD, b"\0")


def decode_uint(data: bytes) -> int:
    """Decode an integer of one word. Raises ValueError for data of any other length."""
    if len(data) != WORD:
        raise ValueError("not one 32-byte word")
    return int.from_bytes(data, "big")
