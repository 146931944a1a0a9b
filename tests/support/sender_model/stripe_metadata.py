"""Whether a deployment may rebuild a session, decided by the code itself from the metadata that Stripe keeps."""

from datetime import UTC, datetime, timedelta
from functools import cache

from onramp.deployment.service import Deployment
from onramp.sessions.config import SessionConfig
from onramp.sessions.ownership import Ignored, sale_of
from onramp.stripe.port import (
    METADATA_CHAIN,
    METADATA_DEPLOYMENT,
    METADATA_HOT_WALLET,
    METADATA_SESSION,
    StripeSession,
)
from tests.support.hot_wallet import CHAIN_ID, TOKEN, address_of

_SELLER = "dep_0"


@cache
def is_sold_by(deployment: int, sold_for: int, is_checked: bool) -> bool:
    """Return whether deployment 0 or 1 takes a session of deployment 0 for its own; `is_checked`: False if no seller is compared."""
    name = f"dep_{deployment}" if is_checked else _SELLER
    own = Deployment(name, datetime.now(UTC), None)
    return not isinstance(sale_of(_session(sold_for), own, _config()), Ignored)


def _session(sold_for: int) -> StripeSession:
    metadata = {
        METADATA_SESSION: "ons_1",
        METADATA_DEPLOYMENT: _SELLER,
        METADATA_CHAIN: str(CHAIN_ID),
        METADATA_HOT_WALLET: address_of(bytes([sold_for + 1]) * 32),
    }
    return StripeSession(
        id="cos_1",
        status="fulfillment_complete",
        created=0,
        livemode=False,
        client_secret=None,
        redirect_url=None,
        metadata=metadata,
        wallet_address=None,
        wallet_addresses={},
        lock_wallet_address=True,
        source_amount="10.00",
        source_currency="usd",
        destination_amount="10.00",
        destination_currency="usdc",
        destination_currencies=(),
        destination_network="ethereum",
        destination_networks=(),
    )


def _config() -> SessionConfig:
    return SessionConfig(
        mode="payout",
        chain_id=CHAIN_ID,
        token=TOKEN,
        hot_wallet=None,
        settlement_address=None,
        destination_currency="usdc",
        destination_network="ethereum",
        fee_bps=0,
        min_minor=100,
        max_minor=100_000,
        ttl=timedelta(hours=1),
        overdue_after=timedelta(hours=1),
        observe_tolerance_bps=0,
        require_livemode=False,
    )
