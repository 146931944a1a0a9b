"""The audit log's request and response models."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from kit.audit.hash_chain import AuditVerification
from kit.audit.service import Entry
from kit.clock import rfc3339
from kit.db.paging import encode_number
from kit.http.documents import Document
from kit.http.moments import Moment
from kit.http.paging import NumberQuery


class AuditQuery(NumberQuery):
    """The query of a page of the audit log."""

    limit: int = Field(default=50, ge=1, le=500)
    subject: Annotated[str, Field(max_length=80)] | None = Field(default=None, description="Only changes of this id.")
    actor: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Only changes by this key (its id), worker, or `machine`."
    )
    action: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Only this action, such as `treasury.sweep_approve`."
    )
    from_: Moment | None = Field(default=None, alias="from", description="Only changes at this time or later.")
    to: Moment | None = Field(default=None, description="Only changes before this time.")


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


class AuditHead(Document):
    """The newest valid link of the hash chain."""

    number: int
    hash: str


class BrokenLink(Document):
    """The first link that is not valid."""

    number: int
    entry_id: int | None = Field(description="The row that it links; null if the link itself is missing.")
    reason: str


class AuditVerificationResponse(Document):
    """Whether the audit log is as it was written. Compare the head with one that you wrote down earlier."""

    ok: bool
    head: AuditHead
    rows: int = Field(description="How many rows are linked and valid.")
    unlinked: int = Field(description="How many rows wait for their link, which they get within seconds.")
    first_broken: BrokenLink | None
    verified_at: str = Field(description="The verification is repeated after a minute at the earliest.")


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


def verification(verdict: AuditVerification, at: datetime) -> AuditVerificationResponse:
    """Return the response for a verification that ended at a time."""
    broken = verdict.broken
    return AuditVerificationResponse(
        ok=broken is None,
        head=AuditHead(number=verdict.head.number, hash=verdict.head.hash),
        rows=verdict.head.number,
        unlinked=verdict.unlinked,
        first_broken=None
        if broken is None
        else BrokenLink(number=broken.number, entry_id=broken.entry_id, reason=broken.reason),
        verified_at=rfc3339(at),
    )
