"""Configuration of a sandbox: the account, its webhook endpoint, and which of Stripe's documented variants it follows."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

SANDBOX_RETRIES: Final = (1800.0, 7200.0, 28800.0)
"""Seconds before each retry of a webhook in Stripe's test mode: three retries over a few hours."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """One Stripe account with one webhook endpoint."""

    secret_key: str = field(repr=False)
    publishable_key: str
    webhook_url: str | None
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """The active webhook secrets, each of which signs each attempt; there are two while a secret is rotated."""
    base_url: str
    """The sandbox's own URL; the hosted page's URL starts with it."""
    other_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    event_type: Literal["crypto.onramp_session.updated", "crypto.onramp_session_updated"] = (
        "crypto.onramp_session.updated"
    )
    """The type of a session's events: the first name is in Stripe's current documents, the second in copies up to early 2026."""
    flat_fields: bool = True
    """Whether the account is from after 2023-06-21.

    If not, requests nest fields under `transaction_details`, and flat fields are ignored silently, unless `Stripe-Version` asks for
    `crypto_onramp_beta=v2`.
    """
    beta_entitled: bool = True
    """Whether the account may use the beta marker in `Stripe-Version`; without the entitlement, the marker is refused."""
    merchant_ready: bool = True
    """Whether the account's business name and address are set."""
    default_currency: str = "usdc"
    default_network: str = "ethereum"
    """The network of the first offer to a buyer if the session names no currency and network."""
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    """The largest purchase, in the source currency; None for no limit. Stripe publishes no number."""
    amount_editable: bool = True
    """Whether the buyer may change the amount on the hosted page, as on Stripe's."""
    clock_scale: float = 3600.0
    """How many seconds of the webhook sender's schedule pass in one real second."""
    retries: tuple[float, ...] = SANDBOX_RETRIES
    webhook_timeout_seconds: float = 10.0
    late_seconds: float = 2.0
    """Seconds by which an event is delayed that is sent with `"events": "late"`."""
    step_seconds: float = 1.0
    """Seconds between payment and delivery on the hosted page."""
    key_seconds: float = 24 * 3600.0
    """Lifetime of an idempotency key in seconds; not scaled by `clock_scale`."""
    state_file: Path | None = None
    """A file for sessions and idempotency keys, so that they survive a restart; None keeps them in memory only."""

    @property
    def secret_keys(self) -> frozenset[str]:
        """Every secret key that the API accepts."""
        return frozenset((self.secret_key, *self.other_secret_keys))

    @property
    def livemode(self) -> bool:
        """Whether the account's key is a live key."""
        return "_live_" in self.secret_key

    @property
    def api_surface(self) -> Literal["v1", "v2"]:
        """Stripe's name for the API with flat (`v2`) or nested (`v1`) fields."""
        return "v2" if self.flat_fields else "v1"
