"""The oracle contract beside the list: asked over the network before an answer is needed, its answers kept for a minute."""

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
TRUST_SECONDS: Final = 60.0
MOST: Final = 10_000
"""Answers kept; beyond it the oldest go."""


class SanctionsOracle:
    """What the contract last said of each address; `in` asks nobody."""

    def __init__(self, pool: Pool, contract: Address, clock: Clock) -> None:
        """`contract` stands on the chain that the pool reads."""
        self._pool = pool
        self._contract = contract
        self._clock = clock
        self._said: dict[str, tuple[bool, float]] = {}

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._said.get(address.lower(), (False, 0.0))[0]

    async def ask(self, addresses: Collection[Address], *, anew: bool = False) -> set[Address]:
        """Ask about those that were not asked about for a minute, or `anew` about all; those of whom nothing can be said now."""
        now = self._clock.monotonic()
        due = [
            one
            for one in addresses
            if anew or self._said.get(one.lower(), (False, float("-inf")))[1] < now - TRUST_SECONDS
        ]
        failed = await asyncio.gather(*(self._ask(one, now) for one in dict.fromkeys(due)))
        return {one for one in failed if one is not None}

    async def _ask(self, address: Address, now: float) -> Address | None:
        try:
            listed = await is_sanctioned(self._pool, self._contract, address)
        except ChainError as error:
            log.warning("screening.oracle_silent", reason=str(error))
            return address
        self._said.pop(address.lower(), None)
        self._said[address.lower()] = (listed, now)
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
        return None
