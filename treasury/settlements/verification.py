"""What the chain of USDC says: asked when a person settles, and again later, as a chain may take a block back."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.reads.arrivals import Arrival, Arrived, Contradicted, Unseen, read_arrival
from chain.types import Address
from kit.clock import Clock
from kit.db.cas import compare_and_set
from kit.db.database import Database
from kit.logs import get_logger
from kit.money import format_units
from treasury.core.assets import USDC_DECIMALS
from treasury.settlements import queries
from treasury.settlements.states import SettlementStatus
from treasury.settlements.table import Settlement, settlements

log = get_logger(__name__)
LOOK_SECONDS: Final = 12.0
AT_ONCE: Final = 20
"""Transactions that are looked at in one round."""
LOOKED_AT_FOR: Final = timedelta(days=30)

Recipients = Callable[[AsyncConnection, Collection[str]], Awaitable[frozenset[Address]]]
"""Where the USDC of these sessions may have gone: the addresses locked with them, and the one configured."""


class UsdcChain:
    """The nodes of the chain that Stripe delivers USDC on, and its token there."""

    def __init__(self, pool: Pool, token: Address, confirmations: int) -> None:
        """`confirmations`: how deep a transfer must be to count."""
        self.pool = pool
        self.token = token
        self._confirmations = confirmations

    async def look(self, tx_hash: str, recipients: Collection[Address]) -> Arrival:
        """What the transaction brought. Never raises for what nodes do."""
        if not recipients:
            return Unseen("no settlement address is configured")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await read_arrival(
                    self.pool,
                    tx_hash,
                    token=self.token,
                    recipients=recipients,
                    confirmations=self._confirmations,
                )
        except TimeoutError:
            return Unseen(f"its nodes gave no answer within {LOOK_SECONDS:.0f} s")


class SettlementMonitor:
    """Looks again at what was settled, and rings where the chain says otherwise."""

    def __init__(self, database: Database, chain: UsdcChain, clock: Clock, recipients: Recipients) -> None:
        """Nothing is asked before `step`."""
        self._database = database
        self._chain = chain
        self._clock = clock
        self._recipients = recipients
        self._next = 0

    async def step(self) -> None:
        """One round over some of the settlements of the last 30 days."""
        async with self._database.read() as conn:
            rows = await queries.to_verify(conn, self._clock.now() - LOOKED_AT_FOR)
            hashes = list(dict.fromkeys(row.tx_hash for row in rows))
            start = self._next if self._next < len(hashes) else 0
            due = hashes[start : start + AT_ONCE]
            self._next = start + AT_ONCE
            claims = {tx_hash: [row for row in rows if row.tx_hash == tx_hash] for tx_hash in due}
            paid = {tx_hash: await self._recipients(conn, await queries.sessions_of(conn, tx_hash)) for tx_hash in due}
        # At once: a node that hangs must not hold up whoever calls this for longer than one look.
        looks = await asyncio.gather(*(self._chain.look(tx_hash, paid[tx_hash]) for tx_hash in claims))
        for seen, mine in zip(looks, claims.values(), strict=True):
            for row in mine:
                await self._judge(row, seen, sum(one.amount for one in mine))

    async def _judge(self, row: Settlement, seen: Arrival, settled: int) -> None:
        wrong: str | None = None
        if isinstance(seen, Contradicted):
            wrong = seen.detail
        elif isinstance(seen, Arrived) and seen.amount < settled:
            brought, used = format_units(seen.amount, USDC_DECIMALS), format_units(settled, USDC_DECIMALS)
            wrong = f"it brought {brought} USDC, and {used} were settled with it"
        elif isinstance(seen, Unseen) and seen.unknown and row.verified:
            wrong = "it was seen, and is in the chain no more"
        elif isinstance(seen, Unseen):
            return  # nothing was said, neither for it nor against it
        verified = wrong is None
        if (row.contradiction, row.verified) == (wrong, verified):
            return
        async with self._database.write() as conn:
            changed = await compare_and_set(
                conn,
                settlements,
                row.id,
                [SettlementStatus.SETTLED, SettlementStatus.REVERSING],
                contradiction=wrong,
                verified=verified,
                updated_at=self._clock.now(),
            )
        if changed and wrong is not None and row.contradiction is None:
            log.critical("treasury.usdc_contradicted", subject=row.id, tx=row.tx_hash, detail=wrong)
        elif changed and wrong is None:
            log.warning("treasury.usdc_verified", subject=row.id, tx=row.tx_hash)
