"""The triggers store each version of a session once, whichever statement writes it, and only topics that have a subscriber."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from kit.money import Money
from kit.outbox import service as outbox_service
from kit.outbox.service import Change
from kit.outbox.table import changes
from onramp.auth.api_keys.table import api_keys
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session, from_change, intent_row
from onramp.sessions.schemas import session_json
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from tests.support.delivery_histories import rules_of
from tests.support.purchases import BUYER, OTHER
from treasury.pause.table import pauses

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def intent(session_id: str) -> dict[str, object]:
    return intent_row(
        rules_of(OTHER, OTHER), session_id=session_id, wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=NOW, now=NOW
    )  # fmt: skip


async def taken(database: Database) -> list[Change]:
    async with database.write() as conn:
        return list(await outbox_service.take(conn, 1_000))


async def read(database: Database, session_id: str = "ons_1") -> Session:
    async with database.read() as conn:
        session = await sessions_service.get(conn, session_id)
    assert session is not None
    return session


@pytest.fixture
async def subscribed(database: Database) -> AsyncIterator[Database]:
    async with database.write() as conn:
        await outbox_service.subscribe(conn, "tester", {"session", "pause", "key"})
    yield database


async def test_only_changes_with_a_subscriber_are_stored(database: Database) -> None:
    async with database.write() as conn:
        await sessions_service.put(conn, intent("ons_1"))
        await outbox_service.subscribe(conn, "tester", {"pause"})
        await sessions_service.put(conn, intent("ons_2"))
        await outbox_service.subscribe(conn, "tester", {"session"})
        await sessions_service.put(conn, intent("ons_3"))
        await outbox_service.subscribe(conn, "tester", ())
        await sessions_service.put(conn, intent("ons_4"))
        assert await outbox_service.topics_of(conn) == {}
    assert [change.subject for change in await taken(database)] == ["ons_3"]


async def test_a_change_shows_the_session_as_it_was_at_that_version(subscribed: Database) -> None:
    async with subscribed.write() as conn:
        await sessions_service.put(
            conn, intent("ons_1") | {"reference": "A-1", "idempotency_hash": "h", "body_hash": "b"}
        )
    shown = [session_json(await read(subscribed), "https://explorer.example")]
    columns = {
        "payment_status": PaymentStatus.FULFILLMENT_COMPLETE, "delivered_units": 99_500_000, "expected_units": 99_500_000 * 10**12,
        "received_units": 2**255, "paid_at": NOW, "agreed_by": ["alpha", "beta"], "overdue": True, "attention": "look",
    }  # fmt: skip
    async with subscribed.write() as conn:
        session = await sessions_service.get(conn, "ons_1")
        assert session is not None
        assert await sessions_service.change(conn, session, now=NOW + timedelta(seconds=1), **columns)
    shown.append(session_json(await read(subscribed), "https://explorer.example"))
    assert (await read(subscribed)).received_units == 2**255
    stored = await taken(subscribed)
    assert [session_json(from_change(change.new), "https://explorer.example") for change in stored] == shown
    assert from_change(stored[1].new).received_units == 2**255
    assert from_change(stored[1].new).agreed_by == ["alpha", "beta"]
    assert stored[0].old is None
    assert stored[1].old is not None
    assert (stored[1].old["payment_status"], stored[1].old["version"]) == ("created", 1)
    assert not {"idempotency_hash", "body_hash"} & (set(stored[0].new) | set(stored[1].new))


async def test_a_statement_without_a_version_and_one_about_many_rows_store_each_new_version_once(
    subscribed: Database,
) -> None:
    async with subscribed.write() as conn:
        for number in range(5):
            await sessions_service.put(conn, intent(f"ons_{number}"))
    await taken(subscribed)
    async with subscribed.write() as conn:
        await conn.execute(sa.update(sessions).values(delivery_status=DeliveryStatus.SEEN))
        await conn.execute(sa.update(sessions).values(asked_at=NOW + timedelta(hours=1)))
    stored = await taken(subscribed)
    assert sorted((change.subject, change.new["version"]) for change in stored) == [(f"ons_{n}", 2) for n in range(5)]
    assert {change.new["delivery_status"] for change in stored} == {"seen"}


async def test_a_change_that_is_rolled_back_is_not_stored(subscribed: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with subscribed.write() as conn:
            await sessions_service.put(conn, intent("ons_1"))
            raise ZeroDivisionError
    assert await taken(subscribed) == []


async def test_pauses_and_keys_are_stored_without_secrets(subscribed: Database) -> None:
    async with subscribed.write() as conn:
        await conn.execute(sa.insert(pauses).values(id="sales", status="paused", actor="key_1", person="ann", at=NOW))
        await conn.execute(sa.update(pauses).values(note="the same status"))
        await conn.execute(sa.update(pauses).values(status="running"))
        await conn.execute(
            sa.insert(api_keys).values(
                id="key_2",
                name="n",
                role="viewer",
                person="bob",
                created_at=NOW,
                created_by="key_1",
                otp_sealed="secret",
            )
        )
        await conn.execute(sa.update(api_keys).values(last_used_at=NOW))
        await conn.execute(sa.update(api_keys).values(revoked_at=NOW))
    stored = await taken(subscribed)
    assert [(change.topic, change.subject, change.old is None) for change in stored] == [
        ("pause", "sales", True), ("pause", "sales", False), ("key", "key_2", True), ("key", "key_2", False),
    ]  # fmt: skip
    assert "secret" not in str(stored)


async def test_every_watched_column_of_a_session_is_in_a_change(subscribed: Database) -> None:
    async with subscribed.write() as conn:
        await sessions_service.put(conn, intent("ons_1"))
        row = (await conn.execute(sa.select(changes.c.new_row))).scalar_one()
    assert set(sessions.c.keys()) - set(row) == {"idempotency_hash", "body_hash", "lease_owner", "lease_until"}
