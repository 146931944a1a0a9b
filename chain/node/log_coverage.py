"""The blocks that one node still stores, and how many blocks of logs it returns at once. Both are learned from its answers.

mezod answers `[]` to eth_getLogs, without an error, where it lacks the block or the block's results
(rpc/namespaces/ethereum/eth/filters/filters.go). eth_getBlockByNumber looks up the same two and answers null
(rpc/backend/blocks.go). So the block at a range's start shows whether an empty answer can be believed: nodes prune the
oldest blocks first, and a node that has the first block of a range has the rest up to its head. Comparing balances would
prove less, because nodes prune state long before blocks.
"""

from typing import Final

from kit.clock import Clock

FIRST_WINDOW: Final = 2_000
MAX_WINDOW: Final = 10_000
"""The most blocks in one eth_getLogs request: mezod's default limit (json-rpc.block-range-cap). Hosted nodes may allow far fewer."""
MAX_LOGS: Final = 10_000
"""The most logs in one answer: mezod's default limit (json-rpc.logs-cap). Other nodes truncate there without an error."""
SMALLEST_SLOW: Final = 50
"""The window, in blocks, that timeouts do not make smaller: a node that times out on so few blocks is slow for another reason."""
PROVED_SECONDS: Final = 600.0
"""How many seconds a proof that a node has a block stays valid; renewing it costs one request in about 170 blocks."""
ASK_AGAIN: Final = (5.0, 60.0)
"""Seconds before a node that lacked a block is asked for it again, at first and at most.

mezod's null may be a temporary fault, and several nodes may stand behind one URL.
"""
_PATIENCE: Final = 32
"""Successful requests before a window that was too large is tried again."""


class Window:
    """How many blocks of logs to request from one node at once: doubled on success, halved on failure."""

    def __init__(self) -> None:
        """Start with a number of blocks that most nodes allow."""
        self.blocks = FIRST_WINDOW
        self.max_logs = MAX_LOGS
        self._too_large: int | None = None
        self._costly = False
        self._worked = 0
        self._before_doubt: tuple[int, int | None] | None = None

    def succeeded(self, asked: int) -> None:
        """Record that a request for `asked` blocks succeeded. Fewer blocks than the window prove nothing about a larger one."""
        self._before_doubt = None
        if asked < self.blocks:
            return
        larger = min(2 * self.blocks, MAX_WINDOW)
        if self._too_large is not None:
            self._worked += 1
            if self._worked < _PATIENCE:
                # Approach the limit, and stop when little can be gained: each try above it costs a request, or, if the
                # node is slow to refuse, everything that was read of the range.
                gap = self._too_large - self.blocks
                worth = gap > self.blocks // 8 + 1 and not self._costly
                larger = self.blocks + gap // 2 if worth else self.blocks
            else:
                self._too_large = None
        self.blocks = max(self.blocks, min(larger, MAX_WINDOW))

    def refused(self, asked: int, max_logs: int | None = None) -> None:
        """Record that `asked` blocks were too many, or held more than `max_logs` logs."""
        self._too_large, self._worked, self._costly = asked, 0, False
        self.blocks = max(min(asked, self.blocks) // 2, 1)
        if max_logs:
            self.max_logs = min(max_logs, self.max_logs)

    def maybe_too_large(self, asked: int) -> None:
        """Record an unrecognized error of a request for `asked` blocks: the range may have been too large."""
        if self._before_doubt is None:
            self._before_doubt = (self.blocks, self._too_large)
        self.refused(asked)

    def undo_doubt(self) -> None:
        """Restore the size from before `maybe_too_large`, because a single block met the same error."""
        if self._before_doubt is not None:
            self.blocks, self._too_large = self._before_doubt
            self._before_doubt = None

    def timed_out(self, asked: int) -> None:
        """Record that a request for `asked` blocks timed out."""
        if asked > SMALLEST_SLOW:
            self._too_large, self._worked, self._costly = asked, 0, True
            self.blocks = max(min(asked, self.blocks) // 2, SMALLEST_SLOW)


class Retention:
    """The blocks that one node was proven to have, and those that it was proven to lack.

    Nodes keep a fixed number of blocks behind their head, so both are stored as a depth below the head: a proof for a hundred blocks behind
    the head remains true as the head moves.
    """

    def __init__(self, clock: Clock) -> None:
        self.holds_from: int | None = None
        """The earliest block that the node was proven to have."""
        self.pruned_to: int | None = None
        """The newest block that the node was proven to lack."""
        self._clock = clock
        self._depth = -1
        self._proved_at = 0.0
        self._lacking_depth = 0
        self._ask_again_at = 0.0
        self._failures = 0

    @property
    def depth(self) -> int:
        """How many blocks behind its head the node was proven to have within PROVED_SECONDS; -1 if there is no such proof."""
        return self._depth if self._clock.monotonic() - self._proved_at < PROVED_SECONDS else -1

    def holds(self, start: int, head: int) -> bool | None:
        """Return whether the node has the blocks from `start` to its head; None if that must be asked."""
        now, depth = self._clock.monotonic(), head - start
        if self.pruned_to is not None and (start <= self.pruned_to or depth >= self._lacking_depth):
            return False if now < self._ask_again_at else None
        return True if depth <= self.depth else None

    def first_held(self, start: int, head: int) -> int:
        """Return the first block from `start` on that the node is not known to lack."""
        if self.holds(start, head) is not False or self.pruned_to is None:
            return start
        return max(start, self.pruned_to + 1, head - self._lacking_depth + 1)

    def record_held(self, start: int, head: int) -> None:
        """Record that the node had the block `start` while its head was `head`."""
        now, depth = self._clock.monotonic(), head - start
        if self.pruned_to is not None and (start <= self.pruned_to or depth >= self._lacking_depth):
            self.pruned_to, self._failures = None, 0
        if depth >= self._depth or now - self._proved_at >= PROVED_SECONDS:
            self._depth, self._proved_at = depth, now
        self.holds_from = start if self.holds_from is None else min(start, self.holds_from)

    def record_missing(self, start: int, head: int) -> None:
        """Record that the node lacked the block `start` while its head was `head`."""
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
        """Discard the proofs, because the node was unavailable and may have come back with fewer blocks."""
        self._depth, self.holds_from = -1, None
