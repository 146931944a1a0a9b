"""Plan a sweep. Pure: (snapshot, requested amount) -> a planned sweep, nothing, or a refusal that names its rule.

A dry run, the scheduler, an operator's command and the last check before a signature all use it, so their verdicts cannot differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kit.money import format_units
from treasury.core.asset_policy import AssetPolicy

OVER_CEILING: Final = "excess over ceiling"
"""The purpose of a sweep that the scheduler plans because the available amount is above the ceiling."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one asset at one moment; amounts in base units.

    `reserved` are the amounts that payouts and approved sweeps will take. `processing` is promised to buyers whose payment is under way.
    `swept` is what sweeps of the last 24 hours took. `active` is the id of a sweep that may still move. `first`: nothing has arrived in
    this Safe before.
    """

    asset: AssetPolicy
    on_chain: int
    reserved: Sequence[int] = ()
    processing: int = 0
    swept: int = 0
    active: str | None = None
    first: bool = False

    @property
    def available(self) -> int:
        """The base units that have not been promised; below zero if more is promised than there is."""
        return self.on_chain - sum(self.reserved) - self.processing


@dataclass(frozen=True, slots=True)
class PlannedSweep:
    """A plan to sweep `amount` base units; `purpose` says why."""

    amount: int
    purpose: str
    approval_needed: bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to sweep; `purpose` says why."""

    purpose: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The sweep is refused: a code of the interface, the rule, and a sentence."""

    code: str
    rule: str
    sentence: str

    @property
    def detail(self) -> str:
        """The rule and the sentence as one text, as the API returns it."""
        return f"{self.rule}: {self.sentence}"


def plan(snapshot: Snapshot, amount: int | None) -> PlannedSweep | Nothing | Refusal:
    """Plan a sweep of `amount` base units, or of the excess over the target if None."""
    if snapshot.active is not None:
        return Refusal("already_active", "one sweep at a time", f"{snapshot.active} is under way.")
    return _excess(snapshot) if amount is None else _requested(snapshot, amount)


def due(snapshot: Snapshot) -> bool:
    """Return whether the scheduler has to act, because the available amount is above the ceiling."""
    ceiling = snapshot.asset.ceiling
    return snapshot.active is None and ceiling is not None and snapshot.available > ceiling


def _excess(snapshot: Snapshot) -> PlannedSweep | Nothing | Refusal:
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    keep = asset.floor if asset.target is None else asset.target
    excess = snapshot.available - keep
    if excess <= 0:
        return Nothing(f"{_text(asset, max(0, snapshot.available))} is available, and {_text(asset, keep)} stays")
    amount, purpose = excess, OVER_CEILING if due(snapshot) else "excess over target"
    if limits.max_per_transaction is not None:
        amount = min(amount, limits.max_per_transaction)
    if limits.max_per_day is not None:
        amount = min(amount, max(0, limits.max_per_day - snapshot.swept))
    if amount == 0:
        return Nothing("sweeps.max_per_day is spent; the rest waits for tomorrow")
    if limits.min is not None and amount < limits.min:
        return Nothing(f"{_text(asset, amount)} is less than min, {_text(asset, limits.min)}")
    return _first(snapshot, amount, purpose)


def _requested(snapshot: Snapshot, amount: int) -> PlannedSweep | Refusal:
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    if amount <= 0:
        return Refusal("policy_refused", "sweeps.min", "A sweep needs an amount above zero.")
    if amount > snapshot.available:
        available = _text(asset, max(0, snapshot.available))
        return Refusal(
            "insufficient_available", "available", f"{available} is available; the rest is promised or missing."
        )
    if snapshot.available - amount < asset.floor:
        floor = _text(asset, asset.floor)
        return Refusal("policy_refused", f"assets.{asset.symbol}.floor", f"Less than {floor} would stay.")
    if limits.min is not None and amount < limits.min:
        return Refusal("policy_refused", "sweeps.min", f"The minimum is {_text(asset, limits.min)}.")
    if limits.max_per_transaction is not None and amount > limits.max_per_transaction:
        maximum = _text(asset, limits.max_per_transaction)
        return Refusal("policy_refused", "sweeps.max_per_transaction", f"The maximum for one sweep is {maximum}.")
    if limits.max_per_day is not None and snapshot.swept + amount > limits.max_per_day:
        remaining = _text(asset, max(0, limits.max_per_day - snapshot.swept))
        return Refusal("policy_refused", "sweeps.max_per_day", f"{remaining} may still be swept in these 24 hours.")
    return _first(snapshot, amount, "ordered")


def _first(snapshot: Snapshot, amount: int, purpose: str) -> PlannedSweep | Refusal:
    """Reduce the first sweep to a Safe to the minimum: people see it arrive, and spend it back, before the rest follows."""
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    # By the requested amount: a small first sweep out of a large request is the riskiest of all.
    approval_needed = amount > limits.approval_above
    if snapshot.first:
        if not limits.min:
            text = (
                f"Only the minimum goes first to a new Safe, and {asset.symbol} has no min; sweep another asset first."
            )
            return Refusal("policy_refused", "first sweep", text)
        if amount > limits.min:
            purpose = f"{purpose}; only the minimum goes first to a new Safe, the rest once that has arrived"
            amount = limits.min
    return PlannedSweep(amount, purpose, approval_needed)


def _text(asset: AssetPolicy, amount: int) -> str:
    return f"{format_units(amount, asset.decimals)} {asset.symbol}"
