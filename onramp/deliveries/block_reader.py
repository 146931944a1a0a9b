"""Read the transfers of new blocks, once for all sessions, and keep a cursor of the blocks that are known for certain."""

from collections.abc import Sequence
from typing import Final, Protocol

from chain.reads import cursor
from chain.reads.transfers import TransferReader
from chain.types import Transfer
from kit.logs import get_logger
from onramp.deliveries.context import DeliveryContext

log = get_logger(__name__)
OVERLAP: Final = 20
"""How many blocks behind the cursor are read again: a node may have answered for a block that it had not indexed yet."""
HOLD: Final = 2_000
"""The most blocks (two hours) that the cursor waits before a block with a transfer that too few providers report."""
RETRY_SECONDS: Final = 60.0
"""Seconds before blocks that too few providers hold are read again."""


class TransferStore(Protocol):
    """Stores transfers, and how far the chain was read, in one transaction."""

    async def __call__(self, observed: Sequence[Transfer], *, read_to: int, head: int) -> None:
        """Store `observed`, and that the chain was read up to block `read_to` while its head was `head`. Return only once that is durable."""


class BlockReader:
    """Reads each block's transfers into the database.

    The cursor passes a block only once enough providers have shown that they hold it. Blocks after such a gap are read
    anyway, so that current buyers do not wait for it.
    """

    def __init__(self, context: DeliveryContext, store: TransferStore) -> None:
        self._store = store
        self._database = context.database
        self._chain_id = context.config.chain_id
        self._clock = context.clock
        self._reader = TransferReader(context.pool, context.config.token, sorted(context.senders))
        self._read_beyond_gap: int | None = None
        """The last block that was read after a gap; lost by a restart, which reads those blocks again."""
        self._gap_read_at = 0.0
        self.is_blind = False
        """Whether, at the last read, too few providers held even the newest block."""

    async def read(self, head: int) -> int:
        """Read the transfers of the blocks up to `head`; return the last block up to which all are known. Raises ChainError."""
        async with self._database.read() as conn:
            read_to = await cursor.read_to(conn, self._chain_id)
        now = self._clock.monotonic()
        gap_start: int | None = None
        if read_to is None:
            read_to, start = head - 1, head
        elif self._read_beyond_gap is not None and now - self._gap_read_at < RETRY_SECONDS:
            gap_start, start = read_to + 1, self._start_after(self._read_beyond_gap, head)
        else:
            start, self._read_beyond_gap, self._gap_read_at = self._start_after(read_to, head), None, now
        last_undoubted, last_missing = head, None
        self.is_blind = True
        # Stored window by window, so that a long backfill continues where it was interrupted.
        while start <= head:
            end = min(head, start + self._reader.window - 1)
            reading = await self._reader.read_agreed(start, end)
            if reading.doubted_from is not None:
                last_undoubted = min(last_undoubted, reading.doubted_from - 1)
            certain_to = max(min(end, last_undoubted), end - HOLD)
            if reading.covered_from > max(start, read_to + 1):
                gap_start = max(start, read_to + 1) if gap_start is None else gap_start
                last_missing = reading.covered_from - 1
            if gap_start is None:
                read_to = max(read_to, certain_to)
            elif reading.covered_from <= end:
                self._read_beyond_gap = certain_to
            self.is_blind = reading.covered_from > end
            await self._store(reading.transfers, read_to=read_to, head=head)
            start = end + 1
        if last_missing is not None:
            log.warning("deliveries.blocks_not_covered", first=gap_start, last=last_missing, read_to=read_to)
        return read_to

    @staticmethod
    def _start_after(block: int, head: int) -> int:
        return max(0, min(block + 1, head + 1) - OVERLAP)
