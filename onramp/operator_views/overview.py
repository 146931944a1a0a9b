"""What is wrong now, over HTTP: alarms, unwell parts, pauses and nodes in sentences, each with the next step."""

from aiohttp import web

from chain.pool.health import answering_providers
from chain.pool.pool import Pool
from kit.alarms import service as alarms_service
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.routing import Route
from onramp.operator_views import approvals, problems
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.nodes import agreed_head
from onramp.operator_views.schemas import overview as schemas
from onramp.ops.health import Part
from onramp.treasury.schemas.pause import ScopeResponse
from treasury.core import leader
from treasury.core.leader import Lease
from treasury.pause import service as pause_service


async def read_overview(request: web.Request) -> web.StreamResponse:
    """Return what is wrong now, the most urgent first, with pauses, parts, leader and head."""
    services = request.app[OPERATOR_VIEWS]
    parts = services.health.shown(operator=True)
    async with services.database.read() as conn:
        alarms = await alarms_service.list_active(conn)
        paused = (await pause_service.current(conn)).ordered
        waiting = await approvals.everything(conn, services)
        lease = None if services.wallet is None else await leader.lease_of(conn, services.wallet)
    found = [
        *map(problems.of_alarm, alarms),
        *map(problems.of_part, parts),
        *map(problems.of_pause, paused),
        *map(problems.of_node, services.pool.statuses()),
        problems.of_waiting(waiting),
    ]
    response = schemas.OverviewResponse(
        at=rfc3339(services.clock.now()),
        status=services.health.status,
        problems=problems.most_urgent_first([problem for problem in found if problem is not None]),
        pauses=[ScopeResponse(scope=row.scope, by=row.by, note=row.note, at=rfc3339(row.at)) for row in paused],
        parts=[_part(part) for part in parts],
        leader=None if lease is None else _leader(lease),
        head=_head(services.pool),
    )
    return reply(response)


def _part(part: Part) -> schemas.HealthPartResponse:
    return schemas.HealthPartResponse(
        name=part.name,
        ok=part.ok,
        vital=part.vital,
        detail=part.detail,
        since=None if part.since is None else rfc3339(part.since),
    )


def _leader(lease: Lease) -> schemas.LeaderResponse:
    until = None if lease.until is None else rfc3339(lease.until)
    return schemas.LeaderResponse(owner=lease.owner, leads=lease.is_valid, lease_until=until)


def _head(pool: Pool) -> schemas.HeadResponse | None:
    block = agreed_head(pool)
    if block is None:
        return None
    answering = len(answering_providers(pool.nodes))
    return schemas.HeadResponse(block_number=block, providers=answering, agreement=pool.agreement)


ROUTES = (
    Route(
        "GET",
        "/api/v1/overview",
        read_overview,
        access="viewer",
        summary="What is wrong now, the most urgent first, each with its next step; with pauses, parts, leader and head.",
        name="overview",
        response=schemas.OverviewResponse,
    ),
)
