"""Addresses, blocks and transfers, and the encodings of JSON-RPC that every other module of `chain` uses."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sha3 import keccak_256

Address = str
"""Twenty bytes as text: `0x` and 40 hexadecimal digits with the capitals of the EIP-55 checksum."""

ZERO_ADDRESS: Address = "0x" + "0" * 40

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
# 64 digits at most: no quantity of the chain is wider than 256 bits.
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block: its number, and the hash that distinguishes it from other blocks of that number."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """One ERC-20 Transfer event in a block; `amount` in the token's base units.

    Its identity is (chain id, `tx_hash`, `log_index`). A transaction's index in its block is not part of it, because mezod's
    interfaces report different ones.
    """

    token: Address
    sender: Address
    recipient: Address
    amount: int
    tx_hash: str
    log_index: int
    block: BlockRef


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 hash that Ethereum uses, which is not NIST's SHA3-256."""
    digest: bytes = keccak_256(data).digest()
    return digest


def to_checksum(text: str) -> Address:
    """Return the address with its EIP-55 checksum capitals.

    Raises ValueError if `text` is not an address, or has mixed case and a wrong checksum.
    """
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise ValueError("not an address: 0x and 40 hexadecimal digits are expected")
    digits = text[2:]
    address = checksum_digits(digits)
    if text != address and digits not in {digits.lower(), digits.upper()}:
        raise ValueError("the address has a wrong checksum: at least one character is mistyped")
    return address


@lru_cache(maxsize=4096)
def checksum_digits(digits: str) -> Address:
    """Return the address of 40 hexadecimal digits in any case. The caller guarantees that they are 40 and hexadecimal."""
    # Cached: the same few addresses appear in every log and receipt, and the hash is the most expensive part of reading them.
    digits = digits.lower()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join([d.upper() if n > "7" else d for d, n in zip(digits, nibbles, strict=False)])


def is_address(text: str) -> bool:
    """Return whether `text` is an address, with a correct checksum if its case is mixed."""
    try:
        to_checksum(text)
    except ValueError:
        return False
    return True


def address_bytes(address: Address) -> bytes:
    """Return the twenty bytes of an address. Raises ValueError if it is not an address."""
    return bytes.fromhex(to_checksum(address)[2:])


def quantity(value: Any) -> int:
    """Parse a JSON-RPC quantity such as `0x1b4`. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise ValueError("not a hexadecimal quantity")
    return int(value, 16)


def hash32(value: Any) -> str:
    """Return a 32-byte hash in lower case. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError("not a 32-byte hash")
    return value.lower()


def data_bytes(value: Any) -> bytes:
    """Parse JSON-RPC data: `0x` and an even number of digits. Raises ValueError for anything else."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("not hexadecimal data")
    try:
        data = bytes.fromhex(value[2:])
    except ValueError:
        raise ValueError("not hexadecimal data") from None
    # `fromhex` skips white space. A regular expression here took half a second for a few megabytes.
    if 2 * len(data) != len(value) - 2:
        raise ValueError("not hexadecimal data")
    return data


def to_hex(data: bytes) -> str:
    """Encode bytes as JSON-RPC data."""
    return "0x" + data.hex()
