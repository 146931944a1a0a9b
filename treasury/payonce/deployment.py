"""Deploy PayOnce with the hot wallet's key, through the deterministic factory.

The transaction takes a nonce of the wallet, so it is a row like any other: this process leads the wallet meanwhile, stores the signed bytes
before it broadcasts them, and leaves the rest to the worker `treasury`, which broadcasts them again and proves them. A crash at
any point is safe: without stored bytes nothing was sent, and with them the worker goes on.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from chain.payonce import ADDRESS, FACTORY, deployment_calldata, init_code
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_code
from kit.audit import service as audit_service
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.money import format_units
from treasury.core.assets import GAS_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader, LeadershipLost
from treasury.core.status import IN_FLIGHT, Status
from treasury.ports import FeeQuote, Gate, WalletChain
from treasury.sender.nonces import next_nonce
from treasury.sender.operations import NO_OPERATION
from treasury.signers.intent import DeployIntent
from treasury.signers.protocol import Signed, Signer
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

LEASE_SECONDS: Final = 60.0
"""How long the worker waits at most if this process dies while it leads."""


class DeploymentRefused(Exception):
    """The contract cannot be deployed now. Nothing was sent; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Deployer:
    """The parts that a deployment needs. `max_fee` is in wei for each unit of gas."""

    wallet: HotWallet
    database: Database
    pool: Pool
    chain: WalletChain
    signer: Signer
    gate: Gate
    clock: Clock
    ids: Ids
    max_fee: int

    async def deploy(self) -> str | None:
        """Sign, store and broadcast the deployment; return its hash, or None if the contract stands already.

        Raises DeploymentRefused, ChainError, SignerError.
        """
        code, factory = await read_code(self.pool, ADDRESS, FACTORY)
        if code is Code.PAYONCE:
            return None
        if code is not Code.MISSING:
            raise DeploymentRefused(f"Another contract stands at {ADDRESS}: the nodes serve a chain that is not Mezo.")
        if factory is not Code.FACTORY:
            raise DeploymentRefused(
                f"This chain has no deterministic factory at {FACTORY} (github.com/Arachnid/deterministic-deployment-proxy), so the contract"
                " cannot have its address here. Deploy the factory first; anyone can. Nothing was sent."
            )
        leader = Leader(self.database, self.wallet, owner="dpl_" + secrets.token_hex(16), seconds=LEASE_SECONDS)
        if not await leader.hold():
            raise DeploymentRefused(
                "The worker `treasury` is running and owns the wallet's nonces. Stop it, repeat this command, and start it again; meanwhile"
                " no buyer is paid. Nothing was sent."
            )
        try:
            return await self._send(leader)
        except LeadershipLost:
            raise DeploymentRefused(
                "Another process took the wallet over. Nothing was sent; repeat the command."
            ) from None
        finally:
            await leader.resign()

    async def _send(self, leader: Leader) -> str:
        intent = await self._intent()
        signed = await self.signer.sign(intent)
        transaction_id, attempt_id = await self._store(leader, intent, signed)
        report = await self.chain.broadcast(signed.raw)
        # If another process leads by now, it has read the stored bytes, broadcasts them and counts that itself.
        with suppress(LeadershipLost):
            await self._record_broadcast(leader, transaction_id, attempt_id, signed, is_reached=report.reached > 0)
        return signed.hash

    async def _record_broadcast(
        self, leader: Leader, transaction_id: str, attempt_id: str, signed: Signed, *, is_reached: bool
    ) -> None:
        async with leader.write() as conn:
            now = self.clock.now()
            await transactions_service.count_broadcasts(conn, [attempt_id], now)
            if is_reached:
                fact, note = TransactionFact.BROADCAST, signed.hash
                await transactions_service.move(conn, transaction_id, fact, now=now, note=note)

    async def _intent(self) -> DeployIntent:
        """Return what to sign, once everything that can refuse it was asked. Raises DeploymentRefused."""
        view = await self.chain.view()
        async with self.database.read() as conn:
            is_allowed = await self.gate.payouts_allowed(conn)
            unsettled = await queries.in_status(conn, self.wallet, (Status.APPROVED, *IN_FLIGHT))
            nonce = await next_nonce(conn, self.wallet)
        if not is_allowed:
            raise DeploymentRefused(
                "Payouts are paused, and with them every signature: `onramp treasury resume`. Nothing was sent."
            )
        if unsettled or nonce != view.nonce:
            raise DeploymentRefused(
                f"The chain counts {view.nonce} transactions of {self.wallet.address}, and the database knows {nonce}, of which {len(unsettled)} are"
                " not final. Start the worker `treasury`, which settles them, and repeat this command when it has. Nothing was sent."
            )
        code, fees = init_code(), await self.chain.fees()
        if fees.max_fee > self.max_fee:
            raise DeploymentRefused(
                f"The chain's fee is {fees.max_fee} wei, above the limit of {self.max_fee}. Repeat the command later. Nothing was sent."
            )
        gas_limit = await self.chain.estimate(FACTORY, 0, deployment_calldata(code))
        self._require_gas(view.native, gas_limit, fees)
        return DeployIntent(
            chain_id=self.wallet.chain_id,
            wallet=self.wallet.address,
            nonce=nonce,
            init_code=code,
            gas_limit=gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
        )

    def _require_gas(self, balance: int, gas_limit: int, fees: FeeQuote) -> None:
        cost = gas_limit * fees.max_fee
        if balance < cost:
            raise DeploymentRefused(
                f"{self.wallet.address} has {format_units(balance, GAS_DECIMALS)} BTC, and the deployment may take"
                f" {format_units(cost, GAS_DECIMALS)} BTC for gas: send BTC to it. Nothing was sent."
            )

    async def _store(self, leader: Leader, intent: DeployIntent, signed: Signed) -> tuple[str, str]:
        """Store the nonce, the signed bytes and an audit entry together; return the ids of transaction and attempt."""
        async with leader.write() as conn:
            now = self.clock.now()
            operation_id = self.ids.new(NO_OPERATION)
            (row_id,) = await transactions_service.allocate_nonces(
                conn, [(intent, operation_id)], now=now, ids=self.ids
            )
            attempt_id = await transactions_service.add_attempt(
                conn, row_id, signed, intent=intent, now=now, ids=self.ids
            )
            await transactions_service.move(conn, row_id, TransactionFact.STORED, now=now, note=signed.hash)
            await audit_service.record(
                conn,
                audit_service.LOCAL_OPERATOR,
                "contract.deploy",
                row_id,
                after={"address": ADDRESS, "txHash": signed.hash, "nonce": intent.nonce},
                at=now,
            )
        return row_id, attempt_id
