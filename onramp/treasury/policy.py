"""The policy over HTTP: shown, applied from file and environment, loosened by two persons."""

from typing import Any

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.treasury import policy_source
from onramp.treasury.command import audited_refusal, command
from onramp.treasury.common import BASE, id_of
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.schemas import policy as schemas
from onramp.treasury.schemas.common import Note
from treasury.core.hot_wallets import HotWallet
from treasury.policy import service as policy_service
from treasury.policy.parser import PolicyError
from treasury.policy.states import Terms, VersionStatus
from treasury.policy.version import Version


async def read_policy(request: web.Request) -> web.StreamResponse:
    """Return the active policy version, and the 50 newest versions, the newest first."""
    services = request.app[TREASURY]
    if services.rules.hot_wallet is None:
        return reply(schemas.policy(None, []))
    async with services.database.read() as conn:
        active = await policy_service.active(conn, _scope(services))
        return reply(schemas.policy(active, await policy_service.history(conn, _scope(services))))


async def apply(request: web.Request) -> web.StreamResponse:
    """Propose the terms in this service's file and environment; the second person who proposes them activates them."""
    services = request.app[TREASURY]
    async with command(request, "policy_apply", "policy") as cmd:
        version = await policy_service.propose(
            cmd.conn,
            current_terms(services),
            cmd.actor,
            scope=_scope(services),
            now=cmd.now(),
            ids=services.ids,
            production=services.settings.is_production,
        )
        cmd.record(version.id, None, _audit_facts(version))
    return reply(schemas.version(version))


async def approve(request: web.Request) -> web.StreamResponse:
    """Approve a proposed version by its id, as the second person."""
    services = request.app[TREASURY]
    version_id, note = id_of(request, "policy version"), body_of(request, Note).note
    async with command(request, "policy_approve", version_id) as cmd:
        before = await policy_service.require(cmd.conn, version_id)
        after = await policy_service.approve(
            cmd.conn, version_id, cmd.actor, now=cmd.now(), production=services.settings.is_production, note=note
        )
        cmd.record(version_id, _audit_facts(before), _audit_facts(after))
    if after.status == VersionStatus.SUPERSEDED:
        # The transaction that closed the version has to be committed, so the refusal comes after it.
        async with audited_refusal(request, "policy_approve", version_id):
            raise Problem(
                409,
                "policy_refused",
                "It was proposed too long ago, or together with another policy; propose it again.",
            )
    return reply(schemas.version(after))


async def reject(request: web.Request) -> web.StreamResponse:
    """Reject a proposed version; one person is enough."""
    version_id, note = id_of(request, "policy version"), body_of(request, Note).note
    async with command(request, "policy_reject", version_id) as cmd:
        before = await policy_service.require(cmd.conn, version_id)
        after = await policy_service.reject(cmd.conn, version_id, cmd.actor, now=cmd.now(), note=note)
        cmd.record(version_id, _audit_facts(before), _audit_facts(after))
    return reply(schemas.version(after))


def _scope(services: TreasuryServices) -> str:
    if services.rules.hot_wallet is None:
        raise not_found("policy")
    return HotWallet(services.rules.chain_id, services.rules.hot_wallet).key


def current_terms(services: TreasuryServices) -> Terms:
    """Return the terms in this service's file and environment. Raises Problem 409 if they cannot be used."""
    try:
        return policy_source.terms_of(services.settings, services.rules)
    except PolicyError as error:
        raise Problem(
            409,
            "policy_refused",
            "The policy file cannot be used; nothing was changed: " + "; ".join(error.problems),
        ) from error


def _audit_facts(row: Version) -> dict[str, Any]:
    return {"status": row.status, "version": row.version, "digest": row.digest, "loosens": list(row.loosens)}


_CONFLICTS = {409: "`self_approval`, `policy_refused`, or `not_possible`.", 404: "This service pays from no wallet."}
_CODES = {404: ("not_found",), 409: ("self_approval", "policy_refused", "not_possible")}
ROUTES = (
    Route(
        "GET",
        BASE + "/policy",
        read_policy,
        access="viewer",
        summary="The active policy and its versions.",
        name="policy",
        response=schemas.PolicyResponse,
    ),
    Route(
        "POST",
        BASE + "/policy/apply",
        apply,
        access="approver",
        summary="Propose the policy in file and environment; looser terms become active when a second person proposes them.",
        name="apply_policy",
        signed_action="policy.apply",
        body=Note,
        body_optional=True,
        response=schemas.VersionResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/policy/{id}/approve",
        approve,
        access="approver",
        summary="Approve a proposed version as the second person.",
        name="approve_policy",
        signed_action="policy.approve",
        body=Note,
        body_optional=True,
        response=schemas.VersionResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
    Route(
        "POST",
        BASE + "/policy/{id}/reject",
        reject,
        access="approver",
        summary="Reject a proposed version; one person is enough.",
        name="reject_policy",
        signed_action="policy.reject",
        body=Note,
        body_optional=True,
        response=schemas.VersionResponse,
        responses=_CONFLICTS,
        codes=_CODES,
    ),
)
