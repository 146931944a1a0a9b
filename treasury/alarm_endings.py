"""End the treasury's alarms whose rows show that their cause is over, as that of a payout that was paid or rejected.

Code clears an alarm where it sees that the cause ends. These rules also hold if that happened in a process that does not know the alarm,
by a person's command, or after a restart.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.alarms.model import Alarm
from kit.alarms.table import alarms
from treasury.core.status import IN_FLIGHT, Status
from treasury.incidents.table import unmatched_transactions
from treasury.payouts.table import payouts
from treasury.restores.table import restores
from treasury.settlements.states import SettlementStatus
from treasury.settlements.table import settlements
from treasury.sweeps.table import sweeps
from treasury.transactions.table import transactions

MIN_AGE: Final = timedelta(seconds=5)
"""Younger alarms are left alone: the change that they report may not be committed yet."""


def _gone(table: sa.Table, lasts: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that an alarm's subject is a row of `table`, and `lasts` does not hold for it any more."""
    return sa.exists().where(table.c.id == alarms.c.subject, sa.not_(sa.func.coalesce(lasts, sa.false())))


def _named(*names: str) -> sa.ColumnElement[bool]:
    return alarms.c.name.in_([f"treasury.{name}" for name in names])


def _operation_rule(kind: str, table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that a payout or sweep is not held for the reason of its alarm any more."""
    held = alarms.c.name == "treasury." + sa.literal(f"{kind}_") + table.c.reason
    waits = sa.and_(table.c.status.in_((Status.HELD, Status.AWAITING_APPROVAL)), held)
    failed = alarms.c.name.in_((f"treasury.{kind}_reverted", f"treasury.{kind}_displaced"))
    lasts = sa.or_(waits, sa.and_(failed, table.c.status == Status.REVERTED))
    prefix = f"treasury.{kind}_"
    return sa.and_(alarms.c.name.startswith(prefix, autoescape=True), _gone(table, lasts))


_UNMATCHED: Final = unmatched_transactions.c
_RULES: Final = (
    _operation_rule("payout", payouts),
    _operation_rule("sweep", sweeps),
    sa.and_(_named("nonce_taken", "fee_ceiling"), _gone(transactions, transactions.c.status.in_(sorted(IN_FLIGHT)))),
    sa.and_(_named("fee_ceiling", "restore_insufficient"), _gone(restores, restores.c.done_at.is_(None))),
    sa.and_(
        _named("foreign_transaction", "unidentified_transaction", "unknown_sweep"),
        _gone(unmatched_transactions, sa.and_(_UNMATCHED.payout_id.is_(None), _UNMATCHED.answered_at.is_(None))),
    ),
    sa.and_(
        _named("usdc_settled_unverified"),
        _gone(
            settlements,
            sa.and_(
                sa.not_(settlements.c.verified),
                settlements.c.status.in_((SettlementStatus.AWAITING, SettlementStatus.SETTLED)),
            ),
        ),
    ),
    sa.and_(_named("usdc_contradicted"), _gone(settlements, settlements.c.contradiction.is_not(None))),
)  # fmt: skip


async def end_by_rows(conn: AsyncConnection, now: datetime) -> Sequence[Alarm]:
    """End every active alarm of the treasury, at least MIN_AGE old, whose row shows that its cause is over, and return them."""
    old = alarms.c.raised_at <= now - MIN_AGE
    return await alarms_service.end(conn, sa.and_(old, sa.or_(*_RULES)), now)
