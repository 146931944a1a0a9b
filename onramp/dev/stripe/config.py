"""How a sandbox is set up: the account, its endpoint, and which of Stripe's documented variants it follows."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

SANDBOX_RETRIES: Final = (1800.0, 7200.0, 28800.0)
"""Stripe's seconds before each further attempt in test mode; three tries more over a few hours."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """One Stripe account with one webhook endpoint."""

    secret_key: str = field(repr=False)
    publishable_key: str
    webhook_url: str | None
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """Every active secret signs every attempt; two while a secret is rolled."""
    base_url: str
    """Where the sandbox itself is reached; the hosted page's address starts with it."""
    other_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    event_type: Literal["crypto.onramp_session.updated", "crypto.onramp_session_updated"] = (
        "crypto.onramp_session.updated"
    )
    """The name in current documents; copies up to early 2026 show the other."""
    flat_fields: bool = True
    """False: an account from before 2023-06-21, whose requests nest under `transaction_details` and whose flat fields
    are ignored without a word, unless `Stripe-Version` asks for `crypto_onramp_beta=v2`."""
    beta_entitled: bool = True
    """False: the beta marker in `Stripe-Version` is refused, as for accounts without the entitlement."""
    merchant_ready: bool = True
    """False: the account's business name or address is not set."""
    default_currency: str = "usdc"
    default_network: str = "ethereum"
    """What a buyer is offered first where the session names nothing."""
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    """In the source currency; Stripe publishes no number."""
    amount_editable: bool = True
    """Whether the buyer may change the amount on the hosted page, as at Stripe."""
    clock_scale: float = 3600.0
    """How many of the sender's seconds pass in one of ours."""
    retries: tuple[float, ...] = SANDBOX_RETRIES
    webhook_timeout_seconds: float = 10.0
    late_seconds: float = 2.0
    """How long `"events": "late"` holds an event back."""
    step_seconds: float = 1.0
    """How long a buyer waits on the hosted page between payment and delivery."""
    key_seconds: float = 24 * 3600.0
    """How long an idempotency key is remembered; not scaled."""
    kept: Path | None = None
    """A file for sessions and keys, so that a restart finds them; None: they are gone with the process."""

    @property
    def secret_keys(self) -> frozenset[str]:
        """Every key the API takes."""
        return frozenset((self.secret_key, *self.other_secret_keys))

    @property
    def livemode(self) -> bool:
        """True for a live key."""
        return "_live_" in self.secret_key

    @property
    def api_surface(self) -> Literal["v1", "v2"]:
        """Stripe's names for the two."""
        return "v2" if self.flat_fields else "v1"
