"""The cold wallet as the treasury sees it."""

from chain.reads.safe import SafeState
from chain.types import Address
from tests.support.fake_chain import FakeChain
from tests.support.hot_wallet import BUYER, CHAIN_ID, SAFE
from treasury.cold.identity import ColdPin, Unverified, Verified

IDENTITY = "0x" + "1d" * 32


class FakeColdWallet:
    """Has the methods of `treasury.cold.service.ColdWallet`. It passes verification unless `reasons` holds an objection."""

    def __init__(self, chain: FakeChain) -> None:
        self.pin = ColdPin(CHAIN_ID, SAFE, (BUYER,), 1)
        self.identity = IDENTITY
        self.reasons: tuple[str, ...] = ()
        self.behind = 0
        self.asked = 0
        self._chain = chain

    async def read(self) -> SafeState:
        raise AssertionError("the sender decides by `verify` alone; the state is for refills")

    async def balance_of(self, token: Address) -> int:
        raise AssertionError(token)

    async def verify(self) -> Verified | Unverified:
        self.asked += 1
        if self.reasons:
            return Unverified(self.reasons, self._chain.head)
        return Verified(self._chain.head - self.behind, self.identity, "1.4.1")
