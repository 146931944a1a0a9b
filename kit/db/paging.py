"""Keyset paging."""

from typing import Any, TypeVar

import sqlalchemy as sa

Query = TypeVar("Query", bound=sa.Select[Any])


def newest_first(query: Query, at: sa.Column[Any], key: sa.Column[Any], before: str | None = None) -> Query:
    """`query`, the newest first by `at` and then `key`; only what comes after the row `before` where given, nothing where none has that key."""
    if before is not None:
        mark = sa.select(at).where(key == before).scalar_subquery()
        query = query.where(sa.or_(at < mark, sa.and_(at == mark, key < before)))
    return query.order_by(at.desc(), key.desc())
