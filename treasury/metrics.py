"""The treasury's metrics. Amounts become token units (floats) here alone: a gauge is not a ledger."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GAS_DECIMALS, USDC_DECIMALS
from treasury.core.available import Available
from treasury.core.status import Status


class TreasuryMetrics(Protocol):
    """Receives what the sender reports, to record it as metrics.

    Amounts are in base units, of an asset with 18 decimals unless `decimals` says otherwise.
    """

    def leading(self, yes: bool) -> None:
        """Report whether this process leads the wallet."""

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None:
        """Report how much of an asset is on chain, reserved and available."""

    def limits(self, asset: AssetPolicy) -> None:
        """Report the floor, target and ceiling of an asset."""

    def nonce(self, nonce: int) -> None:
        """Report the agreed number of transactions of the wallet."""

    def in_flight(self, count: int) -> None:
        """Report how many transactions are signed and not final."""

    def payouts(self, by_status: Mapping[str, int]) -> None:
        """Report how many payouts are in each status."""

    def sweeps(self, by_status: Mapping[str, int]) -> None:
        """Report how many sweeps are in each status."""

    def cold_wallet(self, proved: bool) -> None:
        """Report whether the cold wallet was the pinned Safe when it was last read."""

    def signed(self, seconds: float, outcome: str) -> None:
        """Count a requested signature, with its duration in seconds; `outcome` is `ok`, `refused` or `unavailable`."""

    def broadcast(self, outcome: str) -> None:
        """Count a broadcast to all nodes; `outcome` is `reached` or `unreached`."""

    def gas(self, wei: int) -> None:
        """Count the cost of one decided transaction, in wei."""

    def alarm(self, kind: str) -> None:
        """Count an alarm that begins: something that a person must look at."""

    def stopped(self, yes: bool) -> None:
        """Report whether an alarm stops all signing."""

    def rebuilding(self, transactions: int) -> None:
        """Report how many unmatched transactions are still being attributed to purchases at Stripe."""

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        """Report how much of an asset has left the wallet on chain without a row that explains it."""

    def receivable(self, usdc: int, age_seconds: float) -> None:
        """Report the USDC (base units, 6 decimals) that Stripe owes or delivered unseen, and the age in seconds of the oldest part."""


class PrometheusTreasuryMetrics:
    """Records what the sender reports in a Prometheus registry, in the metrics named `treasury_...`."""

    def __init__(self, registry: CollectorRegistry, alarms: Iterable[str] = ()) -> None:
        """Declare the metrics; `alarms` are the kinds of alarm that are shown at 0 until they are raised."""
        self._leading = Gauge("treasury_leader", "1 while this process leads the hot wallet.", registry=registry)
        self._balance = Gauge("treasury_balance", "Hot wallet in token units.", ("asset", "kind"), registry=None)
        self._block = Gauge("treasury_balance_block", "Block of the balance.", ("asset",), registry=None)
        self._nonce = Gauge("treasury_nonce", "Agreed transaction count of the hot wallet.", registry=None)
        self._in_flight = Gauge("treasury_transactions_in_flight", "Signed and not final.", registry=None)
        self._payouts = Gauge("treasury_payouts", "Payouts by status.", ("status",), registry=None)
        self._signer = Histogram("treasury_signer_seconds", "Time a signature took.", registry=registry)
        self._signatures = Counter(
            "treasury_signatures_total", "Requested signatures.", ("outcome",), registry=registry
        )
        self._errors = Counter(
            "treasury_signer_errors_total", "Signatures that were refused or failed.", ("outcome",), registry=registry
        )
        self._broadcasts = Counter(
            "treasury_broadcasts_total", "Bytes handed to the nodes.", ("outcome",), registry=registry
        )
        self._gas = Counter("treasury_gas_spent_total", "Gas token spent, in token units.", registry=registry)
        self._alarms = Counter("treasury_alarms_total", "Alarms raised.", ("kind",), registry=registry)
        for kind in alarms:
            self._alarms.labels(kind)
        for outcome in ("ok", "refused", "unavailable"):
            self._signatures.labels(outcome)
            if outcome != "ok":
                self._errors.labels(outcome)
        for outcome in ("reached", "unreached"):
            self._broadcasts.labels(outcome)
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
        self._registered: set[Gauge] = set()

    def leading(self, yes: bool) -> None:
        """Report whether this process leads the wallet. When it stops leading, the metrics that only a leader knows are hidden."""
        self._leading.set(yes)
        if yes and not self._leads:
            self._leads = True
            # Show every status from the start: an alert on a status that was never reached must find a value.
            self.payouts({})
            self.sweeps({})
        elif not yes:
            self._leads = False
            for family in self._registered:
                self._registry.unregister(family)
                if family._labelnames:
                    family.clear()
            self._registered.clear()

    def _show(self, family: Gauge) -> Gauge:
        """Return the family. It is registered when it gets its first value, and unregistered when this process stops leading.

        Its old value next to the new leader's, or a zero that was never measured, could raise a false alert or hide a real one.
        """
        if self._leads and family not in self._registered:
            self._registry.register(family)
            self._registered.add(family)
        return family

    def balance(self, asset: str, available: Available, decimals: int = 18) -> None:
        """Report how much of an asset is on chain, reserved and available."""
        self._show(self._balance).labels(asset, "on_chain").set(available.on_chain / 10**decimals)
        self._show(self._balance).labels(asset, "held").set(available.reserved / 10**decimals)
        self._show(self._balance).labels(asset, "available").set(available.available / 10**decimals)
        self._show(self._block).labels(asset).set(available.block_number or 0)

    def limits(self, asset: AssetPolicy) -> None:
        """Report the floor, target and ceiling of an asset that the policy sets."""
        for kind in ("floor", "target", "ceiling"):
            limit: int | None = getattr(asset, kind)
            if limit is not None:
                self._show(self._balance).labels(asset.symbol, kind).set(limit / 10**asset.decimals)

    def nonce(self, nonce: int) -> None:
        """Report the agreed number of transactions of the wallet."""
        self._show(self._nonce).set(nonce)

    def in_flight(self, count: int) -> None:
        """Report how many transactions are signed and not final."""
        self._show(self._in_flight).set(count)

    def payouts(self, by_status: Mapping[str, int]) -> None:
        """Report how many payouts are in each status, with zero for a status without any."""
        for status in Status:
            self._show(self._payouts).labels(status).set(by_status.get(status, 0))

    def sweeps(self, by_status: Mapping[str, int]) -> None:
        """Report how many sweeps are in each status, with zero for a status without any."""
        for status in Status:
            self._show(self._sweeps).labels(status).set(by_status.get(status, 0))

    def cold_wallet(self, proved: bool) -> None:
        """Report whether the cold wallet was the pinned Safe when it was last read."""
        self._show(self._cold).set(proved)

    def signed(self, seconds: float, outcome: str) -> None:
        """Count a requested signature, with its duration in seconds; `outcome` is `ok`, `refused` or `unavailable`."""
        self._signer.observe(seconds)
        self._signatures.labels(outcome).inc()
        if outcome != "ok":
            self._errors.labels(outcome).inc()

    def broadcast(self, outcome: str) -> None:
        """Count a broadcast to all nodes; `outcome` is `reached` or `unreached`."""
        self._broadcasts.labels(outcome).inc()

    def gas(self, wei: int) -> None:
        """Count the cost of one decided transaction, in wei."""
        self._gas.inc(wei / 10**GAS_DECIMALS)

    def alarm(self, kind: str) -> None:
        """Count an alarm that begins: something that a person must look at."""
        self._alarms.labels(kind).inc()

    def stopped(self, yes: bool) -> None:
        """Report whether an alarm stops all signing."""
        self._show(self._stopped).set(yes)

    def rebuilding(self, transactions: int) -> None:
        """Report how many unmatched transactions are still being attributed to purchases at Stripe."""
        self._show(self._rebuilding).set(transactions)

    def ledger_difference(self, asset: str, amount: int, decimals: int = 18) -> None:
        """Report how much of an asset has left the wallet on chain without a row that explains it."""
        self._show(self._difference).labels(asset).set(amount / 10**decimals)

    def receivable(self, usdc: int, age_seconds: float) -> None:
        """Report the USDC (base units, 6 decimals) that Stripe owes or delivered unseen, and the age in seconds of the oldest part."""
        self._show(self._receivable).set(usdc / 10**USDC_DECIMALS)
        self._show(self._receivable_age).set(age_seconds)
