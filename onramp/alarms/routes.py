"""Alarms over HTTP: what is active, and the acknowledgement by a person."""

from typing import Final

from aiohttp import web

from kit.alarms import service as alarms_service
from kit.audit import service as audit_service
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.alarms import schemas
from onramp.alarms.catalog import CATALOG
from onramp.alarms.dependencies import ALARM_SERVICES
from onramp.auth.roles import principal_of

BASE: Final = "/api/v1/alarms"
_MAX_ID_LENGTH: Final = 64


async def list_alarms(request: web.Request) -> web.StreamResponse:
    """Return the active alarms, or a page of all alarms."""
    query = query_of(request, schemas.AlarmQuery)
    async with request.app[ALARM_SERVICES].database.read() as conn:
        if query.active:
            return reply(schemas.alarm_page(await alarms_service.list_active(conn), None))
        rows = await alarms_service.page(conn, limit=query.limit + 1, before=query.before)
    return reply(schemas.alarm_page(rows, query.limit))


async def acknowledge(request: web.Request) -> web.StreamResponse:
    """End an event, or the reminders about a condition."""
    services, caller, alarm_id = request.app[ALARM_SERVICES], principal_of(request), request.match_info["id"]
    if len(alarm_id) > _MAX_ID_LENGTH:
        raise not_found("alarm")
    now = services.clock.now()
    async with services.database.write() as conn:
        alarm = await alarms_service.acknowledge(conn, alarm_id, CATALOG, caller.id, now)
        if alarm is None:
            if await alarms_service.get(conn, alarm_id) is None:
                raise not_found("alarm")
            raise Problem(409, "not_possible", "This alarm has ended already.")
        after = {"alarm": alarm.name, "subject": alarm.subject, "ended": alarm.ended_at is not None}
        await audit_service.record(conn, caller.id, "alarm.acknowledged", alarm.id, None, after, at=now)
    return reply(schemas.alarm_response(alarm))


ROUTES = (
    Route(
        "GET",
        BASE,
        list_alarms,
        access="viewer",
        summary="The active alarms, with the next command for each; or all alarms.",
        name="list_alarms",
        query=schemas.AlarmQuery,
        response=schemas.AlarmPage,
    ),
    Route(
        "POST",
        BASE + "/{id}/acknowledge",
        acknowledge,
        access="operator",
        summary="Acknowledge an alarm: an event ends, a condition is not reminded of any more.",
        name="acknowledge_alarm",
        response=schemas.AlarmResponse,
        responses={404: "No such alarm.", 409: "`not_possible`: it has ended."},
        codes={404: ("not_found",), 409: ("not_possible",)},
    ),
)
