"""What happened to one purchase, in order, from every table that tells of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.alarms.model import Alarm
from kit.clock import rfc3339
from kit.money import format_units
from onramp.buyer_mail import service as buyer_mail_service
from onramp.hooks import deliveries as deliveries_service
from onramp.hooks.model import Delivery
from onramp.notices import service as notices_service
from onramp.notices.model import Notice
from onramp.sessions.model import Session
from treasury.core import history
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.payouts.model import Payout
from treasury.transactions import queries as transaction_queries
from treasury.transactions.model import Transaction


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline."""

    at: datetime
    event: str
    """What happened, such as `paid`, `payout.mined` or `mail.delivered.sent`."""
    detail: str = ""

    def document(self) -> dict[str, Any]:
        """Return the entry as `--json` prints it."""
        return {"at": rfc3339(self.at), "event": self.event, "detail": self.detail or None}


async def timeline(
    conn: AsyncConnection, session: Session, payout: Payout | None, events: Iterable[Any]
) -> list[dict[str, Any]]:
    """Return what happened to a purchase, the oldest first. `events` are the rows of Stripe's events about it."""
    moments = [
        *_session(session),
        *(Moment(row.received_at, "stripe.event", row.session_status or "") for row in events),
    ]
    subjects = [session.id]
    if payout is not None:
        moments += [
            Moment(entry.at, f"payout.{entry.to_status}", _ordered(entry.note, entry.by))
            for entry in await history.of(conn, payout.id)
        ]
        subjects.append(payout.id)
        if payout.transaction_id is not None:
            subjects.append(payout.transaction_id)
            transaction = await transaction_queries.get(conn, payout.transaction_id)
            moments += [] if transaction is None else _signatures(transaction)
    moments += _alarms(await alarms_service.of_subjects(conn, subjects))
    moments += _notices(await notices_service.of_session(conn, session.id))
    moments += _webhooks(await deliveries_service.of_subject(conn, session.id, session.created_at))
    moments += _mails(await buyer_mail_service.of_sessions(conn, [session.id]))
    return [moment.document() for moment in sorted(moments, key=lambda moment: moment.at)]


def _session(session: Session) -> Iterator[Moment]:
    yield Moment(session.created_at, "created", session.stripe_session_id or "not known to Stripe yet")
    if session.paid_at is not None:
        delivered = session.delivered_units
        amount = (
            ""
            if delivered is None
            else f"{format_units(delivered, USDC_DECIMALS)} {session.destination_currency.upper()}"
        )
        yield Moment(session.paid_at, "paid", amount)
    if session.confirmed_at is not None:
        musd = format_units(session.received_units or 0, MUSD_DECIMALS)
        agreed = ", ".join(session.agreed_by or []) or "no node"
        yield Moment(
            session.confirmed_at, "delivered", f"{musd} MUSD in block {session.block_number}, agreed by {agreed}"
        )


def _signatures(transaction: Transaction) -> Iterator[Moment]:
    for attempt in transaction.attempts:
        yield Moment(attempt.signed_at, "transaction.signed", f"nonce {transaction.nonce}, {attempt.hash}")
        if attempt.broadcast_at is not None:
            yield Moment(attempt.broadcast_at, "transaction.broadcast", attempt.hash)


def _alarms(alarms: Sequence[Alarm]) -> Iterator[Moment]:
    for alarm in alarms:
        yield Moment(alarm.raised_at, "alarm.raised", alarm.name)
        if alarm.acknowledged_at is not None:
            yield Moment(alarm.acknowledged_at, "alarm.acknowledged", _ordered(alarm.name, alarm.acknowledged_by or ""))
        if alarm.ended_at is not None:
            yield Moment(alarm.ended_at, "alarm.ended", _ordered(alarm.name, alarm.ended_by or ""))


def _notices(notices: Sequence[Notice]) -> Iterator[Moment]:
    for notice in notices:
        text = f"{notice.name} to {notice.target}" + (f": {notice.error}" if notice.error else "")
        yield Moment(notice.sent_at or notice.created_at, f"notice.{notice.kind}.{notice.status}", text)


def _webhooks(deliveries: Sequence[Delivery]) -> Iterator[Moment]:
    for delivery in deliveries:
        text = f"{delivery.type} to {delivery.endpoint_id}"
        yield Moment(delivery.ended_at or delivery.created_at, f"webhook.{delivery.status}", text)


def _mails(mails: Sequence[Any]) -> Iterator[Moment]:
    for mail in mails:
        yield Moment(mail.ended_at or mail.created_at, f"mail.{mail.state}.{mail.status}", mail.reason or "")


def _ordered(text: str, by: str) -> str:
    """Return a text with who ordered it, unless that is the treasury's own worker."""
    return text if by in {"", history.BY} else f"{text} (by {by})".strip()
