"""A console session, read together with the key or the provider's person behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from kit.persons import comparable
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.console_sessions.table import console_sessions
from onramp.auth.roles import ConsoleLogin, Principal, Role

_IDENTITIES = sa.table("oidc_identities", sa.column("id"), sa.column("subject"), sa.column("revoked_at"))
LIFETIME: Final = timedelta(hours=8)
"""How long a session lasts at most."""
IDLE: Final = timedelta(minutes=30)
"""How long a session lasts without a request that its person caused."""


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A console session without its secret."""

    id: str
    method: Literal["key", "oidc"]
    caller_id: str
    """The id of the key or of the provider's person."""
    role: Role
    person: str
    """The person, as it is compared with other persons."""
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    is_named: bool
    """Whether the settings or the key say who the person is; the provider's other persons only read."""
    second_factor: bool
    """Whether the key has enrolled a second factor by code."""

    @property
    def idle_expires_at(self) -> datetime:
        """When the session ends if it is not used."""
        return min(self.expires_at, self.last_used_at + IDLE)

    @property
    def principal(self) -> Principal:
        """The caller that a request with this session's cookie has."""
        login = ConsoleLogin(self.id, self.method, self.created_at, self.is_named)
        return Principal(self.caller_id, self.role, self.person, self.second_factor, login)


def sessions_query(configuration: str, now: datetime) -> "sa.Select[Any]":
    """Return the query of sessions that are valid at `now`; `configuration` is the hash of the present OIDC settings.

    A session by key is valid while the key is not revoked and the secret with which the person logged in still works; a session by OIDC
    while its person is not revoked and the OIDC settings are unchanged.
    """
    c, secret, identity = console_sessions.c, api_key_secrets.c, _IDENTITIES.c
    by_key = sa.and_(
        api_keys.c.revoked_at.is_(None),
        secret.id.is_not(None),
        sa.or_(secret.expires_at.is_(None), secret.expires_at > now),
    )
    by_oidc = sa.and_(identity.id.is_not(None), identity.revoked_at.is_(None), c.configuration == configuration)
    return (
        sa.select(
            console_sessions,
            api_keys.c.role.label("key_role"),
            api_keys.c.person,
            api_keys.c.otp_enrolled_at,
            identity.subject,
        )
        .select_from(
            console_sessions.outerjoin(api_keys, api_keys.c.id == c.key_id)
            .outerjoin(api_key_secrets, sa.and_(secret.id == c.key_secret_hash, secret.key_id == c.key_id))
            .outerjoin(_IDENTITIES, identity.id == c.identity_id)
        )
        .where(
            c.ended_at.is_(None),
            c.expires_at > now,
            c.last_used_at > now - IDLE,
            sa.or_(sa.and_(c.method == "key", by_key), sa.and_(c.method == "oidc", by_oidc)),
        )
    )


def to_session(row: Any, persons: Mapping[str, str]) -> ConsoleSession:
    """Return the session in a row of `sessions_query`; `persons` are the configured names of the provider's persons: subject -> name.

    A person of the provider without a name is compared by its id, which is unique.
    """
    is_key = row.method == "key"
    return ConsoleSession(
        id=row.id,
        method=row.method,
        caller_id=row.key_id if is_key else row.identity_id,
        role=row.key_role if is_key else row.role,
        person=comparable(row.person if is_key else persons.get(row.subject, row.identity_id)),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        is_named=is_key or row.subject in persons,
        second_factor=is_key and row.otp_enrolled_at is not None,
    )
