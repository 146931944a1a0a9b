"""Commands that must be refused: each has its code, is in the audit trail, and moves nothing."""

from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from onramp.treasury import pause, policy, reconciliation, resolutions, settlements
from onramp.treasury import payouts as payout_routes
from onramp.treasury import sweeps as sweep_routes
from tests.support.operators import BASE, operator_client
from tests.support.service import Service
from tests.support.treasury_rows import money_rows

MODULES = (resolutions, settlements, reconciliation, pause, payout_routes, policy, sweep_routes)
COMMANDS = [route for module in MODULES for route in module.ROUTES if route.method == "POST"]
BELOW = {"operator": ("viewer", "admin"), "approver": ("viewer", "operator", "admin")}
"""The roles that are not sufficient for a route of this role."""
WRONG = [(route, role) for route in COMMANDS for role in BELOW[route.access]]
BODIES: dict[str, Any] = {
    "/sweeps": {"asset": "MUSD", "amount": "excess"},
    "/settle-usdc": {"txHash": "0x" + "1" * 64, "amount": "1"},
}


async def audit_rows(service: Service) -> list[Any]:
    async with service.database.read() as conn:
        return list((await conn.execute(sa.select(entries).order_by(entries.c.id))).fetchall())


def path_of(route: Any) -> str:
    return str(route.path).removeprefix(BASE).replace("{id}", "swp_" + "0" * 32)


def test_every_order_of_the_treasury_is_in_the_table() -> None:
    assert len(COMMANDS) >= 16
    assert {route.access for route in COMMANDS} == set(BELOW)


@pytest.mark.parametrize(("route", "role"), WRONG, ids=[f"{route.name}-{role}" for route, role in WRONG])
async def test_a_caller_without_permission_is_refused_and_audited(service: Service, route: Any, role: Any) -> None:
    someone = await operator_client(service, role, "eve")
    before = await money_rows(service)
    path = path_of(route)
    status, problem = await someone.post(path, BODIES.get(path, {}))
    assert (status, problem["code"]) == (403, "forbidden")
    (found,) = [row for row in await audit_rows(service) if row.action == "api.refused"]
    assert (found.subject, found.new_values["role"], found.new_values["needs"]) == (
        f"{BASE}{path}"[:80],
        role,
        route.access,
    )
    assert found.actor.startswith("key_")
    assert await money_rows(service) == before


@pytest.mark.parametrize("route", COMMANDS, ids=[route.name for route in COMMANDS])
async def test_without_a_key_nothing_happens(service: Service, route: Any) -> None:
    from tests.support.operators import OperatorClient

    before = await money_rows(service)
    status, problem = await OperatorClient(service, None).post(path_of(route), {})
    assert (status, problem["code"]) == (401, "unauthorized")
    assert await money_rows(service) == before


async def test_the_same_attempt_again_is_one_row(service: Service) -> None:
    eve = await operator_client(service, "viewer", "eve")
    for _ in range(5):
        await eve.post("/pause", {"scope": "all"})
    assert len([row for row in await audit_rows(service) if row.action == "api.refused"]) == 1
