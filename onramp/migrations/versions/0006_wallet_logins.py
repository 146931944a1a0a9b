"""Create the tables of wallet logins: nonces that wait for a signature, and the token versions that a logout increments."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0006"


def upgrade() -> None:
    op.create_table(
        "login_nonces",
        sa.Column("id", sa.String(length=64), nullable=False, comment="the nonce; its row goes when it is used, well or badly"),
        sa.Column("address", sa.String(length=100), nullable=False, comment="0x or bitcoin address, as the message has it"),
        sa.Column("origin", sa.String(length=300), nullable=False, comment="the site that the message names"),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_nonces")),
    )
    op.create_index(op.f("ix_login_nonces_expires_at"), "login_nonces", ["expires_at"])
    op.create_table(
        "wallet_logins",
        sa.Column("id", sa.String(length=42), nullable=False, comment="the account's 0x address"),
        sa.Column("version", sa.Integer(), nullable=False, comment="goes up at each logout; tokens of an older one are refused"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_logins")),
    )


def downgrade() -> None:
    op.drop_table("wallet_logins")
    op.drop_index(op.f("ix_login_nonces_expires_at"), table_name="login_nonces")
    op.drop_table("login_nonces")
