"""Where the trace of each purchase begins. Rows exist only for purchases that were created while a collector was configured."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

session_traces = sa.Table(
    "session_traces",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the session"),
    sa.Column("traceparent", sa.String(55), nullable=False, comment="of the span of the creating request, as W3C writes it"),
    sa.Column("created_at", UtcDateTime(), nullable=False, index=True),
)  # fmt: skip
