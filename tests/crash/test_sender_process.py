"""Real senders on a real chain: killed at each step of a sweep, frozen and thawed, and set back to an old backup."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chain.erc20 import TRANSFER_TOPIC, topic_of
from chain.nodes import parse_nodes
from chain.pool import Pool
from chain.types import keccak, to_checksum
from kit.clock import SystemClock
from kit.database import connect
from kit.ids import RandomIds
from onramp.dev.devchain import CHAIN_ID, DevChain, running
from tests.treasury.fakes import MUSD, TOKEN, address_of
from treasury.cold.identity import ColdPin, Verified
from treasury.cold.service import PoolColdWallet
from treasury.payouts import service as payouts
from treasury.sender import CHECKPOINTS
from treasury.status import Status
from treasury.sweeps import service as sweeps

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 3
SECONDS = 60.0


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with running() as started:
        yield started


class Case:
    """One wallet with one approved sweep and, where asked for, one payout, in a database of its own."""

    def __init__(self, chain: DevChain, home: Path, url: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.chain = chain
        self.home = home
        self.url = url
        self.key = keccak(str(home).encode())
        self.wallet = address_of(self.key)
        self.buyer = to_checksum("0x" + keccak(b"buyer" + self.key)[12:].hex())
        self.owed: dict[str, tuple[str, str]] = {}
        self.sweep_id = ""

    async def begin(self, lock: asyncio.Lock, *, payout: bool = False) -> None:
        async with lock:
            await self.chain.mint(self.wallet, 100 * MUSD)
            await self.chain.fund_gas(self.wallet, 10**18)
        safe = self.chain.deployment
        pool = Pool(parse_nodes(",".join(self.chain.rpc_urls), ""), chain_id=CHAIN_ID)
        pin = ColdPin(CHAIN_ID, safe.safe, safe.safe_owners, 3)
        verdict = await PoolColdWallet(pool, pin, strangers=[self.wallet]).verify()
        await pool.close()
        assert isinstance(verdict, Verified)
        now, ids = SystemClock().now(), RandomIds()
        database = connect(self.url)
        async with database.write() as conn:
            proposal = sweeps.Proposal("MUSD", TOKEN, 40 * MUSD, safe.safe, "none", verdict.identity)
            made = await sweeps.propose(
                conn,
                proposal,
                chain_id=CHAIN_ID,
                wallet=self.wallet,
                purpose="a test",
                by="key_anna",
                person="anna",
                approval_needed=False,
                expires_after=timedelta(hours=1),
                now=now,
                ids=ids,
            )
            self.sweep_id = made.id
            if payout:
                self.owed["ons_one"] = (str(5 * MUSD), self.buyer)
                await payouts.owe(
                    conn,
                    session_id="ons_one",
                    stripe_session_id="cos_one",
                    to=self.buyer,
                    amount=5 * MUSD,
                    token=TOKEN,
                    wallet=self.wallet,
                    now=now,
                    ids=ids,
                )
        await database.close()

    @asynccontextmanager
    async def process(self, at: str = "", act: str = "kill") -> AsyncIterator[asyncio.subprocess.Process]:
        told = {
            "rpc": ",".join(self.chain.rpc_urls), "key": self.key.hex(), "safe": self.chain.deployment.safe,
            "owners": self.chain.deployment.safe_owners, "owed": self.owed, "at": at, "act": act, "lease": 2.0,
            "database": self.url, "mark": str(self.home / "mark"),
        }  # fmt: skip
        with (self.home / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.crash.sender", json.dumps(told), cwd=ROOT, stdout=log, stderr=log
            )
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def done(self) -> None:
        """Until everything asked for is final."""
        database = connect(self.url)
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    async with database.read() as conn:
                        states = [(await sweeps.require(conn, self.sweep_id)).status]
                        states += [row.status for row in await payouts.page(conn)]
                    if set(states) == {Status.FINAL}:
                        return
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"not final in {SECONDS:.0f} s: {(self.home / 'log').read_text()[-3000:]}")
        finally:
            await database.close()

    async def transfers(self, to: str) -> int:
        query = {
            "address": TOKEN, "fromBlock": "0x0", "toBlock": "latest",
            "topics": [TRANSFER_TOPIC, topic_of(self.wallet), topic_of(to)],
        }  # fmt: skip
        return len(await self.chain.rpc("eth_getLogs", query))

    async def once(self, transactions: int = 1) -> None:
        """Exactly one Transfer into the Safe, and no nonce used beside what was asked for."""
        assert await self.transfers(self.chain.deployment.safe) == 1
        assert int(await self.chain.rpc("eth_getTransactionCount", self.wallet, "latest"), 16) == transactions


def on_sqlite(home: Path, template: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, home / "test.db")
    return f"sqlite+aiosqlite:///{home / 'test.db'}"


async def killed_at(names: Iterable[str], chain: DevChain, home: Path, url_of: Callable[[str], str]) -> None:
    gate, lock = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def one(name: str) -> None:
        async with gate:
            case = Case(chain, home / name, url_of(name))
            await case.begin(lock)
            async with case.process(at=name) as process:
                assert await asyncio.wait_for(process.wait(), SECONDS) == -signal.SIGKILL
            async with case.process():
                await case.done()
            await case.once()

    await asyncio.gather(*(one(name) for name in names))


async def test_a_sender_killed_at_any_step_of_a_sweep_sweeps_once(
    chain: DevChain, tmp_path: Path, sqlite_template: Path
) -> None:
    # Around the signature it matters most; `make prove` dies at the others too.
    names = ("signed", "stored", "broadcast")
    await killed_at(names, chain, tmp_path, lambda name: on_sqlite(tmp_path / name, sqlite_template))


@pytest.mark.prove
async def test_the_same_at_every_step(chain: DevChain, tmp_path: Path, sqlite_template: Path) -> None:
    await killed_at(CHECKPOINTS, chain, tmp_path, lambda name: on_sqlite(tmp_path / name, sqlite_template))


@pytest.mark.prove
async def test_the_same_on_postgres(chain: DevChain, tmp_path: Path, postgres_databases: Callable[[], str]) -> None:
    await killed_at(CHECKPOINTS, chain, tmp_path, lambda _name: postgres_databases())


@pytest.mark.parametrize(
    "at",
    [pytest.param("nonce_taken", marks=pytest.mark.prove), "signed", pytest.param("stored", marks=pytest.mark.prove)],
)
async def test_a_leader_that_was_frozen_and_thaws_sends_nothing_of_its_own(
    chain: DevChain, tmp_path: Path, sqlite_template: Path, at: str
) -> None:
    case = Case(chain, tmp_path / at, on_sqlite(tmp_path / at, sqlite_template))
    await case.begin(asyncio.Lock(), payout=True)
    async with case.process(at=at, act="stop") as frozen:
        async with asyncio.timeout(SECONDS):
            while not (case.home / "mark").exists():
                await asyncio.sleep(0.05)
        async with case.process():
            await case.done()
            os.kill(frozen.pid, signal.SIGCONT)
            await asyncio.sleep(3)
            assert frozen.returncode is None
    await case.once(transactions=2)
    assert await case.transfers(case.buyer) == 1


async def test_a_backup_put_back_pays_and_sweeps_nothing_twice(
    chain: DevChain, tmp_path: Path, sqlite_template: Path
) -> None:
    case = Case(chain, tmp_path / "restore", on_sqlite(tmp_path / "restore", sqlite_template))
    await case.begin(asyncio.Lock(), payout=True)
    database, backup = case.home / "test.db", case.home / "backup.db"
    shutil.copy(database, backup)
    async with case.process():
        await case.done()
    for left in case.home.glob("test.db*"):
        left.unlink()
    shutil.copy(backup, database)
    async with case.process():
        await case.done()
    await case.once(transactions=2)
    assert await case.transfers(case.buyer) == 1
