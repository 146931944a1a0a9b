"""`onramp sessions list` and `events list`, page by page, as a person types them."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kit.db.database import connect
from kit.money import Money
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from onramp.webhooks.table import inbox
from tests.support.command_line import run_onramp
from tests.support.delivery_histories import rules_of

ADDRESS = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("a", "b", "c", "d", "e")


def fill(url: str) -> None:
    """Insert five sessions and five events; the middle three have the same time."""
    rules = rules_of(ADDRESS, ADDRESS)
    bought, events = [], []
    for number, name in enumerate(NAMES):
        at = NOON + timedelta(seconds={0: 0, 4: 2}.get(number, 1))
        bought.append(
            intent_row(session_id=f"ons_{name}", wallet=ADDRESS, source=Money(100, "usd"), fee_bps=0, config=rules, created_at=at, now=at)
        )  # fmt: skip
        events.append(
            {"id": f"evt_{name}", "type": "x", "body_sha256": "0" * 64, "created_at": NOON, "received_at": at, "state": "handled", "due_at": at}
        )  # fmt: skip

    async def work() -> None:
        database = connect(url)
        async with database.write() as conn:
            await conn.execute(sa.insert(sessions), bought)
            await conn.execute(sa.insert(inbox), events)
        await database.close()

    asyncio.run(work())


@pytest.mark.parametrize(("kind", "prefix"), [("sessions", "ons"), ("events", "evt")])
def test_every_row_is_on_one_page(sqlite_url: str, kind: str, prefix: str) -> None:
    fill(sqlite_url)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": sqlite_url, "LOG_LEVEL": "error"}
    seen: list[str] = []
    more: tuple[str, ...] = ()
    for _ in range(3):
        listed = run_onramp(environment, kind, "list", "--limit", "2", "--json", *more)
        assert listed.returncode == 0, listed.stderr
        page = json.loads(listed.stdout)
        seen += [row["id"] for row in page["data"]]
        more = ("--cursor", str(page["nextCursor"]))
    assert seen == [f"{prefix}_{name}" for name in reversed(NAMES)]
    assert page["nextCursor"] is None, "the last page says so"

    refused = run_onramp(environment, kind, "list", "--cursor", "nonsense")
    assert (refused.returncode, refused.stdout, "'nonsense'" in refused.stderr) == (1, "", True)
    shown = run_onramp(environment, kind, "list", "--limit", "4").stdout
    assert "More: --cursor " in shown
    cursor = shown.rsplit("More: --cursor ", 1)[1].split()[0]
    rest = json.loads(run_onramp(environment, kind, "list", "--limit", "4", "--json", "--cursor", cursor).stdout)
    assert [row["id"] for row in rest["data"]] == [f"{prefix}_a"]
    assert "More" not in run_onramp(environment, kind, "list", "--limit", "5").stdout
