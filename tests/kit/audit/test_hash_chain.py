"""The audit trail: written in the transaction of the change, linked in order; a change made elsewhere is found and its row named."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.audit import hash_chain
from kit.audit import service as audit_service
from kit.audit.table import entries, links
from kit.audit.worker import AuditChainMetrics, AuditChainWorker, ChainMoved
from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database

KEY = secrets.token_bytes(32)
RING = KeyRing([KEY], "onramp")


def sealer(database: Database, ring: KeyRing = RING, registry: CollectorRegistry | None = None) -> AuditChainWorker:
    return AuditChainWorker(database, ring, SystemClock(), AuditChainMetrics(registry or CollectorRegistry(), "onramp"))


async def write(database: Database, *actions: str) -> None:
    async with database.write() as conn:
        for number, action in enumerate(actions):
            await audit_service.record(
                conn,
                "key_1",
                action,
                f"pay_{number}",
                {"status": "planned", "amount": 2**60},
                {"status": "approved", "note": "né", "at": datetime.now(UTC)},
                at=datetime.now(UTC),
                policy_version=3,
            )


async def verdict(
    database: Database, ring: KeyRing = RING, *published: hash_chain.Head
) -> hash_chain.AuditVerification:
    async with database.read() as conn:
        return await hash_chain.verify(conn, ring, published)


async def behind_its_back(database: Database, statement: Any) -> None:
    """Change rows as an owner of the database can: drop the triggers, change, and restore nothing."""
    async with database.write() as conn:
        for table in ("audit_entries", "audit_links"):
            if database.dialect == "postgresql":
                await conn.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            else:
                for event in ("update", "delete"):
                    await conn.execute(sa.text(f"DROP TRIGGER IF EXISTS {table}_no_{event}"))
        await conn.execute(statement)


async def test_rows_are_linked_in_order_and_the_chain_holds(database: Database) -> None:
    registry = CollectorRegistry()
    worker = sealer(database, registry=registry)
    await write(database, "payout.approve", "payout.reject")
    assert (await verdict(database)).unlinked == 2
    await worker.step()
    await write(database, "treasury.pause")
    await worker.step()
    found = await verdict(database)
    assert (found.head.number, found.unlinked, found.broken) == (3, 0, None)
    assert registry.get_sample_value("onramp_audit_head_number") == 3
    assert registry.get_sample_value("onramp_audit_head_hash") == int(found.head.hash[:12], 16)
    async with database.read() as conn:
        rows = await audit_service.page(conn, limit=2)
    assert [(row.action, row.number) for row in rows] == [("treasury.pause", 3), ("payout.reject", 2)]
    assert rows[0].before == {"status": "planned", "amount": str(2**60)}


async def test_a_change_that_is_rolled_back_leaves_no_row(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as conn:
            await audit_service.record(conn, "key_1", "payout.approve", "pay_1", at=datetime.now(UTC))
            raise RuntimeError
    assert (await verdict(database)).unlinked == 0


CHANGES = {
    "actor": sa.update(entries).where(entries.c.id == 2).values(actor="key_2"),
    "time": sa.update(entries).where(entries.c.id == 2).values(at=datetime(2020, 1, 1, tzinfo=UTC)),
    "after": sa.update(entries).where(entries.c.id == 2).values(new_values={"status": "rejected"}),
    "before to nothing": sa.update(entries).where(entries.c.id == 2).values(old_values=None),
    "policy": sa.update(entries).where(entries.c.id == 2).values(policy_version=4),
    "row away": sa.delete(entries).where(entries.c.id == 2),
    "link away": sa.delete(links).where(links.c.number == 2),
    "link to another row": sa.update(links).where(links.c.number == 2).values(entry_id=99),
    "another key": sa.update(links).where(links.c.number == 2).values(key_id="00000000"),
    "another hash": sa.update(links).where(links.c.number == 2).values(hash="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_the_first_broken_row_is_named(database: Database, change: str) -> None:
    await write(database, "a", "b", "c")
    await sealer(database).step()
    await behind_its_back(database, CHANGES[change])
    broken = (await verdict(database)).broken
    assert broken is not None
    assert broken.number == 2
    assert broken.reason


async def test_a_published_head_reveals_an_audit_trail_cut_at_its_end(database: Database) -> None:
    await write(database, "a", "b", "c")
    worker = sealer(database)
    await worker.step()
    head = (await verdict(database)).head
    await behind_its_back(database, sa.delete(links).where(links.c.number == 3))
    await behind_its_back(database, sa.delete(entries).where(entries.c.id == 3))
    assert (await verdict(database)).broken is None, "in itself it is whole"
    broken = (await verdict(database, RING, head)).broken
    assert broken is not None
    assert broken.number == 3
    await write(database, "instead")
    with pytest.raises(ChainMoved):
        await worker.step()
    assert (await verdict(database)).unlinked == 1, "nothing is sealed on top of it"


async def test_another_key_proves_nothing_and_an_older_key_still_does(database: Database) -> None:
    await write(database, "a")
    await sealer(database).step()
    newer = KeyRing([secrets.token_bytes(32), KEY], "onramp")
    await write(database, "b")
    await sealer(database, newer).step()
    assert (await verdict(database, newer)).broken is None
    broken = (await verdict(database, KeyRing([secrets.token_bytes(32)], "onramp"))).broken
    assert broken is not None
    assert "not in the key ring" in broken.reason


async def test_several_sealers_make_one_chain(database: Database) -> None:
    workers = [sealer(database) for _ in range(4)]

    async def seal(worker: AuditChainWorker) -> None:
        for _ in range(12):
            await worker.step()

    await asyncio.gather(*(seal(worker) for worker in workers), *(write(database, "x", "y") for _ in range(10)))
    await workers[0].step()
    found = await verdict(database)
    assert (found.head.number, found.unlinked, found.broken) == (20, 0, None)


async def test_a_row_that_commits_late_is_linked_late(postgres_url: str) -> None:
    from kit.db.database import connect

    database = connect(postgres_url)
    worker = sealer(database)
    async with database.write() as slow:
        await audit_service.record(slow, "key_1", "slow", "pay_1", at=datetime.now(UTC))
        await write(database, "quick")
        await worker.step()
    await worker.step()
    async with database.read() as conn:
        rows = await audit_service.after_id(conn, 0, 10)
    assert [(row.action, row.number) for row in rows] == [("slow", 2), ("quick", 1)]
    assert (await verdict(database)).broken is None
    await database.close()
