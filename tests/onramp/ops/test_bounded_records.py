"""The rows that a stranger can cause, which are kept for seven years, are bounded, whatever they request and how often."""

from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from kit.audit.table import entries
from kit.clock import SystemClock
from kit.entry_limiter import MAX_ENTRIES, MAX_SUBJECTS, EntryLimiter
from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.ids import RandomIds
from onramp.screening import sanctions_list
from tests.support.clocks import ManualClock
from tests.support.service import Service, Start

LISTED = [f"0x{number:040x}" for number in range(1, 2 * MAX_ENTRIES)]


async def rows(service: Service) -> list[tuple[str, str, int]]:
    async with service.database.read() as conn:
        # What the start writes (the settlement address it records) is no stranger's doing.
        by_strangers = sa.select(entries).where(entries.c.action != "settlement.recorded").order_by(entries.c.id)
        found = await conn.execute(by_strangers)
        return [(row.action, row.subject, (row.new_values or {}).get("leftOut", 0)) for row in found]


async def test_refused_purchases_of_listed_wallets_leave_few_rows(
    start: Start, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    monkeypatch.setattr(sanctions_list, "EntryLimiter", lambda _: EntryLimiter(clock))
    (tmp_path / "list").write_text("\n".join(LISTED))
    service = await start(url=database_url, SANCTIONS_LIST=str(tmp_path / "list"))
    for _ in range(20):
        assert (await service.create(walletAddress=LISTED[0]))[0] == 403
    assert await rows(service) == [("session.screened", LISTED[0], 0)]
    for wallet in LISTED:
        assert (await service.create(walletAddress=wallet))[0] == 403
    assert len(await rows(service)) == MAX_ENTRIES
    clock.seconds += 60
    assert (await service.create(walletAddress=LISTED[0]))[0] == 403
    written = await rows(service)
    assert written[-1] == ("session.screened", LISTED[0], len(LISTED) - MAX_ENTRIES)
    assert len(written) + sum(left_out for _, _, left_out in written) == 21 + len(LISTED), (
        "no refusal is lost from the count"
    )
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert f"onramp_screening_refused_total {21 + len(LISTED)}.0" in await answer.text(), "each is counted"


def test_ever_new_subjects_fill_neither_audit_trail_nor_memory() -> None:
    clock = ManualClock()
    sparing = EntryLimiter(clock)
    written = 0
    for minute in range(100):
        clock.seconds = 60.0 * minute
        written += sum(sparing.admit(f"{minute} {number}") is not None for number in range(200))
    assert written == 100 * MAX_ENTRIES
    assert len(sparing._written) <= MAX_SUBJECTS
    assert EntryLimiter(SystemClock()).admit("first") == 0


async def test_a_refused_stripe_key_is_logged_once_a_minute(
    start: Start,
) -> None:
    service = await start(STRIPE_SECRET_KEY=SecretStr("sk_test_another"))
    with structlog.testing.capture_logs() as logged:
        for number in range(5):
            assert (await service.create(sourceAmount=str(1 + number)))[0] == 503
    lines = [line for line in logged if line["event"] == "stripe.misconfigured" and line.get("call") == "create"]
    assert len(lines) == 1


async def test_an_unavailable_database_is_logged_once_a_minute() -> None:
    async def away(_request: web.Request) -> web.StreamResponse:
        raise ConnectionRefusedError

    http_middleware = HttpMiddleware(
        origins=(),
        ids=RandomIds(),
        metrics=HttpMetrics(CollectorRegistry(), "onramp"),
        https=False,
        problem_types="urn:onramp:problem:",
    )
    with structlog.testing.capture_logs() as logged:
        answers = [await http_middleware.serve(make_mocked_request("GET", "/"), away) for _ in range(5)]
    assert [answer.status for answer in answers] == [503] * 5
    assert [line["event"] for line in logged] == ["http.database_unavailable"]
