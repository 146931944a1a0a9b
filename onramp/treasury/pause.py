"""Pause and resume over HTTP."""

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.routing import Route
from onramp.auth.passkeys.signing import signed_command
from onramp.auth.roles import principal_of
from onramp.treasury.common import BASE
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import pause as schemas
from onramp.treasury.schemas.common import history_lines
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES, Scope


async def read_pause(request: web.Request) -> web.StreamResponse:
    """Return the scopes that are paused, and every earlier pause and resumption."""
    async with request.app[TREASURY].database.read() as conn:
        return reply(await _response(conn))


async def pause(request: web.Request) -> web.StreamResponse:
    """Stop a scope at once; one person is enough."""
    services, caller, body = request.app[TREASURY], principal_of(request), body_of(request, schemas.PauseRequest)
    actor = Actor(caller.id, caller.person)
    async with services.database.write() as conn:
        await pause_service.pause(conn, _scopes(body), actor, note=body.note, now=services.clock.now())
        response = await _response(conn)
    return reply(response)


async def resume(request: web.Request) -> web.StreamResponse:
    """Resume a scope; the person who paused it cannot."""
    services, caller, body = request.app[TREASURY], principal_of(request), body_of(request, schemas.PauseRequest)
    actor = Actor(caller.id, caller.person)
    async with signed_command(request, "pause") as (conn, _):
        await pause_service.resume(conn, _scopes(body), actor, note=body.note, now=services.clock.now())
        response = await _response(conn)
    return reply(response)


def _scopes(body: schemas.PauseRequest) -> tuple[Scope, ...]:
    return SCOPES if body.scope == "all" else (body.scope,)


async def _response(conn: AsyncConnection) -> schemas.PauseResponse:
    current, earlier = await pause_service.current(conn), await pause_service.history_of_pauses(conn)
    return schemas.PauseResponse(
        sales=current.sales,
        payouts=current.payouts,
        sweeps=current.sweeps,
        paused=[
            schemas.ScopeResponse(scope=pause.scope, by=pause.by, note=pause.note, at=rfc3339(pause.at))
            for pause in current.ordered
        ],
        history=[
            schemas.PauseLine(scope=scope, **line.model_dump())
            for scope, entry in earlier
            for line in history_lines([entry])
        ],
    )


ROUTES = (
    Route(
        "GET",
        BASE + "/pause",
        read_pause,
        access="viewer",
        summary="What is paused and by whom, with the history.",
        name="read_pause",
        response=schemas.PauseResponse,
    ),
    Route(
        "POST",
        BASE + "/pause",
        pause,
        access="operator",
        summary="Stop sales, payouts, sweeps, or all of them, at once.",
        name="pause",
        body=schemas.PauseRequest,
        body_optional=True,
        response=schemas.PauseResponse,
        needs_code=False,
    ),
    Route(
        "POST",
        BASE + "/resume",
        resume,
        access="approver",
        summary="Resume what another person paused.",
        name="resume",
        signed_action="pause.resume",
        body=schemas.PauseRequest,
        body_optional=True,
        response=schemas.PauseResponse,
        responses={409: "`self_approval`."},
        codes={409: ("self_approval", "not_possible")},
    ),
)
