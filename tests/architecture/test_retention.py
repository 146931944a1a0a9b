"""Rows of money, keys and the audit trail are kept for seven years and longer: no code deletes them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
DELETE = re.compile(r"\bdelete\(([\w.]+)\)|DELETE FROM (\w+)|\b(?:TRUNCATE|DROP TABLE)\b|drop_table\(|\.delete\(\)")
MAY_GO = {
    "login_nonces",
    "api_key_secrets",
    "console_sessions",
    "oidc_logins",
    "inbox",
    "contacts",
    "transfers",
    "worker_heartbeats",
    "sessions",
    "buyer_mails",
    "session_traces",
    "ended_counts",
    "ledger_totals",
    "alarms",
    "notices",
    "changes",
    "change_consumers",
    "live_changes",
    "live_watchers",
    "endpoints",
    "deliveries",
    "messages",
    "passkey_challenges",
}
"""Used nonces, secrets after their overlap, console sessions 30 days after their end, processed events, personal data, what can be read from the chain again, heartbeats, unpaid
sessions with their mails, old beginnings of traces, the changes of a count and of the ledger's totals, which are added up, alarms that have ended with what was
sent about them, changes that open event streams
were told of, outgoing webhooks with their delivery log, and challenges of passkeys, whose signatures are stored elsewhere."""


def deletions(source: str) -> list[str]:
    """Return the table of each statement in a module that deletes; empty if the statement names none."""
    return [(match[1] or match[2] or "").rpartition(".")[2] for match in DELETE.finditer(source)]


def test_no_code_deletes_rows_of_money_keys_or_the_audit_trail() -> None:
    tables: dict[str, set[str]] = {}
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            if "migrations" not in path.parts and "dev" not in path.parts:
                for name in deletions(path.read_text()):
                    tables.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    assert set(tables) == MAY_GO, tables
    # Its tests show that it deletes no session that was ever paid, owed or delivered, or that waits for a person.
    assert tables["sessions"] == {"onramp/ops/pruning.py"}


def test_every_spelling_of_a_deletion_is_found() -> None:
    assert deletions("sa.delete(payouts).where(x)") == ["payouts"]
    assert deletions('text("DELETE FROM audit_log")') == ["audit_log"]
    assert deletions("sessions.delete().where(x)") == [""]
    assert deletions('"TRUNCATE payouts"') == [""]
