"""Personal data: stored encrypted, used unchanged to finish a purchase, shown and erased on request, and written nowhere else."""

import asyncio
import io
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

import onramp.migrations.tables  # noqa: F401 - every table, for the search through all of them
from kit import logs
from kit.audit import hash_chain
from kit.audit.table import entries
from kit.audit.worker import AuditChainMetrics, AuditChainWorker
from kit.clock import SystemClock
from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.db.database import Database, connect, metadata
from kit.worker import WorkerContext, WorkerMetrics
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.privacy import service as privacy_service
from onramp.privacy.dossier import dossier
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from onramp.sessions.contacts import contacts, email_of, store
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.command_line import run_onramp
from tests.support.service import Service, Start, replica

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
MARKER = "marker-7f3a91"
EMAIL = f"{MARKER}@privacy.example"
KEY = "a-key-of-enough-length"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))


async def every_cell(database: Database) -> str:
    """Return everything that is stored, from every column of every table."""
    found = []
    async with database.read() as conn:
        for table in metadata.sorted_tables:
            found += [str(dict(row._mapping)) for row in await conn.execute(sa.select(table))]
    return "\n".join(found)


async def test_no_email_is_in_any_column_log_line_metric_or_answer(
    start: Start, sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text(OTHER)
    log_output = io.StringIO()
    service = await start(SANCTIONS_LIST=str(tmp_path / "list"))
    logs.configure("debug", "json", log_output, own_loggers=("kit", "chain", "treasury", "onramp"))
    try:
        answers: list[Any] = [await service.create(KEY, email=EMAIL), await service.create(KEY, email=EMAIL)]
        answers.append(await service.create(KEY, email="other-" + EMAIL))
        answers.append(await service.create(walletAddress=OTHER, email=EMAIL))
        answers.append(await service.create(email=MARKER))
        await service.fault("error", count=3)
        answers.append(await service.create(email=EMAIL))
        await service.fault("500_before", count=9)
        answers.append(await service.create(email=EMAIL))
        assert [status for status, _ in answers][:5] == [201, 201, 409, 403, 422]
        assert {status for status, _ in answers[5:]} <= {502, 503}
        for path in (f"/api/v1/onramp/sessions/{answers[0][1]['id']}", "/metrics", "/ready"):
            async with service.http.get(service.api + path) as answer:
                answers.append(await answer.text())
        stored = await every_cell(service.database)
        async with replica(sqlite_url, service, OffsetClock(), workers=("janitor", "audit", "reconcile")):
            await asyncio.sleep(0.5)
    finally:
        logs.configure("warning", "text")
    for text in (log_output.getvalue(), stored, str(answers)):
        assert MARKER not in text
    assert "session" in log_output.getvalue() or "request" in log_output.getvalue(), "something was logged"
    assert answers[0][1]["id"] in stored
    assert "v1." in stored, "it is kept, and sealed"


@pytest.mark.parametrize("known_to_stripe", [False, True])
async def test_a_create_that_broke_off_is_finished_to_the_letter(
    service: Service, sqlite_url: str, known_to_stripe: bool
) -> None:
    if known_to_stripe:
        # The process ended between Stripe's answer and its storing: the row is what the intent left.
        assert (await service.create(KEY, email=EMAIL))[0] == 201
        lost = {"stripe_session_id": None, "payment_status": "created"}
        async with service.database.write() as conn:
            await conn.execute(sa.update(sessions).values(**lost))
    else:
        await service.fault("reset", count=50)
        assert (await service.create(KEY, email=EMAIL))[0] == 503
        service.sandbox.faults.waiting.clear()
    back = datetime.now(UTC) - timedelta(minutes=3)
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).values(created_at=back, asked_at=back))
    async with replica(sqlite_url, service, OffsetClock(), workers=("reconcile",)):
        for _ in range(100):
            async with service.database.read() as conn:
                row = (await conn.execute(sa.select(sessions))).one()
            if row.stripe_session_id is not None:
                break
            await asyncio.sleep(0.05)
    (made,) = service.sandbox.store.sessions
    assert (row.stripe_session_id, row.payment_status) == (made["id"], "initialized")
    assert made["kyc_details_provided"] is True, "Stripe received the e-mail"
    assert row.stripe_key_generation == 0, "under the key of the first try"


async def bought(database: Database, ring: KeyRing, **emails: str) -> None:
    """Insert a session with a contact for each keyword: the name is part of its id, the value its e-mail address."""
    now = datetime.now(UTC)
    for name, email in emails.items():
        values = {
            "id": f"ons_{name}", "version": 1, "wallet_address": OTHER if name.startswith("other") else BUYER,
            "source_minor": 10_000, "source_currency": "usd", "mode": "payout", "fee_bps": 0, "locked_address": OTHER,
            "destination_currency": "usdc", "destination_network": "ethereum", "from_block": 0, "has_email": True,
            "payment_status": "initialized", "payment_updated_at": now, "delivery_status": "awaiting", "body_hash": "b" * 64,
            "delivery_updated_at": now, "created_at": now, "updated_at": now, "expires_at": now, "asked_at": now,
        }  # fmt: skip
        async with database.write() as conn:
            await conn.execute(sa.insert(sessions).values(**values))
            await store(conn, ring, [(f"ons_{name}", email)], now)


async def kept(database: Database, ring: KeyRing) -> dict[str, str | None]:
    async with database.read() as conn:
        ids = (await conn.execute(sa.select(contacts.c.session_id).order_by(contacts.c.session_id))).scalars()
        return {one: await email_of(conn, ring, one) for one in ids.all()}


async def audit_rows(database: Database) -> list[tuple[str, str, Any]]:
    async with database.read() as conn:
        return [(row.action, row.subject, row.new_values) for row in await conn.execute(sa.select(entries))]


async def test_erasing_a_wallet_keeps_its_money_rows_and_the_audit_trail(database: Database) -> None:
    ring = KeyRing([OLD], "onramp")
    await bought(database, ring, one=EMAIL, two=EMAIL, other="b@example.org")
    async with database.write() as conn:
        assert await privacy_service.erase(conn, BUYER, by="machine", now=datetime.now(UTC)) == 2
    assert await kept(database, ring) == {"ons_other": "b@example.org"}
    async with database.read() as conn:
        rows = (await conn.execute(sa.select(sessions).order_by(sessions.c.id))).fetchall()
        found = await dossier(conn, ring, BUYER)
    assert [(row.id, row.body_hash) for row in rows] == [("ons_one", None), ("ons_other", "b" * 64), ("ons_two", None)]
    assert (found["contacts"], len(found["sessions"])) == ([], 2)
    assert await audit_rows(database) == [("privacy.erase", BUYER, {"contacts": 2})]
    await AuditChainWorker(database, ring, SystemClock(), AuditChainMetrics(CollectorRegistry(), "onramp")).step()
    async with database.read() as conn:
        verdict = await hash_chain.verify(conn, ring, [])
    assert (verdict.broken, verdict.head.number) == (None, 1)


async def test_erasing_a_wallet_forgets_where_its_buyer_came_from_and_readers_see_the_change(start: Start) -> None:
    service = await start(ALLOWED_ORIGINS="https://shop.example")
    context = {"reference": "order-17", "returnUrl": "https://shop.example/ada", "locale": "de"}
    _, created = await service.create(**context)
    async with service.database.write() as conn:
        await privacy_service.erase(conn, BUYER, by="machine", now=datetime.now(UTC))
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{created['id']}") as response:
        session = await response.json()
    assert (session["returnUrl"], session["locale"], session["reference"]) == (None, None, "order-17")
    assert session["version"] > created["version"]


async def test_contacts_are_found_by_their_address_and_re_encrypted_under_the_first_key(database: Database) -> None:
    await bought(database, KeyRing([OLD], "onramp"), one=EMAIL, two="Two@Example.org", other=EMAIL.upper())
    ring = KeyRing([NEW, OLD], "onramp")
    async with database.read() as conn:
        assert await privacy_service.wallets_of(conn, ring, f" {EMAIL.title()}\n") == sorted([BUYER, OTHER])
        assert await privacy_service.wallets_of(conn, ring, "nobody@example.org") == []
    done, last = 0, ""
    while last is not None:
        async with database.write() as conn:
            following, changed = await privacy_service.rekey(conn, ring, after=last or "", limit=2)
        done, last = done + changed, following  # type: ignore[assignment] # None ends it
    assert done == 3
    assert await kept(database, KeyRing([NEW], "onramp")) == {
        "ons_one": EMAIL, "ons_other": EMAIL.upper(), "ons_two": "Two@Example.org",
    }  # fmt: skip
    async with database.read() as conn:
        assert await privacy_service.wallets_of(conn, KeyRing([NEW], "onramp"), EMAIL) == sorted([BUYER, OTHER])
        with pytest.raises(DecryptionError) as refused:
            await privacy_service.of_wallet(conn, KeyRing([OLD], "onramp"), BUYER)
    assert MARKER not in str(refused.value)


async def test_the_janitor_deletes_what_is_older_than_the_retention(database: Database) -> None:
    ring, clock, registry = KeyRing([OLD], "onramp"), OffsetClock(), CollectorRegistry()
    await bought(database, ring, one=EMAIL, two=EMAIL)
    async with database.write() as conn:
        past = datetime.now(UTC) - timedelta(days=31)
        await conn.execute(sa.update(contacts).where(contacts.c.session_id == "ons_one").values(created_at=past))
    nobody = Screening("", clock, ScreeningMetrics(registry))
    context = WorkerContext(database, clock, WorkerMetrics(registry, "onramp"), "janitor")
    await Janitor(context, StateMetrics(registry), nobody, timedelta(days=30)).step()
    assert await kept(database, ring) == {"ons_two": EMAIL}
    ((action, subject, after),) = await audit_rows(database)
    assert (action, subject, after["contacts"]) == ("privacy.prune", "contacts", 1)


def test_the_commands_do_what_they_say(sqlite_url: str) -> None:
    async def fill() -> None:
        database = connect(sqlite_url)
        await bought(database, KeyRing([DEVELOPMENT_KEY], "onramp"), one=EMAIL)
        await database.close()

    asyncio.run(fill())

    def run(*arguments: str, answers: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": sqlite_url, **variables}
        return run_onramp(environment, "privacy", *arguments, answers=answers)

    assert run("find", "--json", answers=f"{EMAIL}\n").stdout.count(BUYER) == 1
    refused = run("find", "--json", answers=f"{MARKER}@\n")
    assert (refused.returncode, refused.stdout.strip(), MARKER in refused.stderr) == (2, "", False)
    assert "must be an e-mail address" in refused.stderr
    lost = run("rekey", DATA_KEYS=NEW.hex())
    assert (lost.returncode, lost.stderr.count("\n"), MARKER in lost.stderr) == (1, 1, False)
    exported = run("export", "--wallet", BUYER.lower())
    assert exported.returncode == 0, exported.stderr
    shown = json.loads(exported.stdout)
    assert (shown["wallet"], shown["contacts"][0]["email"], shown["sessions"][0]["id"]) == (BUYER, EMAIL, "ons_one")
    assert run("prune").stdout.startswith("0 contacts older than 90 days")
    assert run("rekey").stdout.startswith("0 contacts")
    assert run("erase", "--wallet", "0x12").returncode == 2
    assert run("erase", "--wallet", BUYER).stdout.startswith("1 contacts of")
    again = json.loads(run("export", "--wallet", BUYER).stdout)
    assert again["contacts"] == []
    assert [row["action"] for row in again["trail"]] == ["privacy.export", "privacy.erase"]
