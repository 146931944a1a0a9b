"""The 32-byte words of Ethereum's ABI, in which calldata, return values and storage are written."""

from typing import Final

from chain.types import Address, address_bytes

WORD: Final = 32


def uint256_word(number: int) -> bytes:
    """An unsigned integer as one word, the highest byte first. Raises ValueError for what does not fit."""
    if isinstance(number, bool) or not 0 <= number < 2**256:
        message = "not an unsigned 256-bit integer"
        raise ValueError(message)
    return number.to_bytes(WORD, "big")


def address_word(address: Address) -> bytes:
    """An address as one word, behind zeros. Raises ValueError for what is no address."""
    return address_bytes(address).rjust(WORD, b"\0")


def decode_uint(data: bytes) -> int:
    """The integer that one word holds. Raises ValueError for data of another length."""
    if len(data) != WORD:
        message = "not one 32-byte word"
        raise ValueError(message)
    return int.from_bytes(data, "big")
