"""A session as a value: one row of the sessions table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from kit.money import Money
from kit.outbox.service import read_columns
from kit.state import Moved
from onramp.sessions import states
from onramp.sessions.config import SessionConfig
from onramp.sessions.status import DeliveryStatus, PaymentStatus, SessionStatus
from onramp.sessions.table import sessions
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

FIAT_DECIMALS: Final = 2
USDC_TO_MUSD: Final[int] = 10 ** (MUSD_DECIMALS - USDC_DECIMALS)
"""How many base units of MUSD one base unit of USDC is, at one dollar each."""
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
    payment_status: PaymentStatus
    stripe_session_id: str | None
    livemode: bool | None
    delivered_units: int | None
    paid_at: datetime | None
    payment_updated_at: datetime
    attention: str | None
    delivery_status: DeliveryStatus
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
    reference: str | None
    return_url: str | None
    locale: str | None

    @property
    def source(self) -> Money:
        """The amount that the buyer spends, before fees."""
        return Money(self.source_minor, self.source_currency, FIAT_DECIMALS)

    @property
    def status(self) -> SessionStatus:
        """The state of the whole purchase, as people see it."""
        return purchase_status(
            self.payment_status, self.delivery_status, overdue=self.overdue, attention=self.attention
        )


def purchase_status(payment: str, delivery: str, *, overdue: bool, attention: str | None) -> SessionStatus:
    """Return the state of a purchase from the columns of its row; `attention` is why a person must look, if one must."""
    if delivery == DeliveryStatus.CONFIRMED:
        return SessionStatus.COMPLETED
    if delivery == DeliveryStatus.MISMATCH or overdue or attention is not None:
        return SessionStatus.ATTENTION
    return _BY_PAYMENT.get(payment, SessionStatus.AWAITING_PAYMENT)


_BY_PAYMENT: Final[dict[str, SessionStatus]] = {
    PaymentStatus.FULFILLMENT_COMPLETE: SessionStatus.DELIVERING,
    PaymentStatus.FULFILLMENT_PROCESSING: SessionStatus.PROCESSING,
    PaymentStatus.REJECTED: SessionStatus.REJECTED,
    PaymentStatus.EXPIRED: SessionStatus.EXPIRED,
}
_FIELDS = tuple(Session.__dataclass_fields__)
_POSITIONS = itemgetter(*(sessions.c.keys().index(name) for name in _FIELDS))
# A look-up costs a tenth of calling the enumeration, and every read of a session makes two.
_PAYMENT_STATUSES: Final = {status.value: status for status in PaymentStatus}
_DELIVERY_STATUSES: Final = {status.value: status for status in DeliveryStatus}


def from_row(row: sa.Row[Any]) -> Session:
    """Make a session from a whole row of `sessions`, as `sa.select(sessions)` returns it."""
    values = dict(zip(_FIELDS, _POSITIONS(row), strict=True))
    values["payment_status"] = _PAYMENT_STATUSES[values["payment_status"]]
    values["delivery_status"] = _DELIVERY_STATUSES[values["delivery_status"]]
    return Session(**values)


def intent_row(
    config: SessionConfig,
    *,
    session_id: str,
    wallet: str,
    source: Money,
    fee_bps: int,
    created_at: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return the row of a session for which nothing has been requested from Stripe yet.

    `created_at` is earlier than `now` when a lost session is rebuilt.
    """
    locked = config.settlement_address if config.mode == "payout" else wallet
    return {
        "id": session_id,
        "version": 1,
        "wallet_address": wallet,
        "source_minor": source.minor,
        "source_currency": source.currency,
        "mode": config.mode,
        "fee_bps": fee_bps,
        "locked_address": locked or wallet,
        "destination_currency": config.destination_currency,
        "destination_network": config.destination_network,
        "from_block": 0,
        "payment_status": PaymentStatus.CREATED,
        "payment_updated_at": now,
        "delivery_status": DeliveryStatus.AWAITING,
        "delivery_updated_at": now,
        "created_at": created_at,
        "updated_at": now,
        "expires_at": created_at + config.ttl,
        "asked_at": now,
    }


def initialized_columns(
    status: PaymentStatus, *, stripe_session_id: str, livemode: bool, now: datetime
) -> dict[str, Any] | None:
    """Return the columns that tie a session in `status` to Stripe's session; None if the state machine does not allow it."""
    outcome = states.initialize(status)
    if not isinstance(outcome, Moved):
        return None
    return {
        "stripe_session_id": stripe_session_id,
        "livemode": livemode,
        "payment_status": outcome.to,
        "payment_updated_at": now,
    }


_DEFAULTS: Final = dict.fromkeys(_FIELDS) | {
    "stripe_key_generation": 0,
    "has_email": False,
    "confirmations": 0,
    "overdue": False,
    "tries": 0,
}


def from_inserted(values: Mapping[str, Any]) -> Session:
    """Return the session of a row that was just inserted with `values`, completed with the table's defaults."""
    return Session(**{name: values.get(name, default) for name, default in _DEFAULTS.items()})


def from_change(row: Mapping[str, Any]) -> Session:
    """Return the session of a change's `new` row, as it was at that version. Columns that no response shows may be missing there."""
    values = read_columns(sessions, row)
    values["payment_status"] = _PAYMENT_STATUSES[values["payment_status"]]
    values["delivery_status"] = _DELIVERY_STATUSES[values["delivery_status"]]
    return from_inserted(values)


def expected_musd(delivered_units: int, fee_bps: int) -> int:
    """Return the MUSD owed (18 decimals) for `delivered_units` of USDC (6 decimals): one for one, less the fee, rounded down."""
    return delivered_units * USDC_TO_MUSD * (BASIS_POINTS - fee_bps) // BASIS_POINTS
