"""API keys over real HTTP: who may manage them, what is shown once, and when a key starts and stops working."""

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.http.problems import Problem
from onramp.auth.api_keys import service
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.api_keys.service import Author
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.roles import Principal
from onramp.config.fields import DEVELOPMENT_KEY
from tests.support.api_keys import KEYS, RING, call, create_key


async def test_an_admin_makes_lists_rotates_and_revokes_keys(service: Any) -> None:
    _, admin = await create_key(service.database, "admin", "amir")
    status, made = await call(service, "POST", KEYS, admin, json={"role": "operator", "name": "desk", "person": "otto"})
    assert status == 201
    assert made["secret"].startswith("ork_")
    assert {"id", "name", "role", "createdAt", "lastUsedAt", "revokedAt"} <= set(made)
    assert (await call(service, "GET", KEYS, made["secret"]))[0] == 403

    status, page = await call(service, "GET", f"{KEYS}?limit=1", admin)
    assert status == 200
    assert [key["id"] for key in page["data"]] == [made["id"]]
    _, rest = await call(service, "GET", f"{KEYS}?limit=1&cursor={page['nextCursor']}", admin)
    assert [key["name"] for key in rest["data"]] == ["amir"]
    assert rest["nextCursor"] is None
    assert "ork_" not in str(page) + str(rest)

    status, rotated = await call(service, "POST", f"{KEYS}/{made['id']}/rotate", admin)
    assert (status, rotated["id"]) == (200, made["id"])
    assert rotated["secret"] != made["secret"]
    for secret in (made["secret"], rotated["secret"]):
        assert (await call(service, "GET", KEYS, secret))[0] == 403, "both work while the rotation overlaps"

    status, revoked = await call(service, "POST", f"{KEYS}/{made['id']}/revoke", admin)
    assert status == 200
    assert revoked["revokedAt"]
    until = time.monotonic() + 5
    while {(await call(service, "GET", KEYS, made[name]))[0] for name in ["secret"]} != {401}:
        assert time.monotonic() < until, "a revoked key is refused within 5 s"
        await asyncio.sleep(0.1)
    assert (await call(service, "POST", f"{KEYS}/{made['id']}/rotate", admin))[1]["code"] == "key_revoked"


async def test_a_rotation_without_overlap_ends_the_old_secret(service: Any) -> None:
    key_id, old = await create_key(service.database, "admin", "amir")
    _, rotated = await call(service, "POST", f"{KEYS}/{key_id}/rotate", old, json={"overlapMinutes": 0})
    assert (await call(service, "GET", KEYS, old))[0] == 401
    assert (await call(service, "GET", KEYS, rotated["secret"]))[0] == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "root", "name": "x"}, "/role"),
        ({"role": "wallet", "name": "x"}, "/role"),
        ({"role": "viewer", "name": ""}, "/name"),
        ({"role": "viewer", "name": "x" * 81}, "/name"),
        ({"role": "viewer", "name": "a\nb"}, "/name"),
        ({"role": "viewer", "name": "x", "person": " "}, "/person"),
        ({"role": "viewer", "name": "x", "secret": "ork_mine"}, "/secret"),
    ],
)
async def test_an_impossible_key_is_refused_by_field(service: Any, body: dict[str, str], pointer: str) -> None:
    _, admin = await create_key(service.database, "admin", "amir")
    status, problem = await call(service, "POST", KEYS, admin, json=body)
    assert status == 422
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic b3JrXw==", "Bearer ork_", "Bearer ork_unknown", "ork_unknown", "Bearer x.y.z"],
)
async def test_every_wrong_credential_gets_the_same_answer(service: Any, value: str) -> None:
    async with service.http.get(service.api + KEYS, headers={"Authorization": value}) as answer:
        body = await answer.json(content_type=None)
        assert (answer.status, body["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert body["detail"] == "Send a valid credential as a bearer token."


async def test_concurrent_rotations_leave_one_secret_without_an_end(database: Database) -> None:
    key_id, _ = await create_key(database, "viewer", "vera")

    async def rotate() -> None:
        author = Author("machine", datetime.now(UTC), is_production=False)
        async with database.write() as conn:
            await service.rotate(conn, author, key_id, secret=service.new_secret(), ring=RING, overlap=timedelta(0))

    await asyncio.gather(*(rotate() for _ in range(4)))
    async with database.read() as conn:
        left = sa.select(api_key_secrets.c.id).where(api_key_secrets.c.expires_at.is_(None))
        assert len((await conn.execute(left)).fetchall()) == 1


async def test_an_unknown_key_is_404_and_nothing_is_changed(service: Any) -> None:
    _, admin = await create_key(service.database, "admin", "amir")
    for action in ("/rotate", "/revoke"):
        assert (await call(service, "POST", f"{KEYS}/key_unknown{action}", admin))[0] == 404


async def test_the_secret_is_stored_nowhere(database: Database) -> None:
    _, secret = await create_key(database, "operator", "otto")
    async with database.read() as conn:
        rows = [row for table in (api_keys, api_key_secrets) for row in await conn.execute(sa.select(table))]
    assert secret not in str(rows)
    assert secret.removeprefix("ork_") not in str(rows)


async def test_a_secret_past_its_overlap_is_dropped_and_the_others_work_on(database: Database) -> None:
    author, fresh, last = (
        Author("machine", datetime.now(UTC), is_production=False),
        service.new_secret(),
        service.new_secret(),
    )
    key_id, first = await create_key(database, "viewer", "vera")
    async with database.write() as conn:
        for secret in (fresh, last):
            await service.rotate(conn, author, key_id, secret=secret, ring=RING, overlap=timedelta(hours=1))
        past = sa.update(api_key_secrets).where(api_key_secrets.c.id == service.hashes(RING, first)[0])
        await conn.execute(past.values(expires_at=author.now - timedelta(seconds=1)))
    async with database.write() as conn:
        assert await service.prune(conn, author.now) == 1
        assert await service.prune(conn, author.now) == 0
    keeper = ApiKeyAuthenticator(database, RING, SystemClock())
    assert [await keeper.resolve(secret) is not None for secret in (first, fresh, last)] == [False, True, True]


async def test_a_row_forged_without_the_server_key_opens_nothing(database: Database) -> None:
    key_id, _ = await create_key(database, "viewer", "vera")
    forged, now = service.new_secret(), datetime.now(UTC)
    other = KeyRing([secrets.token_bytes(32)], "onramp")
    async with database.write() as conn:
        await conn.execute(
            sa.insert(api_key_secrets).values(
                id=service.hashes(other, forged)[0], key_id=key_id, created_at=now, active_from=now
            )
        )
    assert await ApiKeyAuthenticator(database, RING, SystemClock()).resolve(forged) is None


async def test_a_key_made_under_an_older_server_key_still_works(database: Database) -> None:
    _, secret = await create_key(database, "viewer", "vera")
    newer = KeyRing([secrets.token_bytes(32), DEVELOPMENT_KEY], "onramp")
    principal = await ApiKeyAuthenticator(database, newer, SystemClock()).resolve(secret)
    assert principal is not None
    assert principal.person == "vera"


async def test_a_new_key_that_moves_money_waits_in_production(database: Database) -> None:
    _, ada = await create_key(database, "approver", "ada", is_production=True)
    _, otto = await create_key(database, "operator", "otto", is_production=True)
    waiting, eve = await create_key(database, "approver", "Eve", is_production=True)
    _, vera = await create_key(database, "viewer", "vera", is_production=True)
    keeper = ApiKeyAuthenticator(database, RING, SystemClock())
    for free in (ada, otto, vera):
        assert await keeper.resolve(free) is not None
    with pytest.raises(Problem) as refused:
        await keeper.resolve(eve)
    assert (refused.value.status, refused.value.code) == (403, "key_not_active")

    author = Author("key_x", datetime.now(UTC), is_production=True)
    async with database.write() as conn:
        with pytest.raises(Problem) as own:
            await service.confirm(conn, author, Principal("key_y", "approver", "eve"), waiting)
        assert own.value.code == "self_approval"
        confirmed = await service.confirm(conn, author, Principal("key_z", "approver", "ada"), waiting)
    assert confirmed.confirmed_by == "key_z"
    resolved = await ApiKeyAuthenticator(database, RING, SystemClock()).resolve(eve)
    assert resolved is not None
    assert (resolved.role, resolved.person) == ("approver", "eve"), "however a key has it written"


async def test_the_wait_ends_by_itself_after_a_day(database: Database) -> None:
    for person in ("a", "b"):
        await create_key(database, "operator", person, is_production=True)
    _, secret = await create_key(database, "operator", "c", is_production=True)
    async with database.write() as conn:
        found = await service.resolve(conn, service.hashes(RING, secret), datetime.now(UTC))
    (only,) = found.values()
    left = only.active_from - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


async def test_a_rotation_is_no_way_around_the_wait(database: Database) -> None:
    key_id, old = await create_key(database, "approver", "ada", is_production=True)
    stolen = service.new_secret()
    author = Author("key_admin", datetime.now(UTC), is_production=True)
    async with database.write() as conn:
        await service.rotate(conn, author, key_id, secret=stolen, ring=RING, overlap=timedelta(0))
    keeper = ApiKeyAuthenticator(database, RING, SystemClock())
    with pytest.raises(Problem) as refused:
        await keeper.resolve(stolen)
    assert refused.value.code == "key_not_active"
    assert await keeper.resolve(old) is not None, "the old secret works until the new one does"


async def test_the_last_use_is_written_down(service: Any) -> None:
    key_id, admin = await create_key(service.database, "admin", "amir")
    await call(service, "GET", KEYS, admin)
    until = time.monotonic() + 60
    while (await call(service, "GET", f"{KEYS}/{key_id}", admin))[1]["lastUsedAt"] is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.3)


async def test_every_refusal_takes_the_same_way_through_the_database(database: Database) -> None:
    revoked, was_good = await create_key(database, "approver", "ada")
    _, good = await create_key(database, "approver", "eve")
    rotated, out = await create_key(database, "approver", "otto")
    author = Author("machine", datetime.now(UTC), is_production=False)
    async with database.write() as conn:
        await service.revoke(conn, author, revoked)
        await service.rotate(
            conn, author, rotated, secret=service.new_secret(), ring=RING, overlap=timedelta(seconds=-1)
        )
    near = good[:-1] + ("a" if good[-1] != "a" else "b")
    asked: list[str] = []
    sa.event.listen(
        database.engine.sync_engine, "before_cursor_execute", lambda *arguments: asked.append(str(arguments[2]))
    )
    keeper, ways = ApiKeyAuthenticator(database, RING, SystemClock()), set()
    for refused in (was_good, out, near, service.new_secret(), near, was_good):
        asked.clear()
        assert await keeper.resolve(refused) is None
        ways.add(tuple(statement for statement in asked if statement.startswith("SELECT")))
    assert len(ways) == 1
    assert len(ways.pop()) == 1


@pytest.mark.parametrize("weak", ["", "00" * 32, DEVELOPMENT_KEY.hex()])
def test_production_takes_no_missing_and_no_weak_data_key(weak: str) -> None:
    from onramp.config.loader import SettingsError, load

    with pytest.raises(SettingsError) as refused:
        load(ENVIRONMENT="production", DATA_KEYS=SecretStr(weak))
    assert any("DATA_KEYS" in problem for problem in refused.value.problems)
    assert not weak or weak not in str(refused.value)


def test_an_invalid_data_key_stops_the_start() -> None:
    from onramp.config.loader import SettingsError, load

    with pytest.raises(SettingsError, match="DATA_KEYS") as refused:
        load(DATA_KEYS=SecretStr(f"{'5a' * 32},hunter2"))
    assert "hunter2" not in str(refused.value)
