"""Models that several of the treasury's routes share: notes, amounts, history lines, pages."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol

from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import parse_units
from treasury.core.assets import USDC_DECIMALS
from treasury.core.history import HistoryEntry
from treasury.core.status import Status
from treasury.policy.parser import MAX_DECIMALS

EXCESS: Final = "excess"
_MAX_AMOUNT_LENGTH: Final = 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"([0-9]{1,17})\.([a-z]{3}_[A-Za-z0-9]{1,60})", re.ASCII)


def _positive(text: str, decimals: int, alternative: str = "") -> str:
    if len(text) > _MAX_AMOUNT_LENGTH or not 0 < parse_units(text, decimals) < 2**256:
        raise ValueError(f"must be more than zero, as a plain decimal number such as 1500.00{alternative}")
    return text


Amount = Annotated[str, AfterValidator(lambda text: _positive(text, MAX_DECIMALS))]
"""An amount of an asset whose decimals are not yet known."""
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
    """Return a history as responses contain it."""
    return [
        HistoryLine(
            at=rfc3339(entry.at), from_status=entry.from_status, to_status=entry.to_status, by=entry.by, note=entry.note
        )
        for entry in entries
    ]


def _cursor(text: str) -> str:
    if _CURSOR.fullmatch(text) is None:
        raise ValueError("is not a valid cursor; pass nextCursor unchanged")
    return text


class CursorQuery(Document):
    """The query of a page, the newest first."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, AfterValidator(_cursor)] | None = None

    @property
    def before(self) -> tuple[datetime, str] | None:
        """Creation time and id of the previous page's last row."""
        match = None if self.cursor is None else _CURSOR.fullmatch(self.cursor)
        return None if match is None else (_EPOCH + timedelta(microseconds=int(match[1])), match[2])


class PageQuery(CursorQuery):
    """The query of a page of payouts or sweeps."""

    status: Status | None = Field(default=None, description="Only rows with this status.")


class Row(Protocol):
    """A row that a cursor can name."""

    @property
    def id(self) -> str:
        """The row's id."""

    @property
    def created_at(self) -> datetime:
        """When the row was created."""


def next_cursor(rows: Sequence[Row], limit: int) -> str | None:
    """Return the cursor of the next page, from up to `limit` + 1 rows; None on the last page."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return f"{(last.created_at - _EPOCH) // timedelta(microseconds=1)}.{last.id}"
