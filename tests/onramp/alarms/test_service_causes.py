"""Each alarm of the service, raised and ended by its cause, and seen at a fake Slack and PagerDuty."""

import inspect
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from kit.db.database import connect
from onramp.alarms.catalog import ALARMS
from onramp.alarms.treasury_alarms import TREASURY
from tests.support.alarm_causes import purchases, service
from tests.support.alarm_causes.service import Place
from tests.support.alarm_world import alarm_notices
from tests.support.clocks import ManualClock
from tests.support.operators import operator_client
from tests.support.service import HOT_WALLET, Start
from treasury.ledger import usdc as books

CAUSES: Final[dict[str, Callable[[Place], AsyncIterator[None]]]] = {
    name: cause
    for module in (purchases, service)
    for name, cause in inspect.getmembers(module, inspect.isasyncgenfunction)
    if cause.__module__ == module.__name__
}
BY_REQUESTS: Final = {"session.echo_mismatch", "treasury.usdc_settled_unverified", "passkeys.cloned"}
"""Their causes take a running service: the tests below, and for passkeys those of `tests/onramp/auth/test_passkeys.py`."""
SENDERS: Final = {alarm.name for alarm in TREASURY if not alarm.name.startswith("treasury.usdc_")}
"""The alarms of `test_treasury_causes.py`."""


def _function_of(name: str) -> str:
    return name.replace(".", "_")


def test_each_other_alarm_has_its_cause() -> None:
    others = {alarm.name for alarm in ALARMS} - SENDERS - BY_REQUESTS
    assert CAUSES.keys() == {_function_of(name) for name in others}


@pytest.mark.parametrize("name", sorted({alarm.name for alarm in ALARMS} - SENDERS - BY_REQUESTS))
async def test_an_alarm_is_raised_by_its_cause_and_ends_with_it(sqlite_url: str, tmp_path: Path, name: str) -> None:
    database = connect(sqlite_url)
    async with alarm_notices(database, ManualClock(epoch=datetime.now(UTC))) as notices:
        cause = CAUSES[_function_of(name)](Place(database, notices, tmp_path))
        await anext(cause)
        await notices.expect_raised(name)
        with pytest.raises(StopAsyncIteration):
            await anext(cause)
        await notices.expect_ended(name)
    await database.close()


async def test_an_echo_of_stripe_that_differs_is_seen(start: Start) -> None:
    running = await start(sandbox={"flat_fields": False})
    async with alarm_notices(running.database, ManualClock(epoch=datetime.now(UTC))) as notices:
        assert (await running.create())[1]["code"] == "stripe_echo_mismatch"
        await notices.expect_raised("session.echo_mismatch")
        await notices.expect_ended("session.echo_mismatch")


async def test_usdc_that_only_persons_have_seen_is_seen_until_it_is_rejected(start: Start) -> None:
    running, name = await start(), "treasury.usdc_settled_unverified"
    otto = await operator_client(running, "operator", "otto")
    async with running.database.write() as conn:
        await books.post_receivable(conn, "ons_1", 5 * 10**6, wallet=HOT_WALLET, now=datetime.now(UTC))
    async with alarm_notices(running.database, ManualClock(epoch=datetime.now(UTC))) as notices:
        order = {"txHash": "0x" + "9" * 64, "sessionId": "ons_1", "note": "seen on a block explorer"}
        status, made = await otto.post("/settle-usdc", order)
        assert (status, made["status"]) == (200, "awaiting_approval"), made
        await notices.expect_raised(name)
        assert (await otto.post(f"/settle-usdc/{made['id']}/reject", {"note": "no such transfer"}))[0] == 200
        await notices.expect_ended(name)
