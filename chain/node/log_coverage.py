"""What one node holds of the past, and how much of it it gives at once: learned by asking, remembered node by node.

mezod answers `[]` to eth_getLogs, without an error, where it lacks the block or the block's results
(rpc/namespaces/ethereum/eth/filters/filters.go); it looks up the very same two for eth_getBlockByNumber and answers null
(rpc/backend/blocks.go). So the block at a range's start tells whether an empty answer may be believed: nodes drop the
oldest blocks first, and who holds the first block of a range holds the rest up to its head. A balance's difference would
tell less: state is pruned long before blocks are.
"""

from typing import Final

from kit.clock import Clock

FIRST_WINDOW: Final = 2_000
MAX_WINDOW: Final = 10_000
"""Blocks; mezod's default limit (json-rpc.block-range-cap). Hosted nodes may allow far fewer."""
MAX_LOGS: Final = 10_000
"""Logs in one answer; mezod's default limit (json-rpc.logs-cap). Others cut off there without a word."""
SMALLEST_SLOW: Final = 50
"""Blocks: a node that has no time for so few is slow for another reason."""
PROVED_SECONDS: Final = 600.0
"""How long a proof serves; one question in 170 blocks."""
ASK_AGAIN: Final = (5.0, 60.0)
"""Seconds before a node that lacked a block is asked once more whether it does, the first time and at most: mezod's null may be a
passing fault, and behind one name there may be several nodes."""
_PATIENCE: Final = 32
"""Windows that worked before one that was too large is tried again."""


class Window:
    """How many blocks to ask of one node at once: doubled while that works, halved where it does not."""

    def __init__(self) -> None:
        """A size that most nodes allow."""
        self.blocks = FIRST_WINDOW
        self.max_logs = MAX_LOGS
        self._too_large: int | None = None
        self._costly = False
        self._worked = 0
        self._before_doubt: tuple[int, int | None] | None = None

    def succeeded(self, asked: int) -> None:
        """So many blocks were answered. Fewer than the window says nothing of a larger one."""
        self._before_doubt = None
        if asked < self.blocks:
            return
        larger = min(2 * self.blocks, MAX_WINDOW)
        if self._too_large is not None:
            self._worked += 1
            if self._worked < _PATIENCE:
                # Close in on the limit, and stop where little is left to win: each try beyond it costs a request,
                # or, where the node is slow to refuse, all that was read of the range.
                gap = self._too_large - self.blocks
                worth = gap > self.blocks // 8 + 1 and not self._costly
                larger = self.blocks + gap // 2 if worth else self.blocks
            else:
                self._too_large = None
        self.blocks = max(self.blocks, min(larger, MAX_WINDOW))

    def refused(self, asked: int, max_logs: int | None = None) -> None:
        """So many blocks were too many, or held more than `max_logs` logs."""
        self._too_large, self._worked, self._costly = asked, 0, False
        self.blocks = max(min(asked, self.blocks) // 2, 1)
        if max_logs:
            self.max_logs = min(max_logs, self.max_logs)

    def maybe_too_large(self, asked: int) -> None:
        """So many blocks were answered with an error in words we do not know: the range may have been too large."""
        if self._before_doubt is None:
            self._before_doubt = (self.blocks, self._too_large)
        self.refused(asked)

    def undo_doubt(self) -> None:
        """A single block met the same error, so the range was not the reason: ask for as many as before."""
        if self._before_doubt is not None:
            self.blocks, self._too_large = self._before_doubt
            self._before_doubt = None

    def timed_out(self, asked: int) -> None:
        """So many blocks took too long."""
        if asked > SMALLEST_SLOW:
            self._too_large, self._worked, self._costly = asked, 0, True
            self.blocks = max(min(asked, self.blocks) // 2, SMALLEST_SLOW)


class Retention:
    """How far back one node has proved to hold blocks, and what it has proved to lack.

    Nodes keep so many blocks behind their head, so both are remembered as a depth: what held a minute ago for a hundred blocks behind the
    head holds now for a hundred behind the new one.
    """

    def __init__(self, clock: Clock) -> None:
        """Nothing is known."""
        self.holds_from: int | None = None
        """The earliest block it has shown."""
        self.pruned_to: int | None = None
        """The newest block it was asked for and did not have."""
        self._clock = clock
        self._depth = -1
        self._proved_at = 0.0
        self._lacking_depth = 0
        self._ask_again_at = 0.0
        self._failures = 0

    @property
    def depth(self) -> int:
        """So many blocks behind its head it holds, as far as was proved lately; -1 for none."""
        return self._depth if self._clock.monotonic() - self._proved_at < PROVED_SECONDS else -1

    def holds(self, start: int, head: int) -> bool | None:
        """Whether it holds the blocks from `start` to its head; None where it has to be asked."""
        now, depth = self._clock.monotonic(), head - start
        if self.pruned_to is not None and (start <= self.pruned_to or depth >= self._lacking_depth):
            return False if now < self._ask_again_at else None
        return True if depth <= self.depth else None

    def first_held(self, start: int, head: int) -> int:
        """The first block from `start` on that it is not known to lack."""
        if self.holds(start, head) is not False or self.pruned_to is None:
            return start
        return max(start, self.pruned_to + 1, head - self._lacking_depth + 1)

    def record_held(self, start: int, head: int) -> None:
        """It has shown the block at `start` while its head was `head`."""
        now, depth = self._clock.monotonic(), head - start
        if self.pruned_to is not None and (start <= self.pruned_to or depth >= self._lacking_depth):
            self.pruned_to, self._failures = None, 0
        if depth >= self._depth or now - self._proved_at >= PROVED_SECONDS:
            self._depth, self._proved_at = depth, now
        self.holds_from = start if self.holds_from is None else min(start, self.holds_from)

    def record_missing(self, start: int, head: int) -> None:
        """It did not have the block at `start` while its head was `head`."""
        depth = head - start
        self._lacking_depth = depth if self.pruned_to is None else min(depth, self._lacking_depth)
        self.pruned_to = start if self.pruned_to is None else max(start, self.pruned_to)
        self._depth = min(self._depth, depth - 1)
        if self.holds_from is not None and self.holds_from <= start:
            self.holds_from = None
        soonest, latest = ASK_AGAIN
        self._ask_again_at = self._clock.monotonic() + min(soonest * 2**self._failures, latest)
        self._failures = min(self._failures + 1, 10)

    def forget(self) -> None:
        """It was away, and may have come back with less: proofs count no more."""
        self._depth, self.holds_from = -1, None
