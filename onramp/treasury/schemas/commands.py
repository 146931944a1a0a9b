"""Orders to the treasury in the shapes of the outside, and what answers them."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, RootModel, model_validator

from kit.http.documents import Document
from kit.http.problems import FieldError, Problem, invalid
from kit.money import format_units, parse_units
from onramp.treasury.schemas.overview import Line, SweepResponse
from treasury.core.assets import USDC_DECIMALS
from treasury.policy.parser import MAX_DECIMALS, SYMBOL
from treasury.sweeps.proposals import Plan

EXCESS: Final = "excess"
_MAX_AMOUNT: Final = 80


def _positive(text: str, decimals: int, otherwise: str = "") -> str:
    if len(text) > _MAX_AMOUNT or not 0 < parse_units(text, decimals) < 2**256:
        raise ValueError(f"must be more than zero, as a plain decimal number such as 1500.00{otherwise}")
    return text


Amount = Annotated[str, AfterValidator(lambda text: _positive(text, MAX_DECIMALS))]
"""Of an asset whose decimals are not known yet."""
UsdcAmount = Annotated[str, AfterValidator(lambda text: _positive(text, USDC_DECIMALS))]
AmountOrExcess = Annotated[
    str,
    AfterValidator(lambda text: text if text == EXCESS else _positive(text, MAX_DECIMALS, ", or the word excess")),
]


class Note(Document):
    """An order that needs nothing but a word about it, if that."""

    note: str = Field(default="", max_length=500, description="Why; kept in the history and the audit trail.")


class PauseOrder(Note):
    """What to stop. Payouts imply sales: nobody sells what is not delivered."""

    scope: Literal["sales", "payouts", "sweeps", "all"] = "all"


class PauseLine(Line):
    """One pause or resumption of a scope."""

    scope: str


class ScopeResponse(Document):
    """One thing that was paused: by whom, when, why."""

    scope: str
    by: str
    note: str
    at: str


class PauseResponse(Document):
    """What is stopped now. `sales` is true while payouts are paused, too; `paused` lists what was asked for."""

    sales: bool
    payouts: bool
    sweeps: bool
    paused: list[ScopeResponse]
    history: list[PauseLine]


class SweepOrder(Note):
    """What to bring to the cold wallet. `excess` is whatever the policy would take."""

    asset: str = Field(pattern=f"^{SYMBOL}$")
    amount: AmountOrExcess = Field(default=EXCESS, description="Decimal text, or `excess`.")
    dry_run: bool = Field(default=False, description="Only the plan: nothing is written.")

    def units(self, decimals: int) -> int | None:
        """Base units of an asset of so many decimals; None for whatever the policy would take. Raises Problem for finer ones."""
        try:
            return None if self.amount == EXCESS else parse_units(self.amount, decimals)
        except ValueError as error:
            raise invalid([FieldError("/amount", str(error))]) from error


class SettleOrder(Note):
    """How a payout that failed was made good: by a transfer that the chain proves, or as a note says."""

    tx_hash: str | None = Field(default=None, pattern="^0x[0-9a-fA-F]{64}$")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.tx_hash is None and not self.note.strip():
            message = "give txHash, or say in a note how the buyer was made good"
            raise ValueError(message)
        return self


class PlanResponse(Document):
    """What an order would do now, or, in `refusal` and `detail`, why it would be refused."""

    asset: str
    amount: str | None
    to: str | None
    reason: str | None
    approval_needed: bool | None
    policy_version: str | None
    refusal: str | None = None
    detail: str | None = None


class OrderResponse(RootModel[SweepResponse | PlanResponse]):
    """The sweep that was made, or the plan of a dry run."""


class PlanList(Document):
    """A line for each asset."""

    data: list[PlanResponse]
    next_cursor: str | None


class SweepList(Document):
    """The sweeps of one order."""

    data: list[SweepResponse]
    next_cursor: str | None


def plan(found: Plan, to: str) -> PlanResponse:
    """What would be swept."""
    return PlanResponse(
        asset=found.asset,
        amount=format_units(found.amount, found.decimals),
        to=to,
        reason=found.purpose,
        approval_needed=found.approval_needed,
        policy_version=found.policy_version,
    )


def no_plan(asset: str, problem: Problem) -> PlanResponse:
    """Why nothing would be swept."""
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
