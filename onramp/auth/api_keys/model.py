"""An API key, read together with its newest secret."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.roles import Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    role: Role
    person: str
    created_at: datetime
    created_by: str
    active_from: datetime
    """The time at which the newest secret begins to work."""
    confirmed_by: str | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    second_factor: bool
    made_at: datetime
    """The time at which the newest secret was made."""
    made_by: str | None
    """The id of the key or invitation that made the newest secret, or `machine`; None if an earlier version made it."""


def keys_query() -> "sa.Select[Any]":
    """Return the query of keys, each with its newest secret's time, maker and start; the newest secret is the one without an end."""
    c, any_of_it = api_key_secrets.c, api_key_secrets.alias().c
    newest = (
        sa.select(any_of_it.id)
        .where(any_of_it.key_id == api_keys.c.id)
        .order_by(any_of_it.expires_at.is_(None).desc(), any_of_it.created_at.desc())
        .limit(1)
        .correlate(api_keys)
        .scalar_subquery()
    )
    columns = (c.active_from, c.created_at.label("made_at"), c.made_by)
    return sa.select(api_keys, *columns).select_from(api_keys.join(api_key_secrets, c.id == newest))


def to_key(row: Any) -> ApiKey:
    """Return the key in a row of `keys_query`."""
    return ApiKey(
        row.id,
        row.name,
        row.role,
        row.person,
        row.created_at,
        row.created_by,
        row.active_from,
        row.confirmed_by,
        row.last_used_at,
        row.revoked_at,
        row.otp_enrolled_at is not None,
        row.made_at,
        row.made_by,
    )
