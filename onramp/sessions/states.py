"""The states of a payment, in Stripe's own words, and the moves a fact allows.

Stripe delivers facts late, twice and out of order; so a fact is a whole snapshot, and a payment only moves forward. No state is
so final that money arriving later is ignored: a session that expired or was rejected here still honours a completion.
"""

from typing import Final, Literal

from kit.state import Decision, Moved, Refused, Same

PaymentStatus = Literal[
    "created",
    "initialized",
    "requires_payment",
    "fulfillment_processing",
    "fulfillment_complete",
    "rejected",
    "expired",
]
RANK: Final[dict[str, int]] = {
    "created": 0,
    "initialized": 1,
    "requires_payment": 2,
    "fulfillment_processing": 3,
    "fulfillment_complete": 4,
}
PAID: Final = frozenset({"fulfillment_processing", "fulfillment_complete"})
OPEN: Final = frozenset({"initialized", "requires_payment", "fulfillment_processing"})
UNPAID: Final = frozenset({"created", "initialized", "requires_payment"})


def move(status: str, fact: str) -> Decision[str]:
    """What a payment in `status` does when Stripe says `fact`."""
    if fact == status:
        return Same(status)
    if fact == "rejected":
        if status in PAID:
            return Refused(f"Stripe says rejected after {status}")
        return Moved("rejected")
    if fact not in RANK or fact == "created":
        return Refused(f"Stripe says {fact[:40]!r}, which is no state known here")
    if status in {"rejected", "expired"}:
        # Late money is honoured; a late word about an unpaid session changes nothing.
        return Moved(fact) if fact in PAID else Same(status)
    return Moved(fact) if RANK[fact] > RANK[status] else Same(status)


def expire(status: str) -> Decision[str]:
    """What time alone does: only a session that nobody paid expires."""
    return Moved("expired") if status in UNPAID else Same(status)
