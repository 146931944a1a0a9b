"""The audit log's request and response models."""

from typing import Annotated, Any

from pydantic import Field

from kit.audit.service import Entry
from kit.clock import rfc3339
from kit.db.paging import encode_number
from kit.http.documents import Document
from kit.http.paging import NumberQuery


class AuditQuery(NumberQuery):
    """The query of a page of the audit log."""

    limit: int = Field(default=50, ge=1, le=500)
    subject: Annotated[str, Field(max_length=80)] | None = Field(default=None, description="Only changes of this id.")


class AuditEntry(Document):
    """One change in the audit log; `number` and `hash` are null until it is linked into the hash chain."""

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
    """A page of the audit log, the newest rows first."""

    data: list[AuditEntry]
    next_cursor: str | None


def entry(row: Entry) -> AuditEntry:
    """Return the response for one row of the audit log."""
    return AuditEntry(
        id=row.id,
        at=rfc3339(row.at),
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        request_id=row.request_id,
        policy_version=row.policy_version,
        number=row.number,
        hash=row.hash,
    )


def page(rows: list[Entry], limit: int) -> AuditPage:
    """Return the response for a page of the audit log; `rows` are one more than the page holds (`limit`) if there is a next page."""
    shown = rows[:limit]
    return AuditPage(
        data=[entry(row) for row in shown], next_cursor=encode_number(shown[-1].id) if len(rows) > limit else None
    )
