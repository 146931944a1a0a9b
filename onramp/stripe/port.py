"""The port to Stripe: parameters and results; amounts stay the decimal text that Stripe sends."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

METADATA_SESSION: Final = "onramp_session_id"
METADATA_WALLET: Final = "onramp_wallet"
METADATA_FEE: Final = "onramp_fee_bps"
METADATA_CHAIN: Final = "onramp_chain_id"
METADATA_HOT_WALLET: Final = "onramp_hot_wallet"
METADATA_DEPLOYMENT: Final = "onramp_deployment"
METADATA_REFERENCE: Final = "onramp_reference"
"""The key of the dApp's reference in a session's metadata at Stripe, which only the account's secret key can write.

The keys above are those of our session id, the buyer's wallet, the fee in basis points, and the seller: chain id, the hot wallet that it
was sold for (absent in observe mode), the deployment's id. By them a session that the database lost is rebuilt.
Stripe takes 50 keys of up to 40 characters, with values of up to 500 (docs.stripe.com/api/metadata).
"""


@dataclass(frozen=True, slots=True)
class CreateSessionParams:
    """The parameters of an onramp session to create; `wallet_address` is locked."""

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
    """An onramp session as Stripe returns it; `status` may have values that are unknown here."""

    id: str
    status: str
    created: int
    livemode: bool
    client_secret: str | None = field(repr=False)
    redirect_url: str | None = field(repr=False)
    metadata: Mapping[str, str] | None
    wallet_address: str | None
    """The wallet to which Stripe delivers; None until the customer has chosen one."""
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
    """One page of a listing, newest first, without sessions that cannot be parsed. `after` is the cursor of the next page, None at the end."""

    sessions: tuple[StripeSession, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class StripeQuote:
    """An estimate; fees and total are in the source currency."""

    destination_amount: str
    network_fee: str
    transaction_fee: str
    total: str


class StripeGateway(Protocol):
    """Calls Stripe; every method raises only the problems of `onramp.stripe.errors`."""

    async def create_session(self, params: CreateSessionParams, *, idempotency_key: str) -> StripeSession:
        """Create a session and return it; the same key and parameters return the same one."""

    async def get_session(self, stripe_session_id: str) -> StripeSession:
        """Return a session in its current state. Raises StripeNotFound."""

    async def list_completed(self, *, created_gte: int, starting_after: str | None) -> StripePage:
        """Return a page of sessions with status `fulfillment_complete` that were created at or after the Unix second `created_gte`."""

    def find_sessions_created_since(self, created_gte: int) -> AsyncIterator[StripeSession]:
        """Yield every session created at or after the Unix second `created_gte`, newest first."""

    async def quotes(
        self, *, source_amount: str, source_currency: str, destination_currency: str, destination_network: str
    ) -> StripeQuote:
        """Return an estimate of what a purchase would deliver."""

    async def ping(self) -> None:
        """Raise a problem of `onramp.stripe.errors` if Stripe does not answer or refuses our key."""


NETWORK_KEYS = {"base": "base_network"}
"""The keys of networks in `wallet_addresses` that differ from the network's name (docs.stripe.com/api/crypto/onramp_sessions)."""


def echo_differences(params: CreateSessionParams, session: StripeSession) -> list[str]:
    """Return the names of the fields in which Stripe's session differs from the request; if there are any, nothing may be handed out."""
    differences = []
    key = NETWORK_KEYS.get(params.destination_network, params.destination_network)
    if session.wallet_addresses.get(key, "").lower() != params.wallet_address.lower():
        differences.append("wallet_addresses")
    if session.lock_wallet_address is not True:
        differences.append("lock_wallet_address")
    if session.destination_currencies != (params.destination_currency,):
        differences.append("destination_currencies")
    if session.destination_networks != (params.destination_network,):
        differences.append("destination_networks")
    if session.source_currency is not None and session.source_currency != params.source_currency:
        differences.append("source_currency")
    metadata = session.metadata or {}
    if any(metadata.get(name) != value for name, value in params.metadata.items()):
        differences.append("metadata")
    return differences
