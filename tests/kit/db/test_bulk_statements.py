"""The SQL of the bulk operations."""

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from kit.db import bulk_statements as statements
from kit.db.database import connect

TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("version", sa.Integer()),
    sa.Column("from", sa.String(8)),
)
NAMES = ("id", "version", "from")


@pytest.fixture(params=["sqlite+aiosqlite:///x.db", "postgresql://user@host/db"], ids=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return connect(request.param).engine.dialect


def parameters(text: str) -> list[str]:
    return re.findall(r"\?|\$\d+", text)


def test_all_rows_are_one_parameter(dialect: Dialect) -> None:
    one = ["?"] if dialect.name == "sqlite" else ["$1"]
    assert parameters(statements.insert(TABLE, NAMES, ("id",), dialect)) == one
    assert parameters(statements.upsert(TABLE, NAMES, "version", dialect)) == one
    assert parameters(statements.update_versioned(TABLE, NAMES, dialect)) == one
    assert parameters(statements.fill(TABLE, "from", dialect)) == one


def test_the_rows_come_before_the_expected_value(dialect: Dialect) -> None:
    text = statements.update_where(TABLE, ("id", "from"), "from", dialect)
    assert parameters(text) == (["?", "?"] if dialect.name == "sqlite" else ["$1", "$2"])
    assert text.index("json") < text.rindex("WHERE")


def test_reserved_words_are_quoted(dialect: Dialect) -> None:
    assert '"from"' in statements.insert(TABLE, NAMES, (), dialect)
    assert '"from"' in statements.update_versioned_each(TABLE, NAMES, dialect).text


def test_a_row_statement_names_the_columns_of_its_parameters(dialect: Dialect) -> None:
    assert sorted(statements.insert_each(TABLE, NAMES, ("id",), dialect).names) == sorted(NAMES)
    assert statements.update_versioned_each(TABLE, NAMES, dialect).names == ("from", "id", "version")
    assert statements.fill_each(TABLE, "from", dialect).names == ("from", "id")


def test_a_statement_is_built_once(dialect: Dialect) -> None:
    assert statements.insert(TABLE, NAMES, ("id",), dialect) is statements.insert(TABLE, NAMES, ("id",), dialect)
