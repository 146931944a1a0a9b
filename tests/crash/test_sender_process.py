"""Real sender processes on a real chain: killed at each step of payouts and sweeps, frozen and resumed, and restored from an old backup."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from onramp.dev.chain.devchain import DevChain
from tests.support.sender_case import SECONDS, Case, on_sqlite
from tests.support.waiting import eventually
from treasury.sender import CHECKPOINTS

pytestmark = pytest.mark.starts_first

AT_ONCE = 3
EACH = [(kind, name) for kind in ("payout", "sweep", "batch") for name in CHECKPOINTS]
SOME = [
    *(("sweep", "signed"), ("payout", "stored"), ("sweep", "broadcast"), ("pipeline", "stored")),
    *(("batch", "nonce_taken"), ("batch", "stored")),
]
"""Around the signature it matters most; `make prove` dies at the others too."""


async def killed(deaths: Iterable[tuple[str, str]], chain: DevChain, home: Path, url_of: Callable[[Path], str]) -> None:
    gate, lock = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def one(kind: str, name: str) -> None:
        async with gate:
            folder = home / f"{kind}-{name}"
            owed = {"payout": 1, "sweep": 0, "pipeline": 6, "batch": 6}[kind]
            case = Case(chain, folder, url_of(folder), owed=owed, sweep=kind == "sweep")
            case.depth = 4 if kind == "pipeline" else 1
            case.contract = chain.deployment.payonce if kind == "batch" else None
            await case.begin(lock)
            async with case.process(at=name, after=1 if kind == "pipeline" else 0) as process:
                assert await asyncio.wait_for(process.ended(), SECONDS) == -signal.SIGKILL
            async with case.process():
                await case.done()
            await case.once()

    await asyncio.gather(*(one(kind, name) for kind, name in deaths))


async def test_a_sender_killed_on_the_way_sends_once(chain: DevChain, tmp_path: Path, sqlite_template: Path) -> None:
    await killed(SOME, chain, tmp_path, lambda home: on_sqlite(home, sqlite_template))


@pytest.mark.prove
async def test_the_same_at_every_step(chain: DevChain, tmp_path: Path, sqlite_template: Path) -> None:
    deaths = [*EACH, *(("pipeline", name) for name in CHECKPOINTS)]
    await killed(deaths, chain, tmp_path, lambda home: on_sqlite(home, sqlite_template))


@pytest.mark.prove
async def test_the_same_on_postgres(chain: DevChain, tmp_path: Path, postgres_databases: Callable[[], str]) -> None:
    deaths = [*EACH, *(("pipeline", name) for name in CHECKPOINTS)]
    await killed(deaths, chain, tmp_path, lambda _home: postgres_databases())


@pytest.mark.parametrize(
    "at",
    [pytest.param("nonce_taken", marks=pytest.mark.prove), "signed", pytest.param("stored", marks=pytest.mark.prove)],
)
@pytest.mark.parametrize("way", ["transfer", "batch"])
async def test_a_leader_that_was_frozen_sends_nothing_after_it_resumes(
    chain: DevChain, tmp_path: Path, sqlite_template: Path, at: str, way: str
) -> None:
    owed = 3 if way == "batch" else 1
    case = Case(chain, tmp_path / at, on_sqlite(tmp_path / at, sqlite_template), owed=owed)
    case.contract = chain.deployment.payonce if way == "batch" else None
    await case.begin(asyncio.Lock())
    async with case.process(at=at, act="stop") as frozen:
        await eventually((case.home / "mark").exists, within=SECONDS)
        async with case.process():
            await case.done()
            os.kill(frozen.pid, signal.SIGCONT)
            await asyncio.sleep(3)
            assert frozen.returncode is None
    await case.once()


@pytest.mark.parametrize("way", ["transfer", "batch"])
async def test_a_backup_put_back_pays_and_sweeps_nothing_twice(
    chain: DevChain, tmp_path: Path, sqlite_template: Path, way: str
) -> None:
    owed = 3 if way == "batch" else 1
    case = Case(chain, tmp_path / "restore", on_sqlite(tmp_path / "restore", sqlite_template), owed=owed)
    case.contract = chain.deployment.payonce if way == "batch" else None
    await case.begin(asyncio.Lock())
    database, backup = case.home / "test.db", case.home / "backup.db"
    shutil.copy(database, backup)
    async with case.process():
        await case.done()
    for file in case.home.glob("test.db*"):
        file.unlink()
    shutil.copy(backup, database)
    async with case.process():
        await case.done()
    await case.once()
