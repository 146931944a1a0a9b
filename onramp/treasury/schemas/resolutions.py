"""Request and response models of resolutions."""

from pydantic import Field

from kit.http.documents import Document
from kit.money import format_units
from treasury.incidents.model import Resolution


class ResolutionRequest(Document):
    """The subject of an alarm, and a person's explanation of it."""

    subject: str = Field(
        pattern="^[A-Za-z0-9_.]{1,64}$", description="An asset whose coins are missing, or the id of a transaction."
    )
    note: str = Field(
        min_length=1, max_length=500, description="Where they went; kept in the ledger and the audit log."
    )


class ResolutionResponse(Document):
    """An explanation of an incident. `status` is `asked` until another person confirms it; `amount` is null for a transaction."""

    subject: str
    status: str
    amount: str | None
    asked_by: str
    answered_by: str | None
    note: str


def resolution(row: Resolution, decimals: int | None) -> ResolutionResponse:
    """Return the response for a resolution; `decimals` are those of the asset, None for a transaction."""
    return ResolutionResponse(
        subject=row.subject,
        status=row.status,
        amount=None if decimals is None or not row.amount else format_units(row.amount, decimals),
        asked_by=row.asked_by,
        answered_by=row.answered_by,
        note=row.note,
    )
