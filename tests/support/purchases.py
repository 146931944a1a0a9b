"""Purchases and payouts that several tests start from."""

from datetime import UTC, datetime
from typing import Any

from kit.db.database import Database
from kit.ids import RandomIds
from tests.support.service import HOT_WALLET, Service
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.payouts import service as payouts_service

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


async def read_session(service: Service, session_id: str) -> dict[str, Any]:
    """Return a session as the API shows it."""
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}") as answer:
        body: dict[str, Any] = await answer.json()
        return body


async def payout_held_for_screening(database: Database, session: str = "ons_1") -> str:
    """Store a payout to BUYER that is held for screening; return its id."""
    async with database.write() as conn:
        payout_id = await payouts_service.create_payout(
            conn, session_id=session, stripe_session_id="cos_1", to=BUYER, amount=10**18, token=TOKEN,
            wallet=HOT_WALLET, now=NOW, ids=RandomIds(),
        )  # fmt: skip
        await payouts_service.move(conn, payout_id, OperationFact.HELD, now=NOW, reason=Reason.SCREENING)
    return payout_id
