"""Group commit: many small writes that arrive together share one transaction, and each learns its own outcome.

Nobody is told "done" before the transaction that holds its row is durable. Where the shared statement fails, each item is
tried again alone, so that one bad item spoils nothing for the others. A database that is away fails the group as a whole: asked
once for each item, it would keep the last one waiting for minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from kit.db.database import is_away
from kit.logs import unbind

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
LARGEST: Final = 128
"""Items that share a transaction, at most."""
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]]


class GroupCommit(Generic[Item, Outcome]):
    """Collects items while a write is under way, and writes all that came meanwhile at once."""

    def __init__(self, write: "Write[Item, Outcome]") -> None:
        """`write` stores items in one transaction and answers one outcome for each, in order; it must be all or nothing."""
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        # One writer: two halve the groups, and a group costs the same however few are in it (measured: a fifth more for each item).
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """Store one item; returns when it is durable, raises what its own write raised."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        # It writes for all who come, not for the request that happened to come first.
        unbind()
        try:
            while self._waiting:
                # One turn of the loop lets requests that were read in the same turn join the group.
                await asyncio.sleep(0)
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                await self._commit(batch)
        finally:
            self._writer = None

    async def _commit(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to whoever submitted the item
            if len(batch) == 1 or is_away(error):
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
    """Reads by key that arrive together become one query.

    A read joins only a query that starts after it was asked, so nobody reads what was true before the question.
    """

    def __init__(self, read: Callable[[Sequence[Item]], Awaitable[dict[Item, Outcome]]]) -> None:
        """`read` answers what it finds of the keys."""

        async def write(keys: Sequence[Item]) -> Sequence[Outcome | None]:
            found = await read(list(dict.fromkeys(keys)))
            return [found.get(key) for key in keys]

        self._group: GroupCommit[Item, Outcome | None] = GroupCommit(write)

    async def get(self, key: Item) -> Outcome | None:
        """What is stored under `key`, or None."""
        return await self._group.submit(key)
