"""Sweeps over HTTP: planned, proposed, approved by another person, rejected; and the panic that empties the hot wallet."""

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem
from kit.http.routing import Route
from onramp.treasury.command import Command, audited_refusal, command
from onramp.treasury.common import BASE, gas_last, id_of, page_with_history
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.schemas import sweeps as schemas
from onramp.treasury.schemas.common import Note, PageQuery
from treasury.cold.identity import Verified
from treasury.core import history
from treasury.core.assets import MUSD_DECIMALS
from treasury.pause import service as pause_service
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.proposals import SweepProposals, proven
from treasury.sweeps.states import SweepKind


async def list_sweeps(request: web.Request) -> web.StreamResponse:
    """Return a page of sweeps, the newest first."""
    return reply(schemas.SweepPage(**await page_with_history(request, sweeps_service.page, schemas.sweep)))


async def read_sweep(request: web.Request) -> web.StreamResponse:
    """Return one sweep with its history."""
    async with request.app[TREASURY].database.read() as conn:
        row = await sweeps_service.require(conn, id_of(request, "sweep"))
        return reply(await _response(conn, row))


async def read_plan(request: web.Request) -> web.StreamResponse:
    """Return for each asset the sweep of the excess that would be proposed now."""
    services = request.app[TREASURY]
    plans = []
    if services.orders is not None and services.policy is not None:
        proposals = services.orders
        async with services.database.read() as conn:
            for asset in [policy.symbol for policy in gas_last(await services.policy.assets(conn))]:
                try:
                    plan = await proposals.plan(conn, asset, None, now=services.clock.now())
                    plans.append(schemas.plan(plan, proposals.cold.pin.address))
                except Problem as problem:
                    plans.append(schemas.refused_plan(asset, problem))
    return reply(schemas.PlanList(data=plans, next_cursor=None))


async def propose(request: web.Request) -> web.StreamResponse:
    """Propose a sweep; in a dry run, only return its plan."""
    services, sweep = request.app[TREASURY], body_of(request, schemas.ProposeSweepRequest)
    proposals, verdict = await _verify_cold_wallet(request, "sweep_propose", sweep.asset)
    if sweep.dry_run:
        async with services.database.read() as conn:
            await pause_service.require(conn, "sweeps")
            amount = await _base_units(conn, services, sweep)
            plan = await proposals.plan(conn, sweep.asset, amount, now=services.clock.now())
        return reply(schemas.plan(plan, proposals.cold.pin.address))
    async with command(request, "sweep_propose", sweep.asset) as cmd:
        await pause_service.require(cmd.conn, "sweeps")
        now, amount = cmd.now(), await _base_units(cmd.conn, services, sweep)
        row = await proposals.sweep(cmd.conn, sweep.asset, amount, verdict, cmd.actor, now=now)
        response = await _response(cmd.conn, row)
        cmd.record(row.id, None, _audit_facts(row))
    return reply(response, status=201, headers={"Location": f"{BASE}/sweeps/{response.id}"})


async def panic(request: web.Request) -> web.StreamResponse:
    """Propose to empty the hot wallet; another person approves each asset like a sweep, even while everything is paused."""
    proposals, verdict = await _verify_cold_wallet(request, "panic", "hot_wallet")
    async with command(request, "panic", "hot_wallet") as cmd:
        rows = await proposals.panic(cmd.conn, verdict, cmd.actor, now=cmd.now())
        data = [await _response(cmd.conn, row) for row in rows]
        for row in rows:
            cmd.record(row.id, None, _audit_facts(row))
    return reply(schemas.SweepList(data=data, next_cursor=None), status=201)


async def approve(request: web.Request) -> web.StreamResponse:
    """Approve, as another person, exactly the sweep that was proposed."""
    services, sweep_id, note = request.app[TREASURY], id_of(request, "sweep"), body_of(request, Note).note
    async with services.database.read() as conn:
        await sweeps_service.require(conn, sweep_id)
    proposals, verdict = await _verify_cold_wallet(request, "sweep_approve", sweep_id)
    async with command(request, "sweep_approve", sweep_id) as cmd:
        before = await sweeps_service.require(cmd.conn, sweep_id)
        if before.kind is not SweepKind.PANIC:
            await pause_service.require(cmd.conn, "sweeps")
        version = "" if services.policy is None else await services.policy.version(cmd.conn)
        after = await proposals.approve(cmd.conn, sweep_id, verdict, version, cmd.actor, now=cmd.now(), note=note)
        response = await _record(cmd, before, after)
    return reply(response)


async def reject(request: web.Request) -> web.StreamResponse:
    """Reject a sweep that has no nonce yet."""
    sweep_id, note = id_of(request, "sweep"), body_of(request, Note).note
    async with command(request, "sweep_reject", sweep_id) as cmd:
        before = await sweeps_service.require(cmd.conn, sweep_id)
        after = await approvals.reject(cmd.conn, sweep_id, cmd.actor, now=cmd.now(), note=note)
        response = await _record(cmd, before, after)
    return reply(response)


async def _verify_cold_wallet(request: web.Request, action: str, subject: str) -> tuple[SweepProposals, Verified]:
    """Return the sweep proposals and the proof of the cold wallet; nodes are asked, so call it before a transaction opens.

    A refusal is written to the audit log. Raises Problem `cold_wallet_unverified` if no cold wallet is pinned, or the proof fails.
    """
    async with audited_refusal(request, action, subject):
        proposals = request.app[TREASURY].orders
        if proposals is None:
            raise Problem(
                409,
                "cold_wallet_unverified",
                "No cold wallet is pinned, so nothing can be swept: set COLD_SAFE_ADDRESS and COLD_SAFE_OWNERS.",
            )
        verdict = proven(await proposals.cold.verify())
    return proposals, verdict


async def _base_units(
    conn: AsyncConnection, services: TreasuryServices, sweep: schemas.ProposeSweepRequest
) -> int | None:
    decimals = {} if services.policy is None else await services.policy.decimals(conn)
    return sweep.units(decimals.get(sweep.asset, MUSD_DECIMALS))


async def _record(cmd: Command, before: Sweep, after: Sweep) -> schemas.SweepResponse:
    """Record the change for the audit log; return the response for the sweep."""
    cmd.record(after.id, _audit_facts(before), _audit_facts(after))
    return await _response(cmd.conn, after)


async def _response(conn: AsyncConnection, row: Sweep) -> schemas.SweepResponse:
    return schemas.sweep(row, await history.of(conn, row.id))


def _audit_facts(row: Sweep) -> dict[str, Any]:
    return {
        "status": row.status,
        "kind": row.kind,
        "asset": row.asset,
        "amount": str(row.amount),
        "to": row.to,
        "policyVersion": row.policy_version,
        "safeIdentity": row.safe_identity,
        "approvedBy": row.approved_by,
    }


_CONFLICTS = {
    409: "`paused`, `policy_refused`, `insufficient_available`, `already_active`, `cold_wallet_unverified`, "
    "`self_approval`, or `not_possible`."
}
_CODES = {
    409: (
        "paused",
        "policy_refused",
        "insufficient_available",
        "already_active",
        "cold_wallet_unverified",
        "self_approval",
        "not_possible",
    )
}
ROUTES = (
    Route(
        "GET",
        BASE + "/sweeps",
        list_sweeps,
        access="viewer",
        summary="Transfers to the cold wallet, the newest first.",
        name="list_sweeps",
        query=PageQuery,
        response=schemas.SweepPage,
    ),
    Route(
        "GET",
        BASE + "/sweeps/{id}",
        read_sweep,
        access="viewer",
        summary="One sweep with its history.",
        name="read_sweep",
        response=schemas.SweepResponse,
    ),
    Route(
        "GET",
        BASE + "/plan",
        read_plan,
        access="viewer",
        summary="What a sweep of the excess would be now, for each asset.",
        name="plan",
        response=schemas.PlanList,
    ),
    Route(
        "POST",
        BASE + "/sweeps",
        propose,
        access="operator",
        summary="Propose a sweep; a dry run returns 200 with the plan.",
        name="propose_sweep",
        signed_action="sweep.propose",
        body=schemas.ProposeSweepRequest,
        response=schemas.ProposeSweepResponse,
        status=201,
        responses={200: "The plan of a dry run.", **_CONFLICTS},
        codes=_CODES,
        same_schema=frozenset({200}),
        dry_run=True,
    ),
    Route(
        "POST",
        BASE + "/sweeps/{id}/approve",
        approve,
        access="approver",
        summary="Approve a sweep that another person proposed.",
        name="approve_sweep",
        signed_action="sweep.approve",
        body=Note,
        body_optional=True,
        response=schemas.SweepResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/sweeps/{id}/reject",
        reject,
        access="approver",
        summary="Reject a sweep that has no nonce yet.",
        name="reject_sweep",
        signed_action="sweep.reject",
        body=Note,
        body_optional=True,
        response=schemas.SweepResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/panic",
        panic,
        access="operator",
        summary="Propose to empty the hot wallet into the cold wallet; approved by another person, even while everything is paused.",
        name="panic",
        signed_action="sweep.panic",
        body=Note,
        body_optional=True,
        response=schemas.SweepList,
        status=201,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
)
