"""One row for each version of a hot wallet's policy. `active_key` is set for the active version alone and unique, so there is one."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from treasury.policy.serialization import load
from treasury.policy.states import VersionStatus
from treasury.policy.version import Version

policies = sa.Table(
    "treasury_policies",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("terms", sa.Text(), nullable=False),
    sa.Column("digest", sa.String(66), nullable=False),
    sa.Column("loosens", sa.Text(), nullable=False, server_default=""),
    sa.Column("active_key", sa.String(64), unique=True),
    sa.Column("proposed_by", sa.String(64), nullable=False),
    sa.Column("proposed_person", sa.String(128)),
    sa.Column("approved_by", sa.String(64)),
    sa.Column("approved_person", sa.String(128)),
    sa.Column("applies_at", UtcDateTime()),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.UniqueConstraint("scope", "version"),
    one_of("status", VersionStatus),
)


def to_version(row: sa.Row[Any]) -> Version:
    """Return a database row as a `Version`."""
    fields = dict(row._mapping)
    fields["status"], fields["terms"] = VersionStatus(row.status), load(row.terms)
    fields["loosens"] = tuple(row.loosens.split(",")) if row.loosens else ()
    return Version(**fields)
