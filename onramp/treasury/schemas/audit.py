"""A row of the trail in the shape of the outside."""

from typing import Annotated, Any

from pydantic import Field

from kit.audit.service import Entry
from kit.clock import rfc3339
from kit.http.documents import Document


class AuditQuery(Document):
    """A page of the trail."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: int | None = Field(default=None, ge=1, le=2**62)
    subject: Annotated[str, Field(max_length=80)] | None = Field(
        default=None, description="Only what was done to this id."
    )


class AuditEntry(Document):
    """One change; `number` and `hash` once it is linked into the chain."""

    id: int
    at: str
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    policy_version: int | None
    number: int | None
    hash: str | None


class AuditPage(Document):
    """The newest rows first."""

    data: list[AuditEntry]
    next_cursor: str | None


def answer(entry: Entry) -> AuditEntry:
    """One row."""
    return AuditEntry(
        id=entry.id,
        at=rfc3339(entry.at),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        before=entry.before,
        after=entry.after,
        request_id=entry.request_id,
        policy_version=entry.policy_version,
        number=entry.number,
        hash=entry.hash,
    )


def page(entries: list[Entry], limit: int) -> AuditPage:
    """One page out of up to `limit` + 1 rows."""
    shown = entries[:limit]
    return AuditPage(
        data=[answer(entry) for entry in shown], next_cursor=str(shown[-1].id) if len(entries) > limit else None
    )
