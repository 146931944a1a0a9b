"""The deliveries worker: once a block, for all sessions together, read from the chain which transfers have arrived."""

from collections.abc import Awaitable
from typing import Final

from chain.errors import ChainError
from chain.pool.block_timer import BlockTimer
from chain.reads import cursor
from chain.reads.transfer_proof import ProofResult, prove, wait_reason
from kit.alarms import service as alarms_service
from kit.logs import get_logger
from onramp.deliveries import delivery_reasons
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.block_reader import OVERLAP, BlockReader
from onramp.deliveries.context import DeliveryContext
from onramp.deliveries.prover import BATCH, Prover, block_hash
from onramp.deliveries.transfer_matcher import FULL_PASS_PAUSE_RATIO, TransferMatcher
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.sessions.status import DeliveryStatus

log = get_logger(__name__)
RECHECK_BACK: Final = 64
"""How many blocks below the head confirmed deliveries are rechecked."""
RECHECK_EVERY: Final = 4
"""How many blocks pass between two requests for the hash of a block that is no longer read again."""
MIN_INTERVAL_SECONDS: Final = 0.05
MARK_SECONDS: Final = 1.0
MAX_REASONS: Final = 1_000
"""How many sessions' reasons are updated in one transaction; if too few nodes are left, every waiting session needs an update."""


def make_deliveries(context: DeliveryContext, timer: BlockTimer | None = None) -> "DeliveriesWorker":
    """Build the worker and its parts. Pass a `timer` that is notified of new blocks if a source of them exists."""
    matcher = TransferMatcher(context.database, context.config, context.clock)
    blocks = BlockReader(context, matcher.record)
    return DeliveriesWorker(context, timer or BlockTimer(context.clock), matcher, blocks, Prover(context))


class DeliveriesWorker:
    """Reads new blocks, matches transfers and proves them; the number of RPC calls a block does not depend on how many buyers wait."""

    name = "deliveries"

    def __init__(
        self,
        context: DeliveryContext,
        timer: BlockTimer,
        matcher: TransferMatcher,
        blocks: BlockReader,
        prover: Prover,
    ) -> None:
        """Work with these parts; `timer` decides when the next block is due."""
        self._database = context.database
        self._pool = context.pool
        self._config = context.config
        self._clock = context.clock
        self._metrics = context.metrics
        self._changed = context.changed
        self._timer = timer
        self._matcher = matcher
        self._blocks = blocks
        self._prover = prover
        self._mark_at = float("-inf")
        self._read_head = -1
        self._rechecked_head = -1

    @property
    def interval(self) -> float:
        """Seconds until the next block is due."""
        return max(MIN_INTERVAL_SECONDS, self._timer.seconds_left)

    async def step(self) -> bool:
        """Read the chain if a block is due, then match and prove what waits. A failing part does not stop the others."""
        if self._timer.due:
            await self._succeeds(self._read_new_blocks())
        await self._succeeds(self._match())
        await self._succeeds(self._prover.prove())
        await self._mark_waiting()
        return False

    async def _succeeds(self, work: Awaitable[None]) -> bool:
        """Await `work` and return True; log a ChainError and return False."""
        try:
            await work
        except ChainError as error:
            log.warning("deliveries.chain_unwell", reason=str(error))
            return False
        return True

    async def _read_new_blocks(self) -> None:
        head = None
        try:
            await self._pool.refresh()
            head = self._pool.agreed_head()
        finally:
            self._timer.record_head(head)
        if head > self._read_head:
            # Deliveries seen before this block may be proved by it, and have waited longest.
            await self._succeeds(self._prover.prove())
            await self._succeeds(self._read(head))
        if head > self._rechecked_head and await self._succeeds(self._recheck(head)):
            self._rechecked_head = head

    async def _read(self, head: int) -> None:
        try:
            read_to = await self._blocks.read(head)
        except ChainError:
            # The blocks that could not be read still count as unread in the metric.
            async with self._database.read() as conn:
                cursor_block = await cursor.read_to(conn, self._config.chain_id)
            if cursor_block is not None:
                self._metrics.unread.set(max(head - cursor_block, 0))
            raise
        self._metrics.unread.set(head - read_to)
        self._read_head = head

    async def _match(self) -> None:
        if await self._matcher.step():
            self._changed()

    async def check_now(self, session_id: str, *, owner: str) -> tuple[Session | None, ProofResult | None]:
        """Check one delivery of the wallet `owner` now; (None, None) if that wallet has no such session. Raises ChainError.

        Return the session as it is afterwards, and the verdict, which is None if there is nothing to prove yet.
        """
        if await self._owned(session_id, owner) is None:
            return None, None
        await self._pool.refresh()
        await self._match()
        session = await self._owned(session_id, owner)
        if session is None or session.tx_hash is None:
            return session, None
        if session.delivery_status is DeliveryStatus.SEEN:
            (verdict,) = await self._prover.prove_these([session])
        elif session.delivery_status is DeliveryStatus.CONFIRMED:
            verdict = await prove(self._pool, session.tx_hash, self._prover.expected(session))
        else:
            return session, None
        return await self._owned(session_id, owner), verdict

    async def _owned(self, session_id: str, owner: str) -> Session | None:
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, session_id)
        return session if session is not None and session.wallet_address == owner else None

    async def _recheck(self, head: int) -> None:
        """Check that recent confirmed deliveries are still in the same block; if the chain was rolled back, raise an alarm and prove again."""
        async with self._database.read() as conn:
            recent = await deliveries_service.confirmed_since(conn, head - RECHECK_BACK, BATCH)
        # A block's hash covers all its ancestors: if the newest of them is unchanged, all are, which costs one request at most.
        for session in recent:
            if session.block_number is None or session.tx_hash is None:
                continue
            is_just_read = self._read_head == head
            read_hash = self._matcher.block_of(session.tx_hash, session.log_index) if is_just_read else None
            if read_hash == session.block_hash or (session.block_number < head - OVERLAP and head % RECHECK_EVERY):
                return
            agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(session.block_number), False], key=block_hash)
            current_hash = block_hash(agreed.value)
            if current_hash is None or current_hash == session.block_hash:
                return
            self._metrics.outcomes.labels("reorged").inc()
            now, facts = self._clock.now(), {"session": session.id, "block": session.block_number}
            async with self._database.write() as conn:
                await alarms_service.raise_in(conn, "delivery.block_changed", session.id, now, **facts)
                await deliveries_service.move(
                    conn, session, DeliveryStatus.SEEN, now, delivery_reason="reorg", confirmed_at=None
                )

    async def _mark_waiting(self) -> None:
        """Store which deliveries are overdue and why deliveries wait; the pause between two passes grows with their duration."""
        started = self._clock.monotonic()
        if started < self._mark_at:
            return
        now = self._clock.now()
        async with self._database.read() as conn:
            overdue = await delivery_reasons.overdue(conn, now - self._config.overdue_after, BATCH)
            pool_reason = wait_reason(self._pool)
            # Only in observe mode: a payout of our own is found without reading blocks.
            is_blind = self._config.mode == "observe" and self._blocks.is_blind
            awaiting = pool_reason or ("waiting_for_second_node" if is_blind else None)
            changes = await delivery_reasons.changed_reasons(conn, MAX_REASONS, pool_reason, awaiting)
        if overdue or changes:
            async with self._database.write() as conn:
                for session in overdue:
                    facts = {"session": session.id, "reason": session.delivery_reason}
                    await alarms_service.raise_in(conn, "delivery.overdue", session.id, now, **facts)
                    await sessions_service.change(conn, session, now=now, overdue=True, delivery_updated_at=now)
                if changes:
                    await delivery_reasons.set_wait_reasons(conn, changes, now)
            self._changed()
        ended = self._clock.monotonic()
        self._mark_at = ended + max(MARK_SECONDS, FULL_PASS_PAUSE_RATIO * (ended - started))
