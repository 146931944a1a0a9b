"""A payout in the database of a running service."""

from datetime import UTC, datetime
from typing import Final

from kit.ids import RandomIds
from tests.support.service import HOT_WALLET, Service
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.payouts import service as payouts_service

TOKEN: Final = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
BUYER: Final = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
NOW: Final = datetime(2026, 11, 21, 3, tzinfo=UTC)


async def owe_payout(service: Service, *facts: OperationFact, session: str = "ons_1") -> str:
    """Create a payout of 1 MUSD for a session and apply these facts to it; return its id."""
    async with service.database.write() as conn:
        payout_id = await payouts_service.create_payout(
            conn, session_id=session, stripe_session_id="cos_1", to=BUYER, amount=10**18, token=TOKEN,
            wallet=HOT_WALLET, now=NOW, ids=RandomIds(),
        )  # fmt: skip
        for fact in facts:
            await payouts_service.move(conn, payout_id, fact, now=NOW, reason=Reason.AWAITING_APPROVAL)
    return payout_id
