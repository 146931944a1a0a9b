"""Explain every transaction of the wallet before anything is signed.

The chain counts the wallet's transactions, and so do the rows. If the chain counts more, the database is older than the chain (a restored
backup, a failover that lost writes) or someone else holds the key. The missing transactions are read from the chain. Each payment carries
its session's hash, so it names its payout and is adopted, if need be after its session was rebuilt from Stripe (`origins`). Any other
transaction stops all signing until a payout that explains it is stored, or persons resolve it.
"""

from enum import Enum, auto
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import split_payout_calldata
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.ports import FeeQuote, OwnTransaction, WalletView
from treasury.sender import operations
from treasury.sender.batch_adoption import BatchAdoption
from treasury.sender.context import SenderContext, log
from treasury.sender.displacement import displace
from treasury.sender.empty_transfers import adopt_empty_transfer
from treasury.sender.intents import purpose_of, transfer_intent
from treasury.sender.nonces import next_nonce, unknown_below
from treasury.sender.operations import Operation
from treasury.sender.origins import Origins
from treasury.signers.intent import Purpose
from treasury.signers.protocol import Signed
from treasury.transactions import queries
from treasury.transactions import service as transactions_service

_BLOCKS_PER_QUERY = 20_000
_OVERLAP_BLOCKS = 20
_MAX_NONCES_PER_SEARCH = 5
"""How many nonces are looked up one by one in one search."""


class Explained(Enum):
    """How much is known of the wallet's transactions."""

    NO = auto()
    """The chain counts transactions of which nothing is known: no nonce is safe."""
    NONCES = auto()
    """Each transaction is recorded, and one waits for persons to resolve it: only a panic is signed."""
    ALL = auto()


class Adoption:
    """Explains the wallet's transactions one after the other."""

    def __init__(self, context: SenderContext, origins: Origins) -> None:
        self._context = context
        self._origins = origins
        self._batches = BatchAdoption(context)
        self._failed_searches = 0
        self._gaps: list[int] | None = None
        """Nonces below the highest one that no row holds; None if they were not read since the start."""

    async def explain(self, view: WalletView) -> Explained:
        """Return how far the wallet's transactions are explained up to the agreed count, after trying to explain those that are not."""
        context, wallet = self._context, self._context.config.wallet
        if await self._is_all_known(view):
            context.alarms.clear("unknown_nonces", wallet)
            self._origins.clear()
            return Explained.ALL
        await self._match_late_payouts()
        missing = await self._missing(view)
        if missing and context.throttle.due("scan", context.config.scan_seconds):
            await self._search(missing, view)
            missing = await self._missing(view)
        if not missing:
            await self._search_unseen(view)
        asked = await self._origins.ask_stripe(await self._open_references())
        if asked:
            await self._match_late_payouts()
        rows = await self._open_rows()
        if missing:
            context.alarms.raise_alarm("unknown_nonces", wallet, nonces=f"{missing[0]}-{missing[-1]}")
        else:
            context.alarms.clear("unknown_nonces", wallet)
        await self._origins.report(rows, len(missing))
        if missing:
            return Explained.NO
        # Stripe's answer may have taken seconds: what comes next is decided on a fresh view.
        return Explained.NONCES if rows or asked else Explained.ALL

    async def _is_all_known(self, view: WalletView) -> bool:
        context = self._context
        async with context.database.read() as conn:
            first = await next_nonce(conn, context.hot_wallet)
            if self._gaps is None:
                self._gaps = await unknown_below(conn, context.hot_wallet, first)
            if first < view.nonce or self._gaps:
                return False
            return not await unmatched.any_without_payout(conn, context.hot_wallet)

    async def _open_rows(self) -> list[UnmatchedTransaction]:
        async with self._context.database.read() as conn:
            return await unmatched.list_open(conn, self._context.hot_wallet)

    async def _open_references(self) -> set[str]:
        """Return the references of payments in the wallet's token that belong to no payout, of single transfers and of batches."""
        context = self._context
        async with context.database.read() as conn:
            rows = await unmatched.list_open(conn, context.hot_wallet)
            in_batches = await queries.unclaimed_references(conn, context.hot_wallet) if rows else {}
        references = {row.reference for row in rows if row.reference and row.token == context.config.token}
        return references.union(*(in_batches.get(row.nonce, ()) for row in rows))

    async def _find(self, nonces: list[int], view: WalletView) -> dict[int, OwnTransaction]:
        """Search the chain, newest blocks first, for the wallet's transactions with these nonces."""
        context, missing = self._context, set(nonces)
        transactions: dict[int, OwnTransaction] = {}
        async with context.database.read() as conn:
            explained = await context.leader.explained_block(conn)
        newest = view.block_number
        start = newest - context.config.lookback_blocks if explained is None else explained - _OVERLAP_BLOCKS
        oldest = max(0, start)
        while newest >= oldest and missing - set(transactions):
            start = max(oldest, newest - _BLOCKS_PER_QUERY + 1)
            for hint in await context.chain.outgoing(start, newest):
                if hint.nonce in missing:
                    transaction = await context.chain.transaction(hint.hash)
                    if transaction is not None and transaction.nonce == hint.nonce:
                        transactions[transaction.nonce] = transaction
            newest = start - 1
        for nonce in sorted(missing - set(transactions))[:_MAX_NONCES_PER_SEARCH]:
            # A transaction that moved no token left no log: a payment of BTC, an approval, a transfer that failed.
            transaction = await context.chain.spender(nonce, oldest, view.block_number)
            if transaction is not None and transaction.nonce == nonce:
                transactions[nonce] = transaction
        return transactions

    async def explain_nonce(self, nonce: int, view: WalletView) -> None:
        """Find and explain the transaction that used a nonce which one of our signed transactions holds without being mined."""
        for transaction in (await self._find([nonce], view)).values():
            await self._explain_one(transaction)

    async def _missing(self, view: WalletView) -> list[int]:
        """Return the nonces that the chain counts and no row holds, lowest first."""
        context = self._context
        async with context.database.read() as conn:
            first = await next_nonce(conn, context.hot_wallet)
            if self._gaps:
                self._gaps = await unknown_below(conn, context.hot_wallet, first)
        return [*(self._gaps or ()), *range(first, view.nonce)]

    async def _search_unseen(self, view: WalletView) -> None:
        """Search, less often, for the transactions of nonces that were recorded without one."""
        unseen = [row.nonce for row in await self._open_rows() if row.tx_hash is None]
        if unseen and self._context.throttle.due("scan:unseen", 6 * self._context.config.scan_seconds):
            for transaction in (await self._find(unseen, view)).values():
                await self._explain_one(transaction)

    async def _search(self, missing: list[int], view: WalletView) -> None:
        """Search for the transactions of missing nonces, and record a nonce without one after `scans_before_unseen` searches."""
        context = self._context
        log.warning("treasury.unknown_transactions", wallet=context.config.wallet, first=missing[0], last=missing[-1])
        self._failed_searches += 1
        transactions = await self._find(missing, view)
        is_last = self._failed_searches >= context.config.scans_before_unseen
        if is_last:
            note = "spent, but its transaction was not found"
            async with context.leader.write() as conn:
                for nonce in missing:
                    now = context.clock.now()
                    await unmatched.record(conn, context.hot_wallet, nonce, now=now, ids=context.ids, note=note)
        for nonce in missing:
            if nonce in transactions:
                await self._explain_one(transactions[nonce])
            elif not is_last:
                # Gaps below the highest nonce are only looked for at the start, so none may be left behind here.
                return
        self._failed_searches = 0

    async def _explain_one(self, transaction: OwnTransaction) -> None:
        context = self._context
        async with context.leader.write() as conn:
            if await queries.operation_of(conn, transaction.hash) is not None:
                return
            if await adopt_empty_transfer(context, conn, transaction) or await self._batches.adopt(conn, transaction):
                return
            parts = split_payout_calldata(transaction.data)
            if parts is None:
                note = "no payout of this service looks like this"
                # Without data it is a payment of the gas token to what it calls.
                to = None if transaction.data else transaction.to
                await self._record_unmatched(conn, transaction, note, to=to)
                return
            to, amount, reference = parts
            operation = await operations.by_reference(conn, "0x" + reference.hex())
            note = "carries a reference that no row explains yet"
            if operation is not None:
                if await self._adopt(conn, operation, transaction, to, amount):
                    await unmatched.match_nonce(conn, context.hot_wallet, transaction.nonce, operation.id)
                    return
                note = f"carries the reference of {operation.id}, but not as its one payment"
            await self._record_unmatched(conn, transaction, note, to=to, amount=amount, reference=reference)

    async def _record_unmatched(
        self,
        conn: AsyncConnection,
        transaction: OwnTransaction,
        note: str,
        *,
        to: str | None = None,
        amount: int | None = None,
        reference: bytes | None = None,
    ) -> None:
        context = self._context
        await unmatched.record(
            conn,
            context.hot_wallet,
            transaction.nonce,
            now=context.clock.now(),
            ids=context.ids,
            note=note,
            tx_hash=transaction.hash,
            raw=transaction.raw,
            token=transaction.to,
            to_address=to,
            amount=amount,
            reference=None if reference is None else "0x" + reference.hex(),
            block_number=transaction.block_number,
        )
        await displace(self._context, conn, transaction.nonce, transaction.hash)

    async def _match_late_payouts(self) -> None:
        """Adopt payments that were recorded as unmatched before their session was rebuilt from Stripe; they are not made again."""
        context = self._context
        async with context.database.read() as conn:
            rows = await unmatched.with_reference(conn, context.hot_wallet)
            references = await queries.unclaimed_references(conn, context.hot_wallet)
            late = [
                row
                for row in rows
                if row.nonce in references or await operations.by_reference(conn, row.reference or "")
            ]
        for row in late:
            async with context.leader.write() as conn:
                await self._match(conn, row)

    async def _match(self, conn: AsyncConnection, row: UnmatchedTransaction) -> None:
        if await self._batches.match_late(conn, row):
            return
        operation = await operations.by_reference(conn, row.reference or "")
        if operation is None or row.tx_hash is None or row.to is None or row.amount is None:
            return
        transaction = OwnTransaction(row.tx_hash, row.nonce, row.token, b"", row.block_number or 0, row.raw)
        if await self._adopt(conn, operation, transaction, row.to, row.amount):
            await unmatched.match(conn, row.id, operation.id)

    async def _adopt(
        self, conn: AsyncConnection, operation: Operation, transaction: OwnTransaction, to: str, amount: int
    ) -> bool:
        """Store a transaction as the one that carries out `operation`; return False, storing nothing, if it is not exactly its transfer."""
        context, now, wallet = self._context, self._context.clock.now(), self._context.config.wallet
        # A panic took the balance at its signature; a restored row knows only the balance at its proposal.
        values: dict[str, Any] = {"amount": amount} if purpose_of(operation) is Purpose.PANIC else {}
        if (operation.to, operation.token, operation.wallet) != (to, transaction.to, wallet):
            return False
        if operation.amount != amount and not values:
            return False
        holder = await queries.by_nonce(conn, context.hot_wallet, transaction.nonce)
        if holder is not None and holder.operation_id == operation.id and holder.status in IN_FLIGHT:
            # Signed twice for one payout at one nonce: only one could be mined, and it is this one.
            signed = Signed(raw=transaction.raw or b"", hash=transaction.hash, request_id="")
            await transactions_service.add_attempt(conn, holder.id, signed, intent=None, now=now, ids=context.ids)
            return True
        if operations.refuses(operation, OperationFact.ADOPTED):
            return False
        await displace(context, conn, transaction.nonce, transaction.hash)
        # Gas and fees of a mined transfer no longer matter.
        intent = transfer_intent(context.config, operation, transaction.nonce, amount, 0, FeeQuote(0, 0))
        tx_hash, raw = transaction.hash, transaction.raw
        row_id = await transactions_service.adopt(
            conn, intent, operation.id, tx_hash=tx_hash, raw=raw, now=now, ids=context.ids
        )
        note = "found on chain by its reference"
        values |= {"transaction_id": row_id, "tx_hash": tx_hash, "reason": None}
        await operations.move(conn, operation.id, OperationFact.ADOPTED, now=now, note=note, **values)
        log.warning("treasury.adopted", **operations.ids_of(operation), tx_hash=tx_hash, nonce=transaction.nonce)
        return True
