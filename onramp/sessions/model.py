"""A session as the rest of the service sees it, and what it means for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from onramp.sessions.config import SessionConfig
from onramp.sessions.table import sessions
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

USDC_TO_MUSD: Final[int] = 10 ** (MUSD_DECIMALS - USDC_DECIMALS)
"""One base unit of USDC in base units of MUSD, at one dollar each."""
BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One row of `sessions`; names and units as in the table."""

    id: str
    version: int
    wallet_address: str
    source_minor: int
    source_currency: str
    mode: str
    fee_bps: int
    locked_address: str
    destination_currency: str
    destination_network: str
    from_block: int
    body_hash: str | None
    stripe_key_generation: int
    has_email: bool
    refusal_code: str | None
    refusal_detail: str | None
    payment_status: str
    stripe_session_id: str | None
    livemode: bool | None
    delivered_units: int | None
    paid_at: datetime | None
    payment_updated_at: datetime
    attention: str | None
    delivery_status: str
    delivery_reason: str | None
    expected_units: int | None
    tx_hash: str | None
    log_index: int | None
    block_number: int | None
    block_hash: str | None
    sender: str | None
    received_units: int | None
    confirmations: int
    agreed_by: list[str] | None
    overdue: bool
    confirmed_at: datetime | None
    delivery_updated_at: datetime
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    asked_at: datetime
    tries: int
    deployment_id: str | None
    chain_id: int | None
    hot_wallet: str | None

    @property
    def status(self) -> str:
        """Where the purchase stands, in one word for people."""
        if self.delivery_status == "confirmed":
            return "completed"
        if self.delivery_status == "mismatch" or self.overdue or self.attention is not None:
            return "attention"
        match self.payment_status:
            case "fulfillment_complete":
                return "delivering"
            case "fulfillment_processing":
                return "processing"
            case "rejected" | "expired" as ended:
                return ended
            case _:
                return "awaiting_payment"


_FIELDS = tuple(Session.__dataclass_fields__)
_PLACES = itemgetter(*(sessions.c.keys().index(name) for name in _FIELDS))


def from_row(row: sa.Row[Any]) -> Session:
    """Make the value from a whole row of `sessions`, as `sa.select(sessions)` answers it."""
    return Session(**dict(zip(_FIELDS, _PLACES(row), strict=True)))


def intent(
    rules: SessionConfig,
    *,
    session_id: str,
    wallet: str,
    minor: int,
    currency: str,
    fee_bps: int,
    made: datetime,
    now: datetime,
) -> dict[str, Any]:
    """The row of a session, made at `made`, of which Stripe has not heard yet."""
    locked = rules.settlement_address if rules.mode == "payout" else wallet
    return {
        "id": session_id,
        "version": 1,
        "wallet_address": wallet,
        "source_minor": minor,
        "source_currency": currency,
        "mode": rules.mode,
        "fee_bps": fee_bps,
        "locked_address": locked or wallet,
        "destination_currency": rules.destination_currency,
        "destination_network": rules.destination_network,
        "from_block": 0,
        "payment_status": "created",
        "payment_updated_at": now,
        "delivery_status": "awaiting",
        "delivery_updated_at": now,
        "created_at": made,
        "updated_at": now,
        "expires_at": made + rules.ttl,
        "asked_at": now,
    }


_UNSET: Final = dict.fromkeys(_FIELDS) | {
    "stripe_key_generation": 0,
    "has_email": False,
    "confirmations": 0,
    "overdue": False,
    "tries": 0,
}


def fresh(values: Mapping[str, Any]) -> Session:
    """The session of a row that was just inserted with `values`; what they leave out has the table's default."""
    return Session(**{name: values.get(name, unset) for name, unset in _UNSET.items()})


def expected_musd(delivered_units: int, fee_bps: int) -> int:
    """MUSD owed (18 decimals) for `delivered_units` of USDC (6 decimals): one for one, less the fee, rounded down."""
    return delivered_units * USDC_TO_MUSD * (BASIS_POINTS - fee_bps) // BASIS_POINTS
