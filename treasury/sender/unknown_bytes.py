"""Before a new leader signs first, and after each signature: does the database still know everything that was signed?

After a failover to a replica that lost the last writes no person declares a restore. Two signs reveal it: a node counts more transactions
of the wallet than the database knows, or this process has stored a higher nonce than the database holds now. Either declares a restore, so
nonces are spent before anything is paid. A node that lies costs a few empty transfers and their blocks, and never causes a payment.
"""

from collections.abc import Mapping
from typing import Any

from treasury.core.history import BY
from treasury.core.leader import deepest_pipeline
from treasury.ports import WalletView
from treasury.restores import service as restores_service
from treasury.restores.model import Source
from treasury.sender.context import SenderContext
from treasury.sender.nonces import NextNonce

_ADVICE_LOST = (
    "Nothing is paid until the nonces that lost transactions may hold are spent by empty transfers, which happens by itself. The database"
    " has lost more than that: see 'Restore from a backup' in docs/runbook.md, and order again what was paused since"
)
_ADVICE_UNKNOWN = (
    "Nothing is paid until the nonces that such transactions may hold are spent by empty transfers, which happens by itself. If the database"
    " was restored or failed over, follow 'Restore from a backup' in docs/runbook.md. If not, the node's answer is wrong: remove it from the"
    " settings, or see 'A node contradicts the others'"
)


class UnknownBytes:
    """Checks before the first signature of each leadership, and before every later one, that the database knows all signed bytes."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._asked_as: int | None = None
        """The fencing token of the leadership for which the nodes were asked."""
        self._stored = -1
        """The highest nonce for which this process has stored bytes."""

    def remember(self, nonce: int | None) -> None:
        """Remember that this process has stored signed bytes with this nonce."""
        self._stored = max(self._stored, -1 if nonce is None else nonce)

    async def none_exist(self, view: WalletView, next_nonce: NextNonce) -> bool:
        """Return whether nothing shows that bytes exist which the database does not know; otherwise declare a restore and return False."""
        context, wallet = self._context, self._context.config.wallet
        if next_nonce.number <= self._stored:
            highest, self._stored = self._stored, -1
            facts = {"stored": highest, "next": next_nonce.number, "detail": _ADVICE_LOST}
            note = f"nonce {highest} was stored and is gone"
            await self._declare(Source.LOST_WRITES, highest + 1 - view.nonce, note, facts)
            return False
        if next_nonce.restore_id is not None:
            # It spends the nonces that such bytes may have, so what the nodes count does not matter for this leadership.
            self._asked_as = context.leader.token
        if self._asked_as == context.leader.token:
            return True
        counts = await context.chain.nonce_counts()
        self._asked_as = context.leader.token
        higher = {provider: count for provider, count in counts.items() if count > next_nonce.number}
        if not higher:
            context.alarms.clear("unknown_bytes", wallet)
            return True
        facts = {"counts": higher, "known": next_nonce.number, "detail": _ADVICE_UNKNOWN}
        note = f"counted by {', '.join(sorted(higher))}"
        await self._declare(Source.UNKNOWN_BYTES, max(higher.values()) - view.nonce, note, facts)
        return False

    async def _declare(self, source: Source, depth: int, note: str, facts: Mapping[str, Any]) -> None:
        """Declare a restore, and raise the alarm that is named like its source."""
        context = self._context
        async with context.leader.write() as conn:
            await context.alarms.raise_in(conn, source, context.config.wallet, context.clock.now(), **facts)
            deepest = await deepest_pipeline(conn, context.hot_wallet)
            await restores_service.declare(
                conn,
                context.hot_wallet,
                source,
                depth=max(depth, deepest),
                by=BY,
                note=note,
                now=context.clock.now(),
                ids=context.ids,
            )
