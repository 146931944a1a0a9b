"""What the treasury shows of itself. Amounts become token units here, and here alone: a gauge is no ledger."""

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from treasury.balances import Available
from treasury.core.assets import GAS_DECIMALS, USDC_DECIMALS
from treasury.core.status import Status
from treasury.policy.model import AssetPolicy


class TreasuryMetrics(Protocol):
    """Where the sender reports; amounts in base units, of an asset with 18 decimals unless said."""

    def leading(self, yes: bool) -> None:
        """Whether this process leads the wallet."""

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None:
        """What is on chain, held and available."""

    def limits(self, asset: AssetPolicy) -> None:
        """What the policy wants of an asset's balance."""

    def nonce(self, nonce: int) -> None:
        """The agreed number of transactions of the wallet."""

    def in_flight(self, count: int) -> None:
        """Transactions signed and not final."""

    def payouts(self, by_status: Mapping[str, int]) -> None:
        """Payouts in each state."""

    def sweeps(self, by_status: Mapping[str, int]) -> None:
        """Sweeps in each state."""

    def cold_wallet(self, proved: bool) -> None:
        """Whether the cold wallet proved itself when it was last read."""

    def signed(self, seconds: float, outcome: str) -> None:
        """One signature asked for: `ok`, `refused` or `unavailable`."""

    def broadcast(self, outcome: str) -> None:
        """One hand-out to all nodes: `reached` or `unreached`."""

    def gas(self, wei: int) -> None:
        """Spent for one final or reverted transaction."""

    def alarm(self, kind: str) -> None:
        """Something a person must look at began."""

    def stopped(self, yes: bool) -> None:
        """Whether all signing is stopped by an alarm."""

    def rebuilding(self, transactions: int) -> None:
        """Transactions of the wallet that no row explains and that are still being attributed to purchases at Stripe."""

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        """Gone from the chain without a row that says why."""

    def receivable(self, usdc: int, age_seconds: float) -> None:
        """USDC, in base units of 6 decimals, that Stripe owes or delivered unseen, and how long the oldest waits."""


class PrometheusTreasuryMetrics:
    """The families named `treasury_...`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self._leading = Gauge("treasury_leader", "1 while this process leads the hot wallet.", registry=registry)
        self._balance = Gauge("treasury_balance", "Hot wallet in token units.", ("asset", "kind"), registry=None)
        self._block = Gauge("treasury_balance_block", "Block of the balance.", ("asset",), registry=None)
        self._nonce = Gauge("treasury_nonce", "Agreed transaction count of the hot wallet.", registry=None)
        self._in_flight = Gauge("treasury_transactions_in_flight", "Signed and not final.", registry=None)
        self._payouts = Gauge("treasury_payouts", "Payouts by status.", ("status",), registry=None)
        self._signer = Histogram("treasury_signer_seconds", "Time a signature took.", registry=registry)
        self._signatures = Counter(
            "treasury_signatures_total", "Signatures asked for.", ("outcome",), registry=registry
        )
        self._errors = Counter("treasury_signer_errors_total", "Signatures not given.", ("outcome",), registry=registry)
        self._broadcasts = Counter(
            "treasury_broadcasts_total", "Bytes handed to the nodes.", ("outcome",), registry=registry
        )
        self._gas = Counter("treasury_gas_spent_total", "Gas token spent, in token units.", registry=registry)
        self._alarms = Counter("treasury_alarms_total", "Alarms raised.", ("kind",), registry=registry)
        self._stopped = Gauge("treasury_signing_stopped", "1 while an alarm stops all signing.", registry=None)
        self._rebuilding = Gauge(
            "treasury_rebuilding",
            "Transactions of the hot wallet that are being attributed to purchases at Stripe, as after a restore.",
            registry=None,
        )
        self._sweeps = Gauge("treasury_sweeps", "Sweeps by status.", ("status",), registry=None)
        self._cold = Gauge(
            "treasury_cold_wallet_verified", "1 while the cold wallet is the pinned Safe.", registry=None
        )
        self._difference = Gauge(
            "treasury_ledger_difference", "Gone without a row, in token units.", ("asset",), registry=None
        )
        self._receivable = Gauge("treasury_receivable_usdc", "USDC not yet seen to arrive.", registry=None)
        self._receivable_age = Gauge(
            "treasury_receivable_age_seconds", "How long the oldest of it waits.", registry=None
        )
        self._registry = registry
        self._leads = False
        self._shown: set[Gauge] = set()

    def leading(self, yes: bool) -> None:
        """Whether this process leads the wallet; one that does not shows nothing of what the leader alone knows."""
        self._leading.set(yes)
        if yes and not self._leads:
            self._leads = True
            # Every state from the start: an alarm on one that was never reached must not find nothing.
            self.payouts({})
            self.sweeps({})
        elif not yes:
            self._leads = False
            for family in self._shown:
                self._registry.unregister(family)
                if family._labelnames:
                    family.clear()
            self._shown.clear()

    def _show(self, family: Gauge) -> Gauge:
        """The family, shown from its first value on for as long as this process leads.

        An old value beside the new leader's, or a zero that nobody measured, is an alarm, or hides one.
        """
        if self._leads and family not in self._shown:
            self._registry.register(family)
            self._shown.add(family)
        return family

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None:
        """What is on chain, held and available."""
        self._show(self._balance).labels(asset, "on_chain").set(available.on_chain / 10**decimals)
        self._show(self._balance).labels(asset, "held").set(available.held / 10**decimals)
        self._show(self._balance).labels(asset, "available").set(available.available / 10**decimals)
        self._show(self._block).labels(asset).set(available.block_number or 0)

    def limits(self, asset: AssetPolicy) -> None:
        """Floor, target and ceiling beside the balance; one that the policy does not set is not shown."""
        for kind in ("floor", "target", "ceiling"):
            wanted: int | None = getattr(asset, kind)
            if wanted is not None:
                self._show(self._balance).labels(asset.symbol, kind).set(wanted / 10**asset.decimals)

    def nonce(self, nonce: int) -> None:
        """The agreed number of transactions of the wallet."""
        self._show(self._nonce).set(nonce)

    def in_flight(self, count: int) -> None:
        """Transactions signed and not final."""
        self._show(self._in_flight).set(count)

    def payouts(self, by_status: Mapping[str, int]) -> None:
        """Payouts in each state; an empty one shows zero."""
        for status in Status:
            self._show(self._payouts).labels(status).set(by_status.get(status, 0))

    def sweeps(self, by_status: Mapping[str, int]) -> None:
        """Sweeps in each state; an empty one shows zero."""
        for status in Status:
            self._show(self._sweeps).labels(status).set(by_status.get(status, 0))

    def cold_wallet(self, proved: bool) -> None:
        """Whether the cold wallet proved itself when it was last read."""
        self._show(self._cold).set(proved)

    def signed(self, seconds: float, outcome: str) -> None:
        """One signature asked for."""
        self._signer.observe(seconds)
        self._signatures.labels(outcome).inc()
        if outcome != "ok":
            self._errors.labels(outcome).inc()

    def broadcast(self, outcome: str) -> None:
        """One hand-out to all nodes."""
        self._broadcasts.labels(outcome).inc()

    def gas(self, wei: int) -> None:
        """Spent for one transaction."""
        self._gas.inc(wei / 10**GAS_DECIMALS)

    def alarm(self, kind: str) -> None:
        """Something a person must look at began."""
        self._alarms.labels(kind).inc()

    def stopped(self, yes: bool) -> None:
        """Whether all signing is stopped by an alarm."""
        self._show(self._stopped).set(yes)

    def rebuilding(self, transactions: int) -> None:
        """Transactions of the wallet that are still being attributed to purchases at Stripe."""
        self._show(self._rebuilding).set(transactions)

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        """Gone from the chain without a row that says why."""
        self._show(self._difference).labels(asset).set(amount / 10**decimals)

    def receivable(self, usdc: int, age_seconds: float) -> None:
        """USDC that Stripe owes or delivered unseen."""
        self._show(self._receivable).set(usdc / 10**USDC_DECIMALS)
        self._show(self._receivable_age).set(age_seconds)
