"""Passkeys over HTTP: enrolled by their person, listed, removed."""

import os
from typing import Final

from aiohttp import web

from kit.audit import service as audit_service
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import Problem
from kit.http.routing import Route
from kit.ids import random_secret
from kit.logs import get_logger
from kit.persons import comparable
from kit.signed_plans.webauthn import WebAuthnRefused, creation_options, verify_registration
from onramp.auth.passkey_header import ASSERTION
from onramp.auth.passkeys import challenges, refusals, schemas
from onramp.auth.passkeys import service as passkeys_service
from onramp.auth.passkeys.approvals import ENROL, ME
from onramp.auth.passkeys.dependencies import PASSKEYS
from onramp.auth.passkeys.party import NAME, party_of
from onramp.auth.passkeys.refusals import SIGNATURE_CODES
from onramp.auth.passkeys.signing import signed_command
from onramp.auth.passkeys.table import ChallengeKind
from onramp.auth.roles import Principal, forbidden, may_call, principal_of

log = get_logger(__name__)
MAX_PASSKEYS: Final = 10
"""The most passkeys that one person may have in use."""
_CHALLENGE_BYTES: Final = 32


async def begin(request: web.Request) -> web.StreamResponse:
    """Begin an enrolment, if the caller proves more than a session or a key: by a code, a passkey, or an admin's permission."""
    services, caller = request.app[PASSKEYS], principal_of(request)
    party, now = party_of(services.address, request), services.clock.now()
    permission = body_of(request, schemas.BeginRegistration).permission
    if permission is None and ASSERTION not in request:
        await _require_code(request, caller)
    challenge, challenge_id = os.urandom(_CHALLENGE_BYTES), services.ids.new("pkr_")
    async with signed_command(request, ME) as (conn, _):
        mine = await passkeys_service.of_person(conn, caller.person)
        if len(mine) >= MAX_PASSKEYS:
            raise Problem(409, "too_many_passkeys", f"You have {MAX_PASSKEYS} passkeys. Remove one first.")
        if permission is not None:
            await challenges.take_permission(conn, permission, caller.person, now)
        expires_at = await challenges.add(
            conn,
            challenge_id,
            ChallengeKind.REGISTRATION,
            person=caller.person,
            challenge=challenge,
            by=caller.id,
            now=now,
        )
    options = creation_options(
        party, service=NAME, person=caller.person, challenge=challenge, exclude=[item.credential_id for item in mine]
    )
    return reply(
        schemas.RegistrationResponse(id=challenge_id, options=options, expires_at=rfc3339(expires_at)), status=201
    )


async def enrol(request: web.Request) -> web.StreamResponse:
    """Enrol the passkey that the browser created for the challenge of `begin`."""
    services, caller, body = request.app[PASSKEYS], principal_of(request), body_of(request, schemas.EnrolPasskey)
    party, now = party_of(services.address, request), services.clock.now()
    async with services.database.write() as conn:
        row = await challenges.find(conn, body.registration, ChallengeKind.REGISTRATION, caller.person, now)
        if row.created_by != caller.id:
            raise refusals.invalid("This enrolment was begun with another key or session.")
        try:
            registered = verify_registration(body.credential, challenge=bytes.fromhex(row.challenge), party=party)
        except WebAuthnRefused as refused:
            log.warning("passkeys.registration_refused", reason=str(refused))
            raise refusals.invalid("The browser's answer is not a valid new passkey for this address.") from refused
        await challenges.take(conn, row.id, now)
        passkey = await passkeys_service.enrol(
            conn,
            services.ring,
            passkey_id=services.ids.new("pky_"),
            person=caller.person,
            name=body.name,
            registered=registered,
            transports=_transports(body.credential),
            by=caller.id,
            now=now,
        )
    return reply(schemas.passkey(passkey), status=201, headers={"Location": f"{BASE}/{passkey.id}"})


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of the caller's passkeys; an admin's page has everybody's."""
    query, caller = query_of(request, schemas.PasskeysQuery), principal_of(request)
    person = None if may_call("admin", caller.role) else caller.person
    async with request.app[PASSKEYS].database.read() as conn:
        rows = await passkeys_service.newest(conn, limit=query.limit + 1, before=query.before, person=person)
    return reply(schemas.listed(rows, query.limit))


async def remove(request: web.Request) -> web.StreamResponse:
    """Take a passkey out of use: one of the caller's, or, for an admin, anybody's."""
    services, caller = request.app[PASSKEYS], principal_of(request)
    async with services.database.write() as conn:
        passkey = await passkeys_service.get(conn, request.match_info["id"])
        if passkey.person != caller.person and not may_call("admin", caller.role):
            raise forbidden(caller.role, "admin")
        removed = await passkeys_service.remove(conn, passkey.id, by=caller.id, now=services.clock.now())
    return reply(schemas.passkey(removed))


async def permit(request: web.Request) -> web.StreamResponse:
    """Let a person enrol a passkey who has nothing to prove themselves with; the secret goes to them by a way that others cannot read."""
    services, caller = request.app[PASSKEYS], principal_of(request)
    person = comparable(body_of(request, schemas.PermitPasskey).person)
    secret, challenge_id, now = (
        random_secret(challenges.PERMISSION_PREFIX),
        services.ids.new("pkp_"),
        services.clock.now(),
    )
    if person == caller.person:
        raise Problem(409, "self_approval", "Another admin has to permit your own enrolment.")
    async with services.database.write() as conn:
        expires_at = await challenges.add(
            conn,
            challenge_id,
            ChallengeKind.PERMISSION,
            person=person,
            challenge=challenges.permission_hash(secret),
            by=caller.id,
            now=now,
            lifetime=challenges.PERMISSION_LIFETIME,
        )
        await audit_service.record(conn, caller.id, "passkey.permit", challenge_id, None, {"person": person}, at=now)
    return reply(
        schemas.PermissionResponse(id=challenge_id, person=person, permission=secret, expires_at=rfc3339(expires_at)),
        status=201,
    )


async def _require_code(request: web.Request, caller: Principal) -> None:
    """Refuse an enrolment that only a key or a session asks for: a thief of either would become the person for good."""
    if not caller.second_factor:
        raise Problem(
            409,
            "proof_required",
            "A key or a session alone enrols no passkey. Sign with a passkey that you have (X-Passkey), enrol a second factor for your key "
            "and send its code (X-OTP), or ask an admin for a permission.",
        )
    await request.app[PASSKEYS].check_code(caller, request.headers.get("X-OTP", ""))


def _transports(credential: dict[str, object]) -> list[str]:
    """Return how the browser says that the device is reached, such as `internal` or `usb`; at most five short words."""
    response = credential.get("response")
    named = response.get("transports") if isinstance(response, dict) else None
    words = named if isinstance(named, list) else []
    return [word for word in words if isinstance(word, str) and len(word) <= 20 and word.isascii()][:5]


BASE: Final = "/api/v1/passkeys"
ROUTES: Final = (
    Route(
        "POST",
        BASE + "/registration",
        begin,
        access="viewer",
        summary="Begin to enrol a passkey of the caller's person.",
        name="begin_passkey",
        body=schemas.BeginRegistration,
        body_optional=True,
        response=schemas.RegistrationResponse,
        status=201,
        responses={
            401: "`otp_required` or `otp_invalid`: the code of the second factor; `passkey_invalid`: the permission.",
            409: "`proof_required`: a key or a session alone enrols nothing; `too_many_passkeys`; `passkeys_unavailable`.",
        },
        codes={
            401: ("otp_required", "otp_invalid", *SIGNATURE_CODES),
            409: ("proof_required", "too_many_passkeys", "passkeys_unavailable", "plan_changed"),
        },
        needs_code=False,  # the handler asks for it, because a permission of an admin is as good
        signed_action=ENROL,
    ),
    Route(
        "POST",
        BASE,
        enrol,
        access="viewer",
        summary="Enrol the passkey that the browser created.",
        name="enrol_passkey",
        body=schemas.EnrolPasskey,
        response=schemas.PasskeyResponse,
        status=201,
        responses={
            401: "`passkey_invalid` or `passkey_expired`.",
            409: "`passkey_enrolled` or `passkeys_unavailable`.",
        },
        codes={401: ("passkey_invalid", "passkey_expired"), 409: ("passkey_enrolled", "passkeys_unavailable")},
        needs_code=False,  # the enrolment was begun with it
    ),
    Route(
        "GET",
        BASE,
        listing,
        access="viewer",
        summary="List the caller's passkeys; an admin's list has everybody's.",
        name="list_passkeys",
        query=schemas.PasskeysQuery,
        response=schemas.PasskeyList,
    ),
    Route(
        "DELETE",
        BASE + "/{id}",
        remove,
        access="viewer",
        summary="Remove a passkey: the caller's own, or, for an admin, anybody's.",
        name="remove_passkey",
        response=schemas.PasskeyResponse,
    ),
    Route(
        "POST",
        "/api/v1/admin/passkeys/permissions",
        permit,
        access="admin",
        summary="Let a person enrol a first passkey who has no second factor, for instance after a loss.",
        name="permit_passkey",
        body=schemas.PermitPasskey,
        response=schemas.PermissionResponse,
        status=201,
        responses={409: "`self_approval`."},
        codes={409: ("self_approval",)},
    ),
)
