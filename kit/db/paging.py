"""Keyset paging, newest first, with one opaque cursor format for every list.

A cursor is the sort key of the last row of a page: urlsafe base64 of a JSON array, with times in microseconds. It is opaque by contract, so the
format may change; a page costs the same however far back it is.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import orjson
import sqlalchemy as sa

INVALID_CURSOR: Final = "is not a valid cursor; pass nextCursor unchanged"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LENGTH: Final = 200
_MAX_NUMBER: Final = 2**62
Query = TypeVar("Query", bound=sa.Select[Any])


class Position(NamedTuple):
    """The sort key of a row in a list that is ordered by time and then by id."""

    at: datetime
    id: str


class Created(Protocol):
    """A row of a list that is ordered by `created_at` and then by `id`."""

    @property
    def created_at(self) -> datetime:
        """When the row was created."""

    @property
    def id(self) -> str:
        """The id, which orders rows created at the same time."""


def newest_first(query: Query, at: sa.Column[Any], key: sa.Column[Any], before: Position | None = None) -> Query:
    """Order `query` by `at`, newest first, and then by `key`; with `before`, only rows after that position of the list."""
    if before is not None:
        query = query.where(sa.or_(at < before.at, sa.and_(at == before.at, key < before.id)))
    return query.order_by(at.desc(), key.desc())


def position_of(row: Created) -> Position:
    """Return the position of a row that has `created_at` and `id`."""
    return Position(row.created_at, row.id)


def next_cursor(rows: Sequence[Created], limit: int) -> str | None:
    """Return the cursor of the next page, None for the last page; `rows` are one more than the page holds (`limit`) if there is a next one."""
    return encode_position(position_of(rows[limit - 1])) if len(rows) > limit else None


def encode_position(position: Position) -> str:
    """Return the cursor for a position."""
    return _encode((position.at - _EPOCH) // timedelta(microseconds=1), position.id)


def decode_position(cursor: str) -> Position:
    """Return the position of a cursor. Raises ValueError for any other text."""
    match _decode(cursor):
        case [int(micros), str(row_id)] if 0 <= micros < 2**56 and "\0" not in row_id:
            return Position(_EPOCH + timedelta(microseconds=micros), row_id)
    raise ValueError(INVALID_CURSOR)


def encode_number(number: int) -> str:
    """Return the cursor for a position in a list that is ordered by a number."""
    return _encode(number)


def decode_number(cursor: str) -> int:
    """Return the number of a cursor. Raises ValueError for any other text."""
    match _decode(cursor):
        case [int(number)] if 0 < number <= _MAX_NUMBER:
            return number
    raise ValueError(INVALID_CURSOR)


def require_position(cursor: str) -> str:
    """Validate a query parameter: return `cursor` if it is the cursor of a position. Raises ValueError otherwise."""
    decode_position(cursor)
    return cursor


def require_number(cursor: str) -> str:
    """Validate a query parameter: return `cursor` if it is the cursor of a number. Raises ValueError otherwise."""
    decode_number(cursor)
    return cursor


def _encode(*key: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def _decode(cursor: str) -> Any:
    if len(cursor) > _MAX_LENGTH:
        raise ValueError(INVALID_CURSOR)
    try:
        return orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(INVALID_CURSOR) from error
