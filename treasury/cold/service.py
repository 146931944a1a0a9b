"""Asking the chain whether the cold wallet is the pinned Safe."""

from collections.abc import Sequence
from typing import Protocol

from chain.deployments import deployment
from chain.errors import ChainError
from chain.pool.pool import Pool
from chain.reads.safe import SafeState, read_safe
from chain.reads.wallet import balance_of
from chain.types import Address
from treasury.cold.identity import ColdPin, Unverified, Verified, judge

PROOF_BLOCKS = 10
"""A proof older than this many blocks is none when a sweep is signed."""


class ColdWallet(Protocol):
    """The cold wallet as the treasury asks for it."""

    @property
    def pin(self) -> ColdPin:
        """What it must be."""

    async def read(self) -> SafeState:
        """What the chain says of it now, its nonce with it. Raises ChainError."""

    async def holds(self, token: Address) -> int:
        """Base units of a token in it now, the zero address being the gas token. Raises ChainError."""

    async def verify(self) -> Verified | Unverified:
        """Read it now, and compare. Never raises for what nodes do: what cannot be read is not verified."""


class PoolColdWallet:
    """Implements `ColdWallet` on the pool of nodes."""

    def __init__(self, pool: Pool, pin: ColdPin, *, strangers: Sequence[Address] = ()) -> None:
        """`strangers` must not be owners. Raises LookupError for a chain nobody described."""
        self._pool = pool
        self._pin = pin
        self._strangers = tuple(strangers)
        self._deployment = deployment(pin.chain_id)

    @property
    def pin(self) -> ColdPin:
        """What it must be."""
        return self._pin

    async def read(self) -> SafeState:
        """What the chain says. Raises ChainError."""
        return await read_safe(self._pool, self._pin.address)

    async def holds(self, token: Address) -> int:
        """What it holds at the agreed head. Raises ChainError."""
        return await balance_of(self._pool, self._pin.address, token, self._pool.agreed_head())

    async def verify(self) -> Verified | Unverified:
        """Read it from at least two operators at one block, and compare."""
        try:
            state = await self.read()
        except ChainError as error:
            return Unverified((f"It could not be read from two operators at one block: {error}",))
        return judge(state, self._pin, self._deployment, strangers=self._strangers)


def fresh(verified: Verified, block_number: int) -> bool:
    """Whether a proof is still one at `block_number`."""
    return block_number - verified.block_number <= PROOF_BLOCKS


def pin_of(
    chain_id: int, address: str | None, owners: Sequence[str], threshold: int, guard: str | None
) -> ColdPin | None:
    """The pin out of COLD_SAFE_ADDRESS, COLD_SAFE_OWNERS, COLD_SAFE_THRESHOLD and COLD_SAFE_GUARD; None: no cold wallet.

    Raises ValueError where they do not fit together.
    """
    if not address:
        return None
    if len(set(owners)) != len(owners) or not 1 <= threshold <= len(owners):
        message = "COLD_SAFE_OWNERS must be distinct and at least COLD_SAFE_THRESHOLD many"
        raise ValueError(message)
    return ColdPin(chain_id, address, tuple(owners), threshold, guard or None)
