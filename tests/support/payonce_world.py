"""A treasury on a real node with a hot wallet without history, for the calls that a person makes beside the worker."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from chain import payonce
from chain.abi.erc20 import encode_approve
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_code
from chain.types import to_hex
from kit.audit.table import entries
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from tests.support.hot_wallet import CHAIN_ID, HOT_WALLET, MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.payonce.wallet_call import CallRefused
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.transactions import queries
from treasury.transactions.model import Transaction


@dataclass
class PayOnceWorld:
    """The treasury, the node, and the parts that a call needs."""

    treasury: TreasuryWorld
    chain: DevChain
    pool: Pool
    parts: dict[str, Any]

    async def transaction(self, nonce: int = 0) -> Transaction | None:
        async with self.treasury.database.read() as conn:
            return await queries.by_nonce(conn, HOT_WALLET, nonce)

    async def settle(self, cycles: int = 12, base_fee: int | None = None) -> None:
        """Run the worker as a process that starts now; `base_fee` in wei is asked by every block of it."""
        sender = self.treasury.sender(chain=self.parts["chain"])
        for _ in range(cycles):
            if base_fee is not None:
                await self.ask_fee(base_fee)
            await sender.step()
            self.treasury.clock.seconds += 15
            await self.mine()
        await sender.stop()

    async def mine(self) -> None:
        await self.chain.rpc("anvil_mine", "0x2")
        self.pool.expire_probe()

    async def ask_fee(self, wei: int) -> None:
        """Mine a block with this base fee."""
        await self.chain.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))
        await self.chain.rpc("anvil_mine", "0x1")
        self.pool.expire_probe()

    async def code(self) -> Code:
        await self.mine()
        (code,) = await read_code(self.pool, payonce.ADDRESS)
        return code

    async def audited(self, action: str) -> list[tuple[Any, Any]]:
        """Return the old and new values of the audit entries of an action."""
        async with self.treasury.database.read() as conn:
            query = sa.select(entries.c.old_values, entries.c.new_values).where(entries.c.action == action)
            return [(before, after) for before, after in (await conn.execute(query)).all()]

    async def refused(self, call: Callable[[], Awaitable[object]], match: str) -> None:
        """Assert that the call is refused, and that nothing was signed or stored."""
        signed = len(self.treasury.signer.requests)
        with pytest.raises(CallRefused, match=match):
            await call()
        assert len(self.treasury.signer.requests) == signed
        assert await self.transaction() is None


async def die(*_: Any, **__: Any) -> None:
    """Take the place of a step before which the process dies."""
    raise RuntimeError("dead")


async def dies_before_the_broadcast(world: PayOnceWorld, call: Callable[[], Awaitable[object]]) -> None:
    """Make a call of a process that dies once its bytes are stored, before any node has them."""
    with pytest.MonkeyPatch.context() as patch, suppress(RuntimeError):
        patch.setattr(world.parts["chain"], "broadcast", die)
        await call()
        raise AssertionError("it did not die")


async def payonce_world(chain: DevChain, database: Database) -> PayOnceWorld:
    """Return a world whose hot wallet has coins, and neither transactions nor an allowance of PayOnce. Close its pool in the end."""
    await chain.fund_gas(WALLET, 10**18)
    await chain.rpc("anvil_impersonateAccount", WALLET)
    revoked = {"from": WALLET, "to": TOKEN, "data": to_hex(encode_approve(payonce.ADDRESS, 0))}
    await chain.rpc("eth_sendTransaction", revoked)
    await chain.rpc("anvil_stopImpersonatingAccount", WALLET)
    await chain.rpc("anvil_mine", "0x1")
    await chain.rpc("anvil_setNonce", WALLET, "0x0")
    await chain.fund_gas(WALLET, 10**18)
    await chain.mint(WALLET, 100 * MUSD)
    treasury, pool = TreasuryWorld(database), Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    parts = {
        "wallet": HOT_WALLET,
        "database": database,
        "pool": pool,
        "chain": QuorumWalletChain(pool, wallet=WALLET, token=TOKEN),
        "signer": treasury.signer,
        "gate": treasury.pause,
        "clock": treasury.clock,
        "ids": treasury.ids,
        "max_fee": 50 * 10**9,
    }
    return PayOnceWorld(treasury, chain, pool, parts)
