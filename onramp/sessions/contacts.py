"""Contacts of buyers, in a table of their own: the money rows beside them never hold one."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

contacts = sa.Table(
    "privacy_contacts",
    metadata,
    sa.Column("session_id", sa.String(40), primary_key=True),
    sa.Column("email_sealed", sa.Text, nullable=False, comment="AES-256-GCM under a key of DATA_KEYS, bound to the session"),
    sa.Column("email_digest", sa.String(64), nullable=False, index=True, comment="keyed, of the address in lower case: to search by"),
    sa.Column("created_at", UtcDateTime(), nullable=False, index=True),
)  # fmt: skip
