"""USDC that arrived, over HTTP: found on its chain it counts at once, otherwise when a second person says so, too."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.arrivals import Arrival
from kit.audit.actor import Actor
from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import not_found
from kit.http.routing import Route
from kit.logs import get_logger
from kit.money import format_units, parse_units
from onramp.auth.roles import ALLOWED_ROLES, Principal
from onramp.treasury.command import Told, carry_out
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.ledger import wallet_of
from onramp.treasury.overview import BASE
from onramp.treasury.schemas import overview as pages
from onramp.treasury.schemas import usdc as shapes
from onramp.treasury.schemas.commands import Note
from onramp.treasury.schemas.settlements import SettlementResponse, settlement
from treasury import rotation
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger import usdc
from treasury.settlements import queries
from treasury.settlements import service as settlements_service
from treasury.settlements.model import Settlement
from treasury.settlements.service import Claim
from treasury.settlements.states import SettlementStatus

log = get_logger(__name__)
_LONGEST: Final = 66
"""Characters of a transaction's hash, which stands for an id here."""


async def _wallets(conn: AsyncConnection, services: TreasuryServices) -> Sequence[str]:
    wallet = wallet_of(services).address
    return [wallet, *await rotation.earlier_wallets(conn, wallet)]


def _may_approve(who: Principal) -> bool:
    return who.role in ALLOWED_ROLES["approver"]


def _facts(row: Settlement) -> dict[str, Any]:
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


def _ring(row: Settlement | None, *, changed: bool) -> None:
    """Tell everybody of USDC that counts, or may soon, on people's word alone."""
    if (
        row is not None
        and changed
        and not row.verified
        and row.status in {SettlementStatus.AWAITING, SettlementStatus.SETTLED}
    ):
        amount = format_units(row.amount, USDC_DECIMALS)
        log.critical(
            "treasury.usdc_settled_unverified",
            subject=row.id,
            tx=row.tx_hash,
            status=row.status,
            amount=amount,
            evidence=row.evidence,
        )


async def _look(services: TreasuryServices, claim: Claim) -> Arrival | None:
    """What the chain of USDC says; None where no node of it is configured. Before the transaction is opened."""
    if services.usdc is None:
        return None
    async with services.database.read() as conn:
        waiting = await usdc.receivable(conn, await _wallets(conn, services))
        ids = [one.session_id for one in waiting if claim.session_id in {None, one.session_id}]
        ids += [] if claim.session_id is None else [claim.session_id]
        recipients = await services.recipients(conn, ids)
    return await services.usdc.find_arrival(claim.tx_hash, recipients)


async def settle_usdc(request: web.Request) -> web.StreamResponse:
    """Clear what is receivable; the same claim again answers what it cleared."""
    order, services = body_of(request, shapes.SettleUsdcOrder), request.app[TREASURY]
    wallet_of(services)
    amount = None if order.amount is None else parse_units(order.amount, USDC_DECIMALS)
    claim = Claim(order.tx_hash.lower(), order.session_id, amount, order.note)
    seen = await _look(services, claim)

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[tuple[Settlement | None, bool, shapes.SettledUsdc], list[Told]]:
        wallets, now = await _wallets(conn, services), services.clock.now()
        was = await usdc.receivable(conn, wallets)
        before = {row.id: row.status for row in await queries.of_transaction(conn, claim.tx_hash)}
        row = await settlements_service.settle(
            conn,
            claim,
            seen,
            Actor(who.id, who.person),
            may_approve=_may_approve(who),
            wallets=wallets,
            now=now,
            ids=services.ids,
        )
        changed = row is not None and before.get(row.id) != row.status
        scope = None if row is None else row.session_id
        cleared = [] if row is not None and not row.counts else await usdc.cleared(conn, wallets, claim.tx_hash, scope)
        left = sum(one.amount for one in await usdc.receivable(conn, wallets))
        answer = shapes.settled(row, cleared, left)
        if row is None or not changed:
            return (row, False, answer), []
        facts = _facts(row) | {"receivable": str(left), "sessions": [one.subject for one in cleared]}
        told = Told(claim.tx_hash, {"receivable": str(sum(one.amount for one in was))}, facts)
        return (row, True, answer), [told]

    row, changed, answer = await carry_out(request, "settle_usdc", claim.tx_hash, work)
    _ring(row, changed=changed)
    return reply(answer)


def _id_of(request: web.Request) -> str:
    row_id = request.match_info["id"]
    if len(row_id) > _LONGEST:
        raise not_found("settlement")
    return row_id.lower() if row_id.startswith("0x") else row_id


async def reverse(request: web.Request) -> web.StreamResponse:
    """Ask that a settlement be taken back; the second person who does takes it back."""
    row_id, note = _id_of(request), body_of(request, Note).note

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[SettlementResponse, list[Told]]:
        row = await settlements_service.reverse(
            conn,
            row_id,
            Actor(who.id, who.person),
            may_approve=_may_approve(who),
            wallets=await _wallets(conn, services),
            note=note,
            now=services.clock.now(),
            ids=services.ids,
        )
        facts = _facts(row) | {"reversalBy": row.reversal_by}
        return settlement(row), [Told(row.tx_hash, None, facts)]

    return reply(await carry_out(request, "reverse_usdc", row_id, work))


async def reject(request: web.Request) -> web.StreamResponse:
    """No to a settlement or a reversal that waits; one person is enough."""
    row_id, note = _id_of(request), body_of(request, Note).note

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[SettlementResponse, list[Told]]:
        row = await settlements_service.reject(
            conn, row_id, Actor(who.id, who.person), may_approve=_may_approve(who), note=note, now=services.clock.now()
        )
        return settlement(row), [Told(row.tx_hash, None, _facts(row))]

    return reply(await carry_out(request, "reject_usdc", row_id, work))


async def list_settlements(request: web.Request) -> web.StreamResponse:
    """The newest first."""
    query = query_of(request, shapes.SettlementQuery)
    async with request.app[TREASURY].database.read() as conn:
        found = await queries.page(conn, limit=query.limit + 1, status=query.status, before=query.before)
    data = [settlement(row) for row in found[: query.limit]]
    return reply(shapes.SettlementPage(data=data, next_cursor=pages.next_cursor(found, query.limit)))


_CONFLICTS = {
    403: "`forbidden`: the second person has to be an approver.",
    404: "No such settlement.",
    409: "`self_approval`, or `not_possible`.",
}
ROUTES = (
    Route(
        "GET",
        BASE + "/settle-usdc",
        list_settlements,
        access="viewer",
        summary="Who says that USDC arrived, and what the chain says of it.",
        name="list_settlements",
        query=shapes.SettlementQuery,
        response=shapes.SettlementPage,
    ),
    Route(
        "POST",
        BASE + "/settle-usdc",
        settle_usdc,
        access="operator",
        summary="Clear USDC that arrived: at once where its chain shows the transfer, else when a second person says so, too.",
        name="settle_usdc",
        body=shapes.SettleUsdcOrder,
        response=shapes.SettledUsdc,
        timeout=40.0,
        responses={
            403: _CONFLICTS[403],
            409: "`insufficient_available`: less is receivable; `self_approval`; `not_possible`.",
        },
    ),
    Route(
        "POST",
        BASE + "/settle-usdc/{id}/reverse",
        reverse,
        access="operator",
        summary="Take a settlement back, by its id or its transaction; two persons have to ask.",
        name="reverse_usdc",
        body=Note,
        body_optional=True,
        response=SettlementResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/settle-usdc/{id}/reject",
        reject,
        access="operator",
        summary="No to a settlement or a reversal that waits; an approver may, and whoever proposed it.",
        name="reject_usdc",
        body=Note,
        body_optional=True,
        response=SettlementResponse,
        responses=_CONFLICTS,
    ),
)
