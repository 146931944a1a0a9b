"""The settings of sales: Stripe, purchases and how they are delivered, and the texts on receipts."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from kit.money import parse_units
from onramp.config import fields


class StripeSettings(BaseModel):
    """The variables of Stripe: keys, webhooks, API, and what Stripe delivers where. A part of `Settings`."""

    STRIPE_SECRET_KEY: fields.SecretKey = Field(
        default=SecretStr(""), description="Stripe's secret key (`sk_...`) or a restricted key (`rk_...`)."
    )
    STRIPE_PUBLISHABLE_KEY: fields.PublishableKey = Field(
        default="", description="Stripe's publishable key (`pk_...`), returned to the dApp with each new session."
    )
    STRIPE_WEBHOOK_SECRETS: fields.WebhookSecrets = Field(
        default=SecretStr(""),
        description="Signing secrets of Stripe's webhook (`whsec_...`), comma-separated; during a rotation, list both.",
    )
    STRIPE_WEBHOOK_ADDRESSES: fields.Networks = Field(
        default="",
        description="Addresses and networks that Stripe's events are accepted from, comma-separated; if empty, any. Stripe publishes its own at"
        " stripe.com/files/ips/ips_webhooks.txt.",
    )
    STRIPE_API_BASE: fields.Url = Field(
        default="https://api.stripe.com", description="Base URL of Stripe's API; in development it may be a sandbox."
    )
    STRIPE_VERSION: fields.StripeVersion = Field(
        default="",
        description="Version of Stripe's API, sent as `Stripe-Version`; if empty, the account's version applies.",
    )
    STRIPE_DESTINATION_CURRENCY: fields.StripeName = Field(
        default="usdc", description="The currency that Stripe delivers; payout mode accepts only `usdc`."
    )
    STRIPE_DESTINATION_NETWORK: fields.StripeName = Field(
        default="ethereum", description="The network on which Stripe delivers that currency."
    )

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """All webhook secrets that are valid now."""
        return tuple(fields.split(self.STRIPE_WEBHOOK_SECRETS.get_secret_value()))


class PurchaseSettings(BaseModel):
    """The variables of purchases: delivery, fees, limits, times, and the texts on receipts. A part of `Settings`."""

    DELIVERY_MODE: Literal["payout", "observe"] = Field(
        default="payout",
        description="`payout`: the hot wallet pays buyers. `observe`: somebody else pays them, and this service only watches the chain.",
    )
    SETTLEMENT_ADDRESS: fields.OptionalAddress = Field(
        default="",
        description="Payout mode: the address that Stripe delivers to; it is locked in each session when the session is created, see"
        " [Change the settlement address](runbook.md#change-the-settlement-address).",
    )
    DELIVERY_SENDERS: fields.Addresses = Field(
        default="",
        description="Observe mode, required there: the addresses whose transfers count as deliveries, comma-separated.",
    )
    OBSERVE_TOLERANCE_BPS: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Observe mode: how far a delivered amount may differ from the expected one, in hundredths of a percent.",
    )
    PAYOUT_FEE_BPS: int = Field(
        default=0,
        ge=0,
        lt=10_000,
        description="The fee that is kept back from what Stripe delivered, in hundredths of a percent.",
    )
    SESSION_CREATION: Literal["open", "keyed"] = Field(
        default="open",
        description="Who may start a purchase: `open`, anyone, so that a page can do it; `keyed`, only a server with an API key of the role `dapp`,"
        " `operator` or `approver`, while the page follows the purchase by its id. `keyed` is recommended in production.",
    )
    SESSION_MIN_AMOUNT: fields.Amount = Field(default="1", description="The smallest purchase, in the source currency.")
    SESSION_MAX_AMOUNT: fields.Amount = Field(
        default="10000",
        description="The largest purchase, in the source currency. Buyers can still change the amount on Stripe's page: a payout above what this"
        " amount can deliver (1 MUSD per dollar, 1.5 per euro) waits for approval and is never refused.",
    )
    WALLET_DAILY_LIMIT: fields.OptionalAmount = Field(
        default="",
        description="How much one wallet may buy in any 24 hours, in the source currency; if empty, there is no limit. Only paid purchases count."
        " Above the limit a purchase is refused and a payout waits for approval.",
    )
    WALLET_MONTHLY_LIMIT: fields.OptionalAmount = Field(
        default="", description="The same limit for any 30 days; if empty, there is no limit."
    )
    SESSION_TTL_MINUTES: int = Field(
        default=1440, gt=0, le=fields.MAX_MINUTES, description="Minutes after which an unpaid session expires."
    )
    DELIVERY_OVERDUE_MINUTES: int = Field(
        default=15,
        gt=0,
        le=fields.MAX_MINUTES,
        description="Minutes after which a paid purchase that is not confirmed on the chain counts as overdue.",
    )
    MERCHANT_NAME: fields.Printed = Field(
        default="",
        description="The merchant's name on receipts; PDF receipts can show Latin, Greek and Cyrillic letters.",
    )
    MERCHANT_ADDRESS: fields.Printed = Field(default="", description="The merchant's postal address on receipts.")
    SUPPORT_EMAIL: fields.Email = Field(
        default="", description="The e-mail address that buyers are given when a purchase needs a person."
    )

    @property
    def merchant(self) -> tuple[str | None, str | None, str | None]:
        """The merchant's name, postal address and support e-mail, as receipts show them; None for what is not set."""
        return self.MERCHANT_NAME or None, self.MERCHANT_ADDRESS or None, self.SUPPORT_EMAIL or None

    @property
    def delivery_senders(self) -> tuple[str, ...]:
        """The addresses whose transfers count as deliveries in observe mode."""
        return tuple(fields.split(self.DELIVERY_SENDERS))

    @property
    def wallet_limits(self) -> tuple[int | None, int | None]:
        """The limits of one wallet for a day and for a month, in hundredths of the source currency; None means no limit."""
        day, month = (
            parse_units(text, 2) if text else None for text in (self.WALLET_DAILY_LIMIT, self.WALLET_MONTHLY_LIMIT)
        )
        return day, month

    @property
    def minor_limits(self) -> tuple[int, int]:
        """The smallest and the largest purchase, in hundredths of the source currency."""
        return parse_units(self.SESSION_MIN_AMOUNT, 2), parse_units(self.SESSION_MAX_AMOUNT, 2)
