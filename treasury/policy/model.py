"""The policy as a value. Amounts are in base units of the asset, fees in wei for each unit of gas."""

from collections.abc import Mapping
from dataclasses import dataclass

from treasury.core.asset_policy import AssetPolicy


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """Limits on payouts of MUSD. A payout above any of them waits for a person's approval; it is never refused."""

    approval_above: int
    max_per_transaction: int
    max_per_day: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The contents of `treasury.toml`. `every_minutes` 0: sweeps are proposed by operators alone."""

    payouts: PayoutLimits
    approval_expires_hours: int
    every_minutes: int
    assets: Mapping[str, AssetPolicy]
    max_fee: int
