"""What the chain says of a Safe, everything at one block, as enough providers tell it alike.

A contract may answer `getThreshold()` with any number it likes. What it is, its code and its storage say: the proxy's
code hash, and the singleton it runs, which is the address in storage slot 0 (Safe 1.3.0 and 1.4.1, `SafeProxy.sol`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chain.abi.words import WORD, address_word, decode_uint, uint256_word
from chain.errors import CallReverted
from chain.pool.pool import Pool
from chain.types import Address, data_bytes, keccak, to_checksum, to_hex

SENTINEL: Address = "0x" + "0" * 39 + "1"
"""Begins and ends the Safe's linked lists of owners and modules."""

SINGLETON_SLOT = 0
GUARD_SLOT = int.from_bytes(keccak(b"guard_manager.guard.address"), "big")
HANDLER_SLOT = int.from_bytes(keccak(b"fallback_manager.handler.address"), "big")
_MODULES_ASKED = 10
_MAX_OWNERS = 100
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SafeState:
    """A contract that should be a Safe, at block `block_number`.

    Zero addresses become None. `owners`, `threshold` and `modules` are None where the contract does not answer as a
    Safe does; `modules` may be the first ten of more.
    """

    address: Address
    block_number: int
    code_hash: str | None
    singleton: Address | None
    singleton_has_code: bool
    owners: tuple[Address, ...] | None
    threshold: int | None
    modules: tuple[Address, ...] | None
    guard: Address | None
    fallback_handler: Address | None
    nonce: int | None


def _address(data: bytes) -> Address:
    if len(data) != WORD or any(data[:12]):
        message = "not an address"
        raise ValueError(message)
    return to_checksum("0x" + data[12:].hex())


def _addresses(data: bytes, place: int) -> tuple[Address, ...]:
    """A dynamic array of addresses whose offset stands in word `place` of the answer."""
    start = decode_uint(data[place * WORD : (place + 1) * WORD])
    count = decode_uint(data[start : start + WORD])
    if count > _MAX_OWNERS:
        message = "an array of impossible length"
        raise ValueError(message)
    first = start + WORD
    return tuple(_address(data[first + n * WORD : first + (n + 1) * WORD]) for n in range(count))


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


class _Reader:
    """Questions to one contract at one block, answered alike by at least `k` providers."""

    def __init__(self, pool: Pool, address: Address, block_number: int, k: int) -> None:
        self._pool = pool
        self._address = address
        self._at = hex(block_number)
        self._k = k

    async def code(self, address: Address) -> bytes:
        agreed = await self._pool.quorum("eth_getCode", [address, self._at], k=self._k, key=data_bytes)
        return data_bytes(agreed.value)

    async def slot(self, number: int) -> bytes:
        def content(raw: Any) -> bytes:
            return data_bytes(raw).rjust(WORD, b"\0")

        place = [self._address, hex(number), self._at]
        return content((await self._pool.quorum("eth_getStorageAt", place, k=self._k, key=content)).value)

    async def call(self, data: bytes, decode: Callable[[bytes], _T]) -> _T | None:
        """None where the providers agree on a refusal, or on an answer that no Safe gives."""
        call = {"to": self._address, "data": to_hex(data)}
        try:
            agreed = await self._pool.quorum("eth_call", [call, self._at], k=self._k, key=data_bytes)
            return decode(data_bytes(agreed.value))
        except (CallReverted, ValueError):
            return None


async def read_safe(pool: Pool, address: Address) -> SafeState:
    """Everything that decides who can spend from `address`, at the newest agreed block.

    At least two providers must tell each answer alike, whatever CHAIN_AGREEMENT says. Raises NoAgreement.
    """
    providers = max(2, pool.agreement)
    # Whoever is to decide over money asks for the Safe as it is now, not as it was a block ago.
    await pool.refresh(force=True)
    block_number = pool.agreed_head(providers)
    read = _Reader(pool, to_checksum(address), block_number, providers)
    code = await read.code(to_checksum(address))
    if not code:
        nothing: dict[str, Any] = dict.fromkeys(
            ("owners", "threshold", "modules", "guard", "fallback_handler", "nonce")
        )
        return SafeState(
            to_checksum(address), block_number, code_hash=None, singleton=None, singleton_has_code=False, **nothing
        )
    singleton = _named(await read.slot(SINGLETON_SLOT))
    page = _selector("getModulesPaginated(address,uint256)")
    page += address_word(SENTINEL) + uint256_word(_MODULES_ASKED)
    return SafeState(
        address=to_checksum(address),
        block_number=block_number,
        code_hash=to_hex(keccak(code)),
        singleton=singleton,
        singleton_has_code=singleton is not None and bool(await read.code(singleton)),
        owners=await read.call(_selector("getOwners()"), lambda data: _addresses(data, 0)),
        threshold=await read.call(_selector("getThreshold()"), decode_uint),
        modules=await read.call(page, lambda data: _addresses(data, 0)),
        guard=_named(await read.slot(GUARD_SLOT)),
        fallback_handler=_named(await read.slot(HANDLER_SLOT)),
        nonce=await read.call(_selector("nonce()"), decode_uint),
    )


def _named(content: bytes) -> Address | None:
    """The address in a storage word, whatever stands above it; None for zero."""
    return to_checksum("0x" + content[12:].hex()) if any(content) else None
