"""Lists of purchases over HTTP, as pages or as CSV: a wallet's own, and all of them for API keys; and a check of the chain on request."""

import asyncio
import csv
import io
from dataclasses import replace
from typing import Annotated, Final

from aiohttp import web
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from chain.reads.transfer_proof import Proven
from kit.clock import rfc3339
from kit.db.paging import next_cursor, position_of
from kit.http.documents import Document, reply
from kit.http.paging import PositionQuery
from kit.http.parsing import query_of
from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.auth.roles import principal_of
from onramp.sessions import buyer_context, receipts
from onramp.sessions import service as sessions_service
from onramp.sessions.dependencies import SESSIONS
from onramp.sessions.model import Session
from onramp.sessions.schemas import SessionResponse, explorer_link, optional_units, session_response
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

MAX_CSV_ROWS: Final = 10_000
CSV_PAGE: Final = 500
COLUMNS: Final = (
    "createdAt", "id", "status", "walletAddress", "sourceAmount", "sourceCurrency", "destinationAmount", "destinationCurrency",
    "musdAmount", "txHash", "blockNumber", "paidAt", "confirmedAt", "explorerUrl", "reference",
)  # fmt: skip


class HistoryQuery(PositionQuery):
    """The query of a page of purchases."""

    limit: int = Field(default=20, ge=1, le=100)
    reference: Annotated[str, AfterValidator(buyer_context.reference)] | None = Field(
        default=None, description="Only purchases that the dApp created with this reference."
    )


class History(Document):
    """A page of purchases, newest first."""

    data: list[SessionResponse]
    next_cursor: str | None


async def _all(conn: AsyncConnection, wallet: str | None, reference: str | None) -> list[Session]:
    """Return up to MAX_CSV_ROWS sessions, read page by page, so that other requests are served in between."""
    purchases: list[Session] = []
    while len(purchases) < MAX_CSV_ROWS:
        before = position_of(purchases[-1]) if purchases else None
        page = await sessions_service.newest(conn, CSV_PAGE, before=before, wallet=wallet, reference=reference)
        purchases += page
        if len(page) < CSV_PAGE:
            break
    return purchases


async def listing(request: web.Request) -> web.StreamResponse:
    """Return the wallet's own purchases, or all of them to an API key: a page as JSON, or the whole list as CSV."""
    services = request.app[SESSIONS]
    caller = principal_of(request)
    wallet = caller.id if caller.role == "wallet" else None
    query = query_of(request, HistoryQuery)
    if request.headers.get("Accept", "").startswith("text/csv"):
        async with services.database.read_replica() as conn:
            purchases = await _all(conn, wallet, query.reference)
        # In a thread: ten thousand rows take some tenths of a second, and other requests should not wait for that.
        return await asyncio.to_thread(_as_csv, purchases, services.explorer)
    async with services.database.read_replica() as conn:
        purchases = await sessions_service.newest(
            conn, query.limit + 1, before=query.before, wallet=wallet, reference=query.reference
        )
    page = purchases[: query.limit]
    return reply(
        History.model_construct(
            data=[session_response(session, services.explorer) for session in page],
            next_cursor=next_cursor(purchases, query.limit),
        )
    )


async def verify(request: web.Request) -> web.StreamResponse:
    """Check the chain for a delivery of the calling wallet now, and return the proof of its delivery."""
    services = request.app[SESSIONS]
    try:
        session, outcome = await services.deliveries.check_now(request.match_info["id"], owner=principal_of(request).id)
    except ChainError as error:
        raise Problem(
            503,
            "chain_unavailable",
            "The nodes cannot tell right now whether the transfer arrived. The delivery's last known state is kept; try again in a moment.",
            headers={"Retry-After": "5"},
        ) from error
    if session is None:
        raise not_found("session")
    if isinstance(outcome, Proven):
        session = replace(session, confirmations=outcome.confirmations, agreed_by=list(outcome.agreed_by))
    return reply(
        receipts.proof(
            session, token=services.config.token, chain_id=services.config.chain_id, explorer=services.explorer
        )
    )


def _cell(text: str) -> str:
    """Return a stranger's text in a form that spreadsheets show, which run a cell that begins like a formula (CWE-1236)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _as_csv(purchases: list[Session], explorer: str | None) -> web.Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for session in purchases:
        writer.writerow(
            (
                rfc3339(session.created_at), session.id, session.status, session.wallet_address,
                session.source.text, session.source_currency,
                optional_units(session.delivered_units, USDC_DECIMALS) or "", session.destination_currency,
                optional_units(session.received_units, MUSD_DECIMALS) or "", session.tx_hash or "", session.block_number or "",
                rfc3339(session.paid_at) if session.paid_at else "",
                rfc3339(session.confirmed_at) if session.confirmed_at else "",
                explorer_link(explorer, session.tx_hash) or "", _cell(session.reference or ""),
            )
        )  # fmt: skip
    headers = {"Content-Disposition": 'attachment; filename="musd-purchases.csv"'}
    return web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8", headers=headers)


ROUTES = (
    Route(
        "GET",
        "/api/v1/onramp/sessions",
        listing,
        access="purchases",
        summary="Purchases, newest first: to a wallet its own, to an API key all of them.",
        name="list_sessions",
        query=HistoryQuery,
        response=History,
        media=("application/json", "text/csv"),
        headers={"Accept": "`text/csv` for the whole history as a table."},
    ),
    Route(
        "POST",
        "/api/v1/onramp/sessions/{id}/verify",
        verify,
        access="wallet",
        summary="Check one of the wallet's own deliveries on the chain now.",
        name="verify_session",
        response=receipts.Proof,
        responses={503: "`chain_unavailable`."},
        codes={503: ("chain_unavailable",)},
    ),
)
