"""The policy as a value. Amounts are in base units of the asset, fees in wei for each unit of gas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import MUSD

UNLIMITED: Final = 2**256 - 1
"""The allowance that MUSD, like most tokens, never reduces; in base units."""


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """Limits on payouts of MUSD. A payout above any of them waits for a person's approval; it is never refused."""

    approval_above: int
    max_per_transaction: int
    max_per_day: int


@dataclass(frozen=True, slots=True)
class ContractLimits:
    """Limits on payouts through PayOnce, from the table `payouts` of the file.

    `max_batch` payouts at most are one transaction. The contract may be approved to move `max_allowance` base units of MUSD at most; None:
    the file names no such limit.
    """

    max_batch: int = 100
    max_allowance: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The contents of `treasury.toml`. `every_minutes` 0: only operators propose sweeps."""

    payouts: PayoutLimits
    approval_expires_hours: int
    every_minutes: int
    assets: Mapping[str, AssetPolicy]
    max_fee: int
    contract: ContractLimits = ContractLimits()

    @property
    def max_allowance(self) -> int:
        """How many base units of MUSD PayOnce may be approved to move: as the file says, or else the ceiling of MUSD. 0: neither is named."""
        named = self.contract.max_allowance
        return (self.assets[MUSD].ceiling or 0) if named is None else named
