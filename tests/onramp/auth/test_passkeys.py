"""Passkeys over real HTTP with an authenticator in software: enrolled with proof, used once, for one plan of one person at one address."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from kit.alarms.table import alarms
from kit.signed_plans import service as signed_plans_service
from kit.signed_plans.table import passkeys, plan_signatures
from onramp.auth.passkeys.table import passkey_challenges
from onramp.bootstrap.app import routes
from onramp.config.loader import load
from onramp.ops.openapi import specification
from tests.support.alarm_world import alarm_notices
from tests.support.api_keys import RING, create_key
from tests.support.authenticator import BASE, USER_PRESENT, Authenticator, Person, as_header, permit
from tests.support.clocks import ManualClock
from tests.support.service_payouts import owe_payout
from treasury.core.facts import OperationFact

PAYOUTS = "/api/v1/treasury/payouts"


@pytest.fixture
async def admin(service: Any) -> str:
    return (await create_key(service.database, "admin", "ada"))[1]


@pytest.fixture
async def eve(service: Any, admin: str) -> Person:
    """An approver with a passkey."""
    _, secret = await create_key(service.database, "approver", "eve")
    person = Person(service, secret)
    await person.enrol(permission=await permit(service, admin, "eve"))
    return person


@pytest.fixture
async def payout(service: Any) -> str:
    """The id of a payout that awaits approval."""
    return await owe_payout(service, OperationFact.APPROVAL_REQUIRED)


async def second_person(service: Any, admin: str, name: str = "bob") -> Person:
    _, secret = await create_key(service.database, "approver", name)
    person = Person(service, secret)
    await person.enrol(permission=await permit(service, admin, name))
    return person


async def test_a_passkey_approves_exactly_the_plan_that_was_shown(service: Any, eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout, note="checked by phone")
    plan = challenge["plan"]
    assert (plan["action"], plan["subject"], plan["person"]) == ("payout.approve", payout, "eve")
    assert plan["note"] == "checked by phone"
    assert challenge["sentence"] == plan["sentence"]
    assert plan["sentence"].startswith("Pay ")
    assert " MUSD to 0x" in plan["sentence"]
    status, shown = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge, {"note": "checked by phone"})
    assert (status, shown["status"]) == (200, "approved")

    async with service.database.read() as conn:
        (signed,) = await signed_plans_service.of_subject(conn, payout)
    signed_plans_service.verify(signed, RING)
    assert (signed.person, signed.caller_role, signed.plan) == ("eve", "approver", plan)
    _, audit = await eve.ask("GET", "/api/v1/treasury/audit")
    row = next(entry for entry in audit["data"] if entry["action"] == "treasury.payout_approve")
    assert (row["after"]["signature"], row["after"]["planHash"]) == (challenge["id"], challenge["hash"])


async def test_the_row_that_approves_cannot_be_changed_or_deleted(service: Any, eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    assert (await eve.command(f"{PAYOUTS}/{payout}/approve", challenge))[0] == 200
    for change in (sa.update(plan_signatures).values(person="bob"), sa.delete(plan_signatures)):
        with pytest.raises(Exception, match="append-only"):
            async with service.database.write() as conn:
                await conn.execute(change)


async def test_a_command_with_a_changed_note_or_body_is_not_the_signed_plan(eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout, note="checked")
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge, {"note": "other"})
    assert (status, refused["code"]) == (409, "plan_changed")
    resume = await eve.challenge("pause.resume", "pause", parameters={"scope": "sales"})
    status, refused = await eve.command("/api/v1/treasury/resume", resume, {"scope": "all"})
    assert (status, refused["code"]) == (409, "plan_changed")


async def test_a_plan_whose_row_changed_is_refused_and_nothing_moves(
    service: Any, admin: str, eve: Person, payout: str
) -> None:
    bob = await second_person(service, admin)
    challenge = await eve.challenge("payout.approve", payout)
    rejection = await bob.challenge("payout.reject", payout)
    assert (await bob.command(f"{PAYOUTS}/{payout}/reject", rejection))[0] == 200
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge)
    assert (status, refused["code"]) == (409, "plan_changed")
    assert (await eve.ask("GET", f"{PAYOUTS}/{payout}"))[1]["status"] == "rejected"


async def test_a_challenge_counts_once_and_for_its_command_alone(service: Any, eve: Person, payout: str) -> None:
    other = await owe_payout(service, OperationFact.APPROVAL_REQUIRED, session="ons_2")
    challenge = await eve.challenge("payout.approve", payout)
    header = eve.device.header(challenge)
    for path in (f"{PAYOUTS}/{other}/approve", f"{PAYOUTS}/{payout}/reject"):
        status, refused = await eve.ask("POST", path, X_Passkey=header)
        assert (status, refused["code"]) == (401, "passkey_invalid"), path
    assert (await eve.ask("POST", f"{PAYOUTS}/{payout}/approve", X_Passkey=header))[0] == 200
    status, refused = await eve.ask("POST", f"{PAYOUTS}/{payout}/approve", X_Passkey=header)
    assert (status, refused["code"]) == (401, "passkey_expired")


async def test_an_expired_challenge_is_refused(service: Any, eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    async with service.database.write() as conn:
        ago = sa.select(passkey_challenges.c.created_at).where(passkey_challenges.c.id == challenge["id"])
        moment = (await conn.execute(ago)).scalar_one()
        await conn.execute(
            sa.update(passkey_challenges).where(passkey_challenges.c.id == challenge["id"]).values(expires_at=moment)
        )
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge)
    assert (status, refused["code"]) == (401, "passkey_expired")


async def test_another_persons_challenge_or_passkey_is_refused(
    service: Any, admin: str, eve: Person, payout: str
) -> None:
    bob = await second_person(service, admin)
    challenge = await eve.challenge("payout.approve", payout)
    path = f"{PAYOUTS}/{payout}/approve"
    status, refused = await bob.ask("POST", path, X_Passkey=eve.device.header(challenge))
    assert (status, refused["code"]) == (401, "passkey_invalid"), "a session of bob with eve's device"
    status, refused = await eve.ask("POST", path, X_Passkey=bob.device.header(challenge))
    assert (status, refused["code"]) == (401, "passkey_invalid"), "a session of eve with bob's device"
    status, refused = await eve.ask("POST", path, X_Passkey=Authenticator().header(challenge))
    assert (status, refused["code"]) == (401, "passkey_invalid"), "a device that is not enrolled"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:1", "https://localhost", "http://localhost.evil.example"]
)
async def test_a_signature_from_another_address_is_refused(eve: Person, payout: str, origin: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    eve.device.origin = origin
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge)
    assert (status, refused["code"]) == (401, "passkey_invalid")


async def test_a_device_that_did_not_check_its_user_is_refused(eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    eve.device.flags = USER_PRESENT
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge)
    assert (status, refused["code"]) == (401, "passkey_invalid")


async def test_a_cloned_passkey_is_refused_and_raises_an_alarm(service: Any, eve: Person, payout: str) -> None:
    clone = eve.device.clone()
    challenge = await eve.challenge("payout.approve", payout)
    assert (await eve.command(f"{PAYOUTS}/{payout}/approve", challenge))[0] == 200
    other = await owe_payout(service, OperationFact.APPROVAL_REQUIRED, session="ons_2")
    challenge = await eve.challenge("payout.approve", other)
    status, refused = await eve.ask("POST", f"{PAYOUTS}/{other}/approve", X_Passkey=clone.header(challenge))
    assert (status, refused["code"]) == (401, "passkey_cloned")
    async with service.database.read() as conn:
        raised = (await conn.execute(sa.select(alarms).where(alarms.c.name == "passkeys.cloned"))).one()
    assert (raised.subject, raised.facts["person"]) == (eve.passkey, "eve")
    async with alarm_notices(service.database, ManualClock(epoch=datetime.now(UTC))) as notices:
        await notices.expect_raised("passkeys.cloned")
        await notices.expect_ended("passkeys.cloned")
    assert (await eve.ask("GET", f"{PAYOUTS}/{other}"))[1]["status"] == "awaiting_approval"


async def test_a_passkey_without_a_counter_is_used_again(service: Any, admin: str, payout: str) -> None:
    _, secret = await create_key(service.database, "approver", "eve")
    eve = Person(service, secret, Authenticator(step=0))
    await eve.enrol(permission=await permit(service, admin, "eve"))
    for _ in range(2):
        other = await owe_payout(service, OperationFact.APPROVAL_REQUIRED, session="ons_2")
        challenge = await eve.challenge("payout.approve", other)
        assert (await eve.command(f"{PAYOUTS}/{other}/approve", challenge))[0] == 200


async def test_of_two_persons_who_race_one_approval_one_gets_a_conflict(
    service: Any, admin: str, eve: Person, payout: str
) -> None:
    bob = await second_person(service, admin)
    path = f"{PAYOUTS}/{payout}/approve"
    challenges = [await person.challenge("payout.approve", payout) for person in (eve, bob)]
    answers = await asyncio.gather(
        *(person.command(path, challenge) for person, challenge in zip((eve, bob), challenges, strict=True))
    )
    assert sorted(status for status, _ in answers) == [200, 409]
    assert {answer.get("code") for status, answer in answers if status != 200} <= {"plan_changed", "not_possible"}
    async with service.database.read() as conn:
        assert len(await signed_plans_service.of_subject(conn, payout)) == 1


async def test_one_signature_sent_many_times_at_once_counts_once(eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    header, path = eve.device.header(challenge), f"{PAYOUTS}/{payout}/approve"
    answers = await asyncio.gather(*(eve.ask("POST", path, X_Passkey=header) for _ in range(5)))
    assert [status for status, _ in answers].count(200) == 1


async def test_a_removed_passkey_signs_nothing(service: Any, admin: str, eve: Person, payout: str) -> None:
    challenge = await eve.challenge("payout.approve", payout)
    ada = Person(service, admin)
    assert (await ada.ask("DELETE", f"{BASE}/{eve.passkey}"))[0] == 200
    status, refused = await eve.command(f"{PAYOUTS}/{payout}/approve", challenge)
    assert (status, refused["code"]) == (401, "passkey_invalid")
    status, refused = await eve.ask("POST", f"{BASE}/challenges", {"action": "payout.approve", "subject": payout})
    assert (status, refused["code"]) == (409, "no_passkey")


async def test_a_row_of_a_passkey_that_the_database_was_given_signs_nothing(
    service: Any, eve: Person, payout: str
) -> None:
    """Somebody who can write to the database exchanges eve's public key for their own."""
    thief = Authenticator()
    other = Person(service, (await create_key(service.database, "viewer", "mallory"))[1], thief)
    async with service.database.write() as conn:
        stolen = (await conn.execute(sa.select(passkeys.c.public_key).where(passkeys.c.id == eve.passkey))).scalar_one()
    assert stolen
    await other.enrol(
        permission=await permit(service, (await create_key(service.database, "admin", "abe"))[1], "mallory")
    )
    async with service.database.write() as conn:
        await conn.execute(sa.update(passkeys).where(passkeys.c.id == other.passkey).values(person="eve"))
    challenge = await eve.challenge("payout.approve", payout)
    status, refused = await eve.ask("POST", f"{PAYOUTS}/{payout}/approve", X_Passkey=thief.header(challenge))
    assert (status, refused["code"]) == (401, "passkey_invalid")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        "e30",
        "W10",
        as_header("pkc_x", {}),
        as_header("pkc_x" * 100, {"id": 1}),
        "é".encode().decode("latin-1"),
    ],
)
async def test_a_malformed_header_is_401(eve: Person, payout: str, header: str) -> None:
    status, refused = await eve.ask("POST", f"{PAYOUTS}/{payout}/approve", X_Passkey=header)
    assert (status, refused["code"]) == (401, "passkey_invalid")


async def test_every_command_that_takes_a_passkey_verifies_it(service: Any, eve: Person) -> None:
    """The guard asks for no code beside the header, so a command that ignored it would need no second factor at all."""
    document = specification(tuple(routes(load())))
    unknown = as_header("pkc_unknown", eve.device.get({"challenge": "AAAA", "rpId": "localhost"}))
    refused = {}
    for route in routes(load()):
        if not route.signed_action:
            continue
        content = document["paths"][route.path][route.method.lower()].get("requestBody", {}).get("content", {})
        body = content.get("application/json", {}).get("example")
        path = re.sub("{[^}]+}", "nothing_of_this_name", route.path)
        refused[route.signed_action] = (await eve.ask(route.method, path, body, X_Passkey=unknown))[1]["code"]
    # Nodes are asked about the cold wallet, and about a payment elsewhere, before the transaction begins.
    earlier = {
        action: refused.pop(action) for action in ("sweep.propose", "sweep.approve", "sweep.panic", "payout.settle")
    }
    assert set(refused.values()) == {"passkey_invalid"}, refused
    assert set(earlier.values()) <= {"passkey_invalid", "cold_wallet_unverified", "not_found"}, earlier
    _, audit = await eve.ask("GET", "/api/v1/treasury/audit")
    assert not [
        row["action"]
        for row in audit["data"]
        if row["action"].startswith("treasury.") and not row["action"].endswith("_refused")
    ]
