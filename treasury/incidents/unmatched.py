"""Unmatched transactions: record, find, match with a payout, resolve. Each operation works in the caller's open transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.inserts import insert_or_ignore
from kit.db.types import in_array
from kit.ids import Ids
from treasury.core import history
from treasury.core.hot_wallets import HotWallet
from treasury.incidents.model import UnmatchedTransaction
from treasury.incidents.table import to_unmatched, unmatched_transactions
from treasury.transactions.model import BATCH_PREFIX

ID_PREFIX = "fgn_"
"""The beginning of the id of every unmatched transaction."""

# Built once: the sender reads these in each cycle, and building a statement takes longer than running it.
_C = unmatched_transactions.c
_OF_WALLET = sa.and_(_C.chain_id == sa.bindparam("chain_id"), _C.wallet == sa.bindparam("wallet"))
HIGHEST_NONCE = sa.select(sa.func.max(_C.nonce)).where(_OF_WALLET)
NONCES = sa.select(_C.nonce).where(_OF_WALLET)
_WITHOUT_PAYOUT = sa.select(unmatched_transactions).where(_OF_WALLET, _C.payout_id.is_(None)).order_by(_C.nonce)
_ANY_WITHOUT_PAYOUT = sa.select(sa.literal(1)).where(_OF_WALLET, _C.payout_id.is_(None)).limit(1)
_OPEN = _WITHOUT_PAYOUT.where(_C.answered_at.is_(None))
_WITH_REFERENCE = _WITHOUT_PAYOUT.where(_C.reference.is_not(None))
# A batch that has its owners shows by its own payments which references it uses: one that the token refused is not used.
_IS_NO_MATCHED_BATCH = sa.or_(_C.payout_id.is_(None), _C.payout_id.not_like(f"{BATCH_PREFIX[:-1]}^_%", escape="^"))
_USED_REFERENCES = sa.select(_C.reference).where(in_array(_C.reference, "references"), _IS_NO_MATCHED_BATCH)


async def record(
    conn: AsyncConnection, wallet: HotWallet, nonce: int, *, now: datetime, ids: Ids, note: str, **details: Any
) -> None:
    """Record a nonce that no transaction of ours used, with `details` (columns) as far as they are known.

    A second call adds the details of a transaction that was not found before, and changes nothing otherwise.
    """
    row = {"id": ids.new(ID_PREFIX), **wallet.columns, "nonce": nonce, "noticed_at": now, "note": note, **details}
    if await insert_or_ignore(conn, unmatched_transactions, [row], ["chain_id", "wallet", "nonce"]):
        return
    if details.get("tx_hash"):
        not_found_before = sa.and_(_of(wallet), _C.nonce == nonce, _C.tx_hash.is_(None))
        await conn.execute(sa.update(unmatched_transactions).where(not_found_before).values(note=note, **details))


async def list_open(conn: AsyncConnection, wallet: HotWallet) -> list[UnmatchedTransaction]:
    """Return the wallet's unmatched transactions with neither a payout nor a resolution, lowest nonce first."""
    return await _select(conn, _OPEN, wallet)


async def any_without_payout(conn: AsyncConnection, wallet: HotWallet) -> bool:
    """Return whether the wallet has an unmatched transaction that belongs to no payout, resolved or not."""
    return (await conn.execute(_ANY_WITHOUT_PAYOUT, wallet.columns)).first() is not None


async def get(conn: AsyncConnection, wallet: HotWallet, unmatched_id: str) -> UnmatchedTransaction | None:
    """Return an unmatched transaction of the wallet by its id; None if the wallet has no such row."""
    query = sa.select(unmatched_transactions).where(_of(wallet), _C.id == unmatched_id)
    row = (await conn.execute(query)).first()
    return None if row is None else to_unmatched(row)


async def with_reference(conn: AsyncConnection, wallet: HotWallet) -> list[UnmatchedTransaction]:
    """Return the wallet's unmatched transactions that carry a reference and belong to no payout yet, resolved or not; lowest nonce first."""
    return await _select(conn, _WITH_REFERENCE, wallet)


async def used_references(conn: AsyncConnection, references: Sequence[str]) -> set[str]:
    """Return those of `references` that recorded unmatched transactions carry, explained or not; batches that have been matched do not count."""
    return set((await conn.execute(_USED_REFERENCES, {"references": list(references)})).scalars())


async def is_payment(conn: AsyncConnection, wallet: str, token: str, to: str, amount: int, reference: str) -> bool:
    """Return whether a transaction of `wallet` without a payout moved `amount` base units of `token` to `to` with this reference."""
    query = sa.select(sa.literal(1)).where(
        _C.reference == reference,
        _C.payout_id.is_(None),
        _C.wallet == wallet,
        _C.token == token,
        _C.to_address == to,
        _C.amount == amount,
    )
    return (await conn.execute(query)).first() is not None


async def match(conn: AsyncConnection, unmatched_id: str, payout_id: str) -> None:
    """Record that an unmatched transaction is the payment of a payout."""
    await conn.execute(sa.update(unmatched_transactions).where(_C.id == unmatched_id).values(payout_id=payout_id))


async def match_nonce(conn: AsyncConnection, wallet: HotWallet, nonce: int, payout_id: str) -> None:
    """Record that the unmatched transaction with this nonce is the payment of a payout; do nothing if no row has the nonce."""
    row = sa.and_(_of(wallet), _C.nonce == nonce)
    await conn.execute(sa.update(unmatched_transactions).where(row).values(payout_id=payout_id))


async def set_payment(conn: AsyncConnection, unmatched_id: str, to: str, amount: int, reference: str) -> None:
    """Store another payment of a batch in its row: the first that belongs to no payout yet."""
    values = {"to_address": to, "amount": amount, "reference": reference}
    await conn.execute(sa.update(unmatched_transactions).where(_C.id == unmatched_id).values(values))


async def set_note(conn: AsyncConnection, unmatched_id: str, note: str) -> None:
    """Replace the note of an unmatched transaction, a clause for operators that says what is known of it."""
    await conn.execute(sa.update(unmatched_transactions).where(_C.id == unmatched_id).values(note=note))


async def resolve(conn: AsyncConnection, unmatched_id: str, *, by: str, note: str, now: datetime) -> bool:
    """Record that persons take responsibility for an unmatched transaction, so that signing goes on; return False if they did so before."""
    unresolved = sa.and_(_C.id == unmatched_id, _C.answered_at.is_(None))
    result = await conn.execute(
        sa.update(unmatched_transactions).where(unresolved).values(answered_by=by, answered_at=now)
    )
    if result.rowcount != 1:
        return False
    await history.record(conn, unmatched_id, at=now, from_status="open", to_status="answered", by=by, note=note)
    return True


async def highest_nonce(conn: AsyncConnection, wallet: HotWallet) -> int | None:
    """Return the highest nonce of the wallet's unmatched transactions; None if there are none."""
    highest: int | None = (await conn.execute(HIGHEST_NONCE, wallet.columns)).scalar_one()
    return highest


def _of(wallet: HotWallet) -> sa.ColumnElement[bool]:
    return sa.and_(_C.chain_id == wallet.chain_id, _C.wallet == wallet.address)


async def _select(conn: AsyncConnection, query: sa.Select[Any], wallet: HotWallet) -> list[UnmatchedTransaction]:
    return [to_unmatched(row) for row in (await conn.execute(query, wallet.columns)).fetchall()]
