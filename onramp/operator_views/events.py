"""Stripe's stored events over HTTP, and their replay."""

from typing import Final

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.auth.roles import principal_of
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.schemas import events as schemas
from onramp.webhooks import service as webhooks_service

PATH: Final = "/api/v1/events"
_MAX_ID_LENGTH: Final = 255
_MAX_SUBJECT_LENGTH: Final = 80


async def list_events(request: web.Request) -> web.StreamResponse:
    """Return a page of stored events, the newest first."""
    query = query_of(request, schemas.EventsQuery)
    async with request.app[OPERATOR_VIEWS].database.read_replica() as conn:
        rows = await webhooks_service.newest(conn, query.limit + 1, query.status, query.before, query.type)
    return reply(schemas.event_list(rows, query.limit))


async def replay(request: web.Request) -> web.StreamResponse:
    """Make the workers process one event's session again; repeating it changes nothing."""
    services, caller, event_id = request.app[OPERATOR_VIEWS], principal_of(request), request.match_info["id"]
    if len(event_id) > _MAX_ID_LENGTH:
        raise not_found("event")
    async with services.database.write() as conn:
        before = await webhooks_service.get(conn, event_id)
        if before is None:
            raise not_found("event")
        if not await webhooks_service.replay(conn, event_id):
            raise Problem(
                409,
                "not_possible",
                "This event is about no session, so replaying it would do nothing. Nothing was changed.",
            )
        after = await webhooks_service.get(conn, event_id)
        assert after is not None
        await audit_service.record(
            conn,
            caller.id,
            "event.replay",
            event_id[:_MAX_SUBJECT_LENGTH],
            {"state": before.state, "reason": before.reason},
            {"state": after.state},
            at=services.clock.now(),
        )
    return reply(schemas.event(after))


ROUTES = (
    Route(
        "GET",
        PATH,
        list_events,
        access="viewer",
        summary="Stripe's events as they are stored, the newest first.",
        name="list_events",
        query=schemas.EventsQuery,
        response=schemas.EventList,
    ),
    Route(
        "POST",
        PATH + "/{id}/replay",
        replay,
        access="operator",
        summary="Process one event's session again; it may be repeated.",
        name="replay_event",
        response=schemas.EventResponse,
        responses={404: "No such event.", 409: "`not_possible`: it is about no session."},
        codes={404: ("not_found",), 409: ("not_possible",)},
    ),
)
