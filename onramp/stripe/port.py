"""What the service asks of Stripe, and what comes back; amounts stay the decimal text that Stripe sends."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

METADATA_SESSION: Final = "onramp_session_id"
METADATA_WALLET: Final = "onramp_wallet"
METADATA_FEE: Final = "onramp_fee_bps"
METADATA_CHAIN: Final = "onramp_chain_id"
METADATA_HOT_WALLET: Final = "onramp_hot_wallet"
METADATA_DEPLOYMENT: Final = "onramp_deployment"
"""What a session of ours carries at Stripe, where only the account's secret key can write it: its id, the buyer's wallet, the fee in
basis points, and who sold it: chain id, the hot wallet that is to pay (absent in observe mode), the deployment's id.

Stripe takes 50 keys of up to 40 characters, with values of up to 500 (docs.stripe.com/api/metadata).
"""


@dataclass(frozen=True, slots=True)
class CreateSessionParams:
    """One onramp session to be made; `wallet_address` is locked."""

    session_id: str
    wallet_address: str
    source_amount: str
    source_currency: str
    destination_currency: str
    destination_network: str
    metadata: Mapping[str, str]
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StripeSession:
    """An onramp session as Stripe tells it; `status` is an open set."""

    id: str
    status: str
    created: int
    livemode: bool
    client_secret: str | None = field(repr=False)
    redirect_url: str | None = field(repr=False)
    metadata: Mapping[str, str] | None
    wallet_address: str | None
    """Where it was delivered, once the customer has chosen."""
    wallet_addresses: Mapping[str, str]
    lock_wallet_address: bool | None
    source_amount: str | None
    source_currency: str | None
    destination_amount: str | None
    destination_currency: str | None
    destination_currencies: tuple[str, ...]
    destination_network: str | None
    destination_networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StripePage:
    """One page of a listing, newest first, without what cannot be read. `after`: where the next one begins; None at the end."""

    sessions: tuple[StripeSession, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class StripeQuote:
    """An estimate; fees and total in the source currency."""

    destination_amount: str
    network_fee: str
    transaction_fee: str
    total: str


class StripeGateway(Protocol):
    """Every method raises `onramp.stripe.errors`' problems and nothing else of Stripe's."""

    async def create_session(self, command: CreateSessionParams, *, idempotency_key: str) -> StripeSession:
        """Make a session; the same key and command give the same one."""

    async def get_session(self, stripe_session_id: str) -> StripeSession:
        """One session as it is now. StripeNotFound where there is none."""

    async def list_completed(self, *, created_gte: int, starting_after: str | None) -> StripePage:
        """A page of sessions with status `fulfillment_complete`, created at or after the Unix second `created_gte`."""

    def find_sessions_created_since(self, created_gte: int) -> AsyncIterator[StripeSession]:
        """Every session created at or after that second, newest first."""

    async def quotes(
        self, *, source_amount: str, source_currency: str, destination_currency: str, destination_network: str
    ) -> StripeQuote:
        """What a purchase would bring."""

    async def ping(self) -> None:
        """Raise where Stripe does not answer or refuses our key."""


NETWORK_KEYS = {"base": "base_network"}
"""Where the key in `wallet_addresses` differs from the network's name (docs.stripe.com/api/crypto/onramp_sessions)."""


def echo_differences(command: CreateSessionParams, session: StripeSession) -> list[str]:
    """What Stripe says otherwise than it was asked; nothing is handed out where there is any."""
    differences = []
    key = NETWORK_KEYS.get(command.destination_network, command.destination_network)
    if session.wallet_addresses.get(key, "").lower() != command.wallet_address.lower():
        differences.append("wallet_addresses")
    if session.lock_wallet_address is not True:
        differences.append("lock_wallet_address")
    if session.destination_currencies != (command.destination_currency,):
        differences.append("destination_currencies")
    if session.destination_networks != (command.destination_network,):
        differences.append("destination_networks")
    if session.source_currency is not None and session.source_currency != command.source_currency:
        differences.append("source_currency")
    told = session.metadata or {}
    if any(told.get(name) != value for name, value in command.metadata.items()):
        differences.append("metadata")
    return differences
