"""A higher fee for a transaction that is not mined, only where the old one cannot surprise us.

Mezo takes no second transaction of a nonce while it knows of the first, and forgets one silently whose fee falls under
the moving floor. So there, another attempt is signed only after nobody has known of the old ones for several blocks and
the chain asks for more. Elsewhere a higher fee replaces what waits. All attempts have one nonce, so one can be mined.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.cold.identity import Verified
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import again
from treasury.sender.operations import Operation
from treasury.sender.signing import Signing
from treasury.signers.encoding import is_signed
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import Kind
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction


class Replacement:
    """Counts blocks; a restart counts anew, which only waits longer."""

    def __init__(self, desk: SenderContext, signing: Signing) -> None:
        """Nothing is known to be gone yet."""
        self._desk = desk
        self._signing = signing
        self._since: dict[str, int] = {}
        self._gone: dict[str, bool] = {}

    async def look(self, unmined: Sequence[Transaction]) -> None:
        """Ask the nodes whether they have forgotten these, about all together; not before their bytes are due to go out again."""
        desk, seconds = self._desk, self._desk.config.rebroadcast_seconds
        self._gone.clear()
        if desk.config.replaces:
            return
        before = desk.clock.now() - timedelta(seconds=seconds)
        attempts = [
            (one.id, attempt)
            for one in unmined
            if all(attempt.broadcast_at is None or attempt.broadcast_at <= before for attempt in one.attempts)
            and desk.pace.due(f"gone:{one.id}", seconds)
            for attempt in one.attempts
        ]
        told = await asyncio.gather(*(desk.chain.gone(attempt.hash) for _, attempt in attempts))
        for (row, _), gone in zip(attempts, told, strict=True):
            self._gone[row] = gone and self._gone.get(row, True)

    async def offer(self, transaction: Transaction, view: WalletView) -> bool:
        """Sign another attempt where it is time and allowed; True where one was stored."""
        desk, config = self._desk, self._desk.config
        paid = [(attempt.max_fee, attempt.priority_fee or 0) for attempt in transaction.attempts if attempt.max_fee]
        if not paid or transaction.nonce is None or not self._time(transaction, view):
            return False
        fees = await desk.chain.fees()
        best = max(fee for fee, _ in paid)
        if not config.replaces and fees.max_fee <= best:
            # It is gone, but not for its fee: the same bytes go out again and again.
            return False
        offer = _above(fees, best, max(tip for _, tip in paid))
        async with desk.database.read() as conn:
            allowed = await self._allowed(conn, transaction)
            ceiling = await desk.rules.max_fee(conn) or config.max_fee
        if not allowed or desk.pace.waits("signer"):
            return False
        if offer.max_fee > ceiling:
            async with desk.leader.write() as conn:
                await transactions_service.set_stall(conn, [transaction.id], Reason.FEE_CEILING)
                await operations.set_reason(conn, [transaction.operation_id], Reason.FEE_CEILING)
            ids = operations.ids_of(transaction)
            desk.alarms.ring("fee_ceiling", transaction.id, **ids, asked=offer.max_fee, ceiling=ceiling)
            return False
        return await self._sign(transaction, transaction.nonce, offer)

    def _time(self, transaction: Transaction, view: WalletView) -> bool:
        """Whether it waited long enough: unknown to all in each look for some blocks, or, with replacement, just stuck."""
        config, key = self._desk.config, transaction.id
        if config.replaces:
            return view.block_number - self._since.setdefault(key, view.block_number) >= config.stuck_blocks
        if not self._gone.get(key, False):
            if key in self._gone:
                self._since.pop(key, None)
            return False
        return view.block_number - self._since.setdefault(key, view.block_number) >= config.gone_blocks

    async def _allowed(self, conn: AsyncConnection, transaction: Transaction) -> bool:
        """A pause stops this signature as any other, and a sweep's Safe proves itself for it again."""
        desk = self._desk
        operation = await operations.get(conn, transaction.operation_id)
        if not isinstance(operation, Sweep):
            return await desk.gate.payouts_allowed(conn)
        verdict = None if desk.cold is None else await desk.cold.verify()
        if not isinstance(verdict, Verified) or verdict.identity != operation.safe_identity:
            return False
        # Asked last: the proof takes its time, and a pause may come in it.
        return operation.kind is Kind.PANIC or await desk.gate.sweeps_allowed(conn)

    async def _sign(self, transaction: Transaction, nonce: int, fees: FeeQuote) -> bool:
        desk = self._desk
        async with desk.database.read() as conn:
            operation = await operations.get(conn, transaction.operation_id)
        if operation is not None and not _said_before(desk, transaction, operation, nonce):
            # A row is no authority to pay: Stripe, or the approval, was asked for what the first bytes say.
            desk.alarms.ring("row_forged", transaction.id, **operations.ids_of(transaction))
            return False
        intent = again(desk.config, transaction, operation, nonce, fees)
        signed = await self._signing.sign(intent)
        if signed is None:
            return False
        async with desk.leader.write() as conn:
            current = await queries.get(conn, transaction.id)
            if current is None or current.status not in IN_FLIGHT or len(current.attempts) != len(transaction.attempts):
                return False
            await transactions_service.add_attempt(
                conn, transaction.id, signed, intent=intent, now=desk.clock.now(), ids=desk.ids
            )
        self._since.pop(transaction.id, None)
        ids = operations.ids_of(transaction)
        log.warning("treasury.fee_raised", **ids, max_fee=fees.max_fee, tx_hash=signed.hash)
        return True


def _said_before(desk: SenderContext, transaction: Transaction, operation: Operation, nonce: int) -> bool:
    """Whether the rows still say what the wallet has signed: an attempt's bytes are this movement, for that attempt's fee."""
    return any(
        attempt.raw is not None
        and attempt.max_fee is not None
        and is_signed(
            again(desk.config, transaction, operation, nonce, FeeQuote(attempt.max_fee, attempt.priority_fee or 0)),
            attempt.raw,
        )
        for attempt in transaction.attempts
    )


def _above(fees: FeeQuote, max_fee: int, priority_fee: int) -> FeeQuote:
    """What the chain asks, and an eighth above what was offered: less is no replacement (geth and its kin want 10 %)."""
    most = max(fees.max_fee, max_fee + max_fee // 8 + 1)
    return FeeQuote(most, min(most, max(fees.priority_fee, priority_fee + priority_fee // 8 + 1)))
