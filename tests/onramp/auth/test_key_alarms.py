"""Alarms about keys that can move money: at their creation, and when one works without confirmation. On both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from alembic import command
from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.db.database import Database
from kit.db.types import UtcDateTime
from onramp import migrations
from onramp.auth.api_keys import alarms
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.table import api_key_secrets
from tests.support.api_keys import RING
from tests.support.key_office import Office


async def test_a_new_money_key_raises_an_alarm_and_another_when_it_works_unconfirmed(
    office: Office,
) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    bell = alarms.KeyAlarms(office.database, clock, alarms.counter(registry))

    async def rung() -> list[tuple[str, str, str]]:
        with structlog.testing.capture_logs() as logged:
            await asyncio.gather(bell.step(), bell.step())
        return sorted(
            (line["event"], line["person"], line["role"]) for line in logged if line["log_level"] == "critical"
        )

    _, admin = await office.hire("admin", "amir")
    _, eve = await office.hire("approver", "eve")
    otto, _ = await office.hire("operator", "otto")
    await office.hire("viewer", "vera")
    made = "api_keys.money_key_made"
    assert await rung() == [(made, "amir", "admin"), (made, "eve", "approver"), (made, "otto", "operator")]
    assert await rung() == []
    bob = await office.make(admin, "approver", "bob")
    carol = await office.make(admin, "operator", "carol")
    await office.rotate(admin, otto)
    assert await rung() == [(made, "bob", "approver"), (made, "carol", "operator"), (made, "otto", "operator")]
    assert await office.confirm(eve, bob["id"]) == "confirmed"
    async with office.database.write() as conn:  # a day later
        now = datetime.now(UTC)
        late = sa.update(api_key_secrets).where(api_key_secrets.c.active_from > now)
        await conn.execute(late.values(created_at=now - api_keys_service.WAIT, active_from=now))
    works = "api_keys.unconfirmed_key_works"
    assert await rung() == [(works, "carol", "operator"), (works, "otto", "operator")]
    assert await rung() == []
    assert registry.get_sample_value("onramp_key_alarms_total", {"alarm": "unconfirmed"}) == 2
    assert registry.get_sample_value("onramp_key_alarms_total", {"alarm": "made"}) == 6
    assert await office.works(carol["secret"])


async def test_keys_from_before_the_migration_raise_no_alarm_and_keep_working(database: Database) -> None:
    now = datetime.now(UTC)

    def back(conn: sa.Connection) -> None:
        made = migrations.config()
        made.attributes["connection"] = conn
        command.downgrade(made, "0017")

    async with database.engine.connect() as conn, conn.begin():
        await conn.run_sync(back)
    keys = sa.table("api_keys", *map(sa.column, ("id", "name", "role", "person", "created_at", "created_by")))
    held = sa.table("api_key_secrets", *map(sa.column, ("id", "key_id", "created_at", "active_from")))
    waits = {"key_a": timedelta(0), "key_b": timedelta(hours=5)}
    async with database.write() as conn:
        for key_id, wait in waits.items():
            at = sa.literal(now, UtcDateTime())
            values = {"id": key_id, "name": "x", "role": "approver", "person": key_id[-1], "created_by": "machine"}
            await conn.execute(sa.insert(keys).values(created_at=at, **values))
            secret = {"id": api_keys_service.hashes(RING, f"ork_{key_id}")[0], "key_id": key_id, "created_at": at}
            active = sa.literal(now + wait, UtcDateTime())
            await conn.execute(sa.insert(held).values(active_from=active, **secret))
    await migrations.upgrade(database)
    async with database.read() as conn:
        columns = (api_key_secrets.c.made_alarm_at, api_key_secrets.c.unconfirmed_alarm_at)
        rows = (await conn.execute(sa.select(*columns).order_by(api_key_secrets.c.key_id))).all()
        listed = await api_keys_service.newest(conn, limit=5)
    assert [(made is None, works is None) for made, works in rows] == [(False, False), (False, True)]
    assert {(key.id, key.made_by, key.active_from) for key in listed} == {
        (key_id, None, now + wait) for key_id, wait in waits.items()
    }
