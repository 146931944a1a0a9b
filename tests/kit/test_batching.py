"""Group commit and the data loader."""

import asyncio
from collections.abc import Sequence

import pytest

from kit.batching import MAX_GROUP, DataLoader, GroupCommit


async def test_items_that_arrive_together_share_one_write_and_get_their_own_outcomes() -> None:
    groups: list[Sequence[int]] = []

    async def write(items: Sequence[int]) -> list[int]:
        groups.append(items)
        return [item * 10 for item in items]

    commit = GroupCommit(write)
    assert await asyncio.gather(*(commit.submit(number) for number in range(5))) == [0, 10, 20, 30, 40]
    assert groups == [[0, 1, 2, 3, 4]]


async def test_a_group_has_a_maximum_size() -> None:
    sizes: list[int] = []

    async def write(items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        return items

    commit = GroupCommit(write)
    await asyncio.gather(*(commit.submit(number) for number in range(MAX_GROUP + 2)))
    assert sizes == [MAX_GROUP, 2]


async def test_a_bad_item_fails_alone() -> None:
    async def write(items: Sequence[int]) -> Sequence[int]:
        if 3 in items:
            raise ValueError("three")
        return items

    commit = GroupCommit(write)
    outcomes = await asyncio.gather(*(commit.submit(number) for number in range(5)), return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Exception)] == [0, 1, 2, 4]
    assert isinstance(outcomes[3], ValueError)


async def test_an_unavailable_database_fails_the_whole_group_after_one_attempt() -> None:
    attempts = 0

    async def write(_items: Sequence[int]) -> Sequence[int]:
        nonlocal attempts
        attempts += 1
        raise ConnectionRefusedError

    commit = GroupCommit(write)
    outcomes = await asyncio.gather(*(commit.submit(number) for number in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, ConnectionRefusedError) for outcome in outcomes) and attempts == 1


async def test_a_caller_that_is_cancelled_does_not_disturb_the_others() -> None:
    started = asyncio.Event()

    async def write(items: Sequence[int]) -> Sequence[int]:
        started.set()
        await asyncio.sleep(0.01)
        return items

    commit = GroupCommit(write)
    first, second = (asyncio.create_task(commit.submit(number)) for number in (1, 2))
    await started.wait()
    first.cancel()
    assert await second == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_the_loader_reads_each_key_once_and_returns_none_for_a_missing_one() -> None:
    queries: list[Sequence[str]] = []

    async def read(keys: Sequence[str]) -> dict[str, int]:
        queries.append(keys)
        return {"a": 1, "b": 2}

    loader = DataLoader(read)
    outcomes = await asyncio.gather(*(loader.get(key) for key in "abac"))
    assert outcomes == [1, 2, 1, None]
    assert queries == [["a", "b", "c"]]
