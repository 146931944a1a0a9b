"""Ask Stripe about each payout, and hold alone the payouts that it contradicts.

A database row alone does not authorize a payment, so Stripe is asked about each payout before it gets a nonce. A payout that Stripe contradicts
is held by itself, with an alarm: somebody may have written into the database, and nothing of such a row is signed. The other payouts are
confirmed one by one in the same way, so they need not wait for it. A payout that Stripe cannot be asked about is skipped for a while.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.abi.payonce import Failed
from chain.reads.batch_proof import ProvenBatch
from chain.reads.transfer_proof import Reverted, Waiting
from chain.types import to_checksum
from kit.db.failures import log_failure
from treasury.core.reasons import Reason
from treasury.payouts import queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import NotOwed, Owed, ProofUnavailable, WalletView
from treasury.sender import operations
from treasury.sender.batch_outcomes import prove_attempt
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import hold, queue_again
from treasury.transactions import queries
from treasury.transactions.model import Transaction

_MAX_SKIP_SECONDS: Final = 300.0
"""The most seconds that a payout is skipped which gets no answer while others do."""
_FORGET_SECONDS: Final = 3_600.0
"""Seconds that the count of failures is kept after a skip has ended."""
_RECHECK_BATCH: Final = 10
"""How many payouts that are held alone are checked again in one step."""
_RECHECK_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Skip:
    """A payout that is skipped until `until`, on the monotonic clock."""

    reason: Reason
    until: float
    failures: int = 0
    """How many times in a row the payout got no answer while another one did."""


@dataclass(slots=True)
class SkippedPayouts:
    """The payouts that are skipped for now. Kept in memory, so a restart asks about each once more."""

    context: SenderContext
    _skips: dict[str, _Skip] = field(default_factory=dict)

    def current(self) -> dict[str, Reason]:
        """Return the reasons of the payouts that are skipped now, by id; the queue is read without them."""
        now = self.context.clock.monotonic()
        self._skips = {key: skip for key, skip in self._skips.items() if skip.until + _FORGET_SECONDS > now}
        return {key: skip.reason for key, skip in self._skips.items() if skip.until > now}

    def add(self, payouts: Collection[Payout], reason: Reason) -> None:
        """Skip these payouts for `scan_seconds` seconds."""
        until = self.context.clock.monotonic() + self.context.config.scan_seconds
        for payout in payouts:
            earlier = self._skips.get(payout.id)
            self._skips[payout.id] = _Skip(reason, until, 0 if earlier is None else earlier.failures)

    def extend(self, payouts: Collection[Payout]) -> None:
        """Double the time that each of these payouts is skipped, up to five minutes: others got an answer, so the fault is theirs alone."""
        now, first = self.context.clock.monotonic(), self.context.config.scan_seconds
        for payout in payouts:
            skip = self._skips[payout.id]
            skip.failures += 1
            skip.until = now + min(_MAX_SKIP_SECONDS, first * 2.0 ** min(skip.failures, 10))

    def remove(self, payout: Payout) -> None:
        """Forget a payout that got an answer."""
        self._skips.pop(payout.id, None)


@dataclass(frozen=True, slots=True)
class Confirmations:
    """The payouts that Stripe confirms, and those about which it gave no answer; those that it contradicts are in neither list."""

    confirmed: list[Payout]
    unanswered: list[Payout]


class StripeChecks:
    """Asks Stripe about payouts before they are signed, and again about those it contradicted."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._recheck_after: str | None = None
        """The id after which the next batch of held payouts begins; None between two rounds."""

    async def confirm(self, payouts: Sequence[Payout]) -> Confirmations:
        """Ask about these payouts concurrently, and hold each one that Stripe contradicts, with an alarm."""
        answers = await asyncio.gather(*(self._ask(payout) for payout in payouts))
        confirmations = Confirmations([], [])
        for payout, answer in zip(payouts, answers, strict=True):
            if isinstance(answer, ProofUnavailable):
                log.warning("treasury.proof_unavailable", **operations.ids_of(payout), reason=str(answer))
                confirmations.unanswered.append(payout)
            elif objection := _contradiction(payout, answer):
                await hold(self._context, payout, Reason.PAYMENT_MISMATCH, objection)
            else:
                confirmations.confirmed.append(payout)
        return confirmations

    async def _ask(self, payout: Payout) -> Owed | NotOwed | ProofUnavailable | None:
        """Return Stripe's answer about what is owed; any failure counts as no answer about this payout alone, None stands for a malformed row."""
        if malformed(payout):
            return None
        try:
            async with asyncio.timeout(self._context.config.proof_timeout):
                return await self._context.payment_proof.owed(payout.session_id, payout.stripe_session_id)
        except ProofUnavailable as error:
            return error
        except TimeoutError:
            return ProofUnavailable("no answer in time")
        except Exception as error:  # noqa: BLE001 - a fault of one payout must not stop the others
            log_failure(log, "treasury.proof_failed", error, **operations.ids_of(payout))
            return ProofUnavailable(type(error).__name__)

    async def recheck_held(self, view: WalletView) -> None:
        """Check some of the payouts that are held alone again: each once in `proof_seconds`, a few in each step.

        A payout without an objection queues again at its old place.
        """
        context, config = self._context, self._context.config
        if self._recheck_after is None:
            if not context.throttle.due("recheck", config.proof_seconds):
                return
            self._recheck_after = ""
            await self._recheck_tokens()
        elif not context.throttle.due("recheck:step", _RECHECK_SECONDS):
            return
        async with context.database.read() as conn:
            held = await queue.held_alone(conn, config.wallet, _RECHECK_BATCH, self._recheck_after)
            transactions = await queries.of_operations(conn, [payout.id for payout in held]) if held else []
        self._recheck_after = held[-1].id if len(held) == _RECHECK_BATCH else None
        for payout in held:
            earlier = [transaction for transaction in transactions if payout.id in transaction.operation_ids]
            if payout.reason == Reason.NOT_PROVED_DEAD and await self.all_dead(payout, earlier, view):
                await queue_again(context, payout, "every earlier attempt is proved dead")
        contradicted = [payout for payout in held if payout.reason == Reason.PAYMENT_MISMATCH]
        for payout in (await self.confirm(contradicted)).confirmed:
            await queue_again(context, payout, "Stripe agrees")

    async def _recheck_tokens(self) -> None:
        """Hold payouts in a token that is not paid out now; let those held for it queue again if their token is configured again."""
        context, config = self._context, self._context.config
        async with context.database.read() as conn:
            payouts = await queue.of_other_token(conn, config.wallet, config.token)
        for payout in payouts:
            if payout.token == config.token:
                await queue_again(context, payout, "its token is paid out again")
            else:
                note = f"it is owed in the token {payout.token}; MUSD_TOKEN_ADDRESS is {config.token} now"
                await hold(context, payout, Reason.TOKEN_CHANGED, note)

    async def all_dead(self, payout: Payout, transactions: Sequence[Transaction], view: WalletView) -> bool:
        """Return whether none of a payout's earlier transactions can pay it any more."""
        return all([await self._is_dead(payout, transaction, view) for transaction in transactions])

    async def _is_dead(self, payout: Payout, transaction: Transaction, view: WalletView) -> bool:
        """Return whether `transaction` can no longer pay `payout`.

        Its nonce must be used (a nonce of None was used by another transaction). And each signature of it has reverted, is a mined batch in
        which the token refused this payment, or is unknown to all nodes.
        """
        context, nonce = self._context, transaction.nonce
        if nonce is not None and nonce >= view.nonce:
            return False
        for attempt in transaction.attempts:
            verdict = await prove_attempt(context, transaction, attempt)
            if isinstance(verdict, Reverted) or _has_failed(verdict, payout):
                continue
            if not isinstance(verdict, Waiting) or not await context.chain.gone(attempt.hash):
                return False
        return True


def _has_failed(verdict: object, payout: Payout) -> bool:
    """Return whether a mined batch shows that the token refused the payment of this payout."""
    if not isinstance(verdict, ProvenBatch):
        return False
    return isinstance(verdict.results.get(bytes.fromhex(payout.reference[2:])), Failed)


def malformed(payout: Payout) -> str | None:
    """Return why this service cannot have written this row, as a sentence; None if it may have. A malformed row is not used at all."""
    if payout.reference != payouts_service.reference_text(payout.session_id):
        return "its reference is another session's"
    try:
        is_address = to_checksum(payout.to) == payout.to
    except ValueError:
        is_address = False
    return None if is_address and payout.amount > 0 else "its recipient or its amount is invalid"


def _contradiction(payout: Payout, answer: Owed | NotOwed | None) -> str | None:
    """Return how the row differs from Stripe's answer, as a sentence; None if it agrees. The reference follows from the session's id."""
    if objection := malformed(payout):
        return objection
    if answer is None:
        return "Stripe knows no such payment"
    if isinstance(answer, NotOwed):
        return answer.why
    return None if (answer.to, answer.amount) == (payout.to, payout.amount) else "Stripe says another amount or wallet"
