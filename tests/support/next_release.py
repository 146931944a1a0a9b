"""A next release that exists only in tests: this code's migrations and one more; and the changes that earlier code cannot work with."""

import re
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from onramp.migrations import OURS, History

ADDS = """
    op.add_column("sessions", sa.Column("gift_note", sa.String(80), nullable=True))
    op.add_column("treasury_payouts", sa.Column("urgency", sa.Integer(), nullable=False, server_default="0"))
    op.create_table("gifts", sa.Column("id", sa.String(40), primary_key=True), sa.Column("name", sa.Text(), nullable=False))
    op.create_index("ix_sessions_gift_note", "sessions", ["gift_note"])
"""
FREES_SESSIONS = """
    # The views for reports read its columns, and an index its `attention`.
    for view in ("purchases", "daily_volume", "fees", "time_to_confirm", "refusals"):
        op.execute(f"DROP VIEW bi_{view}")
    op.drop_index("ix_sessions_attention", "sessions")
"""
REMOVES = f"""{FREES_SESSIONS}
    if op.get_bind().dialect.name == "sqlite":  # the triggers of the outbox name every column
        for event in ("insert", "update"):
            op.execute("DROP TRIGGER session_change_" + event)
    op.drop_column("sessions", "attention")
"""
NEXT = f"{int(OURS.newest()) + 1:04d}"


def next_history(folder: Path, changes: str, since: str | None) -> History:
    """Make the history of a release that follows this one; `since` is what its migration declares, None for no declaration."""
    versions = folder / "100% next" / "versions"
    shutil.copytree(OURS.folder, versions, ignore=shutil.ignore_patterns("__pycache__"))
    declared = f'COMPATIBLE_SINCE = "{since}"' if since else ""
    (versions / f"{NEXT}_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision, down_revision, branch_labels, depends_on = "{NEXT}", "{OURS.newest()}", None, None\n{declared}\n'
        f"def upgrade() -> None:{changes}\n"
    )
    return History(versions)


def schema_of(connection: sa.Connection) -> dict[str, Any]:
    """Describe tables, columns and what is unique in them, for `breaks`."""
    inspector = sa.inspect(connection)
    described: dict[str, Any] = {}
    for table in inspector.get_table_names():
        columns = {
            column["name"]: (str(column["type"]), column["nullable"], column["default"] is not None)
            for column in inspector.get_columns(table)
        }
        unique = {tuple(map(str, one["column_names"])) for one in inspector.get_unique_constraints(table)}
        unique |= {tuple(map(str, one["column_names"])) for one in inspector.get_indexes(table) if one["unique"]}
        ties = {tuple(one["constrained_columns"]) for one in inspector.get_foreign_keys(table)}
        ties |= {(str(one["sqltext"]),) for one in inspector.get_check_constraints(table)}
        described[table] = {"columns": columns, "unique": unique, "ties": ties}
    return described


def _admits_more(new: str, old: str) -> bool:
    """Return whether a check on a list of values admits what an older one does: the same text, with more values in the list."""

    def parts(text: str) -> tuple[str, set[str]]:
        values = set(re.findall(r"'[^']*'", text))
        return re.sub(r"\s*'[^']*'(?:::[a-z ]+)?(?:\(\d+\))?(?:::text)?,?", "", text), values

    (new_text, new_values), (old_text, old_values) = parts(new), parts(old)
    return bool(old_values) and new_text == old_text and new_values >= old_values


def breaks(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """List what code written for the schema `before` could not go on with in the schema `after`."""
    problems = [f"{table} is gone" for table in before if table not in after]
    for table in before.keys() & after.keys():
        old, new = before[table]["columns"], after[table]["columns"]
        problems += [f"{table}.{name} is gone" for name in old if name not in new]
        for name, (kind, nullable, has_default) in new.items():
            if name not in old:
                if not nullable and not has_default:
                    problems.append(f"{table}.{name} is new, and must be given")
                continue
            if kind != old[name][0]:
                problems.append(f"{table}.{name} has another type")
            if old[name][1] and not nullable:
                problems.append(f"{table}.{name} must be given now")
            if old[name][2] and not has_default and not nullable:
                problems.append(f"{table}.{name} has no default any more")
        for kind in ("unique", "ties"):
            for one in after[table][kind] - before[table][kind]:
                if not any(_admits_more(one[0], old[0]) for old in before[table][kind] if len(one) == len(old) == 1):
                    problems.append(f"{table} {one} is constrained now")
    return sorted(problems)
