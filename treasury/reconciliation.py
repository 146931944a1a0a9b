"""Ledger against chain, at one block: what came in is a top-up, what is gone without a row is a difference and an alarm."""

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
from treasury.core.assets import GAS_ASSET, NATIVE
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.ledger.table import ledger
from treasury.policy.model import AssetPolicy
from treasury.ports import WalletChain, WalletView
from treasury.transactions import queries
from treasury.transactions.table import Transaction
from treasury.transactions.table import transactions as transactions_table

log = get_logger(__name__)
BATCH_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """Base units. `change` is what this look found: above zero it came in, below it is gone; `suspense` is all that is unexplained."""

    asset: str
    on_chain: int
    change: int
    suspense: int


async def reconcile(
    conn: AsyncConnection, wallet: str, asset: str, on_chain: int, block_number: int, *, now: datetime
) -> Difference:
    """Post whatever the chain's balance at a block has more or less than the ledger says.

    The first time it is the opening balance. What comes back pays off the suspense first. Only where no transaction of the
    wallet is mined up to that block and not settled; otherwise its amount would count as gone. Where another look was at a later
    block this one has nothing to add: what it sees may be posted already, with that later block.
    """
    outrun = await ledger_service.compared_after(conn, wallet, asset, block_number)
    change = 0 if outrun else on_chain - await ledger_service.hot_at(conn, wallet, asset, block_number)
    suspense = (await ledger_service.balances(conn, wallet, asset)).get(Account.SUSPENSE, 0)
    opening = not await ledger_service.opened(conn, wallet, asset)
    steps: list[tuple[str, Account, Account, int]] = []
    if change < 0:
        steps = [("difference", Account.AVAILABLE, Account.SUSPENSE, -change)]
    elif opening:
        steps = [("opening", Account.EXTERNAL_IN, Account.AVAILABLE, change)]
    else:
        back = min(change, suspense)
        steps = [
            ("explained", Account.SUSPENSE, Account.AVAILABLE, back),
            ("top_up", Account.EXTERNAL_IN, Account.AVAILABLE, change - back),
        ]
    for kind, source, target, amount in steps:
        if amount:
            await ledger_service.adjust(
                conn, wallet, asset, kind, source, target, amount, now=now, block_number=block_number
            )
            suspense += amount * ((target is Account.SUSPENSE) - (source is Account.SUSPENSE))
    return Difference(asset, on_chain, change, suspense)


async def missing_gas_postings(conn: AsyncConnection, wallet: HotWallet) -> list[Transaction]:
    """Transactions that the chain has decided, and whose cost is not posted yet."""
    t = transactions_table.c
    posted = sa.exists().where(ledger.c.subject == t.id, ledger.c.asset == GAS_ASSET)
    over = t.status.in_([Status.FINAL, Status.REVERTED])
    query = sa.select(t.id).where(
        t.chain_id == wallet.chain_id, t.wallet == wallet.address, over, t.nonce.is_not(None), ~posted
    )
    ids = (await conn.execute(query.order_by(t.nonce).limit(BATCH_SIZE))).scalars().all()
    return await queries.get_all(conn, ids)


async def gas_costs(chain: WalletChain, decided: Sequence[Transaction]) -> dict[str, int | None]:
    """Wei that each cost, of whichever attempt was mined; None where no node says."""
    told = await chain.gas_spent([attempt.hash for transaction in decided for attempt in transaction.attempts])
    return {
        transaction.id: next((told[one.hash] for one in transaction.attempts if told[one.hash] is not None), None)
        for transaction in decided
    }


async def has_unsettled(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> bool:
    """Whether a transaction of ours is mined at this view and not settled: its amount would count as gone.

    Or final here in a block of this view, which does not count it: a reorganisation that nobody has noticed would count as a
    top-up.
    """
    in_flight = await queries.any_in_flight(conn, wallet, below=view.nonce)
    return in_flight or await queries.any_uncounted(conn, wallet, view.nonce, view.block_number)


async def view_is_stale(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> bool:
    """Whether one that this view counts was mined in a later block than the view's: it was read on a branch that is gone."""
    t = transactions_table.c
    mine = sa.and_(t.chain_id == wallet.chain_id, t.wallet == wallet.address, t.nonce < view.nonce)
    query = sa.select(sa.literal(1)).where(mine, t.block_number > view.block_number).limit(1)
    return (await conn.execute(query)).first() is not None


async def unknown_nonces(conn: AsyncConnection, wallet: HotWallet, view: WalletView) -> int:
    """How many transactions the chain counts that no row knows of; what they moved would count as gone."""
    ours = await queries.highest_nonce(conn, wallet)
    others = await unmatched.highest_nonce(conn, wallet)
    known = max((nonce for nonce in (ours, others) if nonce is not None), default=-1)
    return max(0, view.nonce - known - 1)


async def post_costs(
    conn: AsyncConnection,
    wallet: str,
    decided: Sequence[Transaction],
    costs: Mapping[str, int | None],
    *,
    now: datetime,
) -> None:
    """Post what these cost, as far as it is known; once, however often it is told."""
    spent = [
        ledger_service.movement(
            wallet=wallet,
            asset=GAS_ASSET,
            kind="gas",
            subject=one.id,
            source=Account.AVAILABLE,
            target=Account.GAS,
            amount=cost,
            block_number=one.block_number,
            now=now,
        )
        for one in decided
        if (cost := costs[one.id])
    ]
    await ledger_service.post(conn, spent)


async def other_balances_at(
    chain: WalletChain, listed: Sequence[AssetPolicy], token: Address, block: int
) -> dict[str, int]:
    """What the wallet holds at a block of each listed token besides `token`, which is paid out; without those that nodes do not tell."""
    found: dict[str, int] = {}
    for asset in listed:
        if asset.token not in {token, NATIVE}:
            try:
                found[asset.symbol] = await chain.balance_of(asset.token, block)
            except ChainError as error:
                log.warning("treasury.balance_unknown", asset=asset.symbol, reason=str(error))
    return found


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
    """Post what `decided` cost, then compare the token, `others` at the same block, and, where every cost is known, the gas token."""
    await post_costs(conn, wallet, decided, costs, now=now)
    held = {asset: view.token, **others}
    found = [await reconcile(conn, wallet, name, held[name], view.block_number, now=now) for name in held]
    if all(costs.values()) and len(decided) < BATCH_SIZE:
        found.append(await reconcile(conn, wallet, GAS_ASSET, view.native, view.block_number, now=now))
    return found
