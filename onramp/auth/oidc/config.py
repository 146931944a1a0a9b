"""What the settings say about the provider: the values that the login uses, and which role a person's groups give."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from onramp.auth.console_sessions.service import OidcPersons
from onramp.auth.roles import Role
from onramp.config.oidc_settings import CALLBACK, pairs
from onramp.config.settings import Settings

MAX_GROUPS: Final = 2_000
"""The most groups of a person that are read; Microsoft's and Okta's tokens hold a few hundred."""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The configured provider."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    """The provider's name for people."""
    scopes: str
    groups_claim: str
    roles: Mapping[str, Role]
    """Group -> role; the first group that a person has counts."""
    persons: OidcPersons
    redirect_url: str
    """The address to which the provider sends the browser back; empty if it is CALLBACK on the request's own host."""

    @property
    def allows_http(self) -> bool:
        """Whether endpoints may be reached over plain http: with an issuer like that, which production refuses."""
        return self.issuer.startswith("http://")

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the role that the groups in an ID token give; None if they give none."""
        groups = _groups(claims, self.groups_claim)
        return next((role for group, role in self.roles.items() if group in groups), None)


def oidc_config(settings: Settings) -> OidcConfig | None:
    """Return the configured provider; None if OIDC is not configured."""
    if not settings.OIDC_ISSUER:
        return None
    redirect = settings.OIDC_REDIRECT_URL or (settings.public_origin and settings.public_origin + CALLBACK)
    return OidcConfig(
        issuer=settings.OIDC_ISSUER,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET.get_secret_value(),
        name=settings.oidc_name or "",
        scopes=settings.OIDC_SCOPES,
        groups_claim=settings.OIDC_GROUPS_CLAIM,
        roles=cast("Mapping[str, Role]", pairs(settings.OIDC_ROLES)),
        persons=oidc_persons(settings),
        redirect_url=redirect,
    )


def oidc_persons(settings: Settings) -> OidcPersons:
    """Return who the provider's persons are. Sessions end when a setting changes that decides about their person or role."""
    if not settings.OIDC_ISSUER:
        return OidcPersons()
    decisive = (
        settings.OIDC_ISSUER,
        settings.OIDC_CLIENT_ID,
        settings.OIDC_GROUPS_CLAIM,
        settings.OIDC_ROLES,
        settings.OIDC_PERSONS,
    )
    configuration = hashlib.sha256("\0".join(decisive).encode()).hexdigest()
    return OidcPersons(configuration, pairs(settings.OIDC_PERSONS))


def _groups(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return the groups in the claim `path`: a list of texts, or one text. A dotted path that is no claim leads into nested claims."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return frozenset({value})
    if not isinstance(value, list):
        return frozenset()
    return frozenset(group for group in value[:MAX_GROUPS] if isinstance(group, str))
