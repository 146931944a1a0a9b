"""Sessions over HTTP: parse, call a verb, render."""

import asyncio
from collections.abc import AsyncIterator

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
from onramp.sessions.purchase_request import check, refuse_sales


async def _session(request: web.Request) -> Session:
    session_id = request.match_info["id"]
    session = await request.app[SESSIONS].reads.get(session_id) if len(session_id) <= 40 else None
    if session is None:
        raise not_found("session")
    bind(session=session.id)
    return session


async def create(request: web.Request) -> web.StreamResponse:
    """Make a session, or answer for the one that this key made before."""
    services = request.app[SESSIONS]
    body = body_of(request, schemas.CreateSession)
    if services.workers_stopped():
        raise refuse_sales()
    order = check(body, request.headers.get("Idempotency-Key"), services.rules)
    session, fact = await services.creator.create(order)
    document = schemas.created(
        session,
        services.explorer,
        client_secret=fact.client_secret,
        redirect_url=fact.redirect_url,
        publishable_key=services.settings.STRIPE_PUBLISHABLE_KEY,
    )
    return reply_json(document, status=201, headers={"Location": f"/api/v1/onramp/sessions/{session.id}"})


async def read(request: web.Request) -> web.StreamResponse:
    """One session."""
    return reply_json(schemas.document(await _session(request), request.app[SESSIONS].explorer))


async def events(request: web.Request) -> web.StreamResponse:
    """A session, live."""
    services = request.app[SESSIONS]
    session = await _session(request)
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else 0

    async def changes() -> AsyncIterator[tuple[str, str, bytes]]:
        async for item in services.live.follow(
            session.id, min(after, session.version - 1) if after > session.version else after
        ):
            yield str(item.version), "session", orjson.dumps(schemas.document(item, services.explorer))

    with request.app[LIMITER].stream(request):
        return await sse.stream(request, changes(), services.stopping)


async def delivery(request: web.Request) -> web.StreamResponse:
    """The proof."""
    services = request.app[SESSIONS]
    session = await _session(request)
    return reply(
        receipts.proof(
            session, token=services.rules.token, chain_id=services.rules.chain_id, explorer=services.explorer
        )
    )


async def receipt(request: web.Request) -> web.StreamResponse:
    """The receipt."""
    services = request.app[SESSIONS]
    wanted = preferred(request.headers.get("Accept", ""), ("application/json", "application/pdf"))
    if wanted is None:
        raise Problem(406, "not_acceptable", "The receipt is served as application/json or application/pdf.")
    session = await _session(request)
    settings = services.settings
    merchant = (settings.MERCHANT_NAME or None, settings.MERCHANT_ADDRESS or None, settings.SUPPORT_EMAIL or None)
    document = receipts.receipt(
        session,
        token=services.rules.token,
        chain_id=services.rules.chain_id,
        explorer=services.explorer,
        merchant=merchant,
    )
    if wanted == "application/json":
        return reply(document)
    # Setting a page takes some tens of milliseconds, which other requests need not wait for.
    content = await asyncio.to_thread(receipt_pdf.pdf, document, confirmed_by=session.agreed_by or [])
    headers = {"Content-Disposition": f'attachment; filename="receipt-{session.id}.pdf"'}
    return web.Response(body=content, content_type="application/pdf", headers=headers)


BASE = "/api/v1/onramp/sessions"
ROUTES = (
    Route(
        "POST",
        BASE,
        create,
        access="anyone",
        summary="Start a purchase.",
        name="create_session",
        body=schemas.CreateSession,
        response=schemas.CreatedSession,
        status=201,
        limit=16 * 1024,
        timeout=25.0,
        headers={
            "Idempotency-Key": "16 to 255 characters; the same key and body give the same answer for 24 h. Make it a new random UUID for each"
            " purchase: whoever guesses the key, and knows wallet and amount, is answered the same `clientSecret`."
        },
        responses={
            403: "`not_available`: this purchase cannot be made.",
            422: "What a field says is impossible; `wallet_limit`; or Stripe's own refusal, by its code.",
            409: "`idempotency_key_reused`, or `idempotency_in_progress` with Retry-After.",
            502: "`stripe_echo_mismatch`: nothing was handed out.",
            503: "`stripe_unavailable`, `inventory_low`, `inventory_unknown`, `paused`, `delivery_unavailable` (a worker has stopped) or `screening_unavailable`.",
        },
    ),
    Route(
        "GET",
        BASE + "/{id}",
        read,
        access="anyone",
        summary="One session.",
        name="read_session",
        response=schemas.SessionResponse,
        timeout=None,  # it waits for the database alone, which has a limit of its own
    ),
    Route(
        "GET",
        BASE + "/{id}/events",
        events,
        access="anyone",
        summary="A session, live: a `session` event at once and at each change, its data the SessionAnswer of that moment. The stream stays"
        " open: close it when you have seen enough.",
        name="session_events",
        media=("text/event-stream",),
        timeout=None,
        headers={"Last-Event-ID": "Resume after this version."},
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
        headers={"Accept": "`application/pdf` for the document that a person files."},
        responses={406: "JSON and PDF are served."},
    ),
)
