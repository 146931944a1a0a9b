"""Select the payouts that are signed next: every check is made before a payout gets a nonce.

An objection to one payout takes that payout out of the queue, and the next one is checked in the same step. An objection to the wallet
(too little MUSD or gas, fees above the ceiling) makes the first payout wait, and all behind it: who paid first is paid first.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.types import ZERO_ADDRESS
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.payouts import queue as payout_queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import ReadyOperation, hold
from treasury.sender.stripe_checks import SkippedPayouts, StripeChecks, malformed
from treasury.transactions import queries
from treasury.transactions.model import Transaction
from treasury.transitions import MoveRefused

_STEP_SECONDS: Final = 5.0
"""Seconds for which one step goes on to further payouts if the first ones leave the queue. Then the sender reads the chain again."""
_MAX_UNANSWERED: Final = 2
"""After how many batches in a row without any answer a step ends: then Stripe or the nodes are at fault, not these payouts."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The payouts to sign now (`ready`). `wait_reason`: why the rest of the queue waits; None if it only waits for its turn.

    `has_more`: part of the queue was not checked, so the next step may follow at once.
    """

    ready: list[ReadyOperation] = field(default_factory=list)
    wait_reason: Reason | None = None
    has_more: bool = False

    @property
    def lets_sweeps_pass(self) -> bool:
        """Whether sweeps may be checked now.

        That is so if the queue was read to its end, no payout is ready, and the first one, if there is one, waits only for funds or for a
        lower fee.
        """
        reasons = {None, Reason.INSUFFICIENT, Reason.FEE_CEILING}
        return not self.ready and not self.has_more and self.wait_reason in reasons


@dataclass(frozen=True, slots=True)
class _Batch:
    """The result of checking the first payouts of the queue."""

    selection: Selection
    unanswered: list[Payout]
    """Payouts that neither Stripe nor the screening could be asked about."""
    any_answered: bool


@dataclass(frozen=True, slots=True)
class _Facts:
    """The values that are read once for a batch of payouts; fees in wei for each unit of gas, `outgoing` in base units.

    `allowance`: the base units that PayOnce may move; None if it is not used.
    """

    fees: FeeQuote
    ceiling: int
    outgoing: int
    allowance: int | None
    used_references: Collection[str]
    transactions: Sequence[Transaction]
    exceeded_limits: Sequence[str | None]


class PayoutChecks:
    """Selects the payouts whose turn it is, and holds those that a check objects to."""

    def __init__(self, context: SenderContext, stripe_checks: StripeChecks) -> None:
        self._context = context
        self._stripe_checks = stripe_checks
        self._skipped = SkippedPayouts(context)

    @property
    def skipped(self) -> dict[str, Reason]:
        """The reasons of the payouts that are skipped now, by id."""
        return self._skipped.current()

    async def select(self, view: WalletView, capacity: int, unpaid_gas: int = 0) -> Selection:
        """Return the first payouts of the queue, ready to be signed: at most `capacity`, and none after a payout that the later ones wait for.

        `unpaid_gas`: the gas limits of the transactions that have a nonce and are not mined yet.
        """
        context, config = self._context, self._context.config
        until = context.clock.monotonic() + _STEP_SECONDS
        unanswered: list[Payout] = []
        unanswered_batches, any_answered = 0, False
        selection = Selection(has_more=True)
        while selection.has_more and context.clock.monotonic() <= until:
            skipped = list(self._skipped.current())
            async with context.database.read() as conn:
                heads = await payout_queue.heads(conn, config.wallet, config.token, capacity, skipped)
            if not heads:
                selection = Selection()
                break
            context.checkpoint("claimed")
            batch = await self._check_batch(heads, view, unpaid_gas)
            selection = batch.selection
            unanswered += batch.unanswered
            any_answered |= batch.any_answered
            unanswered_batches = unanswered_batches + 1 if batch.unanswered and not batch.any_answered else 0
            if unanswered_batches == _MAX_UNANSWERED:
                selection = Selection(wait_reason=self._skipped.current().get(batch.unanswered[0].id))
        if any_answered:
            self._skipped.extend(unanswered)
        return selection

    async def _check_batch(self, heads: Sequence[Payout], view: WalletView, unpaid_gas: int) -> _Batch:
        fees, allowance = await asyncio.gather(self._context.chain.fees(), self._allowance())
        well_formed = [payout for payout in heads if not await self._hold_malformed(payout)]
        payouts, unscreened = await self._screen(well_formed)
        if not payouts:
            return _Batch(Selection(has_more=True), unscreened, len(unscreened) < len(heads))
        facts = await self._read_facts(payouts, view, fees, allowance)
        self._watch_allowance(payouts[0], facts)
        passed = [payout for payout in payouts if await self._passes(payout, facts, view)]
        if passed and (reason := self._unchanged_shortage(passed[0], facts, view, unpaid_gas)) is not None:
            return _Batch(Selection(wait_reason=reason), unscreened, any_answered=True)
        confirmations = await self._stripe_checks.confirm(passed)
        self._skipped.add(confirmations.unanswered, Reason.PROOF_UNAVAILABLE)
        for payout in confirmations.confirmed:
            self._skipped.remove(payout)
        unanswered = [*unscreened, *confirmations.unanswered]
        selection = await self._select_affordable(payouts, confirmations.confirmed, facts, view, unpaid_gas)
        return _Batch(selection, unanswered, len(unanswered) < len(heads))

    async def _hold_malformed(self, payout: Payout) -> bool:
        """Hold a payout whose row this service cannot have written, before any value of it is used."""
        objection = malformed(payout)
        if objection is not None:
            await hold(self._context, payout, Reason.PAYMENT_MISMATCH, objection)
        return objection is not None

    async def _screen(self, payouts: Sequence[Payout]) -> tuple[list[Payout], list[Payout]]:
        """Return the payouts whose recipient can be screened, and the others, which are skipped."""
        ids = await self._context.policy.unscreened(payouts)
        unscreened = [payout for payout in payouts if payout.id in ids]
        for payout in unscreened:
            log.warning("treasury.screening_unavailable", **operations.ids_of(payout))
        self._skipped.add(unscreened, Reason.SCREENING)
        return [payout for payout in payouts if payout.id not in ids], unscreened

    async def _allowance(self) -> int | None:
        """Return the base units that PayOnce may move; None if it is not used."""
        contract = self._context.config.contract
        return None if contract is None else await self._context.chain.allowance(contract)

    async def _read_facts(
        self, payouts: Sequence[Payout], view: WalletView, fees: FeeQuote, allowance: int | None
    ) -> _Facts:
        context, config = self._context, self._context.config
        references = [payout.reference for payout in payouts]
        async with context.database.read() as conn:
            used = await unmatched.used_references(conn, references) | await queries.used_references(conn, references)
            outgoing = await operations.outgoing(conn, config.wallet, config.asset, view.block_number)
            transactions = await queries.of_operations(conn, [payout.id for payout in payouts])
            exceeded = await context.policy.exceeded_limits(conn, payouts, context.clock.now())
            ceiling = await context.policy.max_fee(conn) or config.max_fee
        return _Facts(fees, ceiling, outgoing, allowance, used, transactions, exceeded)

    async def _passes(self, payout: Payout, facts: _Facts, view: WalletView) -> bool:
        """Return whether this payout passes the checks that concern it alone; hold it if it does not."""
        context, config = self._context, self._context.config
        earlier = [transaction for transaction in facts.transactions if payout.id in transaction.operation_ids]
        if payout.reference in facts.used_references:
            await hold(context, payout, Reason.REFERENCE_SPENT, "a transfer with its reference exists already")
        elif payout.to in {ZERO_ADDRESS, config.token, config.wallet, config.contract}:
            await hold(context, payout, Reason.RECIPIENT_REFUSED, f"{payout.to} cannot be paid")
        elif context.policy.is_sanctioned(payout):
            await hold(context, payout, Reason.SCREENING, "the recipient is on the list of those not to be paid")
        elif not await self._stripe_checks.all_dead(payout, earlier, view):
            # Two persons asked for another attempt; the chain must prove that no earlier signature for it can be mined.
            await hold(context, payout, Reason.NOT_PROVED_DEAD, "an earlier attempt may still be mined")
        else:
            return True
        return False

    def _unchanged_shortage(self, first: Payout, facts: _Facts, view: WalletView, unpaid_gas: int) -> Reason | None:
        """Return why the first payout still waits, if it is held for a shortage and Stripe was asked about it not long ago.

        Stripe is asked because a forged row with an absurd amount would otherwise keep everyone waiting for funds that no buyer is owed.
        """
        if (
            first.status is not Status.HELD
            or self._shortage(first, 0, facts, view, unpaid_gas + self._context.config.gas_of(1)) is None
        ):
            return None
        if self._context.throttle.due(f"proof:{first.id}", self._context.config.proof_seconds):
            return None
        return Reason(first.reason or Reason.INSUFFICIENT)

    def _shortage(
        self, payout: Payout, paid_before: int, facts: _Facts, view: WalletView, gas: int
    ) -> tuple[Reason, str] | None:
        """Return why the wallet cannot pay this payout after `paid_before` base units, as (reason, sentence); None if it can.

        `gas` is what this payout and everything before it may take.
        """
        fee = facts.fees.max_fee
        if fee > facts.ceiling:
            return Reason.FEE_CEILING, f"the chain asks {fee} wei, above {facts.ceiling}"
        if facts.outgoing + paid_before + payout.amount > view.token:
            return Reason.INSUFFICIENT, "the hot wallet holds too little"
        if facts.allowance is not None and facts.outgoing + paid_before + payout.amount > facts.allowance:
            return Reason.INSUFFICIENT, "the contract may move too little of the wallet's MUSD: onramp contract approve"
        if gas * fee > view.native:
            return Reason.INSUFFICIENT, "the hot wallet holds too little for gas"
        return None

    def _watch_allowance(self, first: Payout, facts: _Facts) -> None:
        """Raise an alarm while PayOnce may not move what is signed and what the first payout takes."""
        if facts.allowance is None:
            return
        kind, wallet, needed = "payout_allowance", self._context.config.wallet, facts.outgoing + first.amount
        if needed > facts.allowance:
            self._context.alarms.raise_alarm(kind, wallet, allowance=facts.allowance, needed=needed)
        else:
            self._context.alarms.clear(kind, wallet)

    async def _select_affordable(
        self, payouts: Sequence[Payout], confirmed: Sequence[Payout], facts: _Facts, view: WalletView, unpaid_gas: int
    ) -> Selection:
        """Return the confirmed payouts in order, up to the first that needs a person's approval or that the wallet cannot pay."""
        context, config = self._context, self._context.config
        if not confirmed:
            return Selection(has_more=True)
        exceeded_limits = facts.exceeded_limits
        if len(confirmed) < len(payouts):
            # A limit counts the payouts before as paid, and some of those will not be.
            async with context.database.read() as conn:
                exceeded_limits = await context.policy.exceeded_limits(conn, confirmed, context.clock.now())
        ready: list[ReadyOperation] = []
        paid_before = 0
        for payout, limit in zip(confirmed, exceeded_limits, strict=True):
            if limit is not None and payout.approved_by is None:
                await self._require_approval(payout, limit)
                return Selection(ready, has_more=not ready)
            gas = unpaid_gas + config.gas_of(len(ready) + 1)
            shortage = self._shortage(payout, paid_before, facts, view, gas)
            if shortage is not None:
                await hold(context, payout, *shortage)
                context.throttle.postpone(f"proof:{payout.id}", config.proof_seconds)
                return Selection(ready, wait_reason=shortage[0])
            paid_before += payout.amount
            ready.append(ReadyOperation(payout, payout.amount, config.gas_limit, facts.fees))
        return Selection(ready, has_more=not ready)

    async def _require_approval(self, payout: Payout, limit: str) -> None:
        """Record that a person must decide about a payout above a limit of the policy; others are paid meanwhile."""
        context, fact, ids = self._context, OperationFact.APPROVAL_REQUIRED, operations.ids_of(payout)
        try:
            async with context.leader.write() as conn:
                now, reason = context.clock.now(), Reason.AWAITING_APPROVAL
                await payouts_service.move(conn, payout.id, fact, now=now, note=limit, reason=reason)
                await context.alarms.raise_in(conn, "payout_awaiting_approval", payout.id, now, **ids, rule=limit)
        except MoveRefused as refused:
            log.warning("treasury.not_asked", **ids, detail=str(refused))
