"""Why the payouts in the queue wait, written on their rows where buyers and operators read it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from treasury.core.reasons import Reason
from treasury.payouts import queue
from treasury.sender.context import SenderContext

_NOBODY: Final[Mapping[str, Reason]] = MappingProxyType({})


class Waiting:
    """Keeps the reasons of the queue true: a read while something holds it, a write only where a row shows another reason."""

    def __init__(self, desk: SenderContext) -> None:
        """What the rows show is not known before the first look."""
        self._desk = desk
        self._told: tuple[Reason | None, Mapping[str, Reason]] | None = None

    async def tell(self, why: Reason | None, alone: Mapping[str, Reason] = _NOBODY) -> None:
        """Show `why` on each queued payout, and on those in `alone`, by id, the reason that is theirs; None: nothing but its turn."""
        news = (why, dict(alone))
        if news == self._told and why is None:
            # New payouts come without a reason.
            return
        desk, wallet = self._desk, self._desk.config.wallet
        async with desk.database.read() as conn:
            differs = news[1] != (self._told or (None, _NOBODY))[1] or await queue.any_reason_differs(
                conn, wallet, why, alone
            )
        # While the chain cannot be read, this is the only write that renews the lease.
        if differs or desk.pace.due("lease", desk.config.lease_seconds / 3):
            async with desk.leader.write() as conn:
                await queue.set_reasons(conn, wallet, why, alone)
        self._told = news
