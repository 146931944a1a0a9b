"""Sweeps over HTTP: planned, proposed, approved by another person, rejected; and the panic that empties the wallet."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem
from kit.http.routing import Route
from onramp.auth.roles import Principal, principal_of
from onramp.treasury.command import Told, carry_out, refused
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.overview import BASE, gas_last, id_of
from onramp.treasury.schemas import commands, overview
from treasury.cold.identity import Verified
from treasury.core import history
from treasury.core.assets import MUSD_DECIMALS
from treasury.pause import service as pause_service
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.proposals import SweepProposals, proven
from treasury.sweeps.states import Kind

Verb = Callable[[AsyncConnection, TreasuryServices, Principal, str], Awaitable[Sweep]]


def _facts(row: Sweep) -> dict[str, Any]:
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


def _orders(services: TreasuryServices) -> SweepProposals:
    """Where sweeps come from. Raises Problem `cold_wallet_unverified` where no cold wallet is pinned."""
    if services.orders is None:
        detail = "No cold wallet is pinned, so nothing can be swept: set COLD_SAFE_ADDRESS and COLD_SAFE_OWNERS."
        raise Problem(409, "cold_wallet_unverified", detail)
    return services.orders


async def _verified(request: web.Request, action: str, subject: str) -> tuple[SweepProposals, Verified]:
    """The cold wallet's proof, before any transaction is open; a refusal is written into the trail."""
    services = request.app[TREASURY]
    try:
        orders = _orders(services)
        return orders, proven(await orders.cold.verify())
    except Problem as problem:
        await refused(services, principal_of(request), action, subject, problem)
        raise


async def _shown(conn: AsyncConnection, row: Sweep) -> overview.SweepResponse:
    return overview.sweep(row, await history.of(conn, row.id))


async def read_plan(request: web.Request) -> web.StreamResponse:
    """What an order for the excess would do now, for each asset."""
    services = request.app[TREASURY]
    found = []
    if services.orders is not None and services.policy is not None:
        orders = services.orders
        async with services.database.read() as conn:
            for asset in [one.symbol for one in gas_last(await services.policy.assets(conn))]:
                try:
                    plan = await orders.plan(conn, asset, None, now=services.clock.now())
                    found.append(commands.plan(plan, orders.cold.pin.address))
                except Problem as problem:
                    found.append(commands.no_plan(asset, problem))
    return reply(commands.PlanList(data=found, next_cursor=None))


async def _units(conn: AsyncConnection, services: TreasuryServices, order: commands.SweepOrder) -> int | None:
    known = {} if services.policy is None else await services.policy.decimals(conn)
    return order.units(known.get(order.asset, MUSD_DECIMALS))


async def propose(request: web.Request) -> web.StreamResponse:
    """Propose a sweep, or, as a dry run, say what it would be."""
    services, order = request.app[TREASURY], body_of(request, commands.SweepOrder)
    asset = order.asset
    orders, verdict = await _verified(request, "sweep_propose", asset)
    if order.dry_run:
        async with services.database.read() as conn:
            await pause_service.require(conn, "sweeps")
            plan = await orders.plan(conn, asset, await _units(conn, services, order), now=services.clock.now())
        return reply(commands.plan(plan, orders.cold.pin.address))

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[overview.SweepResponse, list[Told]]:
        await pause_service.require(conn, "sweeps")
        now = services.clock.now()
        amount = await _units(conn, services, order)
        made = await orders.sweep(conn, asset, amount, verdict, Actor(who.id, who.person), now=now)
        return await _shown(conn, made), [Told(made.id, None, _facts(made))]

    answer = await carry_out(request, "sweep_propose", asset, work)
    return reply(answer, status=201, headers={"Location": f"{BASE}/sweeps/{answer.id}"})


async def panic(request: web.Request) -> web.StreamResponse:
    """Propose to empty the hot wallet; each asset is approved like a sweep, even while all is paused."""
    body_of(request, commands.Note)
    orders, verdict = await _verified(request, "panic", "hot_wallet")

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[commands.SweepList, list[Told]]:
        made = await orders.panic(conn, verdict, Actor(who.id, who.person), now=services.clock.now())
        data = [await _shown(conn, row) for row in made]
        return commands.SweepList(data=data, next_cursor=None), [Told(row.id, None, _facts(row)) for row in made]

    return reply(await carry_out(request, "panic", "hot_wallet", work), status=201)


async def _order(request: web.Request, action: str, sweep_id: str, verb: Verb) -> web.StreamResponse:
    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[overview.SweepResponse, list[Told]]:
        before = await sweeps_service.require(conn, sweep_id)
        after = await verb(conn, services, who, sweep_id)
        return await _shown(conn, after), [Told(sweep_id, _facts(before), _facts(after))]

    return reply(await carry_out(request, f"sweep_{action}", sweep_id, work))


async def approve(request: web.Request) -> web.StreamResponse:
    """Another person's yes, to exactly what the row says."""
    sweep_id, note = id_of(request, "sweep"), body_of(request, commands.Note).note
    async with request.app[TREASURY].database.read() as conn:
        await sweeps_service.require(conn, sweep_id)
    orders, verdict = await _verified(request, "sweep_approve", sweep_id)

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, sweep_id: str) -> Sweep:
        if (await sweeps_service.require(conn, sweep_id)).kind is not Kind.PANIC:
            await pause_service.require(conn, "sweeps")
        version = "" if services.policy is None else await services.policy.version(conn)
        now = services.clock.now()
        return await orders.approve(conn, sweep_id, verdict, version, Actor(who.id, who.person), now=now, note=note)

    return await _order(request, "approve", sweep_id, verb)


async def reject(request: web.Request) -> web.StreamResponse:
    """Say no, before it has a nonce."""
    note = body_of(request, commands.Note).note

    async def verb(conn: AsyncConnection, services: TreasuryServices, who: Principal, sweep_id: str) -> Sweep:
        return await approvals.reject(conn, sweep_id, Actor(who.id, who.person), now=services.clock.now(), note=note)

    return await _order(request, "reject", id_of(request, "sweep"), verb)


_CONFLICTS = {
    409: "`paused`, `policy_refused`, `insufficient_available`, `already_active`, `cold_wallet_unverified`, "
    "`self_approval`, or `not_possible`."
}
ROUTES = (
    Route(
        "GET",
        BASE + "/plan",
        read_plan,
        access="viewer",
        summary="What a sweep of the excess would be now, for each asset.",
        name="plan",
        response=commands.PlanList,
    ),
    Route(
        "POST",
        BASE + "/sweeps",
        propose,
        access="operator",
        summary="Propose a sweep; a dry run answers 200 with the plan.",
        name="propose_sweep",
        body=commands.SweepOrder,
        response=commands.OrderResponse,
        status=201,
        responses={200: "The plan of a dry run.", **_CONFLICTS},
        same_schema=frozenset({200}),
        dry_run=True,
    ),
    Route(
        "POST",
        BASE + "/sweeps/{id}/approve",
        approve,
        access="approver",
        summary="Approve what another person proposed.",
        name="approve_sweep",
        body=commands.Note,
        body_optional=True,
        response=overview.SweepResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/sweeps/{id}/reject",
        reject,
        access="approver",
        summary="Reject a sweep that has no nonce yet.",
        name="reject_sweep",
        body=commands.Note,
        body_optional=True,
        response=overview.SweepResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/panic",
        panic,
        access="operator",
        summary="Propose to empty the hot wallet into the cold one; approved by another person, even while all is paused.",
        name="panic",
        body=commands.Note,
        body_optional=True,
        response=commands.SweepList,
        status=201,
        responses=_CONFLICTS,
    ),
)
