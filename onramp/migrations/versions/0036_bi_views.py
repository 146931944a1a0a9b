"""Add views for reports, without personal data, and indexes for the filters of payouts and sweeps and for balances over time.

A migration that changes a column which a view reads drops the views first, and creates them again: Postgres refuses such a change, and
SQLite the renaming of a table that a view reads.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
# Views and indexes alone, which the previous version does not use.
COMPATIBLE_SINCE = "0024"

VIEWS = ("bi_purchases", "bi_payouts", "bi_daily_volume", "bi_fees", "bi_time_to_confirm", "bi_refusals")


def upgrade() -> None:
    """Apply this migration."""
    has_reason = sa.text("reason IS NOT NULL")
    op.create_index(
        "ix_treasury_payouts_reason",
        "treasury_payouts",
        ["reason", "created_at", "id"],
        sqlite_where=has_reason,
        postgresql_where=has_reason,
    )
    op.create_index("ix_treasury_sweeps_created", "treasury_sweeps", ["created_at", "id"])
    op.create_index("ix_treasury_ledger_at", "treasury_ledger", ["at"], postgresql_using="brin")
    for name in VIEWS:
        op.execute(f"CREATE VIEW {name} AS {_sql()[name]}")


def downgrade() -> None:
    """Undo this migration."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_index("ix_treasury_ledger_at", "treasury_ledger")
    op.drop_index("ix_treasury_sweeps_created", "treasury_sweeps")
    op.drop_index("ix_treasury_payouts_reason", "treasury_payouts")


def _sql() -> dict[str, str]:
    if op.get_bind().dialect.name == "postgresql":
        return _views(
            day=lambda column: f"({column} AT TIME ZONE 'UTC')::date",
            coins=lambda column, decimals: f"({column} / 1{'0' * decimals}::numeric)",
            seconds=lambda first, last: f"extract(epoch FROM {last} - {first})::double precision",
            whole=lambda column: f"({column} / 100::numeric)",
        )
    return _views(
        day=lambda column: f"substr({column}, 1, 10)",
        # Amounts are text of 78 digits; SQLite has no exact decimals.
        coins=lambda column, decimals: f"(CAST({column} AS REAL) / 1e{decimals})",
        seconds=lambda first, last: f"((julianday({last}) - julianday({first})) * 86400.0)",
        whole=lambda column: f"({column} / 100.0)",
    )


def _views(
    *,
    day: Callable[[str], str],
    coins: Callable[[str, int], str],
    seconds: Callable[[str, str], str],
    whole: Callable[[str], str],
) -> dict[str, str]:
    """Return the query of each view. `day`, `coins`, `seconds` and `whole` write expressions in the dialect of the database."""
    # No id of a purchase: anyone who holds it can read the purchase. No wallet, hash, reference, address or text that a person wrote.
    purchases = f"""
        SELECT s.created_at, {day('s.created_at')} AS created_on, {whole('s.source_minor')} AS source_amount, s.source_currency,
          s.destination_currency, s.mode, s.fee_bps, s.livemode, s.payment_status, s.delivery_status,
          CASE WHEN s.delivery_status = 'confirmed' THEN 'completed'
            WHEN s.delivery_status = 'mismatch' OR s.overdue OR s.attention IS NOT NULL THEN 'attention'
            WHEN s.payment_status = 'fulfillment_complete' THEN 'delivering'
            WHEN s.payment_status = 'fulfillment_processing' THEN 'processing'
            WHEN s.payment_status IN ('rejected', 'expired') THEN s.payment_status
            ELSE 'awaiting_payment' END AS status,
          s.delivery_reason, s.overdue, s.refusal_code, {coins('s.delivered_units', 6)} AS usdc_delivered,
          {coins('s.expected_units', 18)} AS musd_expected, {coins('s.received_units', 18)} AS musd_received,
          s.paid_at, s.confirmed_at, {seconds('s.paid_at', 's.confirmed_at')} AS seconds_to_confirm, p.id AS payout_id
        FROM sessions s LEFT JOIN treasury_payouts p ON p.session_id = s.id"""
    payouts = f"""
        SELECT id, created_at, {day('created_at')} AS created_on, asset, {coins('amount', 18)} AS amount, status, reason,
          approved_by IS NOT NULL AS by_person, block_number, updated_at, {seconds('created_at', 'updated_at')} AS seconds_since_created
        FROM treasury_payouts"""
    volume = f"""
        SELECT {day('created_at')} AS day, source_currency, count(*) AS purchases,
          sum(CASE WHEN paid_at IS NOT NULL THEN 1 ELSE 0 END) AS paid,
          sum(CASE WHEN delivery_status = 'confirmed' THEN 1 ELSE 0 END) AS completed,
          sum(CASE WHEN paid_at IS NOT NULL THEN {whole('source_minor')} END) AS source_amount_paid,
          sum({coins('delivered_units', 6)}) AS usdc_delivered, sum({coins('received_units', 18)}) AS musd_received
        FROM sessions GROUP BY {day('created_at')}, source_currency"""
    fees = f"""
        SELECT {day('paid_at')} AS day, source_currency, count(*) AS purchases, sum({whole('source_minor')}) AS source_amount,
          sum({coins('delivered_units', 6)}) AS usdc_delivered, sum({coins('expected_units', 18)}) AS musd_owed,
          sum({coins('delivered_units', 6)} - {coins('expected_units', 18)}) AS kept
        FROM sessions WHERE paid_at IS NOT NULL AND expected_units IS NOT NULL GROUP BY {day('paid_at')}, source_currency"""
    confirm = f"""
        SELECT day, count(*) AS purchases, avg(seconds) AS average, min(CASE WHEN place >= 0.5 * total THEN seconds END) AS median,
          min(CASE WHEN place >= 0.95 * total THEN seconds END) AS p95, max(seconds) AS longest
        FROM (SELECT day, seconds, row_number() OVER (PARTITION BY day ORDER BY seconds) AS place, count(*) OVER (PARTITION BY day) AS total
          FROM (SELECT {day('paid_at')} AS day, {seconds('paid_at', 'confirmed_at')} AS seconds FROM sessions
            WHERE paid_at IS NOT NULL AND confirmed_at IS NOT NULL) AS confirmed) AS ranked
        GROUP BY day"""
    refusals = f"""
        SELECT {day('created_at')} AS day, 'creation' AS step, refusal_code AS reason, count(*) AS purchases
        FROM sessions WHERE refusal_code IS NOT NULL GROUP BY {day('created_at')}, refusal_code
        UNION ALL SELECT {day('payment_updated_at')}, 'payment', payment_status, count(*)
        FROM sessions WHERE payment_status = 'rejected' AND refusal_code IS NULL GROUP BY {day('payment_updated_at')}, payment_status
        UNION ALL SELECT {day('updated_at')}, 'payout', coalesce(reason, status), count(*)
        FROM treasury_payouts WHERE status IN ('held', 'rejected', 'reverted') GROUP BY {day('updated_at')}, coalesce(reason, status)"""
    return dict(zip(VIEWS, (purchases, payouts, volume, fees, confirm, refusals), strict=True))
