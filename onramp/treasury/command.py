"""Operator commands: one transaction with its audit rows, or one audit row that says why the command was refused."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.audit.actor import Actor
from kit.http.problems import Problem
from onramp.auth.passkeys.signing import Signed, signed_command
from onramp.auth.roles import Principal, principal_of
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service

_MAX_SUBJECT_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Change:
    """One entry for the audit log: the id of what a command changed, and its values before and after."""

    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command in progress: its open transaction, its caller, the signature of its plan, and the changes that it has recorded."""

    conn: AsyncConnection
    services: TreasuryServices
    caller: Principal
    signed: Signed | None = None
    """The signature of the caller's passkey over the plan; None if the request has none."""
    changes: list[Change] = field(default_factory=list)

    @property
    def actor(self) -> Actor:
        """The caller, as histories and the audit log record it."""
        return Actor(self.caller.id, self.caller.person)

    def now(self) -> datetime:
        """Return the current time."""
        return self.services.clock.now()

    def record(self, subject: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        """Remember a change; its audit row is written when the command ends."""
        self.changes.append(Change(subject, before, after))


@asynccontextmanager
async def command(request: web.Request, action: str, subject: str) -> AsyncIterator[Command]:
    """Run a command in one transaction, which begins with the check of its passkey, and write an audit row for each change that it records.

    The rows name the policy version that was active when the command began. A Problem rolls the transaction back; a conflict (409)
    also leaves an audit row with its code, in a transaction of its own.
    """
    services, caller = request.app[TREASURY], principal_of(request)
    try:
        async with signed_command(request, subject[:_MAX_SUBJECT_LENGTH]) as (conn, signed):
            version = await _policy_version(conn, services)
            cmd = Command(conn, services, caller, signed)
            yield cmd
            now = services.clock.now()
            proof = {} if signed is None else {"signature": signed.id, "planHash": signed.plan_hash}
            for change in cmd.changes:
                await audit_service.record(
                    conn,
                    caller.id,
                    f"treasury.{action}",
                    change.subject,
                    change.before,
                    {**change.after, **proof},
                    at=now,
                    policy_version=version,
                )
    except Problem as problem:
        if problem.status == 409:
            await _record_refusal(services, caller, action, subject, problem)
        raise


@asynccontextmanager
async def audited_refusal(request: web.Request, action: str, subject: str) -> AsyncIterator[None]:
    """Write an audit row for any Problem that the block raises: for checks that a command makes before it opens its transaction."""
    try:
        yield
    except Problem as problem:
        await _record_refusal(request.app[TREASURY], principal_of(request), action, subject, problem)
        raise


async def _record_refusal(
    services: TreasuryServices, caller: Principal, action: str, subject: str, problem: Problem
) -> None:
    async with services.database.write() as conn:
        await audit_service.record(
            conn,
            caller.id,
            f"treasury.{action}_refused",
            subject[:_MAX_SUBJECT_LENGTH],
            None,
            {"code": problem.code},
            at=services.clock.now(),
            policy_version=await _policy_version(conn, services),
        )


async def _policy_version(conn: AsyncConnection, services: TreasuryServices) -> int | None:
    """Return the number of the active policy version; None without a hot wallet, or before the first start with a policy."""
    if services.rules.hot_wallet is None:
        return None
    wallet = HotWallet(services.rules.chain_id, services.rules.hot_wallet)
    active = await policy_service.active(conn, wallet.key)
    return None if active is None else active.version
