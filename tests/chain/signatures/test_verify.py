"""Signatures by keys, and by real contract wallets on the development chain: a deployed Safe, and one that is not yet."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from eth_account import Account
from eth_account.messages import encode_defunct

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.signatures.verify import WalletSignatureInvalid, verify
from chain.types import keccak
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.safe_wallet import KEY, MESSAGE, OWNER


@pytest_asyncio.fixture
async def pool(chain: DevChain) -> AsyncIterator[Pool]:
    made = Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def no_pool() -> AsyncIterator[Pool]:
    """A pool of nodes that do not answer: a signature that passes needed none."""
    made = Pool(parse_nodes("a=http://127.0.0.1:9,b=http://127.0.0.1:19", ""), chain_id=CHAIN_ID)
    yield made
    await made.close()


def by_key(message: str = MESSAGE, key: bytes = KEY) -> str:
    return "0x" + bytes(Account.sign_message(encode_defunct(text=message), key).signature).hex()


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
async def test_a_message_without_a_valid_signature_is_refused(pool: Pool, signature: str) -> None:
    with pytest.raises(WalletSignatureInvalid):
        await verify(pool, OWNER, MESSAGE, signature)


async def test_another_message_or_another_key_is_refused(pool: Pool) -> None:
    for signature in (by_key("another"), by_key(key=keccak(b"another"))):
        with pytest.raises(WalletSignatureInvalid, match="Another key signed"):
            await verify(pool, OWNER, MESSAGE, signature)
