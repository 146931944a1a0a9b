"""Payments of earlier hot wallets, found on the chain: a restored database may be older than their last payments.

An earlier hot wallet is one that this deployment paid from before. No sender follows it, so its transactions are counted, and its transfers
searched, when a purchase is completed that it may have paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from chain.abi.erc20 import split_payout_calldata
from chain.abi.payonce import Payment as BatchPayment
from chain.abi.payonce import decode_pay
from chain.errors import NoAgreement
from chain.payonce import ADDRESS
from chain.pool.pool import Pool
from chain.reads.batch_proof import ExpectedBatch, ProvenBatch, prove_batch
from chain.reads.payonce import read_paid
from chain.reads.transfer_proof import ExpectedTransfer, Proven, Reverted, prove
from chain.reads.wallet import OutgoingTx, outgoing_transactions
from chain.types import Address, BlockRef, Transfer, quantity, to_checksum
from kit.db.database import Database
from kit.logs import get_logger
from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.incidents.table import unmatched_transactions
from treasury.restores import service as restores_service
from treasury.transactions import queries
from treasury.transactions.table import transactions as transactions_table

log = get_logger(__name__)
CHUNK: Final = 20_000
"""How many blocks are searched in one request; some twenty hours on Mezo."""
SLACK: Final = timedelta(hours=1)
"""How much a block's time may differ from the clock by which the time of the purchase was recorded."""


def _nonces(table: sa.Table) -> sa.Select[tuple[int]]:
    c = table.c
    here = sa.and_(c.chain_id == sa.bindparam("chain_id"), c.wallet == sa.bindparam("wallet"))
    return sa.select(c.nonce).where(here, c.nonce < sa.bindparam("count", type_=sa.BigInteger()))


_KNOWN_NONCES: Final = sa.select(sa.func.count()).select_from(
    sa.union(_nonces(transactions_table), _nonces(unmatched_transactions)).subquery()
)
"""The query that counts how many of a wallet's first `count` nonces our rows hold; a union holds each nonce once."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of an earlier hot wallet that carries a purchase's reference, by a transfer or through PayOnce; `amount` in base units."""

    wallet: Address
    token: Address
    to: Address
    amount: int
    reference: str
    tx_hash: str
    nonce: int
    block: BlockRef
    agreed_by: tuple[str, ...]
    log_index: int | None = None
    contract: Address | None = None
    """The address of PayOnce if the transaction called it; None if it was a transfer of its own."""
    batch: tuple[BatchPayment, ...] = ()
    """All payments of the call of PayOnce; empty for a transfer."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A payment that a transaction asks for, with all payments of its batch; whether the payment was made is not known yet."""

    reference: str
    to: Address
    amount: int
    batch: tuple[BatchPayment, ...] = ()


class EarlierWalletReader:
    """Reads the past of earlier hot wallets as enough providers agree on it. Every method may raise ChainError."""

    def __init__(
        self, pool: Pool, database: Database, *, chain_id: int, token: Address, contract: Address | None = None
    ) -> None:
        """Prepare the reads. `token` is the token that purchases are paid in; `contract` is PayOnce, None if this chain does not have it."""
        self._pool = pool
        self._database = database
        self._chain_id = chain_id
        self._token = to_checksum(token)
        self._contract = contract

    async def is_known(self, wallet: Address) -> bool:
        """Return whether rows of this database explain every transaction that the wallet has made and may still make.

        If they do, a purchase that none of these rows pays was not paid by this wallet and will not be. They do not while a restore of the
        wallet is open: what it signed before may still be mined, until its nonces are spent. Raises ChainError.
        """
        await self._pool.refresh()
        at = hex(self._pool.agreed_head())
        count = quantity((await self._pool.quorum("eth_getTransactionCount", [wallet, at], key=quantity)).value)
        hot_wallet = HotWallet(self._chain_id, wallet)
        async with self._database.read() as conn:
            parameters = {**hot_wallet.columns, "count": count}
            known_nonces: int = (await conn.execute(_KNOWN_NONCES, parameters)).scalar_one()
            has_unseen = any(row.tx_hash is None for row in await unmatched.list_open(conn, hot_wallet))
            restore = await restores_service.open_restore(conn, hot_wallet)
        # Counted, not compared with the highest nonce: a payment adopted from this wallet is known while earlier ones may be lost.
        return known_nonces == count and not has_unseen and restore is None

    async def is_carried(self, reference: str) -> bool:
        """Return whether a transaction in our rows, of any wallet, carries this reference."""
        async with self._database.read() as conn:
            return bool(
                await unmatched.used_references(conn, [reference]) or await queries.used_references(conn, [reference])
            )

    async def is_paid_by(self, wallet: Address, to: str, amount: int, reference: str) -> bool:
        """Return whether an unmatched transaction of `wallet` without a payout is exactly this payment."""
        async with self._database.read() as conn:
            return await unmatched.is_payment(
                conn, wallet, self._token, to, amount, reference
            ) or await queries.is_unclaimed_payment(conn, wallet, self._token, to, amount, reference)

    async def find(self, wallet: Address, reference: str, since: datetime) -> Payment | None:
        """Return the wallet's payment that carries a reference; None if enough providers agree that no such payment exists.

        The contract says in which block it paid, if it did. Otherwise the wallet's transfers since `since` are searched, newest blocks first.
        Raises ChainError.
        """
        await self._pool.refresh()
        newest = self._pool.agreed_head()
        if self._contract is not None:
            key = bytes.fromhex(reference[2:])
            paid_in = (await read_paid(self._pool, self._contract, wallet, [key], newest))[key]
            if paid_in:
                return await self._find_in(wallet, reference, paid_in, paid_in)
        while newest >= 0:
            start = max(0, newest - CHUNK + 1)
            payment = await self._find_in(wallet, reference, start, newest)
            if payment is not None:
                return payment
            if start == 0 or await self._time_of(start) < since - SLACK:
                return None
            newest = start - 1
        return None

    async def _find_in(self, wallet: Address, reference: str, start: int, end: int) -> Payment | None:
        for tx in await outgoing_transactions(self._pool, wallet, start, end):
            for candidate in self._payments_of(tx):
                if candidate.reference == reference and (payment := await self._proved(tx, candidate)) is not None:
                    return payment
        return None

    def _payments_of(self, tx: OutgoingTx) -> list["_Candidate"]:
        """Return the payments of purchases that a transaction of the wallet asks for."""
        parts = split_payout_calldata(tx.input)
        if parts is not None and tx.to == self._token:
            return [_Candidate("0x" + parts[2].hex(), parts[0], parts[1])]
        if tx.to not in {ADDRESS, self._contract}:
            return []
        try:
            token, payments = decode_pay(tx.input)
        except ValueError:
            return []
        if token != self._token:
            return []
        return [
            _Candidate("0x" + payment.reference.hex(), payment.to, payment.amount, payments) for payment in payments
        ]

    async def _proved(self, tx: OutgoingTx, candidate: "_Candidate") -> Payment | None:
        """Return the payment if the chain proves it; None if it moved nothing."""
        to, amount, reference = candidate.to, candidate.amount, candidate.reference
        if candidate.batch:
            assert tx.to is not None
            expected = ExpectedBatch(tx.to, tx.sender, self._token, candidate.batch)
            batch = await prove_batch(self._pool, tx.hash, expected)
            if isinstance(batch, Reverted):
                return None
            if not isinstance(batch, ProvenBatch):
                raise NoAgreement("silence", detail=f"{tx.hash} carries the reference and is not proved yet.")
            result = batch.results[bytes.fromhex(reference[2:])]
            if not isinstance(result, Transfer):
                return None
            transfer, agreed_by = result, batch.agreed_by
        else:
            verdict = await prove(self._pool, tx.hash, ExpectedTransfer(self._token, to, amount, tx.sender))
            if isinstance(verdict, Reverted):
                return None
            if not isinstance(verdict, Proven):
                raise NoAgreement("silence", detail=f"{tx.hash} carries the reference and is not proved yet.")
            transfer, agreed_by = verdict.transfer, verdict.agreed_by
        return Payment(
            wallet=tx.sender,
            token=self._token,
            to=to,
            amount=amount,
            reference=reference,
            tx_hash=tx.hash,
            nonce=tx.nonce,
            block=transfer.block,
            agreed_by=agreed_by,
            log_index=transfer.log_index,
            contract=tx.to if candidate.batch else None,
            batch=candidate.batch,
        )

    async def _time_of(self, block: int) -> datetime:
        def parse(raw: Mapping[str, Any]) -> int:
            return quantity(raw["timestamp"])

        agreed = await self._pool.quorum("eth_getBlockByNumber", [hex(max(block, 1)), False], key=parse)
        return datetime.fromtimestamp(parse(agreed.value), UTC)
