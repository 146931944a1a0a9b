"""Compare the ledger with the chain at one block: coins that came in are a top-up, coins missing without a row raise an alarm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from chain.types import Address
from kit.logs import get_logger
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GAS_ASSET, NATIVE
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.ports import WalletChain, WalletView
from treasury.transactions import queries
from treasury.transactions.model import Transaction
from treasury.transactions.table import transactions as transactions_table

log = get_logger(__name__)
BATCH_SIZE: Final = 50
"""How many transactions' gas is posted together."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The result of a comparison of ledger and chain for one asset, in base units.

    `change` is what this comparison found: above zero the chain has more than the ledger, below zero coins are missing. `suspense` is all
    that is still missing, from earlier comparisons too.
    """

    asset: str
    on_chain: int
    change: int
    suspense: int


async def reconcile(
    conn: AsyncConnection, wallet: str, asset: str, on_chain: int, block_number: int, *, now: datetime
) -> Difference:
    """Post the difference between the chain's balance at a block and the ledger.

    The first comparison posts the opening balance. Coins that come back reduce the suspense first. Call this only if every transaction of
    the wallet that is mined up to that block is settled; otherwise its amount would count as missing. After a comparison at a later block
    this one posts nothing: what it finds may be posted already, with that later block.
    """
    is_outdated = await ledger_service.was_compared_after(conn, wallet, asset, block_number)
    change = 0 if is_outdated else on_chain - await ledger_service.hot_balance_at(conn, wallet, asset, block_number)
    suspense = (await ledger_service.balances(conn, wallet, asset)).get(Account.SUSPENSE, 0)
    is_opening = not await ledger_service.is_opened(conn, wallet, asset)
    steps: list[tuple[str, Account, Account, int]] = []
    if change < 0:
        steps = [("difference", Account.AVAILABLE, Account.SUSPENSE, -change)]
    elif is_opening:
        steps = [("opening", Account.EXTERNAL_IN, Account.AVAILABLE, change)]
    else:
        returned = min(change, suspense)
        steps = [
            ("explained", Account.SUSPENSE, Account.AVAILABLE, returned),
            ("top_up", Account.EXTERNAL_IN, Account.AVAILABLE, change - returned),
        ]
    for kind, source, target, amount in steps:
        if amount:
            movement = Movement(
                wallet=wallet,
                asset=asset,
                kind=kind,
                subject=wallet,
                source=source,
                target=target,
                amount=amount,
                at=now,
                block_number=block_number,
            )
            await ledger_service.adjust(conn, movement)
            suspense += amount * ((target is Account.SUSPENSE) - (source is Account.SUSPENSE))
    return Difference(asset, on_chain, change, suspense)


async def missing_gas_postings(conn: AsyncConnection, wallet: HotWallet) -> list[Transaction]:
    """Return decided transactions whose gas cost is not posted yet, lowest nonce first, at most BATCH_SIZE."""
    t = transactions_table.c
    decided = t.status.in_([Status.FINAL, Status.REVERTED])
    query = sa.select(t.id).where(
        t.chain_id == wallet.chain_id, t.wallet == wallet.address, decided, t.nonce.is_not(None), ~t.gas_posted
    )
    ids = (await conn.execute(query.order_by(t.nonce).limit(BATCH_SIZE))).scalars().all()
    return await queries.get_all(conn, ids)


async def gas_costs(chain: WalletChain, decided: Sequence[Transaction]) -> dict[str, int | None]:
    """Return by transaction id the wei that each transaction cost; None if no node reports it."""
    costs = await chain.gas_spent([attempt.hash for transaction in decided for attempt in transaction.attempts])
    return {
        transaction.id: next(
            (costs[attempt.hash] for attempt in transaction.attempts if costs[attempt.hash] is not None), None
        )
        for transaction in decided
    }


async def has_unsettled(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> bool:
    """Return whether ledger and chain must not be compared at this view yet.

    Either a transaction that the view counts is not settled, and its amount would count as missing; or a transaction is final in one of its
    blocks and the view does not count it, and an unnoticed reorganisation would count as a top-up.
    """
    in_flight = await queries.any_in_flight(conn, wallet, below=view.nonce)
    return in_flight or await queries.any_uncounted(conn, wallet, view.nonce, view.block_number)


async def view_is_stale(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> bool:
    """Return whether a transaction that this view counts was mined in a later block: the view is of a branch that no longer exists."""
    t = transactions_table.c
    mine = sa.and_(t.chain_id == wallet.chain_id, t.wallet == wallet.address, t.nonce < view.nonce)
    query = sa.select(sa.literal(1)).where(mine, t.block_number > view.block_number).limit(1)
    return (await conn.execute(query)).first() is not None


async def unknown_nonces(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> int:
    """Return how many transactions the chain counts that no row records; what they moved would count as missing."""
    ours = await queries.highest_nonce(conn, wallet)
    theirs = await unmatched.highest_nonce(conn, wallet)
    highest = max((nonce for nonce in (ours, theirs) if nonce is not None), default=-1)
    return max(0, view.nonce - highest - 1)


async def post_costs(
    conn: AsyncConnection,
    wallet: str,
    decided: Sequence[Transaction],
    costs: Mapping[str, int | None],
    *,
    now: datetime,
) -> None:
    """Post those gas costs that are known. Repeating this posts nothing twice."""
    movements = [
        Movement(
            wallet=wallet,
            asset=GAS_ASSET,
            kind="gas",
            subject=transaction.id,
            source=Account.AVAILABLE,
            target=Account.GAS,
            amount=cost,
            block_number=transaction.block_number,
            at=now,
        )
        for transaction in decided
        if (cost := costs[transaction.id])
    ]
    await ledger_service.post(conn, movements)


async def other_balances_at(
    chain: WalletChain, listed: Sequence[AssetPolicy], token: Address, block: int
) -> dict[str, int]:
    """Return the balance at a block, in base units, of each listed token except `token`, which pays buyers; without those that cannot be read."""
    amounts: dict[str, int] = {}
    for asset in listed:
        if asset.token not in {token, NATIVE}:
            try:
                amounts[asset.symbol] = await chain.balance_of(asset.token, block)
            except ChainError as error:
                log.warning("treasury.balance_unknown", asset=asset.symbol, reason=str(error))
    return amounts


async def compare(
    conn: AsyncConnection,
    wallet: str,
    asset: str,
    view: WalletView,
    decided: Sequence[Transaction],
    costs: Mapping[str, int | None],
    *,
    now: datetime,
    others: Mapping[str, int] = MappingProxyType({}),
) -> list[Difference]:
    """Post the gas that `decided` cost, then compare `asset` and `others` with the chain at the same block.

    The gas token is compared, too, if every cost is known and `decided` is not a full batch, so that no cost is still missing.
    """
    await post_costs(conn, wallet, decided, costs, now=now)
    balances = {asset: view.token, **others}
    differences = [
        await reconcile(conn, wallet, symbol, amount, view.block_number, now=now) for symbol, amount in balances.items()
    ]
    if all(costs.values()) and len(decided) < BATCH_SIZE:
        differences.append(await reconcile(conn, wallet, GAS_ASSET, view.native, view.block_number, now=now))
    return differences
