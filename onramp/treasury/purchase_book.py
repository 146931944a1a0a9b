"""The seller's answers to the treasury's policy: promises to buyers, limits of purchases, and the sanctions list."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from onramp.screening.sanctions_list import Screening
from onramp.sessions import purchase_limits, stock
from onramp.sessions.config import SessionConfig
from treasury.payouts.model import Payout


@dataclass(frozen=True, slots=True)
class SessionPurchases:
    """The purchases of this service's sessions. Implements `treasury.ports.PurchaseBook`."""

    rules: SessionConfig
    screening: Screening

    async def processing(self, conn: AsyncConnection) -> int:
        """Return the base units of MUSD that buyers whose payment is under way will be owed."""
        return await stock.processing(conn)

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        """Return for each payout the purchase limit that it exceeds, as a sentence, or None; those before it count as paid."""
        return await purchase_limits.payouts_above(conn, self.rules, payouts, now)

    async def unscreened(self, recipients: Sequence[Address]) -> Collection[Address]:
        """Screen recipients (EIP-55) over the network; return those that cannot be screened at present."""
        return await self.screening.ask(recipients)

    def is_sanctioned(self, recipient: Address) -> bool:
        """Return whether the recipient (EIP-55) is on the sanctions list, by the latest result of `unscreened`."""
        return recipient in self.screening
