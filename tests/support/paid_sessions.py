"""Paid sessions of observe mode that wait for their transfer, written straight into the database."""

from datetime import timedelta

import sqlalchemy as sa

from kit.clock import SystemClock
from kit.db.database import Database
from kit.money import Money
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from tests.support.receipts import TOKEN, WALLET

BUYER, OTHER = "0x" + "b0" * 20, "0x" + "0b" * 20
OBSERVE_CONFIG = session_config(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))


async def insert_paid_sessions(
    database: Database, *paid: tuple[str, str, int], config: SessionConfig = OBSERVE_CONFIG
) -> None:
    """Store a paid session for each (session id, buyer's wallet, expected units)."""
    now = SystemClock().now()
    rows = [
        intent_row(
            session_id=session, wallet=wallet, source=Money(100, "usd"), fee_bps=0, config=config,
            created_at=now - timedelta(seconds=1), now=now,
        ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 5, "expected_units": units}
        for session, wallet, units in paid
    ]  # fmt: skip
    async with database.write() as conn:
        await conn.execute(sa.insert(sessions), rows)
