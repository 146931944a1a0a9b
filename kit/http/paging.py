"""Query parameters of paged lists."""

from typing import Annotated

from pydantic import AfterValidator, Field

from kit.db.paging import Position, decode_number, decode_position, require_number, require_position
from kit.http.documents import Document


class PositionQuery(Document):
    """The query of a page of a list that is ordered by time, newest first."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, AfterValidator(require_position)] | None = None

    @property
    def before(self) -> Position | None:
        """The position of the last row of the previous page; None for the first page."""
        return None if self.cursor is None else decode_position(self.cursor)


class NumberQuery(Document):
    """The query of a page of a list that is ordered by a number, highest first."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, AfterValidator(require_number)] | None = None

    @property
    def before(self) -> int | None:
        """The number of the last row of the previous page; None for the first page."""
        return None if self.cursor is None else decode_number(self.cursor)
