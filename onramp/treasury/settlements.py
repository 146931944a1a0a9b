"""Settlements of USDC over HTTP: a transfer that its chain shows counts at once; otherwise a second person confirms it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.arrivals import Arrival
from kit.alarms import service as alarms_service
from kit.db.paging import next_cursor
from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import not_found
from kit.http.routing import Route
from kit.money import format_units, parse_units
from onramp.auth.roles import Principal, may_call
from onramp.treasury.command import command
from onramp.treasury.common import BASE, wallet_of
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.schemas import settlements as schemas
from onramp.treasury.schemas.common import Note
from treasury import wallet_rotation
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger import usdc
from treasury.settlements import queries
from treasury.settlements import service as settlements_service
from treasury.settlements.model import Settlement
from treasury.settlements.service import Claim
from treasury.settlements.states import SettlementStatus

_MAX_ID_LENGTH: Final = 66
"""The length of a transaction hash, which these routes also accept as an id."""


async def list_settlements(request: web.Request) -> web.StreamResponse:
    """Return a page of settlements, the newest first."""
    query = query_of(request, schemas.SettlementQuery)
    async with request.app[TREASURY].database.read() as conn:
        rows = await queries.page(conn, limit=query.limit + 1, status=query.status, before=query.before)
    data = [schemas.settlement(row) for row in rows[: query.limit]]
    return reply(schemas.SettlementPage(data=data, next_cursor=next_cursor(rows, query.limit)))


async def settle_usdc(request: web.Request) -> web.StreamResponse:
    """Clear receivable USDC by a claim; the same claim again returns the postings that it cleared."""
    body, services = body_of(request, schemas.SettleUsdcRequest), request.app[TREASURY]
    wallet_of(services)
    amount = None if body.amount is None else parse_units(body.amount, USDC_DECIMALS)
    claim = Claim(body.tx_hash.lower(), body.session_id, amount, body.note)
    arrival = await _read_arrival(services, claim)
    async with command(request, "settle_usdc", claim.tx_hash) as cmd:
        conn = cmd.conn
        wallets, now = await _wallets(conn, services), cmd.now()
        receivable_before = await usdc.receivable(conn, wallets)
        statuses_before = {row.id: row.status for row in await queries.of_transaction(conn, claim.tx_hash)}
        row = await settlements_service.settle(
            conn,
            claim,
            arrival,
            cmd.actor,
            may_approve=_may_approve(cmd.caller),
            wallets=wallets,
            now=now,
            ids=services.ids,
        )
        session_id = None if row is None else row.session_id
        is_waiting = row is not None and not row.counts
        cleared = [] if is_waiting else await usdc.cleared(conn, wallets, claim.tx_hash, session_id)
        remaining = sum(receivable.amount for receivable in await usdc.receivable(conn, wallets))
        response = schemas.settled(row, cleared, remaining)
        has_changed = row is not None and statuses_before.get(row.id) != row.status
        if row is not None and has_changed:
            before = {"receivable": str(sum(receivable.amount for receivable in receivable_before))}
            sessions = [posting.subject for posting in cleared]
            after = _audit_facts(row) | {"receivable": str(remaining), "sessions": sessions}
            cmd.record(claim.tx_hash, before, after)
            await _alarm_if_unverified(conn, row, now)
    return reply(response)


async def reverse(request: web.Request) -> web.StreamResponse:
    """Propose to reverse a settlement; the proposal of a second person reverses it."""
    services, row_id, note = request.app[TREASURY], _id_of(request), body_of(request, Note).note
    async with command(request, "reverse_usdc", row_id) as cmd:
        row = await settlements_service.reverse(
            cmd.conn,
            row_id,
            cmd.actor,
            may_approve=_may_approve(cmd.caller),
            wallets=await _wallets(cmd.conn, services),
            note=note,
            now=cmd.now(),
            ids=services.ids,
        )
        cmd.record(row.tx_hash, None, _audit_facts(row) | {"reversalBy": row.reversal_by})
    return reply(schemas.settlement(row))


async def reject(request: web.Request) -> web.StreamResponse:
    """Reject a settlement or a reversal that waits; one person is enough."""
    row_id, note = _id_of(request), body_of(request, Note).note
    async with command(request, "reject_usdc", row_id) as cmd:
        row = await settlements_service.reject(
            cmd.conn, row_id, cmd.actor, may_approve=_may_approve(cmd.caller), note=note, now=cmd.now()
        )
        cmd.record(row.tx_hash, None, _audit_facts(row))
    return reply(schemas.settlement(row))


async def _read_arrival(services: TreasuryServices, claim: Claim) -> Arrival | None:
    """Return what the chain of USDC shows of a claim; None if no node of it is configured."""
    if services.usdc is None:
        return None
    async with services.database.read() as conn:
        receivable = await usdc.receivable(conn, await _wallets(conn, services))
        ids = [row.session_id for row in receivable if claim.session_id in {None, row.session_id}]
        ids += [] if claim.session_id is None else [claim.session_id]
        recipients = await services.recipients(conn, ids)
    return await services.usdc.find_arrival(claim.tx_hash, recipients)


async def _wallets(conn: AsyncConnection, services: TreasuryServices) -> Sequence[str]:
    wallet = wallet_of(services).address
    return [wallet, *await wallet_rotation.earlier_wallets(conn, wallet)]


def _may_approve(caller: Principal) -> bool:
    return may_call("approver", caller.role)


def _id_of(request: web.Request) -> str:
    row_id = request.match_info["id"]
    if len(row_id) > _MAX_ID_LENGTH:
        raise not_found("settlement")
    return row_id.lower() if row_id.startswith("0x") else row_id


async def _alarm_if_unverified(conn: AsyncConnection, row: Settlement, now: datetime) -> None:
    """Raise the alarm for USDC that counts as settled, or may soon, only because persons say so."""
    if not row.verified and row.status in {SettlementStatus.AWAITING, SettlementStatus.SETTLED}:
        await alarms_service.raise_again_in(
            conn,
            "treasury.usdc_settled_unverified",
            row.id,
            now,
            tx=row.tx_hash,
            session=row.session_id,
            status=row.status,
            amount=format_units(row.amount, USDC_DECIMALS),
            evidence=row.evidence,
        )


def _audit_facts(row: Settlement) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "amount": str(row.amount),
        "sessionId": row.session_id,
        "verified": row.verified,
        "evidence": row.evidence,
        "proposedBy": row.asked_by,
        "note": row.note,
    }


_CONFLICTS = {
    403: "`forbidden`: the second person has to be an approver.",
    404: "No such settlement.",
    409: "`self_approval`, or `not_possible`.",
}
_CODES = {403: ("forbidden",), 404: ("not_found",), 409: ("self_approval", "not_possible")}
ROUTES = (
    Route(
        "GET",
        BASE + "/settle-usdc",
        list_settlements,
        access="viewer",
        summary="Claims that USDC arrived, and what its chain shows.",
        name="list_settlements",
        query=schemas.SettlementQuery,
        response=schemas.SettlementPage,
    ),
    Route(
        "POST",
        BASE + "/settle-usdc",
        settle_usdc,
        access="operator",
        summary="Clear USDC that arrived: at once if its chain shows the transfer, else when a second person confirms it.",
        name="settle_usdc",
        signed_action="usdc.settle",
        body=schemas.SettleUsdcRequest,
        response=schemas.SettledUsdc,
        timeout=40.0,
        responses={
            403: _CONFLICTS[403],
            409: "`insufficient_available`: less is receivable; `self_approval`; `not_possible`.",
        },
        codes={403: ("forbidden",), 409: ("insufficient_available", "self_approval", "not_possible")},
    ),
    Route(
        "POST",
        BASE + "/settle-usdc/{id}/reverse",
        reverse,
        access="operator",
        summary="Reverse a settlement, by its id or its transaction; two persons have to ask for it.",
        name="reverse_usdc",
        signed_action="usdc.reverse",
        body=Note,
        body_optional=True,
        response=schemas.SettlementResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/settle-usdc/{id}/reject",
        reject,
        access="operator",
        summary="Reject a settlement or a reversal that waits: an approver, or the person who proposed it.",
        name="reject_usdc",
        signed_action="usdc.reject",
        body=Note,
        body_optional=True,
        response=schemas.SettlementResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
)
