"""Response models of the provider's persons."""

from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.auth.oidc.service import Identity


class OidcPersonsQuery(PositionQuery):
    """The query of a page of the provider's persons."""


class OidcPersonResponse(Document):
    """A person of the provider who has logged in."""

    id: str
    issuer: str
    subject: str = Field(description="The claim `sub`: the name of this person in OIDC_PERSONS.")
    person: str = Field(description="Who it is, as of the last login: the name in OIDC_PERSONS, or the id.")
    name: str | None = Field(
        description="What the provider calls the person. It may change, and nothing depends on it."
    )
    first_login_at: str
    last_login_at: str
    revoked_at: str | None


class OidcPersonList(Document):
    """A page of the provider's persons, by their first login, the newest first."""

    data: list[OidcPersonResponse]
    next_cursor: str | None


def answer(identity: Identity) -> OidcPersonResponse:
    """Return the response for a person of the provider."""
    return OidcPersonResponse(
        id=identity.id,
        issuer=identity.issuer,
        subject=identity.subject,
        person=identity.person,
        name=identity.name,
        first_login_at=rfc3339(identity.created_at),
        last_login_at=rfc3339(identity.last_login_at),
        revoked_at=rfc3339(identity.revoked_at) if identity.revoked_at else None,
    )


def listed(identities: list[Identity], limit: int) -> OidcPersonList:
    """Return the response for a page; `identities` are one more than the page holds if there is a next page."""
    return OidcPersonList(
        data=[answer(identity) for identity in identities[:limit]], next_cursor=next_cursor(identities, limit)
    )
