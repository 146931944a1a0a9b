"""Request and response models of console sessions. The session's secret is in the cookie and in no document."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.bearer import MAX_TOKEN
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.auth.console_sessions.model import ConsoleSession


class KeyLoginRequest(Document):
    """The request to log in by an API key."""

    key: Annotated[str, Field(min_length=1, max_length=MAX_TOKEN)] = Field(
        description="An API key. It is exchanged for the session and not stored in the browser."
    )
    code: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="A code of the key's second factor, if it has one; each works once."
    )


class ConsoleSessionResponse(Document):
    """A console session without its secret."""

    id: str
    person: str
    role: str
    method: Literal["key", "oidc"] = Field(description="How the person logged in.")
    key_id: str | None = Field(description="The API key of a login by key; null for a login by OIDC.")
    created_at: str
    last_used_at: str = Field(description="The last request that the person caused, to the minute.")
    expires_at: str = Field(description="When the session ends at the latest.")
    idle_expires_at: str = Field(description="When it ends if it is not used.")
    current: bool = Field(description="Whether it is the session of this request.")
    second_factor: bool = Field(description="Whether the key has enrolled a second factor by code.")
    passkeys: int = Field(description="How many passkeys the person has.")


class ConsoleSessionsQuery(PositionQuery):
    """The query of a page of console sessions."""


class ConsoleSessionList(Document):
    """A page of valid console sessions, the newest first."""

    data: list[ConsoleSessionResponse]
    next_cursor: str | None


class OidcLoginOption(Document):
    """The login through the configured provider."""

    name: str = Field(description="The provider's name for people.")
    url: str = Field(description="The address that a browser opens to log in there.")


class LoginOptions(Document):
    """How persons can log in."""

    key: bool
    oidc: OidcLoginOption | None


class ConsoleConfigResponse(Document):
    """What the console needs to know before anybody has logged in."""

    login: LoginOptions


def answer(session: ConsoleSession, *, current: str | None, passkeys: int) -> ConsoleSessionResponse:
    """Return the response for a session; `current` is the id of the request's own."""
    return ConsoleSessionResponse(
        id=session.id,
        person=session.person,
        role=session.role,
        method=session.method,
        key_id=session.caller_id if session.method == "key" else None,
        created_at=rfc3339(session.created_at),
        last_used_at=rfc3339(session.last_used_at),
        expires_at=rfc3339(session.expires_at),
        idle_expires_at=rfc3339(session.idle_expires_at),
        current=session.id == current,
        second_factor=session.second_factor,
        passkeys=passkeys,
    )


def listed(
    sessions: Sequence[ConsoleSession], limit: int, *, current: str | None, passkeys: Mapping[str, int]
) -> ConsoleSessionList:
    """Return the response for a page; `sessions` are one more than the page holds if there is a next page; `passkeys` counts by person."""
    data = [answer(session, current=current, passkeys=passkeys[session.person]) for session in sessions[:limit]]
    return ConsoleSessionList(data=data, next_cursor=next_cursor(sessions, limit))
