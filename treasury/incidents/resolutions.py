"""One row for each alarm that a person has begun to answer: the first one asks, the second one answers.

What was answered stands in the ledger and beside the transaction; this row only remembers whose word it was.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime

answers = sa.Table(
    "treasury_answers",
    metadata,
    sa.Column("id", sa.String(160), primary_key=True, comment="chain, wallet and subject"),
    sa.Column("subject", sa.String(64), nullable=False, comment="an asset, or a transaction of another hand"),
    sa.Column("status", sa.String(16), nullable=False, comment="asked or answered"),
    sa.Column("amount", Uint256(), nullable=False, comment="what was unexplained when it was asked"),
    sa.Column("asked_by", sa.String(64), nullable=False),
    sa.Column("asked_person", sa.String(128), nullable=False),
    sa.Column("answered_by", sa.String(64)),
    sa.Column("note", sa.Text(), nullable=False),
    sa.Column("at", UtcDateTime(), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """`amount` in base units, 0 for a transaction; `status` is `asked` until a second person agrees."""

    id: str
    subject: str
    status: str
    amount: int
    asked_by: str
    asked_person: str
    answered_by: str | None
    note: str
    at: datetime


def to_answer(row: sa.Row[Any]) -> Answer:
    """A row as a value."""
    return Answer(**row._mapping)
