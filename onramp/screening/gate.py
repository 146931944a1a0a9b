"""Refuse purchases for sanctioned wallets, or if that cannot be checked, before the purchase is stored; the audit log records refusals of sanctioned wallets."""

from kit.audit import service as audit_service
from kit.clock import Clock
from kit.db.database import Database
from kit.http.problems import Problem
from onramp.screening.sanctions_list import Screening

ACTION = "session.screened"
BUYER = "buyer"
"""The actor in the audit log: the unauthenticated client that made the request."""


async def require_not_sanctioned(database: Database, screening: Screening, wallet: str, clock: Clock) -> None:
    """Raise Problem 403 `not_available` for a sanctioned wallet, with a detail that reveals nothing; the reason goes to the audit log.

    Anyone may ask for a listed wallet, as often as they like. So the audit log gets at most one row a minute for each wallet, and a bounded
    number in total; a row states how many were left out since the last one. The metric counts every refusal.

    Raises Problem 503 `screening_unavailable` if the oracle cannot be asked.
    """
    unknown = await screening.ask([wallet])
    if wallet not in screening:
        if unknown:
            raise Problem(
                503,
                "screening_unavailable",
                "This purchase cannot be checked right now. Nothing was stored and nothing was charged; try again in a moment.",
                headers={"Retry-After": "5"},
            )
        return
    left_out = screening.noted.admit(wallet)
    if left_out is not None:
        facts = {"code": "not_available"} | ({"leftOut": left_out} if left_out else {})
        async with database.write() as conn:
            await audit_service.record(conn, BUYER, ACTION, wallet, None, facts, at=clock.now())
    screening.metrics.refused.inc()
    raise Problem(403, "not_available", "This purchase is not available. Nothing was stored and nothing was charged.")
