"""Make a payment of an earlier hot wallet, found on the chain, the payment of a payout. The ledger stays balanced."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.ids import Ids
from kit.logs import get_logger
from treasury.core import leader
from treasury.core.assets import MUSD
from treasury.core.facts import OperationFact
from treasury.core.hot_wallets import HotWallet
from treasury.earlier_payments import Payment
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.signers.intent import PayIntent, TransferIntent
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import BATCH_PREFIX, PaymentOutcome, Transaction
from treasury.transactions.states import TransactionFact

log = get_logger(__name__)


async def adopt(
    conn: AsyncConnection, payout_id: str, payment: Payment, *, chain_id: int, now: datetime, ids: Ids
) -> bool:
    """Make a payment found on chain the final payment of a payout; return False if a row holds its nonce for something else.

    What the wallet received after the backup, or before this database existed, is posted as a top-up.
    """
    wallet = HotWallet(chain_id, payment.wallet)
    await leader.lock_leader(conn, wallet)
    holder = await queries.by_nonce(conn, wallet, payment.nonce)
    if holder is not None and not _is_its_batch(holder, payment):
        return False
    await _post_missing(conn, payment, now=now)
    note = f"block {payment.block.number}, agreed by {', '.join(payment.agreed_by)}"
    if holder is None:
        row_id = await _store(conn, payout_id, payment, note, chain_id=chain_id, now=now, ids=ids)
    else:
        row_id = holder.id
    if payment.batch:
        await _claim(conn, row_id, payout_id, payment)
    values: dict[str, Any] = {"transaction_id": row_id, "tx_hash": payment.tx_hash, "reason": None}
    adopted = "paid by an earlier hot wallet, found on chain by its reference"
    await payouts_service.move(conn, payout_id, OperationFact.ADOPTED, now=now, note=adopted, **values)
    number = payment.block.number
    await payouts_service.move(conn, payout_id, OperationFact.MINED, now=now, note=note, block_number=number)
    await payouts_service.move(conn, payout_id, OperationFact.PROVEN, now=now, note=note)
    await unmatched.match_nonce(conn, wallet, payment.nonce, payout_id)
    log.warning("treasury.adopted", operation=payout_id, tx_hash=payment.tx_hash, wallet=payment.wallet)
    return True


def _is_its_batch(holder: Transaction, payment: Payment) -> bool:
    """Return whether the transaction `holder` is the batch that the payment is part of, stored when another of its payments was found."""
    return bool(payment.batch) and holder.is_batch and payment.tx_hash in {attempt.hash for attempt in holder.attempts}


async def _store(
    conn: AsyncConnection, payout_id: str, payment: Payment, note: str, *, chain_id: int, now: datetime, ids: Ids
) -> str:
    """Store the transaction as final, with all payments if it is a batch; return its id."""
    operation_id = ids.new(BATCH_PREFIX) if payment.batch else payout_id
    intent = _intent(payment, chain_id)
    row_id = await transactions_service.adopt(
        conn, intent, operation_id, tx_hash=payment.tx_hash, raw=None, now=now, ids=ids
    )
    if isinstance(intent, PayIntent):
        await transactions_service.add_payments(conn, row_id, intent, [None] * len(intent.payments))
    where: dict[str, Any] = {"block_number": payment.block.number, "block_hash": payment.block.hash}
    await transactions_service.move(conn, row_id, TransactionFact.MINED, now=now, note=note, **where)
    await transactions_service.move(conn, row_id, TransactionFact.PROVEN, now=now, note=note)
    return row_id


async def _claim(conn: AsyncConnection, batch_id: str, payout_id: str, payment: Payment) -> None:
    """Give the payment's row to the payout. The other payments stay unclaimed, so that their references count as used."""
    batch = await queries.get(conn, batch_id)
    assert batch is not None
    row = next(row for row in batch.payments if row.reference == payment.reference)
    await transactions_service.set_payout(conn, batch_id, row.position, payout_id)
    await transactions_service.set_outcomes(conn, batch_id, [(row, PaymentOutcome.PAID, payment.log_index)])


def _intent(payment: Payment, chain_id: int) -> TransferIntent | PayIntent:
    """Return the intent of the mined transaction; its gas and fees no longer matter."""
    if payment.contract is not None:
        return PayIntent(
            chain_id=chain_id,
            wallet=payment.wallet,
            nonce=payment.nonce,
            contract=payment.contract,
            token=payment.token,
            payments=payment.batch,
            gas_limit=0,
            max_fee=0,
            priority_fee=0,
        )
    return TransferIntent(
        chain_id=chain_id,
        wallet=payment.wallet,
        nonce=payment.nonce,
        token=payment.token,
        to=payment.to,
        amount=payment.amount,
        reference=bytes.fromhex(payment.reference[2:]),
        gas_limit=0,
        max_fee=0,
        priority_fee=0,
    )


async def _post_missing(conn: AsyncConnection, payment: Payment, *, now: datetime) -> None:
    """Post as a top-up what the ledger lacks for this payment: coins that the wallet received after the backup, or before this database existed."""
    accounts = await ledger_service.balances(conn, payment.wallet, MUSD)
    missing = -accounts.get(Account.AVAILABLE, 0)
    if missing > 0:
        await ledger_service.adjust(
            conn,
            Movement(
                wallet=payment.wallet,
                asset=MUSD,
                kind="top_up",
                subject=payment.wallet,
                source=Account.EXTERNAL_IN,
                target=Account.AVAILABLE,
                amount=missing,
                at=now,
                note=payment.tx_hash,
            ),
        )
