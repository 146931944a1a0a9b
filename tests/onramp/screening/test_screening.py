"""Screening: create and payout ask the list, the list follows its file, and a refusal is recorded in the audit trail only."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from kit.audit.table import entries
from kit.db.database import Database
from kit.worker import WorkerContext, WorkerMetrics
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.screening.sanctions_list import CHECK_EVERY, ListError, Screening, ScreeningMetrics, parse
from onramp.sessions.table import sessions
from tests.support.clocks import ManualClock
from tests.support.operators import operator_client
from tests.support.purchases import BUYER, NOW, OTHER, payout_held_for_screening
from tests.support.service import Service, Start
from treasury.payouts import service as payouts_service


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    write(path, f"# of the treasury department\n\n{OTHER.lower()}  # a comment\n")
    return path


def write(path: Path, text: str, at: float = NOW.timestamp() - 60) -> None:
    """Replace the whole file, as a deployment does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, (at, at))
    new.replace(path)


def sample(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"onramp_screening_{name}")


def test_the_list_is_read_again_when_it_changes_and_says_how_old_it_is(file: Path) -> None:
    clock, registry = ManualClock(epoch=NOW), CollectorRegistry()
    listed = Screening(str(file), clock, ScreeningMetrics(registry))
    assert listed.load() == 1
    assert (OTHER in listed, OTHER.upper().replace("X", "x", 1) in listed, BUYER in listed) == (True, True, False)
    assert (sample(registry, "list_age_seconds"), sample(registry, "list_addresses")) == (60, 1)
    write(file, BUYER, at=NOW.timestamp())
    clock.seconds += CHECK_EVERY
    assert (OTHER in listed, BUYER in listed) == (False, True)
    assert sample(registry, "list_age_seconds") == CHECK_EVERY


@pytest.mark.parametrize("broken", ["", "# nobody\n", "0x12\n", f"{BUYER}\nhttps://example.org\n", None])
def test_a_list_that_becomes_unreadable_keeps_its_last_good_state_with_an_alarm(file: Path, broken: str | None) -> None:
    clock, registry = ManualClock(epoch=NOW), CollectorRegistry()
    listed = Screening(str(file), clock, ScreeningMetrics(registry))
    listed.load()
    with capture_logs() as logged:
        for _ in range(3):
            if broken is None:
                file.unlink(missing_ok=True)
            else:
                write(file, broken, at=NOW.timestamp())
            clock.seconds += CHECK_EVERY
            assert OTHER in listed
    assert sample(registry, "list_unreadable") == 1
    assert {(line["event"], line["log_level"]) for line in logged} == {("screening.list_unreadable", "critical")}
    assert BUYER not in str(logged)
    write(file, BUYER, at=NOW.timestamp() + 1)
    clock.seconds += CHECK_EVERY
    assert (BUYER in listed, OTHER in listed, sample(registry, "list_unreadable")) == (True, False, 0)


@given(st.binary(max_size=200))
def test_no_file_makes_the_reader_fail_or_list_what_is_no_address(data: bytes) -> None:
    try:
        found = parse(data)
    except ListError as error:
        assert str(error)
        return
    assert found
    assert all(len(one) == 42 and one.startswith("0x") and one == one.lower() for one in found)


async def audit_rows(database: Database) -> list[tuple[str, str, str]]:
    async with database.read() as conn:
        # Without what the start writes: the settlement address that it records.
        rows = await conn.execute(sa.select(entries).where(entries.c.action != "settlement.recorded"))
        return [(row.actor, row.action, row.subject) for row in rows]


async def test_a_listed_wallet_is_refused_with_a_neutral_sentence_and_nothing_is_stored(
    start: Start, file: Path
) -> None:
    service = await start(SANCTIONS_LIST=str(file))
    for wallet in (OTHER, OTHER.lower()):
        status, problem = await service.create("a-key-of-enough-length", walletAddress=wallet)
        assert (status, problem["code"]) == (403, "not_available")
        words = str(problem).lower()
        assert not any(word in words for word in ("sanction", "screen", "list", OTHER.lower()))
    assert (await service.stored(), len(service.sandbox.store.sessions)) == (0, 0)
    assert await audit_rows(service.database) == [("buyer", "session.screened", OTHER)], (
        "one row a minute for each wallet"
    )
    assert (await service.create())[0] == 201
    async with service.http.get(f"{service.api}/metrics") as answer:
        text = await answer.text()
    assert "onramp_screening_refused_total 2.0" in text
    assert "onramp_screening_list_age_seconds" in text


async def test_a_held_payout_queues_again_when_the_list_no_longer_has_it(database: Database, file: Path) -> None:
    write(file, BUYER)
    clock, registry = ManualClock(epoch=NOW), CollectorRegistry()
    listed = Screening(str(file), clock, ScreeningMetrics(registry))
    context = WorkerContext(database, clock, WorkerMetrics(registry, "onramp"), "janitor")
    janitor = Janitor(context, StateMetrics(registry), listed, timedelta(days=90))
    payout_id = await payout_held_for_screening(database)

    async def found() -> Any:
        await janitor.step()
        async with database.read() as conn:
            payout = await payouts_service.get(conn, payout_id)
        assert payout is not None
        return payout.status, payout.reason

    assert await found() == ("held", "screening")
    write(file, OTHER, at=NOW.timestamp())
    clock.seconds += CHECK_EVERY
    assert await found() == ("approved", None)


async def test_an_approver_lets_one_payout_through(service: Service) -> None:
    payout_id = await payout_held_for_screening(service.database)
    ada = await operator_client(service, "approver", "ada")
    assert (await (await operator_client(service, "operator", "otto")).post(f"/payouts/{payout_id}/approve"))[0] == 403
    status, shown = await ada.post(f"/payouts/{payout_id}/approve", {"note": "another person of that name"})
    assert (status, shown["status"], shown["reason"]) == (200, "approved", None)
    assert shown["history"][-1]["note"] == "another person of that name"
    assert ("treasury.payout_approve", payout_id) in [
        (action, subject) for _, action, subject in await audit_rows(service.database)
    ]


async def test_a_buyer_sees_that_a_payout_is_being_screened(service: Service) -> None:
    from onramp.deliveries import delivery_reasons

    _, made = await service.create()
    await payout_held_for_screening(service.database, made["id"])
    paid = sa.update(sessions).values(payment_status="fulfillment_complete", expected_units=10**18)
    async with service.database.write() as conn:
        await conn.execute(paid.where(sessions.c.id == made["id"]))
        assert [(one.id, reason) for one, reason in await delivery_reasons.changed_reasons(conn, 9)] == [
            (made["id"], "screening")
        ]


def test_nothing_starts_without_the_list_that_it_names(tmp_path: Path, file: Path) -> None:
    from types import SimpleNamespace

    from onramp.bootstrap.errors import StartError
    from onramp.bootstrap.startup import load_sanctions_list

    def start(path: Path) -> None:
        listed = Screening(str(path), ManualClock(epoch=NOW), ScreeningMetrics(CollectorRegistry()))
        settings = SimpleNamespace(SANCTIONS_LIST=str(path))
        load_sanctions_list(SimpleNamespace(settings=settings, screening=listed))  # type: ignore[arg-type] # the parts that it uses

    start(file)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StartError, match="SANCTIONS_LIST"):
            start(path)
