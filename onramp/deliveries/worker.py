"""The deliveries worker: once a block, for all sessions together, ask the chain what has arrived."""

from collections.abc import Awaitable
from typing import Final

from chain.errors import ChainError
from chain.pool.block_timer import BlockTimer
from chain.reads import cursor
from chain.reads.receipts import Verdict, prove, wait_reason
from kit.logs import get_logger
from onramp.deliveries import delivery_reasons
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.block_reader import OVERLAP, BlockReader
from onramp.deliveries.context import DeliveryContext
from onramp.deliveries.prover import BATCH, Prover, block_hash
from onramp.deliveries.transfer_matcher import SWEEP_SHARE, TransferMatcher
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session

log = get_logger(__name__)
WATCH_BACK: Final = 64
RECHECK_EVERY: Final = 4
"""Blocks between two questions for the hash of a block that is not read again any more."""
SHORTEST_REST: Final = 0.05
MARK_SECONDS: Final = 1.0
WAITING: Final = 1_000
"""Sessions told at once why they wait: when too few nodes are left it concerns everyone."""


def make_deliveries(context: DeliveryContext, timer: BlockTimer | None = None) -> "DeliveriesWorker":
    """Build the worker and its parts. Pass a `timer` that is told about new blocks where somebody announces them."""
    matcher = TransferMatcher(context.database, context.rules, context.clock)
    blocks = BlockReader(context, matcher.record)
    return DeliveriesWorker(context, timer or BlockTimer(context.clock), matcher, blocks, Prover(context))


class DeliveriesWorker:
    """Reads new blocks, matches, proves; the number of questions a block does not know how many buyers wait."""

    name = "deliveries"

    def __init__(
        self,
        context: DeliveryContext,
        timer: BlockTimer,
        matcher: TransferMatcher,
        blocks: BlockReader,
        prover: Prover,
    ) -> None:
        """`timer` says when the next block is due."""
        self._database = context.database
        self._pool = context.pool
        self._rules = context.rules
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
        """Seconds until the next block is looked for."""
        return max(SHORTEST_REST, self._timer.seconds_left)

    async def step(self) -> bool:
        """One look at what waits; at the chain, too, when a block is due. What cannot be asked now keeps nothing else waiting."""
        if self._timer.due:
            await self._guarded(self._look())
        await self._guarded(self._match())
        await self._guarded(self._prover.prove())
        await self._mark_waiting()
        return False

    async def _guarded(self, work: Awaitable[None]) -> bool:
        try:
            await work
        except ChainError as error:
            log.warning("deliveries.chain_unwell", reason=str(error))
            return False
        return True

    async def _look(self) -> None:
        head = None
        try:
            await self._pool.refresh()
            head = self._pool.agreed_head()
        finally:
            self._timer.record_head(head)
        if head > self._read_head:
            # Who was seen before this block may be proved by it, and has waited longest.
            await self._guarded(self._prover.prove())
            await self._guarded(self._read(head))
        if head > self._rechecked_head and await self._guarded(self._recheck(head)):
            self._rechecked_head = head

    async def _read(self, head: int) -> None:
        try:
            read_to = await self._blocks.read(head)
        except ChainError:
            # The blocks that could not be read are missing all the same, and the metric has to say so.
            async with self._database.read() as conn:
                known = await cursor.read_to(conn, self._rules.chain_id)
            if known is not None:
                self._metrics.unread.set(max(head - known, 0))
            raise
        self._metrics.unread.set(head - read_to)
        self._read_head = head

    async def _match(self) -> None:
        if await self._matcher.step():
            self._changed()

    async def check_now(self, session_id: str, *, owner: str) -> tuple[Session | None, Verdict | None]:
        """Check one delivery of `owner` now, for whoever asks; (None, None) where that wallet has no such session. Raises ChainError."""
        if await self._owned(session_id, owner) is None:
            return None, None
        await self._pool.refresh()
        await self._match()
        session = await self._owned(session_id, owner)
        if session is None or session.tx_hash is None or session.delivery_status not in {"seen", "confirmed"}:
            return session, None
        if session.delivery_status == "seen":
            (outcome,) = await self._prover.prove_these([session])
        else:
            outcome = await prove(self._pool, session.tx_hash, self._prover.expected(session))
        return await self._owned(session_id, owner), outcome

    async def _owned(self, session_id: str, owner: str) -> Session | None:
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, session_id)
        return session if session is not None and session.wallet_address == owner else None

    async def _recheck(self, head: int) -> None:
        """A block hash that changed under a confirmed delivery is a rollback of the chain itself: alarm, and prove again."""
        async with self._database.read() as conn:
            young = await deliveries_service.confirmed_since(conn, head - WATCH_BACK, BATCH)
        # A block's hash holds all its ancestors: while the newest of them stands, all stand, for one question at the most.
        for session in young:
            if session.block_number is None or session.tx_hash is None:
                continue
            told = self._matcher.block_of(session.tx_hash, session.log_index) if self._read_head == head else None
            if told == session.block_hash or (session.block_number < head - OVERLAP and head % RECHECK_EVERY):
                return
            agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(session.block_number), False], key=block_hash)
            found = block_hash(agreed.value)
            if found is None or found == session.block_hash:
                return
            log.critical("delivery.block_changed", session=session.id, block=session.block_number)
            self._metrics.outcomes.labels("reorged").inc()
            async with self._database.write() as conn:
                await deliveries_service.move(
                    conn, session, "seen", self._clock.now(), delivery_reason="reorg", confirmed_at=None
                )

    async def _mark_waiting(self) -> None:
        """Say of those who wait that they wait long, and what for; as seldom as it takes long to go through them."""
        began = self._clock.monotonic()
        if began < self._mark_at:
            return
        now = self._clock.now()
        async with self._database.read() as conn:
            overdue = await delivery_reasons.overdue(conn, now - self._rules.overdue_after, BATCH)
            everyone = wait_reason(self._pool)
            # Where we pay ourselves, a payout needs no reading of blocks.
            blind = self._rules.mode == "observe" and self._blocks.is_blind
            awaiting = everyone or ("waiting_for_second_node" if blind else None)
            unsaid = await delivery_reasons.reasons(conn, WAITING, everyone, awaiting)
        if overdue or unsaid:
            async with self._database.write() as conn:
                for session in overdue:
                    log.critical("delivery.overdue", session=session.id, reason=session.delivery_reason)
                    await sessions_service.change(conn, session, now=now, overdue=True, delivery_updated_at=now)
                if unsaid:
                    await delivery_reasons.say_why(conn, unsaid, now)
            self._changed()
        ended = self._clock.monotonic()
        self._mark_at = ended + max(MARK_SECONDS, SWEEP_SHARE * (ended - began))
