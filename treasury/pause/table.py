"""One row for each thing that can be paused; no row means that it never was. What happened to it is in the history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of

Scope = Literal["sales", "payouts", "sweeps"]
SCOPES: Final[tuple[Scope, ...]] = ("sales", "payouts", "sweeps")

pauses = sa.Table(
    "treasury_pauses",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True, comment="sales, payouts or sweeps"),
    sa.Column("status", sa.String(16), nullable=False, comment="paused or running"),
    sa.Column("actor", sa.String(64), nullable=False, comment="the key that paused or resumed it last"),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("at", UtcDateTime(), nullable=False),
    one_of("status", ("paused", "running")),
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Who stopped one thing, when and why; `person` may not be the one who lets it go again."""

    scope: Scope
    by: str
    person: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Pauses:
    """All that is stopped now, by what was asked for. Paused payouts stop sales, too: nobody sells what is not delivered."""

    asked: tuple[Pause, ...] = ()

    def of(self, scope: Scope) -> Pause | None:
        """The pause that was asked for this scope itself."""
        return next((one for one in self.asked if one.scope == scope), None)

    @property
    def sales(self) -> bool:
        """Whether nothing may be sold."""
        return self.of("sales") is not None or self.payouts

    @property
    def payouts(self) -> bool:
        """Whether no payout may be signed."""
        return self.of("payouts") is not None

    @property
    def sweeps(self) -> bool:
        """Whether no sweep may be proposed, approved or signed."""
        return self.of("sweeps") is not None

    def stops(self, scope: Scope) -> bool:
        """Whether `scope` is stopped, by itself or by what implies it."""
        return {"sales": self.sales, "payouts": self.payouts, "sweeps": self.sweeps}[scope]


def to_pause(row: sa.Row[Any]) -> Pause:
    """A paused row as a value."""
    return Pause(row.id, row.actor, row.person, row.note, row.at)
