"""The sessions table: payment and delivery of a purchase in one row with one version.

The version orders the states that a session has had: each change of a column that a response shows increases it. The writers in this package
do so with a compare-and-set; the trigger `sessions_version` (revision 0026) does it for every other statement, and lets no version go back.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.leases import lease_columns
from kit.db.types import Uint256, UtcDateTime, one_of
from onramp.sessions.status import DeliveryStatus, PaymentStatus


def _where(predicate: str) -> dict[str, Any]:
    """Return the options of an index that holds only the rows matching `predicate`, on both databases."""
    return {"sqlite_where": sa.text(predicate), "postgresql_where": sa.text(predicate)}


_NEEDS_ATTENTION = (
    f"delivery_status <> '{DeliveryStatus.CONFIRMED}' AND (delivery_status = '{DeliveryStatus.MISMATCH}' OR {{overdue}} "
    "OR attention IS NOT NULL)"
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("wallet_address", sa.String(42), nullable=False),
    sa.Column("source_minor", sa.BigInteger, nullable=False, comment="asked amount in hundredths of source_currency"),
    sa.Column("source_currency", sa.String(3), nullable=False),
    sa.Column("mode", sa.String(8), nullable=False, comment="payout or observe, as configured when it was made"),
    sa.Column("fee_bps", sa.Integer, nullable=False),
    sa.Column("locked_address", sa.String(42), nullable=False, comment="the address locked at Stripe"),
    sa.Column("destination_currency", sa.String(16), nullable=False),
    sa.Column("destination_network", sa.String(24), nullable=False),
    sa.Column(
        "from_block", sa.BigInteger, nullable=False, comment="transfers up to this block are older than the session"
    ),
    sa.Column("idempotency_hash", sa.String(64), comment="sha256 of the client's key; forgotten after 24 h"),
    sa.Column("body_hash", sa.String(64)),
    sa.Column("stripe_key_generation", sa.Integer, nullable=False, server_default="0"),
    sa.Column("has_email", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("refusal_code", sa.String(64), comment="why Stripe, or the echo, refused at creation"),
    sa.Column("refusal_detail", sa.String(400)),
    sa.Column("payment_status", sa.String(24), nullable=False),
    sa.Column("stripe_session_id", sa.String(255)),
    sa.Column("livemode", sa.Boolean),
    sa.Column(
        "delivered_units", Uint256(), comment="what Stripe says it delivered, in base units of destination_currency"
    ),
    sa.Column("paid_at", UtcDateTime(), comment="when fulfillment_complete was learned"),
    sa.Column("payment_updated_at", UtcDateTime(), nullable=False),
    sa.Column("attention", sa.String(400), comment="why a person must look, in a sentence"),
    sa.Column("delivery_status", sa.String(12), nullable=False),
    sa.Column("delivery_reason", sa.String(32)),
    sa.Column("expected_units", Uint256(), comment="MUSD owed, 18 decimals"),
    sa.Column("tx_hash", sa.String(66)),
    sa.Column("log_index", sa.Integer),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("block_hash", sa.String(66)),
    sa.Column("sender", sa.String(42)),
    sa.Column("received_units", Uint256()),
    sa.Column("confirmations", sa.Integer, nullable=False, server_default="0"),
    sa.Column("agreed_by", sa.JSON),
    sa.Column("overdue", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("confirmed_at", UtcDateTime()),
    sa.Column("delivery_updated_at", UtcDateTime(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("asked_at", UtcDateTime(), nullable=False, comment="when Stripe was last asked about it"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column(
        "deployment_id", sa.String(64), comment="whose it is, as Stripe's metadata say; null: sold before they did"
    ),
    sa.Column("chain_id", sa.BigInteger, comment="as Stripe's metadata say"),
    sa.Column("hot_wallet", sa.String(42), comment="as Stripe's metadata say: which wallet was to pay"),
    sa.Column("reference", sa.String(200), comment="the dApp's own name for the purchase, such as an order's id"),
    sa.Column("return_url", sa.String(2048), comment="where the buyer goes back to; its origin was allowed"),
    sa.Column("locale", sa.String(35), comment="BCP 47: the language that the buyer reads"),
    *lease_columns(),
    sa.UniqueConstraint("wallet_address", "idempotency_hash"),
    sa.UniqueConstraint("stripe_session_id"),
    sa.Index("ix_sessions_payment_asked", "payment_status", "asked_at"),
    sa.Index("ix_sessions_delivery", "delivery_status", "payment_status"),
    sa.Index("ix_sessions_block", "block_number"),
    sa.Index("ix_sessions_wallet_created", "wallet_address", "created_at", "id"),
    sa.Index("ix_sessions_created", "created_at", "id"),
    sa.Index("ix_sessions_tx_hash", "tx_hash", **_where("tx_hash IS NOT NULL")),
    sa.Index("ix_sessions_reference", "reference", "created_at", "id", **_where("reference IS NOT NULL")),
    # `delivery_status` alone cannot select open deliveries: in sessions that are never paid it stays `awaiting` for ever.
    sa.Index(
        "ix_sessions_unconfirmed",
        "delivery_status",
        "paid_at",
        **_where(
            f"payment_status = '{PaymentStatus.FULFILLMENT_COMPLETE}' AND delivery_status <> '{DeliveryStatus.CONFIRMED}'"
        ),
    ),
    # As the status `attention` is derived; the condition is written as SQLAlchemy writes it in a query.
    sa.Index(
        "ix_sessions_attention",
        "created_at",
        "id",
        sqlite_where=sa.text(_NEEDS_ATTENTION.format(overdue="overdue = 1")),
        postgresql_where=sa.text(_NEEDS_ATTENTION.format(overdue="overdue")),
    ),
    sa.Index("ix_sessions_client_keys", "created_at", **_where("body_hash IS NOT NULL")),
    one_of("payment_status", PaymentStatus),
    one_of("delivery_status", DeliveryStatus),
    one_of("mode", ("payout", "observe")),
)
