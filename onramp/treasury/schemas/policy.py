"""Response models of the policy: names as in `treasury.toml`, in camelCase, and amounts as decimal text."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GWEI_DECIMALS, MUSD_DECIMALS
from treasury.policy.differences import Effect, differences
from treasury.policy.model import UNLIMITED, Policy
from treasury.policy.states import VersionStatus
from treasury.policy.version import Version


class Limits(Document):
    """The limits of payouts, in MUSD. `maxBatch` is the number of payouts in one transaction; `maxAllowance` an amount, or `unlimited`."""

    approval_above: str
    max_per_transaction: str
    max_per_day: str
    max_batch: int
    max_allowance: str


class AssetLimits(Document):
    """The limits of one asset, in its own units; null means no limit."""

    symbol: str
    token: str
    decimals: int
    floor: str
    target: str | None
    ceiling: str | None
    min: str | None
    approval_above: str
    max_per_transaction: str | None
    max_per_day: str | None


class ColdResponse(Document):
    """The cold wallet that a version pins."""

    address: str
    owners: list[str]
    threshold: int
    guard: str | None


class VersionResponse(Document):
    """One version of the terms.

    `loosens` names the rules that it loosens, for which two persons are needed, and `appliesAt` the time at which it may become active.
    """

    id: str
    version: int
    status: str
    loosens: list[str]
    proposed_by: str
    approved_by: str | None
    applies_at: str | None
    created_at: str
    payouts: Limits
    approval_expires_hours: int
    every_minutes: int
    max_fee_gwei: str
    assets: list[AssetLimits]
    token: str
    cold_wallet: ColdResponse | None


class DifferenceOfPolicies(Document):
    """One rule in which the version that waits differs from the active one."""

    field: str = Field(description="The rule as in `treasury.toml`, or the name of a setting.")
    from_value: str | None = Field(
        alias="from", description="With its unit; null if the active version has no such rule."
    )
    to_value: str | None = Field(alias="to")
    effect: Effect
    sentence: str


class PolicyResponse(Document):
    """The active version, and the 50 newest versions, the newest first."""

    active: VersionResponse | None
    versions: list[VersionResponse]
    pending: str | None = Field(
        description="The id of the version that waits for persons or for its time; null if none does."
    )
    differences: list[DifferenceOfPolicies] = Field(
        description="What that version changes in the active one, rule by rule; empty if none waits."
    )


def _asset(asset: AssetPolicy) -> AssetLimits:
    def units(amount: int | None) -> str | None:
        return None if amount is None else format_units(amount, asset.decimals)

    limits: dict[str, Any] = {name: units(amount) for name, amount in asdict(asset.sweeps).items()}
    return AssetLimits(
        symbol=asset.symbol,
        token=asset.token,
        decimals=asset.decimals,
        floor=format_units(asset.floor, asset.decimals),
        target=units(asset.target),
        ceiling=units(asset.ceiling),
        **limits,
    )


def _payouts(policy: Policy) -> Limits:
    amounts = {name: format_units(amount, MUSD_DECIMALS) for name, amount in asdict(policy.payouts).items()}
    allowance = "unlimited" if policy.max_allowance == UNLIMITED else format_units(policy.max_allowance, MUSD_DECIMALS)
    return Limits(**amounts, max_batch=policy.contract.max_batch, max_allowance=allowance)


def version(row: Version) -> VersionResponse:
    """Return the response for one version."""
    policy, cold = row.terms.policy, row.terms.cold
    return VersionResponse(
        id=row.id,
        version=row.version,
        status=row.status,
        loosens=list(row.loosens),
        proposed_by=row.proposed_by,
        approved_by=row.approved_by,
        applies_at=rfc3339(row.applies_at) if row.applies_at else None,
        created_at=rfc3339(row.created_at),
        payouts=_payouts(policy),
        approval_expires_hours=policy.approval_expires_hours,
        every_minutes=policy.every_minutes,
        max_fee_gwei=format_units(policy.max_fee, GWEI_DECIMALS),
        assets=[_asset(asset) for asset in policy.assets.values()],
        token=row.terms.token,
        cold_wallet=None
        if cold is None
        else ColdResponse(address=cold.address, owners=list(cold.owners), threshold=cold.threshold, guard=cold.guard),
    )


def policy(active: Version | None, versions: list[Version]) -> PolicyResponse:
    """Return the response for the active version and the newest versions, the newest first."""
    waits = (VersionStatus.PROPOSED, VersionStatus.APPROVED)
    pending = next((row for row in versions if row.status in waits), None)
    found = [] if active is None or pending is None else differences(active.terms, pending.terms)
    return PolicyResponse(
        active=None if active is None else version(active),
        versions=[version(row) for row in versions],
        pending=None if pending is None else pending.id,
        differences=[
            DifferenceOfPolicies(
                field=row.field, from_value=row.before, to_value=row.after, effect=row.effect, sentence=row.sentence
            )
            for row in found
        ],
    )
