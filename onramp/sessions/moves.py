"""What metrics count about purchases: facts that are reported after the commit of the change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from onramp.sessions.status import DeliveryStatus, PaymentStatus

Axis = Literal["payment", "delivery"]


@dataclass(frozen=True, slots=True)
class SessionMoved:
    """A session's payment or delivery has reached a status.

    `usdc` are the base units of USDC that Stripe delivered for a payment that is now complete, `musd` the base units of MUSD of a delivery
    that is now confirmed; 0 otherwise.
    """

    axis: Axis
    to: str
    usdc: int = 0
    musd: int = 0


def moves_of(values: Mapping[str, Any]) -> Iterator[SessionMoved]:
    """Yield the moves that a change of these columns makes. Only a change of a status may name its column."""
    if (payment := values.get("payment_status")) is not None:
        is_paid = payment == PaymentStatus.FULFILLMENT_COMPLETE
        yield SessionMoved("payment", payment, usdc=(values.get("delivered_units") or 0) if is_paid else 0)
    if (delivery := values.get("delivery_status")) is not None:
        is_confirmed = delivery == DeliveryStatus.CONFIRMED
        yield SessionMoved("delivery", delivery, musd=(values.get("received_units") or 0) if is_confirmed else 0)
