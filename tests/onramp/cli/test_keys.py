"""`onramp keys` and `onramp audit` as a person types them, each in its own process."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from kit.audit.worker import AuditChainMetrics, AuditChainWorker
from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing, parse_key
from kit.db.database import connect
from onramp.config.loader import load
from onramp.dev.local.api_keys import dev_api_keys
from tests.support.command_line import run_onramp
from tests.support.paths import ONRAMP

DATA_KEY = "5a" * 8 + "0123456789abcdef" * 3


def onramp(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "DATA_KEYS": DATA_KEY, "COLUMNS": "160"}
    return run_onramp(environment, *arguments)


def seal(url: str) -> None:
    async def work() -> None:
        database = connect(url)
        await AuditChainWorker(
            database,
            KeyRing([parse_key(DATA_KEY)], "onramp"),
            SystemClock(),
            AuditChainMetrics(CollectorRegistry(), "onramp"),
        ).step()
        await database.close()

    asyncio.run(work())


def tamper(url: str) -> None:
    async def work() -> None:
        database = connect(url)
        async with database.write() as conn:
            await conn.execute(sa.text("DROP TRIGGER audit_entries_no_update"))
            await conn.execute(sa.text("UPDATE audit_entries SET actor = 'nobody' WHERE id = 1"))
        await database.close()

    asyncio.run(work())


def test_a_key_is_made_listed_rotated_and_revoked_and_all_of_it_can_be_proved(sqlite_url: str) -> None:
    made = onramp(sqlite_url, "keys", "create", "--role", "operator", "--name", "desk", "--person", "otto", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["secret"].startswith("ork_")
    assert (key["role"], key["name"], key["person"], key["revokedAt"]) == ("operator", "desk", "otto", None)

    listed = onramp(sqlite_url, "keys", "list")
    assert key["id"] in listed.stdout
    assert "ork_" not in listed.stdout
    rotated = json.loads(onramp(sqlite_url, "keys", "rotate", key["id"], "--json").stdout)
    assert rotated["id"] == key["id"]
    assert rotated["secret"] != key["secret"]
    assert json.loads(onramp(sqlite_url, "keys", "revoke", key["id"], "--json").stdout)["revokedAt"]
    again = onramp(sqlite_url, "keys", "rotate", key["id"])
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("\n") == 1
    assert "revoked" in again.stderr

    seal(sqlite_url)
    lines = onramp(sqlite_url, "audit", "export").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["number"], row["action"], row["actor"]) for row in rows] == [
        (1, "key.create", "machine"), (2, "key.rotate", "machine"), (3, "key.revoke", "machine")
    ]  # fmt: skip
    assert onramp(sqlite_url, "audit", "export", "--after", "2").stdout.count("\n") == 1
    verified = onramp(sqlite_url, "audit", "verify", "--json", "--head", f"2:{rows[1]['hash']}")
    assert (verified.returncode, json.loads(verified.stdout)["ok"]) == (0, True)
    longer = onramp(sqlite_url, "audit", "verify", "--head", f"4:{'0' * 64}")
    assert (longer.returncode, "links were removed" in longer.stderr) == (1, True)

    read, write = os.pipe()
    os.close(read)  # as under `head`, which has seen enough
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": sqlite_url,
        "DATA_KEYS": DATA_KEY,
        "PYTHONUNBUFFERED": "1",
    }
    ended = subprocess.run(
        [ONRAMP, "audit", "export"], env=environment, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")

    tamper(sqlite_url)
    broken = onramp(sqlite_url, "audit", "verify")
    assert broken.returncode == 1
    assert "broken at number 1 (audit row 1)" in broken.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("keys", "create", "--role", "root", "--name", "x"), 2),
        (("keys", "create", "--role", "viewer", "--name", ""), 2),
        (("keys", "create", "--name", "x"), 2),
        (("keys", "revoke", "key_unknown"), 1),
        (("keys", "rotate", "key_unknown", "--overlap-minutes", "-1"), 2),
        (("audit", "verify", "--head", "5"), 2),
        (("sessions", "list", "--status", "nonsense"), 2),
        (("events", "list", "--state", "nonsense"), 2),
    ],
)
def test_a_refused_command_prints_no_traceback(sqlite_url: str, arguments: tuple[str, ...], status: int) -> None:
    refused = onramp(sqlite_url, *arguments)
    assert refused.returncode == status
    assert refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_first_key_of_all_needs_no_other_command(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    made = onramp(url, "keys", "create", "--role", "admin", "--name", "first", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(onramp(url, "keys", "list", "--json").stdout)["data"][0]["name"] == "first"


async def test_development_keys_stay_the_same_on_the_same_data(tmp_path: Path) -> None:
    settings = load(DATABASE_URL=SecretStr(f"sqlite+aiosqlite:///{tmp_path / 'onramp.db'}"))
    first = await dev_api_keys(tmp_path, settings)
    assert set(first) == {"viewer", "operator", "approver", "admin", "dapp"}
    assert await dev_api_keys(tmp_path, settings) == first
    (tmp_path / "onramp.db").unlink()
    assert await dev_api_keys(tmp_path, settings) == first, "a new database gets the same keys"
    (tmp_path / "api-keys.json").write_text(json.dumps({"admin": first["admin"]}))
    upgraded = await dev_api_keys(tmp_path, settings)
    assert upgraded["admin"] == first["admin"] and set(upgraded) == set(first), "a folder of an earlier version"
    assert (tmp_path / "api-keys.json").stat().st_mode & 0o077 == 0
