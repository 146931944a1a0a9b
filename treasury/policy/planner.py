"""What a sweep would be. Pure: (snapshot, order) -> a movement, nothing, or a refusal that names its rule.

A dry run, the sweeper, an order and the last look before a signature all ask this, so that none can differ from another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kit.money import format_units
from treasury.policy.model import AssetPolicy


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One asset at one moment, in base units.

    `holds` is each amount that payouts and approved sweeps will take; `processing` is promised to buyers whose payment is
    under way; `swept` is what sweeps of the last 24 hours took. `first`: nothing has arrived in this Safe before.
    """

    asset: AssetPolicy
    on_chain: int
    holds: Sequence[int] = ()
    processing: int = 0
    swept: int = 0
    active: str | None = None
    first: bool = False

    @property
    def available(self) -> int:
        """What nobody has been promised; below zero where more is promised than there is."""
        return self.on_chain - sum(self.holds) - self.processing


@dataclass(frozen=True, slots=True)
class Movement:
    """Sweep so much."""

    amount: int
    purpose: str
    approval_needed: bool


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do; why."""

    purpose: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The order is not carried out: a code of the interface, the rule, and a sentence."""

    code: str
    rule: str
    said: str

    @property
    def detail(self) -> str:
        """The rule and the sentence, as people and programs are told."""
        return f"{self.rule}: {self.said}"


def plan(snapshot: Snapshot, order: int | None) -> Movement | Nothing | Refusal:
    """A sweep of `order` base units, or of the excess over the target where None."""
    if snapshot.active is not None:
        return Refusal("already_active", "one sweep at a time", f"{snapshot.active} is under way.")
    return _excess(snapshot) if order is None else _ordered(snapshot, order)


def due(snapshot: Snapshot) -> bool:
    """Whether the sweeper acts by itself: what is available is above the ceiling."""
    ceiling = snapshot.asset.ceiling
    return snapshot.active is None and ceiling is not None and snapshot.available > ceiling


def _excess(snapshot: Snapshot) -> Movement | Nothing | Refusal:
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    keep = asset.floor if asset.target is None else asset.target
    excess = snapshot.available - keep
    if excess <= 0:
        return Nothing(f"{_said(asset, max(0, snapshot.available))} is available, and {_said(asset, keep)} stays")
    amount, purpose = excess, "excess over ceiling" if due(snapshot) else "excess over target"
    if limits.max_per_transaction is not None:
        amount = min(amount, limits.max_per_transaction)
    if limits.max_per_day is not None:
        amount = min(amount, max(0, limits.max_per_day - snapshot.swept))
    if amount == 0:
        return Nothing("sweeps.max_per_day is spent; the rest waits for tomorrow")
    if limits.min is not None and amount < limits.min:
        return Nothing(f"{_said(asset, amount)} is less than min, {_said(asset, limits.min)}")
    return _first(snapshot, amount, purpose)


def _ordered(snapshot: Snapshot, amount: int) -> Movement | Refusal:
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    if amount <= 0:
        return Refusal("policy_refused", "sweeps.min", "A sweep needs an amount above zero.")
    if amount > snapshot.available:
        there = _said(asset, max(0, snapshot.available))
        return Refusal(
            "insufficient_available", "available", f"{there} is available; the rest is promised or not there."
        )
    if snapshot.available - amount < asset.floor:
        floor = _said(asset, asset.floor)
        return Refusal("policy_refused", f"assets.{asset.symbol}.floor", f"Less than {floor} would stay.")
    if limits.min is not None and amount < limits.min:
        return Refusal("policy_refused", "sweeps.min", f"The least is {_said(asset, limits.min)}.")
    if limits.max_per_transaction is not None and amount > limits.max_per_transaction:
        most = _said(asset, limits.max_per_transaction)
        return Refusal("policy_refused", "sweeps.max_per_transaction", f"The most at once is {most}.")
    if limits.max_per_day is not None and snapshot.swept + amount > limits.max_per_day:
        left = _said(asset, max(0, limits.max_per_day - snapshot.swept))
        return Refusal("policy_refused", "sweeps.max_per_day", f"{left} is left of what may be swept in 24 hours.")
    return _first(snapshot, amount, "ordered")


def _first(snapshot: Snapshot, amount: int, purpose: str) -> Movement | Refusal:
    """The first sweep to a Safe is a small one: people see it arrive, and spend it back, before the rest follows."""
    asset, limits = snapshot.asset, snapshot.asset.sweeps
    # Of what was asked for: a small first one out of a large order is the riskiest of all.
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
    return Movement(amount, purpose, approval_needed)


def _said(asset: AssetPolicy, amount: int) -> str:
    return f"{format_units(amount, asset.decimals)} {asset.symbol}"
