"""Group commit and data loading: small writes, or reads by key, that arrive together share one transaction or query.

A caller gets its outcome only after the transaction with its row is durable. If the shared write fails, each item is tried again alone,
so that a bad item does not affect the others. If the database is unavailable, the whole group fails at once: tried one by one, the last
item would wait for minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from kit.db.database import is_unavailable
from kit.logs import unbind

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
MAX_GROUP: Final = 128
"""The most items that are written in one transaction."""
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]]


class GroupCommit(Generic[Item, Outcome]):
    """Collects the items that arrive while a write is in progress, and writes them together."""

    def __init__(self, write: "Write[Item, Outcome]") -> None:
        """Create an empty group. `write` stores items in one transaction, all or none, and returns an outcome for each, in their order."""
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        # One writer: with two, the groups have half the size, and a group costs the same whatever its size (measured: a fifth more per item).
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """Store one item and return its outcome once it is durable. Raises what `write` raised for it, or for its group if the database is unavailable."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        # This task writes for every request, not only for the one that started it.
        unbind()
        try:
            while self._waiting:
                # Requests that were read in the same turn of the event loop join the group.
                await asyncio.sleep(0)
                batch, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                await self._commit(batch)
        finally:
            self._writer = None

    async def _commit(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - raised to those who submitted the items
            if len(batch) == 1 or is_unavailable(error):
                for _, future in batch:
                    _fail(future, error)
                return
            for single in batch:
                await self._commit([single])
            return
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)


def _fail(future: "asyncio.Future[Outcome]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class DataLoader(Generic[Item, Outcome]):
    """Turns reads by key that arrive together into one query.

    A read joins only a query that starts after it was requested, so no result is older than its request.
    """

    def __init__(self, read: Callable[[Sequence[Item]], Awaitable[dict[Item, Outcome]]]) -> None:
        """Create a loader. `read` takes keys and returns the outcomes of those that exist."""

        async def write(keys: Sequence[Item]) -> Sequence[Outcome | None]:
            outcomes = await read(list(dict.fromkeys(keys)))
            return [outcomes.get(key) for key in keys]

        self._group: GroupCommit[Item, Outcome | None] = GroupCommit(write)

    async def get(self, key: Item) -> Outcome | None:
        """Return the outcome of `key`, read together with others; None if the key does not exist. Raises what `read` raised."""
        return await self._group.submit(key)
