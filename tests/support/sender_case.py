"""One wallet on the real chain with the payouts that it owes, and sender processes that die or freeze on the way."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic, encode_approve
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.types import keccak, to_checksum, to_hex
from kit.audit.actor import Actor
from kit.clock import SystemClock
from kit.db.database import connect
from kit.ids import RandomIds
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.command_line import ForkedProcess
from tests.support.hot_wallet import MUSD, TOKEN, address_of
from tests.support.paths import ROOT
from tests.support.waiting import eventually
from treasury.cold.identity import ColdPin, Verified
from treasury.cold.service import PoolColdWallet
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.payouts import service as payouts_service
from treasury.sweeps import service as sweeps_service

SECONDS = 60.0
STOCK = 100 * MUSD
SWEPT = 40 * MUSD
PAID = 5 * MUSD


class Case:
    """One wallet that owes payouts and, optionally, an approved sweep, in its own database."""

    def __init__(self, chain: DevChain, home: Path, url: str, *, owed: int = 0, sweep: bool = True) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.chain = chain
        self.home = home
        self.url = url
        self.depth = 1
        self.contract: str | None = None
        """PayOnce, if payouts are paid through it: all that are owed by one transaction."""
        self.rpc = ",".join(chain.rpc_urls)
        self.key = keccak(str(home).encode())
        self.wallet = address_of(self.key)
        self.owed = {f"ons_{number}": (str(PAID), self._someone(number)) for number in range(owed)}
        self.sweep = sweep

    def _someone(self, number: int) -> str:
        return to_checksum("0x" + keccak(f"buyer {number}".encode() + self.key)[12:].hex())

    @property
    def buyers(self) -> list[str]:
        return [to for _, to in self.owed.values()]

    async def begin(self, lock: asyncio.Lock) -> None:
        async with lock:
            await self.chain.mint(self.wallet, STOCK)
            await self.chain.fund_gas(self.wallet, 10**18)
            if self.contract is not None:
                await self._approve(self.contract)
        now, ids = SystemClock().now(), RandomIds()
        identity = await self._identity() if self.sweep else ""
        database = connect(self.url)
        async with database.write() as conn:
            if self.sweep:
                to = self.chain.deployment.safe
                await sweeps_service.propose(
                    conn, sweeps_service.Proposal("MUSD", TOKEN, SWEPT, to, "none", identity), HotWallet(CHAIN_ID, self.wallet),
                    Actor("key_anna", "anna"), purpose="a test", approval_needed=False, expires_after=timedelta(hours=1),
                    now=now, ids=ids,
                )  # fmt: skip
            for session, (amount, buyer) in self.owed.items():
                await payouts_service.create_payout(
                    conn, session_id=session, stripe_session_id="cos_" + session, to=buyer, amount=int(amount), token=TOKEN,
                    wallet=self.wallet, now=now, ids=ids,
                )  # fmt: skip
        await database.close()

    async def _approve(self, contract: str) -> None:
        """Let the contract move the wallet's MUSD, in a way that leaves the wallet at its first nonce."""
        call = {"from": self.wallet, "to": TOKEN, "data": to_hex(encode_approve(contract, 2**256 - 1))}
        await self.chain.rpc("anvil_impersonateAccount", self.wallet)
        tx_hash = await self.chain.rpc("eth_sendTransaction", call)
        await self.chain.rpc("anvil_stopImpersonatingAccount", self.wallet)

        async def is_mined() -> bool:
            return await self.chain.rpc("eth_getTransactionReceipt", tx_hash) is not None

        await eventually(is_mined, within=SECONDS, every=0.05, what="the approval of PayOnce being mined")
        await self.chain.rpc("anvil_setNonce", self.wallet, "0x0")

    async def _identity(self) -> str:
        safe = self.chain.deployment
        pool = Pool(parse_nodes(",".join(self.chain.rpc_urls), ""), chain_id=CHAIN_ID)
        pin = ColdPin(CHAIN_ID, safe.safe, safe.safe_owners, 3)
        verdict = await PoolColdWallet(pool, pin, forbidden_owners=[self.wallet]).verify()
        await pool.close()
        assert isinstance(verdict, Verified)
        return verdict.identity

    @asynccontextmanager
    async def process(self, at: str = "", act: str = "kill", after: int = 0) -> AsyncIterator[ForkedProcess]:
        """Start a sender; at the checkpoint `at`, after passing it `after` times, it kills or freezes itself."""
        arguments = {
            "rpc": self.rpc, "key": self.key.hex(), "safe": self.chain.deployment.safe,
            "owners": self.chain.deployment.safe_owners, "owed": self.owed, "at": at, "act": act, "after": after, "lease": 2.0,
            "database": self.url, "mark": str(self.home / "mark"), "depth": self.depth,
            "contract": self.contract,
        }  # fmt: skip
        log = self.home / "log"
        process = ForkedProcess(
            "tests.crash.sender", [json.dumps(arguments)], os.environ, stdout=log, stderr=log, cwd=ROOT
        )
        try:
            yield process
        finally:
            process.kill()
            await process.ended()

    async def done(self) -> None:
        """Wait until everything is final and the ledger has its opening balance."""
        database = connect(self.url)

        async def is_done() -> bool:
            async with database.read() as conn:
                states = [row.status for row in await sweeps_service.page(conn)]
                states += [row.status for row in await payouts_service.page(conn)]
                opened = await ledger_service.is_opened(conn, self.wallet, "MUSD")
            return opened and set(states) == {Status.FINAL}

        try:
            await eventually(is_done, within=SECONDS, every=0.2, what="every payout and sweep being final")
        except AssertionError as error:
            pytest.fail(f"{error}: {(self.home / 'log').read_text()[-3000:]}")
        finally:
            await database.close()

    async def transfers(self, to: str) -> int:
        query = {
            "address": TOKEN, "fromBlock": "0x0", "toBlock": "latest",
            "topics": [TRANSFER_TOPIC, address_topic(self.wallet), address_topic(to)],
        }  # fmt: skip
        return len(await self.chain.rpc("eth_getLogs", query))

    async def once(self) -> None:
        """Assert exactly one Transfer for each payout and sweep, no further nonce, and a ledger that agrees with the chain."""
        assert [await self.transfers(buyer) for buyer in self.buyers] == [1] * len(self.owed)
        if self.sweep:
            assert await self.transfers(self.chain.deployment.safe) == 1
        payments = len(self.owed) if self.contract is None else min(1, len(self.owed))
        count = int(await self.chain.rpc("eth_getTransactionCount", self.wallet, "latest"), 16)
        assert count == payments + self.sweep
        database = connect(self.url)
        async with database.read() as conn:
            book = await ledger_service.balances(conn, self.wallet, "MUSD")
        await database.close()
        paid, swept = len(self.owed) * PAID, SWEPT * self.sweep
        assert await self.chain.balance(self.wallet) == STOCK - paid - swept
        assert sum(book.get(account, 0) for account in HOT) == STOCK - paid - swept
        assert (book.get(Account.PAID_OUT, 0), book.get(Account.COLD, 0)) == (paid, swept)
        assert book.get(Account.SUSPENSE, 0) == 0


def on_sqlite(home: Path, template: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, home / "test.db")
    return f"sqlite+aiosqlite:///{home / 'test.db'}"
