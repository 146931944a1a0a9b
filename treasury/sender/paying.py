"""What can speak against a payout, asked before it gets a nonce; the last of them is Stripe, asked by the treasury itself."""

from chain.confirm import Reverted, Waiting
from chain.types import ZERO_ADDRESS
from treasury.foreign import service as foreign
from treasury.payouts import service as payouts
from treasury.payouts.machine import Fact, Reason
from treasury.payouts.table import Payout
from treasury.ports import FeeQuote, Owed, ProofUnavailable, WalletView
from treasury.sender import operations
from treasury.sender.desk import Desk, log
from treasury.sender.holding import Ready, hold
from treasury.status import Status
from treasury.transactions import service as transactions
from treasury.transactions.table import Transaction


class Paying:
    """Decides about the payout whose turn it is."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is remembered here."""
        self._desk = desk

    async def ready(self, payout: Payout, view: WalletView) -> Ready | None:
        """The payout as it is to be signed, or None: it is held, or waits for a word of a person, Stripe or the chain."""
        desk, config = self._desk, self._desk.config
        contradicted = payout.reason == Reason.PAYMENT_MISMATCH
        if contradicted and not desk.pace.due(f"proof:{payout.id}", config.proof_seconds):
            return None
        fees = await desk.chain.fees()
        if not contradicted and await self._objected(payout, view, fees):
            return None
        owed = await self._owed(payout)
        if owed is None:
            return None
        return Ready(payout, owed.amount, config.gas_limit, fees)

    async def _objected(self, payout: Payout, view: WalletView, fees: FeeQuote) -> bool:
        """The checks that need nobody's word but ours and the chain's."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            spent = await foreign.carries(conn, payout.reference) or await transactions.carries(conn, payout.reference)
            leaving = await operations.leaving(conn, config.wallet, config.asset, view.block_number)
            before = await transactions.of_operation(conn, payout.id)
            above = await desk.rules.payout_above(conn, payout, desk.clock.now())
            ceiling = await desk.rules.max_fee(conn) or config.max_fee
        if spent:
            return await self._hold(payout, Reason.REFERENCE_SPENT, "a transfer with its reference exists already")
        if payout.to in {ZERO_ADDRESS, config.token, config.wallet}:
            return await self._hold(payout, Reason.RECIPIENT_REFUSED, f"{payout.to} cannot be paid")
        if desk.rules.listed(payout.to):
            return await self._hold(payout, Reason.SCREENING, "the recipient is on the list of those not to be paid")
        if above is not None and payout.approved_by is None:
            return await self._ask(payout, above)
        for transaction in before:
            # Two persons asked for another attempt; each signature ever given for it must be dead, on the chain's word.
            if not await self._dead(transaction, view):
                return await self._hold(payout, Reason.NOT_PROVED_DEAD, "an earlier attempt may still be mined")
        if fees.max_fee > ceiling:
            return await self._hold(payout, Reason.FEE_CEILING, f"the chain asks {fees.max_fee} wei, above {ceiling}")
        if payout.amount > view.token - leaving:
            return await self._hold(payout, Reason.INSUFFICIENT, "the hot wallet holds too little")
        if config.gas_limit * fees.max_fee > view.native:
            return await self._hold(payout, Reason.INSUFFICIENT, "the hot wallet holds too little for gas")
        return False

    async def _dead(self, transaction: Transaction, view: WalletView) -> bool:
        """Its nonce is spent (None: it was lost to another), and each of its hashes is reverted, or unknown to all."""
        chain, nonce = self._desk.chain, transaction.nonce
        if nonce is not None and nonce >= view.nonce:
            return False
        for attempt in transaction.attempts:
            verdict = await chain.prove(attempt.hash, transaction.to, transaction.amount)
            if isinstance(verdict, Reverted):
                continue
            if not isinstance(verdict, Waiting) or not await chain.gone(attempt.hash):
                return False
        return True

    async def _hold(self, payout: Payout, reason: Reason, note: str) -> bool:
        await hold(self._desk, payout, reason, note)
        return True

    async def _ask(self, payout: Payout, rule: str) -> bool:
        """Above a limit: a person decides, others are paid meanwhile."""
        desk = self._desk
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await payouts.move(conn, payout.id, Fact.ASKED, now=now, note=rule, reason=Reason.AWAITING_APPROVAL)
        desk.alarms.ring("payout_awaiting_approval", payout.id, rule=rule)
        return True

    async def _owed(self, payout: Payout) -> Owed | None:
        """Stripe's own word; None where there is none now, or where it contradicts the row."""
        desk = self._desk
        try:
            owed = await desk.proof.owed(payout.session_id, payout.stripe_session_id)
        except ProofUnavailable:
            log.warning("treasury.proof_unavailable", payout=payout.id)
            desk.pace.wait("signer", desk.config.scan_seconds)
            return None
        if owed is None or (owed.to, owed.amount) != (payout.to, payout.amount):
            note = "Stripe knows no such payment" if owed is None else "Stripe says another amount or wallet"
            await hold(desk, payout, Reason.PAYMENT_MISMATCH, note)
            desk.pace.wait(f"proof:{payout.id}", desk.config.proof_seconds)
            desk.metrics.stopped(True)
            return None
        if payout.reason == Reason.PAYMENT_MISMATCH:
            # It agrees now; the other checks have not been made for it in this cycle, so it queues again.
            async with desk.leader.write() as conn:
                await payouts.move(conn, payout.id, Fact.TAKEN, now=desk.clock.now(), note="Stripe agrees", reason=None)
            desk.alarms.clear(f"payout_{Reason.PAYMENT_MISMATCH}", payout.id)
            return None
        return owed


def is_contradicted(payout: Payout | None) -> bool:
    """Whether Stripe said otherwise than this row, which stops all signing."""
    return payout is not None and payout.status is Status.HELD and payout.reason == Reason.PAYMENT_MISMATCH
