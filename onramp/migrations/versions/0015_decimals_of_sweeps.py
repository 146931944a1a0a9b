"""Store with each sweep how many decimals its token has: not every token that a policy lists has 18."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0015"


def upgrade() -> None:
    op.add_column("treasury_sweeps", sa.Column("decimals", sa.Integer(), nullable=False, server_default="18"))


def downgrade() -> None:
    op.drop_column("treasury_sweeps", "decimals")
