"""Payouts over HTTP: shown, and decided about by persons."""

from typing import Any

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import not_found
from kit.http.routing import Route
from kit.logs import bind, get_logger
from onramp.auth.roles import principal_of
from onramp.treasury.command import Command, audited_refusal, command
from onramp.treasury.common import BASE, id_of, page_with_history
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import payouts as schemas
from onramp.treasury.schemas.common import Note, PageQuery
from treasury import paid_elsewhere
from treasury.core import history
from treasury.pause import service as pause_service
from treasury.payouts import approvals, queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout

log = get_logger(__name__)


async def list_payouts(request: web.Request) -> web.StreamResponse:
    """Return a page of payouts, the newest first."""
    return reply(schemas.PayoutPage(**await page_with_history(request, queue.page, schemas.payout)))


async def read_payout(request: web.Request) -> web.StreamResponse:
    """Return one payout with its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await payouts_service.get(conn, id_of(request, "payout"))
        if row is None:
            raise not_found("payout")
        row = (await queue.leadership(conn)).with_reason(row)
        return reply(schemas.payout(row, await history.of(conn, row.id)))


async def approve(request: web.Request) -> web.StreamResponse:
    """Approve a payout that is above a limit, or held for screening."""
    payout_id, note = id_of(request, "payout"), body_of(request, Note).note
    async with command(request, "payout_approve", payout_id) as cmd:
        before = await _load(cmd, payout_id)
        await pause_service.require(cmd.conn, "payouts")
        after = await approvals.approve(cmd.conn, payout_id, cmd.actor, now=cmd.now(), note=note)
        response = await _record(cmd, before, after)
    return _logged(request, "payout.approve", response)


async def reject(request: web.Request) -> web.StreamResponse:
    """Reject a payout; the buyer is unpaid until it is retried or settled."""
    payout_id, note = id_of(request, "payout"), body_of(request, Note).note
    async with command(request, "payout_reject", payout_id) as cmd:
        before = await _load(cmd, payout_id)
        after = await approvals.reject(cmd.conn, payout_id, cmd.actor, now=cmd.now(), note=note)
        response = await _record(cmd, before, after)
    return _logged(request, "payout.reject", response)


async def retry(request: web.Request) -> web.StreamResponse:
    """Propose another attempt at a payout; the proposal of a second person starts it."""
    payout_id, note = id_of(request, "payout"), body_of(request, Note).note
    async with command(request, "payout_retry", payout_id) as cmd:
        before = await _load(cmd, payout_id)
        await pause_service.require(cmd.conn, "payouts")
        wallet = cmd.services.rules.hot_wallet
        after = await approvals.retry(cmd.conn, payout_id, cmd.actor, wallet=wallet, now=cmd.now(), note=note)
        response = await _record(cmd, before, after)
    return _logged(request, "payout.retry", response)


async def settle(request: web.Request) -> web.StreamResponse:
    """Close a payout that was made good elsewhere; the chain is read before the transaction opens."""
    services, payout_id = request.app[TREASURY], id_of(request, "payout")
    settlement = body_of(request, schemas.SettlePayoutRequest)
    proven = None
    if settlement.tx_hash is not None:
        async with services.database.read() as conn:
            payout = await approvals.require(conn, payout_id)
        async with audited_refusal(request, "payout_settle", payout_id):
            proven = await paid_elsewhere.prove_payment(services.pool, payout, settlement.tx_hash.lower())
    async with command(request, "payout_settle", payout_id) as cmd:
        before = await _load(cmd, payout_id)
        after = await paid_elsewhere.settle(
            cmd.conn, payout_id, cmd.actor, now=cmd.now(), note=settlement.note, proven=proven
        )
        response = await _record(cmd, before, after)
    return _logged(request, "payout.settle", response)


async def _load(cmd: Command, payout_id: str) -> Payout:
    """Return the payout, and add its session's id to the log lines of this request. Raises Problem `not_found`."""
    payout = await approvals.require(cmd.conn, payout_id)
    bind(session=payout.session_id)
    return payout


async def _record(cmd: Command, before: Payout, after: Payout) -> schemas.PayoutResponse:
    """Record the change for the audit log; return the response for the payout."""
    cmd.record(after.id, _audit_facts(before), _audit_facts(after))
    return schemas.payout(after, await history.of(cmd.conn, after.id))


def _audit_facts(row: Payout) -> dict[str, Any]:
    return {
        "status": row.status,
        "txHash": row.tx_hash,
        "retryBy": row.retry_by,
        "approvedBy": row.approved_by,
        "clearedBy": row.cleared_by,
    }


def _logged(request: web.Request, event: str, payout: schemas.PayoutResponse) -> web.Response:
    log.info(event, operation=payout.id, key=principal_of(request).id, status=payout.status, reason=payout.reason)
    return reply(payout)


_CONFLICTS = {409: "`not_possible`: its state does not allow it; `paused`; `self_approval`."}
_CODES = {409: ("not_possible", "paused", "self_approval")}
ROUTES = (
    Route(
        "GET",
        BASE + "/payouts",
        list_payouts,
        access="viewer",
        summary="What buyers are owed, the newest first.",
        name="list_payouts",
        query=PageQuery,
        response=schemas.PayoutPage,
    ),
    Route(
        "GET",
        BASE + "/payouts/{id}",
        read_payout,
        access="viewer",
        summary="One payout with its history.",
        name="read_payout",
        response=schemas.PayoutResponse,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/approve",
        approve,
        access="approver",
        summary="Approve a payout that waits for a person.",
        name="approve_payout",
        signed_action="payout.approve",
        body=Note,
        body_optional=True,
        response=schemas.PayoutResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/reject",
        reject,
        access="approver",
        summary="Reject a payout that has no nonce yet.",
        name="reject_payout",
        signed_action="payout.reject",
        body=Note,
        body_optional=True,
        response=schemas.PayoutResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/retry",
        retry,
        access="approver",
        summary="Try a reverted or rejected payout again; two persons have to ask for it.",
        name="retry_payout",
        signed_action="payout.retry",
        body=Note,
        body_optional=True,
        response=schemas.PayoutResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/payouts/{id}/settle",
        settle,
        access="approver",
        summary="Close a reverted or rejected payout that was made good elsewhere.",
        name="settle_payout",
        signed_action="payout.settle",
        body=schemas.SettlePayoutRequest,
        response=schemas.PayoutResponse,
        responses={409: "`not_possible`, or `not_settled`: the chain does not prove that transfer."},
        codes={409: ("not_possible", "not_settled")},
    ),
)
