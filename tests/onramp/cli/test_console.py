"""`onramp console sessions`: who is logged in, and how the machine's operator ends it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kit.audit.table import entries
from kit.db.database import connect
from onramp.auth.api_keys.table import api_key_secrets
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.service import KeyLogin
from onramp.cli import app
from tests.support.api_keys import RING, create_key


async def log_in(url: str) -> str:
    database = connect(url)
    key_id, _ = await create_key(database, "operator", "ada")
    async with database.write() as conn:
        secret_hash = (await conn.execute(sa.select(api_key_secrets.c.id))).scalar_one()
        login = KeyLogin(key_id, secret_hash)
        await console_sessions_service.begin(conn, "cs_1", "ocs_secret", login, RING, datetime.now(UTC))
    await database.close()
    return key_id


async def ended_by(url: str) -> list[tuple[str, str]]:
    database = connect(url)
    async with database.read() as conn:
        query = sa.select(entries.c.actor, entries.c.subject).where(entries.c.action == "console.end")
        rows = [(row.actor, row.subject) for row in await conn.execute(query)]
    await database.close()
    return rows


def test_sessions_of_the_console_are_listed_and_ended(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    key_id = asyncio.run(log_in(sqlite_url))

    def onramp(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["console", "sessions", *arguments])
        return result.exit_code, result.output

    code, shown = onramp("list", "--json")
    assert code == 0, shown
    [session] = json.loads(shown)["data"]
    assert (session["id"], session["person"], session["role"], session["keyId"]) == ("cs_1", "ada", "operator", key_id)
    assert "passkeys" not in session and "ocs_" not in shown
    assert "ada" in onramp("list")[1]
    assert onramp("end", "key_1")[0] == 1
    assert onramp("end", "cs_2")[0] == 1
    assert onramp("end", "cs_1") == (0, "cs_1: ended.\n")
    assert "Nobody is logged in" in onramp("list")[1]
    assert asyncio.run(ended_by(sqlite_url)) == [("machine", "cs_1")]
