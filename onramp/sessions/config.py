"""The settings of sessions, derived once at the start."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

STRIPE_KEY_LIFETIME: Final = timedelta(hours=23)
"""How long a key is repeated at Stripe. Stripe prunes idempotency keys after 24 h at the earliest (docs.stripe.com/api/idempotent_requests)."""
CLIENT_KEY_LIFETIME: Final = timedelta(hours=24)
CREATE_LEASE_SECONDS: Final = 30.0
RESERVE_FOR: Final = timedelta(minutes=30)
"""How long a buyer at the payment page keeps MUSD reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """The request to Stripe, the debt to the buyer, and the limits of a purchase, as the settings define them.

    Fields that end in `_minor` are in hundredths of the source currency.
    """

    mode: str
    """How MUSD is delivered: `payout`: this service pays from `hot_wallet`; `observe`: someone else delivers, this service only confirms."""
    chain_id: int
    token: str
    """The address of the MUSD token."""
    hot_wallet: str | None
    settlement_address: str | None
    """The address to which Stripe delivers in payout mode; None in observe mode, in which Stripe delivers to the buyer's own wallet."""
    destination_currency: str
    destination_network: str
    fee_bps: int
    min_minor: int
    max_minor: int
    ttl: timedelta
    """The time after which a session without a payment expires."""
    overdue_after: timedelta
    observe_tolerance_bps: int
    require_livemode: bool
    """Whether only live payments count: on chain 31612, where real money is paid out."""
    wallet_day_minor: int | None = None
    wallet_month_minor: int | None = None
    """The most that one wallet may buy in any 30 days, as `wallet_day_minor` is the most in any 24 hours; None for no limit."""
    origins: tuple[str, ...] = ()
    """The origins of the dApps, which buyers may be led back to; `*` means any."""
