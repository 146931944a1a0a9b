"""Outgoing webhooks over HTTP: an admin creates, changes, tests and deletes endpoints, and sees and repeats deliveries."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from kit.http.documents import reply
from kit.http.outbound_urls import UrlNotPublicError
from kit.http.parsing import body_of, query_of
from kit.http.problems import FieldError, Problem
from kit.http.routing import Route
from onramp.auth.roles import principal_of
from onramp.hooks import deliveries as deliveries_service
from onramp.hooks import schemas
from onramp.hooks import service as hooks_service
from onramp.hooks.dependencies import HOOKS
from onramp.hooks.table import EndpointStatus


async def create(request: web.Request) -> web.StreamResponse:
    """Create an endpoint and return it with its secret, which no other response but that of a rotation contains."""
    services, body = request.app[HOOKS], body_of(request, schemas.CreateWebhook)
    await _require_public(request, body.url)
    async with services.database.write() as conn:
        endpoint, secret = await hooks_service.create(
            conn,
            services.ring,
            endpoint_id=services.ids.new("whk_"),
            url=body.url,
            events=body.events,
            ed25519=body.ed25519,
            by=principal_of(request).id,
            now=services.clock.now(),
        )
    return reply(schemas.with_secret(endpoint, secret), status=201, headers={"Location": f"{BASE}/{endpoint.id}"})


async def listing(request: web.Request) -> web.StreamResponse:
    """Return all endpoints, without their secrets."""
    services = request.app[HOOKS]
    async with services.database.read() as conn:
        endpoints = await hooks_service.newest(conn, services.ring)
    return reply(schemas.WebhookList(data=[schemas.webhook(endpoint) for endpoint in endpoints], next_cursor=None))


async def read(request: web.Request) -> web.StreamResponse:
    """Return one endpoint without its secret."""
    services = request.app[HOOKS]
    async with services.database.read() as conn:
        return reply(schemas.webhook(await hooks_service.get(conn, services.ring, request.match_info["id"])))


async def change(request: web.Request) -> web.StreamResponse:
    """Change the URL, the events or the status of an endpoint and return it."""
    services, body = request.app[HOOKS], body_of(request, schemas.ChangeWebhook)
    if body.url is not None:
        await _require_public(request, body.url)
    async with services.database.write() as conn:
        endpoint = await hooks_service.change(
            conn,
            services.ring,
            request.match_info["id"],
            url=body.url,
            events=body.events,
            status=None if body.status is None else EndpointStatus(body.status),
            by=principal_of(request).id,
            now=services.clock.now(),
        )
    services.planned()
    return reply(schemas.webhook(endpoint))


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete an endpoint and return it as it was; nothing that waits for it is sent."""
    services = request.app[HOOKS]
    async with services.database.write() as conn:
        endpoint = await hooks_service.delete(
            conn, services.ring, request.match_info["id"], by=principal_of(request).id, now=services.clock.now()
        )
    return reply(schemas.webhook(endpoint))


async def rotate(request: web.Request) -> web.StreamResponse:
    """Give an endpoint a new secret and return it."""
    services, body = request.app[HOOKS], body_of(request, schemas.RotateWebhook)
    async with services.database.write() as conn:
        endpoint, secret = await hooks_service.rotate(
            conn,
            services.ring,
            request.match_info["id"],
            overlap=timedelta(seconds=body.overlap_seconds),
            by=principal_of(request).id,
            now=services.clock.now(),
        )
    return reply(schemas.with_secret(endpoint, secret))


async def test(request: web.Request) -> web.StreamResponse:
    """Plan a test message to an endpoint and return its delivery."""
    services = request.app[HOOKS]
    async with services.database.write() as conn:
        endpoint = await hooks_service.get(conn, services.ring, request.match_info["id"])
        delivery = await deliveries_service.send_test(conn, endpoint, services.clock.now())
    services.planned()
    return reply(schemas.delivery(delivery), status=201)


async def deliveries(request: web.Request) -> web.StreamResponse:
    """Return a page of an endpoint's deliveries, the newest first."""
    services, query = request.app[HOOKS], query_of(request, schemas.DeliveriesQuery)
    async with services.database.read() as conn:
        endpoint = await hooks_service.get(conn, services.ring, request.match_info["id"])
        rows = await deliveries_service.newest(
            conn, endpoint.id, limit=query.limit + 1, before=query.before, status=query.status
        )
    return reply(schemas.listed(rows, query.limit))


async def recover(request: web.Request) -> web.StreamResponse:
    """Send again what an endpoint has missed since a time."""
    services, body = request.app[HOOKS], body_of(request, schemas.RecoverWebhook)
    async with services.database.write() as conn:
        endpoint = await hooks_service.get(conn, services.ring, request.match_info["id"])
        count = await deliveries_service.recover(
            conn, endpoint, body.moment, by=principal_of(request).id, now=services.clock.now()
        )
    services.planned()
    return reply(schemas.Recovered(messages=count))


async def redeliver(request: web.Request) -> web.StreamResponse:
    """Send one message again, with the same id, and return its delivery."""
    services = request.app[HOOKS]
    async with services.database.write() as conn:
        row = await deliveries_service.get(conn, request.match_info["id"])
        endpoint = await hooks_service.get(conn, services.ring, row.endpoint_id)
        row = await deliveries_service.redeliver(
            conn, row.id, endpoint, by=principal_of(request).id, now=services.clock.now()
        )
    services.planned()
    return reply(schemas.delivery(row))


async def _require_public(request: web.Request, url: str) -> None:
    """Raise Problem 422 if nothing may be sent to a URL. It is checked again for each attempt."""
    try:
        await request.app[HOOKS].client.check_destination(url)
    except UrlNotPublicError as error:
        raise Problem(422, "url_not_public", str(error), errors=[FieldError("/url", str(error))]) from error


BASE: Final = "/api/v1/admin/webhooks"
_ONE: Final = BASE + "/{id}"
_DISABLED: Final = "`webhook_disabled`: nothing was planned."
ROUTES = (
    Route(
        "POST", BASE, create, access="admin", summary="Create an endpoint of outgoing webhooks.", name="create_webhook",
        body=schemas.CreateWebhook, response=schemas.NewWebhookResponse, status=201,
        responses={409: "`too_many_webhooks`: there are 16.", 422: "Validation failed, or `url_not_public`."},
        codes={409: ("too_many_webhooks",), 422: ("url_not_public",)},
    ),
    Route(
        "GET", BASE, listing, access="admin", summary="List the endpoints of outgoing webhooks.", name="list_webhooks",
        response=schemas.WebhookList,
    ),
    Route(
        "GET", _ONE, read, access="admin", summary="One endpoint.", name="read_webhook", response=schemas.WebhookResponse
    ),
    Route(
        "PATCH", _ONE, change, access="admin", summary="Change an endpoint's URL, events or status.", name="change_webhook",
        body=schemas.ChangeWebhook, response=schemas.WebhookResponse,
        responses={422: "Validation failed, or `url_not_public`."}, codes={422: ("url_not_public",)},
    ),
    Route(
        "DELETE", _ONE, delete, access="admin", summary="Delete an endpoint with its delivery log.", name="delete_webhook",
        response=schemas.WebhookResponse,
    ),
    Route(
        "POST", _ONE + "/rotate", rotate, access="admin", name="rotate_webhook", body=schemas.RotateWebhook, body_optional=True,
        summary="Give an endpoint a new secret; messages are signed with the old one as well for a while.",
        response=schemas.NewWebhookResponse,
    ),
    Route(
        "POST", _ONE + "/test", test, access="admin", summary="Send a test message.", name="test_webhook", status=201,
        response=schemas.WebhookDeliveryResponse, responses={409: _DISABLED}, codes={409: ("webhook_disabled",)},
    ),
    Route(
        "GET", _ONE + "/deliveries", deliveries, access="admin", summary="The deliveries to an endpoint in the last 30 days.",
        name="list_webhook_deliveries", query=schemas.DeliveriesQuery, response=schemas.WebhookDeliveryList,
    ),
    Route(
        "POST", _ONE + "/recover", recover, access="admin", summary="Send again what an endpoint has missed since a time.",
        name="recover_webhook", body=schemas.RecoverWebhook, response=schemas.Recovered,
        responses={409: _DISABLED}, codes={409: ("webhook_disabled",)},
    ),
    Route(
        "POST", BASE + "/deliveries/{id}/redeliver", redeliver, access="admin", name="redeliver_webhook",
        summary="Send one message again, with the same id.", response=schemas.WebhookDeliveryResponse,
        responses={409: _DISABLED}, codes={409: ("webhook_disabled",)},
    ),
)  # fmt: skip
