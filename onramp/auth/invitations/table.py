"""The table of invitations, found by the keyed hash of the token in their link."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from onramp.auth.api_keys.table import MAKERS
from onramp.auth.roles import KEY_ROLES

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True, comment="HMAC-SHA256 of the link's token"),
    sa.Column("role", sa.String(12), nullable=False),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("closed_at", UtcDateTime(), comment="accepted, or withdrawn where there is no key"),
    sa.Column("key_id", sa.String(64), comment="the key it became"),
    sa.Column("makers", sa.JSON(none_as_null=True), comment=MAKERS),
    one_of("role", KEY_ROLES),
)
