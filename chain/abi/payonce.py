"""Calldata and events of PayOnce (`contracts/PayOnce.sol`), which pays many recipients in one transaction, each reference once.

The decoders accept exactly what the encoders write: another offset, trailing bytes or a padded address are refused, so two calldata that
differ never mean the same batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chain.abi.words import WORD, address_word, decode_uint, uint256_word
from chain.types import ZERO_ADDRESS, Address, checksum_digits

PAID_TOPIC: Final = "0xfe01b64821543e7b3fff16658bcf50a9152c5f6ef662637f81ca90b70ce88164"
"""The keccak256 of `Paid(address,bytes32,address,address,uint256)`."""
FAILED_TOPIC: Final = "0x02f166628cb844b87fac9ed1d27a681198390253836a87c8ade5216d1f9c13bc"
"""The keccak256 of `Failed(address,bytes32)`."""
ALREADY_PAID_TOPIC: Final = "0x5825328463853e2ecb19f74253be661ec6ce077777288c757f85a9c2c509882c"
"""The keccak256 of `AlreadyPaid(address,bytes32,uint256)`."""

_PAY: Final = bytes.fromhex("db1bbf61")
_PAID: Final = bytes.fromhex("b84e323d")
_HEAD: Final = 4 + 3 * WORD
"""The length in bytes of what precedes the payments: the selector, the token, the offset of the list, and its length."""
_ENTRY: Final = 3 * WORD
_LIST_OFFSET: Final = 2 * WORD


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of a batch: `reference` is 32 bytes, `amount` in the token's base units."""

    reference: bytes
    to: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Paid:
    """The contract's event `Paid`: the token accepted the transfer of `amount` base units from `payer` to `to`."""

    payer: Address
    reference: bytes
    to: Address
    token: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The contract's event `Failed`: the token refused this payment; nothing moved, and the reference may be paid later."""

    payer: Address
    reference: bytes


@dataclass(frozen=True, slots=True)
class AlreadyPaid:
    """The contract's event `AlreadyPaid`: the reference was paid before, in block `block_number`; nothing moved now."""

    payer: Address
    reference: bytes
    block_number: int


Event = Paid | Failed | AlreadyPaid


def encode_pay(token: Address, payments: Sequence[Payment]) -> bytes:
    """Return the calldata of `pay(token, payments)`.

    Raises ValueError for no payments, a repeated reference, an amount of zero, the zero address, and anything that does not fit its type.
    """
    if not payments:
        raise ValueError("a batch without payments")
    if len({payment.reference for payment in payments}) != len(payments):
        raise ValueError("a reference is in the batch twice")
    head = _PAY + address_word(token) + uint256_word(_LIST_OFFSET) + uint256_word(len(payments))
    return head + b"".join(map(_entry, payments))


def _entry(payment: Payment) -> bytes:
    if payment.amount == 0 or payment.to == ZERO_ADDRESS:
        raise ValueError("a payment of nothing, or to the zero address")
    return _reference_word(payment.reference) + address_word(payment.to) + uint256_word(payment.amount)


def decode_pay(data: bytes) -> tuple[Address, tuple[Payment, ...]]:
    """Return (token, payments) of calldata that `encode_pay` could have written. Raises ValueError for other calldata."""
    if len(data) < _HEAD or (len(data) - _HEAD) % _ENTRY:
        raise ValueError("not the calldata of pay: its length is wrong")
    entries = [data[start : start + _ENTRY] for start in range(_HEAD, len(data), _ENTRY)]
    payments = tuple(
        Payment(entry[:WORD], _address(entry[WORD : 2 * WORD]), decode_uint(entry[2 * WORD :])) for entry in entries
    )
    token = _address(data[4 : 4 + WORD])
    if encode_pay(token, payments) != data:
        raise ValueError("not the calldata of pay: its function, its offset or its length of the list is another")
    return token, payments


def encode_paid(payer: Address, reference: bytes) -> bytes:
    """Return the calldata of `paid(payer, reference)`, which returns a block number, 0 for never.

    Raises ValueError if the reference is not 32 bytes, or `payer` is no address.
    """
    return _PAID + address_word(payer) + _reference_word(reference)


def decode_paid(data: bytes) -> tuple[Address, bytes]:
    """Return (payer, reference) of calldata that `encode_paid` wrote. Raises ValueError for other calldata."""
    if len(data) != 4 + 2 * WORD or data[:4] != _PAID:
        raise ValueError("not the calldata of paid")
    return _address(data[4 : 4 + WORD]), data[4 + WORD :]


def decode_event(topics: Sequence[str], data: bytes) -> Event | None:
    """Decode a log of the contract. Return None if it is not one of the contract's events; raise ValueError if it is one but malformed.

    Anyone can emit such events: the caller compares the log's address with the contract's.
    """
    kind = topics[0] if topics else ""
    shape = {PAID_TOPIC: (4, 2), FAILED_TOPIC: (3, 0), ALREADY_PAID_TOPIC: (3, 1)}.get(kind)
    if shape is None:
        return None
    if (len(topics), len(data)) != (shape[0], shape[1] * WORD):
        raise ValueError("an event of PayOnce with another number of topics or words")
    payer, reference = _address(_topic(topics[1])), _topic(topics[2])
    if kind == PAID_TOPIC:
        to, token = _address(_topic(topics[3])), _address(data[:WORD])
        return Paid(payer, reference, to, token, decode_uint(data[WORD:]))
    return Failed(payer, reference) if kind == FAILED_TOPIC else AlreadyPaid(payer, reference, decode_uint(data))


def _topic(text: str) -> bytes:
    word = bytes.fromhex(text.removeprefix("0x"))
    if len(word) != WORD:
        raise ValueError("a topic that is not 32 bytes")
    return word


def _address(word: bytes) -> Address:
    if any(word[:12]):
        raise ValueError("an address with bytes before it that must be zero")
    return checksum_digits(word[12:].hex())


def _reference_word(reference: bytes) -> bytes:
    if len(reference) != WORD:
        raise ValueError("a reference is 32 bytes")
    return reference
