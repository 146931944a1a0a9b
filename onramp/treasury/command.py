"""What all orders have in common: one transaction with its audit row, and a row for an order that was refused."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.http.problems import Problem
from onramp.auth.roles import Principal, principal_of
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service

Result = TypeVar("Result")
_MAX_SUBJECT = 80


@dataclass(frozen=True, slots=True)
class Told:
    """What an order changed, for the trail."""

    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


async def carry_out(
    request: web.Request,
    action: str,
    subject: str,
    work: Callable[[AsyncConnection, TreasuryServices, Principal], Awaitable[tuple[Result, list[Told]]]],
) -> Result:
    """Run an order in one transaction, with a row of the trail for each thing that it changed, and the version of the policy it was given under.

    One that is refused changes nothing, and leaves a row that says who tried what and why not.
    """
    services, who = request.app[TREASURY], principal_of(request)
    try:
        async with services.database.write() as conn:
            version = await _policy_version(conn, services)
            result, told = await work(conn, services, who)
            now = services.clock.now()
            for one in told:
                await audit_service.record(
                    conn,
                    who.id,
                    f"treasury.{action}",
                    one.subject,
                    one.before,
                    one.after,
                    at=now,
                    policy_version=version,
                )
    except Problem as problem:
        if problem.status == 409:
            await refused(services, who, action, subject, problem)
        raise
    return result


async def refused(services: TreasuryServices, who: Principal, action: str, subject: str, problem: Problem) -> None:
    """A row for an order that was not carried out."""
    async with services.database.write() as conn:
        await audit_service.record(
            conn,
            who.id,
            f"treasury.{action}_refused",
            subject[:_MAX_SUBJECT],
            None,
            {"code": problem.code},
            at=services.clock.now(),
            policy_version=await _policy_version(conn, services),
        )


async def _policy_version(conn: AsyncConnection, services: TreasuryServices) -> int | None:
    """The active one; None where this service pays from no wallet, or before its first start with a policy."""
    if services.rules.hot_wallet is None:
        return None
    active = await policy_service.active(conn, HotWallet(services.rules.chain_id, services.rules.hot_wallet).key)
    return None if active is None else active.version
