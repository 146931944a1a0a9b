"""The sanctions oracle contract, in addition to the list: asked over the network in advance, its answers cached for a minute."""

import asyncio
from collections.abc import Collection
from typing import Final

from chain.errors import ChainError
from chain.pool.pool import Pool
from chain.reads.sanctions import is_sanctioned
from chain.types import Address
from kit.clock import Clock
from kit.logs import get_logger

log = get_logger(__name__)
CACHE_SECONDS: Final = 60.0
MAX_CACHED: Final = 10_000
"""The most cached answers; beyond it the oldest are dropped."""


class SanctionsOracle:
    """Asks the contract about addresses and caches its answers; `address in oracle` uses the cache only."""

    def __init__(self, pool: Pool, contract: Address, clock: Clock) -> None:
        """Prepare to ask `contract`, which is on the chain that the pool reads."""
        self._pool = pool
        self._contract = contract
        self._clock = clock
        self._answers: dict[str, tuple[bool, float]] = {}

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._answers.get(address.lower(), (False, 0.0))[0]

    async def ask(self, addresses: Collection[Address], *, refresh: bool = False) -> set[Address]:
        """Ask about addresses without a cached answer, with `refresh` about all; return those for which the contract could not be asked."""
        now = self._clock.monotonic()
        due = [
            address
            for address in addresses
            if refresh or self._answers.get(address.lower(), (False, float("-inf")))[1] < now - CACHE_SECONDS
        ]
        failed = await asyncio.gather(*(self._ask(address, now) for address in dict.fromkeys(due)))
        return {address for address in failed if address is not None}

    async def _ask(self, address: Address, now: float) -> Address | None:
        try:
            listed = await is_sanctioned(self._pool, self._contract, address)
        except ChainError as error:
            log.warning("screening.oracle_unavailable", reason=str(error))
            return address
        self._answers.pop(address.lower(), None)
        self._answers[address.lower()] = (listed, now)
        if len(self._answers) > MAX_CACHED:
            del self._answers[next(iter(self._answers))]
        return None
