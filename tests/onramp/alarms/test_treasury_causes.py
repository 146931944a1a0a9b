"""Each alarm of the treasury, raised and ended by its cause through the sender, and seen at a fake Slack and PagerDuty."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest

from kit.db.database import connect
from onramp.alarms.treasury_alarms import TREASURY
from tests.support.alarm_causes import payouts, sweeps, wallet
from tests.support.alarm_world import alarm_notices
from tests.support.treasury_world import TreasuryWorld

CAUSES: Final[dict[str, Callable[[TreasuryWorld], AsyncIterator[None]]]] = {
    f"treasury.{name}": cause
    for module in (wallet, payouts, sweeps)
    for name, cause in inspect.getmembers(module, inspect.isasyncgenfunction)
    if cause.__module__ == module.__name__
}
BY_A_PERSON: Final = {"treasury.usdc_settled_unverified", "treasury.usdc_contradicted"}
"""Raised by the API and a monitor, not by the sender: see `test_service_causes.py`."""


def test_each_alarm_of_the_sender_has_its_cause() -> None:
    assert CAUSES.keys() == {alarm.name for alarm in TREASURY} - BY_A_PERSON


@pytest.mark.parametrize("name", CAUSES)
async def test_an_alarm_is_raised_by_its_cause_and_ends_with_it(sqlite_url: str, name: str) -> None:
    database = connect(sqlite_url)
    world = TreasuryWorld(database)
    async with alarm_notices(database, world.clock) as notices:
        world.alarms = notices.alarms
        cause = CAUSES[name](world)
        await anext(cause)
        await notices.expect_raised(name)
        with pytest.raises(StopAsyncIteration):
            await anext(cause)
        await notices.expect_ended(name)
    await database.close()
