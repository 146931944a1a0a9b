"""A release migrates the database while the version before it serves, and can be rolled back."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from kit.db.database import Database, connect
from onramp.dev.chain.devchain import DevChain
from onramp.migrations import OURS, History, MigrationError, look, newest, upgrade
from onramp.migrations.compatibility import Fit, judge
from tests.support.command_line import run_onramp
from tests.support.next_release import ADDS, FREES_SESSIONS, NEXT, REMOVES, breaks, next_history, schema_of
from tests.support.payout_service import payout_service
from tests.support.production import production_environment
from tests.support.purchases import read_session
from tests.support.service import Service, Start

pytestmark = pytest.mark.starts_first


async def _ready(service: Service) -> tuple[int, dict[str, Any]]:
    async with service.http.get(f"{service.api}/ready") as answer:
        return answer.status, await answer.json()


def _part(report: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {part["name"]: part for part in report["parts"]}
    return parts["migrations"]


async def _bought(service: Service) -> None:
    status, made = await service.create(sourceAmount="5")
    assert status == 201, made
    url = f"{service.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    async with service.http.post(url, json={"status": "fulfillment_complete"}) as answer:
        assert answer.status == 200, await answer.text()
    async with asyncio.timeout(60):
        while (await read_session(service, made["id"]))["status"] != "completed":
            await asyncio.sleep(0.1)


async def _until(service: Service, *, is_ok: bool) -> str:
    """Wait until readiness reports this about the migrations; return its sentence."""
    async with asyncio.timeout(30):
        while True:
            part = _part((await _ready(service))[1])
            if part["ok"] is is_ok:
                return str(part["detail"])
            await asyncio.sleep(0.2)


async def test_this_version_goes_on_selling_while_and_after_the_next_one_migrates(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    async with payout_service(start, sqlite_url, chain, tmp_path) as (service, _):
        async with asyncio.timeout(30):
            while (await _ready(service))[0] != 200:
                await asyncio.sleep(0.2)
        assert await upgrade(service.database, next_history(tmp_path, ADDS, newest())) == (newest(), NEXT)
        await _bought(service)
        async with asyncio.timeout(30):
            while True:
                status, report = await _ready(service)
                assert status == 200
                if "newer" in _part(report)["detail"]:
                    break
                await asyncio.sleep(0.2)


NEWER = f"The database is at {NEXT}, newer than this version's {newest()}, which can use it."
TOO_NEW = (
    f"The database is at {NEXT}, newer than this version's {newest()}, and only versions from {NEXT} on can use it: deploy the newer "
    "version again, or restore a backup from before the migration."
)


@pytest.mark.parametrize("since", [NEXT, None])
async def test_a_migration_that_is_not_additive_takes_this_version_out_and_says_why(
    start: Start, sqlite_url: str, tmp_path: Path, since: str | None
) -> None:
    service = await start()
    await _until(service, is_ok=True)
    await upgrade(service.database, next_history(tmp_path, REMOVES, since))
    assert await _until(service, is_ok=False) == TOO_NEW


@pytest.fixture
async def database_of_next(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that the next release has migrated; its parameters are `next_history`'s."""
    database = connect(database_url)
    await upgrade(database, next_history(tmp_path, *request.param))
    await database.close()
    return database_url


def _environments(url: str) -> list[dict[str, str]]:
    """Return the environments to test: development, and production if it accepts such a database."""
    development = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    both = [development] if url.startswith("sqlite") else [development, production_environment(url)]
    return [one | {"LOG_LEVEL": "error"} for one in both]


@pytest.mark.parametrize("database_of_next", [(ADDS, newest())], indirect=True)
def test_a_release_that_only_added_can_be_rolled_back(database_of_next: str) -> None:
    for variables in _environments(database_of_next):
        done = run_onramp(variables, "migrate")
        assert (done.returncode, done.stdout) == (0, f"{NEWER} Nothing to do.\n"), done.stderr
        done = run_onramp(variables, "sessions", "list", "--json")
        assert done.returncode == 0, done.stderr
        examined = json.loads(run_onramp(variables, "doctor", "--json").stdout)
        assert {"name": "migrations", "ok": True, "detail": NEWER} in examined["checks"]


@pytest.mark.parametrize("database_of_next", [(REMOVES, NEXT)], indirect=True)
def test_a_release_that_removed_cannot_and_every_command_says_so(database_of_next: str) -> None:
    for variables in _environments(database_of_next):
        for words, end in (
            (("migrate",), "Nothing was changed."),
            (("sessions", "list"), "Nothing was changed."),
            (("work", "--only", "audit"), "Nothing was started."),
            (("serve", "--no-workers"), "Nothing was started."),
        ):
            refused = run_onramp(variables, *words)
            assert refused.returncode == 1
            error = refused.stderr.rstrip()
            assert error.startswith(f"onramp: {TOO_NEW} ") and error.endswith(end), error
        examined = json.loads(run_onramp(variables, "doctor", "--json").stdout)
        assert {"name": "migrations", "ok": False, "detail": TOO_NEW} in examined["checks"]


def test_the_sentence_for_an_older_database_is_another() -> None:
    revisions = ["0016", "0017"]
    assert str(judge("0016", None, revisions)) == (
        "The database is at 0016, older than this version, which needs 0017: run `onramp migrate`."
    )
    assert "is empty, older than this version" in str(judge(None, None, revisions))


@pytest.mark.parametrize(
    ("found", "since", "fit"),
    [
        ("0017", None, Fit.CURRENT), ("0016", None, Fit.OLDER), (None, None, Fit.OLDER), ("0018", "0016", Fit.NEWER),
        ("0030", "0017", Fit.NEWER), ("0018", "0018", Fit.TOO_NEW), ("0030", "0019", Fit.TOO_NEW), ("0018", None, Fit.TOO_NEW),
        ("ae10", None, Fit.TOO_NEW), ("0018", "", Fit.TOO_NEW),
    ],
)  # fmt: skip
def test_a_newer_database_is_judged_by_what_it_declares(found: str | None, since: str | None, fit: Fit) -> None:
    assert judge(found, since, ["0016", "0017"]).fit is fit


async def test_later_additive_releases_keep_the_compatibility_that_an_earlier_one_declared(
    database: Database, tmp_path: Path
) -> None:
    removed = next_history(tmp_path, REMOVES, NEXT)
    later = f"{int(NEXT) + 1:04d}"
    (removed.folder / f"{later}_later.py").write_text(
        f'revision, down_revision, branch_labels, depends_on = "{later}", "{NEXT}", None, None\n'
        f'COMPATIBLE_SINCE = "{newest()}"\ndef upgrade() -> None:\n    pass\n'
    )
    await upgrade(database, removed)
    assert (await look(database)).fit is Fit.TOO_NEW
    with pytest.raises(MigrationError):
        await upgrade(database)


def test_every_migration_declares_which_code_can_use_the_database_after_it() -> None:
    revisions = OURS.revisions()
    declared = []
    for revision, path in zip(revisions, sorted(OURS.folder.glob("[0-9]*.py")), strict=True):
        found = re.findall(r'^COMPATIBLE_SINCE = "(\d{4})"', path.read_text(), re.MULTILINE)
        assert len(found) == 1, f"{path.name} must declare COMPATIBLE_SINCE once"
        assert found[0] in revisions and found[0] <= revision, path.name
        declared.append(found[0])
    assert declared == sorted(declared), "a later migration cannot make the database usable for older code again"


async def _steps(database: Database, history: History) -> AsyncIterator[tuple[str, str, list[str]]]:
    """Migrate revision by revision; yield each with its declaration and what it breaks for the code of the revision before."""
    scripts = {one.revision: one.module for one in ScriptDirectory.from_config(history.config()).walk_revisions()}

    def step(conn: sa.Connection, revision: str) -> list[str]:
        config = history.config()
        config.attributes["connection"] = conn
        before = schema_of(conn)
        command.upgrade(config, revision)
        return breaks(before, schema_of(conn))

    for revision in history.revisions():
        async with database.write() as conn:
            broken = await conn.run_sync(step, revision)
        yield revision, scripts[revision].COMPATIBLE_SINCE, broken


async def test_a_migration_that_declares_itself_additive_is(empty_url: str) -> None:
    database = connect(empty_url)
    async for revision, since, broken in _steps(database, OURS):
        assert since == revision or broken == [], f"{revision} must declare itself as COMPATIBLE_SINCE: {broken}"
    await database.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (ADDS, []),
        (REMOVES, ["sessions.attention is gone"]),
        ("\n    op.drop_table('treasury_pauses')", ["treasury_pauses is gone"]),
        (FREES_SESSIONS + "\n    with op.batch_alter_table('sessions') as t:\n        t.alter_column('attention', new_column_name='alert')",
         ["sessions.attention is gone"]),
        (FREES_SESSIONS + "\n    with op.batch_alter_table('sessions') as t:\n        t.alter_column('attention', nullable=False)",
         ["sessions.attention must be given now"]),
        ("\n    op.create_index('uq_x', 'sessions', ['sender'], unique=True)", ["sessions ('sender',) is constrained now"]),
    ],
)  # fmt: skip
async def test_a_change_that_older_code_cannot_work_with_is_detected(
    database: Database, tmp_path: Path, changes: str, says: list[str]
) -> None:
    history = next_history(tmp_path, changes, NEXT)

    def step(conn: sa.Connection) -> list[str]:
        config = history.config()
        config.attributes["connection"] = conn
        before = schema_of(conn)
        command.upgrade(config, "head")
        return breaks(before, schema_of(conn))

    async with database.write() as conn:
        assert await conn.run_sync(step) == says


@pytest.mark.parametrize(
    "check",
    [
        "role IN ({})",
        "role::text = ANY (ARRAY[{}]::text[])",
    ],
)
def test_a_check_that_admits_more_values_is_no_new_constraint_and_one_that_admits_fewer_is(check: str) -> None:
    def schema(*values: str) -> dict[str, Any]:
        listed = (f"'{value}'" + ("::character varying" if "ANY" in check else "") for value in values)
        return {"t": {"columns": {}, "unique": set(), "ties": {(check.format(", ".join(listed)),)}}}

    assert breaks(schema("a", "b"), schema("a", "b", "c")) == []
    for fewer in (("a",), ("a", "c")):
        assert len(breaks(schema("a", "b"), schema(*fewer))) == 1
    other = schema("a", "b", "c")
    other["t"]["ties"] = {(next(iter(other["t"]["ties"]))[0].replace("role", "kind"),)}
    assert len(breaks(schema("a", "b"), other)) == 1
