"""The plan of confirming a key, as an approver signs it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import rfc3339
from kit.signed_plans.plan import PlanFacts
from onramp.auth.api_keys import service as api_keys_service


async def plan_confirmation(conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
    """Return the plan of letting a key's newest secret work at once. Raises Problem 404 for an unknown key."""
    key = await api_keys_service.get(conn, subject)
    return PlanFacts(
        sentence=f"Let the key {key.name} of {key.person} work as {key.role}",
        terms=rfc3339(key.made_at),
        proposed_by=key.made_by,
        state="revoked" if key.revoked_at is not None else rfc3339(key.active_from),
    )
