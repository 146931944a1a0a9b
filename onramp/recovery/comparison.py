"""Rebuild purchases from Stripe's listing, and compare the purchases that Stripe completed with those that were paid."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from kit.money import format_units
from onramp.recovery import steps
from onramp.recovery.context import RecoveryContext
from onramp.recovery.model import NotYet, Recovery, StepDone
from onramp.sessions import service as sessions_service
from onramp.sessions.payment_proof import debt_of
from onramp.sessions.purchase_recovery import HORIZON
from onramp.sessions.status import PaymentStatus
from onramp.sessions.table import sessions
from onramp.stripe.port import StripeSession
from treasury import balances
from treasury.core.assets import MUSD, MUSD_DECIMALS
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.restores import service as restores_service

BEFORE_BACKUP: Final = timedelta(hours=1)
"""How much earlier than the newest restored row a purchase may have been created at Stripe and be lost: clocks differ, and a replica lags."""
_CLOSED_BY_PERSONS: Final = frozenset({Status.REJECTED, Status.CANCELLED, Status.REVERTED})
_ENDED: Final = (PaymentStatus.FULFILLMENT_COMPLETE, PaymentStatus.REJECTED, PaymentStatus.EXPIRED)


async def rebuild(context: RecoveryContext, recovery: Recovery) -> Mapping[str, Any]:
    """Apply the sessions that Stripe completed and the database has not as completed, which rebuilds lost ones; return the counts.

    Stripe's listing begins an hour before the backup, or before the oldest open session, but at most 90 days back. Then declare the restore
    for earlier wallets that the sessions named. Raises NotYet.
    """
    since = await _since(context, recovery)
    listed = ignored = changed = 0
    async for fact, status in _completed(context, since):
        listed += 1
        if status is PaymentStatus.FULFILLMENT_COMPLETE:
            continue
        applied = await context.refresher.apply_fact(fact)
        ignored += applied is None
        changed += applied is not None and applied.changed
    async with context.database.write() as conn:
        # Sessions at Stripe may have named wallets that the backup did not know.
        await steps.declare_for_earlier_wallets(conn, context, recovery)
    return {"since": int(since.timestamp()), "completed": listed, "rebuilt": changed, "ignored": ignored}


async def require_spent(context: RecoveryContext, declared: StepDone) -> Mapping[str, Any]:
    """Check that the declared restore, or one that replaced it, is done and every transaction is explained. Raises NotYet."""
    wallet = context.hot_wallet
    if wallet is None or declared.result["restore"] is None:
        return {}
    async with context.database.read() as conn:
        restore = await restores_service.newest(conn, wallet)
        is_explained = not await unmatched.list_open(conn, wallet)
    if restore is None or restore.done_at is None:
        raise NotYet(
            "Start the service again (`onramp serve`, `onramp work`): its treasury worker spends the nonces, which takes some blocks and waits"
            " while the chain is halted. Then run `onramp recover` again."
        )
    if not is_explained:
        raise NotYet(
            "Transactions of the hot wallet are not explained yet: see `onramp treasury reconcile`. Then run `onramp recover` again."
        )
    return {"restore": restore.id, "depth": restore.depth}


async def compare(context: RecoveryContext, recovery: Recovery) -> Mapping[str, Any]:
    """Compare ledger and chain, then owed with completed less paid. Raises NotYet if they differ."""
    wallet = context.hot_wallet
    ledger: dict[str, Any] = {}
    if wallet is not None:
        async with context.database.read() as conn:
            on_chain, block = await balances.on_chain_of(conn, wallet.address, MUSD)
            accounts = await ledger_service.balances(conn, wallet.address, MUSD)
            in_ledger = await ledger_service.hot_balance_at(conn, wallet.address, MUSD, block or 0)
        if accounts.get(Account.SUSPENSE, 0) or in_ledger != on_chain:
            raise NotYet(
                f"The ledger has {format_units(in_ledger, MUSD_DECIMALS)} MUSD and the chain {format_units(on_chain, MUSD_DECIMALS)}: the"
                " treasury worker compares them each minute."
                " Run `onramp recover` again; if they still differ, see `onramp treasury reconcile`."
            )
        ledger = {"onChain": format_units(on_chain, MUSD_DECIMALS), "block": block}
    return {**ledger, **await _compare_debts(context, recovery)}


async def _compare_debts(context: RecoveryContext, recovery: Recovery) -> Mapping[str, Any]:
    """Return the sums in MUSD of what Stripe completed, and of what of it is paid and owed, and the sessions that a person decides. Raises NotYet."""
    completed = paid = owed = 0
    undecided, behind = list[str](), 0
    async for fact, status in _completed(context, await _since(context, recovery)):
        debt = debt_of(fact)
        if status is None or debt is None:
            continue
        behind += status is not PaymentStatus.FULFILLMENT_COMPLETE
        async with context.database.read() as conn:
            is_ours = sa.and_(sessions.c.stripe_session_id == fact.id, sessions.c.mode == "payout")
            session = await conn.scalar(sa.select(sessions.c.id).where(is_ours))
            payout = None if session is None else await payouts_service.by_session(conn, session)
        if session is None:
            continue
        completed += debt.amount
        if payout is None or payout.amount != debt.amount or payout.status in _CLOSED_BY_PERSONS:
            undecided.append(session)
        elif payout.status is Status.FINAL:
            paid += debt.amount
        else:
            owed += debt.amount
    if behind:
        raise NotYet(
            f"{behind} purchases are completed at Stripe and not yet in the database: the reconcile worker applies them within a minute. Then"
            " run `onramp recover` again."
        )
    amounts = {"completed": completed, "paid": paid, "owed": owed}
    totals = {name: format_units(amount, MUSD_DECIMALS) for name, amount in amounts.items()}
    return {**totals, "decidedByPersons": undecided}


async def _since(context: RecoveryContext, recovery: Recovery) -> datetime:
    """Return the time at Stripe from which purchases may be lost, or may have been completed since the backup."""
    earliest = recovery.begun_at - HORIZON
    if recovery.backup_at is None:
        return earliest
    async with context.database.read() as conn:
        oldest_open: datetime | None = await conn.scalar(
            sa.select(sa.func.min(sessions.c.created_at)).where(
                sessions.c.payment_status.not_in(_ENDED), sessions.c.created_at > earliest
            )
        )
    return max(earliest, min(recovery.backup_at, oldest_open or recovery.backup_at) - BEFORE_BACKUP)


async def _completed(
    context: RecoveryContext, since: datetime
) -> AsyncIterator[tuple[StripeSession, PaymentStatus | None]]:
    """Yield the sessions that Stripe completed, newest first, each with its status in the database; None if it is not there."""
    after: str | None = None
    while True:
        page = await context.stripe.list_completed(created_gte=int(since.timestamp()), starting_after=after)
        async with context.database.read() as conn:
            statuses = await sessions_service.payment_statuses(conn, [fact.id for fact in page.sessions])
        for fact in page.sessions:
            yield fact, statuses.get(fact.id)
        after = page.after
        if after is None:
            return
