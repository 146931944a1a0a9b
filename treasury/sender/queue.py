"""Choose the operations to sign next. Everything that can object does so before a nonce exists."""

from collections.abc import Sequence

from chain.errors import ChainError
from kit.db.failures import log_failure
from treasury.core.leader import LeadershipLost
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import queue as payout_queue
from treasury.payouts.model import Payout
from treasury.ports import WalletView
from treasury.sender.batches import Batches
from treasury.sender.context import SenderContext, log
from treasury.sender.empty_transfers import EmptyTransfers
from treasury.sender.holds import ReadyOperation, release_payouts, stop_payouts
from treasury.sender.nonces import NextNonce, next_to_sign
from treasury.sender.payout_checks import PayoutChecks, Selection
from treasury.sender.pipeline import Pipeline
from treasury.sender.signer_calls import SignerCalls
from treasury.sender.stripe_checks import StripeChecks
from treasury.sender.sweep_checks import SweepChecks
from treasury.sender.tracking import Tracking
from treasury.sender.unknown_bytes import UnknownBytes
from treasury.sender.wait_reasons import WaitReasons
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind
from treasury.transactions import queries
from treasury.transactions.model import Transaction


class SigningQueue:
    """The one queue of a wallet: a panic goes first, then payouts, then sweeps."""

    def __init__(
        self, context: SenderContext, signing: SignerCalls, wait_reasons: WaitReasons, tracking: Tracking
    ) -> None:
        self._context = context
        self._tracking = tracking
        self._unknown_bytes = UnknownBytes(context)
        self._empty_transfers = EmptyTransfers(context, signing)
        self._signing = signing
        self._pipeline = Pipeline(context, signing)
        self._stripe_checks = StripeChecks(context)
        self._payout_checks = PayoutChecks(context, self._stripe_checks)
        self._sweep_checks = SweepChecks(context)
        self._batches = Batches(context)
        self._wait_reasons = wait_reasons
        self.has_more = False
        """Whether the last step left payouts unchecked, so that another step may follow at once."""

    async def sign_next(
        self, view: WalletView, *, stopped: bool = False, stall: Reason | None = None
    ) -> list[Transaction]:
        """Sign for the operations whose turn it is, as many as the pipeline has capacity for; return the transactions, lowest nonce first.

        The result is empty if nothing is due or a check objects. `stopped`: coins or nonces of the wallet are unexplained, so only a
        panic is signed, which exists for that. `stall`: why an earlier transaction makes no progress.
        """
        self.has_more = False
        signed, wait_reason = await self._sign_next(view, stopped=stopped, stall=stall)
        for transaction in signed:
            self._unknown_bytes.remember(transaction.nonce)
        await self._wait_reasons.show(wait_reason, self._payout_checks.skipped)
        return signed

    async def _sign_next(
        self, view: WalletView, *, stopped: bool, stall: Reason | None
    ) -> tuple[list[Transaction], Reason | None]:
        """Return the signed transactions, and why the rest of the queue waits (None: only for its turn)."""
        context = self._context
        async with context.database.read() as conn:
            next_nonce = await next_to_sign(conn, context.hot_wallet)
            panics = await sweeps_service.active(conn, context.config.wallet, SweepKind.PANIC)
            allowed = await context.gate.payouts_allowed(conn)
            stopped_payouts = await payout_queue.stopped(conn, context.config.wallet)
        panic = any(sweep.approval is not None for sweep in panics)
        if not panic and not await self._unknown_bytes.none_exist(view, next_nonce):
            self.has_more = True
            return [], Reason.SIGNING_STOPPED
        if next_nonce.restore_id is not None and not panic:
            signed = await self._empty_transfers.spend_next(view, next_nonce, explained=not stopped)
            return signed, Reason.SIGNING_STOPPED
        if stopped and not panic:
            return [], Reason.SIGNING_STOPPED
        return await self._sign_due(view, next_nonce, stopped_payouts, panic=panic, allowed=allowed, stall=stall)

    async def _sign_due(
        self,
        view: WalletView,
        next_nonce: NextNonce,
        stopped_payouts: Sequence[Payout],
        *,
        panic: bool,
        allowed: bool,
        stall: Reason | None,
    ) -> tuple[list[Transaction], Reason | None]:
        """Sign the operations that are due, once nothing about the wallet forbids it.

        Return the signed transactions, and why the rest of the queue waits (None: only for its turn).
        """
        context, config = self._context, self._context.config
        if panic:
            await stop_payouts(context, Reason.PANIC, "the hot wallet is being emptied to the cold wallet")
        elif not allowed:
            await stop_payouts(context, Reason.PAYOUTS_PAUSED, "payouts are paused")
        else:
            await release_payouts(context, stopped_payouts)
        if not panic:
            await self._stripe_checks.recheck_held(view)
        if self._signing.is_postponed:
            return [], Reason.SIGNER_UNAVAILABLE
        depth = 1 if panic else config.max_in_flight
        ahead = next_nonce.number - view.nonce
        if not 0 <= ahead < depth:
            if ahead < 0:
                log.warning("treasury.nonce_behind", chain=view.nonce, ours=next_nonce.number)
                return [], Reason.SIGNING_STOPPED
            return [], stall
        if ahead > 0 and await self._any_unsent(view):
            return [], stall or Reason.WAITING_FOR_SECOND_NODE
        selection = await (
            self._select_panic(view) if panic else self._select(view, ahead, depth - ahead, allowed=allowed)
        )
        self.has_more = selection.has_more
        if not selection.ready:
            return [], selection.wait_reason
        if not await self._tracking.takers_are_known(view):
            return [], Reason.SIGNING_STOPPED
        for _ in selection.ready:
            context.checkpoint("checked")
        signed = await self._carry_out(selection.ready, next_nonce, view)
        return signed, Reason.SIGNER_UNAVAILABLE if self._signing.is_postponed else selection.wait_reason

    async def _carry_out(
        self, ready: Sequence[ReadyOperation], next_nonce: NextNonce, view: WalletView
    ) -> list[Transaction]:
        """Sign for operations that passed their checks: payouts together if the contract is configured, all others with a nonce for each."""
        contract = self._context.config.contract
        if contract is None or isinstance(ready[0].operation, Sweep):
            return await self._pipeline.carry_out(ready, next_nonce)
        prepared = await self._batches.prepare(contract, ready, view)
        self.has_more |= prepared.has_more
        return [] if prepared.batch is None else await self._pipeline.pay_together(prepared.batch, next_nonce)

    async def _any_unsent(self, view: WalletView) -> bool:
        """Return whether an earlier transaction has reached no node yet: transactions with later nonces would have to wait for it."""
        context = self._context
        async with context.database.read() as conn:
            unsent = await queries.in_status(conn, context.hot_wallet, [Status.SIGNED])
        return any(transaction.nonce is not None and transaction.nonce >= view.nonce for transaction in unsent)

    async def _select(self, view: WalletView, ahead: int, capacity: int, *, allowed: bool) -> Selection:
        """Select payouts, or a sweep if no payout can be paid now."""
        context, config = self._context, self._context.config
        if config.contract is not None:
            capacity = await self._batches.size()
        selection = Selection()
        if allowed:
            selection = await self._payout_checks.select(view, capacity, self._tracking.unpaid_gas(view, ahead))
        if not selection.lets_sweeps_pass:
            return selection
        async with context.database.read() as conn:
            sweeps = await sweeps_service.queue(conn, config.wallet, SweepKind.SWEEP)
        return Selection(await self._first_ready(sweeps, view, ahead), wait_reason=selection.wait_reason)

    async def _first_ready(self, sweeps: Sequence[Sweep], view: WalletView, ahead: int = 0) -> list[ReadyOperation]:
        """Return the first sweep that passes its checks: an asset that cannot move now blocks no other."""
        for sweep in sweeps:
            self._context.checkpoint("claimed")
            try:
                ready = await self._sweep_checks.check(sweep, view, ahead)
            except LeadershipLost:
                raise
            except ChainError as error:
                log.warning("treasury.sweep_not_checked", sweep=sweep.id, reason=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - one sweep must not stop the others, nor the payouts of the next step
                log_failure(log, "treasury.sweep_failed", error, sweep=sweep.id)
                continue
            if ready is not None:
                return [ready]
        return []

    async def _select_panic(self, view: WalletView) -> Selection:
        """Select the first panic, once nothing signed is in flight. Sweeps that are not signed yet are cancelled."""
        context, config = self._context, self._context.config
        async with context.database.read() as conn:
            in_flight = await queries.any_in_flight(conn, context.hot_wallet)
            sweeps = await sweeps_service.active(conn, config.wallet, SweepKind.SWEEP)
            panics = await sweeps_service.queue(conn, config.wallet, SweepKind.PANIC)
        for sweep in sweeps:
            if sweep.transaction_id is None:
                async with context.leader.write() as conn:
                    now, note = context.clock.now(), "the hot wallet is being emptied"
                    await sweeps_service.cancel(conn, sweep.id, now=now, note=note)
        return Selection([] if in_flight else await self._first_ready(panics, view))
