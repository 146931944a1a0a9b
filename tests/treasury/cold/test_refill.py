"""Money leaves a real Safe with three owners' signatures on a prepared refill, and with nothing less."""

from datetime import UTC, datetime

import pytest
from coincurve import PrivateKey

from chain.pool.pool import Pool
from chain.types import keccak, to_checksum
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.deploy import DeployError
from onramp.dev.chain.devchain import CHAIN_ID
from tests.support.safes import Safes, sign
from treasury.cold.refill import Refill, prepare
from treasury.cold.service import PoolColdWallet

HOT = to_checksum("0x" + "a0" * 20)
MUSD = 10**18


async def prepared(pool: Pool, safes: Safes, amount: int = 7 * MUSD) -> Refill:
    chain = safes.chain
    pin = safes.pin(chain.deployment.safe)
    await chain.mint(pin.address, amount)
    state = await PoolColdWallet(pool, pin).read()
    return prepare(pin, state, asset="MUSD", token=chain.deployment.musd, to=HOT, amount=amount)


def eth_sign(key: str, digest: bytes) -> str:
    """Sign as wallets do that put Ethereum's message prefix before the digest; their last byte is 27 or 28 all the same."""
    return sign(key, keccak(b"\x19Ethereum Signed Message:\n32" + digest))


async def test_three_owners_refill_the_hot_wallet_with_the_hash_of_the_contract(pool: Pool, safes: Safes) -> None:
    refill = await prepared(pool, safes)
    digest = refill.transaction.safe_tx_hash
    contract_hash = await safes.chain.rpc(
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
    assert contract_hash == refill.sheet()["safeTxHash"]
    keys = [safes.keys[owner] for owner in safes.owners]
    plain, old = sign(keys[4], digest), sign(keys[2], digest)
    # One as a Ledger returns it, one from a script that ends with 0 or 1, one from a wallet that adds the prefix: in any order.
    collected = [plain, old[:-2] + f"{int(old[-2:], 16) - 27:02x}", eth_sign(keys[0], digest)]
    assert refill.check(collected[:2]).packed is None
    checked = refill.check(collected)
    assert (len(checked.signed_by), checked.problems) == (3, ())
    before = await safes.chain.balance(HOT)
    await safes.send(refill.pin.address, refill.execution(checked)["data"])
    assert await safes.chain.balance(HOT) - before == 7 * MUSD


async def test_bad_signatures_are_named_and_the_safe_refuses_signatures_out_of_order(pool: Pool, safes: Safes) -> None:
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
    # The Safe itself refuses signatures out of order, which is why `check` sorts them.
    good = refill.check([sign(key, digest) for key in keys[:3]])
    assert good.packed is not None
    parts = [good.packed[start : start + 65] for start in (0, 65, 130)]
    with pytest.raises(DeployError, match="reverted"):
        await safes.send(refill.pin.address, refill.transaction.execution(b"".join(reversed(parts))))


async def test_the_hashes_are_those_of_eip_712(pool: Pool, safes: Safes) -> None:
    """The hashes equal those computed by hand from the EIP's definition, as a Ledger shows them."""
    refill = await prepared(pool, safes)
    transaction, sheet = refill.transaction, refill.sheet()
    nothing, zero_address = bytes(32), bytes(32)
    domain_type = keccak(b"EIP712Domain(uint256 chainId,address verifyingContract)")
    safe_tx_type = keccak(
        b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
        b"address gasToken,address refundReceiver,uint256 nonce)"
    )
    domain = keccak(domain_type + word(CHAIN_ID) + word(int(refill.pin.address, 16)))
    fields = (
        safe_tx_type, word(int(transaction.to, 16)), nothing, keccak(transaction.data), nothing, nothing, nothing, nothing,
        zero_address, zero_address, word(transaction.nonce),
    )  # fmt: skip
    message = keccak(b"".join(fields))
    assert (sheet["domainHash"], sheet["messageHash"]) == ("0x" + domain.hex(), "0x" + message.hex())
    assert transaction.safe_tx_hash == keccak(b"\x19\x01" + domain + message)
    signature = sign(safes.keys[safes.owners[0]], transaction.safe_tx_hash)
    assert refill.check([signature]).signed_by == (safes.owners[0],)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


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
