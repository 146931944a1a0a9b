"""The rows of a service's database that record money, and those that record who asked for its movements."""

from typing import Any, Final

import sqlalchemy as sa

from kit.audit.table import entries
from tests.support.service import Service
from treasury.core.history import history
from treasury.ledger.table import ledger as postings
from treasury.pause.table import pauses
from treasury.payouts.table import payouts
from treasury.sweeps.table import sweeps
from treasury.transactions.table import transactions

MONEY: Final = (payouts, sweeps, transactions, postings, history, pauses)


async def money_rows(service: Service) -> list[Any]:
    """Return all rows of the tables that record money, one list per table."""
    async with service.database.read() as conn:
        return [(await conn.execute(sa.select(table))).fetchall() for table in MONEY]


async def treasury_actions(service: Service) -> list[str]:
    """Return the actions of the treasury in the audit trail, oldest first."""
    query = sa.select(entries.c.action).where(entries.c.action.like("treasury.%")).order_by(entries.c.id)
    async with service.database.read() as conn:
        return list((await conn.execute(query)).scalars())
