"""Write on each queued payout why it waits, where buyers and operators read it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from treasury.core.reasons import Reason
from treasury.payouts import queue
from treasury.sender.context import SenderContext

_NONE: Final[Mapping[str, Reason]] = MappingProxyType({})


class WaitReasons:
    """Keeps the reasons of the queue current. It reads while something blocks the queue, and writes only if a row shows another reason."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._shown: tuple[Reason | None, Mapping[str, Reason]] | None = None
        """The reasons that the rows show; None until the first call of `show`."""

    async def show(self, reason: Reason | None, skipped: Mapping[str, Reason] = _NONE) -> None:
        """Store `reason` on every queued payout, and on those in `skipped` (id -> reason) their own. None: they only wait for their turn."""
        current = (reason, dict(skipped))
        if current == self._shown and reason is None:
            # New payouts have no reason yet.
            return
        context, wallet = self._context, self._context.config.wallet
        previously_skipped = (self._shown or (None, _NONE))[1]
        async with context.database.read() as conn:
            differs = skipped != previously_skipped or await queue.any_reason_differs(conn, wallet, reason, skipped)
        # While the chain cannot be read, this is the only write that renews the lease.
        if differs or context.throttle.due("lease", context.config.lease_seconds / 3):
            async with context.leader.write() as conn:
                await queue.set_reasons(conn, wallet, reason, skipped)
        self._shown = current
