"""Sign a call of the hot wallet for a person at the command line, beside the worker `treasury`.

The transaction takes a nonce of the wallet, so it is a row like any other: this process leads the wallet meanwhile, stores the signed bytes
before it broadcasts them, and leaves the rest to the worker, which broadcasts them again and proves them. A crash at any point is safe:
without stored bytes nothing was sent, and with them the worker goes on.

The row has no operation, like that of an empty transfer, and the worker treats it as one: if the chain drops the transaction and asks for a
higher fee, an empty transfer takes its nonce (`treasury.sender.fee_bump`), and if another transaction took the nonce, nothing follows. The
call is then not made, and a person repeats the command. It moves nothing, so neither loses or repeats a payment.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.types import Address
from kit.audit import service as audit_service
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.money import format_units
from treasury.core.assets import GAS_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader, LeadershipLost
from treasury.core.status import IN_FLIGHT, Status
from treasury.incidents import unmatched
from treasury.ports import FeeQuote, Gate, WalletChain
from treasury.sender.nonces import next_to_sign
from treasury.sender.operations import NO_OPERATION
from treasury.signers.intent import ApproveIntent, DeployIntent
from treasury.signers.protocol import Signed, Signer
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

LEASE_SECONDS: Final = 60.0
"""The most seconds that the worker waits if this process dies while it leads."""
_PAUSED: Final = "Payouts are paused, and with them every signature: `onramp treasury resume`. Nothing was sent."
_TAKEN_OVER: Final = "Another process took the wallet over. Nothing was sent; repeat the command."

CallIntent = ApproveIntent | DeployIntent


class CallRefused(Exception):
    """The call cannot be signed now. Nothing was sent; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the hot wallet that moves nothing.

    `name` stands for it in sentences, such as "the deployment"; `action` in the audit log, with the values `before` and `after`.
    """

    name: str
    to: Address
    data: bytes
    action: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WalletCaller:
    """Sends calls of the hot wallet for a person. `max_fee` is in wei for each unit of gas."""

    wallet: HotWallet
    database: Database
    pool: Pool
    chain: WalletChain
    signer: Signer
    gate: Gate
    clock: Clock
    ids: Ids
    max_fee: int

    async def send(self, call: Call, intent_of: Callable[[int, int, FeeQuote], CallIntent]) -> str:
        """Sign, store and broadcast the call; return the transaction's hash.

        `intent_of` returns the intent for a nonce, a gas limit and a fee. Raises CallRefused, ChainError, SignerError.
        """
        async with self._leading() as leader:
            try:
                intent = intent_of(await self._nonce(), *await self._gas(call))
                signed = await self.signer.sign(intent)
                transaction_id, attempt_id = await self._store(leader, call, intent, signed)
            except LeadershipLost:
                raise CallRefused(_TAKEN_OVER) from None
            report = await self.chain.broadcast(signed.raw)
            # If another process leads by now, it has read the stored bytes, broadcasts them and counts that itself.
            with suppress(LeadershipLost):
                await self._record_broadcast(leader, transaction_id, attempt_id, signed, is_reached=report.reached > 0)
        return signed.hash

    @asynccontextmanager
    async def _leading(self) -> AsyncIterator[Leader]:
        """Lead the wallet while the block runs. Raises CallRefused if another process does."""
        leader = Leader(self.database, self.wallet, owner="cmd_" + secrets.token_hex(16), seconds=LEASE_SECONDS)
        if not await leader.hold():
            raise CallRefused(
                "The worker `treasury` is running and owns the wallet's nonces. Stop it, repeat this command, and start it again; meanwhile"
                " no buyer is paid. Nothing was sent."
            )
        try:
            yield leader
        finally:
            await leader.resign()

    async def _nonce(self) -> int:
        """Return the next nonce. Raises CallRefused if something is paused, or a transaction of the wallet is not settled."""
        view = await self.chain.view()
        async with self.database.read() as conn:
            await self._require_allowed(conn)
            unsettled = await queries.in_status(conn, self.wallet, (Status.APPROVED, *IN_FLIGHT))
            nonce, restore_id = await next_to_sign(conn, self.wallet)
            unexplained = await unmatched.any_without_payout(conn, self.wallet)
        if restore_id is not None or unexplained:
            cause = "a restore is not done" if restore_id is not None else "a transaction of the wallet is unexplained"
            raise CallRefused(
                f"Nothing is signed while {cause}: docs/runbook.md says how that ends. Start the worker `treasury`, and repeat this command"
                " when payouts go on. Nothing was sent."
            )
        if unsettled or nonce != view.nonce:
            raise CallRefused(
                f"The chain counts {view.nonce} transactions of {self.wallet.address}, and the database knows {nonce}, of which {len(unsettled)} are"
                " not final. Start the worker `treasury`, which settles them, and repeat this command when it has. Nothing was sent."
            )
        counts = await self.chain.nonce_counts()
        if any(count > nonce for count in counts.values()):
            higher = ", ".join(sorted(provider for provider, count in counts.items() if count > nonce))
            raise CallRefused(
                f"A node of {higher} counts more than the {nonce} transactions of {self.wallet.address} that the database knows. Start the worker"
                " `treasury`, which finds out, and repeat this command when payouts go on. Nothing was sent."
            )
        return nonce

    async def _gas(self, call: Call) -> tuple[int, FeeQuote]:
        """Return gas limit and fee. Raises CallRefused if the fee is above its limit, or the wallet has too little BTC."""
        fees = await self.chain.fees()
        if fees.max_fee > self.max_fee:
            raise CallRefused(
                f"The chain's fee is {fees.max_fee} wei, above the limit of {self.max_fee}. Repeat the command later. Nothing was sent."
            )
        gas_limit = await self.chain.estimate(call.to, 0, call.data)
        balance, cost = (await self.chain.view()).native, gas_limit * fees.max_fee
        if balance < cost:
            raise CallRefused(
                f"{self.wallet.address} has {format_units(balance, GAS_DECIMALS)} BTC, and {call.name} may take"
                f" {format_units(cost, GAS_DECIMALS)} BTC for gas: send BTC to it. Nothing was sent."
            )
        return gas_limit, fees

    async def _store(self, leader: Leader, call: Call, intent: CallIntent, signed: Signed) -> tuple[str, str]:
        """Store the nonce, the signed bytes and an audit entry together; return the ids of transaction and attempt."""
        async with leader.write() as conn:
            # A pause may have come during the signature: then its bytes are thrown away, and nothing else has them.
            await self._require_allowed(conn)
            now, operation_id = self.clock.now(), self.ids.new(NO_OPERATION)
            (row_id,) = await transactions_service.allocate_nonces(
                conn, [(intent, operation_id)], now=now, ids=self.ids
            )
            attempt_id = await transactions_service.add_attempt(
                conn, row_id, signed, intent=intent, now=now, ids=self.ids
            )
            await transactions_service.move(conn, row_id, TransactionFact.STORED, now=now, note=signed.hash)
            after = {**call.after, "txHash": signed.hash, "nonce": intent.nonce}
            await audit_service.record(
                conn, audit_service.LOCAL_OPERATOR, call.action, row_id, call.before, after, at=now
            )
        return row_id, attempt_id

    async def _record_broadcast(
        self, leader: Leader, transaction_id: str, attempt_id: str, signed: Signed, *, is_reached: bool
    ) -> None:
        async with leader.write() as conn:
            now = self.clock.now()
            await transactions_service.count_broadcasts(conn, [attempt_id], now)
            if is_reached:
                fact, note = TransactionFact.BROADCAST, signed.hash
                await transactions_service.move(conn, transaction_id, fact, now=now, note=note)

    async def _require_allowed(self, conn: AsyncConnection) -> None:
        if not await self.gate.payouts_allowed(conn):
            raise CallRefused(_PAUSED)
