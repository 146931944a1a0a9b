"""The state machine of a payment: which status follows when a fact becomes known.

Stripe reports late, twice and out of order. So a fact is a whole snapshot, and a payment only moves forward. No status is so final
that money arriving later is ignored: a session that expired or was rejected here still honours a completion.
"""

from typing import Final

from kit.state import Decision, Moved, Refused, Same
from onramp.sessions.status import PaymentStatus

Outcome = Decision[PaymentStatus]
RANK: Final[dict[str, int]] = {
    PaymentStatus.CREATED: 0,
    PaymentStatus.INITIALIZED: 1,
    PaymentStatus.REQUIRES_PAYMENT: 2,
    PaymentStatus.FULFILLMENT_PROCESSING: 3,
    PaymentStatus.FULFILLMENT_COMPLETE: 4,
}
PAID: Final = frozenset({PaymentStatus.FULFILLMENT_PROCESSING, PaymentStatus.FULFILLMENT_COMPLETE})
OPEN: Final = frozenset(
    {PaymentStatus.INITIALIZED, PaymentStatus.REQUIRES_PAYMENT, PaymentStatus.FULFILLMENT_PROCESSING}
)
"""The statuses that Stripe may still change by itself."""
UNPAID: Final = frozenset({PaymentStatus.CREATED, PaymentStatus.INITIALIZED, PaymentStatus.REQUIRES_PAYMENT})


def report(status: PaymentStatus, reported: str) -> Outcome:
    """Return the outcome for a payment in `status` when Stripe reports `reported`, which may be a status that this version does not know."""
    if reported == status:
        return Same(status)
    if reported == PaymentStatus.REJECTED:
        if status in PAID:
            return Refused(f"Stripe says rejected after {status}")
        return Moved(PaymentStatus.REJECTED)
    if reported not in RANK or reported == PaymentStatus.CREATED:
        return Refused(f"Stripe says {reported[:40]!r}, which is no state known here")
    target = PaymentStatus(reported)
    if status in {PaymentStatus.REJECTED, PaymentStatus.EXPIRED}:
        # Late money is honoured; a late report about an unpaid session changes nothing.
        return Moved(target) if target in PAID else Same(status)
    return Moved(target) if RANK[target] > RANK[status] else Same(status)


def initialize(status: PaymentStatus) -> Outcome:
    """Return the outcome for a payment in `status` when Stripe's session for this row exists.

    It also reopens a row that expired, or was rejected, before Stripe's answer was stored: the buyer can still pay there.
    """
    if status is PaymentStatus.INITIALIZED:
        return Same(status)
    if status in {PaymentStatus.CREATED, PaymentStatus.EXPIRED, PaymentStatus.REJECTED}:
        return Moved(PaymentStatus.INITIALIZED)
    return Refused(f"Stripe made a session for a payment that is already {status}")


def refuse_creation(status: PaymentStatus) -> Outcome:
    """Return the outcome for a payment in `status` when Stripe refuses to make the session, or makes another one than requested."""
    if status is PaymentStatus.REJECTED:
        return Same(status)
    if status in {PaymentStatus.CREATED, PaymentStatus.EXPIRED}:
        return Moved(PaymentStatus.REJECTED)
    return Refused(f"Stripe refuses to make a session for a payment that is already {status}")


def expire(status: PaymentStatus) -> Outcome:
    """Return the outcome for a payment in `status` when its time is over: only a session without a payment expires."""
    return Moved(PaymentStatus.EXPIRED) if status in UNPAID else Same(status)
