"""Stripe as the treasury sees it: which purchases were paid, and what each one is owed."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from chain.abi.erc20 import reference_of
from treasury.ports import Owed, ProofUnavailable, Sold


class FakeStripe:
    """Implements `treasury.ports.PaymentProof` and `Purchases` from the purchases that a test enters into `owed_by_session`."""

    def __init__(self) -> None:
        self.owed_by_session: dict[str, Owed] = {}
        self.objections: dict[str, str] = {}
        """By session: why the service does not own the purchase."""
        self.down = False
        self.asked: list[str] = []
        """The session of each call of `owed`, in order."""
        self.rebuild: Callable[[str, Owed], Awaitable[object]] | None = None
        """Writes a purchase into a database that has lost it."""

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        self.asked.append(session_id)
        if self.down:
            raise ProofUnavailable("Stripe does not answer.")
        return self.owed_by_session.get(session_id)

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        if self.down:
            return {}
        sold: dict[str, Sold | None] = dict.fromkeys(references)
        for session, owed in self.owed_by_session.items():
            reference = "0x" + reference_of(session).hex()
            if reference in sold:
                sold[reference] = Sold(session, owed, self.objections.get(session))
                if session not in self.objections and self.rebuild is not None:
                    await self.rebuild(session, owed)
        return sold
