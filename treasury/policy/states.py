"""The life of a version of the policy, and whether one is stricter than another. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from treasury.cold.identity import ColdPin
from treasury.core.assets import MUSD
from treasury.policy.model import AssetPolicy, Policy


class State(StrEnum):
    """One version is active at a time."""

    PROPOSED = "proposed"
    """It loosens something, and waits for two persons."""
    APPROVED = "approved"
    """Two persons want it; its time has not come."""
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    """Another one was active after it, or was proposed in its place."""
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that decides where money may go: the policy, the token that is paid out, the cold wallet's pin."""

    policy: Policy
    token: str
    cold: ColdPin | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The same in every respect that counts."""


@dataclass(frozen=True, slots=True)
class Tightening:
    """It only takes away: it may apply at once."""


@dataclass(frozen=True, slots=True)
class Loosening:
    """It allows something that was not allowed: each rule by its name."""

    rules: tuple[str, ...]


def compare(old: Terms, new: Terms) -> Unchanged | Tightening | Loosening:
    """Whether `new` is tighter or looser than `old`. One rule that loosens makes the whole of it a loosening."""
    if old == new:
        return Unchanged()
    loosened = [
        *_destination(old, new),
        *_rising("payouts", old.policy.payouts, new.policy.payouts),
        *_assets(old.policy.assets, new.policy.assets),
    ]
    if new.policy.max_fee > old.policy.max_fee:
        loosened.append("fees.max_fee_gwei")
    if new.policy.approval_expires_hours > old.policy.approval_expires_hours:
        loosened.append("sweeps.approval_expires_hours")
    if new.policy.every_minutes and not old.policy.every_minutes:
        loosened.append("sweeps.every_minutes")
    return Loosening(tuple(loosened)) if loosened else Tightening()


def _destination(old: Terms, new: Terms) -> list[str]:
    loosened = []
    if new.token != old.token:
        loosened.append("MUSD_TOKEN_ADDRESS")
    if new.cold is not None and new.cold != old.cold:
        # The order in which owners are listed decides nothing.
        same = old.cold is not None and _unordered(new.cold) == _unordered(old.cold)
        loosened += [] if same else ["COLD_SAFE"]
    return loosened


def _unordered(pin: ColdPin) -> tuple[object, ...]:
    return (pin.chain_id, pin.address, frozenset(pin.owners), pin.threshold, pin.guard)


def _rising(where: str, old: object, new: object) -> list[str]:
    """Limits that rose; None is no limit, the highest of all."""
    names = [field.name for field in fields(old)]  # type: ignore[arg-type] # limits are dataclasses, of one kind
    return [f"{where}.{name}" for name in names if _above(getattr(new, name), getattr(old, name))]


def _above(new: int | None, old: int | None) -> bool:
    return old is not None and (new is None or new > old)


def _assets(old: Mapping[str, AssetPolicy], new: Mapping[str, AssetPolicy]) -> list[str]:
    """More that stays in the hot wallet is looser, and so is less that stays against a sweep."""
    loosened = []
    for symbol, asset in new.items():
        where, before = f"assets.{symbol}", old.get(symbol)
        if before is None or (before.token, before.decimals) != (asset.token, asset.decimals):
            loosened.append(where)
            continue
        if asset.floor < before.floor:
            loosened.append(f"{where}.floor")
        loosened += [f"{where}.{name}" for name in ("target", "ceiling") if _above(*_both(asset, before, name))]
        loosened += _rising(f"{where}.sweeps" if symbol != MUSD else "sweeps", before.sweeps, asset.sweeps)
    return loosened + [f"assets.{symbol}.ceiling" for symbol in old if symbol not in new and old[symbol].ceiling]


def _both(new: AssetPolicy, old: AssetPolicy, name: str) -> tuple[int | None, int | None]:
    return getattr(new, name), getattr(old, name)
