"""Models that several of the treasury's routes share: notes, amounts, history lines, pages."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from chain.types import to_checksum
from kit.clock import rfc3339
from kit.http.documents import Document
from kit.http.moments import Moment, parse_moment
from kit.http.paging import PositionQuery
from kit.money import parse_units
from treasury.core.aggregates import Filter
from treasury.core.assets import USDC_DECIMALS
from treasury.core.history import HistoryEntry
from treasury.core.status import Status
from treasury.policy.parser import MAX_DECIMALS

EXCESS: Final = "excess"
_MAX_AMOUNT_LENGTH: Final = 80


def _positive(text: str, decimals: int, alternative: str = "") -> str:
    if len(text) > _MAX_AMOUNT_LENGTH or not 0 < parse_units(text, decimals) < 2**256:
        raise ValueError(f"must be more than zero, as a plain decimal number such as 1500.00{alternative}")
    return text


Amount = Annotated[str, AfterValidator(lambda text: _positive(text, MAX_DECIMALS))]
"""Decimal text with an amount of an asset whose decimals are not yet known."""
UsdcAmount = Annotated[str, AfterValidator(lambda text: _positive(text, USDC_DECIMALS))]
AmountOrExcess = Annotated[
    str,
    AfterValidator(lambda text: text if text == EXCESS else _positive(text, MAX_DECIMALS, ", or the word excess")),
]


class Note(Document):
    """The body of a command that needs nothing but an optional note."""

    note: str = Field(default="", max_length=500, description="Why; kept in the history and the audit log.")


class HistoryLine(Document):
    """One change of status; `from` is null for the first, `by` is a key's id or a worker's name."""

    at: str
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    by: str
    note: str


def history_lines(entries: list[HistoryEntry]) -> list[HistoryLine]:
    """Return a history in the form in which responses contain it."""
    return [
        HistoryLine(
            at=rfc3339(entry.at), from_status=entry.from_status, to_status=entry.to_status, by=entry.by, note=entry.note
        )
        for entry in entries
    ]


class PageQuery(PositionQuery):
    """The query of a page of payouts or sweeps."""

    status: Status | None = Field(default=None, description="Only rows with this status.")
    reason: Annotated[str, Field(max_length=64, pattern="^[a-z_]+$")] | None = Field(
        default=None,
        description="Only rows with this reason, such as `insufficient`; of payouts in the queue, only a stored one.",
    )
    wallet: Annotated[str, Field(max_length=42), AfterValidator(to_checksum)] | None = Field(
        default=None, description="Only rows that pay to this address."
    )
    from_: Moment | None = Field(default=None, alias="from", description="Only rows created at this time or later.")
    to: Moment | None = Field(default=None, description="Only rows created before this time.")

    @property
    def chosen(self) -> Filter:
        """The filter as a value."""
        return Filter(self.status, self.reason, self.wallet, parse_moment(self.from_), parse_moment(self.to))
