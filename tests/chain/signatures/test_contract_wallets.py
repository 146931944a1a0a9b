"""Signatures of contract wallets on the development chain: Safes, deployed or not, and hostile contracts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.signatures.verify import SUFFIX_6492, WalletSignatureInvalid, verify
from chain.types import ZERO_ADDRESS, keccak, to_checksum
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.faulty_proxy import Fault, FaultyProxy, ProxiedCall
from tests.support.safe_wallet import MESSAGE, OWNER, SafeWallet


@pytest_asyncio.fixture
async def pool(chain: DevChain) -> AsyncIterator[Pool]:
    made = Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


async def test_a_deployed_safe_answers_for_itself(chain: DevChain, pool: Pool) -> None:
    wallet = SafeWallet(chain, 7001)
    await wallet.deploy()
    signer = await verify(pool, wallet.address, MESSAGE, "0x" + wallet.sign().hex())
    assert (signer.account, signer.method) == (wallet.address, "contract")
    assert (await verify(pool, wallet.address, MESSAGE, wallet.wrapped(wallet.sign()))).method == "contract"
    for wrong in (wallet.sign("another"), wallet.sign(key=keccak(b"another"))):
        for text in ("0x" + wrong.hex(), wallet.wrapped(wrong)):
            with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
                await verify(pool, wallet.address, MESSAGE, text)


async def test_a_safe_deployed_in_the_newest_block_answers(chain: DevChain, pool: Pool) -> None:
    for salt in range(7010, 7013):
        wallet = SafeWallet(chain, salt)
        await pool.refresh()  # what was probed a moment ago ends before its block
        await wallet.deploy()
        assert (await verify(pool, wallet.address, MESSAGE, "0x" + wallet.sign().hex())).method == "contract"


async def test_a_safe_that_is_not_deployed_yet_answers_through_its_factory(chain: DevChain, pool: Pool) -> None:
    wallet, other = SafeWallet(chain, 7002), SafeWallet(chain, 7003)
    signer = await verify(pool, wallet.address, MESSAGE, wallet.wrapped(wallet.sign()))
    assert (signer.account, signer.method) == (wallet.address, "undeployed")
    assert await chain.rpc("eth_getCode", wallet.address, "latest") == "0x"  # asked, not deployed
    refused: list[tuple[str, Any]] = [
        (wallet.address, wallet.wrapped(wallet.sign("another"))),
        (wallet.address, wallet.wrapped(wallet.sign(key=keccak(b"another")))),
        (wallet.address, wallet.wrapped(wallet.sign(), factory=ZERO_ADDRESS)),
        (wallet.address, "0x" + wallet.sign().hex()),
        (other.address, wallet.wrapped(wallet.sign())),
        (OWNER, wallet.wrapped(wallet.sign())),
        (wallet.address, "0x" + (b"\x11" * 96 + SUFFIX_6492).hex()),
        (wallet.address, "0x" + SUFFIX_6492.hex()),
    ]
    for address, text in refused:
        with pytest.raises(WalletSignatureInvalid):
            await verify(pool, address, MESSAGE, text)


async def test_a_revert_with_the_magic_value_is_not_an_approval(chain: DevChain, pool: Pool) -> None:
    at = to_checksum("0x" + "77" * 20)
    # It stores the magic value at 0, and reverts with those 32 bytes.
    await chain.rpc("anvil_setCode", at, "0x631626ba7e60e01b60005260206000fd")
    wallet = SafeWallet(chain, 7004)
    for text in ("0x11", wallet.wrapped(b"\x11")):
        with pytest.raises(WalletSignatureInvalid):
            await verify(pool, at, MESSAGE, text)


def lends(gas: int) -> Fault:
    """A correct node with this gas limit for an `eth_call`; nodes are configured differently."""

    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        call = asked.call["params"][0]
        call["gas"] = hex(min(gas, int(call.get("gas", hex(gas)), 16)))
        return web.json_response(await asked.truth())

    return respond


async def test_a_strangers_contract_cannot_set_nodes_at_odds(chain: DevChain, providers: list[FaultyProxy]) -> None:
    at = to_checksum("0x" + "78" * 20)
    await chain.rpc("anvil_setCode", at, "0x5a60005260206000f3")  # answers with the gas that it was lent
    made = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID)
    for proxy, gas in zip(providers, (12_000_000, 14_000_000, 16_000_000), strict=True):
        proxy.always(lends(gas), "eth_call")
    with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
        await verify(made, at, MESSAGE, "0x11")
    providers[2].always(lends(5_000_000), "eth_call")  # less than is asked for
    with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
        await verify(made, at, MESSAGE, "0x11")
    assert [node.name for node in made.nodes if node.quarantined] == []
    await made.close()


def returns(data: str, size: int, *, op: str = "f3") -> str:
    """Return code that stores this word at 0 and returns this number of bytes from there; with `fd` it reverts with them."""
    return f"0x7f{data.ljust(64, '0')}60005262{size:06x}6000{op}"


MAGIC = "1626ba7e"


YES_OR_NO: dict[str, tuple[str, bool]] = {
    "the word": (returns(MAGIC, 32), True),
    "the word and one byte more": (returns(MAGIC, 33), True),
    "the word and another": (returns(MAGIC, 64), True),
    "the word in two megabytes": (returns(MAGIC, 2 << 20), True),
    "31 bytes": (returns(MAGIC, 31), False),
    "four bytes": (returns(MAGIC, 4), False),
    "nothing": ("0x00", False),
    "dirty low bytes": (returns(MAGIC + "0" * 55 + "1", 32), False),
    "dirty right behind it": (returns(MAGIC + "01", 32), False),
    "on the right": (returns(MAGIC.rjust(64, "0"), 32), False),
    "the number one": (returns("1".rjust(64, "0"), 32), False),
    "code that may not be deployed": (returns("ef", 32), False),
    "two megabytes of zeros": ("0x622000006000f3", False),
    "a revert with two megabytes": (returns(MAGIC, 2 << 20, op="fd"), False),
    "a loop": ("0x5b600056", False),
    "a loop that grows memory": ("0x5b5a5252600056", False),
    "an invalid instruction": ("0xfe", False),
    "a jump to nowhere": ("0x600356", False),
    "an empty stack": ("0x50", False),
    "a write": ("0x6001600155" + returns(MAGIC, 32)[2:], False),
    "its own end": ("0x33ff", False),
    "a designator of EIP-7702 to nothing": ("0xef0100" + "99" * 20, False),
}  # fmt: skip


@pytest.mark.parametrize("what", YES_OR_NO)
async def test_whatever_a_contract_does_is_yes_or_no_and_its_answer_stays_in_the_node(
    chain: DevChain, providers: list[FaultyProxy], what: str
) -> None:
    code, accepted = YES_OR_NO[what]
    at = to_checksum("0x" + keccak(what.encode())[:20].hex())
    await chain.rpc("anvil_setCode", at, code)
    made = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID)
    for text in ("0x11", SafeWallet(chain, 7005).wrapped(b"\x11")):
        if accepted:
            assert (await verify(made, at, MESSAGE, text)).method == "contract"
        else:
            with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
                await verify(made, at, MESSAGE, text)
    assert [(node.state, node.quarantined) for node in made.nodes] == [("ok", False)] * 3
    await made.close()


async def test_a_delegated_account_is_asked_through_its_delegate(chain: DevChain, pool: Pool) -> None:
    at, delegate = to_checksum("0x" + "7a" * 20), to_checksum("0x" + "7b" * 20)
    await chain.rpc("anvil_setCode", delegate, returns(MAGIC, 32))
    await chain.rpc("anvil_setCode", at, "0xef0100" + delegate[2:])
    assert (await verify(pool, at, MESSAGE, "0x11")).method == "contract"


@pytest.mark.parametrize("number", [*range(1, 11), 0x100])
async def test_a_precompiled_contract_accepts_nothing(chain: DevChain, pool: Pool, number: int) -> None:
    at = to_checksum(f"0x{number:040x}")
    for text in ("0x11", SafeWallet(chain, 7006).wrapped(b"\x11")):
        with pytest.raises(WalletSignatureInvalid):
            await verify(pool, at, MESSAGE, text)


REFUSALS = (
    (-32000, "out of gas"), (-32603, "EVM error OutOfGas"), (-32000, "gas uint64 overflow"), (-32603, "rpc error: code = Internal desc = out of gas"),
    (-32000, "execution aborted (timeout = 5s)"), (-32000, "execution timeout"), (3, "execution reverted"), (-32015, "VM execution error."),
)  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_a_node_that_cannot_finish_the_call_refuses_the_signature(
    chain: DevChain, providers: list[FaultyProxy], refusal: tuple[int, str]
) -> None:
    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        code, message = refusal
        return web.json_response(
            {"jsonrpc": "2.0", "id": asked.call["id"], "error": {"code": code, "message": message}}
        )

    at = to_checksum("0x" + "7c" * 20)
    await chain.rpc("anvil_setCode", at, "0x5b600056")
    made = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID)
    for proxy in providers:
        proxy.always(respond, "eth_call")
    with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
        await verify(made, at, MESSAGE, "0x11")
    assert [(node.state, node.quarantined) for node in made.nodes] == [("ok", False)] * 3
    await made.close()
