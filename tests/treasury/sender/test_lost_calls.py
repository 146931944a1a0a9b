"""A deployment or an approval of PayOnce that a restored database has lost: no theft, and nothing to explain."""

import pytest
from eth_account import Account

from chain.abi.erc20 import encode_approve
from chain.payonce import ADDRESS, FACTORY, deployment_calldata, init_code
from chain.types import Address
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, KEY, MUSD, TOKEN
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.transactions import queries

pytestmark = pytest.mark.both_ways

APPROVAL = encode_approve(ADDRESS, 500 * MUSD)
DEPLOYMENT = deployment_calldata(init_code())


def mine(world: TreasuryWorld, to: Address, data: bytes) -> str:
    """Mine a transaction of the wallet that no row explains; return its hash."""
    fields = {
        "chainId": CHAIN_ID, "nonce": world.chain.nonce, "to": to, "value": 0, "data": data, "gas": 500_000,
        "maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**8,
    }  # fmt: skip
    raw = bytes(Account.sign_transaction(fields, KEY).raw_transaction)
    world.chain.accept(raw)
    tx_hash = world.chain.pending[world.chain.nonce].hash
    world.chain.mine()
    return tx_hash


@pytest.mark.parametrize(("to", "data"), [(TOKEN, APPROVAL), (FACTORY, DEPLOYMENT)], ids=["approval", "deployment"])
async def test_it_is_adopted_while_a_restore_is_open_and_payouts_go_on(
    world: TreasuryWorld, to: Address, data: bytes
) -> None:
    tx_hash = mine(world, to, data)
    await world.declare_restore()
    await world.owe("ons_one")
    await world.cycles(world.sender(), 10)
    async with world.database.read() as conn:
        row = await queries.by_nonce(conn, HOT_WALLET, 0)
    assert row is not None
    assert (row.status, row.to, row.amount, row.adopted, row.attempts[0].hash) == (Status.FINAL, to, 0, True, tx_hash)
    assert await world.status("ons_one") is Status.FINAL
    assert await world.open_restore() is None
    assert set(world.metrics.alarms) <= {"unknown_nonces"}


@pytest.mark.parametrize(
    ("to", "data"),
    [
        (TOKEN, encode_approve(BUYER, 500 * MUSD)),
        (BUYER, APPROVAL),
        (TOKEN, APPROVAL + b"\0"),
        (FACTORY, DEPLOYMENT + b"\0"),
        (FACTORY, bytes(32) + b"\x60\x01"),
    ],
    ids=["another spender", "another token", "longer calldata", "longer code", "another contract"],
)
async def test_anything_else_stops_signing_while_a_restore_is_open(
    world: TreasuryWorld, to: Address, data: bytes
) -> None:
    mine(world, to, data)
    await world.declare_restore()
    await world.owe("ons_one")
    await world.cycles(world.sender(), 10)
    assert await world.status("ons_one") is not Status.FINAL
    assert world.chain.payments() == []
    assert world.metrics.alarms["foreign_transaction"] == 1


@pytest.mark.parametrize(("to", "data"), [(TOKEN, APPROVAL), (FACTORY, DEPLOYMENT)], ids=["approval", "deployment"])
async def test_without_a_restore_it_stops_signing(world: TreasuryWorld, to: Address, data: bytes) -> None:
    mine(world, to, data)
    await world.owe("ons_one")
    await world.cycles(world.sender(), 10)
    assert await world.status("ons_one") is not Status.FINAL
    assert world.metrics.alarms["foreign_transaction"] == 1
