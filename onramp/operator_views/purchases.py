"""Purchases over HTTP as operators see them: a list, and one with everything that is stored about it."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from kit.http.documents import reply
from kit.http.moments import parse_moment
from kit.http.parsing import query_of
from kit.http.problems import not_found
from kit.http.routing import Route
from kit.logs import bind
from onramp.buyer_mail import service as buyer_mail_service
from onramp.hooks import deliveries as deliveries_service
from onramp.hooks import schemas as hook_schemas
from onramp.notices import service as notices_service
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.schemas import events, notices
from onramp.operator_views.schemas import purchases as schemas
from onramp.operator_views.timeline import timeline
from onramp.sessions import purchase_list
from onramp.sessions import service as sessions_service
from onramp.sessions.ownership import MAX_ID_LENGTH
from onramp.sessions.schemas import session_response
from onramp.treasury.schemas import payouts as payout_schemas
from onramp.webhooks import service as webhooks_service
from treasury.core import history
from treasury.payouts import queue
from treasury.payouts import service as payouts_service

PATH: Final = "/api/v1/purchases"


async def list_purchases(request: web.Request) -> web.StreamResponse:
    """Return a page of purchases, the newest first."""
    services, query = request.app[OPERATOR_VIEWS], query_of(request, schemas.PurchasesQuery)
    async with services.database.read_replica() as conn:
        rows = await purchase_list.page(
            conn,
            query.limit + 1,
            query.before,
            status=query.status,
            wallet=query.wallet,
            since=parse_moment(query.from_),
            until=parse_moment(query.to),
        )
    return reply(schemas.purchase_list(rows, query.limit, services.explorer))


async def read_purchase(request: web.Request) -> web.StreamResponse:
    """Return a purchase with everything that is stored about it, and its timeline."""
    services, session_id = request.app[OPERATOR_VIEWS], request.match_info["id"]
    async with services.database.read() as conn:
        session = await sessions_service.get(conn, session_id) if len(session_id) <= MAX_ID_LENGTH else None
        if session is None:
            raise not_found("purchase")
        bind(session=session.id)
        stored = await webhooks_service.of_session(conn, session.stripe_session_id) if session.stripe_session_id else []
        payout = await payouts_service.by_session(conn, session.id)
        if payout is not None:
            payout = (await queue.leadership(conn)).with_reason(payout)
        response = schemas.PurchaseResponse(
            session=session_response(session, services.explorer),
            attention=session.attention,
            timeline=[schemas.MomentResponse(**moment) for moment in await timeline(conn, session, payout, stored)],
            payout=None if payout is None else payout_schemas.payout(payout, await history.of(conn, payout.id)),
            events=[events.event(row) for row in stored],
            # What a receiver answered is for admins, as in the routes of webhooks.
            webhooks=[
                hook_schemas.delivery(replace(row, response_body=None))
                for row in await deliveries_service.of_subject(conn, session.id, session.created_at)
            ],
            notices=[notices.notice(row) for row in await notices_service.of_session(conn, session.id)],
            mails=[schemas.mail(row) for row in await buyer_mail_service.of_sessions(conn, [session.id])],
        )
    return reply(response)


ROUTES = (
    Route(
        "GET",
        PATH,
        list_purchases,
        access="viewer",
        summary="Purchases by status, wallet and time, the newest first.",
        name="list_purchases",
        query=schemas.PurchasesQuery,
        response=schemas.PurchaseList,
    ),
    Route(
        "GET",
        PATH + "/{id}",
        read_purchase,
        access="viewer",
        summary="One purchase with its timeline, payout, events, webhooks, notifications and mails.",
        name="read_purchase",
        response=schemas.PurchaseResponse,
    ),
)
