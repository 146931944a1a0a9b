"""What a wallet sees of its own purchases: pages, the whole as CSV, and a look at the chain now."""

import asyncio
import csv
import io
from dataclasses import replace
from typing import Annotated, Final

import sqlalchemy as sa
from aiohttp import web
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from chain.reads.receipts import Proven
from kit.db.paging import newest_first
from kit.http.documents import Document, reply
from kit.http.parsing import query_of
from kit.http.problems import FieldError, Problem, invalid, not_found
from kit.http.routing import Route
from kit.money import format_units
from onramp.auth.roles import principal_of
from onramp.sessions import receipts
from onramp.sessions import service as sessions_service
from onramp.sessions.dependencies import SESSIONS
from onramp.sessions.model import Session, from_row
from onramp.sessions.schemas import FIAT_DECIMALS, SessionResponse, answer, explorer_link, moment
from onramp.sessions.table import sessions
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

CSV_ROWS: Final = 10_000
CSV_PAGE: Final = 500
COLUMNS: Final = (
    "createdAt", "id", "status", "walletAddress", "sourceAmount", "sourceCurrency", "destinationAmount", "destinationCurrency",
    "musdAmount", "txHash", "blockNumber", "paidAt", "confirmedAt", "explorerUrl",
)  # fmt: skip


class HistoryQuery(Document):
    """A page of the history."""

    limit: int = Field(default=20, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=40)] | None = None


class History(Document):
    """A wallet's own purchases, the newest first."""

    data: list[SessionResponse]
    next_cursor: str | None


async def of_wallet(conn: AsyncConnection, wallet: str, limit: int, before: str | None = None) -> list[Session]:
    """A wallet's sessions, the newest first; those older than the session `before` where given."""
    own = sa.select(sessions).where(sessions.c.wallet_address == wallet)
    query = newest_first(own, sessions.c.created_at, sessions.c.id, before).limit(limit)
    return [from_row(row) for row in await conn.execute(query)]


async def _all_of(conn: AsyncConnection, wallet: str) -> list[Session]:
    """Read in pages: others are served in between."""
    found: list[Session] = []
    while len(found) < CSV_ROWS:
        page = await of_wallet(conn, wallet, CSV_PAGE, found[-1].id if found else None)
        found += page
        if len(page) < CSV_PAGE:
            break
    return found


async def listing(request: web.Request) -> web.StreamResponse:
    """One's own purchases: a page as JSON, or all of them as CSV."""
    services = request.app[SESSIONS]
    wallet = principal_of(request).id
    query = query_of(request, HistoryQuery)
    if request.headers.get("Accept", "").startswith("text/csv"):
        async with services.database.read_replica() as conn:
            everything = await _all_of(conn, wallet)
        # Ten thousand rows take some tenths of a second, which other requests need not wait for.
        return await asyncio.to_thread(_as_csv, everything, services.explorer)
    async with services.database.read_replica() as conn:
        if query.cursor is not None:
            last = await sessions_service.get(conn, query.cursor)
            if last is None or last.wallet_address != wallet:
                raise invalid([FieldError("/cursor", "is none that a page of yours ended with")])
        found = await of_wallet(conn, wallet, query.limit + 1, query.cursor)
    page = found[: query.limit]
    return reply(
        History.model_construct(
            data=[answer(session, services.explorer) for session in page],
            next_cursor=page[-1].id if len(found) > query.limit else None,
        )
    )


async def verify(request: web.Request) -> web.StreamResponse:
    """Look at the chain now."""
    services = request.app[SESSIONS]
    try:
        session, outcome = await services.deliveries.look(request.match_info["id"], owner=principal_of(request).id)
    except ChainError as error:
        raise Problem(
            503,
            "chain_unavailable",
            "The nodes cannot say just now whether it arrived; what was known is kept. Try again in a moment.",
            headers={"Retry-After": "5"},
        ) from error
    if session is None:
        raise not_found("session")
    if isinstance(outcome, Proven):
        session = replace(session, confirmations=outcome.confirmations, agreed_by=list(outcome.agreed_by))
    return reply(
        receipts.proof(
            session, token=services.rules.token, chain_id=services.rules.chain_id, explorer=services.explorer
        )
    )


def _as_csv(found: list[Session], explorer: str | None) -> web.Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for session in found:
        writer.writerow(
            (
                moment(session.created_at), session.id, session.status, session.wallet_address,
                format_units(session.source_minor, FIAT_DECIMALS), session.source_currency,
                _units(session.delivered_units, USDC_DECIMALS), session.destination_currency,
                _units(session.received_units, MUSD_DECIMALS), session.tx_hash or "", session.block_number or "",
                moment(session.paid_at) if session.paid_at else "",
                moment(session.confirmed_at) if session.confirmed_at else "",
                explorer_link(explorer, session.tx_hash) or "",
            )
        )  # fmt: skip
    headers = {"Content-Disposition": 'attachment; filename="musd-purchases.csv"'}
    return web.Response(text=text.getvalue(), content_type="text/csv", charset="utf-8", headers=headers)


def _units(amount: int | None, decimals: int) -> str:
    return "" if amount is None else format_units(amount, decimals)


ROUTES = (
    Route(
        "GET",
        "/api/v1/onramp/sessions",
        listing,
        access="wallet",
        summary="A wallet's own purchases, the newest first.",
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
        summary="Check one's own delivery on the chain now.",
        name="verify_session",
        response=receipts.Proof,
        responses={503: "`chain_unavailable`."},
    ),
)
