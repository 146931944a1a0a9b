"""API keys over HTTP: an admin makes, lists, rotates and revokes them; an approver confirms a new one."""

from datetime import timedelta

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.routing import Route
from onramp.auth.api_keys import schemas, second_factor
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.dependencies import API_KEYS
from onramp.auth.api_keys.service import Author
from onramp.auth.passkeys.signing import signed_command
from onramp.auth.roles import principal_of


def author_of(request: web.Request) -> Author:
    """Return the caller and the present time, as the author of the change that this request makes."""
    services = request.app[API_KEYS]
    return Author(principal_of(request).id, services.clock.now(), services.is_production)


async def create(request: web.Request) -> web.StreamResponse:
    """Make a key and return it with its secret, which no other response contains."""
    services = request.app[API_KEYS]
    body = body_of(request, schemas.CreateKey)
    secret = api_keys_service.new_secret()
    async with services.database.write() as conn:
        key = await api_keys_service.create(
            conn,
            author_of(request),
            key_id=services.ids.new("key_"),
            secret=secret,
            ring=services.ring,
            role=body.role,
            name=body.name,
            person=body.person or body.name,
        )
    return reply(schemas.with_secret(key, secret), status=201, headers={"Location": f"{BASE}/{key.id}"})


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of keys, the newest first, without their secrets."""
    query = query_of(request, schemas.KeysQuery)
    async with request.app[API_KEYS].database.read() as conn:
        keys = await api_keys_service.newest(conn, limit=query.limit + 1, before=query.before)
    return reply(schemas.listed(list(keys), query.limit))


async def read(request: web.Request) -> web.StreamResponse:
    """Return one key without its secret."""
    async with request.app[API_KEYS].database.read() as conn:
        return reply(schemas.answer(await api_keys_service.get(conn, request.match_info["id"])))


async def rotate(request: web.Request) -> web.StreamResponse:
    """Give a key a new secret and return it; the key's id stays."""
    services = request.app[API_KEYS]
    body = body_of(request, schemas.RotateKey)
    secret = api_keys_service.new_secret()
    async with services.database.write() as conn:
        key = await api_keys_service.rotate(
            conn,
            author_of(request),
            request.match_info["id"],
            secret=secret,
            ring=services.ring,
            overlap=timedelta(minutes=body.overlap_minutes),
        )
    services.authenticator.forget(key.id)
    return reply(schemas.with_secret(key, secret))


async def revoke(request: web.Request) -> web.StreamResponse:
    """Revoke a key: it is refused here at once, and everywhere within five seconds."""
    services = request.app[API_KEYS]
    async with services.database.write() as conn:
        key = await api_keys_service.revoke(conn, author_of(request), request.match_info["id"])
    services.authenticator.forget(key.id)
    return reply(schemas.answer(key))


async def confirm(request: web.Request) -> web.StreamResponse:
    """End the wait of a key's newest secret and return the key."""
    author, approver, key_id = author_of(request), principal_of(request), request.match_info["id"]
    made_at = body_of(request, schemas.ConfirmKey).made_at
    async with signed_command(request, key_id) as (conn, _):
        key = await api_keys_service.confirm(conn, author, approver, key_id, made_at=made_at)
    return reply(schemas.answer(key))


async def me(request: web.Request) -> web.StreamResponse:
    """Return the caller's own key."""
    async with request.app[API_KEYS].database.read() as conn:
        return reply(schemas.answer(await api_keys_service.get(conn, principal_of(request).id)))


async def enrol(request: web.Request) -> web.StreamResponse:
    """Begin a second factor and return its secret; codes are required once the first one was confirmed."""
    services = request.app[API_KEYS]
    author = author_of(request)
    async with services.database.write() as conn:
        secret, uri = await second_factor.enrol(conn, author, author.id, services.ring)
    return reply(schemas.Enrolment(secret=secret, uri=uri), status=201)


async def activate(request: web.Request) -> web.StreamResponse:
    """Confirm the second factor with its first code and return the key."""
    services = request.app[API_KEYS]
    author, code = author_of(request), body_of(request, schemas.FirstCode).code
    async with services.database.write() as conn:
        outcome, key = await second_factor.activate(conn, author, author.id, code, services.ring)
    if outcome != "accepted":
        raise second_factor.refusal(outcome)
    services.authenticator.forget(key.id)
    return reply(schemas.answer(key))


ME = "/api/v1/keys/me"
BASE = "/api/v1/admin/keys"
ROUTES = (
    Route(
        "POST",
        BASE,
        create,
        access="admin",
        summary="Make an API key.",
        name="create_key",
        body=schemas.CreateKey,
        response=schemas.NewKeyResponse,
        status=201,
    ),
    Route(
        "GET",
        BASE,
        listing,
        access="admin",
        summary="List API keys with their last use.",
        name="list_keys",
        query=schemas.KeysQuery,
        response=schemas.KeyList,
    ),
    Route(
        "GET",
        BASE + "/{id}",
        read,
        access="admin",
        summary="One API key.",
        name="read_key",
        response=schemas.KeyResponse,
    ),
    Route(
        "POST",
        BASE + "/{id}/rotate",
        rotate,
        access="admin",
        summary="Give a key a new secret; the old one still works for a while.",
        name="rotate_key",
        body=schemas.RotateKey,
        body_optional=True,
        response=schemas.NewKeyResponse,
        responses={409: "`key_revoked`."},
        codes={409: ("key_revoked",)},
    ),
    Route(
        "POST",
        BASE + "/{id}/revoke",
        revoke,
        access="admin",
        summary="Revoke a key; it is refused everywhere within five seconds.",
        name="revoke_key",
        response=schemas.KeyResponse,
    ),
    Route(
        "DELETE",
        BASE + "/{id}",
        revoke,
        access="admin",
        summary="Revoke a key, like the route before.",
        name="delete_key",
        response=schemas.KeyResponse,
    ),
    Route(
        "GET",
        BASE + "/{id}/confirm",
        read,
        access="approver",
        summary="The key that a confirmation would activate.",
        name="read_key_to_confirm",
        response=schemas.KeyResponse,
    ),
    Route(
        "POST",
        BASE + "/{id}/confirm",
        confirm,
        access="approver",
        summary="Let a key's newest secret work at once; the approver must be neither its person nor one of its makers.",
        name="confirm_key",
        signed_action="key.confirm",
        body=schemas.ConfirmKey,
        body_optional=True,
        response=schemas.KeyResponse,
        responses={409: "`self_approval`, `key_changed` or `key_revoked`."},
        codes={409: ("self_approval", "key_changed", "key_revoked")},
    ),
    Route(
        "GET", ME, me, access="viewer", summary="The caller's own API key.", name="my_key", response=schemas.KeyResponse
    ),
    Route(
        "POST",
        ME + "/otp",
        enrol,
        access="viewer",
        summary="Begin a second factor for the caller's own key.",
        name="enrol",
        response=schemas.Enrolment,
        status=201,
        responses={409: "`otp_enrolled`."},
        codes={409: ("otp_enrolled",)},
    ),
    Route(
        "POST",
        ME + "/otp/confirm",
        activate,
        access="viewer",
        summary="Confirm the second factor with its first code; from now on commands need a code.",
        name="activate",
        body=schemas.FirstCode,
        response=schemas.KeyResponse,
        responses={409: "`otp_not_waiting`."},
        codes={409: ("otp_not_waiting",)},
    ),
)
