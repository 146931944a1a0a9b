"""Before anything is signed, every transaction of the wallet is known.

The chain counts the wallet's transactions and so do our rows. Where the chain counts more, the database is older than
the chain (a restored backup, a failover that lost writes) or someone else holds the key. The missing ones are read
from the chain. Each payout carries its session's hash behind its calldata, so it names the payout it paid and is
adopted as its payment, where need be after its session was rebuilt from Stripe (`origins`); the rest stop all signing
until a payout that explains them is written, or persons answer.
"""

from enum import Enum, auto
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import split_payout_calldata
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.ports import OwnTransaction, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import purpose_of
from treasury.sender.operations import Operation, kind_of
from treasury.sender.origins import Origins
from treasury.signers.intent import Purpose, TransferIntent
from treasury.signers.protocol import Signed
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

_HIGHEST = sa.select(queries.HIGHEST_NONCE.scalar_subquery(), unmatched.HIGHEST_NONCE.scalar_subquery())
_NONCES = sa.union(queries.NONCES, unmatched.NONCES)
_KNOWN = sa.select(sa.func.count()).select_from(_NONCES.subquery())
_CHUNK = 20_000
_OVERLAP = 20
_ASKED_FOR = 5
"""Nonces looked for one by one in one search."""


async def next_nonce(desk: SenderContext, conn: AsyncConnection) -> int:
    """One above every nonce we know to be used or taken."""
    highest = (await conn.execute(_HIGHEST, desk.hot_wallet.columns)).one()
    return 1 + max(-1 if nonce is None else nonce for nonce in highest)


async def unknown_below(desk: SenderContext, conn: AsyncConnection, first: int) -> list[int]:
    """Return the nonces below `first` that no row of ours holds.

    There are none while this wallet leads: each nonce is written down before the next. A wallet that comes back after another one
    led may have some, where a payment of its past was found by its reference before the transactions in front of it were read.
    """
    wallet = desk.hot_wallet.columns
    if (await conn.execute(_KNOWN, wallet)).scalar_one() >= first:
        return []
    known = {nonce for (nonce,) in (await conn.execute(_NONCES, wallet)).fetchall()}
    return [nonce for nonce in range(first) if nonce not in known]


class Explained(Enum):
    """How much is known of the wallet's transactions."""

    NO = auto()
    """The chain counts some that nothing is known of: no nonce is safe."""
    NONCES = auto()
    """Each is written down, one waits for a person's answer: nothing but a panic is signed."""
    ALL = auto()


class Adoption:
    """Explains the wallet's transactions, one after the other."""

    def __init__(self, desk: SenderContext, origins: Origins) -> None:
        """Counts searches that found too little."""
        self._desk = desk
        self._origins = origins
        self._scans = 0
        self._gaps: list[int] | None = None
        """Nonces below the highest one that no row holds; None: not looked for since the start."""

    async def explain(self, view: WalletView) -> Explained:
        """Whether every transaction up to the agreed count is explained."""
        async with self._desk.database.read() as conn:
            first = await next_nonce(self._desk, conn)
            if self._gaps is None:
                self._gaps = await unknown_below(self._desk, conn, first)
            known = first >= view.nonce and not self._gaps
            known = known and not await unmatched.any_without_payout(conn, self._desk.hot_wallet)
        if known:
            self._desk.alarms.clear("unknown_nonces", self._desk.config.wallet)
            self._origins.rest()
            return Explained.ALL
        await self._match_late_payouts()
        missing = await self._missing(view)
        if missing and self._desk.pace.due("scan", self._desk.config.scan_seconds):
            await self._search(missing, view)
            missing = await self._missing(view)
        unseen = await self._unseen()
        if unseen and not missing and self._desk.pace.due("scan:unseen", 6 * self._desk.config.scan_seconds):
            for tx in (await self.find(unseen, view)).values():
                await self._explain_one(tx)
        asked = await self._origins.ask(await self._open_rows())
        if asked:
            await self._match_late_payouts()
        rows = await self._open_rows()
        if missing:
            span = f"{missing[0]}-{missing[-1]}"
            self._desk.alarms.ring("unknown_nonces", self._desk.config.wallet, nonces=span)
        else:
            self._desk.alarms.clear("unknown_nonces", self._desk.config.wallet)
        await self._origins.ring(rows, len(missing))
        if missing:
            return Explained.NO
        # Stripe's answer may have taken seconds: what comes next is decided on a fresh view.
        return Explained.NONCES if rows or asked else Explained.ALL

    async def _open_rows(self) -> list[UnmatchedTransaction]:
        async with self._desk.database.read() as conn:
            return await unmatched.list_open(conn, self._desk.hot_wallet)

    async def find(self, nonces: list[int], view: WalletView) -> dict[int, OwnTransaction]:
        """Search the chain, newest blocks first, for the wallet's transactions with these nonces."""
        found: dict[int, OwnTransaction] = {}
        wanted = set(nonces)
        async with self._desk.database.read() as conn:
            known = await self._desk.leader.explained_block(conn)
        newest = view.block_number
        oldest = max(0, newest - self._desk.config.lookback_blocks if known is None else known - _OVERLAP)
        while newest >= oldest and wanted - set(found):
            start = max(oldest, newest - _CHUNK + 1)
            for hint in await self._desk.chain.outgoing(start, newest):
                if hint.nonce in wanted:
                    agreed = await self._desk.chain.transaction(hint.hash)
                    if agreed is not None and agreed.nonce == hint.nonce:
                        found[agreed.nonce] = agreed
            newest = start - 1
        for nonce in sorted(wanted - set(found))[:_ASKED_FOR]:
            # What moved no token left no log: a payment of BTC, an approval, a transfer that failed.
            agreed = await self._desk.chain.spender(nonce, oldest, view.block_number)
            if agreed is not None and agreed.nonce == nonce:
                found[nonce] = agreed
        return found

    async def explain_taken(self, nonce: int, view: WalletView) -> None:
        """Who took a nonce that one of our signed transactions holds without being mined."""
        for tx in (await self.find([nonce], view)).values():
            await self._explain_one(tx)

    async def _missing(self, view: WalletView) -> list[int]:
        async with self._desk.database.read() as conn:
            first = await next_nonce(self._desk, conn)
            if self._gaps:
                self._gaps = await unknown_below(self._desk, conn, first)
        return [*(self._gaps or ()), *range(first, view.nonce)]

    async def _unseen(self) -> list[int]:
        return [row.nonce for row in await self._open_rows() if row.tx_hash is None]

    async def _search(self, missing: list[int], view: WalletView) -> None:
        desk = self._desk
        log.warning("treasury.unknown_transactions", wallet=desk.config.wallet, first=missing[0], last=missing[-1])
        self._scans += 1
        found = await self.find(missing, view)
        if self._scans >= desk.config.scans_before_unseen:
            async with desk.leader.write() as conn:
                for nonce in missing:
                    note = "spent, but its transaction was not found"
                    await unmatched.record(conn, desk.hot_wallet, nonce, now=desk.clock.now(), ids=desk.ids, note=note)
        for nonce in missing:
            if nonce in found:
                await self._explain_one(found[nonce])
            elif self._scans < desk.config.scans_before_unseen:
                # The gaps below the highest nonce are looked for at a start alone, so none may be left behind here.
                return
        self._scans = 0

    async def _explain_one(self, tx: OwnTransaction) -> None:
        desk = self._desk
        async with desk.leader.write() as conn:
            if await queries.operation_of(conn, tx.hash) is not None:
                return
            parts = split_payout_calldata(tx.data)
            if parts is None:
                note = "no payout of this service looks like this"
                await self._notice(conn, tx, note)
                return
            to, amount, reference = parts
            operation = await operations.by_reference(conn, "0x" + reference.hex())
            note = "carries a reference that no row explains yet"
            if operation is not None:
                if await self._adopt(conn, operation, tx, to, amount):
                    await unmatched.match_nonce(conn, desk.hot_wallet, tx.nonce, operation.id)
                    return
                note = f"carries the reference of {operation.id}, but not as its one payment"
            await self._notice(conn, tx, note, to=to, amount=amount, reference=reference)

    async def _notice(
        self,
        conn: AsyncConnection,
        tx: OwnTransaction,
        note: str,
        *,
        to: str | None = None,
        amount: int | None = None,
        reference: bytes | None = None,
    ) -> None:
        desk = self._desk
        await unmatched.record(
            conn,
            desk.hot_wallet,
            tx.nonce,
            now=desk.clock.now(),
            ids=desk.ids,
            note=note,
            tx_hash=tx.hash,
            raw=tx.raw,
            token=tx.to,
            to_address=to,
            amount=amount,
            reference=None if reference is None else "0x" + reference.hex(),
            block_number=tx.block_number,
        )
        await self._displace(conn, tx.nonce, tx.hash)

    async def _match_late_payouts(self) -> None:
        """A session rebuilt from Stripe after its payment was noticed: the payment is adopted, not made again."""
        async with self._desk.database.read() as conn:
            rows = await unmatched.with_reference(conn, self._desk.hot_wallet)
            late = [row for row in rows if row.reference and await operations.by_reference(conn, row.reference)]
        for row in late:
            async with self._desk.leader.write() as conn:
                await self._match(conn, row)

    async def _match(self, conn: AsyncConnection, row: UnmatchedTransaction) -> None:
        operation = await operations.by_reference(conn, row.reference or "")
        if operation is None or row.tx_hash is None or row.to is None or row.amount is None:
            return
        tx = OwnTransaction(row.tx_hash, row.nonce, row.token, b"", row.block_number or 0, row.raw)
        if await self._adopt(conn, operation, tx, row.to, row.amount):
            await unmatched.match(conn, row.id, operation.id)

    async def _adopt(
        self, conn: AsyncConnection, operation: Operation, tx: OwnTransaction, to: str, amount: int
    ) -> bool:
        desk, now = self._desk, self._desk.clock.now()
        config = desk.config
        # A panic took what there was when it was signed; a backup knows only what there was when it was proposed.
        taken: dict[str, Any] = {"amount": amount} if purpose_of(operation) is Purpose.PANIC else {}
        if (operation.to, operation.token, operation.wallet) != (to, tx.to, config.wallet):
            return False
        if operation.amount != amount and not taken:
            return False
        # Fees and gas are the chain's business now: it is mined.
        intent = TransferIntent(
            chain_id=config.chain_id,
            wallet=config.wallet,
            nonce=tx.nonce,
            token=operation.token,
            to=to,
            amount=amount,
            reference=bytes.fromhex(operation.reference[2:]),
            gas_limit=0,
            max_fee=0,
            priority_fee=0,
        )
        holder = await queries.by_nonce(conn, desk.hot_wallet, tx.nonce)
        if holder is not None and holder.operation_id == operation.id and holder.status in IN_FLIGHT:
            # Signed twice for the same payout at the same nonce: only one could be mined, and it is this one.
            signed = Signed(raw=tx.raw or b"", hash=tx.hash, request_id="")
            await transactions_service.add_attempt(conn, holder.id, signed, intent=None, now=now, ids=desk.ids)
            return True
        if operations.refuses(operation, OperationFact.ADOPTED):
            return False
        await self._displace(conn, tx.nonce, tx.hash)
        row_id = await transactions_service.adopt(
            conn, intent, operation.id, tx_hash=tx.hash, raw=tx.raw, now=now, ids=desk.ids
        )
        note = "found on chain by its reference"
        values: dict[str, Any] = {"transaction_id": row_id, "tx_hash": tx.hash, "reason": None, **taken}
        await operations.move(conn, operation.id, OperationFact.ADOPTED, now=now, note=note, **values)
        log.warning("treasury.adopted", **operations.ids_of(operation), tx_hash=tx.hash, nonce=tx.nonce)
        return True

    async def _displace(self, conn: AsyncConnection, nonce: int, by_hash: str) -> None:
        """Our own transaction at a nonce that another one took can never be mined; its buyer is unpaid."""
        desk, now = self._desk, self._desk.clock.now()
        holder = await queries.by_nonce(conn, desk.hot_wallet, nonce)
        if holder is None or holder.status not in IN_FLIGHT:
            return
        note = f"nonce {nonce} was taken by {by_hash}"
        await transactions_service.move(conn, holder.id, TransactionFact.DISPLACED, now=now, note=note, nonce=None)
        values = {"reason": Reason.DISPLACED}
        await operations.move(conn, holder.operation_id, OperationFact.REVERTED, now=now, note=note, **values)
        desk.alarms.ring(
            f"{kind_of(holder.operation_id)}_displaced",
            holder.operation_id,
            **operations.ids_of(holder),
            nonce=nonce,
            tx_hash=by_hash,
        )
