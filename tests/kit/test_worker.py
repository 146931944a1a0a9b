"""The loop that runs workers."""

import asyncio

from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.worker import STALLED_SECONDS, WorkerMetrics, WorkerRunner
from tests.support.clocks import OffsetClock
from tests.support.waiting import eventually


class Steps:
    """A worker that counts its steps; each does what the test scripted."""

    name = "steps"
    interval = 3600.0

    def __init__(self, *outcomes: bool | Exception) -> None:
        self.outcomes = list(outcomes)
        self.count = 0
        self.released = False

    async def step(self) -> bool:
        self.count += 1
        outcome = self.outcomes.pop(0) if self.outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def stop(self) -> None:
        self.released = True


class Hanging:
    """A worker whose step does not end."""

    name = "hanging"
    interval = 1.0

    async def step(self) -> bool:
        await asyncio.Event().wait()
        return False


def metrics_of(registry: CollectorRegistry) -> WorkerMetrics:
    return WorkerMetrics(registry, "test")


async def test_a_worker_repeats_while_more_is_due_and_then_waits_until_woken() -> None:
    worker, registry = Steps(True, True, False), CollectorRegistry()
    runner = WorkerRunner([worker], SystemClock(), metrics_of(registry))
    runner.start()
    await eventually(lambda: worker.count == 3)
    await asyncio.sleep(0.05)
    assert worker.count == 3
    runner.wake("steps")
    runner.wake("a worker of another process")
    await eventually(lambda: worker.count == 4)
    await runner.stop()
    assert worker.released
    assert registry.get_sample_value("test_worker_steps_total", {"worker": "steps", "outcome": "ok"}) == 4


async def test_a_failing_worker_is_counted_and_tried_again() -> None:
    worker, registry = Steps(ValueError("broken"), ConnectionRefusedError(), False), CollectorRegistry()
    runner = WorkerRunner([worker], SystemClock(), metrics_of(registry))
    runner.start()
    await eventually(lambda: worker.count == 3)
    await runner.stop()
    assert registry.get_sample_value("test_worker_steps_total", {"worker": "steps", "outcome": "error"}) == 2
    assert "steps" in runner.last_success


async def test_a_step_that_does_not_end_is_reported_and_cancelled_by_stop() -> None:
    clock, registry = OffsetClock(), CollectorRegistry()
    runner = WorkerRunner([Hanging()], clock, metrics_of(registry))
    runner.start()
    await asyncio.sleep(0)
    await eventually(lambda: runner.busy()["hanging"] > 0)
    runner.watch()
    assert registry.get_sample_value("test_worker_stalled", {"worker": "hanging"}) == 0
    runner._since["hanging"] = clock.monotonic() - STALLED_SECONDS - 1
    runner.watch()
    assert registry.get_sample_value("test_worker_stalled", {"worker": "hanging"}) == 1
    await asyncio.wait_for(runner.stop(grace=0.01), 10)


async def test_a_runner_that_never_started_stops_at_once() -> None:
    worker = Steps()
    await WorkerRunner([worker], SystemClock(), metrics_of(CollectorRegistry())).stop()
    assert worker.count == 0 and not worker.released
