"""The sender on a real chain whose nodes behave like Mezo's at their worst: they refuse, forget, hide, lag and reorganise."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.abi.erc20 import TRANSFER_TOPIC, address_topic
from chain.pool.pool import Pool
from chain.types import keccak, to_checksum
from kit.db.database import Database
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.crashes import Crash
from tests.support.faulty_proxy import Fault, FaultyProxy, ProxiedCall, instead, refused, stale_head
from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.sender.wallet_chain import QuorumWalletChain

COUNT = 6
PAID = 5 * MUSD
STOCK = 100 * MUSD
SECONDS = 60.0


def exact_nonce(chain: DevChain, wallet: str) -> Fault:
    """Accept the next nonce only, and treat known bytes as an error, as mezod does (app/ante/evm/eth.go)."""

    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        raw = HexBytes(asked.call["params"][0])
        nonce = TypedTransaction.from_bytes(raw).as_dict()["nonce"]
        expected = int(await chain.rpc("eth_getTransactionCount", wallet, "pending"), 16)
        known = await chain.rpc("eth_getTransactionByHash", "0x" + keccak(bytes(raw)).hex()) is not None
        if not known and nonce == expected:
            return web.json_response(await asked.truth())
        message = "tx already in mempool" if known else f"invalid nonce; got {nonce}, expected {expected}"
        return await refused(-32000, message)(asked)

    return respond


def forgets(share: int) -> Fault:
    """Reply that the bytes are known and drop them, except each `share`-th time."""
    count = [0]

    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        count[0] += 1
        if count[0] % share == 0:
            return web.json_response(await asked.truth())
        return await refused(19, "tx already in mempool")(asked)

    return respond


def lost() -> Fault:
    """Pass the bytes to the node and lose its reply."""

    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        await asked.truth()
        if asked.request.transport is not None:
            asked.request.transport.abort()
        return web.Response()

    return respond


@pytest.fixture
async def world(chain: DevChain, providers: list[FaultyProxy], database: Database) -> AsyncIterator[TreasuryWorld]:
    clean = await chain.rpc("evm_snapshot")
    await chain.mint(WALLET, STOCK)
    await chain.fund_gas(WALLET, 10**18)
    yield TreasuryWorld(database)
    await chain.rpc("evm_revert", clean)
    # The reverted transactions would be mined again, under the next test, which has the same wallet.
    await chain.rpc("anvil_dropAllTransactions")


async def owed(world: TreasuryWorld) -> list[str]:
    """Create a payout and a buyer for each session."""
    for number in range(COUNT):
        await world.owe(f"ons_{number}", PAID, to=buyer(number))
        world.clock.seconds += 1
    return [f"ons_{number}" for number in range(COUNT)]


def buyer(number: int) -> str:
    return to_checksum("0x" + keccak(b"buyer" + bytes([number]))[12:].hex())


async def live(world: TreasuryWorld, providers: list[FaultyProxy], deaths: list[str], between: Any = None) -> None:
    """Run cycles of senders, each starting where the one before died, until everything is final."""
    pool = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID, timeout=2.0)
    view = QuorumWalletChain(pool, wallet=WALLET, token=TOKEN)

    def checkpoint(name: str) -> None:
        if deaths and deaths[0] == name:
            deaths.pop(0)
            raise Crash(name)

    def sender() -> Any:
        return world.sender(checkpoint, chain=view, max_in_flight=4, lookback_blocks=1_000)

    now = sender()
    try:
        async with asyncio.timeout(SECONDS):
            while {await world.status(f"ons_{number}") for number in range(COUNT)} != {Status.FINAL}:
                try:
                    await now.step()
                except Crash:
                    now = sender()
                if between is not None:
                    await between()
                world.clock.seconds += 5
                await asyncio.sleep(0.2)
            world.clock.seconds += 90
            for _ in range(10):
                await now.step()
                await asyncio.sleep(0.3)
    finally:
        await pool.close()


async def paid_once(world: TreasuryWorld, chain: DevChain) -> None:
    """Assert one Transfer to each buyer, as many nonces as payouts, and a ledger that agrees with the chain."""
    for number in range(COUNT):
        query = {"address": TOKEN, "fromBlock": "0x0", "toBlock": "latest", "topics": [TRANSFER_TOPIC, address_topic(WALLET), address_topic(buyer(number))]}  # fmt: skip
        (log,) = await chain.rpc("eth_getLogs", query)
        assert log["transactionHash"] == (await world.payout(f"ons_{number}")).tx_hash
    assert int(await chain.rpc("eth_getTransactionCount", WALLET, "latest"), 16) == COUNT
    async with world.database.read() as conn:
        book = await ledger_service.balances(conn, WALLET, "MUSD")
    assert sum(book.get(account, 0) for account in HOT) == await chain.balance(WALLET) == STOCK - COUNT * PAID
    assert (book[Account.PAID_OUT], book.get(Account.SUSPENSE, 0)) == (COUNT * PAID, 0)


WRONG_ANSWERS: dict[str, dict[str, Fault]] = {
    "one node shows no receipt": {"eth_getTransactionReceipt": instead(None)},
    "one node hides every log": {"eth_getLogs": instead([])},
    "one node lags": {"eth_blockNumber": stale_head(40)},
    "one node forgets what it says it has": {"eth_sendRawTransaction": forgets(10**9)},
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.prove) for name in WRONG_ANSWERS])
async def test_one_contradicting_node_among_three_delays_nothing(
    world: TreasuryWorld, chain: DevChain, providers: list[FaultyProxy], name: str
) -> None:
    await owed(world)
    for method, fault in WRONG_ANSWERS[name].items():
        providers[0].always(fault, method)
    await live(world, providers, ["stored"])
    await paid_once(world, chain)


async def test_everything_at_once_and_a_sender_that_dies(
    world: TreasuryWorld, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    """Exact nonces at every node, lost replies, forgotten bytes, hidden receipts and logs, a lagging node, and crashes."""
    await owed(world)
    alpha, beta, gamma = providers
    for proxy in providers:
        proxy.always(exact_nonce(chain, WALLET), "eth_sendRawTransaction")
        proxy.always(instead([]), "eth_getLogs")
    alpha.always(instead(None), "eth_getTransactionReceipt")
    beta.then(lost(), lost(), forgets(2), method="eth_sendRawTransaction")
    gamma.then(forgets(2), forgets(2), lost(), method="eth_sendRawTransaction")
    gamma.then(*[stale_head(10)] * 5, method="eth_blockNumber")
    await live(world, providers, ["nonce_taken", "signed", "stored", "broadcast", "mined"])
    await paid_once(world, chain)


async def test_blocks_that_are_taken_back_while_it_pays(
    world: TreasuryWorld, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    """The same bytes are broadcast again, and no other signature is requested."""
    await owed(world)
    reorgs = [0]

    async def between() -> None:
        if reorgs[0] < 3 and await world.status("ons_0") is Status.FINAL:
            reorgs[0] += 1
            await chain.rpc("anvil_reorg", 3, [])

    await live(world, providers, ["stored", "mined"], between)
    assert reorgs[0] >= 1
    await paid_once(world, chain)
