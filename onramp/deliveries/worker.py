"""The deliveries worker: once a block, for all sessions together, ask the chain what has arrived."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from chain.confirm import ExpectedTransfer, Mismatch, Proven, Reverted, Verdict, Waiting, prove
from chain.errors import ChainError
from chain.pace import Pace
from chain.pool import Pool
from kit.clock import Clock
from kit.database import Database
from kit.logs import get_logger
from onramp.deliveries import service
from onramp.deliveries.matcher import SWEEP_SHARE, Matcher
from onramp.deliveries.reading import OVERLAP, BlockReader
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.sessions.rules import SessionRules

log = get_logger(__name__)
WATCH_BACK: Final = 64
RECHECK_EVERY: Final = 4
"""Blocks between two questions for the hash of a block that is not read again any more."""
SIDE_BY_SIDE: Final = 16
ASK_AGAIN_SECONDS: Final = 5.0
SHORTEST_REST: Final = 0.05
BATCH: Final = 200
MARK_SECONDS: Final = 1.0


class DeliveryMetrics:
    """How long buyers wait, and what became of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        self.outcomes = Counter(
            "onramp_delivery_outcomes_total", "Deliveries by outcome.", ("outcome",), registry=registry
        )
        self.seconds = Histogram(
            "onramp_delivery_duration_seconds",
            "From paid to confirmed.",
            registry=registry,
            buckets=(1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600),
        )


class DeliveriesWorker:
    """Reads new blocks, matches, proves; the number of questions a block does not know how many buyers wait."""

    name = "deliveries"

    def __init__(
        self,
        database: Database,
        pool: Pool,
        rules: SessionRules,
        senders: frozenset[str],
        clock: Clock,
        metrics: DeliveryMetrics,
        changed: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        """`senders`: the hot wallet, or in observe mode the known senders; `changed` wakes the live event streams.

        `pace` is told from outside where somebody tells of new blocks.
        """
        self._database = database
        self._pool = pool
        self._rules = rules
        self._senders = senders
        self._clock = clock
        self._metrics = metrics
        self._changed = changed
        self._matcher = Matcher(database, rules, clock)
        self._blocks = BlockReader(database, pool, rules, senders, clock, self._matcher.record)
        self._pace = pace or Pace(clock)
        self._asked: dict[str, tuple[str | None, int, float]] = {}
        self._mark_at = float("-inf")
        self._head = -1

    @property
    def interval(self) -> float:
        """Seconds until the next block is looked for."""
        return max(SHORTEST_REST, self._pace.rest)

    async def step(self) -> bool:
        """One look at what waits; at the chain, too, when a block is due."""
        try:
            if self._pace.due:
                await self._look()
            await self._match()
            await self._prove()
        except ChainError as error:
            log.warning("deliveries.chain_unwell", reason=str(error))
        await self._mark_waiting()
        return False

    async def _look(self) -> None:
        head = None
        try:
            await self._pool.refresh()
            head = self._pool.agreed_head()
        finally:
            self._pace.looked(head)
        if head > self._head:
            # Who was seen before this block may be proved by it, and has waited longest.
            await self._prove()
            await self._blocks.read(head)
            await self._recheck(head)
            self._head = head

    async def _match(self) -> None:
        if await self._matcher.step():
            self._changed()

    async def _prove(self) -> None:
        """Ask for what was seen, each once a block: before the next one nothing new is known of it."""
        head = self._pool.agreed_head()
        while True:
            async with self._database.read() as connection:
                waiting = await service.to_prove(connection, head, BATCH)
            due = [session for session in waiting if self._is_due(session, head)][:SIDE_BY_SIDE]
            if not due:
                break
            outcomes = await asyncio.gather(
                *(prove(self._pool, session.tx_hash or "", self._expected(session)) for session in due)
            )
            for session, outcome in zip(due, outcomes, strict=True):
                self._asked[session.id] = (session.tx_hash, head, self._clock.monotonic())
                await self._settle(session, outcome)
        self._asked = {session.id: self._asked[session.id] for session in waiting if session.id in self._asked}

    def _is_due(self, session: Session, head: int) -> bool:
        tx_hash, at, moment = self._asked.get(session.id, (None, -1, 0.0))
        return session.tx_hash is not None and (
            (tx_hash, at) != (session.tx_hash, head) or self._clock.monotonic() - moment >= ASK_AGAIN_SECONDS
        )

    async def look(self, session_id: str, *, owner: str) -> tuple[Session | None, Verdict | None]:
        """Check one delivery of `owner` now, for whoever asks; (None, None) where that wallet has no such session. Raises ChainError."""
        if await self._owned(session_id, owner) is None:
            return None, None
        await self._pool.refresh()
        await self._match()
        session = await self._owned(session_id, owner)
        if session is None or session.tx_hash is None or session.delivery_status not in {"seen", "confirmed"}:
            return session, None
        if session.delivery_status == "seen":
            outcome = await self._prove_one(session)
        else:
            outcome = await prove(self._pool, session.tx_hash, self._expected(session))
        return await self._owned(session_id, owner), outcome

    async def _owned(self, session_id: str, owner: str) -> Session | None:
        async with self._database.read() as connection:
            session = await sessions_service.get(connection, session_id)
        return session if session is not None and session.wallet_address == owner else None

    def _expected(self, session: Session) -> ExpectedTransfer:
        expected = service.expected_of(session, self._rules, self._senders)
        if session.mode == "observe" and session.received_units is not None:
            slack = expected.amount * self._rules.observe_tolerance_bps // 10_000
            if abs(session.received_units - expected.amount) <= slack:
                expected = service.expected_of_amount(expected, session.received_units)
        return expected

    async def _prove_one(self, session: Session) -> Verdict | None:
        if session.tx_hash is None:
            return None
        outcome = await prove(self._pool, session.tx_hash, self._expected(session))
        await self._settle(session, outcome)
        return outcome

    async def _settle(self, session: Session, outcome: Verdict) -> None:
        now = self._clock.now()
        async with self._database.write() as connection:
            match outcome:
                case Proven():
                    if await service.move(connection, session, "confirmed", now, **_proof(outcome), confirmed_at=now):
                        self._confirmed(session, now)
                case Mismatch(detail):
                    log.critical("delivery.mismatch", session=session.id, tx=session.tx_hash, detail=detail)
                    self._metrics.outcomes.labels("mismatch").inc()
                    await service.move(
                        connection,
                        session,
                        "mismatch",
                        now,
                        delivery_reason=None,
                        attention=f"The transfer differs from what is owed: {detail}.",
                    )
                case Reverted():
                    await service.move(connection, session, "awaiting", now, tx_hash=None, delivery_reason=None)
                case Waiting(reason):
                    shown = reason if reason in {"waiting_for_second_node", "chain_paused"} else None
                    # Until it is proved again, that its block was taken back is what a person has to know.
                    if session.delivery_reason not in {shown, "reorg"}:
                        await sessions_service.change(
                            connection, session, now=now, delivery_reason=shown, delivery_updated_at=now
                        )
        self._changed()

    def _confirmed(self, session: Session, now: datetime) -> None:
        self._metrics.outcomes.labels("confirmed").inc()
        if session.paid_at is not None:
            self._metrics.seconds.observe((now - session.paid_at).total_seconds())
        log.info("delivery.confirmed", session=session.id, tx=session.tx_hash)

    async def _recheck(self, head: int) -> None:
        """A block hash that changed under a confirmed delivery is a rollback of the chain itself: alarm, and prove again."""
        async with self._database.read() as connection:
            young = await service.confirmed_since(connection, head - WATCH_BACK, BATCH)
        # A block's hash holds all its ancestors: while the newest of them stands, all stand, for one question at the most.
        for session in young:
            if session.block_number is None or session.tx_hash is None:
                continue
            told = self._matcher.block_of(session.tx_hash, session.log_index)
            if told == session.block_hash or (session.block_number < head - OVERLAP and head % RECHECK_EVERY):
                return
            agreed = await self._pool.agree("eth_getBlockByNumber", [hex(session.block_number), False], key=_block_hash)
            found = _block_hash(agreed.value)
            if found is None or found == session.block_hash:
                return
            log.critical("delivery.block_changed", session=session.id, block=session.block_number)
            self._metrics.outcomes.labels("reorged").inc()
            async with self._database.write() as connection:
                await service.move(
                    connection, session, "seen", self._clock.now(), delivery_reason="reorg", confirmed_at=None
                )

    async def _mark_waiting(self) -> None:
        """Say of those who wait that they wait long, and what for; as seldom as it takes long to go through them."""
        began = self._clock.monotonic()
        if began < self._mark_at:
            return
        now = self._clock.now()
        async with self._database.read() as connection:
            overdue = await service.overdue(connection, now - self._rules.overdue_after, BATCH)
            waiting = await service.waiting_reasons(connection, BATCH)
        if overdue or waiting:
            async with self._database.write() as connection:
                for session in overdue:
                    log.critical("delivery.overdue", session=session.id, reason=session.delivery_reason)
                    await sessions_service.change(connection, session, now=now, overdue=True, delivery_updated_at=now)
                for session, reason in waiting:
                    await sessions_service.change(
                        connection, session, now=now, delivery_reason=reason, delivery_updated_at=now
                    )
        ended = self._clock.monotonic()
        self._mark_at = ended + max(MARK_SECONDS, SWEEP_SHARE * (ended - began))


def _block_hash(block: object) -> str | None:
    if isinstance(block, dict):
        value = block.get("hash")
        return value.lower() if isinstance(value, str) else None
    return None


def _proof(outcome: Proven) -> dict[str, object]:
    transfer = outcome.transfer
    return {
        "tx_hash": transfer.tx_hash,
        "log_index": transfer.log_index,
        "block_number": transfer.block.number,
        "block_hash": transfer.block.hash,
        "sender": transfer.sender,
        "received_units": transfer.amount,
        "confirmations": outcome.confirmations,
        "agreed_by": list(outcome.agreed_by),
        "overdue": False,
        "delivery_reason": None,
    }
