"""The sender's cycle: read the wallet, finish what was begun, explain every transaction, and only then sign the next."""

from typing import Final

from chain.errors import ChainError
from chain.pool.block_timer import BlockTimer
from kit.db.database import DATABASE_ERRORS
from kit.db.failures import log_failure
from treasury.core.leader import LeadershipLost
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT, Status
from treasury.ports import WalletView
from treasury.sender.adoption import Adoption, Explained
from treasury.sender.bookkeeping import Bookkeeping
from treasury.sender.broadcasting import Broadcasting
from treasury.sender.context import SenderContext, log
from treasury.sender.fee_bump import FeeBump
from treasury.sender.ledger_check import LedgerCheck
from treasury.sender.nonce_recovery import NonceRecovery
from treasury.sender.origins import Origins
from treasury.sender.queue import SigningQueue
from treasury.sender.reorgs import ReorgCheck
from treasury.sender.signer_calls import SignerCalls
from treasury.sender.tracking import Tracking
from treasury.sender.wait_reasons import WaitReasons
from treasury.sweeps.scheduler import SweepScheduler
from treasury.transactions import queries
from treasury.transactions.model import Transaction

_EXPLAINED_STEP: Final = 20
"""After how many blocks it is recorded again up to which block the wallet is explained. An old record only lengthens a search."""

_OPEN: Final = (Status.APPROVED, *IN_FLIGHT)
"""The statuses of a transaction that holds a nonce and that the chain has not decided."""


class Sender:
    """The worker `treasury`: one wallet, one leader, and one transaction in flight unless configured otherwise."""

    name = "treasury"

    def __init__(self, context: SenderContext) -> None:
        """Create the stages. Nothing is read before the first step."""
        self._context = context
        signing = SignerCalls(context)
        self._adoption = Adoption(context, Origins(context))
        self._broadcasting = Broadcasting(context)
        self._tracking = Tracking(context, self._broadcasting, self._adoption, FeeBump(context, signing))
        self._reorg_check = ReorgCheck(context)
        self._wait_reasons = WaitReasons(context)
        self._queue = SigningQueue(context, signing, self._wait_reasons, self._tracking)
        self._sweeper = SweepScheduler(
            context.clock, context.metrics, context.cold_wallet, context.sweep_proposals, context.alarms
        )
        self._ledger_check = LedgerCheck(context)
        self._nonce_recovery = NonceRecovery(context, signing)
        self._bookkeeping = Bookkeeping(context)
        self._block_timer = BlockTimer(context.clock)
        self._explained_block = -_EXPLAINED_STEP
        self._full_view: WalletView | None = None
        """The view at which as many nonces are allocated as may be in flight; None while there is room."""
        self._stall: Reason | None = None
        """Why the first transaction in flight makes no progress; None if it does."""
        self.interval = context.config.idle_seconds
        """Seconds until the next step is due, if the last one returned False."""

    async def step(self) -> bool:
        """Run one cycle; return whether something moved and more may be due at once. If the nodes do not answer, the queued payouts show that."""
        context = self._context
        try:
            leads = await context.leader.hold()
            context.metrics.leading(leads)
            if not leads:
                self.interval = context.config.follow_seconds
                return False
            return await self._cycle_or_wait()
        except DATABASE_ERRORS:
            # Whether this process still leads is unknown, and its balances grow old.
            context.metrics.leading(False)
            raise
        except LeadershipLost:
            context.metrics.leading(False)
            log.warning("treasury.leadership_lost", wallet=context.config.wallet)
            return False

    async def stop(self) -> None:
        """Release the lease, so that another process can lead at once. Must not be called during a step."""
        self._context.metrics.leading(False)
        await self._context.leader.resign()
        self._context.metrics.leading(False)

    async def _cycle_or_wait(self) -> bool:
        """Run a cycle; if the nodes cannot answer what it needs, show that reason on the queued payouts and return False."""
        try:
            return await self._cycle()
        except ChainError as error:
            log.warning("treasury.chain_unavailable", wallet=self._context.config.wallet, reason=str(error))
            await self._wait_reasons.show(Reason.WAITING_FOR_SECOND_NODE)
            return False

    async def _cycle(self) -> bool:
        context = self._context
        await self._bookkeeping.apply_due_policy()
        view = await context.chain.view()
        self._block_timer.record_head(view.block_number)
        await self._bookkeeping.record_balances(view)
        if view == self._full_view and not context.throttle.due("full", context.config.busy_seconds):
            # No nonce is free and nothing is proved without another block, so the rows need not be read.
            self.interval = self._seconds_to_next_block()
            return False
        self.interval = context.config.idle_seconds
        if await self._finish(view):
            # The wallet changed since this view; what comes next is decided on a fresh one.
            return True
        explained = await self._explain(view)
        if explained is Explained.NO:
            await self._wait_reasons.show(Reason.SIGNING_STOPPED)
            return False
        stopped = explained is not Explained.ALL
        if not stopped and not await self._ledger_check.agrees(view):
            stopped = True
            context.metrics.stopped(True)
        await self._watch_sweeps(stopped=stopped)
        signed = await self._queue.sign_next(view, stopped=stopped, stall=self._stall)
        if signed:
            self._tracking.expect(signed, view)
            await self._broadcasting.broadcast(signed)
            last = signed[-1].nonce
            is_full = last is not None and last + 1 - view.nonce >= context.config.max_in_flight
            self._full_view = view if is_full else None
            context.throttle.postpone("full", context.config.busy_seconds)
        in_flight = await self._bookkeeping.count()
        self.interval = self._seconds_to_next_block() if in_flight else context.config.idle_seconds
        return bool(signed) or self._queue.has_more

    def _seconds_to_next_block(self) -> float:
        return min(self._context.config.busy_seconds, self._block_timer.seconds_left)

    async def _finish(self, view: WalletView) -> bool:
        """Process transactions that hold a nonce; return whether one moved. Their rows are read once for all stages."""
        context = self._context
        async with context.database.read() as conn:
            transactions = await queries.in_status(conn, context.hot_wallet, _OPEN)
            since = view.block_number - context.config.recheck_blocks
            blocks = await queries.decided_blocks(conn, context.hot_wallet, since, view.nonce)
        stalls = (_stall_of(transaction) for transaction in transactions)
        self._stall = next((stall for stall in stalls if stall is not None), None)
        unsigned = [transaction for transaction in transactions if transaction.status is Status.APPROVED]
        if unsigned and await self._nonce_recovery.recover(unsigned, view):
            return True
        if await self._reorg_check.check(blocks, view):
            self._ledger_check.forget_view()
            return True
        in_flight = [transaction for transaction in transactions if transaction.status in IN_FLIGHT]
        return await self._tracking.follow(in_flight, view)

    async def _explain(self, view: WalletView) -> Explained:
        """Explain every transaction, and record now and then up to which block that is done."""
        context = self._context
        explained = await self._adoption.explain(view)
        context.metrics.stopped(explained is not Explained.ALL)
        if explained is Explained.ALL and view.block_number >= self._explained_block + _EXPLAINED_STEP:
            async with context.leader.write() as conn:
                # If the chain counts the nonce of one that is not mined, what used the nonce is still searched for from here back.
                if not await queries.any_in_flight(conn, context.hot_wallet, below=view.nonce):
                    await context.leader.set_explained_block(conn, view.block_number)
                    self._explained_block = view.block_number
        return explained

    async def _watch_sweeps(self, *, stopped: bool) -> None:
        """Verify the cold wallet and propose sweeps on schedule; a failure there never keeps buyers waiting."""
        try:
            await self._sweeper.step(self._context.leader, stopped=stopped)
        except LeadershipLost:
            raise
        except Exception as error:  # noqa: BLE001 - payouts do not depend on it
            log_failure(log, "treasury.sweeper_failed", error)


def _stall_of(transaction: Transaction) -> Reason | None:
    """Return why a transaction makes no progress; None if it does. One that was signed but reached no node waits for a node."""
    if transaction.stall:
        return Reason(transaction.stall)
    was_broadcast = any(attempt.broadcasts for attempt in transaction.attempts)
    is_unreached = transaction.status is Status.SIGNED and was_broadcast
    return Reason.WAITING_FOR_SECOND_NODE if is_unreached else None
