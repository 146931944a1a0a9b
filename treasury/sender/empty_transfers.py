"""After a restore: spend nonces by empty transfers, so that bytes from before the restore can no longer be mined.

An empty transfer moves nothing, from the wallet to itself. As many nonces in a row are spent as the pipeline may have been deep. If old
bytes take one of them, they are adopted like every other transaction that the database does not know, and the row of nonces begins again
behind it. No pause stops this, and no payment and no sweep is signed until it is done; a panic goes first.
"""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import decode_approve
from chain.payonce import ADDRESS, FACTORY, deployment_calldata, init_code
from treasury.core.history import BY
from treasury.core.status import Status
from treasury.ports import FeeQuote, OwnTransaction, WalletView
from treasury.restores import service as restores_service
from treasury.restores.model import Restore
from treasury.sender import operations
from treasury.sender.config import SenderConfig
from treasury.sender.context import SenderContext, log
from treasury.sender.displacement import displace
from treasury.sender.intents import self_transfer_intent
from treasury.sender.nonces import NextNonce, next_to_sign
from treasury.sender.signer_calls import SignerCalls
from treasury.signers.intent import (
    EMPTY_TRANSFER_GAS,
    ApproveIntent,
    DeployIntent,
    Intent,
    Purpose,
    SelfTransferIntent,
)
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change

_SPENT = frozenset({Status.FINAL, Status.REVERTED})


class EmptyTransfers:
    """Carries out the open restore of a wallet, a few nonces at a time."""

    def __init__(self, context: SenderContext, signing: SignerCalls) -> None:
        self._context = context
        self._signing = signing

    async def spend_next(self, view: WalletView, next_nonce: NextNonce, *, explained: bool) -> list[Transaction]:
        """Sign the empty transfers that are still missing, as many as may be in flight; end the restore if none is missing.

        `explained`: rows explain every transaction of the wallet. Otherwise nonces are spent, but the restore does not end.
        """
        context, config = self._context, self._context.config
        context.metrics.stopped(True)
        async with context.database.read() as conn:
            restore = await restores_service.open_restore(conn, context.hot_wallet)
            own = [] if restore is None else await queries.of_operations(conn, [restore.operation_id])
            ceiling = await context.policy.max_fee(conn) or config.max_fee
        if restore is None or restore.id != next_nonce.restore_id:
            return []
        row = _last_in_a_row(own, next_nonce.number)
        depth = max(restore.depth, config.max_in_flight)
        if len(row) >= depth:
            if explained and all(transaction.status in _SPENT for transaction in row[-depth:]):
                await self._finish(restore, row[-depth:])
            return []
        ahead = next_nonce.number - view.nonce
        count = min(depth - len(row), config.max_in_flight - ahead)
        if ahead < 0 or count < 1 or self._signing.is_postponed:
            return []
        fees = await context.chain.fees()
        if fees.max_fee > ceiling:
            facts = {"asked": fees.max_fee, "ceiling": ceiling}
            context.alarms.raise_alarm("fee_ceiling", restore.id, **facts)
            return []
        context.alarms.clear("fee_ceiling", restore.id)
        cost = EMPTY_TRANSFER_GAS * fees.max_fee * (ahead + count)
        if cost > view.native:
            context.alarms.raise_alarm("restore_insufficient", restore.id, wallet=config.wallet, wei=cost)
            return []
        context.alarms.clear("restore_insufficient", restore.id)
        return await self._sign(restore, next_nonce, count, fees)

    async def _sign(self, restore: Restore, next_nonce: NextNonce, count: int, fees: FeeQuote) -> list[Transaction]:
        """Allocate nonces, sign, and store the bytes, in this order; what fails in between is left to the recovery of nonces."""
        context, first = self._context, next_nonce.number
        intents = [
            self_transfer_intent(context.config, nonce, fees, Purpose.RESTORE) for nonce in range(first, first + count)
        ]
        async with context.leader.write() as conn:
            if await next_to_sign(conn, context.hot_wallet) != next_nonce:
                return []
            pairs = [(intent, restore.operation_id) for intent in intents]
            rows = await transactions_service.allocate_nonces(conn, pairs, now=context.clock.now(), ids=context.ids)
        context.checkpoint("nonce_taken")
        results = await self._signing.sign_all(intents)
        context.checkpoint("signed")
        signed = [
            (row, bytes_, intent)
            for row, bytes_, intent in zip(rows, results, intents, strict=True)
            if bytes_ is not None
        ]
        # Those behind a signature that failed would wait for it; nothing else has their bytes.
        if None in results:
            signed = signed[: results.index(None)]
        if not signed:
            return []
        async with context.leader.write() as conn:
            now = context.clock.now()
            await transactions_service.add_attempts(conn, signed, now=now, ids=context.ids)
            changes = [Change(row, bytes_.hash, was=Status.APPROVED) for row, bytes_, _ in signed]
            await transactions_service.move_all(conn, changes, TransactionFact.STORED, now=now)
            transactions = await queries.get_all(conn, [row for row, _, _ in signed])
        context.checkpoint("stored")
        for transaction in transactions:
            ids, tx_hash = operations.ids_of(transaction), transaction.attempts[-1].hash
            log.warning("treasury.nonce_spent", **ids, nonce=transaction.nonce, tx_hash=tx_hash)
        return transactions

    async def _finish(self, restore: Restore, row: Sequence[Transaction]) -> None:
        context = self._context
        async with context.leader.write() as conn:
            await restores_service.finish(conn, restore, by=BY, now=context.clock.now())
        nonces = f"{row[0].nonce}-{row[-1].nonce}"
        log.warning("treasury.restore_done", restore=restore.id, wallet=context.config.wallet, nonces=nonces)
        context.metrics.stopped(False)


async def adopt_empty_transfer(context: SenderContext, conn: AsyncConnection, transaction: OwnTransaction) -> bool:
    """Record an empty transfer that the database has lost as one of ours; return False, storing nothing, if the transaction is not one.

    The same holds for a lost deployment or approval of PayOnce, which move nothing either. Only while a restore is open: at any other time a
    transaction that no row explains shows that someone else has the key. It does not count as spent by the restore, because it may be older.
    """
    intent = _moves_nothing(context.config, transaction)
    if intent is None or (await next_to_sign(conn, context.hot_wallet)).restore_id is None:
        return False
    await displace(context, conn, transaction.nonce, transaction.hash)
    await transactions_service.adopt(
        conn,
        intent,
        context.ids.new(operations.NO_OPERATION),
        tx_hash=transaction.hash,
        raw=transaction.raw,
        now=context.clock.now(),
        ids=context.ids,
    )
    log.warning("treasury.empty_transfer_adopted", nonce=transaction.nonce, tx_hash=transaction.hash)
    return True


def _moves_nothing(config: SenderConfig, transaction: OwnTransaction) -> Intent | None:
    """Return the intent of a mined transaction that moves nothing and that this service makes; its gas and fees no longer matter."""
    parts = config.chain_id, config.wallet, transaction.nonce
    if transaction.to == config.wallet and not transaction.data:
        return SelfTransferIntent(*parts, EMPTY_TRANSFER_GAS, 0, 0)
    if transaction.to == FACTORY and transaction.data == deployment_calldata(init_code()):
        return DeployIntent(*parts, init_code(), 0, 0, 0)
    if transaction.to == config.token:
        with suppress(ValueError):
            spender, amount = decode_approve(transaction.data)
            if spender == ADDRESS:
                return ApproveIntent(*parts, config.token, spender, amount, 0, 0, 0)
    return None


def _last_in_a_row(own: Sequence[Transaction], next_nonce: int) -> list[Transaction]:
    """Return those of these transactions that hold the highest nonces below `next_nonce` without a gap, lowest nonce first.

    Old bytes have nonces below the chain's count at their signature plus the depth. Whatever took a nonce in between shows that this
    count may have been higher than the one that was agreed when the restore began, so only what follows it counts.
    """
    by_nonce = {transaction.nonce: transaction for transaction in own if transaction.status is not Status.CANCELLED}
    row: list[Transaction] = []
    while (transaction := by_nonce.get(next_nonce - 1 - len(row))) is not None:
        row.append(transaction)
    return row[::-1]
