"""Payments of earlier hot wallets, found on the chain: a restored database may be older than their last payments.

An earlier hot wallet is one that this deployment paid from before. No sender follows it, so its transactions are counted, and its transfers
searched, when a purchase is completed that it may have paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import split_payout_calldata
from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.reads.transfer_proof import ExpectedTransfer, Proven, Reverted, prove
from chain.reads.wallet import OutgoingTx, outgoing_transactions
from chain.types import Address, BlockRef, quantity, to_checksum
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from treasury.core import leader
from treasury.core.assets import MUSD
from treasury.core.facts import OperationFact
from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.incidents.table import unmatched_transactions
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.signers.intent import TransferIntent
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact
from treasury.transactions.table import transactions as transactions_table

log = get_logger(__name__)
CHUNK: Final = 20_000
"""Blocks searched in one request; some twenty hours on Mezo."""
SLACK: Final = timedelta(hours=1)
"""How much a block's time may differ from the clock by which the purchase was made."""


def _nonces(table: sa.Table) -> sa.Select[tuple[int]]:
    c = table.c
    here = sa.and_(c.chain_id == sa.bindparam("chain_id"), c.wallet == sa.bindparam("wallet"))
    return sa.select(c.nonce).where(here, c.nonce < sa.bindparam("count", type_=sa.BigInteger()))


_KNOWN_NONCES: Final = sa.select(sa.func.count()).select_from(
    sa.union(_nonces(transactions_table), _nonces(unmatched_transactions)).subquery()
)
"""How many of a wallet's first `count` nonces our rows hold; a union holds each nonce once."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A transfer of an earlier hot wallet that carries a purchase's reference; `amount` in base units."""

    wallet: Address
    token: Address
    to: Address
    amount: int
    reference: str
    tx_hash: str
    nonce: int
    block: BlockRef
    agreed_by: tuple[str, ...]


class EarlierWalletReader:
    """Reads the past of earlier hot wallets as enough providers agree on it. Every method may raise ChainError."""

    def __init__(self, pool: Pool, database: Database, *, chain_id: int, token: Address) -> None:
        """`token` is the token that purchases are paid in."""
        self._pool = pool
        self._database = database
        self._chain_id = chain_id
        self._token = to_checksum(token)

    async def is_known(self, wallet: Address) -> bool:
        """Return whether rows of this database explain every transaction that the chain counts for the wallet.

        If they do, a purchase that none of these rows pays was not paid by this wallet.
        """
        await self._pool.refresh()
        at = hex(self._pool.agreed_head())
        count = quantity((await self._pool.quorum("eth_getTransactionCount", [wallet, at], key=quantity)).value)
        hot_wallet = HotWallet(self._chain_id, wallet)
        async with self._database.read() as conn:
            parameters = {**hot_wallet.columns, "count": count}
            known_nonces: int = (await conn.execute(_KNOWN_NONCES, parameters)).scalar_one()
            has_unseen = any(row.tx_hash is None for row in await unmatched.list_open(conn, hot_wallet))
        # Counted, not compared with the highest nonce: a payment adopted from this wallet is known while earlier ones may be lost.
        return known_nonces == count and not has_unseen

    async def is_carried(self, reference: str) -> bool:
        """Return whether a transaction in our rows, of any wallet, carries this reference."""
        async with self._database.read() as conn:
            return bool(
                await unmatched.used_references(conn, [reference]) or await queries.used_references(conn, [reference])
            )

    async def is_paid_by(self, wallet: Address, to: str, amount: int, reference: str) -> bool:
        """Return whether an unmatched transaction of `wallet` without a payout is exactly this payment."""
        async with self._database.read() as conn:
            return await unmatched.is_payment(conn, wallet, self._token, to, amount, reference)

    async def find(self, wallet: Address, reference: str, since: datetime) -> Payment | None:
        """Search the wallet's transfers since `since`, newest blocks first, for a reference.

        None: enough providers agree that no transfer carries it.
        """
        await self._pool.refresh()
        newest = self._pool.agreed_head()
        while newest >= 0:
            start = max(0, newest - CHUNK + 1)
            for tx in await outgoing_transactions(self._pool, wallet, start, newest):
                parts = split_payout_calldata(tx.input)
                if parts is not None and tx.to == self._token and "0x" + parts[2].hex() == reference:
                    payment = await self._proved(tx, parts[0], parts[1], reference)
                    if payment is not None:
                        return payment
            if start == 0 or await self._time_of(start) < since - SLACK:
                return None
            newest = start - 1
        return None

    async def _proved(self, tx: OutgoingTx, to: Address, amount: int, reference: str) -> Payment | None:
        verdict = await prove(self._pool, tx.hash, ExpectedTransfer(self._token, to, amount, tx.sender))
        if isinstance(verdict, Reverted):
            return None
        if not isinstance(verdict, Proven):
            raise NoAgreement("silence", detail=f"{tx.hash} carries the reference and is not proved yet.")
        block = verdict.transfer.block
        return Payment(tx.sender, self._token, to, amount, reference, tx.hash, tx.nonce, block, verdict.agreed_by)

    async def _time_of(self, block: int) -> datetime:
        def parse(raw: Mapping[str, Any]) -> int:
            return quantity(raw["timestamp"])

        agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(max(block, 1)), False], key=parse)
        return datetime.fromtimestamp(parse(agreed.value), UTC)


async def _post_missing(conn: AsyncConnection, payment: Payment, *, now: datetime) -> None:
    """Post as a top-up what the ledger lacks for this payment: what the wallet received after the backup, or before this database."""
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


async def adopt(
    conn: AsyncConnection, payout_id: str, payment: Payment, *, chain_id: int, now: datetime, ids: Ids
) -> bool:
    """Make a payment found on chain the final payment of a payout; return False if a row holds its nonce for something else.

    The ledger stays balanced: what the wallet received after the backup, or before this database existed, is posted as a top-up.
    """
    wallet = HotWallet(chain_id, payment.wallet)
    await leader.lock_leader(conn, wallet)
    if await queries.by_nonce(conn, wallet, payment.nonce) is not None:
        return False
    await _post_missing(conn, payment, now=now)
    intent = TransferIntent(
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
    row_id = await transactions_service.adopt(
        conn, intent, payout_id, tx_hash=payment.tx_hash, raw=None, now=now, ids=ids
    )
    note = f"block {payment.block.number}, agreed by {', '.join(payment.agreed_by)}"
    adoption_note = "paid by an earlier hot wallet, found on chain by its reference"
    where: dict[str, Any] = {"block_number": payment.block.number, "block_hash": payment.block.hash}
    await payouts_service.move(
        conn,
        payout_id,
        OperationFact.ADOPTED,
        now=now,
        note=adoption_note,
        transaction_id=row_id,
        tx_hash=payment.tx_hash,
        reason=None,
    )
    await transactions_service.move(conn, row_id, TransactionFact.MINED, now=now, note=note, **where)
    await payouts_service.move(
        conn, payout_id, OperationFact.MINED, now=now, note=note, block_number=payment.block.number
    )
    await transactions_service.move(conn, row_id, TransactionFact.PROVEN, now=now, note=note)
    await payouts_service.move(conn, payout_id, OperationFact.PROVEN, now=now, note=note)
    await unmatched.match_nonce(conn, wallet, payment.nonce, payout_id)
    log.warning("treasury.adopted", operation=payout_id, tx_hash=payment.tx_hash, wallet=payment.wallet)
    return True
