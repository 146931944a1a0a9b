"""The statuses of a session: of its payment, of its delivery, and one of the whole purchase for people."""

from enum import StrEnum


class PaymentStatus(StrEnum):
    """Stripe's statuses of a Crypto Onramp session, and two of our own: `created` and `expired`."""

    CREATED = "created"
    """The intent is stored; Stripe has not answered yet."""
    INITIALIZED = "initialized"
    REQUIRES_PAYMENT = "requires_payment"
    FULFILLMENT_PROCESSING = "fulfillment_processing"
    FULFILLMENT_COMPLETE = "fulfillment_complete"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """The session was unpaid when SESSION_TTL_MINUTES were over."""


class DeliveryStatus(StrEnum):
    """How far the MUSD transfer of a session is proved."""

    AWAITING = "awaiting"
    SEEN = "seen"
    """A transaction is known; the nodes do not agree on its result yet."""
    CONFIRMED = "confirmed"
    MISMATCH = "mismatch"
    """The transfer on chain differs from what is owed; an operator must decide."""


class SessionStatus(StrEnum):
    """The state of a whole purchase, payment and delivery together, as people see it."""

    AWAITING_PAYMENT = "awaiting_payment"
    PROCESSING = "processing"
    DELIVERING = "delivering"
    COMPLETED = "completed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ATTENTION = "attention"
