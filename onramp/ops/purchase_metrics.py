"""Counters of purchases, increased after the commit of each change, in the memory of the process that made it."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from onramp.sessions.moves import SessionMoved
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.payouts.service import UNWOUND, Unwound

SUM: Final = "Each process counts its own: sum over processes."


class PurchaseMetrics:
    """Counts what purchases reach, what was paid and delivered, and what was not made whole in MUSD.

    Refunds and disputes are Stripe's, the merchant of record, which reports none to the service; so they are not counted here.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._moves = Counter(
            "onramp_session_moves_total",
            f"Statuses that sessions reached, by axis (payment or delivery). {SUM}",
            ("axis", "to"),
            registry=registry,
        )
        self._paid = Counter(
            "onramp_paid_usdc_total", f"USDC that Stripe delivered for completed payments. {SUM}", registry=registry
        )
        self._delivered = Counter(
            "onramp_delivered_musd_total",
            f"MUSD of confirmed deliveries; one that is proved again after a reorganisation counts again. {SUM}",
            registry=registry,
        )
        self._unwound = Counter(
            "onramp_unwound_total",
            f"Payouts that a person rejected, closed (cancelled) or settled by another transfer. {SUM}",
            ("how",),
            registry=registry,
        )
        for payment in PaymentStatus:
            self._moves.labels("payment", payment)
        for delivery in DeliveryStatus:
            self._moves.labels("delivery", delivery)
        for how in UNWOUND.values():
            self._unwound.labels(how)

    def count(self, fact: object) -> None:
        """Count a committed fact; any other is ignored."""
        match fact:
            case SessionMoved():
                self._moves.labels(fact.axis, fact.to).inc()
                self._paid.inc(fact.usdc / 10**USDC_DECIMALS)
                self._delivered.inc(fact.musd / 10**MUSD_DECIMALS)
            case Unwound():
                self._unwound.labels(fact.how).inc()
