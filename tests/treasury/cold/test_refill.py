"""Money comes back from a real Safe by three owners' signatures on what we prepared, and by nothing less."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from coincurve import PrivateKey
from eth_account import Account

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.types import keccak, to_checksum
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.deploy import DeployError
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.safes import Safes, sign
from treasury.cold.refill import Refill, prepare
from treasury.cold.service import PoolColdWallet

HOT = to_checksum("0x" + "a0" * 20)
MUSD = 10**18


@pytest.fixture
async def pool(chain: DevChain) -> AsyncIterator[Pool]:
    made = Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


@pytest.fixture
def safes(chain: DevChain) -> Safes:
    return Safes(chain)


async def prepared(pool: Pool, safes: Safes, amount: int = 7 * MUSD) -> Refill:
    chain = safes.chain
    pin = safes.pin(chain.deployment.safe)
    await chain.mint(pin.address, amount)
    state = await PoolColdWallet(pool, pin).read()
    return prepare(pin, state, asset="MUSD", token=chain.deployment.musd, to=HOT, amount=amount)


def eth_sign(key: str, digest: bytes) -> str:
    """As wallets do that put Ethereum's prefix before it: they say 27 or 28 all the same."""
    return sign(key, keccak(b"\x19Ethereum Signed Message:\n32" + digest))


async def test_three_owners_bring_musd_back(pool: Pool, safes: Safes) -> None:
    refill = await prepared(pool, safes)
    digest = refill.transaction.safe_tx_hash
    told = await safes.chain.rpc(
        "eth_call",
        {
            "to": refill.pin.address,
            "data": call_data(
                "getTransactionHash(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,uint256)",
                *(refill.transaction.to, 0, refill.transaction.data, 0, 0, 0, 0, "0x" + "0" * 40, "0x" + "0" * 40),
                refill.transaction.nonce,
            ),
        },
        "latest",
    )
    assert told == refill.sheet()["safeTxHash"]
    keys = [safes.keys[owner] for owner in safes.owners]
    plain, old = sign(keys[4], digest), sign(keys[2], digest)
    # One as a Ledger gives it, one from a script that says 0 or 1, one from a wallet that prefixes: in any order.
    collected = [plain, old[:-2] + f"{int(old[-2:], 16) - 27:02x}", eth_sign(keys[0], digest)]
    assert refill.check(collected[:2]).packed is None
    checked = refill.check(collected)
    assert (len(checked.signed_by), checked.problems) == (3, ())
    before = await safes.chain.balance(HOT)
    await safes.send(refill.pin.address, refill.execution(checked)["data"])
    assert await safes.chain.balance(HOT) - before == 7 * MUSD


async def test_bad_signatures_are_named_and_what_they_make_the_safe_refuses(pool: Pool, safes: Safes) -> None:
    refill = await prepared(pool, safes)
    digest = refill.transaction.safe_tx_hash
    keys = [safes.keys[owner] for owner in safes.owners]
    stranger = "0x" + PrivateKey(b"\x07" * 32).secret.hex()
    other = sign(keys[0], keccak(b"another transaction"))
    wrong = ["0x12", "zz", sign(stranger, digest), other, sign(keys[1], digest), sign(keys[1], digest)]
    wrong.append(sign(keys[2], digest)[:-2] + "05")
    checked = refill.check(wrong)
    assert checked.packed is None
    assert checked.signed_by == (safes.owners[1],)
    assert [problem.split(" ", 2)[:2] for problem in checked.problems[:-1]] == [
        ["Signature", str(place)] for place in (1, 2, 3, 4, 6, 7)
    ]
    assert checked.problems[-1] == "1 of 3 owners have signed."
    with pytest.raises(ValueError, match="not enough"):
        refill.execution(checked)
    # Out of order the Safe itself refuses, which is why we sort.
    good = refill.check([sign(key, digest) for key in keys[:3]])
    assert good.packed is not None
    parts = [good.packed[start : start + 65] for start in (0, 65, 130)]
    with pytest.raises(DeployError, match="reverted"):
        await safes.send(refill.pin.address, refill.transaction.execution(b"".join(reversed(parts))))


async def test_the_hashes_are_those_of_eip_712(pool: Pool, safes: Safes) -> None:
    """Against eth-account's own coding of typed data, as hardware wallets compute it."""
    refill = await prepared(pool, safes)
    transaction = refill.transaction
    text = "to:address value:uint256 data:bytes operation:uint8 safeTxGas:uint256 baseGas:uint256 gasPrice:uint256"
    names = f"{text} gasToken:address refundReceiver:address nonce:uint256".split()
    nobody = "0x" + "0" * 40
    message = {
        "to": transaction.to, "value": 0, "data": transaction.data, "operation": 0, "safeTxGas": 0, "baseGas": 0, "gasPrice": 0,
        "gasToken": nobody, "refundReceiver": nobody, "nonce": transaction.nonce,
    }  # fmt: skip
    key = safes.keys[safes.owners[0]]
    signed = Account.sign_typed_data(
        key,
        {"chainId": CHAIN_ID, "verifyingContract": refill.pin.address},
        {"SafeTx": [{"name": name.split(":")[0], "type": name.split(":")[1]} for name in names]},
        message,
    )
    assert bytes(signed.message_hash) == transaction.safe_tx_hash
    assert refill.check(["0x" + signed.signature.hex()]).signed_by == (safes.owners[0],)


async def test_the_file_is_what_the_safes_interface_imports(pool: Pool, safes: Safes) -> None:
    refill = await prepared(pool, safes)
    file = refill.file(datetime(2026, 11, 21, tzinfo=UTC))
    assert (file["version"], file["chainId"], file["meta"]["createdFromSafeAddress"]) == (
        "1.0",
        "31611",
        refill.pin.address,
    )
    (call,) = file["transactions"]
    assert call["to"] == safes.chain.deployment.musd
    assert call["data"] == call_data("transfer(address,uint256)", HOT, 7 * MUSD)
    assert refill.sheet()["transfer"] == f"7.00 MUSD to {HOT}"
