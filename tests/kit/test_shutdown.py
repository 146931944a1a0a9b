"""An orderly stop that ends in time."""

import asyncio

import structlog

from kit.shutdown import stop_within


async def test_a_stop_that_hangs_is_given_up_with_a_warning() -> None:
    with structlog.testing.capture_logs() as lines:
        await stop_within(0.01, "pool", asyncio.Event().wait())
    assert [(line["event"], line["part"]) for line in lines] == [("stop.given_up", "pool")]


async def test_a_stop_in_time_logs_nothing() -> None:
    with structlog.testing.capture_logs() as lines:
        await stop_within(10, "pool", asyncio.sleep(0))
    assert lines == []
