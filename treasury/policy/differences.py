"""What two terms differ in, rule by rule, in words. Pure.

Whether a difference loosens the policy is what `treasury.policy.states.compare` says, which decides how many persons it takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kit.money import format_units
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GWEI_DECIMALS, MUSD, MUSD_DECIMALS
from treasury.policy.model import UNLIMITED, Policy
from treasury.policy.states import Loosening, Terms, compare

Effect = Literal["tightens", "loosens", "changes"]
NO_LIMIT: Final = "no limit"
_MEANINGS: Final[Mapping[str, str]] = {
    "payouts.approval_above": "The amount above which a payout waits for a person",
    "payouts.max_per_transaction": "The most that one payout may be without a person",
    "payouts.max_per_day": "What payouts of a day may add up to without a person",
    "payouts.max_batch": "How many payouts one transaction may make",
    "payouts.max_allowance": "What PayOnce may move of the hot wallet's MUSD",
    "sweeps.approval_above": "The amount above which a sweep of MUSD takes another person",
    "sweeps.max_per_transaction": "The most that one sweep of MUSD may be",
    "sweeps.max_per_day": "What sweeps of MUSD of a day may add up to",
    "sweeps.min": "The least that a sweep of MUSD is",
    "sweeps.approval_expires_hours": "How long a proposed sweep waits for its approval",
    "sweeps.every_minutes": "How often sweeps are proposed without a person",
    "fees.max_fee_gwei": "The highest fee that is paid for gas",
    "MUSD_TOKEN_ADDRESS": "The token that is paid out",
    "COLD_SAFE.address": "The address of the cold wallet",
    "COLD_SAFE.owners": "The owners of the cold wallet",
    "COLD_SAFE.threshold": "How many owners the cold wallet takes",
    "COLD_SAFE.guard": "The guard of the cold wallet",
}
_OF_ASSET: Final[Mapping[str, str]] = {
    "floor": "What sweeps of {symbol} leave in the hot wallet at least",
    "target": "What sweeps bring the balance of {symbol} down to",
    "ceiling": "The balance of {symbol} above which a sweep is proposed",
    "token": "The token contract of {symbol}",
    "sweeps.approval_above": "The amount above which a sweep of {symbol} takes another person",
    "sweeps.max_per_transaction": "The most that one sweep of {symbol} may be",
    "sweeps.max_per_day": "What sweeps of {symbol} of a day may add up to",
    "sweeps.min": "The least that a sweep of {symbol} is",
}
_EFFECTS: Final[Mapping[Effect, str]] = {
    "tightens": "This tightens the policy.",
    "loosens": "This loosens the policy.",
    "changes": "This neither tightens nor loosens the policy.",
}
_NEUTRAL: Final = frozenset({"sweeps.every_minutes"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One rule in which two terms differ. `before` and `after` are texts with their unit; None: the rule is not there."""

    field: str
    """The name of the rule as in `treasury.toml`, or the name of a setting."""
    before: str | None
    after: str | None
    effect: Effect
    sentence: str


def differences(old: Terms, new: Terms) -> list[Difference]:
    """Return each rule in which `new` differs from `old`, in the order of the file."""
    verdict = compare(old, new)
    looser = frozenset(verdict.rules) if isinstance(verdict, Loosening) else frozenset[str]()
    before, after = _rules(old), _rules(new)
    names = list(dict.fromkeys([*before, *after]))
    return [
        _difference(name, before.get(name), after.get(name), looser)
        for name in names
        if before.get(name) != after.get(name)
    ]


def _difference(name: str, before: str | None, after: str | None, looser: frozenset[str]) -> Difference:
    # A new asset or cold wallet is one rule to `compare`, and has several here.
    parents = {name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)}
    effect: Effect = "loosens" if name in looser or parents & looser else "changes" if name in _NEUTRAL else "tightens"
    sentence = f"{_meaning(name)}: {before or 'none'} becomes {after or 'none'}. {_EFFECTS[effect]}"
    return Difference(name, before, after, effect, sentence)


def _meaning(name: str) -> str:
    if name in _MEANINGS:
        return _MEANINGS[name]
    _, symbol, rule = name.split(".", 2)
    return _OF_ASSET[rule].format(symbol=symbol)


def _rules(terms: Terms) -> dict[str, str]:
    policy, cold = terms.policy, terms.cold
    rules = _payout_rules(policy)
    rules |= {
        "sweeps.approval_expires_hours": f"{policy.approval_expires_hours} h",
        "sweeps.every_minutes": f"every {policy.every_minutes} minutes" if policy.every_minutes else "never",
        "fees.max_fee_gwei": f"{format_units(policy.max_fee, GWEI_DECIMALS)} gwei",
        "MUSD_TOKEN_ADDRESS": terms.token,
    }
    for asset in policy.assets.values():
        rules |= _asset_rules(asset)
    if cold is not None:
        rules |= {
            "COLD_SAFE.address": cold.address,
            "COLD_SAFE.owners": ", ".join(sorted(cold.owners)),
            "COLD_SAFE.threshold": str(cold.threshold),
            "COLD_SAFE.guard": cold.guard or "no guard",
        }
    return rules


def _payout_rules(policy: Policy) -> dict[str, str]:
    def musd(amount: int) -> str:
        return f"{format_units(amount, MUSD_DECIMALS)} {MUSD}"

    allowance = NO_LIMIT if policy.max_allowance == UNLIMITED else musd(policy.max_allowance)
    return {
        "payouts.approval_above": musd(policy.payouts.approval_above),
        "payouts.max_per_transaction": musd(policy.payouts.max_per_transaction),
        "payouts.max_per_day": musd(policy.payouts.max_per_day),
        "payouts.max_batch": str(policy.contract.max_batch),
        # One that only follows the ceiling of MUSD is no rule of its own.
        **({} if policy.contract.max_allowance is None else {"payouts.max_allowance": allowance}),
    }


def _asset_rules(asset: AssetPolicy) -> dict[str, str]:
    def units(amount: int | None) -> str:
        return NO_LIMIT if amount is None else f"{format_units(amount, asset.decimals)} {asset.symbol}"

    where = f"assets.{asset.symbol}"
    sweeps = "sweeps" if asset.symbol == MUSD else f"{where}.sweeps"
    return {
        f"{where}.token": f"{asset.token} with {asset.decimals} decimals",
        f"{where}.floor": units(asset.floor),
        f"{where}.target": units(asset.target),
        f"{where}.ceiling": units(asset.ceiling),
        f"{sweeps}.approval_above": units(asset.sweeps.approval_above),
        f"{sweeps}.max_per_transaction": units(asset.sweeps.max_per_transaction),
        f"{sweeps}.max_per_day": units(asset.sweeps.max_per_day),
        f"{sweeps}.min": units(asset.sweeps.min),
    }
