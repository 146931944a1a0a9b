"""Create the table of buyers' contacts, which are encrypted."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0012"


def upgrade() -> None:
    op.create_table(
        "privacy_contacts",
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("email_sealed", sa.Text(), nullable=False, comment="AES-256-GCM under a key of DATA_KEYS, bound to the session"),
        sa.Column("email_digest", sa.String(length=64), nullable=False, comment="keyed, of the address in lower case: to search by"),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_privacy_contacts")),
    )
    op.create_index(op.f("ix_privacy_contacts_created_at"), "privacy_contacts", ["created_at"])
    op.create_index(op.f("ix_privacy_contacts_email_digest"), "privacy_contacts", ["email_digest"])


def downgrade() -> None:
    op.drop_index(op.f("ix_privacy_contacts_email_digest"), table_name="privacy_contacts")
    op.drop_index(op.f("ix_privacy_contacts_created_at"), table_name="privacy_contacts")
    op.drop_table("privacy_contacts")
