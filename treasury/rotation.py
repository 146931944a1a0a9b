"""Another hot wallet takes over: what the one before has not finished would be followed, and paid, by nobody; what it still has is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from treasury.balances import balances as read_balances
from treasury.core import aggregates
from treasury.core.hot_wallets import hot_wallets
from treasury.core.status import OPEN, Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.payouts.table import payouts
from treasury.sweeps.table import sweeps


async def open_operations_of_others(conn: AsyncConnection, wallet: Address) -> list[tuple[str, str, Status]]:
    """(id, its wallet, status) of each payout and sweep of another wallet that has not ended, the oldest first.

    Those that were rejected or reverted have: a person makes them good, with `settle`.
    """
    found = []
    for table in (payouts, sweeps):
        query = sa.select(table.c.id, table.c.wallet, table.c.status).where(
            table.c.wallet != wallet, aggregates.in_states(table, OPEN)
        )
        found += [
            (row.id, row.wallet, Status(row.status)) for row in await conn.execute(query.order_by(table.c.created_at))
        ]
    return found


_USED: Final = sa.union(sa.select(read_balances.c.wallet), sa.select(hot_wallets.c.wallet)).subquery()
_EARLIER: Final = sa.select(_USED.c.wallet).where(_USED.c.wallet != sa.bindparam("wallet")).order_by(_USED.c.wallet)
_LEFT: Final = frozenset({*HOT, Account.SUSPENSE, Account.RECEIVABLE})
"""What is not where it should end: coins of the wallet, coins that nobody finds, USDC that nobody saw arrive."""


@dataclass(frozen=True, slots=True)
class RemainingAccounts:
    """One asset's accounts, in base units, of a wallet that this service paid from before."""

    wallet: Address
    asset: str
    accounts: Mapping[Account, int]


async def earlier_wallets(conn: AsyncConnection, wallet: Address) -> list[Address]:
    """Return those that this service paid from before: each whose balance was ever read, or that a session at Stripe names."""
    return list((await conn.execute(_EARLIER, {"wallet": wallet})).scalars())


async def remaining_accounts(conn: AsyncConnection, wallet: Address) -> list[RemainingAccounts]:
    """What the ledger still has of earlier wallets. Nothing reads the chain for them any more."""
    found = []
    for earlier in await earlier_wallets(conn, wallet):
        for asset in await ledger_service.assets(conn, earlier):
            accounts = await ledger_service.balances(conn, earlier, asset)
            if any(accounts.get(account) for account in _LEFT):
                found.append(RemainingAccounts(earlier, asset, accounts))
    return found
