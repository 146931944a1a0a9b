"""Request and response models of notifications to operators."""

from collections.abc import Sequence

from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.notices.model import Notice, NoticeKind, NoticeStatus


class NoticesQuery(PositionQuery):
    """The query of a page of notifications."""

    status: NoticeStatus | None = Field(default=None, description="Only notifications with this status.")


class NoticeResponse(Document):
    """A notification to one target of NOTICE_URLS."""

    id: str
    kind: NoticeKind
    name: str = Field(description="The alarm's name, or what waits, such as `sweep.awaiting_approval`.")
    subject: str
    session_id: str | None
    target: str = Field(description="The target's name, never its URL.")
    severity: str
    sentence: str
    status: NoticeStatus
    attempts: int
    error: str | None = Field(description="Why the newest attempt failed.")
    created_at: str
    due_at: str = Field(description="When the next attempt is due.")
    sent_at: str | None


class NoticeList(Document):
    """A page of notifications, newest first."""

    data: list[NoticeResponse]
    next_cursor: str | None


def notice(row: Notice) -> NoticeResponse:
    """Return the response for one notification."""
    return NoticeResponse(
        id=row.id,
        kind=row.kind,
        name=row.name,
        subject=row.subject,
        session_id=row.session_id,
        target=row.target,
        severity=row.severity,
        sentence=str(row.content.get("sentence", "")),
        status=row.status,
        attempts=row.attempts,
        error=row.error,
        created_at=rfc3339(row.created_at),
        due_at=rfc3339(row.due_at),
        sent_at=None if row.sent_at is None else rfc3339(row.sent_at),
    )


def notice_list(rows: Sequence[Notice], limit: int) -> NoticeList:
    """Return a page of notifications; `rows` are one more than the page holds (`limit`) if there is a next page."""
    return NoticeList(data=[notice(row) for row in rows[:limit]], next_cursor=next_cursor(rows, limit))
