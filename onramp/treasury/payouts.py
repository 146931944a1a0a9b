"""What persons decide about payouts, over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem
from kit.http.routing import Route
from kit.logs import bind, get_logger
from onramp.auth.roles import Principal, principal_of
from onramp.treasury.command import Told, carry_out, refused
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.overview import BASE, id_of
from onramp.treasury.schemas import commands, overview
from treasury import paid_elsewhere
from treasury.core import history
from treasury.pause import service as pause_service
from treasury.payouts import approvals
from treasury.payouts.model import Payout

log = get_logger(__name__)
Verb = Callable[[AsyncConnection, TreasuryServices, Principal, str], Awaitable[Payout]]


def _facts(row: Payout) -> dict[str, Any]:
    return {
        "status": row.status,
        "txHash": row.tx_hash,
        "retryBy": row.retry_by,
        "approvedBy": row.approved_by,
        "clearedBy": row.cleared_by,
    }


async def _order(request: web.Request, action: str, verb: Verb) -> web.StreamResponse:
    payout_id = id_of(request, "payout")

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[overview.PayoutResponse, list[Told]]:
        before = await approvals.require(conn, payout_id)
        bind(session=before.session_id)
        after = await verb(conn, services, who, payout_id)
        answer = overview.payout(after, await history.of(conn, payout_id))
        return answer, [Told(payout_id, _facts(before), _facts(after))]

    answer = await carry_out(request, f"payout_{action}", payout_id, work)
    log.info(
        f"payout.{action}",
        operation=payout_id,
        key=principal_of(request).id,
        status=answer.status,
        reason=answer.reason,
    )
    return reply(answer)


async def approve(request: web.Request) -> web.StreamResponse:
    """Let one through that is above a limit, or held for screening."""
    note = body_of(request, commands.Note).note

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, payout_id: str) -> Payout:
        await pause_service.require(conn, "payouts")
        now = services.clock.now()
        return await approvals.approve(conn, payout_id, Actor(who.id, who.person), now=now, note=note)

    return await _order(request, "approve", verb)


async def reject(request: web.Request) -> web.StreamResponse:
    """Say no; the buyer is unpaid until retry or settle."""
    note = body_of(request, commands.Note).note

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, payout_id: str) -> Payout:
        return await approvals.reject(conn, payout_id, Actor(who.id, who.person), now=services.clock.now(), note=note)

    return await _order(request, "reject", verb)


async def retry(request: web.Request) -> web.StreamResponse:
    """Ask for another attempt, or, as the second person, let it happen."""
    note = body_of(request, commands.Note).note

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, payout_id: str) -> Payout:
        await pause_service.require(conn, "payouts")
        now = services.clock.now()
        wallet = services.rules.hot_wallet
        return await approvals.retry(conn, payout_id, Actor(who.id, who.person), wallet=wallet, now=now, note=note)

    return await _order(request, "retry", verb)


async def settle(request: web.Request) -> web.StreamResponse:
    """Close one that was made good elsewhere; the chain is asked before the transaction is opened."""
    services, who = request.app[TREASURY], principal_of(request)
    order, payout_id = body_of(request, commands.SettleOrder), id_of(request, "payout")
    proven = None
    if order.tx_hash is not None:
        async with services.database.read() as conn:
            payout = await approvals.require(conn, payout_id)
        try:
            proven = await paid_elsewhere.prove_payment(services.pool, payout, order.tx_hash.lower())
        except Problem as problem:
            await refused(services, who, "payout_settle", payout_id, problem)
            raise

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, payout_id: str) -> Payout:
        now = services.clock.now()
        return await paid_elsewhere.settle(
            conn, payout_id, Actor(who.id, who.person), now=now, note=order.note, proven=proven
        )

    return await _order(request, "settle", verb)


_CONFLICTS = {409: "`not_possible`: its state does not allow it; `paused`, `self_approval`."}
ROUTES = (
    Route(
        "POST",
        BASE + "/payouts/{id}/approve",
        approve,
        access="approver",
        summary="Let a payout through that waits for a person.",
        name="approve_payout",
        body=commands.Note,
        body_optional=True,
        response=overview.PayoutResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/reject",
        reject,
        access="approver",
        summary="Refuse a payout that has no nonce yet.",
        name="reject_payout",
        body=commands.Note,
        body_optional=True,
        response=overview.PayoutResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/retry",
        retry,
        access="approver",
        summary="Another attempt at one that was reverted or rejected: two persons have to ask for it.",
        name="retry_payout",
        body=commands.Note,
        body_optional=True,
        response=overview.PayoutResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/settle",
        settle,
        access="approver",
        summary="Close one that was reverted or rejected and made good elsewhere.",
        name="settle_payout",
        body=commands.SettleOrder,
        response=overview.PayoutResponse,
        responses={409: "`not_possible`, or `not_settled`: the chain does not prove that transfer."},
    ),
)
