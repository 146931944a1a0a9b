"""Check settlements against the chain of USDC: when a person settles, and again later, because a chain may drop a block."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.reads.arrivals import Arrival, Arrived, Contradicted, Unseen, read_arrival
from chain.types import Address
from kit.alarms import service as alarms_service
from kit.clock import Clock
from kit.db.cas import compare_and_set
from kit.db.database import Database
from kit.logs import get_logger
from kit.money import format_units
from treasury.core.assets import USDC_DECIMALS
from treasury.settlements import queries
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus
from treasury.settlements.table import settlements

log = get_logger(__name__)
TIMEOUT_SECONDS: Final = 12.0
BATCH_SIZE: Final = 20
"""How many transactions are checked in one round."""
MONITORED_FOR: Final = timedelta(days=30)

Recipients = Callable[[AsyncConnection, Collection[str]], Awaitable[frozenset[Address]]]
"""A function that returns the addresses to which the USDC of these sessions may have gone: those stored with them, and the configured one."""


class UsdcChain:
    """The nodes of the chain that Stripe delivers USDC on, and its token there."""

    def __init__(self, pool: Pool, token: Address, confirmations: int) -> None:
        """Read through `pool`; `confirmations` is the depth in blocks from which a transfer counts."""
        self.pool = pool
        self.token = token
        self._confirmations = confirmations

    async def find_arrival(self, tx_hash: str, recipients: Collection[Address]) -> Arrival:
        """Return how much USDC the transaction brought to `recipients`. Errors of nodes are not raised."""
        if not recipients:
            return Unseen("no settlement address is configured")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await read_arrival(
                    self.pool,
                    tx_hash,
                    token=self.token,
                    recipients=recipients,
                    confirmations=self._confirmations,
                )
        except TimeoutError:
            return Unseen(f"its nodes gave no answer within {TIMEOUT_SECONDS:.0f} s")


class SettlementMonitor:
    """Checks settled USDC again, and raises an alarm if the chain contradicts it."""

    def __init__(self, database: Database, chain: UsdcChain, clock: Clock, recipients: Recipients) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._recipients = recipients
        self._next = 0

    async def step(self) -> None:
        """Check up to BATCH_SIZE transactions of settlements of the last 30 days; the next call checks the next ones."""
        async with self._database.read() as conn:
            rows = await queries.to_verify(conn, self._clock.now() - MONITORED_FOR)
            hashes = list(dict.fromkeys(row.tx_hash for row in rows))
            start = self._next if self._next < len(hashes) else 0
            due = hashes[start : start + BATCH_SIZE]
            self._next = start + BATCH_SIZE
            claims = {tx_hash: [row for row in rows if row.tx_hash == tx_hash] for tx_hash in due}
            paid = {tx_hash: await self._recipients(conn, await queries.sessions_of(conn, tx_hash)) for tx_hash in due}
        # Concurrently: a node that hangs must not delay the caller for longer than one check.
        arrivals = await asyncio.gather(*(self._chain.find_arrival(tx_hash, paid[tx_hash]) for tx_hash in claims))
        for transfer, rows_of_it in zip(arrivals, claims.values(), strict=True):
            for row in rows_of_it:
                await self._check(row, transfer, sum(settlement.amount for settlement in rows_of_it))

    async def _check(self, row: Settlement, transfer: Arrival, settled: int) -> None:
        contradiction: str | None = None
        if isinstance(transfer, Contradicted):
            contradiction = transfer.detail
        elif isinstance(transfer, Arrived) and transfer.amount < settled:
            brought, used = format_units(transfer.amount, USDC_DECIMALS), format_units(settled, USDC_DECIMALS)
            contradiction = f"it brought {brought} USDC, and {used} were settled with it"
        elif isinstance(transfer, Unseen) and transfer.unknown and row.verified:
            contradiction = "it was seen, and is no longer in the chain"
        elif isinstance(transfer, Unseen):
            return  # the nodes neither confirm nor contradict it
        verified = contradiction is None
        if (row.contradiction, row.verified) == (contradiction, verified):
            return
        now = self._clock.now()
        async with self._database.write() as conn:
            changed = await compare_and_set(
                conn,
                settlements,
                row.id,
                [SettlementStatus.SETTLED, SettlementStatus.REVERSING],
                contradiction=contradiction,
                verified=verified,
                updated_at=now,
            )
            if changed and contradiction is None:
                await alarms_service.clear(conn, [("treasury.usdc_contradicted", row.id)], now)
            elif changed:
                facts = {"tx": row.tx_hash, "session": row.session_id, "detail": contradiction}
                await alarms_service.raise_in(conn, "treasury.usdc_contradicted", row.id, now, **facts)
        if changed and contradiction is None:
            log.warning("treasury.usdc_verified", subject=row.id, session=row.session_id, tx=row.tx_hash)
