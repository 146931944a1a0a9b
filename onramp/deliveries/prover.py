"""Proving what was seen: asked for together, settled one by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from chain.reads.receipts import ExpectedTransfer, Mismatch, Proven, Reverted, Verdict, Waiting, prove_many, wait_reason
from kit.logs import get_logger
from onramp.deliveries import observed_transfers
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.context import DeliveryContext
from onramp.deliveries.states import fits
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session

log = get_logger(__name__)
GONE_AFTER: Final = 20
"""Blocks after which a transaction that its block no longer holds is not waited for: another transfer may be what was owed."""
ASK_AGAIN_SECONDS: Final = 5.0
BATCH: Final = 200


class Prover:
    """Asks for the receipts of all that was seen, each once a block, and believes what enough operators say."""

    def __init__(self, context: DeliveryContext) -> None:
        self._database = context.database
        self._pool = context.pool
        self._rules = context.rules
        self._senders = context.senders
        self._clock = context.clock
        self._metrics = context.metrics
        self._changed = context.changed
        self._asked: dict[str, tuple[str | None, int, float]] = {}

    async def prove(self) -> None:
        """Ask for what was seen, each once a block: before the next one nothing new is known of it."""
        head, last, known = self._pool.agreed_head(), None, dict(self._asked)
        self._asked = {}
        while True:
            async with self._database.read() as conn:
                waiting = await deliveries_service.to_prove(conn, head, BATCH, last)
            self._asked |= {session.id: known[session.id] for session in waiting if session.id in known}
            due = [session for session in waiting if self._is_due(session, head)]
            await self.prove_these(due)
            self._asked |= {session.id: (session.tx_hash, head, self._clock.monotonic()) for session in due}
            if len(waiting) < BATCH:
                break
            last = waiting[-1]

    def _is_due(self, session: Session, head: int) -> bool:
        tx_hash, at, moment = self._asked.get(session.id, (None, -1, 0.0))
        return session.tx_hash is not None and (
            (tx_hash, at) != (session.tx_hash, head) or self._clock.monotonic() - moment >= ASK_AGAIN_SECONDS
        )

    def expected(self, session: Session) -> ExpectedTransfer:
        """What the chain must show for it, to the unit; in observe mode what was seen, where the tolerance allows it.

        What we owed ourselves counts from whomever: an earlier hot wallet paid it, or a person who settled it with its proof.
        """
        observes = session.mode == "observe"
        amount, seen_units = session.expected_units or 0, session.received_units
        if observes and seen_units is not None and fits(amount, seen_units, self._rules.observe_tolerance_bps):
            amount = seen_units
        return ExpectedTransfer(self._rules.token, session.wallet_address, amount, self._senders if observes else None)

    async def prove_these(self, waiting: Sequence[Session]) -> list[Verdict]:
        """Ask for all together, then settle each by itself."""
        if not waiting:
            return []
        outcomes = await prove_many(self._pool, [(one.tx_hash or "", self.expected(one)) for one in waiting])
        for session, outcome in zip(waiting, outcomes, strict=True):
            await self._settle(session, outcome, gone=await self._is_gone(session, outcome))
        self._changed()
        return outcomes

    async def _is_gone(self, session: Session, outcome: Verdict) -> bool:
        """Observe mode: nobody knows the transaction, and the block that it was seen in is another one now, for long enough."""
        if session.mode != "observe" or session.block_number is None or session.block_hash is None:
            return False
        if not isinstance(outcome, Waiting) or outcome.reason != "not_mined":
            return False
        try:
            if self._pool.agreed_head() < session.block_number + GONE_AFTER:
                return False
            agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(session.block_number), False], key=block_hash)
        except ChainError:
            return False
        return agreed.key is not None and agreed.key != session.block_hash

    async def _settle(self, session: Session, outcome: Verdict, *, gone: bool) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            match outcome:
                case Proven():
                    if await deliveries_service.move(
                        conn, session, "confirmed", now, **_proof(outcome), confirmed_at=now
                    ):
                        if session.mode == "observe":
                            await observed_transfers.prove_claim(conn, session.id, outcome.transfer.block)
                        self._confirmed(session, now)
                case Mismatch(detail):
                    log.critical("delivery.mismatch", session=session.id, tx_hash=session.tx_hash, detail=detail)
                    self._metrics.outcomes.labels("mismatch").inc()
                    await deliveries_service.move(
                        conn,
                        session,
                        "mismatch",
                        now,
                        delivery_reason=None,
                        attention=f"The transfer differs from what is owed: {detail}.",
                    )
                case Reverted():
                    await self._release(conn, session, now)
                case Waiting() if gone:
                    await self._release(conn, session, now)
                case Waiting(reason):
                    shown = reason if reason != "not_mined" else wait_reason(self._pool)
                    # Until it is proved again, that its block was taken back is what a person has to know.
                    if session.delivery_reason not in {shown, "reorg"}:
                        await sessions_service.change(
                            conn, session, now=now, delivery_reason=shown, delivery_updated_at=now
                        )

    async def _release(self, conn: AsyncConnection, session: Session, now: datetime) -> None:
        """The transaction moved nothing: the delivery waits for another."""
        if await deliveries_service.move(conn, session, "awaiting", now, **_UNCLAIMED):
            await observed_transfers.release(conn, session.id)
            log.warning("delivery.released", session=session.id, tx_hash=session.tx_hash)

    def _confirmed(self, session: Session, now: datetime) -> None:
        self._metrics.outcomes.labels("confirmed").inc()
        if session.paid_at is not None:
            self._metrics.seconds.observe((now - session.paid_at).total_seconds())
        log.info("delivery.confirmed", session=session.id, tx_hash=session.tx_hash)


_UNCLAIMED: Final = dict.fromkeys(
    ("tx_hash", "log_index", "block_number", "block_hash", "sender", "received_units", "delivery_reason")
)


def block_hash(block: object) -> str | None:
    """The hash of a block as a node tells it; None for what is none."""
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
