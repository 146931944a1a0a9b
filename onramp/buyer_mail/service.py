"""Plan, claim and end the mails of purchases, inside the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.backoff import backoff
from kit.db import leases
from kit.db.inserts import insert_or_ignore
from kit.outbox.service import Change
from onramp.buyer_mail.table import MailState, MailStatus, buyer_mails
from onramp.sessions.model import Session, from_change
from onramp.sessions.status import DeliveryStatus, PaymentStatus, SessionStatus

TRIED_FOR: Final = timedelta(hours=24)
"""How long a mail is tried: a later one would surprise more than it helps."""
FIRST_RETRY_SECONDS: Final = 30.0
LAST_RETRY_SECONDS: Final = 3600.0
LEASE_SECONDS: Final = 120.0
"""How long a row belongs to the process that claimed it; longer than an attempt takes."""

_STATES: Final = {
    SessionStatus.DELIVERING: MailState.PAID,
    SessionStatus.COMPLETED: MailState.DELIVERED,
    SessionStatus.ATTENTION: MailState.ATTENTION,
}


def state_of(session: Session) -> MailState | None:
    """Return the state of which the buyer is sent a mail now; None if the session is in a state without a mail."""
    return _STATES.get(session.status)


def state_reached(change: Change) -> MailState | None:
    """Return the state that a session reached by this change, if its buyer gave an address; None if it reached none."""
    session = from_change(change.new)
    state = state_of(session)
    if state is None or not session.has_email:
        return None
    if change.old is None:
        return state
    before = replace(
        session,
        payment_status=PaymentStatus(change.old["payment_status"]),
        delivery_status=DeliveryStatus(change.old["delivery_status"]),
        overdue=bool(change.old["overdue"]),
        attention=change.old["attention"],
    )
    return None if state_of(before) is state else state


async def plan(conn: AsyncConnection, planned: Collection[tuple[str, MailState]], now: datetime) -> list[str]:
    """Store a mail for each (session id, state) that has none yet. Return the ids of the new rows."""
    rows = [
        {
            "id": mail_id(session_id, state),
            "session_id": session_id,
            "state": state,
            "status": MailStatus.PENDING,
            "created_at": now,
            "due_at": now,
        }
        for session_id, state in dict.fromkeys(planned)
    ]
    return await insert_or_ignore(conn, buyer_mails, rows, ("id",))


def mail_id(session_id: str, state: MailState) -> str:
    """Return the id of the row of a session and a state."""
    return f"{session_id}/{state}"


async def claim(conn: AsyncConnection, owner: str, now: datetime, limit: int) -> Sequence[sa.Row[Any]]:
    """Lease up to `limit` mails that are due, the longest due first."""
    due = sa.and_(buyer_mails.c.status == MailStatus.PENDING, buyer_mails.c.due_at <= now)
    return await leases.claim(
        conn,
        buyer_mails,
        owner=owner,
        seconds=LEASE_SECONDS,
        limit=limit,
        due=due,
        order_by=buyer_mails.c.due_at,
    )


async def end(
    conn: AsyncConnection, mail: sa.Row[Any], owner: str, status: MailStatus, reason: str, now: datetime
) -> bool:
    """End a claimed mail. Return False if `owner` no longer has it."""
    values = {"status": status, "reason": reason[:200] or None, "ended_at": now, "tries": mail.tries + 1}
    return await leases.release(conn, buyer_mails, mail.id, owner, **values)


async def postpone(conn: AsyncConnection, mail: sa.Row[Any], owner: str, reason: str, now: datetime) -> MailStatus:
    """Try a claimed mail again later, or give it up if that would be after TRIED_FOR. Return its status."""
    due = now + timedelta(seconds=backoff(mail.tries + 1, base=2 * FIRST_RETRY_SECONDS, cap=LAST_RETRY_SECONDS))
    if due > mail.created_at + TRIED_FOR:
        await end(conn, mail, owner, MailStatus.GIVEN_UP, reason, now)
        return MailStatus.GIVEN_UP
    values = {"reason": reason[:200], "due_at": due, "tries": mail.tries + 1}
    await leases.release(conn, buyer_mails, mail.id, owner, **values)
    return MailStatus.PENDING


async def backlog(conn: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many mails are pending, and since when the oldest is."""
    oldest = sa.func.min(buyer_mails.c.created_at, type_=buyer_mails.c.created_at.type)
    query = sa.select(sa.func.count(), oldest).where(buyer_mails.c.status == MailStatus.PENDING)
    count, since = (await conn.execute(query)).one()
    return count, since


async def of_sessions(conn: AsyncConnection, session_ids: Collection[str]) -> Sequence[sa.Row[Any]]:
    """Return the mails of these sessions, the oldest first."""
    query = sa.select(buyer_mails).where(buyer_mails.c.session_id.in_(session_ids))
    rows: Sequence[sa.Row[Any]] = (
        await conn.execute(query.order_by(buyer_mails.c.created_at, buyer_mails.c.id))
    ).fetchall()
    return rows
