"""Store who made each secret of an API key, and whether its alarms were raised; existing secrets count as reported."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0017"

_MAKERS = "persons behind its making, as they are compared; null: made by an earlier version"


def upgrade() -> None:
    for table in ("api_keys", "api_key_secrets", "invitations"):
        op.add_column(table, sa.Column("makers", sa.JSON(none_as_null=True), nullable=True, comment=_MAKERS))
    comments = {
        "made_by": "who ordered it: a key's or an invitation's id, or the machine",
        "confirmed_by": "the approver's key that ended its wait",
    }
    for name, comment in comments.items():
        op.add_column("api_key_secrets", sa.Column(name, sa.String(length=64), nullable=True, comment=comment))
    comments = {
        "made_alarm_at": "when the alarm about a new money key rang",
        "unconfirmed_alarm_at": "when the alarm about one that works unconfirmed rang",
    }
    for name, comment in comments.items():
        op.add_column("api_key_secrets", sa.Column(name, types.UtcDateTime(), nullable=True, comment=comment))
    secrets = sa.table(
        "api_key_secrets",
        *(
            sa.column(name, types.UtcDateTime())
            for name in ("created_at", "active_from", "made_alarm_at", "unconfirmed_alarm_at")
        ),
    )
    op.execute(sa.update(secrets).values(made_alarm_at=secrets.c.created_at))
    works = secrets.c.active_from <= datetime.now(UTC)
    op.execute(sa.update(secrets).where(works).values(unconfirmed_alarm_at=secrets.c.created_at))


def downgrade() -> None:
    for name in ("unconfirmed_alarm_at", "made_alarm_at", "confirmed_by", "made_by"):
        op.drop_column("api_key_secrets", name)
    for table in ("invitations", "api_key_secrets", "api_keys"):
        op.drop_column(table, "makers")
