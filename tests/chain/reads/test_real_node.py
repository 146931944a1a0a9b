"""The reads against a real EVM node with the real MUSD, whose behaviour a scripted server cannot prove."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import pytest_asyncio
from eth_account import Account

from chain.abi.erc20 import encode_transfer, payout_calldata, reference_of, split_payout_calldata
from chain.deployments import abi
from chain.errors import NonceTooLow
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.broadcast import BroadcastResult, broadcast
from chain.reads.gas import Fees, suggest_fees
from chain.reads.transfer_proof import ExpectedTransfer, Mismatch, ProofResult, Proven, Reverted, Waiting, prove
from chain.reads.transfers import TransferReader
from chain.reads.wallet import find_nonce_spender, outgoing_transactions, read_wallet
from chain.reads.web3_provider import web3_over
from chain.types import to_checksum
from onramp.dev.chain.anvil import free_port
from tests.support.paths import ROOT
from tests.support.waiting import eventually

MODULES = ROOT / "node_modules"
ANVIL = next(iter(MODULES.glob("@foundry-rs/anvil-*/bin/anvil")), None)
MUSD = MODULES / "@mezo-org/musd-contracts/deployments/matsnet/MUSD.json"
# The first account of anvil's public test mnemonic.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
BUYER = to_checksum("0x" + "bb" * 20)

pytestmark = pytest.mark.skipif(
    ANVIL is None or not MUSD.is_file(), reason="node packages are not installed (make setup)"
)


@dataclass
class Hot:
    """A funded wallet on a chain with MUSD, and three names for the one node."""

    pool: Pool
    token: str
    offer: Fees
    nonce: int = 0

    @property
    def address(self) -> str:
        """The wallet."""
        return to_checksum(Account.from_key(KEY).address)

    def sign(self, data: bytes | str, *, to: str | None = None, nonce: int | None = None) -> bytes:
        """Return the signed bytes of a call to the token, or to `to`; an empty token means a deployment."""
        fields: dict[str, Any] = {
            "chainId": 31611,
            "type": 2,
            "nonce": self.nonce if nonce is None else nonce,
            "data": data,
            "gas": 5_000_000,
            "value": 0,
            "maxFeePerGas": 4 * self.offer.max_fee,
            "maxPriorityFeePerGas": self.offer.priority,
        }
        target = to or self.token
        if target:
            fields["to"] = target
        return bytes(Account.from_key(KEY).sign_transaction(fields).raw_transaction)

    async def send(self, data: bytes | str) -> BroadcastResult:
        """Send with the next nonce, and wait until it is mined."""
        sent = await broadcast(self.pool, self.sign(data))
        self.nonce += 1
        await eventually(lambda: self.pool.first("eth_getTransactionReceipt", [sent.tx_hash]))
        return sent

    async def verdict(self, tx_hash: str, expected: ExpectedTransfer) -> ProofResult:
        """Return the result of the proof, once the next block exists."""
        async with asyncio.timeout(60):
            while isinstance(found := await prove(self.pool, tx_hash, expected), Waiting):
                await asyncio.sleep(0.3)
        return found


@pytest_asyncio.fixture
async def hot() -> AsyncIterator[Hot]:
    """The wallet with a thousand MUSD."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(ANVIL), "--port", str(port), "--chain-id", "31611", "--block-time", "1", "--silent"
    )
    base = f"http://127.0.0.1:{port}"
    pool = Pool(parse_nodes(f"a={base},b={base}/?b,c={base}/?c"), chain_id=31611)
    try:
        async with asyncio.timeout(60):
            while len(pool.heads()) < 3:
                await asyncio.sleep(0.3)
                await pool.refresh()
        wallet = Hot(pool, "", await suggest_fees(pool))
        artifact = orjson.loads(MUSD.read_bytes())
        deployed = await wallet.send(artifact["bytecode"])
        receipt = await pool.first("eth_getTransactionReceipt", [deployed.tx_hash])
        wallet.token = to_checksum(receipt["contractAddress"])
        token = web3_over(pool).eth.contract(address=wallet.token, abi=artifact["abi"])  # type: ignore[call-overload]
        await wallet.send(token.encode_abi("addToMintList", [wallet.address]))
        await wallet.send(token.encode_abi("mint", [wallet.address, 1000 * 10**18]))
        yield wallet
    finally:
        await pool.close()
        process.terminate()
        await process.wait()


async def test_a_payout_is_sent_proved_and_found_again_by_its_reference(hot: Hot) -> None:
    reference = reference_of("ons_example")
    sent = await hot.send(payout_calldata(BUYER, 5 * 10**18, reference))
    assert sent.known
    found = await hot.verdict(sent.tx_hash, ExpectedTransfer(hot.token, BUYER, 5 * 10**18, hot.address))
    assert isinstance(found, Proven)
    assert found.confirmations >= 2
    assert found.agreed_by == ("a", "b", "c")
    head = hot.pool.agreed_head()
    assert (await TransferReader(hot.pool, hot.token, [hot.address]).read_agreed(0, head)).transfers == (
        found.transfer,
    )
    last = (await outgoing_transactions(hot.pool, hot.address, 0, head))[-1]
    assert split_payout_calldata(last.input) == (BUYER, 5 * 10**18, reference)
    state = await read_wallet(hot.pool, hot.address, hot.token)
    assert (state.nonce_latest, state.balance_token) == (hot.nonce, 995 * 10**18)
    token = web3_over(hot.pool, quorum=True).eth.contract(address=hot.token, abi=abi("erc20"))  # type: ignore[call-overload]
    assert await token.functions.balanceOf(BUYER).call() == 5 * 10**18


async def test_a_wrong_amount_and_a_revert_are_distinguished(hot: Hot) -> None:
    expected = ExpectedTransfer(hot.token, BUYER, 5, hot.address)
    other = await hot.send(encode_transfer(BUYER, 6))
    assert isinstance(await hot.verdict(other.tx_hash, expected), Mismatch)
    too_much = await hot.send(encode_transfer(BUYER, 10**30))
    assert isinstance(await hot.verdict(too_much.tx_hash, expected), Reverted)
    head = hot.pool.agreed_head()
    assert await find_nonce_spender(hot.pool, hot.address, hot.nonce - 1, 0, head) == too_much.tx_hash
    assert await find_nonce_spender(hot.pool, hot.address, hot.nonce - 2, 0, head) == other.tx_hash
    assert await find_nonce_spender(hot.pool, hot.address, hot.nonce, 0, head) is None
    assert await find_nonce_spender(hot.pool, hot.address, 0, head - 1, head) is None


async def test_the_nodes_errors_for_a_repeat_and_a_spent_nonce(hot: Hot) -> None:
    raw = hot.sign(encode_transfer(BUYER, 1))
    first = await broadcast(hot.pool, raw)
    assert len(first.accepted_by) == 1
    assert len(first.already_known_by) == 2
    assert NonceTooLow in (await broadcast(hot.pool, hot.sign(encode_transfer(BUYER, 2), nonce=0))).errors
