"""A sender with a fake chain, Stripe's word and a clock around it, and the questions that tests ask of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import sqlalchemy as sa

from chain.reads.safe import SafeState
from chain.types import Address, to_checksum
from kit.db.database import Database
from kit.ids import RandomIds
from tests.treasury.fakes import CHAIN_ID, MUSD, SAFE, TOKEN, WALLET, FakeChain, KeySigner, StripeWord, TestClock
from tests.treasury.rules import Pause, Policy
from treasury.balances import Available
from treasury.cold.identity import ColdPin, Unverified, Verified
from treasury.core.assets import NATIVE
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.table import Payout
from treasury.payouts.table import payouts as payouts_table
from treasury.policy.model import AssetPolicy
from treasury.ports import Owed, PaymentProof, PolicyPort, WalletChain
from treasury.sender import Sender, SenderConfig
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.proposals import Planner, SweepProposals
from treasury.sweeps.states import Kind
from treasury.sweeps.table import Sweep
from treasury.sweeps.table import sweeps as sweeps_table
from treasury.transactions import queries
from treasury.transactions.table import Transaction
from treasury.transactions.table import transactions as transactions_table

BUYER = to_checksum("0x" + "b0" * 20)
IDENTITY = "0x" + "1d" * 32


class Crash(BaseException):
    """The process dies here."""


class Heard:
    """Metrics that a test can read."""

    def __init__(self) -> None:
        self.alarms: Counter[str] = Counter()
        self.is_stopped = False
        self.rebuilding_now = 0
        self.differences: dict[str, int] = {}
        self.cold_proved: bool | None = None
        self.gas_spent = 0

    def leading(self, yes: bool) -> None: ...

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None: ...

    def limits(self, asset: AssetPolicy) -> None: ...

    def nonce(self, nonce: int) -> None: ...

    def in_flight(self, count: int) -> None: ...

    def payouts(self, by_status: Mapping[str, int]) -> None: ...

    def sweeps(self, by_status: Mapping[str, int]) -> None: ...

    def cold_wallet(self, proved: bool) -> None:
        self.cold_proved = proved

    def signed(self, seconds: float, outcome: str) -> None: ...

    def broadcast(self, outcome: str) -> None: ...

    def gas(self, wei: int) -> None:
        self.gas_spent += wei

    def alarm(self, kind: str) -> None:
        self.alarms[kind] += 1

    def stopped(self, yes: bool) -> None:
        self.is_stopped = yes

    def rebuilding(self, transactions: int) -> None:
        self.rebuilding_now = transactions

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        self.differences[asset] = amount

    def receivable(self, usdc: int, age_seconds: float) -> None: ...


class Cold:
    """A cold wallet that proves itself unless told otherwise."""

    def __init__(self, chain: FakeChain) -> None:
        self.pin = ColdPin(CHAIN_ID, SAFE, (BUYER,), 1)
        self.identity = IDENTITY
        self.reasons: tuple[str, ...] = ()
        self.behind = 0
        self.asked = 0
        self._chain = chain

    async def read(self) -> SafeState:
        message = "a sender sends by the verdict alone; what it was made of is for those who refill"
        raise AssertionError(message)

    async def holds(self, token: Address) -> int:
        raise AssertionError(token)

    async def verify(self) -> Verified | Unverified:
        self.asked += 1
        if self.reasons:
            return Unverified(self.reasons, self._chain.head)
        return Verified(self._chain.head - self.behind, self.identity, "1.4.1")


class World:
    """Everything around the sender; `sender()` starts a new process, as far as the database can tell."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.chain = FakeChain()
        self.signer = KeySigner()
        self.stripe = StripeWord()
        self.stripe.rebuild = lambda session, owed: self.owe(session, owed.amount, owed.to)
        self.clock = TestClock()
        self.metrics = Heard()
        self.ids = RandomIds()
        self.cold = Cold(self.chain)
        self.pause = Pause()
        self.policy = Policy()
        self.planner: Planner | None = None

    def sender(
        self,
        checkpoint: Callable[[str], None] = lambda _: None,
        chain: WalletChain | None = None,
        proof: PaymentProof | None = None,
        rules: PolicyPort | None = None,
        **config: float,
    ) -> Sender:
        settings = {"lease_seconds": 0.0, **config}
        return Sender(
            config=SenderConfig(CHAIN_ID, WALLET, TOKEN, **settings),  # type: ignore[arg-type]
            database=self.database,
            chain=chain or self.chain,
            signer=self.signer,
            proof=proof or self.stripe,
            clock=self.clock,
            ids=self.ids,
            metrics=self.metrics,
            checkpoint=checkpoint,
            gate=self.pause,
            rules=rules or self.policy,
            cold=self.cold,
            orders=self.orders if self.planner is not None else None,
            purchases=self.stripe,
        )

    @property
    def orders(self) -> SweepProposals:
        """Orders to the planner of this test."""
        assert self.planner is not None
        return SweepProposals(self.planner, self.cold, WALLET, self.ids)

    async def sweep(
        self, amount: int = 100 * MUSD, *, approved: bool = True, kind: Kind = Kind.SWEEP, token: str = TOKEN
    ) -> Sweep:
        """A sweep that anna proposed and, unless told otherwise, bert approved."""
        asset = {NATIVE: "BTC", TOKEN: "MUSD"}.get(token, "OTHER")
        proposal = sweeps_service.Proposal(asset, token, amount, SAFE, self.policy.active, self.cold.identity, kind)
        now = self.clock.now()
        async with self.database.write() as conn:
            made = await sweeps_service.propose(
                conn,
                proposal,
                chain_id=CHAIN_ID,
                wallet=WALLET,
                purpose="excess over ceiling",
                by="key_anna",
                person="anna",
                approval_needed=True,
                expires_after=timedelta(hours=24),
                now=now,
                ids=self.ids,
            )
        return await self.approve(made) if approved else made

    async def approve(self, sweep: Sweep) -> Sweep:
        """Bert says yes to it."""
        async with self.database.write() as conn:
            return await approvals.approve(
                conn,
                sweep.id,
                by="key_bert",
                person="bert",
                policy_version=self.policy.active,
                safe_identity=self.cold.identity,
                now=self.clock.now(),
            )

    async def swept(self, sweep: Sweep) -> Sweep:
        """The row as it is now."""
        async with self.database.read() as conn:
            return await sweeps_service.require(conn, sweep.id)

    async def mismatched(self, sender: Sender) -> None:
        """A payout whose transaction was mined, and is another than its row says."""
        await self.owe("ons_1")
        await sender.step()
        async with self.database.write() as conn:
            await conn.execute(sa.update(transactions_table).values(amount=MUSD))
        await self.cycles(sender, 3)

    async def owe(self, session: str, amount: int = 5 * MUSD, to: str = BUYER, *, paid: bool = True) -> str:
        """A payout for `session`, which Stripe confirms unless it was not paid."""
        if paid:
            self.stripe.says[session] = Owed(amount, to)
        async with self.database.write() as conn:
            return await payouts_service.owe(
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
            found = await payouts_service.by_session(conn, session)
        assert found is not None
        return found

    async def transaction(self, session: str) -> Transaction:
        payout = await self.payout(session)
        assert payout.transaction_id is not None
        async with self.database.read() as conn:
            found = await queries.get(conn, payout.transaction_id)
        assert found is not None
        return found

    async def status(self, session: str) -> Status:
        return (await self.payout(session)).status

    async def cycles(self, sender: Sender, count: int = 6, *, mine: bool = True) -> None:
        """Some cycles, with time and blocks passing between."""
        for _ in range(count):
            while await sender.step():
                pass
            self.clock.seconds += 15
            if mine:
                self.chain.mine()

    async def forget(self) -> None:
        """The database as it was before any payout: a backup that knows nothing of what happened since."""
        from treasury.core.history import history
        from treasury.core.leader import leaders
        from treasury.incidents.table import foreign
        from treasury.transactions.table import attempts

        await self.tear_out_the_ledger()
        async with self.database.write() as conn:
            for table in (attempts, transactions_table, payouts_table, sweeps_table, history, foreign, leaders):
                await conn.execute(sa.delete(table))

    async def tear_out_the_ledger(self) -> None:
        """A backup has no rows of later; here the rows that nobody may delete are taken with the table's guard."""
        async with self.database.write() as conn:
            if conn.dialect.name == "postgresql":
                await conn.execute(sa.text("TRUNCATE treasury_ledger"))
                return
            guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'treasury_ledger'"
            found = (await conn.execute(sa.text(guards))).fetchall()
            for name, _ in found:
                await conn.execute(sa.text(f"DROP TRIGGER {name}"))
            await conn.execute(sa.text("DELETE FROM treasury_ledger"))
            for _, text in found:
                await conn.execute(sa.text(text))
