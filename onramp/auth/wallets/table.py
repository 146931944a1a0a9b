"""The tables of nonces that wait for their signature, and of how often each wallet has logged out."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

login_nonces = sa.Table(
    "login_nonces",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the nonce; its row goes when it is used, well or badly"),
    sa.Column("address", sa.String(100), nullable=False, comment="0x or bitcoin address, as the message has it"),
    sa.Column("origin", sa.String(300), nullable=False, comment="the site that the message names"),
    sa.Column("expires_at", UtcDateTime(), nullable=False, index=True),
)

wallet_logins = sa.Table(
    "wallet_logins",
    metadata,
    sa.Column("id", sa.String(42), primary_key=True, comment="the account's 0x address"),
    sa.Column("version", sa.Integer, nullable=False, comment="goes up at each logout; tokens of an older one are refused"),
)  # fmt: skip
