"""The policy over HTTP: shown, applied from file and environment, loosened by two persons."""

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.auth.roles import Principal, principal_of
from onramp.treasury import policy_source
from onramp.treasury.command import Told, carry_out, refused
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.overview import BASE, id_of
from onramp.treasury.schemas import policy as shapes
from onramp.treasury.schemas.commands import Note
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service
from treasury.policy.parser import PolicyError
from treasury.policy.states import Terms, VersionStatus
from treasury.policy.version import Version


def _scope(services: TreasuryServices) -> str:
    if services.rules.hot_wallet is None:
        raise not_found("policy")
    return HotWallet(services.rules.chain_id, services.rules.hot_wallet).key


def _facts(row: Version) -> dict[str, Any]:
    return {"status": row.status, "version": row.version, "digest": row.digest, "loosens": list(row.loosens)}


def _terms(services: TreasuryServices) -> Terms:
    try:
        return policy_source.terms_of(services.settings, services.rules)
    except PolicyError as error:
        detail = "The policy file cannot be used; nothing was changed: " + "; ".join(error.problems)
        raise Problem(409, "policy_refused", detail) from error


async def read(request: web.Request) -> web.StreamResponse:
    """The policy that counts, and its versions."""
    services = request.app[TREASURY]
    if services.rules.hot_wallet is None:
        return reply(shapes.policy(None, []))
    async with services.database.read() as conn:
        active = await policy_service.active(conn, _scope(services))
        return reply(shapes.policy(active, await policy_service.history(conn, _scope(services))))


async def apply(request: web.Request) -> web.StreamResponse:
    """Want what file and environment of this service say; the second person who does makes it count."""

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[shapes.VersionResponse, list[Told]]:
        made = await policy_service.propose(
            conn,
            _terms(services),
            Actor(who.id, who.person),
            scope=_scope(services),
            now=services.clock.now(),
            ids=services.ids,
            production=services.settings.is_production,
        )
        return shapes.version(made), [Told(made.id, None, _facts(made))]

    body_of(request, Note)
    return reply(await carry_out(request, "policy_apply", "policy", work))


async def approve(request: web.Request) -> web.StreamResponse:
    """The same, for a version by its id."""
    version_id, note = id_of(request, "policy version"), body_of(request, Note).note

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[shapes.VersionResponse, list[Told]]:
        before = await policy_service.require(conn, version_id)
        after = await policy_service.approve(
            conn,
            version_id,
            Actor(who.id, who.person),
            now=services.clock.now(),
            production=services.settings.is_production,
            note=note,
        )
        return shapes.version(after), [Told(version_id, _facts(before), _facts(after))]

    answer = await carry_out(request, "policy_approve", version_id, work)
    if answer.status == VersionStatus.SUPERSEDED:
        # Closed, and that is kept: the refusal comes after the transaction that wrote it.
        detail = "It was proposed too long ago, or beside another policy; propose it again."
        problem = Problem(409, "policy_refused", detail)
        await refused(request.app[TREASURY], principal_of(request), "policy_approve", version_id, problem)
        raise problem
    return reply(answer)


async def reject(request: web.Request) -> web.StreamResponse:
    """One person is enough to say no."""
    version_id, note = id_of(request, "policy version"), body_of(request, Note).note

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[shapes.VersionResponse, list[Told]]:
        before = await policy_service.require(conn, version_id)
        after = await policy_service.reject(
            conn, version_id, Actor(who.id, who.person), now=services.clock.now(), note=note
        )
        return shapes.version(after), [Told(version_id, _facts(before), _facts(after))]

    return reply(await carry_out(request, "policy_reject", version_id, work))


_CONFLICTS = {409: "`self_approval`, `policy_refused`, or `not_possible`.", 404: "This service pays from no wallet."}
ROUTES = (
    Route(
        "GET",
        BASE + "/policy",
        read,
        access="viewer",
        summary="The policy that counts, and its versions.",
        name="policy",
        response=shapes.PolicyResponse,
    ),
    Route(
        "POST",
        BASE + "/policy/apply",
        apply,
        access="approver",
        summary="Want what file and environment say; what loosens counts when a second person wants it.",
        name="apply_policy",
        body=Note,
        body_optional=True,
        response=shapes.VersionResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/policy/{id}/approve",
        approve,
        access="approver",
        summary="The second person's yes.",
        name="approve_policy",
        body=Note,
        body_optional=True,
        response=shapes.VersionResponse,
        responses=_CONFLICTS,
    ),
    Route(
        "POST",
        BASE + "/policy/{id}/reject",
        reject,
        access="approver",
        summary="No; one person is enough.",
        name="reject_policy",
        body=Note,
        body_optional=True,
        response=shapes.VersionResponse,
        responses=_CONFLICTS,
    ),
)
