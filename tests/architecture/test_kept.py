"""What is kept: money, keys and the trail for seven years and longer, for nothing of ours deletes their rows."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("kit", "chain", "treasury", "onramp")
DELETE = re.compile(r"\bdelete\(([\w.]+)\)|DELETE FROM (\w+)|\b(?:TRUNCATE|DROP TABLE)\b|drop_table\(|\.delete\(\)")
MAY_GO = {
    "login_nonces",
    "api_key_secrets",
    "inbox",
    "contacts",
    "transfers",
    "worker_heartbeats",
    "sessions",
    "ended_counts",
}
"""Nonces once used, secrets past their overlap, events once handled, personal data, what is read from the chain again, heartbeats, and
sessions that nobody paid; changes of a count, of which many become one."""


def deletions(source: str) -> list[str]:
    """What each statement of a module deletes from; nameless where it names nothing."""
    return [(found[1] or found[2] or "").rpartition(".")[2] for found in DELETE.finditer(source)]


def test_rows_of_money_keys_and_trail_are_deleted_by_nothing() -> None:
    found: dict[str, set[str]] = {}
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            if "migrations" not in path.parts and "dev" not in path.parts:
                for name in deletions(path.read_text()):
                    found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    assert set(found) == MAY_GO, found
    # Whose tests show that it takes no session that was ever paid, owed, delivered, or is waiting for a person.
    assert found["sessions"] == {"onramp/ops/pruning.py"}


def test_a_deletion_is_seen_however_it_is_written() -> None:
    assert deletions("sa.delete(payouts).where(x)") == ["payouts"]
    assert deletions('text("DELETE FROM audit_log")') == ["audit_log"]
    assert deletions("sessions.delete().where(x)") == [""]
    assert deletions('"TRUNCATE payouts"') == [""]
