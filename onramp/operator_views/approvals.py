"""What waits for a person, over HTTP."""

from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.routing import Route
from onramp.auth.roles import Principal, principal_of
from onramp.operator_views import waiting
from onramp.operator_views.dependencies import OPERATOR_VIEWS, OperatorViewServices
from onramp.operator_views.schemas import approvals as schemas
from onramp.operator_views.waiting import Waiting

PATH: Final = "/api/v1/treasury/approvals"


async def everything(conn: AsyncConnection, services: OperatorViewServices) -> list[Waiting]:
    """Return everything that waits for a person now, the oldest first."""
    decimals = {} if services.policy is None else await services.policy.decimals(conn)
    return await waiting.everything(conn, services.wallet, decimals, services.clock.now())


async def list_approvals(request: web.Request) -> web.StreamResponse:
    """Return everything that waits for a person, with whether the caller may decide it."""
    services, caller = request.app[OPERATOR_VIEWS], principal_of(request)
    async with services.database.read() as conn:
        rows = await everything(conn, services)
    return reply(schemas.WaitingList(data=[waiting_response(row, caller) for row in rows], next_cursor=None))


def waiting_response(row: Waiting, caller: Principal) -> schemas.WaitingResponse:
    """Return the response for one decision, as this caller sees it."""
    refusal = (
        row.refusal(caller.person)
        if caller.role == "approver"
        else f"It takes the role approver; you have {caller.role}."
    )
    return schemas.WaitingResponse(
        action=row.action,
        subject=row.subject,
        sentence=row.sentence,
        proposed_by=row.by,
        proposed_at=None if row.at is None else rfc3339(row.at),
        expires_at=None if row.expires_at is None else rfc3339(row.expires_at),
        may_approve=refusal is None,
        why=refusal,
    )


ROUTES = (
    Route(
        "GET",
        PATH,
        list_approvals,
        access="viewer",
        summary="Everything that waits for a person, and whether the caller may decide it.",
        name="list_approvals",
        response=schemas.WaitingList,
    ),
)
