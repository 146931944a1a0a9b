"""Signatures by keys, and by real contract wallets on the development chain: a deployed Safe, and one that is not yet."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.signatures.verify import SUFFIX_6492, WalletSignatureInvalid, personal_hash, verify
from chain.types import ZERO_ADDRESS, keccak, to_checksum
from onramp.dev.chain import artifacts
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.deploy import DevContracts
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.chain.lying import Asked, Lie, LyingProxy

MESSAGE = "Log in to see your purchases."
KEY = keccak(b"a wallet of the tests")
OWNER = Account.from_key(KEY).address


@pytest_asyncio.fixture
async def pool(chain: DevChain) -> AsyncIterator[Pool]:
    made = Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def no_pool() -> AsyncIterator[Pool]:
    """Nodes that do not answer: whoever passes needed none."""
    made = Pool(parse_nodes("a=http://127.0.0.1:9,b=http://127.0.0.1:19", ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


def by_key(message: str = MESSAGE, key: bytes = KEY) -> str:
    return "0x" + bytes(Account.sign_message(encode_defunct(text=message), key).signature).hex()


class Wallet:
    """A Safe of one owner, by the canonical factory: known before it is deployed."""

    def __init__(self, chain: DevChain, salt: int) -> None:
        contracts = DevContracts(chain.anvil.url, CHAIN_ID)
        known = contracts.deployment.safes["1.4.1"]
        self.contracts, self.factory = contracts, known.proxy_factory
        setup = call_data(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            (OWNER,), 1, ZERO_ADDRESS, b"", known.fallback_handlers[0], ZERO_ADDRESS, 0, ZERO_ADDRESS,
        )  # fmt: skip
        raw = bytes.fromhex(setup[2:])
        self.make = call_data("createProxyWithNonce(address,bytes,uint256)", known.singletons[1], raw, salt)
        creation = artifacts.safe("proxies/SafeProxy").creation + bytes.fromhex(known.singletons[1][2:]).rjust(
            32, b"\0"
        )
        salted = keccak(keccak(raw) + salt.to_bytes(32, "big"))
        where = keccak(b"\xff" + bytes.fromhex(self.factory[2:]) + salted + keccak(creation))[12:]
        self.address = to_checksum("0x" + where.hex())

    async def deploy(self) -> None:
        await self.contracts.send("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", self.factory, self.make)

    def sign(self, message: str = MESSAGE, key: bytes = KEY) -> bytes:
        """As the owner of a Safe signs a message: EIP-712 SafeMessage, under the Safe's own domain."""
        separator = keccak(
            encode(
                ["bytes32", "uint256", "address"],
                [keccak(b"EIP712Domain(uint256 chainId,address verifyingContract)"), CHAIN_ID, self.address],
            )
        )
        content = keccak(encode(["bytes32", "bytes32"], [keccak(b"SafeMessage(bytes message)"), keccak(personal_hash(message))]))  # fmt: skip
        raw = PrivateKey(key).sign_recoverable(keccak(b"\x19\x01" + separator + content), hasher=None)
        return raw[:64] + bytes([raw[64] + 27])

    def wrapped(self, inner: bytes, factory: str | None = None) -> str:
        body = encode(["address", "bytes", "bytes"], [factory or self.factory, bytes.fromhex(self.make[2:]), inner])
        return "0x" + (body + SUFFIX_6492).hex()


async def test_a_key_needs_no_node(no_pool: Pool) -> None:
    assert (await verify(no_pool, OWNER.lower(), MESSAGE, by_key())).account == OWNER
    low = bytes.fromhex(by_key()[2:])
    ledger = "0x" + (low[:64] + bytes([low[64] - 27])).hex()
    assert (await verify(no_pool, OWNER, MESSAGE, ledger)).method == "key"


async def test_a_published_signature_is_accepted(no_pool: Pool) -> None:
    # From web3.js' and eth-account's documentation: "Some data", signed by 0x2c7536E3605D9C16a7a3D7b1898e529396a65c23.
    signature = (
        "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd"
        "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
    )
    signer = await verify(no_pool, "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", "Some data", signature)
    assert signer.method == "key"


async def test_a_compact_signature_is_accepted(no_pool: Pool) -> None:
    # The examples of EIP-2098: "Hello World" and "It's a small(er) world", one of each parity, by the key 0x1234...1234.
    for message, signature in (
        (
            "Hello World",
            (
                "0x68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90"
                "7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064"
            ),
        ),
        (
            "It's a small(er) world",
            (
                "0x9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76"
                "939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793"
            ),
        ),
    ):
        account = Account.from_key("0x" + "1234567890" * 6 + "1234").address
        assert (await verify(no_pool, account, message, signature)).method == "key"


@pytest.mark.parametrize("number", range(20))
async def test_both_forms_of_a_signature_name_the_same_key(no_pool: Pool, number: int) -> None:
    full = bytes.fromhex(by_key(f"message {number}")[2:])
    compact = full[:32] + bytes([full[32] | (full[64] - 27) << 7]) + full[33:64]
    assert (await verify(no_pool, OWNER, f"message {number}", "0x" + compact.hex())).method == "key"


async def test_a_key_that_delegates_to_code_stays_a_key(chain: DevChain, pool: Pool) -> None:
    # EIP-7702's designator: 0xef0100 and an address.
    await chain.rpc("anvil_setCode", OWNER, "0xef0100" + chain.deployment.safe[2:])
    assert (await verify(pool, OWNER, MESSAGE, by_key())).method == "key"
    await chain.rpc("anvil_setCode", OWNER, "0x")


@pytest.mark.parametrize("signature", ["0x", "0x00", "zz", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "11" * 64])
async def test_what_nobody_signed_is_refused(pool: Pool, signature: str) -> None:
    with pytest.raises(WalletSignatureInvalid):
        await verify(pool, OWNER, MESSAGE, signature)


async def test_another_message_or_another_key_is_refused(pool: Pool) -> None:
    for signature in (by_key("another"), by_key(key=keccak(b"another"))):
        with pytest.raises(WalletSignatureInvalid, match="Another key signed"):
            await verify(pool, OWNER, MESSAGE, signature)


async def test_a_deployed_safe_answers_for_itself(chain: DevChain, pool: Pool) -> None:
    wallet = Wallet(chain, 7001)
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
        wallet = Wallet(chain, salt)
        await pool.refresh()  # what was probed a moment ago ends before its block
        await wallet.deploy()
        assert (await verify(pool, wallet.address, MESSAGE, "0x" + wallet.sign().hex())).method == "contract"


async def test_a_safe_that_is_not_deployed_yet_answers_through_its_factory(chain: DevChain, pool: Pool) -> None:
    wallet, other = Wallet(chain, 7002), Wallet(chain, 7003)
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


async def test_a_contract_that_reverts_with_the_magic_word_has_not_said_yes(chain: DevChain, pool: Pool) -> None:
    at = to_checksum("0x" + "77" * 20)
    # It stores the magic word at 0, and reverts with those 32 bytes.
    await chain.rpc("anvil_setCode", at, "0x631626ba7e60e01b60005260206000fd")
    wallet = Wallet(chain, 7004)
    for text in ("0x11", wallet.wrapped(b"\x11")):
        with pytest.raises(WalletSignatureInvalid):
            await verify(pool, at, MESSAGE, text)


def lends(gas: int) -> Lie:
    """An honest node that lends so much gas to an `eth_call`, as nodes are configured differently."""

    async def tell(asked: Asked) -> web.StreamResponse:
        call = asked.call["params"][0]
        call["gas"] = hex(min(gas, int(call.get("gas", hex(gas)), 16)))
        return web.json_response(await asked.truth())

    return tell


async def test_a_strangers_contract_cannot_set_nodes_at_odds(chain: DevChain, providers: list[LyingProxy]) -> None:
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
    """Code that stores this word at 0 and returns (or with `fd` reverts with) so many bytes from there."""
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
    chain: DevChain, providers: list[LyingProxy], what: str
) -> None:
    code, accepted = YES_OR_NO[what]
    at = to_checksum("0x" + keccak(what.encode())[:20].hex())
    await chain.rpc("anvil_setCode", at, code)
    made = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID)
    for text in ("0x11", Wallet(chain, 7005).wrapped(b"\x11")):
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
    for text in ("0x11", Wallet(chain, 7006).wrapped(b"\x11")):
        with pytest.raises(WalletSignatureInvalid):
            await verify(pool, at, MESSAGE, text)


REFUSALS = (
    (-32000, "out of gas"), (-32603, "EVM error OutOfGas"), (-32000, "gas uint64 overflow"), (-32603, "rpc error: code = Internal desc = out of gas"),
    (-32000, "execution aborted (timeout = 5s)"), (-32000, "execution timeout"), (3, "execution reverted"), (-32015, "VM execution error."),
)  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_a_node_that_cannot_finish_the_call_refuses_the_signature(
    chain: DevChain, providers: list[LyingProxy], refusal: tuple[int, str]
) -> None:
    async def tell(asked: Asked) -> web.StreamResponse:
        code, message = refusal
        return web.json_response(
            {"jsonrpc": "2.0", "id": asked.call["id"], "error": {"code": code, "message": message}}
        )

    at = to_checksum("0x" + "7c" * 20)
    await chain.rpc("anvil_setCode", at, "0x5b600056")
    made = Pool([proxy.config for proxy in providers], chain_id=CHAIN_ID)
    for proxy in providers:
        proxy.always(tell, "eth_call")
    with pytest.raises(WalletSignatureInvalid, match="ERC-1271"):
        await verify(made, at, MESSAGE, "0x11")
    assert [(node.state, node.quarantined) for node in made.nodes] == [("ok", False)] * 3
    await made.close()
