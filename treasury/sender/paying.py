"""What can speak against a payout, asked before it gets a nonce; the last of them is Stripe, asked by the treasury itself."""

import asyncio
from collections.abc import Sequence

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
from treasury.transactions import queries
from treasury.transactions.table import Transaction


class Paying:
    """Decides about the payouts whose turn it is."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is remembered here."""
        self._desk = desk

    async def ready(self, queue: Sequence[Payout], view: WalletView, ahead: int = 0) -> list[Ready]:
        """The first of the queue as they are to be signed, up to one that is held, or waits for a person, Stripe or the chain.

        `ahead`: how many nonces are given out before them, whose gas is not paid yet.
        """
        desk, config = self._desk, self._desk.config
        contradicted = queue[0].reason == Reason.PAYMENT_MISMATCH
        if contradicted and not desk.pace.due(f"proof:{queue[0].id}", config.proof_seconds):
            return []
        fees = await desk.chain.fees()
        asked = queue[:1] if contradicted else await self._unobjected(queue, view, fees, ahead)
        return [Ready(payout, payout.amount, config.gas_limit, fees) for payout in await self._owed(asked)]

    async def _unobjected(
        self, queue: Sequence[Payout], view: WalletView, fees: FeeQuote, ahead: int
    ) -> Sequence[Payout]:
        """Those before the first that a check speaks against, which needs nobody's word but ours and the chain's."""
        desk, config = self._desk, self._desk.config
        references = [payout.reference for payout in queue]
        unscreened = await desk.rules.unscreened(queue)
        async with desk.database.read() as conn:
            spent = await foreign.carried(conn, references) | await queries.carried(conn, references)
            leaving = await operations.leaving(conn, config.wallet, config.asset, view.block_number)
            before = await queries.of_operations(conn, [payout.id for payout in queue])
            above = await desk.rules.payouts_above(conn, queue, desk.clock.now())
            ceiling = await desk.rules.max_fee(conn) or config.max_fee
        for place, (payout, rule) in enumerate(zip(queue, above, strict=True)):
            leaving += payout.amount
            gas = (ahead + place + 1) * config.gas_limit * fees.max_fee
            tried = [one for one in before if one.operation_id == payout.id]
            if payout.reference in spent:
                await hold(desk, payout, Reason.REFERENCE_SPENT, "a transfer with its reference exists already")
            elif payout.to in {ZERO_ADDRESS, config.token, config.wallet}:
                await hold(desk, payout, Reason.RECIPIENT_REFUSED, f"{payout.to} cannot be paid")
            elif desk.rules.listed(payout):
                await hold(desk, payout, Reason.SCREENING, "the recipient is on the list of those not to be paid")
            elif payout.id in unscreened:
                log.warning("treasury.screening_unavailable", payout=payout.id)
                desk.pace.wait("signer", config.scan_seconds)
            elif rule is not None and payout.approved_by is None:
                await self._ask(payout, rule)
            elif not all([await self._dead(one, view) for one in tried]):
                # Two persons asked for another attempt; each signature ever given for it must be dead, on the chain's word.
                await hold(desk, payout, Reason.NOT_PROVED_DEAD, "an earlier attempt may still be mined")
            elif fees.max_fee > ceiling:
                await hold(desk, payout, Reason.FEE_CEILING, f"the chain asks {fees.max_fee} wei, above {ceiling}")
            elif leaving > view.token:
                await hold(desk, payout, Reason.INSUFFICIENT, "the hot wallet holds too little")
            elif gas > view.native:
                await hold(desk, payout, Reason.INSUFFICIENT, "the hot wallet holds too little for gas")
            else:
                continue
            return queue[:place]
        return queue

    async def _dead(self, transaction: Transaction, view: WalletView) -> bool:
        """Its nonce is spent (None: it was lost to another), and each of its hashes is reverted, or unknown to all."""
        chain, nonce = self._desk.chain, transaction.nonce
        if nonce is not None and nonce >= view.nonce:
            return False
        for attempt in transaction.attempts:
            verdict = await chain.prove(transaction.token, attempt.hash, transaction.to, transaction.amount)
            if isinstance(verdict, Reverted):
                continue
            if not isinstance(verdict, Waiting) or not await chain.gone(attempt.hash):
                return False
        return True

    async def _ask(self, payout: Payout, rule: str) -> None:
        """Above a limit: a person decides, others are paid meanwhile."""
        desk = self._desk
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await payouts.move(conn, payout.id, Fact.ASKED, now=now, note=rule, reason=Reason.AWAITING_APPROVAL)
        desk.alarms.ring("payout_awaiting_approval", payout.id, rule=rule)

    async def _owed(self, queue: Sequence[Payout]) -> list[Payout]:
        """Those before the first that Stripe says nothing of just now; none where it contradicts one of the rows."""
        words = await asyncio.gather(*(self._word(payout) for payout in queue))
        good: list[Payout] = []
        silent = contradicted = False
        for payout, word in zip(queue, words, strict=True):
            if isinstance(word, ProofUnavailable):
                log.warning("treasury.proof_unavailable", payout=payout.id)
                self._desk.pace.wait("signer", self._desk.config.scan_seconds)
                silent = True
            elif objection := _contradiction(payout, word):
                await self._contradicted(payout, objection)
                contradicted = True
            elif payout.reason == Reason.PAYMENT_MISMATCH:
                await self._agreed_again(payout)
            elif not silent:
                good.append(payout)
        return [] if contradicted else good

    async def _word(self, payout: Payout) -> Owed | ProofUnavailable | None:
        try:
            return await self._desk.proof.owed(payout.session_id, payout.stripe_session_id)
        except ProofUnavailable as silence:
            return silence

    async def _contradicted(self, payout: Payout, note: str) -> None:
        desk = self._desk
        await hold(desk, payout, Reason.PAYMENT_MISMATCH, note)
        desk.pace.wait(f"proof:{payout.id}", desk.config.proof_seconds)
        desk.metrics.stopped(True)

    async def _agreed_again(self, payout: Payout) -> None:
        """The other checks have not been made for it in this cycle, so it queues again."""
        desk = self._desk
        async with desk.leader.write() as conn:
            await payouts.move(conn, payout.id, Fact.TAKEN, now=desk.clock.now(), note="Stripe agrees", reason=None)
        desk.alarms.clear(f"payout_{Reason.PAYMENT_MISMATCH}", payout.id)


def _contradiction(payout: Payout, word: Owed | None) -> str | None:
    """What of the row is not as Stripe says it; the reference, by which a payment is found again, follows from the session's id."""
    if word is None:
        return "Stripe knows no such payment"
    if (word.to, word.amount) != (payout.to, payout.amount):
        return "Stripe says another amount or wallet"
    return (
        None if payout.reference == payouts.reference_text(payout.session_id) else "its reference is another session's"
    )


def is_contradicted(payout: Payout | None) -> bool:
    """Whether Stripe said otherwise than this row, which stops all signing."""
    return payout is not None and payout.status is Status.HELD and payout.reason == Reason.PAYMENT_MISMATCH
