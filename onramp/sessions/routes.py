"""Sessions over HTTP: parse the request, call an operation, render the result."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
from aiohttp import web

from kit.http import sse
from kit.http.accept import preferred
from kit.http.documents import reply, reply_json
from kit.http.parsing import body_of
from kit.http.problems import Problem, not_found
from kit.http.routing import LIMITER, Route
from kit.logs import bind
from onramp.sessions import receipt_pdf, receipts, schemas
from onramp.sessions.dependencies import SESSIONS
from onramp.sessions.model import Session
from onramp.sessions.ownership import MAX_ID_LENGTH
from onramp.sessions.problem_codes import OTHER_STRIPE_REFUSALS, STRIPE_REFUSALS
from onramp.sessions.purchase_request import check, refuse_sales


async def _session(request: web.Request) -> Session:
    session_id = request.match_info["id"]
    session = await request.app[SESSIONS].reads.get(session_id) if len(session_id) <= MAX_ID_LENGTH else None
    if session is None:
        raise not_found("session")
    bind(session=session.id)
    return session


async def create(request: web.Request) -> web.StreamResponse:
    """Create a session and return it, or the one that this idempotency key created before."""
    services = request.app[SESSIONS]
    body = body_of(request, schemas.CreateSession)
    if services.workers_stopped():
        raise refuse_sales()
    purchase = check(body, request.headers.getall("Idempotency-Key", []), services.config)
    session, fact = await services.creator.create(purchase)
    document = schemas.created_session_json(
        session,
        services.explorer,
        client_secret=fact.client_secret,
        redirect_url=fact.redirect_url,
        publishable_key=services.settings.STRIPE_PUBLISHABLE_KEY,
    )
    return reply_json(document, status=201, headers={"Location": f"/api/v1/onramp/sessions/{session.id}"})


async def read(request: web.Request) -> web.StreamResponse:
    """Return a session as anyone who holds its id may see it."""
    return reply_json(schemas.session_json(await _session(request), request.app[SESSIONS].explorer))


async def events(request: web.Request) -> web.StreamResponse:
    """Stream a session and its changes as server-sent events."""
    services = request.app[SESSIONS]
    session = await _session(request)
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else 0

    async def changes() -> AsyncIterator[tuple[str, str, bytes]]:
        async for item in services.live.follow(
            session.id, min(after, session.version - 1) if after > session.version else after
        ):
            yield str(item.version), "session", orjson.dumps(schemas.session_json(item, services.explorer))

    with request.app[LIMITER].stream(request):
        return await sse.stream(request, changes(), services.stopping)


async def delivery(request: web.Request) -> web.StreamResponse:
    """Return the proof of a session's delivery."""
    services = request.app[SESSIONS]
    session = await _session(request)
    return reply(
        receipts.proof(
            session, token=services.config.token, chain_id=services.config.chain_id, explorer=services.explorer
        )
    )


async def receipt(request: web.Request) -> web.StreamResponse:
    """Return the receipt of a session as JSON or PDF."""
    services = request.app[SESSIONS]
    media_type = preferred(request.headers.get("Accept", ""), ("application/json", "application/pdf"))
    if media_type is None:
        raise Problem(406, "not_acceptable", "The receipt is served as application/json or application/pdf.")
    session = await _session(request)
    document = receipts.receipt(
        session,
        token=services.config.token,
        chain_id=services.config.chain_id,
        explorer=services.explorer,
        merchant=services.settings.merchant,
    )
    if media_type == "application/json":
        return reply(document)
    # In a thread: setting a page takes some tens of milliseconds, and other requests should not wait for that.
    content = await asyncio.to_thread(receipt_pdf.pdf, document, confirmed_by=session.agreed_by or [])
    headers = {"Content-Disposition": f'attachment; filename="receipt-{session.id}.pdf"'}
    return web.Response(body=content, content_type="application/pdf", headers=headers)


BASE = "/api/v1/onramp/sessions"
CREATE = Route(
    "POST",
    BASE,
    create,
    access="anyone",
    summary="Start a purchase. With `SESSION_CREATION=keyed` it needs an API key of the role `dapp`, `operator` or `approver`.",
    name="create_session",
    needs_code=False,  # a server creates these; it has no person at hand who reads a code
    body=schemas.CreateSession,
    response=schemas.CreatedSession,
    status=201,
    limit=16 * 1024,
    timeout=25.0,
    headers={
        "Idempotency-Key": "16 to 255 characters; the same key and body get the same response for 24 h. Use a new random UUID for each"
        " purchase: anyone who guesses the key, and knows wallet and amount, gets the same `clientSecret`."
    },
    responses={
        401: "`unauthorized`: `SESSION_CREATION` is `keyed`, and there is no valid API key. Nothing was stored.",
        404: "Stripe does not know the session that this key created before.",
        403: "`not_available`: this purchase cannot be made; or, with `SESSION_CREATION=keyed`, `forbidden` or `key_not_active`.",
        422: "Validation failed; `wallet_limit`; or Stripe's own refusal, with Stripe's code.",
        409: "`idempotency_key_reused`, or `idempotency_in_progress` with Retry-After.",
        502: "`stripe_echo_mismatch`: nothing was handed out.",
        503: "`stripe_unavailable`, `inventory_low`, `inventory_unknown`, `paused`, `delivery_unavailable` (a worker has stopped) or `screening_unavailable`.",
    },
    codes={
        400: ("idempotency_key_invalid",),
        401: ("unauthorized",),
        403: ("not_available", "forbidden", "key_not_active"),
        404: ("not_found",),
        409: ("idempotency_key_reused", "idempotency_in_progress"),
        422: ("wallet_limit", *STRIPE_REFUSALS),
        502: ("stripe_echo_mismatch",),
        503: (
            "stripe_unavailable",
            "inventory_low",
            "inventory_unknown",
            "paused",
            "delivery_unavailable",
            "screening_unavailable",
        ),
    },
    foreign_codes={422: OTHER_STRIPE_REFUSALS},
)
_READS = (
    Route(
        "GET",
        BASE + "/{id}",
        read,
        access="anyone",
        summary="A session.",
        name="read_session",
        response=schemas.SessionResponse,
        timeout=None,  # it waits only for the database, which has a timeout of its own
    ),
    Route(
        "GET",
        BASE + "/{id}/events",
        events,
        access="anyone",
        summary="A session, live: a `session` event at once and at each change, with the SessionResponse of that moment as data. The stream stays"
        " open: close it when you no longer need it.",
        name="session_events",
        media=("text/event-stream",),
        timeout=None,
        headers={"Last-Event-ID": "Resume after this version."},
        codes={429: ("too_many_streams",)},
        event=schemas.SessionEvent,
    ),
    Route(
        "GET",
        BASE + "/{id}/delivery",
        delivery,
        access="anyone",
        summary="The proof of delivery.",
        name="session_delivery",
        response=receipts.Proof,
    ),
    Route(
        "GET",
        BASE + "/{id}/receipt",
        receipt,
        access="anyone",
        summary="The receipt.",
        name="session_receipt",
        response=receipts.Receipt,
        media=("application/json", "application/pdf"),
        headers={"Accept": "`application/pdf` for a printable document."},
        responses={406: "JSON and PDF are served."},
        codes={406: ("not_acceptable",)},
    ),
)


def routes(*, keyed: bool) -> tuple[Route, ...]:
    """Return the routes of sessions. `keyed` says that an API key is needed to create one."""
    return (replace(CREATE, access="dapp") if keyed else CREATE, *_READS)
