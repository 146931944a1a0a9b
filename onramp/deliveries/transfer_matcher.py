"""Matching what arrived with who waits: each look costs what is new, a sweep now and then what waits."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from chain.reads import cursor
from chain.types import Transfer
from kit.clock import Clock
from kit.db.atomic import execute_atomically
from kit.db.database import Database
from kit.logs import get_logger
from onramp.deliveries import observed_transfers
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.states import Arrived, Match, match
from onramp.sessions.config import SessionConfig

log = get_logger(__name__)
FRESH: Final = timedelta(minutes=10)
"""A transfer seen this recently is looked at each time: the session it is for may become paid at any moment."""
LIMIT: Final = 10_000
GROUP: Final = 500
SWEEP_SECONDS: Final = 15.0
SWEEP_SHARE: Final = 50
"""The rest between two sweeps is at least this many times as long as a sweep takes."""


class TransferMatcher:
    """Keeps what was seen, and tells sessions of it."""

    def __init__(self, database: Database, rules: SessionConfig, clock: Clock) -> None:
        """Its first look is a sweep."""
        self._database = database
        self._rules = rules
        self._clock = clock
        self._sweep_at = float("-inf")
        self._recorded: dict[tuple[str, int], str] = {}
        self._claimed = False

    async def record(self, found: Sequence[Transfer], *, read_to: int, head: int) -> None:
        """Keep these transfers, and how far the chain was read."""
        told = {(one.tx_hash, one.log_index): one.block.hash for one in found}
        # Each block is read many times over; what this process has just written need not be written again, but for now and
        # then: a claim may have been released meanwhile, and its transfer forgotten.
        sweep = self._clock.monotonic() >= self._sweep_at
        written = {} if sweep else self._recorded
        news = [one for one in found if written.get((one.tx_hash, one.log_index)) != one.block.hash]
        # In the middle of a backfill what comes later may fit better.
        observed = self._rules.mode == "observe" and not sweep and read_to >= head and 0 < len(news) <= GROUP
        record = self._record_claimed if observed else self._record_new
        if not await record(news, read_to=read_to, head=head):
            now, chain_id = self._clock.now(), self._rules.chain_id
            async with self._database.write() as conn:
                await observed_transfers.record(conn, news, chain_id, now)
                await cursor.advance(conn, chain_id, read_to=read_to, head=head, now=now)
        self._recorded = told

    async def _record_new(self, news: Sequence[Transfer], *, read_to: int, head: int) -> bool:
        """Keep transfers, where they are few and all of them are news: as in nearly every block, which has none. False: nothing was kept."""
        if len(news) > GROUP:
            return False
        now, chain_id, dialect = self._clock.now(), self._rules.chain_id, self._database.engine.dialect
        changes = [observed_transfers.recording(news, chain_id, now, {}, dialect)] if news else []
        advanced = cursor.advance_change(chain_id, read_to=read_to, head=head, now=now, dialect=dialect)
        return await execute_atomically(self._database, [*changes, advanced])

    async def _record_claimed(self, news: Sequence[Transfer], *, read_to: int, head: int) -> bool:
        """Keep transfers and match them in one transaction: one commit, and each row is written once.

        False, and nothing kept, where one of them is known already or another was quicker with a session: rare, and `step` does it.
        """
        now, chain_id, dialect = self._clock.now(), self._rules.chain_id, self._database.engine.dialect
        # Read before the transaction, so that nobody waits for it meanwhile: what changes in between is found by the claim.
        async with self._database.read() as conn:
            owed, before = await deliveries_service.matchable_of(conn, {one.recipient for one in news}, LIMIT)
        new = {one.id: one for one in (arrived_of(one, chain_id) for one in news)}
        found = match(owed, [*before, *new.values()], self._rules.observe_tolerance_bps)
        claims = {one.arrived.id: one.owed.id for one in found}
        changes = (
            *deliveries_service.claiming(found, now, dialect, given=new),
            observed_transfers.recording(news, chain_id, now, claims, dialect),
            cursor.advance_change(chain_id, read_to=read_to, head=head, now=now, dialect=dialect),
        )
        kept = await execute_atomically(self._database, changes)
        self._claimed |= kept and bool(found)
        return kept

    def block_of(self, tx_hash: str, log_index: int | None) -> str | None:
        """The hash of the block that enough operators just told this transfer to be in; None where it was not read."""
        return None if log_index is None else self._recorded.get((tx_hash, log_index))

    async def step(self) -> bool:
        """Match; True where a session changed."""
        began = self._clock.monotonic()
        sweep = began >= self._sweep_at
        changed = await (self._observe(sweep=sweep) if self._rules.mode == "observe" else self._payout(sweep=sweep))
        changed, self._claimed = changed or self._claimed, False
        if sweep:
            ended = self._clock.monotonic()
            self._sweep_at = ended + max(SWEEP_SECONDS, SWEEP_SHARE * (ended - began))
        return changed

    async def _observe(self, *, sweep: bool) -> bool:
        since = None if sweep else self._clock.now() - FRESH
        async with self._database.read() as conn:
            owed, arrived = await deliveries_service.matchable(conn, since, LIMIT)
        found = match(owed, arrived, self._rules.observe_tolerance_bps)
        for start in range(0, len(found), GROUP):
            await self._claim(found[start : start + GROUP])
        return bool(found)

    async def _claim(self, group: Sequence[Match]) -> None:
        changes = deliveries_service.claiming(group, self._clock.now(), self._database.engine.dialect)
        if await execute_atomically(self._database, changes):
            return
        if len(group) == 1:
            log.info("deliveries.claim_lost", session=group[0].owed.id)
            return
        for one in group:
            await self._claim([one])

    async def _payout(self, *, sweep: bool) -> bool:
        async with self._database.read() as conn:
            wallet = None if sweep else self._rules.hot_wallet
            found = await deliveries_service.sent(conn, wallet, self._clock.now() - FRESH, LIMIT)
        for start in range(0, len(found), GROUP):
            async with self._database.write() as conn:
                await deliveries_service.take_sent(conn, found[start : start + GROUP], self._clock.now())
        return bool(found)


def arrived_of(one: Transfer, chain_id: int) -> Arrived:
    """A transfer just read, as one that nobody has claimed."""
    block = one.block
    return Arrived(
        observed_transfers.id_of(chain_id, one),
        one.recipient,
        one.amount,
        one.sender,
        one.tx_hash,
        one.log_index,
        block.number,
        block.hash,
    )
