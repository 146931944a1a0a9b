"""The policy as a value. Amounts are base units of the asset, fees wei for each unit of gas."""

from collections.abc import Mapping
from dataclasses import dataclass

from chain.types import Address


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """MUSD. Above any of them a payout waits for a person; it is never refused."""

    approval_above: int
    max_per_transaction: int
    max_per_day: int


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Of one asset. None: no such limit; `approval_above` 0: every sweep waits for another person."""

    approval_above: int
    max_per_transaction: int | None
    max_per_day: int | None
    min: int | None


@dataclass(frozen=True, slots=True)
class AssetPolicy:
    """One asset. No sweep goes below `floor`; a sweep brings down to `target`; the sweeper acts above `ceiling`."""

    symbol: str
    token: Address
    decimals: int
    floor: int
    target: int | None
    ceiling: int | None
    sweeps: SweepLimits


@dataclass(frozen=True, slots=True)
class Policy:
    """All of `treasury.toml`. `every_minutes` 0: sweeps on an operator's order only."""

    payouts: PayoutLimits
    approval_expires_hours: int
    every_minutes: int
    assets: Mapping[str, AssetPolicy]
    max_fee: int
