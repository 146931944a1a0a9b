"""Times in queries and bodies, as text with a time zone."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2026-11-30T09:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("must have a time zone, such as the Z in 2026-11-30T09:00:00Z")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time between the years 1 and 9999") from None
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
"""A time with its time zone, as text."""


def parse_moment(text: str | None) -> datetime | None:
    """Return the time of a validated `Moment`; None for None."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
