"""Operations that no sender would follow, and coins that the ledger still counts, of a hot wallet that no longer pays."""

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
    """Return (id, wallet, status) of each open payout and sweep of other hot wallets than `wallet`, payouts first, each oldest first.

    Rejected and reverted ones are not open: a person pays them and settles them.
    """
    operations = []
    for table in (payouts, sweeps):
        query = sa.select(table.c.id, table.c.wallet, table.c.status).where(
            table.c.wallet != wallet, aggregates.in_states(table, OPEN)
        )
        rows = await conn.execute(query.order_by(table.c.created_at))
        operations += [(row.id, row.wallet, Status(row.status)) for row in rows]
    return operations


_USED: Final = sa.union(sa.select(read_balances.c.wallet), sa.select(hot_wallets.c.wallet)).subquery()
_EARLIER: Final = sa.select(_USED.c.wallet).where(_USED.c.wallet != sa.bindparam("wallet")).order_by(_USED.c.wallet)
_UNFINISHED: Final = frozenset({*HOT, Account.SUSPENSE, Account.RECEIVABLE})
"""Accounts whose amounts still have to go somewhere: coins of the wallet, missing coins, and USDC not seen to arrive."""


@dataclass(frozen=True, slots=True)
class RemainingAccounts:
    """The accounts of one asset, in base units, of a hot wallet that this service paid from before."""

    wallet: Address
    asset: str
    accounts: Mapping[Account, int]


async def earlier_wallets(conn: AsyncConnection, wallet: Address) -> list[Address]:
    """Return the hot wallets that this service paid from before `wallet`: each whose balance was read or that was recorded."""
    return list((await conn.execute(_EARLIER, {"wallet": wallet})).scalars())


async def remaining_accounts(conn: AsyncConnection, wallet: Address) -> list[RemainingAccounts]:
    """Return the accounts of earlier hot wallets that are not empty in the ledger. Their balances on chain are no longer read."""
    remaining = []
    for earlier in await earlier_wallets(conn, wallet):
        for asset in await ledger_service.assets(conn, earlier):
            accounts = await ledger_service.balances(conn, earlier, asset)
            if any(accounts.get(account) for account in _UNFINISHED):
                remaining.append(RemainingAccounts(earlier, asset, accounts))
    return remaining
