"""Reads follow the blocks: soon after each one, seldom in vain, and rarely while the chain is halted."""

import random
from datetime import UTC, datetime

import pytest

from chain.pool.block_timer import INITIAL_WAIT, MAX_RETRY_WAIT, MAX_WAIT, BlockTimer


class ManualClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def follow(
    pace: BlockTimer, clock: ManualClock, arrivals: list[float], *, notified: bool = False
) -> tuple[list[float], int]:
    """Read whenever it is due until all blocks were seen; return how late each was seen, and the number of reads."""
    late, looks, known = [], 0, 0
    hints = [*arrivals] if notified else []
    while known < len(arrivals):
        rest = pace.seconds_left
        if hints and hints[0] <= clock.at + rest:
            clock.at = max(clock.at, hints.pop(0))
            pace.announce()
        else:
            clock.at += rest
        assert pace.due
        head = sum(1 for moment in arrivals if moment <= clock.at)
        looks += 1
        late += [clock.at - moment for moment in arrivals[known:head]]
        known = max(known, head)
        pace.record_head(head)
    return late, looks


def blocks(number: int, between: float, jitter: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    moments, at = [], 5.0
    for _ in range(number):
        at += between * chance.uniform(1 - jitter, 1 + jitter)
        moments.append(at)
    return moments


@pytest.mark.parametrize(
    ("between", "jitter", "late", "looks"), [(1.0, 0.1, 0.3, 1.8), (3.6, 0.03, 0.3, 1.9), (3.6, 0.1, 1.0, 1.8)]
)
def test_a_block_is_read_soon_and_with_few_requests(between: float, jitter: float, late: float, looks: float) -> None:
    found: list[float] = []
    for seed in range(5):
        clock = ManualClock()
        spent, count = follow(BlockTimer(clock), clock, blocks(500, between, jitter, seed))
        found += spent[20:]
        assert count / 500 < looks
    assert sorted(found)[int(len(found) * 0.99)] < late


def test_with_notifications_one_request_per_block_is_enough() -> None:
    clock = ManualClock()
    late, looks = follow(BlockTimer(clock), clock, blocks(500, 3.6, 0.1, 1), notified=True)
    assert max(late[20:]) < 0.01
    assert looks / 500 < 1.3


def test_a_halted_chain_is_read_less_and_less_often_but_never_ignored() -> None:
    clock = ManualClock()
    pace = BlockTimer(clock)
    arrivals = blocks(50, 1.0, 0.1, 1)
    follow(pace, clock, arrivals)
    looks = 0
    while clock.at < arrivals[-1] + 600:
        clock.at += pace.seconds_left
        pace.record_head(50)
        looks += 1
        assert 0 < pace.seconds_left < MAX_RETRY_WAIT + 0.001
    assert looks < 350
    late, _ = follow(pace, clock, [*arrivals, clock.at + 0.1])
    assert max(late[50:]) < MAX_RETRY_WAIT + 0.001


def test_while_no_head_is_known_it_asks_each_second() -> None:
    clock = ManualClock()
    pace = BlockTimer(clock)
    assert pace.due
    pace.record_head(None)
    assert not pace.due
    assert pace.seconds_left == INITIAL_WAIT


def test_blocks_that_come_together_do_not_end_it() -> None:
    clock = ManualClock()
    pace = BlockTimer(clock)
    for head in (1, 5, 6, 6):
        pace.record_head(head)
        assert 0 < pace.seconds_left <= MAX_WAIT
    clock.at += pace.seconds_left
    pace.record_head(20)
    assert 0 < pace.seconds_left <= MAX_WAIT
