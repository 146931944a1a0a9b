"""Read the state of a Safe: everything at one block, and agreed by enough providers.

A contract may return any number from `getThreshold()`. Its code and storage show what it is: the proxy's code hash, and
the singleton it delegates to, whose address is in storage slot 0 (Safe 1.3.0 and 1.4.1, `SafeProxy.sol`).
"""

from dataclasses import dataclass
from typing import Any

from chain.abi.words import WORD
from chain.pool.pool import Pool
from chain.reads.contract import Contract, InvalidAnswer
from chain.types import Address, data_bytes, keccak, to_checksum, to_hex

SENTINEL: Address = "0x" + "0" * 39 + "1"
"""The address that begins and ends a Safe's linked lists of owners and modules."""

SINGLETON_SLOT = 0
GUARD_SLOT = int.from_bytes(keccak(b"guard_manager.guard.address"), "big")
HANDLER_SLOT = int.from_bytes(keccak(b"fallback_manager.handler.address"), "big")
_MAX_MODULES = 10
_MAX_OWNERS = 100


@dataclass(frozen=True, slots=True)
class SafeState:
    """The state of a contract that should be a Safe, at block `block_number`.

    Zero addresses become None. `owners`, `threshold`, `modules` and `nonce` are None if the contract does not answer as a
    Safe does. `modules` are the first ten.
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


class _Reader:
    """Reads of one contract at one block, agreed by at least `k` providers."""

    def __init__(self, pool: Pool, address: Address, block_number: int, k: int) -> None:
        self._pool = pool
        self._address = address
        self._block = hex(block_number)
        self._k = k
        self._contract = Contract(pool, address, "safe", block_number=block_number, k=k)

    async def code(self, address: Address) -> bytes:
        agreed = await self._pool.quorum("eth_getCode", [address, self._block], k=self._k, key=data_bytes)
        return data_bytes(agreed.value)

    async def slot(self, number: int) -> Address | None:
        """Return the address in the lower 20 bytes of a storage slot, ignoring the upper 12; None if the whole word is zero."""

        def content(raw: Any) -> bytes:
            return data_bytes(raw).rjust(WORD, b"\0")

        params = [self._address, hex(number), self._block]
        word = content((await self._pool.quorum("eth_getStorageAt", params, k=self._k, key=content)).value)
        return to_checksum("0x" + word[12:].hex()) if any(word) else None

    async def number(self, function: str) -> int | None:
        """Return the number that `function` returns; None if the contract does not answer as a Safe does."""
        try:
            return int(await self._contract.call(function))
        except InvalidAnswer:
            return None

    async def owners(self) -> tuple[Address, ...] | None:
        """Return the owners; None if the contract does not answer as a Safe does."""
        try:
            owners = await self._contract.call("getOwners")
        except InvalidAnswer:
            return None
        return tuple(owners) if len(owners) <= _MAX_OWNERS else None

    async def modules(self) -> tuple[Address, ...] | None:
        """Return the first ten modules; None if the contract does not answer as a Safe does."""
        try:
            modules, _next = await self._contract.call("getModulesPaginated", SENTINEL, _MAX_MODULES)
        except InvalidAnswer:
            return None
        return tuple(modules) if len(modules) <= _MAX_OWNERS else None


async def read_safe(pool: Pool, address: Address) -> SafeState:
    """Return everything that decides who can spend from `address`, at the newest agreed block.

    At least two providers must agree on each answer, even if CHAIN_AGREEMENT is 1. Raises NoAgreement.
    """
    k = max(2, pool.agreement)
    # A decision about money needs the Safe as it is now, not as it was a block ago.
    await pool.refresh(force=True)
    block_number = pool.agreed_head(k)
    address = to_checksum(address)
    reader = _Reader(pool, address, block_number, k)
    code = await reader.code(address)
    if not code:
        return SafeState(
            address, block_number, code_hash=None, singleton=None, singleton_has_code=False, owners=None,
            threshold=None, modules=None, guard=None, fallback_handler=None, nonce=None,
        )  # fmt: skip
    singleton = await reader.slot(SINGLETON_SLOT)
    return SafeState(
        address=address,
        block_number=block_number,
        code_hash=to_hex(keccak(code)),
        singleton=singleton,
        singleton_has_code=singleton is not None and bool(await reader.code(singleton)),
        owners=await reader.owners(),
        threshold=await reader.number("getThreshold"),
        modules=await reader.modules(),
        guard=await reader.slot(GUARD_SLOT),
        fallback_handler=await reader.slot(HANDLER_SLOT),
        nonce=await reader.number("nonce"),
    )
