"""The seller as the treasury's policy asks it, set by the test. By default nothing is reserved, limited or on the sanctions list."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from treasury.payouts.model import Payout


class FakePurchases:
    """Implements `treasury.ports.PurchaseBook`."""

    def __init__(self, *, sanctioned: Collection[Address] = (), unscreenable: Collection[Address] = ()) -> None:
        self.sanctioned = sanctioned
        self.unscreenable = unscreenable

    async def processing(self, conn: AsyncConnection) -> int:
        return 0

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        return [None] * len(payouts)

    async def unscreened(self, recipients: Sequence[Address]) -> Collection[Address]:
        return [recipient for recipient in recipients if recipient in self.unscreenable]

    def is_sanctioned(self, recipient: Address) -> bool:
        return recipient in self.sanctioned
