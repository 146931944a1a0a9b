"""The cycle: know the wallet, finish what was begun, explain what is unknown, and only then pay the next."""

import secrets
from collections.abc import Awaitable, Callable, Mapping

from chain.errors import ChainError
from chain.pool.block_timer import BlockTimer
from kit.clock import Clock
from kit.db.database import DATABASE_ERRORS, Database
from kit.http.problems import Problem
from kit.ids import Ids
from treasury import balances as inventory
from treasury.cold.service import ColdWallet
from treasury.core import aggregates
from treasury.core.assets import GAS_ASSET
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader, LeadershipLost
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT, Status
from treasury.metrics import TreasuryMetrics
from treasury.payouts import service as payouts_service
from treasury.ports import Gate, PaymentProof, PolicyPort, Purchases, WalletChain, WalletView
from treasury.reconciliation import other_balances_at
from treasury.sender.adoption import Adoption, Explained
from treasury.sender.context import Alarms, SenderConfig, SenderContext, Throttle, log
from treasury.sender.fee_bump import Replacement
from treasury.sender.ledger_check import Reconciler
from treasury.sender.nonce_recovery import Returning
from treasury.sender.origins import Origins
from treasury.sender.queue import Payment
from treasury.sender.reorgs import Rechecking
from treasury.sender.signing import Signing
from treasury.sender.tracking import Tracking
from treasury.sender.wait_reasons import Waiting
from treasury.signers.protocol import Signer
from treasury.sweeps.proposals import SweepProposals
from treasury.sweeps.scheduler import Sweeper
from treasury.sweeps.table import sweeps as sweeps_table
from treasury.transactions import queries
from treasury.transactions.model import Transaction

_STATUS_SECONDS = 15.0
_EXPLAINED_STEP = 20
"""BlockTimer between two notes of how far the wallet is explained; a note too old only lengthens a search."""

_OPEN = (Status.APPROVED, *IN_FLIGHT)
"""A nonce is given out, and the chain has not had its last word."""


class Sender:
    """The worker `treasury`: one wallet, one leader, one transaction in flight unless configured otherwise."""

    name = "treasury"

    def __init__(
        self,
        *,
        config: SenderConfig,
        database: Database,
        chain: WalletChain,
        signer: Signer,
        proof: PaymentProof,
        clock: Clock,
        ids: Ids,
        metrics: TreasuryMetrics,
        gate: Gate,
        rules: PolicyPort,
        checkpoint: Callable[[str], None] = lambda _: None,
        cold: ColdWallet | None = None,
        orders: SweepProposals | None = None,
        purchases: Purchases | None = None,
    ) -> None:
        """Refuses a signer of another wallet. Nothing is asked before the first step; `checkpoint` is told of each of CHECKPOINTS."""
        if signer.address != config.wallet:
            message = f"the signer signs for {signer.address}, the wallet to pay from is {config.wallet}"
            raise ValueError(message)
        owner = "snd_" + secrets.token_hex(16)
        self._leader = Leader(
            database, HotWallet(config.chain_id, config.wallet), owner=owner, seconds=config.lease_seconds
        )
        self._desk = SenderContext(
            config=config,
            database=database,
            chain=chain,
            signer=signer,
            proof=proof,
            clock=clock,
            ids=ids,
            metrics=metrics,
            leader=self._leader,
            alarms=Alarms(metrics),
            pace=Throttle(clock),
            checkpoint=checkpoint,
            gate=gate,
            rules=rules,
            cold=cold,
        )
        signing = Signing(self._desk)
        self._adoption = Adoption(self._desk, Origins(self._desk, purchases))
        self._tracking = Tracking(self._desk, self._adoption, Replacement(self._desk, signing))
        self._rechecking = Rechecking(self._desk)
        self._waiting = Waiting(self._desk)
        self._payment = Payment(self._desk, signing, self._waiting)
        self._sweeper = Sweeper(clock, metrics, cold, orders)
        self._reconciler = Reconciler(self._desk)
        self._returning = Returning(self._desk, signing)
        self._explained = -_EXPLAINED_STEP
        self._blocks = BlockTimer(clock)
        self._written: WalletView | None = None
        self._filled: WalletView | None = None
        self._stall: str | None = None
        self.interval = config.idle_seconds

    async def step(self) -> bool:
        """One cycle; True where something moved and more may be due at once. A chain that is unwell only pauses it."""
        desk = self._desk
        try:
            leads = await self._leader.hold()
            desk.metrics.leading(leads)
            if not leads:
                self.interval = desk.config.follow_seconds
                return False
            return await self._seeing(self._cycle())
        except DATABASE_ERRORS:
            # Whether it leads still nobody can tell, and what it knew grows old.
            desk.metrics.leading(False)
            raise
        except LeadershipLost:
            desk.metrics.leading(False)
            log.warning("treasury.leadership_lost", wallet=desk.config.wallet)
            return False

    async def _seeing(self, cycle: Awaitable[bool]) -> bool:
        """What the cycle answers; False where the nodes do not tell what it has to know, which the waiting payouts then show as their reason."""
        try:
            return await cycle
        except ChainError as error:
            log.warning("treasury.chain_unwell", wallet=self._desk.config.wallet, reason=str(error))
            await self._waiting.tell(Reason.WAITING_FOR_SECOND_NODE)
            return False

    async def stop(self) -> None:
        """Let another process lead at once, instead of after the lease. Not to be called while a step is under way."""
        self._desk.metrics.leading(False)
        await self._leader.resign()
        self._desk.metrics.leading(False)

    async def _cycle(self) -> bool:
        """Look at the wallet, finish what was begun, make sure that every transaction is explained, and only then sign the next."""
        desk = self._desk
        await self._apply_policy()
        view = await desk.chain.view()
        self._blocks.record_head(view.block_number)
        await self._refresh(view)
        if view == self._filled and not desk.pace.due("filled", desk.config.busy_seconds):
            # No nonce is free, and nothing is proved without another block: polls for it cost no reading of our rows.
            self.interval = min(desk.config.busy_seconds, self._blocks.seconds_left)
            return False
        self.interval = desk.config.idle_seconds
        if await self._finish(view):
            # The wallet changed under this view; what comes next is decided on a fresh one.
            return True
        explained = await self._adoption.explain(view)
        stopped = explained is not Explained.ALL
        desk.metrics.stopped(stopped)
        if not stopped and view.block_number >= self._explained + _EXPLAINED_STEP:
            async with self._leader.write() as conn:
                # One that is not mined though its nonce has passed: who took it is still looked for, from here back.
                if not await queries.any_in_flight(conn, desk.hot_wallet, below=view.nonce):
                    await self._leader.set_explained_block(conn, view.block_number)
                    self._explained = view.block_number
        if explained is Explained.NO:
            await self._waiting.tell(Reason.SIGNING_STOPPED)
            return False
        if not stopped and not await self._reconciler.agrees(view):
            stopped = True
            desk.metrics.stopped(True)
        await self._watch_sweeps(stopped=stopped)
        signed = await self._payment.next(view, stopped=stopped, stall=self._stall)
        if signed:
            self._tracking.expect(signed, view)
            await self._tracking.rebroadcast(signed)
            last = signed[-1].nonce
            self._filled = None if last is None or last + 1 - view.nonce < desk.config.max_in_flight else view
            desk.pace.wait("filled", desk.config.busy_seconds)
        await self._rest()
        return bool(signed) or self._payment.more

    async def _watch_sweeps(self, *, stopped: bool) -> None:
        """Let nothing that goes wrong with the cold wallet or a proposal keep buyers waiting."""
        try:
            await self._sweeper.step(self._leader, stopped=stopped)
        except LeadershipLost:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, payouts do not depend on it
            log.exception("treasury.sweeper_failed")

    async def _finish(self, view: WalletView) -> bool:
        """Get on with what was begun; True where something moved. Our rows are read once for all who ask about them."""
        desk = self._desk
        async with desk.database.read() as conn:
            open_ = await queries.in_status(conn, desk.hot_wallet, _OPEN)
            since = view.block_number - desk.config.recheck_blocks
            blocks = await queries.decided_blocks(conn, desk.hot_wallet, since, view.nonce)
        self._stall = next((stall for one in open_ if (stall := _stall(one)) is not None), None)
        unsigned = [one for one in open_ if one.status is Status.APPROVED]
        if unsigned and await self._returning.give_back(unsigned, view):
            return True
        if await self._rechecking.recheck(blocks, view):
            self._reconciler.forget()
            return True
        return await self._tracking.follow([one for one in open_ if one.status in IN_FLIGHT], view)

    async def _apply_policy(self) -> None:
        """Terms whose day of waiting is over count from now on, not from the next start."""
        desk = self._desk
        if not desk.pace.due("policy", _STATUS_SECONDS):
            return
        try:
            async with self._leader.write() as conn:
                applied = await desk.rules.apply_due(conn, desk.clock.now())
        except Problem as problem:
            log.info("treasury.policy_not_applied", reason=str(problem))
        else:
            if applied is not None:
                log.warning("treasury.policy_applied", version=applied)

    async def _rest(self) -> None:
        """Choose how long to wait for the next cycle, and now and then count what stands where."""
        desk = self._desk
        async with desk.database.read() as conn:
            flying = await queries.any_in_flight(conn, desk.hot_wallet)
            due = desk.pace.due("counts", _STATUS_SECONDS)
            counts = await payouts_service.count_by_status(conn) if due else None
            swept = await aggregates.count_by_status(conn, sweeps_table) if due else None
        self.interval = min(desk.config.busy_seconds, self._blocks.seconds_left) if flying else desk.config.idle_seconds
        if counts is not None:
            desk.metrics.payouts(counts)
        if swept is not None:
            desk.metrics.sweeps(swept)

    async def _refresh(self, view: WalletView) -> None:
        """Write the balances down where they may have changed, and renew the lease in time."""
        desk, config = self._desk, self._desk.config
        if view == self._written and not desk.pace.due("lease", config.lease_seconds / 3):
            return
        self._written = view
        await self._write_down({config.asset: view.token, GAS_ASSET: view.native}, view)
        desk.metrics.nonce(view.nonce)
        if not desk.pace.due("balances", _STATUS_SECONDS / 3):
            return
        async with desk.database.read() as conn:
            listed = await desk.rules.assets(conn)
        others = await other_balances_at(desk.chain, listed, config.token, view.block_number)
        await self._write_down(others, view)
        decimals = {asset.symbol: asset.decimals for asset in listed}
        async with desk.database.read() as conn:
            for asset in (config.asset, GAS_ASSET, *others):
                held = await inventory.available(conn, config.wallet, asset)
                desk.metrics.balance(asset, held, decimals.get(asset, 18))
        for asset_policy in listed:
            desk.metrics.limits(asset_policy)

    async def _write_down(self, balances: Mapping[str, int], view: WalletView) -> None:
        """Keep these balances as the chain's word at the view's block; the write renews the lease."""
        now = self._desk.clock.now()
        if not balances:
            return
        async with self._leader.write() as conn:
            for asset, amount in balances.items():
                await inventory.refresh(
                    conn,
                    self._desk.hot_wallet,
                    asset,
                    amount=amount,
                    block_number=view.block_number,
                    now=now,
                )


def _stall(transaction: Transaction) -> str | None:
    """Why a transaction does not get on; one that was handed out and that no node took waits for nodes."""
    unreached = transaction.status is Status.SIGNED and any(one.broadcasts for one in transaction.attempts)
    return transaction.stall or (Reason.WAITING_FOR_SECOND_NODE if unreached else None)
