"""The development chain on the real node: the real contracts behave, and the chain survives a restart."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from eth_abi.abi import decode, encode
from eth_account import Account

from chain.types import keccak, to_checksum
from onramp.dev.chain.anvil import Anvil, AnvilError, free_port
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.deploy import deploy
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from onramp.dev.chain.rpc import Rpc, RpcError
from onramp.dev.local.host import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)

CANONICAL_MUSD = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
BUYER = to_checksum("0x" + "bb" * 20)
ONE = 10**18


async def view(chain: DevChain, to: str, signature: str, returns: str, *values: Any) -> Any:
    raw = await chain.rpc("eth_call", {"to": to, "data": call_data(signature, *values)}, "latest")
    return decode([returns], bytes.fromhex(raw[2:]))[0]


async def test_the_real_musd_is_at_its_testnet_address(chain: DevChain) -> None:
    musd = chain.deployment.musd
    assert (chain.deployment.chain_id, musd) == (CHAIN_ID, CANONICAL_MUSD)
    assert await view(chain, musd, "name()", "string") == "Mezo USD"
    assert await view(chain, musd, "symbol()", "string") == "MUSD"
    assert await view(chain, musd, "decimals()", "uint8") == 18
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [
            keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            *(keccak(b"Mezo USD"), keccak(b"1"), CHAIN_ID, musd),
        ],
    )
    assert await view(chain, musd, "DOMAIN_SEPARATOR()", "bytes32") == keccak(domain)


async def test_minted_musd_is_transferred_with_the_event_a_payout_is_proved_by(chain: DevChain) -> None:
    sender = to_checksum((await chain.rpc("eth_accounts"))[7])
    before, supply = await chain.balance(BUYER), await view(chain, chain.deployment.musd, "totalSupply()", "uint256")
    await chain.mint(sender, 100 * ONE)
    data = call_data("transfer(address,uint256)", BUYER, 30 * ONE)
    sent = await chain.rpc("eth_sendTransaction", {"from": sender, "to": chain.deployment.musd, "data": data})
    async with asyncio.timeout(60):
        while (receipt := await chain.rpc("eth_getTransactionReceipt", sent)) is None:
            await asyncio.sleep(0.02)
    assert (await chain.balance(sender), await chain.balance(BUYER)) == (70 * ONE, before + 30 * ONE)
    assert await view(chain, chain.deployment.musd, "totalSupply()", "uint256") == supply + 100 * ONE
    assert [log["address"] for log in receipt["logs"]] == [CANONICAL_MUSD.lower()]


async def test_only_the_mint_list_mints(chain: DevChain) -> None:
    outsider = (await chain.rpc("eth_accounts"))[8]
    with pytest.raises(RpcError):
        await chain.rpc(
            "eth_call",
            {"from": outsider, "to": chain.deployment.musd, "data": call_data("mint(address,uint256)", BUYER, 1)},
        )


async def test_gas_is_set_to_the_amount_asked_for(chain: DevChain) -> None:
    await chain.fund_gas(BUYER, 12345)
    assert int(await chain.rpc("eth_getBalance", BUYER, "latest"), 16) == 12345


async def test_the_safe_asks_for_three_of_its_five_owners_and_is_a_canonical_1_4_1(chain: DevChain) -> None:
    deployment = chain.deployment
    assert await view(chain, deployment.safe, "getThreshold()", "uint256") == 3
    owners = await view(chain, deployment.safe, "getOwners()", "address[]")
    assert tuple(to_checksum(owner) for owner in owners) == deployment.safe_owners
    assert len(set(deployment.safe_owners)) == 5
    assert await view(chain, deployment.safe, "VERSION()", "string") == "1.4.1"
    slot = await chain.rpc("eth_getStorageAt", deployment.safe, "0x0", "latest")
    assert to_checksum("0x" + slot[-40:]) == "0x29fcB43b46531BcA003ddC8FCB67FFE91900C762"


async def test_the_singleton_cannot_be_set_up(chain: DevChain) -> None:
    zero = "0x" + "0" * 40
    setup = call_data(
        "setup(address[],uint256,address,bytes,address,address,uint256,address)",
        *([BUYER], 1, zero, b"", zero, zero, 0, zero),
    )
    with pytest.raises(RpcError, match="GS200"):
        await chain.rpc("eth_call", {"to": "0x29fcB43b46531BcA003ddC8FCB67FFE91900C762", "data": setup}, "latest")


@pytest.mark.parametrize("signers", [2, 3])
async def test_the_safe_moves_musd_with_three_signatures_and_not_with_two(chain: DevChain, signers: int) -> None:
    deployment, executor, zero = chain.deployment, (await chain.rpc("eth_accounts"))[9], "0x" + "0" * 40
    await chain.mint(deployment.safe, 5 * ONE)
    held = await chain.balance(deployment.safe)
    inner = bytes.fromhex(call_data("transfer(address,uint256)", BUYER, 5 * ONE)[2:])
    fields = (deployment.musd, 0, inner, 0, 0, 0, 0, zero, zero)
    kinds = "address,uint256,bytes,uint8,uint256,uint256,uint256,address,address"
    nonce = await view(chain, deployment.safe, "nonce()", "uint256")
    digest = await view(chain, deployment.safe, f"getTransactionHash({kinds},uint256)", "bytes32", *fields, nonce)
    keys = sorted(deployment.safe_owner_keys, key=lambda key: int(Account.from_key(key).address, 16))[:signers]
    signatures = b"".join(Account.unsafe_sign_hash(digest, key).signature for key in keys)
    call = {
        "from": executor,
        "to": deployment.safe,
        "data": call_data(f"execTransaction({kinds},bytes)", *fields, signatures),
    }
    if signers == 2:
        with pytest.raises(RpcError, match="GS020"):
            await chain.rpc("eth_call", call, "latest")
        return
    await chain.rpc("eth_sendTransaction", call)
    async with asyncio.timeout(60):
        while await chain.balance(deployment.safe) != held - 5 * ONE:
            await asyncio.sleep(0.05)


async def test_the_owners_keys_are_not_shown(chain: DevChain) -> None:
    assert len(chain.deployment.safe_owner_keys) == 5
    assert not any(key[2:] in repr(chain.deployment) for key in chain.deployment.safe_owner_keys)


async def test_deploying_again_changes_nothing(chain: DevChain) -> None:
    nonce = await chain.rpc("eth_getTransactionCount", (await chain.rpc("eth_accounts"))[0], "latest")
    assert await deploy(chain.anvil.url) == chain.deployment
    assert await chain.rpc("eth_getTransactionCount", (await chain.rpc("eth_accounts"))[0], "latest") == nonce


async def test_a_restart_with_a_data_directory_keeps_balances_and_addresses(tmp_path: Path) -> None:
    first = DevChain()
    await first.start(tmp_path)
    deployment = first.deployment
    await first.mint(BUYER, 7 * ONE)
    head = int(await first.rpc("eth_blockNumber"), 16)
    await first.stop()
    second = DevChain()
    await second.start(tmp_path)
    try:
        assert second.deployment == deployment
        assert await second.balance(BUYER) == 7 * ONE
        assert int(await second.rpc("eth_blockNumber"), 16) >= head
        await second.mint(BUYER, ONE)
        assert await second.balance(BUYER) == 8 * ONE
    finally:
        await second.stop()


async def test_without_a_data_directory_nothing_is_kept_and_the_addresses_are_the_same(chain: DevChain) -> None:
    other = DevChain()
    await other.start()
    try:
        assert other.deployment == chain.deployment
        assert await other.balance(chain.deployment.safe) == 0
    finally:
        await other.stop()


async def test_it_starts_in_well_under_two_seconds() -> None:
    began, node = time.monotonic(), Anvil(chain_id=CHAIN_ID)
    await node.start()
    try:
        assert time.monotonic() - began < 2
    finally:
        await node.stop()
    assert not node.running


async def test_a_taken_port_is_named_and_the_node_behind_it_is_not_taken_for_ours(chain: DevChain) -> None:
    port = int(chain.anvil.url.rsplit(":", 1)[1])
    with pytest.raises(AnvilError, match=f"Port {port} is in use"):
        await Anvil(chain_id=CHAIN_ID, port=port).start()


async def test_a_node_that_ends_at_once_says_why(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("no state at all")
    with pytest.raises(AnvilError, match=r"ended at once.*its output: .*\w"):
        await Anvil(chain_id=CHAIN_ID).start(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child that its parent died")
async def test_the_node_ends_when_its_parent_is_killed_and_has_saved_its_state(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import asyncio, pathlib\n"
        "from onramp.dev.chain.anvil import Anvil\n"
        "async def main():\n"
        f"    await Anvil(chain_id={CHAIN_ID}, port={port}).start(pathlib.Path({str(tmp_path)!r}))\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        assert await parent.stdout.readline() == b"ready\n"
        rpc = Rpc(f"http://127.0.0.1:{port}")
        await rpc("anvil_setBalance", BUYER, hex(77))
        await rpc("anvil_mine", "0x1")
        parent.kill()
        await parent.wait()
        async with asyncio.timeout(60):
            with pytest.raises(aiohttp.ClientError):
                while True:
                    await rpc("eth_chainId")
                    await asyncio.sleep(0.05)
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()
    node = Anvil(chain_id=CHAIN_ID)
    await node.start(tmp_path)
    try:
        assert int(await Rpc(node.url)("eth_getBalance", BUYER, "latest"), 16) == 77
    finally:
        await node.stop()
