"""Verify the passkey of a command inside the command's transaction: the plan is made again, and has to be the one that was signed."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.audit import service as audit_service
from kit.http.parsing import BODY
from kit.http.problems import Problem
from kit.http.routing import ROUTE
from kit.logs import get_logger
from kit.signed_plans import service as signed_plans_service
from kit.signed_plans.plan import Plan, plan_hash
from kit.signed_plans.webauthn import (
    Asserted,
    ClonedAuthenticator,
    RelyingParty,
    WebAuthnRefused,
    encode,
    verify_assertion,
)
from onramp.auth.passkey_header import ASSERTION, Assertion
from onramp.auth.passkeys import challenges, refusals
from onramp.auth.passkeys import service as passkeys_service
from onramp.auth.passkeys.dependencies import PASSKEYS, PasskeyServices
from onramp.auth.passkeys.party import party_of
from onramp.auth.passkeys.table import ChallengeKind
from onramp.auth.roles import Principal, principal_of

log = get_logger(__name__)
CLONED: Final = "passkeys.cloned"
"""The alarm for a passkey whose counter did not grow."""
SIGN: Final = "passkey.sign"
"""The audit action that links a signature into the hash chain."""


class ClonedPasskey(Problem):
    """The refusal of a passkey that may have been cloned; the alarm is raised once the transaction is rolled back."""

    def __init__(self, passkey_id: str, person: str) -> None:
        problem = refusals.cloned()
        super().__init__(problem.status, problem.code, problem.detail, headers=problem.headers)
        self.passkey_id = passkey_id
        self.person = person


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was stored with this command."""

    id: str
    plan_hash: str


def parameters_of(body: BaseModel | None) -> dict[str, Any]:
    """Return the fields of a command's body except its note, as they are part of the plan."""
    return {} if body is None else body.model_dump(mode="json", by_alias=True, exclude={"note"})


def note_of(body: BaseModel | None) -> str:
    """Return the note of a command's body; empty if it has none."""
    return str(getattr(body, "note", None) or "")


async def sign(conn: AsyncConnection, request: web.Request, subject: str) -> Signed | None:
    """Verify the request's passkey for this subject and store the signature; None if the request has none.

    Call it in the command's transaction before anything is changed. Raises Problem 401 for a signature that does not count, and
    409 `plan_changed`.
    """
    assertion = request.get(ASSERTION)
    if assertion is None:
        return None
    services, caller, body = request.app[PASSKEYS], principal_of(request), request.get(BODY)
    action, now = request[ROUTE].signed_action, services.clock.now()
    row = await challenges.find(conn, assertion.challenge, ChallengeKind.APPROVAL, caller.person, now)
    if (row.action, row.subject) != (action, subject):
        raise refusals.invalid("This challenge was made for another command.")
    parameters = parameters_of(body)
    facts = await services.planners[action](conn, subject, parameters)
    plan = Plan(action, subject, caller.person, facts, note_of(body), row.expires_at, row.nonce, parameters)
    if plan.text() != row.plan_text:
        raise refusals.plan_changed()
    party = party_of(services.address, request)
    passkey, asserted = await _verify(conn, assertion, caller, plan.text(), party, services)
    await challenges.take(conn, row.id, now)
    if not await passkeys_service.use(
        conn, passkey.id, before=passkey.sign_count, after=asserted.sign_count, backed_up=asserted.backed_up, now=now
    ):
        raise refusals.expired()
    return await _store(conn, services, assertion, caller, plan, passkey, party)


@asynccontextmanager
async def signed_command(request: web.Request, subject: str) -> AsyncIterator[tuple[AsyncConnection, Signed | None]]:
    """Run a command in one transaction that begins with its passkey, if the request has one; yield both.

    A passkey that may have been cloned rolls everything back and raises an alarm.
    """
    services = request.app[PASSKEYS]
    try:
        async with services.database.write() as conn:
            yield conn, await sign(conn, request, subject)
    except ClonedPasskey as refused:
        await raise_cloned(services, refused)
        raise


async def raise_cloned(services: PasskeyServices, refused: ClonedPasskey) -> None:
    """Raise the alarm for a passkey that may have been cloned, in a transaction of its own."""
    async with services.database.write() as conn:
        now = services.clock.now()
        await alarms_service.raise_again_in(conn, CLONED, refused.passkey_id, now, person=refused.person)


async def _verify(
    conn: AsyncConnection,
    assertion: Assertion,
    caller: Principal,
    text: str,
    party: RelyingParty,
    services: PasskeyServices,
) -> tuple[Any, Asserted]:
    passkey = await passkeys_service.row_of_credential(conn, str(assertion.credential.get("id", "")))
    if passkey is None or passkey.removed_at is not None:
        raise refusals.invalid("This passkey is not enrolled here, or was removed.")
    if passkey.person != caller.person:
        raise refusals.invalid("This passkey is another person's.")
    if not signed_plans_service.passkey_is_sealed(services.ring, passkey):
        log.error("passkeys.row_changed", passkey=passkey.id)
        raise refusals.invalid("The row of this passkey was not written by this service.")
    try:
        asserted = verify_assertion(
            assertion.credential,
            challenge=plan_hash(text),
            party=party,
            credential_id=passkey.credential_id,
            public_key=passkey.public_key,
            sign_count=passkey.sign_count,
        )
    except ClonedAuthenticator as refused:
        log.error("passkeys.counter_went_back", passkey=passkey.id, reason=str(refused))
        raise ClonedPasskey(passkey.id, passkey.person) from refused
    except WebAuthnRefused as refused:
        log.warning("passkeys.refused", passkey=passkey.id, reason=str(refused))
        raise refusals.invalid("The passkey's signature is not valid for this plan at this address.") from refused
    return passkey, asserted


async def _store(
    conn: AsyncConnection,
    services: PasskeyServices,
    assertion: Assertion,
    caller: Principal,
    plan: Plan,
    passkey: Any,
    party: RelyingParty,
) -> Signed:
    """Store the signature, and the audit row that links it into the hash chain."""
    text, now = plan.text(), services.clock.now()
    digest = "0x" + plan_hash(text).hex()
    values: Mapping[str, Any] = {
        "id": assertion.challenge,
        "action": plan.action,
        "subject": plan.subject,
        "person": caller.person,
        "actor": caller.id,
        "caller_role": caller.role,
        "passkey_id": passkey.id,
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "plan_text": text,
        "plan_hash": digest,
        "rp_id": party.rp_id,
        "origin": party.origins[0],
        "credential": orjson.dumps(dict(assertion.credential)).decode(),
    }
    seal = await signed_plans_service.store(conn, services.ring, values, now)
    after = {
        "signature": assertion.challenge,
        "action": plan.action,
        "planHash": digest,
        "passkey": passkey.id,
        "seal": seal,
    }
    await audit_service.record(conn, caller.id, SIGN, plan.subject, None, after, at=now)
    return Signed(assertion.challenge, digest)


def new_nonce() -> str:
    """Return 128 random bits, which make each plan unlike every other."""
    return encode(os.urandom(16))
