"""Match observed transfers with waiting sessions. Each pass handles what is new; every FULL_PASS_SECONDS or more, one pass handles everything."""

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
from onramp.sessions.moves import SessionMoved
from onramp.sessions.status import DeliveryStatus

log = get_logger(__name__)
RECENT: Final = timedelta(minutes=10)
"""How long after its observation a transfer is matched in every pass: its session may become paid at any moment."""
LIMIT: Final = 10_000
"""The most rows that one query returns."""
GROUP: Final = 500
"""The most matches that are stored in one transaction."""
FULL_PASS_SECONDS: Final = 15.0
"""The shortest pause between two passes over everything, in seconds."""
FULL_PASS_PAUSE_RATIO: Final = 50
"""The pause after a pass over everything is at least this many times as long as that pass took."""


class TransferMatcher:
    """Stores observed transfers and assigns them to sessions."""

    def __init__(self, database: Database, config: SessionConfig, clock: Clock) -> None:
        self._database = database
        self._config = config
        self._clock = clock
        self._full_pass_at = float("-inf")
        self._recorded: dict[tuple[str, int], str] = {}
        self._has_claimed = False

    async def record(self, observed: Sequence[Transfer], *, read_to: int, head: int) -> None:
        """Store these transfers, and that the chain was read up to block `read_to` while its head was `head`. Durable on return."""
        # Each block is read many times. What this process has just stored is skipped, except in a full pass: a claim may have been
        # released meanwhile, and its transfer deleted.
        is_full_pass = self._clock.monotonic() >= self._full_pass_at
        stored = {} if is_full_pass else self._recorded
        new = [
            transfer
            for transfer in observed
            if stored.get((transfer.tx_hash, transfer.log_index)) != transfer.block.hash
        ]
        # Not in the middle of a backfill: a later transfer may fit better.
        claims_now = self._config.mode == "observe" and not is_full_pass and read_to >= head and 0 < len(new) <= GROUP
        record = self._record_and_claim if claims_now else self._record_new
        if not await record(new, read_to=read_to, head=head):
            now, chain_id = self._clock.now(), self._config.chain_id
            async with self._database.write() as conn:
                await observed_transfers.record(conn, new, chain_id, now)
                await cursor.advance(conn, chain_id, read_to=read_to, head=head, now=now)
        self._recorded = {(transfer.tx_hash, transfer.log_index): transfer.block.hash for transfer in observed}

    async def _record_new(self, new: Sequence[Transfer], *, read_to: int, head: int) -> bool:
        """Store transfers on the fast path, which requires that they are few and none is stored yet. Return False if nothing was stored.

        Nearly every block takes it, because it holds no transfer at all.
        """
        if len(new) > GROUP:
            return False
        now, chain_id, dialect = self._clock.now(), self._config.chain_id, self._database.engine.dialect
        changes = [observed_transfers.recording(new, chain_id, now, {}, dialect)] if new else []
        advanced = cursor.advance_change(chain_id, read_to=read_to, head=head, now=now, dialect=dialect)
        return await execute_atomically(self._database, [*changes, advanced])

    async def _record_and_claim(self, new: Sequence[Transfer], *, read_to: int, head: int) -> bool:
        """Store transfers and match them in one transaction: one commit, and each row is written once.

        Return False, with nothing stored, if one of them is stored already or another process claimed first; that is rare, and `step` does the
        matching then.
        """
        now, chain_id, dialect = self._clock.now(), self._config.chain_id, self._database.engine.dialect
        # Read before the transaction, so that it stays short; the claim detects what changes in between.
        async with self._database.read() as conn:
            owed, unclaimed = await deliveries_service.matchable_of(
                conn, {transfer.recipient for transfer in new}, LIMIT
            )
        new_by_id = {arrived.id: arrived for arrived in (arrived_of(transfer, chain_id) for transfer in new)}
        matches = match(owed, [*unclaimed, *new_by_id.values()], self._config.observe_tolerance_bps)
        claims = {pair.arrived.id: pair.owed.id for pair in matches}
        changes = (
            *deliveries_service.claiming(matches, now, dialect, marked_by_caller=new_by_id),
            observed_transfers.recording(new, chain_id, now, claims, dialect),
            cursor.advance_change(chain_id, read_to=read_to, head=head, now=now, dialect=dialect),
        )
        is_stored = await execute_atomically(self._database, changes)
        self._has_claimed |= is_stored and bool(matches)
        if is_stored:
            self._count_seen(matches)
        return is_stored

    def block_of(self, tx_hash: str, log_index: int | None) -> str | None:
        """Return the hash of the block that holds this transfer according to the last read; None if that did not include it."""
        return None if log_index is None else self._recorded.get((tx_hash, log_index))

    async def step(self) -> bool:
        """Match observed transfers, or in payout mode record the hashes of payouts.

        Return whether a session may have changed since the last step, by `record` too.
        """
        started = self._clock.monotonic()
        is_full_pass = started >= self._full_pass_at
        if self._config.mode == "observe":
            changed = await self._match_observed(is_full_pass=is_full_pass)
        else:
            changed = await self._record_payout_hashes(is_full_pass=is_full_pass)
        changed, self._has_claimed = changed or self._has_claimed, False
        if is_full_pass:
            ended = self._clock.monotonic()
            self._full_pass_at = ended + max(FULL_PASS_SECONDS, FULL_PASS_PAUSE_RATIO * (ended - started))
        return changed

    async def _match_observed(self, *, is_full_pass: bool) -> bool:
        since = None if is_full_pass else self._clock.now() - RECENT
        async with self._database.read() as conn:
            owed, arrived = await deliveries_service.matchable(conn, since, LIMIT)
        matches = match(owed, arrived, self._config.observe_tolerance_bps)
        for start in range(0, len(matches), GROUP):
            await self._claim(matches[start : start + GROUP])
        return bool(matches)

    async def _claim(self, group: Sequence[Match]) -> None:
        changes = deliveries_service.claiming(group, self._clock.now(), self._database.engine.dialect)
        if await execute_atomically(self._database, changes):
            self._count_seen(group)
            return
        if len(group) == 1:
            log.info("deliveries.claim_lost", session=group[0].owed.id)
            return
        for pair in group:
            await self._claim([pair])

    def _count_seen(self, matches: Sequence[Match]) -> None:
        self._database.committed(SessionMoved("delivery", DeliveryStatus.SEEN) for _ in matches)

    async def _record_payout_hashes(self, *, is_full_pass: bool) -> bool:
        async with self._database.read() as conn:
            wallet = None if is_full_pass else self._config.hot_wallet
            sent = await deliveries_service.sent(conn, wallet, self._clock.now() - RECENT, LIMIT)
        for start in range(0, len(sent), GROUP):
            async with self._database.write() as conn:
                await deliveries_service.record_payout_hashes(conn, sent[start : start + GROUP], self._clock.now())
        return bool(sent)


def arrived_of(transfer: Transfer, chain_id: int) -> Arrived:
    """Return a transfer that was just read as one that no session has claimed."""
    block = transfer.block
    return Arrived(
        observed_transfers.id_of(chain_id, transfer),
        transfer.recipient,
        transfer.amount,
        transfer.sender,
        transfer.tx_hash,
        transfer.log_index,
        block.number,
        block.hash,
    )
