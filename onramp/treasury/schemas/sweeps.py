"""Request and response models of sweeps and their plans."""

from pydantic import Field, RootModel

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.http.problems import FieldError, Problem, invalid
from kit.money import format_units, parse_units
from onramp.treasury.schemas.common import EXCESS, AmountOrExcess, HistoryLine, Note, history_lines
from treasury.core.history import HistoryEntry
from treasury.policy.parser import SYMBOL
from treasury.sweeps.model import Sweep
from treasury.sweeps.proposals import Plan


class ProposeSweepRequest(Note):
    """The transfer to propose to the cold wallet; `excess` is as much as the policy would take."""

    asset: str = Field(pattern=f"^{SYMBOL}$")
    amount: AmountOrExcess = Field(default=EXCESS, description="Decimal text, or `excess`.")
    dry_run: bool = Field(default=False, description="Only return the plan; nothing is written.")

    def units(self, decimals: int) -> int | None:
        """Return the amount in base units of an asset with `decimals`; None for `excess`. Raises Problem 422 if it has more decimal places."""
        try:
            return None if self.amount == EXCESS else parse_units(self.amount, decimals)
        except ValueError as error:
            raise invalid([FieldError("/amount", str(error))]) from error


class SweepResponse(Document):
    """One transfer to the cold wallet; `reason` says why it waits, or else why it was planned."""

    id: str
    kind: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str
    proposed_by: str
    approved_by: str | None
    policy_version: str
    expires_at: str | None
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str
    history: list[HistoryLine]


class SweepPage(Document):
    """A page of sweeps, the newest first."""

    data: list[SweepResponse]
    next_cursor: str | None


class SweepList(Document):
    """The sweeps that one command proposed."""

    data: list[SweepResponse]
    next_cursor: str | None


class PlanResponse(Document):
    """The sweep that a proposal would make now, or the reason to refuse it, in `refusal` and `detail`."""

    asset: str
    amount: str | None
    to: str | None
    reason: str | None
    approval_needed: bool | None
    policy_version: str | None
    refusal: str | None = None
    detail: str | None = None


class PlanList(Document):
    """A plan for each asset."""

    data: list[PlanResponse]
    next_cursor: str | None


class ProposeSweepResponse(RootModel[SweepResponse | PlanResponse]):
    """The proposed sweep, or the plan of a dry run."""


def sweep(row: Sweep, entries: list[HistoryEntry]) -> SweepResponse:
    """Return the response for one sweep with its history."""
    return SweepResponse(
        id=row.id,
        kind=row.kind,
        asset=row.asset,
        amount=format_units(row.amount, row.decimals),
        to=row.to,
        status=row.status,
        reason=row.reason or row.purpose,
        proposed_by=row.proposed_by,
        approved_by=row.approved_by,
        policy_version=row.policy_version,
        expires_at=rfc3339(row.expires_at) if row.expires_at else None,
        transaction_id=row.transaction_id,
        tx_hash=row.tx_hash,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=history_lines(entries),
    )


def plan(proposed: Plan, to: str) -> PlanResponse:
    """Return the response for the plan of a sweep to the address `to`."""
    return PlanResponse(
        asset=proposed.asset,
        amount=format_units(proposed.amount, proposed.decimals),
        to=to,
        reason=proposed.purpose,
        approval_needed=proposed.approval_needed,
        policy_version=proposed.policy_version,
    )


def refused_plan(asset: str, problem: Problem) -> PlanResponse:
    """Return the response that says why nothing of an asset would be swept."""
    return PlanResponse(
        asset=asset,
        amount=None,
        to=None,
        reason=None,
        approval_needed=None,
        policy_version=None,
        refusal=problem.code,
        detail=problem.detail,
    )
