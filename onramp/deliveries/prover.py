"""Prove the transfers of seen deliveries: receipts are requested together, each result is stored by itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from chain.reads.transfer_proof import (
    ExpectedTransfer,
    Mismatch,
    ProofResult,
    Proven,
    Reverted,
    Waiting,
    prove_many,
    wait_reason,
)
from kit.alarms import service as alarms_service
from kit.logs import get_logger
from onramp.deliveries import observed_transfers
from onramp.deliveries import service as deliveries_service
from onramp.deliveries.context import DeliveryContext
from onramp.deliveries.states import fits
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.sessions.status import DeliveryStatus

log = get_logger(__name__)
GONE_AFTER: Final = 20
"""Blocks after which a transaction is given up if its block was replaced and no node knows it; another transfer may then be matched."""
RETRY_SECONDS: Final = 5.0
BATCH: Final = 200


class Prover:
    """Requests the receipts of all seen deliveries, usually once a block, and stores what enough providers agree on."""

    def __init__(self, context: DeliveryContext) -> None:
        self._database = context.database
        self._pool = context.pool
        self._config = context.config
        self._senders = context.senders
        self._clock = context.clock
        self._metrics = context.metrics
        self._changed = context.changed
        self._attempts: dict[str, tuple[str | None, int, float]] = {}
        """The transaction hash, head and monotonic time of the last attempt, by session id."""

    async def prove(self) -> None:
        """Try to prove the seen deliveries that are due: once for each new block, and again every few seconds while there is none."""
        head, last, earlier_attempts = self._pool.agreed_head(), None, self._attempts
        self._attempts = {}
        while True:
            async with self._database.read() as conn:
                page = await deliveries_service.to_prove(conn, head, BATCH, last)
            self._attempts |= {
                session.id: earlier_attempts[session.id] for session in page if session.id in earlier_attempts
            }
            due = [session for session in page if self._is_due(session, head)]
            await self.prove_these(due)
            self._attempts |= {session.id: (session.tx_hash, head, self._clock.monotonic()) for session in due}
            if len(page) < BATCH:
                break
            last = page[-1]

    def _is_due(self, session: Session, head: int) -> bool:
        tx_hash, attempted_head, attempted_at = self._attempts.get(session.id, (None, -1, 0.0))
        is_new = (tx_hash, attempted_head) != (session.tx_hash, head)
        return session.tx_hash is not None and (is_new or self._clock.monotonic() - attempted_at >= RETRY_SECONDS)

    def expected(self, session: Session) -> ExpectedTransfer:
        """Return the transfer that the chain must show: exactly what is owed; in observe mode what was seen, if the tolerance allows it.

        A payout counts from any sender: an earlier hot wallet may have paid it, or a person who settled it with a proof.
        """
        observes = session.mode == "observe"
        units, received_units = session.expected_units or 0, session.received_units
        if observes and received_units is not None and fits(units, received_units, self._config.observe_tolerance_bps):
            units = received_units
        return ExpectedTransfer(self._config.token, session.wallet_address, units, self._senders if observes else None)

    async def prove_these(self, due: Sequence[Session]) -> list[ProofResult]:
        """Request the receipts of all these sessions together, then store each verdict by itself."""
        if not due:
            return []
        verdicts = await prove_many(self._pool, [(session.tx_hash or "", self.expected(session)) for session in due])
        for session, verdict in zip(due, verdicts, strict=True):
            await self._store(session, verdict, is_gone=await self._is_gone(session, verdict))
        self._changed()
        return verdicts

    async def _is_gone(self, session: Session, verdict: ProofResult) -> bool:
        """Return whether, in observe mode, no node knows the transaction and its block was replaced at least GONE_AFTER blocks ago."""
        if session.mode != "observe" or session.block_number is None or session.block_hash is None:
            return False
        if not isinstance(verdict, Waiting) or verdict.reason != "not_mined":
            return False
        try:
            if self._pool.agreed_head() < session.block_number + GONE_AFTER:
                return False
            agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(session.block_number), False], key=block_hash)
        except ChainError:
            return False
        return agreed.key is not None and agreed.key != session.block_hash

    async def _store(self, session: Session, verdict: ProofResult, *, is_gone: bool) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            match verdict:
                case Proven():
                    if await deliveries_service.move(
                        conn, session, DeliveryStatus.CONFIRMED, now, **_proof_columns(verdict), confirmed_at=now
                    ):
                        if session.mode == "observe":
                            await observed_transfers.prove_claim(conn, session.id, verdict.transfer.block)
                        self._report_confirmed(session, now)
                case Mismatch(detail):
                    self._metrics.outcomes.labels("mismatch").inc()
                    facts = {"session": session.id, "tx_hash": session.tx_hash, "detail": detail}
                    await alarms_service.raise_in(conn, "delivery.mismatch", session.id, now, **facts)
                    await deliveries_service.move(
                        conn,
                        session,
                        DeliveryStatus.MISMATCH,
                        now,
                        delivery_reason=None,
                        attention=f"The transfer differs from what is owed: {detail}.",
                    )
                case Reverted():
                    await self._release(conn, session, now)
                case Waiting() if is_gone:
                    await self._release(conn, session, now)
                case Waiting(reason):
                    shown_reason = reason if reason != "not_mined" else wait_reason(self._pool)
                    # Until it is proved again, people must keep seeing that its block was replaced.
                    if session.delivery_reason not in {shown_reason, "reorg"}:
                        await sessions_service.change(
                            conn, session, now=now, delivery_reason=shown_reason, delivery_updated_at=now
                        )

    async def _release(self, conn: AsyncConnection, session: Session, now: datetime) -> None:
        """Detach a transaction that moved nothing, so that the delivery waits for another one."""
        if await deliveries_service.move(conn, session, DeliveryStatus.AWAITING, now, **_NO_TRANSFER):
            await observed_transfers.release(conn, session.id)
            log.warning("delivery.released", session=session.id, tx_hash=session.tx_hash)

    def _report_confirmed(self, session: Session, now: datetime) -> None:
        self._metrics.outcomes.labels("confirmed").inc()
        if session.paid_at is not None:
            self._metrics.seconds.observe((now - session.paid_at).total_seconds())
        log.info("delivery.confirmed", session=session.id, tx_hash=session.tx_hash)


_NO_TRANSFER: Final = dict.fromkeys(
    ("tx_hash", "log_index", "block_number", "block_hash", "sender", "received_units", "delivery_reason")
)


def block_hash(block: object) -> str | None:
    """Return the hash of a block as a node returns it, in lower case; None if this is not a block."""
    if isinstance(block, dict):
        value = block.get("hash")
        return value.lower() if isinstance(value, str) else None
    return None


def _proof_columns(verdict: Proven) -> dict[str, object]:
    transfer = verdict.transfer
    return {
        "tx_hash": transfer.tx_hash,
        "log_index": transfer.log_index,
        "block_number": transfer.block.number,
        "block_hash": transfer.block.hash,
        "sender": transfer.sender,
        "received_units": transfer.amount,
        "confirmations": verdict.confirmations,
        "agreed_by": list(verdict.agreed_by),
        "overdue": False,
        "delivery_reason": None,
    }
