"""Ask the chain whether the cold wallet is the pinned Safe."""

from collections.abc import Sequence
from typing import Protocol

from chain.deployments import deployment
from chain.errors import ChainError
from chain.pool.pool import Pool
from chain.reads.safe import SafeState, read_safe
from chain.reads.wallet import balance_of as read_balance
from chain.types import Address
from treasury.cold.identity import ColdPin, Unverified, Verified, judge

PROOF_BLOCKS = 10
"""The age in blocks beyond which a verification does not count when a sweep is signed."""


class ColdWallet(Protocol):
    """The cold wallet as the treasury uses it: its pinned identity, its state on chain, and whether the two agree."""

    @property
    def pin(self) -> ColdPin:
        """The configured identity of the Safe."""

    async def read(self) -> SafeState:
        """Read the Safe's state on chain now, with its nonce. Raises ChainError."""

    async def balance_of(self, token: Address) -> int:
        """Return the Safe's balance of a token in base units; the zero address is the gas token. Raises ChainError."""

    async def verify(self) -> Verified | Unverified:
        """Read the Safe now and compare it with the pin. Errors of nodes are not raised: a Safe that cannot be read is unverified."""


class PoolColdWallet:
    """Reads the cold wallet through the pool of nodes. Implements `ColdWallet`."""

    def __init__(self, pool: Pool, pin: ColdPin, *, forbidden_owners: Sequence[Address] = ()) -> None:
        """Prepare to read the Safe that `pin` names; no address in `forbidden_owners` may be one of its owners.

        Raises LookupError for a chain without known Safe deployments.
        """
        self._pool = pool
        self._pin = pin
        self._forbidden_owners = tuple(forbidden_owners)
        self._deployment = deployment(pin.chain_id)

    @property
    def pin(self) -> ColdPin:
        """The configured identity of the Safe."""
        return self._pin

    async def read(self) -> SafeState:
        """Read the Safe's state from at least two providers at one block. Raises ChainError."""
        return await read_safe(self._pool, self._pin.address)

    async def balance_of(self, token: Address) -> int:
        """Return the Safe's balance of a token in base units at the newest agreed block. Raises ChainError."""
        return await read_balance(self._pool, self._pin.address, token, self._pool.agreed_head())

    async def verify(self) -> Verified | Unverified:
        """Read the Safe now and compare it with the pin. Errors of nodes are not raised: a Safe that cannot be read is unverified."""
        try:
            state = await self.read()
        except ChainError as error:
            return Unverified((f"It could not be read from two providers at one block: {error}",))
        return judge(state, self._pin, self._deployment, forbidden_owners=self._forbidden_owners)


def is_recent(verified: Verified, block_number: int) -> bool:
    """Return whether a verification is at most PROOF_BLOCKS older than block `block_number`."""
    return block_number - verified.block_number <= PROOF_BLOCKS


def pin_of(
    chain_id: int, address: str | None, owners: Sequence[str], threshold: int, guard: str | None
) -> ColdPin | None:
    """Return the identity that COLD_SAFE_ADDRESS, COLD_SAFE_OWNERS, COLD_SAFE_THRESHOLD and COLD_SAFE_GUARD pin; None without an address.

    Raises ValueError if they contradict each other.
    """
    if not address:
        return None
    if len(set(owners)) != len(owners) or not 1 <= threshold <= len(owners):
        raise ValueError("COLD_SAFE_OWNERS must be distinct and at least COLD_SAFE_THRESHOLD many")
    return ColdPin(chain_id, address, tuple(owners), threshold, guard or None)
