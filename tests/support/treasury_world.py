"""A sender with fakes for the chain, Stripe, the policy and the clock, and the queries that tests need."""

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from kit.alarms.alarms import LocalAlarms
from kit.audit.actor import Actor
from kit.db.database import Database
from kit.ids import RandomIds
from tests.support.clocks import ManualClock
from tests.support.fake_chain import FakeChain
from tests.support.fake_cold_wallet import FakeColdWallet
from tests.support.fake_policy import FakeGate, FakePolicy
from tests.support.fake_signer import KeySigner
from tests.support.fake_stripe import FakeStripe
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN, WALLET
from tests.support.recorded_metrics import RecordedMetrics
from treasury.core.assets import NATIVE
from treasury.core.leader import fence
from treasury.core.status import Status
from treasury.ledger.totals import ledger_totals
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts as payouts_table
from treasury.ports import Owed, PaymentProof, PolicyPort, WalletChain
from treasury.restores import service as restores_service
from treasury.restores.model import Restore
from treasury.restores.model import Source as RestoreSource
from treasury.sender import Sender, SenderConfig, SenderContext
from treasury.signers.protocol import Signer
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.proposals import Planner, SweepProposals
from treasury.sweeps.states import SweepKind
from treasury.sweeps.table import sweeps as sweeps_table
from treasury.transactions import queries
from treasury.transactions.model import Transaction
from treasury.transactions.table import transactions as transactions_table


class TreasuryWorld:
    """Everything around the sender. Each call of `sender()` starts what the database sees as a new process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.chain = FakeChain()
        self.signer = KeySigner()
        self.stripe = FakeStripe()
        self.stripe.rebuild = lambda session, owed: self.owe(session, owed.amount, owed.to)
        self.clock = ManualClock()
        self.metrics = RecordedMetrics()
        self.ids = RandomIds()
        self.cold = FakeColdWallet(self.chain)
        self.pause = FakeGate()
        self.policy = FakePolicy()
        self.planner: Planner | None = None
        self.alarms: LocalAlarms | None = None
        """The alarms of the service; None: each sender only logs its own."""
        self.contract: str | None = None
        """The address of PayOnce if payouts are paid through it."""

    def sender(
        self,
        checkpoint: Callable[[str], None] = lambda _: None,
        chain: WalletChain | None = None,
        signer: Signer | None = None,
        payment_proof: PaymentProof | None = None,
        policy: PolicyPort | None = None,
        **config: float,
    ) -> Sender:
        settings = {"lease_seconds": 0.0, "contract": self.contract, **config}
        return Sender(
            SenderContext(
                config=SenderConfig(CHAIN_ID, WALLET, TOKEN, **settings),  # type: ignore[arg-type]
                database=self.database,
                chain=chain or self.chain,
                signer=signer or self.signer,
                payment_proof=payment_proof or self.stripe,
                clock=self.clock,
                ids=self.ids,
                metrics=self.metrics,
                checkpoint=checkpoint,
                gate=self.pause,
                policy=policy or self.policy,
                cold_wallet=self.cold,
                sweep_proposals=self.sweep_proposals if self.planner is not None else None,
                purchases=self.stripe,
                shared_alarms=self.alarms or LocalAlarms(),
            )
        )

    @property
    def sweep_proposals(self) -> SweepProposals:
        """Sweep proposals from the planner of this test."""
        assert self.planner is not None
        return SweepProposals(self.planner, self.cold, WALLET, self.ids)

    async def sweep(
        self, amount: int = 100 * MUSD, *, approved: bool = True, kind: SweepKind = SweepKind.SWEEP, token: str = TOKEN
    ) -> Sweep:
        """Propose a sweep as anna and, unless `approved` is False, approve it as bert."""
        asset = {NATIVE: "BTC", TOKEN: "MUSD"}.get(token, "OTHER")
        proposal = sweeps_service.Proposal(asset, token, amount, SAFE, self.policy.active, self.cold.identity, kind)
        now = self.clock.now()
        async with self.database.write() as conn:
            made = await sweeps_service.propose(
                conn,
                proposal,
                HOT_WALLET,
                Actor("key_anna", "anna"),
                purpose="excess over ceiling",
                approval_needed=True,
                expires_after=timedelta(hours=24),
                now=now,
                ids=self.ids,
            )
        return await self.approve(made) if approved else made

    async def approve(self, sweep: Sweep) -> Sweep:
        """Approve a sweep as bert."""
        async with self.database.write() as conn:
            return await approvals.approve(
                conn,
                sweep.id,
                Actor("key_bert", "bert"),
                policy_version=self.policy.active,
                safe_identity=self.cold.identity,
                now=self.clock.now(),
            )

    async def swept(self, sweep: Sweep) -> Sweep:
        """Read a sweep's row."""
        async with self.database.read() as conn:
            return await sweeps_service.require(conn, sweep.id)

    async def mismatched(self, sender: Sender) -> None:
        """Create a payout whose mined transaction differs from its row."""
        await self.owe("ons_1")
        await sender.step()
        async with self.database.write() as conn:
            await conn.execute(sa.update(transactions_table).values(amount=MUSD))
        await self.cycles(sender, 3)

    async def owe(self, session: str, amount: int = 5 * MUSD, to: str = BUYER, *, paid: bool = True) -> str:
        """Create a payout for `session`; Stripe confirms it unless `paid` is False. Return its id."""
        if paid:
            self.stripe.owed_by_session[session] = Owed(amount, to)
        async with self.database.write() as conn:
            return await payouts_service.create_payout(
                conn,
                session_id=session,
                stripe_session_id="cos_" + session,
                to=to,
                amount=amount,
                token=TOKEN,
                wallet=WALLET,
                now=self.clock.now(),
                ids=self.ids,
            )

    async def payout(self, session: str) -> Payout:
        async with self.database.read() as conn:
            row = await payouts_service.by_session(conn, session)
        assert row is not None
        return row

    async def transaction(self, session: str) -> Transaction:
        payout = await self.payout(session)
        assert payout.transaction_id is not None
        async with self.database.read() as conn:
            row = await queries.get(conn, payout.transaction_id)
        assert row is not None
        return row

    async def status(self, session: str) -> Status:
        return (await self.payout(session)).status

    async def cycles(self, sender: Sender, count: int = 6, *, mine: bool = True) -> None:
        """Run `count` cycles, each until nothing moves; 15 seconds and, unless `mine` is False, two blocks pass after each."""
        for _ in range(count):
            while await sender.step():
                pass
            self.clock.seconds += 15
            if mine:
                self.chain.mine()

    async def forget(self) -> None:
        """Put the database back to a backup from before any payout."""
        from treasury.core.history import history
        from treasury.core.leader import leaders
        from treasury.incidents.table import unmatched_transactions
        from treasury.restores.table import restores
        from treasury.transactions.table import attempts, batch_payments

        await self.tear_out_the_ledger()
        async with self.database.write() as conn:
            for table in (
                attempts,
                batch_payments,
                transactions_table,
                payouts_table,
                sweeps_table,
                history,
                unmatched_transactions,
                restores,
                leaders,
            ):
                await conn.execute(sa.delete(table))

    async def declare_restore(self, depth: int = 1) -> Restore:
        """Declare, as an operator does after a restore, that the database is older than what the wallet has signed."""
        async with self.database.write() as conn:
            await fence(conn, HOT_WALLET)
            return await restores_service.declare(
                conn,
                HOT_WALLET,
                RestoreSource.DECLARED,
                depth=depth,
                by="machine",
                note="from the backup",
                now=self.clock.now(),
                ids=self.ids,
            )

    async def open_restore(self) -> Restore | None:
        """Return the restore that is not done."""
        async with self.database.read() as conn:
            return await restores_service.open_restore(conn, HOT_WALLET)

    async def tear_out_the_ledger(self) -> None:
        """Delete the ledger's append-only rows: on SQLite the triggers are dropped and created again, on Postgres the table is truncated."""
        async with self.database.write() as conn:
            await conn.execute(sa.delete(ledger_totals))
            if conn.dialect.name == "postgresql":
                await conn.execute(sa.text("TRUNCATE treasury_ledger"))
                return
            guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'treasury_ledger'"
            row = (await conn.execute(sa.text(guards))).fetchall()
            for name, _ in row:
                await conn.execute(sa.text(f"DROP TRIGGER {name}"))
            await conn.execute(sa.text("DELETE FROM treasury_ledger"))
            for _, text in row:
                await conn.execute(sa.text(text))
