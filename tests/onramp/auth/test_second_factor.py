"""The second factor over real HTTP: enrolled by the key's holder, required for commands, each code valid once."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from kit.db.database import Database
from onramp.auth.api_keys import second_factor
from onramp.auth.api_keys.service import Author
from onramp.auth.api_keys.table import api_keys
from onramp.auth.roles import ALLOWED_ROLES, KEY_ROLES
from onramp.bootstrap.app import routes
from onramp.config.loader import load
from tests.support.api_keys import KEYS, RING, call, create_key
from tests.support.service_payouts import owe_payout
from treasury.core.facts import OperationFact

ME = "/api/v1/keys/me"


def totp_of(begun: dict[str, Any]) -> pyotp.TOTP:
    """Return what an authenticator app reads from the picture."""
    totp = pyotp.parse_uri(begun["uri"])
    assert isinstance(totp, pyotp.TOTP)
    return totp


def at(totp: pyotp.TOTP, steps: int = 0) -> str:
    return totp.at(int(time.time()) + 30 * steps)


def wrong(totp: pyotp.TOTP) -> str:
    right = {at(totp, steps) for steps in (-2, -1, 0, 1, 2)}
    return next(code for code in (f"{number:06}" for number in range(10)) if code not in right)


async def test_an_enrolled_key_orders_with_codes_and_reads_without(service: Any) -> None:
    key_id, admin = await create_key(service.database, "admin", "ada", name="Ada")
    body = {"role": "viewer", "name": "wall"}
    assert (await call(service, "POST", KEYS, admin, json=body))[0] == 201, "not enrolled, not asked"

    status, refused = await call(service, "POST", f"{ME}/otp/confirm", admin, json={"code": "123456"})
    assert (status, refused["code"]) == (409, "otp_not_waiting")
    status, begun = await call(service, "POST", f"{ME}/otp", admin)
    assert status == 201
    totp = totp_of(begun)
    assert (totp.issuer, totp.secret) == ("Onramp", begun["secret"])
    assert (await call(service, "POST", KEYS, admin, json=body))[0] == 201, "it waits for its first code"
    status, refused = await call(service, "POST", f"{ME}/otp/confirm", admin, json={"code": wrong(totp)})
    assert (status, refused["code"]) == (401, "otp_invalid")
    first = at(totp)
    status, key = await call(service, "POST", f"{ME}/otp/confirm", admin, json={"code": first})
    assert (status, key["secondFactor"]) == (200, True)

    assert (await call(service, "GET", KEYS, admin))[0] == 200
    status, refused = await call(service, "POST", KEYS, admin, json=body)
    assert (status, refused["code"]) == (401, "otp_required")
    for bad in (first, wrong(totp), "12345", "1234567", "abcdef", "１２３４５６".encode().decode("latin-1")):
        status, refused = await call(service, "POST", KEYS, admin, json=body, otp=bad)
        assert (status, refused["code"]) == (401, "otp_invalid"), bad
        await reset(service.database, key_id)
    code = at(totp, 1)  # each is good once, and a machine that is slow makes none too old
    assert (await call(service, "POST", KEYS, admin, json=body, otp=code))[0] == 201
    status, refused = await call(service, "POST", KEYS, admin, json=body, otp=code)
    assert (status, refused["code"]) == (401, "otp_invalid"), "a code works once"
    assert (await call(service, "POST", f"{ME}/otp", admin))[1]["code"] == "otp_required", "a thief cannot replace it"
    status, refused = await call(service, "POST", f"{ME}/otp/confirm", admin, json={"code": "123456"})
    assert (status, refused["code"]) == (401, "otp_required")


@pytest.mark.parametrize("role", [role for role in KEY_ROLES if role in ALLOWED_ROLES["viewer"]])
async def test_every_command_of_an_enrolled_key_needs_a_code_and_a_code_serves_once(service: Any, role: Any) -> None:
    """Derived from the route table: every command that the role may use except pause; reading needs no code."""
    key_id, secret = await create_key(service.database, role, "ada", name="Ada")
    _, begun = await call(service, "POST", f"{ME}/otp", secret)
    totp = totp_of(begun)
    await call(service, "POST", f"{ME}/otp/confirm", secret, json={"code": at(totp)})
    orders, asked, spent = [], set(), set()
    for route in routes(load()):
        if role in ALLOWED_ROLES.get(route.access, ()) and route.event is None:  # a stream does not end
            path = re.sub(r"{[^}]+}", key_id, route.path)
            body: dict[str, Any] | None = {} if route.body else None
            status, answer = await call(service, route.method, path, secret, json=body)
            if answer.get("code") == "otp_required":
                assert status == 401
                asked.add(route.name)
            # The handler of an enrolment asks for the code itself: something else is as good.
            if route.method != "GET" and (route.needs_code or route.name == "begin_passkey"):
                orders.append(route.name)
    assert asked == set(orders)
    assert len(orders) >= {"viewer": 2, "operator": 6, "approver": 17, "admin": 8}[role]
    code = at(totp, 1)
    status, answer = await call(service, "POST", f"{ME}/otp", secret, otp=code)
    assert (status, answer["code"]) == (409, "otp_enrolled"), "the code was right"
    for route in routes(load()):
        if route.name in orders:
            path = re.sub(r"{[^}]+}", key_id, route.path)
            status, answer = await call(service, route.method, path, secret, otp=code, json={} if route.body else None)
            assert (status, answer["code"]) == (401, "otp_invalid"), route.name
            spent.add(route.name)
            await reset(service.database, key_id)
    assert spent == set(orders)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"asset": "MUSD", "amount": "excess", "dryRun": true}', 409),
        ('{"asset": "MUSD", "amount": "excess", "dryRun": false}', 401),
        ('{"asset": "MUSD", "amount": "excess", "dryRun": false, "dry_run": true}', 401),
        ('{"asset": "MUSD", "amount": "excess", "dryRun": "true"}', 401),
        ('{"asset": "MUSD", "amount": "excess", "dryRun": true, "dryRun": false}', 401),
        ('{"asset": "MUSD", "amount": "excess", "dryRun": true, "more": 1}', 401),
        ("dryRun", 401),
    ],
)
async def test_a_dry_run_needs_no_code_and_nothing_else_counts_as_one(service: Any, body: str, status: int) -> None:
    _, secret = await create_key(service.database, "operator", "ada", name="Ada")
    _, begun = await call(service, "POST", f"{ME}/otp", secret)
    await call(service, "POST", f"{ME}/otp/confirm", secret, json={"code": at(totp_of(begun))})
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    async with service.http.post(f"{service.api}/api/v1/treasury/sweeps", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (
            status, {409: "cold_wallet_unverified", 401: "otp_required"}[status]
        )  # fmt: skip


async def test_an_invited_person_enrols_and_approves_with_a_code(service: Any) -> None:
    _, admin = await create_key(service.database, "admin", "ada", name="Ada")
    order = {"role": "approver", "name": "eve's laptop", "person": "eve"}
    status, made = await call(service, "POST", "/api/v1/admin/invitations", admin, json=order)
    assert status == 201
    token = made["link"].partition("#")[2]
    status, key = await call(service, "POST", "/api/v1/invitations/accept", json={"token": token})
    assert (status, key["person"]) == (201, "eve")
    eve = key["secret"]
    _, begun = await call(service, "POST", f"{ME}/otp", eve)
    totp = totp_of(begun)
    assert (await call(service, "POST", f"{ME}/otp/confirm", eve, json={"code": at(totp)}))[0] == 200
    payout = f"/api/v1/treasury/payouts/{await owe_payout(service, OperationFact.APPROVAL_REQUIRED)}"
    until = time.monotonic() + 60
    while (answer := await call(service, "GET", payout, eve))[1].get("status") != "awaiting_approval":
        assert time.monotonic() < until, answer
    status, refused = await call(service, "POST", f"{payout}/approve", eve)
    assert (status, refused["code"]) == (401, "otp_required")
    status, refused = await call(service, "POST", f"{payout}/approve", eve, otp=wrong(totp))
    assert (status, refused["code"]) == (401, "otp_invalid")
    status, shown = await call(service, "POST", f"{payout}/approve", eve, otp=at(totp, 1))
    assert (status, shown["status"], shown["approvedBy"]) == (200, "approved", key["id"])
    _, audit = await call(service, "GET", "/api/v1/treasury/audit", admin)
    actions = {(entry["action"], entry["actor"]) for entry in audit["data"]}
    assert {
        ("key.create", made["id"]),
        ("key.otp_activate", key["id"]),
        ("treasury.payout_approve", key["id"]),
    } <= actions
    status, refused = await call(service, "POST", "/api/v1/treasury/resume", eve)
    assert (status, refused["code"]) == (401, "otp_required")


async def reset(database: Database, key_id: str) -> None:
    async with database.write() as conn:
        await conn.execute(
            sa.update(api_keys).where(api_keys.c.id == key_id).values(otp_failures=0, otp_locked_until=None)
        )


async def enrolled(database: Database) -> tuple[str, pyotp.TOTP]:
    key_id, _ = await create_key(database, "approver", "ada", name="Ada")
    author = Author(key_id, datetime.now(UTC) - timedelta(minutes=1), is_production=False)
    async with database.write() as conn:
        secret, _ = await second_factor.enrol(conn, author, key_id, RING)
        totp = pyotp.TOTP(secret)
        outcome, _ = await second_factor.activate(conn, author, key_id, totp.at(author.now), RING)
    assert outcome == "accepted"
    return key_id, totp


async def use(database: Database, key_id: str, code: str, now: datetime | None = None) -> str:
    async with database.write() as conn:
        return await second_factor.use(conn, key_id, code, RING, now or datetime.now(UTC))


async def test_a_code_used_twice_at_once_is_accepted_once(database: Database) -> None:
    key_id, totp = await enrolled(database)
    code = at(totp)
    outcomes = await asyncio.gather(*(use(database, key_id, code) for _ in range(8)))
    assert sorted(outcomes) == ["accepted"] + ["used"] * 7


async def test_a_code_older_than_a_used_one_is_refused(database: Database) -> None:
    key_id, totp = await enrolled(database)
    now, later = at(totp), at(totp, 1)
    assert await use(database, key_id, later) == "accepted"
    assert await use(database, key_id, now) == "used"


async def test_after_five_wrong_codes_right_ones_are_refused_for_five_minutes(database: Database) -> None:
    key_id, totp = await enrolled(database)
    for _ in range(second_factor.TRIES):
        assert await use(database, key_id, wrong(totp)) == "wrong"
    assert await use(database, key_id, at(totp)) == "locked"
    later = datetime.now(UTC) + second_factor.LOCK + timedelta(seconds=1)
    assert await use(database, key_id, totp.at(later), later) == "accepted"


async def test_of_concurrent_wrong_codes_five_are_checked(database: Database) -> None:
    key_id, totp = await enrolled(database)
    outcomes = await asyncio.gather(*(use(database, key_id, wrong(totp)) for _ in range(12)))
    assert sorted(outcomes) == ["locked"] * 7 + ["wrong"] * 5


async def test_the_secret_of_the_factor_is_not_readable_in_the_database(database: Database) -> None:
    key_id, totp = await enrolled(database)
    async with database.read() as conn:
        row = (await conn.execute(sa.select(api_keys).where(api_keys.c.id == key_id))).one()
    assert totp.secret not in str(row)


async def test_a_sealed_factor_copied_to_another_key_is_no_factor(database: Database) -> None:
    key_id, totp = await enrolled(database)
    other, _ = await create_key(database, "approver", "ada", name="Ada")
    async with database.write() as conn:
        sealed = sa.select(api_keys.c.otp_sealed).where(api_keys.c.id == key_id).scalar_subquery()
        await conn.execute(
            sa.update(api_keys)
            .where(api_keys.c.id == other)
            .values(otp_sealed=sealed, otp_enrolled_at=datetime.now(UTC))
        )
    assert await use(database, other, at(totp)) == "wrong"


@pytest.mark.parametrize("body", [{}, {"code": 123456}, {"code": "12345"}, {"code": "１２３４５６"}])
async def test_a_malformed_first_code_is_422(service: Any, body: dict[str, Any]) -> None:
    _, admin = await create_key(service.database, "admin", "ada", name="Ada")
    await call(service, "POST", f"{ME}/otp", admin)
    assert (await call(service, "POST", f"{ME}/otp/confirm", admin, json=body))[0] == 422
