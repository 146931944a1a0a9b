"""How much of one asset stays in the hot wallet, and how much sweeps may take. Amounts are in base units of the asset."""

from dataclasses import dataclass

from chain.types import Address


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Limits on the sweeps of one asset; None means no such limit. `approval_above` 0: every sweep takes another person's approval."""

    approval_above: int
    max_per_transaction: int | None
    max_per_day: int | None
    min: int | None


@dataclass(frozen=True, slots=True)
class AssetPolicy:
    """The policy for one asset: no sweep goes below `floor`, a sweep brings the balance down to `target`, the scheduler acts above `ceiling`."""

    symbol: str
    token: Address
    decimals: int
    floor: int
    target: int | None
    ceiling: int | None
    sweeps: SweepLimits
