"""Pause and resume over HTTP."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.routing import Route
from onramp.auth.roles import principal_of
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.overview import BASE
from onramp.treasury.schemas import commands, overview
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES, Pauses, Scope


def _scopes(order: commands.PauseOrder) -> tuple[Scope, ...]:
    return SCOPES if order.scope == "all" else (order.scope,)


async def _answer(conn: AsyncConnection) -> commands.PauseResponse:
    now, before = await pause_service.current(conn), await pause_service.history_of_pauses(conn)
    return commands.PauseResponse(
        sales=now.sales,
        payouts=now.payouts,
        sweeps=now.sweeps,
        paused=[
            commands.ScopeResponse(scope=one.scope, by=one.by, note=one.note, at=rfc3339(one.at)) for one in now.ordered
        ],
        history=[
            commands.PauseLine(scope=scope, **line.model_dump())
            for scope, entry in before
            for line in overview.lines([entry])
        ],
    )


async def read(request: web.Request) -> web.StreamResponse:
    """What is stopped, and what was."""
    async with request.app[TREASURY].database.read() as conn:
        return reply(await _answer(conn))


async def _ordered(request: web.Request, verb: Callable[..., Awaitable[Pauses]]) -> web.StreamResponse:
    services, who, order = request.app[TREASURY], principal_of(request), body_of(request, commands.PauseOrder)
    async with services.database.write() as conn:
        now = services.clock.now()
        await verb(conn, _scopes(order), Actor(who.id, who.person), note=order.note, now=now)
        answer = await _answer(conn)
    return reply(answer)


async def pause(request: web.Request) -> web.StreamResponse:
    """Stop at once; one person is enough."""
    return await _ordered(request, pause_service.pause)


async def resume(request: web.Request) -> web.StreamResponse:
    """Let go again; another person than the one who stopped it."""
    return await _ordered(request, pause_service.resume)


ROUTES = (
    Route(
        "GET",
        BASE + "/pause",
        read,
        access="viewer",
        summary="What is paused, by whom, and what was.",
        name="read_pause",
        response=commands.PauseResponse,
    ),
    Route(
        "POST",
        BASE + "/pause",
        pause,
        access="operator",
        summary="Stop sales, payouts, sweeps, or all of them, at once.",
        name="pause",
        body=commands.PauseOrder,
        body_optional=True,
        response=commands.PauseResponse,
        needs_code=False,
    ),
    Route(
        "POST",
        BASE + "/resume",
        resume,
        access="approver",
        summary="Let go again what another person paused.",
        name="resume",
        body=commands.PauseOrder,
        body_optional=True,
        response=commands.PauseResponse,
        responses={409: "`self_approval`."},
    ),
)
