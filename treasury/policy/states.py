"""The states of a policy version, and whether one version is stricter than another. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from treasury.cold.identity import ColdPin
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import MUSD
from treasury.core.status import Moves
from treasury.policy.model import Policy


class VersionStatus(StrEnum):
    """The state of a version of the policy. One version of each hot wallet is active at a time."""

    PROPOSED = "proposed"
    """The version loosens a rule and waits for two persons."""
    APPROVED = "approved"
    """Two persons approved the version; its wait is not over."""
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    """Another version became active after this one, or was proposed in its place."""
    REJECTED = "rejected"


class VersionFact(StrEnum):
    """A fact about a version; MOVES says which status follows."""

    ENDORSED = "endorsed"
    """A first person proposes what until then only the file proposed."""
    APPROVED = "approved"
    """A second person approves the version."""
    APPLIED = "applied"
    """The version's wait is over."""
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


_S = VersionStatus
MOVES: Moves[VersionStatus] = {
    VersionFact.ENDORSED: {_S.PROPOSED: _S.PROPOSED},
    VersionFact.APPROVED: {_S.PROPOSED: _S.APPROVED},
    VersionFact.APPLIED: {_S.APPROVED: _S.ACTIVE},
    VersionFact.SUPERSEDED: dict.fromkeys((_S.PROPOSED, _S.APPROVED, _S.ACTIVE), _S.SUPERSEDED),
    VersionFact.REJECTED: dict.fromkeys((_S.PROPOSED, _S.APPROVED), _S.REJECTED),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that decides where money may go: the policy, the token that is paid out and the pinned cold wallet."""

    policy: Policy
    token: str
    cold: ColdPin | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Both versions have the same terms."""


@dataclass(frozen=True, slots=True)
class Tightening:
    """The new version only removes permissions, so it may apply at once."""


@dataclass(frozen=True, slots=True)
class Loosening:
    """The new version permits something that the old one does not; `rules` names each rule that is looser."""

    rules: tuple[str, ...]


def compare(old: Terms, new: Terms) -> Unchanged | Tightening | Loosening:
    """Return whether `new` is tighter or looser than `old`. One looser rule makes the whole version a loosening."""
    if old == new:
        return Unchanged()
    loosened = [
        *_destination(old, new),
        *_rising("payouts", old.policy.payouts, new.policy.payouts),
        *_contract(old.policy, new.policy),
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
        # The order of the owners has no meaning.
        is_same = old.cold is not None and _unordered(new.cold) == _unordered(old.cold)
        loosened += [] if is_same else ["COLD_SAFE"]
    return loosened


def _unordered(pin: ColdPin) -> tuple[object, ...]:
    return (pin.chain_id, pin.address, frozenset(pin.owners), pin.threshold, pin.guard)


def _rising(where: str, old: object, new: object) -> list[str]:
    """Return the names of limits that rose. None means no limit, which is higher than every number."""
    names = [field.name for field in fields(old)]  # type: ignore[arg-type] # limits are dataclasses, of one kind
    return [f"{where}.{name}" for name in names if _above(getattr(new, name), getattr(old, name))]


def _contract(old: Policy, new: Policy) -> list[str]:
    """Return the limits on payouts through PayOnce that rose. An allowance that only follows the ceiling of MUSD is named by that."""
    loosened = ["payouts.max_batch"] if new.contract.max_batch > old.contract.max_batch else []
    follows = old.contract.max_allowance is None and new.contract.max_allowance is None
    return loosened + (["payouts.max_allowance"] if not follows and new.max_allowance > old.max_allowance else [])


def _above(new: int | None, old: int | None) -> bool:
    return old is not None and (new is None or new > old)


def _assets(old: Mapping[str, AssetPolicy], new: Mapping[str, AssetPolicy]) -> list[str]:
    """Return the asset rules that are looser: a higher target or ceiling keeps more in the hot wallet, a lower floor less against a sweep."""
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
