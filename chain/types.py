"""What the chain speaks of: addresses, blocks, transfers; and the two codings every other module needs."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sha3 import keccak_256

Address = str
"""Twenty bytes as text in EIP-55 capitals, `0x` in front."""

ZERO_ADDRESS: Address = "0x" + "0" * 40

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
# 64 digits at most: no quantity of the chain is wider than 256 bits.
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block, by its number and by the hash that pins it."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """One ERC-20 Transfer event as it stands in a block; `amount` in the token's base units.

    Its identity is (chain id, `tx_hash`, `log_index`): a transaction's index in its block differs between mezod's
    interfaces.
    """

    token: Address
    sender: Address
    recipient: Address
    amount: int
    tx_hash: str
    log_index: int
    block: BlockRef


def keccak(data: bytes) -> bytes:
    """Keccak-256, the hash of Ethereum (not NIST's SHA3-256)."""
    digest: bytes = keccak_256(data).digest()
    return digest


def to_checksum(text: str) -> Address:
    """The address in EIP-55 checksum_digits.

    Raises ValueError for what is no address, or has mixed case with a wrong checksum.
    """
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        message = "not an address: 0x and 40 hexadecimal digits are expected"
        raise ValueError(message)
    digits = text[2:]
    address = checksum_digits(digits)
    if text != address and digits not in {digits.lower(), digits.upper()}:
        message = "the address has a wrong checksum: at least one character is mistyped"
        raise ValueError(message)
    return address


@lru_cache(maxsize=4096)
def checksum_digits(digits: str) -> Address:
    """The address of these 40 hexadecimal digits, which the caller has made sure they are, whatever their case."""
    # Remembered: the same few addresses stand in every log and receipt, and the hash is the dearest part of reading them.
    digits = digits.lower()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join([d.upper() if n > "7" else d for d, n in zip(digits, nibbles, strict=False)])


def is_address(text: str) -> bool:
    """True for twenty hexadecimal bytes whose checksum is right where the case is mixed."""
    try:
        to_checksum(text)
    except ValueError:
        return False
    return True


def address_bytes(address: Address) -> bytes:
    """The twenty bytes of an address. Raises ValueError for what is no address."""
    return bytes.fromhex(to_checksum(address)[2:])


def quantity(value: Any) -> int:
    """A JSON-RPC quantity (`0x1b4`) as an integer. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        message = "not a hexadecimal quantity"
        raise ValueError(message)
    return int(value, 16)


def hash32(value: Any) -> str:
    """A 32-byte hash in lower case. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        message = "not a 32-byte hash"
        raise ValueError(message)
    return value.lower()


def data_bytes(value: Any) -> bytes:
    """JSON-RPC data (`0x` and an even number of digits) as bytes. Raises ValueError for anything else."""
    message = "not hexadecimal data"
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(message)
    try:
        data = bytes.fromhex(value[2:])
    except ValueError:
        raise ValueError(message) from None
    # `fromhex` passes over white space. A regular expression here took half a second for a few megabytes.
    if 2 * len(data) != len(value) - 2:
        raise ValueError(message)
    return data


def to_hex(data: bytes) -> str:
    """Bytes as JSON-RPC data."""
    return "0x" + data.hex()
