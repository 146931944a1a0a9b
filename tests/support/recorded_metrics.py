"""The sender's metrics, kept where a test can read them."""

from collections import Counter
from collections.abc import Mapping

from treasury.core.asset_policy import AssetPolicy
from treasury.core.available import Available


class RecordedMetrics:
    """Has the methods of `treasury.metrics.TreasuryMetrics`; keeps the values that tests ask for."""

    def __init__(self) -> None:
        self.alarms: Counter[str] = Counter()
        self.is_stopped = False
        self.rebuilding_now = 0
        self.differences: dict[str, int] = {}
        self.cold_proved: bool | None = None
        self.gas_spent = 0

    def leading(self, yes: bool) -> None: ...

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None: ...

    def limits(self, asset: AssetPolicy) -> None: ...

    def nonce(self, nonce: int) -> None: ...

    def in_flight(self, count: int) -> None: ...

    def payouts(self, by_status: Mapping[str, int]) -> None: ...

    def sweeps(self, by_status: Mapping[str, int]) -> None: ...

    def cold_wallet(self, proved: bool) -> None:
        self.cold_proved = proved

    def signed(self, seconds: float, outcome: str) -> None: ...

    def broadcast(self, outcome: str) -> None: ...

    def gas(self, wei: int) -> None:
        self.gas_spent += wei

    def alarm(self, kind: str) -> None:
        self.alarms[kind] += 1

    def stopped(self, yes: bool) -> None:
        self.is_stopped = yes

    def rebuilding(self, transactions: int) -> None:
        self.rebuilding_now = transactions

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        self.differences[asset] = amount

    def receivable(self, usdc: int, age_seconds: float) -> None: ...
