"""The plan of a command over HTTP, and the challenge with which a passkey signs it. The command itself is sent to its own route."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of, field_errors
from kit.http.problems import Problem, invalid, not_found
from kit.http.routing import ROUTE_TABLE, Route
from kit.signed_plans.plan import Plan, PlanFacts
from kit.signed_plans.webauthn import request_options
from onramp.auth.passkeys import challenges, schemas
from onramp.auth.passkeys import service as passkeys_service
from onramp.auth.passkeys.dependencies import PASSKEYS
from onramp.auth.passkeys.party import party_of
from onramp.auth.passkeys.signing import new_nonce, note_of, parameters_of
from onramp.auth.roles import forbidden, may_call, principal_of

ENROL: Final = "passkey.enrol"
ME: Final = "me"
"""The subject of the plan of a further passkey: the person who signs it."""


async def challenge(request: web.Request) -> web.StreamResponse:
    """Return the plan of a command as it would be carried out now, and the challenge that signs it; nothing is decided yet."""
    services, caller, body = request.app[PASSKEYS], principal_of(request), body_of(request, schemas.BeginApproval)
    party, now = party_of(services.address, request), services.clock.now()
    route = _route_of(request, body.action)
    if not may_call(route.access, caller.role):
        raise forbidden(caller.role, route.access)
    note, parameters = _as_command(route, body)
    challenge_id = services.ids.new("pkc_")
    async with services.database.write() as conn:
        mine = await passkeys_service.of_person(conn, caller.person)
        if not mine:
            raise Problem(409, "no_passkey", "You have no passkey. Enrol one first.")
        facts = await services.planners[body.action](conn, body.subject, parameters)
        expires_at = now + challenges.LIFETIME
        plan = Plan(body.action, body.subject, caller.person, facts, note, expires_at, new_nonce(), parameters)
        to_sign = await challenges.add_plan(conn, challenge_id, plan, by=caller.id, now=now)
    allow = [item.credential_id for item in mine]
    return reply(
        schemas.ChallengeResponse(
            id=challenge_id,
            plan=plan.members(),
            sentence=facts.sentence,
            hash="0x" + to_sign.hex(),
            expires_at=rfc3339(expires_at),
            options=request_options(party, challenge=to_sign, allow=allow),
        ),
        status=201,
    )


async def plan_enrolment(_conn: AsyncConnection, subject: str, _parameters: Mapping[str, Any]) -> PlanFacts:
    """Return the plan of a further passkey. Raises Problem 404 for another subject than ME."""
    if subject != ME:
        raise not_found("person")
    return PlanFacts(sentence="Enrol another passkey for yourself")


def _route_of(request: web.Request, action: str) -> Route:
    for route in request.app[ROUTE_TABLE]:
        if route.signed_action == action and action:
            return route
    actions = ", ".join(sorted(request.app[PASSKEYS].planners))
    raise Problem(404, "not_found", f"No such command. Passkeys sign {actions}.")


def _as_command(route: Route, body: schemas.BeginApproval) -> tuple[str, dict[str, Any]]:
    """Return note and parameters as the command will read them from its body. Raises Problem 422."""
    if route.body is None:
        return "", {}
    values = {**body.parameters, **({"note": body.note} if body.note else {})}
    try:
        model = route.body.model_validate(values)
    except ValidationError as error:
        raise invalid([replace(item, pointer=f"/parameters{item.pointer}") for item in field_errors(error)]) from error
    return note_of(model), parameters_of(model)


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/passkeys/challenges",
        challenge,
        access="viewer",
        summary="The plan of a command as it would be carried out now, and the challenge that signs it.",
        name="begin_approval",
        body=schemas.BeginApproval,
        response=schemas.ChallengeResponse,
        status=201,
        responses={404: "No such command, or no such subject.", 409: "`no_passkey` or `passkeys_unavailable`."},
        codes={404: ("not_found",), 409: ("no_passkey", "passkeys_unavailable", "not_possible", "policy_refused")},
        needs_code=False,  # it decides nothing
    ),
)
