"""New blocks, read once for everyone, and how far they have been read: the cursor stands before whatever is not known for certain."""

from collections.abc import Sequence
from typing import Final, Protocol

from chain.reads import cursor
from chain.reads.transfers import TransferReader
from chain.types import Transfer
from kit.logs import get_logger
from onramp.deliveries.context import DeliveryContext

log = get_logger(__name__)
OVERLAP: Final = 20
"""Blocks read again behind the cursor: a node may have answered for a block it had not indexed yet."""
HOLD: Final = 2_000
"""Blocks, two hours, that a transfer told by too few operators keeps the cursor from moving past it."""
RETRY_SECONDS: Final = 60.0
"""Between two looks at blocks that too few operators hold."""


class Keep(Protocol):
    """Stores transfers, and how far the chain was read, in one transaction."""

    async def __call__(self, found: Sequence[Transfer], *, read_to: int, head: int) -> None:
        """Durable when it returns."""


class BlockReader:
    """Reads each block's transfers into the database.

    The cursor never passes blocks that fewer operators than must agree have shown to hold. What comes after such a gap is
    read all the same, so that the buyers of now do not wait for it.
    """

    def __init__(self, context: DeliveryContext, keep: Keep) -> None:
        """`keep` stores what was read."""
        self._keep = keep
        self._database = context.database
        self._chain_id = context.rules.chain_id
        self._clock = context.clock
        self._reader = TransferReader(context.pool, context.rules.token, sorted(context.senders))
        self._beyond: int | None = None
        """Up to where blocks after a gap were read; forgotten by a restart, which reads them again."""
        self._looked_at = 0.0
        self.is_blind = False
        """Too few operators have shown to hold even the newest block, when it was last read."""

    async def read(self, head: int) -> int:
        """Read up to `head`; the block up to which all is known. Raises ChainError."""
        async with self._database.read() as conn:
            done = await cursor.read_to(conn, self._chain_id)
        now = self._clock.monotonic()
        gap: int | None = None
        if done is None:
            done, start = head - 1, head
        elif self._beyond is not None and now - self._looked_at < RETRY_SECONDS:
            gap, start = done + 1, self._after(self._beyond, head)
        else:
            start, self._beyond, self._looked_at = self._after(done, head), None, now
        held, last_missing = head, None
        self.is_blind = True
        # What is read is stored window by window, so that a long backfill goes on where it was cut off.
        while start <= head:
            end = min(head, start + self._reader.window - 1)
            reading = await self._reader.read_agreed(start, end)
            if reading.doubted_from is not None:
                held = min(held, reading.doubted_from - 1)
            known = max(min(end, held), end - HOLD)
            if reading.covered_from > max(start, done + 1):
                gap, last_missing = (max(start, done + 1) if gap is None else gap), reading.covered_from - 1
            if gap is None:
                done = max(done, known)
            elif reading.covered_from <= end:
                self._beyond = known
            self.is_blind = reading.covered_from > end
            await self._keep(reading.transfers, read_to=done, head=head)
            start = end + 1
        if last_missing is not None:
            log.warning("deliveries.blocks_not_covered", first=gap, last=last_missing, read_to=done)
        return done

    @staticmethod
    def _after(block: int, head: int) -> int:
        return max(0, min(block + 1, head + 1) - OVERLAP)
